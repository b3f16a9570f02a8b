// The two passes of a separable resampling, compiled once for each instruction set: across the rows first, rounded to
// bytes, then down the columns, as Pillow does.
#pragma once

#include <cstdint>

#include "core/host_device.hpp"
#include "images/jobs.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace pyqmc {
inline namespace PYQMC_ISA {

inline constexpr int resample_bits = 22;
inline constexpr std::int32_t resample_half = 1 << (resample_bits - 1);

inline std::uint8_t as_byte(std::int32_t sum) {
  const std::int32_t value = sum >> resample_bits;
  return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

inline void pixel_across(const std::uint8_t* source, std::int64_t channels, const std::int32_t* weight,
                         std::int64_t count, std::uint8_t* out) {
  for (std::int64_t c = 0; c < channels; ++c) {
    std::int32_t sum = resample_half;
    for (std::int64_t k = 0; k < count; ++k) sum += weight[k] * source[k * channels + c];
    out[c] = as_byte(sum);
  }
}

#if defined(__AVX2__)
// Four RGB pixels at a time. A weight has 23 bits and a sign: w = 4096 high + low, so that both halves fit the 16-bit
// multiply-and-add-pairs instruction, and the sum is exact.
inline __m256i spread(const std::int16_t* four) {  // (w0 w1) four times, (w2 w3) four times
  const __m256i pairs = _mm256_castsi128_si256(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(four)));
  return _mm256_permutevar8x32_epi32(pairs, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
}

inline std::uint32_t rgb_across(const std::uint8_t* source, const std::int16_t* low_weight,
                                const std::int16_t* high_weight, std::int64_t groups) {
  // Lane 0 takes pixels 0 and 1 as (r0 r1)(g0 g1)(b0 b1), lane 1 pixels 2 and 3, widened to 16 bits.
  const __m256i order = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,  //
                                         6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  __m256i low = _mm256_setzero_si256(), high = _mm256_setzero_si256();
  for (std::int64_t g = 0; g < groups; ++g) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + 12 * g));
    const __m256i pixels = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), order);
    low = _mm256_add_epi32(low, _mm256_madd_epi16(pixels, spread(low_weight + 4 * g)));
    high = _mm256_add_epi32(high, _mm256_madd_epi16(pixels, spread(high_weight + 4 * g)));
  }
  const __m256i both = _mm256_add_epi32(_mm256_slli_epi32(high, 12), low);
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
  sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(resample_half)), resample_bits);
  sum = _mm_packus_epi16(_mm_packs_epi32(sum, sum), sum);
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(sum));
}
#endif

// One source row of a cut, resampled across to `out` (across.size, channels). `readable` is how many bytes may be read
// from the start of the row.
inline void row_across(const Cut& cut, const std::uint8_t* row, std::int64_t channels, std::int64_t readable,
                       std::uint8_t* out) {
  const Taps& taps = cut.across;
#if defined(__AVX2__)
  if (channels == 3) {
    for (std::int64_t i = 0; i < taps.size; ++i) {
      const std::int64_t groups = (taps.count[i] + 3) / 4, begin = 3 * taps.start[i];
      if (begin + 12 * groups + 4 <= readable) {
        const std::uint32_t rgb = rgb_across(row + begin, taps.low + i * taps.taps, taps.high + i * taps.taps, groups);
        out[3 * i] = static_cast<std::uint8_t>(rgb);
        out[3 * i + 1] = static_cast<std::uint8_t>(rgb >> 8);
        out[3 * i + 2] = static_cast<std::uint8_t>(rgb >> 16);
      } else {
        pixel_across(row + begin, 3, taps.weight + i * taps.taps, taps.count[i], out + 3 * i);
      }
    }
    return;
  }
#endif
  (void)readable;
  for (std::int64_t i = 0; i < taps.size; ++i)
    pixel_across(row + taps.start[i] * channels, channels, taps.weight + i * taps.taps, taps.count[i],
                 out + i * channels);
}

// One output row of a cut from the rows of a ring: source row r lies at ring + r % ring_rows * bytes.
inline void row_down(const Cut& cut, const std::uint8_t* ring, std::int64_t ring_rows, std::int64_t bytes,
                     std::int64_t row, std::int32_t* __restrict sum, std::uint8_t* __restrict out) {
  const Taps& taps = cut.down;
  for (std::int64_t x = 0; x < bytes; ++x) sum[x] = resample_half;
  for (std::int64_t k = 0; k < taps.count[row]; ++k) {
    const std::uint8_t* __restrict source = ring + (taps.start[row] + k) % ring_rows * bytes;
    const std::int32_t weight = taps.weight[row * taps.taps + k];
    for (std::int64_t x = 0; x < bytes; ++x) sum[x] += weight * source[x];
  }
  for (std::int64_t x = 0; x < bytes; ++x) out[x] = as_byte(sum[x]);
}

inline void resample_rows(const Pixels& source, const Cut& cut, std::int64_t first, std::int64_t last,
                          const Scratchpad& pad) {
  const std::int64_t bytes = cut.across.size * source.channels;
  std::int64_t ready = cut.down.start[first];  // source rows below this one are in the ring, as far as they are needed
  for (std::int64_t row = first; row < last; ++row) {
    const std::int64_t stop = cut.down.start[row] + cut.down.count[row];
    ready = ready < cut.down.start[row] ? cut.down.start[row] : ready;
    for (; ready < stop; ++ready) {
      const std::uint8_t* line = source.data + ready * source.row_bytes;
      const std::int64_t readable = (source.height - 1 - ready) * source.row_bytes + source.width * source.channels;
      row_across(cut, line, source.channels, readable, pad.ring + ready % pad.ring_rows * bytes);
    }
    row_down(cut, pad.ring, pad.ring_rows, bytes, row, pad.sum, cut.out + row * bytes);
  }
}

extern const ImageKernels image_kernels;
const ImageKernels image_kernels = {PYQMC_ISA_NAME, resample_rows};

}  // namespace PYQMC_ISA
}  // namespace pyqmc
