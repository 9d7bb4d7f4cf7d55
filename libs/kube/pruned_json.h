#pragma once

#include <span>
#include <string_view>

#include "libs/kube/object.h"

namespace splitft::kube {

// A member of a mapping that is itself called `parent`, or is an element of a list of that name.
struct MemberName {
  std::string_view parent;
  std::string_view name;
};

// As Json::parse without exceptions: a discarded value where `text` is no JSON. The members of `leave_out` are read
// over as if they were not there, which spares what costs most, their memory: half of what a server says of a pod is
// who wrote which field.
Json ParsePruned(std::string_view text, std::span<const MemberName> leave_out);

}  // namespace splitft::kube
