#pragma once

#include <cstdint>

namespace splitft {

// The most that this process has had in memory so far.
int64_t PeakMemoryBytes();

// What this process may have in memory: its control group's limit, in a container that of the container, or else the
// machine's memory. 0: unknown.
int64_t MemoryLimitBytes();

}  // namespace splitft
