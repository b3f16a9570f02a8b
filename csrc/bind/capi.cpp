// The functions of capi/interface.hpp, and the capsule that hands out their addresses.
#include <pybind11/pybind11.h>

#include <algorithm>

#include "capi/interface.hpp"
#include "core/failure.hpp"
#include "core/isa.hpp"
#include "core/philox.hpp"
#include "kernels/jobs.hpp"
#include "kernels/sweeps.hpp"
#include "models/discrete.hpp"

namespace pyqmc::bind {
namespace {

static_assert(PYQMC_SITE == static_cast<int>(Purpose::site) && PYQMC_BOND == static_cast<int>(Purpose::bond) &&
              PYQMC_FLIP == static_cast<int>(Purpose::flip) && PYQMC_SEED == static_cast<int>(Purpose::seed) &&
              PYQMC_EXCHANGE == static_cast<int>(Purpose::exchange) && PYQMC_SWAP == static_cast<int>(Purpose::swap) &&
              PYQMC_START == static_cast<int>(Purpose::start) && PYQMC_FOLD == static_cast<int>(Purpose::fold) &&
              PYQMC_USER == static_cast<int>(Purpose::user));
static_assert(PYQMC_HYPERCUBIC == static_cast<int>(LatticeKind::hypercubic) &&
              PYQMC_TRIANGULAR == static_cast<int>(LatticeKind::triangular) &&
              PYQMC_HONEYCOMB == static_cast<int>(LatticeKind::honeycomb) && PYQMC_MAX_DIMENSION == max_dimension);

bool is_possible(const pyqmc_lattice* lattice) {
  if (lattice == nullptr || lattice->kind < PYQMC_HYPERCUBIC || lattice->kind > PYQMC_HONEYCOMB) return false;
  if (lattice->dimension < 1 || lattice->dimension > max_dimension) return false;
  if (lattice->kind != PYQMC_HYPERCUBIC && lattice->dimension != 2) return false;
  std::int64_t sites = 1;
  for (int mu = 0; mu < lattice->dimension; ++mu) {
    if (lattice->shape[mu] < 2 || lattice->shape[mu] > INT32_MAX / sites) return false;
    sites *= lattice->shape[mu];
  }
  return true;
}

Lattice native(const pyqmc_lattice& given) {
  Lattice lattice{};
  lattice.kind = static_cast<LatticeKind>(given.kind);
  lattice.dimension = given.dimension;
  for (int mu = 0; mu < given.dimension; ++mu) {
    lattice.shape[mu] = given.shape[mu];
    lattice.periodic[mu] = given.periodic[mu] != 0;
  }
  return lattice;
}

// Whether no bond joins two sites of one colour: a periodic axis must hold whole periods of the colouring.
bool colouring_closes(const Lattice& lattice) {
  for (int mu = 0; mu < lattice.dimension; ++mu)
    if (lattice.periodic[mu] && lattice.shape[mu] % colours_of(lattice) != 0) return false;
  return true;
}

// Any other value would reach beyond the table.
bool all_spins(const std::int8_t* field, std::int64_t sites) {
  int wrong = 0;
  for (std::int64_t i = 0; i < sites; ++i) wrong |= field[i] != 1 && field[i] != -1;
  return wrong == 0;
}

extern "C" {

void philox_block(std::uint64_t key, std::uint32_t index, std::uint32_t replica, std::uint32_t step,
                  std::uint32_t purpose, std::uint32_t number, std::uint32_t out[4]) {
  const Block block = Draws{key, replica, step}.block(static_cast<Purpose>(purpose), index, number);
  std::copy_n(block.word, 4, out);
}

std::uint64_t draw(std::uint64_t key, std::uint32_t index, std::uint32_t replica, std::uint32_t step,
                   std::uint32_t purpose, std::uint32_t number) {
  return Draws{key, replica, step}.block(static_cast<Purpose>(purpose), index, number).draw(0);
}

int ising_sweeps(const pyqmc_lattice* given, std::int8_t* field, const std::uint64_t* table, std::int64_t table_size,
                 std::uint64_t key, std::uint32_t replica, std::uint32_t first_step, std::int64_t steps, int threads,
                 std::int64_t* flips) {
  if (!is_possible(given)) return PYQMC_BAD_LATTICE;
  const Lattice lattice = native(*given);
  if (!colouring_closes(lattice)) return PYQMC_BAD_COLOURING;
  if (table == nullptr || table_size != 2 * (2 * coordination_of(lattice) + 1)) return PYQMC_BAD_TABLE;
  const std::int64_t step_limit = std::int64_t{1} << 32;
  if (steps < 0 || steps > step_limit - first_step) return PYQMC_BAD_STEPS;
  if (threads < 1 || threads > PYQMC_MAX_THREADS) return PYQMC_BAD_THREADS;
  if (field == nullptr || !all_spins(field, sites_of(lattice))) return PYQMC_BAD_FIELD;
  std::int64_t accepted = 0;
  LocalJob job{};
  job.batch.lattice = lattice;
  job.batch.field = field;
  job.batch.bytes = 1;
  job.batch.batch = job.batch.rungs = job.batch.every = 1;
  job.batch.key = key;
  job.batch.first_replica = replica;
  job.batch.first_step = first_step;
  job.batch.steps = steps;
  job.batch.tally = &accepted;
  job.batch.threads = threads;
  job.rule = static_cast<std::int32_t>(Rule::ising);
  job.table = table;
  job.table_size = table_size;
  try {
    const DiscreteKernels& kernels = discrete_kernels_in_use();
    if (can_be_packed(lattice)) run_multispin(kernels, job.batch, table);
    else kernels.local(job);
  } catch (const BadArgument&) {
    return PYQMC_BAD_ISA;
  }
  if (flips != nullptr) *flips += accepted;
  return PYQMC_DONE;
}

const char* message(int code) {
  switch (code) {
    case PYQMC_DONE:
      return "done";
    case PYQMC_BAD_LATTICE:
      return "the lattice is impossible: expected a known kind, 1 to 4 axes (2 if triangular or honeycomb), extents of "
             "at least 2 and at most 2^31 - 1 sites; let describe_lattice fill it";
    case PYQMC_BAD_COLOURING:
      return "the colouring cannot close around a periodic axis: expected extents divisible by 2, by 3 if triangular; "
             "change them or open that axis";
    case PYQMC_BAD_FIELD:
      return "the field is missing or holds another value than -1 and +1";
    case PYQMC_BAD_TABLE:
      return "the table is missing or has the wrong size: expected 2 (2 z + 1) entries; take "
             "pyqmc_art.lattice.acceptance.ising_flips of an action on this lattice";
    case PYQMC_BAD_STEPS:
      return "steps is out of range: expected 0 <= steps and first_step + steps <= 2^32";
    case PYQMC_BAD_THREADS:
      return "threads is out of range: expected 1 to 1024";
    case PYQMC_BAD_ISA:
      return "the environment variable PYQMC_ISA names an instruction set that is not available; unset it";
    default:
      return "unknown code";
  }
}

}  // extern "C"

const pyqmc_interface functions = {PYQMC_INTERFACE_VERSION, philox_block, draw, ising_sweeps, message};

}  // namespace

void bind_capi(pybind11::module_& module) {
  module.attr("capi") = pybind11::capsule(&functions, "pyqmc_art._core.capi");
}

}  // namespace pyqmc::bind
