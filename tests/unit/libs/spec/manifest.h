#pragma once

#include <map>
#include <string>
#include <string_view>

#include "libs/spec/parse.h"

namespace splitft::spec {

// The least manifest that is right, with `sections` (name below spec -> YAML in flow style) in place of its own or
// beside them; an empty text takes the section away.
inline std::string Manifest(const std::map<std::string, std::string>& sections = {}) {
  std::map<std::string, std::string> all = {
      {"model", "{source: {path: base}}"},
      {"training", "{steps: 100}"},
      {"clients", "[{name: hospital, data: {path: a.txt}}, {name: bank, data: {path: b.jsonl}}]"},
      {"output", "{path: out}"},
  };
  for (const auto& [name, yaml] : sections) {
    all[name] = yaml;
  }
  std::string text = "apiVersion: splitft.io/v1alpha1\nkind: FineTuneJob\nmetadata: {name: quickstart}\nspec:\n";
  for (const auto& [name, yaml] : all) {
    if (!yaml.empty()) {
      text += "  " + name + ": " + yaml + "\n";
    }
  }
  return text;
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
