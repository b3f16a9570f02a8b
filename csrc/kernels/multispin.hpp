// Checkerboard sweeps with one bit for each spin. A spin flips with probability T: a random number x chooses a digit of
// T, that of its own highest one, and the spin flips where the digit is 1. Digit k is chosen with probability 2^-k, so
// this is exact, and takes one operation for each digit. 64 spins in a word do it at a time:
//
//   1. Seven digits of x for every word. After them one spin in 128 has met no one yet.
//   2. Up to four words of a lane are laid on top of each other: their open spins mostly stand in different bits, and
//   so share the random words of the next eight digits.
//   3. A spin that finds its bit taken by an earlier word, or that is still open, takes its further digits from a
//   Philox block of its own.
//
// x has 63 digits, like T; where all are 0 the spin stays. The digits of a lane come from a generator that is seeded by
// Philox for each (lane, colour, step, replica): the result depends on nothing else.
#pragma once

#include <cstdint>

#include "core/bits.hpp"
#include "core/words.hpp"
#include "kernels/jobs.hpp"
#include "kernels/packed.hpp"
#include "models/digits.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

inline constexpr int first_digits = 7, more_digits = 8;
static_assert(groups_of_block * first_digits + groups_of_block / layers_of_block * more_digits <= 128,
              "the lowest bits of a generator's words are independent up to 128 of them");

// What digits [first, first + count) of the random numbers choose.
template <int first, int count, class Rule>
PYQMC_HD inline lanes::Choice choose_digits(const Rule& rule, const Thresholds& thresholds,
                                            lanes::Xoroshiro& generator) {
  lanes::Choice choice{};
#pragma GCC unroll 8
  for (int k = first + count - 1; k >= first; --k) choice.next(generator.next(), rule.digit(thresholds, k));
  return choice;
}

// One half sweep of one field, or of several, as far as it concerns every block of them.
struct Pass {
  const Packed& packed;
  const Thresholds& thresholds;
  Draws draws;
  std::uint32_t apart;  // from one field's replica number to the next one's
  int colour;
};

// The usual number of groups, known when the loops are compiled.
struct All {
  PYQMC_HD constexpr operator int() const { return layers_of_block; }
};

// Some lanes of a block, or one lane of it of many fields, in up to four groups that lie on top of each other.
template <int axes, Layout layout, class Rule>
struct Lanes {
  static constexpr bool many = layout == Layout::fields, ragged = layout == Layout::words;
  static constexpr std::int64_t step = many ? lanes::width : 1;
  const Pass& pass;
  std::int64_t z, first;  // plane, and first word of the first group
  lanes::Vector flips[layers_of_block], open[layers_of_block], key[layers_of_block][Rule::keys];

  PYQMC_HD Lanes(const Pass& its, std::int64_t plane, std::int64_t word) : pass(its), z(plane), first(word) {}

  // Steps 1 to 3 of the head of this file.
  template <class Number>
  PYQMC_HD void update(Number number, lanes::Xoroshiro& given, lanes::Counter& accepted, std::int64_t* alone) {
    using lanes::Vector;
    const int groups = number;
    lanes::Xoroshiro generator = given;
    const PackedShape& shape = pass.packed.shape;
    const Thresholds& thresholds = pass.thresholds;
    const std::int64_t period = 2 * shape.words;
    std::uint64_t* own = pass.packed.plane(pass.colour, z) + first * step;
    std::int64_t phase = phase_of(shape, pass.colour, z, first);
    Vector taken{}, late{}, shared[Rule::keys] = {};
#pragma GCC unroll 1
    for (int g = 0; g < groups; ++g) {
      const Around<axes, layout> around(pass.packed, pass.colour, z, first + g * lanes_of_block, phase);
      for (phase += lanes_of_block; phase >= period;) phase -= period;
      const Vector up = lanes::load(own + g * lanes_of_block * step);
      const Situation here{count_agreeing(thresholds.turned ? up : ~up, around), up};
      Rule::find_key(here, key[g]);
      const Rule rule(key[g]);
      const Vector certain = rule.certain(here, thresholds);
      const lanes::Choice c = choose_digits<0, first_digits>(rule, thresholds, generator);
      flips[g] = (certain | c.value) & around.sites;
      open[g] = around.sites & ~(certain | c.any);
      late |= taken & open[g];
      for (int b = 0; b < Rule::keys; ++b) shared[b] = lanes::choose(taken, shared[b], key[g][b]);
      taken |= open[g];
    }
    const lanes::Choice c = choose_digits<first_digits, more_digits>(Rule(shared), thresholds, generator);
    given = generator;
#pragma GCC unroll 4
    for (int g = 0; g < groups; ++g) flips[g] |= open[g] & c.value;
#pragma GCC unroll 4
    for (int g = groups; g < layers_of_block; ++g) flips[g] = Vector{};
    accepted.add(flips);
#pragma GCC unroll 4
    for (int g = 0; g < groups; ++g) turn(own + g * lanes_of_block * step, shape.rows * shape.words - first, g);
    const Vector left = taken & ~c.any;
    if (__builtin_expect(lanes::any(late | left), 0)) settle_alone(groups, own, late | left, left, alone);
  }

