#define PYQMC_ISA avx512
#include "images/real_resample.hpp"
