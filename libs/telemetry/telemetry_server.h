#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/telemetry/http_server.h"
#include "libs/telemetry/metrics.h"

namespace splitft::telemetry {

// What a TelemetryServer answers. Both outlive the answers.
HttpPaths TelemetryPaths(Metrics& metrics, const std::atomic<bool>& ready);

// Answers who asks after this process: /healthz (it serves), /readyz (it takes part: 200 or 503), /metrics (for
// Prometheus). Thread-safe.
class TelemetryServer {
 public:
  // Listens on `address`; errors as HttpServer's. `metrics` and `clock` outlive the server.
  static absl::StatusOr<std::unique_ptr<TelemetryServer>> Start(const std::string& address, Metrics& metrics,
                                                                const Clock& clock);

  void set_ready(bool ready) { ready_ = ready; }
  int port() const { return server_->port(); }

 private:
  TelemetryServer() = default;

  std::atomic<bool> ready_ = false;
  std::unique_ptr<HttpServer> server_;  // last: it reads what is above
};

}  // namespace splitft::telemetry
