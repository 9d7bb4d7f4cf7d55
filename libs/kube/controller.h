#pragma once

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/kube/work_queue.h"

namespace splitft::kube {

// Brings what is to what should be, one object at a time, with several workers: whatever changes, its owner's key goes
// into the queue, and `reconcile` looks at everything anew. An error comes again after a backoff; an exception, as of
// an object that is not as its type says, is an error of that object and no more.
class Controller {
 public:
  // When to look again though nothing changed; nothing: not before something does.
  using Reconcile = std::function<absl::StatusOr<std::optional<Duration>>(const ObjectKey&)>;

  struct Outcome {
    const ObjectKey& key;
    absl::Status status;
    Duration waited{};  // in the queue
    Duration duration{};
  };
  struct Options {
    int workers = 4;
    WorkQueue::Options queue;
    std::function<void(const Outcome&)> observer;  // called from the workers; may be empty
  };
  // `clock` outlives the controller.
  Controller(const Clock& clock, Options options, Reconcile reconcile);
  // Stops.
  ~Controller();

  WorkQueue& queue() { return queue_; }
  void Start();
  // Waits for the reconciles under way; starts no other.
  void Stop();

 private:
  void Work();
  absl::StatusOr<std::optional<Duration>> ReconcileOnce(const ObjectKey& key);

  const Clock& clock_;
  const Options options_;
  const Reconcile reconcile_;
  WorkQueue queue_;
  std::vector<std::jthread> workers_;  // last: they use what is above
};

}  // namespace splitft::kube
