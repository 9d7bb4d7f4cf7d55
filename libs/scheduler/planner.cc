#include "libs/scheduler/planner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/scheduler/policies.h"
#include "libs/scheduler/reasons.h"

namespace splitft::scheduler {
namespace {

// A median of fewer is none.
constexpr int kFewestSteps = 3;
// What is gained less is not worth the look at it.
constexpr double kLeastGain = 0.05;
// A smaller gain must show in two rounds running.
constexpr double kGainAtOnce = 0.15;
// A plan that does not show in the figures by then is taken for lost.
constexpr int kRoundsToArrive = 3;
// How long what was refused is not asked for again.
constexpr int kRoundsBarred = 20;
// The longest time that a client is kept below a cut that did not pay; the first is kRoundsBarred.
constexpr int kMostRoundsRestrained = 320;
// How much of its doubt a round leaves: half is gone after some 14.
constexpr double kDoubtKept = 0.95;
// By which factor the prediction for one arrangement may change while the fleet is still taken for the same.
constexpr double kSameFleet = 1.25;
// How many of the arrangements that the job was run by are remembered.
constexpr size_t kMostTried = 8;

bool AreRunAlike(const StepFigures& a, const StepFigures& b) {
  return a.microbatches == b.microbatches &&
         std::equal(a.clients.begin(), a.clients.end(), b.clients.begin(), b.clients.end(),
                    [](const ClientFigures& one, const ClientFigures& other) {
                      return one.choice == other.choice && one.cpu_quota == other.cpu_quota;
                    });
}

}  // namespace

Planner::Planner(const spec::FineTuneJob& job, const ModelShape& shape)
    : job_(job), codecs_(AllowedCodecs(job)), window_(job, shape) {}

void Planner::Observe(const StepFigures& figures) {
  if (figures.step == last_step_) {
    wrong_ = WhatIsWrong(figures);  // figures are to be had again
  }
  if (figures.step <= last_step_) {
    return;
  }
  last_step_ = figures.step;
  const bool started_over = attempt_ != 0 && figures.attempt != attempt_;
  attempt_ = figures.attempt;
  wrong_ = WhatIsWrong(figures);
  if (figures.clients.size() != job_.clients.size()) {
    wrong_ = absl::StrCat("step ", figures.step, " has figures of ", figures.clients.size(), " clients; the job has ",
                          job_.clients.size());
  }
  if (const int smallest = spec::SmallestBatch(job_); wrong_.empty() && figures.microbatches > smallest) {
    wrong_ = absl::StrCat("step ", figures.step, ": microbatches is ", figures.microbatches,
                          "; the smallest batch has ", smallest);
  }
  // The first step also loads and touches everything for the first time, and one that was started over waited for
  // somebody.
  if (!wrong_.empty() || figures.step == 1 || started_over) {
    return;
  }
  const bool changed = !window_.empty() && !AreRunAlike(window_.newest(), figures);
  fresh_ = changed ? 1 : fresh_ + 1;
  window_.Add(figures);
}

bool Planner::RoundIsOver() const {
  const int64_t round = job_.scheduling.round_steps;
  return last_step_ / round > decided_step_ / round;
}

bool Planner::Arrived() {
  if (!awaited_.has_value() || window_.Now() == *awaited_) {
    awaited_.reset();
    return true;
  }
  if (last_step_ - awaited_since_ < int64_t{kRoundsToArrive} * job_.scheduling.round_steps) {
    return false;
  }
  Refused(/*for_good=*/false);
  return true;
}

void Planner::Refused(bool for_good) {
  if (for_good && awaited_.has_value()) {
    barred_.push_back({*awaited_, last_step_ + int64_t{kRoundsBarred} * job_.scheduling.round_steps});
    if (barred_.size() > kMostTried) {
      barred_.erase(barred_.begin());
    }
  }
  awaited_.reset();
  promised_ = 0;  // what was not done has not fallen short
}

std::optional<Plan> Planner::Hold(std::string why) {
  seemed_to_pay_ = false;
  holding_ = std::move(why);
  return std::nullopt;
}

std::optional<Plan> Planner::Decide() {
  if (!RoundIsOver()) {
    return std::nullopt;
  }
  decided_step_ = last_step_;
  if (!wrong_.empty()) {
    return Hold(absl::StrCat("figures are not to be trusted: ", wrong_));
  }
  if (window_.empty() || fresh_ < kFewestSteps) {
    return Hold("too few steps are measured");
  }
  if (!Arrived()) {
    return Hold("the last plan is on its way");
  }
  if (!window_.knows_server()) {
    return Hold("what the aggregator takes for a block is unknown: it has run none yet");
  }
  Fleet fleet = window_.Fit();
  const Arrangement now = window_.Now();
  const double correction = window_.Correction(fleet);
  const Prediction before = Predict(fleet, now);
  Forget(fleet);
  Remember(now, correction, before.seconds);
  predicted_seconds_ = correction * before.seconds;
  if (const double promised = std::exchange(promised_, 0); promised > 0) {
    doubt_ = std::max(doubt_, (predicted_seconds_ - promised) / predicted_seconds_);
    Judge(now);
  }
  Restrain(&fleet);
  doubt_ *= kDoubtKept;
  const Arrangement next = Next(fleet, now, correction);
  const Prediction after = Predict(fleet, next);
  if (next == now) {
    return Hold("");
  }
  if (IsBarred(next)) {
    return Hold("the best plan was refused, and is not asked for again yet");
  }
  Plan plan{.step = last_step_,
            .changes = {},
            .microbatches = next.microbatches == now.microbatches ? 0 : next.microbatches,
            .reason = "",
            .seconds_now = correction * before.seconds,
            .seconds_then = CorrectionOf(next, correction) * after.seconds,
            .server_seconds_now = before.server_seconds,
            .server_seconds_then = after.server_seconds,
            .fleet = {},
            .now = now,
            .names = {}};
  if (job_.scheduling.policy != spec::SchedulingPolicy::kSplitFt && !Pays(plan, next)) {
    return std::nullopt;
  }
  Explain(next, fleet, &plan);
  former_ = now;
  former_seconds_ = predicted_seconds_;
  seemed_to_pay_ = false;
  promised_ = plan.seconds_then;
  awaited_ = next;
  awaited_since_ = last_step_;
  holding_.clear();
  return plan;
}

void Planner::Explain(const Arrangement& next, const Fleet& fleet, Plan* plan) const {
  const Reasons reasons(fleet);
  if (plan->microbatches != 0) {
    plan->reason = reasons.OfMicrobatches(plan->now, plan->microbatches);
  }
  for (size_t i = 0; i < next.clients.size(); ++i) {
    const Choice& from = plan->now.clients[i];
    const Choice& to = next.clients[i];
    plan->names.push_back(job_.clients[i].name);
    if (!(to == from)) {
      plan->changes.push_back(
          {.client = job_.clients[i].name, .from = from, .to = to, .reason = reasons.Of(i, from, to)});
    }
  }
  plan->fleet = fleet;
}

void Planner::Judge(const Arrangement& now) {
  if (!IsAfterSeconds(former_seconds_) || predicted_seconds_ < (1 - kLeastGain) * former_seconds_) {
    return;
  }
  bool raised = false;
  for (size_t i = 0; i < now.clients.size(); ++i) {
    if (const int former = former_.clients[i].cut_layer; now.clients[i].cut_layer > former) {
      Tighten(former, &cut_restraints_[i]);
      raised = true;
    }
  }
  // Cuts are the likelier cause. Where they were not, microbatches are tried, and judged, alone.
  if (!raised && now.microbatches > former_.microbatches) {
    Tighten(predicted_seconds_ > former_seconds_ ? former_.microbatches : now.microbatches, &microbatch_restraint_);
  }
}

bool Planner::IsAfterSeconds(double seconds) const {
  const bool late = seconds > job_.scheduling.step_seconds * (1 + kLeastGain);
  return job_.scheduling.policy == spec::SchedulingPolicy::kMakespan ||
         (job_.scheduling.policy == spec::SchedulingPolicy::kBudget && late);
}

void Planner::Tighten(int most, Restraint* restraint) const {
  restraint->most = most;
  restraint->rounds = std::min(restraint->rounds == 0 ? kRoundsBarred : 2 * restraint->rounds, kMostRoundsRestrained);
  restraint->until_step = last_step_ + int64_t{restraint->rounds} * job_.scheduling.round_steps;
}

void Planner::Restrain(Fleet* fleet) const {
  for (const auto& [client, restraint] : cut_restraints_) {
    ClientCost& cost = fleet->clients[client];
    if (restraint.until_step > last_step_) {
      cost.highest_cut = std::max(cost.lowest_cut, std::min(cost.highest_cut, restraint.most));
    }
  }
  if (microbatch_restraint_.until_step > last_step_) {
    fleet->most_microbatches = std::min(fleet->most_microbatches, microbatch_restraint_.most);
  }
}

Arrangement Planner::Next(const Fleet& fleet, const Arrangement& now, double correction) const {
  const std::vector<double> losses = window_.Losses();
  // The limit is of real seconds, the search is by predicted ones.
  spec::Scheduling scheduling = job_.scheduling;
  scheduling.step_seconds /= correction;
  Arrangement best = Choose(scheduling, {.fleet = fleet, .now = now, .losses = losses, .codecs = codecs_});
  double least = CorrectionOf(best, correction) * Predict(fleet, best).seconds;
  if (!IsAfterSeconds(least)) {
    return best;
  }
  for (const Tried& tried : tried_) {
    const std::vector<Choice>& choices = tried.arrangement.clients;
    const bool allowed =
        tried.arrangement.microbatches <= fleet.most_microbatches &&
        std::equal(choices.begin(), choices.end(), fleet.clients.begin(),
                   [](const Choice& choice, const ClientCost& client) {
                     return choice.cut_layer >= client.lowest_cut && choice.cut_layer <= client.highest_cut;
                   });
    const double seconds = tried.correction * Predict(fleet, tried.arrangement).seconds;
    if (allowed && seconds < least) {
      least = seconds;
      best = tried.arrangement;
    }
  }
  return best;
}

double Planner::CorrectionOf(const Arrangement& arrangement, double otherwise) const {
  const auto tried =
      std::find_if(tried_.begin(), tried_.end(), [&](const Tried& t) { return t.arrangement == arrangement; });
  return tried == tried_.end() ? otherwise : tried->correction;
}

bool Planner::WasTried(const Arrangement& arrangement) const {
  return std::any_of(tried_.begin(), tried_.end(),
                     [&](const Tried& tried) { return tried.arrangement == arrangement; });
}

bool Planner::IsBarred(const Arrangement& arrangement) const {
  return std::any_of(barred_.begin(), barred_.end(), [&](const Barred& barred) {
    return barred.until_step > last_step_ && barred.arrangement == arrangement;
  });
}

void Planner::Forget(const Fleet& fleet) {
  std::erase_if(tried_, [&](const Tried& tried) {
    const double ratio = Predict(fleet, tried.arrangement).seconds / tried.predicted_seconds;
    return ratio > kSameFleet || ratio < 1 / kSameFleet;
  });
}

void Planner::Remember(const Arrangement& arrangement, double correction, double predicted_seconds) {
  std::erase_if(tried_, [&](const Tried& tried) { return tried.arrangement == arrangement; });
  tried_.push_back({arrangement, correction, predicted_seconds});
  if (tried_.size() > kMostTried) {
    tried_.erase(tried_.begin());
  }
}

bool Planner::Pays(const Plan& plan, const Arrangement& next) {
  // A plan is judged by what its policy is after. Budget's own limit may force one that saves nothing.
  const bool of_server = !IsAfterSeconds(plan.seconds_now);
  // What was measured where the job was before is not in doubt.
  const double doubt = WasTried(next) ? 0 : doubt_;
  const double least = std::max({kLeastGain, window_.GainMargin(next, of_server), doubt});
  const double now = of_server ? plan.server_seconds_now : plan.seconds_now;
  const double then = of_server ? plan.server_seconds_then : plan.seconds_then;
  const double gain = now > 0 ? (now - then) / now : 0;
  const bool seen_before = std::exchange(seemed_to_pay_, gain > least);
  const auto share = [](double value) { return absl::StrCat(static_cast<int>(100 * value + 0.5), " %"); };
  if (!(gain > least)) {
    holding_ = absl::StrCat("another plan would gain ", share(gain), " of a step; less than ", share(least),
                            " is not told from noise");
    return false;
  }
  if (gain < kGainAtOnce && !seen_before) {
    holding_ = absl::StrCat("another plan would gain ", share(gain), " of a step; it is looked at once more");
    return false;
  }
  // What it costs: where clients load blocks, a step or so is disturbed.
  int64_t steps = int64_t{job_.scheduling.payback_rounds} * job_.scheduling.round_steps;
  if (const int64_t total = window_.newest().total_steps; total > 0) {
    steps = std::min(steps, total - plan.step);
  }
  if (gain * static_cast<double>(steps) <= 1) {
    holding_ =
        absl::StrCat("another plan would gain ", share(gain), " of a step, not worth its change in ", steps, " steps");
    return false;
  }
  return true;
}

}  // namespace splitft::scheduler
