// Swendsen-Wang (1987): bonds -> labels -> flips, all on bit maps, 64 sites to a word.
//
// Active bonds along a row make runs; a run also ends where its word ends. A run is named by its first site, and a
// cluster by its smallest one, which is the first of a run. Bonds are drawn by site and direction, flips by the name of
// the cluster. A field acts through a ghost spin: a cluster bound to it keeps its orientation.
#pragma once

#include <cstdint>

#include "core/bits.hpp"
#include "kernels/jobs.hpp"
#include "kernels/sums.hpp"
#include "models/discrete.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

inline constexpr std::uint32_t ghost_direction = 7;  // directions use 0 to 3
inline constexpr int max_links = 2 * max_dimension;

// Rem's union-find (Dijkstra 1976): the larger root points to the smaller, and paths are spliced on the way.
inline void unite(std::uint32_t* parent, std::uint32_t a, std::uint32_t b) {
  std::uint32_t above_a = parent[a], above_b = parent[b];
  while (above_a != above_b) {
    if (above_a < above_b) {
      const std::uint32_t site = a, above = above_a;
      a = b;
      above_a = above_b;
      b = site;
      above_b = above;
    }
    parent[a] = above_b;
    if (above_a == a) return;
    a = above_a;
    above_a = parent[a];
  }
}

inline std::uint32_t root_of(const std::uint32_t* parent, std::uint32_t site) {
  // Another thread may shorten the path meanwhile; every site on it stays above this one.
  for (;;) {
    const std::uint32_t above = __atomic_load_n(&parent[site], __ATOMIC_RELAXED);
    if (above == site) return site;
    site = above;
  }
}

// First site of the run that `site` belongs to.
PYQMC_HD inline std::uint32_t run_of(const std::uint64_t* starts, std::int64_t site) {
  return static_cast<std::uint32_t>(site - bits::zeros_above(starts[site >> 6] << (~site & 63)));
}

// Bonds of a link, marked where they start in `active`, whose later end lies in word k; the earlier one lies `distance`
// before it. Of the `first` link, along the rows, those from one word to the next: runs say the rest.
PYQMC_HD inline std::uint64_t later_ends(const Link& link, const std::uint64_t* active, bool first, std::int64_t k) {
  if (link.shift < 0) return k >= link.begin && k < link.end ? active[k] : 0;
  if (64 * k + 63 < 64 * link.begin + link.shift || 64 * k >= 64 * link.end + link.shift) return 0;
  return bits::window(active, k, -link.shift) & (first ? 1 : ~0ull);
}

// The team's share of one step on one field: its words [begin, end).
template <class T>
struct SwendsenWang {
  const ClusterJob& job;
  const Team& team;
  T* const field;
  const Draws draws;
  const std::int64_t rung, sites, words;
  const std::int64_t begin, end;
  std::uint64_t* plane[16];          // bits of the spins: 1 for -1, or the digits of a colour
  std::uint64_t* active[max_links];  // the bonds of each link
  std::uint64_t* starts;             // first sites of runs
  std::uint64_t* coins;              // whether the cluster named by a site turns
  std::uint32_t* const parent;
  std::int32_t* const moments;  // magnetization of the cluster named by a site, where it is asked for
  double* const fourths;        // and the sums of fourth powers, by blocks of sites

