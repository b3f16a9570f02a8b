// Errors C++ throws; bind/ translates them to pyqmc_art.errors.
#pragma once

#include <stdexcept>

namespace pyqmc {

// Something handed over by Python does not fit: becomes pyqmc_art.errors.InputError.
struct BadArgument : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

}  // namespace pyqmc
