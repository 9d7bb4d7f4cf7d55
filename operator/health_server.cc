#include "operator/health_server.h"

#include <httplib.h>

#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace splitft::controller {
namespace {

class HttplibHealthServer final : public HealthServer {
 public:
  HttplibHealthServer() {
    server_.set_keep_alive_max_count(1);
    server_.set_payload_max_length(1 << 10);
    server_.set_read_timeout(std::chrono::seconds(2));
    server_.new_task_queue = [] { return new httplib::ThreadPool(2); };  // httplib takes it
    server_.Get("/healthz",
                [](const httplib::Request&, httplib::Response& answer) { answer.set_content("ok\n", "text/plain"); });
    server_.Get("/readyz", [this](const httplib::Request&, httplib::Response& answer) {
      answer.status = ready_ ? 200 : 503;
      answer.set_content(ready_ ? "ok\n" : "not yet\n", "text/plain");
    });
  }
  ~HttplibHealthServer() override { server_.stop(); }

  bool Listen(const std::string& host, int port) {
    port_ = port == 0 ? server_.bind_to_any_port(host.c_str()) : port;
    if (port_ < 0 || (port != 0 && !server_.bind_to_port(host.c_str(), port))) {
      return false;
    }
    thread_ = std::jthread([this] { server_.listen_after_bind(); });
    server_.wait_until_ready_or_running();
    return true;
  }
  void set_ready(bool ready) override { ready_ = ready; }
  int port() const override { return port_; }

 private:
  struct Server : httplib::Server {
    void wait_until_ready_or_running() const {
      while (!is_running()) {
        std::this_thread::yield();
      }
    }
  };
  std::atomic<bool> ready_ = false;
  int port_ = -1;
  Server server_;
  std::jthread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HealthServer>> HealthServer::Start(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("--health-address: \"", address, "\" is no HOST:PORT"));
  }
  auto server = std::make_unique<HttplibHealthServer>();
  if (!server->Listen(address.substr(0, colon), port)) {
    return absl::UnavailableError(absl::StrCat("--health-address: cannot listen on \"", address, "\""));
  }
  return server;
}

}  // namespace splitft::controller
