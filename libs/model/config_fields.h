#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"

namespace splitft::model {

// Typed reading of one JSON object. The first problem is kept and reported by status(); reads after it return harmless
// values, so that a caller reads all it needs and checks once.
class ConfigFields {
 public:
  // `object` must outlive this. `source` begins every message: "config.json".
  ConfigFields(const nlohmann::json& object, std::string source);

  // Whether `key` is there with a value other than null.
  bool Has(const char* key) const;
  // Whether `key` is there, if only as null: transformers tells a null from nothing.
  bool Mentions(const char* key) const;

  // A size from 1 to 2^31 - 1. Size: required.
  int64_t Size(const char* key);
  int64_t SizeOr(const char* key, int64_t fallback);
  // A finite number over 0.
  double Positive(const char* key);
  double PositiveOr(const char* key, double fallback);
  double NumberOr(const char* key, double fallback);
  bool BoolOr(const char* key, bool fallback);
  std::string Text(const char* key);
  std::string TextOr(const char* key, const std::string& fallback);
  // The value of `key`, or a null.
  const nlohmann::json& Raw(const char* key) const;

  // Records a problem with `key`, with the value found: "config.json: n_head is 7; expected ...".
  void Refuse(const char* key, const std::string& expected);
  // Like Refuse, for a value that means something that this build does not know.
  void Unknown(const char* key, const std::string& known);
  // Records `status` as the problem.
  void Fail(absl::Status status);

  const absl::Status& status() const { return status_; }
  const std::string& source() const { return source_; }

 private:
  std::string Found(const char* key) const;

  const nlohmann::json& object_;
  std::string source_;
  absl::Status status_;
};

}  // namespace splitft::model
