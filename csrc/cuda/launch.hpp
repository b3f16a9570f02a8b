// What the device code needs of the CUDA runtime: memory that frees itself, launches, sums over a thread block, and
// errors with names.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda/operations.hpp"

namespace pyqmc::cuda {

inline constexpr unsigned block_threads = 128;
inline constexpr unsigned most_rows = 65535;  // of a grid: the fields of a batch share them

inline void require(cudaError_t status, const std::string& what) {
  if (status == cudaSuccess) return;
  throw DeviceFailure(what + " failed: " + cudaGetErrorString(status) + " (CUDA error " +
                      std::to_string(static_cast<int>(status)) + ")");
}

// An array on the device.
template <class T>
class Memory {
 public:
  explicit Memory(std::size_t count) : count_(count) {
    if (count == 0) return;
    void* place = nullptr;
    const cudaError_t status = cudaMalloc(&place, count * sizeof(T));
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // later calls are not to report it once more
      throw DeviceFailure("the device has no room for " + std::to_string(count * sizeof(T)) +
                          " more bytes; use fewer replicas or a smaller lattice, or backend='cpp'");
    }
    require(status, "cudaMalloc");
    data_ = static_cast<T*>(place);
  }
  explicit Memory(const std::vector<T>& values) : Memory(values.size()) { upload(values.data()); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { cudaFree(data_); }

  T* data() const { return data_; }

  void upload(const T* values) const {
    if (count_ > 0)
      require(cudaMemcpy(data_, values, count_ * sizeof(T), cudaMemcpyHostToDevice), "a copy to the device");
  }
  void download(T* values) const {
    if (count_ > 0)
      require(cudaMemcpy(values, data_, count_ * sizeof(T), cudaMemcpyDeviceToHost), "a copy from the device");
  }
  void clear() const {
    if (count_ > 0) require(cudaMemset(data_, 0, count_ * sizeof(T)), "cudaMemset");
  }

 private:
  T* data_ = nullptr;
  std::size_t count_;
};

// Thread blocks for `count` pieces of work in each of `rows` rows.
inline dim3 grid_of(std::int64_t count, std::int64_t rows) {
  const std::int64_t blocks = (count + block_threads - 1) / block_threads;
  return dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(rows < most_rows ? rows : most_rows));
}

template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, unsigned threads, Arguments... arguments) {
  cudaLaunchConfig_t configuration{};
  configuration.gridDim = grid;
  configuration.blockDim = dim3(threads);
  require(cudaLaunchKernelEx(&configuration, kernel, static_cast<Parameters>(arguments)...),
          std::string("the launch of ") + name);
}

// Waits for everything launched so far: errors of kernels appear here.
inline void finish(const char* what) { require(cudaDeviceSynchronize(), what); }

// Number of this thread among those of its row of the grid.
__device__ inline std::int64_t thread_of_row() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

// Adds 64-bit integers, negative ones too.
__device__ inline void add_to(std::int64_t* place, std::int64_t value) {
  if (value != 0) atomicAdd(reinterpret_cast<unsigned long long*>(place), static_cast<unsigned long long>(value));
}

// Adds what the threads of a block say to `place`; `shared` is the block's. Every thread must call it.
__device__ inline void add_block(std::int64_t* shared, std::int64_t* place, std::int64_t value) {
  if (threadIdx.x == 0) *shared = 0;
  __syncthreads();
  add_to(shared, value);
  __syncthreads();
  if (threadIdx.x == 0) add_to(place, *shared);
  __syncthreads();
}

}  // namespace pyqmc::cuda
