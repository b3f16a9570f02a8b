// The hot loops of continuous fields, compiled once for each instruction set by the .cpp files beside this one, each of
// which defines PYQMC_ISA. No library template is instantiated here, for the reason given in core/host_device.hpp.
#pragma once

#include "kernels/field_cluster.hpp"
#include "kernels/field_local.hpp"
#include "kernels/field_patch.hpp"
#include "kernels/hmc.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {
namespace {

void measure_share(const FieldBatch& batch, const Team& team, std::int64_t first, std::int64_t last) {
  FieldScratch scratch(batch, team);
  const std::int64_t size = sites_of(batch.lattice) * batch.components;
  for (std::int64_t index = first; index < last; ++index)
    measure_field_when_due(batch, batch.field + index * size, team, index, 1, scratch);
}

const FieldBatch& batch_of(const FieldBatch& job) { return job; }
template <class Job>
const FieldBatch& batch_of(const Job& job) {
  return job.batch;
}

template <class Job, void (*Share)(const Job&, const Team&, std::int64_t, std::int64_t), bool shareable>
void over(const Job& job) {
  const Work work = [](const void* context, const Team& team, std::int64_t first, std::int64_t last) {
    Share(*static_cast<const Job*>(context), team, first, last);
  };
  over_replicas(batch_of(job).batch, batch_of(job).threads, shareable, work, &job);
}

void write_normals(const NormalsJob& job) {
  fill_normals({job.key, job.replica, job.step}, Purpose::site, 0, job.first, static_cast<std::size_t>(job.blocks),
               job.out);
}

}  // namespace

extern const FieldKernels field_kernels;
const FieldKernels field_kernels = {
    PYQMC_ISA_NAME,
    over<HmcJob, hmc_share, true>,
    over<FieldLocalJob, field_local_share, true>,
    over<FieldClusterJob, field_swendsen_wang_share, false>,
    over<FieldClusterJob, field_wolff_share, false>,
    over<PatchJob, patch_share, true>,
    sizeof(PatchRoom),
    over<FieldBatch, measure_share, true>,
    write_normals,
};

}  // namespace PYQMC_ISA
}  // namespace pyqmc
