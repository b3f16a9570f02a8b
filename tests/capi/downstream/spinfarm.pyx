"""A simulation code that draws from pyqmc_art's streams and sweeps with its kernels, all loops without the GIL."""

from libc.stdint cimport int8_t, int64_t, uint32_t, uint64_t

from pyqmc_art.capi cimport (
    PYQMC_USER, describe_lattice, draw, ising_sweeps, message, philox, pyqmc_lattice, uniform
)


def fill_words(uint64_t key, uint32_t replica, uint32_t step, uint32_t number, uint32_t[:, ::1] out):
    cdef Py_ssize_t i
    with nogil:
        for i in range(out.shape[0]):
            philox(key, <uint32_t> i, replica, step, PYQMC_USER, number, &out[i, 0])


def fill_numbers(
    uint64_t key, uint32_t replica, uint32_t step, uint32_t number, uint64_t[::1] integers, double[::1] uniforms
):
    cdef Py_ssize_t i
    with nogil:
        for i in range(integers.shape[0]):
            integers[i] = draw(key, <uint32_t> i, replica, step, PYQMC_USER, number)
            uniforms[i] = uniform(key, <uint32_t> i, replica, step, PYQMC_USER, number)


def sweep(
    lattice,
    int8_t[::1] field,
    const uint64_t[::1] table,
    uint64_t key,
    uint32_t replica=0,
    uint32_t first_step=0,
    int64_t steps=1,
    int threads=1,
    int64_t flips=0,
):
    """Do some sweeps in one call and return the number of flips, added to those of before."""
    cdef pyqmc_lattice plain = describe_lattice(lattice)
    cdef int code
    with nogil:
        code = ising_sweeps(
            &plain, &field[0], &table[0], table.shape[0], key, replica, first_step, steps, threads, &flips
        )
    if code != 0:
        raise ValueError(message(code).decode())
    return flips


def magnetizations(
    lattice, int8_t[::1] field, const uint64_t[::1] table, uint64_t key, uint32_t replica, int64_t[::1] out
):
    """Sweep and measure in turn, without Python in the loop."""
    cdef pyqmc_lattice plain = describe_lattice(lattice)
    cdef Py_ssize_t step, i
    cdef int code = 0
    with nogil:
        for step in range(out.shape[0]):
            code = ising_sweeps(
                &plain, &field[0], &table[0], table.shape[0], key, replica, <uint32_t> step, 1, 1, NULL
            )
            if code != 0:
                break
            out[step] = 0
            for i in range(field.shape[0]):
                out[step] += field[i]
    if code != 0:
        raise ValueError(message(code).decode())
