#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/kube/cluster.h"
#include "libs/kube/request.h"

namespace splitft::kube {

// Where a server listens, from its URL.
struct ServerAddress {
  bool tls = true;
  std::string host;
  int port = 443;
  std::string path_prefix;  // without a slash at its end
};
// "https://host[:port][/path]", IPv6 in brackets. InvalidArgument otherwise.
absl::StatusOr<ServerAddress> ParseServerAddress(const std::string& url);

// Authorities as a file that a connection can read: a memory file for those that came inline.
class Authorities {
 public:
  // Nothing: the system's own.
  Authorities() = default;
  static absl::StatusOr<Authorities> FromPem(const std::string& pem);
  static Authorities FromFile(std::string path);
  const std::string& path() const { return path_; }

 private:
  UniqueFd memory_;
  std::string path_;
};

// One connection to the server, opened when it is first used and again after it was lost. One request at a time.
class HttpConnection {
 public:
  struct Options {
    ServerAddress address;
    std::string authorities_path;  // empty: the system's
    bool insecure_skip_verify = false;
    Credential credential;  // its certificate; the token comes with each request
    Duration connect_timeout;
    std::string user_agent;
  };
  static absl::StatusOr<std::unique_ptr<HttpConnection>> Create(Options options);
  virtual ~HttpConnection() = default;

  struct Head {
    int status = 0;
    std::string retry_after;
  };
  // Called once with the answer's head, then with its body's pieces; an error of either ends the request with it.
  struct Receiver {
    std::function<absl::Status(const Head&)> on_head;
    std::function<absl::Status(std::string_view)> on_bytes;
  };
  // `idle_limit`: the longest wait for the next bytes. Errors as Transport says.
  virtual absl::Status Exchange(const Request& request, const std::string& token, Duration idle_limit,
                                std::stop_token stop, const Receiver& receiver) = 0;
};

}  // namespace splitft::kube
