#include "libs/scheduler/pilot.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/scheduler/control.h"

namespace splitft::scheduler {
namespace {

// Of a plan's number the lower bits count, the upper ones say who leads.
constexpr unsigned kCountBits = 32;

}  // namespace

Pilot::Pilot(const spec::FineTuneJob& job, uint64_t first_number) : job_(job), number_(first_number - 1) {}

std::optional<control::Plan> Pilot::OnEvent(const control::JobEvent& event, const std::string& job_uid) {
  OnNews(event);
  const std::optional<StepFigures> figures = FiguresOf(event);
  return figures.has_value() ? OnFigures(*figures, job_uid) : std::nullopt;
}

void Pilot::OnNews(const control::JobEvent& event) {
  if (job_.scheduling.policy == spec::SchedulingPolicy::kStatic) {
    return;
  }
  if (const std::optional<ModelShape> shape = ShapeOf(event); shape.has_value() && !planner_.has_value()) {
    planner_.emplace(job_, *shape);
  }
  if (planner_.has_value()) {
    last_ = event.plan();
    TakeOutcome(last_);
  }
}

std::optional<control::Plan> Pilot::OnFigures(const StepFigures& figures, const std::string& job_uid) {
  if (!planner_.has_value()) {
    return std::nullopt;
  }
  planner_->Observe(figures);
  if (last_.number() >> kCountBits > number_ >> kCountBits) {
    return std::nullopt;  // who leads now plans
  }
  if (last_.number() == number_ && last_.state() == control::PlanState::PREPARING) {
    return std::nullopt;  // the next one begins where this one leads
  }
  std::optional<Plan> plan = planner_->Decide();
  if (!plan.has_value()) {
    return std::nullopt;
  }
  sent_ = *std::move(plan);
  number_ = std::max(number_, last_.number()) + 1;
  return MessageOf(*sent_, number_, job_uid);
}

void Pilot::OnMissing(std::string why) {
  if (planner_.has_value()) {
    planner_->Miss(std::move(why));
  }
}

void Pilot::NotSent() {
  sent_.reset();
  planner_->Refused(/*for_good=*/false);
}

void Pilot::TakeOutcome(const control::PlanState& state) {
  if (!sent_.has_value() || state.number() != number_) {
    return;
  }
  if (state.state() == control::PlanState::APPLIED) {
    if (!sent_->reason.empty()) {
      news_.push_back(absl::StrCat("step ", state.step(), ": all clients: ", sent_->reason));
    }
    for (const Change& change : sent_->changes) {
      news_.push_back(absl::StrCat("step ", state.step(), ": ", change.client, ": ", change.reason));
    }
    sent_.reset();
  } else if (state.state() == control::PlanState::REFUSED) {
    news_.push_back(absl::StrCat("step ", state.step(), ": a plan was refused: ", state.message()));
    sent_.reset();
    planner_->Refused(/*for_good=*/true);
  }
}

std::vector<std::string> Pilot::TakeNews() { return std::exchange(news_, {}); }

}  // namespace splitft::scheduler
