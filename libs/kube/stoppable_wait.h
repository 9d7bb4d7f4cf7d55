#pragma once

#include <stop_token>

#include "libs/base/clock.h"

namespace splitft::kube {

// Waits until `deadline` on the machine's monotonic clock, or until `stop` is asked for.
void WaitUnlessStopped(TimePoint deadline, const std::stop_token& stop);

}  // namespace splitft::kube
