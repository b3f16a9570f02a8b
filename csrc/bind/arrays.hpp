// Checks the memory of every array that crosses the border: dtype, rank, extents, contiguity, writeability. Nothing is
// cast or copied silently; the meaning of the numbers was checked in Python.
#pragma once

#include <pybind11/numpy.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/failure.hpp"

namespace pyqmc::bind {

namespace py = pybind11;

inline std::string text(const std::vector<std::int64_t>& extents) {
  std::string out = "(";
  for (const std::int64_t n : extents)
    out += (out.size() > 1 ? ", " : "") + (n < 0 ? std::string("any") : std::to_string(n));
  return out + ")";
}

// Raises unless `array` is a C-contiguous array of T with these extents (-1: any).
template <class T>
void check(const char* name, const py::array& array, const std::vector<std::int64_t>& extents, bool writeable) {
  const auto fail = [&](const std::string& what) { throw BadArgument(std::string(name) + " " + what); };
  if (!array.dtype().is(py::dtype::of<T>()) && !py::dtype::of<T>().equal(array.dtype()))
    fail("has dtype " + std::string(py::str(array.dtype())) + "; expected " + std::string(py::str(py::dtype::of<T>())));
  std::vector<std::int64_t> given(array.shape(), array.shape() + array.ndim());
  bool fits = given.size() == extents.size();
  for (std::size_t axis = 0; fits && axis < given.size(); ++axis)
    fits = extents[axis] < 0 || given[axis] == extents[axis];
  if (!fits) fail("has shape " + text(given) + "; expected " + text(extents));
  if ((array.flags() & py::array::c_style) == 0) fail("is not C-contiguous; pass numpy.ascontiguousarray(...)");
  if (writeable && !array.writeable()) fail("is read-only; pass a copy");
}

template <class T>
const T* view(const char* name, const py::array& array, const std::vector<std::int64_t>& extents) {
  check<T>(name, array, extents, false);
  return static_cast<const T*>(array.data());
}

template <class T>
T* view_mutable(const char* name, py::array& array, const std::vector<std::int64_t>& extents) {
  check<T>(name, array, extents, true);
  return static_cast<T*>(array.mutable_data());
}

}  // namespace pyqmc::bind
