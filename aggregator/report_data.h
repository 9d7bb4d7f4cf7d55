#pragma once

#include <string>
#include <string_view>

#include "aggregator/job_history.h"

namespace splitft::aggregator {

// The figures that the charts of report.html draw, as JSON that is safe inside a <script> element.
std::string ReportData(const JobHistory& history);

// Whether frames of this kind (FrameKindName) go from a client to the aggregator.
bool GoesUp(std::string_view kind);

// `text` for an HTML element or a quoted attribute. Bytes that are no UTF-8 are left as they are.
std::string EscapeHtml(std::string_view text);

}  // namespace splitft::aggregator
