#include "operator/observe.h"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/spec/parse.h"
#include "operator/desired/names.h"

namespace splitft::controller {
namespace {

using kube::Json;
using kube::TextAt;

// What etcd holds of one object.
constexpr size_t kJobLimitBytes = 2 << 20;
constexpr char kWhole[] = "whole";  // of a trimmed child: all of it, as text

// What the reader of manifests takes: a job as it was applied. Fields that are not of the manifest are left out.
std::string ManifestOf(const Json& object) {
  Json manifest = {{"apiVersion", kApiVersion}, {"kind", kKind}, {"metadata", Json::object()}};
  for (const char* field : {"name", "namespace"}) {
    manifest["metadata"][field] = TextAt(object, {"metadata", field});
  }
  std::string text = manifest.dump();  // JSON is YAML
  if (const Json* spec = kube::Find(object, {"spec"}); spec != nullptr) {
    text.pop_back();
    absl::StrAppend(&text, ",\"spec\":", spec->is_string() ? spec->get<std::string>() : spec->dump(), "}");
  }
  return text;
}

const Json* Condition(const Json& pod, std::string_view type) {
  const Json* conditions = kube::Find(pod, {"status", "conditions"});
  if (conditions == nullptr || !conditions->is_array()) {
    return nullptr;
  }
  const auto found = std::find_if(conditions->begin(), conditions->end(),
                                  [&](const Json& condition) { return TextAt(condition, {"type"}) == type; });
  return found == conditions->end() ? nullptr : &*found;
}

// The state of the pod's own container; others may have been injected.
const Json* ContainerState(const Json& pod) {
  const Json* containers = kube::Find(pod, {"status", "containerStatuses"});
  if (containers == nullptr || !containers->is_array() || containers->empty()) {
    return nullptr;
  }
  const auto ours = std::find_if(containers->begin(), containers->end(),
                                 [](const Json& container) { return TextAt(container, {"name"}) == kContainerName; });
  return kube::Find(ours == containers->end() ? containers->front() : *ours, {"state"});
}

PodPhase PhaseOf(const Json& pod) {
  const std::string_view phase = TextAt(pod, {"status", "phase"});
  if (phase == "Running") {
    return PodPhase::kRunning;
  }
  if (phase == "Succeeded") {
    return PodPhase::kSucceeded;
  }
  return phase == "Failed" ? PodPhase::kFailed : PodPhase::kPending;
}

void ReadContainer(const Json& state, PodView* view) {
  if (const Json* ended = kube::Find(state, {"terminated"}); ended != nullptr) {
    view->exit_code = static_cast<int>(kube::IntegerAt(*ended, {"exitCode"}, -1));
    view->reason = TextAt(*ended, {"reason"});
    view->message = TextAt(*ended, {"message"});
    view->ended = ParseTime(TextAt(*ended, {"finishedAt"}));
  } else if (const Json* waiting = kube::Find(state, {"waiting"}); waiting != nullptr) {
    const std::string_view reason = TextAt(*waiting, {"reason"});
    if (reason != "ContainerCreating" && reason != "PodInitializing") {
      view->reason = reason;
      view->message = TextAt(*waiting, {"message"});
    }
  }
}

// Without the room that a text has which grew.
std::string TextOf(const Json& value) {
  std::string text = value.dump();
  text.shrink_to_fit();
  return text;
}

// The members `fields` of object.`part`, taken out of it.
void Move(Json& object, const char* part, std::initializer_list<const char*> fields, Json* kept) {
  const auto from = object.find(part);
  for (const char* field : fields) {
    if (from == object.end() || !from->is_object()) {
      return;
    }
    if (const auto value = from->find(field); value != from->end()) {
      (*kept)[field] = std::move(*value);
    }
  }
}

// What says which object it is, of which version, and whose.
Json KeptMetadata(Json& object) {
  Json metadata = Json::object();
  for (const char* label : {kJobLabel, kRoleLabel, kClientLabel, kIndexLabel}) {
    if (const Json* value = kube::Find(object, {"metadata", "labels", label}); value != nullptr) {
      metadata["labels"][label] = *value;
    }
  }
  if (const std::string owner(kube::ControllerUidOf(object)); !owner.empty()) {
    metadata["ownerReferences"] = Json::array({{{"uid", owner}, {"controller", true}}});
  }
  Move(object, "metadata", {"name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"},
       &metadata);
  return metadata;
}

}  // namespace

PodView ViewOfPod(const Json& pod) {
  PodView view{.name = std::string(TextAt(pod, {"metadata", "name"})), .uid = std::string(kube::UidOf(pod))};
  const bool is_worker = TextAt(pod, {"metadata", "labels", kRoleLabel}) == RoleName(spec::Role::kWorker);
  view.role = is_worker ? spec::Role::kWorker : spec::Role::kAggregator;
  view.client = TextAt(pod, {"metadata", "labels", kClientLabel});
  static_cast<void>(absl::SimpleAtoi(std::string(TextAt(pod, {"metadata", "labels", kIndexLabel})), &view.index));
  view.phase = PhaseOf(pod);
  view.ip = TextAt(pod, {"status", "podIP"});
  view.created = ParseTime(TextAt(pod, {"metadata", "creationTimestamp"})).value_or(WallTime());
  view.deletion = ParseTime(TextAt(pod, {"metadata", "deletionTimestamp"}));
  const Json* ready = Condition(pod, "Ready");
  view.ready = ready != nullptr && TextAt(*ready, {"status"}) == "True";
  if (const Json* scheduled = Condition(pod, "PodScheduled");
      scheduled != nullptr && TextAt(*scheduled, {"status"}) == "False") {
    view.reason = TextAt(*scheduled, {"reason"});
    view.message = TextAt(*scheduled, {"message"});
  }
  if (const Json* state = ContainerState(pod)) {
    ReadContainer(*state, &view);
  }
  // What happened to the pod as a whole (Evicted, NodeLost) outweighs how its container ended.
  if (const std::string_view reason = TextAt(pod, {"status", "reason"}); !reason.empty()) {
    view.reason = reason;
    view.message = TextAt(pod, {"status", "message"});
  }
  if (const Json* disrupted = Condition(pod, "DisruptionTarget");
      disrupted != nullptr && TextAt(*disrupted, {"status"}) == "True" && view.phase == PodPhase::kFailed) {
    view.reason = "Evicted";
    view.message = TextAt(*disrupted, {"message"});
  }
  return view;
}

absl::StatusOr<spec::FineTuneJob> ParseJobObject(const Json& object) {
  return spec::ParseJob(ManifestOf(object), {.base_directory = "/", .overrides = {}, .limit_bytes = kJobLimitBytes});
}

JobSnapshot ViewOfJob(const Json& object) {
  const kube::ObjectKey key = kube::KeyOf(object);
  JobSnapshot snapshot{.name = key.name,
                       .name_space = key.name_space,
                       .uid = std::string(kube::UidOf(object)),
                       .generation = kube::IntegerAt(object, {"metadata", "generation"}),
                       .being_deleted = kube::IsBeingDeleted(object),
                       .status = nullptr};
  if (const Json* status = kube::Find(object, {"status"}); status != nullptr) {
    snapshot.status = *status;
  }
  return snapshot;
}

JobCounts CountByState(const std::vector<kube::Object>& jobs) {
  JobCounts counts;
  for (const kube::Object& job : jobs) {
    const std::string_view name = TextAt(*job, {"status", "state"});
    const auto* known = std::find_if(std::begin(kJobStates), std::end(kJobStates),
                                     [&](JobState state) { return JobStateName(state) == name; });
    ++counts[known == std::end(kJobStates) ? JobState::kPending : *known];
  }
  return counts;
}

void TrimPod(Json& pod) {
  Json status = Json::object();
  Move(pod, "status", {"phase", "podIP", "reason", "message"}, &status);
  for (const char* type : {"Ready", "PodScheduled", "DisruptionTarget"}) {
    if (const Json* condition = Condition(pod, type); condition != nullptr) {
      Json kept = {{"type", type}};
      for (const char* field : {"status", "reason", "message"}) {
        if (const Json* value = kube::Find(*condition, {field}); value != nullptr) {
          kept[field] = *value;
        }
      }
      status["conditions"].push_back(std::move(kept));
    }
  }
  if (const Json* state = ContainerState(pod); state != nullptr) {
    status["containerStatuses"] = Json::array({{{"state", *state}}});
  }
  pod = {{"metadata", KeptMetadata(pod)}, {"status", std::move(status)}};
}

void TrimJob(Json& job) {
  if (const auto spec = job.find("spec"); spec != job.end() && spec->is_object()) {
    *spec = TextOf(*spec);
  }
}

void TrimChild(Json& child) {
  std::string whole = TextOf(child);
  child = {{"metadata", KeptMetadata(child)}, {kWhole, std::move(whole)}};
}

Json WholeChild(const Json& trimmed) { return Json::parse(TextAt(trimmed, {kWhole}), nullptr, false); }

}  // namespace splitft::controller
