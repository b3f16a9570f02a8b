// Pair exchange at fixed magnetization (Kawasaki 1966, and its long-range form): Metropolis in the fixed-M ensemble.
#pragma once

#include <cstdint>

#include "kernels/jobs.hpp"
#include "kernels/sums.hpp"
#include "models/discrete.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

enum class Range : std::int32_t { local, any, mixed };

// Attempts as many exchanges as there are sites; attempt `a` takes its sites and its acceptance from block `a`. Whether
// a pair is proposed does not depend on the spins, so any unevenness of the choice of sites leaves detailed balance as
// it is.
template <class T>
std::int64_t exchange_step(const ExchangeJob& job, T* field, const Draws& draws, const std::uint64_t* table) {
  const std::uint64_t sites = static_cast<std::uint64_t>(sites_of(job.batch.lattice));
  const std::int32_t slots = 2 * job.directions, z = job.coordination;
  const Range range = static_cast<Range>(job.range);
  std::int64_t accepted = 0;
  for (std::uint64_t attempt = 0; attempt < sites; ++attempt) {
    const Block block = draws.block(Purpose::exchange, static_cast<std::uint32_t>(attempt));
    const std::int64_t i = static_cast<std::int64_t>(block.word[0] * sites >> 32);
    const bool local = range == Range::local || (range == Range::mixed && (attempt & 1) != 0);
    const std::int64_t j =
        local ? job.neighbours[i * slots +
                               static_cast<std::int64_t>(block.word[1] * static_cast<std::uint64_t>(slots) >> 32)]
              : static_cast<std::int64_t>(block.word[1] * sites >> 32);
    if (j < 0 || field[i] == field[j]) continue;
    int cost = 0;  // s_i n_i + s_j n_j, bonds between i and j left out
    for (std::int32_t k = 0; k < slots; ++k) {
      const std::int32_t by_i = job.neighbours[i * slots + k], by_j = job.neighbours[j * slots + k];
      if (by_i >= 0 && by_i != j) cost += field[i] * field[by_i];
      if (by_j >= 0 && by_j != i) cost += field[j] * field[by_j];
    }
    if (block.draw(1) < table[cost + 2 * z]) {
      const T swap = field[i];
      field[i] = field[j];
      field[j] = swap;
      ++accepted;
    }
  }
  return accepted;
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
