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

// The ten rounds on `count` vectors of counters, all under one key; several vectors hide the latency of the products.
template <int count>
PYQMC_HD inline void run_rounds(Vector (&c0)[count], Vector (&c1)[count], Vector (&c2)[count], Vector (&c3)[count],
                                std::uint64_t key) {
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < philox::rounds; ++round) {
#pragma GCC unroll 8
    for (int v = 0; v < count; ++v) {
      const Vector p0 = multiply(c0[v], broadcast(philox::multiplier0));
      const Vector p1 = multiply(c2[v], broadcast(philox::multiplier1));
      c0[v] = upper_half(p1) ^ c1[v] ^ broadcast(k0);
      c1[v] = p1;
      c2[v] = upper_half(p0) ^ c3[v] ^ broadcast(k1);
      c3[v] = p0;
    }
    k0 += philox::weyl0;
    k1 += philox::weyl1;
  }
}

// Block::draw of every lane from two words.
inline Vector draw_of(Vector low, Vector high) { return ((low & 0xFFFFFFFFull) | high << 32) >> 1; }

}  // namespace lanes

// Draws of `blocks` consecutive indices: out[2 j + half] = block(first + j).draw(half).
inline void fill_draws(const Draws& draws, Purpose purpose, std::uint32_t number, std::uint32_t first,
                       std::size_t blocks, std::uint64_t* out) {
  using lanes::Vector;
  constexpr std::size_t unroll = 2, stride = unroll * lanes::width;
  const std::uint32_t tag = Draws::tag(purpose, number);
  Vector ramp;
  for (int lane = 0; lane < lanes::width; ++lane) ramp[lane] = static_cast<std::uint64_t>(lane);
  std::size_t j = 0;
  for (; j + stride <= blocks; j += stride) {
    Vector c0[unroll], c1[unroll], c2[unroll], c3[unroll];
    for (std::size_t v = 0; v < unroll; ++v) {
      c0[v] = ramp + static_cast<std::uint64_t>(first + static_cast<std::uint32_t>(j + v * lanes::width));
      c1[v] = lanes::broadcast(draws.replica);
      c2[v] = lanes::broadcast(draws.step);
      c3[v] = lanes::broadcast(tag);
    }
    lanes::run_rounds(c0, c1, c2, c3, draws.key);
    for (std::size_t v = 0; v < unroll; ++v) {
      const Vector low = lanes::draw_of(c0[v], c1[v]), high = lanes::draw_of(c2[v], c3[v]);
      for (int lane = 0; lane < lanes::width; ++lane) {
        out[2 * (j + v * lanes::width + lane)] = low[lane];
        out[2 * (j + v * lanes::width + lane) + 1] = high[lane];
      }
    }
  }
  for (; j < blocks; ++j) {
    const Block block = draws.block(purpose, first + static_cast<std::uint32_t>(j), number);
    out[2 * j] = block.draw(0);
    out[2 * j + 1] = block.draw(1);
  }
}

#if !defined(PYQMC_DEVICE)  // a thread of a device draws its own block
// The words of `blocks` consecutive indices, one block after the other.
inline void fill_blocks(const Draws& draws, std::uint32_t tag, std::uint32_t first, std::size_t blocks,
                        std::uint32_t* out) {
  using lanes::Vector;
  constexpr std::size_t unroll = lanes::width == 8 ? 4 : 2, stride = unroll * lanes::width;
  Vector ramp;
  for (int lane = 0; lane < lanes::width; ++lane) ramp[lane] = static_cast<std::uint64_t>(lane);
  std::size_t j = 0;
  for (; j + stride <= blocks; j += stride) {
    Vector c0[unroll], c1[unroll], c2[unroll], c3[unroll];
    for (std::size_t v = 0; v < unroll; ++v) {
      c0[v] = ramp + static_cast<std::uint64_t>(first + static_cast<std::uint32_t>(j + v * lanes::width));
      c1[v] = lanes::broadcast(draws.replica);
      c2[v] = lanes::broadcast(draws.step);
      c3[v] = lanes::broadcast(tag);
    }
    lanes::run_rounds(c0, c1, c2, c3, draws.key);
    for (std::size_t v = 0; v < unroll; ++v) {
      const Vector low = (c0[v] & 0xFFFFFFFFull) | c1[v] << 32, high = (c2[v] & 0xFFFFFFFFull) | c3[v] << 32;
      // Side by side: the low half of a lane, then its high half.
#if defined(__AVX512F__)
      const Vector one = __builtin_shuffle(low, high, Vector{0, 8, 1, 9, 2, 10, 3, 11});
      const Vector two = __builtin_shuffle(low, high, Vector{4, 12, 5, 13, 6, 14, 7, 15});
#elif defined(__AVX2__)
      const Vector one = __builtin_shuffle(low, high, Vector{0, 4, 1, 5});
      const Vector two = __builtin_shuffle(low, high, Vector{2, 6, 3, 7});
#else
      const Vector one = __builtin_shuffle(low, high, Vector{0, 2}), two = __builtin_shuffle(low, high, Vector{1, 3});
#endif
      __builtin_memcpy(out + 4 * (j + v * lanes::width), &one, sizeof one);
      __builtin_memcpy(out + 4 * (j + v * lanes::width) + 2 * lanes::width, &two, sizeof two);
    }
  }
  for (; j < blocks; ++j) {
    const Block block = philox::block(first + static_cast<std::uint32_t>(j), draws.replica, draws.step, tag, draws.key);
    __builtin_memcpy(out + 4 * j, block.word, sizeof block.word);
  }
}
#endif

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
