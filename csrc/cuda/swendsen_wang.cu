// Swendsen-Wang of kernels/swendsen_wang.hpp on a device: one word of 64 sites for each thread. Clusters are found in
// tiles first, in shared memory, and then joined across the rims of the tiles. Fields stay bit planes from the first
// step to the last.
#define PYQMC_DEVICE 1
#define PYQMC_ISA device

#include "cuda/clusters.hpp"

namespace pyqmc::cuda {
namespace {

// Calls visit(field, word) for the word of this thread in every field of its row of the grid. All threads of a block
// see the same fields; `word` may lie beyond the last.
template <class Visit>
__device__ void over_words(const Clusters& clusters, const Visit& visit) {
  for (std::int64_t field = blockIdx.y; field < clusters.fields; field += gridDim.y) visit(field, thread_of_row());
}

// The bonds of a word, the runs they make along the rows, and the coins of the clusters named by its sites.
__global__ void draw_bonds(Clusters clusters, std::uint32_t step) {
  over_words(clusters, [&clusters, step](std::int64_t field, std::int64_t k) {
    if (k >= clusters.words) return;
    const Draws draws = clusters.draws(field, step);
    for (std::int32_t direction = 0; direction < clusters.directions; ++direction) {
      lanes::Vector open[1] = {{0}}, happens[1];
      for (int l = 0; l < clusters.links; ++l) {
        const Link& link = clusters.link[l];
        if (link.direction != direction || k < link.begin || k >= link.end) continue;
        const std::uint64_t wanted = clusters.unequal ? 0 : ~0ull;
        open[0].word |= (clusters.differing(field, l, k) ^ wanted) & link.has[k];
      }
      bits::draw_events(draws, static_cast<std::uint32_t>(direction), static_cast<std::uint32_t>(k),
                        clusters.bond[field % clusters.rungs], open, happens);
      for (int l = 0; l < clusters.links; ++l)
        if (clusters.link[l].direction == direction)
          clusters.active(field, l)[k] = happens[0].word & clusters.link[l].has[k];
    }
    clusters.starts(field)[k] = (~(clusters.active(field, 0)[k] << 1) | 1) & bits::inside(k, clusters.sites);
    const Block coins = draws.block(Purpose::flip, static_cast<std::uint32_t>(k >> 1), 0);
    const int half = static_cast<int>(k & 1);
    clusters.coins(field)[k] = coins.word[2 * half] | static_cast<std::uint64_t>(coins.word[2 * half + 1]) << 32;
  });
}

// Labels of the runs of a tile by the bonds inside it.
__global__ void label_tiles(Clusters clusters) {
  __shared__ std::uint32_t parent[64 * tile_words];
  over_words(clusters, [&clusters](std::int64_t field, std::int64_t k) {
    const std::int64_t base = static_cast<std::int64_t>(blockIdx.x) * tile_words * 64;
    const bool works = k < clusters.words;
    const std::uint64_t* starts = clusters.starts(field);
    for (std::uint64_t runs = works ? starts[k] : 0; runs != 0; runs &= runs - 1) {
      const std::uint32_t site = static_cast<std::uint32_t>(64 * k - base + bits::lowest(runs));
      parent[site] = site;
    }
    __syncthreads();
    for (int l = 0; works && l < clusters.links; ++l) {
      const std::int64_t distance = clusters.distance(l);
      for (std::uint64_t ends = bits::from(clusters.useful_ends(field, l, k), base + distance - 64 * k); ends != 0;
           ends &= ends - 1) {
        const std::int64_t site = 64 * k + bits::lowest(ends);
        unite_atomically(parent, static_cast<std::uint32_t>(run_of(starts, site) - base),
                         static_cast<std::uint32_t>(run_of(starts, site - distance) - base));
      }
    }
    __syncthreads();
    for (std::uint64_t runs = works ? starts[k] : 0; runs != 0; runs &= runs - 1) {
      const std::int64_t site = 64 * k + bits::lowest(runs);
      clusters.parents(field)[site] =
          static_cast<std::uint32_t>(base + find_root(parent, static_cast<std::uint32_t>(site - base)));
    }
    __syncthreads();  // the next field uses the same memory
  });
}

// The bonds that lead from one tile into an earlier one.
__global__ void join_tiles(Clusters clusters) {
  over_words(clusters, [&clusters](std::int64_t field, std::int64_t k) {
    if (k >= clusters.words) return;
    const std::int64_t base = static_cast<std::int64_t>(blockIdx.x) * tile_words * 64;
    const std::uint64_t* starts = clusters.starts(field);
    for (int l = 0; l < clusters.links; ++l) {
      const std::int64_t distance = clusters.distance(l);
      std::uint64_t ends = clusters.useful_ends(field, l, k);
      ends &= ~bits::from(~0ull, base + distance - 64 * k);
      for (; ends != 0; ends &= ends - 1) {
        const std::int64_t site = 64 * k + bits::lowest(ends);
        unite_atomically(clusters.parents(field), run_of(starts, site), run_of(starts, site - distance));
      }
    }
  });
}

// Clusters bound to the ghost spin do not turn.
__global__ void bind_ghost(Clusters clusters, std::uint32_t step) {
  over_words(clusters, [&clusters, step](std::int64_t field, std::int64_t k) {
    const std::uint64_t probability = clusters.ghost[field % clusters.rungs];
    if (k >= clusters.words || probability == 0) return;
    const std::uint64_t down = clusters.map(field, 0)[k];
    lanes::Vector open[1] = {{(clusters.ghost_spin > 0 ? ~down : down) & bits::inside(k, clusters.sites)}}, happens[1];
    bits::draw_events(clusters.draws(field, step), ghost_direction, static_cast<std::uint32_t>(k), probability, open,
                      happens);
    for (std::uint64_t bound = happens[0].word; bound != 0; bound &= bound - 1) {
      const std::uint32_t root =
          find_root(clusters.parents(field), run_of(clusters.starts(field), 64 * k + bits::lowest(bound)));
      atomicAnd(reinterpret_cast<unsigned long long*>(clusters.coins(field) + (root >> 6)), ~(1ull << (root & 63)));
    }
  });
}

// Gives a word its new spins or colours; returns which of its sites name a cluster.
__device__ std::uint64_t expand(const Clusters& clusters, std::int64_t field, std::int64_t k, const Draws& draws,
                                bool with_moments) {
  const std::uint64_t *coins = clusters.coins(field), inside = bits::inside(k, clusters.sites);
  const std::uint64_t old = clusters.map(field, 0)[k];
  std::uint64_t turned = 0, roots = 0, fresh[16] = {};
  for (std::uint64_t runs = clusters.starts(field)[k]; runs != 0;) {
    const int x = bits::lowest(runs);
    runs &= runs - 1;
    const std::uint32_t run = static_cast<std::uint32_t>(64 * k + x), root = find_root(clusters.parents(field), run);
    const std::uint64_t sites = bits_between(x, runs != 0 ? bits::lowest(runs) : 64) & inside;
    roots |= static_cast<std::uint64_t>(root == run) << x;
    if (clusters.q == 0) {
      if ((coins[root >> 6] >> (root & 63) & 1) != 0) turned |= sites;
    } else {
      const std::uint64_t colour = colour_of(draws, root, clusters.q);
      for (std::int32_t p = 0; p < clusters.planes; ++p)
        if ((colour >> p & 1) != 0) fresh[p] |= sites;
    }
    if (!with_moments) continue;
    int magnetization = bits::count(sites);
    if (clusters.unequal) magnetization -= 2 * bits::count(old & sites);
    atomicAdd(clusters.moments + field * clusters.words * 64 + root, magnetization);
  }
  fresh[0] |= clusters.q == 0 ? old ^ turned : 0;
  for (std::int32_t p = 0; p < clusters.planes; ++p) clusters.map(field, p)[k] = fresh[p];
  return roots;
}

__global__ void expand_clusters(Clusters clusters, std::uint32_t step, bool with_moments) {
  __shared__ std::int64_t shared;
  over_words(clusters, [&clusters, step, with_moments](std::int64_t field, std::int64_t k) {
    std::uint64_t roots = 0;
    if (k < clusters.words) roots = expand(clusters, field, k, clusters.draws(field, step), with_moments);
    if (k < clusters.words && with_moments) clusters.starts(field)[k] = roots;  // all that take_moments asks of them
    add_block(&shared, clusters.tally + field, bits::count(roots));
  });
}

// Second moments, and fourth ones block by block in the order of the processor's loop, one block for each thread.
__global__ void take_moments(Clusters clusters, std::int64_t* sums) {
  const std::int64_t blocks = (clusters.words + margin - 1) / margin;
  over_words(clusters, [&clusters, sums, blocks](std::int64_t field, std::int64_t block) {
    if (block >= blocks) return;
    std::int64_t second = 0, small = 0;
    double large = 0;
    for (std::int64_t k = block * margin; k < (block + 1) * margin && k < clusters.words; ++k) {
      for (std::uint64_t roots = clusters.starts(field)[k]; roots != 0; roots &= roots - 1) {
        std::int32_t& moment = clusters.moments[field * clusters.words * 64 + 64 * k + bits::lowest(roots)];
        const std::int64_t square = static_cast<std::int64_t>(moment) * moment;
        second += square;
        if (square < large_square) small += square * square;
        else large += static_cast<double>(square) * static_cast<double>(square);
        moment = 0;
      }
    }
    clusters.fourths[field * blocks + block] = static_cast<double>(small) + large;
    add_to(sums + 4 * field + 2, second);
  });
}

__global__ void add_fourths(Clusters clusters, std::int64_t* sums) {
  const std::int64_t blocks = (clusters.words + margin - 1) / margin, field = thread_of_row();
  if (field >= clusters.fields) return;
  double total = 0;
  for (std::int64_t block = 0; block < blocks; ++block) total += clusters.fourths[field * blocks + block];
  memcpy(sums + 4 * field + 3, &total, sizeof total);
}

// Adds equal bonds, and the magnetization of Ising spins or the sites of each colour.
__global__ void measure(Clusters clusters, std::int64_t* sums, std::int64_t columns) {
  __shared__ std::int64_t shared;
  over_words(clusters, [&clusters, sums, columns](std::int64_t field, std::int64_t k) {
    const bool works = k < clusters.words;
    const std::uint64_t inside = works ? bits::inside(k, clusters.sites) : 0;
    std::int64_t equal = 0, magnetization = 0;
    for (int l = 0; works && l < clusters.links; ++l)
      equal += bits::count(~clusters.differing(field, l, k) & clusters.link[l].has[k]);
    if (works && clusters.q == 0)
      magnetization = bits::count(inside) - 2 * bits::count(clusters.map(field, 0)[k] & inside);
    for (std::uint64_t left = clusters.q > 0 ? inside : 0; left != 0; left &= left - 1) {
      std::int64_t colour = 0;
      for (std::int32_t p = 0; p < clusters.planes; ++p)
        colour |= static_cast<std::int64_t>(clusters.map(field, p)[k] >> bits::lowest(left) & 1) << p;
      atomicAdd(clusters.colours + field * clusters.q + colour, 1u);
    }
    add_block(&shared, sums + columns * field, equal);
    add_block(&shared, sums + columns * field + 1, magnetization);
  });
}

// Sites of the commonest colour; clears the counts.
__global__ void take_commonest(Clusters clusters, std::int64_t* sums, std::int64_t columns) {
  const std::int64_t field = thread_of_row();
  if (field >= clusters.fields) return;
  std::uint32_t best = 0;
  for (std::int32_t c = 0; c < clusters.q; ++c) {
    std::uint32_t& count = clusters.colours[field * clusters.q + c];
    best = count > best ? count : best;
    count = 0;
  }
  add_to(sums + columns * field + 1, best);
}

}  // namespace

void launch_step(const Clusters& clusters, std::uint32_t step, bool in_field, std::int64_t* moments) {
  const dim3 grid = grid_of(clusters.words, clusters.fields);
  launch("draw_bonds", draw_bonds, grid, block_threads, clusters, step);
  launch("label_tiles", label_tiles, grid, block_threads, clusters);
  launch("join_tiles", join_tiles, grid, block_threads, clusters);
  if (in_field) launch("bind_ghost", bind_ghost, grid, block_threads, clusters, step);
  launch("expand_clusters", expand_clusters, grid, block_threads, clusters, step, moments != nullptr);
  if (moments == nullptr) return;
  const std::int64_t blocks = (clusters.words + margin - 1) / margin;
  launch("take_moments", take_moments, grid_of(blocks, clusters.fields), block_threads, clusters, moments);
  launch("add_fourths", add_fourths, grid_of(clusters.fields, 1), block_threads, clusters, moments);
}

void launch_measure(const Clusters& clusters, std::int64_t* sums, std::int64_t columns) {
  launch("measure", measure, grid_of(clusters.words, clusters.fields), block_threads, clusters, sums, columns);
  if (clusters.q > 0)
    launch("take_commonest", take_commonest, grid_of(clusters.fields, 1), block_threads, clusters, sums, columns);
}

}  // namespace pyqmc::cuda
