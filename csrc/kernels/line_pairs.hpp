// Pairs of sites of one cluster on lines along the last axis: what the correlation function is averaged from.
//
// Where a cluster's stretches of a line begin and end says all about its pairs: with g the spins of the cluster on the
// line, and 0 on the others, and A(r) = sum_x g(x) g(x + r), the steps d(x) = g(x) - g(x - 1) have
//   D(r) = sum_x d(x) d(x + r) = 2 A(r) - A(r + 1) - A(r - 1),
// and there are few of them. D is summed over clusters and lines; A follows from it once, from r = 0 on. Pairs are
// counted, so that it does not matter who counts which line.
#pragma once

#include <cstdint>

#include "core/bits.hpp"
#include "kernels/jobs.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

// The lines of one step, and the scratch of one member of the team. Where spins of a cluster alternate, g is multiplied
// by (-1)^x, so that it does not.
struct LinePairs {
  const ClusterJob& job;
  const std::uint64_t *const starts, *const spins;
  const std::uint32_t* const parent;
  const std::int64_t width, rows;
  const int slot_bits;
  std::int64_t* const found;       // products of two steps by their distance on the line, the earlier one first
  std::uint32_t* const clusters;   // of runs
  std::uint32_t* const first_of;   // stretches: where they begin, and
  std::uint32_t* const number_of;  // twice the number of their cluster on this line, 1 more where g is negative
  std::uint32_t* const next;       // behind the stretches of each cluster
  std::uint32_t* const ends;       // the same stretches cluster by cluster: first site, first site behind
  std::int32_t* const sign;        // and their g
  std::uint32_t *const names, *const numbers;  // slots of a table of the clusters met

  LinePairs(const ClusterJob& given, int thread, const std::uint64_t* runs, const std::uint64_t* downs,
            const std::uint32_t* above)
      : job(given),
        starts(runs),
        spins(downs),
        parent(above),
        width(width_of(given.batch.lattice)),
        rows(rows_of(given.batch.lattice)),
        slot_bits(line_slot_bits(width)),
        found(reinterpret_cast<std::int64_t*>(given.lines_memory + thread * line_scratch(width))),
        clusters(reinterpret_cast<std::uint32_t*>(found + width + 1)),
        first_of(clusters + width),
        number_of(first_of + width + 1),
        next(number_of + width),
        ends(next + width + 1),
        sign(reinterpret_cast<std::int32_t*>(ends + 2 * width)),
        names(reinterpret_cast<std::uint32_t*>(sign) + width),
        numbers(names + (1ll << slot_bits)) {}

  // Adds the pairs of lines [begin, end) of a step to `counts` (distances): those whose spins agree minus the others.
  void count(std::int64_t begin, std::int64_t end, std::uint32_t step, std::int64_t* counts) const {
    __builtin_memset(found, 0, static_cast<std::size_t>(width + 1) * sizeof *found);
    std::int64_t stretches = 0;
    for (std::int64_t line = begin; line < end; ++line) {
      // Other lines in every step, since neighbouring ones say almost the same.
      const std::int64_t first = (line * rows / job.lines + step) % rows * width;
      stretches += job.unequal ? add<true>(first) : add<false>(first);
    }
    // Around the boundary of an odd line the factors (-1)^x change.
    const bool around = wraps(job.batch.lattice);
    const std::int64_t back = !around ? 0 : job.unequal && width % 2 != 0 ? -1 : 1;
    std::int64_t pairs = width * (end - begin), change = -(stretches + found[0] + back * found[width]);
    for (std::int64_t distance = 0; distance < job.distances; ++distance) {
      __atomic_fetch_add(&counts[distance], job.unequal && distance % 2 != 0 ? -pairs : pairs, __ATOMIC_RELAXED);
      pairs += change;
      change -= found[distance + 1] + back * found[width - distance - 1];
    }
  }

