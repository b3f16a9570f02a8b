// Swendsen-Wang and measurements on a device as the processor sees them: fields to bit planes and back, memory,
// launches.
#define PYQMC_DEVICE 1
#define PYQMC_ISA device

#include "cuda/clusters.hpp"

namespace pyqmc::cuda {
namespace {

// The bit planes of 64 values: Ising spins have one, 1 for -1; colours as many as they have digits.
template <class T>
void pack_field(const Batch& batch, std::int64_t field, std::int32_t planes, std::uint64_t* first,
                std::int64_t map_length) {
  const std::int64_t sites = sites_of(batch.lattice);
  const T* values = static_cast<const T*>(batch.field) + field * sites;
  for (std::int64_t k = 0; k < bits::words_for(sites); ++k) {
    T padded[64] = {};
    for (int x = 0; x < 64 && 64 * k + x < sites; ++x) padded[x] = values[64 * k + x];
    for (std::int32_t p = 0; p < planes; ++p) first[p * map_length + k] = bits::plane_of(padded, batch.q == 0 ? 7 : p);
  }
}

template <class T>
void unpack_field(const Batch& batch, std::int64_t field, std::int32_t planes, const std::uint64_t* first,
                  std::int64_t map_length) {
  const std::int64_t sites = sites_of(batch.lattice);
  T* values = static_cast<T*>(batch.field) + field * sites;
  for (std::int64_t i = 0; i < sites; ++i) {
    int value = 0;
    for (std::int32_t p = 0; p < planes; ++p)
      value |= static_cast<int>(first[p * map_length + (i >> 6)] >> (i & 63) & 1) << p;
    values[i] = static_cast<T>(batch.q == 0 ? 1 - 2 * value : value);
  }
}

Clusters plan_clusters(const ClusterJob& job, const std::vector<Link>& links) {
  const Lattice& lattice = job.batch.lattice;
  Clusters plan{};
  plan.sites = sites_of(lattice);
  plan.words = bits::words_for(plan.sites);
  plan.map_length = plan.words + 2 * margin;
  plan.fields = job.batch.batch;
  plan.rungs = job.batch.rungs;
  plan.q = job.batch.q;
  plan.planes = 1;
  while (plan.q > 1 << plan.planes) ++plan.planes;
  plan.links = static_cast<std::int32_t>(links.size());
  for (std::size_t l = 0; l < links.size(); ++l) plan.link[l] = links[l];
  plan.directions = lattice.kind == LatticeKind::triangular ? 3 : lattice.dimension;
  plan.unequal = job.unequal;
  plan.ghost_spin = job.ghost_spin;
  plan.key = job.batch.key;
  plan.first_replica = job.batch.first_replica;
  return plan;
}

// The bit maps of all links, one after the other, with their margins.
std::vector<std::uint64_t> maps_of(const std::vector<Link>& links, std::int64_t map_length) {
  std::vector<std::uint64_t> maps;
  for (const Link& link : links) maps.insert(maps.end(), link.has - margin, link.has - margin + map_length);
  return maps;
}

template <class T>
std::vector<T> copied(const T* values, std::int64_t count) {
  return values == nullptr ? std::vector<T>() : std::vector<T>(values, values + count);
}

// A batch on the device, and what it needs there.
class Bench {
 public:
  Bench(const ClusterJob& job, const std::vector<Link>& links, bool with_moments)
      : batch_(job.batch),
        plan_(plan_clusters(job, links)),
        row_(plan_.fields * batch_.columns),
        measured_(batch_.sums == nullptr ? 0 : batch_.steps / batch_.every),
        host_maps_(static_cast<std::size_t>(plan_.fields * (plan_.planes + plan_.links + 2) * plan_.map_length)),
        has_(maps_of(links, plan_.map_length)),
        maps_(host_maps_.size()),
        parent_(words() * 64),
        bond_(copied(job.bond, plan_.rungs)),
        ghost_(copied(job.ghost, plan_.rungs)),
        tally_(copied(batch_.tally, plan_.fields)),
        sums_(copied(batch_.sums, measured_ * row_)),
        moments_(with_moments ? words() * 64 : 0),
        fourths_(with_moments ? words() : 0),
        colours_(static_cast<std::size_t>(plan_.fields * plan_.q)) {
    for (int l = 0; l < plan_.links; ++l) plan_.link[l].has = has_.data() + l * plan_.map_length + margin;
    plan_.maps = host_maps_.data();
    over_fields([this](auto value, std::int64_t field) {
      pack_field<decltype(value)>(batch_, field, plan_.planes, plan_.map(field, 0), plan_.map_length);
    });
    maps_.upload(host_maps_.data());
    moments_.clear();
    colours_.clear();
    plan_.maps = maps_.data();
    plan_.parent = parent_.data();
    plan_.bond = bond_.data();
    plan_.ghost = ghost_.data();
    plan_.tally = tally_.data();
    plan_.moments = moments_.data();
    plan_.fourths = fourths_.data();
    plan_.colours = colours_.data();
  }

