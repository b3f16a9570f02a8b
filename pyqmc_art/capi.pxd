# The Philox stream and the Ising sweep for Cython code, callable without the GIL:
#
#     from pyqmc_art.capi cimport ising_sweeps, philox
#
# Compile with pyqmc_art.get_include() among the include directories. See docs/c-interface.md.
from libc.stdint cimport int8_t, int32_t, int64_t, uint32_t, uint64_t


cdef extern from "capi/interface.hpp":
    enum:
        PYQMC_INTERFACE_VERSION
    enum:
        PYQMC_SITE
        PYQMC_BOND
        PYQMC_FLIP
        PYQMC_SEED
        PYQMC_EXCHANGE
        PYQMC_SWAP
        PYQMC_START
        PYQMC_FOLD
        PYQMC_USER
    enum:
        PYQMC_DONE
        PYQMC_BAD_LATTICE
        PYQMC_BAD_COLOURING
        PYQMC_BAD_FIELD
        PYQMC_BAD_TABLE
        PYQMC_BAD_STEPS
        PYQMC_BAD_THREADS
        PYQMC_BAD_ISA
    enum:
        PYQMC_HYPERCUBIC
        PYQMC_TRIANGULAR
        PYQMC_HONEYCOMB

    ctypedef struct pyqmc_lattice:
        int32_t kind
        int32_t dimension
        int64_t shape[4]
        int32_t periodic[4]

    ctypedef struct pyqmc_interface:
        uint32_t version
        void (*philox)(uint64_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t*) noexcept nogil
        uint64_t (*draw)(uint64_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t) noexcept nogil
        int (*ising_sweeps)(
            const pyqmc_lattice*, int8_t*, const uint64_t*, int64_t,
            uint64_t, uint32_t, uint32_t, int64_t, int, int64_t*
        ) noexcept nogil
        const char* (*message)(int) noexcept nogil


# 128 random bits, written to out[0] ... out[3]: Stream.bits. `number` counts the draws for one purpose, below 2^24.
cdef void philox(
    uint64_t key, uint32_t index, uint32_t replica, uint32_t step, uint32_t purpose, uint32_t number, uint32_t* out
) noexcept nogil

# A uniform integer below 2^63: Stream.integers.
cdef uint64_t draw(
    uint64_t key, uint32_t index, uint32_t replica, uint32_t step, uint32_t purpose, uint32_t number
) noexcept nogil

# A uniform number in [0, 1) with 53 bits: Stream.uniform.
cdef double uniform(
    uint64_t key, uint32_t index, uint32_t replica, uint32_t step, uint32_t purpose, uint32_t number
) noexcept nogil

# Sweeps over one field of spins, by a table of flip probabilities; 0, or a negative number that `message` explains.
# The flips are added to flips[0] unless `flips` is NULL.
cdef int ising_sweeps(
    const pyqmc_lattice* lattice,
    int8_t* field,
    const uint64_t* table,
    int64_t table_size,
    uint64_t key,
    uint32_t replica,
    uint32_t first_step,
    int64_t steps,
    int threads,
    int64_t* flips,
) noexcept nogil

# What a return value of ising_sweeps means.
cdef const char* message(int code) noexcept nogil

# A pyqmc_art.Lattice as plain C; needs Python, so once, before the loop.
cdef pyqmc_lattice describe_lattice(object lattice) except *