 private:
  // What lies behind the last word belongs to whoever updates the first row.
  PYQMC_HD void turn(std::uint64_t* word, std::int64_t words, int g) const {
    const std::int64_t left_over = words - g * lanes_of_block;
    const lanes::Vector turned = lanes::load(word) ^ flips[g];
    if (!(ragged || many) || left_over >= (many ? 1 : lanes::width)) lanes::store(word, turned);
    else if (!many)
      for (int lane = 0; lane < left_over; ++lane) word[lane] = turned[lane];
  }

  // Step 3 for every open spin in the bits `where`: the first of each bit if it is in `left`, all later ones. They may
  // have been turned with those they met; `alone` counts in each lane what changes by that.
  PYQMC_HD __attribute__((noinline)) void settle_alone(int groups, std::uint64_t* own, lanes::Vector where,
                                                       lanes::Vector left, std::int64_t* alone) const {
    for (unsigned some = lanes::lanes_with_any(where); some != 0; some &= some - 1) {
      const int lane = bits::lowest(some);
      for (std::uint64_t rest = where[lane]; rest != 0; rest &= rest - 1) {
        const int bit = bits::lowest(rest);
        unsigned those = 0;  // groups whose spin is open
        for (int g = 0; g < groups; ++g) those |= static_cast<unsigned>(open[g][lane] >> bit & 1) << g;
        if ((left[lane] >> bit & 1) != 0) {
          settle(own, bits::lowest(those), lane, bit, first_digits + more_digits, alone);
        }
        for (those &= those - 1; those != 0; those &= those - 1)
          settle(own, bits::lowest(those), lane, bit, first_digits, alone);
      }
    }
  }

  // A spin that has seen `done` digits.
  PYQMC_HD void settle(std::uint64_t* own, int g, int lane, int bit, int done, std::int64_t* alone) const {
    const PackedShape& shape = pass.packed.shape;
    unsigned situation = 0;
    for (int b = 0; b < Rule::keys; ++b) situation |= static_cast<unsigned>(key[g][b][lane] >> bit & 1) << b;
    Draws draws = pass.draws;
    if (many) draws.replica += static_cast<std::uint32_t>(lane) * pass.apart;
    const std::int64_t w = z * shape.rows * shape.words + first + g * lanes_of_block + (many ? 0 : lane);
    const std::uint32_t number = static_cast<unsigned>(bit) << 2 | 2 | static_cast<unsigned>(pass.colour);
    const std::uint64_t x = draws.block(Purpose::site, static_cast<std::uint32_t>(w), number).draw(0) >> done;
    const std::uint64_t now = digit_of(pass.thresholds.entry[situation], x);
    const std::uint64_t before = flips[g][lane] >> bit & 1;
    own[g * lanes_of_block * step + lane] ^= (now ^ before) << bit;
    alone[lane] += static_cast<std::int64_t>(now) - static_cast<std::int64_t>(before);
  }
};

