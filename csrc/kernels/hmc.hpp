// Hybrid Monte Carlo (Duane, Kennedy, Pendleton, Roweth 1987): momenta, a trajectory of kicks and drifts, one decision.
//
// A kick and the drift behind it are one pass over the lattice: the drift writes into another buffer, so that every
// site still finds the old values of its neighbours. The field itself stays until the trajectory is accepted.
#pragma once

#include "kernels/sphere.hpp"
#include "models/scalar.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

// Where trajectories keep a row: `stride` numbers apart from the next, from `origin` on. On hypercubic lattices a copy
// of the value around the corner stands at both of its ends, and there is room to work through it in whole registers:
// what is computed behind the last site is nobody's value, and the copy is written over it.
struct Rows {
  bool padded;
  std::int64_t width, round, stride, origin;

  explicit Rows(const FieldBatch& batch)
      : padded(batch.lattice.kind == LatticeKind::hypercubic),
        width(width_of(batch.lattice)),
        round(padded ? padded_width(width) : width),
        stride(padded ? round + row_padding : width),
        origin(padded ? 1 : 0) {}

  std::int64_t start(std::int64_t row) const { return row * stride + origin; }

  void close(double* row) const {
    if (!padded) return;
    row[-1] = row[width - 1];
    row[width] = row[0];
  }
};

