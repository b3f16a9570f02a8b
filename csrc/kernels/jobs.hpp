// What the compiled kernels are asked to do: plain data, filled in by bind/ and read by every instruction-set build.
//
// A batch holds `batch` fields one after the other: replica r, rung k at index r * rungs + k. Row k of a table belongs
// to rung k. `sums` receives, after every `every`-th step, for each field the number of equal bonds and the
// magnetization (Ising: sum of the spins; Potts: sites of the commonest colour); shape (n / every, batch, 2), zeroed.
// With four columns Swendsen-Wang adds, for the clusters of that step, the sum of their squared magnetizations and that
// of the fourth powers (a double).
// `tally` counts accepted changes (local, exchange), clusters (Swendsen-Wang) or changed sites (Wolff); shape (batch).
#pragma once

#include <cstdint>

#include "core/lattice.hpp"
#include "core/parallel.hpp"

namespace pyqmc {

struct Batch {
  Lattice lattice;
  void* field;
  int bytes;  // of one value: 1 or 2
  std::int64_t batch;
  std::int64_t rungs;
  std::int32_t q;  // colours; 0 for Ising spins
  std::uint64_t key;
  std::uint32_t first_replica;  // times rungs
  std::uint32_t first_step;
  std::int64_t steps;
  std::int64_t every;
  std::int64_t* sums;
  std::int64_t columns;  // of sums: 2, or 4 with the moments of clusters
  std::int64_t* tally;
  int threads;
};

struct LocalJob {
  Batch batch;
  std::int32_t rule;
  const std::uint64_t* table;
  std::int64_t table_size;
};

// Forward bonds of one direction that lead `shift` sites further along (or back, around a boundary): core/links.hpp.
struct Link {
  std::int32_t direction;
  std::int64_t shift;
  std::int64_t begin, end;  // no word of the map outside of [begin, end) has a bond
  std::int32_t map;
  const std::uint64_t* has;  // bit map of the sites the bonds start from
};

// Sites that the queue of a growing cluster is read and written beyond those of the lattice.
inline constexpr std::int64_t queue_margin = 16;

struct ClusterJob {
  Batch batch;
  bool unequal;                // bonds may form between unequal spins (antiferromagnet)
  const std::uint64_t* bond;   // (rungs): probability of a bond
  const std::uint64_t* ghost;  // (rungs): probability of a bond to the ghost spin, all 0 without a field
  std::int32_t ghost_spin;     // the orientation the field favours
  const Link* links;           // Swendsen-Wang
  std::int32_t link_count;
  std::int32_t planes;      // bits of a colour, 1 for Ising spins
  std::uint64_t* maps;      // scratch of bit maps: (teams, planes + links + 2, words and a margin on either side)
  std::int64_t map_length;  // words of a bit map with its margins
  const std::int32_t* neighbours;  // Wolff: (sites, 2 directions): forward, backward, direction by direction; -1 absent
  std::int32_t directions;
  std::int64_t clusters;  // Wolff: clusters in one step
  std::int32_t* moments;  // Swendsen-Wang: scratch (teams, sites in whole words), zeroed, where sums have four columns
  double* fourths;        // and scratch (teams, blocks of `margin` words)
  // Scratch (teams, sites in whole words): labels; or, with a margin, the queue of a growing cluster.
  std::uint32_t* sites;
};

struct ExchangeJob {
  Batch batch;
  const std::int32_t* neighbours;
  std::int32_t directions;
  const std::uint64_t* table;  // (rungs, 4 z + 1): acceptance by s_i n_i + s_j n_j (without i-j bonds) + 2 z
  std::int32_t coordination;
  std::int32_t range;  // 0 neighbours, 1 any two sites, 2 in turn
};

// One instruction set's build of every hot loop.
struct DiscreteKernels {
  const char* isa;
  void (*local)(const LocalJob&);
  void (*swendsen_wang)(const ClusterJob&);
  void (*wolff)(const ClusterJob&);
  void (*exchange)(const ExchangeJob&);
  void (*measure)(const Batch&);
};

}  // namespace pyqmc
