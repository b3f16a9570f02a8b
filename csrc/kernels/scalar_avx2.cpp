#define PYQMC_ISA avx2
#include "kernels/scalar.hpp"
