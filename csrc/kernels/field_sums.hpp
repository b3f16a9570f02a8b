// Sums of a field, row by row, in an order that neither the threads nor the instruction set change.
//
// phi^4: sum phi, phi^2, phi^4, bonds (phi_x - phi_y)^2, bonds phi_x phi_y. O(n): bonds s_x . s_y, then the n
// components of sum s.
#pragma once

#include "core/real.hpp"
#include "kernels/field_jobs.hpp"
#include "models/scalar.hpp"
#include "models/vector.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

inline constexpr int scalar_columns = 5;

// The scratch memory of one team.
struct FieldScratch {
  double *momentum, *first, *second;  // (rows, padded_width + row_padding, components)
  double* energy;                     // one number for each component of the field
  double* rows;                       // (rows, columns)

  FieldScratch(const FieldBatch& batch, const Team& team) {
    const std::int64_t size = padded_size(batch);
    momentum = batch.scratch + (team.size > 1 ? 0 : team.thread) * batch.scratch_size;
    first = momentum + size;
    second = first + size;
    energy = second + size;
    rows = energy + sites_of(batch.lattice) * batch.components;
  }
};

inline Draws draws_at(const FieldBatch& batch, std::int64_t index, std::int64_t step) {
  return {batch.key, batch.first_replica + static_cast<std::uint32_t>(index),
          batch.first_step + static_cast<std::uint32_t>(step)};
}

inline Scalar scalar_of(const FieldBatch& batch, std::int64_t index) {
  const double* row = batch.couplings + index % batch.rungs * couplings_per_rung;
  return {row[0], row[1], row[2]};
}

// Writes the sum of term(here, there) over the forward bonds of each site of a row.
template <class Term>
inline void bonds_of_row(const FieldBatch& batch, const double* phi, std::int64_t row, double* __restrict out,
                         const Term& term) {
  const Lattice& lattice = batch.lattice;
  const std::int64_t width = width_of(lattice), start = row * width;
  const double* here = phi + start;
  for (std::int64_t x = 0; x < width; ++x) out[x] = 0.0;
  if (lattice.kind != LatticeKind::hypercubic) {
    for (std::int64_t x = 0; x < width; ++x)
      for (int direction = 0; direction < batch.directions; ++direction) {
        const std::int32_t j = batch.neighbours[(start + x) * 2 * batch.directions + 2 * direction];
        if (j >= 0) out[x] += term(here[x], phi[j]);
      }
    return;
  }
  for (int mu = 0; mu + 1 < lattice.dimension; ++mu) {
    const std::int64_t beyond = batch.beyond[2 * (row * (lattice.dimension - 1) + mu)];
    if (beyond < 0) continue;
    const double* there = phi + beyond * width;
    for (std::int64_t x = 0; x < width; ++x) out[x] += term(here[x], there[x]);
  }
  for (std::int64_t x = 0; x + 1 < width; ++x) out[x] += term(here[x], here[x + 1]);
  if (wraps(lattice)) out[width - 1] += term(here[width - 1], here[0]);
}

inline void squares_of_row(const FieldBatch& batch, const double* phi, std::int64_t row, double* out) {
  bonds_of_row(batch, phi, row, out, [](double here, double there) { return (there - here) * (there - here); });
}

inline void scalar_sums_of_row(const FieldBatch& batch, const double* field, std::int64_t row, FieldScratch& scratch) {
  const std::int64_t width = width_of(batch.lattice);
  const double* phi = field + row * width;
  double *squares = scratch.first + row * width, *products = scratch.second + row * width;
  squares_of_row(batch, field, row, squares);
  bonds_of_row(batch, field, row, products, [](double here, double there) { return here * there; });
  double* out = scratch.rows + row * batch.columns;
  out[0] = lane_sum(width, [=](std::int64_t x) { return phi[x]; });
  out[1] = lane_sum(width, [=](std::int64_t x) { return phi[x] * phi[x]; });
  out[2] = lane_sum(width, [=](std::int64_t x) { return (phi[x] * phi[x]) * (phi[x] * phi[x]); });
  out[3] = lane_sum(width, [=](std::int64_t x) { return squares[x]; });
  out[4] = lane_sum(width, [=](std::int64_t x) { return products[x]; });
}

inline void vector_sums_of_row(const FieldBatch& batch, const double* field, std::int64_t row, FieldScratch& scratch) {
  const std::int64_t width = width_of(batch.lattice), n = batch.components;
  double* products = scratch.first + row * width;
  for (std::int64_t x = 0; x < width; ++x) {
    const std::int64_t i = row * width + x;
    products[x] = 0.0;
    for (int direction = 0; direction < batch.directions; ++direction) {
      const std::int32_t j = batch.neighbours[i * 2 * batch.directions + 2 * direction];
      if (j >= 0) products[x] += dot(n, field + i * n, field + j * n);
    }
  }
  double* out = scratch.rows + row * batch.columns;
  out[0] = lane_sum(width, [=](std::int64_t x) { return products[x]; });
  for (std::int64_t a = 0; a < n; ++a) {
    const double* part = field + row * width * n + a;
    out[1 + a] = lane_sum(width, [=](std::int64_t x) { return part[x * n]; });
  }
}

// Measures after step `done` (counted from 1) when it is due; the field is at rest between two waits of the team.
inline void measure_field_when_due(const FieldBatch& batch, const double* field, const Team& team, std::int64_t index,
                                   std::int64_t done, FieldScratch& scratch) {
  if (batch.sums == nullptr || done % batch.every != 0) return;
  const std::int64_t rows = rows_of(batch.lattice);
  for (std::int64_t row = team.begin(rows); row < team.end(rows); ++row) {
    if (batch.components == 1) scalar_sums_of_row(batch, field, row, scratch);
    else vector_sums_of_row(batch, field, row, scratch);
  }
  team.wait();
  if (team.rank == 0) {
    double* sums = batch.sums + ((done / batch.every - 1) * batch.batch + index) * batch.columns;
    for (std::int64_t c = 0; c < batch.columns; ++c) {
      Compensated total;
      for (std::int64_t row = 0; row < rows; ++row) total.add(scratch.rows[row * batch.columns + c]);
      sums[c] = total.value();
    }
  }
  team.wait();
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
