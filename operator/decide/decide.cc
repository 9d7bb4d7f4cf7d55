#include "operator/decide/decide.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "operator/decide/members.h"
#include "operator/decide/outcome.h"
#include "operator/decide/status.h"
#include "operator/desired/children.h"
#include "operator/desired/pods.h"

namespace splitft::controller {
namespace {

constexpr auto kFarewell = std::chrono::seconds(30);

void LookAgainAt(std::optional<WallTime> moment, Plan* plan) {
  if (moment.has_value()) {
    plan->look_again = std::min(plan->look_again.value_or(*moment), *moment);
  }
}

Owner OwnerOf(const JobSnapshot& snapshot) {
  return {.name_space = snapshot.name_space, .name = snapshot.name, .uid = snapshot.uid};
}

// Pods that still run, or would.
void DeleteLivePods(const JobSnapshot& snapshot, Plan* plan) {
  for (const PodView& pod : snapshot.pods) {
    if (!pod.deletion.has_value() && (pod.phase == PodPhase::kPending || pod.phase == PodPhase::kRunning)) {
      plan->delete_pods.push_back({pod.name, pod.uid});
    }
  }
}

void MakeChildren(const JobSnapshot& snapshot, const spec::FineTuneJob& job, Plan* plan) {
  if (snapshot.children_are_as_wanted) {
    return;  // what is wanted costs more to say than all the rest
  }
  bool all = true;
  for (Json& wanted : DesiredChildren(OwnerOf(snapshot), job, snapshot.settings)) {
    const auto live = snapshot.children.find(ChildKey(wanted));
    if (live == snapshot.children.end()) {
      all = false;
      plan->create.push_back(std::move(wanted));
    } else if (!Covers(*live->second, wanted)) {
      all = false;
      plan->notices.push_back({.warning = true,
                               .reason = "ChildRepaired",
                               .action = "Repair",
                               .note = absl::StrCat(live->first, " was not as it should be")});
      wanted["metadata"]["uid"] = live->second->at("metadata").value("uid", "");
      plan->repair.push_back(std::move(wanted));
    }
  }
  plan->children_are_as_wanted = all;
}

std::string WhatBecameOf(const PodView* pod) {
  if (pod == nullptr) {
    return "its pod was deleted";
  }
  return absl::StrCat("pod ", pod->name, " ended", pod->reason.empty() ? "" : " with ", pod->reason);
}

void MakePods(const JobSnapshot& snapshot, const spec::FineTuneJob& job, const std::vector<MemberState>& members,
              Plan* plan) {
  for (const MemberState& member : members) {
    LookAgainAt(member.make_at, plan);
    if (!member.make.has_value()) {
      continue;
    }
    plan->create.push_back(
        DesiredPod(OwnerOf(snapshot), job, {.member = member.member, .index = *member.make}, snapshot.settings));
    if (*member.make > 0) {
      plan->notices.push_back(
          {.warning = true,
           .reason = member.member.role == spec::Role::kWorker ? "WorkerRestarted" : "AggregatorRestarted",
           .action = "Restart",
           .note = absl::StrCat(Describe(member.member), ": ", WhatBecameOf(member.pod), "; its successor is number ",
                                *member.make)});
    }
  }
}

// An event for each new state, and for why a job goes on waiting, once Kubernetes says why.
void Announce(const JobSnapshot& snapshot, const Outcome& outcome, Plan* plan) {
  const std::string before = snapshot.status.is_object() ? snapshot.status.value("state", "") : "";
  const Json* running = FindCondition(snapshot.status, "Running");
  const bool stuck = outcome.state == JobState::kPending && outcome.reason != "PodsPending";
  const bool new_cause = stuck && running != nullptr && running->value("reason", "") == "PodsPending";
  if (before == JobStateName(outcome.state) && !new_cause) {
    return;
  }
  plan->notices.push_back({.warning = outcome.state == JobState::kFailed || stuck,
                           .reason = outcome.reason,
                           .action = std::string(JobStateName(outcome.state)),
                           .note = absl::StrCat(std::string(JobStateName(outcome.state)), ": ", outcome.message)});
}

// An event for each client's change, for one of all clients, and for a plan that was refused: once, as the status
// shows.
void AnnouncePlan(const JobSnapshot& snapshot, Plan* plan) {
  if (!snapshot.progress.has_value() || !snapshot.progress->plan.has_value()) {
    return;
  }
  const PlanView& now = *snapshot.progress->plan;
  const Json last = snapshot.status.is_object() ? snapshot.status.value("plan", Json::object()) : Json::object();
  const uint64_t number = last.value("number", uint64_t{0});
  const std::string state = last.value("state", "");
  // Of one that was being prepared for, nothing has been told yet.
  const uint64_t told = number > 0 && state != "Applied" && state != "Refused" ? number - 1 : number;
  for (const ClientProgress& client : snapshot.progress->clients) {
    if (client.plan > told) {
      plan->notices.push_back({.warning = false,
                               .reason = "PlanApplied",
                               .action = "Plan",
                               .note = absl::StrCat("client ", client.name, ": ", client.reason)});
    }
  }
  if (const ProgressView& progress = *snapshot.progress; progress.microbatches_plan > told) {
    plan->notices.push_back({.warning = false,
                             .reason = "PlanApplied",
                             .action = "Plan",
                             .note = absl::StrCat("all clients: ", progress.microbatches_reason)});
  }
  const bool undone = now.number == number && state == "Applied";  // a client was lost under it
  if (now.state == "REFUSED" && (now.number > told || undone)) {
    plan->notices.push_back({.warning = true,
                             .reason = "PlanRefused",
                             .action = "Plan",
                             .note = absl::StrCat("before step ", now.step + 1, ": ", now.message)});
  }
}

// Why the operator cannot run a job that the CRD's rules have let pass (an older CRD, say); empty: it can.
std::string WhyNot(const ParsedJob& job) {
  if (!job->ok()) {
    return std::string(job->status().message());
  }
  if ((*job)->model.source.kind == spec::SourceKind::kHuggingFace) {
    return absl::StrCat(
        "spec.model.source.huggingFace: \"", (*job)->model.source.value,
        "\" cannot be fetched yet; put the model on a volume and name a persistentVolumeClaim or hostPath");
  }
  return "";
}

Plan RefuseJob(const JobSnapshot& snapshot, const std::string& why) {
  Plan plan;
  const Outcome outcome{JobState::kFailed, "InvalidSpec", why};
  DeleteLivePods(snapshot, &plan);
  JobSnapshot readable = snapshot;
  readable.job = std::make_shared<const absl::StatusOr<spec::FineTuneJob>>(spec::FineTuneJob{});
  plan.status = NextStatus(readable, {MemberState{}}, outcome);
  Announce(snapshot, outcome, &plan);
  return plan;
}

Plan AfterTheEnd(const JobSnapshot& snapshot, const spec::FineTuneJob& job) {
  Plan plan;
  const WallTime finished = ParseTime(snapshot.status.value("completionTime", "")).value_or(snapshot.now);
  // Workers end by themselves, a little later than an aggregator that is done.
  if (IsConditionTrue(snapshot.status, "Failed") || snapshot.now >= finished + kFarewell) {
    DeleteLivePods(snapshot, &plan);
  } else {
    LookAgainAt(finished + kFarewell, &plan);
  }
  if (job.lifecycle.ttl_after_finished.has_value()) {
    const WallTime due = finished + *job.lifecycle.ttl_after_finished;
    plan.delete_job = snapshot.now >= due;
    LookAgainAt(due, &plan);
  }
  return plan;
}

}  // namespace

Plan Decide(const JobSnapshot& snapshot) {
  if (snapshot.being_deleted) {
    return {};  // its children go with it
  }
  if (snapshot.job->ok() && (*snapshot.job)->lifecycle.managed_by != spec::Lifecycle{}.managed_by) {
    return {};  // another's
  }
  if (IsFinished(snapshot.status)) {
    return AfterTheEnd(snapshot, snapshot.job->value_or(spec::FineTuneJob{}));
  }
  if (const std::string why = WhyNot(snapshot.job); !why.empty()) {
    return RefuseJob(snapshot, why);
  }
  const spec::FineTuneJob& job = **snapshot.job;
  Plan plan;
  const std::vector<MemberState> members = MembersOf(snapshot, job);
  const Outcome outcome = OutcomeOf(snapshot, job, members);
  // A new job has its pods made first; that these are there is the first thing to say of it, once they are seen.
  const bool is_new = snapshot.status.is_null() && snapshot.pods.empty() && outcome.state == JobState::kPending;
  plan.status = NextStatus(snapshot, members, outcome);
  plan.status_can_wait = is_new;
  if (!is_new) {
    Announce(snapshot, outcome, &plan);
    AnnouncePlan(snapshot, &plan);
  }
  if (outcome.state == JobState::kSuspended || outcome.state == JobState::kFailed ||
      outcome.state == JobState::kComplete) {
    // Pods of a job that failed are what its status was read from: they go once it is written.
    if (outcome.state == JobState::kSuspended) {
      DeleteLivePods(snapshot, &plan);
    }
    return plan;
  }
  MakeChildren(snapshot, job, &plan);
  MakePods(snapshot, job, members, &plan);
  LookAgainAt(NextDeadline(snapshot, job, members), &plan);
  return plan;
}

}  // namespace splitft::controller
