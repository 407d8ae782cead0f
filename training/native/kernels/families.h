// Includes SCANLINE_LOOPS once for each family of processors, in a namespace and with the compiler's target of its own. Meant to be included
// in the middle of a file, any number of times.
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
namespace avx512 {
#include SCANLINE_LOOPS
}
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
#include SCANLINE_LOOPS
}
#pragma GCC pop_options
namespace baseline {
#include SCANLINE_LOOPS
}
