#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/telemetry/http_answer.h"

namespace splitft::telemetry {

// Answers probes and scrapes: GET of a few paths, one request a connection, from one thread. No peer can hold another
// up: a connection has a deadline from its beginning to its end, a request a limit, and where there are too many
// connections the oldest gives way.
class HttpServer {
 public:
  struct Options {
    std::string address;  // "HOST:PORT", "[v6]:PORT"; without a host: every interface; port 0: any that is free
    Duration patience = std::chrono::seconds(5);
    size_t request_limit_bytes = 8 << 10;
    size_t connections = 64;
  };
  // `paths` are called from the server's thread, and are quick. InvalidArgument, naming the address, where it is none;
  // Unavailable, with the reason, where it cannot be listened on. `clock` is the machine's, and outlives the server.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(Options options, HttpPaths paths, const Clock& clock);
  // Ends every connection.
  ~HttpServer();

  int port() const { return port_; }

 private:
  struct Connection {
    UniqueFd fd;
    TimePoint deadline{};
    std::string request;
    std::string answer;  // empty: the request is not whole yet
    size_t sent = 0;
  };

  HttpServer(Options options, HttpPaths paths, const Clock& clock);
  void Run(const std::stop_token& stop);
  // Waits for something to do on the listener (first), the wake-up (second) or a connection (the others, in order).
  std::vector<short> Poll(TimePoint now) const;
  void Accept(TimePoint now);
  // Goes on with a connection as far as it goes without waiting; false: it is over.
  bool Advance(Connection& connection) const;
  bool Read(Connection& connection) const;
  static bool Write(Connection& connection);

  const Options options_;
  const HttpPaths paths_;
  const Clock& clock_;
  int port_ = 0;
  UniqueFd listener_;
  UniqueFd wake_up_;
  std::vector<Connection> connections_;  // the thread's own; the oldest first
  std::jthread thread_;                  // last: it uses what is above
};

}  // namespace splitft::telemetry
