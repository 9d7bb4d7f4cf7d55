#include "libs/telemetry/telemetry_server.h"

#include "libs/base/status_macros.h"

namespace splitft::telemetry {

HttpPaths TelemetryPaths(Metrics& metrics, const std::atomic<bool>& ready) {
  return {
      {"/healthz", [] { return HttpAnswer{.body = "ok\n"}; }},
      {"/readyz",
       [&ready] { return ready ? HttpAnswer{.body = "ok\n"} : HttpAnswer{.status = 503, .body = "not yet\n"}; }},
      {"/metrics",
       [&metrics] {
         return HttpAnswer{.body = metrics.Text(), .content_type = "text/plain; version=0.0.4; charset=utf-8"};
       }},
  };
}

absl::StatusOr<std::unique_ptr<TelemetryServer>> TelemetryServer::Start(const std::string& address, Metrics& metrics,
                                                                        const Clock& clock) {
  std::unique_ptr<TelemetryServer> server(new TelemetryServer);
  SPLITFT_ASSIGN_OR_RETURN(server->server_,
                           HttpServer::Start({.address = address}, TelemetryPaths(metrics, server->ready_), clock));
  return server;
}

}  // namespace splitft::telemetry
