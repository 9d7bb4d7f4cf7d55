#pragma once

#include <string>

#include "aggregator/job_history.h"

namespace splitft::aggregator {

struct ReportInput {
  std::string job;       // the job's name
  std::string model;     // where the base model came from, for people
  std::string manifest;  // the job's manifest, as text
  std::string reason;    // Completed, EarlyStopped
  JobHistory history;    // what was Add()ed, step by step
};

// report.html (docs/output.md): one self-contained page that loads nothing. Whatever the input holds is escaped.
// At most 2 MB for a history of the default size with 64 clients.
std::string RenderReport(const ReportInput& input);

}  // namespace splitft::aggregator
