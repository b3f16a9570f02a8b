#include "kernels/sweeps.hpp"

#include <cstddef>
#include <vector>

namespace pyqmc {

void run_multispin(const DiscreteKernels& kernels, const Batch& batch, const std::uint64_t* table) {
  MultispinJob job{batch, table, packed_shape(batch.lattice), nullptr};
  // Where there are fewer fields than threads, all share one memory.
  const std::int64_t slots = batch.batch < batch.threads ? 1 : batch.threads;
  constexpr std::size_t line = 64 / sizeof(std::uint64_t);
  std::vector<std::uint64_t> memory(static_cast<std::size_t>(slots * job.shape.memory) + line);
  const std::size_t beyond = reinterpret_cast<std::uintptr_t>(memory.data()) / sizeof(std::uint64_t) % line;
  job.memory = memory.data() + (line - beyond) % line;
  kernels.multispin(job);
}

}  // namespace pyqmc
