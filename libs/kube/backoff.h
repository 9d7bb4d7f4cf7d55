#pragma once

#include <chrono>
#include <cstdint>

#include "libs/base/clock.h"
#include "libs/base/random.h"

namespace splitft::kube {

// Waiting times that double from one failure to the next, up to a limit, each drawn from its upper half so that many
// clients that fail together do not come back together. A value; not thread-safe.
class Backoff {
 public:
  struct Options {
    Duration first = std::chrono::milliseconds(500);
    Duration most = std::chrono::seconds(30);
  };
  Backoff(const Options& options, uint64_t seed);

  // The wait after one more failure: in [w/2, w] for w = min(most, first * 2^failures).
  Duration Next();
  void Reset() { failures_ = 0; }
  int failures() const { return failures_; }

 private:
  Options options_;
  RandomStream draws_;
  uint64_t drawn_ = 0;
  int failures_ = 0;
};

}  // namespace splitft::kube
