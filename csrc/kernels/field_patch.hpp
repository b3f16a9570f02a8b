// Learned updates of patches: a network reads the sites around a patch and draws new values for its sites, with latent
// numbers z. Accepted with the ratio of exp(-S) r(z | new, around) / (p(z) p(new | z, around)), new to old, where the z
// of the old values has first been drawn from r. Patches of one colour do not touch, so what is around stays.
//
// Networks see fields in a frame in which a symmetry of S has been used up: phi^4 with a positive sum of what is
// around, O(2) with that sum along the first axis. Numbers of patch p of a colour: index p, number 2 i + colour.
#pragma once

#include "kernels/field_sums.hpp"
#include "kernels/local_network.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

// The memory of one thread.
struct PatchRoom {
  Lanes frame[2];
  Lanes given[2 * patch_around + 2 * patch_sites + patch_latents];  // what a network reads: around, then the rest
  Lanes from[2 * patch_sites], to[2 * patch_sites];
  Lanes noise[2 * patch_sites], fresh[patch_latents], stale[patch_latents], chance;
  Lanes hidden[2 * network_width];
  Lanes weight_from, weight_to;
  std::uint64_t draw[2 * network_lanes];
  std::size_t count;  // of the lanes that hold a patch of their own
};

// Real numbers: mean and logarithm of the dispersion of every site.
struct RealPatch {
  static constexpr int components = 1;

  static void find_frame(const PatchJob& job, PatchRoom& room) {
    for (int l = 0; l < network_lanes; ++l) {
      double sum = 0.0;
      for (std::int64_t e = 0; e < job.rim; ++e) sum += room.given[e].at[l];
      room.frame[0].at[l] = sum < 0.0 ? -1.0 : 1.0;
    }
  }
  static void turn(const PatchRoom& room, Lanes* site) {
    for (int l = 0; l < network_lanes; ++l) site->at[l] = room.frame[0].at[l] * site->at[l];
  }
  static void turn_back(const PatchRoom& room, Lanes* site) { turn(room, site); }

  static void fill_noise(const PatchJob& job, const Draws& draws, int colour, std::uint32_t first, PatchRoom& room) {
    for (std::int64_t b = 0; b < job.size; b += 2) {
      fill_draws(draws, Purpose::site, static_cast<std::uint32_t>(b) + colour, first, room.count, room.draw);
      for (int l = 0; l < network_lanes; ++l) {
        const Normals pair = normals_of(room.draw[2 * l], room.draw[2 * l + 1]);
        room.noise[b].at[l] = pair.first;
        room.noise[b + 1].at[l] = pair.second;
      }
    }
  }

  static void draw(const PatchJob& job, const Lanes* out, PatchRoom& room) {
    for (std::int64_t b = 0; b < job.size; ++b)
      for (int l = 0; l < network_lanes; ++l) {
        const double spread = between(out[job.size + b].at[l], 20.0);
        room.to[b].at[l] = out[b].at[l] + exp_of(spread) * room.noise[b].at[l];
        room.weight_to.at[l] += 0.5 * (room.noise[b].at[l] * room.noise[b].at[l]) + spread;
      }
  }

  // Takes log p(values) off the weights.
  static void weigh(const PatchJob& job, const Lanes* out, const Lanes* values, Lanes& weight) {
    for (std::int64_t b = 0; b < job.size; ++b)
      for (int l = 0; l < network_lanes; ++l) {
        const double spread = between(out[job.size + b].at[l], 20.0);
        const double off = (values[b].at[l] - out[b].at[l]) / exp_of(spread);
        weight.at[l] += 0.5 * (off * off) + spread;
      }
  }

  static void cost(const PatchJob& job, const Scalar& model, const PatchRoom& room, const Lanes* values,
                   Lanes& weight) {
    for (int l = 0; l < network_lanes; ++l) {
      double total = 0.0;
      for (std::int64_t b = 0; b < job.size; ++b) total += model.potential(values[b].at[l]);
      for (std::int64_t k = 0; k < job.bonds; ++k) {
        const double off = values[job.inner[2 * k]].at[l] - values[job.inner[2 * k + 1]].at[l];
        total += model.g * (off * off);
      }
      for (std::int64_t e = 0; e < job.rim; ++e) {
        const double off = values[job.outer[e]].at[l] - room.given[e].at[l];
        total += model.g * (off * off);
      }
      weight.at[l] -= total;
    }
  }
};

