// The two passes of a separable resampling on a device. A thread block makes a tile of one cut: it takes the source
// rows that the tile needs a few at a time, resamples them across into shared memory, and every thread then adds them
// to the sums of its own pixel.
#define PYQMC_DEVICE 1
#define PYQMC_ISA device

#include "cuda/launch.hpp"
#include "images/plain.hpp"
#include "images/taps.hpp"

namespace pyqmc::cuda {
namespace {

constexpr int tile_columns = 32, tile_rows = 4, rows_at_once = 16, most_channels = 4;
static_assert(tile_columns * tile_rows == static_cast<int>(block_threads));

// The taps of one cut.
struct DeviceCut {
  Taps across, down;
};

struct Resampling {
  const std::uint8_t* source;  // (height, width, channels)
  std::int64_t row_bytes;
  int channels;
  const DeviceCut* cuts;
  std::int64_t count;
  std::uint8_t* out;  // (count, down.size, across.size, channels)
};

// Source rows [begin, end) that the output rows [first, stop) of a cut need.
__device__ void find_rows(const Taps& down, std::int64_t first, std::int64_t stop, std::int64_t& begin,
                          std::int64_t& end) {
  begin = down.start[first];
  end = begin;
  for (std::int64_t y = first; y < stop; ++y) {
    const std::int64_t low = down.start[y], high = low + down.count[y];
    begin = low < begin ? low : begin;
    end = high > end ? high : end;
  }
}

// One pixel of a source row, resampled across.
__device__ void take_across(const Resampling& job, const Taps& across, std::int64_t row, std::int64_t x,
                            std::uint8_t* pixel) {
  const std::int32_t* weight = across.weight + x * across.taps;
  const std::uint8_t* source = job.source + row * job.row_bytes + across.start[x] * job.channels;
  for (int c = 0; c < job.channels; ++c) {
    std::int32_t sum = 1 << 21;
    for (std::int64_t k = 0; k < across.count[x]; ++k) sum += weight[k] * source[k * job.channels + c];
    pixel[c] = as_byte(sum);
  }
}

__global__ void resample_tiles(Resampling job) {
  __shared__ std::uint8_t rows[rows_at_once][tile_columns * most_channels];
  const int column = static_cast<int>(threadIdx.x) % tile_columns, line = static_cast<int>(threadIdx.x) / tile_columns;
  for (std::int64_t n = blockIdx.z; n < job.count; n += gridDim.z) {
    const Taps &across = job.cuts[n].across, &down = job.cuts[n].down;
    const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * tile_rows;
    const std::int64_t stop = first + tile_rows < down.size ? first + tile_rows : down.size;
    const std::int64_t x = static_cast<std::int64_t>(blockIdx.x) * tile_columns + column, y = first + line;
    std::int64_t begin, end;
    find_rows(down, first, stop, begin, end);
    std::int32_t sum[most_channels] = {1 << 21, 1 << 21, 1 << 21, 1 << 21};
    for (std::int64_t row = begin; row < end; row += rows_at_once) {
      for (int r = line; r < rows_at_once; r += tile_rows)
        if (x < across.size && row + r < end) take_across(job, across, row + r, x, rows[r] + column * job.channels);
      __syncthreads();
      if (x < across.size && y < stop) {
        for (int r = 0; r < rows_at_once; ++r) {
          const std::int64_t k = row + r - down.start[y];
          if (k < 0 || k >= down.count[y]) continue;
          const std::int32_t weight = down.weight[y * down.taps + k];
          for (int c = 0; c < job.channels; ++c) sum[c] += weight * rows[r][column * job.channels + c];
        }
      }
      __syncthreads();
    }
    if (x >= across.size || y >= stop) continue;
    std::uint8_t* pixel = job.out + ((n * down.size + y) * across.size + x) * job.channels;
    for (int c = 0; c < job.channels; ++c) pixel[c] = as_byte(sum[c]);
  }
}

// Taps of all cuts in one piece of memory.
class TapStore {
 public:
  TapStore(const Pixels& source, Filter filter, const std::vector<Box>& boxes, std::int64_t height,
           std::int64_t width) {
    for (const Box& box : boxes) {
      tables_.push_back(make_taps(filter, source.width, box.left, box.right, width));
      tables_.push_back(make_taps(filter, source.height, box.top, box.bottom, height));
    }
    std::size_t length = 0;
    for (const TapTable& table : tables_) length += 2 * table.start.size() + table.weight.size();
    numbers_.reserve(length);
    for (const TapTable& table : tables_)
      for (const std::vector<std::int32_t>* part : {&table.start, &table.count, &table.weight})
        numbers_.insert(numbers_.end(), part->begin(), part->end());
  }

  const std::vector<std::int32_t>& numbers() const { return numbers_; }

  // What the cuts point to once the numbers lie at `place`.
  std::vector<DeviceCut> cuts(const std::int32_t* place) const {
    std::vector<DeviceCut> cuts(tables_.size() / 2);
    for (std::size_t i = 0; i < tables_.size(); ++i) {
      const TapTable& table = tables_[i];
      const std::int64_t size = static_cast<std::int64_t>(table.start.size());
      Taps& taps = i % 2 == 0 ? cuts[i / 2].across : cuts[i / 2].down;
      taps = {size, table.taps, 0, 0, place, place + size, place + 2 * size, nullptr, nullptr, nullptr};
      place += 2 * size + static_cast<std::int64_t>(table.weight.size());
    }
    return cuts;
  }

 private:
  std::vector<TapTable> tables_;
  std::vector<std::int32_t> numbers_;
};

}  // namespace

void run_resample(const Pixels& source, Filter filter, const std::vector<Box>& boxes, std::int64_t height,
                  std::int64_t width, std::uint8_t* out) {
  const std::int64_t row_bytes = source.width * source.channels, count = static_cast<std::int64_t>(boxes.size());
  std::vector<std::uint8_t> pixels;
  pixels.reserve(static_cast<std::size_t>(source.height * row_bytes));
  for (std::int64_t y = 0; y < source.height; ++y)
    pixels.insert(pixels.end(), source.data + y * source.row_bytes, source.data + y * source.row_bytes + row_bytes);
  const TapStore store(source, filter, boxes, height, width);
  const Memory<std::int32_t> numbers(store.numbers());
  const Memory<DeviceCut> cuts(store.cuts(numbers.data()));
  const Memory<std::uint8_t> device_source(pixels);
  const Memory<std::uint8_t> result(static_cast<std::size_t>(count * height * width * source.channels));
  const auto tiles = [](std::int64_t n, int size) { return static_cast<unsigned>((n + size - 1) / size); };
  const dim3 grid(tiles(width, tile_columns), tiles(height, tile_rows),
                  static_cast<unsigned>(count < most_rows ? count : most_rows));
  launch("resample_tiles", resample_tiles, grid, block_threads,
         Resampling{device_source.data(), row_bytes, static_cast<int>(source.channels), cuts.data(), count,
                    result.data()});
  finish("a resampling");
  result.download(out);
}

}  // namespace pyqmc::cuda
