// Flip probabilities of Ising spins digit by digit, for many spins at a time.
#pragma once

#include <cstdint>

#include "core/bits.hpp"
#include "core/words.hpp"
#include "kernels/jobs.hpp"
#include "kernels/packed.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

// Binary digits of a probability T / 2^63 behind the point.
inline constexpr int digits = 63;

// The digit of T / 2^63 that a number chooses whose remaining digits are x: that of its highest one, and none if x is
// 0. A one below the lowest digit of x stands for none: it chooses a digit of 2 T that is 0.
PYQMC_HD inline std::uint64_t digit_of(std::uint64_t probability, std::uint64_t x) {
  return probability << 1 >> (63 - bits::zeros_above(x << 1 | 1)) & 1;
}

// The table of one rung by the number of agreeing neighbours. Where there is no field and disagreement costs (J > 0),
// `turned` is false; where agreement costs (J < 0) the differing neighbours are counted instead, so that the entries
// never increase with the count.
struct Thresholds {
  static constexpr int counts = 8;
  // For each digit of the four lower and the four upper entries of either spin: how many bytes behind the first of
  // `fill_functions` the function of two bits with these values stands.
  std::uint32_t place[digits][2][2];
  std::uint32_t certain[2][2];
  std::uint64_t entry[2 * counts];  // by the key of a rule, as a number
  bool in_field, turned, steep;

  void set(const std::uint64_t* table, int z) {
    std::uint64_t value[2][counts];
    for (int up = 0; up < 2; ++up)
      for (int a = 0; a < counts; ++a)
        value[up][a] = a <= z ? table[up * (2 * z + 1) + z + (up ? 1 : -1) * (2 * a - z)] : 0;
    in_field = false;
    for (int a = 0; a <= z; ++a) in_field |= value[0][a] != value[1][a];
    turned = !in_field && value[1][0] < value[1][z];
    for (int up = 0; turned && up < 2; ++up)
      for (int a = 0; a < z - a; ++a) {
        const std::uint64_t other = value[up][a];
        value[up][a] = value[up][z - a];
        value[up][z - a] = other;
      }
    steep = !in_field;
    for (int a = 0; a <= z; ++a) steep &= value[1][a] >> digits == (2 * a < z ? 1u : 0u);
    // The bits of a count that a steep rule looks at are 0 and 2 on a square lattice, 0 and 1 on a cubic one.
    constexpr int steep_count[2][4] = {{2, 3, 4, 7}, {4, 5, 6, 3}};
    for (int key = 0; key < 2 * counts; ++key)
      entry[key] = steep ? value[0][steep_count[z == 6][key % 4]] : value[key / counts][key % counts];
    for (int up = 0; up < 2; ++up)
      for (int half = 0; half < 2; ++half) {
        const std::uint64_t* four = entry + counts * up + 4 * half;
        certain[up][half] = place_of(four, digits);
        for (int k = 0; k < digits; ++k) place[k][up][half] = place_of(four, digits - 1 - k);
      }
  }

 private:
  static std::uint32_t place_of(const std::uint64_t* four, int bit) {
    std::uint32_t function = 0;
    for (int n = 0; n < 4; ++n) function |= static_cast<std::uint32_t>(four[n] >> bit & 1) << n;
    return function * static_cast<std::uint32_t>(sizeof(lanes::Vector));
  }
};

// What the probability of a spin depends on.
struct Situation {
  Count count;
  lanes::Vector up;
};

// A rule knows the situation of a register by as few bits as tell its probabilities apart (`keys` of them). Made from
// these it says the digits of the probabilities.

// Any table for either spin (in a field), or the same for both.
template <bool by_spin>
struct Tabulated {
  static constexpr int keys = by_spin ? 4 : 3;
  lanes::Vector key[keys], of[16];

  PYQMC_HD static void find_key(const Situation& s, lanes::Vector (&key)[keys]) {
    for (int b = 0; b < 3; ++b) key[b] = s.count.bit[b];
    if constexpr (by_spin) key[3] = s.up;
  }
  PYQMC_HD explicit Tabulated(const lanes::Vector (&given)[keys]) {
    for (int b = 0; b < keys; ++b) key[b] = given[b];
    lanes::fill_functions(key[0], key[1], of);
  }
  PYQMC_HD lanes::Vector certain(const Situation&, const Thresholds& t) const { return look_up(t.certain); }
  PYQMC_HD lanes::Vector digit(const Thresholds& t, int k) const { return look_up(t.place[k]); }

 private:
  PYQMC_HD lanes::Vector look_up(const std::uint32_t (&place)[2][2]) const {
    using lanes::at_place;
    using lanes::choose;
    const lanes::Vector down = choose(key[2], at_place(of, place[0][1]), at_place(of, place[0][0]));
    if constexpr (!by_spin) return down;
    else return choose(key[3], choose(key[2], at_place(of, place[1][1]), at_place(of, place[1][0])), down);
  }
};

// Metropolis without a field: whatever gains is accepted, so that few entries remain.
template <int axes>
struct Steep {
  static constexpr int keys = 2;
  lanes::Vector of[axes == 2 ? 8 : 16];

  PYQMC_HD static void find_key(const Situation& s, lanes::Vector (&key)[keys]) {
    key[0] = s.count.bit[0];
    key[1] = s.count.bit[axes == 2 ? 2 : 1];
  }
  PYQMC_HD explicit Steep(const lanes::Vector (&key)[keys]) { lanes::fill_functions(key[0], key[1], of); }
  PYQMC_HD static lanes::Vector certain(const Situation& s, const Thresholds&) {
    const lanes::Vector* bit = s.count.bit;
    if constexpr (axes == 2) return lanes::neither(bit[2], bit[1]);
    else return lanes::neither(bit[2], bit[1] & bit[0]);
  }
  PYQMC_HD lanes::Vector digit(const Thresholds& t, int k) const { return lanes::at_place(of, t.place[k][0][0]); }
};

}  // namespace PYQMC_ISA
}  // namespace pyqmc
