// Philox to Python: the compiled counterpart of pyqmc_art.rng, for tests and for whoever wants many numbers at once.
#include <pybind11/pybind11.h>

#include "bind/arrays.hpp"
#include "core/philox.hpp"

namespace pyqmc::bind {

void bind_random(py::module_& module) {
  module.def(
      "philox",
      [](py::array counter, std::uint64_t key, py::array out) {
        const std::uint32_t* in = view<std::uint32_t>("counter", counter, {-1, 4});
        const std::int64_t n = counter.shape(0);
        std::uint32_t* words = view_mutable<std::uint32_t>("out", out, {n, 4});
        py::gil_scoped_release release;  // plain arithmetic from here on
        for (std::int64_t i = 0; i < n; ++i) {
          const Block block = philox::block(in[4 * i], in[4 * i + 1], in[4 * i + 2], in[4 * i + 3], key);
          for (int w = 0; w < 4; ++w) words[4 * i + w] = block.word[w];
        }
      },
      py::arg("counter"), py::arg("key"), py::arg("out"),
      "Philox4x32-10 of each counter (n, 4) under one key, written to out (n, 4).");
  py::dict purposes;
  const char* names[] = {"site", "bond", "flip", "seed", "exchange", "swap", "start", "fold", "user"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; ++i) purposes[names[i]] = i;
  module.attr("purposes") = purposes;
}

}  // namespace pyqmc::bind
