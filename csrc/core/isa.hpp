// Chooses, once, the widest build of the hot loops that this processor runs.
#pragma once

#include <string>
#include <vector>

#include "kernels/jobs.hpp"

namespace pyqmc {

// Instruction sets this build contains and this processor runs, narrowest first.
std::vector<std::string> available_isas();

// The build named by the environment variable PYQMC_ISA, or the widest available; throws BadArgument for a name that is
// not available.
const DiscreteKernels& discrete_kernels_in_use();

}  // namespace pyqmc
