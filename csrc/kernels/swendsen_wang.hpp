// Swendsen-Wang (1987): bonds -> labels -> flips, all on bit maps, 64 sites to a word.
//
// Active bonds along a row make runs (kernels/runs.hpp); a cluster is named by its smallest site, the first of a run.
// Bonds are drawn by site and direction, flips by the name of the cluster. A field acts through a ghost spin: a cluster
// bound to it keeps its orientation. Ising spins stay bits from the first step of a call to the last.
#pragma once

#include <cstdint>

#include "core/bits.hpp"
#include "kernels/cluster_moments.hpp"
#include "kernels/flips.hpp"
#include "kernels/jobs.hpp"
#include "kernels/line_pairs.hpp"
#include "kernels/runs.hpp"
#include "kernels/sums.hpp"
#include "kernels/unions.hpp"
#include "models/discrete.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

// The team's share of one step on one field: its words [begin, end).
template <class T>
struct SwendsenWang {
  const ClusterJob& job;
  const Team& team;
  T* const field;
  const Draws draws;
  const std::int64_t step_of_call, rung, sites, words;
  const std::int64_t begin, end;
  std::uint64_t* plane[16];          // bits of the spins: 1 for -1, or the digits of a colour
  std::uint64_t* active[max_links];  // the bonds of each link
  std::uint64_t* starts;             // first sites of runs
  std::uint64_t* coins;              // whether the cluster named by a site turns
  std::uint32_t* const parent;       // until the clusters are known: an earlier run; then what kind of spins it gets
  std::uint32_t *const gone, *const heads;  // roots that ceased to be roots where shares were joined, and theirs

  SwendsenWang(const ClusterJob& given, const Team& members, T* spins, const Draws& numbers, std::int64_t step_number,
               std::int64_t rung_of_field)
      : job(given),
        team(members),
        field(spins),
        draws(numbers),
        step_of_call(step_number),
        rung(rung_of_field),
        sites(sites_of(given.batch.lattice)),
        words(bits::words_for(sites)),
        begin(first_word(members.rank)),
        end(first_word(members.rank + 1)),
        parent(given.sites + slot() * words * 64),
        gone(given.rims + members.rank * 2 * words * 64),
        heads(gone + words * 64) {
    std::uint64_t* map = job.maps + slot() * (job.planes + job.link_count + 2) * job.map_length + margin;
    for (int p = 0; p < job.planes; ++p, map += job.map_length) plane[p] = map;
    for (int l = 0; l < job.link_count; ++l, map += job.map_length) active[l] = map;
    starts = map;
    coins = map + job.map_length;
  }

  // A team that shares a field shares the scratch of one.
  std::int64_t slot() const { return team.size > 1 ? 0 : team.thread; }

  // Shares are whole registers, so that two threads never write to one.
  std::int64_t first_word(int rank) const {
    const std::int64_t blocks = (words + margin - 1) / margin, word = blocks * rank / team.size * margin;
    return word < words ? word : words;
  }

  // `sums` is where this step is measured, or null.
  void step(std::int64_t& clusters, std::int64_t* sums) {
    if (job.batch.q > 0 || step_of_call == 0)
      for (std::int64_t k = begin; k < end; ++k) pack(k);
    team.wait();
    for (std::int64_t k = begin; k < end;) k += end - k > lanes::width ? activate<2>(k) : activate<1>(k);
    if (job.batch.q == 0) bits::toss_coins(draws, begin, end, coins);
    else
      for (std::int64_t k = begin; k < end; ++k) draw_colours(k);
    for (std::int64_t k = begin; k < end; ++k) label(k);
    team.wait();
    std::int64_t joined = 0;
    if (team.size > 1) {
      joined = join_shares();
      team.wait();
      for (std::int64_t n = 0; n < joined; ++n) heads[n] = root_of(parent, gone[n]);
    }
    if (sums != nullptr && job.distances > 0) {
      const LinePairs pairs(job, team.thread, starts, plane[0], parent);
      const std::int64_t low = job.lines * team.rank / team.size, high = job.lines * (team.rank + 1) / team.size;
      pairs.count(low, high, draws.step, sums + job.batch.columns - job.distances);
    }
    if (job.ghost[rung] != 0) bind_ghost();
    team.wait();
    if (team.size > 1) {
      for (std::int64_t n = 0; n < joined; ++n) adopt(gone[n], heads[n]);
      team.wait();
    }
    const std::int64_t roots = job.batch.q > 0                             ? expand_colours()
                               : sums == nullptr || job.batch.columns == 2 ? expand_flips<0>(joined, sums)
                               : job.mode_lanes == 0                       ? expand_flips<1>(joined, sums)
                               : job.mode_lanes == 4                       ? expand_flips<4>(joined, sums)
                                                                           : expand_flips<8>(joined, sums);
    __atomic_fetch_add(&clusters, roots - joined, __ATOMIC_RELAXED);
    if (sums != nullptr && job.batch.q == 0 && job.of_fields) {
      team.wait();
      add_sums_of_bits(job, plane[0], begin, end, sums);
    }
    team.wait();
  }

