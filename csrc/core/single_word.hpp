// A register of one word, with the operators of vector extensions: what the loops see where they are compiled for a
// device, each of whose threads keeps one word.
#pragma once

#include <cstdint>

#include "core/host_device.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {
namespace lanes {

inline constexpr int width = 1;

struct Vector {
  std::uint64_t word;

  PYQMC_HD std::uint64_t& operator[](int) { return word; }
  PYQMC_HD std::uint64_t operator[](int) const { return word; }
  PYQMC_HD Vector operator~() const { return {~word}; }

#define PYQMC_OPERATOR(op)                                                                \
  PYQMC_HD friend Vector operator op(Vector a, Vector b) { return {a.word op b.word}; }   \
  PYQMC_HD friend Vector operator op(Vector a, std::uint64_t b) { return {a.word op b}; } \
  PYQMC_HD Vector& operator op## = (Vector b) { return *this = {word op b.word}; }
  PYQMC_OPERATOR(&)
  PYQMC_OPERATOR(|)
  PYQMC_OPERATOR(^)
  PYQMC_OPERATOR(+)
  PYQMC_OPERATOR(-)
#undef PYQMC_OPERATOR

  PYQMC_HD friend Vector operator<<(Vector a, int places) { return {a.word << places}; }
  PYQMC_HD friend Vector operator>>(Vector a, int places) { return {a.word >> places}; }
};

// Product of the low 32 bits.
PYQMC_HD inline Vector single_product(Vector a, Vector b) {
  return {(a.word & 0xFFFFFFFFull) * (b.word & 0xFFFFFFFFull)};
}

}  // namespace lanes
}  // namespace PYQMC_ISA
}  // namespace pyqmc
