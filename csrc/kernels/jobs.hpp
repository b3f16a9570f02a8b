// What the compiled kernels are asked to do: plain data, filled in by bind/ and read by every instruction-set build.
//
// A batch holds `batch` fields one after the other: replica r, rung k at index r * rungs + k. Row k of a table belongs
// to rung k. `sums` receives, after every `every`-th step, for each field the number of equal bonds and the
// magnetization (Ising: sum of the spins; Potts: sites of the commonest colour); shape (n / every, batch, 2), zeroed.
// With four columns Swendsen-Wang adds, for the clusters of that step, the sum of their squared magnetizations and that
// of the fourth powers (a double), with a fifth that of their squared Fourier modes (a double):
// kernels/cluster_moments.hpp; behind them `distances` numbers of pairs, where they are asked for:
// kernels/line_pairs.hpp. Wolff adds M^2 / n over the clusters of that step, of n spins each (a double). `tally` counts
// accepted changes (local, exchange), clusters (Swendsen-Wang) or changed sites (Wolff); shape (batch).
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
  std::int64_t columns;  // of sums: 2; with moments of clusters 4, with their modes 5; more with pairs
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

// How a square or cubic lattice is stored with one bit for each spin (kernels/packed.hpp), in words of 64 bits.
struct PackedShape {
  std::int64_t half;    // sites of one colour in a row of the lattice
  std::int64_t folds;   // rows of the lattice that share a stored row
  std::int64_t words;   // of a stored row
  std::int64_t rows;    // stored rows of a plane
  std::int64_t planes;  // 1 in two dimensions
  std::int64_t front;   // words before the first row of a plane
  std::int64_t stride;  // from plane to plane
  bool many;            // whether several small fields are worth being updated side by side
  std::int64_t memory;  // of one thread: both colours, of several fields if so, and the tables
};

inline namespace PYQMC_ISA {

// Whether a lattice can be stored so: two or three periodic axes of even extent.
inline bool can_be_packed(const Lattice& lattice) {
  bool can = lattice.kind == LatticeKind::hypercubic && (lattice.dimension == 2 || lattice.dimension == 3);
  for (int mu = 0; mu < lattice.dimension; ++mu) can = can && lattice.periodic[mu] && lattice.shape[mu] % 2 == 0;
  return can;
}

inline PackedShape packed_shape(const Lattice& lattice) {
  const auto in_eights = [](std::int64_t n) { return (n + 7) / 8 * 8; };
  PackedShape p{};
  p.half = lattice.shape[lattice.dimension - 1] / 2;
  p.words = (p.half + 63) / 64;
  p.rows = lattice.shape[lattice.dimension - 2];
  // Short rows share a word: as many as fit, and as divide the number of rows.
  p.folds = 1;
  for (std::int64_t n = 2; n <= p.rows && n * p.half <= 64; ++n)
    if (p.rows % n == 0) p.folds = n;
  p.rows /= p.folds;
  p.planes = lattice.dimension == 3 ? lattice.shape[0] : 1;
  p.front = in_eights(p.words);
  // Registers may read, not write, a little beyond the copy of the first row.
  p.stride = p.front + in_eights(p.rows * p.words) + in_eights(p.words + 8);
  // Where a plane does not fill a block, and side by side the fields still fit into the second cache.
  constexpr std::int64_t widest = 8, second_cache = 1 << 16;
  const std::int64_t spins = 2 * p.planes * p.stride;
  p.many = p.rows * p.words < 32 && widest * spins <= second_cache;
  p.memory = in_eights((p.many ? widest : 1) * spins + 3 * (2 * p.words + 8));
  return p;
}

// A squared magnetization of a cluster: 1024 fourth powers of smaller ones add up to a whole number below 2^63.
inline constexpr std::int64_t large_square = 1 << 26;

// The table of clusters on a line has twice as many slots as it can have clusters.
inline int line_slot_bits(std::int64_t width) {
  int bits = 1;
  while (1ll << bits < 2 * width) ++bits;
  return bits;
}

// What one member of a team needs to look for pairs on a line (kernels/line_pairs.hpp), in whole numbers of 64 bits.
inline std::int64_t line_scratch(std::int64_t width) {
  return (2 * (width + 1) + 7 * width + 2 + (2ll << line_slot_bits(width)) + 1) / 2 * 2;
}

}  // namespace PYQMC_ISA

