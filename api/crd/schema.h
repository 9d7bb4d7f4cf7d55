#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"

// Schemas as the API server wants them: "structural" (every node has its type), each with a description for kubectl
// explain, and each with a bound, without which rules in CEL would have no bound on their cost either.
namespace splitft::crd {

// Keeps the order in which keys are added: that of the declarations.
using Json = nlohmann::ordered_json;
using Properties = std::vector<std::pair<std::string, Json>>;
using Names = std::vector<std::string>;

// The end of every schema of an integer whose greatest value a double does not hold: format int64 is its bound.
inline constexpr int64_t kGreatestExactInteger = int64_t{1} << 53;

Json Boolean(std::string_view description);
Json Integer(std::string_view description, int64_t low, int64_t high);
Json Text(std::string_view description, int longest);
// A string of the form of `pattern`, a regular expression (RE2) for the whole of it.
Json Text(std::string_view description, int longest, std::string_view pattern);
Json Word(std::string_view description, const Names& words);
// RFC 3339.
Json Time(std::string_view description);
// What Kubernetes writes as 500m, 2 or 8Gi.
Json Quantity(std::string_view description);
Json Object(std::string_view description, const Properties& properties, const Names& required = {});
// A part of Kubernetes' own API whose fields are not written out here.
Json AnyObject(std::string_view description);
Json Map(std::string_view description, const Json& value, int most);
Json List(std::string_view description, const Json& item, int most);
// A list of different scalars.
Json Set(std::string_view description, const Json& item, int most);
// A list of objects that are told apart by their field `key`.
Json ListBy(std::string_view key, std::string_view description, const Json& item, int most);

}  // namespace splitft::crd
