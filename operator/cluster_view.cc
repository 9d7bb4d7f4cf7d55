#include "operator/cluster_view.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "operator/desired/names.h"
#include "operator/types.h"

namespace splitft::controller {
namespace {

constexpr char kByJob[] = "job";

// Children are found by the job's label, and belong to it only if their controller's UID says so.
std::vector<std::string> JobOf(const kube::Json& child) {
  return {absl::StrCat(std::string(kube::TextAt(child, {"metadata", "namespace"})), "/",
                       std::string(kube::TextAt(child, {"metadata", "labels", kJobLabel})))};
}

// Which objects the snapshot's children are, in which versions.
std::string VersionsOf(const JobSnapshot& snapshot) {
  std::string text;
  for (const auto& [name, child] : snapshot.children) {
    absl::StrAppend(&text, name, "=", std::string(kube::ResourceVersionOf(*child)), ";");
  }
  return text;
}

// What is not even read: among others, who wrote which field. Objects come as "items" of lists and as "object" of watch
// events. A job's annotations stay, for its templates have some, too.
std::vector<kube::MemberName> UnreadOf(const kube::ResourceType& type) {
  if (type == kFineTuneJob) {
    return {{"metadata", "managedFields"}};
  }
  if (type == kPod) {
    return {{"metadata", "managedFields"}, {"metadata", "annotations"}, {"items", "spec"}, {"object", "spec"}};
  }
  return {{"metadata", "managedFields"}, {"metadata", "annotations"}};
}

kube::Informer::Options OptionsOf(const kube::ResourceType& type, const ClusterView::Options& options) {
  const bool is_job = type == kFineTuneJob;
  return {.type = type,
          .name_space = options.name_space,
          .label_selector = is_job ? "" : absl::StrCat(kManagedByLabel, "=", kManagedByValue),
          .leave_out = UnreadOf(type),
          .trim = is_job         ? &TrimJob
                  : type == kPod ? &TrimPod
                                 : &TrimChild,
          .indexes = is_job ? std::map<std::string, kube::Informer::Indexer>()
                            : std::map<std::string, kube::Informer::Indexer>{{kByJob, &JobOf}},
          .machine = options.machine,
          .on_error = [type, report = options.on_error](const absl::Status& error) { report(type, error); },
          .on_relist = [type, report = options.on_relist] { report(type); }};
}

}  // namespace

ClusterView::ClusterView(kube::Transport& transport, const Clock& clock, const Options& options,
                         const std::function<void(const kube::ObjectKey&)>& changed)
    : jobs_(std::make_unique<kube::Informer>(transport, clock, OptionsOf(kFineTuneJob, options))) {
  jobs_->AddListener([changed](const kube::Change& change) { changed(change.key); });
  for (const kube::ResourceType* type : {&kPod, &kConfigMap, &kService, &kServiceAccount, &kNetworkPolicy}) {
    auto& informer = children_[type->kind];
    informer = std::make_unique<kube::Informer>(transport, clock, OptionsOf(*type, options));
    informer->AddListener([changed](const kube::Change& change) {
      changed({change.key.name_space, std::string(kube::TextAt(*change.object, {"metadata", "labels", kJobLabel}))});
    });
  }
}

void ClusterView::Start() {
  jobs_->Start();
  for (const auto& [kind, informer] : children_) {
    informer->Start();
  }
}

void ClusterView::Stop() {
  jobs_->Stop();
  for (const auto& [kind, informer] : children_) {
    informer->Stop();
  }
}

bool ClusterView::WaitForSync(TimePoint deadline) const {
  bool synced = jobs_->WaitForSync(deadline);
  for (const auto& [kind, informer] : children_) {
    synced = synced && informer->WaitForSync(deadline);
  }
  return synced;
}

std::optional<JobSnapshot> ClusterView::Snapshot(const kube::ObjectKey& job) {
  const kube::Object object = jobs_->Get(job);
  if (object == nullptr) {
    const MutexLock lock(mutex_);
    parsed_.erase(job);
    written_.erase(job);
    return std::nullopt;
  }
  JobSnapshot snapshot = ViewOfJob(*object);
  const Parsed parsed = Parse(job, *object);
  snapshot.job = parsed.job;
  for (const auto& [kind, informer] : children_) {
    for (const kube::Object& child : informer->ByIndex(kByJob, job.text())) {
      if (kube::ControllerUidOf(*child) != snapshot.uid) {
        continue;  // a former job's of the same name; it goes with its owner
      }
      if (kind == kPod.kind) {
        snapshot.pods.push_back(ViewOfPod(*child));
      } else {
        snapshot.children.emplace(absl::StrCat(kind, "/", kube::KeyOf(*child).name), child);
      }
    }
  }
  snapshot.children_are_as_wanted = !parsed.wanted_children.empty() && parsed.wanted_children == VersionsOf(snapshot);
  if (!snapshot.children_are_as_wanted) {
    for (auto& [name, child] : snapshot.children) {
      child = std::make_shared<const kube::Json>(WholeChild(*child));
    }
  }
  return snapshot;
}

void ClusterView::ChildrenAreAsWanted(const kube::ObjectKey& job, const JobSnapshot& snapshot) {
  std::string versions = VersionsOf(snapshot);
  const MutexLock lock(mutex_);
  if (const auto known = parsed_.find(job);
      known != parsed_.end() && known->second.uid == snapshot.uid && known->second.generation == snapshot.generation) {
    known->second.wanted_children = std::move(versions);
  }
}

void ClusterView::Wrote(const kube::ObjectKey& job, const kube::ResourceType& type, const kube::Json& object) {
  const std::string version(kube::ResourceVersionOf(object));
  const MutexLock lock(mutex_);
  std::string& newest = written_[job][type.kind];
  if (newest.empty() || kube::CompareResourceVersions(newest, version) < 0) {
    newest = version;
  }
}

bool ClusterView::IsCurrent(const kube::ObjectKey& job) {
  const MutexLock lock(mutex_);
  const auto written = written_.find(job);
  if (written == written_.end()) {
    return true;
  }
  for (const auto& [kind, version] : written->second) {
    const kube::Informer& informer = kind == kFineTuneJob.kind ? *jobs_ : *children_.at(kind);
    if (!informer.HasVersion(version)) {
      return false;
    }
  }
  written_.erase(written);
  return true;
}

ClusterView::Parsed ClusterView::Parse(const kube::ObjectKey& key, const kube::Json& object) {
  const std::string uid(kube::UidOf(object));
  const int64_t generation = kube::IntegerAt(object, {"metadata", "generation"});
  {
    const MutexLock lock(mutex_);
    if (const auto known = parsed_.find(key);
        known != parsed_.end() && known->second.uid == uid && known->second.generation == generation) {
      return known->second;
    }
  }
  const Parsed parsed{.uid = uid,
                      .generation = generation,
                      .job = std::make_shared<const absl::StatusOr<spec::FineTuneJob>>(ParseJobObject(object)),
                      .wanted_children = {}};
  const MutexLock lock(mutex_);
  parsed_[key] = parsed;
  return parsed;
}

}  // namespace splitft::controller
