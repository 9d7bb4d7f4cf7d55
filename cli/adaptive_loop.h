#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "api/proto/control.pb.h"
#include "libs/scheduler/pilot.h"
#include "libs/spec/job.h"

namespace splitft::cli {

// Has a job's cuts, codecs and microbatches follow its figures, as the operator does in a cluster.
class AdaptiveLoop {
 public:
  // The job outlives the loop. `address`: of the aggregator (HOST:PORT).
  AdaptiveLoop(const spec::FineTuneJob& job, std::string address) : address_(std::move(address)), pilot_(job) {}

  // Takes the job's next event; sends a plan, if it is time for one. Returns what came of plans, as lines for people.
  std::vector<std::string> OnEvent(const control::JobEvent& event);

 private:
  absl::Status Send(const control::Plan& plan) const;

  const std::string address_;
  scheduler::Pilot pilot_;
};

}  // namespace splitft::cli
