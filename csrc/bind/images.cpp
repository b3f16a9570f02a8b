// Image resampling to Python.
#include <pybind11/pybind11.h>

#include <cmath>

#include "bind/boxes.hpp"
#include "images/resample_picture.hpp"

namespace pyqmc::bind {
namespace {

// A picture (height, width, channels) of bytes; rows may be apart, pixels may not.
Pixels view_picture(const py::array& picture) {
  if (!picture.dtype().equal(py::dtype::of<std::uint8_t>()) || picture.ndim() != 3)
    throw BadArgument("picture must be a uint8 array of shape (height, width, channels), but has dtype " +
                      std::string(py::str(picture.dtype())) + " and " + std::to_string(picture.ndim()) + " axes");
  const Pixels pixels{static_cast<const std::uint8_t*>(picture.data()), picture.shape(0), picture.shape(1),
                      picture.shape(2), picture.strides(0)};
  if (pixels.height < 1 || pixels.width < 1 || pixels.channels < 1 || pixels.channels > 4)
    throw BadArgument("picture needs at least one pixel and 1 to 4 channels");
  if (pixels.height > INT32_MAX || pixels.width > INT32_MAX) throw BadArgument("picture has too many rows or columns");
  // The stride of an axis of one element says nothing.
  const bool packed = (pixels.channels == 1 || picture.strides(2) == 1) &&
                      (pixels.width == 1 || picture.strides(1) == pixels.channels) &&
                      (pixels.height == 1 || picture.strides(0) >= 0);
  if (!packed)
    throw BadArgument("the pixels of a row of picture must follow one another; pass numpy.ascontiguousarray(...)");
  return pixels;
}

}  // namespace

void bind_images(py::module_& module) {
  module.def(
      "resample",
      [](py::array picture, py::array boxes, py::array out, std::int32_t filter, int threads) {
        const Pixels source = view_picture(picture);
        if (filter < 0 || filter > 3) throw BadArgument("filter is 0 to 3");
        if (threads < 1) throw BadArgument("threads is at least 1");
        const std::vector<Box> cuts = view_boxes(boxes, source);
        const std::int64_t count = boxes.shape(0);
        std::uint8_t* result = view_mutable<std::uint8_t>("out", out, {count, -1, -1, source.channels});
        const std::int64_t height = out.shape(1), width = out.shape(2);
        if (count < 1 || height < 1 || width < 1) throw BadArgument("out needs at least one picture and one pixel");
        py::gil_scoped_release release;  // the picture is only read, and nothing here is a Python object
        resample_cuts(source, static_cast<Filter>(filter), cuts, height, width, result, threads);
      },
      py::arg("picture"), py::arg("boxes"), py::arg("out"), py::arg("filter"), py::arg("threads"),
      "Cuts of a picture (h, w, c), boxes (n, 4) as left, top, right, bottom, resampled into out (n, height, width, "
      "c).");
}

}  // namespace pyqmc::bind
