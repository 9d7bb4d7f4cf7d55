#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace splitft::transport {

// Both use the same codes; details beyond the message do not travel.
inline absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

inline grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

}  // namespace splitft::transport
