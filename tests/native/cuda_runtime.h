// Stands in for the CUDA runtime where there is none: the device sources, compiled by a plain C++ compiler against this
// header, run on the processor with the same grid and block indices.
//
// The threads of a block are contexts that give way to each other at __syncthreads and, now and then, at atomic
// operations; which one goes on is drawn anew each time, and so is the order of the blocks. Memory has guards on both
// sides. What this cannot show: how fast a device is, its memory model, and faults of alignment.
//
// PYQMC_EMULATED_ORDER seeds the order (0: as numbered, and no giving way at atomics). PYQMC_EMULATED_FAULT is
// "malloc N", "launch N" (the N-th from then on fails, counted from 1), "devices N" (the error of counting devices) or
// "none" (there are none).
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
// In a section of its own, so that what a block finds there can be spoilt before it begins.
#define __shared__ static __attribute__((section("emulated_shared")))

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchFailure = 719
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };

inline dim3 threadIdx, blockIdx, blockDim, gridDim;  // of the thread that runs

struct cudaDeviceProp {
  char name[256];
  int major, minor;
};

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes;
  void* stream;
  void* attrs;
  unsigned numAttrs;
};

// The rims of the section that holds all shared memory of this program; weak, for a program without any.
extern "C" __attribute__((weak)) unsigned char __start_emulated_shared[], __stop_emulated_shared[];

namespace emulated {

// What PYQMC_EMULATED_FAULT says about `kind`, or 0.
inline long asked(const std::string& kind) {
  const char* given = std::getenv("PYQMC_EMULATED_FAULT");
  if (given == nullptr || std::strncmp(given, kind.c_str(), kind.size()) != 0) return 0;
  return kind.size() == std::strlen(given) ? 1 : std::strtol(given + kind.size(), nullptr, 10);
}

// Whether this is the call that was asked to fail.
inline bool fails(const std::string& kind) {
  static std::map<std::string, std::pair<std::string, long>> seen;
  const char* given = std::getenv("PYQMC_EMULATED_FAULT");
  std::pair<std::string, long>& count = seen[kind];
  if (count.first != (given == nullptr ? "" : given)) count = {given == nullptr ? "" : given, 0};
  return ++count.second == asked(kind);
}

constexpr std::size_t guard = 256;
constexpr unsigned char mark = 0xA5;
inline std::map<unsigned char*, std::size_t> places;  // by where the guard before them begins

inline bool guards_hold() {
  for (const auto& [place, bytes] : places)
    for (std::size_t i = 0; i < guard; ++i)
      if (place[i] != mark || place[guard + bytes + i] != mark) return false;
  return true;
}

struct Thread {
  ucontext_t context;
  std::unique_ptr<unsigned char[]> stack;
  bool is_done = false, waits = false;
  dim3 index;
};

constexpr std::size_t stack_bytes = 64 * 1024;

struct Machine {
  std::vector<Thread> threads;
  Thread* current = nullptr;
  ucontext_t scheduler;
  std::function<void()> body;
  std::mt19937_64 order;
  bool shuffles = false;
  bool failed = false;
};
inline Machine machine;

inline void give_way() { swapcontext(&machine.current->context, &machine.scheduler); }

inline void wait_for_block() {
  machine.current->waits = true;
  give_way();
}

// At atomic operations, which is where threads of a device meet.
inline void meet() {
  if (machine.shuffles && machine.order() % 4 == 0) give_way();
}

inline void run_thread() {
  machine.body();
  machine.current->is_done = true;
  give_way();
}

inline void start_thread(Thread& thread, unsigned number) {
  if (thread.stack == nullptr) thread.stack = std::make_unique<unsigned char[]>(stack_bytes);
  thread.is_done = thread.waits = false;
  const dim3& block = blockDim;
  thread.index = dim3(number % block.x, number / block.x % block.y, number / (block.x * block.y));
  getcontext(&thread.context);
  thread.context.uc_stack.ss_sp = thread.stack.get();
  thread.context.uc_stack.ss_size = stack_bytes;
  thread.context.uc_link = nullptr;
  makecontext(&thread.context, run_thread, 0);
}

// Lets every thread of the block run until all wait or are done; false when some wait for others that are gone.
inline bool run_block() {
  const unsigned count = blockDim.x * blockDim.y * blockDim.z;
  if (machine.threads.size() < count) machine.threads.resize(count);
  std::vector<Thread*> ready;
  for (unsigned i = 0; i < count; ++i) {
    start_thread(machine.threads[i], i);
    ready.push_back(&machine.threads[i]);
  }
  std::memset(__start_emulated_shared, 0x5A,
              static_cast<std::size_t>(__stop_emulated_shared - __start_emulated_shared));
  for (;;) {
    while (!ready.empty()) {
      const std::size_t next = machine.shuffles ? machine.order() % ready.size() : 0;
      machine.current = ready[next];
      threadIdx = machine.current->index;
      swapcontext(&machine.scheduler, &machine.current->context);
      if (machine.current->is_done || machine.current->waits) {
        if (machine.shuffles) std::swap(ready[next], ready.back());
        else std::rotate(ready.begin(), ready.begin() + 1, ready.end());
        ready.pop_back();
      }
    }
    unsigned gone = 0;
    for (unsigned i = 0; i < count; ++i) {
      Thread& thread = machine.threads[i];
      gone += thread.is_done;
      if (thread.waits) ready.push_back(&thread);
      thread.waits = false;
    }
    if (ready.empty()) return true;
    if (gone > 0) return false;
  }
}

inline cudaError_t run_grid() {
  if (machine.failed) return cudaErrorLaunchFailure;
  const char* seed = std::getenv("PYQMC_EMULATED_ORDER");
  const unsigned long long number = seed == nullptr ? 1 : std::strtoull(seed, nullptr, 10);
  machine.shuffles = number != 0;
  machine.order.seed(number);
  const dim3& grid = gridDim;
  std::vector<std::uint64_t> blocks(std::size_t{grid.x} * grid.y * grid.z);
  for (std::size_t b = 0; b < blocks.size(); ++b) blocks[b] = b;
  if (machine.shuffles) std::shuffle(blocks.begin(), blocks.end(), machine.order);
  for (const std::uint64_t b : blocks) {
    blockIdx = dim3(static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                    static_cast<unsigned>(b / grid.x / grid.y));
    if (!run_block()) return cudaErrorLaunchFailure;
  }
  return cudaSuccess;
}

inline cudaError_t pending = cudaSuccess;  // what a kernel did wrong, told at the next wait

}  // namespace emulated

