// Square and cubic lattices with one bit for each spin, 1 for +1. Each colour of the checkerboard is stored by itself:
// number j of a row is the site x = 2 j + (colour + the other coordinates) mod 2. A row fills `words` words, the last
// one perhaps in part. Where rows are short, a word holds several: of `folds` equal strips of a plane it has row y of
// the first strip in its lowest bits, then row y of the second, and so on. A plane is `rows` such rows, with a copy of
// what lies beyond its first row before them, and of what lies beyond its last row behind them.
//
// A register holds consecutive words of one field or, where fields are small and many, the same word of `step` fields,
// whose words then lie side by side.
#pragma once

#include <cstdint>

#include "core/lattice.hpp"
#include "core/words.hpp"
#include "kernels/jobs.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

// The words of a plane in groups of eight, and eight groups to a block: the lanes of a block have a generator each.
// Four groups lie on top of each other (kernels/multispin.hpp).
inline constexpr int lanes_of_block = 8, groups_of_block = 8, layers_of_block = 4;
inline constexpr int words_of_block = lanes_of_block * groups_of_block;

struct Packed {
  PackedShape shape;
  std::int64_t step;
  std::uint64_t* colour[2];
  // For a register that starts at word i of a pair of rows: all ones in odd rows; the bit whose neighbour lies around
  // the corner; the bits that are sites.
  const std::uint64_t* odd;
  const std::uint64_t* corner;
  const std::uint64_t* sites;

  // The first to use the memory also fills the tables.
  PYQMC_HD Packed(const PackedShape& given, std::int64_t fields, std::uint64_t* memory, bool is_first)
      : shape(given), step(fields) {
    colour[0] = memory;
    colour[1] = memory + shape.planes * shape.stride * step;
    std::uint64_t* table = colour[1] + shape.planes * shape.stride * step;
    const std::int64_t length = 2 * shape.words + lanes_of_block;
    odd = table;
    corner = table + length;
    sites = table + 2 * length;
    if (!is_first) return;
    for (std::int64_t i = 0; i < length; ++i) {
      const std::int64_t column = i % shape.words, row = i / shape.words;
      const bool is_last = column == shape.words - 1;
      const int inside = static_cast<int>(is_last ? shape.half - 64 * column : 64);
      table[i] = table[length + i] = table[2 * length + i] = 0;
      for (int fold = 0; fold < shape.folds; ++fold) {
        const bool is_odd = (row + fold * shape.rows) % 2 == 1;
        const std::uint64_t all = ~0ull >> (64 - inside) << fold * shape.half;
        table[i] |= is_odd ? all : 0;
        if (is_odd ? is_last : column == 0)
          table[length + i] |= 1ull << (fold * shape.half + (is_odd ? inside - 1 : 0));
        table[2 * length + i] |= all;
      }
    }
  }

  PYQMC_HD std::uint64_t* plane(int c, std::int64_t z) const {
    return colour[c] + (z * shape.stride + shape.front) * step;
  }

  // Copies what lies on the rim of a plane among its words [begin, end) to where the opposite rim looks for it: beyond
  // the last row of a strip comes the first of the next strip.
  PYQMC_HD void close(std::uint64_t* plane, std::int64_t begin, std::int64_t end) const {
    const std::int64_t all = shape.rows * shape.words, last = all - shape.words;
    const int fold = static_cast<int>(shape.half % 64), rest = static_cast<int>((shape.folds - 1) * shape.half);
    const bool folded = shape.folds > 1;
    std::uint64_t *before = plane - all * step, *behind = plane + all * step;
    for (std::int64_t w = begin * step; w < end * step && w < shape.words * step; ++w)
      behind[w] = folded ? plane[w] >> fold | plane[w] << rest : plane[w];
    for (std::int64_t w = (begin > last ? begin : last) * step; w < end * step; ++w)
      before[w] = folded ? plane[w] << fold | plane[w] >> rest : plane[w];
  }

  void close_all() const {
    for (std::int64_t z = 0; z < shape.planes; ++z)
      for (int c = 0; c < 2; ++c) close(plane(c, z), 0, shape.rows * shape.words);
  }
};

// Every second bit, from bit 0 on, next to each other; and back.
inline std::uint64_t gather_even(std::uint64_t x) {
  x &= 0x5555555555555555ull;
  x = (x | x >> 1) & 0x3333333333333333ull;
  x = (x | x >> 2) & 0x0F0F0F0F0F0F0F0Full;
  x = (x | x >> 4) & 0x00FF00FF00FF00FFull;
  x = (x | x >> 8) & 0x0000FFFF0000FFFFull;
  return (x | x >> 16) & 0xFFFFFFFFull;
}

