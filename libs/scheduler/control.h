#pragma once

#include <optional>

#include "api/proto/control.pb.h"
#include "libs/scheduler/figures.h"
#include "libs/scheduler/planner.h"

// The control service's messages as the scheduler's values, and back.
namespace splitft::scheduler {

// What the aggregator says of the model; nothing where it does not (an older one).
std::optional<ModelShape> ShapeOf(const control::JobEvent& event);

// The figures of the step that `event` reports; nothing where it reports none, or not all clients took part in it.
std::optional<StepFigures> FiguresOf(const control::JobEvent& event);

// `plan` as it is sent, with the costs that it was made from.
control::Plan MessageOf(const Plan& plan, uint64_t number, const std::string& job_uid);

}  // namespace splitft::scheduler
