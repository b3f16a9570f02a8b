// Philox to Python: the compiled counterpart of pyqmc_art.rng, for tests and for whoever wants many numbers at once.
#include <pybind11/pybind11.h>

#include "bind/arrays.hpp"
#include "core/isa.hpp"
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
  module.def(
      "fill_blocks",
      [](std::uint64_t key, std::uint32_t replica, std::uint32_t step, std::uint32_t purpose, std::uint32_t number,
         std::uint32_t first, py::array out) {
        if (purpose > 255 || number >> 24 != 0) throw BadArgument("purpose is below 2^8 and number below 2^24");
        PhiloxJob job{key, replica, step, Draws::tag(static_cast<Purpose>(purpose), number), first, 0, nullptr};
        job.out = view_mutable<std::uint32_t>("out", out, {-1, 4});
        job.blocks = out.shape(0);
        const DiscreteKernels& kernels = discrete_kernels_in_use();
        py::gil_scoped_release release;  // plain arithmetic from here on
        kernels.philox(job);
      },
      py::arg("key"), py::arg("replica"), py::arg("step"), py::arg("purpose"), py::arg("number"), py::arg("first"),
      py::arg("out"), "Stream.bits of the indices first, first + 1, ... for one replica, written to out (n, 4).");
  py::dict purposes;
  const char* names[] = {"site", "bond", "flip", "seed", "exchange", "swap", "start", "fold", "user"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; ++i) purposes[names[i]] = i;
  module.attr("purposes") = purposes;
}

}  // namespace pyqmc::bind
