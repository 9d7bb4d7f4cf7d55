#pragma once

#include <string>
#include <vector>

#include "api/crd/schema.h"

// A schema as Markdown, an object a section: its fields in a table, and the rules in CEL about them.
namespace splitft::crd {

// A table of GitHub's Markdown. As many cells a row as the header has.
std::string Table(const Names& header, const std::vector<Names>& rows);

// What a heading is linked by, as GitHub makes it.
std::string Anchor(const std::string& heading);

struct ObjectSection {
  std::string path;  // "spec.clients[].data"; empty: the whole
  std::string description;
  Json schema;
};

// `schema` and every object in it, at whatever depth, in the order of their declaration; none inside pod templates,
// and none of what Kubernetes knows anyway (metadata).
std::vector<ObjectSection> ObjectSections(const std::string& path, const std::string& description, const Json& schema);

// Its heading, of the third level, its description and its tables. A field whose type is one of `all` links to it.
std::string FormatSection(const ObjectSection& section, const std::vector<ObjectSection>& all);

}  // namespace splitft::crd
