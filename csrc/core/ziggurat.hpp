// Standard normal numbers by the ziggurat (Marsaglia, Tsang, J. Stat. Softw. 5 (2000) 8): the area under exp(-x^2 / 2),
// x > 0, is covered by 1024 layers of equal area. A word of 64 bits chooses a layer (10 bits), a sign (1 bit) and a
// place in the layer (52 bits); 998 of 1000 places lie under the curve over the whole height of their layer and need no
// more. Nothing is cut off: the lowest layer goes on with the tail of the distribution. Only additions, products,
// quotients and square roots are used, as in core/real.hpp; pyqmc_art/ops/ziggurat.py holds the same formulas.
#pragma once

#include "core/real.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

inline constexpr int layers = 1024;
// Where the tail begins, and the area of a layer: the only pair for which the last layer ends at height 1.
inline constexpr double tail_begin = 4.038849846109505, layer_area = 0.0012263246463530852;
inline constexpr double places = 4503599627370496.0;  // 2^52

struct Ziggurat {
  // Layer k reaches to x_k: x_1 is where the tail begins, x_0 what the lowest layer would reach to if it were a
  // rectangle, and x_1024 = 0.
  struct Layer {
    std::uint64_t inside;  // places up to x_{k + 1}: under the curve whatever the height
    double width;          // of a place
  };
  alignas(64) Layer layer[layers];
  double height[layers + 1];  // exp(-x_k^2 / 2), where layer k begins; the lowest begins at 0

  Ziggurat() {
    double x[layers + 1];
    x[1] = tail_begin;
    height[0] = 0.0;
    height[1] = exp_of(-0.5 * (tail_begin * tail_begin));
    x[0] = layer_area / height[1];
    for (int k = 1; k + 1 < layers; ++k) {
      height[k + 1] = height[k] + layer_area / x[k];
      x[k + 1] = __builtin_sqrt(-2.0 * log_of(height[k + 1]));
    }
    x[layers] = 0.0;
    height[layers] = 1.0;
    for (int k = 0; k < layers; ++k) layer[k] = {static_cast<std::uint64_t>(x[k + 1] / x[k] * places), x[k] / places};
  }
};

inline const Ziggurat& ziggurat() {
  static const Ziggurat table;
  return table;
}

// Uniform in (0, 1), however small, from a draw below 2^63.
inline double open_unit(std::uint64_t draw) { return (static_cast<double>(draw) + 0.5) / 9223372036854775808.0; }

// The normal number of half `half` of the block (purpose, index, number), whose 64 bits are `word`. Whoever is refused
// takes another block, number (attempt, half, number) with the topmost bit set; `number` is below 2^12.
inline double normal_of(const Ziggurat& table, const Draws& draws, Purpose purpose, std::uint32_t index,
                        std::uint32_t number, std::uint32_t half, std::uint64_t word) {
  for (std::uint32_t attempt = 0;; ++attempt) {
    const std::size_t layer = word % layers;
    const std::uint64_t place = word >> 12, sign = (word & layers) << 53;
    double x = static_cast<double>(place) * table.layer[layer].width;
    if (place < table.layer[layer].inside) return from_bits(bits_of(x) | sign);
    const Block more = draws.block(purpose, index, 1u << 23 | (attempt & 1023) << 13 | half << 12 | number);
    const double low = table.height[layer], high = table.height[layer + 1];
    if (layer > 0) {
      if (low + unit(more.draw(0)) * (high - low) < exp_of(-0.5 * (x * x))) return from_bits(bits_of(x) | sign);
      word = more.bits(1);
      continue;
    }
    // The tail (Marsaglia 1964): the same word again until an attempt succeeds.
    x = tail_begin - log_of(open_unit(more.draw(0))) / tail_begin;
    const double beyond = x - tail_begin;
    if (-2.0 * log_of(open_unit(more.draw(1))) > beyond * beyond) return from_bits(bits_of(x) | sign);
  }
}

// Both normal numbers of a block.
inline Normals normals_of(const Draws& draws, Purpose purpose, std::uint32_t index, std::uint32_t number) {
  const Block block = draws.block(purpose, index, number);
  const Ziggurat& table = ziggurat();
  return {normal_of(table, draws, purpose, index, number, 0, block.bits(0)),
          normal_of(table, draws, purpose, index, number, 1, block.bits(1))};
}

