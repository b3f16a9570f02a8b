#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <numeric>
#include <string>

#include "core/isa.hpp"
#include "core/parallel.hpp"
#include "images/packed_taps.hpp"
#include "images/resample_picture.hpp"
#include "images/taps.hpp"

namespace pyqmc {

#if !defined(PYQMC_BASELINE_ONLY)
inline namespace avx2 {
extern const ImageKernels image_kernels;
}
inline namespace avx512vnni {
extern const ImageKernels image_kernels;
}
#endif
inline namespace baseline {
extern const ImageKernels image_kernels;
}

namespace {

// The first processors with AVX-512 lack its multiplications of bytes; they run the AVX2 loops.
const ImageKernels& kernels_in_use() {
#if !defined(PYQMC_BASELINE_ONLY)
  const std::string isa = discrete_kernels_in_use().isa;
  if (isa == "avx512" && __builtin_cpu_supports("avx512vnni")) return avx512vnni::image_kernels;
  if (isa == "avx512" || isa == avx2::image_kernels.isa) return avx2::image_kernels;
#endif
  return baseline::image_kernels;
}

constexpr std::int64_t usual_tile_groups = 384;  // of four pixels: with 16 lanes and three channels 72 KiB

struct PlannedCut {
  TapTable across, down;
  Cut cut;
  std::int64_t ring_rows, area;
};

// A piece of work: some output rows of one cut.
struct Strip {
  std::int64_t cut, first, last, area;
};

struct Job {
  const Pixels& source;
  const std::vector<PlannedCut>& cuts;
  const std::vector<Strip>& strips;
  const ImageKernels& kernels;
  std::atomic<std::size_t>& next;
};

// Memory of one thread, sized for the most demanding strip it met.
struct Memory {
  std::vector<std::uint8_t> ring, tile, sums;

  static std::uint8_t* fit(std::vector<std::uint8_t>& memory, std::int64_t bytes) {
    constexpr std::size_t alignment = 64;
    memory.resize(std::max(memory.size(), static_cast<std::size_t>(bytes) + alignment));
    const std::size_t beyond = reinterpret_cast<std::uintptr_t>(memory.data()) % alignment;
    return memory.data() + (alignment - beyond) % alignment;
  }

  Scratchpad prepare(const PlannedCut& planned, const ImageKernels& kernels, std::int64_t channels) {
    const std::int64_t bytes = (planned.cut.across.size * channels + 63) / 64 * 64;
    Scratchpad pad{fit(ring, bytes * planned.ring_rows), planned.ring_rows, bytes, nullptr, 0, nullptr};
    if (planned.cut.plain) {
      pad.sums = fit(sums, bytes * 4);
      return pad;
    }
    const std::vector<std::int32_t>& groups = planned.across.groups;
    pad.tile_groups = std::max<std::int64_t>(usual_tile_groups, *std::max_element(groups.begin(), groups.end()));
    // One-channel pictures are sorted four groups at a time.
    pad.tile = fit(tile, (pad.tile_groups + 3) * channels * kernels.planes * kernels.lanes * 4);
    pad.sums = fit(sums, bytes * kernels.lanes * 4);
    return pad;
  }
};

void work_through(const void* context, const Team&, std::int64_t, std::int64_t) {
  const Job& job = *static_cast<const Job*>(context);
  Memory memory;
  for (std::size_t s = job.next++; s < job.strips.size(); s = job.next++) {
    const Strip& strip = job.strips[s];
    const PlannedCut& planned = job.cuts[static_cast<std::size_t>(strip.cut)];
    job.kernels.resample(job.source, planned.cut, strip.first, strip.last,
                         memory.prepare(planned, job.kernels, job.source.channels));
  }
}

std::vector<PlannedCut> plan_cuts(const Pixels& source, Filter filter, const std::vector<Box>& boxes,
                                  std::int64_t height, std::int64_t width, std::uint8_t* out,
                                  const ImageKernels& kernels) {
  std::vector<PlannedCut> cuts(boxes.size());
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const Box& box = boxes[i];
    PlannedCut& planned = cuts[i];
    planned.across = make_taps(filter, source.width, box.left, box.right, width);
    planned.down = make_taps(filter, source.height, box.top, box.bottom, height);
    const bool plain = kernels.packing == Packing::none || !fits_packing(planned.across) || !fits_packing(planned.down);
    if (!plain) {
      pack_taps(planned.across, kernels.packing, true);
      pack_taps(planned.down, kernels.packing, false);
    }
    planned.cut = {planned.across.view(), planned.down.view(),
                   out + static_cast<std::int64_t>(i) * height * width * source.channels, plain};
    // Rows come `lanes` at a time, and may come too early.
    planned.ring_rows = *std::max_element(planned.down.count.begin(), planned.down.count.end()) + kernels.lanes;
    planned.area = static_cast<std::int64_t>((box.right - box.left) * (box.bottom - box.top)) + height * width;
  }
  return cuts;
}

// Large cuts in parts, so that the threads end together; neighbouring parts compute a few source rows twice. The
// largest strips come first.
std::vector<Strip> share_out(const std::vector<PlannedCut>& cuts, std::int64_t height, int threads) {
  std::vector<Strip> strips;
  const std::int64_t all = std::accumulate(cuts.begin(), cuts.end(), std::int64_t{0},
                                           [](std::int64_t sum, const PlannedCut& cut) { return sum + cut.area; });
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const std::int64_t parts = threads == 1 ? 1 : std::min(height, 1 + 2 * threads * cuts[i].area / all);
    for (std::int64_t p = 0; p < parts; ++p)
      strips.push_back(
          {static_cast<std::int64_t>(i), height * p / parts, height * (p + 1) / parts, cuts[i].area / parts});
  }
  if (threads > 1)
    std::stable_sort(strips.begin(), strips.end(), [](const Strip& a, const Strip& b) { return a.area > b.area; });
  return strips;
}

}  // namespace

void resample_cuts(const Pixels& source, Filter filter, const std::vector<Box>& boxes, std::int64_t height,
                   std::int64_t width, std::uint8_t* out, int threads) {
  const ImageKernels& kernels = kernels_in_use();
  const std::vector<PlannedCut> cuts = plan_cuts(source, filter, boxes, height, width, out, kernels);
  const std::vector<Strip> strips = share_out(cuts, height, threads);
  std::atomic<std::size_t> next{0};
  const Job job{source, cuts, strips, kernels, next};
  const int members = static_cast<int>(std::min<std::int64_t>(threads, static_cast<std::int64_t>(strips.size())));
  over_replicas(members, members, false, work_through, &job);
}

}  // namespace pyqmc
