// Bit maps of a lattice: bit i & 63 of word i >> 6 belongs to site i. A map has `margin` words of zeros before and
// behind it, so that a register may look over its rim.
#pragma once

#include <cstdint>

#include "core/philox_lanes.hpp"

namespace pyqmc {

inline constexpr std::int64_t margin = 16;  // words; two registers of the widest instruction set

inline namespace PYQMC_ISA {
// By reference, because how a wide vector is returned depends on the instruction set.
template <class Vector>
inline void load_vector(const void* from, Vector& v) {
  __builtin_memcpy(&v, from, sizeof v);
}

namespace bits {

PYQMC_HD inline std::int64_t words_for(std::int64_t sites) { return (sites + 63) >> 6; }

// Which bits of word k are sites.
PYQMC_HD inline std::uint64_t inside(std::int64_t k, std::int64_t sites) {
  return sites - 64 * k >= 64 ? ~0ull : sites <= 64 * k ? 0 : ~0ull >> (64 - (sites - 64 * k));
}

// The 64 bits that lie `shift` further along than word k.
PYQMC_HD inline std::uint64_t window(const std::uint64_t* map, std::int64_t k, std::int64_t shift) {
  const std::uint64_t* word = map + k + (shift >> 6);
  const std::int64_t offset = shift & 63;
  return word[0] >> offset | word[1] << 1 << (63 - offset);
}

// The 64 bits that are left of `word` when every bit below `first` goes.
PYQMC_HD inline std::uint64_t from(std::uint64_t word, std::int64_t first) {
  return first <= 0 ? word : first >= 64 ? 0 : word & ~0ull << first;
}

// Position of the lowest one of a word that has any.
PYQMC_HD inline int lowest(std::uint64_t word) {
#if defined(__CUDA_ARCH__)
  return __ffsll(static_cast<long long>(word)) - 1;
#else
  return __builtin_ctzll(word);
#endif
}

// Zeros above the highest one of a word that has any.
PYQMC_HD inline int zeros_above(std::uint64_t word) {
#if defined(__CUDA_ARCH__)
  return __clzll(static_cast<long long>(word));
#else
  return __builtin_clzll(word);
#endif
}

PYQMC_HD inline int count(std::uint64_t word) {
#if defined(__CUDA_ARCH__)
  return __popcll(word);
#else
  return __builtin_popcountll(word);
#endif
}

// Of each segment of a word, segments beginning at the ones of `starts` (bit 0 among them), the lowest one of `word`:
// x & -x, with the negation carried out in every segment by itself.
PYQMC_HD inline std::uint64_t first_of_segments(std::uint64_t word, std::uint64_t starts) {
  const std::uint64_t tops = starts >> 1 | 1ull << 63;
  const std::uint64_t negative = ((~word & ~tops) + (starts & ~tops)) ^ ((~word ^ starts) & tops);
  return word & negative;
}

// Bit `plane` of 64 values.
inline std::uint64_t plane_of(const std::int8_t* values, int plane) {
#if defined(__AVX512BW__) && !defined(PYQMC_DEVICE)
  __m512i v;
  __builtin_memcpy(&v, values, sizeof v);
  return _mm512_movepi8_mask((__m512i)((lanes::Vector)v << (7 - plane)));
#elif defined(__SSE2__) && !defined(PYQMC_DEVICE)
  std::uint64_t word = 0;
  for (int part = 0; part < 4; ++part) {
    __m128i v;
    __builtin_memcpy(&v, values + 16 * part, sizeof v);
    const int sixteen = _mm_movemask_epi8(_mm_slli_epi64(v, 7 - plane));
    word |= static_cast<std::uint64_t>(static_cast<unsigned>(sixteen)) << (16 * part);
  }
  return word;
#else
  std::uint64_t word = 0;
  for (int x = 0; x < 64; ++x) word |= static_cast<std::uint64_t>(values[x] >> plane & 1) << x;
  return word;
#endif
}

inline std::uint64_t plane_of(const std::int16_t* values, int plane) {
  std::int8_t part[64];
  const int shift = plane & 8;
  for (int x = 0; x < 64; ++x) part[x] = static_cast<std::int8_t>(values[x] >> shift & 0xFF);
  return plane_of(part, plane & 7);
}

// Turns the spins, +1 or -1, whose bits are set.
inline void turn_spins(std::uint64_t turned, std::int8_t* spins) {
#if defined(__AVX512BW__) && !defined(PYQMC_DEVICE)
  __m512i v;
  __builtin_memcpy(&v, spins, sizeof v);
  v = _mm512_mask_sub_epi8(v, turned, _mm512_setzero_si512(), v);
  __builtin_memcpy(spins, &v, sizeof v);
#else
  for (int x = 0; x < 64; x += 8) {
    // Eight bits to eight bytes: copy them to every byte, keep bit k of byte k, make it 0 or 1; then +1 ^ 0xFE is -1.
    const std::uint64_t kept = (turned >> x & 0xFF) * 0x0101010101010101ull & 0x8040201008040201ull;
    const std::uint64_t ones = (kept + 0x7F7F7F7F7F7F7F7Full) >> 7 & 0x0101010101010101ull;
    std::uint64_t eight;
    __builtin_memcpy(&eight, spins + x, sizeof eight);
    eight ^= ones * 0xFE;
    __builtin_memcpy(spins + x, &eight, sizeof eight);
  }
#endif
}

inline void turn_spins(std::uint64_t turned, std::int16_t* spins) {
  for (int x = 0; x < 64; ++x)
    if ((turned >> x & 1) != 0) spins[x] = static_cast<std::int16_t>(-spins[x]);
}

PYQMC_HD inline bool any(lanes::Vector v) {
#if defined(__AVX512F__) && !defined(PYQMC_DEVICE)
  return _mm512_test_epi64_mask((__m512i)v, (__m512i)v) != 0;
#else
  std::uint64_t all = 0;
  for (int lane = 0; lane < lanes::width; ++lane) all |= v[lane];
  return all != 0;
#endif
}

// Events of probability `probability` / 2^63 for the ones of `open`, the words from `first` on: each site has a number
// below 2^63, whose digits are spread over bit planes, the highest first, two planes to a block. Nothing further is
// drawn once all numbers differ from the probability.
template <int count>
PYQMC_HD inline void draw_events(const Draws& draws, std::uint32_t number, std::uint32_t first,
                                 std::uint64_t probability, lanes::Vector (&open)[count],
                                 lanes::Vector (&happens)[count]) {
  using lanes::Vector;
  for (int v = 0; v < count; ++v) happens[v] = (probability >> 63) != 0 ? open[v] : Vector{};
  Vector ramp;
  for (int lane = 0; lane < lanes::width; ++lane) ramp[lane] = first + static_cast<std::uint64_t>(lane);
  constexpr std::uint32_t unasked = 6;  // blocks after which some site of a register may well be decided
  std::uint64_t digits = probability << 1;
  for (std::uint32_t pair = 0; digits != 0; ++pair) {
    if (pair >= unasked) {
      Vector left = open[0];
      for (int v = 1; v < count; ++v) left |= open[v];
      if (!any(left)) return;
    }
    Vector c0[count], c1[count], c2[count], c3[count];
    for (int v = 0; v < count; ++v) {
      c0[v] = ramp + static_cast<std::uint64_t>(v * lanes::width);
      c1[v] = lanes::broadcast(draws.replica);
      c2[v] = lanes::broadcast(draws.step);
      c3[v] = lanes::broadcast(Draws::tag(Purpose::bond, number << 5 | pair));
    }
    lanes::run_rounds(c0, c1, c2, c3, draws.key);
    const Vector high = lanes::broadcast(0 - (digits >> 63)), low = lanes::broadcast(0 - (digits >> 62 & 1));
    for (int v = 0; v < count; ++v) {
      const Vector one = (c0[v] & 0xFFFFFFFFull) | c1[v] << 32, two = (c2[v] & 0xFFFFFFFFull) | c3[v] << 32;
      happens[v] |= open[v] & high & ~one;
      open[v] &= ~(one ^ high);
      happens[v] |= open[v] & low & ~two;
      open[v] &= ~(two ^ low);
    }
    digits <<= 2;
  }
}

// Fair coins of the words [begin, end), from an even word on; written up to a whole register further.
inline void toss_coins(const Draws& draws, std::int64_t begin, std::int64_t end, std::uint64_t* coins) {
  using lanes::Vector;
  for (std::int64_t k = begin; k < end; k += 2 * lanes::width) {
    Vector c0[1], c1[1], c2[1], c3[1];
    for (int lane = 0; lane < lanes::width; ++lane) c0[0][lane] = static_cast<std::uint64_t>((k >> 1) + lane);
    c1[0] = lanes::broadcast(draws.replica);
    c2[0] = lanes::broadcast(draws.step);
    c3[0] = lanes::broadcast(Draws::tag(Purpose::flip, 0));
    lanes::run_rounds(c0, c1, c2, c3, draws.key);
    for (int lane = 0; lane < lanes::width; ++lane) {
      coins[k + 2 * lane] = (c0[0][lane] & 0xFFFFFFFFull) | c1[0][lane] << 32;
      coins[k + 2 * lane + 1] = (c2[0][lane] & 0xFFFFFFFFull) | c3[0][lane] << 32;
    }
  }
}

// The words of 16 consecutive blocks.
PYQMC_HD inline void draw_words(const Draws& draws, Purpose purpose, std::uint32_t number, std::uint32_t first,
                                std::uint32_t* out) {
  using lanes::Vector;
  constexpr int count = 16 / lanes::width, together = count < 2 ? count : 2;
  Vector ramp{};
  for (int lane = 0; lane < lanes::width; ++lane) ramp[lane] = first + static_cast<std::uint64_t>(lane);
  for (int v = 0; v < count; v += together) {
    Vector c0[together], c1[together], c2[together], c3[together];
    for (int u = 0; u < together; ++u) {
      c0[u] = ramp + static_cast<std::uint64_t>((v + u) * lanes::width);
      c1[u] = lanes::broadcast(draws.replica);
      c2[u] = lanes::broadcast(draws.step);
      c3[u] = lanes::broadcast(Draws::tag(purpose, number));
    }
    lanes::run_rounds(c0, c1, c2, c3, draws.key);
    for (int u = 0; u < together; ++u) {
      const Vector low = (c0[u] & 0xFFFFFFFFull) | c1[u] << 32, high = (c2[u] & 0xFFFFFFFFull) | c3[u] << 32;
      for (int lane = 0; lane < lanes::width; ++lane) {
        const std::uint64_t words[2] = {low[lane], high[lane]};
        __builtin_memcpy(out + 4 * ((v + u) * lanes::width + lane), words, sizeof words);
      }
    }
  }
}

}  // namespace bits
}  // namespace PYQMC_ISA
}  // namespace pyqmc
