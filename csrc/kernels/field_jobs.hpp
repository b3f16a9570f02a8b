// What the compiled kernels of continuous fields are asked to do: plain data, as kernels/jobs.hpp is for spins.
//
// Field index = replica * rungs + rung; a site holds `components` numbers one after the other. Row k of `couplings`
// belongs to rung k: g, a, b of models/scalar.hpp (one component) or beta, 0, 0 of models/vector.hpp. `sums` receives,
// after every `every`-th step, `columns` sums of each field; shape (steps / every, batch, columns): see field_sums.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/lattice.hpp"
#include "core/parallel.hpp"

namespace pyqmc {

inline constexpr int couplings_per_rung = 3;

struct FieldBatch {
  Lattice lattice;
  double* field;
  std::int64_t components;  // 1: phi^4; n >= 2: unit vectors of O(n)
  std::int64_t batch;
  std::int64_t rungs;
  const double* couplings;         // (rungs, couplings_per_rung)
  const std::int32_t* neighbours;  // (sites, 2 directions): forward, backward, direction by direction; -1 absent
  std::int32_t directions;
  std::uint64_t key;
  std::uint32_t first_replica;  // times rungs
  std::uint32_t first_step;
  std::int64_t steps;
  std::int64_t every;
  double* sums;
  std::int64_t columns;
  std::int64_t* tally;
  int threads;
  double* scratch;  // (slots, scratch_size)
  std::int64_t scratch_size;
  // (rows, 2 (dimension - 1)): the row reached forward and backward along each axis but the last, -1 absent. Divisions
  // of coordinates would cost a short row more than its sites do.
  const std::int64_t* beyond;
};

inline namespace PYQMC_ISA {

// Trajectories work through rows in whole groups of numbers, see Rows in hmc.hpp.
inline constexpr std::int64_t row_group = 8, row_padding = 2;

inline std::int64_t padded_width(std::int64_t width) { return (width + row_group - 1) / row_group * row_group; }

inline std::int64_t padded_size(const FieldBatch& batch) {
  const std::int64_t width = batch.lattice.shape[batch.lattice.dimension - 1];
  return rows_of(batch.lattice) * (padded_width(width) + row_padding) * batch.components;
}

}  // namespace PYQMC_ISA

// Positions move by drifts[0], then `stages` times: momenta by kicks[i], positions by drifts[i + 1].
struct HmcJob {
  FieldBatch batch;
  const double* kicks;
  const double* drifts;
  std::int64_t stages;
  double spread;  // the length of a trajectory is 1 + spread * uniform(-1, 1) times the given one
  double* error;  // (steps, batch): energy error of each trajectory
};

struct FieldLocalJob {
  FieldBatch batch;
  std::int32_t rule;
  const double* width;  // (batch): width of the Metropolis proposal
};

struct FieldClusterJob {
  FieldBatch batch;
  std::int64_t clusters;  // Wolff: clusters in one step
  std::uint32_t* sites;   // scratch (slots, sites)
  std::uint8_t* marks;    // scratch (slots, sites), zeroed
};

// Normal numbers of consecutive indices, two for each.
struct NormalsJob {
  std::uint64_t key;
  std::uint32_t replica;
  std::uint32_t step;
  std::uint32_t first;
  std::int64_t blocks;
  double* out;  // (blocks, 2)
};

inline constexpr int network_width = 64;  // largest layer behind the inputs
inline constexpr int patch_sites = 16, patch_around = 64, patch_latents = 16;

// Layer k maps sizes[k] numbers to sizes[k + 1]; its rows are an offset and the weights of its inputs.
struct LocalNetwork {
  const std::int64_t* sizes;
  std::int64_t layers;
  const double* weights;
};

// Patches of sites that a network updates given the sites around them: see field_patch.hpp.
struct PatchJob {
  FieldBatch batch;
  const std::int32_t* members;  // (2, patches, size): the sites of each patch, colour by colour
  const std::int32_t* around;   // (2, patches, rim): the sites across the bonds that lead out of it
  std::int64_t patches, size, rim;
  const std::int32_t* inner;  // (bonds, 2): the bonds inside, as positions in a patch
  std::int64_t bonds;
  const std::int32_t* outer;  // (rim): where in the patch each bond outwards starts
  std::int64_t latents;
  LocalNetwork decoder, encoder;
  void* room;  // (threads, FieldKernels::patch_room), aligned for vectors
};

// One instruction set's build of every hot loop.
struct FieldKernels {
  const char* isa;
  void (*hmc)(const HmcJob&);
  void (*local)(const FieldLocalJob&);
  void (*swendsen_wang)(const FieldClusterJob&);
  void (*wolff)(const FieldClusterJob&);
  void (*patches)(const PatchJob&);
  std::size_t patch_room;  // bytes of each thread
  void (*measure)(const FieldBatch&);
  void (*normals)(const NormalsJob&);
};

// The build that discrete_kernels_in_use() would take too.
const FieldKernels& field_kernels_in_use();

}  // namespace pyqmc
