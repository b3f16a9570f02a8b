#define PYQMC_ISA avx512vnni
#include "images/resample.hpp"
