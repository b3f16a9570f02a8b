// Registers of bytes and of 32-bit sums, one wide type for each instruction set. All shuffles stay within 128 bits.
#pragma once

#include <emmintrin.h>

#include <cstdint>

#include "core/host_device.hpp"
#include "images/jobs.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

// GCC 12 takes the undefined operands of its own AVX-512 intrinsics for mistakes of ours (its bug 105593).
#if defined(__AVX512F__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace pyqmc {
inline namespace PYQMC_ISA {

#if defined(__AVX512VNNI__)
using Lanes = __m512i;
#define PYQMC_LANES(name) _mm512_##name
#define PYQMC_LANES_ALL(name) _mm512_##name##_si512
#elif defined(__AVX2__)
using Lanes = __m256i;
#define PYQMC_LANES(name) _mm256_##name
#define PYQMC_LANES_ALL(name) _mm256_##name##_si256
#else
using Lanes = __m128i;
#define PYQMC_LANES(name) _mm_##name
#define PYQMC_LANES_ALL(name) _mm_##name##_si128
#endif

inline constexpr std::int64_t lanes = sizeof(Lanes) / 4;

inline __m128i load_16(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }

// 16 bytes of rows k, k + 4, k + 8, ...: one for each part of the register.
inline Lanes load_rows(const std::uint8_t* const* rows, std::int64_t k, std::int64_t at) {
#if defined(__AVX512VNNI__)
  __m512i all = _mm512_castsi128_si512(load_16(rows[k] + at));
  all = _mm512_inserti32x4(all, load_16(rows[k + 4] + at), 1);
  all = _mm512_inserti32x4(all, load_16(rows[k + 8] + at), 2);
  return _mm512_inserti32x4(all, load_16(rows[k + 12] + at), 3);
#elif defined(__AVX2__)
  return _mm256_inserti128_si256(_mm256_castsi128_si256(load_16(rows[k] + at)), load_16(rows[k + 4] + at), 1);
#else
  return load_16(rows[k] + at);
#endif
}

inline void store_16(void* to, __m128i part) { _mm_storeu_si128(static_cast<__m128i*>(to), part); }

// The other way round, for as many rows as are wanted.
inline void store_rows(Lanes all, std::uint8_t* const* rows, std::int64_t k, std::int64_t wanted, std::int64_t at) {
  const auto keep = [&](std::int64_t row, __m128i part) {
    if (row < wanted) store_16(rows[row] + at, part);
  };
#if defined(__AVX512VNNI__)
  keep(k, _mm512_castsi512_si128(all));
  keep(k + 4, _mm512_extracti32x4_epi32(all, 1));
  keep(k + 8, _mm512_extracti32x4_epi32(all, 2));
  keep(k + 12, _mm512_extracti32x4_epi32(all, 3));
#elif defined(__AVX2__)
  keep(k, _mm256_castsi256_si128(all));
  keep(k + 4, _mm256_extracti128_si256(all, 1));
#else
  keep(k, all);
#endif
}

inline Lanes load(const void* from) { return PYQMC_LANES_ALL(loadu)(reinterpret_cast<const Lanes*>(from)); }
inline void store(void* to, Lanes all) { PYQMC_LANES_ALL(storeu)(reinterpret_cast<Lanes*>(to), all); }

// In each 128 bits: four rows of four 32-bit numbers become four columns.
inline void transpose(Lanes* four) {
  const Lanes a = PYQMC_LANES(unpacklo_epi32)(four[0], four[1]), b = PYQMC_LANES(unpackhi_epi32)(four[0], four[1]);
  const Lanes c = PYQMC_LANES(unpacklo_epi32)(four[2], four[3]), d = PYQMC_LANES(unpackhi_epi32)(four[2], four[3]);
  four[0] = PYQMC_LANES(unpacklo_epi64)(a, c);
  four[1] = PYQMC_LANES(unpackhi_epi64)(a, c);
  four[2] = PYQMC_LANES(unpacklo_epi64)(b, d);
  four[3] = PYQMC_LANES(unpackhi_epi64)(b, d);
}

#if defined(__AVX2__)
inline Lanes shuffle(Lanes all, __m128i order) {
#if defined(__AVX512VNNI__)
  return _mm512_shuffle_epi8(all, _mm512_broadcast_i32x4(order));
#else
  return _mm256_shuffle_epi8(all, _mm256_broadcastsi128_si256(order));
#endif
}
#endif

// In each 128 bits: four pixels of four bytes become four channels of four bytes.
inline Lanes transpose_bytes(Lanes all) {
#if defined(__AVX2__)
  return shuffle(all, _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
#else
  all = _mm_unpacklo_epi8(all, _mm_srli_si128(all, 8));
  return _mm_unpacklo_epi8(all, _mm_srli_si128(all, 8));
#endif
}

// In each 128 bits: every 32 bits become four pixels of one channel, group by group and channel by channel. Three
// channels leave the last 32 bits over.
template <int channels>
Lanes sort_channels(Lanes all) {
  if constexpr (channels == 1) return all;
  if constexpr (channels == 4) return transpose_bytes(all);
#if defined(__AVX2__)
  if constexpr (channels == 2) return shuffle(all, _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15));
  if constexpr (channels == 3) return shuffle(all, _mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1));
#else
  if constexpr (channels == 2) {
    all = _mm_packus_epi16(_mm_and_si128(all, _mm_set1_epi16(255)), _mm_srli_epi16(all, 8));
    return _mm_shuffle_epi32(all, _MM_SHUFFLE(3, 1, 2, 0));
  }
  if constexpr (channels == 3) {
    const __m128i front = _mm_unpacklo_epi32(all, _mm_srli_si128(all, 3));
    const __m128i back = _mm_unpacklo_epi32(_mm_srli_si128(all, 6), _mm_srli_si128(all, 9));
    return transpose_bytes(_mm_unpacklo_epi64(front, back));
  }
#endif
}

