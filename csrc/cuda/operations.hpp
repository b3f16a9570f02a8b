// What a device does for Python: the same jobs as the kernels of a processor, with the same bytes as the answer. No
// name of the CUDA runtime appears here, so that the bindings need none of its headers.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "images/resample_picture.hpp"
#include "kernels/jobs.hpp"

namespace pyqmc::cuda {

// There is nothing to compute on: becomes pyqmc_art.errors.BackendUnavailable.
struct NoDevice : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The device ran out of memory or failed: becomes pyqmc_art.errors.DeviceError.
struct DeviceFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Names of the devices; throws NoDevice with the runtime's reason where there is none.
std::vector<std::string> list_devices();

// Coloured sweeps of Ising spins on a lattice that can be packed; `table` as for MultispinJob.
void run_multispin(const Batch& batch, const std::uint64_t* table);

// Swendsen-Wang; of the job only what the caller decides is read, scratch memory is the device's own.
void run_swendsen_wang(const ClusterJob& job);

// The sums of the fields as they are, into a batch prepared with steps = every = 1.
void run_measure(const Batch& batch);

// As resample_cuts of images/resample_picture.hpp.
void run_resample(const Pixels& source, Filter filter, const std::vector<Box>& boxes, std::int64_t height,
                  std::int64_t width, std::uint8_t* out);

}  // namespace pyqmc::cuda
