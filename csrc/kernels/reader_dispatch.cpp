#include <cstring>

#include "core/isa.hpp"
#include "kernels/reader_jobs.hpp"

namespace pyqmc {

#if !defined(PYQMC_BASELINE_ONLY)
inline namespace avx2 {
extern const ReaderKernels reader_kernels;
}
inline namespace avx512 {
extern const ReaderKernels reader_kernels;
}
#endif
inline namespace baseline {
extern const ReaderKernels reader_kernels;
}

const ReaderKernels& reader_kernels_in_use() {
#if !defined(PYQMC_BASELINE_ONLY)
  const char* isa = discrete_kernels_in_use().isa;
  if (std::strcmp(isa, avx512::reader_kernels.isa) == 0) return avx512::reader_kernels;
  if (std::strcmp(isa, avx2::reader_kernels.isa) == 0) return avx2::reader_kernels;
#endif
  return baseline::reader_kernels;
}

}  // namespace pyqmc
