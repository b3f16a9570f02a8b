// The two passes of a separable resampling element by element: for other processors, and for filters of thousands of
// taps.
#pragma once

#include <cstdint>

#include "core/host_device.hpp"
#include "images/jobs.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

PYQMC_HD inline std::uint8_t as_byte(std::int32_t sum) {
  const std::int32_t value = sum >> 22;
  return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

// One source row, resampled across to `out` (across.size, channels).
inline void plain_across(const Taps& taps, const std::uint8_t* row, std::int64_t channels, std::uint8_t* out) {
  for (std::int64_t i = 0; i < taps.size; ++i) {
    const std::int32_t* weight = taps.weight + i * taps.taps;
    const std::uint8_t* source = row + taps.start[i] * channels;
    for (std::int64_t c = 0; c < channels; ++c) {
      std::int32_t sum = 1 << 21;
      for (std::int64_t k = 0; k < taps.count[i]; ++k) sum += weight[k] * source[k * channels + c];
      out[i * channels + c] = as_byte(sum);
    }
  }
}

// One output row from the rows of a ring: source row r lies at ring + r % ring_rows * ring_bytes.
inline void plain_down(const Taps& taps, const Scratchpad& pad, std::int64_t bytes, std::int64_t row,
                       std::uint8_t* __restrict out) {
  std::int32_t* __restrict sum = static_cast<std::int32_t*>(pad.sums);
  for (std::int64_t x = 0; x < bytes; ++x) sum[x] = 1 << 21;
  for (std::int64_t k = 0; k < taps.count[row]; ++k) {
    const std::uint8_t* __restrict source = pad.ring + (taps.start[row] + k) % pad.ring_rows * pad.ring_bytes;
    const std::int32_t weight = taps.weight[row * taps.taps + k];
    for (std::int64_t x = 0; x < bytes; ++x) sum[x] += weight * source[x];
  }
  for (std::int64_t x = 0; x < bytes; ++x) out[x] = as_byte(sum[x]);
}

inline void plain_rows(const Pixels& source, const Cut& cut, Progress& progress, std::int64_t until,
                       const Scratchpad& pad) {
  const std::int64_t bytes = cut.across.size * source.channels;
  for (std::int64_t& row = progress.row; row < progress.last; ++row) {
    const std::int64_t start = cut.down.start[row], stop = start + cut.down.count[row];
    for (progress.ready = progress.ready < start ? start : progress.ready; progress.ready < stop; ++progress.ready) {
      if (progress.ready >= until) return;
      plain_across(cut.across, source.data + progress.ready * source.row_bytes, source.channels,
                   pad.ring + progress.ready % pad.ring_rows * pad.ring_bytes);
    }
    plain_down(cut.down, pad, bytes, row, cut.out + row * bytes);
  }
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