inline constexpr int resample_bits = 22;
inline constexpr std::int32_t resample_half = 1 << (resample_bits - 1);

// Four times 4 `lanes` sums, in the order of unpacking, to bytes.
inline Lanes pack_bytes(Lanes a, Lanes b, Lanes c, Lanes d) {
  const auto shift = [](Lanes sum) { return PYQMC_LANES(srai_epi32)(sum, resample_bits); };
  return PYQMC_LANES(packus_epi16)(PYQMC_LANES(packs_epi32)(shift(a), shift(b)),
                                   PYQMC_LANES(packs_epi32)(shift(c), shift(d)));
}

// A sum of bytes times weights, one in each lane, four products of a lane at a time. Everything is exact modulo 2^32,
// and the sum itself fits.
#if defined(__AVX512VNNI__)
inline constexpr Packing packing = Packing::quads;
inline constexpr std::int64_t planes = 1, words = 3;

inline void spread(Lanes bytes, Lanes* to) { to[0] = bytes; }

struct Sum {
  Lanes low = _mm512_set1_epi32(resample_half), middle = _mm512_setzero_si512(), high = _mm512_setzero_si512();

  void add(const Lanes* pixels, const std::int32_t* weight) {
    low = _mm512_dpbusd_epi32(low, pixels[0], _mm512_set1_epi32(weight[0]));
    middle = _mm512_dpbusd_epi32(middle, pixels[0], _mm512_set1_epi32(weight[1]));
    high = _mm512_dpbusd_epi32(high, pixels[0], _mm512_set1_epi32(weight[2]));
  }

  Lanes total() const {
    return _mm512_add_epi32(low, _mm512_slli_epi32(_mm512_add_epi32(middle, _mm512_slli_epi32(high, 8)), 8));
  }
};
#else
inline constexpr Packing packing = Packing::pairs;
inline constexpr std::int64_t planes = 2, words = 4;

inline void spread(Lanes bytes, Lanes* to) {
  to[0] = PYQMC_LANES_ALL (and)(bytes, PYQMC_LANES(set1_epi16)(255));
  to[1] = PYQMC_LANES(srli_epi16)(bytes, 8);
}

struct Sum {
  Lanes low = PYQMC_LANES(set1_epi32)(resample_half), high = PYQMC_LANES_ALL(setzero)();

  void add(const Lanes* pixels, const std::int32_t* weight) {
    for (int p = 0; p < 2; ++p) {
      const Lanes low_weight = PYQMC_LANES(set1_epi32)(weight[2 * p]);
      const Lanes high_weight = PYQMC_LANES(set1_epi32)(weight[2 * p + 1]);
      low = PYQMC_LANES(add_epi32)(low, PYQMC_LANES(madd_epi16)(pixels[p], low_weight));
      high = PYQMC_LANES(add_epi32)(high, PYQMC_LANES(madd_epi16)(pixels[p], high_weight));
    }
  }

  Lanes total() const { return PYQMC_LANES(add_epi32)(low, PYQMC_LANES(slli_epi32)(high, 12)); }
};
#endif

}  // namespace PYQMC_ISA
}  // namespace pyqmc