namespace lanes {

// What the table says of the layers of `width` words, which lie at `words` as well.
inline void look_up(const Ziggurat::Layer* table, const std::uint64_t* words, Vector word, Vector& inside,
                    Vector& width_of_place) {
#if defined(__AVX512F__)
  static_cast<void>(words);
  const __m512i entry = (__m512i)((word & static_cast<std::uint64_t>(layers - 1)) << 1), none = _mm512_setzero_si512();
  inside = (Vector)_mm512_mask_i64gather_epi64(none, 0xFF, entry, &table->inside, 8);
  width_of_place = (Vector)_mm512_mask_i64gather_epi64(none, 0xFF, entry, &table->width, 8);
#elif defined(__AVX2__)
  // Both numbers of a layer at once: shuffles have one port, loads several.
  static_cast<void>(word);
  const auto entry = [&](int lane) {
    return _mm_load_si128(reinterpret_cast<const __m128i*>(table + words[lane] % layers));
  };
  const __m256i even = _mm256_inserti128_si256(_mm256_castsi128_si256(entry(0)), entry(2), 1),
                odd = _mm256_inserti128_si256(_mm256_castsi128_si256(entry(1)), entry(3), 1);
  inside = (Vector)_mm256_unpacklo_epi64(even, odd);
  width_of_place = (Vector)_mm256_unpackhi_epi64(even, odd);
#else
  static_cast<void>(word);
  for (int lane = 0; lane < width; ++lane) {
    const Ziggurat::Layer& layer = table[words[lane] % layers];
    inside[lane] = layer.inside;
    __builtin_memcpy(reinterpret_cast<char*>(&width_of_place) + 8 * lane, &layer.width, 8);
  }
#endif
}

// Which lanes of a are below those of b, both below 2^63, a bit for each.
inline unsigned below(Vector a, Vector b) {
#if defined(__AVX512F__)
  return _mm512_cmplt_epi64_mask((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return static_cast<unsigned>(_mm256_movemask_pd((__m256d)_mm256_cmpgt_epi64((__m256i)b, (__m256i)a)));
#else
  unsigned found = 0;
  for (int lane = 0; lane < width; ++lane) found |= static_cast<unsigned>(a[lane] < b[lane]) << lane;
  return found;
#endif
}

}  // namespace lanes

// Normal numbers number 2 first ... of a step: number 2 j and 2 j + 1 come from block j. `out` holds 2 blocks numbers.
inline void fill_normals(const Draws& draws, Purpose purpose, std::uint32_t number, std::uint32_t first,
                         std::size_t blocks, double* out) {
  using lanes::Vector;
  typedef double Reals __attribute__((vector_size(8 * lanes::width)));
  constexpr std::size_t chunk = 240;  // blocks, a whole number of what is made at a time for every instruction set
  constexpr unsigned all = (1u << lanes::width) - 1;
  const Ziggurat& table = ziggurat();
  alignas(64) std::uint64_t words[2 * chunk];
  alignas(64) double rest[lanes::width];
  for (std::size_t done = 0; done < blocks; done += chunk) {
    const std::size_t count = blocks - done < chunk ? blocks - done : chunk;
    lanes::write_blocks<0>(draws, Draws::tag(purpose, number), first + static_cast<std::uint32_t>(done), count,
                           reinterpret_cast<unsigned char*>(words));
    for (std::size_t j = 0; j < 2 * count; j += lanes::width) {
      Vector word;
      __builtin_memcpy(&word, words + j, sizeof word);
      const Vector place = word >> 12;
      Vector inside, width_of_place;
      lanes::look_up(table.layer, words + j, word, inside, width_of_place);
      // Exact for integers below 2^52, unlike anything there is to convert them before AVX-512.
      const Reals whole = (Reals)(place | 0x4330000000000000ull) - places;
      const Reals x = whole * (Reals)width_of_place;
      const Vector bits = (Vector)x | (word & static_cast<std::uint64_t>(layers)) << 53;
      const bool is_whole = 2 * count - j >= lanes::width;
      double* to = is_whole ? out + 2 * done + j : rest;
      __builtin_memcpy(to, &bits, sizeof bits);
      unsigned refused = all & ~lanes::below(place, inside);
      for (; __builtin_expect(refused != 0, 0); refused &= refused - 1) {
        const std::size_t k = j + static_cast<std::size_t>(__builtin_ctz(refused));
        to[k - j] =
            normal_of(table, draws, purpose, first + static_cast<std::uint32_t>(done + k / 2), number, k % 2, words[k]);
      }
      if (!is_whole) __builtin_memcpy(out + 2 * done + j, rest, (2 * count - j) * sizeof(double));
    }
  }
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
