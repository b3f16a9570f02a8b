// Hybrid Monte Carlo (Duane, Kennedy, Pendleton, Roweth 1987): momenta, a trajectory of kicks and drifts, one decision.
//
// A kick and the drift behind it are one pass over the lattice: the drift writes into another buffer, so that every
// site still finds the old values of its neighbours. The field itself stays until the trajectory is accepted.
#pragma once

#include "kernels/field_sums.hpp"
#include "models/scalar.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

// One kick and one drift of the inner sites of a row with `terms` neighbours across rows, all of them present.
template <int terms>
inline void kick_and_drift(const Scalar& s, const double* const* across, const double* __restrict from,
                           double* __restrict momentum, double* __restrict to, std::int64_t width, double kick,
                           double drift) {
  const double two_g = 2.0 * s.g, linear = 2.0 * s.g * (terms + 2) + 2.0 * s.a, cubic = 4.0 * s.b;
  const double* row[terms + 1];
  for (int t = 0; t < terms; ++t) row[t] = across[t];
  for (std::int64_t x = 1; x + 1 < width; ++x) {
    double sum = 0.0;
    for (int t = 0; t < terms; ++t) sum += row[t][x];
    sum += from[x + 1];
    sum += from[x - 1];
    const double phi = from[x];
    const double p = momentum[x] + kick * (two_g * sum - phi * (linear + cubic * (phi * phi)));
    momentum[x] = p;
    to[x] = phi + drift * p;
  }
}

// The phi^4 part of a trajectory.
class ScalarFlow {
 public:
  ScalarFlow(const FieldBatch& batch, std::int64_t index) : batch_(batch), model_(scalar_of(batch, index)) {}

  void start(const double* from, double* momentum, double* to, std::int64_t row, double drift) const {
    const std::int64_t width = width_of(batch_.lattice);
    for (std::int64_t i = row * width; i < (row + 1) * width; ++i) to[i] = from[i] + drift * momentum[i];
  }

  void move(const double* from, double* momentum, double* to, std::int64_t row, double kick, double drift) const {
    const Lattice& lattice = batch_.lattice;
    const std::int64_t width = width_of(lattice), start = row * width;
    const auto one = [&](std::int64_t i, double sum, int neighbours) {
      momentum[i] += kick * model_.force(sum, neighbours, from[i]);
      to[i] = from[i] + drift * momentum[i];
    };
    if (lattice.kind != LatticeKind::hypercubic) {
      for (std::int64_t i = start; i < start + width; ++i) {
        double sum = 0.0;
        int count = 0;
        for (int slot = 0; slot < 2 * batch_.directions; ++slot) {
          const std::int32_t j = batch_.neighbours[i * 2 * batch_.directions + slot];
          if (j < 0) continue;
          sum += from[j];
          ++count;
        }
        one(i, sum, count);
      }
      return;
    }
    const double* across[max_neighbours];
    int terms = 0;
    const int around = 2 * (lattice.dimension - 1);
    for (int k = 0; k < around; ++k) {
      const std::int64_t there = batch_.beyond[row * around + k];
      if (there >= 0) across[terms++] = from + there * width;
    }
    inner(terms, across, from + start, momentum + start, to + start, width, kick, drift);
    for (std::int64_t x = 0; x < width; x += width - 1) {
      double sum = 0.0;
      int count = terms;
      for (int t = 0; t < terms; ++t) sum += across[t][x];
      for (int sign = 1; sign >= -1; sign -= 2) {
        const std::int64_t there = x + sign;
        const bool inside = there >= 0 && there < width;
        if (!inside && !wraps(lattice)) continue;
        sum += from[start + (inside ? there : width - 1 - x)];
        ++count;
      }
      one(start + x, sum, count);
    }
  }

  // p^2 / 2 and the part of S that belongs to each site of a row.
  void energy(const double* phi, const double* momentum, std::int64_t row, double* out) const {
    const std::int64_t width = width_of(batch_.lattice), start = row * width;
    squares_of_row(batch_, phi, row, out);
    for (std::int64_t x = 0; x < width; ++x) {
      const double p = momentum[start + x];
      out[x] = (0.5 * p * p + model_.g * out[x]) + model_.potential(phi[start + x]);
    }
  }

