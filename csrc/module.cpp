// pyqmc_art._core: a table of contents.
#include <pybind11/pybind11.h>

#include "core/failure.hpp"

namespace pyqmc::bind {
void bind_random(pybind11::module_& module);
void bind_discrete(pybind11::module_& module);
void bind_scalar(pybind11::module_& module);
void bind_images(pybind11::module_& module);
void bind_reader(pybind11::module_& module);
void bind_capi(pybind11::module_& module);
}  // namespace pyqmc::bind

PYBIND11_MODULE(_core, module) {
  module.doc() = "Compiled kernels of pyqmc_art.";
  pybind11::register_exception_translator([](std::exception_ptr raised) {
    try {
      if (raised) std::rethrow_exception(raised);
    } catch (const pyqmc::BadArgument& error) {
      pybind11::set_error(pybind11::module_::import("pyqmc_art.errors").attr("InputError"), error.what());
    }
  });
  pyqmc::bind::bind_random(module);
  pyqmc::bind::bind_discrete(module);
  pyqmc::bind::bind_scalar(module);
  pyqmc::bind::bind_images(module);
  pyqmc::bind::bind_reader(module);
  pyqmc::bind::bind_capi(module);
}
