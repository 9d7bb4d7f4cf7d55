#pragma once

#include <string>

#include "api/crd/schema.h"

// What a schema (schema.h) says, in words for people; values as code in Markdown.
namespace splitft::crd {

// "[]object", "map[string]integer", "time": as references of Kubernetes' API name types.
std::string TypeWords(const Json& schema);

// Which values there are: "1 to 4096", "`Client`, `Server`", "at most 32 entries, no two alike". `form` says what
// strings in it look like, the keys of a map included; where it is empty the schema's own pattern and length do.
// Empty: any.
std::string LimitWords(const Json& schema, const std::string& form);

// "`8`", or nothing where the schema has no default.
std::string DefaultWords(const Json& schema);

}  // namespace splitft::crd
