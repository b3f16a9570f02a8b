// Local rules of the discrete models. All probabilities are integers T in [0, 2^63], computed once in Python: an event
// of probability T / 2^63 happens when a draw below 2^63 is below T.
#pragma once

#include <cstdint>

#include "core/philox.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

// ising:            a spin flips with probability table[(s > 0)(2 z + 1) + sum of the neighbours + z]
// potts_metropolis: another colour with `gain` more equal neighbours is accepted with probability table[gain + z]
// potts_heat_bath:  a colour with n equal neighbours is drawn with integer weight table[n]
enum class Rule : std::int32_t { ising, potts_metropolis, potts_heat_bath };

// Another colour than `old`, uniformly.
PYQMC_HD inline int other_colour(int old, int q, std::uint64_t draw) {
  const int candidate = old + 1 + static_cast<int>(scaled(draw, static_cast<std::uint64_t>(q - 1)));
  return candidate >= q ? candidate - q : candidate;
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
