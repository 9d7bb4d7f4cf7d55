#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "libs/spec/document.h"
#include "libs/spec/fields.h"
#include "libs/spec/problems.h"

namespace splitft::spec {

// A node and where it stands in the manifest.
struct Place {
  std::string path;
  const Node& node;
};

// The path of `key` in the mapping at `path`: spec.lora.rank, spec.lora.rankPattern["h.0.attn"].
std::string PathBelow(const std::string& path, std::string_view key);

// The value at `place`; nothing, and a line in `problems` with path, value and what was expected, where it is none.
std::optional<bool> ReadBooleanAt(const Place& place, Problems& problems);
std::optional<int64_t> ReadIntegerAt(const Place& place, const IntegerRange& range, Problems& problems);
std::optional<double> ReadNumberAt(const Place& place, const NumberRange& range, Problems& problems);
std::optional<std::string> ReadTextAt(const Place& place, const TextForm& form, Problems& problems);
// The index into `words`.
std::optional<size_t> ReadWordAt(const Place& place, std::span<const std::string_view> words, Problems& problems);
// Whether the node is of `kind`. A node that holds nothing is not, and that is no problem.
bool IsA(Node::Kind kind, const Place& place, Problems& problems);

}  // namespace splitft::spec
