#pragma once

#include <vector>

#include "tests/tidy/rules/source_file.h"

namespace splitft::tidy {

// Which folder may include which: the arrows of docs/architecture.md. A folder that is not named there may not exist.
// Also: outside headers that one folder alone may use, and headers that nobody may.
std::vector<Violation> CheckIncludes(const SourceFile& file);

}  // namespace splitft::tidy
