#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/proto/control.pb.h"
#include "libs/scheduler/planner.h"
#include "libs/spec/job.h"

namespace splitft::scheduler {

// Keeps one job's cuts, codecs and microbatches by its figures: reads the aggregator's events and says which plan to
// send it, and when. Whoever holds it (the operator, `splitft run`) only carries messages. Of a job with policy Static
// it does nothing. Not thread-safe; no I/O.
class Pilot {
 public:
  // The job outlives the pilot. Plans are numbered from `first_number` on, or from the number that the aggregator saw
  // last. The upper 32 bits of `first_number` say who leads: a pilot that sees a greater leader's plan plans no more.
  explicit Pilot(const spec::FineTuneJob& job, uint64_t first_number = 1);

  // Takes the job's next event, figures included. Returns the plan to be sent, if it is time for one.
  std::optional<control::Plan> OnEvent(const control::JobEvent& event, const std::string& job_uid);
  // Where figures are read elsewhere: what the event says beside them; a step's figures; and that there are none, and
  // why. OnFigures as OnEvent.
  void OnNews(const control::JobEvent& event);
  std::optional<control::Plan> OnFigures(const StepFigures& figures, const std::string& job_uid);
  void OnMissing(std::string why);
  // Why the job is left as it is until there are figures to be trusted; empty: there are. For people.
  std::string unknown() const { return planner_.has_value() ? planner_->unknown() : ""; }
  // The plan that OnEvent returned last could not be sent.
  void NotSent();

  // The number of the last plan, or one less than the first.
  uint64_t last_number() const { return number_; }

  // What came of plans since the last call, as lines for people: `step 12: bank: forward 0.41 s/block ...`.
  std::vector<std::string> TakeNews();

 private:
  void TakeOutcome(const control::PlanState& state);

  const spec::FineTuneJob& job_;
  std::optional<Planner> planner_;  // once the aggregator has said what the model is
  uint64_t number_;                 // of the last plan
  control::PlanState last_;         // what the aggregator says of it, or of another's
  std::optional<Plan> sent_;        // and the plan, until it is known what became of it
  std::vector<std::string> news_;
};

}  // namespace splitft::scheduler
