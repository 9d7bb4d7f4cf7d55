#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/kube/object.h"
#include "operator/decide/snapshot.h"

namespace splitft::controller {

// What aggregators say of their jobs, over one stream each (control.proto). Not through the API server, which would
// have to write every step down. Thread-safe.
class ProgressHub {
 public:
  // Called when a job's aggregator has said something: `news` where it is another phase or a client came or went,
  // else one more step. From gRPC's threads; must be quick.
  using Listener = std::function<void(const kube::ObjectKey& job, bool news)>;
  // `clock` outlives the hub.
  ProgressHub(const Clock& clock, Listener listener);
  // Ends every stream, and waits for that.
  ~ProgressHub();

  // The aggregator of `job` runs in pod `pod_uid` and listens at `address`: watch it. Another pod's word is forgotten.
  // Idempotent.
  void Follow(const kube::ObjectKey& job, const std::string& pod_uid, const std::string& address)
      SPLITFT_EXCLUDES(mutex_);
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
  const Listener listener_;
  mutable Mutex mutex_;
  std::map<kube::ObjectKey, std::shared_ptr<Stream>> streams_ SPLITFT_GUARDED_BY(mutex_);
};

}  // namespace splitft::controller
