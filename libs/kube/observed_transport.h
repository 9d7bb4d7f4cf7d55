#pragma once

#include <functional>
#include <utility>

#include "libs/base/clock.h"
#include "libs/kube/transport.h"

namespace splitft::kube {

// One request, after it: for metrics.
struct RequestOutcome {
  const Request& request;
  int http_status = 0;  // 0: no answer
  Duration duration{};  // of a stream until its end
};

// Another transport, of which somebody is told what each request came to. Thread-safe.
class ObservedTransport final : public Transport {
 public:
  using Observer = std::function<void(const RequestOutcome&)>;  // called from many threads
  // Both outlive this one.
  ObservedTransport(Transport& transport, const Clock& clock, Observer observer)
      : transport_(transport), clock_(clock), observer_(std::move(observer)) {}

  absl::StatusOr<Response> Send(const Request& request, Duration timeout) override;
  absl::Status Stream(const Request& request, Duration idle_limit, std::stop_token stop, const Sink& sink) override;

 private:
  Transport& transport_;
  const Clock& clock_;
  const Observer observer_;
};

}  // namespace splitft::kube
