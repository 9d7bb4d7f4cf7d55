#pragma once

#include "api/proto/control.pb.h"
#include "operator/decide/snapshot.h"

namespace splitft::controller {

// What an aggregator's event says of its job. `changed`: when it came.
ProgressView ViewOf(const control::JobEvent& event, WallTime changed);

// Keeps what the next event does not repeat: figures come once per step.
void KeepFigures(const ProgressView& before, ProgressView* view);

// Whether somebody should look at the job at once: its phase, a client, a plan or the figures' trust is another.
bool IsNews(const ProgressView& before, const ProgressView& now);

}  // namespace splitft::controller