inline std::uint64_t spread_even(std::uint64_t x) {
  x &= 0xFFFFFFFFull;
  x = (x | x << 16) & 0x0000FFFF0000FFFFull;
  x = (x | x << 8) & 0x00FF00FF00FF00FFull;
  x = (x | x << 4) & 0x0F0F0F0F0F0F0F0Full;
  x = (x | x << 2) & 0x3333333333333333ull;
  return (x | x << 1) & 0x5555555555555555ull;
}

// Bit k is set where spin k is +1; n is at most 64.
inline std::uint64_t ups_of(const std::int8_t* spins, std::int64_t n) {
  std::uint64_t up = 0;
  std::int64_t k = 0;
#if defined(__SSE2__) && !defined(PYQMC_DEVICE)
  for (; k + 16 <= n; k += 16) {
    __m128i bytes;
    __builtin_memcpy(&bytes, spins + k, sizeof bytes);
    up |= static_cast<std::uint64_t>(~_mm_movemask_epi8(bytes) & 0xFFFF) << k;
  }
#endif
  for (; k < n; ++k) up |= static_cast<std::uint64_t>(spins[k] > 0) << k;
  return up;
}

inline void write_spins(std::uint64_t up, std::int8_t* spins, std::int64_t n) {
  std::int64_t k = 0;
#if defined(__AVX512BW__) && !defined(PYQMC_DEVICE)
  if (n == 64) {
    const __m512i bytes = _mm512_mask_blend_epi8(up, _mm512_set1_epi8(-1), _mm512_set1_epi8(1));
    __builtin_memcpy(spins, &bytes, sizeof bytes);
    return;
  }
#endif
  // Eight bits to eight bytes: copy them into every byte, keep bit k of byte k, make it 0 or 1, then -1 or +1.
  for (; k + 8 <= n; k += 8) {
    const std::uint64_t kept = (up >> k & 0xFF) * 0x0101010101010101ull & 0x8040201008040201ull;
    const std::uint64_t ones = (kept + 0x7F7F7F7F7F7F7F7Full) >> 7 & 0x0101010101010101ull;
    const std::uint64_t bytes = ~(ones * 0xFE);
    __builtin_memcpy(spins + k, &bytes, sizeof bytes);
  }
  for (; k < n; ++k) spins[k] = up >> k & 1 ? 1 : -1;
}

// Calls visit(even, odd, shift, spins, n) for every stretch of up to 64 j of the stored rows [begin, end) of all
// planes: the words of the sites with even and odd x, from which bit on they hold them, and where their n spins stand
// in the field. `lane` tells the fields of a register apart.
template <class Visit>
void over_stretches(const Packed& packed, std::int64_t lane, std::int8_t* field, std::int64_t begin, std::int64_t end,
                    const Visit& visit) {
  const PackedShape& shape = packed.shape;
  for (std::int64_t line = begin; line < end; ++line) {
    const std::int64_t z = line / shape.rows, stored = line % shape.rows;
    for (std::int64_t fold = 0; fold < shape.folds; ++fold) {
      const std::int64_t y = fold * shape.rows + stored;
      std::int8_t* row = field + (z * shape.rows * shape.folds + y) * 2 * shape.half;
      const int colour = static_cast<int>((y + z) & 1);
      std::uint64_t* even = packed.plane(colour, z) + stored * shape.words * packed.step + lane;
      std::uint64_t* odd = packed.plane(1 - colour, z) + stored * shape.words * packed.step + lane;
      for (std::int64_t k = 0; k < shape.words; ++k) {
        const std::int64_t sites = 2 * (shape.half - 64 * k);
        visit(even[k * packed.step], odd[k * packed.step], static_cast<int>(fold * shape.half), row + 128 * k,
              sites < 128 ? sites : 128);
      }
    }
  }
}

inline void pack(const Packed& packed, std::int64_t lane, std::int8_t* field, std::int64_t begin, std::int64_t end) {
  over_stretches(packed, lane, field, begin, end,
                 [](std::uint64_t& even, std::uint64_t& odd, int shift, std::int8_t* spins, std::int64_t n) {
                   const std::uint64_t low = ups_of(spins, n < 64 ? n : 64);
                   const std::uint64_t high = n > 64 ? ups_of(spins + 64, n - 64) : 0;
                   // The first strip overwrites what was there, the others join it.
                   even = (shift == 0 ? 0 : even) | (gather_even(low) | gather_even(high) << 32) << shift;
                   odd = (shift == 0 ? 0 : odd) | (gather_even(low >> 1) | gather_even(high >> 1) << 32) << shift;
                 });
}

