// Boolean algebra on vectors of 64-bit words, a bit for each spin, and the generator that feeds it, at the width of the
// instruction set this file is built for.
#pragma once

#include <cstdint>

#include "core/philox_lanes.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {
namespace lanes {

PYQMC_HD inline Vector load(const std::uint64_t* from) {
  Vector v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}
PYQMC_HD inline void store(std::uint64_t* to, Vector v) { __builtin_memcpy(to, &v, sizeof v); }

#if defined(__AVX512F__) && !defined(PYQMC_DEVICE)
// The truth table of three bits as an immediate: bit 4 a + 2 b + c of it is the result for (a, b, c).
template <int table>
PYQMC_HD inline Vector logic(Vector a, Vector b, Vector c) {
  return (Vector)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c, table);
}
// The instruction overwrites its first operand: b is rarely wanted again, the mask often is.
PYQMC_HD inline Vector choose(Vector mask, Vector a, Vector b) { return logic<0xB8>(b, mask, a); }
PYQMC_HD inline Vector majority(Vector a, Vector b, Vector c) { return logic<0xE8>(a, b, c); }
PYQMC_HD inline Vector neither(Vector a, Vector b) { return logic<0x03>(a, b, b); }
PYQMC_HD inline bool any(Vector v) { return _mm512_test_epi64_mask((__m512i)v, (__m512i)v) != 0; }
#else
PYQMC_HD inline Vector choose(Vector mask, Vector a, Vector b) { return b ^ (mask & (a ^ b)); }
PYQMC_HD inline Vector majority(Vector a, Vector b, Vector c) { return (a & b) | (c & (a ^ b)); }
PYQMC_HD inline Vector neither(Vector a, Vector b) { return ~(a | b); }
#if defined(PYQMC_DEVICE)
PYQMC_HD inline bool any(Vector v) { return v.word != 0; }
#elif defined(__AVX2__)
PYQMC_HD inline bool any(Vector v) { return _mm256_testz_si256((__m256i)v, (__m256i)v) == 0; }
#else
PYQMC_HD inline bool any(Vector v) { return (v[0] | v[1]) != 0; }
#endif
#endif

// A bit for each lane that has any.
PYQMC_HD inline unsigned lanes_with_any(Vector v) {
#if defined(__AVX512F__) && !defined(PYQMC_DEVICE)
  return _mm512_test_epi64_mask((__m512i)v, (__m512i)v);
#else
  unsigned some = 0;
  for (int lane = 0; lane < width; ++lane) some |= static_cast<unsigned>(v[lane] != 0) << lane;
  return some;
#endif
}

PYQMC_HD inline Vector rotate(Vector v, int left) { return v << left | v >> (64 - left); }

// Ones in each word.
PYQMC_HD inline Vector count_ones(Vector v) {
#if defined(__CUDA_ARCH__)
  return {static_cast<std::uint64_t>(__popcll(v.word))};
#elif defined(__AVX512BW__) && !defined(PYQMC_DEVICE)
  const __m512i table = _mm512_set4_epi32(0x04030302, 0x03020201, 0x03020201, 0x02010100);
  const __m512i low = _mm512_set1_epi8(15), x = (__m512i)v;
  const __m512i upper = (__m512i)(v >> 4);
  const __m512i bytes = _mm512_add_epi8(_mm512_shuffle_epi8(table, _mm512_and_si512(x, low)),
                                        _mm512_shuffle_epi8(table, _mm512_and_si512(upper, low)));
  return (Vector)_mm512_sad_epu8(bytes, _mm512_setzero_si512());
#elif defined(__AVX2__) && !defined(PYQMC_DEVICE)
  const __m256i table = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const __m256i low = _mm256_set1_epi8(15), x = (__m256i)v;
  const __m256i upper = (__m256i)(v >> 4);
  const __m256i bytes = _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(x, low)),
                                        _mm256_shuffle_epi8(table, _mm256_and_si256(upper, low)));
  return (Vector)_mm256_sad_epu8(bytes, _mm256_setzero_si256());
#else
  v -= v >> 1 & 0x5555555555555555ull;
  v = (v & 0x3333333333333333ull) + (v >> 2 & 0x3333333333333333ull);
  v = (v + (v >> 4)) & 0x0F0F0F0F0F0F0F0Full;
  v += v >> 8;
  v += v >> 16;
  v += v >> 32;
  return v & 0xFFull;
#endif
}

PYQMC_HD inline std::int64_t add_up(Vector v) {
  std::uint64_t total = 0;
  for (int lane = 0; lane < width; ++lane) total += v[lane];
  return static_cast<std::int64_t>(total);
}

// Counts the ones of many words in each lane: only every fourth word is counted one by one (Harley and Seal's way, see
// Warren, Hacker's Delight, 2nd ed., section 5-1).
class Counter {
 public:
  PYQMC_HD void add(Vector v) {
    const Vector carry = ones_ & v;
    ones_ ^= v;
    if ((++added_ & 1) != 0) {
      pending_ = carry;
      return;
    }
    fours_ += count_ones(majority(twos_, pending_, carry));
    twos_ = parity(twos_, pending_, carry);
  }
  PYQMC_HD __attribute__((always_inline)) void add(const Vector (&four)[4]) {
    const Vector one = majority(ones_, four[0], four[1]), some = parity(ones_, four[0], four[1]);
    const Vector two = majority(some, four[2], four[3]);
    ones_ = parity(some, four[2], four[3]);
    fours_ += count_ones(majority(twos_, one, two));
    twos_ = parity(twos_, one, two);
  }
  PYQMC_HD Vector total() const {
    const Vector pending = (added_ & 1) != 0 ? count_ones(pending_) << 1 : Vector{};
    return (fours_ << 2) + (count_ones(twos_) << 1) + count_ones(ones_) + pending;
  }

