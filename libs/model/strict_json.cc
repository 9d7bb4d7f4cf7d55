#include "libs/model/strict_json.h"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace splitft::model {
namespace {

using nlohmann::json;

constexpr size_t kMaxDepth = 64;  // copying and dumping a json recurse
constexpr size_t kExcerptLength = 80;

// Builds the value as nlohmann's own parser does, and stops at the first rule that is broken.
class StrictBuilder final : public nlohmann::json_sax<json> {
 public:
  json& root() { return root_; }
  const std::string& error() const { return error_; }

  bool null() override { return Put(nullptr); }
  bool boolean(bool value) override { return Put(value); }
  bool number_integer(number_integer_t value) override { return Put(value); }
  bool number_unsigned(number_unsigned_t value) override { return Put(value); }
  bool number_float(number_float_t value, const string_t&) override { return Put(value); }
  bool string(string_t& value) override { return Put(std::move(value)); }
  bool binary(binary_t&) override { return Fail("binary values are not JSON"); }

  bool start_object(size_t) override { return Enter(json::object()); }
  bool start_array(size_t) override { return Enter(json::array()); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }

  bool key(string_t& name) override {
    const auto [position, fresh] = open_.back()->emplace(name, nullptr);
    if (!fresh) {
      return Fail(absl::StrCat("key ", JsonExcerpt(name), " is there twice"));
    }
    member_ = &*position;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& exception) override {
    const std::string message = exception.what();
    const size_t prefix = message.find("] ");  // "[json.exception.parse_error.101] "
    return Fail(absl::StrCat("not JSON at byte ", position, ": ",
                             prefix == std::string::npos ? message : message.substr(prefix + 2)));
  }

 private:
  bool Fail(std::string error) {
    error_ = std::move(error);
    return false;
  }

  // Where the next value belongs.
  json* Place() {
    if (open_.empty()) {
      return &root_;
    }
    if (open_.back()->is_array()) {
      return &open_.back()->emplace_back();
    }
    return member_;
  }

  bool Put(json value) {
    *Place() = std::move(value);
    return true;
  }

  bool Enter(json container) {
    if (open_.size() == kMaxDepth) {
      return Fail(absl::StrCat("nested deeper than ", kMaxDepth, " levels"));
    }
    json* place = Place();
    *place = std::move(container);
    open_.push_back(place);
    return true;
  }

  bool Leave() {
    open_.pop_back();
    return true;
  }

  json root_;
  std::vector<json*>
      open_;  // the containers around the next value; an element moves only when its container is not open
  json* member_ = nullptr;  // of open_.back(), when that is an object
  std::string error_;
};

}  // namespace

absl::StatusOr<json> ParseStrictJson(std::string_view text, const std::string& source) {
  StrictBuilder builder;
  if (!json::sax_parse(text, &builder)) {
    return absl::InvalidArgumentError(absl::StrCat(source, ": ", builder.error()));
  }
  return std::move(builder.root());
}

std::string JsonExcerpt(const json& value) {
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > kExcerptLength) {
    text.resize(kExcerptLength);
    text += "...";
  }
  return text;
}

}  // namespace splitft::model
