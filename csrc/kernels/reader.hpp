// The loops of reader_jobs.hpp, compiled once for each instruction set. A register holds one number of as many fields
// as it has lanes: no sum runs over lanes but those of the gradients, at the very end.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/host_device.hpp"
#include "core/parallel.hpp"
#include "kernels/reader_jobs.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace pyqmc {
inline namespace PYQMC_ISA {
namespace {

#if defined(__AVX512F__)
constexpr std::int64_t lanes = 16;
#elif defined(__AVX2__)
constexpr std::int64_t lanes = 8;
#else
constexpr std::int64_t lanes = 4;
#endif
typedef float Lanes __attribute__((vector_size(lanes * sizeof(float))));

inline Lanes spread(float x) { return x - Lanes{}; }

inline Lanes multiply_add(Lanes a, Lanes b, Lanes c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

// tanh x to about 3e-7: x P(x^2) / Q(x^2), fitted for the least largest error on |x| <= 8 and constant beyond.
inline Lanes tanh_of(Lanes x) {
  const Lanes edge = spread(8.0f);
  x = x > edge ? edge : x < -edge ? -edge : x;
  const Lanes t = x * x;
  Lanes p = multiply_add(spread(1.50617576e-08f), t, spread(2.17732072e-05f));
  p = multiply_add(p, t, spread(0.00356415373f));
  p = multiply_add(p, t, spread(0.134381891f));
  p = multiply_add(p, t, spread(0.99999997f));
  Lanes q = multiply_add(spread(8.45364023e-07f), t, spread(0.000339917551f));
  q = multiply_add(q, t, spread(0.0261360065f));
  q = multiply_add(q, t, spread(0.467715099f));
  return x * p / multiply_add(q, t, spread(1.0f));
}

// `width` channels from `first` on of `together` sites, whose sums stay in registers.
template <int width, int together>
inline void convolve_sites(const std::int32_t* const* rows, std::int64_t taps, const Lanes* in, std::int64_t channels,
                           const float* weight, std::int64_t stride, const float* bias, Lanes* const* out) {
  Lanes sum[together][width];
  for (int s = 0; s < together; ++s)
    for (int o = 0; o < width; ++o) sum[s][o] = spread(bias ? bias[o] : 0.0f);
  for (std::int64_t k = 0; k < taps; ++k) {
    const Lanes* from[together];
    for (int s = 0; s < together; ++s) from[s] = in + rows[s][k] * channels;
    const float* w = weight + k * channels * stride;
    for (std::int64_t i = 0; i < channels; ++i, w += stride)
      for (int s = 0; s < together; ++s)
        for (int o = 0; o < width; ++o) sum[s][o] = multiply_add(from[s][i], spread(w[o]), sum[s][o]);
  }
  for (int s = 0; s < together; ++s)
    for (int o = 0; o < width; ++o) out[s][o] = sum[s][o];
}

struct Pass {
  const std::int32_t* table;
  std::int64_t sites, taps, in, out;
  const float* weight;
  const float* bias;
};

template <int width, int together>
void convolve_block(const Pass& pass, std::int64_t first, const Lanes* in, Lanes* out) {
  const std::int32_t* rows[together];
  Lanes* to[together];
  const float* bias = pass.bias ? pass.bias + first : nullptr;
  std::int64_t s = 0;
  for (; s + together <= pass.sites; s += together) {
    for (int k = 0; k < together; ++k) {
      rows[k] = pass.table + (s + k) * pass.taps;
      to[k] = out + (s + k) * pass.out + first;
    }
    convolve_sites<width, together>(rows, pass.taps, in, pass.in, pass.weight + first, pass.out, bias, to);
  }
  for (; s < pass.sites; ++s) {
    rows[0] = pass.table + s * pass.taps;
    to[0] = out + s * pass.out + first;
    convolve_sites<width, 1>(rows, pass.taps, in, pass.in, pass.weight + first, pass.out, bias, to);
  }
}

// One layer without its curve, as many channels at a time as registers hold.
void convolve(const Pass& pass, const Lanes* in, Lanes* out) {
  for (std::int64_t o = 0; o < pass.out;) {
    const std::int64_t left = pass.out - o;
    if (left >= 12) convolve_block<12, 1>(pass, o, in, out), o += 12;
    else if (left >= 8) convolve_block<8, 1>(pass, o, in, out), o += 8;
    else if (left >= 4) convolve_block<4, 2>(pass, o, in, out), o += 4;
    else if (left == 3) convolve_block<3, 4>(pass, o, in, out), o += 3;
    else if (left == 2) convolve_block<2, 4>(pass, o, in, out), o += 2;
    else convolve_block<1, 8>(pass, o, in, out), o += 1;
  }
  for (std::int64_t o = 0; o < pass.out; ++o) out[pass.sites * pass.out + o] = Lanes{};
}

void bend(Lanes* values, std::int64_t count, float slope) {
  if (slope < 0)
    for (std::int64_t k = 0; k < count; ++k) values[k] = tanh_of(values[k]);
  else
    for (std::int64_t k = 0; k < count; ++k) values[k] = values[k] > Lanes{} ? values[k] : values[k] * slope;
}

// From gradients of what bend left to those of what it was given.
void unbend(const Lanes* bent, Lanes* pull, std::int64_t count, float slope) {
  if (slope < 0)
    for (std::int64_t k = 0; k < count; ++k) pull[k] *= spread(1.0f) - bent[k] * bent[k];
  else
    for (std::int64_t k = 0; k < count; ++k) pull[k] = bent[k] > Lanes{} ? pull[k] : pull[k] * slope;
}

template <int rows, int columns>
inline void correlate_block(const ReaderLayer& layer, std::int64_t tap, std::int64_t i, std::int64_t o, const Lanes* in,
                            const Lanes* pull, Lanes* total) {
  Lanes sum[rows][columns];
  for (int a = 0; a < rows; ++a)
    for (int b = 0; b < columns; ++b) sum[a][b] = Lanes{};
  for (std::int64_t s = 0; s < layer.sites; ++s) {
    const Lanes* x = in + layer.table[s * layer.taps + tap] * layer.in + i;
    const Lanes* y = pull + s * layer.out + o;
    for (int a = 0; a < rows; ++a)
      for (int b = 0; b < columns; ++b) sum[a][b] = multiply_add(x[a], y[b], sum[a][b]);
  }
  for (int a = 0; a < rows; ++a)
    for (int b = 0; b < columns; ++b) total[(i + a) * layer.out + o + b] += sum[a][b];
}

template <int rows>
void correlate_rows(const ReaderLayer& layer, std::int64_t tap, std::int64_t i, const Lanes* in, const Lanes* pull,
                    Lanes* total) {
  for (std::int64_t o = 0; o < layer.out;) {
    const std::int64_t left = layer.out - o;
    if (left >= 4) correlate_block<rows, 4>(layer, tap, i, o, in, pull, total), o += 4;
    else if (left >= 2) correlate_block<rows, 2>(layer, tap, i, o, in, pull, total), o += 2;
    else correlate_block<rows, 1>(layer, tap, i, o, in, pull, total), o += 1;
  }
}

// Gradients of weights and constants, still one for each lane.
void correlate(const ReaderLayer& layer, const Lanes* in, const Lanes* pull, Lanes* weights, Lanes* constants) {
  for (std::int64_t tap = 0; tap < layer.taps; ++tap) {
    Lanes* total = weights + tap * layer.in * layer.out;
    for (std::int64_t i = 0; i < layer.in;) {
      const std::int64_t left = layer.in - i;
      if (left >= 4) correlate_rows<4>(layer, tap, i, in, pull, total), i += 4;
      else if (left >= 2) correlate_rows<2>(layer, tap, i, in, pull, total), i += 2;
      else correlate_rows<1>(layer, tap, i, in, pull, total), i += 1;
    }
  }
  for (std::int64_t s = 0; s < layer.sites; ++s)
    for (std::int64_t o = 0; o < layer.out; ++o) constants[o] += pull[s * layer.out + o];
}

// Numbers (batch, channels, sites) to lanes (sites, channels) and back; fields beyond the last are zero.
void take(const float* from, std::int64_t first, std::int64_t batch, std::int64_t channels, std::int64_t sites,
          Lanes* to) {
  float* flat = reinterpret_cast<float*>(to);
  const std::int64_t size = channels * sites;
  for (std::int64_t lane = 0; lane < lanes; ++lane) {
    const float* row = first + lane < batch ? from + (first + lane) * size : nullptr;
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t s = 0; s < sites; ++s)
        flat[(s * channels + c) * lanes + lane] = row ? row[c * sites + s] : 0.0f;
  }
  for (std::int64_t c = 0; c < channels; ++c) to[size + c] = Lanes{};
}

void give(const Lanes* from, std::int64_t first, std::int64_t batch, std::int64_t channels, std::int64_t sites,
          float* to) {
  const float* flat = reinterpret_cast<const float*>(from);
  for (std::int64_t lane = 0; lane < lanes && first + lane < batch; ++lane) {
    float* row = to + (first + lane) * channels * sites;
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t s = 0; s < sites; ++s) row[c * sites + s] = flat[(s * channels + c) * lanes + lane];
  }
}

constexpr std::int64_t most_layers = 16;

// Where a thread keeps what it computes.
struct Bench {
  Lanes* values[most_layers + 1];  // activations, the input first
  Lanes* weights[most_layers];
  Lanes* constants[most_layers];
  Lanes* pull;
  Lanes* next;

  Bench(const ReaderJob& job, int thread) {
    Lanes* free = reinterpret_cast<Lanes*>(job.scratch + thread * job.scratch_bytes);
    std::int64_t widest = job.layers[0].from + 1;
    values[0] = free;
    free += widest;
    for (std::int64_t l = 0; l < job.depth; ++l) {
      const ReaderLayer& layer = job.layers[l];
      const std::int64_t size = (layer.sites + 1) * layer.out;
      values[l + 1] = free;
      free += size;
      widest = size > widest ? size : widest;
      if (!job.pull) continue;
      weights[l] = free;
      free += layer.taps * layer.in * layer.out;
      constants[l] = free;
      free += layer.out;
    }
    pull = free;
    next = free + widest;
  }
};

void follow_block(const ReaderJob& job, const Bench& bench, std::int64_t first) {
  take(job.given, first, job.batch, 1, job.layers[0].from, bench.values[0]);
  for (std::int64_t l = 0; l < job.depth; ++l) {
    const ReaderLayer& layer = job.layers[l];
    const Pass pass{layer.table, layer.sites, layer.taps, layer.in, layer.out, layer.weight, layer.bias};
    convolve(pass, bench.values[l], bench.values[l + 1]);
    if (l + 1 < job.depth) bend(bench.values[l + 1], layer.sites * layer.out, job.slope);
  }
}

void retrace_block(const ReaderJob& job, Bench& bench, std::int64_t first) {
  const ReaderLayer& last = job.layers[job.depth - 1];
  take(job.pull, first, job.batch, last.out, last.sites, bench.pull);
  for (std::int64_t l = job.depth - 1; l >= 0; --l) {
    const ReaderLayer& layer = job.layers[l];
    correlate(layer, bench.values[l], bench.pull, bench.weights[l], bench.constants[l]);
    const Pass pass{layer.backward, layer.from, layer.taps, layer.out, layer.in, layer.transposed, nullptr};
    convolve(pass, bench.pull, bench.next);
    if (l > 0) unbend(bench.values[l], bench.next, layer.from * layer.in, job.slope);
    Lanes* const swap = bench.pull;
    bench.pull = bench.next;
    bench.next = swap;
  }
  give(bench.pull, first, job.batch, 1, job.layers[0].from, job.given_slope);
}

void reader_share(const ReaderJob& job, const Team& team, std::int64_t first, std::int64_t last) {
  Bench bench(job, team.thread);
  const ReaderLayer& end = job.layers[job.depth - 1];
  for (std::int64_t block = first; block < last; ++block) {
    follow_block(job, bench, block * lanes);
    if (job.pull) retrace_block(job, bench, block * lanes);
    else give(bench.values[job.depth], block * lanes, job.batch, end.out, end.sites, job.result);
  }
}

// Adds up the lanes of all threads, one thread after the other.
void sum_lanes(const ReaderJob& job, std::int64_t threads) {
  for (std::int64_t l = 0; l < job.depth; ++l) {
    const ReaderLayer& layer = job.layers[l];
    const std::int64_t size = layer.taps * layer.in * layer.out;
    for (std::int64_t thread = 0; thread < threads; ++thread) {
      const Bench bench(job, static_cast<int>(thread));
      for (std::int64_t k = 0; k < size; ++k)
        for (std::int64_t lane = 0; lane < lanes; ++lane) layer.weight_slope[k] += bench.weights[l][k][lane];
      for (std::int64_t o = 0; o < layer.out; ++o)
        for (std::int64_t lane = 0; lane < lanes; ++lane) layer.bias_slope[o] += bench.constants[l][o][lane];
    }
  }
}

void run_reader(const ReaderJob& job) {
  const std::int64_t blocks = (job.batch + lanes - 1) / lanes;
  if (job.pull) std::memset(job.scratch, 0, static_cast<std::size_t>(job.threads * job.scratch_bytes));
  const Work work = [](const void* context, const Team& team, std::int64_t first, std::int64_t last) {
    reader_share(*static_cast<const ReaderJob*>(context), team, first, last);
  };
  over_replicas(blocks, job.threads, false, work, &job);
  if (job.pull) sum_lanes(job, job.threads);
}

}  // namespace

extern const ReaderKernels reader_kernels;
const ReaderKernels reader_kernels = {PYQMC_ISA_NAME, lanes, run_reader};

}  // namespace PYQMC_ISA
}  // namespace pyqmc
