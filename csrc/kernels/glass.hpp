// Heat-bath sweeps of spin glasses: a bit for each of many copies, 64 to a word, that share their couplings. A register
// holds consecutive words of one site, so that any lattice will do.
//
// A spin becomes +1 with the probability T of its neighbours: a random number chooses a digit of T, as in
// kernels/multispin.hpp. Twelve digits of it are drawn for all copies at once; for one spin in 4096 all of them are 0,
// and it takes its further digits from a Philox block of its own. There are 63 digits, as in T. Every generator serves
// eight sites of one colour and is seeded by Philox for each (eight sites, step, word of copies): the result depends on
// nothing else.
#pragma once

#include "core/bits.hpp"
#include "core/words.hpp"
#if defined(__AVX512VBMI2__) && defined(__GFNI__)
#include "core/byte_tables.hpp"
#endif
#include "kernels/jobs.hpp"
#include "kernels/packed.hpp"
#include "models/digits.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {
namespace glass {

inline constexpr int together = glass_digits;
inline constexpr int sites_of_seed = 8;   // sites that share a generator
inline constexpr int seeds_at_once = 16;  // generators that are seeded together
inline constexpr int planes = 48;         // digits of a sum over the bonds

// What belongs to a site: its T, and their upper digits, one bit for each T or some of a T in a byte. All 16 functions
// of two bits are at hand, so that a digit of all T needs one of them for every four T.
struct Row {
  const std::uint64_t* value;
  const std::uint8_t* upper;
  const std::uint8_t* bytes;
};

inline lanes::Vector function(const lanes::Vector* of_two, std::size_t eightfold) {
  return lanes::at_place(of_two, eightfold * (sizeof(lanes::Vector) / 8));  // a scaled address: nothing is multiplied
}

// All couplings of the lattice of one strength: T depends on how many neighbours pull upwards.
template <int slots>
struct Counted {
  const Row& row;
  Count count;
  lanes::Vector of_two[16];

  // `around` are the neighbours, and `negative` the couplings to them.
  Counted(lanes::Vector* around, const std::uint64_t* negative, const Row& of_site) : row(of_site) {
    for (int k = 0; k < slots; ++k) around[k] ^= lanes::broadcast(negative[k]);
    count = count_bits<slots / 2>(around);
    lanes::fill_functions(count.bit[0], count.bit[1], of_two);
  }
  lanes::Vector digit(int k) const {
    return lanes::choose(count.bit[2], function(of_two, row.upper[2 * k + 1]), function(of_two, row.upper[2 * k]));
  }
  std::uint64_t value(int lane, int bit) const {
    std::uint64_t n = 0;
    for (int b = 0; b < 3; ++b) n |= (count.bit[b][lane] >> bit & 1) << b;
    return row.value[n];
  }
  lanes::Vector turn(lanes::Vector up) const { return up; }
};

// Any couplings: T depends on which neighbours differ from the first; where that one pulls downwards, +1 and -1 change
// their parts.
template <int slots>
struct Unlike {
  const Row& row;
  lanes::Vector differs[slots - 1], down;

  Unlike(const lanes::Vector* around, const std::uint64_t* negative, const Row& of_site)
      : row(of_site), down(around[0] ^ lanes::broadcast(~negative[0])) {
    for (int k = 1; k < slots; ++k) differs[k - 1] = around[k] ^ around[0];
  }
  std::uint64_t value(int lane, int bit) const {
    std::uint64_t entry = 0;
    for (int k = 0; k + 1 < slots; ++k) entry |= (differs[k][lane] >> bit & 1) << k;
    return row.value[entry];
  }
  lanes::Vector turn(lanes::Vector up) const { return up ^ down; }
};

template <int slots>
struct Chosen : Unlike<slots> {
  using Unlike<slots>::differs, Unlike<slots>::row;
  lanes::Vector of_two[16];

  Chosen(const lanes::Vector* around, const std::uint64_t* negative, const Row& of_site)
      : Unlike<slots>(around, negative, of_site) {
    lanes::fill_functions(differs[0], differs[1], of_two);
  }
  lanes::Vector digit(int k) const {
    constexpr int levels = slots - 3;
    return choose_entry<levels>(row.upper + (k << levels));
  }

