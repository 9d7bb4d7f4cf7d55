#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/kube/object.h"
#include "operator/decide/snapshot.h"
#include "operator/prometheus.h"

namespace splitft::controller {

// What aggregators say of their jobs, over one stream each (control.proto), and what the scheduler answers them. Not
// through the API server, which would have to write every step down. Thread-safe.
class ProgressHub {
 public:
  // Called when a job's aggregator has said something: `news` where it is another phase or a client came or went,
  // else one more step. From gRPC's threads; must be quick.
  using Listener = std::function<void(const kube::ObjectKey& job, bool news)>;
  // Where the scheduler's figures come from: what aggregators say, or Measured.
  enum class Figures { kOfEvents, kMeasured };
  // `clock` outlives the hub.
  ProgressHub(const Clock& clock, Figures figures, Listener listener);
  // Ends every stream, and waits for that.
  ~ProgressHub();

  // Where the aggregator of a job listens.
  struct Source {
    std::string job_uid;  // an aggregator of another job, at an address that this one's pod had, is not listened to
    std::string pod_uid;
    std::string address;
    ParsedJob job;            // whose cuts and codecs follow its figures, if its policy says so; null: they do not
    uint64_t first_plan = 1;  // the number of the first plan that it is sent (scheduler::Pilot)

    // Whether it is the same aggregator: what is heard from it does not depend on the rest.
    bool operator==(const Source& other) const {
      return job_uid == other.job_uid && pod_uid == other.pod_uid && address == other.address;
    }
  };
  // Watch the aggregator of `job` there. Another pod's word is forgotten. Idempotent.
  void Follow(const kube::ObjectKey& job, const Source& source) SPLITFT_EXCLUDES(mutex_);
  // What was read of all jobs, or why nothing was.
  void Measured(const absl::StatusOr<MeasuredJobs>& jobs) SPLITFT_EXCLUDES(mutex_);
  // Whether there is a job whose cuts follow its figures.
  bool PlansAny() const SPLITFT_EXCLUDES(mutex_);
  // Nobody needs to know any more.
  void Forget(const kube::ObjectKey& job) SPLITFT_EXCLUDES(mutex_);
  // The last that pod `pod_uid` has said; nothing where it has said nothing, or is not followed.
  std::optional<ProgressView> Get(const kube::ObjectKey& job, const std::string& pod_uid) const
      SPLITFT_EXCLUDES(mutex_);
  // Since when pod `pod_uid` is followed; nothing where it is not.
  std::optional<WallTime> Since(const kube::ObjectKey& job, const std::string& pod_uid) const SPLITFT_EXCLUDES(mutex_);

 private:
  class Stream;

  const Clock& clock_;
  const Figures figures_;
  const Listener listener_;
  mutable Mutex mutex_;
  std::map<kube::ObjectKey, std::shared_ptr<Stream>> streams_ SPLITFT_GUARDED_BY(mutex_);
};

}  // namespace splitft::controller
