// The two passes of a separable resampling, compiled once for each instruction set: across the rows first, rounded to
// bytes, then down the columns, as Pillow does.
//
// Across, a register holds one channel of four neighbouring pixels of as many source rows as it has lanes, so that one
// group of weights serves all rows and every load serves all outputs that reach these pixels; nothing is summed over
// lanes. Down, the lanes are columns, and the four elements are rows.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/host_device.hpp"
#include "images/jobs.hpp"
#include "images/plain.hpp"

#if defined(__SSE2__)
#include "images/lanes.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

// Pixels of `lanes` rows from group `first` on, sorted by groups and channels into tile.
template <int channels>
void fill_tile(const Pixels& source, const std::uint8_t* const* rows, std::int64_t first, std::int64_t groups,
               Lanes* tile) {
  constexpr std::int64_t together = channels == 3 ? 1 : 4 / channels, used = channels * together;
  constexpr std::int64_t group_bytes = 4 * channels;
  const std::int64_t row_end = source.width * channels;
  alignas(64) std::uint8_t edge[lanes][16] = {};
  const std::uint8_t* edges[lanes];
  for (std::int64_t g = 0; g < groups; g += together) {
    const std::int64_t begin = (first + g) * group_bytes;
    const bool inside = begin + 16 <= row_end;
    for (std::int64_t k = 0; !inside && k < lanes; ++k) {
      if (begin < row_end) std::memcpy(edge[k], rows[k] + begin, static_cast<std::size_t>(row_end - begin));
      edges[k] = edge[k];
    }
    Lanes four[4];
    for (std::int64_t k = 0; k < 4; ++k)
      four[k] = sort_channels<channels>(inside ? load_rows(rows, k, begin) : load_rows(edges, k, 0));
    transpose(four);
    for (std::int64_t k = 0; k < used; ++k) spread(four[k], tile + (g * channels + k) * planes);
  }
}

// Sums of output pixels [begin, end) for all lanes; tile begins with group `origin`.
template <int channels>
void sum_across(const Taps& taps, const Lanes* tile, std::int64_t origin, std::int64_t begin, std::int64_t end,
                Lanes* sums) {
  for (std::int64_t i = begin; i < end; ++i) {
    Sum sum[channels];
    const std::int32_t* weight = taps.packed + i * taps.most_groups * words;
    const Lanes* pixels = tile + (taps.first[i] - origin) * channels * planes;
    for (std::int64_t g = 0; g < taps.groups[i]; ++g)
      for (std::int64_t c = 0; c < channels; ++c) sum[c].add(pixels + (g * channels + c) * planes, weight + g * words);
    for (std::int64_t c = 0; c < channels; ++c) store(sums + i * channels + c, sum[c].total());
  }
}

// The sums, `bytes` for each row, to rows of bytes.
inline void keep_rows(const Lanes* sums, std::int64_t bytes, std::uint8_t* const* rows, std::int64_t wanted) {
  for (std::int64_t x = 0; x < bytes; x += 16) {
    Lanes four[4];
    for (std::int64_t q = 0; q < 4; ++q) {
      const Lanes* at = sums + x + 4 * q;
      four[q] = transpose_bytes(pack_bytes(load(at), load(at + 1), load(at + 2), load(at + 3)));
    }
    transpose(four);
    for (std::int64_t k = 0; k < 4; ++k) store_rows(four[k], rows, k, wanted, x);
  }
}

// Source rows [begin, begin + wanted) of a cut, resampled across into the ring.
template <int channels>
void rows_across(const Pixels& source, const Cut& cut, std::int64_t begin, std::int64_t wanted, const Scratchpad& pad) {
  const Taps& taps = cut.across;
  const std::uint8_t* from[lanes];
  std::uint8_t* to[lanes];
  for (std::int64_t k = 0; k < lanes; ++k) {
    from[k] = source.data + (begin + (k < wanted ? k : 0)) * source.row_bytes;
    to[k] = pad.ring + (begin + k) % pad.ring_rows * pad.ring_bytes;
  }
  Lanes* tile = static_cast<Lanes*>(pad.tile);
  Lanes* sums = static_cast<Lanes*>(pad.sums);
  for (std::int64_t i = 0; i < taps.size;) {
    const std::int64_t origin = taps.first[i];
    std::int64_t end = i, groups = 0;
    for (; end < taps.size; ++end) {
      const std::int64_t reach = taps.first[end] + taps.groups[end] - origin;
      if (reach > pad.tile_groups) break;
      groups = reach > groups ? reach : groups;
    }
    fill_tile<channels>(source, from, origin, groups, tile);
    sum_across<channels>(taps, tile, origin, i, end, sums);
    i = end;
  }
  keep_rows(sums, taps.size * channels, to, wanted);
}

