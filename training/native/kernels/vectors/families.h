// Compiles the loops of SCANLINE_LOOPS, a file by its path from this folder, once for each family of processors, in a namespace and with the
// compiler's target of its own. Included by the .cc file that calls them (SCANLINE_CALL of family.h), inside of its namespace and after all
// other includes, of which <immintrin.h> must be one.
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
#undef SCANLINE_AVX512
#undef SCANLINE_AVX512_BF16
