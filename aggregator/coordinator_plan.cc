// The part of Coordinator that has the job go on by another plan.

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "aggregator/coordinator.h"
#include "libs/base/status_macros.h"
#include "libs/protocol/frame_check.h"
#include "libs/train/guard.h"

namespace splitft::aggregator {

using protocol::Frame;
using protocol::FrameKind;

namespace {

// A client that is lost within so many steps of a higher cut may have been lost to it.
constexpr int64_t kStepsOnTrial = 10;

}  // namespace

absl::Status Coordinator::ChangeAssignments() {
  const auto apply_if_ready = [&] {
    return plan_.has_value() && plan_->waiting.empty() ? ApplyPlan() : absl::OkStatus();
  };
  SPLITFT_RETURN_IF_ERROR(apply_if_ready());
  if (plan_.has_value() || !parts_.next_plan) {
    return absl::OkStatus();  // one after the other: who plans faster than clients load would never be followed
  }
  if (const std::optional<control::Plan> plan = parts_.next_plan(); plan.has_value()) {
    SPLITFT_RETURN_IF_ERROR(BeginPlan(*plan));
  }
  return apply_if_ready();
}

absl::Status Coordinator::BeginPlan(const control::Plan& plan) {
  PlanUnderWay next{.plan = plan, .changes = {}, .waiting = {}};
  const absl::StatusOr<std::vector<protocol::Assignment>> assignments = AssignmentsBy(plan);
  if (!assignments.ok()) {
    return RefusePlan(plan, std::string(assignments.status().message()));
  }
  int lowest = LowestCut();
  for (size_t client = 0; client < assignments->size(); ++client) {
    const protocol::Assignment& wanted = (*assignments)[client];
    const protocol::Assignment& now = parts_.roster.members()[client].assignment;
    if (wanted.cut_layer != now.cut_layer || wanted.format != now.format) {
      next.changes[client] = wanted;
      lowest = std::min(lowest, wanted.cut_layer);
    }
  }
  if (const absl::Status reserved = train::RunGuarded([&] { return parts_.model.Reserve(lowest); }); !reserved.ok()) {
    return RefusePlan(plan, absl::StrCat("the aggregator: ", std::string(reserved.message())));
  }
  plan_ = std::move(next);
  plan_state_.set_number(plan.number());
  plan_state_.set_state(control::PlanState::PREPARING);
  plan_state_.set_message("");
  for (const auto& [client, assignment] : plan_->changes) {
    SPLITFT_RETURN_IF_ERROR(SendPrepare(client));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<protocol::Assignment>> Coordinator::AssignmentsBy(const control::Plan& plan) {
  std::vector<Member>& members = parts_.roster.members();
  std::vector<protocol::Assignment> assignments;
  std::transform(members.begin(), members.end(), std::back_inserter(assignments),
                 [](const Member& member) { return member.assignment; });
  for (const control::ClientPlan& wanted : plan.clients()) {
    const Member* member = parts_.roster.Named(wanted.name());
    protocol::Assignment& assignment = assignments[static_cast<size_t>(member - members.data())];
    assignment.plan = plan.number();
    assignment.cut_layer = wanted.cut_layer() != 0 ? wanted.cut_layer() : assignment.cut_layer;
    assignment.format = FormatOfCodec(wanted.codec()).value_or(assignment.format);
    if (member->cut_limit > 0 && assignment.cut_layer > member->cut_limit) {
      return absl::FailedPreconditionError(
          absl::StrCat("client ", member->name, " was lost under a cut above ", member->cut_limit));
    }
    const std::vector<protocol::WireFormat>& known = member->hello.formats;
    if (std::find(known.begin(), known.end(), assignment.format) == known.end()) {
      return absl::FailedPreconditionError(absl::StrCat("client ", member->name, " cannot decode ", wanted.codec()));
    }
  }
  return assignments;
}

absl::Status Coordinator::SendPrepare(size_t client) {
  if (!plan_.has_value() || !plan_->changes.contains(client)) {
    return absl::OkStatus();
  }
  plan_->waiting.insert(client);
  protocol::Assignment assignment = plan_->changes.at(client);
  const int microbatches = plan_->plan.microbatches();
  assignment.microbatches = microbatches != 0 ? microbatches : parts_.roster.division().microbatches;
  Frame frame;
  frame.body = assignment;
  return Send(parts_.roster.members()[client], FrameKind::kPrepare, 0, std::move(frame));
}

absl::Status Coordinator::HandlePrepared(const Member& member, const Frame& frame) {
  protocol::ExpectedFrame expected;
  expected.job_uid = options_.job_uid;
  expected.client = member.name;
  expected.max_attempt = attempt_;
  SPLITFT_RETURN_IF_ERROR(CheckFrame(frame, expected));
  const auto& prepared = std::get<protocol::Prepared>(frame.body);
  if (!plan_.has_value() || prepared.plan != plan_->plan.number()) {
    return absl::OkStatus();  // another one came in between
  }
  if (!prepared.refusal.empty()) {
    return RefusePlan(control::Plan(plan_->plan), absl::StrCat("client ", member.name, ": ", prepared.refusal));
  }
  plan_->waiting.erase(static_cast<size_t>(&member - parts_.roster.members().data()));
  return absl::OkStatus();
}

absl::Status Coordinator::ForgoPlanOf(const Member& member) {
  const auto client = static_cast<size_t>(&member - parts_.roster.members().data());
  if (!plan_.has_value() || !plan_->waiting.contains(client)) {
    return absl::OkStatus();
  }
  return RefusePlan(control::Plan(plan_->plan), absl::StrCat("client ", member.name, " was lost while it prepared"));
}

absl::Status Coordinator::UndoPlanOf(Member& member) {
  const std::optional<protocol::Assignment> former = std::exchange(member.former, std::nullopt);
  if (!former.has_value() || parts_.state.steps_done() >= member.on_trial_until) {
    return absl::OkStatus();
  }
  const int lost_at = member.assignment.cut_layer;
  member.cut_limit = lost_at - 1;
  member.reason = absl::StrCat("lost soon after its cut rose: cut ", lost_at, " -> ", former->cut_layer);
  parts_.roster.Assign(member, *former);
  SetRanks();
  control::Plan refused;  // the one that is undone; or the next, which was made without knowing of this
  refused.set_number(plan_state_.number());
  if (plan_.has_value()) {
    refused = plan_->plan;
  }
  SPLITFT_RETURN_IF_ERROR(RefusePlan(refused, absl::StrCat("client ", member.name, " was ", member.reason)));
  return parts_.model.Use(LowestCut());
}

absl::Status Coordinator::RefusePlan(const control::Plan& plan, const std::string& why) {
  plan_state_.set_number(plan.number());
  plan_state_.set_state(control::PlanState::REFUSED);
  plan_state_.set_step(parts_.state.steps_done());
  plan_state_.set_message(why);
  plan_.reset();
  return Decided(plan);
}

absl::Status Coordinator::Decided(const control::Plan& plan) const {
  return parts_.decided ? parts_.decided(plan, plan_state_) : absl::OkStatus();
}

absl::Status Coordinator::ApplyPlan() {
  for (const auto& [client, assignment] : plan_->changes) {
    Member& member = parts_.roster.members()[client];
    const bool higher = assignment.cut_layer > member.assignment.cut_layer;
    member.former = higher ? std::optional(member.assignment) : std::nullopt;
    member.on_trial_until = parts_.state.steps_done() + kStepsOnTrial;
    parts_.roster.Assign(member, assignment);
  }
  for (const control::ClientPlan& wanted : plan_->plan.clients()) {
    Member& member = *parts_.roster.Named(wanted.name());
    member.reason = wanted.reason();
    member.rank_cap = wanted.rank_cap() != 0 ? wanted.rank_cap() : member.rank_cap;
  }
  if (const int microbatches = plan_->plan.microbatches(); microbatches != 0) {
    parts_.roster.Divide({.microbatches = microbatches, .plan = plan_->plan.number(), .reason = plan_->plan.reason()});
  }
  plan_state_.set_discarded_energy(SetRanks());
  plan_state_.set_state(control::PlanState::APPLIED);
  plan_state_.set_step(parts_.state.steps_done());
  const control::Plan plan = std::exchange(plan_, std::nullopt)->plan;
  SPLITFT_RETURN_IF_ERROR(Decided(plan));
  return parts_.model.Use(LowestCut());
}

double Coordinator::SetRanks() {
  std::vector<int> cuts;
  std::vector<int> caps;
  for (const Member& member : parts_.roster.members()) {
    cuts.push_back(member.assignment.cut_layer);
    caps.push_back(member.rank_cap);
  }
  return parts_.ranks.Change(RankCaps(parts_.job, parts_.ranks.block_count(), cuts, caps), &parts_.state);
}

int Coordinator::LowestCut() const {
  const std::vector<Member>& members = parts_.roster.members();
  return std::min_element(
             members.begin(), members.end(),
             [](const Member& a, const Member& b) { return a.assignment.cut_layer < b.assignment.cut_layer; })
      ->assignment.cut_layer;
}

}  // namespace splitft::aggregator
