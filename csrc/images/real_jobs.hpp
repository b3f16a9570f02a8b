// What the loops for pictures of float32 are asked to do: plain data, filled in by images/real_resample.cpp.
#pragma once

#include <cstdint>

namespace pyqmc {

// A picture in memory: height x width pixels of `channels` numbers; rows are `row_bytes` apart.
struct RealPixels {
  const char* data;
  std::int64_t height, width, channels, row_bytes;
};

// The taps of one axis: output i is the sum of weight[i * taps + k] source[start[i] + k] over k < count[i].
struct RealTaps {
  std::int64_t size, taps;
  const std::int32_t* start;
  const std::int32_t* count;
  const double* weight;
};

// Output rows [row, last) of one cut, which goes to (down.size, across.size, channels) numbers at `out`.
struct RealStrip {
  RealTaps across, down;
  float* out;
  std::int64_t row, last;
};

// A thread's own memory: `ring_rows` rows of a cut resampled across, each `ring_floats` long, and `tile_floats` numbers
// of the source, the same ones of real_rows rows side by side.
struct RealScratchpad {
  float* ring;
  std::int64_t ring_rows, ring_floats;
  float* tile;
  std::int64_t tile_floats;
};

inline constexpr std::int64_t real_rows = 8;      // of the source, resampled across together
inline constexpr std::int64_t real_columns = 32;  // resampled down together; ring_floats is a multiple

using RealResample = void (*)(const RealPixels& source, const RealStrip& strip, const RealScratchpad& pad);

// One instruction set's build.
struct RealImageKernels {
  const char* isa;
  RealResample resample;
};

}  // namespace pyqmc
