// Shares the blocks of one kernel among threads.
#pragma once
#include <cstdint>
#include <functional>

namespace scanline {

// How many threads share a kernel's work, this one included. Takes effect for the first kernel that runs.
void SetKernelThreads(int count);

// That number.
int KernelThreads();

// Calls body(block) for each block in [0, blocks), on several threads where they are free. What a block computes must not depend on
// who else computes which: then the result is the same bit for bit, however many threads there are.
void ParallelFor(int64_t blocks, const std::function<void(int64_t)>& body);

}  // namespace scanline