// Unit vectors in the plane: a point a inside the circle for every site. A uniform point u of the circle goes to
// (u + a) / (1 + conj(a) u), whose density is (1 - |a|^2) / (2 pi |s - a|^2): the direction of a is the mean and what
// it lacks to the circle the dispersion. a = (p, q) / sqrt(1 + p^2 + q^2) for outputs p, q.
struct CirclePatch {
  static constexpr int components = 2;

  static void find_frame(const PatchJob& job, PatchRoom& room) {
    for (int l = 0; l < network_lanes; ++l) {
      double x = 0.0, y = 0.0;
      for (std::int64_t e = 0; e < job.rim; ++e) {
        x += room.given[2 * e].at[l];
        y += room.given[2 * e + 1].at[l];
      }
      const double square = x * x + y * y, length = __builtin_sqrt(square);
      room.frame[0].at[l] = square > 1e-30 ? x / length : 1.0;
      room.frame[1].at[l] = square > 1e-30 ? y / length : 0.0;
    }
  }
  static void turn(const PatchRoom& room, Lanes* site) {
    for (int l = 0; l < network_lanes; ++l) {
      const double x = site[0].at[l], y = site[1].at[l], c = room.frame[0].at[l], s = room.frame[1].at[l];
      site[0].at[l] = c * x + s * y;
      site[1].at[l] = c * y - s * x;
    }
  }
  static void turn_back(const PatchRoom& room, Lanes* site) {
    for (int l = 0; l < network_lanes; ++l) {
      const double x = site[0].at[l], y = site[1].at[l], c = room.frame[0].at[l], s = room.frame[1].at[l];
      const double to_x = c * x - s * y, to_y = c * y + s * x;
      const double length = __builtin_sqrt(to_x * to_x + to_y * to_y);
      site[0].at[l] = to_x / length;
      site[1].at[l] = to_y / length;
    }
  }

  static void fill_noise(const PatchJob& job, const Draws& draws, int colour, std::uint32_t first, PatchRoom& room) {
    for (std::int64_t b = 0; b < job.size; b += 2) {
      fill_draws(draws, Purpose::site, static_cast<std::uint32_t>(b) + colour, first, room.count, room.draw);
      for (int half = 0; half < 2 && b + half < job.size; ++half)
        for (int l = 0; l < network_lanes; ++l) {
          const Circle at = circle_at(unit(room.draw[2 * l + half]));
          room.noise[2 * (b + half)].at[l] = at.cosine;
          room.noise[2 * (b + half) + 1].at[l] = at.sine;
        }
    }
  }

  static void draw(const PatchJob& job, const Lanes* out, PatchRoom& room) {
    for (std::int64_t b = 0; b < job.size; ++b)
      for (int l = 0; l < network_lanes; ++l) {
        const double p = between(out[2 * b].at[l], 1e3), q = between(out[2 * b + 1].at[l], 1e3);
        const double length = __builtin_sqrt(1.0 + (p * p + q * q)), x = p / length, y = q / length;
        const double u = room.noise[2 * b].at[l], v = room.noise[2 * b + 1].at[l];
        const double re = 1.0 + (x * u + y * v), im = x * v - y * u, square = re * re + im * im;
        room.to[2 * b].at[l] = ((u + x) * re + (v + y) * im) / square;
        room.to[2 * b + 1].at[l] = ((v + y) * re - (u + x) * im) / square;
      }
    weigh(job, out, room.to, room.weight_to);
  }

