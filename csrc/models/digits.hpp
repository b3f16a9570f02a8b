// Flip probabilities of Ising spins digit by digit, for many spins at a time.
#pragma once

#include <cstdint>

#include "core/words.hpp"
#include "kernels/jobs.hpp"
#include "kernels/packed.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

// Binary digits of a probability T / 2^63 behind the point.
inline constexpr int digits = 63;

// The table of one rung by the number of agreeing neighbours, and each digit of each entry as a word of all zeros or
// all ones. Where there is no field and disagreement costs (J > 0), `turned` is false; where agreement costs (J < 0)
// the differing neighbours are counted instead, so that the entries never increase with the count.
struct Thresholds {
  static constexpr int counts = 8;
  std::uint64_t value[2][counts];
  std::uint64_t digit[digits][2 * counts];
  std::uint64_t certain[2 * counts];
  bool in_field, turned, steep;

  void set(const std::uint64_t* table, int z) {
    for (int up = 0; up < 2; ++up)
      for (int a = 0; a <= z; ++a) value[up][a] = table[up * (2 * z + 1) + z + (up ? 1 : -1) * (2 * a - z)];
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
    for (int up = 0; up < 2; ++up)
      for (int a = 0; a <= z; ++a) {
        certain[up * counts + a] = value[up][a] >> digits ? ~0ull : 0;
        for (int k = 0; k < digits; ++k) digit[k][up * counts + a] = 0 - (value[up][a] >> (digits - 1 - k) & 1);
      }
  }
};

// What the probability of a spin depends on.
struct Situation {
  Count count;
  lanes::Vector up;
};

// Entries [0, 2 axes] of a row of words, chosen by the count.
template <int axes>
PYQMC_HD inline lanes::Vector pick(const Count& count, const std::uint64_t* row) {
  using lanes::broadcast;
  using lanes::choose;
  const lanes::Vector low = choose(count.bit[0], broadcast(row[1]), broadcast(row[0]));
  const lanes::Vector middle = choose(count.bit[0], broadcast(row[3]), broadcast(row[2]));
  lanes::Vector high = broadcast(row[4]);
  if constexpr (axes == 3)
    high = choose(count.bit[1], broadcast(row[6]), choose(count.bit[0], broadcast(row[5]), high));
  return choose(count.bit[2], high, choose(count.bit[1], middle, low));
}

// In a field: a table for either spin.
template <int axes>
struct InField {
  PYQMC_HD static lanes::Vector certain(const Situation& s, const Thresholds& t) { return both(s, t.certain); }
  PYQMC_HD static lanes::Vector digit(const Situation& s, const Thresholds& t, int k) { return both(s, t.digit[k]); }
  PYQMC_HD static lanes::Vector both(const Situation& s, const std::uint64_t* row) {
    return lanes::choose(s.up, pick<axes>(s.count, row + Thresholds::counts), pick<axes>(s.count, row));
  }
};

// Without a field the spin itself does not matter.
template <int axes>
struct Even {
  PYQMC_HD static lanes::Vector certain(const Situation& s, const Thresholds& t) {
    return pick<axes>(s.count, t.certain);
  }
  PYQMC_HD static lanes::Vector digit(const Situation& s, const Thresholds& t, int k) {
    return pick<axes>(s.count, t.digit[k]);
  }
};

// Metropolis without a field: whatever gains is accepted, so that few entries remain.
template <int axes>
struct Steep {
  PYQMC_HD static lanes::Vector certain(const Situation& s, const Thresholds&) {
    const lanes::Vector* bit = s.count.bit;
    if constexpr (axes == 2) return ~(bit[2] | bit[1]);
    else return ~(bit[2] | (bit[1] & bit[0]));
  }
  PYQMC_HD static lanes::Vector digit(const Situation& s, const Thresholds& t, int k) {
    using lanes::broadcast;
    using lanes::choose;
    const std::uint64_t* row = t.digit[k];
    const lanes::Vector* bit = s.count.bit;
    if constexpr (axes == 2)
      return choose(bit[0], broadcast(row[3]), choose(bit[1], broadcast(row[2]), broadcast(row[4])));
    else
      return choose(bit[2], choose(bit[0], broadcast(row[5]), choose(bit[1], broadcast(row[6]), broadcast(row[4]))),
                    broadcast(row[3]));
  }
};

}  // namespace PYQMC_ISA
}  // namespace pyqmc
