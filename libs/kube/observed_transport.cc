#include "libs/kube/observed_transport.h"

#include "libs/kube/api_error.h"

namespace splitft::kube {
namespace {

// A stream that we end, or that has brought something, was answered well whatever became of it afterwards.
int StatusOfStream(const absl::Status& end, bool anything_came) {
  if (end.ok() || absl::IsCancelled(end) || anything_came) {
    return 200;
  }
  const std::optional<ApiError> refused = ApiErrorOf(end);
  return refused.has_value() ? refused->http_status : 0;
}

}  // namespace

absl::StatusOr<Response> ObservedTransport::Send(const Request& request, Duration timeout) {
  const TimePoint start = clock_.Now();
  absl::StatusOr<Response> response = transport_.Send(request, timeout);
  const int http_status = response.ok() ? response->status : 0;
  observer_({.request = request, .http_status = http_status, .duration = clock_.Now() - start});
  return response;
}

absl::Status ObservedTransport::Stream(const Request& request, Duration idle_limit, std::stop_token stop,
                                       const Sink& sink) {
  const TimePoint start = clock_.Now();
  bool anything_came = false;
  absl::Status end = transport_.Stream(request, idle_limit, std::move(stop), [&](std::string_view bytes) {
    anything_came = true;
    return sink(bytes);
  });
  observer_({.request = request, .http_status = StatusOfStream(end, anything_came), .duration = clock_.Now() - start});
  return end;
}

}  // namespace splitft::kube
