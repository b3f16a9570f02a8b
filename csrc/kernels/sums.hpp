// Equal bonds and magnetization of a field, row by row.
#pragma once

#include <cstdint>

#include "core/bits.hpp"
#include "core/lattice.hpp"
#include "kernels/jobs.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

template <class T>
std::int64_t equal_pairs(const T* a, const T* b, std::int64_t n) {
  std::int64_t total = 0;
  // Short inner blocks let the compiler count in narrow lanes.
  for (std::int64_t x = 0; x < n;) {
    const std::int64_t stop = x + 120 < n ? x + 120 : n;
    std::int8_t part = 0;
    for (; x < stop; ++x) part = static_cast<std::int8_t>(part + (a[x] == b[x]));
    total += part;
  }
  return total;
}

template <class T>
std::int64_t equal_bonds_of_row(const Lattice& lattice, const T* field, std::int64_t row) {
  const std::int64_t width = width_of(lattice);
  const T* here = field + row * width;
  Term terms[max_neighbours];
  const int n = forward_of(lattice, row, terms);
  std::int64_t equal = 0;
  for (int t = 0; t < n; ++t) {
    const T* there = field + terms[t].row * width;
    if (terms[t].stride == 2) {
      for (std::int64_t x = terms[t].first; x < width; x += 2) equal += here[x] == there[x];
    } else if (terms[t].shift == 0) {
      equal += equal_pairs(here, there, width);
    } else if (terms[t].shift == 1) {
      equal += equal_pairs(here, there + 1, width - 1);
      if (wraps(lattice)) equal += here[width - 1] == there[0];
    } else {
      equal += equal_pairs(here + 1, there, width - 1);
      if (wraps(lattice)) equal += here[0] == there[width - 1];
    }
  }
  return equal;
}

// Adds this member's share to sums[0] (equal bonds) and sums[1] (Ising magnetization); integers, so in any order.
template <class T>
void add_sums(const Batch& batch, const T* field, const Team& team, std::int64_t* sums) {
  const Lattice& lattice = batch.lattice;
  const std::int64_t rows = rows_of(lattice), width = width_of(lattice);
  std::int64_t equal = 0, magnetization = 0;
  for (std::int64_t row = team.begin(rows); row < team.end(rows); ++row) {
    equal += equal_bonds_of_row(lattice, field, row);
    if (batch.q == 0)
      for (std::int64_t x = 0; x < width; ++x) magnetization += field[row * width + x];
  }
  __atomic_fetch_add(&sums[0], equal, __ATOMIC_RELAXED);
  __atomic_fetch_add(&sums[1], magnetization, __ATOMIC_RELAXED);
}

// The same for words [begin, end) of Ising spins one bit each, 1 for -1.
inline void add_sums_of_bits(const ClusterJob& job, const std::uint64_t* down, std::int64_t begin, std::int64_t end,
                             std::int64_t* sums) {
  const std::int64_t sites = sites_of(job.batch.lattice);
  std::int64_t equal = 0, magnetization = 0;
  for (std::int64_t k = begin; k < end; ++k) {
    const std::uint64_t inside = bits::inside(k, sites);
    magnetization += bits::count(inside) - 2 * bits::count(down[k] & inside);
    for (int l = 0; l < job.link_count; ++l) {
      const Link& link = job.links[l];
      if (k >= link.begin && k < link.end)
        equal += bits::count(~(down[k] ^ bits::window(down, k, link.shift)) & link.has[k]);
    }
  }
  __atomic_fetch_add(&sums[0], equal, __ATOMIC_RELAXED);
  __atomic_fetch_add(&sums[1], magnetization, __ATOMIC_RELAXED);
}

// Sites of the commonest colour.
template <class T>
std::int64_t commonest(const Batch& batch, const T* field) {
  const std::int64_t sites = sites_of(batch.lattice);
  constexpr int slice = 256;  // colours counted in one pass, so that no memory is needed however many there are
  std::int64_t best = 0;
  for (int low = 0; low < batch.q; low += slice) {
    std::int64_t count[slice] = {};
    for (std::int64_t i = 0; i < sites; ++i) {
      const int colour = static_cast<int>(field[i]) - low;
      if (colour >= 0 && colour < slice) ++count[colour];
    }
    for (int c = 0; c < slice; ++c) best = count[c] > best ? count[c] : best;
  }
  return best;
}

// Measures after step `done` (counted from 1) when it is due; the field is at rest between two waits of the team.
template <class T>
void measure_when_due(const Batch& batch, const T* field, const Team& team, std::int64_t index, std::int64_t done) {
  if (batch.sums == nullptr || done % batch.every != 0) return;
  std::int64_t* sums = batch.sums + ((done / batch.every - 1) * batch.batch + index) * batch.columns;
  add_sums(batch, field, team, sums);
  if (batch.q > 0 && team.rank == 0) sums[1] += commonest(batch, field);
  team.wait();
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
