#define PYQMC_ISA avx512
#include "images/resample.hpp"
