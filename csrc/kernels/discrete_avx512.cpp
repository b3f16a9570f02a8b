#define PYQMC_ISA avx512
#include "kernels/discrete.hpp"
