#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace splitft::transport {

// "host:port" or "[v6]:port" taken apart.
struct HostPort {
  std::string host;
  int port = 0;
};
// InvalidArgument, naming `address`, when it is neither.
absl::StatusOr<HostPort> ParseHostPort(std::string_view address);

// Whether somebody could listen at "host:port" or "unix:/path" now: gRPC itself says only that it could not, and logs
// why. Unavailable, with the address and the system's reason: in use, not ours to use, no such host; InvalidArgument:
// no address.
absl::Status CheckListenAddress(const std::string& address);

}  // namespace splitft::transport