// All groups of the block whose lanes start at word `first` of plane z.
template <int axes, Layout layout, class Rule>
PYQMC_HD inline void update_lanes(const Pass& pass, std::int64_t z, std::int64_t first, lanes::Xoroshiro& generator,
                                  lanes::Counter& accepted, std::int64_t* alone) {
  const PackedShape& shape = pass.packed.shape;
  const std::int64_t block = first / words_of_block * words_of_block;
  const std::int64_t groups = (shape.rows * shape.words - block + lanes_of_block - 1) / lanes_of_block;
  for (int g = 0; g < groups_of_block && g < groups; g += layers_of_block) {
    const std::int64_t from = first + g * lanes_of_block;
    const int here = static_cast<int>(groups - g < layers_of_block ? groups - g : layers_of_block);
    if constexpr (layout != Layout::words) {
      if (here == layers_of_block) {
        Lanes<axes, layout, Rule>(pass, z, from).update(All{}, generator, accepted, alone);
        continue;
      }
    }
    constexpr Layout any = layout == Layout::fields ? layout : Layout::words;
    Lanes<axes, any, Rule>(pass, z, from).update(here, generator, accepted, alone);
  }
}

// The blocks of this member; returns the flips of each lane.
template <int axes, Layout layout, class Rule>
lanes::Vector update_blocks(const Pass& pass, std::int64_t begin, std::int64_t end) {
  constexpr bool many = layout == Layout::fields;
  const PackedShape& shape = pass.packed.shape;
  const std::int64_t words = shape.rows * shape.words;
  const std::int64_t blocks = (words + words_of_block - 1) / words_of_block;
  constexpr int ahead = many ? lanes::width : 4;  // blocks (or fields) whose seeds are drawn at a time
  alignas(64) std::uint64_t low[ahead * lanes_of_block], high[ahead * lanes_of_block];
  const std::uint32_t colour = static_cast<std::uint32_t>(pass.colour);
  lanes::Counter accepted;
  std::int64_t alone[lanes::width] = {};
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const std::int64_t z = unit / blocks, from = unit % blocks * words_of_block;
    const std::uint32_t index = static_cast<std::uint32_t>(unit * lanes_of_block);
    const int used = words - from < lanes_of_block ? static_cast<int>(words - from) : lanes_of_block;
    const int turn = many ? 0 : static_cast<int>((unit - begin) % ahead) * lanes_of_block;
    if (many) fill_seeds_of_fields(pass.draws, Purpose::site, colour, index, used, pass.apart, low, high);
    else if (turn == 0)
      fill_seeds(pass.draws, Purpose::site, colour, index, end - unit < 2 ? lanes_of_block : ahead * lanes_of_block,
                 low, high);
    for (int lane = 0; lane < (many ? used : lanes_of_block); lane += many ? 1 : lanes::width) {
      const int seed = many ? lane * lanes::width : turn + lane;
      lanes::Xoroshiro generator{lanes::load(low + seed), lanes::load(high + seed)};
      update_lanes<axes, layout, Rule>(pass, z, from + lane, generator, accepted, alone);
    }
    const std::int64_t to = from + words_of_block;
    if (from < shape.words || to > words - shape.words)
      pass.packed.close(pass.packed.plane(pass.colour, z), from, to < words ? to : words);
  }
  lanes::Vector total = accepted.total();
  for (int lane = 0; lane < lanes::width; ++lane) total[lane] += static_cast<std::uint64_t>(alone[lane]);
  return total;
}

template <int axes, Layout layout>
lanes::Vector half_sweep(const Pass& pass, const Team& team) {
  const PackedShape& shape = pass.packed.shape;
  const std::int64_t blocks = (shape.rows * shape.words + words_of_block - 1) / words_of_block * shape.planes;
  const std::int64_t begin = team.begin(blocks), end = team.end(blocks);
  if (pass.thresholds.steep) return update_blocks<axes, layout, Steep<axes>>(pass, begin, end);
  if (pass.thresholds.in_field) return update_blocks<axes, layout, Tabulated<true>>(pass, begin, end);
  return update_blocks<axes, layout, Tabulated<false>>(pass, begin, end);
}