  void pack(std::int64_t k) const {
    const std::int64_t left = sites - 64 * k;
    const T* values = field + 64 * k;
    T padded[64] = {};
    if (left < 64) {
      __builtin_memcpy(padded, values, static_cast<std::size_t>(left) * sizeof(T));
      values = padded;
    }
    if (job.batch.q == 0) plane[0][k] = bits::plane_of(values, 7);  // the sign
    else
      for (int p = 0; p < job.planes; ++p) plane[p][k] = bits::plane_of(values, p);
  }

  // Draws the bonds of `count` registers of words from `first` on; returns how many words that are.
  template <int count>
  std::int64_t activate(std::int64_t first) const {
    constexpr int group = count * lanes::width;
    const std::int32_t directions = job.batch.lattice.kind == LatticeKind::triangular ? 3 : job.batch.lattice.dimension;
    for (std::int32_t direction = 0; direction < directions; ++direction) {
      alignas(64) std::uint64_t satisfied[group] = {};
      for (int l = 0; l < job.link_count; ++l) {
        const Link& link = job.links[l];
        if (link.direction != direction || first + group <= link.begin || first >= link.end) continue;
        std::uint64_t differs[group] = {};
        for (int p = 0; p < job.planes; ++p)
          for (int j = 0; j < group; ++j)
            differs[j] |= plane[p][first + j] ^ bits::window(plane[p], first + j, link.shift);
        const std::uint64_t wanted = job.unequal ? 0 : ~0ull;
        for (int j = 0; j < group; ++j) satisfied[j] |= (differs[j] ^ wanted) & link.has[first + j];
      }
      lanes::Vector open[count], happens[count];
      __builtin_memcpy(open, satisfied, sizeof open);
      bits::draw_events(draws, static_cast<std::uint32_t>(direction), static_cast<std::uint32_t>(first), job.bond[rung],
                        open, happens);
      __builtin_memcpy(satisfied, happens, sizeof happens);
      for (int l = 0; l < job.link_count; ++l)
        if (job.links[l].direction == direction)
          for (int j = 0; j < group; ++j) active[l][first + j] = satisfied[j] & job.links[l].has[first + j];
    }
    return group;
  }

  std::uint32_t run_of(std::int64_t site) const { return pyqmc::run_of(starts, site); }

  std::uint64_t later_ends(int l, std::int64_t k) const {
    return pyqmc::later_ends(job.links[l], active[l], l == 0, k);
  }

  // Labels of word k, by the bonds to earlier sites of this share.
  void label(std::int64_t k) const {
    const std::uint64_t along = active[0][k], own = (~(along << 1) | 1) & bits::inside(k, sites);
    starts[k] = own;
    for (std::int64_t x = 0; x < 64; ++x) parent[64 * k + x] = static_cast<std::uint32_t>(64 * k + x);
    for (int n = 1; n <= job.link_count; ++n) {
      const int l = n % job.link_count;  // the bond from one word to the next comes last
      const std::int64_t distance = job.links[l].shift < 0 ? -job.links[l].shift : job.links[l].shift;
      std::uint64_t ends = bits::from(later_ends(l, k), 64 * begin + distance - 64 * k);
      if (ends == 0) continue;
      // A bond beside one that joins the same two runs says nothing new.
      ends &= ~(ends << 1 & ~(own | bits::window(starts, k, -distance)));
      if (n == 1 && job.links[l].shift > 1) {
        // Nothing has touched these runs, so the first bond of each needs no search, nor a branch.
        std::uint64_t fresh = bits::first_of_segments(ends, own);
        ends ^= fresh;
        for (; fresh != 0; fresh &= fresh - 1) {
          const std::int64_t site = 64 * k + bits::lowest(fresh);
          parent[run_of(site)] = parent[run_of(site - distance)];
        }
      }
      join(k, ends, distance);
    }
  }

