#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "libs/kube/credentials.h"

namespace splitft::kube {

// Runs a credential plugin, which may talk to the user on stdin and stderr, and returns what it wrote on stdout.
// NotFound: no such program. Internal: it failed, wrote over 1 MiB, or took over a minute.
absl::StatusOr<std::string> RunPlugin(const ExecPlugin& plugin);

}  // namespace splitft::kube
