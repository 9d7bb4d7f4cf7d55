#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/clock.h"
#include "libs/base/random.h"
#include "libs/kube/backoff.h"
#include "libs/kube/object.h"
#include "libs/kube/pruned_json.h"

namespace splitft::kube {

// One object that appeared, changed or went.
struct Change {
  enum class Kind { kSet, kGone };
  Kind kind = Kind::kSet;
  ObjectKey key;
  Object object;  // as it is; of kGone as it was seen last
};

// List and watch as a state machine: what to ask the API server next, and what its answers change. Pure: no clock, no
// I/O, no thread. Holds the set of objects as far as it is known.
//
// It lists in pages, watches from the list's own resource version, and takes the stream's bookmarks. The stream's end,
// its silence and its errors lead to another watch from the last version seen, after a backoff where they were errors;
// a version that the server no longer has leads to another list, whose absences are deletions.
class WatchMachine {
 public:
  struct Options {
    int64_t page_size = 500;
    Backoff::Options backoff;
    uint64_t seed = 0;  // of the jitter
  };
  explicit WatchMachine(Options options) : options_(options), backoff_(options.backoff, options.seed) {}

  struct ListPage {
    std::string continue_token;  // empty: the first page
  };
  struct Watch {
    std::string resource_version;
  };
  struct Wait {
    TimePoint until;
  };
  using Step = std::variant<ListPage, Watch, Wait>;
  // What to do now. Answer with the call that belongs to it.
  Step Next(TimePoint now) const;

  // To ListPage. What is gone is known when the last page is there. DataLoss: the page is no list, and nothing has
  // changed; the caller goes on with OnListError.
  absl::Status OnPage(std::string_view text, std::vector<Change>* changes);
  void OnListError(const absl::Status& error, TimePoint now);
  // To Watch: one line of the stream, a watch event. An error makes the rest of this stream worthless: the caller ends
  // it and says so with OnWatchEnd.
  absl::Status OnLine(std::string_view line, std::vector<Change>* changes);
  // The stream is over: with OK as a stream ends after its time or a silence, else why it broke.
  void OnWatchEnd(const absl::Status& why, TimePoint now);

  // Whether a list has been complete once.
  bool synced() const { return synced_; }
  // The version up to which everything is known.
  const std::string& resource_version() const { return resource_version_; }
  const std::map<ObjectKey, Object>& objects() const { return objects_; }

  // What is kept of an object: called once for each before it is shared. May drop fields, but not those of its metadata
  // that say which object it is: namespace, name, uid and resourceVersion.
  using Trim = void (*)(Json& object);
  void set_trim(Trim trim) { trim_ = trim; }
  // Members of an object that are not even read, in the way of ParsePruned; "object" and "items" are the objects
  // themselves. Outlives the machine.
  void set_leave_out(std::span<const MemberName> members) { leave_out_ = members; }

 private:
  enum class Phase { kList, kWatch };

  void Put(Json object, std::vector<Change>* changes);
  void Drop(const ObjectKey& key, Object last, std::vector<Change>* changes);
  void StartOver();

  Options options_;
  Backoff backoff_;
  Trim trim_ = nullptr;
  std::span<const MemberName> leave_out_;
  Phase phase_ = Phase::kList;
  TimePoint not_before_{};
  bool synced_ = false;
  // Since the last end of a watch there was a version that was not known before. A list alone proves nothing: its watch
  // may fail at once, again and again.
  bool progressed_ = false;
  std::string continue_token_;
  std::string resource_version_;
  std::set<ObjectKey> listed_;  // by the list under way
  std::map<ObjectKey, Object> objects_;
};

}  // namespace splitft::kube
