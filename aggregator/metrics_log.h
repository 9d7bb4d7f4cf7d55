#pragma once

#include <chrono>
#include <string>

#include "api/proto/control.pb.h"

namespace splitft::aggregator {

// One line of metrics.jsonl (docs/output.md), with its line break: the step that `event` reports, as a JSON object.
// Numbers that are not finite become null. `event` must carry figures.
std::string MetricsLine(const control::JobEvent& event, std::chrono::milliseconds wall_time);

// One line of decisions.jsonl, with its line break: a control.Decision in protobuf's JSON.
std::string DecisionLine(const control::Plan& plan, const control::PlanState& state,
                         std::chrono::milliseconds wall_time);

}  // namespace splitft::aggregator
