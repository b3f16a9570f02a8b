// Trajectories of unit vectors. Momenta are tangent to the sphere of their vector; without a force a vector goes round
// a great circle, s' = cos(w t) s + sin(w t) p / w, p' = cos(w t) p - sin(w t) w s with w = |p|, which is the exact
// flow of p^2 / 2: reversible, and it preserves the volume. A kick is the part of the force that is tangent.
//
// Rows are kept component by component, so that the sites of a row stand side by side in registers. ops/plain_sphere.py
// holds the same formulas.
#pragma once

#include "kernels/field_sums.hpp"
#include "models/vector.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

inline constexpr std::uint64_t largest_exponent = 1023 + 39;  // of turns below 2^40, where circle_at ends
inline constexpr double turns_in_radian = 0.15915494309189535;

// A group of sites, component by component; `fixed` is their number of components, 0 any number.
template <int fixed>
struct Vectors {
  double at[fixed > 0 ? fixed : max_components][row_group];

  static std::int64_t count(const FieldBatch& batch) { return fixed > 0 ? fixed : batch.components; }

  void load(std::int64_t n, const double* from, std::int64_t stride) {
    for (std::int64_t a = 0; a < n; ++a)
      for (std::int64_t l = 0; l < row_group; ++l) at[a][l] = from[a * stride + l];
  }

  void store(std::int64_t n, double* __restrict to, std::int64_t stride) const {
    for (std::int64_t a = 0; a < n; ++a)
      for (std::int64_t l = 0; l < row_group; ++l) to[a * stride + l] = at[a][l];
  }

  void dot(std::int64_t n, const Vectors& other, double* __restrict out) const {
    for (std::int64_t l = 0; l < row_group; ++l) out[l] = 0.0;
    for (std::int64_t a = 0; a < n; ++a)
      for (std::int64_t l = 0; l < row_group; ++l) out[l] += at[a][l] * other.at[a][l];
  }
};

// Along great circles for a time `drift`. What would turn further than circle_at can tell becomes a NaN, and so does
// the energy error; the way back would, too.
template <int fixed>
inline void rotate(std::int64_t n, Vectors<fixed>& s, Vectors<fixed>& p, double drift) {
  double square[row_group], cosine[row_group], forward[row_group], back[row_group];
  p.dot(n, p, square);
  // Without comparisons, and loop by loop: so the compiler makes vector code of it.
  for (std::int64_t l = 0; l < row_group; ++l) square[l] = __builtin_sqrt(square[l]);
  for (std::int64_t l = 0; l < row_group; ++l) {
    const double speed = square[l], turns = speed * drift * turns_in_radian;
    const std::uint64_t exponent = bits_of(turns) >> 52 & 0x7FF, too_far = (largest_exponent - exponent) >> 63;
    const Circle circle = circle_at(turns);
    cosine[l] = from_bits(bits_of(circle.cosine) | ((0 - too_far) & 0x7FF8000000000000ull));
    forward[l] = circle.sine / (speed + 1e-300);
    back[l] = circle.sine * speed;
  }
  for (std::int64_t a = 0; a < n; ++a)
    for (std::int64_t l = 0; l < row_group; ++l) {
      const double here = s.at[a][l], there = p.at[a][l];
      s.at[a][l] = cosine[l] * here + forward[l] * there;
      p.at[a][l] = cosine[l] * there - back[l] * here;
    }
  // Rounding would grow along a trajectory: one step of Newton's method for the length, and tangent again.
  s.dot(n, s, square);
  for (std::int64_t a = 0; a < n; ++a)
    for (std::int64_t l = 0; l < row_group; ++l) s.at[a][l] = s.at[a][l] * (1.5 - 0.5 * square[l]);
  s.dot(n, p, square);
  for (std::int64_t a = 0; a < n; ++a)
    for (std::int64_t l = 0; l < row_group; ++l) p.at[a][l] = p.at[a][l] - square[l] * s.at[a][l];
}

