// links: spec
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "libs/spec/parse.h"

// The manifest's parser ends on any input, with a job or with an error that says something; a job is written so that it
// is read back as itself. What follows a line "%%" is an override.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using splitft::spec::FineTuneJob;
  using splitft::spec::FormatJob;
  using splitft::spec::ParseJob;
  constexpr std::string_view kMark = "\n%%";
  constexpr size_t kLimitBytes = 64 << 20;

  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t mark = input.find(kMark);
  splitft::spec::ParseOptions options{.base_directory = "/jobs"};
  if (mark != std::string_view::npos) {
    options.overrides.emplace_back(input.substr(mark + kMark.size()));
  }
  const absl::StatusOr<FineTuneJob> job = ParseJob(input.substr(0, mark), options);
  if (!job.ok()) {
    if (job.status().message().empty()) {
      std::cerr << "an error without a message\n";
      std::abort();
    }
    return 0;
  }
  (void)ValidateAgainstModel(*job, 12);
  const std::string text = FormatJob(*job);
  const absl::StatusOr<FineTuneJob> again = ParseJob(text, {.base_directory = "/", .limit_bytes = kLimitBytes});
  if (!again.ok() || *again != *job) {
    std::cerr << "does not read back: " << again.status() << "\n" << text;
    std::abort();
  }
  return 0;
}
