#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/telemetry/metrics.h"

namespace splitft::telemetry {

// Answers over HTTP who asks after this process: /healthz (it serves), /readyz (it takes part: 200 or 503), /metrics
// (for Prometheus). Thread-safe.
class TelemetryServer {
 public:
  virtual ~TelemetryServer() = default;

  // Listens on `address`, "HOST:PORT" or "[v6]:PORT"; port 0: any that is free. InvalidArgument, naming the address,
  // where it is none; Unavailable where it cannot be listened on. `metrics` outlives the server.
  static absl::StatusOr<std::unique_ptr<TelemetryServer>> Start(const std::string& address, Metrics& metrics);

  virtual void set_ready(bool ready) = 0;
  virtual int port() const = 0;
};

}  // namespace splitft::telemetry
