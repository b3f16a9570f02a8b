// Coloured sweeps of local updates: all sites of one colour, then of the next. Sites of one colour do not see each
// other, so the order (and the number of threads) does not matter.
#pragma once

#include <cstdint>

#include "core/lattice.hpp"
#include "core/philox_lanes.hpp"
#include "kernels/jobs.hpp"
#include "kernels/sums.hpp"
#include "models/discrete.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

// A tile is a stretch of a row short enough for its scratch to stay in the first cache.
inline constexpr std::int64_t tile_width = 2048;

template <class T>
struct Tile {
  std::int64_t row, begin, end;  // columns [begin, end)
  std::int64_t first, stride;    // the sites of the current colour
  int neighbours;
  const T* neighbour[max_neighbours];  // neighbour[t][x - begin]
};

template <class T>
struct Scratch {
  T shifted[max_neighbours][tile_width];
  std::uint8_t entry[tile_width];
  std::uint64_t draw[4][tile_width / 2 + 8];
};

// Points neighbour[t] at the t-th neighbours of the tile's sites; `absent` stands beyond an open boundary. Bytes of the
// colour being updated may be copied while another thread writes them; they are never looked at.
template <class T>
void gather(const Lattice& lattice, const T* field, int colour, T absent, Scratch<T>& scratch, Tile<T>& tile) {
  const std::int64_t width = width_of(lattice), length = tile.end - tile.begin;
  Term terms[max_neighbours];
  tile.neighbours = neighbours_of(lattice, tile.row, colour, terms);
  for (int t = 0; t < tile.neighbours; ++t) {
    const T* row = field + terms[t].row * width;
    if (terms[t].shift == 0) {
      tile.neighbour[t] = row + tile.begin;
      continue;
    }
    T* out = scratch.shifted[t];
    const std::int64_t from = tile.begin + terms[t].shift;
    for (std::int64_t x = from < 0 ? 1 : 0; x < length && from + x < width; ++x) out[x] = row[from + x];
    if (from < 0) out[0] = wraps(lattice) ? row[width - 1] : absent;
    if (from + length > width) out[length - 1] = wraps(lattice) ? row[0] : absent;
    tile.neighbour[t] = out;
  }
}

// Draws for the sites of one tile: site i uses half (i >> 1) & 1 of block i >> 2, numbered by its parity, so that a
// checkerboard pass wastes nothing and its draws follow one another.
template <class T>
struct SiteDraws {
  const std::uint64_t* parity[2];
  std::int64_t base;

  SiteDraws(const Draws& draws, std::uint32_t number, const Tile<T>& tile, std::int64_t width, Scratch<T>& scratch,
            int slot) {
    const std::int64_t begin = tile.row * width + tile.first, last = tile.row * width + tile.end - 1;
    const std::int64_t block = begin >> 2;
    base = block << 1;
    for (std::uint32_t p = 0; p < 2; ++p) {
      parity[p] = scratch.draw[slot + p];
      if (tile.stride == 2 && (begin & 1) != p) continue;
      fill_draws(draws, Purpose::site, number << 1 | p, static_cast<std::uint32_t>(block),
                 static_cast<std::size_t>((last >> 2) - block + 1), scratch.draw[slot + p]);
    }
  }
  std::uint64_t operator()(std::int64_t site) const { return parity[site & 1][(site >> 1) - base]; }
};

// Signed char may alias anything: pointers the loops keep must say that the stores to the field do not touch them.
template <class T>
std::int64_t update_ising(const Lattice& lattice, T* __restrict field, const Tile<T>& tile,
                          const std::uint64_t* __restrict table, const Draws& draws, Scratch<T>& scratch) {
  const int z = coordination_of(lattice), up = 2 * z + 1;
  const std::int64_t length = tile.end - tile.begin, width = width_of(lattice), start = tile.row * width + tile.begin;
  T* __restrict row = field + start;
  std::uint8_t* __restrict entry = scratch.entry;
  // Entry of the table for every site of the tile, in narrow lanes: (s > 0)(2 z + 1) + sum + z.
  for (std::int64_t x = 0; x < length; ++x) entry[x] = static_cast<std::uint8_t>(z + (row[x] > 0 ? up : 0));
  for (int t = 0; t < tile.neighbours; ++t) {
    const T* __restrict neighbour = tile.neighbour[t];
    for (std::int64_t x = 0; x < length; ++x) entry[x] = static_cast<std::uint8_t>(entry[x] + neighbour[x]);
  }
  const SiteDraws<T> draw(draws, 0, tile, width, scratch, 0);
  std::int64_t accepted = 0;
  const std::int64_t first = tile.first - tile.begin;
  if (tile.stride == 2) {
    const std::uint64_t* __restrict next = draw.parity[(start + first) & 1] + (((start + first) >> 1) - draw.base);
    for (std::int64_t x = first; x < length; x += 2) {
      const int flip = *next++ < table[entry[x]];
      row[x] = static_cast<T>((row[x] ^ -flip) + flip);
      accepted += flip;
    }
    return accepted;
  }
  for (std::int64_t x = first; x < length; x += tile.stride) {
    const int flip = draw(start + x) < table[entry[x]];
    row[x] = static_cast<T>((row[x] ^ -flip) + flip);
    accepted += flip;
  }
  return accepted;
}

