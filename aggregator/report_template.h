#pragma once

#include <string_view>

namespace splitft::aggregator {

// report.html of this folder, embedded when the program is built.
std::string_view ReportTemplate();

}  // namespace splitft::aggregator
