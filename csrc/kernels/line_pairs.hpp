// Pairs of sites of one cluster on lines along the last axis: what the correlation function is averaged from.
//
// A line's sites are written out with the names of their clusters, and the line is laid over itself, shifted by every
// distance. Pairs are counted, so that it does not matter who counts which line.
#pragma once

#include <cstdint>

#include "core/bits.hpp"
#include "kernels/jobs.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

// The lines of one step, and the scratch of one member of the team.
struct LinePairs {
  // Sites of a register, and distances. Registers of more than 256 bits compare into masks, and the whole step was
  // slower with them.
  static constexpr int at_once = lanes::width > 4 ? 8 : 2 * lanes::width, together = 4;
  struct Counts {
    std::int32_t of_lane[at_once];
  };
  typedef std::int32_t Labels __attribute__((vector_size(4 * at_once)));

  const ClusterJob& job;
  const std::uint64_t *const starts, *const spins;
  const std::uint32_t* const parent;
  const std::int64_t width, rows;
  std::uint32_t *const here, *const there;  // a line, and once more with what follows around the boundary
  Counts* const found;                      // pairs at each distance

  LinePairs(const ClusterJob& given, int thread, const std::uint64_t* runs, const std::uint64_t* downs,
            const std::uint32_t* above)
      : job(given),
        starts(runs),
        spins(downs),
        parent(above),
        width(width_of(given.batch.lattice)),
        rows(rows_of(given.batch.lattice)),
        here(given.lines_memory + thread * line_scratch(width, given.distances)),
        there(here + width + 64),
        found(reinterpret_cast<Counts*>(there + width + given.distances + together)) {}

  // Adds the pairs of lines [begin, end) of a step to `counts` (distances): those whose spins agree minus the others.
  void count(std::int64_t begin, std::int64_t end, std::uint32_t step, std::int64_t* counts) const {
    __builtin_memset(found, 0, static_cast<std::size_t>(job.distances + together) * sizeof *found);
    for (std::int64_t line = begin; line < end; ++line) {
      // Other lines in every step, since neighbouring ones say almost the same.
      write_out((line * rows / job.lines + step) % rows * width);
      for (std::int64_t distance = 0; distance < job.distances; distance += together) {
        add<0>(distance);
        if (job.unequal) add<1>(distance);
      }
    }
    for (std::int64_t distance = 0; distance < job.distances; ++distance) {
      std::int64_t pairs = 0;
      for (const std::int32_t part : found[distance].of_lane) pairs += part;
      __atomic_fetch_add(&counts[distance], pairs, __ATOMIC_RELAXED);
    }
  }

 private:
  // Names the clusters of the line that begins at site `first`, and where spins of a cluster differ, its two kinds.
  void write_out(std::int64_t first) const {
    std::int64_t count = 0;
    over_runs(first, [&](std::int64_t run) { there[count++] = static_cast<std::uint32_t>(run); });
    // All runs take a step at a time, since a step has to wait for memory.
    for (bool moved = true; moved;) {
      moved = false;
      for (std::int64_t k = 0; k < count; ++k) {
        const std::uint32_t above = parent[there[k]];
        moved |= above != there[k];
        there[k] = above;
      }
    }
    count = 0;
    over_runs(first, [&](std::int64_t run) {
      const std::uint32_t name = there[count++] << 1;
      for (int j = 0; j < 64; ++j) here[run - first + j] = name;  // the runs behind it overwrite what is too much
    });
    if (job.unequal)
      for (std::int64_t x = 0; x < width; ++x)
        here[x] |= static_cast<std::uint32_t>(spins[(first + x) >> 6] >> ((first + x) & 63) & 1);
    __builtin_memcpy(there, here, static_cast<std::size_t>(width) * sizeof *here);
    __builtin_memcpy(there + width, here, static_cast<std::size_t>(job.distances) * sizeof *here);
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

  // Counts the pairs of the line at some distances from `distance` on: those of one name, or, less them, those of the
  // two kinds of a cluster.
  template <int unlike>
  void add(std::int64_t distance) const {
    const std::int64_t count = smallest(together, job.distances - distance);
    const std::int64_t common = pairs_at(distance + count - 1) / at_once * at_once;
    Labels sum[together];
    for (int k = 0; k < together; ++k) load_vector(found[distance + k].of_lane, sum[k]);
    for (std::int64_t x = 0; x < common; x += at_once) {
      Labels one;
      load_vector(here + x, one);
      for (int k = 0; k < together; ++k) {
        Labels other;
        load_vector(there + x + distance + k, other);
        const Labels same = (Labels)((one ^ unlike) == other);
        sum[k] = unlike ? sum[k] + same : sum[k] - same;
      }
    }
    for (int k = 0; k < count; ++k) {
      std::int32_t rest = 0;
      for (std::int64_t x = common; x < pairs_at(distance + k); ++x)
        rest += (here[x] ^ unlike) == there[x + distance + k];
      __builtin_memcpy(found[distance + k].of_lane, &sum[k], sizeof sum[k]);
      found[distance + k].of_lane[0] += unlike ? -rest : rest;
    }
  }

  std::int64_t pairs_at(std::int64_t distance) const { return wraps(job.batch.lattice) ? width : width - distance; }
  static std::int64_t smallest(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
};

}  // namespace PYQMC_ISA
}  // namespace pyqmc
