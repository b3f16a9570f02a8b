// The kernels of continuous fields to Python. Arguments that every kernel takes travel in one FieldBatch.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "bind/arrays.hpp"
#include "kernels/field_jobs.hpp"

namespace pyqmc::bind {
namespace {

const std::int32_t* view_table(const py::array& neighbours, const Lattice& lattice) {
  const std::int64_t sites = sites_of(lattice);
  const std::int32_t* table = view<std::int32_t>("neighbours", neighbours, {sites, -1});
  if (neighbours.shape(1) < 2 || neighbours.shape(1) % 2 != 0 || neighbours.shape(1) > max_neighbours)
    throw BadArgument("neighbours must have shape (sites, 2 directions)");
  for (std::int64_t i = 0; i < neighbours.size(); ++i)
    if (table[i] < -1 || table[i] >= sites) throw BadArgument("neighbours names a site that does not exist");
  return table;
}

FieldBatch make_batch(const Lattice& lattice, const py::array& neighbours, py::array& field, const py::array& couplings,
                      std::uint64_t key, std::uint32_t first_replica, std::uint32_t first_step, std::int64_t steps,
                      std::int64_t every, py::array& sums, py::array& tally, int threads) {
  if (field.ndim() != 3 || field.shape(2) < 1) throw BadArgument("field must have shape (batch, sites, components)");
  if (field.shape(2) > 64) throw BadArgument("a field has at most 64 components");
  if (couplings.ndim() != 2 || couplings.shape(0) < 1) throw BadArgument("couplings must have shape (rungs, 3)");
  FieldBatch batch{};
  batch.lattice = lattice;
  batch.batch = field.shape(0);
  batch.components = field.shape(2);
  batch.rungs = couplings.shape(0);
  if (steps < 0 || every < 1 || threads < 1 || batch.batch % batch.rungs != 0)
    throw BadArgument("steps >= 0, every >= 1, threads >= 1 and a batch divisible by rungs are needed");
  batch.field = view_mutable<double>("field", field, {batch.batch, sites_of(lattice), batch.components});
  batch.couplings = view<double>("couplings", couplings, {batch.rungs, couplings_per_rung});
  batch.neighbours = view_table(neighbours, lattice);
  batch.directions = static_cast<std::int32_t>(neighbours.shape(1) / 2);
  batch.key = key;
  batch.first_replica = first_replica;
  batch.first_step = first_step;
  batch.steps = steps;
  batch.every = every;
  batch.columns = batch.components == 1 ? 5 : batch.components + 1;
  if (sums.size() > 0) batch.sums = view_mutable<double>("sums", sums, {steps / every, batch.batch, batch.columns});
  batch.tally = view_mutable<std::int64_t>("tally", tally, {batch.batch});
  batch.threads = threads;
  return batch;
}

// Memory for every team of a call, see FieldScratch, and the table of rows.
struct Room {
  std::vector<double> scratch;
  std::vector<std::int64_t> beyond;

