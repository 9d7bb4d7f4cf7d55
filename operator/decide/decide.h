#pragma once

#include "operator/decide/plan.h"
#include "operator/decide/snapshot.h"

namespace splitft::controller {

// What is to be done about a job, from what is seen of it. Pure, and level-triggered: it does not matter what happened,
// only what is; carried out in part and called again it comes to the same end.
Plan Decide(const JobSnapshot& snapshot);

}  // namespace splitft::controller
