#define PYQMC_ISA avx2
#include "images/real_resample.hpp"
