// The forward bonds of a lattice, sorted by how far along they lead: the sites that have a bond of one direction and
// one distance are a bit map.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/bits.hpp"
#include "core/lattice.hpp"
#include "kernels/jobs.hpp"

namespace pyqmc {

// The links of a lattice: first the bonds along the rows, then the others that lead to later sites, nearest first, then
// those that lead back to earlier ones, around a boundary.
class Links {
 public:
  explicit Links(const Lattice& lattice) : lattice_(lattice), words_(bits::words_for(sites_of(lattice))) {
    const std::int64_t width = width_of(lattice), rows = rows_of(lattice);
    for (std::int64_t row = 0; row < rows; ++row) {
      Term terms[max_neighbours];
      const int count = forward_of(lattice, row, terms);
      for (int t = 0; t < count; ++t) {
        const Term& term = terms[t];
        const std::int64_t ahead = (term.row - row) * width;
        if (term.stride != 1) {
          for (std::int64_t x = term.first; x < width; x += term.stride) add(term, ahead, row * width + x, 1);
          continue;
        }
        const std::int64_t corner = term.shift > 0 ? width - 1 : 0;
        add(term, ahead + term.shift, row * width + (term.shift < 0), width - (term.shift != 0));
        if (term.shift != 0 && wraps(lattice))
          add(term, ahead + term.shift - term.shift * width, row * width + corner, 1);
      }
    }
    const auto rank = [this](const Link& link) {
      const bool along = link.direction == lattice_.dimension - 1 && link.shift == 1;
      return along ? 0 : link.shift > 0 ? link.shift : INT64_MAX + link.shift;
    };
    std::sort(links_.begin(), links_.end(), [&](const Link& a, const Link& b) { return rank(a) < rank(b); });
  }

  // Points every link at its map; valid as long as this object lives.
  std::vector<Link> list() const {
    std::vector<Link> list = links_;
    for (Link& link : list) link.has = maps_[static_cast<std::size_t>(link.map)].data() + margin;
    return list;
  }

 private:
  void add(const Term& term, std::int64_t shift, std::int64_t first, std::int64_t count) {
    Link& link = find(term.direction, shift);
    link.begin = std::min(link.begin, first >> 6);
    link.end = std::max(link.end, (first + count + 63) >> 6);
    std::uint64_t* map = maps_[static_cast<std::size_t>(link.map)].data() + margin;
    for (std::int64_t k = first >> 6; 64 * k < first + count; ++k)
      map[k] |= bits::from(bits::inside(k, first + count), first - 64 * k);
  }

  Link& find(int direction, std::int64_t shift) {
    for (Link& link : links_)
      if (link.direction == direction && link.shift == shift) return link;
    links_.push_back({direction, shift, words_, 0, static_cast<std::int32_t>(maps_.size()), nullptr});
    maps_.emplace_back(static_cast<std::size_t>(words_ + 2 * margin));
    return links_.back();
  }

  const Lattice lattice_;
  const std::int64_t words_;
  std::vector<Link> links_;
  std::vector<std::vector<std::uint64_t>> maps_;
};

}  // namespace pyqmc
