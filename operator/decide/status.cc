#include "operator/decide/status.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace splitft::controller {
namespace {

constexpr size_t kLongestReason = 1000;
constexpr char kFirstLetter[] = "R_";
constexpr size_t kLongestMessage = 4096;
constexpr size_t kMostCuts = 12;

// Rates are rounded: the last digits would only make writes.
int64_t TokensPerSecond(const ProgressView& progress) {
  return progress.step_seconds > 0 ? std::llround(static_cast<double>(progress.step_tokens) / progress.step_seconds)
                                   : 0;
}

int64_t RemainingSeconds(const ProgressView& progress) {
  return std::llround(static_cast<double>(progress.total_steps - progress.step) * progress.step_seconds);
}

// "4m10s", as kubectl shows durations.
std::string Short(int64_t seconds) {
  if (seconds < 60) {
    return absl::StrCat(seconds, "s");
  }
  if (seconds < 3600) {
    return absl::StrCat(seconds / 60, "m", seconds % 60, "s");
  }
  return seconds < 86'400 ? absl::StrCat(seconds / 3600, "h", seconds / 60 % 60, "m")
                          : absl::StrCat(seconds / 86'400, "d", seconds / 3600 % 24, "h");
}

// "APPLIED" as Kubernetes writes words: Applied; empty for what is none.
std::string PlanStateName(const PlanView& plan) {
  std::string name = absl::AsciiStrToLower(plan.state);
  if (name.empty() || name == "none") {
    return "";
  }
  name.front() = absl::ascii_toupper(static_cast<unsigned char>(name.front()));
  return name;
}

const ClientProgress* ProgressOf(const JobSnapshot& snapshot, const std::string& client) {
  if (!snapshot.progress.has_value()) {
    return nullptr;
  }
  for (const ClientProgress& progress : snapshot.progress->clients) {
    if (progress.name == client) {
      return &progress;
    }
  }
  return nullptr;
}

// `reason` in the form that conditions have (the CRD's pattern): a kubelet has reasons like OutOfnvidia.com/gpu.
std::string ConditionReason(std::string reason) {
  for (char& c : reason) {
    c = absl::ascii_isalnum(static_cast<unsigned char>(c)) ? c : '_';
  }
  return reason.empty() || !absl::ascii_isalpha(static_cast<unsigned char>(reason.front()))
             ? absl::StrCat(kFirstLetter, reason)
             : reason.substr(0, kLongestReason);
}

// A condition that says `outcome`; the time of its last transition is kept where its status is the same.
Json Condition(const JobSnapshot& snapshot, const char* type, bool holds, const std::string& reason,
               const std::string& message) {
  const Json* before = FindCondition(snapshot.status, type);
  const char* status = holds ? "True" : "False";
  const bool same = before != nullptr && before->value("status", "") == status;
  return {{"type", type},
          {"status", status},
          {"observedGeneration", snapshot.generation},
          {"lastTransitionTime", same ? before->value("lastTransitionTime", "") : FormatTime(snapshot.now)},
          {"reason", ConditionReason(reason)},
          {"message", message.substr(0, kLongestMessage)}};
}

// What is wrong with members that are not gone for good: the first, and how many more.
struct Trouble {
  std::string reason;
  std::string message;
};
std::optional<Trouble> TroubleOf(const std::vector<MemberState>& members) {
  std::optional<Trouble> trouble;
  for (const MemberState& member : members) {
    const PodView* pod = member.pod;
    const bool failed = pod != nullptr && pod->phase == PodPhase::kFailed;
    const bool stuck = pod != nullptr && pod->phase == PodPhase::kPending && !pod->reason.empty();
    if ((failed || stuck) && !trouble.has_value()) {
      trouble = {failed && (pod->reason.empty() || pod->reason == "Error") ? "PodFailed" : pod->reason,
                 absl::StrCat(Describe(member.member), ": ", pod->message.empty() ? "its pod failed" : pod->message)};
    }
  }
  return trouble;
}

Json Conditions(const JobSnapshot& snapshot, const std::vector<MemberState>& members, const Outcome& outcome) {
  Json conditions = Json::array();
  const auto add = [&](const char* type, bool holds) {
    conditions.push_back(Condition(snapshot, type, holds, outcome.reason, outcome.message));
  };
  add("Running", outcome.state == JobState::kRunning);
  if (outcome.state == JobState::kSuspended || FindCondition(snapshot.status, "Suspended") != nullptr) {
    add("Suspended", outcome.state == JobState::kSuspended);
  }
  if (outcome.state == JobState::kComplete) {
    add("Complete", true);
  }
  if (outcome.state == JobState::kFailed) {
    add("Failed", true);
  }
  const bool ended = outcome.state == JobState::kComplete || outcome.state == JobState::kFailed ||
                     outcome.state == JobState::kSuspended;
  const std::optional<Trouble> trouble = ended ? std::nullopt : TroubleOf(members);
  if (trouble.has_value() || FindCondition(snapshot.status, "Degraded") != nullptr) {
    conditions.push_back(Condition(snapshot, "Degraded", trouble.has_value(),
                                   trouble.has_value() ? trouble->reason : "AsExpected",
                                   trouble.has_value() ? trouble->message : "every member is well"));
  }
  const std::string unknown = ended || !snapshot.progress.has_value() ? "" : snapshot.progress->unknown;
  constexpr char kHeld[] = "SchedulingHeld";
  if (!unknown.empty() || FindCondition(snapshot.status, kHeld) != nullptr) {
    const std::string reason = unknown.empty() ? "AsExpected" : "FiguresUnknown";
    conditions.push_back(
        Condition(snapshot, kHeld, !unknown.empty(), reason,
                  unknown.empty() ? "the scheduler has figures" : absl::StrCat("the job goes on as it is: ", unknown)));
  }
  return conditions;
}

// By the number of the member's pod; between two pods, by that of the one that was.
void AddRestarts(const MemberState& member, Json* status) {
  if (member.pod != nullptr) {
    (*status)["restarts"] = member.pod->index;
  } else if (member.make.value_or(0) > 0) {
    (*status)["restarts"] = *member.make - 1;
  }
}

Json Clients(const JobSnapshot& snapshot, const std::vector<MemberState>& members) {
  Json clients = Json::array();
  for (const MemberState& member : members) {
    if (member.member.role != spec::Role::kWorker) {
      continue;
    }
    const ClientProgress* progress = ProgressOf(snapshot, member.member.client);
    Json client = {{"name", member.member.client}, {"ready", progress != nullptr && progress->connected}};
    AddRestarts(member, &client);
    if (member.pod != nullptr) {
      client["pod"] = member.pod->name;
      if (!member.pod->reason.empty() && member.pod->reason != "Completed") {
        client["reason"] = member.pod->reason.substr(0, kLongestReason);
      }
    }
    if (progress != nullptr) {
      client["cutLayer"] = progress->cut_layer;
      client["rank"] = progress->rank;
      client["codec"] = progress->codec;
      if (!progress->reason.empty() && !client.contains("reason")) {
        client["reason"] = progress->reason.substr(0, kLongestReason);
      }
      client["lastStep"] = snapshot.progress->step;
      client["stepSeconds"] = absl::StrFormat("%.3f", progress->step_seconds);
    }
    clients.push_back(std::move(client));
  }
  return clients;
}

Json Aggregators(const MemberState& member, const spec::FineTuneJob& job) {
  Json aggregator = {{"name", "aggregator"}, {"device", job.aggregator.device}, {"ready", false}};
  AddRestarts(member, &aggregator);
  if (member.pod != nullptr) {
    aggregator["pod"] = member.pod->name;
    aggregator["ready"] = member.pod->ready;
    if (!member.pod->reason.empty() && member.pod->reason != "Completed") {
      aggregator["reason"] = member.pod->reason.substr(0, kLongestReason);
    }
  }
  return Json::array({aggregator});
}

// From the last words of an aggregator that has ended well (--result-file of splitft-aggregator).
std::string AdapterSha256(const PodView* aggregator) {
  const Json result =
      aggregator == nullptr ? Json() : Json::parse(aggregator->message, nullptr, /*allow_exceptions=*/false);
  const auto sha256 = result.is_object() ? result.find("adapterSha256") : result.end();
  return result.is_object() && sha256 != result.end() && sha256->is_string() ? sha256->get<std::string>() : "";
}

void AddProgress(const JobSnapshot& snapshot, const Outcome& outcome, Json* status) {
  if (!snapshot.progress.has_value() || snapshot.progress->total_steps == 0) {
    return;  // what was known stays
  }
  const ProgressView& progress = *snapshot.progress;
  Json figures = {{"step", progress.step},
                  {"totalSteps", progress.total_steps},
                  {"percent", 100 * progress.step / progress.total_steps}};
  if (progress.step > 0) {
    figures["loss"] = absl::StrFormat("%.4f", progress.loss);
    figures["tokensPerSecond"] = TokensPerSecond(progress);
    figures["remainingSeconds"] = RemainingSeconds(progress);
  }
  if (progress.microbatches > 0) {
    figures["microbatches"] = progress.microbatches;
  }
  if (progress.eval_loss.has_value()) {
    figures["evalLoss"] = absl::StrFormat("%.4f", *progress.eval_loss);
  }
  (*status)["progress"] = figures;
  (*status)["summary"]["steps"] = absl::StrCat(progress.step, "/", progress.total_steps);
  (*status)["summary"]["remaining"] =
      outcome.state == JobState::kRunning && progress.step > 0 ? Short(RemainingSeconds(progress)) : "";
  if (!progress.plan.has_value() || PlanStateName(*progress.plan).empty()) {
    status->erase("plan");  // another aggregator has begun anew, or says what is not known here
  } else {
    (*status)["plan"] = {{"number", progress.plan->number},
                         {"state", PlanStateName(*progress.plan)},
                         {"step", progress.plan->step},
                         {"message", progress.plan->message.substr(0, kLongestMessage)}};
  }
  std::vector<std::string> cuts;
  for (const ClientProgress& client : progress.clients) {
    if (cuts.size() == kMostCuts) {
      cuts.emplace_back("...");
      break;
    }
    cuts.push_back(std::to_string(client.cut_layer));
  }
  (*status)["summary"]["cuts"] = absl::StrJoin(cuts, ",");
}

}  // namespace

Json NextStatus(const JobSnapshot& snapshot, const std::vector<MemberState>& members, const Outcome& outcome) {
  Json status = snapshot.status.is_object() ? snapshot.status : Json::object();
  status["state"] = JobStateName(outcome.state);
  status["observedGeneration"] = snapshot.generation;
  const MemberState& aggregator = members.front();
  status["attempt"] = 1 + (aggregator.pod != nullptr ? aggregator.pod->index : aggregator.make.value_or(0));
  if (outcome.state == JobState::kSuspended) {
    status.erase("startTime");
  } else if (!status.contains("startTime")) {
    status["startTime"] = FormatTime(snapshot.now);
  }
  status["conditions"] = Conditions(snapshot, members, outcome);
  status["clients"] = Clients(snapshot, members);
  status["aggregators"] = Aggregators(aggregator, **snapshot.job);
  int64_t ready = 0;
  for (const Json& client : status["clients"]) {
    ready += client.value("ready", false) ? 1 : 0;
  }
  AddProgress(snapshot, outcome, &status);
  status["summary"]["clients"] = absl::StrCat(ready, "/", members.size() - 1);
  if ((outcome.state == JobState::kComplete || outcome.state == JobState::kFailed) &&
      !status.contains("completionTime")) {
    status["completionTime"] = FormatTime(snapshot.now);
  }
  if (outcome.state == JobState::kComplete) {
    status["summary"]["remaining"] = "";
    status["adapter"]["path"] = (*snapshot.job)->output.value;
    if (const std::string sha256 = AdapterSha256(aggregator.pod); !sha256.empty()) {
      status["adapter"]["sha256"] = sha256;
    }
    // The last event may have been missed: the aggregator's own end says that all steps were done.
    if (const auto progress = status.find("progress"); progress != status.end()) {
      (*progress)["remainingSeconds"] = 0;
    }
  }
  return status;
}

Json WithRefusal(Json status, const std::string& why) {
  const auto conditions = status.is_object() ? status.find("conditions") : status.end();
  if (!status.is_object() || conditions == status.end()) {
    return status;
  }
  for (Json& condition : *conditions) {
    if (condition.value("type", "") == "Running" && condition.value("status", "") == "False") {
      condition["reason"] = "Refused";
      condition["message"] = why.substr(0, kLongestMessage);
    }
  }
  return status;
}

Json WithoutFigures(const Json& status) {
  Json rest = status;
  if (!rest.is_object()) {
    return rest;
  }
  rest.erase("progress");
  if (rest.contains("summary")) {
    rest["summary"].erase("steps");
    rest["summary"].erase("remaining");
  }
  if (rest.contains("clients")) {
    for (Json& client : rest["clients"]) {
      client.erase("lastStep");
      client.erase("stepSeconds");
    }
  }
  if (rest.contains("conditions")) {
    for (Json& condition : rest["conditions"]) {
      if (condition.value("type", "") == "Running") {
        condition.erase("message");  // has the step in it
      }
    }
  }
  return rest;
}

}  // namespace splitft::controller
