// The geometry of pyqmc_art/lattice/geometry.py, row by row: a row is a line of sites along the last axis.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/host_device.hpp"

namespace pyqmc {

enum class LatticeKind : std::int32_t { hypercubic, triangular, honeycomb };

inline constexpr int max_dimension = 4;
inline constexpr int max_neighbours = 2 * max_dimension;

struct Lattice {
  LatticeKind kind;
  int dimension;
  std::int64_t shape[max_dimension];
  bool periodic[max_dimension];
};

// Where one neighbour of the sites of a row is found: in row `row`, `shift` further along; only every `stride`-th site
// from `first` on has it (the honeycomb's bonds across rows), all of them when stride is 1. `direction` numbers the
// bonds as in Lattice.displacements.
struct Term {
  std::int64_t row;
  int shift;
  int first;
  int stride;
  int direction;
};

inline namespace PYQMC_ISA {

PYQMC_HD inline std::int64_t width_of(const Lattice& lattice) { return lattice.shape[lattice.dimension - 1]; }
PYQMC_HD inline bool wraps(const Lattice& lattice) { return lattice.periodic[lattice.dimension - 1]; }

PYQMC_HD inline std::int64_t rows_of(const Lattice& lattice) {
  std::int64_t n = 1;
  for (int mu = 0; mu + 1 < lattice.dimension; ++mu) n *= lattice.shape[mu];
  return n;
}

PYQMC_HD inline std::int64_t sites_of(const Lattice& lattice) { return rows_of(lattice) * width_of(lattice); }

PYQMC_HD inline int colours_of(const Lattice& lattice) { return lattice.kind == LatticeKind::triangular ? 3 : 2; }

PYQMC_HD inline int coordination_of(const Lattice& lattice) {
  return lattice.kind == LatticeKind::triangular  ? 6
         : lattice.kind == LatticeKind::honeycomb ? 3
                                                  : 2 * lattice.dimension;
}

// Row reached by a step of `sign` along axis mu < dimension - 1, or -1 where an open boundary is in the way.
PYQMC_HD inline std::int64_t row_beyond(const Lattice& lattice, std::int64_t row, int mu, int sign) {
  std::int64_t stride = 1;
  for (int nu = lattice.dimension - 2; nu > mu; --nu) stride *= lattice.shape[nu];
  const std::int64_t here = row / stride % lattice.shape[mu];
  std::int64_t there = here + sign;
  if (there < 0 || there >= lattice.shape[mu]) {
    if (!lattice.periodic[mu]) return -1;
    there = there < 0 ? lattice.shape[mu] - 1 : 0;
  }
  return row + (there - here) * stride;
}

// Position of the first site of a colour in a row; the next ones follow every colours_of(lattice) sites.
PYQMC_HD inline int first_of_colour(const Lattice& lattice, std::int64_t row, int colour) {
  // Triangular: colour = (x - y) mod 3, otherwise the parity of the sum of the coordinates.
  if (lattice.kind == LatticeKind::triangular) return static_cast<int>((row - colour + 3) % 3);
  std::int64_t parity = colour;
  for (int mu = lattice.dimension - 2; mu >= 0; --mu) {
    parity += row % lattice.shape[mu];
    row /= lattice.shape[mu];
  }
  return static_cast<int>(parity % 2);
}

// The neighbours of the sites of one colour in a row.
PYQMC_HD inline int neighbours_of(const Lattice& lattice, std::int64_t row, int colour, Term* out) {
  int n = 0;
  for (int mu = 0; mu + 1 < lattice.dimension; ++mu) {
    for (int sign = 1; sign >= -1; sign -= 2) {
      if (lattice.kind == LatticeKind::honeycomb && (sign > 0) != (colour == 0)) continue;
      const std::int64_t there = row_beyond(lattice, row, mu, sign);
      if (there < 0) continue;
      out[n++] = {there, 0, 0, 1, mu};
      if (lattice.kind == LatticeKind::triangular) out[n++] = {there, -sign, 0, 1, 2};
    }
  }
  out[n++] = {row, +1, 0, 1, lattice.dimension - 1};
  out[n++] = {row, -1, 0, 1, lattice.dimension - 1};
  return n;
}

// The forward bonds of a row: each bond of the lattice belongs to one row.
PYQMC_HD inline int forward_of(const Lattice& lattice, std::int64_t row, Term* out) {
  int n = 0;
  for (int mu = 0; mu + 1 < lattice.dimension; ++mu) {
    const std::int64_t there = row_beyond(lattice, row, mu, +1);
    if (there < 0) continue;
    if (lattice.kind == LatticeKind::honeycomb) {
      out[n++] = {there, 0, first_of_colour(lattice, row, 0), 2, mu};
    } else {
      out[n++] = {there, 0, 0, 1, mu};
      if (lattice.kind == LatticeKind::triangular) out[n++] = {there, -1, 0, 1, 2};
    }
  }
  out[n++] = {row, +1, 0, 1, lattice.dimension - 1};
  return n;
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