 private:
  // Adds the steps of the line that begins at site `first`; returns how many stretches it has.
  template <bool alternating>
  std::int64_t add(std::int64_t first) const {
    find_clusters(first);
    __builtin_memset(names, 0xFF, sizeof *names << slot_bits);
    std::uint32_t met = 0, before = ~0u;
    std::int64_t runs = 0, count = 0;
    over_runs(first, [&](std::int64_t run) {
      std::uint32_t own = number(clusters[runs++], met) << 1;
      if (alternating)
        own |= static_cast<std::uint32_t>(spins[run >> 6] >> (run & 63) ^ static_cast<std::uint64_t>(run - first)) & 1;
      // Written in vain where the stretch before goes on.
      first_of[count] = static_cast<std::uint32_t>(run - first);
      number_of[count] = own;
      count += own != before;
      before = own;
    });
    first_of[count] = static_cast<std::uint32_t>(width);
    sort(count, met);
    std::int64_t begin = 0;
    for (std::uint32_t c = 0; c < met; begin = next[c++])
      for (std::int64_t a = begin; a < next[c]; ++a) {
        const std::uint32_t from = ends[2 * a], to = ends[2 * a + 1];
        --found[to - from];
        for (std::int64_t b = a + 1; b < next[c]; ++b) {
          const std::int64_t product = alternating ? sign[a] * sign[b] : 1;
          found[ends[2 * b] - from] += product;
          found[ends[2 * b + 1] - from] -= product;
          found[ends[2 * b] - to] -= product;
          found[ends[2 * b + 1] - to] += product;
        }
      }
    return count;
  }

  // Names the clusters of the runs of a line by their roots.
  void find_clusters(std::int64_t first) const {
    std::int64_t count = 0;
    over_runs(first, [&](std::int64_t run) { clusters[count++] = static_cast<std::uint32_t>(run); });
    // All runs take a step at a time, since a step has to wait for memory.
    for (bool moved = true; moved;) {
      moved = false;
      for (std::int64_t k = 0; k < count; ++k) {
        const std::uint32_t above = parent[clusters[k]];
        moved |= above != clusters[k];
        clusters[k] = above;
      }
    }
  }

  // The number of a cluster on this line; `met` of them have one.
  std::uint32_t number(std::uint32_t cluster, std::uint32_t& met) const {
    const std::uint32_t mask = (1u << slot_bits) - 1;
    std::uint32_t slot = cluster * 0x9E3779B1u >> (32 - slot_bits);
    for (; names[slot] != cluster; slot = (slot + 1) & mask)
      if (names[slot] == ~0u) {
        names[slot] = cluster;
        numbers[slot] = met;
        next[met++] = 0;
        break;
      }
    return numbers[slot];
  }

  // Puts the stretches of every cluster together.
  void sort(std::int64_t count, std::uint32_t met) const {
    for (std::int64_t j = 0; j < count; ++j) ++next[number_of[j] >> 1];
    std::uint32_t place = 0;
    for (std::uint32_t c = 0; c < met; ++c) {
      const std::uint32_t own = next[c];
      next[c] = place;
      place += own;
    }
    for (std::int64_t j = 0; j < count; ++j) {
      const std::uint32_t to = next[number_of[j] >> 1]++;
      ends[2 * to] = first_of[j];
      ends[2 * to + 1] = first_of[j + 1];
      sign[to] = 1 - 2 * static_cast<std::int32_t>(number_of[j] & 1);
    }
  }

  // Calls visit(first site) for the runs of the line that begins at site `first`.
  template <class Visit>
  void over_runs(std::int64_t first, const Visit& visit) const {
    const std::int64_t last = first + width;
    for (std::int64_t k = first >> 6; 64 * k < last; ++k) {
      std::uint64_t runs = bits::from(starts[k], first - 64 * k);
      for (runs &= ~bits::from(~0ull, last - 64 * k); runs != 0; runs &= runs - 1) visit(64 * k + bits::lowest(runs));
    }
  }
};

}  // namespace PYQMC_ISA
}  // namespace pyqmc
