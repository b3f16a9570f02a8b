// phi^4: S = sum_<xy> g (phi_x - phi_y)^2 + sum_x (a phi_x^2 + b phi_x^4). Every convention is a choice of g, a and b.
#pragma once

#include "core/ziggurat.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

struct Scalar {
  double g, a, b;

  // -dS/dphi at a site whose `neighbours` neighbours add up to `sum`.
  PYQMC_HD double force(double sum, double neighbours, double phi) const {
    return 2.0 * g * sum - phi * (2.0 * g * neighbours + 2.0 * a + 4.0 * b * (phi * phi));
  }

  PYQMC_HD double potential(double phi) const {
    const double square = phi * phi;
    return square * (a + b * square);
  }

  // S(to) - S(from) when one site changes.
  PYQMC_HD double cost(double sum, double neighbours, double from, double to) const {
    const double square = to * to, old = from * from;
    return (square - old) * (g * neighbours + a + b * (square + old)) - 2.0 * g * sum * (to - from);
  }
};

// A value with density exp(-a x^2 - b x^4 + 2 h x): exp(-(a + 2 b c) x^2 + 2 h x) is normal, and exp(-b (x^2 - c)^2) is
// left over as the probability to accept. With A = a + 2 b c, the c that equals <x^2> of the normal density solves
// A^3 - a A^2 - b A - 2 b h^2 = 0, which has one positive root; Newton's method falls to it from above, and any A
// serves. Returns whether an attempt was accepted; if none was, `value` stays, which is as exact.
inline constexpr int scalar_attempts = 64;

inline bool draw_scalar(const Draws& draws, std::uint32_t site, double a, double b, double h, double& value) {
  const double base = (a > 0.0 ? a : 0.0) + __builtin_sqrt(b);
  double precision = base + __builtin_sqrt(2.0 * b * h * h / base);
  for (int k = 0; k < 6; ++k) {
    const double f = precision * (precision * (precision - a) - b) - 2.0 * b * h * h;
    precision = precision - f / (precision * (3.0 * precision - 2.0 * a) - b);
  }
  const double centre = b > 0.0 ? (precision - a) / (2.0 * b) : 0.0;
  const double mean = h / precision, width = __builtin_sqrt(0.5 / precision);
  const Ziggurat& table = ziggurat();
  for (std::uint32_t attempt = 0; attempt < scalar_attempts; ++attempt) {
    const Block chance = draws.block(Purpose::site, site, attempt);
    const double x = mean + width * normal_of(table, draws, Purpose::site, site, attempt, 0, chance.bits(0));
    const double off = x * x - centre;
    if (unit(chance.draw(1)) >= exp_of(-(b * (off * off)))) continue;
    value = x;
    return true;
  }
  return false;
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
