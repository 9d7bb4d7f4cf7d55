#include "libs/base/processor_meter.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace splitft {
namespace {

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Where the group may be, the likeliest first. Where a container sees another path than its own, the root that it sees
// is its own.
std::vector<std::string> Folders(const std::string& membership, const std::string& groups) {
  std::vector<std::string> folders;
  std::ifstream lines(membership);
  for (std::string line; std::getline(lines, line);) {  // 4:cpu,cpuacct:/jobs, or 0::/jobs
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) {
      continue;
    }
    const std::vector<std::string> controllers = absl::StrSplit(parts[1], ',');
    if (parts[1].empty()) {
      folders.push_back(absl::StrCat(groups, parts[2]));
    } else if (std::find(controllers.begin(), controllers.end(), "cpu") != controllers.end()) {
      folders.push_back(absl::StrCat(groups, "/cpu", parts[2]));
    }
  }
  folders.push_back(groups);
  folders.push_back(absl::StrCat(groups, "/cpu"));
  return folders;
}

std::optional<int64_t> ThrottledNanoseconds(const std::string& folder) {
  std::ifstream stat(absl::StrCat(folder, "/cpu.stat"));
  int64_t value = 0;
  for (std::string name; stat >> name >> value;) {
    if (name == "throttled_usec" || name == "throttled_time") {
      return name == "throttled_usec" ? 1000 * value : value;
    }
  }
  return std::nullopt;
}

double QuotaCores(const std::string& folder) {
  double quota = 0;
  double period = 0;
  if (std::ifstream unified(absl::StrCat(folder, "/cpu.max")); unified) {
    static_cast<void>(unified >> quota >> period);  // "max" is no number
  } else {
    std::ifstream(absl::StrCat(folder, "/cpu.cfs_quota_us")) >> quota;  // -1 is none
    std::ifstream(absl::StrCat(folder, "/cpu.cfs_period_us")) >> period;
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

}  // namespace

ProcessorMeter::ProcessorMeter(std::string membership, std::string groups)
    : membership_(std::move(membership)), groups_(std::move(groups)), last_(Read()) {}

ProcessorMeter::Use ProcessorMeter::Take() {
  Reading now = Read();
  const int64_t throttled =
      now.folder == last_.folder ? std::max<int64_t>(0, now.throttled_nanoseconds - last_.throttled_nanoseconds) : 0;
  const Use use{.cpu_seconds = std::max(0.0, now.cpu_seconds - last_.cpu_seconds),
                .throttled_seconds = 1e-9 * static_cast<double>(throttled),
                .quota_cores = now.quota_cores};
  last_ = std::move(now);
  return use;
}

ProcessorMeter::Reading ProcessorMeter::Read() const {
  Reading reading{.cpu_seconds = CpuSeconds()};
  for (const std::string& folder : Folders(membership_, groups_)) {
    if (const std::optional<int64_t> throttled = ThrottledNanoseconds(folder)) {
      reading.folder = folder;
      reading.throttled_nanoseconds = *throttled;
      reading.quota_cores = QuotaCores(folder);
      break;
    }
  }
  return reading;
}

}  // namespace splitft
