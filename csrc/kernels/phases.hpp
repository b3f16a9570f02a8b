// Tables for the Fourier modes of clusters: phases added along a row, and those a row has from where it stands.
#pragma once

#include <cstdint>
#include <vector>

#include "core/lattice.hpp"

namespace pyqmc {

// Of `phases` (axes, longest extent, 2): cosines and sines of 2 pi x / L times 2^24. Two numbers to each axis, the last
// axis first; of the last axis `along` holds sums over the sites before x of a row, and `across` ones; of the others
// `along` holds the number of these sites, and `across` the phase.
struct Phases {
  int lanes = 0;
  std::vector<std::int32_t> along;
  std::vector<std::int64_t> across;

  Phases() = default;

  // `alternating`: sites at odd places of a row count with a minus.
  Phases(const Lattice& lattice, const std::int32_t* phases, std::int64_t longest, bool alternating)
      : lanes(lattice.dimension > 2 ? 8 : 4) {
    const std::int64_t width = width_of(lattice), rows = rows_of(lattice);
    along.resize(static_cast<std::size_t>((width + 1) * lanes));
    across.resize(static_cast<std::size_t>(rows * lanes));
    const std::int32_t* last = phases + (lattice.dimension - 1) * longest * 2;
    for (std::int64_t x = 0; x < width; ++x) {
      const std::uint32_t sign = alternating && x % 2 != 0 ? ~0u : 1u;
      for (int l = 0; l < lanes; ++l) {
        // Sums of long rows wrap around; differences within a word of 64 sites do not.
        const std::uint32_t step = l < 2 ? static_cast<std::uint32_t>(last[2 * x + l]) : 1u;
        const std::size_t here = static_cast<std::size_t>(x * lanes + l);
        along[here + static_cast<std::size_t>(lanes)] =
            static_cast<std::int32_t>(static_cast<std::uint32_t>(along[here]) + sign * step);
      }
    }
    for (std::int64_t row = 0; row < rows; ++row) {
      std::int64_t* own = across.data() + row * lanes;
      own[0] = own[1] = 1;
      std::int64_t rest = row;
      for (int mu = lattice.dimension - 2; mu >= 0; rest /= lattice.shape[mu--])
        for (int part = 0; part < 2; ++part)
          own[2 * (lattice.dimension - 1 - mu) + part] = phases[(mu * longest + rest % lattice.shape[mu]) * 2 + part];
    }
  }
};

}  // namespace pyqmc
