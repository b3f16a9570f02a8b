#include "core/isa.hpp"

#include <cstdlib>

#include "core/failure.hpp"

namespace pyqmc {

#if !defined(PYQMC_BASELINE_ONLY)
inline namespace avx2 {
extern const DiscreteKernels discrete_kernels;
}
inline namespace avx512 {
extern const DiscreteKernels discrete_kernels;
}
inline namespace avx512vbmi2 {
void sweep_glass(const GlassJob&);
}
#endif
inline namespace baseline {
extern const DiscreteKernels discrete_kernels;
}

namespace {

#if !defined(PYQMC_BASELINE_ONLY)
// The first processors with AVX-512 look no bytes up and multiply no matrices of bits; theirs are the loops of words.
const DiscreteKernels& widest() {
  static const DiscreteKernels kernels = [] {
    DiscreteKernels found = avx512::discrete_kernels;
    if (__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("gfni"))
      found.glass = avx512vbmi2::sweep_glass;
    return found;
  }();
  return kernels;
}
#endif

std::vector<const DiscreteKernels*> available() {
  std::vector<const DiscreteKernels*> found{&baseline::discrete_kernels};
#if !defined(PYQMC_BASELINE_ONLY)
  __builtin_cpu_init();
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                        __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                        __builtin_cpu_supports("popcnt");
  if (has_avx2) found.push_back(&avx2::discrete_kernels);
  if (has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    found.push_back(&widest());
#endif
  return found;
}

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const DiscreteKernels* kernels : available()) names.emplace_back(kernels->isa);
  return names;
}

const DiscreteKernels& discrete_kernels_in_use() {
  const std::vector<const DiscreteKernels*> found = available();
  const char* wanted = std::getenv("PYQMC_ISA");
  if (wanted == nullptr || *wanted == '\0') return *found.back();
  std::string names;
  for (const DiscreteKernels* kernels : found) {
    if (std::string(kernels->isa) == wanted) return *kernels;
    names += std::string(names.empty() ? "" : ", ") + kernels->isa;
  }
  throw BadArgument("PYQMC_ISA is '" + std::string(wanted) + "'; available on this processor: " + names);
}

}  // namespace pyqmc
