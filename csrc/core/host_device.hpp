// Marks functions that a CPU loop and a device loop share. Files of csrc/cuda define PYQMC_DEVICE: to the loops, a
// device is one more instruction set, whose registers hold one word.
#pragma once

#if defined(__CUDACC__)
#define PYQMC_HD __host__ __device__
#else
#define PYQMC_HD
#endif

// Every instruction-set build of a hot loop lives in its own inline namespace: otherwise the linker would merge the
// builds of an inline function and an old processor might meet the AVX-512 one.
#if !defined(PYQMC_ISA)
#define PYQMC_ISA baseline
#endif

#define PYQMC_TEXT_OF(x) #x
#define PYQMC_TEXT(x) PYQMC_TEXT_OF(x)
#define PYQMC_ISA_NAME PYQMC_TEXT(PYQMC_ISA)
