#include <algorithm>
#include <cstdlib>
#include <string>

#include "core/isa.hpp"
#include "core/parallel.hpp"
#include "images/resample_picture.hpp"
#include "images/taps.hpp"

namespace pyqmc {

#if !defined(PYQMC_BASELINE_ONLY)
inline namespace avx2 {
extern const ImageKernels image_kernels;
}
inline namespace avx512 {
extern const ImageKernels image_kernels;
}
#endif
inline namespace baseline {
extern const ImageKernels image_kernels;
}

namespace {

const ImageKernels& kernels_in_use() {
#if !defined(PYQMC_BASELINE_ONLY)
  const std::string isa = discrete_kernels_in_use().isa;
  if (isa == avx512::image_kernels.isa) return avx512::image_kernels;
  if (isa == avx2::image_kernels.isa) return avx2::image_kernels;
#endif
  return baseline::image_kernels;
}

struct PlannedCut {
  TapTable across, down;
  Cut cut;
  std::int64_t ring_rows;
};

// A piece of work: some output rows of one cut.
struct Strip {
  std::int64_t cut, first, last;
};

struct Job {
  const Pixels& source;
  const std::vector<PlannedCut>& cuts;
  const std::vector<Strip>& strips;
  const ImageKernels& kernels;
};

void work_through(const void* context, const Team&, std::int64_t first, std::int64_t last) {
  const Job& job = *static_cast<const Job*>(context);
  std::vector<std::uint8_t> ring;
  std::vector<std::int32_t> sum;
  for (std::int64_t s = first; s < last; ++s) {
    const Strip& strip = job.strips[static_cast<std::size_t>(s)];
    const PlannedCut& planned = job.cuts[static_cast<std::size_t>(strip.cut)];
    const std::size_t bytes = static_cast<std::size_t>(planned.cut.across.size * job.source.channels);
    ring.resize(std::max(ring.size(), bytes * static_cast<std::size_t>(planned.ring_rows)));
    sum.resize(std::max(sum.size(), bytes));
    job.kernels.resample(job.source, planned.cut, strip.first, strip.last,
                         {ring.data(), planned.ring_rows, sum.data()});
  }
}

}  // namespace

void resample_cuts(const Pixels& source, Filter filter, const std::vector<Box>& boxes, std::int64_t height,
                   std::int64_t width, std::uint8_t* out, int threads) {
  std::vector<PlannedCut> cuts(boxes.size());
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const Box& box = boxes[i];
    PlannedCut& planned = cuts[i];
    planned.across = make_taps(filter, source.width, box.left, box.right, width);
    planned.down = make_taps(filter, source.height, box.top, box.bottom, height);
    planned.cut = {planned.across.view(), planned.down.view(),
                   out + static_cast<std::int64_t>(i) * height * width * source.channels};
    planned.ring_rows =
        std::max<std::int64_t>(1, *std::max_element(planned.down.count.begin(), planned.down.count.end()));
  }
  // A single large cut is shared by its rows; neighbouring strips compute a few source rows twice.
  const std::int64_t pieces =
      std::max<std::int64_t>(1, (2 * threads - 1) / static_cast<std::int64_t>(boxes.size()) + 1);
  std::vector<Strip> strips;
  for (std::size_t i = 0; i < cuts.size(); ++i)
    for (std::int64_t p = 0; p < (threads == 1 ? 1 : pieces); ++p) {
      const std::int64_t parts = threads == 1 ? 1 : pieces;
      const std::int64_t first = height * p / parts, last = height * (p + 1) / parts;
      if (first < last) strips.push_back({static_cast<std::int64_t>(i), first, last});
    }
  const Job job{source, cuts, strips, kernels_in_use()};
  over_replicas(static_cast<std::int64_t>(strips.size()), threads, false, work_through, &job);
}

}  // namespace pyqmc