  explicit Room(FieldBatch& batch) {
    const std::int64_t sites = sites_of(batch.lattice), rows = rows_of(batch.lattice);
    const std::int64_t slots = std::max<std::int64_t>(1, std::min<std::int64_t>(batch.threads, batch.batch));
    batch.scratch_size = 3 * padded_size(batch) + sites * batch.components + rows * batch.columns + 16;
    scratch.resize(static_cast<std::size_t>(slots * batch.scratch_size));
    batch.scratch = scratch.data();
    for (std::int64_t row = 0; row < rows; ++row)
      for (int mu = 0; mu + 1 < batch.lattice.dimension; ++mu)
        for (int sign = 1; sign >= -1; sign -= 2) beyond.push_back(row_beyond(batch.lattice, row, mu, sign));
    batch.beyond = beyond.data();
  }
};

LocalNetwork view_network(const char* name, const py::array& sizes, const py::array& weights, std::int64_t inputs,
                          std::int64_t outputs) {
  LocalNetwork network{view<std::int64_t>(name, sizes, {-1}), sizes.size() - 1, nullptr};
  const auto fail = [&](const std::string& what) { throw BadArgument(std::string(name) + " " + what); };
  if (network.layers < 1) fail("needs at least one layer");
  if (network.sizes[0] != inputs || network.sizes[network.layers] != outputs)
    fail("must map " + std::to_string(inputs) + " numbers to " + std::to_string(outputs));
  std::int64_t count = 0;
  for (std::int64_t layer = 0; layer < network.layers; ++layer) {
    const std::int64_t width = network.sizes[layer + 1];
    if (width < 1 || width > network_width)
      fail("has a layer of " + std::to_string(width) + " numbers; at most 64 fit");
    count += width * (network.sizes[layer] + 1);
  }
  network.weights = view<double>(name, weights, {count});
  return network;
}

const std::int32_t* view_places(const char* name, const py::array& places, const std::vector<std::int64_t>& extents,
                                std::int64_t below) {
  const std::int32_t* table = view<std::int32_t>(name, places, extents);
  for (std::int64_t i = 0; i < places.size(); ++i)
    if (table[i] < 0 || table[i] >= below) throw BadArgument(std::string(name) + " names a site that does not exist");
  return table;
}

void run_patches(FieldBatch batch, const py::array& members, const py::array& around, const py::array& inner,
                 const py::array& outer, std::int64_t latents, const py::tuple& decoder, const py::tuple& encoder) {
  if (members.ndim() != 3 || around.ndim() != 3) throw BadArgument("members and around have three axes");
  PatchJob job{};
  const std::int64_t sites = sites_of(batch.lattice), c = batch.components;
  job.patches = members.shape(1), job.size = members.shape(2), job.rim = around.shape(2), job.bonds = inner.shape(0);
  job.latents = latents;
  if (c > 2 || job.patches < 1 || job.size < 1 || job.size > patch_sites || job.rim < 1 || job.rim > patch_around ||
      latents < 0 || latents > patch_latents)
    throw BadArgument("patches have 1 or 2 components, at most 16 sites, 64 around them and 16 latent numbers");
  job.members = view_places("members", members, {2, job.patches, job.size}, sites);
  job.around = view_places("around", around, {2, job.patches, job.rim}, sites);
  job.inner = view_places("inner", inner, {job.bonds, 2}, job.size);
  job.outer = view_places("outer", outer, {job.rim}, job.size);
  job.decoder = view_network("decoder", decoder[0], decoder[1], c * job.rim + latents, 2 * job.size);
  if (latents > 0) job.encoder = view_network("encoder", encoder[0], encoder[1], c * (job.rim + job.size), 2 * latents);
  const FieldKernels& kernels = field_kernels_in_use();
  py::gil_scoped_release release;  // scratch memory and sweeps need no Python
  const Room room(batch);
  const std::size_t own = kernels.patch_room, align = 64;
  std::vector<std::uint8_t> bytes(own * static_cast<std::size_t>(batch.threads) + align);
  const std::size_t off = reinterpret_cast<std::uintptr_t>(bytes.data()) % align;
  job.room = bytes.data() + (off == 0 ? 0 : align - off);
  job.batch = batch;
  kernels.patches(job);
}

}  // namespace

void bind_scalar(py::module_& module) {
  py::class_<FieldBatch>(module, "FieldBatch",
                         "Fields (batch, sites, components) with the steps to do; keeps its arrays alive.")
      .def(py::init([](const Lattice& lattice, py::array neighbours, py::array field, py::array couplings,
                       std::uint64_t key, std::uint32_t first_replica, std::uint32_t first_step, std::int64_t steps,
                       std::int64_t every, py::array sums, py::array tally, int threads) {
             return make_batch(lattice, neighbours, field, couplings, key, first_replica, first_step, steps, every,
                               sums, tally, threads);
           }),
           py::keep_alive<1, 3>(), py::keep_alive<1, 4>(), py::keep_alive<1, 5>(), py::keep_alive<1, 11>(),
           py::keep_alive<1, 12>(), py::arg("lattice"), py::arg("neighbours"), py::arg("field"), py::kw_only(),
           py::arg("couplings"), py::arg("key"), py::arg("first_replica"), py::arg("first_step"), py::arg("steps"),
           py::arg("every"), py::arg("sums"), py::arg("tally"), py::arg("threads"));

  module.def(
      "hmc_steps",
      [](FieldBatch batch, py::array kicks, py::array drifts, double spread, py::array error) {
        HmcJob job{};
        job.stages = kicks.size();
        job.kicks = view<double>("kicks", kicks, {job.stages});
        job.drifts = view<double>("drifts", drifts, {job.stages + 1});
        job.spread = spread;
        job.error = view_mutable<double>("error", error, {batch.steps, batch.batch});
        const FieldKernels& kernels = field_kernels_in_use();
        py::gil_scoped_release release;  // scratch memory and trajectories need no Python
        const Room room(batch);
        job.batch = batch;
        kernels.hmc(job);
      },
      py::arg("batch"), py::arg("kicks"), py::arg("drifts"), py::arg("spread"), py::arg("error"),
      "Trajectories of hybrid Monte Carlo; `error` (steps, batch) receives the energy errors.");

  module.def(
      "field_local_steps",
      [](FieldBatch batch, std::int32_t rule, py::array width) {
        if (rule < 0 || rule > 2 || (rule == 2 && batch.components == 1)) throw BadArgument("rule is 0, 1 or 2");
        const FieldLocalJob job{batch, rule, view<double>("width", width, {batch.batch})};
        const FieldKernels& kernels = field_kernels_in_use();
        py::gil_scoped_release release;  // scratch memory and sweeps need no Python
        FieldLocalJob own = job;
        const Room room(own.batch);
        kernels.local(own);
      },
      py::arg("batch"), py::arg("rule"), py::arg("width"),
      "Coloured sweeps: rule 0 Metropolis, 1 heat bath, 2 overrelaxation (unit vectors).");

  module.def("patch_steps", run_patches, py::arg("batch"), py::arg("members"), py::arg("around"), py::arg("inner"),
             py::arg("outer"), py::arg("latents"), py::arg("decoder"), py::arg("encoder"),
             "Learned updates of patches; a network is a pair of its sizes and its weights.");

  const auto run_cluster = [](FieldBatch batch, std::int64_t clusters, void (*kernel)(const FieldClusterJob&)) {
    py::gil_scoped_release release;  // scratch memory and clusters need no Python
    const Room room(batch);
    const std::int64_t slots = std::max<std::int64_t>(1, std::min<std::int64_t>(batch.threads, batch.batch));
    std::vector<std::uint32_t> sites(static_cast<std::size_t>(slots * sites_of(batch.lattice)));
    std::vector<std::uint8_t> marks(sites.size());
    kernel(FieldClusterJob{batch, clusters, sites.data(), marks.data()});
  };
  module.def(
      "field_swendsen_wang_steps",
      [=](FieldBatch batch) { run_cluster(batch, 1, field_kernels_in_use().swendsen_wang); }, py::arg("batch"),
      "Swendsen-Wang of an embedded Ising model: all bonds, all clusters, once a step.");
  module.def(
      "field_wolff_steps",
      [=](FieldBatch batch, std::int64_t clusters) {
        if (clusters < 1 || clusters > 1 << 20) throw BadArgument("clusters is from 1 to 2^20");
        run_cluster(batch, clusters, field_kernels_in_use().wolff);
      },
      py::arg("batch"), py::arg("clusters"), "Wolff clusters of an embedded Ising model.");

  module.def(
      "measure_fields",
      [](FieldBatch batch) {
        const FieldKernels& kernels = field_kernels_in_use();
        py::gil_scoped_release release;  // no Python object is touched from here on
        const Room room(batch);
        kernels.measure(batch);
      },
      py::arg("batch"), "Measure the sums of a batch prepared with steps = every = 1, without a step.");

  module.def(
      "normals",
      [](std::uint64_t key, std::uint32_t replica, std::uint32_t step, std::uint32_t first, py::array out) {
        NormalsJob job{key, replica, step, first, out.size() / 2, view_mutable<double>("out", out, {-1})};
        if (out.size() % 2 != 0) throw BadArgument("out must hold an even count of numbers");
        const FieldKernels& kernels = field_kernels_in_use();
        py::gil_scoped_release release;  // plain arithmetic from here on
        kernels.normals(job);
      },
      py::arg("key"), py::arg("replica"), py::arg("step"), py::arg("first"), py::arg("out"),
      "Standard normal numbers of one step: those of the blocks first, first + 1, ..., two from each.");
}

}  // namespace pyqmc::bind
