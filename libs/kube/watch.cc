#include "libs/kube/watch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/kube/api_error.h"

namespace splitft::kube {

WatchMachine::Step WatchMachine::Next(TimePoint now) const {
  if (now < not_before_) {
    return Wait{not_before_};
  }
  if (phase_ == Phase::kWatch) {
    return Watch{resource_version_};
  }
  return ListPage{.continue_token = continue_token_};
}

absl::Status WatchMachine::OnPage(std::string_view text, std::vector<Change>* changes) {
  Json page = ParsePruned(text, leave_out_);
  SPLITFT_RETURN_IF_ERROR(CheckListPage(page));
  for (Json& item : page["items"]) {
    listed_.insert(KeyOf(item));
    Put(std::move(item), changes);
  }
  continue_token_ = TextAt(page, {"metadata", "continue"});
  if (!continue_token_.empty()) {
    return absl::OkStatus();
  }
  // Whatever was there before and is not in the list has been deleted while nobody looked.
  std::vector<ObjectKey> gone;
  for (const auto& [key, object] : objects_) {
    if (!listed_.contains(key)) {
      gone.push_back(key);
    }
  }
  for (const ObjectKey& key : gone) {
    Drop(key, nullptr, changes);
  }
  listed_.clear();
  // Only the list's own version may start the watch: an object's may be newer than a deletion that it would miss.
  resource_version_ = ResourceVersionOf(page);
  phase_ = Phase::kWatch;
  synced_ = true;
  return absl::OkStatus();
}

void WatchMachine::OnListError(const absl::Status& error, TimePoint now) {
  // A page's token has expired, or its server is another one: the list begins anew.
  StartOver();
  not_before_ = now + std::max(backoff_.Next(), RetryAfterOf(error).value_or(Duration::zero()));
}

absl::Status WatchMachine::OnLine(std::string_view line, std::vector<Change>* changes) {
  Json event = ParsePruned(line, leave_out_);
  const std::string_view type = TextAt(event, {"type"});
  if (type.empty() || Find(event, {"object"}) == nullptr) {
    return absl::DataLossError(absl::StrCat("a line of ", line.size(), " bytes is no watch event"));
  }
  Json& object = event["object"];
  if (type == "ERROR") {
    return ToStatus(ParseStatusObject(object.dump()));
  }
  const std::string version(ResourceVersionOf(object));
  const ObjectKey key = KeyOf(object);
  if (version.empty() || (key.name.empty() && type != "BOOKMARK")) {
    return absl::DataLossError("a watch event's object has no resourceVersion or no name");
  }
  if (type == "DELETED") {
    if (trim_ != nullptr) {
      trim_(object);
    }
    Drop(key, std::make_shared<const Json>(std::move(object)), changes);
  } else if (type == "ADDED" || type == "MODIFIED") {
    Put(std::move(object), changes);
  } else if (type != "BOOKMARK") {
    return absl::DataLossError(absl::StrCat("a watch event of the unknown type \"", std::string(type), "\""));
  }
  progressed_ = progressed_ || version != resource_version_;
  resource_version_ = version;
  backoff_.Reset();
  return absl::OkStatus();
}

void WatchMachine::OnWatchEnd(const absl::Status& why, TimePoint now) {
  const bool progressed = std::exchange(progressed_, false);
  if (why.ok()) {
    // A stream that ends as soon as it begins must not be asked for in a tight loop.
    not_before_ = progressed ? now : now + options_.backoff.first;
    return;
  }
  if (IsExpired(why)) {
    StartOver();
    // At once where the watch had worked: the server only says that we were away for too long.
    not_before_ = progressed ? now : now + backoff_.Next();
    return;
  }
  not_before_ = now + std::max(backoff_.Next(), RetryAfterOf(why).value_or(Duration::zero()));
}

void WatchMachine::Put(Json object, std::vector<Change>* changes) {
  ObjectKey key = KeyOf(object);
  const auto known = objects_.find(key);
  if (known != objects_.end()) {
    const bool same = UidOf(*known->second) == UidOf(object);
    if (same && ResourceVersionOf(*known->second) == ResourceVersionOf(object)) {
      return;
    }
    if (!same) {
      // A namesake: what was known is gone, though nobody saw it go.
      Drop(key, nullptr, changes);
    }
  }
  if (trim_ != nullptr) {
    trim_(object);
  }
  Object shared = std::make_shared<const Json>(std::move(object));
  objects_[key] = shared;
  changes->push_back({Change::Kind::kSet, std::move(key), std::move(shared)});
}

void WatchMachine::Drop(const ObjectKey& key, Object last, std::vector<Change>* changes) {
  const auto known = objects_.find(key);
  if (known == objects_.end()) {
    return;
  }
  changes->push_back({Change::Kind::kGone, key, last != nullptr ? std::move(last) : known->second});
  objects_.erase(known);
}

void WatchMachine::StartOver() {
  phase_ = Phase::kList;
  continue_token_.clear();
  listed_.clear();
}

}  // namespace splitft::kube
