// A team of threads for one call: started at its beginning, gone at its end, so that a fork never meets a live pool.
#pragma once

#include <cstdint>

namespace pyqmc {

class Barrier;

// One member of a team that works on the same replica.
struct Team {
  int rank;
  int size;
  Barrier* barrier;
  int thread;  // number of the thread in this call, for scratch memory

  // Returns once every member has called it.
  void wait() const;

  // This member's share [begin, end) of n pieces of work.
  std::int64_t begin(std::int64_t n) const;
  std::int64_t end(std::int64_t n) const;
};

// Calls work(context, team, first, last) on up to `threads` threads for the replicas [0, replicas). Either every thread
// owns whole replicas (teams of one), or, where there are fewer replicas than threads, all threads share each of them.
// `work` must not throw.
using Work = void (*)(const void* context, const Team& team, std::int64_t first, std::int64_t last);
void over_replicas(std::int64_t replicas, int threads, bool shareable, Work work, const void* context);

}  // namespace pyqmc