// The O(n) part of a trajectory. Buffers hold for every row n rows, `stride` numbers apart, each with room for what
// stands beyond its two ends: the values around the corner, or zeros.
template <int fixed>
class VectorFlow {
 public:
  VectorFlow(const FieldBatch& batch, std::int64_t index)
      : batch_(batch),
        n_(Vectors<fixed>::count(batch)),
        width_(width_of(batch.lattice)),
        round_(padded_width(width_)),
        stride_(round_ + row_padding),
        beta_(scalar_of(batch, index).g) {}

  std::int64_t start_of(std::int64_t row) const { return row * n_ * stride_ + 1; }

  // Vectors and normal numbers of a row into the buffers, the numbers projected to momenta.
  void load(const double* field, const double* normals, std::int64_t row, double* to, double* momentum) const {
    const std::int64_t first = row * width_ * n_, start = start_of(row);
    for (std::int64_t x = 0; x < width_; ++x) {
      const double *s = field + first + x * n_, *v = normals + first + x * n_;
      const double lost = dot(n_, s, v);
      for (std::int64_t a = 0; a < n_; ++a) {
        to[start + a * stride_ + x] = s[a];
        momentum[start + a * stride_ + x] = v[a] - lost * s[a];
      }
    }
    close(to + start);
  }

  void store(const double* from, std::int64_t row, double* field) const {
    const std::int64_t start = start_of(row);
    for (std::int64_t x = 0; x < width_; ++x)
      for (std::int64_t a = 0; a < n_; ++a) field[(row * width_ + x) * n_ + a] = from[start + a * stride_ + x];
  }

  void start(const double* from, double* momentum, double* to, std::int64_t row, double drift) const {
    const std::int64_t start = start_of(row);
    for (std::int64_t x = 0; x < round_; x += row_group) {
      Vectors<fixed> s, p;
      s.load(n_, from + start + x, stride_);
      p.load(n_, momentum + start + x, stride_);
      rotate(n_, s, p, drift);
      s.store(n_, to + start + x, stride_);
      p.store(n_, momentum + start + x, stride_);
    }
    close(to + start);
  }

  void move(const double* from, double* momentum, double* to, std::int64_t row, double kick, double drift) const {
    const std::int64_t start = start_of(row);
    const double strength = kick * beta_;
    const double* across[max_neighbours];
    const int terms = rows_across(from, row, across);
    for (std::int64_t x = 0; x < round_; x += row_group) {
      Vectors<fixed> s, p, pull;
      double along[row_group];
      s.load(n_, from + start + x, stride_);
      p.load(n_, momentum + start + x, stride_);
      sum_neighbours(from, row, x, across, terms, pull);
      s.dot(n_, pull, along);
      for (std::int64_t a = 0; a < n_; ++a)
        for (std::int64_t l = 0; l < row_group; ++l)
          p.at[a][l] = p.at[a][l] + strength * (pull.at[a][l] - along[l] * s.at[a][l]);
      rotate(n_, s, p, drift);
      s.store(n_, to + start + x, stride_);
      p.store(n_, momentum + start + x, stride_);
    }
    close(to + start);
  }

  // p^2 / 2 and the bonds forward of each site of a row.
  void energy(const double* from, const double* momentum, std::int64_t row, double* __restrict out) const {
    const std::int64_t start = start_of(row);
    for (std::int64_t x = 0; x < width_; x += row_group) {
      Vectors<fixed> s, p, there;
      double bonds[row_group], part[row_group], kinetic[row_group];
      s.load(n_, from + start + x, stride_);
      p.load(n_, momentum + start + x, stride_);
      for (std::int64_t l = 0; l < row_group; ++l) bonds[l] = 0.0;
      for (int direction = 0; direction < batch_.directions; ++direction) {
        load_forward(from, row, x, direction, there);
        s.dot(n_, there, part);
        for (std::int64_t l = 0; l < row_group; ++l) bonds[l] += part[l];
      }
      p.dot(n_, p, kinetic);
      for (std::int64_t l = 0; l < row_group && x + l < width_; ++l) out[x + l] = 0.5 * kinetic[l] - beta_ * bonds[l];
    }
  }

