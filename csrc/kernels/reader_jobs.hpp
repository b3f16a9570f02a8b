// The networks of couplings: convolutions by tables of sites, float32, and their gradients. Plain data.
//
// A layer computes at every site s of `sites`: sum over taps k and channels i of weight[k][i][o] * in[table[s][k]][i],
// plus bias[o]. Entry `from` of a table, one beyond the last input, reads zero. All layers but the last end with tanh
// (slope < 0) or with max(x, slope x).
//
// Products and sums may be fused here, unlike everywhere else in csrc: training amplifies the last digit of torch's own
// networks too, so bytes are the same for one instruction set only. Threads do not change what is drawn.
#pragma once

#include <cstdint>

namespace pyqmc {

struct ReaderLayer {
  std::int64_t from, sites, taps, in, out;
  const std::int32_t* table;     // (sites, taps)
  const std::int32_t* backward;  // (from, taps): the site that reads this input by a tap; `sites` for none
  const float* weight;           // (taps, in, out)
  const float* transposed;       // (taps, out, in); only for gradients
  const float* bias;             // (out)
  float* weight_slope;           // (taps, in, out); receives gradients
  float* bias_slope;             // (out)
};

struct ReaderJob {
  const ReaderLayer* layers;
  std::int64_t depth;
  float slope;
  std::int64_t batch;
  const float* given;  // (batch, layers[0].from)
  float* result;       // (batch, out, sites) of the last layer
  const float* pull;   // gradient of the result; null for the result itself
  float* given_slope;  // (batch, layers[0].from)
  int threads;
  unsigned char* scratch;  // (threads, scratch_bytes), aligned to 64 bytes
  std::int64_t scratch_bytes;
};

struct ReaderKernels {
  const char* isa;
  std::int64_t lanes;
  void (*run)(const ReaderJob&);
};

const ReaderKernels& reader_kernels_in_use();

// Lanes of scratch that a thread needs: activations and their gradients, and gradients of weights.
inline std::int64_t reader_scratch_lanes(const ReaderJob& job) {
  std::int64_t total = job.layers[0].from + 1, widest = total;
  for (std::int64_t l = 0; l < job.depth; ++l) {
    const ReaderLayer& layer = job.layers[l];
    const std::int64_t size = (layer.sites + 1) * layer.out;
    total += size;
    widest = size > widest ? size : widest;
    if (job.pull) total += layer.taps * layer.in * layer.out + layer.out;
  }
  return total + (job.pull ? 2 * widest : 0);
}

}  // namespace pyqmc
