#include "libs/text/json.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace splitft::text {
namespace {

int Depth(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

absl::StatusOr<nlohmann::ordered_json> ParseJson(std::string_view text) {
  if (Depth(text) > kJsonDepthLimit) {
    return absl::InvalidArgumentError(absl::StrCat("JSON nested more than ", kJsonDepthLimit, " deep"));
  }
  try {
    return nlohmann::ordered_json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    return absl::InvalidArgumentError(absl::StrCat("invalid JSON at byte ", error.byte));
  } catch (const nlohmann::json::exception&) {
    return absl::InvalidArgumentError("invalid JSON: a number is out of range");
  }
}

}  // namespace splitft::text
