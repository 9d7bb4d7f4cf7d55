#pragma once

#include <functional>

#include "absl/status/status.h"

namespace splitft::train {

// Runs `body` without gradient recording and turns what LibTorch throws into a Status: ResourceExhausted when out of
// memory, else Internal with the first line of its message. The one place where LibTorch's exceptions stop.
absl::Status RunGuarded(const std::function<absl::Status()>& body);

}  // namespace splitft::train
