// Cluster updates: bonds -> labels -> flips (Swendsen and Wang 1987), and single clusters (Wolff 1989).
// A bond is keyed by the site it starts from and its direction; a flip by the cluster's smallest site. A field acts
// through a ghost spin: a cluster bound to it keeps its orientation.
#pragma once

#include <cstdint>

#include "core/philox_lanes.hpp"
#include "kernels/jobs.hpp"
#include "kernels/sums.hpp"
#include "models/discrete.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

inline constexpr std::uint32_t ghost_number = 7;  // draw number of the ghost bonds; directions use 0 to 3
inline constexpr std::int64_t cluster_chunk = 1024;

// Roots are the smallest sites of their clusters: the larger root always points to the smaller.
inline void unite(std::uint32_t* parent, std::uint32_t a, std::uint32_t b) {
  while (parent[a] != parent[b]) {
    if (parent[a] < parent[b]) {
      const std::uint32_t swap = a;
      a = b;
      b = swap;
    }
    const std::uint32_t above = parent[a];
    parent[a] = parent[b];
    if (above == a) return;
    a = above;
  }
}

// Sets bit `direction` of bonds[x - begin] for the active forward bonds of the sites [begin, end) of a row.
template <class T>
void activate(const ClusterJob& job, const T* field, const Draws& draws, std::uint64_t probability, std::int64_t row,
              std::int64_t begin, std::int64_t end, std::uint8_t* __restrict bonds, std::uint64_t* __restrict draw) {
  const Lattice& lattice = job.batch.lattice;
  const std::int64_t width = width_of(lattice);
  const T* here = field + row * width;
  Term terms[max_neighbours];
  const int count = forward_of(lattice, row, terms);
  for (std::int64_t x = begin; x < end; ++x) bonds[x - begin] = 0;
  for (int pair = 0; 2 * pair < job.directions; ++pair) {
    fill_draws(draws, Purpose::bond, static_cast<std::uint32_t>(pair), static_cast<std::uint32_t>(row * width + begin),
               static_cast<std::size_t>(end - begin), draw);
    for (int t = 0; t < count; ++t) {
      const Term term = terms[t];
      if (term.direction >> 1 != pair) continue;
      const T* there = field + term.row * width;
      const std::uint8_t bit = static_cast<std::uint8_t>(1 << term.direction);
      const std::uint64_t* own = draw + (term.direction & 1);
      const auto one = [&](std::int64_t x, std::int64_t other) {
        const bool active = ((here[x] == there[other]) != job.unequal) & (own[2 * (x - begin)] < probability);
        bonds[x - begin] = static_cast<std::uint8_t>(bonds[x - begin] | (active ? bit : 0));
      };
      const std::int64_t low = begin + term.shift < 0 ? begin + 1 : begin;
      const std::int64_t high = end + term.shift > width ? end - 1 : end;
      if (term.stride == 1) {
        for (std::int64_t x = low; x < high; ++x) one(x, x + term.shift);
        if (wraps(lattice) && low > begin) one(begin, width - 1);
        if (wraps(lattice) && high < end) one(high, 0);
      } else {
        for (std::int64_t x = begin + ((begin + term.first) & 1); x < end; x += 2) one(x, x);
      }
    }
  }
}

// Bonds of the whole lattice, one byte of bits a site, and labels by runs along the rows.
template <class T>
void label_rows(const ClusterJob& job, const T* field, const Draws& draws, std::uint64_t probability,
                std::uint32_t* __restrict parent, std::uint8_t* __restrict bonds) {
  const Lattice& lattice = job.batch.lattice;
  const std::int64_t width = width_of(lattice), rows = rows_of(lattice);
  const std::uint8_t along = static_cast<std::uint8_t>(1 << (lattice.dimension - 1));
  alignas(64) std::uint64_t draw[2 * cluster_chunk];
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t begin = 0; begin < width; begin += cluster_chunk) {
      const std::int64_t end = begin + cluster_chunk < width ? begin + cluster_chunk : width;
      activate(job, field, draws, probability, row, begin, end, bonds + row * width + begin, draw);
    }
    std::uint32_t run = static_cast<std::uint32_t>(row * width);
    for (std::int64_t i = row * width; i < (row + 1) * width; ++i) {
      parent[i] = run;
      run = (bonds[i] & along) != 0 ? run : static_cast<std::uint32_t>(i + 1);
    }
    const std::int64_t last = (row + 1) * width - 1;
    if ((bonds[last] & along) != 0)
      unite(parent, static_cast<std::uint32_t>(row * width), static_cast<std::uint32_t>(last));
  }
}

