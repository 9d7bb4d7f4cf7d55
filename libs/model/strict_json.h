#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace splitft::model {

// Parses JSON that a stranger may have written. InvalidArgument, beginning with `source` (a file's name): text that is
// not JSON, nesting over 64 levels, a key twice in one object. Pure; any thread.
absl::StatusOr<nlohmann::json> ParseStrictJson(std::string_view text, const std::string& source);

// `value` as it may stand in an error message: its JSON, cut to a line's length.
std::string JsonExcerpt(const nlohmann::json& value);

}  // namespace splitft::model
