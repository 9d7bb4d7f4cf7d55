#pragma once

#include <string>
#include <string_view>

#include "api/crd/schema.h"
#include "libs/spec/schema.h"

namespace splitft::crd {

// The schema of `spec`: every field that libs/spec knows there, with its bounds and default, without rules between
// fields. Groups that need not be given have {} as default, so that rules find every default in its place.
Json SpecSchema();

// Whether it is a path on the user's own machine, which only splitft run knows.
bool IsLocal(const spec::FieldInfo& field);

// What the field is for: its description without values and default.
std::string Meaning(const spec::FieldInfo& field);

// The place of a field of libs/spec, "spec.clients[].cutLayer", in `root`, an object with the property spec; of an
// empty path, `root`.
Json& SchemaAt(Json& root, std::string_view path);

}  // namespace splitft::crd
