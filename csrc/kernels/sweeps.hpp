// Runs sweeps of Ising spins the way their lattice allows: bind/ and the C interface share this choice and its memory.
#pragma once

#include <cstdint>

#include "kernels/jobs.hpp"

namespace pyqmc {

// Sweeps on a lattice that can be packed; throws std::bad_alloc where the memory is missing.
void run_multispin(const DiscreteKernels& kernels, const Batch& batch, const std::uint64_t* table);

}  // namespace pyqmc
