// Runs of bonds along the rows of a bit map, and the bonds between them. A run also ends where its word ends; it is
// named by its first site.
#pragma once

#include <cstdint>

#include "core/bits.hpp"
#include "kernels/jobs.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

inline constexpr std::uint32_t ghost_direction = 7;  // directions use 0 to 3
inline constexpr int max_links = 2 * max_dimension;

// First site of the run that `site` belongs to.
PYQMC_HD inline std::uint32_t run_of(const std::uint64_t* starts, std::int64_t site) {
  return static_cast<std::uint32_t>(site - bits::zeros_above(starts[site >> 6] << (~site & 63)));
}

// Bonds of a link, marked where they start in `active`, whose later end lies in word k; the earlier one lies `distance`
// before it. Of the `first` link, along the rows, those from one word to the next: runs say the rest.
PYQMC_HD inline std::uint64_t later_ends(const Link& link, const std::uint64_t* active, bool first, std::int64_t k) {
  if (link.shift < 0) return k >= link.begin && k < link.end ? active[k] : 0;
  if (64 * k + 63 < 64 * link.begin + link.shift || 64 * k >= 64 * link.end + link.shift) return 0;
  return bits::window(active, k, -link.shift) & (first ? 1 : ~0ull);
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
