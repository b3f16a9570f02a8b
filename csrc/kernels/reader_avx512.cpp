#define PYQMC_ISA avx512
#include "kernels/reader.hpp"
