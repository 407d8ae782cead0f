// The families of processors that loops are compiled for (families.h), and the one that runs.
#pragma once
#include <string>
#include <vector>

namespace scanline {

enum class Family { kBaseline, kAvx2, kAvx512, kAvx512Bf16 };

// The names of those that this machine's processor is of, the lowest first: from "baseline" on, "avx2", "avx512", "avx512_bf16".
std::vector<std::string> Families();

// The highest of them, or the one that the environment variable SCANLINE_CPU_FAMILY named when this library was loaded: so tests run the
// loops of lower ones. A name that is none of them is refused by training/native/tensorflow.ts, which loads the library.
extern const Family kFamily;

// Calls a loop of that family.
#define SCANLINE_CALL(loop, ...)                                   \
  (kFamily == Family::kAvx512Bf16 ? avx512_bf16::loop(__VA_ARGS__) \
   : kFamily == Family::kAvx512   ? avx512::loop(__VA_ARGS__)      \
   : kFamily == Family::kAvx2     ? avx2::loop(__VA_ARGS__)        \
                                  : baseline::loop(__VA_ARGS__))

}  // namespace scanline
