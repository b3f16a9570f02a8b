"""The Philox stream and the Ising sweep for Cython code; ``capi.pxd`` declares what can be cimported.

Attributes
----------
VERSION : version of the C interface; it grows whenever something is added to it
"""

from cpython.pycapsule cimport PyCapsule_Import

import pyqmc_art._core  # makes the capsule, which is looked up by name

cdef const pyqmc_interface* functions = <const pyqmc_interface*> PyCapsule_Import("pyqmc_art._core.capi", 0)

VERSION = functions.version
if VERSION < PYQMC_INTERFACE_VERSION:
    raise ImportError(
        f"pyqmc_art._core has C interface {VERSION}, pyqmc_art.capi was built for {PYQMC_INTERFACE_VERSION}; "
        "build both again"
    )

cdef dict KINDS = {
    "square": PYQMC_HYPERCUBIC,
    "hypercubic": PYQMC_HYPERCUBIC,
    "triangular": PYQMC_TRIANGULAR,
    "honeycomb": PYQMC_HONEYCOMB,
}


cdef void philox(
    uint64_t key, uint32_t index, uint32_t replica, uint32_t step, uint32_t purpose, uint32_t number, uint32_t* out
) noexcept nogil:
    functions.philox(key, index, replica, step, purpose, number, out)


cdef uint64_t draw(
    uint64_t key, uint32_t index, uint32_t replica, uint32_t step, uint32_t purpose, uint32_t number
) noexcept nogil:
    return functions.draw(key, index, replica, step, purpose, number)


cdef double uniform(
    uint64_t key, uint32_t index, uint32_t replica, uint32_t step, uint32_t purpose, uint32_t number
) noexcept nogil:
    return <double> (functions.draw(key, index, replica, step, purpose, number) >> 10) * 2.0**-53


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
) noexcept nogil:
    return functions.ising_sweeps(
        lattice, field, table, table_size, key, replica, first_step, steps, threads, flips
    )


cdef const char* message(int code) noexcept nogil:
    return functions.message(code)


cdef pyqmc_lattice describe_lattice(object lattice) except *:
    cdef pyqmc_lattice plain
    plain.kind = KINDS[lattice.kind]
    plain.dimension = lattice.dimension
    for axis in range(4):
        plain.shape[axis] = lattice.shape[axis] if axis < lattice.dimension else 1
        plain.periodic[axis] = lattice.periodic[axis] if axis < lattice.dimension else 0
    return plain