  SwendsenWang(const ClusterJob& given, const Team& members, T* spins, const Draws& numbers, std::int64_t rung_of_field,
               bool with_moments)
      : job(given),
        team(members),
        field(spins),
        draws(numbers),
        rung(rung_of_field),
        sites(sites_of(given.batch.lattice)),
        words(bits::words_for(sites)),
        begin(first_word(members.rank)),
        end(first_word(members.rank + 1)),
        parent(given.sites + slot() * words * 64),
        moments(with_moments ? given.moments + slot() * words * 64 : nullptr),
        fourths(given.fourths + slot() * ((words + margin - 1) / margin)) {
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

  void step(std::int64_t& clusters, std::int64_t* sums) {
    for (std::int64_t k = begin; k < end; ++k) pack(k);
    team.wait();
    for (std::int64_t k = begin; k < end;) k += end - k > lanes::width ? activate<2>(k) : activate<1>(k);
    if (job.batch.q == 0) bits::toss_coins(draws, begin, end, coins);
    else
      for (std::int64_t k = begin; k < end; ++k) draw_colours(k);
    for (std::int64_t k = begin; k < end; ++k) label(k);
    team.wait();
    if (team.size > 1) {
      if (team.rank == 0) join_shares();
      team.wait();
    }
    if (job.ghost[rung] != 0) {
      bind_ghost();
      team.wait();
    }
    std::int64_t roots = 0;
    for (std::int64_t k = begin; k < end; ++k)
      roots += job.batch.q > 0      ? expand_colours(k)
               : moments == nullptr ? expand_flips<false>(k)
                                    : expand_flips<true>(k);
    __atomic_fetch_add(&clusters, roots, __ATOMIC_RELAXED);
    team.wait();
    if (moments != nullptr) {
      take_moments(sums);
      team.wait();
    }
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

  // The bonds that lead from one share into an earlier one.
  void join_shares() const {
    for (int rank = 1; rank < team.size; ++rank) {
      const std::int64_t low = first_word(rank), high = first_word(rank + 1);
      for (int l = 0; l < job.link_count; ++l) {
        const std::int64_t distance = job.links[l].shift < 0 ? -job.links[l].shift : job.links[l].shift;
        for (std::int64_t k = low; k < high && 64 * k < 64 * low + distance; ++k) {
          const std::uint64_t ends = later_ends(l, k);
          if (ends != 0) join(k, ends & ~bits::from(~0ull, 64 * low + distance - 64 * k), distance);
        }
      }
    }
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

  // Points a run to the root of its cluster. Sites of this share come upwards, so what one points to points to a root
  // already, unless it lies in an earlier share.
  std::uint32_t flatten(std::uint32_t run) const {
    std::uint32_t root = __atomic_load_n(&parent[parent[run]], __ATOMIC_RELAXED);
    if (root < 64 * begin) root = root_of(parent, root);
    __atomic_store_n(&parent[run], root, __ATOMIC_RELAXED);
    return root;
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

  template <bool with_moments>
  std::int64_t expand_flips(std::int64_t k) const {
    std::uint64_t turned = 0, before = 0, roots = 0;
    for (std::uint64_t runs = starts[k]; runs != 0;) {
      const int x = bits::lowest(runs);
      const std::uint32_t run = static_cast<std::uint32_t>(64 * k + x), root = flatten(run);
      runs &= runs - 1;
      const std::uint64_t turns = coins[root >> 6] >> (root & 63) & 1;
      turned ^= (0 - (turns ^ before)) << x;  // from here on
      before = turns;
      roots |= static_cast<std::uint64_t>(root == run) << x;
      if (with_moments) add_run(k, x, runs, root);
    }
    write(k, [turned](T* spins) { bits::turn_spins(turned, spins); });
    if (with_moments) starts[k] = roots;  // all that is asked of them from here on
    return bits::count(roots);
  }

  // Adds the magnetization of the run at x, which ends where the next of `behind` begins, to that of its cluster. Spins
  // of a cluster agree where bonds need equal ones; its sign does not matter.
  void add_run(std::int64_t k, int x, std::uint64_t behind, std::uint32_t root) const {
    const std::int64_t left = sites - 64 * k;
    const int stop = behind != 0 ? bits::lowest(behind) : left < 64 ? static_cast<int>(left) : 64;
    std::int32_t magnetization = stop - x;
    if (job.unequal) magnetization -= 2 * bits::count(bits::from(plane[0][k], x) & ~0ull >> (64 - stop));
    if (team.size > 1) __atomic_fetch_add(&moments[root], magnetization, __ATOMIC_RELAXED);
    else moments[root] += magnetization;
  }

  // Adds the second and fourth moments of this share's clusters, and clears them for the next time. Fourth powers are
  // doubles, added in each block of sites by itself, so that it does not matter how the blocks were shared.
  void take_moments(std::int64_t* sums) const {
    std::int64_t second = 0;
    for (std::int64_t k = begin; k < end; ++k) {
      double& fourth = fourths[k / margin];
      if (k % margin == 0) fourth = 0;
      for (std::uint64_t roots = starts[k]; roots != 0; roots &= roots - 1) {
        std::int32_t& moment = moments[64 * k + bits::lowest(roots)];
        const std::int64_t square = static_cast<std::int64_t>(moment) * moment;
        second += square;
        fourth += static_cast<double>(square) * static_cast<double>(square);
        moment = 0;
      }
    }
    __atomic_fetch_add(&sums[2], second, __ATOMIC_RELAXED);
    team.wait();
    if (team.rank != 0) return;
    double total = 0;
    for (std::int64_t block = 0; block * margin < words; ++block) total += fourths[block];
    __builtin_memcpy(sums + 3, &total, sizeof total);
  }

  std::int64_t expand_colours(std::int64_t k) const {
    std::int64_t roots = 0;
    T colours[128];
    for (std::uint64_t runs = starts[k]; runs != 0; runs &= runs - 1) {
      const int x = bits::lowest(runs);
      const std::uint32_t run = static_cast<std::uint32_t>(64 * k + x), root = flatten(run);
      const T colour = field[root];
      for (int j = 0; j < 64; ++j) colours[x + j] = colour;  // the runs behind it overwrite what is too much
      roots += root == run;
    }
    write(k, [&colours](T* values) { __builtin_memcpy(values, colours, 64 * sizeof(T)); });
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
