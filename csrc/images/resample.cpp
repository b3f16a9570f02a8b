#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

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

constexpr std::int64_t usual_tile_groups = 384;      // of four pixels: with 16 lanes and three channels 72 KiB
constexpr std::int64_t shared_bytes = 256 * 1024;    // of the source, read by all cuts that need them in turn
constexpr std::size_t most_ring_bytes = 640 * 1024;  // of a thread, where there is more than one cut

struct PlannedCut {
  std::shared_ptr<const TapTable> across, down;
  Cut cut;
  std::int64_t ring_rows, ring_bytes;
};

// Some output rows of one cut, and its rows resampled across.
struct Strip {
  std::size_t cut;
  Progress progress;
  std::vector<std::uint8_t> ring;
};

// A piece of work: strips of all cuts that meet a band of source rows.
using Band = std::vector<Strip>;

struct Job {
  const Pixels& source;
  const std::vector<PlannedCut>& cuts;
  std::vector<Band>& bands;
  const ImageKernels& kernels;
  std::atomic<std::size_t>& next;
};

std::uint8_t* fit(std::vector<std::uint8_t>& memory, std::int64_t bytes) {
  constexpr std::size_t alignment = 64;
  memory.resize(std::max(memory.size(), static_cast<std::size_t>(bytes) + alignment));
  const std::size_t beyond = reinterpret_cast<std::uintptr_t>(memory.data()) % alignment;
  return memory.data() + (alignment - beyond) % alignment;
}

// What the strips of a thread use one after the other.
class Workbench {
 public:
  explicit Workbench(const Job& job) : job_(job) {}

  void advance(Strip& strip, std::int64_t until) {
    const PlannedCut& planned = job_.cuts[strip.cut];
    const std::int64_t lanes = job_.kernels.lanes, channels = job_.source.channels;
    Scratchpad pad{fit(strip.ring, planned.ring_rows * planned.ring_bytes),
                   planned.ring_rows,
                   planned.ring_bytes,
                   nullptr,
                   0,
                   fit(sums_, planned.ring_bytes * 4 * lanes)};
    if (!planned.cut.plain) {
      const std::vector<std::int32_t>& groups = planned.across->groups;
      pad.tile_groups = std::max<std::int64_t>(usual_tile_groups, *std::max_element(groups.begin(), groups.end()));
      // One-channel pictures are sorted four groups at a time.
      pad.tile = fit(tile_, (pad.tile_groups + 3) * channels * job_.kernels.planes * lanes * 4);
    }
    job_.kernels.resample(job_.source, planned.cut, strip.progress, until, pad);
  }

 private:
  const Job& job_;
  std::vector<std::uint8_t> tile_, sums_;
};

std::size_t ring_size(const Job& job, const Strip& strip) {
  const PlannedCut& planned = job.cuts[strip.cut];
  return static_cast<std::size_t>(planned.ring_rows * planned.ring_bytes);
}

// All strips of a band go down the picture together, so that its rows come from memory once and not once for each cut.
// `waiting` is ordered by where strips begin; one that finds no memory begins later.
void go_down(const Job& job, Band waiting, Workbench& bench) {
  const std::int64_t step = std::max(job.kernels.lanes, shared_bytes / (job.source.width * job.source.channels));
  Band active;
  std::size_t used = 0;
  while (!waiting.empty() || !active.empty()) {
    std::int64_t slowest = active.empty() ? waiting.front().progress.ready : INT64_MAX;
    for (const Strip& strip : active) slowest = std::min(slowest, strip.progress.ready);
    Band later;
    for (Strip& strip : waiting) {
      const std::size_t more = ring_size(job, strip);
      const bool now = active.empty() || (strip.progress.ready < slowest + step && used + more <= most_ring_bytes);
      if (now) used += more;
      (now ? active : later).push_back(std::move(strip));
    }
    waiting = std::move(later);
    Band unfinished;
    for (Strip& strip : active) {
      bench.advance(strip, slowest + step);
      if (strip.progress.row < strip.progress.last) unfinished.push_back(std::move(strip));
      else used -= ring_size(job, strip);
    }
    active = std::move(unfinished);
  }
}

void work_through(const void* context, const Team&, std::int64_t, std::int64_t) {
  const Job& job = *static_cast<const Job*>(context);
  Workbench bench(job);
  for (std::size_t b = job.next++; b < job.bands.size(); b = job.next++) go_down(job, std::move(job.bands[b]), bench);
}

// The taps of one axis; the cells of a pyramid share most of theirs.
class Axis {
 public:
  Axis(Filter filter, Packing packing, bool aligned, std::int64_t source, std::int64_t size)
      : filter_(filter), packing_(packing), aligned_(aligned), source_(source), size_(size) {}