inline void unpack(const Packed& packed, std::int64_t lane, std::int8_t* field, std::int64_t begin, std::int64_t end) {
  over_stretches(packed, lane, field, begin, end,
                 [](std::uint64_t even, std::uint64_t odd, int shift, std::int8_t* spins, std::int64_t n) {
                   even >>= shift;
                   odd >>= shift;
                   write_spins(spread_even(even) | spread_even(odd) << 1, spins, n < 64 ? n : 64);
                   if (n > 64) write_spins(spread_even(even >> 32) | spread_even(odd >> 32) << 1, spins + 64, n - 64);
                 });
}

// What a register holds: consecutive words; the same where all their bits are sites; the same where it also lies within
// one row; or the same word of several fields.
enum class Layout { words, full, rows, fields };

PYQMC_HD inline Layout layout_of(const PackedShape& shape) {
  if (shape.folds * shape.half != 64 * shape.words || shape.rows * shape.words % lanes_of_block != 0)
    return Layout::words;
  return shape.folds == 1 && shape.words % lanes::width == 0 ? Layout::rows : Layout::full;
}

namespace lanes {

// The words one further along than those `here`: behind the last of them comes the first of register `next`.
PYQMC_HD inline Vector words_behind(const std::uint64_t* here, const std::uint64_t* next) {
#if defined(__AVX512F__) && !defined(PYQMC_DEVICE)
  return (Vector)_mm512_maskz_alignr_epi64(0xFF, (__m512i)load(next), (__m512i)load(here), 1);
#else
  Vector v = load(here + 1);
  v[width - 1] = next[0];
  return v;
#endif
}

// The words one before: before the first of them comes the last of register `next`.
PYQMC_HD inline Vector words_before(const std::uint64_t* here, const std::uint64_t* next) {
#if defined(__AVX512F__) && !defined(PYQMC_DEVICE)
  return (Vector)_mm512_maskz_alignr_epi64(0xFF, (__m512i)load(here), (__m512i)load(next), 7);
#else
  Vector v = load(here - 1);
  v[0] = next[width - 1];
  return v;
#endif
}

}  // namespace lanes

// The register of one colour that starts at word `w` of plane `z`, with all its neighbours.
template <int axes, Layout layout>
struct Around {
  static constexpr bool many = layout == Layout::fields;
  lanes::Vector neighbour[2 * axes];
  lanes::Vector sites;  // which bits are sites; beyond the end of the plane none

  PYQMC_HD Around(const Packed& packed, int colour, std::int64_t z, std::int64_t w, std::int64_t phase) {
    const PackedShape& shape = packed.shape;
    const std::int64_t words = shape.words, step = many ? lanes::width : 1;
    const std::uint64_t* here = packed.plane(1 - colour, z) + w * step;
    neighbour[0] = lanes::load(here);
    neighbour[1] = layout == Layout::rows ? along_row(here, words, phase) : along(packed, here, phase);
    neighbour[2] = lanes::load(here - words * step);
    neighbour[3] = lanes::load(here + words * step);
    if constexpr (axes == 3) {
      neighbour[4] = lanes::load(packed.plane(1 - colour, z == 0 ? shape.planes - 1 : z - 1) + w * step);
      neighbour[5] = lanes::load(packed.plane(1 - colour, z == shape.planes - 1 ? 0 : z + 1) + w * step);
    }
    sites = ~lanes::Vector{};
    if constexpr (layout == Layout::words || many) sites = entry(packed.sites, phase);
    const std::int64_t left_over = shape.rows * words - w;
    if (many && left_over <= 0) sites = lanes::Vector{};
    if (layout == Layout::words && left_over < lanes::width)
      for (int lane = 0; lane < lanes::width; ++lane)
        if (lane >= left_over) sites[lane] = 0;
  }

 private:
  PYQMC_HD static lanes::Vector entry(const std::uint64_t* table, std::int64_t phase) {
    if constexpr (many) return lanes::broadcast(table[phase]);
    else return lanes::load(table + phase);
  }

