// Uniform numbers from draws, and logarithms, exponentials and sines, by additions, products, quotients and square
// roots only: the same bytes on every instruction set, in Numba and in plain Python (pyqmc_art/ops/plain_real.py holds
// the same formulas). The library's functions do not promise that.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/philox_lanes.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

PYQMC_HD inline double from_bits(std::uint64_t bits) {
  double x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

PYQMC_HD inline std::uint64_t bits_of(double x) {
  std::uint64_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}

// Adding it rounds to the nearest integer (ties to even), which then stands in the lowest bits.
inline constexpr double rounding = 6755399441055744.0;  // 1.5 * 2^52

// Uniform in [0, 1), a multiple of 2^-52, from a draw below 2^63.
PYQMC_HD inline double unit(std::uint64_t draw) { return from_bits(draw >> 11 | 0x3FF0000000000000ull) - 1.0; }

// Natural logarithm of a normal positive number: x = 2^e m with sqrt(1/2) <= m < sqrt(2), and the series of
// log m = 2 artanh((m - 1) / (m + 1)).
PYQMC_HD inline double log_of(double x) {
  constexpr std::uint64_t root_half = 0x3FE6A09E667F3BCDull;
  const std::uint64_t shifted = bits_of(x) + (0x3FF0000000000000ull - root_half);
  const double m = from_bits((shifted & 0x000FFFFFFFFFFFFFull) + root_half);
  const double e = from_bits(shifted >> 52 | 0x4330000000000000ull) - (4503599627370496.0 + 1023.0);
  const double s = (m - 1.0) / (m + 1.0), z = s * s;
  double series = 1.0 / 21.0;
  series = series * z + 1.0 / 19.0;
  series = series * z + 1.0 / 17.0;
  series = series * z + 1.0 / 15.0;
  series = series * z + 1.0 / 13.0;
  series = series * z + 1.0 / 11.0;
  series = series * z + 1.0 / 9.0;
  series = series * z + 1.0 / 7.0;
  series = series * z + 1.0 / 5.0;
  series = series * z + 1.0 / 3.0;
  series = series * z + 1.0;
  return e * 0.6931471805599453 + 2.0 * s * series;
}

// exp(x) for x <= 700; what lies below -708 counts as -708.
PYQMC_HD inline double exp_of(double x) {
  const double bounded = x < -708.0 ? -708.0 : x;
  const double shifted = bounded * 1.4426950408889634 + rounding;
  const double k = shifted - rounding;
  const double r = (bounded - k * 0.6931471803691238) - k * 1.9082149292705877e-10;
  double series = 1.0 / 6227020800.0;
  series = series * r + 1.0 / 479001600.0;
  series = series * r + 1.0 / 39916800.0;
  series = series * r + 1.0 / 3628800.0;
  series = series * r + 1.0 / 362880.0;
  series = series * r + 1.0 / 40320.0;
  series = series * r + 1.0 / 5040.0;
  series = series * r + 1.0 / 720.0;
  series = series * r + 1.0 / 120.0;
  series = series * r + 1.0 / 24.0;
  series = series * r + 1.0 / 6.0;
  series = series * r + 0.5;
  series = series * r + 1.0;
  series = series * r + 1.0;
  return series * from_bits((bits_of(shifted) + 1023) << 52);
}

struct Circle {
  double cosine, sine;
};

// Point of the unit circle at `turns` full turns, |turns| < 2^40: quarter turns are taken off, the rest is a series.
PYQMC_HD inline Circle circle_at(double turns) {
  const double quarters = 4.0 * turns, shifted = quarters + rounding;
  const double x = (quarters - (shifted - rounding)) * 1.5707963267948966, z = x * x;
  const std::uint64_t quadrant = bits_of(shifted);
  double s = 1.0 / 355687428096000.0;
  s = s * z - 1.0 / 1307674368000.0;
  s = s * z + 1.0 / 6227020800.0;
  s = s * z - 1.0 / 39916800.0;
  s = s * z + 1.0 / 362880.0;
  s = s * z - 1.0 / 5040.0;
  s = s * z + 1.0 / 120.0;
  s = s * z - 1.0 / 6.0;
  s = x + x * z * s;
  double c = -1.0 / 6402373705728000.0;
  c = c * z + 1.0 / 20922789888000.0;
  c = c * z - 1.0 / 87178291200.0;
  c = c * z + 1.0 / 479001600.0;
  c = c * z - 1.0 / 3628800.0;
  c = c * z + 1.0 / 40320.0;
  c = c * z - 1.0 / 720.0;
  c = c * z + 1.0 / 24.0;
  c = c * z - 0.5;
  c = 1.0 + z * c;
  const std::uint64_t swap = 0 - (quadrant & 1), a = bits_of(c), b = bits_of(s);
  const std::uint64_t cosine = (a & ~swap) | (b & swap), sine = (b & ~swap) | (a & swap);
  return {from_bits(cosine ^ (((quadrant + 1) & 2) << 62)), from_bits(sine ^ ((quadrant & 2) << 62))};
}

// Two independent standard normal numbers from two draws (Box and Muller 1958), for loops that draw a fixed number of
// blocks; core/ziggurat.hpp makes them faster.
struct Normals {
  double first, second;
};

PYQMC_HD inline Normals normals_of(std::uint64_t draw0, std::uint64_t draw1) {
  const double radius = __builtin_sqrt(-2.0 * log_of(1.0 - unit(draw0)));
  const Circle at = circle_at(unit(draw1));
  return {radius * at.cosine, radius * at.sine};
}

// Sums that do not depend on the instruction set: eight lanes, then pairs.
inline constexpr int sum_lanes = 8;

PYQMC_HD inline double lanes_together(const double* lane) {
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

template <class Term>
inline double lane_sum(std::int64_t n, const Term& term) {
  double lane[sum_lanes] = {};
  std::int64_t x = 0;
  for (; x + sum_lanes <= n; x += sum_lanes)
    for (int l = 0; l < sum_lanes; ++l) lane[l] += term(x + l);
  for (int l = 0; x + l < n; ++l) lane[l] += term(x + l);
  return lanes_together(lane);
}

// Neumaier's compensated sum.
struct Compensated {
  double total = 0.0, lost = 0.0;

  PYQMC_HD void add(double x) {
    const double sum = total + x;
    const double a = total < 0 ? -total : total, b = x < 0 ? -x : x;
    lost += a >= b ? (total - sum) + x : (x - sum) + total;
    total = sum;
  }
  PYQMC_HD double value() const { return total + lost; }
};

}  // namespace PYQMC_ISA
}  // namespace pyqmc
