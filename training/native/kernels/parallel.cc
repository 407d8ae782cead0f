#include "parallel.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace scanline {

namespace {

std::atomic<int> thread_count{0};

// Kernels follow each other closely: waiting some 20 microseconds awake costs less than going to sleep and being woken.
constexpr int kTurns = 2000;

template <typename Ready>
void WaitAwake(const Ready& ready) {
  for (int turn = 0; turn < kTurns && !ready(); turn++) __builtin_ia32_pause();
}

// Threads that wait for one job at a time. They live as long as the process.
class Pool {
 public:
  static Pool& Get() {
    static Pool* pool = new Pool();
    return *pool;
  }

  void Run(int64_t blocks, const std::function<void(int64_t)>& body) {
    std::unique_lock<std::mutex> job(job_mutex_, std::try_to_lock);
    // Another kernel has the threads: this one's own thread does its work.
    if (!job.owns_lock() || workers_ == 0 || blocks == 1) {
      for (int64_t block = 0; block < blocks; block++) body(block);
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      body_ = &body;
      blocks_ = blocks;
      next_ = 0;
      busy_ = workers_;
      generation_++;
    }
    wake_.notify_all();
    Work();
    WaitAwake([this] { return busy_ == 0; });
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  Pool() {
    const int asked = thread_count.load();
    const int count = asked > 0 ? asked : static_cast<int>(std::thread::hardware_concurrency());
    workers_ = count > 1 ? count - 1 : 0;
    for (int i = 0; i < workers_; i++) std::thread([this] { Loop(); }).detach();
  }

  void Work() {
    for (int64_t block = next_++; block < blocks_; block = next_++) (*body_)(block);
  }

  void Loop() {
    uint64_t seen = 0;
    for (;;) {
      WaitAwake([&] { return generation_ != seen; });
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return generation_ != seen; });
        seen = generation_;
      }
      Work();
      std::lock_guard<std::mutex> lock(mutex_);
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::mutex job_mutex_, mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(int64_t)>* body_ = nullptr;
  std::atomic<int64_t> next_{0};
  int64_t blocks_ = 0;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> busy_{0};
  int workers_ = 0;
};

}  // namespace

void SetKernelThreads(int count) { thread_count = count; }

void ParallelFor(int64_t blocks, const std::function<void(int64_t)>& body) { Pool::Get().Run(blocks, body); }

}  // namespace scanline
