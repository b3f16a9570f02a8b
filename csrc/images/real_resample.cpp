#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "core/isa.hpp"
#include "core/parallel.hpp"
#include "images/real_jobs.hpp"
#include "images/resample_picture.hpp"
#include "images/taps.hpp"

namespace pyqmc {

#if !defined(PYQMC_BASELINE_ONLY)
inline namespace avx2 {
extern const RealImageKernels real_image_kernels;
}
inline namespace avx512 {
extern const RealImageKernels real_image_kernels;
}
#endif
inline namespace baseline {
extern const RealImageKernels real_image_kernels;
}

namespace {

RealResample resample_in_use() {
#if !defined(PYQMC_BASELINE_ONLY)
  const std::string isa = discrete_kernels_in_use().isa;
  if (isa == avx512::real_image_kernels.isa) return avx512::real_image_kernels.resample;
  if (isa == avx2::real_image_kernels.isa) return avx2::real_image_kernels.resample;
#endif
  return baseline::real_image_kernels.resample;
}

constexpr std::int64_t usual_tile_floats = 16 * 1024;

struct Job {
  const RealPixels& source;
  RealResample resample;
  Filter filter;
  const std::vector<Box>& boxes;
  std::int64_t height, width;
  float* out;
  std::int64_t strips;  // of each cut
  std::atomic<std::int64_t>& next;
};

// What the strips of a thread use one after the other; the weights of a cut are made once for all its strips in a row.
class Workbench {
 public:
  explicit Workbench(const Job& job) : job_(job) {}

  void take(std::int64_t piece) {
    const std::int64_t cut = piece / job_.strips, strip = piece % job_.strips;
    if (cut != cut_) plan(cut);
    const std::int64_t numbers = job_.width * job_.source.channels;
    const RealScratchpad pad{ring_.data(), ring_rows_, ring_floats_, tile_.data(),
                             static_cast<std::int64_t>(tile_.size())};
    const RealStrip rows{across_.view(), down_.view(), job_.out + cut * job_.height * numbers,
                         strip * job_.height / job_.strips, (strip + 1) * job_.height / job_.strips};
    if (rows.row < rows.last) job_.resample(job_.source, rows, pad);
  }

 private:
  static std::int64_t widest(const RealTapTable& table) {
    return *std::max_element(table.count.begin(), table.count.end());
  }

  void plan(std::int64_t cut) {
    const Box& box = job_.boxes[static_cast<std::size_t>(cut)];
    const RealPixels& source = job_.source;
    across_ = weigh_axis(job_.filter, source.width, box.left, box.right, job_.width);
    down_ = weigh_axis(job_.filter, source.height, box.top, box.bottom, job_.height);
    // Rows come several at a time, and may come too early.
    ring_rows_ = widest(down_) + real_rows;
    ring_floats_ = (job_.width * source.channels + real_columns - 1) / real_columns * real_columns;
    ring_.resize(static_cast<std::size_t>(ring_rows_ * ring_floats_));
    const std::int64_t tile = std::max(usual_tile_floats, widest(across_) * source.channels * real_rows);
    tile_.resize(static_cast<std::size_t>(tile));
    cut_ = cut;
  }

  const Job& job_;
  std::int64_t cut_ = -1, ring_rows_ = 0, ring_floats_ = 0;
  RealTapTable across_, down_;
  std::vector<float> ring_, tile_;
};

void work_through(const void* context, const Team&, std::int64_t, std::int64_t) {
  const Job& job = *static_cast<const Job*>(context);
  const std::int64_t pieces = static_cast<std::int64_t>(job.boxes.size()) * job.strips;
  Workbench bench(job);
  for (std::int64_t piece = job.next++; piece < pieces; piece = job.next++) bench.take(piece);
}

}  // namespace

void resample_real_cuts(const RealPixels& source, Filter filter, const std::vector<Box>& boxes, std::int64_t height,
                        std::int64_t width, float* out, int threads) {
  const std::int64_t cuts = static_cast<std::int64_t>(boxes.size());
  // Several pieces for each thread; neighbouring strips compute a few source rows twice.
  const std::int64_t strips = threads == 1 ? 1 : std::min<std::int64_t>(height, (4 * threads + cuts - 1) / cuts);
  std::atomic<std::int64_t> next{0};
  const Job job{source, resample_in_use(), filter, boxes, height, width, out, strips, next};
  over_replicas(threads, threads, false, work_through, &job);
}

}  // namespace pyqmc
