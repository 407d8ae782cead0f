// Compiles the loops of SCANLINE_LOOPS, a file, once for each family of processors. Included by the .cc file that calls them, inside of its
// namespace and after all other includes, of which <immintrin.h> must be one.
//
// SCANLINE_AVX512 and SCANLINE_AVX512_BF16 tell the loops what they are compiled for: g++ sets its own macros too late for them.

#define SCANLINE_AVX512 1
#define SCANLINE_AVX512_BF16 1
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")
namespace avx512_bf16 {
#include SCANLINE_LOOPS
}
#pragma GCC pop_options
#undef SCANLINE_AVX512_BF16
#define SCANLINE_AVX512_BF16 0
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
namespace avx512 {
#include SCANLINE_LOOPS
}
#pragma GCC pop_options
#undef SCANLINE_AVX512
#define SCANLINE_AVX512 0
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
#include SCANLINE_LOOPS
}
#pragma GCC pop_options
namespace baseline {
#include SCANLINE_LOOPS
}

enum class Family { kBaseline, kAvx2, kAvx512, kAvx512Bf16 };

inline Family DetectFamily() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return __builtin_cpu_supports("avx512bf16") ? Family::kAvx512Bf16 : Family::kAvx512;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? Family::kAvx2 : Family::kBaseline;
}

const Family kFamily = DetectFamily();

// Calls a loop of the family of this machine's processor.
#define SCANLINE_CALL(loop, ...)                                        \
  (kFamily == Family::kAvx512Bf16 ? avx512_bf16::loop(__VA_ARGS__)      \
   : kFamily == Family::kAvx512   ? avx512::loop(__VA_ARGS__)           \
   : kFamily == Family::kAvx2     ? avx2::loop(__VA_ARGS__)             \
                                  : baseline::loop(__VA_ARGS__))
