// Single clusters (Wolff 1989). Members try their bonds in the order in which they joined; a bond is tried at most
// once, by the first of its ends, and has its number from there: one Philox block holds four bonds of a member. A field
// acts through a ghost spin: a cluster bound to it keeps its orientation.
#pragma once

#include <cstdint>

#include "core/philox_lanes.hpp"
#include "kernels/jobs.hpp"
#include "models/discrete.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

// The low three bits of a draw's number; the others number the clusters of one step.
inline constexpr std::uint32_t bond_number = 0;  // and 1: slots 4 and up
inline constexpr std::uint32_t tie_number = 2;   // and 3: the remaining digits, asked where 32 decide nothing
inline constexpr std::uint32_t ghost_number = 7;

// Members that try their bonds together.
inline constexpr std::int64_t together = queue_margin;

// Steps along one axis: sites whose quotient by `slab` agrees lie on lines along it, `stride` apart.
struct Axis {
  std::uint32_t stride, slab;
  std::uint64_t reciprocal;
  bool periodic;

  std::uint32_t first_of_slab(std::uint32_t site) const {
    __extension__ typedef unsigned __int128 Wide;
    return static_cast<std::uint32_t>(static_cast<Wide>(site) * reciprocal >> 64) * slab;
  }
};

// The neighbours of a site; one beyond an open boundary is the site itself. `dimension` 0 looks them up.
template <int dimension>
struct Neighbourhood {
  Axis axis[dimension];

  explicit Neighbourhood(const ClusterJob& job) {
    const Lattice& lattice = job.batch.lattice;
    std::uint32_t stride = 1;
    for (int mu = dimension - 1; mu >= 0; --mu) {
      const std::uint32_t slab = stride * static_cast<std::uint32_t>(lattice.shape[mu]);
      axis[mu] = {stride, slab, ~0ull / slab + 1, lattice.periodic[mu]};
      stride = slab;
    }
  }

  int slots() const { return 2 * dimension; }

  template <class Visit>
  void each(std::uint32_t site, const Visit& visit) const {
    for (int mu = 0; mu < dimension; ++mu) {
      const Axis& a = axis[mu];
      const std::uint32_t bottom = mu == 0 ? 0 : a.first_of_slab(site), top = bottom + a.slab;
      const std::uint32_t up = site + a.stride, down = site - a.stride;
      visit(2 * mu, up < top ? up : a.periodic ? up - a.slab : site);
      visit(2 * mu + 1, site - bottom >= a.stride ? down : a.periodic ? down + a.slab : site);
    }
  }
};

template <>
struct Neighbourhood<0> {
  const std::int32_t* table;
  std::int32_t count;

  explicit Neighbourhood(const ClusterJob& job) : table(job.neighbours), count(2 * job.directions) {}

  int slots() const { return count; }

  template <class Visit>
  void each(std::uint32_t site, const Visit& visit) const {
    const std::int32_t* around = table + static_cast<std::int64_t>(site) * count;
    for (int slot = 0; slot < count; ++slot)
      visit(slot, around[slot] < 0 ? site : static_cast<std::uint32_t>(around[slot]));
  }
};

// Sets bit `slot` of accepted[j] where the bond of slot 4 part + slot of members[j] is active, for `together` members.
inline void try_bonds(const Draws& draws, std::uint32_t number, std::uint32_t part, std::uint64_t probability,
                      const std::uint32_t* members, std::uint32_t* accepted) {
  using lanes::Vector;
  typedef std::int64_t Signed __attribute__((vector_size(sizeof(Vector))));
  constexpr int registers = together / lanes::width, block = registers < 4 ? registers : 4;
  const std::uint64_t upper = probability >> 31, lower = probability & 0x7FFFFFFFull;
  const Signed bound = (Signed)lanes::broadcast(upper);
  for (int first = 0; first < registers; first += block) {
    Vector c0[block], c1[block], c2[block], c3[block];
    for (int v = 0; v < block; ++v) {
      for (int lane = 0; lane < lanes::width; ++lane) c0[v][lane] = members[(first + v) * lanes::width + lane];
      c1[v] = lanes::broadcast(draws.replica);
      c2[v] = lanes::broadcast(draws.step);
      c3[v] = lanes::broadcast(Draws::tag(Purpose::bond, number << 3 | bond_number | part));
    }
    lanes::run_rounds(c0, c1, c2, c3, draws.key);
    for (int v = 0; v < block; ++v) {
      const Signed word[4] = {(Signed)(c0[v] & 0xFFFFFFFFull), (Signed)(c1[v] & 0xFFFFFFFFull),
                              (Signed)(c2[v] & 0xFFFFFFFFull), (Signed)(c3[v] & 0xFFFFFFFFull)};
      Signed below{}, ties{};
      for (int w = 0; w < 4; ++w) {
        below |= (word[w] < bound) & (1 << w);
        ties |= (word[w] == bound) & (1 << w);
      }
      for (int lane = 0; lane < lanes::width; ++lane)
        accepted[(first + v) * lanes::width + lane] |= static_cast<std::uint32_t>(below[lane]) << (4 * part);
      for (int lane = 0; lane < lanes::width; ++lane) {
        if (ties[lane] == 0 || lower == 0) continue;
        const int j = (first + v) * lanes::width + lane;
        const Block rest = draws.block(Purpose::bond, members[j], number << 3 | tie_number | part);
        for (unsigned w = 0; w < 4; ++w)
          if ((ties[lane] >> w & 1) != 0 && rest.word[w] >> 1 < lower) accepted[j] |= 1u << (4 * part + w);
      }
    }
  }
}

