#include "operator/decide/members.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"

namespace splitft::controller {
namespace {

// Exit codes of splitft's programs: libs/telemetry/exit.h.
constexpr int kDone = 0;
constexpr int kJobFailed = 1;
constexpr int kUsage = 2;
constexpr int kUnusableInput = 3;
constexpr int kPeerLost = 4;

// A pod that should have been gone for so long is on a node that nobody hears of.
constexpr auto kLostAfter = std::chrono::seconds(60);

// `first`, doubled so many times, at most 5 minutes.
WallTime Doubled(WallTime first, int times) {
  constexpr WallTime kMost = std::chrono::minutes(5);
  return std::min(kMost, first * (1 << std::clamp(times, 0, 10)));
}

bool IsAccident(const std::string& reason) {
  constexpr std::array<std::string_view, 6> kAccidents = {"Evicted",   "NodeLost",   "NodeShutdown",
                                                          "Preempted", "Preempting", "Terminated"};
  return std::find(kAccidents.begin(), kAccidents.end(), reason) != kAccidents.end();
}

bool Fits(const spec::FailureRule& rule, const PodView& pod) {
  const bool fits_code =
      rule.exit_codes.empty() || (pod.exit_code.has_value() && std::find(rule.exit_codes.begin(), rule.exit_codes.end(),
                                                                         *pod.exit_code) != rule.exit_codes.end());
  return rule.role == pod.role && fits_code;
}

Fate FateByRule(spec::FailureAction action) {
  switch (action) {
    case spec::FailureAction::kFailJob:
      return Fate::kFailJob;
    case spec::FailureAction::kRestart:
      return Fate::kRestart;
    case spec::FailureAction::kIgnore:
      return Fate::kReplace;
  }
  return Fate::kRestart;
}

bool IsOf(const PodView& pod, const Member& member) { return pod.role == member.role && pod.client == member.client; }

// The number of the pod that would follow the one that status tells of; 0 where it tells of none. Pods that somebody
// deleted are seen nowhere else, and their names are not used again.
int NextByStatus(const Json& status, const Member& member) {
  const bool is_worker = member.role == spec::Role::kWorker;
  const auto members = status.is_object() ? status.find(is_worker ? "clients" : "aggregators") : status.end();
  if (!status.is_object() || members == status.end() || !members->is_array()) {
    return 0;
  }
  for (const Json& known : *members) {
    if (known.contains("restarts") && (!is_worker || known.value("name", "") == member.client)) {
      return known.value("restarts", 0) + 1;
    }
  }
  return 0;
}

// Whether the member's next pod is due, and when.
void DecideNext(const JobSnapshot& snapshot, const spec::FineTuneJob& job, MemberState* state) {
  if (state->pod == nullptr) {
    state->make = NextByStatus(snapshot.status, state->member);
    return;
  }
  const PodView& pod = *state->pod;
  if (pod.deletion.has_value() && pod.phase != PodPhase::kFailed) {
    // Two of one name would only fight: the next comes when this one is gone, or should have been for a while.
    const WallTime lost = *pod.deletion + kLostAfter;
    snapshot.now >= lost ? void(state->make = pod.index + 1) : void(state->make_at = lost);
    return;
  }
  if (pod.phase != PodPhase::kFailed) {
    return;
  }
  const Fate fate = FateOf(pod, job.lifecycle);
  if (fate != Fate::kRestart && fate != Fate::kReplace) {
    return;
  }
  const WallTime ended = pod.ended.value_or(pod.created);
  const WallTime due = ended + (fate == Fate::kRestart ? RestartDelay(state->failures) : ReplacementDelay(pod.index));
  if (snapshot.now >= due) {
    state->make = pod.index + 1;
  } else {
    state->make_at = due;
  }
}

MemberState StateOf(const JobSnapshot& snapshot, const spec::FineTuneJob& job, Member member) {
  MemberState state{.member = std::move(member)};
  for (const PodView& pod : snapshot.pods) {
    if (!IsOf(pod, state.member)) {
      continue;
    }
    if (state.pod == nullptr || pod.index > state.pod->index) {
      state.pod = &pod;
    }
    if (pod.phase == PodPhase::kFailed && FateOf(pod, job.lifecycle) == Fate::kRestart) {
      ++state.failures;
    }
  }
  DecideNext(snapshot, job, &state);
  return state;
}

}  // namespace

Fate FateOf(const PodView& pod, const spec::Lifecycle& lifecycle) {
  if (pod.deletion.has_value() || IsAccident(pod.reason)) {
    return Fate::kReplace;  // somebody drained the node, or deleted the pod
  }
  for (const spec::FailureRule& rule : lifecycle.failure_rules) {
    if (Fits(rule, pod)) {
      return FateByRule(rule.action);
    }
  }
  switch (pod.exit_code.value_or(-1)) {
    case kDone:
      return Fate::kDone;
    case kPeerLost:
      // A consequence of what happened elsewhere. But the aggregator has waited for whom it lost, and its successor
      // begins at the first step: that must not go on for ever.
      return pod.role == spec::Role::kWorker ? Fate::kReplace : Fate::kRestart;
    case kJobFailed:
    case kUsage:
    case kUnusableInput:
      return Fate::kFailJob;
    default:
      return Fate::kRestart;  // killed: by the kernel for its memory, by a fault of the node
  }
}

std::vector<MemberState> MembersOf(const JobSnapshot& snapshot, const spec::FineTuneJob& job) {
  std::vector<MemberState> states;
  states.push_back(StateOf(snapshot, job, {.role = spec::Role::kAggregator, .client = {}}));
  for (const spec::Client& client : job.clients) {
    states.push_back(StateOf(snapshot, job, {.role = spec::Role::kWorker, .client = client.name}));
  }
  return states;
}

WallTime RestartDelay(int failures) { return Doubled(std::chrono::seconds(10), failures - 1); }

WallTime ReplacementDelay(int replaced) { return Doubled(std::chrono::seconds(1), replaced); }

std::string Describe(const Member& member) {
  return member.role == spec::Role::kAggregator ? "the aggregator" : absl::StrCat("client ", member.client);
}

}  // namespace splitft::controller
