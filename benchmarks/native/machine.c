// What this machine can do at most: loops of one instruction, streams through memory, reads of random places.
// Compiled with -O3 -march=native when the benchmarks run; nothing of it ships.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Eight accumulators that do not depend on each other, four times over: 32 instructions a turn.
#define EIGHT(text, constraint)                                                                              \
  __asm__ volatile(text : "+" constraint(a));                                                                \
  __asm__ volatile(text : "+" constraint(b));                                                                \
  __asm__ volatile(text : "+" constraint(c));                                                                \
  __asm__ volatile(text : "+" constraint(d));                                                                \
  __asm__ volatile(text : "+" constraint(e));                                                                \
  __asm__ volatile(text : "+" constraint(f));                                                                \
  __asm__ volatile(text : "+" constraint(g));                                                                \
  __asm__ volatile(text : "+" constraint(h));

#define LOOP(name, type, constraint, text, target)                                                           \
  target void name(long turns) {                                                                             \
    type a = {0}, b = {0}, c = {0}, d = {0}, e = {0}, f = {0}, g = {0}, h = {0};                              \
    for (long i = 0; i < turns; ++i) {                                                                       \
      EIGHT(text, constraint) EIGHT(text, constraint) EIGHT(text, constraint) EIGHT(text, constraint)        \
    }                                                                                                        \
  }

#if defined(__x86_64__)
typedef long long v2 __attribute__((vector_size(16)));
typedef long long v4 __attribute__((vector_size(32)));
typedef long long v8 __attribute__((vector_size(64)));
#define PLAIN
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f")))
LOOP(add_scalar, uint64_t, "r", "addq %0, %0", PLAIN)
LOOP(add_baseline, v2, "x", "paddq %0, %0", PLAIN)
LOOP(add_avx2, v4, "x", "vpaddq %0, %0, %0", AVX2)
LOOP(add_avx512, v8, "v", "vpaddq %0, %0, %0", AVX512)
LOOP(multiply_scalar, uint64_t, "r", "imulq %0, %0", PLAIN)
LOOP(multiply_baseline, v2, "x", "pmuludq %0, %0", PLAIN)
LOOP(multiply_avx2, v4, "x", "vpmuludq %0, %0, %0", AVX2)
LOOP(multiply_avx512, v8, "v", "vpmuludq %0, %0, %0", AVX512)
LOOP(real_baseline, v2, "x", "mulpd %0, %0", PLAIN)
LOOP(real_avx2, v4, "x", "vfmadd213pd %0, %0, %0", AVX2)
LOOP(real_avx512, v8, "v", "vfmadd213pd %0, %0, %0", AVX512)

// A chain: each addition waits for the one before, so that one of them is one cycle.
void chain_scalar(long turns) {
  uint64_t a = 1, b = 3;
  for (long i = 0; i < turns; ++i) {
#define FOUR                                  \
  __asm__ volatile("addq %1, %0" : "+r"(a) : "r"(b)); \
  __asm__ volatile("addq %1, %0" : "+r"(a) : "r"(b)); \
  __asm__ volatile("addq %1, %0" : "+r"(a) : "r"(b)); \
  __asm__ volatile("addq %1, %0" : "+r"(a) : "r"(b));
    FOUR FOUR FOUR FOUR FOUR FOUR FOUR FOUR
  }
}
#endif

// STREAM's kernels (J. D. McCalpin, IEEE TCCA Newsletter, December 1995), and their halves, over and over.
#define STREAM(name, body)                                                                                   \
  void name(double* restrict to, const double* restrict from, const double* restrict other, size_t n,        \
            long times) {                                                                                    \
    (void)from, (void)other;                                                                                 \
    while (times-- > 0) {                                                                                    \
      body;                                                                                                  \
      __asm__ volatile("" ::: "memory");                                                                     \
    }                                                                                                        \
  }

typedef uint64_t w8 __attribute__((vector_size(64), aligned(8)));

static uint64_t all_of(const double* from, size_t n) {
  const w8* words = (const w8*)from;
  w8 a = {0}, b = {0}, c = {0}, d = {0};
  for (size_t i = 0; i + 4 <= n / 8; i += 4) a ^= words[i], b ^= words[i + 1], c ^= words[i + 2], d ^= words[i + 3];
  a ^= b ^ c ^ d;
  return a[0] ^ a[1] ^ a[2] ^ a[3] ^ a[4] ^ a[5] ^ a[6] ^ a[7];
}

STREAM(stream_copy, memcpy(to, from, n * sizeof *to))
STREAM(stream_triad, for (size_t i = 0; i < n; ++i) to[i] = from[i] + 3.0 * other[i])
STREAM(stream_fill, memset(to, 1, n * sizeof *to))
STREAM(stream_read, ((uint64_t*)to)[0] = all_of(from, n))

// Follow indices that form one cycle; each read waits for the one before.
int64_t chase(const int64_t* next, int64_t at, long steps) {
  for (long i = 0; i < steps; ++i) at = next[at];
  return at;
}
