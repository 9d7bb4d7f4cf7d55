#include "operator/desired/template.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace splitft::controller {
namespace {

// The member that tells the elements of a list apart; empty where the list is replaced.
std::string_view KeyOfList(std::string_view name) {
  constexpr std::array<std::string_view, 5> kByName = {"volumes", "containers", "env", "imagePullSecrets",
                                                       "schedulingGates"};
  if (name == "volumeMounts") {
    return "mountPath";
  }
  return std::find(kByName.begin(), kByName.end(), name) != kByName.end() ? "name" : "";
}

void Merge(Json* target, const Json& over);

void MergeList(Json* target, const Json& over, std::string_view name) {
  const std::string_view key = KeyOfList(name);
  for (const Json& element : over) {
    const auto same = std::find_if(target->begin(), target->end(), [&](const Json& known) {
      return known.is_object() && element.is_object() && known.value(key, Json()) == element.value(key, Json());
    });
    if (same == target->end()) {
      target->push_back(element);
    } else if (name == "env") {
      *same = element;  // a value and where to take one from exclude each other
    } else {
      Merge(&*same, element);
    }
  }
}

void Merge(Json* target, const Json& over) {
  for (const auto& [name, value] : over.items()) {
    Json& place = (*target)[name];
    if (place.is_object() && value.is_object()) {
      Merge(&place, value);
    } else if (place.is_array() && value.is_array() && !KeyOfList(name).empty()) {
      MergeList(&place, value, name);
    } else {
      place = value;
    }
  }
}

}  // namespace

Json LayOver(Json pod, const Json& over) {
  if (over.is_object()) {
    Merge(&pod, over);
  }
  return pod;
}

Json ParseTemplate(const std::string& text) {
  if (text.empty()) {
    return Json::object();
  }
  Json parsed = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return parsed.is_object() ? parsed : Json::object();
}

}  // namespace splitft::controller
