#include "cuda/launch.hpp"

namespace pyqmc::cuda {

std::vector<std::string> list_devices() {
  int count = 0;
  // Without a driver, with one that is too old, or with no GPU in the machine the runtime says so in different words.
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    cudaGetLastError();
    throw NoDevice(std::string("no device: ") + cudaGetErrorString(status) + " (CUDA error " +
                   std::to_string(static_cast<int>(status)) + ")");
  }
  if (count == 0) throw NoDevice("no device: the CUDA runtime counts none");
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    require(cudaGetDeviceProperties(&properties, i), "cudaGetDeviceProperties");
    names.push_back(std::string(properties.name) + " (sm_" + std::to_string(properties.major) +
                    std::to_string(properties.minor) + ")");
  }
  return names;
}

}  // namespace pyqmc::cuda
