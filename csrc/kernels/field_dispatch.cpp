#include <cstring>

#include "core/isa.hpp"
#include "kernels/field_jobs.hpp"

namespace pyqmc {

#if !defined(PYQMC_BASELINE_ONLY)
inline namespace avx2 {
extern const FieldKernels field_kernels;
}
inline namespace avx512 {
extern const FieldKernels field_kernels;
}
#endif
inline namespace baseline {
extern const FieldKernels field_kernels;
}

const FieldKernels& field_kernels_in_use() {
#if !defined(PYQMC_BASELINE_ONLY)
  const char* isa = discrete_kernels_in_use().isa;
  if (std::strcmp(isa, avx512::field_kernels.isa) == 0) return avx512::field_kernels;
  if (std::strcmp(isa, avx2::field_kernels.isa) == 0) return avx2::field_kernels;
#endif
  return baseline::field_kernels;
}

}  // namespace pyqmc
