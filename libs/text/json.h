#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace splitft::text {

// Deepest nesting of a JSON document that is read; nlohmann's copies and destructors recurse.
inline constexpr int kJsonDepthLimit = 64;

// The document in `text`, members in their order. InvalidArgument otherwise, with the byte where it stops being JSON
// and never a part of the text: callers put the file's or record's name in front.
absl::StatusOr<nlohmann::ordered_json> ParseJson(std::string_view text);

}  // namespace splitft::text
