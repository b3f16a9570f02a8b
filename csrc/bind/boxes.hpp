// The cuts of a picture as Python names them.
#pragma once

#include <string>
#include <vector>

#include "bind/arrays.hpp"
#include "images/resample_picture.hpp"

namespace pyqmc::bind {

// Boxes (n, 4) as left, top, right, bottom, inside the picture and not empty; at least one.
inline std::vector<Box> view_boxes(const py::array& boxes, const Pixels& source) {
  const float* given = view<float>("boxes", boxes, {-1, 4});
  std::vector<Box> cuts;
  for (std::int64_t i = 0; i < boxes.shape(0); ++i) {
    const Box box{given[4 * i], given[4 * i + 1], given[4 * i + 2], given[4 * i + 3]};
    if (!(box.left >= 0 && box.top >= 0 && box.right > box.left && box.bottom > box.top &&
          box.right <= static_cast<float>(source.width) && box.bottom <= static_cast<float>(source.height)))
      throw BadArgument("box " + std::to_string(i) + " does not lie inside the picture or is empty");
    cuts.push_back(box);
  }
  return cuts;
}

}  // namespace pyqmc::bind
