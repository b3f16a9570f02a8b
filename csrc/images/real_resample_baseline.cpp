#define PYQMC_ISA baseline
#include "images/real_resample.hpp"
