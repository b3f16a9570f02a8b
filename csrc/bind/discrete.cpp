// The kernels of the discrete models to Python. Arguments that every kernel takes travel in one Batch.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

#include "bind/batch.hpp"
#include "core/isa.hpp"
#include "core/links.hpp"
#include "kernels/jobs.hpp"
#include "kernels/phases.hpp"
#include "kernels/sweeps.hpp"

namespace pyqmc::bind {
namespace {

// How many fields are worked on at once.
std::size_t teams_of(const Batch& batch) {
  return static_cast<std::size_t>(std::min<std::int64_t>(batch.threads, std::max<std::int64_t>(batch.batch, 1)));
}

const std::int32_t* view_neighbours(const py::array& neighbours, const Lattice& lattice) {
  const std::int32_t* table = view<std::int32_t>("neighbours", neighbours, {sites_in(lattice), -1});
  const std::int64_t sites = sites_in(lattice);
  if (neighbours.shape(1) < 2 || neighbours.shape(1) % 2 != 0 || neighbours.shape(1) > max_neighbours)
    throw BadArgument("neighbours must have shape (sites, 2 directions)");
  for (std::int64_t i = 0; i < neighbours.size(); ++i)
    if (table[i] < -1 || table[i] >= sites) throw BadArgument("neighbours names a site that does not exist");
  return table;
}

// Zeros that take no memory until they are touched.
template <class T>
class ZeroedMemory {
 public:
  explicit ZeroedMemory(std::size_t count) : data_(static_cast<T*>(std::calloc(count + 1, sizeof(T))), std::free) {
    if (data_ == nullptr) throw std::bad_alloc();
  }

  T* data() const { return data_.get(); }

