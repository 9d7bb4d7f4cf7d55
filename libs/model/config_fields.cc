#include "libs/model/config_fields.h"

#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/model/strict_json.h"

namespace splitft::model {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxSize = std::numeric_limits<int32_t>::max();

}  // namespace

ConfigFields::ConfigFields(const json& object, std::string source) : object_(object), source_(std::move(source)) {
  if (!object_.is_object()) {
    Fail(absl::InvalidArgumentError(absl::StrCat(source_, ": expected a JSON object, found ", JsonExcerpt(object_))));
  }
}

const json& ConfigFields::Raw(const char* key) const {
  static const json kNull;
  return Mentions(key) ? *object_.find(key) : kNull;
}

bool ConfigFields::Mentions(const char* key) const { return object_.is_object() && object_.contains(key); }
bool ConfigFields::Has(const char* key) const { return !Raw(key).is_null(); }

int64_t ConfigFields::Size(const char* key) {
  const json& value = Raw(key);
  if (!value.is_number_unsigned() || value.get<uint64_t>() == 0 || value.get<uint64_t>() > kMaxSize) {
    Refuse(key, absl::StrCat("a whole number from 1 to ", kMaxSize));
    return 1;
  }
  return value.get<int64_t>();
}

int64_t ConfigFields::SizeOr(const char* key, int64_t fallback) { return Has(key) ? Size(key) : fallback; }

double ConfigFields::Positive(const char* key) {
  const json& value = Raw(key);
  if (!value.is_number() || !std::isfinite(value.get<double>()) || value.get<double>() <= 0) {
    Refuse(key, "a number over 0");
    return 1;
  }
  return value.get<double>();
}

double ConfigFields::PositiveOr(const char* key, double fallback) { return Has(key) ? Positive(key) : fallback; }

double ConfigFields::NumberOr(const char* key, double fallback) {
  if (!Has(key)) {
    return fallback;
  }
  if (!Raw(key).is_number()) {
    Refuse(key, "a number");
    return fallback;
  }
  return Raw(key).get<double>();
}

bool ConfigFields::BoolOr(const char* key, bool fallback) {
  if (!Has(key)) {
    return fallback;
  }
  if (!Raw(key).is_boolean()) {
    Refuse(key, "true or false");
    return fallback;
  }
  return Raw(key).get<bool>();
}

std::string ConfigFields::Text(const char* key) {
  if (!Raw(key).is_string()) {
    Refuse(key, "a string");
    return "";
  }
  return Raw(key).get<std::string>();
}

std::string ConfigFields::TextOr(const char* key, const std::string& fallback) {
  return Has(key) ? Text(key) : fallback;
}

void ConfigFields::Refuse(const char* key, const std::string& expected) {
  Fail(absl::InvalidArgumentError(absl::StrCat(Found(key), "; expected ", expected)));
}

void ConfigFields::Unknown(const char* key, const std::string& known) {
  Fail(absl::UnimplementedError(absl::StrCat(Found(key), "; this build knows ", known)));
}

void ConfigFields::Fail(absl::Status status) {
  if (status_.ok()) {
    status_ = std::move(status);
  }
}

std::string ConfigFields::Found(const char* key) const {
  return Mentions(key) ? absl::StrCat(source_, ": ", key, " is ", JsonExcerpt(Raw(key)))
                       : absl::StrCat(source_, ": ", key, " is missing");
}

}  // namespace splitft::model
