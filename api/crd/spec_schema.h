#pragma once

#include "api/crd/schema.h"

namespace splitft::crd {

// The schema of `spec`: every field that libs/spec knows there, with its bounds and default, without rules between
// fields. Groups that need not be given have {} as default, so that rules find every default in its place.
Json SpecSchema();

// The place of a field of libs/spec, "spec.clients[].cutLayer", in `root`, an object with the property spec; of an
// empty path, `root`.
Json& SchemaAt(Json& root, std::string_view path);

}  // namespace splitft::crd
