#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

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
// With several microbatches frames queue behind one another. Each way is a pipe, first in, first out; from the frame
// that found it empty on, all bytes since count (a busy period: Kleinrock 1975). Where those begin depends on the
// bandwidths, so queues and bandwidths are found by turns. Not thread-safe.
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
    protocol::FrameKey key;
    double bytes = 0;
    TimePoint when{};
  };
  struct Answer {
    protocol::FrameKind kind = protocol::FrameKind::kHiddenUp;
    size_t prompt = 0;  // index into the departures
    double bytes = 0;
    double held_seconds = 0;
    TimePoint arrived{};
  };
  struct Step {
    std::vector<Departure> sent;
    std::vector<Answer> answers;
  };
  // The step's exchanges, with the bytes of everything that each of them queued behind if the wire were `link`.
  static void AddExchanges(const Step& step, const scheduler::Link& link, std::vector<Exchange>* exchanges);

  // How far off the arrivals of the last steps' answers are if the wire is `link`: the sum of the shares of exchanges.
  double ErrorOf(const scheduler::Link& link) const;

  Step step_;
  std::deque<Step> steps_;
  scheduler::Link link_;
};

}  // namespace splitft::aggregator
