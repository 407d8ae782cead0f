// A Node.js addon of its own, linked to nothing of TensorFlow: it loads the library quietly before the addons that are linked to it.
#include <napi.h>

#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

// Keeps what is written to stderr while it lives, then passes on all but the log library's informational lines: TensorFlow logs a
// note about oneDNN while it is loaded, before any log level can be set, in every process.
class StderrFilter {
 public:
  StderrFilter() : buffer_(memfd_create("scanline-stderr", MFD_CLOEXEC)), stderr_(dup(STDERR_FILENO)) {
    if (buffer_ >= 0 && stderr_ >= 0) dup2(buffer_, STDERR_FILENO);
  }

  ~StderrFilter() {
    if (buffer_ >= 0 && stderr_ >= 0) {
      dup2(stderr_, STDERR_FILENO);
      PassOn();
    }
    if (buffer_ >= 0) close(buffer_);
    if (stderr_ >= 0) close(stderr_);
  }

 private:
  static bool IsInformational(const std::string& line) {
    const bool info = line.size() > 5 && line[0] == 'I' && line.find_first_not_of("0123456789", 1) == 5;
    return info || line.rfind("WARNING: All log messages before absl::InitializeLog()", 0) == 0;
  }

  void PassOn() {
    std::string text(lseek(buffer_, 0, SEEK_END), '\0');
    if (pread(buffer_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) return;
    for (size_t start = 0; start < text.size();) {
      const size_t end = std::min(text.find('\n', start), text.size() - 1) + 1;
      const std::string line = text.substr(start, end - start);
      if (!IsInformational(line) && write(STDERR_FILENO, line.data(), line.size()) < 0) return;
      start = end;
    }
  }

  const int buffer_, stderr_;
};

// absl::SetMinLogLevel, under the name that this release of TensorFlow exports it by; absent from another release, it is not called.
void LogErrorsOnly(void* library) {
  auto set_level = reinterpret_cast<void (*)(int)>(dlsym(library, "_ZN4absl12lts_2025081414SetMinLogLevelENS0_18LogSeverityAtLeastE"));
  constexpr int kError = 2;
  if (set_level != nullptr) set_level(kError);
}

// Gives back the pages of the library that only the dynamic linker read: its symbols and relocations, 200 MB that would stay resident.
// What is needed again comes back from the file.
int ReleaseReadOnlyPages(dl_phdr_info* object, size_t, void*) {
  if (strstr(object->dlpi_name, "libtensorflow") == nullptr) return 0;
  const size_t page = sysconf(_SC_PAGESIZE);
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const size_t start = (object->dlpi_addr + segment.p_vaddr) / page * page;
    const size_t end = object->dlpi_addr + segment.p_vaddr + segment.p_memsz;
    madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);
  }
  return 0;
}

// load(path): throws the dynamic linker's message. The library stays loaded, outside the scope in which others look for symbols.
void Load(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  void* library;
  {
    StderrFilter filter;
    library = dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
  }
  if (library == nullptr) throw Napi::Error::New(info.Env(), dlerror());
  dl_iterate_phdr(ReleaseReadOnlyPages, nullptr);
  const char* level = getenv("TF_CPP_MIN_LOG_LEVEL");
  if (level == nullptr || *level == '\0') LogErrorsOnly(library);
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("load", Napi::Function::New<Load>(env, "load"));
  return exports;
}

}  // namespace

NODE_API_MODULE(loader, Init)
