// Spin glasses to Python: a plan holds the couplings, and sweeps are asked of it.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <vector>

#include "bind/arrays.hpp"
#include "core/isa.hpp"
#include "kernels/jobs.hpp"

namespace pyqmc::bind {
namespace {

// Checks what the loops take for granted of the tables of a lattice.
GlassJob make_plan(const py::array& order, const py::array& starts, const py::array& neighbours,
                   const py::array& negative, bool uniform, const py::array& row, const py::array& table,
                   const py::array& upper, const py::array& bytes, const py::array& bonds) {
  GlassJob job{};
  job.order = view<std::int32_t>("order", order, {-1});
  job.sites = order.shape(0);
  job.neighbours = view<std::int32_t>("neighbours", neighbours, {job.sites, -1});
  job.slots = neighbours.shape(1);
  if (job.slots != 4 && job.slots != 6) throw BadArgument("neighbours must have shape (sites, 4) or (sites, 6)");
  job.starts = view<std::int64_t>("starts", starts, {-1});
  job.colours = static_cast<std::int32_t>(starts.shape(0) - 1);
  job.negative = view<std::uint64_t>("negative", negative, {job.sites, job.slots});
  job.row = view<std::int32_t>("row", row, {job.sites});
  job.uniform = uniform;
  job.entries = uniform ? job.slots + 1 : 1 << (job.slots - 1);
  job.table = view<std::uint64_t>("table", table, {-1, -1, job.entries});
  job.rungs = table.shape(0);
  job.rows = table.shape(1);
  job.functions = (job.entries + 3) / 4;
  job.upper = view<std::uint8_t>("upper", upper, {job.rungs, job.rows, glass_digits, job.functions});
  const std::uint8_t* end = job.upper + upper.size();
  if (std::any_of(job.upper, end, [](std::uint8_t n) { return n > 120 || n % 8 != 0; }))
    throw BadArgument("upper holds a number that is not eight times one below 16");
  job.bytes = view<std::uint8_t>("bytes", bytes, {job.rungs, job.rows, 2, job.entries});
  job.bonds = view<std::int32_t>("bonds", bonds, {-1, 3});
  job.bond_count = bonds.shape(0);
  const auto is_site = [&job](std::int32_t i) { return i >= 0 && i < job.sites; };
  bool fits = job.colours >= 1 && job.rungs >= 1 && job.starts[0] == 0 && job.starts[job.colours] == job.sites;
  for (std::int32_t c = 0; fits && c < job.colours; ++c) fits = job.starts[c] <= job.starts[c + 1];
  for (std::int64_t i = 0; fits && i < job.sites; ++i)
    fits = is_site(job.order[i]) && job.row[i] >= 0 && job.row[i] < job.rows;
  for (std::int64_t i = 0; fits && i < job.sites * job.slots; ++i) fits = is_site(job.neighbours[i]);
  for (std::int64_t b = 0; fits && b < job.bond_count; ++b)
    fits = is_site(job.bonds[3 * b]) && is_site(job.bonds[3 * b + 1]);
  if (!fits) throw BadArgument("the tables of a spin glass name sites, colours or rows that do not exist");
  return job;
}

}  // namespace

void bind_glass(py::module_& module) {
  module.def(
      "glass_steps",
      [](py::array field, std::uint64_t key, std::int64_t first_replica, std::uint32_t first_step, std::int64_t steps,
         std::int64_t every, py::array sums, py::array tally, int threads, py::array order, py::array starts,
         py::array neighbours, py::array negative, bool uniform, py::array row, py::array table, py::array upper,
         py::array bytes, py::array bonds) {
        GlassJob job = make_plan(order, starts, neighbours, negative, uniform, row, table, upper, bytes, bonds);
        job.field = view_mutable<std::int8_t>("field", field, {-1, job.sites, 2});
        job.batch = field.shape(0);
        if (steps < 0 || every < 1 || threads < 1 || first_replica < 0 || job.batch % job.rungs != 0)
          throw BadArgument("steps >= 0, every >= 1, threads >= 1 and a batch divisible by rungs are needed");
        if (sums.size() > 0) job.sums = view_mutable<std::int64_t>("sums", sums, {steps / every, job.batch, 2});
        job.tally = view_mutable<std::int64_t>("tally", tally, {job.rungs});
        job.key = key;
        job.first_replica = first_replica;
        job.first_step = first_step;
        job.steps = steps;
        job.every = every;
        job.threads = threads;
        job.first_word = 2 * first_replica / 64;
        const std::int64_t bits = 2 * (first_replica + job.batch / job.rungs);
        job.words = std::max<std::int64_t>((bits + 63) / 64 - job.first_word, 0);
        const DiscreteKernels& kernels = discrete_kernels_in_use();
        py::gil_scoped_release release;  // scratch memory and sweeps need no Python
        std::vector<std::uint64_t> memory(static_cast<std::size_t>(threads * job.sites * 8 + 8));
        const std::size_t beyond = reinterpret_cast<std::uintptr_t>(memory.data()) / sizeof(std::uint64_t) % 8;
        job.memory = memory.data() + (8 - beyond) % 8;
        kernels.glass(job);
      },
      py::arg("field"), py::kw_only(), py::arg("key"), py::arg("first_replica"), py::arg("first_step"),
      py::arg("steps"), py::arg("every"), py::arg("sums"), py::arg("tally"), py::arg("threads"), py::arg("order"),
      py::arg("starts"), py::arg("neighbours"), py::arg("negative"), py::arg("uniform"), py::arg("row"),
      py::arg("table"), py::arg("upper"), py::arg("bytes"), py::arg("bonds"),
      "Heat-bath sweeps of a spin glass, one bit for each copy.");
}

}  // namespace pyqmc::bind
