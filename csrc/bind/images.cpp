// Image resampling to Python.
#include <pybind11/pybind11.h>

#include <cmath>

#include "bind/boxes.hpp"
#include "images/resample_picture.hpp"

namespace pyqmc::bind {
namespace {

// Raises unless this is a picture (height, width, channels) of T; rows may be apart, pixels may not.
template <class T>
void check_picture(const py::array& picture) {
  const py::dtype type = py::dtype::of<T>();
  if (!picture.dtype().equal(type) || picture.ndim() != 3)
    throw BadArgument("picture must be a " + std::string(py::str(type)) +
                      " array of shape (height, width, channels), but has dtype " +
                      std::string(py::str(picture.dtype())) + " and " + std::to_string(picture.ndim()) + " axes");
  const std::int64_t height = picture.shape(0), width = picture.shape(1), channels = picture.shape(2);
  if (height < 1 || width < 1 || channels < 1 || channels > 4)
    throw BadArgument("picture needs at least one pixel and 1 to 4 channels");
  if (height > INT32_MAX || width > INT32_MAX) throw BadArgument("picture has too many rows or columns");
  // The stride of an axis of one element says nothing.
  constexpr std::int64_t size = sizeof(T);
  const bool packed = (channels == 1 || picture.strides(2) == size) &&
                      (width == 1 || picture.strides(1) == channels * size) &&
                      (height == 1 || (picture.strides(0) >= 0 && picture.strides(0) % size == 0)) &&
                      reinterpret_cast<std::uintptr_t>(picture.data()) % size == 0;
  if (!packed)
    throw BadArgument("the pixels of a row of picture must follow one another; pass numpy.ascontiguousarray(...)");
}

Pixels view_picture(const py::array& picture) {
  check_picture<std::uint8_t>(picture);
  return {static_cast<const std::uint8_t*>(picture.data()), picture.shape(0), picture.shape(1), picture.shape(2),
          picture.strides(0)};
}

RealPixels view_real_picture(const py::array& picture) {
  check_picture<float>(picture);
  return {static_cast<const char*>(picture.data()), picture.shape(0), picture.shape(1), picture.shape(2),
          picture.strides(0)};
}

void check_request(const py::array& boxes, const py::array& out, std::int32_t filter, int threads) {
  if (filter < 0 || filter > 3) throw BadArgument("filter is 0 to 3");
  if (threads < 1) throw BadArgument("threads is at least 1");
  if (boxes.shape(0) < 1 || out.shape(1) < 1 || out.shape(2) < 1)
    throw BadArgument("out needs at least one picture and one pixel");
}

}  // namespace

void bind_images(py::module_& module) {
  module.def(
      "resample",
      [](py::array picture, py::array boxes, py::array out, std::int32_t filter, int threads) {
        const Pixels source = view_picture(picture);
        const std::vector<Box> cuts = view_boxes(boxes, source);
        std::uint8_t* result = view_mutable<std::uint8_t>("out", out, {boxes.shape(0), -1, -1, source.channels});
        check_request(boxes, out, filter, threads);
        const std::int64_t height = out.shape(1), width = out.shape(2);
        py::gil_scoped_release release;  // the picture is only read, and nothing here is a Python object
        resample_cuts(source, static_cast<Filter>(filter), cuts, height, width, result, threads);
      },
      py::arg("picture"), py::arg("boxes"), py::arg("out"), py::arg("filter"), py::arg("threads"),
      "Cuts of a picture (h, w, c), boxes (n, 4) as left, top, right, bottom, resampled into out (n, height, width, "
      "c).");
  module.def(
      "resample_real",
      [](py::array picture, py::array boxes, py::array out, std::int32_t filter, int threads) {
        const RealPixels source = view_real_picture(picture);
        const Pixels extent{nullptr, source.height, source.width, source.channels, 0};
        const std::vector<Box> cuts = view_boxes(boxes, extent);
        float* result = view_mutable<float>("out", out, {boxes.shape(0), -1, -1, source.channels});
        check_request(boxes, out, filter, threads);
        const std::int64_t height = out.shape(1), width = out.shape(2);
        py::gil_scoped_release release;  // as above
        resample_real_cuts(source, static_cast<Filter>(filter), cuts, height, width, result, threads);
      },
      py::arg("picture"), py::arg("boxes"), py::arg("out"), py::arg("filter"), py::arg("threads"),
      "The same for a picture of float32.");
}

}  // namespace pyqmc::bind