inline void __syncthreads() { emulated::wait_for_block(); }

template <class T>
T atomicAdd(T* place, T value) {
  emulated::meet();
  const T old = *place;
  *place = old + value;
  return old;
}

template <class T>
T atomicAnd(T* place, T value) {
  emulated::meet();
  const T old = *place;
  *place = old & value;
  return old;
}

template <class T>
T atomicCAS(T* place, T expected, T value) {
  emulated::meet();
  const T old = *place;
  if (old == expected) *place = value;
  return old;
}

inline const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorIllegalAddress:
      return "an illegal memory access was encountered";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
    default:
      return "no error";
  }
}

inline cudaError_t cudaGetLastError() { return cudaSuccess; }

inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = emulated::asked("none") != 0 ? 0 : 1;
  return static_cast<cudaError_t>(emulated::asked("devices"));
}

inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::strcpy(properties->name, "emulated on the processor");
  properties->major = properties->minor = 0;
  return cudaSuccess;
}

inline cudaError_t cudaMalloc(void** place, std::size_t bytes) {
  using emulated::guard;
  if (emulated::fails("malloc")) return cudaErrorMemoryAllocation;
  // Aligned as by the runtime, and filled with what nobody wrote.
  unsigned char* memory =
      static_cast<unsigned char*>(std::aligned_alloc(guard, (2 * guard + bytes + guard - 1) / guard * guard));
  std::memset(memory, emulated::mark, 2 * guard + bytes);
  emulated::places[memory] = bytes;
  *place = memory + guard;
  return cudaSuccess;
}

inline cudaError_t cudaFree(void* place) {
  if (place == nullptr) return cudaSuccess;
  unsigned char* memory = static_cast<unsigned char*>(place) - emulated::guard;
  emulated::places.erase(memory);
  std::free(memory);
  return cudaSuccess;
}

inline cudaError_t cudaDeviceSynchronize() {
  if (!emulated::guards_hold()) return cudaErrorIllegalAddress;
  return std::exchange(emulated::pending, cudaSuccess);
}

inline cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}

inline cudaError_t cudaMemset(void* place, int value, std::size_t bytes) {
  std::memset(place, value, bytes);
  return cudaSuccess;
}

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* configuration, void (*kernel)(Parameters...),
                               Arguments... arguments) {
  const dim3 &grid = configuration->gridDim, &block = configuration->blockDim;
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  if (emulated::fails("launch")) return cudaErrorLaunchFailure;
  if (threads < 1 || threads > 1024 || grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.y > 65535 || grid.z > 65535)
    return cudaErrorInvalidConfiguration;
  gridDim = grid;
  blockDim = block;
  emulated::machine.body = [=] { kernel(arguments...); };
  const cudaError_t status = emulated::run_grid();
  if (status != cudaSuccess) emulated::pending = status;
  return cudaSuccess;
}
