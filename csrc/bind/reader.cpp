// The networks of couplings to Python.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <vector>

#include "bind/arrays.hpp"
#include "kernels/reader_jobs.hpp"

namespace pyqmc::bind {
namespace {

using Arrays = std::vector<py::array>;

const std::int32_t* view_sites(const char* name, const py::array& table, std::int64_t sites, std::int64_t taps,
                               std::int64_t most) {
  const std::int32_t* view_of = view<std::int32_t>(name, table, {sites, taps});
  for (std::int64_t k = 0; k < sites * taps; ++k)
    if (view_of[k] < 0 || view_of[k] > most) throw BadArgument(std::string(name) + " names a site that does not exist");
  return view_of;
}

std::vector<ReaderLayer> make_layers(std::int64_t from, const Arrays& tables, const Arrays& backward,
                                     const Arrays& weights, const Arrays& transposed, const Arrays& biases,
                                     Arrays& weight_slopes, Arrays& bias_slopes) {
  constexpr std::size_t most_layers = 16;
  const std::size_t depth = tables.size();
  const bool slopes = !weight_slopes.empty();
  if (depth < 1 || depth > most_layers || weights.size() != depth || biases.size() != depth)
    throw BadArgument("1 to 16 layers, each with a table, weights and constants, are needed");
  if (slopes && (backward.size() != depth || transposed.size() != depth || weight_slopes.size() != depth ||
                 bias_slopes.size() != depth))
    throw BadArgument("gradients need both tables and both forms of the weights of each layer");
  std::vector<ReaderLayer> layers;
  std::int64_t channels = 1;
  for (std::size_t l = 0; l < depth; ++l) {
    if (tables[l].ndim() != 2 || weights[l].ndim() != 3) throw BadArgument("tables have two axes and weights three");
    ReaderLayer layer{};
    layer.from = from;
    layer.sites = tables[l].shape(0);
    layer.taps = tables[l].shape(1);
    layer.in = channels;
    layer.out = weights[l].shape(2);
    layer.table = view_sites("table", tables[l], layer.sites, layer.taps, from);
    layer.weight = view<float>("weight", weights[l], {layer.taps, channels, layer.out});
    layer.bias = view<float>("bias", biases[l], {layer.out});
    if (slopes) {
      layer.backward = view_sites("backward", backward[l], from, layer.taps, layer.sites);
      layer.transposed = view<float>("transposed", transposed[l], {layer.taps, layer.out, channels});
      layer.weight_slope = view_mutable<float>("weight_slope", weight_slopes[l], {layer.taps, channels, layer.out});
      layer.bias_slope = view_mutable<float>("bias_slope", bias_slopes[l], {layer.out});
    }
    layers.push_back(layer);
    from = layer.sites;
    channels = layer.out;
  }
  return layers;
}

void run(ReaderJob& job, const std::vector<ReaderLayer>& layers, int threads) {
  if (threads < 1) throw BadArgument("threads >= 1 is needed");
  constexpr std::int64_t alignment = 64;
  const ReaderKernels& kernels = reader_kernels_in_use();
  job.layers = layers.data();
  job.depth = static_cast<std::int64_t>(layers.size());
  const std::int64_t blocks = (job.batch + kernels.lanes - 1) / kernels.lanes;
  job.threads = static_cast<int>(blocks < threads ? (blocks > 0 ? blocks : 1) : threads);
  const std::int64_t bytes = reader_scratch_lanes(job) * kernels.lanes * static_cast<std::int64_t>(sizeof(float));
  job.scratch_bytes = (bytes + alignment - 1) / alignment * alignment;
  std::vector<unsigned char> scratch(static_cast<std::size_t>(job.threads * job.scratch_bytes + alignment));
  const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(scratch.data());
  job.scratch = scratch.data() + (alignment - begin % alignment) % alignment;
  const py::gil_scoped_release released;
  kernels.run(job);
}

}  // namespace

void bind_reader(py::module_& module) {
  module.def(
      "read_sites",
      [](const py::array& given, const Arrays& tables, const Arrays& weights, const Arrays& biases, float slope,
         py::array result, int threads) {
        if (given.ndim() != 2) throw BadArgument("given must have shape (batch, sites)");
        Arrays none;
        const auto layers = make_layers(given.shape(1), tables, {}, weights, {}, biases, none, none);
        ReaderJob job{};
        job.slope = slope;
        job.batch = given.shape(0);
        job.given = view<float>("given", given, {job.batch, given.shape(1)});
        job.result = view_mutable<float>("result", result, {job.batch, layers.back().out, layers.back().sites});
        run(job, layers, threads);
      },
      py::arg("given"), py::arg("tables"), py::arg("weights"), py::arg("biases"), py::arg("slope"), py::arg("result"),
      py::arg("threads"));
  module.def(
      "read_sites_backward",
      [](const py::array& given, const Arrays& tables, const Arrays& backward, const Arrays& weights,
         const Arrays& transposed, const Arrays& biases, float slope, const py::array& pull, py::array given_slope,
         Arrays weight_slopes, Arrays bias_slopes, int threads) {
        if (given.ndim() != 2) throw BadArgument("given must have shape (batch, sites)");
        const auto layers =
            make_layers(given.shape(1), tables, backward, weights, transposed, biases, weight_slopes, bias_slopes);
        ReaderJob job{};
        job.slope = slope;
        job.batch = given.shape(0);
        job.given = view<float>("given", given, {job.batch, given.shape(1)});
        job.pull = view<float>("pull", pull, {job.batch, layers.back().out, layers.back().sites});
        job.given_slope = view_mutable<float>("given_slope", given_slope, {job.batch, given.shape(1)});
        run(job, layers, threads);
      },
      py::arg("given"), py::arg("tables"), py::arg("backward"), py::arg("weights"), py::arg("transposed"),
      py::arg("biases"), py::arg("slope"), py::arg("pull"), py::arg("given_slope"), py::arg("weight_slopes"),
      py::arg("bias_slopes"), py::arg("threads"));
}

}  // namespace pyqmc::bind
