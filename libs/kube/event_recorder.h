#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <thread>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/kube/client.h"
#include "libs/kube/object.h"

namespace splitft::kube {

inline const ResourceType kEvent{"events.k8s.io", "v1", "Event", "events"};

// What `kubectl describe` shows below an object.
struct EventNote {
  bool warning = false;
  std::string reason;  // CamelCase, for machines: "WorkerRestarted"
  std::string action;  // CamelCase, what was done: "Restart"
  std::string note;    // for people; cut to 1,024 bytes
};

// The Event about `regarding`, an object of `type`, that was first seen at `first` since the Unix epoch.
Json MakeEvent(const ResourceType& type, const Json& regarding, const EventNote& note, std::chrono::milliseconds first,
               std::string_view controller, std::string_view instance);
// `event` has happened `count` times, more than once, lately at `last`. Nothing else of an event may change: the server
// refuses it.
void SetSeries(Json& event, int64_t count, std::chrono::milliseconds last);

// Writes events from a thread of its own. The same note about the same object within ten minutes is not another event
// but raises the count of the first; what comes faster than it can be written is dropped, oldest first, and counted.
// Thread-safe.
class EventRecorder {
 public:
  struct Options {
    std::string controller;  // "splitft.io/operator"
    std::string instance;    // the pod's name
    size_t queue_limit = 1000;
    Duration same_for = std::chrono::minutes(10);
    size_t memory = 4096;  // notes remembered
  };
  // Both outlive the recorder. Its end writes nothing more.
  EventRecorder(Client& client, const Clock& clock, Options options);
  ~EventRecorder();

  void Record(const ResourceType& type, const Json& regarding, const EventNote& note) SPLITFT_EXCLUDES(mutex_);
  // Waits until all that was recorded is written or has failed; false at the deadline.
  bool Flush(TimePoint deadline) SPLITFT_EXCLUDES(mutex_);
  int64_t dropped() const SPLITFT_EXCLUDES(mutex_);

 private:
  struct Known {
    Json event;
    int64_t count = 1;
    TimePoint last{};
  };

  void Run();
  void Write(const Json& event);

  Client& client_;
  const Clock& clock_;
  const Options options_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, Known> known_ SPLITFT_GUARDED_BY(mutex_);
  std::deque<std::string> order_ SPLITFT_GUARDED_BY(mutex_);    // of known_, oldest first
  std::deque<std::string> pending_ SPLITFT_GUARDED_BY(mutex_);  // keys of known_
  bool writing_ SPLITFT_GUARDED_BY(mutex_) = false;
  bool closed_ SPLITFT_GUARDED_BY(mutex_) = false;
  int64_t dropped_ SPLITFT_GUARDED_BY(mutex_) = 0;

  std::jthread thread_;  // last: it uses what is above
};

}  // namespace splitft::kube
