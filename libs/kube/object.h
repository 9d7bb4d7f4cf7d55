#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"

// Kubernetes objects are JSON as the API server sends it. What every object has in common is read here.
namespace splitft::kube {

using Json = nlohmann::json;
// An object in a cache: shared, never changed.
using Object = std::shared_ptr<const Json>;

// A kind of object and where the API server has it. Compare by value; a constant for each kind a program uses.
struct ResourceType {
  std::string group;  // empty: the core group
  std::string version;
  std::string kind;    // "Pod"
  std::string plural;  // "pods"
  bool namespaced = true;

  // "v1", "apps/v1": what an object of the type has as apiVersion.
  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
  bool operator==(const ResourceType&) const = default;
};

// An object's name within its type. `name_space` is empty where the type has none.
struct ObjectKey {
  std::string name_space;
  std::string name;

  // "namespace/name", or "name".
  std::string text() const { return name_space.empty() ? name : name_space + "/" + name; }
  auto operator<=>(const ObjectKey&) const = default;
};

// The member of `object` at the end of `path`, or null where something on the way is missing or no mapping.
const Json* Find(const Json& object, std::initializer_list<std::string_view> path);
// Likewise as text, number or boolean; empty, `fallback` or false where it is missing or of another type.
std::string_view TextAt(const Json& object, std::initializer_list<std::string_view> path);
int64_t IntegerAt(const Json& object, std::initializer_list<std::string_view> path, int64_t fallback = 0);
bool BooleanAt(const Json& object, std::initializer_list<std::string_view> path);

ObjectKey KeyOf(const Json& object);
std::string_view UidOf(const Json& object);
std::string_view ResourceVersionOf(const Json& object);
// Somebody has asked for its deletion; it stays for as long as it has finalizers.
bool IsBeingDeleted(const Json& object);
bool HasFinalizer(const Json& object, std::string_view finalizer);
// The UID of the owner that controls it; empty where it has none.
std::string_view ControllerUidOf(const Json& object);

// An entry of metadata.ownerReferences: `owner`, an object of `type`, controls whoever carries it, and is not gone
// before it where the deletion waits for its dependents.
Json ControllerReference(const ResourceType& type, const Json& owner);

// DataLoss where `page` is no list of named objects with a resource version: an empty answer must not read as "there
// are no objects", which is a reason to delete things.
absl::Status CheckListPage(const Json& page);

// At most `limit_bytes` of `text`, cut between two characters of UTF-8.
std::string_view CutText(std::string_view text, size_t limit_bytes);

// The order of two resource versions of one type: decimal numbers of any length (KEP-5504). What is no number is older
// than every number.
std::strong_ordering CompareResourceVersions(std::string_view a, std::string_view b);

}  // namespace splitft::kube
