// Unit vectors of n components, S = -beta sum_<xy> s_x . s_y: drawing them, and drawing one given its neighbours.
#pragma once

#include "core/ziggurat.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

inline constexpr int max_components = 64;

PYQMC_HD inline double dot(std::int64_t n, const double* a, const double* b) {
  double total = 0.0;
  for (std::int64_t k = 0; k < n; ++k) total += a[k] * b[k];
  return total;
}

// n normal numbers from the blocks numbered `number`, `number` + 1, ... of an index.
inline void normals_at(const Draws& draws, Purpose purpose, std::uint32_t index, std::uint32_t number, std::int64_t n,
                       double* out) {
  for (std::int64_t k = 0; k < n; k += 2) {
    const Normals pair = normals_of(draws, purpose, index, number + static_cast<std::uint32_t>(k / 2));
    out[k] = pair.first;
    if (k + 1 < n) out[k + 1] = pair.second;
  }
}

PYQMC_HD inline void normalize(std::int64_t n, double* v) {
  const double length = __builtin_sqrt(dot(n, v, v));
  for (std::int64_t k = 0; k < n; ++k) v[k] = v[k] / length;
}

// A vector with density exp(h . s) (Wood 1994): the component along h by rejection, the others uniform. The first of n
// normal numbers gives the component, the others the direction across. Returns whether an attempt was accepted; if none
// was, `out` stays as it is, which is as exact, because whether that happens does not depend on it.
inline constexpr int attempts = 64;

inline bool draw_vector(const Draws& draws, std::uint32_t site, std::int64_t n, const double* h, double* out) {
  const double strength = __builtin_sqrt(dot(n, h, h)), m = static_cast<double>(n - 1);
  const double b = m / (2.0 * strength + __builtin_sqrt(4.0 * strength * strength + m * m));
  const double x0 = (1.0 - b) / (1.0 + b);
  const double c = strength * x0 + m * log_of(1.0 - x0 * x0);
  const std::uint32_t blocks = static_cast<std::uint32_t>((n + 1) / 2);
  double v[max_components];
  for (std::uint32_t attempt = 0; attempt < attempts; ++attempt) {
    const std::uint32_t number = attempt * (blocks + 1);
    normals_at(draws, Purpose::site, site, number, n, v);
    normalize(n, v);
    const double z = 0.5 * (1.0 + v[0]);
    const double w = (1.0 - (1.0 + b) * z) / (1.0 - (1.0 - b) * z);
    const double u = unit(draws.block(Purpose::site, site, number + blocks).draw(0));
    if (strength * w + m * log_of(1.0 - x0 * w) - c < log_of(1.0 - u)) continue;
    const double square = 1.0 - w * w, across = __builtin_sqrt(square > 0.0 ? square : 0.0);
    const double side = __builtin_sqrt(dot(n - 1, v + 1, v + 1));
    out[0] = w;
    for (std::int64_t k = 1; k < n; ++k) out[k] = across * (v[k] / side);
    if (strength > 0.0) {
      // The reflection that takes the first axis to the direction of h.
      double r[max_components];
      for (std::int64_t k = 0; k < n; ++k) r[k] = -(h[k] / strength);
      r[0] = r[0] + 1.0;
      const double norm = dot(n, r, r);
      if (norm > 1e-30) {
        const double twice = 2.0 * dot(n, r, out) / norm;
        for (std::int64_t k = 0; k < n; ++k) out[k] = out[k] - twice * r[k];
      }
    }
    normalize(n, out);
    return true;
  }
  return false;
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
