#pragma once

#include <cstdint>
#include <string>

namespace splitft {

// What this process uses of processors, and what the CPU quota of its control group leaves it: cpu.stat and cpu.max, or
// their like of version 1 (https://docs.kernel.org/admin-guide/cgroup-v2.html), which is also where cAdvisor reads.
class ProcessorMeter {
 public:
  explicit ProcessorMeter(std::string membership = "/proc/self/cgroup", std::string groups = "/sys/fs/cgroup");

  struct Use {
    double cpu_seconds = 0;        // since the last call, added up over processors, as the next
    double throttled_seconds = 0;  // that the quota held it back
    double quota_cores = 0;        // in force now; 0: none
  };
  // A process that was moved to another group meanwhile was throttled from then on only.
  Use Take();

 private:
  struct Reading {
    std::string folder;  // of the control group; empty: none
    int64_t throttled_nanoseconds = 0;
    double quota_cores = 0;
    double cpu_seconds = 0;
  };
  Reading Read() const;

  const std::string membership_;
  const std::string groups_;
  Reading last_;
};

}  // namespace splitft