  static void weigh(const PatchJob& job, const Lanes* out, const Lanes* values, Lanes& weight) {
    for (std::int64_t b = 0; b < job.size; ++b)
      for (int l = 0; l < network_lanes; ++l) {
        const double p = between(out[2 * b].at[l], 1e3), q = between(out[2 * b + 1].at[l], 1e3);
        const double length = __builtin_sqrt(1.0 + (p * p + q * q));
        const double x = values[2 * b].at[l] - p / length, y = values[2 * b + 1].at[l] - q / length;
        weight.at[l] += log_of((1.0 + (p * p + q * q)) * (x * x + y * y));
      }
  }

  static void cost(const PatchJob& job, const Scalar& model, const PatchRoom& room, const Lanes* values,
                   Lanes& weight) {
    for (int l = 0; l < network_lanes; ++l) {
      double total = 0.0;
      for (std::int64_t k = 0; k < job.bonds; ++k) {
        const Lanes *one = values + 2 * job.inner[2 * k], *two = values + 2 * job.inner[2 * k + 1];
        total += one[0].at[l] * two[0].at[l] + one[1].at[l] * two[1].at[l];
      }
      for (std::int64_t e = 0; e < job.rim; ++e) {
        const Lanes *one = values + 2 * job.outer[e], *two = room.given + 2 * e;
        total += one[0].at[l] * two[0].at[l] + one[1].at[l] * two[1].at[l];
      }
      weight.at[l] += model.g * total;
    }
  }
};

// Adds log r(z | values, around) - log p(z) of latents that are r's mean + dispersion * noise (`drawn`: the noise is in
// `latent`, which receives z), or of latents that are given.
template <class Patch>
inline void weigh_latents(const PatchJob& job, const Lanes* values, bool drawn, Lanes* latent, Lanes& weight,
                          PatchRoom& room) {
  constexpr int c = Patch::components;
  for (std::int64_t b = 0; b < c * job.size; ++b) room.given[c * job.rim + b] = values[b];
  const Lanes* out = apply_network(job.encoder, room.given, room.hidden);
  for (std::int64_t k = 0; k < job.latents; ++k)
    for (int l = 0; l < network_lanes; ++l) {
      const double spread = between(out[job.latents + k].at[l], 20.0), width = exp_of(spread);
      const double noise = drawn ? latent[k].at[l] : (latent[k].at[l] - out[k].at[l]) / width;
      const double z = drawn ? out[k].at[l] + width * noise : latent[k].at[l];
      weight.at[l] += 0.5 * (z * z) - (0.5 * (noise * noise) + spread);
      latent[k].at[l] = z;
    }
}

template <class Patch>
inline const Lanes* decode(const PatchJob& job, const Lanes* latent, PatchRoom& room) {
  for (std::int64_t k = 0; k < job.latents; ++k) room.given[Patch::components * job.rim + k] = latent[k];
  return apply_network(job.decoder, room.given, room.hidden);
}

template <class Patch>
inline void gather(const PatchJob& job, int colour, std::int64_t first, const double* field, PatchRoom& room) {
  constexpr int c = Patch::components;
  const std::int32_t* members = job.members + colour * job.patches * job.size;
  const std::int32_t* around = job.around + colour * job.patches * job.rim;
  for (int l = 0; l < network_lanes; ++l) {
    // The last patches are repeated to fill the lanes; what comes of them is not written.
    const std::int64_t patch = first + l < job.patches ? first + l : job.patches - 1;
    for (std::int64_t e = 0; e < job.rim; ++e)
      for (int a = 0; a < c; ++a) room.given[c * e + a].at[l] = field[c * around[patch * job.rim + e] + a];
    for (std::int64_t b = 0; b < job.size; ++b)
      for (int a = 0; a < c; ++a) room.from[c * b + a].at[l] = field[c * members[patch * job.size + b] + a];
  }
  Patch::find_frame(job, room);
  for (std::int64_t e = 0; e < job.rim; ++e) Patch::turn(room, room.given + c * e);
  for (std::int64_t b = 0; b < job.size; ++b) Patch::turn(room, room.from + c * b);
}

