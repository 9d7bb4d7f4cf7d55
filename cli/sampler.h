#pragma once

#include <cstdint>
#include <span>

namespace splitft::cli {

// How the next token is chosen. As in Transformers: temperature first, then top_k, then top_p.
struct SamplingOptions {
  double temperature = 0;  // 0: the most likely token
  int64_t top_k = 0;       // of the k most likely only; 0: all
  double top_p = 1;        // of the fewest most likely whose probabilities add up to p, in (0, 1]
};

// The chosen token's index into `logits`, which has at least one finite value. `uniform` in [0, 1) is the draw; it is
// not looked at with temperature 0. Among equals the first wins. Pure.
int32_t SampleToken(std::span<const float> logits, const SamplingOptions& options, double uniform);

}  // namespace splitft::cli
