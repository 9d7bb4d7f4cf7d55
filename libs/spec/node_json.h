#pragma once

#include <optional>
#include <string>

#include "libs/spec/document.h"
#include "libs/spec/node_values.h"
#include "libs/spec/problems.h"

namespace splitft::spec {

// Longer than any pod template a person writes.
inline constexpr int kLongestJsonBytes = 32 * 1024;

// The node at `place` as one line of JSON of at most kLongestJsonBytes, which is YAML too and is read back as the same.
// Plain scalars are what every reader of YAML takes them for; nothing, and a line in `problems`, where readers differ
// (yes, 0x10), where a key is no kKeyForm, and where it gets too long.
std::optional<std::string> ReadJsonAt(const Place& place, Problems& problems);

}  // namespace splitft::spec
