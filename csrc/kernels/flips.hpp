// What the runs of a word get once their clusters are known: roots the number of their cluster and its coin, the others
// what the root has got.
#pragma once

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include <cstdint>

#include "core/bits.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

// A block of sites cut into segments: segment j, from site at[j] of the block to before at[j + 1], lies in one row and
// in one word, and its spins agree or, where bonds need unequal ones, alternate. At first every run is one. Behind the
// last one there is room for a register.
struct Segments {
  static constexpr std::uint32_t apart = 1u << 31;  // added to `at`: not one with the run before, whoever owns that

  std::uint32_t at[64 * margin + 16];
  std::uint32_t owner[64 * margin + 16];  // twice the number of its cluster; of alternating spins 1 more if -1 is first
  int count;

  // Makes one segment of neighbouring runs of a word that one cluster owns.
  void merge();
};

// What a run gets: `fresh` where it is a root, else what the run got that it points to. That lies before it and in this
// share, so that it has got it already.
inline std::uint32_t inherit(std::uint32_t* parent, std::uint32_t run, std::uint32_t fresh, bool& is_root) {
  const std::uint32_t above = parent[run], found = parent[above];
  is_root = above == run;
  // A branch would be a coin toss.
  const std::uint32_t got = found ^ ((found ^ fresh) & (0u - static_cast<std::uint32_t>(is_root)));
  parent[run] = got;
  return got;
}

// Word k of a lattice: its runs, the coins of its sites, its spins, and the first sites of rows.
struct WordOfRuns {
  std::int64_t k;
  std::uint64_t runs, coin, spins, rows;

  // Lets the runs inherit; roots are numbered from `next` on. `turned` receives the sites that turn. `cut` 0: no
  // segments are asked for, 1: those of spins that agree, with a mark where a row or word begins, 2: those of spins
  // that alternate. Returns the number of the root after the last.
  template <int cut>
  std::uint32_t flip(std::uint32_t* parent, std::uint32_t next, std::uint64_t& turned, Segments* segments) const;

 private:
#if defined(__AVX512F__)
  // The number of a cluster without its coin, and 1 where a spin is down.
  static __m512i down_or_not(const __m512i& got, __mmask16 down) {
    const __m512i one = _mm512_set1_epi32(1), number = _mm512_maskz_andnot_epi32(0xFFFF, one, got);
    return _mm512_mask_or_epi32(number, down, number, one);
  }
#endif

  std::uint32_t origin() const { return static_cast<std::uint32_t>(k % margin * 64); }
};

#if defined(__AVX512F__)

