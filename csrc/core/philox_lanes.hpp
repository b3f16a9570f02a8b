// Many Philox blocks at once, one block to a 64-bit lane, at the width of the instruction set this file is built for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/philox.hpp"

#if defined(PYQMC_DEVICE)
#include "core/single_word.hpp"
#elif defined(__SSE2__)
#include <immintrin.h>
#endif

namespace pyqmc {
inline namespace PYQMC_ISA {
namespace lanes {

#if !defined(PYQMC_DEVICE)
#if defined(__AVX512F__)
inline constexpr int width = 8;
#elif defined(__AVX2__)
inline constexpr int width = 4;
#else
inline constexpr int width = 2;
#endif
typedef std::uint64_t Vector __attribute__((vector_size(8 * width)));
#endif

PYQMC_HD inline Vector broadcast(std::uint64_t x) { return Vector{} + x; }

// Product of the low 32 bits of each lane: the upper halves are ignored, so nothing below ever masks them off.
PYQMC_HD inline Vector multiply(Vector a, Vector b) {
#if defined(PYQMC_DEVICE)
  return single_product(a, b);
#elif defined(__AVX512F__)
  // The plain intrinsic trips gcc 12's uninitialised-value warning; with all lanes on this is the same instruction.
  return (Vector)_mm512_maskz_mul_epu32(0xFF, (__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (Vector)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return (Vector)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  return (a & 0xFFFFFFFFull) * (b & 0xFFFFFFFFull);
#endif
}

// The upper half of each lane in its lower half, whatever above: a shuffle, because products and shifts wait for the
// same port.
PYQMC_HD inline Vector upper_half(Vector a) {
#if defined(PYQMC_DEVICE)
  return a >> 32;
#elif defined(__AVX512F__)
  return (Vector)_mm512_maskz_shuffle_epi32(0xFFFF, (__m512i)a, (_MM_PERM_ENUM)0xF5);
#elif defined(__AVX2__)
  return (Vector)_mm256_shuffle_epi32((__m256i)a, 0xF5);
#elif defined(__SSE2__)
  return (Vector)_mm_shuffle_epi32((__m128i)a, 0xF5);
#else
  return a >> 32;
#endif
}

// The same by way of memory: the ports of loads and stores have nothing else to do, those of products and shuffles are
// full. It takes twice as long, so that only few of many vectors may go this way.
PYQMC_HD inline Vector upper_half_by_load(Vector a) {
#if defined(__AVX512F__) && !defined(PYQMC_DEVICE)
  __m512i slot, upper;
  asm("vmovdqa64 %2, %1\n\tvmovshdup %1, %0" : "=v"(upper), "=m"(slot) : "v"((__m512i)a));
  return (Vector)upper;
#else
  return upper_half(a);
#endif
}

// a ^ b ^ c.
PYQMC_HD inline Vector parity(Vector a, Vector b, Vector c) {
#if defined(__AVX512F__)
  return (Vector)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c, 0x96);
#else
  return a ^ b ^ c;
#endif
}

// As many vectors at a time as the registers hold.
inline constexpr int most = width == 8 ? 6 : width == 4 ? 3 : 2;

// One round of `count` vectors of counters; several vectors hide the latency of the products.
template <int count>
PYQMC_HD inline void run_round(Vector (&c0)[count], Vector (&c1)[count], Vector (&c2)[count], Vector (&c3)[count],
                               Vector k0, Vector k1) {
#pragma GCC unroll 8
  for (int v = 0; v < count; ++v) {
    const Vector p0 = multiply(c0[v], broadcast(philox::multiplier0));
    const Vector p1 = multiply(c2[v], broadcast(philox::multiplier1));
    c0[v] = parity(upper_half(p1), c1[v], k0);
    c1[v] = p1;
    c2[v] = parity(count == most && v == 0 ? upper_half_by_load(p0) : upper_half(p0), c3[v], k1);
    c3[v] = p0;
  }
}

// All ten rounds under one key.
template <int count>
PYQMC_HD inline void run_rounds(Vector (&c0)[count], Vector (&c1)[count], Vector (&c2)[count], Vector (&c3)[count],
                                std::uint64_t key) {
#pragma GCC unroll 10
  for (int round = 0; round < philox::rounds; ++round)
    run_round(c0, c1, c2, c3, broadcast(philox::round_key0(key, round)), broadcast(philox::round_key1(key, round)));
}

// What the last round makes of a product: upper half ^ word ^ key in the lower half, the lower half in the upper.
PYQMC_HD inline Vector finish(Vector product, Vector word, Vector key) {
#if defined(__AVX512F__)
  const __m512i swapped = _mm512_maskz_shuffle_epi32(0xFFFF, (__m512i)product, (_MM_PERM_ENUM)0xB1);
  return (Vector)_mm512_mask_ternarylogic_epi32(swapped, 0x5555, (__m512i)word, (__m512i)key, 0x96);
#elif defined(__AVX2__)
  const __m256i swapped = _mm256_shuffle_epi32((__m256i)product, 0xB1);
  const Vector mixed = (Vector)swapped ^ word ^ key;
  return (Vector)_mm256_blend_epi32((__m256i)mixed, swapped, 0xAA);
#else
  return ((upper_half(product) ^ word ^ key) & 0xFFFFFFFFull) | product << 32;
#endif
}

// Blocks under one key whose counters differ in word 0 only. Half of what the first two rounds work on is the same for
// all of them, and is computed once.
class Blocks {
 public:
  Blocks(std::uint64_t key, std::uint32_t c1, std::uint32_t c2, std::uint32_t c3) {
    for (int round = 0; round < philox::rounds; ++round) {
      k0_[round] = broadcast(philox::round_key0(key, round));
      k1_[round] = broadcast(philox::round_key1(key, round));
    }
    const std::uint64_t p1 = static_cast<std::uint64_t>(philox::multiplier1) * c2;
    const std::uint32_t agreed = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ philox::round_key0(key, 0);
    const std::uint64_t p0 = static_cast<std::uint64_t>(philox::multiplier0) * agreed;
    k1_[0] ^= broadcast(c3);
    k0_[1] ^= broadcast(static_cast<std::uint32_t>(p1));
    k1_[1] ^= broadcast(p0 >> 32);
    third_ = broadcast(p0);
  }

  // What round 0 makes of the indices, word 0 of the counters. Indices that are further by n have products that are
  // larger by that of n, as long as they stay below 2^32.
  static Vector product(Vector index) { return multiply(index, broadcast(philox::multiplier0)); }

  // Words 0 and 1 of each block as one, and words 2 and 3; `products` are those of their indices.
  template <int count>
  void compute(const Vector (&products)[count], Vector (&low)[count], Vector (&high)[count]) const {
    Vector c0[count], c1[count], c2[count], c3[count];
#pragma GCC unroll 8
    for (int v = 0; v < count; ++v) {
      const Vector p0 = products[v];
      const Vector p1 = multiply(upper_half(p0) ^ k1_[0], broadcast(philox::multiplier1));
      c0[v] = upper_half(p1) ^ k0_[1];
      c1[v] = p1;
      c2[v] = p0 ^ k1_[1];
      c3[v] = third_;
    }
    constexpr int last = philox::rounds - 1;
#pragma GCC unroll 10
    for (int round = 2; round < last; ++round) run_round(c0, c1, c2, c3, k0_[round], k1_[round]);
#pragma GCC unroll 8
    for (int v = 0; v < count; ++v) {
      low[v] = finish(multiply(c2[v], broadcast(philox::multiplier1)), c1[v], k0_[last]);
      high[v] = finish(multiply(c0[v], broadcast(philox::multiplier0)), c3[v], k1_[last]);
    }
  }

 private:
  // The words of the key, with what is the same for all blocks of the rounds 0 and 1.
  Vector k0_[philox::rounds], k1_[philox::rounds], third_;
};

// Block::draw of every lane from two words.
inline Vector draw_of(Vector low, Vector high) { return ((low & 0xFFFFFFFFull) | high << 32) >> 1; }

inline Vector ramp_of_lanes() {
  Vector ramp{};
  for (int lane = 0; lane < width; ++lane) ramp[lane] = static_cast<std::uint64_t>(lane);
  return ramp;
}

// Of two vectors the lanes with even numbers in turn, or those with odd numbers.
inline Vector even_lanes(Vector a, [[maybe_unused]] Vector b) {
#if defined(PYQMC_DEVICE)
  return a;
#elif defined(__AVX512F__)
  return __builtin_shuffle(a, b, Vector{0, 8, 2, 10, 4, 12, 6, 14});
#elif defined(__AVX2__)
  return __builtin_shuffle(a, b, Vector{0, 4, 2, 6});
#else
  return __builtin_shuffle(a, b, Vector{0, 2});
#endif
}
inline Vector odd_lanes([[maybe_unused]] Vector a, Vector b) {
#if defined(PYQMC_DEVICE)
  return b;
#elif defined(__AVX512F__)
  return __builtin_shuffle(a, b, Vector{1, 9, 3, 11, 5, 13, 7, 15});
#elif defined(__AVX2__)
  return __builtin_shuffle(a, b, Vector{1, 5, 3, 7});
#else
  return __builtin_shuffle(a, b, Vector{1, 3});
#endif
}

// The 128 bits of `blocks` consecutive indices, one block after the other, each half shifted right by `shift`.
template <int shift>
inline void write_blocks(const Draws& draws, std::uint32_t tag, std::uint32_t first, std::size_t blocks,
                         unsigned char* out) {
  constexpr std::size_t unroll = most, stride = unroll * width;
  // Behind index 2^32 - 1 comes 0.
  constexpr std::uint64_t all = 1ull << 32;
  if (first + static_cast<std::uint64_t>(blocks) > all) {
    const std::size_t until = static_cast<std::size_t>(all - first);
    write_blocks<shift>(draws, tag, first, until, out);
    return write_blocks<shift>(draws, tag, 0, blocks - until, out + 16 * until);
  }
  const Blocks same(draws.key, draws.replica, draws.step, tag);
  // The lower half of a vector gets its blocks from the even lanes of two, the upper half from the odd ones.
  Vector order{}, products[unroll];
  for (int lane = 0; lane < width; ++lane) order[lane] = static_cast<std::uint64_t>(lane / 2 + lane % 2 * width / 2);
  for (std::size_t v = 0; v < unroll; ++v) products[v] = Blocks::product(order + (first + v * width));
  alignas(64) unsigned char rest[16 * stride];
  for (std::size_t j = 0; j < blocks; j += stride) {
    Vector low[unroll], high[unroll];
    same.compute(products, low, high);
    unsigned char* to = blocks - j < stride ? rest : out + 16 * j;
    for (std::size_t v = 0; v < unroll; ++v, to += 2 * sizeof(Vector)) {
      products[v] += broadcast(philox::multiplier0 * static_cast<std::uint64_t>(stride));
      const Vector one = even_lanes(low[v], high[v]) >> shift, two = odd_lanes(low[v], high[v]) >> shift;
      __builtin_memcpy(to, &one, sizeof one);
      __builtin_memcpy(to + sizeof one, &two, sizeof two);
    }
    if (blocks - j < stride) __builtin_memcpy(out + 16 * j, rest, 16 * (blocks - j));
  }
}

}  // namespace lanes

// Draws of `blocks` consecutive indices: out[2 j + half] = block(first + j).draw(half).
inline void fill_draws(const Draws& draws, Purpose purpose, std::uint32_t number, std::uint32_t first,
                       std::size_t blocks, std::uint64_t* out) {
  lanes::write_blocks<1>(draws, Draws::tag(purpose, number), first, blocks, reinterpret_cast<unsigned char*>(out));
}

// The words of `blocks` consecutive indices, one block after the other.
inline void fill_blocks(const Draws& draws, std::uint32_t tag, std::uint32_t first, std::size_t blocks,
                        std::uint32_t* out) {
  lanes::write_blocks<0>(draws, tag, first, blocks, reinterpret_cast<unsigned char*>(out));
}

// One block that lies anywhere, and which half of it is wanted.
struct Wanted {
  std::uint32_t index, tag, half;
};

// Draws of blocks that lie anywhere: out[j] = block(wanted[j]).draw(half). Both arrays are read and written up to a
// whole number of `gathered` entries.
inline constexpr std::size_t gathered = 2 * lanes::width;

inline void gather_draws(const Draws& draws, const Wanted* wanted, std::size_t count, std::uint64_t* out) {
  using lanes::Vector;
  for (std::size_t j = 0; j < count; j += gathered) {
    alignas(64) std::uint64_t index[gathered], tag[gathered], half[gathered];
    for (std::size_t k = 0; k < gathered; ++k) {
      index[k] = wanted[j + k].index;
      tag[k] = wanted[j + k].tag;
      half[k] = 0 - static_cast<std::uint64_t>(wanted[j + k].half);  // all ones chooses the upper half
    }
    Vector c0[2], c1[2], c2[2], c3[2], upper[2];
    __builtin_memcpy(c0, index, sizeof index);
    __builtin_memcpy(c3, tag, sizeof tag);
    __builtin_memcpy(upper, half, sizeof half);
    for (int v = 0; v < 2; ++v) {
      c1[v] = lanes::broadcast(draws.replica);
      c2[v] = lanes::broadcast(draws.step);
    }
    lanes::run_rounds(c0, c1, c2, c3, draws.key);
    for (int v = 0; v < 2; ++v)
      c0[v] = (lanes::draw_of(c0[v], c1[v]) & ~upper[v]) | (lanes::draw_of(c2[v], c3[v]) & upper[v]);
    __builtin_memcpy(out + j, c0, sizeof c0);
  }
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
