#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/kube/request.h"

namespace splitft::kube {

struct Response {
  int status = 0;
  std::string body;
  std::string retry_after;  // the header, empty where there is none
};

// Carries requests to an API server. Thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;

  // The answer, whatever its HTTP status. Unavailable where no connection is to be had or it broke before the answer
  // was whole (the server may have acted on the request), DeadlineExceeded after `timeout`, OutOfRange for a body over
  // the transport's limit, Unauthenticated where there are no credentials to be had.
  virtual absl::StatusOr<Response> Send(const Request& request, Duration timeout) = 0;

  // Takes a piece of a stream's body; an error ends the stream with it.
  using Sink = std::function<absl::Status(std::string_view bytes)>;
  // Sends `request` and hands its body to `sink` as it comes. OK: the server ended it. Cancelled: `stop` was asked for.
  // DeadlineExceeded: nothing came for `idle_limit`. An answer other than 2xx is the ApiError's status.
  virtual absl::Status Stream(const Request& request, Duration idle_limit, std::stop_token stop, const Sink& sink) = 0;
};

// The lines of a stream that comes in pieces.
class LineSplitter {
 public:
  // No line of a watch is longer: etcd takes objects of 1.5 MiB.
  static constexpr size_t kLineLimit = 16 << 20;

  // Calls `line` for each line that `bytes` completes; empty ones are left out. Returns its first error, or DataLoss
  // for a line over the limit.
  absl::Status Append(std::string_view bytes, const std::function<absl::Status(std::string_view)>& line);

 private:
  std::string partial_;
};

}  // namespace splitft::kube
