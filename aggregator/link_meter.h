#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>

#include "libs/base/clock.h"
#include "libs/protocol/frame.h"
#include "libs/scheduler/cost_model.h"

namespace splitft::aggregator {

// What a client's wire carries, from the frames that train the model: no probe is sent. Of a frame and its answer the
// aggregator knows when one left and the other came, and the answer says how long the client had it: the rest is the
// wire's, there and back (as in NTP: Mills, RFC 5905). Three such exchanges of a step differ in what goes which way:
//   StepBegin -> HiddenUp      adapters down, rows up
//   HiddenDown -> GradientUp   rows down, rows up
//   GradientDown -> StepEnd    rows down, adapters up
// so that upstream, downstream and round trip can be told apart by least squares over the last steps.
//
// With several microbatches a frame may queue behind another of this client: the exchange that took least per byte
// counts. Not thread-safe.
class LinkMeter {
 public:
  static constexpr size_t kSteps = 6;

  // A step begins; what another left unfinished is dropped.
  void Begin();
  void Sent(const protocol::FrameKey& key, int64_t bytes, TimePoint when);
  void Received(const protocol::Frame& frame, TimePoint arrived);
  // The step's exchanges count.
  void End();
  // All zero before the first step's end.
  const scheduler::Link& link() const { return link_; }

  struct Exchange {
    double up_bytes = 0;
    double down_bytes = 0;
    double seconds = 0;
  };
  // The link under which the exchanges take what they took, by least squares of the relative errors, no part below
  // zero: one of zero is faster than can be measured. The fewer parts the better, unless another explains a good deal
  // more. `round_trip`: whether the exchanges are of three kinds, so that it can be told from the rest; else it is in
  // the bandwidths.
  static scheduler::Link Fit(std::span<const Exchange> exchanges, bool round_trip);

 private:
  struct Departure {
    double bytes = 0;
    TimePoint when{};
  };
  std::map<std::pair<protocol::FrameKind, uint32_t>, Departure> sent_;
  std::map<protocol::FrameKind, Exchange> step_;  // by the answer's kind
  std::deque<std::map<protocol::FrameKind, Exchange>> steps_;
  scheduler::Link link_;
};

}  // namespace splitft::aggregator
