// Lattices and batches of discrete models to Python: arguments that every kernel takes travel in one Batch.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bind/arrays.hpp"
#include "kernels/jobs.hpp"

namespace pyqmc::bind {

inline Lattice make_lattice(const std::string& kind, const std::vector<std::int64_t>& shape,
                            const std::vector<bool>& periodic) {
  if (shape.empty() || shape.size() > max_dimension || periodic.size() != shape.size())
    throw BadArgument("a lattice has 1 to 4 axes and one boundary for each");
  Lattice lattice{};
  if (kind == "triangular") lattice.kind = LatticeKind::triangular;
  else if (kind == "honeycomb") lattice.kind = LatticeKind::honeycomb;
  else if (kind == "square" || kind == "hypercubic") lattice.kind = LatticeKind::hypercubic;
  else throw BadArgument("unknown lattice '" + kind + "'");
  if (lattice.kind != LatticeKind::hypercubic && shape.size() != 2)
    throw BadArgument("a " + kind + " lattice has two axes");
  lattice.dimension = static_cast<int>(shape.size());
  std::int64_t sites = 1;
  for (std::size_t mu = 0; mu < shape.size(); ++mu) {
    if (shape[mu] < 2) throw BadArgument("every extent of a lattice is at least 2");
    lattice.shape[mu] = shape[mu];
    lattice.periodic[mu] = periodic[mu];
    sites *= shape[mu];
    if (sites > INT32_MAX) throw BadArgument("a lattice has at most 2^31 - 1 sites");
  }
  return lattice;
}

inline std::int64_t sites_in(const Lattice& lattice) {
  std::int64_t n = 1;
  for (int mu = 0; mu < lattice.dimension; ++mu) n *= lattice.shape[mu];
  return n;
}

// Checks and collects what all kernels take. `sums` has shape (steps / every, batch, 2, 4 or 5), or no measurements
// at all.
inline Batch make_batch(const Lattice& lattice, py::array& field, std::int64_t rungs, std::int32_t q, std::uint64_t key,
                        std::uint32_t first_replica, std::uint32_t first_step, std::int64_t steps, std::int64_t every,
                        py::array& sums, py::array& tally, int threads) {
  if (field.ndim() != 2) throw BadArgument("field must have shape (batch, sites)");
  if (steps < 0 || every < 1 || rungs < 1 || threads < 1 || field.shape(0) % rungs != 0)
    throw BadArgument("steps >= 0, every >= 1, rungs >= 1, threads >= 1 and a batch divisible by rungs are needed");
  Batch batch{};
  batch.lattice = lattice;
  batch.batch = field.shape(0);
  batch.bytes = static_cast<int>(field.itemsize());
  const std::vector<std::int64_t> extents{batch.batch, sites_in(lattice)};
  if (batch.bytes == 1) batch.field = view_mutable<std::int8_t>("field", field, extents);
  else batch.field = view_mutable<std::int16_t>("field", field, extents);
  batch.rungs = rungs;
  batch.q = q;
  batch.key = key;
  batch.first_replica = first_replica;
  batch.first_step = first_step;
  batch.steps = steps;
  batch.every = every;
  batch.columns = sums.ndim() == 3 && sums.shape(2) >= 4 ? sums.shape(2) : 2;
  if (sums.size() > 0)
    batch.sums = view_mutable<std::int64_t>("sums", sums, {steps / every, batch.batch, batch.columns});
  batch.tally = view_mutable<std::int64_t>("tally", tally, {batch.batch});
  batch.threads = threads;
  return batch;
}

// Classes of this module alone where `own` is py::module_local(): another module has its own under the same names.
template <class... Own>
void bind_batch(py::module_& module, const Own&... own) {
  py::class_<Lattice>(module, "Lattice", own..., "Shape, boundaries and kind of a lattice.")
      .def(py::init(&make_lattice), py::arg("kind"), py::arg("shape"), py::arg("periodic"));
  py::class_<Batch>(module, "Batch", own..., py::dynamic_attr(),
                    "Fields (batch, sites) with the steps to do and where measurements go; keeps its arrays alive.")
      .def(py::init([](const Lattice& lattice, py::array field, std::int64_t rungs, std::int32_t q, std::uint64_t key,
                       std::uint32_t first_replica, std::uint32_t first_step, std::int64_t steps, std::int64_t every,
                       py::array sums, py::array tally, int threads) {
             return make_batch(lattice, field, rungs, q, key, first_replica, first_step, steps, every, sums, tally,
                               threads);
           }),
           py::keep_alive<1, 3>(), py::keep_alive<1, 11>(), py::keep_alive<1, 12>(), py::arg("lattice"),
           py::arg("field"), py::kw_only(), py::arg("rungs"), py::arg("q"), py::arg("key"), py::arg("first_replica"),
           py::arg("first_step"), py::arg("steps"), py::arg("every"), py::arg("sums"), py::arg("tally"),
           py::arg("threads"));
}

}  // namespace pyqmc::bind
