// Memory that a thread keeps from one kernel to the next.
#pragma once
#include <cstdint>
#include <vector>

namespace scanline {

// Room for so many values, from the beginning of a cache line on. It is this thread's own, holds anything, and serves until this thread asks
// again for values of the type, in whichever kernel: a kernel takes all that it needs at once.
template <typename T>
T* Scratch(int64_t values) {
  static thread_local std::vector<T> memory;
  constexpr int64_t kLine = 64 / sizeof(T);
  if (static_cast<int64_t>(memory.size()) < values + kLine) memory.resize(values + kLine);
  return memory.data() + (kLine - reinterpret_cast<uintptr_t>(memory.data()) / sizeof(T) % kLine) % kLine;
}

}  // namespace scanline
