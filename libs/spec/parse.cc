#include "libs/spec/parse.h"

#include <system_error>

#include "absl/strings/str_cat.h"
#include "libs/spec/document.h"
#include "libs/spec/field_reader.h"
#include "libs/spec/overrides.h"
#include "libs/spec/problems.h"
#include "libs/spec/rules.h"
#include "libs/spec/scalars.h"

namespace splitft::spec {
namespace {

absl::StatusOr<std::filesystem::path> Absolute(const std::filesystem::path& directory) {
  std::error_code error;
  const std::filesystem::path current =
      directory.is_absolute() ? std::filesystem::path() : std::filesystem::current_path(error);
  if (error) {
    return absl::FailedPreconditionError(absl::StrCat("no current directory: ", error.message()));
  }
  return current / directory;
}

}  // namespace

absl::StatusOr<FineTuneJob> ParseJob(std::string_view yaml, const ParseOptions& options) {
  const absl::StatusOr<std::filesystem::path> base_directory = Absolute(options.base_directory);
  if (!base_directory.ok()) {
    return base_directory.status();
  }
  Problems problems;
  Node document = ParseDocument(yaml, options.limit_bytes, problems);
  if (!problems.empty()) {
    return problems.ToStatus();  // of what is not plain YAML, no field means what it seems to
  }
  ApplyOverrides(options.overrides, document, problems);
  if (document.kind != Node::Kind::kMapping) {
    problems.Add("", absl::StrCat("the manifest is ", Show(document),
                                  "; expected a mapping with apiVersion, kind, metadata and spec"));
    return problems.ToStatus();
  }
  FineTuneJob job = ReadFields(document, *base_directory, problems);
  CheckRules(job, problems);
  if (!problems.empty()) {
    return problems.ToStatus();
  }
  return job;
}

}  // namespace splitft::spec
