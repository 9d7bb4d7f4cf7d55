#pragma once

#include <vector>

#include "tests/tidy/rules/source_file.h"

namespace splitft::tidy {

// Calls that only certain folders may make: time, sleep and randomness (libs/base gives them), ends of the process in a
// library, threads let go, tests that skip themselves, notes of work undone. The message says what to use instead.
std::vector<Violation> CheckBanned(const SourceFile& file);

// Type and file names that say nothing: Manager, Helper, Util, Common, Misc.
std::vector<Violation> CheckNames(const SourceFile& file);

}  // namespace splitft::tidy
