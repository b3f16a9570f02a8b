#define PYQMC_ISA baseline
#include "images/resample.hpp"
