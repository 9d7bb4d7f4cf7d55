#include "libs/kube/object.h"

#include <algorithm>
#include <cctype>

namespace splitft::kube {

const Json* Find(const Json& object, std::initializer_list<std::string_view> path) {
  const Json* place = &object;
  for (const std::string_view name : path) {
    if (!place->is_object()) {
      return nullptr;
    }
    const auto member = place->find(name);
    if (member == place->end()) {
      return nullptr;
    }
    place = &*member;
  }
  return place;
}

std::string_view TextAt(const Json& object, std::initializer_list<std::string_view> path) {
  const Json* value = Find(object, path);
  return value != nullptr && value->is_string() ? std::string_view(value->get_ref<const std::string&>())
                                                : std::string_view();
}

int64_t IntegerAt(const Json& object, std::initializer_list<std::string_view> path, int64_t fallback) {
  const Json* value = Find(object, path);
  return value != nullptr && value->is_number_integer() ? value->get<int64_t>() : fallback;
}

bool BooleanAt(const Json& object, std::initializer_list<std::string_view> path) {
  const Json* value = Find(object, path);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

ObjectKey KeyOf(const Json& object) {
  return {.name_space = std::string(TextAt(object, {"metadata", "namespace"})),
          .name = std::string(TextAt(object, {"metadata", "name"}))};
}

std::string_view UidOf(const Json& object) { return TextAt(object, {"metadata", "uid"}); }

std::string_view ResourceVersionOf(const Json& object) { return TextAt(object, {"metadata", "resourceVersion"}); }

bool IsBeingDeleted(const Json& object) { return !TextAt(object, {"metadata", "deletionTimestamp"}).empty(); }

bool HasFinalizer(const Json& object, std::string_view finalizer) {
  const Json* finalizers = Find(object, {"metadata", "finalizers"});
  return finalizers != nullptr && finalizers->is_array() &&
         std::find(finalizers->begin(), finalizers->end(), finalizer) != finalizers->end();
}

std::string_view ControllerUidOf(const Json& object) {
  const Json* owners = Find(object, {"metadata", "ownerReferences"});
  if (owners == nullptr || !owners->is_array()) {
    return {};
  }
  for (const Json& owner : *owners) {
    if (BooleanAt(owner, {"controller"})) {
      return TextAt(owner, {"uid"});
    }
  }
  return {};
}

Json ControllerReference(const ResourceType& type, const Json& owner) {
  return {{"apiVersion", type.api_version()},
          {"kind", type.kind},
          {"name", TextAt(owner, {"metadata", "name"})},
          {"uid", UidOf(owner)},
          {"controller", true},
          {"blockOwnerDeletion", true}};
}

absl::Status CheckListPage(const Json& page) {
  const Json* items = Find(page, {"items"});
  if (items == nullptr || !items->is_array() || ResourceVersionOf(page).empty()) {
    return absl::DataLossError("the answer to a list has no items or no resourceVersion");
  }
  const bool named =
      std::all_of(items->begin(), items->end(), [](const Json& item) { return !KeyOf(item).name.empty(); });
  return named ? absl::OkStatus() : absl::DataLossError("the answer to a list has an item without a name");
}

std::string_view CutText(std::string_view text, size_t limit_bytes) {
  if (text.size() <= limit_bytes) {
    return text;
  }
  const auto continues = [&](size_t at) { return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80; };
  size_t end = limit_bytes;
  while (end > 0 && continues(end)) {
    --end;
  }
  return text.substr(0, end);
}

std::strong_ordering CompareResourceVersions(std::string_view a, std::string_view b) {
  const auto digits = [](std::string_view text) -> std::string_view {
    if (text.empty() || !std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) {
      return {};
    }
    const size_t first = text.find_first_not_of('0');
    return first == std::string_view::npos ? text.substr(text.size() - 1) : text.substr(first);
  };
  const std::string_view left = digits(a);
  const std::string_view right = digits(b);
  if (const auto length = left.size() <=> right.size(); length != 0) {
    return length;
  }
  return left.compare(right) <=> 0;
}

}  // namespace splitft::kube
