#include "family.h"

#include <algorithm>
#include <cstdlib>

namespace scanline {

namespace {

Family Highest() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return __builtin_cpu_supports("avx512bf16") ? Family::kAvx512Bf16 : Family::kAvx512;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? Family::kAvx2 : Family::kBaseline;
}

Family Choose() {
  const char* asked = std::getenv("SCANLINE_CPU_FAMILY");
  const std::vector<std::string> names = Families();
  const auto found = asked == nullptr ? names.end() : std::find(names.begin(), names.end(), asked);
  return found == names.end() ? Highest() : static_cast<Family>(found - names.begin());
}

}  // namespace

std::vector<std::string> Families() {
  std::vector<std::string> names = {"baseline", "avx2", "avx512", "avx512_bf16"};
  names.resize(static_cast<size_t>(Highest()) + 1);
  return names;
}

const Family kFamily = Choose();

}  // namespace scanline
