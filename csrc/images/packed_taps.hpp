// Weights cut into the small numbers that multiply-and-add instructions take, four source elements to a group.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "images/jobs.hpp"
#include "images/taps.hpp"

namespace pyqmc {

inline constexpr std::int64_t group_size = 4;
inline constexpr std::int64_t widest_packed = 8192;                  // taps; wider filters take the plain loops
inline constexpr std::int32_t largest_packed = 127 * 65536 + 32639;  // weights; 127 (65536 + 256 + 1)

inline std::int32_t join(std::int32_t low, std::int32_t high) {
  return static_cast<std::int32_t>((static_cast<std::uint32_t>(high) << 16) |
                                   (static_cast<std::uint32_t>(low) & 0xffff));
}

// Elements 0 and 2, then 1 and 3: bytes are spread to 16 bits by a mask and by a shift.
inline void pack_pairs(const std::int32_t* weight, std::int32_t* words) {
  std::int32_t low[group_size], high[group_size];
  for (int m = 0; m < group_size; ++m) {
    high[m] = (weight[m] + 2048) >> 12;
    low[m] = weight[m] - high[m] * 4096;
  }
  words[0] = join(low[0], low[2]);
  words[1] = join(high[0], high[2]);
  words[2] = join(low[1], low[3]);
  words[3] = join(high[1], high[3]);
}

// Three digits of -128 to 127.
inline void pack_quads(const std::int32_t* weight, std::int32_t* words) {
  std::uint32_t packed[3] = {0, 0, 0};
  for (int m = 0; m < group_size; ++m) {
    std::int32_t rest = weight[m];
    for (std::uint32_t& digits : packed) {
      const std::int32_t digit = static_cast<std::int8_t>(rest & 255);
      digits |= (static_cast<std::uint32_t>(digit) & 255) << (8 * m);
      rest = (rest - digit) >> 8;
    }
  }
  for (int d = 0; d < 3; ++d) words[d] = static_cast<std::int32_t>(packed[d]);
}

// Whether weights of an axis can be packed at all.
inline bool fits_packing(const TapTable& table) {
  if (table.taps > widest_packed) return false;
  return std::all_of(table.weight.begin(), table.weight.end(),
                     [](std::int32_t weight) { return std::abs(weight) <= largest_packed; });
}

// Fills in the groups of an axis; `aligned` groups begin at multiples of four, so that outputs share them.
inline void pack_taps(TapTable& table, Packing packing, bool aligned) {
  const std::size_t size = table.start.size();
  table.most_groups = (table.taps + 2 * group_size - 2) / group_size;
  table.words = packing == Packing::quads ? 3 : 4;
  table.first.resize(size);
  table.groups.resize(size);
  table.packed.resize(size * static_cast<std::size_t>(table.most_groups * table.words));
  for (std::size_t i = 0; i < size; ++i) {
    const std::int32_t lead = aligned ? table.start[i] % static_cast<std::int32_t>(group_size) : 0;
    table.first[i] = aligned ? table.start[i] / static_cast<std::int32_t>(group_size) : table.start[i];
    table.groups[i] = (lead + table.count[i] + 3) / 4;
    const std::int32_t* weight = table.weight.data() + static_cast<std::int64_t>(i) * table.taps;
    std::int32_t* words = table.packed.data() + static_cast<std::int64_t>(i) * table.most_groups * table.words;
    for (std::int32_t g = 0; g < table.groups[i]; ++g) {
      std::int32_t four[group_size];
      for (std::int32_t m = 0; m < group_size; ++m) {
        const std::int32_t k = 4 * g + m - lead;
        four[m] = k >= 0 && k < table.count[i] ? weight[k] : 0;
      }
      if (packing == Packing::quads) pack_quads(four, words + g * table.words);
      else pack_pairs(four, words + g * table.words);
    }
  }
}

}  // namespace pyqmc