 private:
  std::unique_ptr<T, decltype(&std::free)> data_;
};

// Cosines and sines of 2 pi x / L times 2^24, axis by axis.
const std::int32_t* view_phases(const py::array& phases, const Batch& batch) {
  const std::int64_t* shape = batch.lattice.shape;
  const std::int64_t longest = *std::max_element(shape, shape + batch.lattice.dimension);
  const std::int32_t* table = view<std::int32_t>("phases", phases, {batch.lattice.dimension, longest, 2});
  for (std::int64_t i = 0; i < phases.size(); ++i)
    if (table[i] < -(1 << 24) || table[i] > 1 << 24) throw BadArgument("phases are from -2^24 to 2^24");
  return table;
}

}  // namespace

void bind_discrete(py::module_& module) {
  bind_batch(module);
  module.def("available_isas", &available_isas, "Instruction sets this build contains and this processor runs.");
  module.def("isa", [] { return std::string(discrete_kernels_in_use().isa); }, "The instruction set in use.");

  module.def(
      "local_steps",
      [](const Batch& batch, std::int32_t rule, py::array table) {
        if (rule < 0 || rule > 2) throw BadArgument("rule is 0, 1 or 2");
        const std::int64_t z = coordination_of(batch.lattice);
        const std::int64_t size = rule == 0 ? 2 * (2 * z + 1) : rule == 1 ? 2 * z + 1 : z + 1;
        const LocalJob job{batch, rule, view<std::uint64_t>("table", table, {batch.rungs, size}), size};
        const DiscreteKernels& kernels = discrete_kernels_in_use();
        py::gil_scoped_release release;  // no Python object is touched from here on
        kernels.local(job);
      },
      py::arg("batch"), py::arg("rule"), py::arg("table"),
      "Coloured sweeps: rule 0 Ising, 1 Potts Metropolis, 2 Potts heat bath.");

  module.def(
      "multispin_steps",
      [](const Batch& batch, py::array table) {
        if (!can_be_packed(batch.lattice) || batch.bytes != 1 || batch.q != 0)
          throw BadArgument("multispin_steps is for Ising spins on two or three periodic axes of even extent");
        const std::int64_t size = 2 * (2 * coordination_of(batch.lattice) + 1);
        const std::uint64_t* entries = view<std::uint64_t>("table", table, {batch.rungs, size});
        const DiscreteKernels& kernels = discrete_kernels_in_use();
        py::gil_scoped_release release;  // no Python object is touched from here on
        run_multispin(kernels, batch, entries);
      },
      py::arg("batch"), py::arg("table"), "Coloured sweeps of Ising spins, one bit for each.");

  const auto cluster_job = [](const Batch& batch, bool unequal, const py::array& bond, const py::array& ghost,
                              std::int32_t ghost_spin) {
    ClusterJob job{};
    job.batch = batch;
    job.directions = batch.lattice.kind == LatticeKind::triangular ? 3 : batch.lattice.dimension;
    job.unequal = unequal;
    job.bond = view<std::uint64_t>("bond", bond, {batch.rungs});
    job.ghost = view<std::uint64_t>("ghost", ghost, {batch.rungs});
    job.ghost_spin = ghost_spin;
    return job;
  };
  module.def(
      "swendsen_wang_steps",
      [=](const Batch& batch, bool unequal, py::array bond, py::array ghost, std::int32_t ghost_spin, py::array phases,
          std::int64_t lines, std::int64_t distances, bool of_fields) {
        ClusterJob job = cluster_job(batch, unequal, bond, ghost, ghost_spin);
        const std::int32_t* table = view_phases(phases, batch);
        const bool with_pairs = batch.columns > 5, with_modes = batch.columns == 5 + (with_pairs ? distances : 0);
        if (lines < 1 || lines > rows_of(batch.lattice) || distances < 2 || distances > width_of(batch.lattice) / 2 + 1)
          throw BadArgument("lines are from 1 to the rows, distances from 2 to half the last extent and one");
        if (with_pairs && batch.columns - distances != 4 && batch.columns - distances != 5)
          throw BadArgument("sums have 2, 4 or 5 columns, or 4 or 5 and one for each distance");
        job.of_fields = of_fields;
        job.lines = lines;
        job.distances = with_pairs ? distances : 0;
        const std::int64_t longest = phases.shape(1);
        const DiscreteKernels& kernels = discrete_kernels_in_use();
        py::gil_scoped_release release;  // scratch memory and sweeps need no Python
        const Links links(batch.lattice);
        const std::vector<Link> list = links.list();
        job.links = list.data();
        job.link_count = static_cast<std::int32_t>(list.size());
        job.planes = 1;
        while (batch.q > 1 << job.planes) ++job.planes;
        const std::int64_t words = (sites_in(batch.lattice) + 63) >> 6, maps = job.planes + job.link_count + 2;
        job.map_length = words + 2 * margin;
        std::vector<std::uint64_t> bits(teams_of(batch) * static_cast<std::size_t>(maps * job.map_length));
        std::vector<std::uint32_t> sites(teams_of(batch) * static_cast<std::size_t>(64 * words));
        const Phases waves = with_modes ? Phases(batch.lattice, table, longest, unequal) : Phases();
        job.mode_lanes = waves.lanes;
        job.along = waves.along.data();
        job.across = waves.across.data();
        std::vector<std::uint64_t> row_starts(batch.columns > 2 ? static_cast<std::size_t>(words) : 0);
        for (std::int64_t site = 0; batch.columns > 2 && site < sites_in(batch.lattice);
             site += width_of(batch.lattice))
          row_starts[static_cast<std::size_t>(site >> 6)] |= 1ull << (site & 63);
        job.row_starts = row_starts.data();
        const auto threads = static_cast<std::size_t>(batch.columns > 2 ? batch.threads : 0);
        const auto places = static_cast<std::size_t>(64 * words);
        const ZeroedMemory<std::int32_t> moments(threads * places);
        const ZeroedMemory<std::int64_t> modes(threads * places * static_cast<std::size_t>(job.mode_lanes));
        const std::size_t blocks = threads * static_cast<std::size_t>((words + margin - 1) / margin);
        std::vector<std::uint32_t> firsts(blocks);
        std::vector<double> fourths(2 * blocks);
        const auto sharing = static_cast<std::size_t>(batch.batch < batch.threads ? batch.threads : 0);
        const ZeroedMemory<std::uint32_t> rims(sharing * 2 * 64 * static_cast<std::size_t>(words));
        job.rims = rims.data();
        job.firsts = firsts.data();
        job.moments = moments.data();
        job.modes = modes.data();
        job.fourths = fourths.data();
        const std::int64_t scratch = with_pairs ? line_scratch(width_of(batch.lattice)) : 0;
        std::vector<std::uint32_t> lines_memory(threads * static_cast<std::size_t>(scratch));
        job.lines_memory = lines_memory.data();
        job.maps = bits.data();
        job.sites = sites.data();
        kernels.swendsen_wang(job);
      },
      py::arg("batch"), py::arg("unequal"), py::arg("bond"), py::arg("ghost"), py::arg("ghost_spin"), py::arg("phases"),
      py::arg("lines"), py::arg("distances"), py::arg("of_fields"),
      "Swendsen-Wang: all bonds, all clusters, once a step.");
  module.def(
      "wolff_steps",
      [=](const Batch& batch, py::array neighbours, bool unequal, py::array bond, py::array ghost,
          std::int32_t ghost_spin, std::int64_t clusters) {
        ClusterJob job = cluster_job(batch, unequal, bond, ghost, ghost_spin);
        if (clusters < 1 || clusters > 1 << 20) throw BadArgument("clusters is from 1 to 2^20");
        if (neighbours.ndim() != 2 || neighbours.shape(1) != 2 * job.directions)
          throw BadArgument("neighbours must have shape (sites, 2 directions)");
        job.neighbours = view_neighbours(neighbours, batch.lattice);
        job.clusters = clusters;
        const DiscreteKernels& kernels = discrete_kernels_in_use();
        py::gil_scoped_release release;  // scratch memory and clusters need no Python
        std::vector<std::uint32_t> sites(teams_of(batch) *
                                         static_cast<std::size_t>(sites_in(batch.lattice) + queue_margin));
        job.sites = sites.data();
        kernels.wolff(job);
      },
      py::arg("batch"), py::arg("neighbours"), py::arg("unequal"), py::arg("bond"), py::arg("ghost"),
      py::arg("ghost_spin"), py::arg("clusters"), "Wolff: `clusters` single clusters a step.");

  module.def(
      "exchange_steps",
      [](const Batch& batch, py::array neighbours, py::array table, std::int32_t range) {
        if (range < 0 || range > 2) throw BadArgument("range is 0, 1 or 2");
        const std::int32_t z = coordination_of(batch.lattice);
        const ExchangeJob job{batch,
                              view_neighbours(neighbours, batch.lattice),
                              static_cast<std::int32_t>(neighbours.shape(1) / 2),
                              view<std::uint64_t>("table", table, {batch.rungs, 4 * z + 1}),
                              z,
                              range};
        const DiscreteKernels& kernels = discrete_kernels_in_use();
        py::gil_scoped_release release;  // no Python object is touched from here on
        kernels.exchange(job);
      },
      py::arg("batch"), py::arg("neighbours"), py::arg("table"), py::arg("range"),
      "Pair exchange at fixed magnetization: range 0 neighbours, 1 any two sites, 2 in turn.");

  module.def(
      "measure",
      [](const Batch& batch) {
        const DiscreteKernels& kernels = discrete_kernels_in_use();
        py::gil_scoped_release release;  // no Python object is touched from here on
        kernels.measure(batch);
      },
      py::arg("batch"), "Measure the sums of a batch prepared with steps = every = 1, without a step.");
}

}  // namespace pyqmc::bind
