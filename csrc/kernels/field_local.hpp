// Coloured sweeps of continuous fields: Metropolis, heat bath, overrelaxation.
#pragma once

#include "kernels/field_sums.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

enum class FieldRule : std::int32_t { metropolis, heat_bath, overrelaxation };

// Each returns whether the site changed.
inline bool update_scalar(const FieldLocalJob& job, const Scalar& model, const Draws& draws, double width,
                          double* field, std::int64_t i) {
  const FieldBatch& batch = job.batch;
  double sum = 0.0;
  int count = 0;
  for (int slot = 0; slot < 2 * batch.directions; ++slot) {
    const std::int32_t j = batch.neighbours[i * 2 * batch.directions + slot];
    if (j < 0) continue;
    sum += field[j];
    ++count;
  }
  const std::uint32_t site = static_cast<std::uint32_t>(i);
  if (static_cast<FieldRule>(job.rule) == FieldRule::heat_bath)
    return draw_scalar(draws, site, model.g * count + model.a, model.b, model.g * sum, field[i]);
  const Block chance = draws.block(Purpose::site, site);
  const double to = field[i] + width * (2.0 * unit(chance.draw(0)) - 1.0);
  const double cost = model.cost(sum, count, field[i], to);
  if (cost > 0.0 && unit(chance.draw(1)) >= exp_of(-cost)) return false;
  field[i] = to;
  return true;
}

inline bool update_vector(const FieldLocalJob& job, double beta, const Draws& draws, double width, double* field,
                          std::int64_t i) {
  const FieldBatch& batch = job.batch;
  const std::int64_t n = batch.components;
  const std::uint32_t site = static_cast<std::uint32_t>(i);
  double h[max_components], to[max_components];
  for (std::int64_t a = 0; a < n; ++a) h[a] = 0.0;
  for (int slot = 0; slot < 2 * batch.directions; ++slot) {
    const std::int32_t j = batch.neighbours[i * 2 * batch.directions + slot];
    if (j < 0) continue;
    for (std::int64_t a = 0; a < n; ++a) h[a] += field[j * n + a];
  }
  double* s = field + i * n;
  if (static_cast<FieldRule>(job.rule) == FieldRule::overrelaxation) {
    const double square = dot(n, h, h);
    if (!(square > 1e-30)) return false;
    const double twice = 2.0 * dot(n, s, h) / square;
    for (std::int64_t a = 0; a < n; ++a) s[a] = twice * h[a] - s[a];
    normalize(n, s);
    return true;
  }
  for (std::int64_t a = 0; a < n; ++a) h[a] = beta * h[a];
  if (static_cast<FieldRule>(job.rule) == FieldRule::heat_bath) return draw_vector(draws, site, n, h, s);
  normals_at(draws, Purpose::site, site, 0, n, to);
  for (std::int64_t a = 0; a < n; ++a) to[a] = s[a] + width * to[a];
  normalize(n, to);
  const double cost = dot(n, h, s) - dot(n, h, to);
  const Block chance = draws.block(Purpose::site, site, static_cast<std::uint32_t>((n + 1) / 2));
  if (cost > 0.0 && unit(chance.draw(0)) >= exp_of(-cost)) return false;
  for (std::int64_t a = 0; a < n; ++a) s[a] = to[a];
  return true;
}

inline void field_local_share(const FieldLocalJob& job, const Team& team, std::int64_t first, std::int64_t last) {
  const FieldBatch& batch = job.batch;
  const Lattice& lattice = batch.lattice;
  const std::int64_t rows = rows_of(lattice), width = width_of(lattice);
  const int colours = colours_of(lattice);
  FieldScratch scratch(batch, team);
  for (std::int64_t index = first; index < last; ++index) {
    double* field = batch.field + index * sites_of(lattice) * batch.components;
    const Scalar model = scalar_of(batch, index);
    std::int64_t changed = 0;
    for (std::int64_t step = 0; step < batch.steps; ++step) {
      const Draws draws = draws_at(batch, index, step);
      for (int colour = 0; colour < colours; ++colour) {
        for (std::int64_t row = team.begin(rows); row < team.end(rows); ++row)
          for (std::int64_t x = first_of_colour(lattice, row, colour); x < width; x += colours)
            changed += batch.components == 1
                           ? update_scalar(job, model, draws, job.width[index], field, row * width + x)
                           : update_vector(job, model.g, draws, job.width[index], field, row * width + x);
        team.wait();
      }
      measure_field_when_due(batch, field, team, index, step + 1, scratch);
    }
    __atomic_fetch_add(&batch.tally[index], changed, __ATOMIC_RELAXED);
  }
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
