// Checkerboard sweeps of kernels/multispin.hpp on a device: a thread has one lane of a block, that is up to eight words
// of one colour, and the generator that belongs to it. Fields are packed and unpacked by the processor.
#define PYQMC_DEVICE 1
#define PYQMC_ISA device

#include "cuda/launch.hpp"
#include "kernels/multispin.hpp"

namespace pyqmc::cuda {
namespace {

// Fields whose lanes one thread block can hold are swept many times in one launch.
constexpr std::int64_t small_lanes = block_threads;

// What all launches of a call share.
struct Sweeps {
  PackedShape shape;
  std::int64_t words, blocks, lanes;  // of one field: words of a plane, blocks of a plane, lanes of all
  std::int64_t fields, rungs;
  std::uint64_t* memory;         // (fields, shape.memory)
  const Thresholds* thresholds;  // (rungs)
  std::uint64_t key;
  std::uint32_t first_replica;
  std::int64_t* tally;  // (fields)

  __device__ Packed packed(std::int64_t field) const { return Packed(shape, 1, memory + field * shape.memory, false); }
  __device__ Draws draws(std::int64_t field, std::uint32_t step) const {
    return {key, first_replica + static_cast<std::uint32_t>(field), step};
  }
};

template <int axes, class Rule>
__device__ std::int64_t update_lane(const Pass& pass, const Sweeps& sweeps, std::int64_t number) {
  const std::int64_t unit = number / lanes_of_block, z = unit / sweeps.blocks;
  const std::int64_t first = unit % sweeps.blocks * words_of_block + number % lanes_of_block;
  if (first >= sweeps.words) return 0;
  const Block seed =
      pass.draws.block(Purpose::site, static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(pass.colour));
  lanes::Xoroshiro generator{{seed.word[0] | static_cast<std::uint64_t>(seed.word[1]) << 32},
                             {seed.word[2] | static_cast<std::uint64_t>(seed.word[3]) << 32}};
  lanes::Counter accepted;
  std::int64_t alone = 0;
  update_lanes<axes, Layout::words, Rule>(pass, z, first, generator, accepted, &alone);
  std::uint64_t* plane = pass.packed.plane(pass.colour, z);
  for (std::int64_t w = first; w < first + words_of_block && w < sweeps.words; w += lanes_of_block)
    pass.packed.close(plane, w, w + 1);
  return lanes::add_up(accepted.total()) + alone;
}

template <int axes>
__device__ std::int64_t update(const Sweeps& sweeps, std::int64_t field, std::uint32_t step, int colour,
                               std::int64_t number) {
  const Packed packed = sweeps.packed(field);
  const Thresholds& thresholds = sweeps.thresholds[field % sweeps.rungs];
  const Pass pass{packed, thresholds, sweeps.draws(field, step), 0, colour};
  if (thresholds.steep) return update_lane<axes, Steep<axes>>(pass, sweeps, number);
  if (thresholds.in_field) return update_lane<axes, Tabulated<true>>(pass, sweeps, number);
  return update_lane<axes, Tabulated<false>>(pass, sweeps, number);
}

// One colour of fields of any size: a row of the grid for each field.
template <int axes>
__device__ void update_colour(const Sweeps& sweeps, std::uint32_t step, int colour, std::int64_t* shared) {
  for (std::int64_t field = blockIdx.y; field < sweeps.fields; field += gridDim.y) {
    const std::int64_t number = thread_of_row();
    add_block(shared, sweeps.tally + field,
              number < sweeps.lanes ? update<axes>(sweeps, field, step, colour, number) : 0);
  }
}

__global__ void half_sweep_square(Sweeps sweeps, std::uint32_t step, int colour) {
  __shared__ std::int64_t shared;
  update_colour<2>(sweeps, step, colour, &shared);
}

__global__ void half_sweep_cubic(Sweeps sweeps, std::uint32_t step, int colour) {
  __shared__ std::int64_t shared;
  update_colour<3>(sweeps, step, colour, &shared);
}

// Whole sweeps of small fields, several of them to a thread block; between the colours its threads wait for each other.
template <int axes>
__device__ void update_small(const Sweeps& sweeps, std::uint32_t first_step, std::int64_t steps) {
  const std::int64_t together = blockDim.x / sweeps.lanes, slot = threadIdx.x / sweeps.lanes;
  const std::int64_t field = blockIdx.x * together + slot, number = threadIdx.x % sweeps.lanes;
  const bool works = slot < together && field < sweeps.fields;
  std::int64_t accepted = 0;
  for (std::int64_t step = 0; step < steps; ++step) {
    for (int colour = 0; colour < 2; ++colour) {
      if (works) accepted += update<axes>(sweeps, field, first_step + static_cast<std::uint32_t>(step), colour, number);
      __syncthreads();
    }
  }
  if (works) add_to(sweeps.tally + field, accepted);
}

__global__ void sweep_small_square(Sweeps sweeps, std::uint32_t first_step, std::int64_t steps) {
  update_small<2>(sweeps, first_step, steps);
}

__global__ void sweep_small_cubic(Sweeps sweeps, std::uint32_t first_step, std::int64_t steps) {
  update_small<3>(sweeps, first_step, steps);
}

// Adds equal bonds and magnetization of every field to sums (fields, 2), one word for each thread.
template <int axes>
__device__ void add_sums(const Sweeps& sweeps, std::int64_t* sums, std::int64_t* shared) {
  for (std::int64_t field = blockIdx.y; field < sweeps.fields; field += gridDim.y) {
    PackedSums mine{};
    const std::int64_t word = thread_of_row();
    if (word < sweeps.words * sweeps.shape.planes)
      mine.template add<axes, false>(sweeps.packed(field), word / sweeps.words, word % sweeps.words);
    add_block(shared, sums + 2 * field, lanes::add_up(mine.equal));
    add_block(shared, sums + 2 * field + 1, lanes::add_up(mine.magnetization));
  }
}

__global__ void measure_square(Sweeps sweeps, std::int64_t* sums) {
  __shared__ std::int64_t shared;
  add_sums<2>(sweeps, sums, &shared);
}

__global__ void measure_cubic(Sweeps sweeps, std::int64_t* sums) {
  __shared__ std::int64_t shared;
  add_sums<3>(sweeps, sums, &shared);
}

// The packed shape without room for fields side by side.
PackedShape shape_of(const Lattice& lattice) {
  PackedShape shape = packed_shape(lattice);
  shape.many = false;
  shape.memory = 2 * shape.planes * shape.stride + 3 * (2 * shape.words + lanes_of_block);
  return shape;
}

// Calls visit(packed, spins) for every field of a batch.
template <class Visit>
void over_fields(const Batch& batch, const PackedShape& shape, std::vector<std::uint64_t>& memory, bool is_first,
                 const Visit& visit) {
  for (std::int64_t field = 0; field < batch.batch; ++field)
    visit(Packed(shape, 1, memory.data() + field * shape.memory, is_first),
          static_cast<std::int8_t*>(batch.field) + field * sites_of(batch.lattice));
}

void do_steps(const Batch& batch, const Sweeps& sweeps, std::int64_t* sums) {
  const bool square = batch.lattice.dimension == 2, small = sweeps.lanes <= small_lanes;
  const std::int64_t measurements = sums == nullptr ? 0 : batch.steps / batch.every;
  const std::int64_t together = small ? block_threads / sweeps.lanes : 1;
  const dim3 blocks(static_cast<unsigned>((sweeps.fields + together - 1) / together));
  for (std::int64_t done = 0; done < batch.steps;) {
    const std::int64_t row = done / batch.every, next = (row + 1) * batch.every;
    const std::int64_t steps = !small ? 1 : row < measurements ? next - done : batch.steps - done;
    const std::uint32_t step = batch.first_step + static_cast<std::uint32_t>(done);
    if (small)
      launch("sweep_small", square ? sweep_small_square : sweep_small_cubic, blocks, block_threads, sweeps, step,
             steps);
    for (int colour = 0; colour < 2 && !small; ++colour)
      launch("half_sweep", square ? half_sweep_square : half_sweep_cubic, grid_of(sweeps.lanes, sweeps.fields),
             block_threads, sweeps, step, colour);
    done += steps;
    if (row < measurements && done == next)
      launch("measure", square ? measure_square : measure_cubic,
             grid_of(sweeps.words * sweeps.shape.planes, sweeps.fields), block_threads, sweeps,
             sums + row * batch.batch * 2);
  }
  finish("a multi-spin sweep");
}

}  // namespace

void run_multispin(const Batch& batch, const std::uint64_t* table) {
  if (batch.batch == 0 || batch.steps == 0) return;
  const PackedShape shape = shape_of(batch.lattice);
  const int z = 2 * batch.lattice.dimension;
  const std::int64_t words = shape.rows * shape.words;
  const std::int64_t blocks = (words + words_of_block - 1) / words_of_block;
  std::vector<Thresholds> thresholds(static_cast<std::size_t>(batch.rungs), Thresholds{});
  for (std::int64_t rung = 0; rung < batch.rungs; ++rung)
    thresholds[static_cast<std::size_t>(rung)].set(table + rung * 2 * (2 * z + 1), z);
  std::vector<std::uint64_t> fields(static_cast<std::size_t>(batch.batch * shape.memory));
  over_fields(batch, shape, fields, true, [&shape](const Packed& packed, std::int8_t* spins) {
    pack(packed, 0, spins, 0, shape.planes * shape.rows);
    packed.close_all();
  });
  const Memory<Thresholds> device_thresholds(thresholds);
  const Memory<std::uint64_t> memory(fields);
  std::vector<std::int64_t> tally(batch.tally, batch.tally + batch.batch);
  const Memory<std::int64_t> device_tally(tally);
  const std::size_t measured =
      batch.sums == nullptr ? 0 : static_cast<std::size_t>(batch.steps / batch.every * batch.batch * 2);
  const Memory<std::int64_t> sums(std::vector<std::int64_t>(batch.sums, batch.sums + measured));
  const Sweeps sweeps{shape,
                      words,
                      blocks,
                      blocks * shape.planes * lanes_of_block,
                      batch.batch,
                      batch.rungs,
                      memory.data(),
                      device_thresholds.data(),
                      batch.key,
                      batch.first_replica,
                      device_tally.data()};
  do_steps(batch, sweeps, sums.data());
  memory.download(fields.data());
  sums.download(batch.sums);
  device_tally.download(batch.tally);
  over_fields(batch, shape, fields, false, [&shape](const Packed& packed, std::int8_t* spins) {
    unpack(packed, 0, spins, 0, shape.planes * shape.rows);
  });
}

}  // namespace pyqmc::cuda
