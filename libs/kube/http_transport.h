#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "libs/kube/cluster.h"
#include "libs/kube/transport.h"

namespace splitft::kube {

struct HttpTransportOptions {
  size_t connections = 8;  // requests at a time; streams have connections of their own
  Duration connect_timeout = std::chrono::seconds(5);
  size_t body_limit_bytes = size_t{256} << 20;
  std::string user_agent = "splitft";
};

// HTTP/1.1 over TLS with connections that are kept. A renewed token counts from the next request on; a renewed
// authority or certificate from the next connection on, and connections made with the former are given up.
// InvalidArgument for a server address that is none, or certificates that cannot be read.
absl::StatusOr<std::unique_ptr<Transport>> MakeHttpTransport(Cluster cluster, HttpTransportOptions options,
                                                             const Clock& clock);

}  // namespace splitft::kube
