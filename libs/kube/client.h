#pragma once

#include <chrono>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/kube/backoff.h"
#include "libs/kube/request.h"
#include "libs/kube/transport.h"

namespace splitft::kube {

// Asks an API server and waits for the answer. Thread-safe.
//
// What the server refused because of its load (429, and 5xx with Retry-After) is tried again when it says so, and reads
// that got no answer after a backoff: a few times, within the client's patience. A write that got no answer is not
// tried again: whoever decided on it looks first whether it was done. Errors are ApiError's statuses (api_error.h), or
// Unavailable, DeadlineExceeded and Unauthenticated from the transport, DataLoss for an answer that is none, and
// InvalidArgument for an object without the name or namespace that its type has: of no name, the server would do to all
// objects what was asked for one.
class Client {
 public:
  struct Options {
    Duration patience = std::chrono::seconds(30);  // for one call, all attempts and waits together
    int attempts = 5;
    Backoff::Options backoff{.first = std::chrono::milliseconds(100), .most = std::chrono::seconds(5)};
    uint64_t seed = 0;
  };
  // Both outlive the client.
  Client(Transport& transport, const Clock& clock, Options options);
  Client(Transport& transport, const Clock& clock) : Client(transport, clock, Options()) {}

  // What a write is answered with: the object as it is now, or no more of it than its metadata, without managedFields:
  // enough to know its version.
  enum class Answer { kObject, kMetadata };

  absl::StatusOr<Json> Get(const ResourceType& type, const ObjectKey& key);
  // All pages.
  absl::StatusOr<std::vector<Json>> List(const ResourceType& type, ListOptions options);
  absl::StatusOr<Json> Create(const ResourceType& type, const Json& object, Answer answer = Answer::kObject);
  absl::StatusOr<Json> Replace(const ResourceType& type, const Json& object);
  absl::StatusOr<Json> Apply(const ResourceType& type, const Json& object, const FieldOwner& manager,
                             Answer answer = Answer::kObject);
  absl::StatusOr<Json> ApplyStatus(const ResourceType& type, const Json& object, const FieldOwner& manager,
                                   Answer answer = Answer::kObject);
  absl::StatusOr<Json> MergePatch(const ResourceType& type, const ObjectKey& key, const Json& patch);
  // What is not there is deleted: OK. A namesake that does not meet the preconditions is Conflict.
  absl::Status Delete(const ResourceType& type, const ObjectKey& key, const DeleteOptions& options = {});

  // Any request; its answer as JSON, null where it has no body.
  absl::StatusOr<Json> Call(const Request& request);

 private:
  absl::StatusOr<Json> Write(Request request, Answer answer);
  Duration BackoffAfter(int failures) SPLITFT_EXCLUDES(mutex_);

  Transport& transport_;
  const Clock& clock_;
  const Options options_;
  Mutex mutex_;
  Backoff backoff_ SPLITFT_GUARDED_BY(mutex_);  // for its draws
};

}  // namespace splitft::kube
