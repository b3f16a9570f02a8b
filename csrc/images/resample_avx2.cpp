#define PYQMC_ISA avx2
#include "images/resample.hpp"
