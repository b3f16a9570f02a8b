#define PYQMC_ISA avx512vbmi2
#include "kernels/glass.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

void sweep_glass(const GlassJob& job) { glass::sweep(job); }

}  // namespace PYQMC_ISA
}  // namespace pyqmc
