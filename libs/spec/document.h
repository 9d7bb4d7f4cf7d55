#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "libs/spec/problems.h"

namespace splitft::spec {

inline constexpr int kDeepestNesting = 32;

// One node of a YAML document, as it was written.
struct Node {
  enum class Kind { kNull, kScalar, kList, kMapping };

  Kind kind = Kind::kNull;
  std::string text;               // kScalar
  bool plain = true;              // kScalar: written without quotes, so it may be a number or a boolean
  int line = 0;                   // where it starts, from 1; 0: not from the manifest
  std::vector<std::string> keys;  // kMapping: of items, each once
  std::vector<Node> items;        // kList, kMapping

  // The item under `key`, or null when there is none or this is no mapping.
  const Node* Find(std::string_view key) const;
  Node* Find(std::string_view key);
};

// Reads one YAML document of at most `limit_bytes`. What is not plain data is refused, each with its line: anchors,
// aliases, tags, merge keys, keys that are no strings or come twice, nesting deeper than kDeepestNesting, a second
// document, bytes that are not UTF-8, control characters. Adds to `problems` what is wrong; then the node means
// nothing.
Node ParseDocument(std::string_view yaml, size_t limit_bytes, Problems& problems);

}  // namespace splitft::spec