// One cluster grown from a random site, then turned as a whole; returns the number of sites changed. `number` tells the
// clusters of one step apart. `share`, where it is wanted, receives M^2 / n of a cluster of n Ising spins.
template <class T, class Around>
std::int64_t wolff_cluster(const ClusterJob& job, const Around& around, T* field, const Draws& draws, std::int64_t rung,
                           std::uint32_t number, std::uint32_t* queue, double* share) {
  const std::uint64_t probability = job.bond[rung], ghost = job.ghost[rung];
  const std::int32_t q = job.batch.q;
  const bool unequal = job.unequal;
  const int parts = around.slots() > 4 ? 2 : 1;
  const Block start = draws.block(Purpose::seed, number);
  const std::uint32_t seed =
      static_cast<std::uint32_t>(scaled(start.draw(0), static_cast<std::uint64_t>(sites_of(job.batch.lattice))));
  const T own = field[seed];
  // A member no longer looks like a site that may join: it has turned already; or, where members differ or may have to
  // turn back, its highest bit has changed, which makes it no spin.
  const bool at_once = !unequal && ghost == 0;
  const T turned = static_cast<T>(q == 0 ? -own : other_colour(own, q, start.draw(1)));
  constexpr int mark = sizeof(T) == 1 ? 0x80 : 0x8000;
  const T change = static_cast<T>(at_once ? own ^ turned : mark);
  field[seed] = static_cast<T>(own ^ change);
  queue[0] = seed;
  std::int64_t size = 1, done = 0;
  bool held = false;
  while (done < size && !held) {
    const std::int64_t stop = done + together < size ? done + together : size;
    std::uint32_t members[together], accepted[together] = {};
    __builtin_memcpy(members, queue + done, sizeof members);
    for (int part = 0; part < parts; ++part)
      try_bonds(draws, number, static_cast<std::uint32_t>(part), probability, members, accepted);
    for (std::int64_t j = 0; done < stop; ++done, ++j) {
      const std::uint32_t site = members[j], active = accepted[j];
      T wanted = own;
      if (!at_once) {
        const T spin = static_cast<T>(field[site] ^ mark);
        if (unequal) wanted = static_cast<T>(-spin);
        if (ghost != 0 && spin == job.ghost_spin)
          held = held || draws.block(Purpose::bond, site, number << 3 | ghost_number).draw(0) < ghost;
      }
      // Written in any case, and kept where the site joins: as a branch this would be a coin toss.
      around.each(site, [&](int slot, std::uint32_t there) {
        const T value = field[there];
        const int joins = static_cast<int>(active >> slot & 1) & (value == wanted);
        queue[size] = there;
        field[there] = static_cast<T>(value ^ (-joins & change));
        size += joins;
      });
    }
  }
  if (!at_once)
    for (std::int64_t k = 0; k < size; ++k) {
      const T spin = static_cast<T>(field[queue[k]] ^ mark);
      field[queue[k]] = static_cast<T>(held ? spin : -spin);
    }
  if (share != nullptr) {
    std::int64_t moment = unequal ? 0 : size;
    for (std::int64_t k = 0; unequal && k < size; ++k) moment += field[queue[k]];
    *share = static_cast<double>(moment * moment) / static_cast<double>(size);
  }
  return held ? 0 : size;
}

}  // namespace PYQMC_ISA
}  // namespace pyqmc
