// The face of the kernels for simulation codes: plain C types, no Python, no exceptions. The functions live once, in
// pyqmc_art._core, which hands out their addresses in the capsule "pyqmc_art._core.capi":
//
//   const auto* qmc = static_cast<const pyqmc_interface*>(PyCapsule_Import("pyqmc_art._core.capi", 0));
//
// after `import pyqmc_art._core`. Cython code cimports pyqmc_art.capi instead. See docs/c-interface.md.
#pragma once

#include <stdint.h>

extern "C" {

// Version of pyqmc_interface: members are only ever appended, and each time the number grows.
enum { PYQMC_INTERFACE_VERSION = 1 };

// What a number is drawn for: pyqmc_art.rng.PURPOSES. Numbers of a simulation's own are drawn for PYQMC_USER.
enum {
  PYQMC_SITE = 0,
  PYQMC_BOND,
  PYQMC_FLIP,
  PYQMC_SEED,
  PYQMC_EXCHANGE,
  PYQMC_SWAP,
  PYQMC_START,
  PYQMC_FOLD,
  PYQMC_USER
};

// What a function returns: 0, or a negative number that `message` explains. Nothing was changed when it is negative.
enum {
  PYQMC_DONE = 0,
  PYQMC_BAD_LATTICE = -1,
  PYQMC_BAD_COLOURING = -2,
  PYQMC_BAD_FIELD = -3,
  PYQMC_BAD_TABLE = -4,
  PYQMC_BAD_STEPS = -5,
  PYQMC_BAD_THREADS = -6,
  PYQMC_BAD_ISA = -7
};

enum { PYQMC_HYPERCUBIC = 0, PYQMC_TRIANGULAR, PYQMC_HONEYCOMB };
enum { PYQMC_MAX_DIMENSION = 4, PYQMC_MAX_THREADS = 1024 };

// A lattice as in pyqmc_art.Lattice: sites in C order of their coordinates, every extent at least 2.
typedef struct pyqmc_lattice {
  int32_t kind;  // PYQMC_HYPERCUBIC (square in two dimensions), PYQMC_TRIANGULAR or PYQMC_HONEYCOMB
  int32_t dimension;
  int64_t shape[PYQMC_MAX_DIMENSION];
  int32_t periodic[PYQMC_MAX_DIMENSION];  // 0 open
} pyqmc_lattice;

typedef struct pyqmc_interface {
  uint32_t version;

  // 128 random bits, Philox4x32-10 of the counter (index, replica, step, purpose << 24 | number); number < 2^24.
  void (*philox)(uint64_t key, uint32_t index, uint32_t replica, uint32_t step, uint32_t purpose, uint32_t number,
                 uint32_t out[4]);
  // A uniform integer below 2^63 from the first two words: Stream.integers.
  uint64_t (*draw)(uint64_t key, uint32_t index, uint32_t replica, uint32_t step, uint32_t purpose, uint32_t number);

  // `steps` coloured sweeps over one field of spins -1 and +1. A spin s with the sum n of its z neighbours flips with
  // probability table[(s > 0)(2 z + 1) + n + z] / 2^63; table_size is 2(2 z + 1), with z = 2 dimension, 6 (triangular)
  // or 3 (honeycomb). The number of flips is added to *flips unless that is null. The bytes do not depend on `threads`.
  int (*ising_sweeps)(const pyqmc_lattice* lattice, int8_t* field, const uint64_t* table, int64_t table_size,
                      uint64_t key, uint32_t replica, uint32_t first_step, int64_t steps, int threads, int64_t* flips);

  // What a return value means: what was expected and what to do.
  const char* (*message)(int code);
} pyqmc_interface;

}  // extern "C"
