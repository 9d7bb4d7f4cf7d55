#include "libs/kube/pruned_json.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace splitft::kube {
namespace {

// Builds the value from the parser's events.
class Builder {
 public:
  explicit Builder(std::span<const MemberName> leave_out) : leave_out_(leave_out) {}

  Json Take() && { return std::move(root_); }

  bool null() { return Add(nullptr); }
  bool boolean(bool value) { return Add(value); }
  bool number_integer(Json::number_integer_t value) { return Add(value); }
  bool number_unsigned(Json::number_unsigned_t value) { return Add(value); }
  bool number_float(Json::number_float_t value, const std::string& /*text*/) { return Add(value); }
  // Copies, as of names: the parser's own buffer has room to spare, which would be kept.
  bool string(const std::string& value) { return Add(value); }
  bool binary(Json::binary_t& /*value*/) { return false; }  // there is none in text
  bool start_object(size_t /*size*/) { return Open(Json::value_t::object); }
  bool start_array(size_t /*size*/) { return Open(Json::value_t::array); }
  bool end_object() { return Close(); }
  bool end_array() { return Close(); }
  bool key(const std::string& name) {
    if (skipped_depth_ == 0) {
      const std::string_view parent = open_.back().name;
      skip_value_ = std::any_of(leave_out_.begin(), leave_out_.end(), [&](const MemberName& member) {
        return member.name == name && member.parent == parent;
      });
      name_ = name;
    }
    return true;
  }
  bool parse_error(size_t /*position*/, const std::string& /*token*/, const Json::exception& /*problem*/) {
    return false;
  }

 private:
  struct Container {
    Json* value;
    std::string_view name;  // of the member that it is the value of
  };

  bool Add(Json value) {
    if (skipped_depth_ == 0 && !std::exchange(skip_value_, false)) {
      Put(std::move(value));
    }
    return true;
  }

  bool Open(Json::value_t type) {
    if (skipped_depth_ > 0 || std::exchange(skip_value_, false)) {
      ++skipped_depth_;
    } else {
      open_.push_back(Put(type));
    }
    return true;
  }

  bool Close() {
    skipped_depth_ > 0 ? void(--skipped_depth_) : open_.pop_back();
    return true;
  }

  Container Put(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return {&root_, {}};
    }
    const Container& parent = open_.back();
    if (parent.value->is_array()) {
      parent.value->push_back(std::move(value));
      return {&parent.value->back(), parent.name};
    }
    const auto [member, is_new] = parent.value->get_ref<Json::object_t&>().insert_or_assign(name_, std::move(value));
    return {&member->second, member->first};
  }

  const std::span<const MemberName> leave_out_;
  Json root_;
  std::vector<Container> open_;
  std::string name_;  // of the member whose value comes next
  bool skip_value_ = false;
  int skipped_depth_ = 0;
};

}  // namespace

Json ParsePruned(std::string_view text, std::span<const MemberName> leave_out) {
  Builder builder(leave_out);
  const bool whole = Json::sax_parse(text, &builder);
  return whole ? std::move(builder).Take() : Json(Json::value_t::discarded);
}

}  // namespace splitft::kube