 private:
  Vector ones_{}, twos_{}, fours_{}, pending_{};
  unsigned added_ = 0;
};

// All functions of two bits, or those that are 0 where both are set: bit 2 b + a of n is the value of number n.
template <int count>
PYQMC_HD inline void fill_functions(Vector a, Vector b, Vector (&of)[count]) {
  static_assert(count == 8 || count == 16);
  of[0] = Vector{};
  of[1] = neither(a, b);
  of[2] = a & ~b;
  of[3] = ~b;
  of[4] = b & ~a;
  of[5] = ~a;
  of[6] = a ^ b;
#if defined(__AVX512F__) && !defined(PYQMC_DEVICE)
  of[7] = logic<0x3F>(a, b, b);
#else
  of[7] = ~(a & b);
#endif
  if constexpr (count == 16) {
    of[8] = a & b;
    of[9] = parity(a, b, ~Vector{});
    of[10] = a;
    of[11] = a | ~b;
    of[12] = b;
    of[13] = b | ~a;
    of[14] = a | b;
    of[15] = ~Vector{};
  }
}

// The function that stands `place` bytes behind the first.
PYQMC_HD inline Vector at_place(const Vector* of, std::size_t place) {
  return *reinterpret_cast<const Vector*>(reinterpret_cast<const char*>(of) + place);
}

// Random numbers x choose a digit each: that of the highest one. `next` takes the next higher digits of x, and what is
// chosen where x has a one there.
struct Choice {
  Vector value, any;

  PYQMC_HD void next(Vector x, Vector digit) {
    value = choose(x, digit, value);
    any |= x;
  }
};

// Words rotated to the left by 24 bits: whole bytes, which is a single shuffle where there is no rotation.
PYQMC_HD inline Vector rotate24(Vector v) {
#if defined(__AVX2__) && !defined(__AVX512F__) && !defined(PYQMC_DEVICE)
  const __m256i order =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(5, 6, 7, 0, 1, 2, 3, 4, 13, 14, 15, 8, 9, 10, 11, 12));
  return (Vector)_mm256_shuffle_epi8((__m256i)v, order);
#else
  return rotate(v, 24);
#endif
}

// xoroshiro128+ (Blackman, Vigna, ACM Trans. Math. Softw. 47 (2021) 36), one generator in each lane. What is known
// against it: the lowest bit is a linear recurrence of order 128, and the linear recurrence of the states shines
// through the sums: certain six bits of three successive words have an even number of ones 52 times of 100. The first
// does not arise, for no stream here has more than 128 words, so that their lowest bits are independent, and every
// state is drawn by Philox. As for the second, these are one digit each of six spins, which correlates the six by less
// than 1e-5 (docs/architecture.md).
struct Xoroshiro {
  Vector s0, s1;

  PYQMC_HD Vector next() {
    const Vector out = s0 + s1;
    s1 ^= s0;
    s0 = parity(rotate24(s0), s1, s1 << 16);
    s1 = rotate(s1, 37);
    return out;
  }
};

}  // namespace lanes

// Both state words of the generators `first` to first + count - 1: the four words of Philox block `index`.
inline void fill_seeds(const Draws& draws, Purpose purpose, std::uint32_t number, std::uint32_t first, int count,
                       std::uint64_t* low, std::uint64_t* high) {
  using lanes::Vector;
  constexpr int unroll = 2;
  const lanes::Blocks same(draws.key, draws.replica, draws.step, Draws::tag(purpose, number));
  for (int j = 0; j < count; j += unroll * lanes::width) {
    Vector products[unroll], one[unroll], two[unroll];
    for (int v = 0; v < unroll; ++v)
      products[v] =
          lanes::Blocks::product(lanes::ramp_of_lanes() + (first + static_cast<std::uint64_t>(j + v * lanes::width)));
    same.compute(products, one, two);
    for (int v = 0; v < unroll; ++v) {
      lanes::store(low + j + v * lanes::width, one[v]);
      lanes::store(high + j + v * lanes::width, two[v]);
    }
  }
}

// The same for generators `first` to first + count - 1 of `width` replicas, `apart` from each other: generator j of the
// replica in lane l at j * width + l.
inline void fill_seeds_of_fields(const Draws& draws, Purpose purpose, std::uint32_t number, std::uint32_t first,
                                 int count, std::uint32_t apart, std::uint64_t* low, std::uint64_t* high) {
  using lanes::Vector;
  constexpr int unroll = 2;
  Vector replica;
  for (int lane = 0; lane < lanes::width; ++lane)
    replica[lane] = draws.replica + static_cast<std::uint32_t>(lane) * apart;
  for (int j = 0; j < count; j += unroll) {
    Vector c0[unroll], c1[unroll], c2[unroll], c3[unroll];
    for (int v = 0; v < unroll; ++v) {
      c0[v] = lanes::broadcast(first + static_cast<std::uint32_t>(j + v));
      c1[v] = replica;
      c2[v] = lanes::broadcast(draws.step);
      c3[v] = lanes::broadcast(Draws::tag(purpose, number));
    }
    lanes::run_rounds(c0, c1, c2, c3, draws.key);
    for (int v = 0; v < unroll; ++v) {
      lanes::store(low + (j + v) * lanes::width, (c0[v] & 0xFFFFFFFFull) | c1[v] << 32);
      lanes::store(high + (j + v) * lanes::width, (c2[v] & 0xFFFFFFFFull) | c3[v] << 32);
    }
  }
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
