// Single clusters (Wolff 1989). A field acts through a ghost spin: a cluster bound to it keeps its orientation.
#pragma once

#include <cstdint>

#include "core/philox_lanes.hpp"
#include "kernels/jobs.hpp"
#include "models/discrete.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

inline constexpr std::uint32_t ghost_number = 7;  // draw number of the ghost bonds; directions use 0 to 3

// One cluster grown from a random site, then turned as a whole; returns the number of sites changed. `number` tells the
// clusters of one step apart. `member` is all zero before and after: on a frustrated lattice a site's orientation alone
// does not tell whether it has joined.
template <class T>
std::int64_t wolff_cluster(const ClusterJob& job, T* field, const Draws& draws, std::int64_t rung, std::uint32_t number,
                           std::uint32_t* queue, std::uint8_t* member) {
  const std::uint64_t sites = static_cast<std::uint64_t>(sites_of(job.batch.lattice));
  const std::uint64_t probability = job.bond[rung], ghost = job.ghost[rung];
  const Block start = draws.block(Purpose::seed, number);
  std::int64_t size = 0, done = 0;
  bool held = false;
  const auto join = [&](std::uint32_t site) {
    if (ghost != 0 && field[site] == job.ghost_spin) {
      const Block block = draws.block(Purpose::bond, site >> 1, number << 3 | ghost_number);
      held = held || block.draw(site & 1) < ghost;
    }
    member[site] = 1;
    queue[size++] = site;
  };
  // The open bonds of several waiting sites are drawn together: the cluster is what the active bonds connect, in
  // whatever order they are looked at, and a bond drawn from both of its ends gives the same answer.
  constexpr std::int64_t together = 8;
  constexpr std::size_t room = together * max_neighbours + gathered;
  Wanted wanted[room] = {};
  std::uint32_t target[room];
  alignas(64) std::uint64_t draw[room];
  join(static_cast<std::uint32_t>(scaled(start.draw(0), sites)));
  while (done < size && !held) {
    std::size_t open = 0;
    for (const std::int64_t stop = done + together < size ? done + together : size; done < stop; ++done) {
      const std::uint32_t site = queue[done];
      const T own = field[site];
      const std::int32_t* around = job.neighbours + static_cast<std::int64_t>(site) * 2 * job.directions;
      for (std::int32_t slot = 0; slot < 2 * job.directions; ++slot) {
        const std::uint32_t direction = static_cast<std::uint32_t>(slot) >> 1;
        const std::uint32_t there = around[slot] < 0 ? site : static_cast<std::uint32_t>(around[slot]);
        wanted[open] = {(slot & 1) != 0 ? there : site, Draws::tag(Purpose::bond, number << 3 | direction >> 1),
                        direction & 1};
        target[open] = there;
        // Counted only if the bond may bring a new site (a site beyond an open boundary stands for itself, a member):
        // as a branch this would be a coin toss.
        open += (member[there] == 0) & ((field[there] == own) != job.unequal);
      }
    }
    gather_draws(draws, wanted, open, draw);
    for (std::size_t k = 0; k < open; ++k)
      if (draw[k] < probability && member[target[k]] == 0) join(target[k]);
  }
  const std::int32_t q = job.batch.q;
  const int turn = q > 0 ? other_colour(0, q, start.draw(1)) : 0;  // every colour moves on by this much (mod q)
  for (std::int64_t k = 0; k < size; ++k) {
    T& value = field[queue[k]];
    member[queue[k]] = 0;
    if (!held) value = static_cast<T>(q == 0 ? -value : value + turn >= q ? value + turn - q : value + turn);
  }
  return held ? 0 : size;
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
