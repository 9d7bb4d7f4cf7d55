#pragma once

#include <map>
#include <string>

namespace splitft {

// Sections of a FineTuneJob's spec: name -> YAML in flow style.
using Sections = std::map<std::string, std::string>;

// The manifest of the job `quickstart` with `sections` in place of those of `usual` or beside them; an empty text takes
// the section away.
inline std::string ComposeManifest(Sections usual, const Sections& sections) {
  for (const auto& [name, yaml] : sections) {
    usual[name] = yaml;
  }
  std::string text = "apiVersion: splitft.io/v1alpha1\nkind: FineTuneJob\nmetadata: {name: quickstart}\nspec:\n";
  for (const auto& [name, yaml] : usual) {
    if (!yaml.empty()) {
      text += "  " + name + ": " + yaml + "\n";
    }
  }
  return text;
}

}  // namespace splitft
