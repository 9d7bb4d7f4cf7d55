#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/kube/informer.h"
#include "operator/decide/snapshot.h"
#include "operator/observe.h"

namespace splitft::controller {

// The caches of everything the operator looks at, and the snapshot of one job out of them. Thread-safe.
class ClusterView {
 public:
  struct Options {
    std::string name_space;  // empty: all of them
    kube::WatchMachine::Options machine;
    // Both are set, and called from the caches' threads.
    std::function<void(const kube::ResourceType&, const absl::Status&)> on_error;  // of a list or a watch
    std::function<void(const kube::ResourceType&)> on_relist;                      // as Informer's
  };
  // `changed` is called with a job's key whenever it or one of its children is another. All outlive the view.
  ClusterView(kube::Transport& transport, const Clock& clock, const Options& options,
              const std::function<void(const kube::ObjectKey&)>& changed);

  void Start();
  void Stop();
  bool WaitForSync(TimePoint deadline) const;

  // Everything but progress, time and settings; nothing where there is no such job (any more).
  std::optional<JobSnapshot> Snapshot(const kube::ObjectKey& job) SPLITFT_EXCLUDES(mutex_);

  // The server answered a write about `job` with `object`: Snapshot is out of date until the caches have seen that.
  void Wrote(const kube::ObjectKey& job, const kube::ResourceType& type, const kube::Json& object)
      SPLITFT_EXCLUDES(mutex_);
  // Whether the caches have seen all that was written about `job`.
  bool IsCurrent(const kube::ObjectKey& job) SPLITFT_EXCLUDES(mutex_);

  // Nothing is to be done about the children of `snapshot`, says Decide. Later snapshots of the same children, of the
  // same generation of the job, say so.
  void ChildrenAreAsWanted(const kube::ObjectKey& job, const JobSnapshot& snapshot) SPLITFT_EXCLUDES(mutex_);

  size_t jobs() const { return jobs_->size(); }
  JobCounts CountJobs() const { return CountByState(jobs_->List()); }

 private:
  struct Parsed {
    std::string uid;
    int64_t generation = 0;
    ParsedJob job;
    std::string wanted_children;  // their versions when they were found to be as wanted
  };

  kube::Informer* InformerOf(const kube::ResourceType& type);
  // Of the job's spec as it is in `object`; read once for each generation.
  Parsed Parse(const kube::ObjectKey& key, const kube::Json& object) SPLITFT_EXCLUDES(mutex_);

  std::unique_ptr<kube::Informer> jobs_;
  std::map<std::string, std::unique_ptr<kube::Informer>> children_;  // by kind

  Mutex mutex_;
  std::map<kube::ObjectKey, Parsed> parsed_ SPLITFT_GUARDED_BY(mutex_);
  // Per job and kind the newest version that was written.
  std::map<kube::ObjectKey, std::map<std::string, std::string>> written_ SPLITFT_GUARDED_BY(mutex_);
};

}  // namespace splitft::controller
