#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/kube/transport.h"
#include "libs/kube/watch.h"

namespace splitft::kube {

// A cache of one type's objects that follows the API server, with indexes. Thread-safe.
class Informer {
 public:
  // The values under which an object is found in an index; most often one or none.
  using Indexer = std::vector<std::string> (*)(const Json& object);
  // Called from the informer's thread after the cache has changed, without its lock. Must be quick: it puts a key into
  // a queue.
  using Listener = std::function<void(const Change&)>;

  struct Options {
    ResourceType type;
    std::string name_space;  // empty: all of them
    std::string label_selector;
    // What nobody reads need not be kept: a pod is 4 kB of text and 20 kB of JSON. WatchMachine says how.
    std::vector<MemberName> leave_out;
    WatchMachine::Trim trim = nullptr;
    std::map<std::string, Indexer> indexes;
    WatchMachine::Options machine;
    Duration list_timeout = std::chrono::seconds(60);
    std::chrono::seconds watch_timeout = std::chrono::seconds(290);
    // Called when a list or a watch failed, from the informer's thread; may be empty.
    std::function<void(const absl::Status&)> on_error;
    // Called when a list begins anew because the watch had lost its place, likewise.
    std::function<void()> on_relist;
  };
  // Both outlive the informer. Start begins.
  Informer(Transport& transport, const Clock& clock, Options options);
  ~Informer();

  // Before Start.
  void AddListener(Listener listener) { listeners_.push_back(std::move(listener)); }
  void Start();
  // Ends the thread. The cache stays as it is.
  void Stop();

  // Waits until the first list is complete; false at the deadline.
  bool WaitForSync(TimePoint deadline) const SPLITFT_EXCLUDES(mutex_);
  // Waits until the cache has seen a write that the server answered with `resource_version`; false at the deadline.
  bool WaitForVersion(std::string_view resource_version, TimePoint deadline) const SPLITFT_EXCLUDES(mutex_);
  bool HasVersion(std::string_view resource_version) const SPLITFT_EXCLUDES(mutex_);

  // Null where there is none.
  Object Get(const ObjectKey& key) const SPLITFT_EXCLUDES(mutex_);
  std::vector<Object> List() const SPLITFT_EXCLUDES(mutex_);
  // In the order of their keys. `index` is one of the options'.
  std::vector<Object> ByIndex(const std::string& index, const std::string& value) const SPLITFT_EXCLUDES(mutex_);
  size_t size() const SPLITFT_EXCLUDES(mutex_);

 private:
  using Index = std::map<std::string, std::set<ObjectKey>>;

  void Run(const std::stop_token& stop);
  void ListOnce(const WatchMachine::ListPage& page);
  void WatchOnce(const WatchMachine::Watch& watch, const std::stop_token& stop);
  // Puts changes into the cache and tells the listeners.
  void Publish(const std::vector<Change>& changes) SPLITFT_EXCLUDES(mutex_);
  void Reindex(const Change& change, const Object& before) SPLITFT_REQUIRES(mutex_);
  void Failed(const absl::Status& error) const;

  Transport& transport_;
  const Clock& clock_;
  const Options options_;
  std::vector<Listener> listeners_;
  WatchMachine machine_;  // the thread's own

  mutable Mutex mutex_;
  mutable CondVar changed_;
  std::map<ObjectKey, Object> objects_ SPLITFT_GUARDED_BY(mutex_);
  std::map<std::string, Index> indexes_ SPLITFT_GUARDED_BY(mutex_);
  std::string resource_version_ SPLITFT_GUARDED_BY(mutex_);
  bool synced_ SPLITFT_GUARDED_BY(mutex_) = false;

  std::jthread thread_;  // last: it uses what is above
};

}  // namespace splitft::kube