  std::shared_ptr<const TapTable> taps(float from, float to) {
    std::shared_ptr<TapTable>& table = made_[{from, to}];
    if (table == nullptr) {
      table = std::make_shared<TapTable>(make_taps(filter_, source_, from, to, size_));
      if (packing_ != Packing::none && fits_packing(*table)) pack_taps(*table, packing_, aligned_);
    }
    return table;
  }

 private:
  Filter filter_;
  Packing packing_;
  bool aligned_;
  std::int64_t source_, size_;
  std::map<std::pair<float, float>, std::shared_ptr<TapTable>> made_;
};

std::vector<PlannedCut> plan_cuts(const Pixels& source, Filter filter, const std::vector<Box>& boxes,
                                  std::int64_t height, std::int64_t width, std::uint8_t* out,
                                  const ImageKernels& kernels) {
  Axis across(filter, kernels.packing, true, source.width, width);
  Axis down(filter, kernels.packing, false, source.height, height);
  std::vector<PlannedCut> cuts(boxes.size());
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    PlannedCut& planned = cuts[i];
    planned.across = across.taps(boxes[i].left, boxes[i].right);
    planned.down = down.taps(boxes[i].top, boxes[i].bottom);
    const bool plain = planned.across->packed.empty() || planned.down->packed.empty();
    planned.cut = {planned.across->view(), planned.down->view(),
                   out + static_cast<std::int64_t>(i) * height * width * source.channels, plain};
    // Rows come `lanes` at a time, and may come too early.
    planned.ring_rows = *std::max_element(planned.down->count.begin(), planned.down->count.end()) + kernels.lanes;
    planned.ring_bytes = (width * source.channels + 63) / 64 * 64;
  }
  return cuts;
}

// Work above source row y, in pixels read and written.
double work_above(const std::vector<Box>& boxes, double y, double pixels) {
  double work = 0.0;
  for (const Box& box : boxes) {
    const double tall = static_cast<double>(box.bottom) - box.top;
    const double part = std::clamp((y - box.top) / tall, 0.0, 1.0);
    work += part * (tall * (static_cast<double>(box.right) - box.left) + pixels);
  }
  return work;
}

// Bands of about equal work, two for each thread; neighbouring ones compute a few source rows twice.
std::vector<Band> share_out(const std::vector<PlannedCut>& cuts, const std::vector<Box>& boxes, double source_height,
                            std::int64_t height, std::int64_t width, int threads) {
  const int parts = threads == 1 ? 1 : 2 * threads;
  const double pixels = static_cast<double>(height * width), all = work_above(boxes, source_height, pixels);
  std::vector<Band> bands(static_cast<std::size_t>(parts));
  std::vector<std::int64_t> done(cuts.size(), 0);
  for (int p = 0; p < parts; ++p) {
    double low = 0.0, high = source_height;
    for (int halvings = 0; halvings < 50; ++halvings) {
      const double middle = (low + high) / 2;
      (work_above(boxes, middle, pixels) * parts < all * (p + 1) ? low : high) = middle;
    }
    Band& band = bands[static_cast<std::size_t>(p)];
    for (std::size_t i = 0; i < cuts.size(); ++i) {
      const double tall = static_cast<double>(boxes[i].bottom) - boxes[i].top;
      const double share = std::clamp((high - boxes[i].top) / tall, 0.0, 1.0);
      const std::int64_t end =
          p + 1 == parts ? height : std::max<std::int64_t>(done[i], std::llround(share * static_cast<double>(height)));
      if (done[i] < end)
        band.push_back({i, {done[i], end, cuts[i].down->start[static_cast<std::size_t>(done[i])]}, {}});
      done[i] = end;
    }
    std::stable_sort(band.begin(), band.end(),
                     [](const Strip& a, const Strip& b) { return a.progress.ready < b.progress.ready; });
  }
  return bands;
}

}  // namespace

void resample_cuts(const Pixels& source, Filter filter, const std::vector<Box>& boxes, std::int64_t height,
                   std::int64_t width, std::uint8_t* out, int threads) {
  const ImageKernels& kernels = kernels_in_use();
  const std::vector<PlannedCut> cuts = plan_cuts(source, filter, boxes, height, width, out, kernels);
  std::vector<Band> bands = share_out(cuts, boxes, static_cast<double>(source.height), height, width, threads);
  std::atomic<std::size_t> next{0};
  const Job job{source, cuts, bands, kernels, next};
  over_replicas(threads, threads, false, work_through, &job);
}

}  // namespace pyqmc