 private:
  bool regular() const { return batch_.lattice.kind == LatticeKind::hypercubic; }

  void close(double* row) const {
    const bool around = wraps(batch_.lattice);
    for (std::int64_t a = 0; a < n_; ++a) {
      double* part = row + a * stride_;
      part[-1] = around ? part[width_ - 1] : 0.0;
      part[width_] = around ? part[0] : 0.0;
    }
  }

  int rows_across(const double* from, std::int64_t row, const double** across) const {
    int terms = 0;
    const int around = regular() ? 2 * (batch_.lattice.dimension - 1) : 0;
    for (int k = 0; k < around; ++k) {
      const std::int64_t there = batch_.beyond[row * around + k];
      if (there >= 0) across[terms++] = from + start_of(there);
    }
    return terms;
  }

  // In the order of the table of neighbours; a zero in the place of one that is absent changes no sum.
  void sum_neighbours(const double* from, std::int64_t row, std::int64_t x, const double* const* across, int terms,
                      Vectors<fixed>& out) const {
    if (!regular()) return gather_neighbours(from, row, x, out);
    const double* here = from + start_of(row) + x;
    for (std::int64_t a = 0; a < n_; ++a) {
      for (std::int64_t l = 0; l < row_group; ++l) out.at[a][l] = 0.0;
      for (int t = 0; t < terms; ++t)
        for (std::int64_t l = 0; l < row_group; ++l) out.at[a][l] += across[t][a * stride_ + x + l];
      for (std::int64_t l = 0; l < row_group; ++l) out.at[a][l] += here[a * stride_ + l + 1];
      for (std::int64_t l = 0; l < row_group; ++l) out.at[a][l] += here[a * stride_ + l - 1];
    }
  }

  void clear(Vectors<fixed>& out) const {
    for (std::int64_t a = 0; a < n_; ++a)
      for (std::int64_t l = 0; l < row_group; ++l) out.at[a][l] = 0.0;
  }

  void add_site(const double* from, std::int64_t site, std::int64_t lane, Vectors<fixed>& out) const {
    const double* there = from + start_of(site / width_) + site % width_;
    for (std::int64_t a = 0; a < n_; ++a) out.at[a][lane] += there[a * stride_];
  }

  void gather_neighbours(const double* from, std::int64_t row, std::int64_t x, Vectors<fixed>& out) const {
    clear(out);
    const int slots = 2 * batch_.directions;
    for (std::int64_t l = 0; l < row_group && x + l < width_; ++l)
      for (int slot = 0; slot < slots; ++slot) {
        const std::int32_t j = batch_.neighbours[(row * width_ + x + l) * slots + slot];
        if (j >= 0) add_site(from, j, l, out);
      }
  }

  // The neighbours one step forward, zeros where there is none.
  void load_forward(const double* from, std::int64_t row, std::int64_t x, int direction, Vectors<fixed>& out) const {
    const int last = batch_.lattice.dimension - 1;
    if (!regular()) {
      clear(out);
      for (std::int64_t l = 0; l < row_group && x + l < width_; ++l) {
        const std::int32_t j = batch_.neighbours[(row * width_ + x + l) * 2 * batch_.directions + 2 * direction];
        if (j >= 0) add_site(from, j, l, out);
      }
    } else if (direction == last) {
      out.load(n_, from + start_of(row) + x + 1, stride_);
    } else {
      const std::int64_t there = batch_.beyond[2 * (row * last + direction)];
      if (there >= 0) out.load(n_, from + start_of(there) + x, stride_);
      else clear(out);
    }
  }

  const FieldBatch& batch_;
  const std::int64_t n_, width_, round_, stride_;
  const double beta_;
};

}  // namespace PYQMC_ISA
}  // namespace pyqmc
