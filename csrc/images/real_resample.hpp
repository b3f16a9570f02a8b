// The two passes of a separable resampling of float32, compiled once for each instruction set: across the rows first,
// rounded to float32, then down the columns, as Pillow does. Every sum is taken in double, tap by tap: lanes are rows
// in the first pass and columns in the second, so that nothing is summed over lanes.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/host_device.hpp"
#include "images/real_jobs.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

#if defined(__AVX512F__)
inline constexpr std::int64_t reals = 8;
#elif defined(__AVX2__)
inline constexpr std::int64_t reals = 4;
#else
inline constexpr std::int64_t reals = 2;
#endif
typedef double Reals __attribute__((vector_size(8 * reals)));
typedef float Floats __attribute__((vector_size(4 * reals)));

inline Reals widen(const float* from) {
  Floats narrow;
  std::memcpy(&narrow, from, sizeof narrow);
  return __builtin_convertvector(narrow, Reals);
}

inline void narrow(Reals sum, float* to) {
  const Floats rounded = __builtin_convertvector(sum, Floats);
  std::memcpy(to, &rounded, sizeof rounded);
}

// Numbers [begin, begin + size) of all rows to tile: number e of row k at tile + e * real_rows + k.
inline void fill_real_tile(const float* const* rows, std::int64_t begin, std::int64_t size, float* tile) {
  typedef float Four __attribute__((vector_size(16)));
  typedef std::int32_t Order __attribute__((vector_size(16)));
  std::int64_t e = 0;
  for (; e + 4 <= size; e += 4) {
    for (std::int64_t half = 0; half < real_rows; half += 4) {
      Four a, b, c, d;
      std::memcpy(&a, rows[half] + begin + e, sizeof a);
      std::memcpy(&b, rows[half + 1] + begin + e, sizeof b);
      std::memcpy(&c, rows[half + 2] + begin + e, sizeof c);
      std::memcpy(&d, rows[half + 3] + begin + e, sizeof d);
      const Order low = {0, 4, 1, 5}, high = {2, 6, 3, 7}, front = {0, 1, 4, 5}, back = {2, 3, 6, 7};
      const Four ab = __builtin_shuffle(a, b, low), cd = __builtin_shuffle(c, d, low);
      const Four ab2 = __builtin_shuffle(a, b, high), cd2 = __builtin_shuffle(c, d, high);
      const Four columns[4] = {__builtin_shuffle(ab, cd, front), __builtin_shuffle(ab, cd, back),
                               __builtin_shuffle(ab2, cd2, front), __builtin_shuffle(ab2, cd2, back)};
      for (std::int64_t k = 0; k < 4; ++k)
        std::memcpy(tile + (e + k) * real_rows + half, &columns[k], sizeof columns[k]);
    }
  }
  for (; e < size; ++e)
    for (std::int64_t k = 0; k < real_rows; ++k) tile[e * real_rows + k] = rows[k][begin + e];
}

// Output pixels [begin, end) of all rows; tile begins with pixel `origin`.
template <int channels>
void sum_real_across(const RealTaps& taps, const float* tile, std::int64_t origin, std::int64_t begin, std::int64_t end,
                     float* const* rows) {
  constexpr std::int64_t parts = real_rows / reals;
  for (std::int64_t i = begin; i < end; ++i) {
    Reals sum[channels][parts] = {};
    const double* weight = taps.weight + i * taps.taps;
    const float* numbers = tile + (taps.start[i] - origin) * channels * real_rows;
    for (std::int64_t k = 0; k < taps.count[i]; ++k, numbers += channels * real_rows)
      for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t p = 0; p < parts; ++p) sum[c][p] += widen(numbers + c * real_rows + p * reals) * weight[k];
    for (std::int64_t c = 0; c < channels; ++c) {
      float column[real_rows];
      for (std::int64_t p = 0; p < parts; ++p) narrow(sum[c][p], column + p * reals);
      for (std::int64_t k = 0; k < real_rows; ++k) rows[k][i * channels + c] = column[k];
    }
  }
}

// Source rows [begin, begin + wanted) of a strip, resampled across into the ring.
template <int channels>
void real_rows_across(const RealPixels& source, const RealTaps& taps, std::int64_t begin, std::int64_t wanted,
                      const RealScratchpad& pad) {
  const float* from[real_rows];
  float* to[real_rows];
  for (std::int64_t k = 0; k < real_rows; ++k) {
    from[k] = reinterpret_cast<const float*>(source.data + (begin + (k < wanted ? k : 0)) * source.row_bytes);
    to[k] = pad.ring + (begin + k) % pad.ring_rows * pad.ring_floats;
  }
  for (std::int64_t i = 0; i < taps.size;) {
    const std::int64_t origin = taps.start[i];
    std::int64_t end = i, pixels = 0;
    for (; end < taps.size; ++end) {
      const std::int64_t reach = taps.start[end] + taps.count[end] - origin;
      if (reach * channels * real_rows > pad.tile_floats) break;
      pixels = reach > pixels ? reach : pixels;
    }
    fill_real_tile(from, origin * channels, pixels * channels, pad.tile);
    sum_real_across<channels>(taps, pad.tile, origin, i, end, to);
    i = end;
  }
}

// One output row from the rows of the ring: source row r lies at ring + r % ring_rows * ring_floats.
inline void real_row_down(const RealTaps& taps, const RealScratchpad& pad, std::int64_t numbers, std::int64_t row,
                          float* out) {
  constexpr std::int64_t parts = real_columns / reals;
  const double* weight = taps.weight + row * taps.taps;
  const std::int64_t origin = taps.start[row] % pad.ring_rows;
  for (std::int64_t x = 0; x < numbers; x += real_columns) {
    Reals sum[parts] = {};
    std::int64_t at = origin;
    for (std::int64_t k = 0; k < taps.count[row]; ++k) {
      const float* line = pad.ring + at * pad.ring_floats + x;
      for (std::int64_t p = 0; p < parts; ++p) sum[p] += widen(line + p * reals) * weight[k];
      at = at + 1 == pad.ring_rows ? 0 : at + 1;
    }
    float rounded[real_columns];
    for (std::int64_t p = 0; p < parts; ++p) narrow(sum[p], rounded + p * reals);
    const std::int64_t left = numbers - x < real_columns ? numbers - x : real_columns;
    std::memcpy(out + x, rounded, static_cast<std::size_t>(left) * sizeof *rounded);
  }
}

inline void resample_real_strip(const RealPixels& source, const RealStrip& strip, const RealScratchpad& pad) {
  const auto pass = source.channels == 1   ? real_rows_across<1>
                    : source.channels == 2 ? real_rows_across<2>
                    : source.channels == 3 ? real_rows_across<3>
                                           : real_rows_across<4>;
  const RealTaps& down = strip.down;
  const std::int64_t numbers = strip.across.size * source.channels;
  const std::int64_t end = down.start[strip.last - 1] + down.count[strip.last - 1];
  std::int64_t ready = down.start[strip.row];
  for (std::int64_t row = strip.row; row < strip.last; ++row) {
    const std::int64_t start = down.start[row], stop = start + down.count[row];
    for (ready = ready < start ? start : ready; ready < stop; ready += real_rows)
      pass(source, strip.across, ready, end - ready < real_rows ? end - ready : real_rows, pad);
    real_row_down(down, pad, numbers, row, strip.out + row * numbers);
  }
}

extern const RealImageKernels real_image_kernels;
const RealImageKernels real_image_kernels = {PYQMC_ISA_NAME, resample_real_strip};

}  // namespace PYQMC_ISA
}  // namespace pyqmc
