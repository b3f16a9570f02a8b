#include "core/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace pyqmc {

class Barrier {
 public:
  explicit Barrier(int size) : size_(size) {}

  void wait() {
    const int generation = generation_.load(std::memory_order_acquire);
    if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
      waiting_.store(0, std::memory_order_relaxed);
      generation_.fetch_add(1, std::memory_order_release);
      return;
    }
    // A short spin, then give the core away: the machine may have fewer cores than the team has members.
    for (int spins = 0; generation_.load(std::memory_order_acquire) == generation; ++spins)
      if (spins > 2000) std::this_thread::yield();
  }

 private:
  const int size_;
  std::atomic<int> waiting_{0};
  std::atomic<int> generation_{0};
};

void Team::wait() const {
  if (size > 1) barrier->wait();
}

std::int64_t Team::begin(std::int64_t n) const { return n * rank / size; }

std::int64_t Team::end(std::int64_t n) const { return n * (rank + 1) / size; }

void over_replicas(std::int64_t replicas, int threads, bool shareable, Work work, const void* context) {
  const bool share = shareable && replicas < threads;
  const int wanted = share ? threads : static_cast<int>(std::min<std::int64_t>(threads, replicas));
  if (wanted < 1) return;
  // The members wait until it is known how many there are: the system may refuse to start some of them.
  std::atomic<int> size{0};
  std::atomic<Barrier*> barrier{nullptr};
  const auto member = [&](int rank) {
    while (size.load(std::memory_order_acquire) == 0) std::this_thread::yield();
    if (share) {
      work(context, Team{rank, size, barrier, rank}, 0, replicas);
    } else {
      const Team whole{rank, size, nullptr, rank};
      work(context, Team{0, 1, nullptr, rank}, whole.begin(replicas), whole.end(replicas));
    }
  };
  std::vector<std::thread> others;
  others.reserve(static_cast<std::size_t>(wanted));
  try {
    for (int rank = 1; rank < wanted; ++rank) others.emplace_back(member, rank);
  } catch (const std::system_error&) {
    // Fewer threads do the same work, with the same result.
  }
  Barrier together(static_cast<int>(others.size()) + 1);
  barrier = &together;
  size.store(static_cast<int>(others.size()) + 1, std::memory_order_release);
  member(0);
  for (std::thread& thread : others) thread.join();
}

}  // namespace pyqmc
