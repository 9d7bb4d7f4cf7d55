// A server's model and a WatchMachine that follows it through faults. Each seed is another run, and always the same.

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/random.h"
#include "libs/kube/api_error.h"
#include "libs/kube/transport.h"
#include "libs/kube/watch.h"

namespace splitft::kube {
namespace {

class Dice {
 public:
  explicit Dice(uint64_t seed) : stream_({.seed = seed, .purpose = RandomPurpose::kSampling}) {}
  int Below(int bound) { return static_cast<int>(stream_.Below(drawn_++, static_cast<uint64_t>(bound))); }
  bool OneIn(int chances) { return Below(chances) == 0; }

 private:
  RandomStream stream_;
  uint64_t drawn_ = 0;
};

// Objects, the history of their changes, and the lists that are under way.
class ModelServer {
 public:
  explicit ModelServer(Dice& dice) : dice_(dice) {}

  void ChangeSomething() {
    const std::string name = absl::StrCat("pod-", dice_.Below(8));
    const auto known = objects_.find(name);
    if (known != objects_.end() && dice_.OneIn(3)) {
      Json last = known->second;
      last["metadata"]["resourceVersion"] = std::to_string(++version_);
      objects_.erase(known);
      Remember("DELETED", last);
      return;
    }
    const bool is_new = known == objects_.end();
    const std::string uid = is_new ? absl::StrCat("uid-", version_ + 1) : std::string(UidOf(known->second));
    ++version_;
    objects_[name] = {
        {"metadata",
         {{"namespace", "lab"}, {"name", name}, {"uid", uid}, {"resourceVersion", std::to_string(version_)}}}};
    Remember(is_new ? "ADDED" : "MODIFIED", objects_[name]);
  }
  // Versions that objects of other types take.
  void PassVersions() { version_ += dice_.Below(5); }
  // Forgets the history, and the lists under way.
  void Compact() {
    compacted_ = version_;
    history_.clear();
    lists_.clear();
  }

  // A page of two, or 410.
  absl::StatusOr<Json> List(const std::string& token) {
    std::pair<int64_t, std::vector<Json>> rest{version_, {}};
    if (token.empty()) {
      for (const auto& [name, object] : objects_) {
        rest.second.push_back(object);
      }
    } else {
      const auto under_way = lists_.find(token);
      if (under_way == lists_.end()) {
        return ToStatus(ParseApiError(410, R"({"kind": "Status", "code": 410, "reason": "Expired"})", ""));
      }
      rest = under_way->second;
    }
    const auto end = rest.second.begin() + std::min<std::ptrdiff_t>(2, std::ssize(rest.second));
    Json page = {{"metadata", {{"resourceVersion", std::to_string(rest.first)}}},
                 {"items", std::vector<Json>(rest.second.begin(), end)}};
    rest.second.erase(rest.second.begin(), end);
    if (!rest.second.empty()) {
      const std::string next = absl::StrCat("token-", ++tokens_);
      page["metadata"]["continue"] = next;
      lists_[next] = std::move(rest);
    }
    return page;
  }

  // What a watch from `version` says up to now.
  std::string Events(int64_t version) {
    if (version < compacted_) {
      return R"({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}})"
             "\n";
    }
    std::string text;
    for (auto event = history_.upper_bound(version); event != history_.end(); ++event) {
      text += event->second;
    }
    if (dice_.OneIn(3)) {
      text += Json{{"type", "BOOKMARK"}, {"object", {{"metadata", {{"resourceVersion", std::to_string(version_)}}}}}}
                  .dump() +
              "\n";
    }
    return text;
  }

  const std::map<std::string, Json>& objects() const { return objects_; }
  int64_t version() const { return version_; }

 private:
  void Remember(const std::string& type, const Json& object) {
    history_[version_] = Json{{"type", type}, {"object", object}}.dump() + "\n";
  }

  Dice& dice_;
  std::map<std::string, Json> objects_;
  std::map<int64_t, std::string> history_;  // the lines of a watch, by version
  std::map<std::string, std::pair<int64_t, std::vector<Json>>> lists_;
  int64_t version_ = 1;
  int64_t compacted_ = 0;
  int64_t tokens_ = 0;
};

class ModelRun {
 public:
  explicit ModelRun(uint64_t seed)
      : dice_(seed), server_(dice_), machine_({.page_size = 2, .backoff = {}, .seed = seed}) {}

