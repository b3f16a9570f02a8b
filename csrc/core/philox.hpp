// Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11.
// A number is a pure function of (key, index, replica, step, purpose): see pyqmc_art/rng.py.
#pragma once

#include <cstdint>

#include "core/host_device.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

enum class Purpose : std::uint32_t { site, bond, flip, seed, exchange, swap, start, fold, user };

struct Block {
  std::uint32_t word[4];

  PYQMC_HD constexpr std::uint64_t bits(unsigned half) const {
    return static_cast<std::uint64_t>(word[2 * half]) | static_cast<std::uint64_t>(word[2 * half + 1]) << 32;
  }
  // Uniform integers below 2^63, what acceptance tables are compared with; `half` is 0 or 1.
  PYQMC_HD constexpr std::uint64_t draw(unsigned half) const { return bits(half) >> 1; }
};

namespace philox {
inline constexpr std::uint32_t multiplier0 = 0xD2511F53u, multiplier1 = 0xCD9E8D57u;
inline constexpr std::uint32_t weyl0 = 0x9E3779B9u, weyl1 = 0xBB67AE85u;
inline constexpr int rounds = 10;

// The two words of the key that a round uses.
PYQMC_HD constexpr std::uint32_t round_key0(std::uint64_t key, int round) {
  return static_cast<std::uint32_t>(key) + static_cast<std::uint32_t>(round) * weyl0;
}
PYQMC_HD constexpr std::uint32_t round_key1(std::uint64_t key, int round) {
  return static_cast<std::uint32_t>(key >> 32) + static_cast<std::uint32_t>(round) * weyl1;
}

PYQMC_HD constexpr Block block(std::uint32_t c0, std::uint32_t c1, std::uint32_t c2, std::uint32_t c3,
                               std::uint64_t key) {
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < rounds; ++round) {
    const std::uint64_t p0 = static_cast<std::uint64_t>(multiplier0) * c0;
    const std::uint64_t p1 = static_cast<std::uint64_t>(multiplier1) * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += weyl0;
    k1 += weyl1;
  }
  return {{c0, c1, c2, c3}};
}

constexpr bool answers(Block b, std::uint32_t w0, std::uint32_t w1, std::uint32_t w2, std::uint32_t w3) {
  return b.word[0] == w0 && b.word[1] == w1 && b.word[2] == w2 && b.word[3] == w3;
}
// Known answers of Random123 (kat_vectors, philox4x32 10).
static_assert(answers(block(0, 0, 0, 0, 0), 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u));
static_assert(answers(block(~0u, ~0u, ~0u, ~0u, ~0ull), 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu));
static_assert(answers(block(0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u, 0x299f31d0a4093822ull), 0xd16cfe09u,
                      0x94fdccebu, 0x5001e420u, 0x24126ea1u));
}  // namespace philox

// The random numbers of one replica at one step.
struct Draws {
  std::uint64_t key;
  std::uint32_t replica;
  std::uint32_t step;

  PYQMC_HD static constexpr std::uint32_t tag(Purpose purpose, std::uint32_t number) {
    return static_cast<std::uint32_t>(purpose) << 24 | number;
  }
  PYQMC_HD constexpr Block block(Purpose purpose, std::uint32_t index, std::uint32_t number = 0) const {
    return philox::block(index, replica, step, tag(purpose, number), key);
  }
};

// The high half of a 64 x 64 bit product.
PYQMC_HD constexpr std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t low = 0xFFFFFFFFull;
  const std::uint64_t a0 = a & low, a1 = a >> 32, b0 = b & low, b1 = b >> 32;
  const std::uint64_t middle = (a0 * b0 >> 32) + (a1 * b0 & low) + (a0 * b1 & low);
  return a1 * b1 + (a1 * b0 >> 32) + (a0 * b1 >> 32) + (middle >> 32);
}

// Uniform integer below n from a draw below 2^63; the bias is below n / 2^63.
PYQMC_HD constexpr std::uint64_t scaled(std::uint64_t draw, std::uint64_t n) { return multiply_high(draw << 1, n); }

}  // namespace PYQMC_ISA
}  // namespace pyqmc
