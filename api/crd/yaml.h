#pragma once

#include <string>

#include "api/crd/schema.h"

namespace splitft::crd {

// `value` as block YAML, two spaces a level; lists of scalars in one line. The same value gives the same text.
std::string FormatYaml(const Json& value);

}  // namespace splitft::crd