  const Clusters& plan() const { return plan_; }
  std::int64_t measured() const { return measured_; }
  std::int64_t* sums(std::int64_t measurement) const { return sums_.data() + measurement * row_; }

  // Waits for the device, and brings home what was measured.
  void take_sums() const {
    finish("a cluster update or a measurement");
    sums_.download(batch_.sums);
  }

  // And everything else that changed.
  void take_all() {
    take_sums();
    maps_.download(host_maps_.data());
    tally_.download(batch_.tally);
    plan_.maps = host_maps_.data();
    over_fields([this](auto value, std::int64_t field) {
      unpack_field<decltype(value)>(batch_, field, plan_.planes, plan_.map(field, 0), plan_.map_length);
    });
  }

 private:
  std::size_t words() const { return static_cast<std::size_t>(plan_.fields * plan_.words); }

  template <class Visit>
  void over_fields(const Visit& visit) const {
    for (std::int64_t field = 0; field < plan_.fields; ++field) {
      if (batch_.bytes == 1) visit(std::int8_t{}, field);
      else visit(std::int16_t{}, field);
    }
  }

  const Batch batch_;
  Clusters plan_;
  const std::int64_t row_, measured_;  // of sums
  std::vector<std::uint64_t> host_maps_;
  const Memory<std::uint64_t> has_, maps_;
  const Memory<std::uint32_t> parent_;
  const Memory<std::uint64_t> bond_, ghost_;
  const Memory<std::int64_t> tally_, sums_;
  const Memory<std::int32_t> moments_;
  const Memory<double> fourths_;
  const Memory<std::uint32_t> colours_;
};

}  // namespace

void run_swendsen_wang(const ClusterJob& job) {
  const Batch& batch = job.batch;
  if (batch.batch == 0 || batch.steps == 0) return;
  const Links links(batch.lattice);
  bool in_field = false;
  for (std::int64_t rung = 0; rung < batch.rungs; ++rung) in_field |= job.ghost[rung] != 0;
  Bench bench(job, links.list(), batch.columns == 4 && batch.sums != nullptr);
  for (std::int64_t done = 1; done <= batch.steps; ++done) {
    const std::int64_t row = done / batch.every - 1;
    const bool due = done % batch.every == 0 && row < bench.measured();
    launch_step(bench.plan(), batch.first_step + static_cast<std::uint32_t>(done - 1), in_field,
                due && batch.columns == 4 ? bench.sums(row) : nullptr);
    if (due) launch_measure(bench.plan(), bench.sums(row), batch.columns);
  }
  bench.take_all();
}

void run_measure(const Batch& batch) {
  if (batch.batch == 0 || batch.sums == nullptr) return;
  const std::vector<std::uint64_t> none(static_cast<std::size_t>(batch.rungs));
  ClusterJob job{};
  job.batch = batch;
  job.bond = job.ghost = none.data();
  const Links links(batch.lattice);
  const Bench bench(job, links.list(), false);
  launch_measure(bench.plan(), bench.sums(0), batch.columns);
  bench.take_sums();
}

}  // namespace pyqmc::cuda
