#include "operator/decide/outcome.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"

namespace splitft::controller {
namespace {

std::string_view TextAt(const Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_string()
             ? std::string_view(found->get_ref<const std::string&>())
             : std::string_view();
}

WallTime StartOf(const JobSnapshot& snapshot) {
  return ParseTime(TextAt(snapshot.status, "startTime")).value_or(snapshot.now);
}

std::string NameOf(const spec::Source& source) {
  switch (source.kind) {
    case spec::SourceKind::kPersistentVolumeClaim:
      return absl::StrCat("persistentVolumeClaim ", source.value);
    case spec::SourceKind::kConfigMap:
      return absl::StrCat("configMap ", source.value);
    default:
      return absl::StrCat("hostPath ", source.value);
  }
}

// Since when the present attempt could have begun to train; nothing: it has no pod that could, and another is due. A
// new leader has heard nothing yet of what began long ago.
std::optional<WallTime> AttemptStart(const JobSnapshot& snapshot, const MemberState& aggregator) {
  const WallTime start = StartOf(snapshot);
  if (aggregator.pod == nullptr) {
    return snapshot.status.is_object() && snapshot.status.contains("aggregators") ? std::nullopt : std::optional(start);
  }
  if (aggregator.pod->phase == PodPhase::kFailed || aggregator.pod->deletion.has_value()) {
    return std::nullopt;
  }
  const WallTime since = std::max(start, aggregator.pod->created);
  return snapshot.progress.has_value() ? since : std::max(since, snapshot.listening_since.value_or(since));
}

bool IsTraining(const ProgressView& progress) {
  return progress.phase == "TRAINING" || progress.phase == "EVALUATING" || progress.phase == "WRITING" ||
         progress.phase == "COMPLETED";  // its pod ends soon
}

// Since when the job has made no step: since its aggregator's last change, or since it was started.
WallTime LastChange(const JobSnapshot& snapshot) {
  const WallTime start = StartOf(snapshot);
  return snapshot.progress.has_value() ? std::max(start, snapshot.progress->changed) : start;
}

std::string Last(const std::string& words) {
  const size_t end = words.find_last_not_of(" \n");
  const size_t begin = end == std::string::npos ? 0 : words.rfind('\n', end);
  return end == std::string::npos ? "" : words.substr(begin == std::string::npos ? 0 : begin + 1, end + 1 - begin - 1);
}

// How a pod that failed ended: "pod x ended with 137 (OOMKilled): last words".
std::string HowItEnded(const PodView& pod) {
  std::string text = absl::StrCat("pod ", pod.name);
  if (pod.exit_code.has_value()) {
    absl::StrAppend(&text, " ended with ", *pod.exit_code);
  } else {
    absl::StrAppend(&text, " failed");
  }
  if (!pod.reason.empty() && pod.reason != "Error") {
    absl::StrAppend(&text, " (", pod.reason, ")");
  }
  const std::string words = Last(pod.message);
  return words.empty() ? text : absl::StrCat(text, ": ", words);
}

std::optional<Outcome> FailureOf(const JobSnapshot& snapshot, const spec::FineTuneJob& job,
                                 const std::vector<MemberState>& members) {
  // The aggregator's own word is the cause; pods that end afterwards are its consequence. But where there are rules for
  // its end, that is awaited.
  const std::vector<spec::FailureRule>& rules = job.lifecycle.failure_rules;
  const bool has_rules = std::any_of(
      rules.begin(), rules.end(), [](const spec::FailureRule& rule) { return rule.role == spec::Role::kAggregator; });
  if (snapshot.progress.has_value() && snapshot.progress->phase == "FAILED" && !has_rules) {
    return Outcome{JobState::kFailed, "TrainingFailed", snapshot.progress->message};
  }
  const Outcome* worst = nullptr;
  std::vector<Outcome> found;
  found.reserve(members.size());
  for (const MemberState& member : members) {
    if (member.pod == nullptr || member.pod->phase != PodPhase::kFailed) {
      continue;
    }
    const std::string how = absl::StrCat(Describe(member.member), ": ", HowItEnded(*member.pod));
    if (FateOf(*member.pod, job.lifecycle) == Fate::kFailJob) {
      found.push_back({JobState::kFailed, "MemberFailed", how});
    } else if (member.failures > job.lifecycle.backoff_limit) {
      const std::string reason = member.pod->reason == "OOMKilled" ? "OutOfMemory" : "BackoffLimitExceeded";
      found.push_back({JobState::kFailed, reason, absl::StrCat(how, "; it failed ", member.failures, " times")});
    }
  }
  // What a worker says of its own input is nearer to the cause than what the aggregator says of the worker.
  if (!found.empty()) {
    worst = &found.back();
  }
  return worst == nullptr ? std::nullopt : std::optional(*worst);
}

// "persistentVolumeClaim a/model or persistentVolumeClaim a/text": what `member` reads.
std::string WhatIsRead(const spec::FineTuneJob& job, const Member& member) {
  std::string all = NameOf(job.model.source);
  for (const spec::Client& client : job.clients) {
    if (member.role == spec::Role::kWorker && client.name == member.client) {
      absl::StrAppend(&all, " or ", NameOf(client.data.source));
    }
  }
  return all;
}

// Why a pod that has not begun has not, as far as Kubernetes says.
std::string WhyPending(const PodView& pod, const spec::FineTuneJob& job, const Member& member) {
  if (pod.reason.empty()) {
    // What keeps a kubelet from it, a volume that is not there say, stands in the pod's events only.
    return absl::StrCat("Pending; if it stays so, kubectl describe pod ", pod.name, " says why");
  }
  const bool missing = absl::StrContains(pod.message, "subPath");  // a kubelet does not say of what
  return absl::StrCat(pod.reason, pod.message.empty() ? "" : ": ", pod.message,
                      missing ? absl::StrCat("; is there no ", WhatIsRead(job, member), "?") : "");
}

// Why members do not run yet; those of whom Kubernetes says why come first.
Outcome WaitingFor(const JobSnapshot& snapshot, const spec::FineTuneJob& job, const std::vector<MemberState>& members) {
  Outcome outcome{JobState::kPending, "PodsPending", ""};
  std::vector<std::string> waits;
  std::vector<std::string> others;
  for (const MemberState& member : members) {
    const PodView* pod = member.pod;
    if (pod == nullptr || pod->phase == PodPhase::kFailed) {
      others.push_back(absl::StrCat(Describe(member.member), " has no pod yet"));
    } else if (pod->phase == PodPhase::kPending) {
      outcome.reason = pod->reason.empty() ? outcome.reason : pod->reason;
      (pod->reason.empty() ? others : waits)
          .push_back(absl::StrCat("pod ", pod->name, " is ", WhyPending(*pod, job, member.member)));
    }
  }
  waits.insert(waits.end(), others.begin(), others.end());
  if (waits.empty()) {
    outcome.state = JobState::kStarting;
    outcome.reason = "WaitingForClients";
    std::vector<std::string> absent;
    if (snapshot.progress.has_value()) {
      for (const ClientProgress& client : snapshot.progress->clients) {
        if (!client.connected) {
          absent.push_back(client.name);
        }
      }
    }
    outcome.message = absent.empty() ? "all pods run; the aggregator has not reported yet"
                                     : absl::StrCat("clients that have not joined: ", absl::StrJoin(absent, ", "));
    return outcome;
  }
  outcome.message = absl::StrJoin(waits.begin(), waits.begin() + std::min<int64_t>(3, std::ssize(waits)), "; ");
  if (waits.size() > 3) {
    absl::StrAppend(&outcome.message, "; and ", waits.size() - 3, " more");
  }
  return outcome;
}

std::optional<Outcome> DeadlineOf(const JobSnapshot& snapshot, const spec::FineTuneJob& job,
                                  const std::vector<MemberState>& members) {
  const spec::Lifecycle& lifecycle = job.lifecycle;
  const WallTime start = StartOf(snapshot);
  if (lifecycle.active_deadline.has_value() && snapshot.now >= start + *lifecycle.active_deadline) {
    return Outcome{
        JobState::kFailed, "DeadlineExceeded",
        absl::StrCat("the job was not done within spec.activeDeadlineSeconds, ", lifecycle.active_deadline->count())};
  }
  const bool started = snapshot.progress.has_value() && (IsTraining(*snapshot.progress) || snapshot.progress->step > 0);
  const std::optional<WallTime> attempt = AttemptStart(snapshot, members.front());
  if (!started && attempt.has_value() && lifecycle.start_deadline.count() > 0 &&
      snapshot.now >= *attempt + lifecycle.start_deadline) {
    return Outcome{JobState::kFailed, "StartDeadlineExceeded",
                   absl::StrCat("training did not begin within spec.startDeadlineSeconds, ",
                                lifecycle.start_deadline.count(), "; ", WaitingFor(snapshot, job, members).message)};
  }
  if (started && lifecycle.stall_timeout.count() > 0 &&
      snapshot.now >= LastChange(snapshot) + lifecycle.stall_timeout) {
    return Outcome{JobState::kFailed, "StepStalled",
                   absl::StrCat("step ", snapshot.progress->step, " was the last within spec.stallTimeoutSeconds, ",
                                lifecycle.stall_timeout.count())};
  }
  return std::nullopt;
}

}  // namespace

std::string_view JobStateName(JobState state) {
  switch (state) {
    case JobState::kPending:
      return "Pending";
    case JobState::kStarting:
      return "Starting";
    case JobState::kRunning:
      return "Running";
    case JobState::kSuspended:
      return "Suspended";
    case JobState::kComplete:
      return "Complete";
    case JobState::kFailed:
      return "Failed";
  }
  return "";
}

const Json* FindCondition(const Json& status, std::string_view type) {
  const auto conditions = status.is_object() ? status.find("conditions") : status.end();
  if (!status.is_object() || conditions == status.end() || !conditions->is_array()) {
    return nullptr;
  }
  for (const Json& condition : *conditions) {
    if (TextAt(condition, "type") == type) {
      return &condition;
    }
  }
  return nullptr;
}

bool IsConditionTrue(const Json& status, std::string_view type) {
  const Json* condition = FindCondition(status, type);
  return condition != nullptr && TextAt(*condition, "status") == "True";
}

bool IsFinished(const Json& status) { return IsConditionTrue(status, "Complete") || IsConditionTrue(status, "Failed"); }

Outcome OutcomeOf(const JobSnapshot& snapshot, const spec::FineTuneJob& job, const std::vector<MemberState>& members) {
  const PodView* aggregator = members.front().pod;
  if (aggregator != nullptr && aggregator->phase == PodPhase::kSucceeded) {
    return {JobState::kComplete, "AdapterWritten", absl::StrCat("the adapter lies in ", NameOf(job.output))};
  }
  if (std::optional<Outcome> failure = FailureOf(snapshot, job, members)) {
    return *failure;
  }
  if (job.lifecycle.suspend) {
    return {JobState::kSuspended, "Suspended",
            "spec.suspend is true; without checkpoints, resuming begins at the first step"};
  }
  if (std::optional<Outcome> late = DeadlineOf(snapshot, job, members)) {
    return *late;
  }
  if (snapshot.progress.has_value() && IsTraining(*snapshot.progress)) {
    return {JobState::kRunning, "Training",
            absl::StrCat("step ", snapshot.progress->step, " of ", snapshot.progress->total_steps)};
  }
  return WaitingFor(snapshot, job, members);
}

std::optional<WallTime> NextDeadline(const JobSnapshot& snapshot, const spec::FineTuneJob& job,
                                     const std::vector<MemberState>& members) {
  const spec::Lifecycle& lifecycle = job.lifecycle;
  std::vector<WallTime> moments;
  const WallTime start = StartOf(snapshot);
  if (lifecycle.active_deadline.has_value()) {
    moments.push_back(start + *lifecycle.active_deadline);
  }
  if (const auto attempt = AttemptStart(snapshot, members.front());
      attempt.has_value() && lifecycle.start_deadline.count() > 0) {
    moments.push_back(*attempt + lifecycle.start_deadline);
  }
  if (lifecycle.stall_timeout.count() > 0) {
    moments.push_back(LastChange(snapshot) + lifecycle.stall_timeout);
  }
  std::optional<WallTime> next;
  for (const WallTime moment : moments) {
    if (moment > snapshot.now && (!next.has_value() || moment < *next)) {
      next = moment;
    }
  }
  return next;
}

std::string FormatTime(WallTime time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixMillis(time.count()), absl::UTCTimeZone());
}

std::optional<WallTime> ParseTime(std::string_view text) {
  absl::Time time;
  if (text.empty() || !absl::ParseTime(absl::RFC3339_full, std::string(text), &time, nullptr)) {
    return std::nullopt;
  }
  return WallTime(absl::ToUnixMillis(time));
}

}  // namespace splitft::controller
