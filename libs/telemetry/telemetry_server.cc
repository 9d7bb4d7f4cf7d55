#include "libs/telemetry/telemetry_server.h"

#include <httplib.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace splitft::telemetry {
namespace {

// Probes are answered while scrapes, and peers that say nothing, have some of these.
constexpr size_t kThreads = 8;
constexpr auto kPatience = std::chrono::seconds(2);

struct HostPort {
  std::string host;
  int port = 0;
};

absl::StatusOr<HostPort> ParseAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  HostPort parsed;
  const std::string host = address.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  parsed.host = bracketed ? host.substr(1, host.size() - 2) : host;
  if (colon == std::string::npos || host.empty() || (parsed.host.find(':') != std::string::npos) != bracketed ||
      !absl::SimpleAtoi(address.substr(colon + 1), &parsed.port) || parsed.port < 0 || parsed.port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is no HOST:PORT"));
  }
  return parsed;
}

class HttplibServer final : public TelemetryServer {
 public:
  explicit HttplibServer(Metrics& metrics) {
    server_.set_keep_alive_max_count(1);
    server_.set_payload_max_length(1 << 10);
    server_.set_read_timeout(kPatience);
    server_.set_write_timeout(kPatience);
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };  // httplib takes it
    server_.set_socket_options([](socket_t socket) {
      const int on = 1;  // not SO_REUSEPORT, with which two processes would share the port and neither know
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    });
    server_.Get("/healthz",
                [](const httplib::Request&, httplib::Response& answer) { answer.set_content("ok\n", "text/plain"); });
    server_.Get("/readyz", [this](const httplib::Request&, httplib::Response& answer) {
      answer.status = ready_ ? 200 : 503;
      answer.set_content(ready_ ? "ok\n" : "not yet\n", "text/plain");
    });
    server_.Get("/metrics", [&metrics](const httplib::Request&, httplib::Response& answer) {
      answer.set_content(metrics.Text(), "text/plain; version=0.0.4; charset=utf-8");
    });
  }
  ~HttplibServer() override { server_.stop(); }

  absl::Status Listen(const std::string& address) {
    SPLITFT_ASSIGN_OR_RETURN(const HostPort where, ParseAddress(address));
    errno = 0;
    port_ = where.port == 0                                        ? server_.bind_to_any_port(where.host.c_str())
            : server_.bind_to_port(where.host.c_str(), where.port) ? where.port
                                                                   : -1;
    if (port_ < 0) {
      const std::string reason = errno == 0 ? "no such host" : std::strerror(errno);
      return absl::UnavailableError(absl::StrCat("cannot listen on \"", address, "\": ", reason));
    }
    thread_ = std::jthread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) {  // or stop() would find nothing to stop
      std::this_thread::yield();
    }
    return absl::OkStatus();
  }
  void set_ready(bool ready) override { ready_ = ready; }
  int port() const override { return port_; }

 private:
  std::atomic<bool> ready_ = false;
  int port_ = -1;
  httplib::Server server_;
  std::jthread thread_;  // last: it uses what is above
};

}  // namespace

absl::StatusOr<std::unique_ptr<TelemetryServer>> TelemetryServer::Start(const std::string& address, Metrics& metrics) {
  auto server = std::make_unique<HttplibServer>(metrics);
  SPLITFT_RETURN_IF_ERROR(server->Listen(address));
  return server;
}

}  // namespace splitft::telemetry
