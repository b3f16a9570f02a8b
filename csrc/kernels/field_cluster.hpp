// Cluster updates of continuous fields by an embedded Ising model: sigma_x = s_x . r with a random axis r (O(n), Wolff
// 1989), or sigma_x = phi_x (phi^4, Brower and Tamayo 1989). Bonds between sites of one sign are on with probability
// 1 - exp(-2 K sigma_x sigma_y), K = beta or 2 g; a cluster that flips is reflected.
#pragma once

#include "kernels/field_sums.hpp"
#include "kernels/unions.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

struct Embedding {
  double axis[max_components];
  double strength;
  std::int64_t n;

  Embedding(const FieldBatch& batch, std::int64_t index, const Draws& draws, std::uint32_t cluster)
      : n(batch.components) {
    const double first = batch.couplings[index % batch.rungs * couplings_per_rung];
    strength = n == 1 ? 4.0 * first : 2.0 * first;
    if (n == 1) {
      axis[0] = 1.0;
    } else {
      normals_at(draws, Purpose::user, cluster, 0, n, axis);
      normalize(n, axis);
    }
  }

  double sigma(const double* field, std::int64_t i) const { return dot(n, field + i * n, axis); }

  bool bound(double a, double b, std::uint64_t draw) const {
    const double product = a * b;
    return product > 0.0 && unit(draw) < 1.0 - exp_of(-(strength * product));
  }

  void reflect(double* field, std::int64_t i) const {
    const double twice = 2.0 * sigma(field, i);
    for (std::int64_t a = 0; a < n; ++a) field[i * n + a] = field[i * n + a] - twice * axis[a];
  }
};

inline void field_swendsen_wang_step(const FieldBatch& batch, const Embedding& embedding, const Draws& draws,
                                     double* field, std::uint32_t* parent, std::int64_t& clusters) {
  const std::int64_t sites = sites_of(batch.lattice);
  for (std::int64_t i = 0; i < sites; ++i) parent[i] = static_cast<std::uint32_t>(i);
  for (std::int64_t i = 0; i < sites; ++i) {
    const double here = embedding.sigma(field, i);
    for (int direction = 0; direction < batch.directions; ++direction) {
      const std::int32_t j = batch.neighbours[i * 2 * batch.directions + 2 * direction];
      if (j < 0) continue;
      const double there = embedding.sigma(field, j);
      if (!(here * there > 0.0)) continue;
      const Block chance =
          draws.block(Purpose::bond, static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(direction >> 1));
      if (embedding.bound(here, there, chance.draw(direction & 1)))
        unite(parent, static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(j));
    }
  }
  for (std::int64_t i = 0; i < sites; ++i) {
    std::uint32_t root = parent[i];
    while (parent[root] != root) root = parent[root];
    clusters += root == static_cast<std::uint32_t>(i);
    const std::uint64_t draw = draws.block(Purpose::flip, root >> 1).draw(root & 1);
    if (draw >> 62 == 1) embedding.reflect(field, i);
  }
}

inline std::int64_t field_wolff_cluster(const FieldBatch& batch, const Embedding& embedding, const Draws& draws,
                                        std::uint32_t cluster, double* field, std::uint32_t* queue,
                                        std::uint8_t* member) {
  const std::int64_t sites = sites_of(batch.lattice);
  queue[0] = static_cast<std::uint32_t>(
      scaled(draws.block(Purpose::seed, cluster).draw(0), static_cast<std::uint64_t>(sites)));
  member[queue[0]] = 1;
  std::int64_t size = 1;
  for (std::int64_t done = 0; done < size; ++done) {
    const std::uint32_t i = queue[done];
    const double here = embedding.sigma(field, i);
    for (int slot = 0; slot < 2 * batch.directions; ++slot) {
      const std::int32_t j = batch.neighbours[static_cast<std::int64_t>(i) * 2 * batch.directions + slot];
      if (j < 0 || member[j]) continue;
      const double there = embedding.sigma(field, j);
      if (!(here * there > 0.0)) continue;
      const int direction = slot >> 1;
      const std::uint32_t origin = (slot & 1) == 0 ? i : static_cast<std::uint32_t>(j);
      const Block chance =
          draws.block(Purpose::bond, origin, cluster << 3 | static_cast<std::uint32_t>(direction >> 1));
      if (!embedding.bound(here, there, chance.draw(direction & 1))) continue;
      member[j] = 1;
      queue[size++] = static_cast<std::uint32_t>(j);
    }
  }
  for (std::int64_t k = 0; k < size; ++k) {
    member[queue[k]] = 0;
    embedding.reflect(field, queue[k]);
  }
  return size;
}

template <bool single>
void field_cluster_share(const FieldClusterJob& job, const Team& team, std::int64_t first, std::int64_t last) {
  const FieldBatch& batch = job.batch;
  const std::int64_t sites = sites_of(batch.lattice), slot = team.thread * sites;
  FieldScratch scratch(batch, team);
  for (std::int64_t index = first; index < last; ++index) {
    double* field = batch.field + index * sites * batch.components;
    for (std::int64_t step = 0; step < batch.steps; ++step) {
      const Draws draws = draws_at(batch, index, step);
      for (std::uint32_t cluster = 0; cluster < static_cast<std::uint32_t>(job.clusters); ++cluster) {
        const Embedding embedding(batch, index, draws, cluster);
        if (single)
          batch.tally[index] +=
              field_wolff_cluster(batch, embedding, draws, cluster, field, job.sites + slot, job.marks + slot);
        else field_swendsen_wang_step(batch, embedding, draws, field, job.sites + slot, batch.tally[index]);
      }
      measure_field_when_due(batch, field, team, index, step + 1, scratch);
    }
  }
}

inline void field_swendsen_wang_share(const FieldClusterJob& job, const Team& team, std::int64_t first,
                                      std::int64_t last) {
  field_cluster_share<false>(job, team, first, last);
}

inline void field_wolff_share(const FieldClusterJob& job, const Team& team, std::int64_t first, std::int64_t last) {
  field_cluster_share<true>(job, team, first, last);
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
