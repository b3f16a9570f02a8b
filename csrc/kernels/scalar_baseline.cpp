#define PYQMC_ISA baseline
#include "kernels/scalar.hpp"
