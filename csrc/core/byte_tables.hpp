// Tables that are read for 512 copies at a time: planes (registers with a bit for each copy) are turned into bytes, of
// which one instruction looks up 64, and what it finds becomes planes again.
#pragma once

#include <immintrin.h>

#include "core/words.hpp"

// GCC 12 takes the undefined operands of its own AVX-512 intrinsics for mistakes of ours (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace pyqmc {
inline namespace PYQMC_ISA {
namespace lanes {

// Twelve digits of one of 32 entries for each copy.
//
// The place of a byte within 128 bits is a number of four bits, q3 to q0, and that of one among eight registers has
// three. First the planes of a copy's entry are gathered: an unpacking moves the highest bit of the place to the number
// of the register and makes a bit of the plane's number the lowest of the place. After three of them the registers are
// r = 4 q3 + 2 q2 + q1, and 64 bits hold one byte of each plane: a matrix of bits, which a product with a constant
// turns about, so that each of eight copies gets a byte with its entry. What is looked up for it is turned back in the
// same way. Then q2, q1 and q3 go back to the place, in exchange for the bits of the digit's number: of two registers
// one gives up its upper halves and the other its lower ones, which fits if one has its digits in another order, by the
// constant of its product. So q0 has become the highest bit of the place and q3 the lowest, which is why both change
// places before all this.
class ByteTables {
 public:
  // `entry` holds the binary digits of the number of each copy's entry, the lowest first; `upper` the first eight
  // digits of every entry, its highest bit being the first, and `lower` the next four in its lowest bits.
  static void read(const Vector (&entry)[5], const std::uint8_t* upper, const std::uint8_t* lower,
                   Vector (&digit)[12]) {
    __m512i number[8], eight[8], four[8];
    gather(entry, number);
    const __m512i up = _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(upper)));
    const __m512i low = _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(lower)));
#pragma GCC unroll 8
    for (int r = 0; r < 8; ++r) {
      // Of eight copies the last comes first, because the second product turns them round.
      number[r] = _mm512_gf2p8affine_epi64_epi8(all(0x0102040810204080), number[r], 0);
      eight[r] = _mm512_gf2p8affine_epi64_epi8(all(order_of_eight(r)), _mm512_permutexvar_epi8(number[r], up), 0);
      four[r] = _mm512_gf2p8affine_epi64_epi8(all(order_of_four(r)), _mm512_permutexvar_epi8(number[r], low), 0);
    }
#pragma GCC unroll 8
    for (int r = 0; r < 8; ++r)
      if ((r & 2) == 0) {
        exchange_halves_of_64(eight[r + 2], eight[r]);
        four[r] |= four[r + 2];
      }
#pragma GCC unroll 4
    for (int r = 0; r < 8; r += 2) exchange_halves_of_32(eight[r + 1], eight[r]);
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) exchange_halves_of_16(eight[r + 4], eight[r]);
    exchange_halves_of_32(four[1], four[0]);
    exchange_halves_of_32(four[5], four[4]);
    exchange_halves_of_16(four[4], four[0]);
    exchange_halves_of_16(four[5], four[1]);
#pragma GCC unroll 12
    for (int k = 0; k < 12; ++k) digit[k] = (Vector)(k < 8 ? eight[register_of(7 - k)] : four[register_of(11 - k)]);
  }

 private:
  static __m512i all(std::uint64_t word) { return _mm512_set1_epi64(static_cast<long long>(word)); }

  // Where the plane of bit `number` of a byte comes to lie.
  static constexpr int register_of(int number) { return (number & 4) / 2 + (number & 2) / 2 + 4 * (number & 1); }

  // The constants that bring bit i ^ change to byte i; a register whose halves go to the upper ones changes nothing.
  static constexpr int change(int r) {
    return ((r & 2) != 0 ? 0 : 4) | ((r & 1) != 0 ? 0 : 2) | ((r & 4) != 0 ? 0 : 1);
  }
  static constexpr std::uint64_t order_of_eight(int r) {
    std::uint64_t order = 0;
    for (int i = 0; i < 8; ++i) order |= 1ull << (8 * i + (i ^ change(r)));
    return order;
  }
  // Four digits fill one half, so that two registers become one without an exchange.
  static constexpr std::uint64_t order_of_four(int r) {
    std::uint64_t order = 0;
    for (int i = (r & 2) * 2; i < (r & 2) * 2 + 4; ++i) order |= 1ull << (8 * i + ((i ^ change(r)) & 3));
    return order;
  }

  // Afterwards a has the upper halves of both and b the lower ones, those of b crosswise.
  static void exchange_halves_of_64(__m512i& a, __m512i& b) {
    const __m512i upper = _mm512_mask_blend_epi32(0x5555, a, b);
    b = _mm512_shldi_epi64(a, b, 32);
    a = upper;
  }
  static void exchange_halves_of_32(__m512i& a, __m512i& b) {
    const __m512i upper = _mm512_mask_blend_epi16(0x55555555, a, b);
    b = _mm512_shldi_epi32(a, b, 16);
    a = upper;
  }
  static void exchange_halves_of_16(__m512i& a, __m512i& b) {
    const __m512i upper = _mm512_mask_blend_epi8(0x5555555555555555, a, b);
    b = _mm512_shldi_epi16(a, b, 8);
    a = upper;
  }

  // Bytes 3 to 7 of 64 bits become those of planes 4 to 0, for a product counts the rows of its matrix from the end.
  static void gather(const Vector (&entry)[5], __m512i (&to)[8]) {
    const __m512i ends_changed =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 8, 2, 10, 4, 12, 6, 14, 1, 9, 3, 11, 5, 13, 7, 15));
    __m512i plane[5];
#pragma GCC unroll 5
    for (int k = 0; k < 5; ++k) plane[k] = _mm512_shuffle_epi8((__m512i)entry[k], ends_changed);
#pragma GCC unroll 2
    for (int q3 = 0; q3 < 2; ++q3) {
      const auto unpack = [q3](__m512i a, __m512i b) {
        return q3 != 0 ? _mm512_unpackhi_epi8(a, b) : _mm512_unpacklo_epi8(a, b);
      };
      const __m512i last = unpack(plane[4], plane[4]);
      const __m512i middle = unpack(plane[3], plane[2]), first = unpack(plane[1], plane[0]);
      const __m512i last0 = _mm512_unpacklo_epi16(last, last), last1 = _mm512_unpackhi_epi16(last, last);
      const __m512i four0 = _mm512_unpacklo_epi16(middle, first), four1 = _mm512_unpackhi_epi16(middle, first);
      to[4 * q3] = _mm512_unpacklo_epi32(last0, four0);
      to[4 * q3 + 1] = _mm512_unpackhi_epi32(last0, four0);
      to[4 * q3 + 2] = _mm512_unpacklo_epi32(last1, four1);
      to[4 * q3 + 3] = _mm512_unpackhi_epi32(last1, four1);
    }
  }
};

}  // namespace lanes
}  // namespace PYQMC_ISA
}  // namespace pyqmc
