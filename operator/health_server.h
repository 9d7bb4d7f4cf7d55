#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace splitft::controller {

// Answers the cluster's questions after us: /healthz (this process serves) and /readyz (it takes part).
class HealthServer {
 public:
  // InvalidArgument for an address that is no HOST:PORT; Unavailable where it cannot be listened on.
  static absl::StatusOr<std::unique_ptr<HealthServer>> Start(const std::string& address);
  virtual ~HealthServer() = default;

  virtual void set_ready(bool ready) = 0;
  virtual int port() const = 0;
};

}  // namespace splitft::controller
