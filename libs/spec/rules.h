#pragma once

#include "libs/spec/job.h"
#include "libs/spec/problems.h"

namespace splitft::spec {

// The rules between fields that docs/manifest.md lists: adds to `problems` those that `job` breaks. A rule is silent
// where `problems` already speaks of one of its fields.
void CheckRules(const FineTuneJob& job, Problems& problems);

}  // namespace splitft::spec