// One output row of a cut from the rows of the ring: source row r lies at ring + r % ring_rows * ring_bytes.
inline void row_down(const Taps& taps, const Scratchpad& pad, std::int64_t bytes, std::int64_t row, std::uint8_t* out) {
  constexpr std::int64_t step = sizeof(Lanes);
  const std::int32_t* weight = taps.packed + row * taps.most_groups * words;
  const std::int64_t origin = taps.first[row] % pad.ring_rows;
  for (std::int64_t x = 0; x < bytes; x += step) {
    Sum sum[4];
    std::int64_t next = origin;
    const auto load_next = [&] {
      const Lanes line = load(pad.ring + next * pad.ring_bytes + x);
      next = next + 1 == pad.ring_rows ? 0 : next + 1;
      return line;
    };
    for (std::int64_t g = 0; g < taps.groups[row]; ++g) {
      const Lanes a = load_next(), b = load_next(), c = load_next(), d = load_next();
      const Lanes ab[2] = {PYQMC_LANES(unpacklo_epi8)(a, b), PYQMC_LANES(unpackhi_epi8)(a, b)};
      const Lanes cd[2] = {PYQMC_LANES(unpacklo_epi8)(c, d), PYQMC_LANES(unpackhi_epi8)(c, d)};
      for (int h = 0; h < 2; ++h) {
        Lanes rows[planes];
        spread(PYQMC_LANES(unpacklo_epi16)(ab[h], cd[h]), rows);
        sum[2 * h].add(rows, weight + g * words);
        spread(PYQMC_LANES(unpackhi_epi16)(ab[h], cd[h]), rows);
        sum[2 * h + 1].add(rows, weight + g * words);
      }
    }
    const Lanes result = pack_bytes(sum[0].total(), sum[1].total(), sum[2].total(), sum[3].total());
    if (x + step <= bytes) store(out + x, result);
    else std::memcpy(out + x, &result, static_cast<std::size_t>(bytes - x));
  }
}

inline void resample_rows(const Pixels& source, const Cut& cut, Progress& progress, std::int64_t until,
                          const Scratchpad& pad) {
  if (cut.plain) return plain_rows(source, cut, progress, until, pad);
  const auto pass = source.channels == 1   ? rows_across<1>
                    : source.channels == 2 ? rows_across<2>
                    : source.channels == 3 ? rows_across<3>
                                           : rows_across<4>;
  const std::int64_t bytes = cut.across.size * source.channels;
  const std::int64_t end = cut.down.start[progress.last - 1] + cut.down.count[progress.last - 1];
  for (std::int64_t& row = progress.row; row < progress.last; ++row) {
    const std::int64_t start = cut.down.start[row], stop = start + cut.down.count[row];
    for (progress.ready = progress.ready < start ? start : progress.ready; progress.ready < stop;
         progress.ready += lanes) {
      if (progress.ready >= until) return;
      pass(source, cut, progress.ready, end - progress.ready < lanes ? end - progress.ready : lanes, pad);
    }
    row_down(cut.down, pad, bytes, row, cut.out + row * bytes);
  }
}

extern const ImageKernels image_kernels;
const ImageKernels image_kernels = {PYQMC_ISA_NAME, packing, lanes, planes, resample_rows};

}  // namespace PYQMC_ISA
}  // namespace pyqmc

#else

namespace pyqmc {
inline namespace PYQMC_ISA {

extern const ImageKernels image_kernels;
const ImageKernels image_kernels = {PYQMC_ISA_NAME, Packing::none, 1, 1, plain_rows};

}  // namespace PYQMC_ISA
}  // namespace pyqmc

#endif
