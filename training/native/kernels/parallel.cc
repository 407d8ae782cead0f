#include "parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace scanline {

namespace {

std::atomic<int> thread_count{0};

// Kernels follow each other closely: waiting some 20 microseconds awake costs less than going to sleep and being woken.
constexpr int kTurns = 2000;

// One kernel's work: who has time takes the next block.
struct Job {
  const std::function<void(int64_t)>* body;
  const int64_t blocks;
  std::atomic<int64_t> next{0};
  int threads = 0;

  bool open() const { return next < blocks; }
  void Work() {
    for (int64_t block = next++; block < blocks; block = next++) (*body)(block);
  }
};

// Whether this thread works on a job: what it starts within it, it does alone, for all others could be waiting for it.
thread_local bool is_working = false;

// The threads of all kernels that run: those that called them, and some that live as long as the process. No more than KernelThreads() work
// at the same time, on the kernel that began first before the others: else they would drive each other's factors out of the caches.
class Pool {
 public:
  static Pool& Get() {
    static Pool* pool = new Pool();
    return *pool;
  }

  void Run(int64_t blocks, const std::function<void(int64_t)>& body) {
    Job job{&body, blocks};
    if (most_ == 1 || blocks <= 1 || is_working) return job.Work();
    std::unique_lock<std::mutex> lock(mutex_);
    jobs_.push_back(&job);
    Change();
    while (job.open() || job.threads > 0) {
      if (job.open() && working_ < most_) {
        WorkOn(&job, lock);
      } else {
        WaitForChange(lock);
      }
    }
    jobs_.erase(std::find(jobs_.begin(), jobs_.end(), &job));
  }

 private:
  Pool() : most_(KernelThreads()) {
    for (int i = 1; i < most_; i++) std::thread([this] { Loop(); }).detach();
  }

  void Change() {
    changes_++;
    changed_.notify_all();
  }

  void WaitForChange(std::unique_lock<std::mutex>& lock) {
    const uint64_t seen = changes_;
    lock.unlock();
    for (int turn = 0; turn < kTurns && changes_ == seen; turn++) __builtin_ia32_pause();
    lock.lock();
    changed_.wait(lock, [&] { return changes_ != seen; });
  }

  void WorkOn(Job* job, std::unique_lock<std::mutex>& lock) {
    job->threads++;
    working_++;
    lock.unlock();
    is_working = true;
    job->Work();
    is_working = false;
    lock.lock();
    job->threads--;
    working_--;
    Change();
  }

  void Loop() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      const auto open = std::find_if(jobs_.begin(), jobs_.end(), [](const Job* job) { return job->open(); });
      if (open != jobs_.end() && working_ < most_) {
        WorkOn(*open, lock);
      } else {
        WaitForChange(lock);
      }
    }
  }

  const int most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<uint64_t> changes_{0};
  std::vector<Job*> jobs_;
  int working_ = 0;
};

}  // namespace

void SetKernelThreads(int count) { thread_count = count; }

int KernelThreads() {
  const int asked = thread_count.load();
  return std::max(1, asked > 0 ? asked : static_cast<int>(std::thread::hardware_concurrency()));
}

void ParallelFor(int64_t blocks, const std::function<void(int64_t)>& body) { Pool::Get().Run(blocks, body); }

}  // namespace scanline
