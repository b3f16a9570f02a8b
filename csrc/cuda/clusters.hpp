// What the Swendsen-Wang kernels of a device share: fields as bit planes, the links of the lattice, and union-find
// among threads.
#pragma once

#include "core/links.hpp"
#include "cuda/launch.hpp"
#include "kernels/runs.hpp"

namespace pyqmc::cuda {

inline constexpr std::int64_t tile_words = block_threads;  // labelled together in shared memory, a word for each thread

// Plain data; the maps of a field are its planes, the bonds of each link, the first sites of runs, and the coins.
struct Clusters {
  std::int64_t sites, words, map_length;
  std::int64_t fields, rungs;
  std::int32_t q, planes, links, directions;
  bool unequal;
  std::int32_t ghost_spin;
  Link link[max_links];
  std::uint64_t* maps;    // (fields, planes + links + 2, map_length)
  std::uint32_t* parent;  // (fields, 64 words)
  const std::uint64_t* bond;
  const std::uint64_t* ghost;
  std::uint64_t key;
  std::uint32_t first_replica;
  std::int64_t* tally;     // (fields)
  std::int32_t* moments;   // (fields, 64 words), zeros between steps, where they are asked for
  double* fourths;         // (fields, blocks of `margin` words)
  std::uint32_t* colours;  // (fields, q): sites of each colour

  PYQMC_HD std::uint64_t* map(std::int64_t field, std::int64_t number) const {
    return maps + (field * (planes + links + 2) + number) * map_length + margin;
  }
  __device__ std::uint64_t* active(std::int64_t field, int l) const { return map(field, planes + l); }
  __device__ std::uint64_t* starts(std::int64_t field) const { return map(field, planes + links); }
  __device__ std::uint64_t* coins(std::int64_t field) const { return map(field, planes + links + 1); }
  __device__ std::uint32_t* parents(std::int64_t field) const { return parent + field * words * 64; }
  __device__ Draws draws(std::int64_t field, std::uint32_t step) const {
    return {key, first_replica + static_cast<std::uint32_t>(field), step};
  }
  __device__ std::int64_t distance(int l) const { return link[l].shift < 0 ? -link[l].shift : link[l].shift; }

  // Of word k, which bits differ from those that link l leads to.
  __device__ std::uint64_t differing(std::int64_t field, int l, std::int64_t k) const {
    std::uint64_t differs = 0;
    for (std::int32_t p = 0; p < planes; ++p) {
      const std::uint64_t* plane = map(field, p);
      differs |= plane[k] ^ bits::window(plane, k, link[l].shift);
    }
    return differs;
  }

  // Later ends of link l in word k, but for bonds beside one that joins the same two runs.
  __device__ std::uint64_t useful_ends(std::int64_t field, int l, std::int64_t k) const {
    const std::uint64_t ends = later_ends(link[l], active(field, l), l == 0, k);
    const std::uint64_t* first = starts(field);
    return ends & ~(ends << 1 & ~(first[k] | bits::window(first, k, -distance(l))));
  }
};

// Other threads write what is read here; volatile, so that it is read each time.
__device__ inline std::uint32_t find_root(const std::uint32_t* parent, std::uint32_t site) {
  for (;;) {
    const std::uint32_t above = *static_cast<const volatile std::uint32_t*>(parent + site);
    if (above == site) return site;
    site = above;
  }
}

// Points the larger of two roots to the smaller one. Only roots are ever changed, and only to something smaller, so no
// order of the threads can change which site ends up as the root: the smallest of the cluster.
__device__ inline void unite_atomically(std::uint32_t* parent, std::uint32_t a, std::uint32_t b) {
  for (;;) {
    a = find_root(parent, a);
    b = find_root(parent, b);
    if (a == b) return;
    if (a < b) {
      const std::uint32_t site = a;
      a = b;
      b = site;
    }
    if (atomicCAS(parent + a, a, b) == a) return;  // else another thread was faster: both roots are sought anew
  }
}

// The colour a cluster named by `site` takes: what SwendsenWang::draw_colours draws for every site.
__device__ inline std::uint64_t colour_of(const Draws& draws, std::uint32_t site, std::int32_t q) {
  const std::uint64_t upper = draws.block(Purpose::flip, site >> 2, 0).word[site & 3];
  const std::uint64_t lower = draws.block(Purpose::flip, site >> 2, 1).word[site & 3];
  return scaled(upper << 31 | lower >> 1, static_cast<std::uint64_t>(q));
}

// One step on every field; with moments where `moments` (fields, 4), the sums of this measurement, are given.
void launch_step(const Clusters& clusters, std::uint32_t step, bool in_field, std::int64_t* moments);

// Adds the sums of every field to `sums` (fields, columns).
void launch_measure(const Clusters& clusters, std::int64_t* sums, std::int64_t columns);

// Bits [x, stop) of a word, stop > x.
__device__ inline std::uint64_t bits_between(int x, int stop) { return ~0ull << x & ~0ull >> (64 - stop); }

}  // namespace pyqmc::cuda
