// Cuts of one picture, resampled to one size, on several threads; the entry point of the image loops.
#pragma once

#include <cstdint>
#include <vector>

#include "images/jobs.hpp"
#include "images/real_jobs.hpp"

namespace pyqmc {

// In source pixels; a cut reads the filter's support beyond it, as Pillow does.
struct Box {
  float left, top, right, bottom;
};

// Writes boxes.size() pictures of height x width x source.channels bytes to `out`. The source is read in place; each
// thread needs the rows that the filters of its cuts reach, less than 1 MiB but for filters of thousands of taps.
void resample_cuts(const Pixels& source, Filter filter, const std::vector<Box>& boxes, std::int64_t height,
                   std::int64_t width, std::uint8_t* out, int threads);

// The same for numbers, which are neither rounded nor clipped but to float32 after each of the two passes.
void resample_real_cuts(const RealPixels& source, Filter filter, const std::vector<Box>& boxes, std::int64_t height,
                        std::int64_t width, float* out, int threads);

}  // namespace pyqmc
