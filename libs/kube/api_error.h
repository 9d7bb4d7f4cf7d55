#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/clock.h"

namespace splitft::kube {

// What the API server said no with: the fields of a Status object that a client acts on.
struct ApiError {
  int http_status = 0;
  std::string reason;   // "NotFound", "Conflict": machine-readable, empty where the server gave none
  std::string message;  // for people
  std::vector<std::string>
      causes;  // of Invalid: "spec.split.cutLayer: must be at least 1"; of others: the cause's type
  std::optional<Duration> retry_after;
};

// The error as a status, with the ApiError inside it. Codes by reason: NotFound; AlreadyExists; Conflict is Aborted;
// Expired and Gone are OutOfRange; Invalid and BadRequest are InvalidArgument; Forbidden is PermissionDenied; 401 is
// Unauthenticated; TooManyRequests is ResourceExhausted; what the server cannot do now (5xx) is Unavailable; the rest
// is Unknown.
absl::Status ToStatus(const ApiError& error);
// What ToStatus put in; nothing where `status` is not the API server's (a lost connection, say).
std::optional<ApiError> ApiErrorOf(const absl::Status& status);

// The error in an answer that is none of 2xx. `body` is a Status object, or whatever a proxy in between wrote.
// `retry_after` is the header, in seconds; empty where there is none.
ApiError ParseApiError(int http_status, std::string_view body, std::string_view retry_after);
// Likewise from a Status object inside a watch's stream.
ApiError ParseStatusObject(std::string_view body);

// The object was changed since it was read (409 Conflict), or a field belongs to another manager: read again.
bool IsConflict(const absl::Status& status);
// The resource version is too old for the server: list again.
bool IsExpired(const absl::Status& status);
// How long the server asked to be left alone.
std::optional<Duration> RetryAfterOf(const absl::Status& status);

}  // namespace splitft::kube
