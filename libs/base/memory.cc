#include "libs/base/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace splitft {
namespace {

// In a container, its own group; elsewhere the root's, which has no limit.
constexpr const char* kLimitFiles[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};

}  // namespace

int64_t PeakMemoryBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

int64_t MemoryLimitBytes() {
  int64_t limit = std::max<int64_t>(0, int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE));
  for (const char* path : kLimitFiles) {
    int64_t bytes = 0;
    if (std::ifstream(path) >> bytes && bytes > 0) {  // "max" is no number
      limit = limit > 0 ? std::min(limit, bytes) : bytes;
    }
  }
  return limit;
}

}  // namespace splitft
