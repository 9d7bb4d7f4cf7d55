#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/decide/members.h"
#include "operator/decide/snapshot.h"

namespace splitft::controller {

// What is true of the job as a whole. Exactly one holds at a time.
enum class JobState { kPending, kStarting, kRunning, kSuspended, kComplete, kFailed };
inline constexpr JobState kJobStates[] = {JobState::kPending,   JobState::kStarting, JobState::kRunning,
                                          JobState::kSuspended, JobState::kComplete, JobState::kFailed};
std::string_view JobStateName(JobState state);

// A state with its cause, for conditions, events and people.
struct Outcome {
  JobState state = JobState::kPending;
  std::string reason;   // CamelCase
  std::string message;  // a sentence: which pod, and what it said
};

// The condition `type` of a status, or null.
const Json* FindCondition(const Json& status, std::string_view type);
bool IsConditionTrue(const Json& status, std::string_view type);
// A finished job stays as it is.
bool IsFinished(const Json& status);

// The job's state by what its members and its aggregator show; deadlines included.
Outcome OutcomeOf(const JobSnapshot& snapshot, const spec::FineTuneJob& job, const std::vector<MemberState>& members);

// The next moment at which OutcomeOf may say something else though nothing happens.
std::optional<WallTime> NextDeadline(const JobSnapshot& snapshot, const spec::FineTuneJob& job,
                                     const std::vector<MemberState>& members);

// "2026-01-31T12:00:00Z", as Kubernetes has times; and back, nothing where `text` is none.
std::string FormatTime(WallTime time);
std::optional<WallTime> ParseTime(std::string_view text);

}  // namespace splitft::controller
