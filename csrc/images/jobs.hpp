// What the compiled image loops are asked to do: plain data, filled in by images/resample.cpp and read by every
// instruction-set build.
#pragma once

#include <cstdint>

namespace pyqmc {

enum class Filter : std::int32_t { box, bilinear, bicubic, lanczos };

// A picture in memory: height x width pixels of `channels` bytes; rows are `row_bytes` apart.
struct Pixels {
  const std::uint8_t* data;
  std::int64_t height, width, channels, row_bytes;
};

// The taps of one axis: output i is the sum of weight[i * taps + k] source[start[i] + k] over k < count[i], in units of
// 2^-22, rounded. `low` and `high` are the weights split as 4096 high + low.
struct Taps {
  std::int64_t size, taps;
  const std::int32_t* start;
  const std::int32_t* count;
  const std::int32_t* weight;
  const std::int16_t* low;
  const std::int16_t* high;
};

// One cut of a picture and where it goes: (down.size, across.size, channels) bytes.
struct Cut {
  Taps across, down;
  std::uint8_t* out;
};

// A thread's own memory: `ring_rows` rows of a cut resampled across, and the sums of one row.
struct Scratchpad {
  std::uint8_t* ring;
  std::int64_t ring_rows;
  std::int32_t* sum;
};

// One instruction set's build: output rows [first, last) of a cut.
struct ImageKernels {
  const char* isa;
  void (*resample)(const Pixels& source, const Cut& cut, std::int64_t first, std::int64_t last, const Scratchpad& pad);
};

}  // namespace pyqmc
