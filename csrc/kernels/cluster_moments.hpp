// Sums over the clusters of one step: their magnetizations M_c and, where they are asked for, their Fourier modes
// F_c = sum_x s_x exp(i k x), k = 2 pi / L along each axis. All of them are integers, so that the order in which sites
// are added does not matter; phases are rounded to multiples of 2^-24.
#pragma once

#include <cstdint>

#include "core/bits.hpp"
#include "kernels/flips.hpp"
#include "kernels/jobs.hpp"

namespace pyqmc {
inline namespace PYQMC_ISA {

// The numbers of one cluster: real and imaginary parts, axis by axis, the last axis first. Vectors are handed over by
// reference, because how a wide one is returned depends on the instruction set.
template <int lanes>
struct Modes;

template <>
struct Modes<4> {
  typedef std::int32_t Narrow __attribute__((vector_size(16)));
  typedef std::int64_t Wide __attribute__((vector_size(32)));
  typedef double Real __attribute__((vector_size(32)));

  // Adds products in full; the second factors have 32 bits as well.
  static void add_product(const Narrow& a, const Wide& b, Wide& sum) {
#if defined(__AVX2__)
    sum += (Wide)_mm256_mul_epi32(_mm256_cvtepi32_epi64((__m128i)a), (__m256i)b);
#else
    sum += __builtin_convertvector(a, Wide) * b;
#endif
  }
};

template <>
struct Modes<8> {
  typedef std::int32_t Narrow __attribute__((vector_size(32)));
  typedef std::int64_t Wide __attribute__((vector_size(64)));
  typedef double Real __attribute__((vector_size(64)));

  static void add_product(const Narrow& a, const Wide& b, Wide& sum) {
#if defined(__AVX512F__)
    sum += (Wide)_mm512_maskz_mul_epi32(0xFF, _mm512_maskz_cvtepi32_epi64(0xFF, (__m256i)a), (__m512i)b);
#else
    sum += __builtin_convertvector(a, Wide) * b;
#endif
  }
};

// The share of one member of a team. Each member numbers the clusters of its share, in the order of their first sites.
struct ClusterMoments {
  const ClusterJob& job;
  const Team& team;
  const std::int64_t width, places;
  std::int32_t* const moments;            // magnetization of each cluster
  std::int64_t* const modes;              // and its modes
  std::uint32_t* const firsts;            // by blocks of sites: the number of the first cluster that begins there
  double *const fourths, *const squares;  // by blocks of sites: fourth powers and squared modes
  std::int64_t row = 0, first = 0;        // of the segment last added: its row, and where that begins

  ClusterMoments(const ClusterJob& given, const Team& members, std::int64_t words)
      : job(given),
        team(members),
        width(width_of(given.batch.lattice)),
        places(64 * words),
        moments(given.moments + members.thread * places),
        modes(given.modes + members.thread * places * given.mode_lanes),
        firsts(given.firsts + (members.thread - members.rank) * blocks_of(words)),
        fourths(given.fourths + (members.thread - members.rank) * 2 * blocks_of(words)),
        squares(fourths + blocks_of(words)) {}

  static std::int64_t blocks_of(std::int64_t words) { return (words + margin - 1) / margin; }

  void begin_at(std::int64_t site) {
    row = site / width;
    first = row * width;
  }

  // Adds the magnetizations of the segments of a block.
  template <bool alternating>
  void add(const Segments& segments) const {
    // Many at a time before they are added one by one.
    std::int32_t moment[64 * margin];
    std::uint32_t cluster[64 * margin];
    for (int j = 0; j < segments.count; ++j) {
      const std::int32_t length = static_cast<std::int32_t>(segments.at[j + 1] - segments.at[j]);
      const std::int32_t down = static_cast<std::int32_t>(segments.owner[j] & 1);
      moment[j] = alternating ? (1 - 2 * down) * (length & 1) : length;
      cluster[j] = segments.owner[j] >> 1;
    }
    for (int j = 0; j < segments.count; ++j) moments[cluster[j]] += moment[j];
  }

  // And their modes. What is loaded for the end of a segment serves for the beginning of the next one.
  template <int lanes, bool alternating>
  void add_modes(std::int64_t block, const Segments& segments) {
    using Narrow = typename Modes<lanes>::Narrow;
    using Wide = typename Modes<lanes>::Wide;
    const std::int64_t origin = 64 * margin * block, extent = width;
    const std::int32_t* const along = job.along;
    std::int64_t* const waves = modes;
    std::int64_t begins = first - origin;  // in registers, whatever is written to memory
    Narrow before, after;
    Wide across, total;
    load_vector(along - begins * lanes, before);
    load_vector(job.across + row * lanes, across);
    for (int j = 0; j < segments.count; ++j) {
      const std::int64_t start = segments.at[j], stop = segments.at[j + 1], number = segments.owner[j] >> 1;
      if (start >= begins + extent) {
        begins += extent;
        before = Narrow{};
        load_vector(job.across + ++row * lanes, across);
      }
      load_vector(along + (stop - begins) * lanes, after);
      Narrow sum = after - before;
      // The table alternates from the beginning of the row.
      if (alternating) sum *= 1 - 2 * static_cast<int>((segments.owner[j] ^ (start - begins)) & 1);
      load_vector(waves + number * lanes, total);
      Modes<lanes>::add_product(sum, across, total);
      __builtin_memcpy(waves + number * lanes, &total, sizeof total);
      before = after;
    }
    first = begins + origin;
  }

  // Adds one part of a cluster that reaches over several shares to the part that names it.
  template <int lanes>
  void merge(int from, std::uint32_t part, int to, std::uint32_t head) const {
    const std::int64_t source = (from - team.rank) * places + part, target = (to - team.rank) * places + head;
    __atomic_fetch_add(&moments[target], moments[source], __ATOMIC_RELAXED);
    moments[source] = 0;
    for (int l = 0; lanes > 1 && l < lanes; ++l) {
      __atomic_fetch_add(&modes[target * lanes + l], modes[source * lanes + l], __ATOMIC_RELAXED);
      modes[source * lanes + l] = 0;
    }
  }

  // Adds the sums of this share's clusters, `count` in words [begin, end), and clears them for the next time. Sums of
  // doubles are made in each block of sites by itself, so that it does not matter how the blocks were shared.
  template <int lanes>
  void take(std::int64_t begin, std::int64_t end, std::uint32_t count, std::int64_t* sums) const {
    std::int64_t second = 0;
    for (std::int64_t block = begin / margin; block * margin < end; ++block) {
      const std::uint32_t start = firsts[block], stop = (block + 1) * margin < end ? firsts[block + 1] : count;
      // Of small clusters whole numbers are added, so that no sum waits for the one before.
      std::int64_t small = 0, largest = 0;
      for (std::uint32_t n = start; n < stop; ++n) {
        const std::int64_t power = static_cast<std::int64_t>(moments[n]) * moments[n];
        const std::int64_t own = power & -static_cast<std::int64_t>(power < large_square);
        second += power;
        small += own * own;
        largest = power > largest ? power : largest;
      }
      double large = 0;
      for (std::uint32_t n = start; largest >= large_square && n < stop; ++n) {
        const double power = static_cast<double>(static_cast<std::int64_t>(moments[n]) * moments[n]);
        if (power >= static_cast<double>(large_square)) large += power * power;
      }
      __builtin_memset(moments + start, 0, static_cast<std::size_t>(stop - start) * sizeof *moments);
      fourths[block] = static_cast<double>(small) + large;
      if constexpr (lanes > 1) squares[block] = take_modes<lanes>(start, stop);
    }
    __atomic_fetch_add(&sums[2], second, __ATOMIC_RELAXED);
  }

  template <int lanes>
  double take_modes(std::int64_t start, std::int64_t stop) const {
    using Wide = typename Modes<lanes>::Wide;
    using Real = typename Modes<lanes>::Real;
    Real squared{};
    for (std::int64_t n = start; n < stop; ++n) {
      Wide numbers;
      load_vector(modes + n * lanes, numbers);
      const Real mode = __builtin_convertvector(numbers, Real);
      squared += mode * mode;
    }
    __builtin_memset(modes + start * lanes, 0, static_cast<std::size_t>((stop - start) * lanes) * sizeof *modes);
    double total = 0;
    for (int l = 0; l < lanes; ++l) total += squared[l];
    return total;
  }

  // Adds the blocks, once all members have taken their clusters.
  void finish(std::int64_t words, std::int64_t* sums) const {
    double fourth = 0, square = 0;
    for (std::int64_t block = 0; block < blocks_of(words); ++block) {
      fourth += fourths[block];
      square += squares[block];
    }
    __builtin_memcpy(sums + 3, &fourth, sizeof fourth);
    if (job.mode_lanes > 0) __builtin_memcpy(sums + 4, &square, sizeof square);
  }
};

}  // namespace PYQMC_ISA
}  // namespace pyqmc
