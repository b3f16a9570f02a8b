#define PYQMC_ISA avx2
#include "kernels/reader.hpp"