template <int axes, bool many>
lanes::Vector half_sweep(const Pass& pass, const Team& team) {
  if constexpr (many) return half_sweep<axes, Layout::fields>(pass, team);
  const Layout layout = layout_of(pass.packed.shape);
  if constexpr (axes == 2)  // no one has a cubic lattice of such rows
    if (layout == Layout::rows) return half_sweep<axes, Layout::rows>(pass, team);
  if (layout != Layout::words) return half_sweep<axes, Layout::full>(pass, team);
  return half_sweep<axes, Layout::words>(pass, team);
}

// Packs a field, does all steps, and unpacks it; or `count` fields from `index` on, one for each lane, all of one rung.
template <int axes, bool many>
void multispin_fields(const MultispinJob& job, const Packed& packed, const Thresholds& thresholds, const Team& team,
                      std::int64_t index, int count) {
  const Batch& batch = job.batch;
  const std::int64_t rows = packed.shape.planes * packed.shape.rows, begin = team.begin(rows), end = team.end(rows);
  const auto field = [&batch, index](int lane) {
    return static_cast<std::int8_t*>(batch.field) + (index + lane * batch.rungs) * sites_of(batch.lattice);
  };
  // What a lane says, or all lanes of one field together.
  const auto of = [](lanes::Vector v, int lane) {
    return many ? static_cast<std::int64_t>(v[lane]) : lanes::add_up(v);
  };
  for (int lane = 0; lane < count; ++lane) pack(packed, lane, field(lane), begin, end);
  team.wait();
  if (team.rank == 0) packed.close_all();
  team.wait();
  lanes::Vector accepted{};
  for (std::int64_t step = 0; step < batch.steps; ++step) {
    const Draws draws{batch.key, batch.first_replica + static_cast<std::uint32_t>(index),
                      batch.first_step + static_cast<std::uint32_t>(step)};
    for (int colour = 0; colour < 2; ++colour) {
      accepted += half_sweep<axes, many>(
          Pass{packed, thresholds, draws, static_cast<std::uint32_t>(batch.rungs), colour}, team);
      team.wait();
    }
    if (batch.sums == nullptr || (step + 1) % batch.every != 0) continue;
    const PackedSums measured = add_packed<axes, many>(packed, team);
    for (int lane = 0; lane < count; ++lane) {
      const std::int64_t row = ((step + 1) / batch.every - 1) * batch.batch + index + lane * batch.rungs;
      __atomic_fetch_add(&batch.sums[2 * row], of(measured.equal, lane), __ATOMIC_RELAXED);
      __atomic_fetch_add(&batch.sums[2 * row + 1], of(measured.magnetization, lane), __ATOMIC_RELAXED);
    }
    team.wait();
  }
  for (int lane = 0; lane < count; ++lane) {
    unpack(packed, lane, field(lane), begin, end);
    __atomic_fetch_add(&batch.tally[index + lane * batch.rungs], of(accepted, lane), __ATOMIC_RELAXED);
  }
  team.wait();
}

// The fields [first, last): rung by rung, a register of them at a time where that is worth it, else one by one.
template <int axes>
void multispin_share(const MultispinJob& job, const Team& team, std::int64_t first, std::int64_t last) {
  const std::int64_t rungs = job.batch.rungs;
  // Members of a team share one field; a member on its own has its own memory.
  std::uint64_t* memory = job.memory + (team.size > 1 ? 0 : team.thread) * job.shape.memory;
  const bool many = job.shape.many && team.size == 1 && last - first > rungs;
  const Packed packed(job.shape, many ? lanes::width : 1, memory, team.rank == 0);
  team.wait();
  Thresholds thresholds;
  for (std::int64_t rung = 0; rung < rungs; ++rung) {
    std::int64_t index = first + ((rung - first) % rungs + rungs) % rungs;
    if (index >= last) continue;
    thresholds.set(job.table + rung * 2 * (4 * axes + 1), 2 * axes);
    for (; many && index < last; index += lanes::width * rungs) {
      const std::int64_t left = (last - index + rungs - 1) / rungs;
      const int count = left < lanes::width ? static_cast<int>(left) : lanes::width;
      multispin_fields<axes, true>(job, packed, thresholds, team, index, count);
    }
    for (; index < last; index += rungs) multispin_fields<axes, false>(job, packed, thresholds, team, index, 1);
  }
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
