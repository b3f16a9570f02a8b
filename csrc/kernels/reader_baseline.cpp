#define PYQMC_ISA baseline
#include "kernels/reader.hpp"
