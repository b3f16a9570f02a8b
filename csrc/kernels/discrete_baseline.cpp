#define PYQMC_ISA baseline
#include "kernels/discrete.hpp"