// Sixteen sites at a time. A run may point to one of the same word (around a boundary), which has to have inherited
// before: those few follow one by one.
template <int cut>
std::uint32_t WordOfRuns::flip(std::uint32_t* parent, std::uint32_t next, std::uint64_t& turned,
                               Segments* segments) const {
  const __m512i ramp = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                one = _mm512_set1_epi32(1);
  std::uint32_t* const own = parent + 64 * k;
  const __m512i first = _mm512_set1_epi32(static_cast<int>(64 * k));
  __m512i got[4];
  std::uint64_t later = 0;
  for (int j = 0; j < 4; ++j) {
    const __mmask16 here = static_cast<__mmask16>(runs >> 16 * j);
    const __m512i above = _mm512_loadu_si512(own + 16 * j),
                  site = _mm512_add_epi32(first, _mm512_add_epi32(ramp, _mm512_set1_epi32(16 * j)));
    const __mmask16 roots = _mm512_mask_cmpeq_epi32_mask(here, above, site);
    const __mmask16 near = _mm512_mask_cmpge_epu32_mask(static_cast<__mmask16>(here & ~roots), above, first);
    const __mmask16 far = static_cast<__mmask16>(here & ~roots & ~near);
    const __m512i number =
        _mm512_add_epi32(_mm512_maskz_expand_epi32(roots, ramp), _mm512_set1_epi32(static_cast<int>(next)));
    const __m512i doubled = _mm512_add_epi32(number, number);
    const __m512i fresh = _mm512_mask_or_epi32(doubled, static_cast<__mmask16>(coin >> 16 * j), doubled, one);
    got[j] = _mm512_mask_i32gather_epi32(fresh, far, above, parent, 4);
    _mm512_mask_storeu_epi32(own + 16 * j, static_cast<__mmask16>(roots | far), got[j]);
    next += static_cast<std::uint32_t>(__builtin_popcount(roots));
    later |= static_cast<std::uint64_t>(near) << 16 * j;
  }
  if (later != 0) {
    for (; later != 0; later &= later - 1) {
      const int x = bits::lowest(later);
      own[x] = parent[own[x]];
    }
    for (int j = 0; j < 4; ++j) got[j] = _mm512_loadu_si512(own + 16 * j);
  }
  std::uint64_t heads = 0;
  for (int j = 0; j < 4; ++j) heads |= static_cast<std::uint64_t>(_mm512_test_epi32_mask(got[j], one)) << 16 * j;
  // From one run to the next the spins go on turning or not; the parity of these changes says which.
  const std::uint64_t of_runs = _pext_u64(heads, runs);
  turned = _pdep_u64(of_runs ^ of_runs << 1, runs);
  for (int distance = 1; distance < 64; distance *= 2) turned ^= turned << distance;
  for (int j = 0; cut > 0 && j < 4; ++j) {
    const __mmask16 here = static_cast<__mmask16>(runs >> 16 * j);
    __m512i place = _mm512_add_epi32(ramp, _mm512_set1_epi32(static_cast<int>(origin()) + 16 * j)), cluster = got[j];
    if (cut == 1)
      place = _mm512_mask_or_epi32(place, static_cast<__mmask16>((rows | 1) >> 16 * j), place,
                                   _mm512_set1_epi32(static_cast<int>(Segments::apart)));
    else cluster = down_or_not(got[j], static_cast<__mmask16>(spins >> 16 * j));
    _mm512_storeu_si512(segments->owner + segments->count, _mm512_maskz_compress_epi32(here, cluster));
    _mm512_storeu_si512(segments->at + segments->count, _mm512_maskz_compress_epi32(here, place));
    segments->count += __builtin_popcount(here);
  }
  return next;
}

inline void Segments::merge() {
  const __m512i ones = _mm512_set1_epi32(-1);
  __m512i before = ones;
  int merged = 0;
  for (int j = 0; j < count; j += 16) {
    const __m512i own = _mm512_loadu_si512(owner + j), place = _mm512_loadu_si512(at + j);
    const __mmask16 there = static_cast<__mmask16>(count - j < 16 ? (1u << (count - j)) - 1 : 0xFFFFu);
    const __m512i last = _mm512_maskz_alignr_epi32(0xFFFF, own, before, 15);
    const __mmask16 begins =
        static_cast<__mmask16>(there & (_mm512_cmpneq_epi32_mask(own, last) | _mm512_movepi32_mask(place)));
    const __m512i bare = _mm512_maskz_andnot_epi32(0xFFFF, _mm512_set1_epi32(static_cast<int>(apart)), place);
    _mm512_storeu_si512(owner + merged, _mm512_maskz_compress_epi32(begins, own));
    _mm512_storeu_si512(at + merged, _mm512_maskz_compress_epi32(begins, bare));
    merged += __builtin_popcount(begins);
    before = own;
  }
  count = merged;
}

#else

template <int cut>
std::uint32_t WordOfRuns::flip(std::uint32_t* parent, std::uint32_t next, std::uint64_t& turned,
                               Segments* segments) const {
  int count = cut > 0 ? segments->count : 0;
  turned = ~0ull;
  std::uint32_t before = ~0u;
  for (std::uint64_t rest = runs; rest != 0; rest &= rest - 1) {
    const int x = bits::lowest(rest);
    bool is_root;
    const std::uint32_t got = inherit(parent, static_cast<std::uint32_t>(64 * k + x),
                                      next << 1 | static_cast<std::uint32_t>(coin >> x & 1), is_root);
    turned ^= (0 - static_cast<std::uint64_t>((got ^ before) & 1)) << x;  // from here on
    next += is_root;
    if (cut > 0) {
      segments->at[count] = origin() + static_cast<std::uint32_t>(x);
      segments->owner[count] = cut == 1 ? got : (got & ~1u) | static_cast<std::uint32_t>(spins >> x & 1);
      // Written in vain where the segment before goes on.
      count += cut == 2 ? 1 : static_cast<int>((got != before) | (rows >> x & 1));
    }
    before = got;
  }
  if (cut > 0) segments->count = count;
  return next;
}

inline void Segments::merge() {}  // done run by run

#endif

}  // namespace PYQMC_ISA
}  // namespace pyqmc
