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

// How a build multiplies bytes by weights of 23 bits and a sign, exactly: as they are; in pairs of 16-bit numbers,
// w = 4096 high + low; or in quadruples of 8-bit numbers, w = 65536 a + 256 b + c.
enum class Packing : std::int32_t { none, pairs, quads };

// The taps of one axis: output i is the sum of weight[i * taps + k] source[start[i] + k] over k < count[i], in units of
// 2^-22, rounded. The same once more in groups of four source elements: output i meets groups[i] groups from
// first[i] on, and group g has its weights, packed, at packed + (i * most_groups + g) * words.
struct Taps {
  std::int64_t size, taps, most_groups, words;
  const std::int32_t* start;
  const std::int32_t* count;
  const std::int32_t* weight;
  const std::int32_t* first;
  const std::int32_t* groups;
  const std::int32_t* packed;
};

// One cut of a picture and where it goes: (down.size, across.size, channels) bytes. A plain cut is too wide, or its
// weights are too large, for packed weights.
struct Cut {
  Taps across, down;
  std::uint8_t* out;
  bool plain;
};

// Output rows [row, last) of a cut are to be made; source rows below `ready` are in its ring, as far as they are
// needed.
struct Progress {
  std::int64_t row, last, ready;
};

// A thread's own memory, in units of 64 bytes: `ring_rows` rows of a cut resampled across, each `ring_bytes` long;
// source pixels sorted by channels, `tile_groups` groups of four of them; and the sums of one row or of all lanes.
struct Scratchpad {
  std::uint8_t* ring;
  std::int64_t ring_rows, ring_bytes;
  void* tile;
  std::int64_t tile_groups;
  void* sums;
};

// One instruction set's build. It goes on with a cut until its rows are done or source row `until` is next, takes
// `lanes` source rows at a time and keeps `planes` registers of 4 `lanes` bytes for a channel of a group.
struct ImageKernels {
  const char* isa;
  Packing packing;
  std::int64_t lanes, planes;
  void (*resample)(const Pixels& source, const Cut& cut, Progress& progress, std::int64_t until, const Scratchpad& pad);
};

}  // namespace pyqmc
