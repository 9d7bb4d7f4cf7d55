#pragma once

#include <string>
#include <string_view>

#include "libs/spec/parse.h"
#include "tests/support/job_manifest.h"

namespace splitft::spec {

// The least manifest that is right, with `sections` (name below spec -> YAML in flow style) in place of its own or
// beside them; an empty text takes the section away.
inline std::string Manifest(const Sections& sections = {}) {
  return ComposeManifest(
      {
          {"model", "{source: {path: base}}"},
          {"training", "{steps: 100}"},
          {"clients", "[{name: hospital, data: {path: a.txt}}, {name: bank, data: {path: b.jsonl}}]"},
          {"output", "{path: out}"},
      },
      sections);
}

// Parses with /jobs as the manifest's folder.
inline absl::StatusOr<FineTuneJob> Parse(std::string_view yaml, std::vector<std::string> overrides = {}) {
  return ParseJob(yaml, {.base_directory = "/jobs", .overrides = std::move(overrides)});
}

// What ParseJob says of `yaml`; "OK" when it likes it.
inline std::string ErrorOf(std::string_view yaml, std::vector<std::string> overrides = {}) {
  const absl::StatusOr<FineTuneJob> job = Parse(yaml, std::move(overrides));
  return job.ok() ? "OK" : std::string(job.status().message());
}

}  // namespace splitft::spec