  void join(std::int64_t k, std::uint64_t ends, std::int64_t distance) const {
    for (; ends != 0; ends &= ends - 1) {
      const std::int64_t site = 64 * k + bits::lowest(ends);
      unite(parent, run_of(site), run_of(site - distance));
    }
  }

  // This member's part of the bonds that lead from one share into an earlier one; returns how many roots it united with
  // smaller ones.
  std::int64_t join_shares() const {
    std::int64_t joined = 0;
    for (int rank = 1; rank < team.size; ++rank) {
      const std::int64_t low = first_word(rank), high = first_word(rank + 1);
      for (int l = 0; l < job.link_count; ++l) {
        const Link& link = job.links[l];
        const std::int64_t ahead = link.shift < 0 ? 0 : link.shift, distance = ahead > 0 ? ahead : -link.shift;
        const std::int64_t first = largest(low, (64 * link.begin + ahead) >> 6);
        const std::int64_t last =
            smallest(high, smallest((64 * link.end + ahead + 63) >> 6, low + (distance + 63) / 64));
        for (std::int64_t k = first + team.rank; k < last; k += team.size) {
          std::uint64_t ends = later_ends(l, k);
          for (ends &= ~bits::from(~0ull, 64 * low + distance - 64 * k); ends != 0; ends &= ends - 1) {
            const std::int64_t site = 64 * k + bits::lowest(ends);
            const std::int64_t root = unite_roots(parent, run_of(site), run_of(site - distance));
            gone[joined] = static_cast<std::uint32_t>(root);
            joined += root >= 0;
          }
        }
      }
    }
    return joined;
  }