template <class T>
std::int64_t update_potts_metropolis(const Lattice& lattice, T* __restrict field, const Tile<T>& tile, std::int32_t q,
                                     const std::uint64_t* __restrict table, const Draws& draws, Scratch<T>& scratch) {
  const int z = coordination_of(lattice), neighbours = tile.neighbours;
  const std::int64_t width = width_of(lattice), start = tile.row * width + tile.begin;
  const SiteDraws<T> draw(draws, 0, tile, width, scratch, 0), proposal(draws, 1, tile, width, scratch, 2);
  const T* neighbour[max_neighbours];
  for (int t = 0; t < neighbours; ++t) neighbour[t] = tile.neighbour[t];
  T* __restrict row = field + start;
  std::int64_t accepted = 0;
  for (std::int64_t x = tile.first - tile.begin; x < tile.end - tile.begin; x += tile.stride) {
    const int old = row[x], candidate = other_colour(old, q, proposal(start + x));
    int gain = 0;
    for (int t = 0; t < neighbours; ++t) gain += (neighbour[t][x] == candidate) - (neighbour[t][x] == old);
    const bool accept = draw(start + x) < table[gain + z];
    row[x] = static_cast<T>(accept ? candidate : old);
    accepted += accept;
  }
  return accepted;
}

// The distinct colours around a site in increasing order, and how many neighbours have each.
template <class T>
struct Palette {
  int colour[max_neighbours];
  int count[max_neighbours];
  int kinds = 0;

  void add(int c) {
    int at = 0;
    while (at < kinds && colour[at] < c) ++at;
    if (at < kinds && colour[at] == c) {
      ++count[at];
      return;
    }
    for (int k = kinds; k > at; --k) {
      colour[k] = colour[k - 1];
      count[k] = count[k - 1];
    }
    colour[at] = c;
    count[at] = 1;
    ++kinds;
  }

  // A colour with integer weight table[equal neighbours]: walks through the colours in increasing order, jumping over
  // runs of colours that no neighbour has.
  int pick(std::int32_t q, const std::uint64_t* table, std::uint64_t draw) const {
    std::uint64_t total = static_cast<std::uint64_t>(q - kinds) * table[0];
    for (int k = 0; k < kinds; ++k) total += table[count[k]];
    std::uint64_t target = scaled(draw, total);
    int next = 0;
    for (int k = 0; k < kinds; ++k) {
      const std::uint64_t run = static_cast<std::uint64_t>(colour[k] - next) * table[0];
      if (target < run) return next + static_cast<int>(target / table[0]);
      target -= run;
      if (target < table[count[k]]) return colour[k];
      target -= table[count[k]];
      next = colour[k] + 1;
    }
    return next + static_cast<int>(target / table[0]);
  }
};

template <class T>
std::int64_t update_potts_heat_bath(const Lattice& lattice, T* field, const Tile<T>& tile, std::int32_t q,
                                    const std::uint64_t* table, const Draws& draws, Scratch<T>& scratch) {
  const std::int64_t width = width_of(lattice), start = tile.row * width + tile.begin;
  const SiteDraws<T> draw(draws, 0, tile, width, scratch, 0);
  std::int64_t accepted = 0;
  for (std::int64_t x = tile.first - tile.begin; x < tile.end - tile.begin; x += tile.stride) {
    Palette<T> palette;
    for (int t = 0; t < tile.neighbours; ++t)
      if (tile.neighbour[t][x] >= 0) palette.add(tile.neighbour[t][x]);
    const int chosen = palette.pick(q, table, draw(start + x));
    accepted += chosen != field[start + x];
    field[start + x] = static_cast<T>(chosen);
  }
  return accepted;
}

template <class T>
std::int64_t update(const LocalJob& job, T* field, const Tile<T>& tile, const std::uint64_t* table, const Draws& draws,
                    Scratch<T>& scratch) {
  const Lattice& lattice = job.batch.lattice;
  switch (static_cast<Rule>(job.rule)) {
    case Rule::ising:
      return update_ising(lattice, field, tile, table, draws, scratch);
    case Rule::potts_metropolis:
      return update_potts_metropolis(lattice, field, tile, job.batch.q, table, draws, scratch);
    default:
      return update_potts_heat_bath(lattice, field, tile, job.batch.q, table, draws, scratch);
  }
}

template <class T>
void local_share(const LocalJob& job, const Team& team, std::int64_t first, std::int64_t last) {
  const Batch& batch = job.batch;
  const Lattice& lattice = batch.lattice;
  const std::int64_t sites = sites_of(lattice), width = width_of(lattice);
  const std::int64_t across = (width + tile_width - 1) / tile_width, tiles = rows_of(lattice) * across;
  const int colours = colours_of(lattice);
  const T absent = batch.q == 0 ? T(0) : T(-1);
  alignas(64) Scratch<T> scratch;
  for (std::int64_t index = first; index < last; ++index) {
    T* field = static_cast<T*>(batch.field) + index * sites;
    const std::uint64_t* table = job.table + index % batch.rungs * job.table_size;
    std::int64_t accepted = 0;
    for (std::int64_t step = 0; step < batch.steps; ++step) {
      const Draws draws{batch.key, batch.first_replica + static_cast<std::uint32_t>(index),
                        batch.first_step + static_cast<std::uint32_t>(step)};
      for (int colour = 0; colour < colours; ++colour) {
        for (std::int64_t t = team.begin(tiles); t < team.end(tiles); ++t) {
          Tile<T> tile;
          tile.row = t / across;
          tile.begin = t % across * tile_width;
          tile.end = tile.begin + tile_width < width ? tile.begin + tile_width : width;
          tile.stride = colours;
          tile.first = first_of_colour(lattice, tile.row, colour);
          if (tile.first < tile.begin) tile.first += (tile.begin - tile.first + colours - 1) / colours * colours;
          if (tile.first >= tile.end) continue;
          gather(lattice, field, colour, absent, scratch, tile);
          accepted += update(job, field, tile, table, draws, scratch);
        }
        team.wait();
      }
      measure_when_due(batch, field, team, index, step + 1);
    }
    __atomic_fetch_add(&batch.tally[index], accepted, __ATOMIC_RELAXED);
  }
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
