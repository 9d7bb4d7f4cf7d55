#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/scheduler/cost_window.h"
#include "libs/scheduler/figures.h"
#include "libs/spec/job.h"

namespace splitft::scheduler {

// Another choice of one client's.
struct Change {
  std::string client;
  Choice from;
  Choice to;
  std::string reason;  // for people
};

// Another choice for some clients or other microbatches for all, and what it was decided from.
struct Plan {
  int64_t step = 0;  // steps done when it was decided
  std::vector<Change> changes;
  int microbatches = 0;     // 0: as they are
  std::string reason;       // of those, for people
  double seconds_now = 0;   // a step's, predicted, as it is
  double seconds_then = 0;  // and by the plan
  double server_seconds_now = 0;
  double server_seconds_then = 0;
  // All clients, in the job's order.
  Fleet fleet;
  Arrangement now;
  std::vector<std::string> names;
};

// Follows one job's figures and says at each round's end whether it should go on in another way. A value: no clock,
// no I/O; the same figures give the same plans. Used by the operator, `splitft run` and the simulator alike.
//
// A change must pay for itself: what the rounds to come gain must outweigh the step that it disturbs, and be more than
// the figures' noise, and more than the planner was last wrong by. Where the job has been before, what was measured
// there corrects the prediction, so that it does not go to and fro between two plans that each promise more than they
// keep. While figures are missing or wrong, and until a plan shows in the figures, it holds.
class Planner {
 public:
  // The job outlives the planner.
  Planner(const spec::FineTuneJob& job, const ModelShape& shape);

  // Takes a step's figures. Those of a step that was seen already, or that WhatIsWrong finds fault with, are left out.
  void Observe(const StepFigures& figures);
  // There are no figures, and nobody knows how the job does: Decide holds until there are again. `why`: for people.
  void Miss(std::string why) { wrong_ = std::move(why); }
  // The next plan, once per round at most.
  std::optional<Plan> Decide();
  // The job did not follow the last plan: it is not waited for. `for_good`: it was told why it cannot, and the same is
  // not asked of it again for a while.
  void Refused(bool for_good);

  // Why the newest figures are not to be trusted; empty where they are. For people.
  const std::string& unknown() const { return wrong_; }
  // Why the last Decide changed nothing; empty where there is nothing to be said. For people.
  const std::string& holding() const { return holding_; }
  // A step's seconds as predicted for the arrangement in force, corrected by what was measured; 0 before the first
  // figures.
  double predicted_seconds() const { return predicted_seconds_; }

 private:
  bool RoundIsOver() const;
  // Whether the figures are those of the plan that was made last.
  bool Arrived();
  // Measured against predicted seconds where the job was last run by `arrangement`; `otherwise` where it never was.
  double CorrectionOf(const Arrangement& arrangement, double otherwise) const;
  bool WasTried(const Arrangement& arrangement) const;
  bool IsBarred(const Arrangement& arrangement) const;
  void Remember(const Arrangement& arrangement, double correction, double predicted_seconds);
  // What was measured of a fleet that was another says nothing any more.
  void Forget(const Fleet& fleet);
  // What the policy says; where a shorter step is what it is after, the best of that and of what was tried before.
  Arrangement Next(const Fleet& fleet, const Arrangement& now, double correction) const;
  bool Pays(const Plan& plan, const Arrangement& next);
  std::optional<Plan> Hold(std::string why);
  // What goes into `plan` of how it gets to `next`, and why.
  void Explain(const Arrangement& next, const Fleet& fleet, Plan* plan) const;
  // Whether the last plan made the step shorter; where it did not, what it raised (cuts, else microbatches) keeps below
  // that.
  void Judge(const Arrangement& now);
  // Whether a shorter step than `seconds` is what the policy is after.
  bool IsAfterSeconds(double seconds) const;
  // Keeps clients below the cuts, and all below the microbatches, that did not pay.
  void Restrain(Fleet* fleet) const;

  const spec::FineTuneJob& job_;
  const std::vector<spec::Codec> codecs_;
  CostWindow window_;
  int64_t last_step_ = 0;     // that figures came of
  int64_t attempt_ = 0;       // likewise
  int64_t decided_step_ = 0;  // that Decide was asked at
  int fresh_ = 0;             // steps seen since the arrangement last was another
  struct Tried {
    Arrangement arrangement;
    double correction = 1;
    double predicted_seconds = 0;  // without it
  };
  struct Barred {
    Arrangement arrangement;
    int64_t until_step = 0;
  };
  std::vector<Barred> barred_;  // what the job could not do
  std::vector<Tried> tried_;    // the latest last
  // On what was raised in vain.
  struct Restraint {
    int most = 0;
    int64_t until_step = 0;
    int rounds = 0;  // doubled each time
  };
  void Tighten(int most, Restraint* restraint) const;
  // By client: what computes in bursts looks fast (a quota is saved up while it waits), and is not.
  std::map<size_t, Restraint> cut_restraints_;
  Restraint microbatch_restraint_;
  Arrangement former_;          // before the last plan
  double former_seconds_ = 0;   // a step's, then
  double promised_ = 0;         // a step's seconds by the last plan; 0: not waited for
  bool seemed_to_pay_ = false;  // another plan, in the last round
  double doubt_ = 0;            // by what share of a step the last plans fell short
  std::optional<Arrangement> awaited_;
  int64_t awaited_since_ = 0;
  std::string wrong_;  // with the newest figures
  std::string holding_;
  double predicted_seconds_ = 0;
};

}  // namespace splitft::scheduler
