// The hot loops of the discrete models, compiled once for each instruction set by the .cpp files beside this one, each
// of which defines PYQMC_ISA. No library template is instantiated here, for the reason given in core/host_device.hpp.
#pragma once

#include "kernels/exchange.hpp"
#include "kernels/glass.hpp"
#include "kernels/jobs.hpp"
#include "kernels/local.hpp"
#include "kernels/multispin.hpp"
#include "kernels/sums.hpp"
#include "kernels/swendsen_wang.hpp"
#include "kernels/wolff.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {
namespace {

Draws draws_at(const Batch& batch, std::int64_t index, std::int64_t step) {
  return {batch.key, batch.first_replica + static_cast<std::uint32_t>(index),
          batch.first_step + static_cast<std::uint32_t>(step)};
}

template <class T>
T* field_at(const Batch& batch, std::int64_t index) {
  return static_cast<T*>(batch.field) + index * sites_of(batch.lattice);
}

template <class T>
void swendsen_wang_share(const ClusterJob& job, const Team& team, std::int64_t first, std::int64_t last) {
  const Batch& batch = job.batch;
  for (std::int64_t index = first; index < last; ++index) {
    T* field = field_at<T>(batch, index);
    for (std::int64_t step = 0; step < batch.steps; ++step) {
      const bool due = batch.sums != nullptr && (step + 1) % batch.every == 0;
      std::int64_t* sums =
          due ? batch.sums + (((step + 1) / batch.every - 1) * batch.batch + index) * batch.columns : nullptr;
      SwendsenWang<T>(job, team, field, draws_at(batch, index, step), step, index % batch.rungs)
          .step(batch.tally[index], sums);
      if (batch.q > 0) measure_when_due(batch, field, team, index, step + 1);
    }
  }
}

template <class T, int dimension>
void grow_clusters(const ClusterJob& job, const Team& team, std::int64_t first, std::int64_t last) {
  const Batch& batch = job.batch;
  const Neighbourhood<dimension> around(job);
  std::uint32_t* queue = job.sites + team.thread * (sites_of(batch.lattice) + queue_margin);
  for (std::int64_t index = first; index < last; ++index) {
    T* field = field_at<T>(batch, index);
    for (std::int64_t step = 0; step < batch.steps; ++step) {
      const bool asked = batch.sums != nullptr && batch.columns > 2 && (step + 1) % batch.every == 0;
      double share = 0, shares = 0;
      for (std::int64_t cluster = 0; cluster < job.clusters; ++cluster) {
        batch.tally[index] += wolff_cluster(job, around, field, draws_at(batch, index, step), index % batch.rungs,
                                            static_cast<std::uint32_t>(cluster), queue, asked ? &share : nullptr);
        shares += share;
      }
      if (asked)
        __builtin_memcpy(batch.sums + (((step + 1) / batch.every - 1) * batch.batch + index) * batch.columns + 2,
                         &shares, sizeof shares);
      measure_when_due(batch, field, team, index, step + 1);
    }
  }
}

template <class T>
void wolff_share(const ClusterJob& job, const Team& team, std::int64_t first, std::int64_t last) {
  const Lattice& lattice = job.batch.lattice;
  switch (lattice.kind == LatticeKind::hypercubic ? lattice.dimension : 0) {
    case 1:
      return grow_clusters<T, 1>(job, team, first, last);
    case 2:
      return grow_clusters<T, 2>(job, team, first, last);
    case 3:
      return grow_clusters<T, 3>(job, team, first, last);
    case 4:
      return grow_clusters<T, 4>(job, team, first, last);
    default:
      return grow_clusters<T, 0>(job, team, first, last);
  }
}

template <class T>
void exchange_share(const ExchangeJob& job, const Team& team, std::int64_t first, std::int64_t last) {
  const Batch& batch = job.batch;
  for (std::int64_t index = first; index < last; ++index) {
    T* field = field_at<T>(batch, index);
    const std::uint64_t* table = job.table + index % batch.rungs * (4 * job.coordination + 1);
    for (std::int64_t step = 0; step < batch.steps; ++step) {
      batch.tally[index] += exchange_step(job, field, draws_at(batch, index, step), table);
      measure_when_due(batch, field, team, index, step + 1);
    }
  }
}

template <class T>
void measure_share(const Batch& batch, const Team& team, std::int64_t first, std::int64_t last) {
  for (std::int64_t index = first; index < last; ++index)
    measure_when_due(batch, field_at<T>(batch, index), team, index, 1);
}

const Batch& batch_of(const Batch& job) { return job; }
template <class Job>
const Batch& batch_of(const Job& job) {
  return job.batch;
}

template <class Job, void (*Share8)(const Job&, const Team&, std::int64_t, std::int64_t),
          void (*Share16)(const Job&, const Team&, std::int64_t, std::int64_t), bool shareable>
void over(const Job& job) {
  const Batch& batch = batch_of(job);
  const Work work = [](const void* context, const Team& team, std::int64_t first, std::int64_t last) {
    const Job& each = *static_cast<const Job*>(context);
    if (batch_of(each).bytes == 1) Share8(each, team, first, last);
    else Share16(each, team, first, last);
  };
  over_replicas(batch.batch, batch.threads, shareable, work, &job);
}

void multispin(const MultispinJob& job) {
  const Work work = [](const void* context, const Team& team, std::int64_t first, std::int64_t last) {
    const MultispinJob& each = *static_cast<const MultispinJob*>(context);
    if (each.batch.lattice.dimension == 2) multispin_share<2>(each, team, first, last);
    else multispin_share<3>(each, team, first, last);
  };
  over_replicas(job.batch.batch, job.batch.threads, true, work, &job);
}

void fill_words(const PhiloxJob& job) {
  fill_blocks({job.key, job.replica, job.step}, job.tag, job.first, static_cast<std::size_t>(job.blocks), job.out);
}

}  // namespace

extern const DiscreteKernels discrete_kernels;
const DiscreteKernels discrete_kernels = {
    PYQMC_ISA_NAME,
    over<LocalJob, local_share<std::int8_t>, local_share<std::int16_t>, true>,
    multispin,
    over<ClusterJob, swendsen_wang_share<std::int8_t>, swendsen_wang_share<std::int16_t>, true>,
    over<ClusterJob, wolff_share<std::int8_t>, wolff_share<std::int16_t>, false>,
    over<ExchangeJob, exchange_share<std::int8_t>, exchange_share<std::int16_t>, false>,
    over<Batch, measure_share<std::int8_t>, measure_share<std::int16_t>, true>,
    fill_words,
    glass::sweep,
};

}  // namespace PYQMC_ISA
}  // namespace pyqmc
