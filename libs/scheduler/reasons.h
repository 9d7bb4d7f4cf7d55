#pragma once

#include <cstddef>
#include <string>

#include "libs/scheduler/cost_model.h"

namespace splitft::scheduler {

// Why a client goes from one choice to another, in a line for people: what of its figures stands out, then what
// changes. `forward 0.41 s/block, 2.1 times the median: cut 4 -> 2, the aggregator takes over 0.1 s`.
class Reasons {
 public:
  // The fleet outlives the reasons.
  explicit Reasons(const Fleet& fleet);
  std::string Of(size_t client, const Choice& from, const Choice& to) const;
  // Why all clients divide their batches otherwise. `clients, wires and aggregator wait for
  // one another 62 % of a step: microbatches 1 -> 4`.
  std::string OfMicrobatches(const Arrangement& now, int to) const;

 private:
  std::string OfCut(const ClientCost& client, int from, int to) const;

  const Fleet& fleet_;
  double median_forward_seconds_;  // of a block
};

// "1.2 GB/s", "3.1 MB/s": a bandwidth for people. 0 is "unlimited".
std::string BandwidthText(double bytes_per_second);

// "fp32".
std::string CodecText(spec::Codec codec);

}  // namespace splitft::scheduler