template <class Patch>
inline void fill_numbers(const PatchJob& job, const Draws& draws, int colour, std::int64_t first, PatchRoom& room) {
  const std::uint32_t start = static_cast<std::uint32_t>(first);
  Patch::fill_noise(job, draws, colour, start, room);
  std::uint32_t number = 2 * static_cast<std::uint32_t>((job.size + 1) / 2) + static_cast<std::uint32_t>(colour);
  for (std::int64_t k = 0; k < job.latents; ++k, number += 2) {
    fill_draws(draws, Purpose::site, number, start, room.count, room.draw);
    for (int l = 0; l < network_lanes; ++l) {
      const Normals pair = normals_of(room.draw[2 * l], room.draw[2 * l + 1]);
      room.fresh[k].at[l] = pair.first;
      room.stale[k].at[l] = pair.second;
    }
  }
  fill_draws(draws, Purpose::site, number, start, room.count, room.draw);
  for (int l = 0; l < network_lanes; ++l) room.chance.at[l] = log_of(1.0 - unit(room.draw[2 * l]));
}

// Updates the patches `first` ... of a colour, at most as many as there are lanes; returns how many sites changed.
template <class Patch>
inline std::int64_t update_patches(const PatchJob& job, const Scalar& model, const Draws& draws, int colour,
                                   std::int64_t first, double* field, PatchRoom& room) {
  constexpr int c = Patch::components;
  const std::int64_t count = job.patches - first < network_lanes ? job.patches - first : network_lanes;
  room.count = static_cast<std::size_t>(count);
  gather<Patch>(job, colour, first, field, room);
  fill_numbers<Patch>(job, draws, colour, first, room);
  room.weight_from = room.weight_to = Lanes{};
  if (job.latents > 0) weigh_latents<Patch>(job, room.from, true, room.stale, room.weight_from, room);
  const Lanes* out = decode<Patch>(job, room.stale, room);
  Patch::weigh(job, out, room.from, room.weight_from);
  if (job.latents > 0) out = decode<Patch>(job, room.fresh, room);
  Patch::draw(job, out, room);
  if (job.latents > 0) weigh_latents<Patch>(job, room.to, false, room.fresh, room.weight_to, room);
  Patch::cost(job, model, room, room.from, room.weight_from);
  Patch::cost(job, model, room, room.to, room.weight_to);
  for (std::int64_t b = 0; b < job.size; ++b) Patch::turn_back(room, room.to + c * b);
  const std::int32_t* members = job.members + colour * job.patches * job.size;
  std::int64_t changed = 0;
  for (std::int64_t l = 0; l < count; ++l) {
    // What is no number passes no comparison.
    if (!(room.chance.at[l] < room.weight_to.at[l] - room.weight_from.at[l])) continue;
    for (std::int64_t b = 0; b < job.size; ++b)
      for (int a = 0; a < c; ++a) field[c * members[(first + l) * job.size + b] + a] = room.to[c * b + a].at[l];
    changed += job.size;
  }
  return changed;
}

inline void patch_share(const PatchJob& job, const Team& team, std::int64_t first, std::int64_t last) {
  const FieldBatch& batch = job.batch;
  const std::int64_t chunks = (job.patches + network_lanes - 1) / network_lanes;
  FieldScratch scratch(batch, team);
  PatchRoom& room = static_cast<PatchRoom*>(job.room)[team.thread];
  for (std::int64_t index = first; index < last; ++index) {
    double* field = batch.field + index * sites_of(batch.lattice) * batch.components;
    const Scalar model = scalar_of(batch, index);
    std::int64_t changed = 0;
    for (std::int64_t step = 0; step < batch.steps; ++step) {
      const Draws draws = draws_at(batch, index, step);
      for (int colour = 0; colour < 2; ++colour) {
        for (std::int64_t chunk = team.begin(chunks); chunk < team.end(chunks); ++chunk) {
          const std::int64_t start = chunk * network_lanes;
          changed += batch.components == 1 ? update_patches<RealPatch>(job, model, draws, colour, start, field, room)
                                           : update_patches<CirclePatch>(job, model, draws, colour, start, field, room);
        }
        team.wait();
      }
      measure_field_when_due(batch, field, team, index, step + 1, scratch);
    }
    __atomic_fetch_add(&batch.tally[index], changed, __ATOMIC_RELAXED);
  }
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