 private:
  void inner(int terms, const double* const* across, const double* from, double* momentum, double* to,
             std::int64_t width, double kick, double drift) const {
    const Scalar& s = model_;
    switch (terms) {
      case 0:
        return kick_and_drift<0>(s, across, from, momentum, to, width, kick, drift);
      case 1:
        return kick_and_drift<1>(s, across, from, momentum, to, width, kick, drift);
      case 2:
        return kick_and_drift<2>(s, across, from, momentum, to, width, kick, drift);
      case 3:
        return kick_and_drift<3>(s, across, from, momentum, to, width, kick, drift);
      case 4:
        return kick_and_drift<4>(s, across, from, momentum, to, width, kick, drift);
      case 5:
        return kick_and_drift<5>(s, across, from, momentum, to, width, kick, drift);
      default:
        return kick_and_drift<6>(s, across, from, momentum, to, width, kick, drift);
    }
  }
  const FieldBatch& batch_;
  const Scalar model_;
};

// Momenta of the sites that are this member's share.
inline void draw_momenta(const Draws& draws, std::int64_t size, const Team& team, double* momentum) {
  const std::int64_t blocks = size / 2, first = team.begin(blocks), last = team.end(blocks);
  fill_normals(draws, Purpose::site, 0, static_cast<std::uint32_t>(first), static_cast<std::size_t>(last - first),
               momentum + 2 * first);
  if (size % 2 == 1 && team.rank == 0)
    momentum[size - 1] = normals_of(draws, Purpose::site, static_cast<std::uint32_t>(blocks), 0).first;
}

// One trajectory of field `index`; returns whether it was accepted, the same for all members of the team.
template <class Flow>
bool trajectory(const HmcJob& job, const Flow& flow, const Draws& draws, const Team& team, double* field,
                FieldScratch& scratch, double& error) {
  const FieldBatch& batch = job.batch;
  const std::int64_t rows = rows_of(batch.lattice), width = width_of(batch.lattice);
  const std::int64_t first = team.begin(rows), last = team.end(rows), block = width * batch.components;
  const Block chance = draws.block(Purpose::seed, 0);
  const double length = 1.0 + job.spread * (2.0 * unit(chance.draw(1)) - 1.0);
  draw_momenta(draws, rows * block, team, scratch.momentum);
  team.wait();
  for (std::int64_t row = first; row < last; ++row) {
    flow.energy(field, scratch.momentum, row, scratch.energy + row * width);
    flow.start(field, scratch.momentum, scratch.first, row, length * job.drifts[0]);
  }
  team.wait();
  double *from = scratch.first, *to = scratch.second;
  for (std::int64_t stage = 0; stage < job.stages; ++stage) {
    const double kick = length * job.kicks[stage], drift = length * job.drifts[stage + 1];
    for (std::int64_t row = first; row < last; ++row) flow.move(from, scratch.momentum, to, row, kick, drift);
    double* swap = from;
    from = to;
    to = swap;
    team.wait();
  }
  for (std::int64_t row = first; row < last; ++row) {
    const double *before = scratch.energy + row * width, *after = to + row * width;
    flow.energy(from, scratch.momentum, row, to + row * width);
    scratch.rows[row * batch.columns] = lane_sum(width, [=](std::int64_t x) { return after[x] - before[x]; });
  }
  team.wait();
  // Every member adds up the same numbers in the same order.
  Compensated change;
  for (std::int64_t row = 0; row < rows; ++row) change.add(scratch.rows[row * batch.columns]);
  error = change.value();
  // What is not finite passes none of these comparisons.
  const bool downhill = error <= 0.0 && error > -1e300;
  const bool accept = downhill || (error > 0.0 && error < 700.0 && unit(chance.draw(0)) < exp_of(-error));
  if (accept)
    for (std::int64_t i = first * block; i < last * block; ++i) field[i] = from[i];
  team.wait();
  return accept;
}

template <class Flow>
void hmc_share(const HmcJob& job, const Team& team, std::int64_t first, std::int64_t last) {
  const FieldBatch& batch = job.batch;
  const std::int64_t size = sites_of(batch.lattice) * batch.components;
  FieldScratch scratch(batch, team);
  for (std::int64_t index = first; index < last; ++index) {
    const Flow flow(batch, index);
    double* field = batch.field + index * size;
    for (std::int64_t step = 0; step < batch.steps; ++step) {
      double error = 0.0;
      const bool accepted = trajectory(job, flow, draws_at(batch, index, step), team, field, scratch, error);
      if (team.rank == 0) {
        job.error[step * batch.batch + index] = error;
        batch.tally[index] += accepted;
      }
      measure_field_when_due(batch, field, team, index, step + 1, scratch);
    }
  }
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