 private:
  // One of 2^n functions, chosen by `differs`.
  template <int n>
  lanes::Vector choose_entry(const std::uint8_t* functions) const {
    if constexpr (n == 0) return function(of_two, *functions);
    else
      return lanes::choose(differs[n + 1], choose_entry<n - 1>(functions + (1 << (n - 1))),
                           choose_entry<n - 1>(functions));
  }
};

// Where bytes can be looked up, the eight functions for each digit of a cubic lattice are not worth their choice.
#if defined(__AVX512VBMI2__) && defined(__GFNI__)
struct LookedUp : Unlike<6> {
  lanes::Vector digits[together];

  LookedUp(const lanes::Vector* around, const std::uint64_t* negative, const Row& of_site)
      : Unlike<6>(around, negative, of_site) {
    lanes::ByteTables::read(differs, row.bytes, row.bytes + 32, digits);
  }
  lanes::Vector digit(int k) const { return digits[k]; }
};
using UnlikeCubic = LookedUp;
#else
using UnlikeCubic = Chosen<6>;
#endif

// Word k holds pair p of bits, then word p holds pair k (Warren, Hacker's Delight, 2nd ed., section 7-3).
inline constexpr int tile_size = 32;

inline void transpose_pairs(std::uint64_t* word) {
  std::uint64_t mask = 0xFFFFFFFFull;
  for (int j = tile_size / 2; j != 0; j /= 2, mask ^= mask << 2 * j)
    for (int k = 0; k < tile_size; k = (k + j + 1) & ~j) {
      const std::uint64_t differ = (word[k] >> 2 * j ^ word[k + j]) & mask;
      word[k + j] ^= differ;
      word[k] ^= differ << 2 * j;
    }
}

// The copies of one register: `width` words for each site, from word `first` of the rung on.
template <int slots, class Rule>
class Copies {
 public:
  Copies(const GlassJob& job, std::int64_t rung, std::int64_t first, std::uint64_t* memory)
      : job_(job), rung_(rung), first_(first), spins_(memory) {}

  void sweep(std::uint32_t step) {
    const std::uint32_t word = static_cast<std::uint32_t>((job_.first_word + first_) * job_.rungs + rung_);
    const Draws draws{job_.key, word, step};
    const std::uint32_t apart = static_cast<std::uint32_t>(job_.rungs);
    alignas(64) std::uint64_t low[seeds_at_once * lanes::width], high[seeds_at_once * lanes::width];
    std::uint32_t seed = 0;
    for (std::int32_t colour = 0; colour < job_.colours; ++colour)
      for (std::int64_t from = job_.starts[colour]; from < job_.starts[colour + 1]; from += sites_of_seed, ++seed) {
        const std::uint32_t turn = seed % seeds_at_once;
        if (turn == 0) fill_seeds_of_fields(draws, Purpose::site, 0, seed, seeds_at_once, apart, low, high);
        lanes::Xoroshiro generator{lanes::load(low + turn * lanes::width), lanes::load(high + turn * lanes::width)};
        const std::int64_t rest = job_.starts[colour + 1] - from, to = from + (rest < 8 ? rest : sites_of_seed);
        for (std::int64_t k = from; k < to; ++k) update(draws, apart, job_.order[k], generator);
      }
  }

