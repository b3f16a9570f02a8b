// The taps of a separable, antialiased resampling along one axis, in Pillow's arithmetic.
//
// Output i sits at center = from + (i + 1/2) scale of the source, scale = (to - from) / size, and weighs the pixels
// within support * max(scale, 1) by the filter, stretched when the picture shrinks. Weights are normalized and rounded
// to 22 bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "images/jobs.hpp"
#include "images/real_jobs.hpp"

namespace pyqmc {

inline constexpr int weight_bits = 22;

inline double filter_support(Filter filter) {
  switch (filter) {
    case Filter::box:
      return 0.5;
    case Filter::bilinear:
      return 1.0;
    case Filter::bicubic:
      return 2.0;
    default:
      return 3.0;
  }
}

inline double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= 3.14159265358979323846;
  return std::sin(x) / x;
}

inline double filter_value(Filter filter, double x) {
  switch (filter) {
    case Filter::box:
      return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
    case Filter::bilinear: {
      x = std::fabs(x);
      return x < 1.0 ? 1.0 - x : 0.0;
    }
    case Filter::bicubic: {  // Keys 1981 with a = -1/2
      constexpr double a = -0.5;
      x = std::fabs(x);
      if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
      if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
      return 0.0;
    }
    default:
      return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
  }
}

// Owns what a Taps points to.
struct TapTable {
  std::vector<std::int32_t> start, count, weight, first, groups, packed;
  std::int64_t taps = 0, most_groups = 0, words = 0;

  Taps view() const {
    return {static_cast<std::int64_t>(start.size()),
            taps,
            most_groups,
            words,
            start.data(),
            count.data(),
            weight.data(),
            first.data(),
            groups.data(),
            packed.data()};
  }
};

// The same with weights that are not rounded.
struct RealTapTable {
  std::vector<std::int32_t> start, count;
  std::vector<double> weight;
  std::int64_t taps = 0;

  RealTaps view() const {
    return {static_cast<std::int64_t>(start.size()), taps, start.data(), count.data(), weight.data()};
  }
};

inline RealTapTable weigh_axis(Filter filter, std::int64_t source, float from, float to, std::int64_t size) {
  const double scale = static_cast<double>(to - from) / static_cast<double>(size);
  const double stretch = scale < 1.0 ? 1.0 : scale;
  const double support = filter_support(filter) * stretch, squeeze = 1.0 / stretch;
  RealTapTable table;
  table.taps = static_cast<std::int64_t>(std::ceil(support)) * 2 + 1;
  table.start.resize(static_cast<std::size_t>(size));
  table.count.resize(static_cast<std::size_t>(size));
  table.weight.resize(static_cast<std::size_t>(size * table.taps));
  for (std::int64_t i = 0; i < size; ++i) {
    const double center = from + (static_cast<double>(i) + 0.5) * scale;
    std::int64_t low = static_cast<std::int64_t>(center - support + 0.5);
    std::int64_t high = static_cast<std::int64_t>(center + support + 0.5);
    low = low < 0 ? 0 : low;
    high = high > source ? source : high;
    double* weight = table.weight.data() + i * table.taps;
    double sum = 0.0;
    for (std::int64_t k = 0; k < high - low; ++k) {
      weight[k] = filter_value(filter, (static_cast<double>(k + low) - center + 0.5) * squeeze);
      sum += weight[k];
    }
    for (std::int64_t k = 0; sum != 0.0 && k < high - low; ++k) weight[k] /= sum;
    table.start[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(low);
    table.count[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(high - low);
  }
  return table;
}

inline TapTable make_taps(Filter filter, std::int64_t source, float from, float to, std::int64_t size) {
  RealTapTable real = weigh_axis(filter, source, from, to, size);
  TapTable table;
  table.taps = real.taps;
  table.start = std::move(real.start);
  table.count = std::move(real.count);
  table.weight.reserve(real.weight.size());
  for (const double weight : real.weight) {
    const double scaled = weight * (1 << weight_bits);
    table.weight.push_back(static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5));
  }
  return table;
}

}  // namespace pyqmc
