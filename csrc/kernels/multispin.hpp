// Checkerboard sweeps with one bit for each spin. A spin flips when a uniform number u is below its probability T; both
// are compared digit by digit, 64 spins in a word:
//
//   1. Seven digits of u for every word. After them one spin in 128 is still equal to its T.
//   2. The words of a lane in one block, up to four, are laid on top of each other: their open spins mostly stand in
//      different bits, and so share the random words of all further digits, eight at a time.
//   3. Where two open spins stand in the same bit, the later one takes its further digits from a Philox block of its
//   own.
//
// u has 63 digits, like T, so the probability is exact. The digits of a lane come from a generator that is seeded by
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
static_assert((digits - first_digits) % more_digits == 0);

// Which of the spins have u < T and which u == T, in `count` digits from `first` on.
struct Compared {
  lanes::Vector below, equal;
};

template <class Rule, int count>
PYQMC_HD inline Compared compare_digits(const Situation& situation, const Thresholds& thresholds, int first,
                                        lanes::Xoroshiro& generator) {
  Compared c{lanes::Vector{}, ~lanes::Vector{}};
#pragma GCC unroll 8
  for (int k = count - 1; k >= 0; --k) {
    const lanes::Vector r = generator.next(), t = Rule::digit(situation, thresholds, first + k);
    c.below = lanes::less(r, t, c.below);
    c.equal = lanes::same(c.equal, r, t);
  }
  return c;
}

// One half sweep of one field, or of several, as far as it concerns every block of them.
struct Pass {
  const Packed& packed;
  const Thresholds& thresholds;
  Draws draws;
  std::uint32_t apart;  // from one field's replica number to the next one's
  int colour;
};

// Some lanes of a block, in up to four groups; or one lane of it, of many fields.
template <int axes, bool many, class Rule>
struct Lanes {
  static constexpr std::int64_t step = many ? lanes::width : 1;
  std::int64_t z, first;  // plane, and first word of the first group
  int groups;
  lanes::Vector own[groups_of_block], flips[groups_of_block], open[groups_of_block];
  Situation situation[groups_of_block];

  // Steps 1 to 3 of the head of this file.
  PYQMC_HD void draw_flips(const Pass& pass, lanes::Xoroshiro& generator) {
    std::int64_t phase = phase_of(pass.packed.shape, pass.colour, z, first);
    for (int g = 0; g < groups; ++g) {
      const Around<axes, many> around(pass.packed, pass.colour, z, first + g * lanes_of_block, phase);
      phase += lanes_of_block;
      while (phase >= 2 * pass.packed.shape.words) phase -= 2 * pass.packed.shape.words;
      own[g] = lanes::load(pass.packed.plane(pass.colour, z) + (first + g * lanes_of_block) * step);
      const lanes::Vector turned = pass.thresholds.turned ? own[g] : ~own[g];
      situation[g] = {count_agreeing(turned, around), own[g]};
      const lanes::Vector certain = Rule::certain(situation[g], pass.thresholds);
      const Compared c = compare_digits<Rule, first_digits>(situation[g], pass.thresholds, 0, generator);
      flips[g] = (certain | c.below) & around.sites;
      open[g] = c.equal & ~certain & around.sites;
    }
    lanes::Vector taken{}, twice{};
    Situation shared{};
    for (int g = 0; g < groups; ++g) {
      twice |= taken & open[g];
      for (int b = 0; b < 3; ++b)
        shared.count.bit[b] = lanes::choose(taken, shared.count.bit[b], situation[g].count.bit[b]);
      shared.up = lanes::choose(taken, shared.up, situation[g].up);
      taken |= open[g];
    }
    if (__builtin_expect(lanes::any(twice), 0)) settle_alone(pass, twice);
    lanes::Vector below{};
    for (int k = first_digits; k < digits; k += more_digits) {
      const Compared c = compare_digits<Rule, more_digits>(shared, pass.thresholds, k, generator);
      below |= taken & c.below;
      taken &= c.equal;
      if (__builtin_expect(!lanes::any(taken), 1)) break;
    }
    for (int g = 0; g < groups; ++g) flips[g] |= open[g] & below;
  }

