#include "libs/kube/backoff.h"

#include <algorithm>

namespace splitft::kube {

Backoff::Backoff(const Options& options, uint64_t seed)
    : options_(options), draws_({.seed = seed, .purpose = RandomPurpose::kJitter}) {}

Duration Backoff::Next() {
  Duration whole = options_.first;
  for (int i = 0; i < failures_ && whole < options_.most; ++i) {
    whole *= 2;
  }
  ++failures_;
  whole = std::min(whole, options_.most);
  const double share = 0.5 + 0.5 * draws_.UniformDouble(drawn_++);
  return std::chrono::duration_cast<Duration>(whole * share);
}

}  // namespace splitft::kube