// Joins the rows by their bonds. The active bonds are listed first: a coin toss as a branch costs more than a store.
inline void join_rows(const ClusterJob& job, std::uint32_t* parent, const std::uint8_t* bonds) {
  const Lattice& lattice = job.batch.lattice;
  const std::int64_t width = width_of(lattice), rows = rows_of(lattice);
  std::int32_t active[cluster_chunk];
  for (std::int64_t row = 0; row < rows; ++row) {
    Term terms[max_neighbours];
    const int count = forward_of(lattice, row, terms);
    for (int t = 0; t < count; ++t) {
      const Term term = terms[t];
      if (term.row == row && term.direction == lattice.dimension - 1) continue;
      for (std::int64_t begin = 0; begin < width; begin += cluster_chunk) {
        const std::int64_t length = begin + cluster_chunk < width ? cluster_chunk : width - begin;
        const std::uint8_t* here = bonds + row * width + begin;
        std::int64_t n = 0;
        for (std::int64_t x = 0; x < length; ++x) {
          active[n] = static_cast<std::int32_t>(begin + x);
          n += here[x] >> term.direction & 1;
        }
        for (std::int64_t k = 0; k < n; ++k) {
          std::int64_t other = active[k] + term.shift;
          other = other < 0 ? width - 1 : other;
          unite(parent, static_cast<std::uint32_t>(row * width + active[k]),
                static_cast<std::uint32_t>(term.row * width + other));
        }
      }
    }
  }
}

// Marks the clusters bound to the ghost spin: held[root] = 1.
template <class T>
void bind_ghost(const ClusterJob& job, const T* field, const Draws& draws, std::uint64_t probability,
                const std::uint32_t* parent, std::uint8_t* held) {
  const std::int64_t sites = sites_of(job.batch.lattice);
  alignas(64) std::uint64_t draw[cluster_chunk + 2];
  for (std::int64_t i = 0; i < sites; ++i) held[i] = 0;
  if (probability == 0) return;
  for (std::int64_t begin = 0; begin < sites; begin += cluster_chunk) {
    const std::int64_t end = begin + cluster_chunk < sites ? begin + cluster_chunk : sites;
    fill_draws(draws, Purpose::bond, ghost_number, static_cast<std::uint32_t>(begin >> 1),
               static_cast<std::size_t>((end - begin + 1) >> 1), draw);
    for (std::int64_t i = begin; i < end; ++i)
      if (field[i] == job.ghost_spin && draw[i - begin] < probability) held[parent[i]] = 1;
  }
}

// Gives every cluster its new orientation or colour, drawn at its root, in one pass upwards: a root comes before the
// other sites of its cluster. Adds the number of clusters.
template <class T>
void flip_clusters(const ClusterJob& job, T* __restrict field, const Draws& draws,
                   const std::uint32_t* __restrict parent, std::uint8_t* __restrict held, std::int64_t& clusters) {
  const std::int64_t sites = sites_of(job.batch.lattice);
  const std::uint64_t q = static_cast<std::uint64_t>(job.batch.q);
  alignas(64) std::uint64_t draw[cluster_chunk + 2];
  std::int64_t roots = 0;
  for (std::int64_t begin = 0; begin < sites; begin += cluster_chunk) {
    const std::int64_t end = begin + cluster_chunk < sites ? begin + cluster_chunk : sites;
    fill_draws(draws, Purpose::flip, 0, static_cast<std::uint32_t>(begin >> 1),
               static_cast<std::size_t>((end - begin + 1) >> 1), draw);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::uint32_t root = parent[i];
      const bool is_root = root == static_cast<std::uint32_t>(i);
      roots += is_root;
      if (q > 0) {
        field[i] = is_root ? static_cast<T>(scaled(draw[i - begin], q)) : field[root];
        continue;
      }
      // Bit 0 of held[root] says that the ghost holds the cluster, bit 1 that it flips.
      const std::uint8_t fresh = static_cast<std::uint8_t>(held[i] | (~held[i] & draw[i - begin] >> 62) << 1);
      const std::uint8_t state = is_root ? fresh : held[root];
      held[i] = state;
      const int flip = state >> 1 & 1;
      field[i] = static_cast<T>((field[i] ^ -flip) + flip);
    }
  }
  clusters += roots;
}

template <class T>
void swendsen_wang_step(const ClusterJob& job, T* field, const Draws& draws, std::int64_t rung, std::uint32_t* parent,
                        std::uint8_t* marks, std::int64_t& clusters) {
  label_rows(job, field, draws, job.bond[rung], parent, marks);
  join_rows(job, parent, marks);
  // Every site points to a smaller one, so one pass upwards leaves each pointing to its root.
  const std::int64_t sites = sites_of(job.batch.lattice);
  for (std::int64_t i = 0; i < sites; ++i) parent[i] = parent[parent[i]];
  bind_ghost(job, field, draws, job.ghost[rung], parent, marks);
  flip_clusters(job, field, draws, parent, marks, clusters);
}

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