// Sweeps of Ising spins on a lattice that can be packed.
struct MultispinJob {
  Batch batch;
  const std::uint64_t* table;  // as for Rule::ising
  PackedShape shape;
  std::uint64_t* memory;  // (threads that work alone, shape.memory), zeroed, aligned to a cache line
};

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
  std::uint32_t* rims;    // Swendsen-Wang: scratch (threads that share a field, 2, sites in whole words)
  // Swendsen-Wang, where sums have more than two columns: scratch (threads, sites in whole words), zeroed, for
  // magnetizations and, `mode_lanes` numbers to a place, for modes; (threads, blocks of `margin` words) and (threads,
  // 2, blocks). The tables of modes are those of kernels/phases.hpp.
  std::int32_t* moments;
  std::int64_t* modes;
  std::uint32_t* firsts;
  double* fourths;
  int mode_lanes;
  const std::int32_t* along;
  const std::int64_t* across;
  const std::uint64_t* row_starts;  // bit map of the first sites of rows
  bool of_fields;                   // Swendsen-Wang: whether the first two columns of sums are asked for
  // Swendsen-Wang: how many lines along the last axis are looked at for pairs in one step, and at how many distances,
  // 0 where pairs are not asked for; scratch (threads, line_scratch).
  std::int64_t lines, distances;
  std::uint32_t* lines_memory;
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

// Heat-bath sweeps of a spin glass (kernels/glass.hpp). A field holds two copies at each site, its values side by side.
// Copy c of replica r, counted from the first replica of all, has bit (2 r + c) % 64 of word (2 r + c) / 64 of its
// rung.
inline constexpr int glass_digits = 12;  // compared for all copies at once

struct GlassJob {
  std::int64_t sites;
  std::int64_t slots;  // neighbours in the tables: 4 or 6
  std::int32_t colours;
  const std::int64_t* starts;      // (colours + 1): where each colour starts in `order`
  const std::int32_t* order;       // (sites): the sites, colour by colour
  const std::int32_t* neighbours;  // (sites, slots)
  const std::uint64_t* negative;   // (sites, slots): all ones where the coupling is negative
  bool uniform;                    // all couplings have one strength: entries by how many neighbours pull upwards
  const std::int32_t* row;         // (sites): which row of its rung's table belongs to a site
  const std::uint64_t* table;      // (rungs, rows, entries)
  // (rungs, rows, glass_digits, functions): the upper digits of the entries, four of them to a function of two bits,
  // which is named by eight times its number in `fill_functions`.
  const std::uint8_t* upper;
  std::int64_t functions;
  const std::uint8_t* bytes;  // (rungs, rows, 2, entries): of each entry the first eight digits, and the next four
  std::int64_t rows, entries;
  const std::int32_t* bonds;  // (bond_count, 3): both sites and the coupling in units
  std::int64_t bond_count;
  std::int8_t* field;  // (batch, sites, 2)
  std::int64_t batch, rungs;
  std::int64_t first_replica;      // not times rungs
  std::int64_t first_word, words;  // of a rung
  std::uint64_t key;
  std::uint32_t first_step;
  std::int64_t steps, every;
  std::int64_t* sums;   // (steps / every, batch, 2), or null
  std::int64_t* tally;  // (rungs): spins that changed are added
  int threads;
  std::uint64_t* memory;  // (threads, sites, 8)
};

// Random words of consecutive indices.
struct PhiloxJob {
  std::uint64_t key;
  std::uint32_t replica;
  std::uint32_t step;
  std::uint32_t tag;  // purpose and number, as in Draws::tag
  std::uint32_t first;
  std::int64_t blocks;
  std::uint32_t* out;  // (blocks, 4)
};

// One instruction set's build of every hot loop.
struct DiscreteKernels {
  const char* isa;
  void (*local)(const LocalJob&);
  void (*multispin)(const MultispinJob&);
  void (*swendsen_wang)(const ClusterJob&);
  void (*wolff)(const ClusterJob&);
  void (*exchange)(const ExchangeJob&);
  void (*measure)(const Batch&);
  void (*philox)(const PhiloxJob&);
  void (*glass)(const GlassJob&);
};

}  // namespace pyqmc
