#pragma once

#include <filesystem>

#include "libs/spec/document.h"
#include "libs/spec/job.h"
#include "libs/spec/problems.h"

namespace splitft::spec {

// Reads `document`, a mapping, into a job, field by field: types, bounds, missing and unknown fields; not the rules
// between fields. Fields that are absent, null or wrong keep their defaults. Relative paths are resolved against
// `base_directory`, which is absolute. Adds to `problems` what is wrong.
FineTuneJob ReadFields(const Node& document, const std::filesystem::path& base_directory, Problems& problems);

}  // namespace splitft::spec
