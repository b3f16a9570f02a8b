// Union-find over runs: every run points to an earlier one of its cluster, and the earliest, its root, to itself.
#pragma once

#include <cstdint>

#include "core/host_device.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

// Rem's union-find (Dijkstra 1976): the larger root points to the smaller, and paths are spliced on the way.
inline void unite(std::uint32_t* parent, std::uint32_t a, std::uint32_t b) {
  std::uint32_t above_a = parent[a], above_b = parent[b];
  while (above_a != above_b) {
    if (above_a < above_b) {
      const std::uint32_t site = a, above = above_a;
      a = b;
      above_a = above_b;
      b = site;
      above_b = above;
    }
    parent[a] = above_b;
    if (above_a == a) return;
    a = above_a;
    above_a = parent[a];
  }
}

inline std::uint32_t root_of(const std::uint32_t* parent, std::uint32_t site) {
  // Another thread may unite roots meanwhile; every site above this one stays above it.
  for (;;) {
    const std::uint32_t above = __atomic_load_n(&parent[site], __ATOMIC_RELAXED);
    if (above == site) return site;
    site = above;
  }
}

// Points the larger of two roots to the smaller one while other threads do the same; returns the one that is no root
// any more, or -1 where they are one cluster already. Only roots ever change, and only to something smaller, so no
// order of the threads can change which site is the root in the end.
inline std::int64_t unite_roots(std::uint32_t* parent, std::uint32_t a, std::uint32_t b) {
  for (;;) {
    a = root_of(parent, a);
    b = root_of(parent, b);
    if (a == b) return -1;
    if (a < b) {
      const std::uint32_t site = a;
      a = b;
      b = site;
    }
    std::uint32_t expected = a;
    if (__atomic_compare_exchange_n(&parent[a], &expected, b, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return a;
  }
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