  // Adds the sums of every field: the couplings of its satisfied bonds minus those of the others, over both copies, and
  // how many of its sites agree between the copies minus those that do not.
  void measure(std::int64_t* sums) const {
    lanes::Vector energy[planes] = {}, overlap[planes] = {};
    std::int64_t strength = 0;
    for (std::int64_t b = 0; b < job_.bond_count; ++b) {
      const std::int32_t* bond = job_.bonds + 3 * b;
      const std::int64_t size = bond[2] < 0 ? -static_cast<std::int64_t>(bond[2]) : bond[2];
      const lanes::Vector differ = at(bond[0]) ^ at(bond[1]);
      add(bond[2] < 0 ? differ : ~differ, static_cast<std::uint64_t>(size), energy);
      strength += size;
    }
    for (std::int64_t i = 0; i < job_.sites; ++i)
      add(~(at(static_cast<std::int32_t>(i)) ^ (at(static_cast<std::int32_t>(i)) >> 1)), 1, overlap);
    over_bits([&](std::int64_t index, int copy, int lane, int bit) {
      std::int64_t satisfied = 0, agreeing = 0;
      for (int p = 0; p < planes; ++p) {
        satisfied += static_cast<std::int64_t>(energy[p][lane] >> bit & 1) << p;
        agreeing += static_cast<std::int64_t>(overlap[p][lane] >> bit & 1) << p;
      }
      sums[2 * index] += 2 * satisfied - strength;
      if (copy == 0) sums[2 * index + 1] = 2 * agreeing - job_.sites;
    });
  }

  std::int64_t changed() const { return lanes::add_up(changed_.total()); }

  void pack() {
    over_tiles([this](std::int64_t site, int lane, std::int64_t count, std::int8_t* const* there) {
      std::uint64_t tile[tile_size];
      for (int r = 0; r < tile_size; ++r) tile[r] = there[r] == nullptr ? 0 : ups_of(there[r], 2 * count);
      transpose_pairs(tile);
      for (std::int64_t i = 0; i < count; ++i) spins_[(site + i) * lanes::width + lane] = tile[i];
    });
    over_bits([this](std::int64_t, int, int lane, int bit) { copies_[lane] |= 1ull << bit; });
  }

  void unpack() const {
    over_tiles([this](std::int64_t site, int lane, std::int64_t count, std::int8_t* const* there) {
      std::uint64_t tile[tile_size] = {};
      for (std::int64_t i = 0; i < count; ++i) tile[i] = spins_[(site + i) * lanes::width + lane];
      transpose_pairs(tile);
      for (int r = 0; r < tile_size; ++r)
        if (there[r] != nullptr) write_spins(tile[r], there[r], 2 * count);
    });
  }

 private:
  lanes::Vector at(std::int32_t site) const { return lanes::load(spins_ + site * lanes::width); }

  // Calls visit(first site, lane, sites, where each of the 32 replicas of that lane holds them, or null) for every
  // stretch of 32 sites.
  template <class Visit>
  void over_tiles(const Visit& visit) const {
    const std::int64_t replicas = job_.batch / job_.rungs;
    for (int lane = 0; lane < lanes::width; ++lane)
      for (std::int64_t site = 0; site < job_.sites; site += tile_size) {
        std::int8_t* there[tile_size];
        for (int r = 0; r < tile_size; ++r) {
          const std::int64_t replica = tile_size * (job_.first_word + first_ + lane) + r - job_.first_replica;
          const bool is_there = replica >= 0 && replica < replicas;
          there[r] = is_there ? job_.field + ((replica * job_.rungs + rung_) * job_.sites + site) * 2 : nullptr;
        }
        visit(site, lane, job_.sites - site < tile_size ? job_.sites - site : tile_size, there);
      }
  }

  // Calls visit(index of the field, copy, lane, bit) for every bit that belongs to a copy.
  template <class Visit>
  void over_bits(const Visit& visit) const {
    const std::int64_t replicas = job_.batch / job_.rungs;
    for (int lane = 0; lane < lanes::width; ++lane)
      for (int bit = 0; bit < 64; ++bit) {
        const std::int64_t replica = (64 * (job_.first_word + first_ + lane) + bit) / 2 - job_.first_replica;
        if (replica >= 0 && replica < replicas) visit(replica * job_.rungs + rung_, bit & 1, lane, bit);
      }
  }

  // Adds `size` to the numbers of those copies whose bits are set; digit p of all numbers is plane p.
  static void add(lanes::Vector which, std::uint64_t size, lanes::Vector* plane) {
    lanes::Vector carry{};
    for (int p = 0; size >> p != 0 || lanes::any(carry); ++p) {
      const lanes::Vector digit = (size >> p & 1) != 0 ? which : lanes::Vector{}, old = plane[p];
      plane[p] = lanes::parity(old, digit, carry);
      carry = lanes::majority(old, digit, carry);
    }
  }