  static std::int64_t smallest(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
  static std::int64_t largest(std::int64_t a, std::int64_t b) { return a < b ? b : a; }

  // Lets a root that was united with another be the root of its part again, with the other's coin or colour.
  void adopt(std::uint32_t root, std::uint32_t head) const {
    parent[root] = root;
    if (job.batch.q > 0) {
      field[root] = field[head];
      return;
    }
    const std::uint64_t coin = __atomic_load_n(&coins[head >> 6], __ATOMIC_RELAXED) >> (head & 63) & 1;
    if (coin != 0) __atomic_fetch_or(&coins[root >> 6], 1ull << (root & 63), __ATOMIC_RELAXED);
    else __atomic_fetch_and(&coins[root >> 6], ~(1ull << (root & 63)), __ATOMIC_RELAXED);
  }

  // Clusters bound to the ghost spin do not turn.
  void bind_ghost() const {
    for (std::int64_t k = begin; k < end; k += lanes::width) {
      lanes::Vector open[1], happens[1];
      for (int lane = 0; lane < lanes::width; ++lane) {
        const std::uint64_t down = plane[0][k + lane];
        open[0][lane] = (job.ghost_spin > 0 ? ~down : down) & (k + lane < end ? bits::inside(k + lane, sites) : 0);
      }
      bits::draw_events(draws, ghost_direction, static_cast<std::uint32_t>(k), job.ghost[rung], open, happens);
      for (int lane = 0; lane < lanes::width; ++lane) {
        for (std::uint64_t bound = happens[0][lane]; bound != 0; bound &= bound - 1) {
          const std::uint32_t root = root_of(parent, run_of(64 * (k + lane) + bits::lowest(bound)));
          __atomic_fetch_and(&coins[root >> 6], ~(1ull << (root & 63)), __ATOMIC_RELAXED);
        }
      }
    }
  }

  // Draws the colours that clusters named by the sites of word k would take. The field may hold them: since the spins
  // were packed, nobody looks at it.
  void draw_colours(std::int64_t k) const {
    const std::uint64_t q = static_cast<std::uint64_t>(job.batch.q);
    alignas(64) std::uint32_t upper[64];
    bits::draw_words(draws, Purpose::flip, 0, static_cast<std::uint32_t>(16 * k), upper);
    T colours[64];
    bool close = false;
    for (int x = 0; x < 64; ++x) {
      const std::uint64_t product = upper[x] * q;
      colours[x] = static_cast<T>(product >> 32);
      close |= static_cast<std::uint32_t>(product) > static_cast<std::uint32_t>(0 - q);
    }
    if (close) {
      // The 31 digits that follow may carry into the colour.
      std::uint32_t lower[64];
      bits::draw_words(draws, Purpose::flip, 1, static_cast<std::uint32_t>(16 * k), lower);
      for (int x = 0; x < 64; ++x)
        colours[x] = static_cast<T>(scaled(static_cast<std::uint64_t>(upper[x]) << 31 | lower[x] >> 1, q));
    }
    write(k, [&colours](T* values) { __builtin_memcpy(values, colours, sizeof colours); });
  }

  // Gives all sites their new spins; returns how many roots there are in this share. Runs get twice the number of their
  // cluster in this share, and its coin. `modes` 0: nothing is summed over clusters, 1: magnetizations, else they and
  // modes in so many lanes.
  template <int modes>
  std::int64_t expand_flips(std::int64_t joined, std::int64_t* sums) const {
    std::uint32_t next = 0;
    if constexpr (modes == 0) {
      for (std::int64_t k = begin; k < end; ++k) next = flip_word<0>(k, next, nullptr);
    } else {
      ClusterMoments moments(job, team, words);
      moments.begin_at(64 * begin);
      Segments segments;
      for (std::int64_t k = begin; k < end;) {
        const std::int64_t block = k / margin, stop = smallest(k + margin, end);
        moments.firsts[block] = next;
        segments.count = 0;
        for (; k < stop; ++k) next = job.unequal ? flip_word<2>(k, next, &segments) : flip_word<1>(k, next, &segments);
        if (!job.unequal) segments.merge();
        segments.at[segments.count] = static_cast<std::uint32_t>(smallest(64 * k, sites) - 64 * margin * block);
        if (job.unequal) moments.add<true>(segments);
        else moments.add<false>(segments);
        if constexpr (modes > 1) {
          if (job.unequal) moments.add_modes<modes, true>(block, segments);
          else moments.add_modes<modes, false>(block, segments);
        }
      }
      team.wait();
      for (std::int64_t n = 0; n < joined; ++n)
        moments.merge<modes>(rank_of(gone[n]), parent[gone[n]] >> 1, rank_of(heads[n]), parent[heads[n]] >> 1);
      team.wait();
      moments.take<modes>(begin, end, next, sums);
      team.wait();
      if (team.rank == 0) moments.finish(words, sums);
    }
    return next;
  }

  int rank_of(std::uint32_t site) const {
    int rank = team.size - 1;
    while (first_word(rank) > site >> 6) --rank;
    return rank;
  }

  template <int cut>
  std::uint32_t flip_word(std::int64_t k, std::uint32_t next, Segments* segments) const {
    const WordOfRuns word{k, starts[k], coins[k], plane[0][k], cut == 1 ? job.row_starts[k] : 0};
    std::uint64_t turned;
    next = word.flip<cut>(parent, next, turned, segments);
    const std::uint64_t spins = plane[0][k] = word.spins ^ turned;
    if (step_of_call + 1 == job.batch.steps)
      write(k, [spins](T* values) {
        for (int x = 0; x < 64; ++x) values[x] = 1;
        bits::turn_spins(spins, values);
      });
    return next;
  }

  // Gives all sites their new colours; returns how many roots there are in this share.
  std::int64_t expand_colours() const {
    std::int64_t roots = 0;
    for (std::int64_t k = begin; k < end; ++k) {
      T colours[128];
      for (std::uint64_t runs = starts[k]; runs != 0; runs &= runs - 1) {
        const int x = bits::lowest(runs);
        bool is_root;
        const std::uint32_t run = static_cast<std::uint32_t>(64 * k + x);
        const T colour = static_cast<T>(inherit(parent, run, static_cast<std::uint32_t>(field[run]), is_root));
        for (int j = 0; j < 64; ++j) colours[x + j] = colour;  // the runs behind it overwrite what is too much
        roots += is_root;
      }
      write(k, [&colours](T* values) { __builtin_memcpy(values, colours, 64 * sizeof(T)); });
    }
    return roots;
  }

  // Lets `change` work on the 64 values of word k, of which the last word may have fewer.
  template <class Change>
  void write(std::int64_t k, const Change& change) const {
    const std::int64_t left = sites - 64 * k;
    if (left >= 64) {
      change(field + 64 * k);
      return;
    }
    T padded[64] = {};
    __builtin_memcpy(padded, field + 64 * k, static_cast<std::size_t>(left) * sizeof(T));
    change(padded);
    __builtin_memcpy(field + 64 * k, padded, static_cast<std::size_t>(left) * sizeof(T));
  }
};

}  // namespace PYQMC_ISA
}  // namespace pyqmc
