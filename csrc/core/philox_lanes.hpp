// Many Philox blocks at once, one block to a 64-bit lane, at the width of the instruction set this file is built for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/philox.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace pyqmc {
inline namespace PYQMC_ISA {
namespace lanes {

#if defined(__AVX512F__)
inline constexpr int width = 8;
#elif defined(__AVX2__)
inline constexpr int width = 4;
#else
inline constexpr int width = 2;
#endif
typedef std::uint64_t Vector __attribute__((vector_size(8 * width)));

inline Vector broadcast(std::uint64_t x) { return Vector{} + x; }

// Product of the low 32 bits of each lane: the upper halves are ignored, so nothing below ever masks them off.
inline Vector multiply(Vector a, Vector b) {
#if defined(__AVX512F__)
  // The plain intrinsic trips gcc 12's uninitialised-value warning; with all lanes on this is the same instruction.
  return (Vector)_mm512_maskz_mul_epu32(0xFF, (__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (Vector)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return (Vector)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  return (a & 0xFFFFFFFFull) * (b & 0xFFFFFFFFull);
#endif
}

}  // namespace lanes

// Draws of `blocks` consecutive indices: out[2 j + half] = block(first + j).draw(half).
inline void fill_draws(const Draws& draws, Purpose purpose, std::uint32_t number, std::uint32_t first, std::size_t blocks,
                       std::uint64_t* out) {
  using lanes::Vector;
  // Two vectors at a time hide the latency of the multiplications.
  constexpr std::size_t unroll = 2, stride = unroll * lanes::width;
  const std::uint32_t tag = Draws::tag(purpose, number);
  Vector ramp;
  for (int lane = 0; lane < lanes::width; ++lane) ramp[lane] = static_cast<std::uint64_t>(lane);
  std::size_t j = 0;
  for (; j + stride <= blocks; j += stride) {
    Vector c0[unroll], c1[unroll], c2[unroll], c3[unroll];
    for (std::size_t v = 0; v < unroll; ++v) {
      c0[v] = ramp + static_cast<std::uint64_t>(first + static_cast<std::uint32_t>(j + v * lanes::width));
      c1[v] = lanes::broadcast(draws.replica);
      c2[v] = lanes::broadcast(draws.step);
      c3[v] = lanes::broadcast(tag);
    }
    std::uint32_t k0 = static_cast<std::uint32_t>(draws.key), k1 = static_cast<std::uint32_t>(draws.key >> 32);
    for (int round = 0; round < philox::rounds; ++round) {
      for (std::size_t v = 0; v < unroll; ++v) {
        const Vector p0 = lanes::multiply(c0[v], lanes::broadcast(philox::multiplier0));
        const Vector p1 = lanes::multiply(c2[v], lanes::broadcast(philox::multiplier1));
        c0[v] = (p1 >> 32) ^ c1[v] ^ lanes::broadcast(k0);
        c1[v] = p1;
        c2[v] = (p0 >> 32) ^ c3[v] ^ lanes::broadcast(k1);
        c3[v] = p0;
      }
      k0 += philox::weyl0;
      k1 += philox::weyl1;
    }
    for (std::size_t v = 0; v < unroll; ++v) {
      const Vector low = ((c0[v] & 0xFFFFFFFFull) | c1[v] << 32) >> 1;
      const Vector high = ((c2[v] & 0xFFFFFFFFull) | c3[v] << 32) >> 1;
      for (int lane = 0; lane < lanes::width; ++lane) {
        out[2 * (j + v * lanes::width + lane)] = low[lane];
        out[2 * (j + v * lanes::width + lane) + 1] = high[lane];
      }
    }
  }
  for (; j < blocks; ++j) {
    const Block block = draws.block(purpose, first + static_cast<std::uint32_t>(j), number);
    out[2 * j] = block.draw(0);
    out[2 * j + 1] = block.draw(1);
  }
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
