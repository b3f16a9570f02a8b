// pyqmc_art._cuda: the operations of a device, with the arguments of those of _core.
#include <pybind11/pybind11.h>

#include "bind/batch.hpp"
#include "bind/boxes.hpp"
#include "core/failure.hpp"
#include "cuda/operations.hpp"

namespace pyqmc::bind {
namespace {

void translate(std::exception_ptr raised) {
  const auto raise = [](const char* name, const std::exception& error) {
    py::set_error(py::module_::import("pyqmc_art.errors").attr(name), error.what());
  };
  try {
    if (raised) std::rethrow_exception(raised);
  } catch (const BadArgument& error) {
    raise("InputError", error);
  } catch (const cuda::NoDevice& error) {
    raise("BackendUnavailable", error);
  } catch (const cuda::DeviceFailure& error) {
    raise("DeviceError", error);
  }
}

void bind_lattice_operations(py::module_& module) {
  module.def(
      "multispin_steps",
      [](const Batch& batch, py::array table) {
        if (!can_be_packed(batch.lattice) || batch.bytes != 1 || batch.q != 0)
          throw BadArgument("multispin_steps is for Ising spins on two or three periodic axes of even extent");
        const std::int64_t size = 2 * (2 * coordination_of(batch.lattice) + 1);
        const std::uint64_t* entries = view<std::uint64_t>("table", table, {batch.rungs, size});
        py::gil_scoped_release release;  // no Python object is touched from here on
        cuda::run_multispin(batch, entries);
      },
      py::arg("batch"), py::arg("table"), "Coloured sweeps of Ising spins, one bit for each.");
  module.def(
      "swendsen_wang_steps",
      [](const Batch& batch, bool unequal, py::array bond, py::array ghost, std::int32_t ghost_spin) {
        ClusterJob job{};
        job.batch = batch;
        job.unequal = unequal;
        job.bond = view<std::uint64_t>("bond", bond, {batch.rungs});
        job.ghost = view<std::uint64_t>("ghost", ghost, {batch.rungs});
        job.ghost_spin = ghost_spin;
        py::gil_scoped_release release;  // no Python object is touched from here on
        cuda::run_swendsen_wang(job);
      },
      py::arg("batch"), py::arg("unequal"), py::arg("bond"), py::arg("ghost"), py::arg("ghost_spin"),
      "Swendsen-Wang: all bonds, all clusters, once a step.");
  module.def(
      "measure",
      [](const Batch& batch) {
        py::gil_scoped_release release;  // no Python object is touched from here on
        cuda::run_measure(batch);
      },
      py::arg("batch"), "Measure the sums of a batch prepared with steps = every = 1, without a step.");
}

void bind_picture_operations(py::module_& module) {
  module.def(
      "resample",
      [](py::array picture, py::array boxes, py::array out, std::int32_t filter) {
        const std::uint8_t* data = view<std::uint8_t>("picture", picture, {-1, -1, -1});
        const Pixels source{data, picture.shape(0), picture.shape(1), picture.shape(2),
                            picture.shape(1) * picture.shape(2)};
        if (source.height < 1 || source.width < 1 || source.channels < 1 || source.channels > 4)
          throw BadArgument("picture needs at least one pixel and 1 to 4 channels");
        if (source.height > INT32_MAX || source.width > INT32_MAX)
          throw BadArgument("picture has too many rows or columns");
        if (filter < 0 || filter > 3) throw BadArgument("filter is 0 to 3");
        const std::vector<Box> cuts = view_boxes(boxes, source);
        std::uint8_t* result = view_mutable<std::uint8_t>("out", out, {boxes.shape(0), -1, -1, source.channels});
        const std::int64_t height = out.shape(1), width = out.shape(2);
        if (cuts.empty() || height < 1 || width < 1) throw BadArgument("out needs at least one picture and one pixel");
        py::gil_scoped_release release;  // the picture is only read, and nothing here is a Python object
        cuda::run_resample(source, static_cast<Filter>(filter), cuts, height, width, result);
      },
      py::arg("picture"), py::arg("boxes"), py::arg("out"), py::arg("filter"),
      "Cuts of a picture (h, w, c), boxes (n, 4), resampled into out (n, height, width, c).");
}

}  // namespace
}  // namespace pyqmc::bind

PYBIND11_MODULE(_cuda, module) {
  module.doc() = "Kernels of pyqmc_art for CUDA devices: compiled and emulated, not yet run on a GPU.";
  pybind11::register_local_exception_translator(pyqmc::bind::translate);
  module.def("devices", &pyqmc::cuda::list_devices, "Names of the devices; BackendUnavailable where there is none.");
  pyqmc::bind::bind_batch(module, pybind11::module_local());
  pyqmc::bind::bind_lattice_operations(module);
  pyqmc::bind::bind_picture_operations(module);
}