  // Step 3: settles every open spin that finds its bit taken by an earlier group, and closes it; `twice` says where.
  PYQMC_HD __attribute__((noinline)) void settle_alone(const Pass& pass, lanes::Vector twice) {
    const Thresholds& thresholds = pass.thresholds;
    for (int lane = 0; lane < lanes::width; ++lane) {
      if (twice[lane] == 0) continue;
      Draws draws = pass.draws;
      if (many) draws.replica += static_cast<std::uint32_t>(lane) * pass.apart;
      std::uint64_t taken = open[0][lane];
      for (int g = 1; g < groups; ++g) {
        const std::int64_t word =
            z * pass.packed.shape.rows * pass.packed.shape.words + first + g * lanes_of_block + (many ? 0 : lane);
        const Count& count = situation[g].count;
        std::uint64_t late = taken & open[g][lane], flipped = 0;
        taken |= open[g][lane];
        open[g][lane] &= ~late;
        for (; late != 0; late &= late - 1) {
          const unsigned bit = static_cast<unsigned>(bits::lowest(late));
          const auto has = [bit, lane](lanes::Vector v) { return static_cast<unsigned>(v[lane] >> bit & 1); };
          const std::uint64_t value =
              thresholds.value[has(own[g])][has(count.bit[0]) + 2 * has(count.bit[1]) + 4 * has(count.bit[2])];
          const std::uint32_t number = bit << 2 | 2 | static_cast<unsigned>(pass.colour);
          const std::uint64_t draw = draws.block(Purpose::site, static_cast<std::uint32_t>(word), number).draw(0);
          const std::uint64_t rest = (1ull << (digits - first_digits)) - 1;
          flipped |= static_cast<std::uint64_t>(draw >> first_digits < (value & rest)) << bit;
        }
        flips[g][lane] |= flipped;
      }
    }
  }

  PYQMC_HD void apply(const Pass& pass, lanes::Counter& accepted) const {
    const PackedShape& shape = pass.packed.shape;
    std::uint64_t* plane = pass.packed.plane(pass.colour, z);
    for (int g = 0; g < groups; ++g) {
      const std::int64_t w = first + g * lanes_of_block, left_over = shape.rows * shape.words - w;
      const lanes::Vector turned = own[g] ^ flips[g];
      accepted.add(flips[g]);
      // What lies behind the last word belongs to whoever updates the first row.
      if (left_over >= (many ? 1 : lanes::width)) lanes::store(plane + w * step, turned);
      else if (!many)
        for (int lane = 0; lane < left_over; ++lane) plane[w + lane] = turned[lane];
    }
  }
};

// The blocks of this member; returns the flips of each lane.
template <int axes, bool many, class Rule>
lanes::Vector update_blocks(const Pass& pass, std::int64_t begin, std::int64_t end) {
  const PackedShape& shape = pass.packed.shape;
  const std::int64_t words = shape.rows * shape.words;
  const std::int64_t groups = (words + lanes_of_block - 1) / lanes_of_block;
  const std::int64_t blocks = (groups + groups_of_block - 1) / groups_of_block;
  constexpr int ahead = many ? lanes::width : 4;  // blocks (or fields) whose seeds are drawn at a time
  alignas(64) std::uint64_t low[ahead * lanes_of_block], high[ahead * lanes_of_block];
  const std::uint32_t colour = static_cast<std::uint32_t>(pass.colour);
  lanes::Counter accepted;
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const std::int64_t z = unit / blocks, group = unit % blocks * groups_of_block, from = group * lanes_of_block;
    const std::uint32_t index = static_cast<std::uint32_t>(unit * lanes_of_block);
    const int used = words - from < lanes_of_block ? static_cast<int>(words - from) : lanes_of_block;
    const int turn = many ? 0 : static_cast<int>((unit - begin) % ahead) * lanes_of_block;
    if (many) fill_seeds_of_fields(pass.draws, Purpose::site, colour, index, used, pass.apart, low, high);
    else if (turn == 0)
      fill_seeds(pass.draws, Purpose::site, colour, index, end - unit < 2 ? lanes_of_block : ahead * lanes_of_block,
                 low, high);
    for (int lane = 0; lane < (many ? used : lanes_of_block); lane += many ? 1 : lanes::width) {
      Lanes<axes, many, Rule> some;
      some.z = z;
      some.first = from + lane;
      some.groups = static_cast<int>(groups - group < groups_of_block ? groups - group : groups_of_block);
      const int seed = many ? lane * lanes::width : turn + lane;
      lanes::Xoroshiro generator{lanes::load(low + seed), lanes::load(high + seed)};
      some.draw_flips(pass, generator);
      some.apply(pass, accepted);
    }
    const std::int64_t to = from + words_of_block;
    if (from < shape.words || to > words - shape.words)
      pass.packed.close(pass.packed.plane(pass.colour, z), from, to < words ? to : words);
  }
  return accepted.total();
}

template <int axes, bool many>
lanes::Vector half_sweep(const Pass& pass, const Team& team) {
  const PackedShape& shape = pass.packed.shape;
  const std::int64_t blocks = (shape.rows * shape.words + words_of_block - 1) / words_of_block * shape.planes;
  const std::int64_t begin = team.begin(blocks), end = team.end(blocks);
  if (pass.thresholds.steep) return update_blocks<axes, many, Steep<axes>>(pass, begin, end);
  if (pass.thresholds.in_field) return update_blocks<axes, many, InField<axes>>(pass, begin, end);
  return update_blocks<axes, many, Even<axes>>(pass, begin, end);
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
