// Small trained networks inside a sweep: tables of numbers, `lanes` inputs at a time, one lane for each patch of sites.
//
// x / sqrt(1 + x^2) is the bend of the hidden layers: sums, products, quotients and square roots only, added up in the
// order of the inputs, so that the bytes are those of pyqmc_art/ops/plain_patches.py on every instruction set.
#pragma once

#include "core/real.hpp"
#include "kernels/field_jobs.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

inline constexpr int network_lanes = 32;

// A number for each lane.
struct alignas(64) Lanes {
  double at[network_lanes];
};

PYQMC_HD inline double bend(double x) { return x / __builtin_sqrt(1.0 + x * x); }

// Between -limit and limit; what is no number becomes the limit.
PYQMC_HD inline double between(double x, double limit) {
  const double low = x < limit ? x : limit;
  return low > -limit ? low : -limit;
}

// One layer: out[j] = offset[j] + sum_i weight[j, i] in[i], bent unless it is the last.
inline void apply_layer(const double* weights, std::int64_t inputs, std::int64_t outputs, bool last, const Lanes* in,
                        Lanes* out) {
  for (std::int64_t j = 0; j < outputs; ++j) {
    const double* row = weights + j * (inputs + 1);
    Lanes sum;
    for (int l = 0; l < network_lanes; ++l) sum.at[l] = row[0];
    for (std::int64_t i = 0; i < inputs; ++i)
      for (int l = 0; l < network_lanes; ++l) sum.at[l] += row[1 + i] * in[i].at[l];
    if (!last)
      for (int l = 0; l < network_lanes; ++l) sum.at[l] = bend(sum.at[l]);
    out[j] = sum;
  }
}

// Applies all layers; returns where the outputs are: one of the two halves of `hidden` (2 network_width).
inline const Lanes* apply_network(const LocalNetwork& network, const Lanes* in, Lanes* hidden) {
  const double* weights = network.weights;
  for (std::int64_t layer = 0; layer < network.layers; ++layer) {
    const std::int64_t inputs = network.sizes[layer], outputs = network.sizes[layer + 1];
    Lanes* out = hidden + (layer % 2) * network_width;
    apply_layer(weights, inputs, outputs, layer + 1 == network.layers, in, out);
    weights += outputs * (inputs + 1);
    in = out;
  }
  return in;
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
