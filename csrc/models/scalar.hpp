// phi^4: S = sum_<xy> g (phi_x - phi_y)^2 + sum_x (a phi_x^2 + b phi_x^4). Every convention is a choice of g, a and b.
#pragma once

#include "core/real.hpp"

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

}  // namespace PYQMC_ISA
}  // namespace pyqmc