  void update(const Draws& draws, std::uint32_t apart, std::int32_t site, lanes::Xoroshiro& generator) {
    const std::int32_t* there = job_.neighbours + site * slots;
    lanes::Vector around[slots];
    for (int k = 0; k < slots; ++k) around[k] = at(there[k]);
    if (job_.row[site] != known_) {
      known_ = job_.row[site];
      const std::int64_t k = rung_ * job_.rows + known_;
      row_ = {job_.table + k * job_.entries, job_.upper + k * together * job_.functions,
              job_.bytes + k * 2 * job_.entries};
    }
    const Rule rule(around, job_.negative + site * slots, row_);
    lanes::Choice choice{};
#pragma GCC unroll 12
    for (int k = together - 1; k >= 0; --k) choice.next(generator.next(), rule.digit(k));
    const lanes::Vector open = ~choice.any;
    if (__builtin_expect(lanes::any(open), 0)) choice.value = settle(draws, apart, site, rule, choice.value, open);
    const lanes::Vector up = rule.turn(choice.value);
    changed_.add((up ^ at(site)) & copies_);
    lanes::store(spins_ + site * lanes::width, up);
  }

  __attribute__((noinline)) lanes::Vector settle(const Draws& draws, std::uint32_t apart, std::int32_t site,
                                                 const Rule& rule, lanes::Vector chosen, lanes::Vector open) const {
    for (unsigned some = lanes::lanes_with_any(open); some != 0; some &= some - 1) {
      const int lane = bits::lowest(some);
      for (std::uint64_t left = open[lane]; left != 0; left &= left - 1) {
        const int bit = bits::lowest(left);
        const Draws own{draws.key, draws.replica + static_cast<std::uint32_t>(lane) * apart, draws.step};
        const Block block =
            own.block(Purpose::site, static_cast<std::uint32_t>(site), static_cast<std::uint32_t>(1 + bit));
        chosen[lane] |= digit_of(rule.value(lane, bit), block.draw(0) >> together) << bit;
      }
    }
    return chosen;
  }

  const GlassJob& job_;
  const std::int64_t rung_, first_;
  std::uint64_t* const spins_;
  Row row_{};
  std::int32_t known_ = -1;  // the row in use
  lanes::Vector copies_{};   // which bits belong to copies
  lanes::Counter changed_;
};

template <int slots, class Rule>
void work(const GlassJob& job, const Team& team, std::int64_t first, std::int64_t last) {
  const std::int64_t registers = (job.words + lanes::width - 1) / lanes::width;
  std::uint64_t* memory = job.memory + team.thread * job.sites * lanes::width;
  for (std::int64_t unit = first; unit < last; ++unit) {
    Copies<slots, Rule> copies(job, unit / registers, unit % registers * lanes::width, memory);
    copies.pack();
    for (std::int64_t step = 0; step < job.steps; ++step) {
      copies.sweep(job.first_step + static_cast<std::uint32_t>(step));
      if (job.sums != nullptr && (step + 1) % job.every == 0)
        copies.measure(job.sums + ((step + 1) / job.every - 1) * job.batch * 2);
    }
    copies.unpack();
    __atomic_fetch_add(&job.tally[unit / registers], copies.changed(), __ATOMIC_RELAXED);
  }
}

inline void share(const GlassJob& job, const Team& team, std::int64_t first, std::int64_t last) {
  if (job.slots == 4)
    return job.uniform ? work<4, Counted<4>>(job, team, first, last) : work<4, Chosen<4>>(job, team, first, last);
  return job.uniform ? work<6, Counted<6>>(job, team, first, last) : work<6, UnlikeCubic>(job, team, first, last);
}

inline void sweep(const GlassJob& job) {
  const Work work = [](const void* context, const Team& team, std::int64_t first, std::int64_t last) {
    share(*static_cast<const GlassJob*>(context), team, first, last);
  };
  over_replicas(job.rungs * ((job.words + lanes::width - 1) / lanes::width), job.threads, false, work, &job);
}

}  // namespace glass
}  // namespace PYQMC_ISA
}  // namespace pyqmc