  // With faults and changes, then without them until the machine has seen all.
  void Run() {
    for (int i = 0; i < 300; ++i) {
      for (int changes = dice_.Below(4); changes > 0; --changes) {
        server_.ChangeSomething();
      }
      server_.PassVersions();
      if (dice_.OneIn(12)) {
        server_.Compact();
      }
      Step(/*faults=*/true);
    }
    for (int i = 0; i < 40; ++i) {
      Step(/*faults=*/false);
    }
  }

  void ExpectTheServersObjects() const {
    ASSERT_TRUE(machine_.synced());
    std::map<std::string, Json> known;
    for (const auto& [key, object] : machine_.objects()) {
      known[key.name] = *object;
    }
    EXPECT_EQ(known, server_.objects());
    std::map<std::string, Json> told;
    for (const auto& [name, object] : told_) {
      told[name] = *object;
    }
    EXPECT_EQ(told, server_.objects());
  }

 private:
  void Step(bool faults) {
    const WatchMachine::Step step = machine_.Next(now_);
    if (const auto* wait = std::get_if<WatchMachine::Wait>(&step)) {
      ASSERT_GT(wait->until, now_);
      now_ = wait->until;
    } else if (const auto* page = std::get_if<WatchMachine::ListPage>(&step)) {
      List(page->continue_token, faults);
    } else {
      Watch(std::get<WatchMachine::Watch>(step).resource_version, faults);
    }
    Replay();
  }

  void List(const std::string& token, bool faults) {
    absl::StatusOr<Json> page = server_.List(token);
    if (faults && dice_.OneIn(6)) {
      page = dice_.OneIn(2) ? absl::UnavailableError("no connection")
                            : ToStatus(ParseApiError(429, "", std::to_string(dice_.Below(3))));
    }
    if (faults && dice_.OneIn(20)) {
      page = Json::object();  // some proxy's idea of an answer
    }
    absl::Status status = page.status();
    if (page.ok()) {
      status = machine_.OnPage(page->dump(), &changes_);
    }
    if (!status.ok()) {
      machine_.OnListError(status, now_);
    }
  }

  void Watch(const std::string& from, bool faults) {
    int64_t version = -1;
    ASSERT_TRUE(absl::SimpleAtoi(from, &version));
    // A version that is not the server's own would hide what came between.
    ASSERT_LE(version, server_.version());
    std::string text = server_.Events(version);
    absl::Status end;
    if (faults && dice_.OneIn(3)) {
      text.resize(static_cast<size_t>(dice_.Below(static_cast<int>(text.size()) + 1)));
      end = dice_.OneIn(2) ? absl::UnavailableError("broke") : absl::OkStatus();
    } else if (faults && dice_.OneIn(10)) {
      text += R"({"type": "ERROR", "object": {"kind": "Status", "code": 500, "reason": "InternalError"}})"
              "\n";
    }
    LineSplitter lines;
    for (size_t at = 0; at < text.size();) {
      const size_t size = std::min<size_t>(text.size() - at, 1 + static_cast<size_t>(dice_.Below(200)));
      const absl::Status taken = lines.Append(std::string_view(text).substr(at, size), [this](std::string_view line) {
        return machine_.OnLine(line, &changes_);
      });
      at += size;
      if (!taken.ok()) {
        end = taken;
        break;
      }
    }
    machine_.OnWatchEnd(end, now_);
  }

  // What the changes say, told to somebody who knows nothing else.
  void Replay() {
    for (const Change& change : std::exchange(changes_, {})) {
      const auto known = told_.find(change.key.name);
      if (change.kind == Change::Kind::kGone) {
        ASSERT_NE(known, told_.end()) << change.key.text() << " is gone, but was not there";
        EXPECT_EQ(UidOf(*known->second), UidOf(*change.object));
        told_.erase(known);
        continue;
      }
      if (known != told_.end()) {
        EXPECT_EQ(UidOf(*known->second), UidOf(*change.object)) << "a namesake came before the former one went";
        EXPECT_TRUE(CompareResourceVersions(ResourceVersionOf(*change.object), ResourceVersionOf(*known->second)) > 0)
            << change.key.text() << " became older";
      }
      told_[change.key.name] = change.object;
    }
  }

  Dice dice_;
  ModelServer server_;
  WatchMachine machine_;
  TimePoint now_ = TimePoint(std::chrono::hours(1));
  std::vector<Change> changes_;
  std::map<std::string, Object> told_;
};

TEST(WatchModel, WhateverBreaksTheSetIsTheServersInTheEnd) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    ModelRun run(seed);
    run.Run();
    run.ExpectTheServersObjects();
    if (::testing::Test::HasFailure()) {
      return;
    }
  }
}

}  // namespace
}  // namespace splitft::kube