  // The second neighbour in the same row: to the right in odd rows, else to the left.
  PYQMC_HD static lanes::Vector along(const Packed& packed, const std::uint64_t* here, std::int64_t phase) {
    using lanes::Vector;
    const std::int64_t words = packed.shape.words, step = many ? lanes::width : 1;
    const auto at = [here, step](std::int64_t further) { return lanes::load(here + further * step); };
    const int top = static_cast<int>((packed.shape.half - 1) & 63);
    const Vector level = at(0), odd = entry(packed.odd, phase);
    const Vector right = level >> 1 | at(1) << 63, left = level << 1 | at(-1) >> 63;
    const Vector first = at(1 - words) << top, last = at(words - 1) >> top;
    return lanes::choose(entry(packed.corner, phase), lanes::choose(odd, first, last), lanes::choose(odd, right, left));
  }

  // The same for a register that lies within one row, all of whose words are full.
  PYQMC_HD static lanes::Vector along_row(const std::uint64_t* here, std::int64_t words, std::int64_t phase) {
    const lanes::Vector level = lanes::load(here);
    const bool is_odd = phase >= words;
    const std::int64_t column = is_odd ? phase - words : phase, rest = words - lanes::width;
    if (is_odd) return level >> 1 | lanes::words_behind(here, here + (column == rest ? -rest : lanes::width)) << 63;
    return level << 1 | lanes::words_before(here, here + (column == 0 ? rest : -lanes::width)) >> 63;
  }
};

// For each bit how many of its neighbours agree with it (or differ from it, where the spins were handed over turned),
// or how many of any four or six words have it, as a binary number of three bits.
struct Count {
  lanes::Vector bit[3];
};

// How many of the words d[k] ^ turned have a bit. Only the last two additions need to know `turned`: the lowest digit
// of a sum of three is turned with its terms, and so is the upper one.
template <int axes>
PYQMC_HD inline Count count_bits(const lanes::Vector* d, lanes::Vector turned = lanes::Vector{}) {
  using lanes::Vector;
  const Vector sum = lanes::parity(d[0], d[1], d[2]), carry = lanes::majority(d[0], d[1], d[2]);
  if constexpr (axes == 2) {
    const Vector second = (sum ^ turned) & (d[3] ^ turned);
    return {{sum ^ d[3], lanes::parity(carry, turned, second), (carry ^ turned) & second}};
  } else {
    const Vector other = lanes::parity(d[3], d[4], d[5]), second = lanes::majority(d[3], d[4], d[5]);
    const Vector third = (sum ^ turned) & (other ^ turned), differ = carry ^ second;
    return {{sum ^ other, differ ^ third, lanes::choose(differ, third, carry ^ turned)}};
  }
}

template <int axes, Layout layout>
PYQMC_HD inline Count count_agreeing(lanes::Vector turned, const Around<axes, layout>& around) {
  return count_bits<axes>(around.neighbour, turned);
}

// Where in a pair of rows the register starts that begins at word w of plane z: what the tables are indexed by.
PYQMC_HD inline std::int64_t phase_of(const PackedShape& shape, int colour, std::int64_t z, std::int64_t w) {
  return (w + ((z + colour) & 1) * shape.words) % (2 * shape.words);
}

// Equal bonds and magnetization of this member's registers, in each lane: every bond ends at one site of colour 0.
struct PackedSums {
  lanes::Vector equal, magnetization;

  // The register that starts at word w of plane z.
  template <int axes, bool many>
  PYQMC_HD void add(const Packed& packed, std::int64_t z, std::int64_t w) {
    constexpr Layout layout = many ? Layout::fields : Layout::words;
    const Around<axes, layout> around(packed, 0, z, w, phase_of(packed.shape, 0, z, w));
    const lanes::Vector own = lanes::load(packed.plane(0, z) + w * packed.step);
    const Count count = count_agreeing(~own, around);
    for (int b = 0; b < 3; ++b) equal += lanes::count_ones(count.bit[b] & around.sites) << b;
    const lanes::Vector up =
        lanes::count_ones(own & around.sites) + lanes::count_ones(around.neighbour[0] & around.sites);
    magnetization += (up - lanes::count_ones(around.sites)) << 1;
  }
};

template <int axes, bool many>
PackedSums add_packed(const Packed& packed, const Team& team) {
  const PackedShape& shape = packed.shape;
  const std::int64_t stride = many ? 1 : lanes::width, words = shape.rows * shape.words;
  const std::int64_t registers = (words + stride - 1) / stride, end = team.end(shape.planes * registers);
  PackedSums sums{};
  for (std::int64_t g = team.begin(shape.planes * registers); g < end; ++g)
    sums.template add<axes, many>(packed, g / registers, g % registers * stride);
  return sums;
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
