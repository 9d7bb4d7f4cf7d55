#include "operator/reconciler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/kube/api_error.h"
#include "operator/decide/decide.h"
#include "operator/decide/status.h"
#include "operator/desired/names.h"
#include "operator/types.h"

namespace splitft::controller {
namespace {

constexpr char kManager[] = "splitft-operator";
constexpr auto kBrief = kube::Client::Answer::kMetadata;  // of a write only its version counts
// The caches follow a write within milliseconds, and then the job comes again by itself; this is for when they do not.
constexpr Duration kStale = std::chrono::milliseconds(500);
constexpr Duration kFigureInterval = std::chrono::seconds(5);

}  // namespace

absl::StatusOr<std::optional<Duration>> Reconciler::Reconcile(const kube::ObjectKey& job) {
  if (!parts_.view.IsCurrent(job)) {
    return kStale;  // deciding again before our own writes are seen would do them twice
  }
  std::optional<JobSnapshot> snapshot = parts_.view.Snapshot(job);
  if (!snapshot.has_value()) {
    parts_.progress.Forget(job);
    const MutexLock lock(mutex_);
    status_written_.erase(job);
    return std::nullopt;
  }
  Complete(job, &*snapshot);
  const Plan plan = Decide(*snapshot);
  if (plan.children_are_as_wanted) {
    parts_.view.ChildrenAreAsWanted(job, *snapshot);
  }
  if (const absl::Status applied = Apply(job, *snapshot, plan); !applied.ok()) {
    SPLITFT_RETURN_IF_ERROR(SayIfRefused(job, *snapshot, plan, applied));
    return applied;  // and try again
  }
  Duration wait{};
  if (!plan.status_can_wait) {
    SPLITFT_ASSIGN_OR_RETURN(wait, WriteStatus(job, *snapshot, plan.status));
  }
  Tell(job, *snapshot, plan);
  if (plan.delete_job) {
    SPLITFT_RETURN_IF_ERROR(parts_.client.Delete(kFineTuneJob, job, {.preconditions = {.uid = snapshot->uid}}));
  }
  std::optional<Duration> again;
  if (wait > Duration::zero()) {
    again = wait;
  }
  if (plan.look_again.has_value()) {
    const Duration until = std::max<Duration>(*plan.look_again - snapshot->now, std::chrono::milliseconds(10));
    again = std::min(again.value_or(until), until);
  }
  return again;
}

void Reconciler::Complete(const kube::ObjectKey& key, JobSnapshot* snapshot) {
  snapshot->now = parts_.clock.WallTime();
  snapshot->settings = options_.settings;
  const PodView* aggregator = nullptr;
  for (const PodView& pod : snapshot->pods) {
    if (pod.role == spec::Role::kAggregator && (aggregator == nullptr || pod.index > aggregator->index)) {
      aggregator = &pod;
    }
  }
  if (aggregator == nullptr || IsFinished(snapshot->status)) {
    parts_.progress.Forget(key);
    return;
  }
  if (!aggregator->ip.empty() && aggregator->phase == PodPhase::kRunning) {
    const bool is_ipv6 = aggregator->ip.find(':') != std::string::npos;
    const std::string host = is_ipv6 ? absl::StrCat("[", aggregator->ip, "]") : aggregator->ip;
    parts_.progress.Follow(key, {.job_uid = snapshot->uid,
                                 .pod_uid = aggregator->uid,
                                 .address = absl::StrCat(host, ":", options_.settings.port),
                                 .job = snapshot->job,
                                 .first_plan = options_.first_plan});
  }
  snapshot->progress = parts_.progress.Get(key, aggregator->uid);
  snapshot->listening_since = parts_.progress.Since(key, aggregator->uid);
}

absl::Status Reconciler::SayIfRefused(const kube::ObjectKey& key, const JobSnapshot& snapshot, const Plan& plan,
                                      const absl::Status& error) {
  if (!absl::IsPermissionDenied(error) && !absl::IsInvalidArgument(error) && !absl::IsFailedPrecondition(error)) {
    return absl::OkStatus();  // it may pass by itself
  }
  const std::string why(error.message());
  Plan told;
  told.notices = {{.warning = true, .reason = "Refused", .action = "Create", .note = why}};
  Tell(key, snapshot, told);
  return WriteStatus(key, snapshot, WithRefusal(plan.status, why)).status();
}

absl::Status Reconciler::Apply(const kube::ObjectKey& key, const JobSnapshot& snapshot, const Plan& plan) {
  for (const PodDeletion& pod : plan.delete_pods) {
    const absl::Status status =
        parts_.client.Delete(kPod, {key.name_space, pod.name}, {.preconditions = {.uid = pod.uid}});
    if (!status.ok() && !kube::IsConflict(status)) {  // a conflict: that pod is gone, and its namesake is not meant
      return status;
    }
  }
  for (const Json& object : plan.create) {
    SPLITFT_RETURN_IF_ERROR(Create(key, snapshot, object));
  }
  for (const Json& object : plan.repair) {
    const kube::ResourceType* type = TypeOf(object);
    SPLITFT_ASSIGN_OR_RETURN(const Json written, parts_.client.Apply(*type, object, {.name = kManager}, kBrief));
    parts_.view.Wrote(key, *type, written);
  }
  return absl::OkStatus();
}

absl::Status Reconciler::Create(const kube::ObjectKey& key, const JobSnapshot& snapshot, const Json& object) {
  const kube::ResourceType* type = TypeOf(object);
  absl::StatusOr<Json> written = parts_.client.Create(*type, object, kBrief);
  if (absl::IsAlreadyExists(written.status())) {
    // Ours, from a write whose answer was lost; or somebody else's.
    SPLITFT_ASSIGN_OR_RETURN(written, parts_.client.Get(*type, kube::KeyOf(object)));
    if (kube::ControllerUidOf(*written) != snapshot.uid) {
      return absl::FailedPreconditionError(
          absl::StrCat(type->kind, " ", kube::KeyOf(object).name, " is there already, and not this job's"));
    }
  }
  SPLITFT_RETURN_IF_ERROR(written.status());
  parts_.view.Wrote(key, *type, *written);
  return absl::OkStatus();
}

absl::StatusOr<Duration> Reconciler::WriteStatus(const kube::ObjectKey& key, const JobSnapshot& snapshot,
                                                 const Json& status) {
  if (status.is_null() || status == snapshot.status) {
    return Duration::zero();
  }
  const TimePoint now = parts_.clock.Now();
  if (WithoutFigures(status) == WithoutFigures(snapshot.status)) {
    const MutexLock lock(mutex_);
    const auto written = status_written_.find(key);
    if (written != status_written_.end() && now < written->second + kFigureInterval) {
      return written->second + kFigureInterval - now;
    }
  }
  const Json object = {{"apiVersion", kApiVersion},
                       {"kind", kKind},
                       {"metadata", {{"name", key.name}, {"namespace", key.name_space}, {"uid", snapshot.uid}}},
                       {"status", status}};
  const absl::StatusOr<Json> written = parts_.client.ApplyStatus(kFineTuneJob, object, {.name = kManager}, kBrief);
  if (absl::IsNotFound(written.status()) || kube::IsConflict(written.status())) {
    return Duration::zero();  // the job has gone meanwhile
  }
  SPLITFT_RETURN_IF_ERROR(written.status());
  parts_.view.Wrote(key, kFineTuneJob, *written);
  const MutexLock lock(mutex_);
  status_written_[key] = now;
  return Duration::zero();
}

void Reconciler::Tell(const kube::ObjectKey& key, const JobSnapshot& snapshot, const Plan& plan) {
  const Json job = {{"metadata", {{"name", key.name}, {"namespace", key.name_space}, {"uid", snapshot.uid}}}};
  for (const Notice& notice : plan.notices) {
    parts_.events.Record(
        kFineTuneJob, job,
        {.warning = notice.warning, .reason = notice.reason, .action = notice.action, .note = notice.note});
    parts_.log.Info("decided", {{"job", key.text()}, {"reason", notice.reason}, {"note", notice.note}});
  }
}

}  // namespace splitft::controller