// One kick and one drift of a row with `terms` neighbours across rows, all others present.
template <int terms>
inline void kick_and_drift(const Scalar& s, const double* const* across, const double* from,
                           double* __restrict momentum, double* __restrict to, std::int64_t round, double kick,
                           double drift) {
  const double two_g = 2.0 * s.g, linear = 2.0 * s.g * (terms + 2) + 2.0 * s.a, cubic = 4.0 * s.b;
  const double* row[terms + 1];
  for (int t = 0; t < terms; ++t) row[t] = across[t];
  const std::int64_t whole = round & -row_group;  // tells the compiler that no numbers are left over
  for (std::int64_t x = 0; x < whole; ++x) {
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
  ScalarFlow(const FieldBatch& batch, std::int64_t index)
      : batch_(batch), rows_(batch), model_(scalar_of(batch, index)) {}

  std::int64_t start_of(std::int64_t row) const { return rows_.start(row); }

  // Values and normal numbers of a row into the buffers; the numbers are the momenta.
  void load(const double* field, const double* normals, std::int64_t row, double* to, double* momentum) const {
    const std::int64_t start = rows_.start(row), width = rows_.width;
    for (std::int64_t x = 0; x < width; ++x) {
      momentum[start + x] = normals[row * width + x];
      to[start + x] = field[row * width + x];
    }
    rows_.close(to + start);
  }

  void store(const double* from, std::int64_t row, double* field) const {
    const std::int64_t start = rows_.start(row), width = rows_.width;
    for (std::int64_t x = 0; x < width; ++x) field[row * width + x] = from[start + x];
  }

  void start(const double* from, const double* momentum, double* to, std::int64_t row, double drift) const {
    const std::int64_t start = rows_.start(row);
    for (std::int64_t i = start; i < start + rows_.width; ++i) to[i] = from[i] + drift * momentum[i];
    rows_.close(to + start);
  }

  void move(const double* from, double* momentum, double* to, std::int64_t row, double kick, double drift) const {
    const Lattice& lattice = batch_.lattice;
    const std::int64_t start = rows_.start(row), width = rows_.width;
    if (!rows_.padded) {
      for (std::int64_t i = start; i < start + width; ++i) {
        double sum = 0.0;
        int count = 0;
        for (int slot = 0; slot < 2 * batch_.directions; ++slot) {
          const std::int32_t j = batch_.neighbours[i * 2 * batch_.directions + slot];
          if (j < 0) continue;
          sum += from[j];
          ++count;
        }
        momentum[i] += kick * model_.force(sum, count, from[i]);
        to[i] = from[i] + drift * momentum[i];
      }
      return;
    }
    const double* across[max_neighbours];
    int terms = 0;
    const int around = 2 * (lattice.dimension - 1);
    for (int k = 0; k < around; ++k) {
      const std::int64_t there = batch_.beyond[row * around + k];
      if (there >= 0) across[terms++] = from + rows_.start(there);
    }
    const double ends[2] = {momentum[start], momentum[start + width - 1]};
    run(terms, across, from + start, momentum + start, to + start, kick, drift);
    if (!wraps(lattice)) move_ends(across, terms, from + start, ends, momentum + start, to + start, kick, drift);
    rows_.close(to + start);
  }

  // p^2 / 2 and the part of S that belongs to each site of a row.
  void energy(const double* phi, const double* momentum, std::int64_t row, double* __restrict out) const {
    const std::int64_t start = rows_.start(row), width = rows_.width;
    const double *here = phi + start, *p = momentum + start;
    if (!rows_.padded) {
      squares_of_row(batch_, phi, row, out);
    } else {
      const int across = batch_.lattice.dimension - 1;
      for (std::int64_t x = 0; x < width; ++x) out[x] = 0.0;
      for (int mu = 0; mu < across; ++mu) {
        const std::int64_t beyond = batch_.beyond[2 * (row * across + mu)];
        if (beyond < 0) continue;
        const double* there = phi + rows_.start(beyond);
        for (std::int64_t x = 0; x < width; ++x) out[x] += (there[x] - here[x]) * (there[x] - here[x]);
      }
      const std::int64_t bonds = wraps(batch_.lattice) ? width : width - 1;
      for (std::int64_t x = 0; x < bonds; ++x) out[x] += (here[x + 1] - here[x]) * (here[x + 1] - here[x]);
    }
    for (std::int64_t x = 0; x < width; ++x)
      out[x] = (0.5 * p[x] * p[x] + model_.g * out[x]) + model_.potential(here[x]);
  }

 private:
  // The ends of an open row once more, from their momenta before the step: each has one neighbour in the row.
  void move_ends(const double* const* across, int terms, const double* from, const double* ends, double* momentum,
                 double* to, double kick, double drift) const {
    const std::int64_t last = rows_.width - 1;
    for (int end = 0; end < 2; ++end) {
      const std::int64_t x = end * last;
      double sum = 0.0;
      for (int t = 0; t < terms; ++t) sum += across[t][x];
      if (last > 0) sum += from[end == 0 ? 1 : last - 1];
      momentum[x] = ends[end] + kick * model_.force(sum, terms + (last > 0), from[x]);
      to[x] = from[x] + drift * momentum[x];
    }
  }

  void run(int terms, const double* const* across, const double* from, double* momentum, double* to, double kick,
           double drift) const {
    const Scalar& s = model_;
    switch (terms) {
      case 0:
        return kick_and_drift<0>(s, across, from, momentum, to, rows_.round, kick, drift);
      case 1:
        return kick_and_drift<1>(s, across, from, momentum, to, rows_.round, kick, drift);
      case 2:
        return kick_and_drift<2>(s, across, from, momentum, to, rows_.round, kick, drift);
      case 3:
        return kick_and_drift<3>(s, across, from, momentum, to, rows_.round, kick, drift);
      case 4:
        return kick_and_drift<4>(s, across, from, momentum, to, rows_.round, kick, drift);
      case 5:
        return kick_and_drift<5>(s, across, from, momentum, to, rows_.round, kick, drift);
      default:
        return kick_and_drift<6>(s, across, from, momentum, to, rows_.round, kick, drift);
    }
  }

  const FieldBatch& batch_;
  const Rows rows_;
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
  const std::int64_t count = rows_of(job.batch.lattice), width = width_of(job.batch.lattice);
  const std::int64_t first = team.begin(count), last = team.end(count);
  const Block chance = draws.block(Purpose::seed, 0);
  const double length = 1.0 + job.spread * (2.0 * unit(chance.draw(1)) - 1.0);
  draw_momenta(draws, count * width * job.batch.components, team, scratch.energy);
  team.wait();
  double *from = scratch.first, *to = scratch.second;
  for (std::int64_t row = first; row < last; ++row) flow.load(field, scratch.energy, row, from, scratch.momentum);
  team.wait();
  for (std::int64_t row = first; row < last; ++row) {
    flow.energy(from, scratch.momentum, row, scratch.energy + row * width);
    flow.start(from, scratch.momentum, to, row, length * job.drifts[0]);
  }
  team.wait();
  for (std::int64_t stage = 0; stage < job.stages; ++stage) {
    double* swap = from;
    from = to;
    to = swap;
    const double kick = length * job.kicks[stage], drift = length * job.drifts[stage + 1];
    for (std::int64_t row = first; row < last; ++row) flow.move(from, scratch.momentum, to, row, kick, drift);
    team.wait();
  }
  for (std::int64_t row = first; row < last; ++row) {
    const double *before = scratch.energy + row * width, *after = from + flow.start_of(row);
    flow.energy(to, scratch.momentum, row, from + flow.start_of(row));
    scratch.rows[row * job.batch.columns] = lane_sum(width, [=](std::int64_t x) { return after[x] - before[x]; });
  }
  team.wait();
  // Every member adds up the same numbers in the same order.
  Compensated change;
  for (std::int64_t row = 0; row < count; ++row) change.add(scratch.rows[row * job.batch.columns]);
  error = change.value();
  // What is not finite passes none of these comparisons.
  const bool downhill = error <= 0.0 && error > -1e300;
  const bool accept = downhill || (error > 0.0 && error < 700.0 && unit(chance.draw(0)) < exp_of(-error));
  if (accept)
    for (std::int64_t row = first; row < last; ++row) flow.store(to, row, field);
  team.wait();
  return accept;
}

template <class Flow>
void trajectories(const HmcJob& job, const Team& team, std::int64_t first, std::int64_t last) {
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

inline void hmc_share(const HmcJob& job, const Team& team, std::int64_t first, std::int64_t last) {
  switch (job.batch.components) {
    case 1:
      return trajectories<ScalarFlow>(job, team, first, last);
    case 2:
      return trajectories<VectorFlow<2>>(job, team, first, last);
    case 3:
      return trajectories<VectorFlow<3>>(job, team, first, last);
    case 4:
      return trajectories<VectorFlow<4>>(job, team, first, last);
    default:
      return trajectories<VectorFlow<0>>(job, team, first, last);
  }
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
