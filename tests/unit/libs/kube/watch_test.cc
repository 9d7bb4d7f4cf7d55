#include "libs/kube/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/kube/api_error.h"

namespace splitft::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Json Pod(const std::string& name, const std::string& version, const std::string& uid = "") {
  return {{"metadata",
           {{"namespace", "lab"}, {"name", name}, {"resourceVersion", version}, {"uid", uid.empty() ? name : uid}}},
          {"status", {{"big", "text"}}}};
}

Json Page(std::vector<Json> items, const std::string& version, const std::string& next = "") {
  return {{"metadata", {{"resourceVersion", version}, {"continue", next}}}, {"items", std::move(items)}};
}

std::string Line(const std::string& type, const Json& object) {
  return Json{{"type", type}, {"object", object}}.dump();
}

std::string Error(int code, const std::string& reason) {
  return Line("ERROR", {{"kind", "Status"}, {"code", code}, {"reason", reason}, {"message", "too old"}});
}

class WatchMachineTest : public ::testing::Test {
 protected:
  // What it does next, now: "list", "list TOKEN", "watch VERSION", or "wait".
  std::string Next() const {
    const WatchMachine::Step step = machine_.Next(now_);
    if (const auto* page = std::get_if<WatchMachine::ListPage>(&step)) {
      return page->continue_token.empty() ? "list" : absl::StrCat("list ", page->continue_token);
    }
    if (const auto* watch = std::get_if<WatchMachine::Watch>(&step)) {
      return absl::StrCat("watch ", watch->resource_version);
    }
    return "wait";
  }
  // How long it waits before what comes next.
  Duration Pause() {
    const WatchMachine::Step step = machine_.Next(now_);
    const auto* wait = std::get_if<WatchMachine::Wait>(&step);
    const Duration pause = wait == nullptr ? Duration::zero() : wait->until - now_;
    now_ += pause;
    return pause;
  }
  // The changes since the last call: "+name@version", "-name@version".
  std::vector<std::string> Changes() {
    std::vector<std::string> texts;
    for (const Change& change : std::exchange(changes_, {})) {
      texts.push_back(absl::StrCat(change.kind == Change::Kind::kSet ? "+" : "-", change.key.name, "@",
                                   std::string(ResourceVersionOf(*change.object))));
    }
    return texts;
  }
  absl::Status Take(const std::string& line) { return machine_.OnLine(line, &changes_); }
  void List(const Json& page) { ASSERT_TRUE(machine_.OnPage(page.dump(), &changes_).ok()); }
  // Listed {a@5, b@6} at version 10, and forgot the changes.
  void Sync() {
    List(Page({Pod("a", "5"), Pod("b", "6")}, "10"));
    changes_.clear();
  }

  TimePoint now_ = TimePoint(std::chrono::hours(1));
  WatchMachine machine_{{.page_size = 2, .backoff = {.first = milliseconds(400), .most = seconds(10)}, .seed = 1}};
  std::vector<Change> changes_;
};

TEST_F(WatchMachineTest, ListsInPagesAndWatchesFromTheListsOwnVersion) {
  EXPECT_EQ(Next(), "list");
  List(Page({Pod("a", "15"), Pod("b", "6")}, "10", "t1"));
  EXPECT_EQ(Next(), "list t1");
  EXPECT_FALSE(machine_.synced());
  List(Page({Pod("c", "7")}, "10"));
  EXPECT_TRUE(machine_.synced());
  EXPECT_EQ(Next(), "watch 10");
  EXPECT_THAT(Changes(), ElementsAre("+a@15", "+b@6", "+c@7"));
  EXPECT_EQ(machine_.objects().size(), 3U);
}

TEST_F(WatchMachineTest, EventsChangeTheSetAndMoveTheVersion) {
  Sync();
  ASSERT_TRUE(Take(Line("ADDED", Pod("c", "11"))).ok());
  ASSERT_TRUE(Take(Line("MODIFIED", Pod("a", "12"))).ok());
  ASSERT_TRUE(Take(Line("DELETED", Pod("b", "13"))).ok());
  EXPECT_THAT(Changes(), ElementsAre("+c@11", "+a@12", "-b@13"));
  EXPECT_EQ(machine_.resource_version(), "13");
  EXPECT_EQ(machine_.objects().size(), 2U);
  ASSERT_TRUE(Take(Line("DELETED", Pod("unknown", "14"))).ok());
  EXPECT_THAT(Changes(), IsEmpty());
  ASSERT_TRUE(Take(Line("BOOKMARK", {{"kind", "Pod"}, {"metadata", {{"resourceVersion", "99"}}}})).ok());
  EXPECT_THAT(Changes(), IsEmpty());
  machine_.OnWatchEnd(absl::OkStatus(), now_);
  EXPECT_EQ(Next(), "watch 99");
}

TEST_F(WatchMachineTest, AnObjectThatIsKnownAsItIsIsNoChange) {
  Sync();
  ASSERT_TRUE(Take(Line("MODIFIED", Pod("a", "5"))).ok());
  EXPECT_THAT(Changes(), IsEmpty());
}

TEST_F(WatchMachineTest, ANamesakeIsGoneBeforeItIsThere) {
  Sync();
  ASSERT_TRUE(Take(Line("ADDED", Pod("a", "12", "second"))).ok());
  EXPECT_THAT(Changes(), ElementsAre("-a@5", "+a@12"));
  // The same version with another UID: an etcd restored from a backup.
  ASSERT_TRUE(Take(Line("ADDED", Pod("b", "6", "second"))).ok());
  EXPECT_THAT(Changes(), ElementsAre("-b@6", "+b@6"));
  EXPECT_EQ(machine_.objects().size(), 2U);
}

TEST_F(WatchMachineTest, AnExpiredWatchListsAtOnceAndReportsWhatIsMissing) {
  Sync();
  ASSERT_TRUE(Take(Line("MODIFIED", Pod("a", "12"))).ok());
  changes_.clear();
  const absl::Status expired = Take(Error(410, "Expired"));
  EXPECT_TRUE(IsExpired(expired)) << expired;
  machine_.OnWatchEnd(expired, now_);
  EXPECT_EQ(Next(), "list");
  EXPECT_TRUE(machine_.synced());
  List(Page({Pod("a", "30"), Pod("c", "31")}, "40", "t"));
  EXPECT_THAT(Changes(), ElementsAre("+a@30", "+c@31"));  // b may be on the next page
  List(Page({Pod("d", "32")}, "40"));
  EXPECT_THAT(Changes(), ElementsAre("+d@32", "-b@6"));
  EXPECT_EQ(Next(), "watch 40");
}

TEST_F(WatchMachineTest, AnExpiredWatchThatNeverWorkedWaitsLongerEachTime) {
  Duration whole = milliseconds(400);
  for (int i = 0; i < 8; ++i, whole = std::min<Duration>(whole * 2, seconds(10))) {
    Sync();
    machine_.OnWatchEnd(Take(Error(410, "Expired")), now_);
    const Duration pause = Pause();
    EXPECT_GE(pause, whole / 2) << i;
    EXPECT_LE(pause, whole) << i;
    EXPECT_EQ(Next(), "list");
  }
}

TEST_F(WatchMachineTest, AStreamThatBreaksGoesOnFromTheLastVersionSeen) {
  Sync();
  ASSERT_TRUE(Take(Line("MODIFIED", Pod("a", "12"))).ok());
  machine_.OnWatchEnd(absl::UnavailableError("broke"), now_);
  const Duration pause = Pause();
  EXPECT_GE(pause, milliseconds(200));
  EXPECT_LE(pause, milliseconds(400));
  EXPECT_EQ(Next(), "watch 12");
  // Further failures wait longer, until a line came.
  machine_.OnWatchEnd(absl::UnavailableError("broke"), now_);
  EXPECT_GE(Pause(), milliseconds(400));
  machine_.OnWatchEnd(absl::UnavailableError("broke"), now_);
  EXPECT_GE(Pause(), milliseconds(800));
  ASSERT_TRUE(Take(Line("MODIFIED", Pod("a", "13"))).ok());
  machine_.OnWatchEnd(absl::UnavailableError("broke"), now_);
  EXPECT_LE(Pause(), milliseconds(400));
}

TEST_F(WatchMachineTest, AStreamThatEndsWithoutANewVersionIsNotAskedForInATightLoop) {
  Sync();
  machine_.OnWatchEnd(absl::OkStatus(), now_);
  EXPECT_EQ(Pause(), milliseconds(400));
  EXPECT_EQ(Next(), "watch 10");
  // A bookmark of the version that is known is nothing new either.
  ASSERT_TRUE(Take(Line("BOOKMARK", {{"metadata", {{"resourceVersion", "10"}}}})).ok());
  machine_.OnWatchEnd(absl::OkStatus(), now_);
  EXPECT_EQ(Pause(), milliseconds(400));
  ASSERT_TRUE(Take(Line("MODIFIED", Pod("a", "12"))).ok());
  machine_.OnWatchEnd(absl::OkStatus(), now_);
  EXPECT_EQ(Pause(), Duration::zero());
  EXPECT_EQ(Next(), "watch 12");
  machine_.OnWatchEnd(absl::OkStatus(), now_);
  EXPECT_EQ(Pause(), milliseconds(400));
}

TEST_F(WatchMachineTest, TheServersRetryAfterCounts) {
  const auto refused = [](const char* seconds) { return ToStatus(ParseApiError(429, "", seconds)); };
  machine_.OnListError(refused("7"), now_);
  EXPECT_EQ(Pause(), Duration(seconds(7)));
  Sync();
  machine_.OnWatchEnd(refused("8"), now_);
  EXPECT_EQ(Pause(), Duration(seconds(8)));
  EXPECT_EQ(Next(), "watch 10");
  machine_.OnWatchEnd(refused("0"), now_);
  EXPECT_GE(Pause(), milliseconds(800));
}

TEST_F(WatchMachineTest, AListThatFailsBeginsAnewAndForgetsNothing) {
  Sync();
  machine_.OnWatchEnd(ToStatus(ParseApiError(410, "", "")), now_);
  Pause();
  List(Page({Pod("c", "31")}, "40", "t"));
  machine_.OnListError(ToStatus(ParseApiError(410, "", "")), now_);
  EXPECT_EQ(Next(), "wait");
  EXPECT_GE(Pause(), milliseconds(200));
  EXPECT_EQ(Next(), "list");
  changes_.clear();
  // c was on the page that came, and is not on the pages of the second list.
  List(Page({Pod("a", "5")}, "50"));
  EXPECT_THAT(Changes(), ElementsAre("-b@6", "-c@31"));
  EXPECT_EQ(Next(), "watch 50");
}

TEST_F(WatchMachineTest, AnAnswerThatIsNoListDeletesNothing) {
  Sync();
  machine_.OnWatchEnd(ToStatus(ParseApiError(410, "", "")), now_);
  for (const char* bad : {"{}", "null", R"({"items": []})", R"({"metadata": {"resourceVersion": "9"}})"}) {
    const absl::Status status = machine_.OnPage(bad, &changes_);
    EXPECT_TRUE(absl::IsDataLoss(status)) << bad;
    machine_.OnListError(status, now_);
    EXPECT_GT(Pause(), Duration::zero());
    EXPECT_EQ(Next(), "list");
  }
  EXPECT_THAT(Changes(), IsEmpty());
  EXPECT_EQ(machine_.objects().size(), 2U);
}

TEST_F(WatchMachineTest, LinesThatAreNoEventsAreErrorsAndChangeNothing) {
  Sync();
  for (const std::string& bad :
       {std::string("{\"type\":\"MODIF"), std::string("[]"), std::string("{}"), Json{{"type", "ADDED"}}.dump(),
        Json{{"object", Pod("c", "11")}}.dump(), Line("ADDED", Pod("c", "")), Line("ADDED", Json::object()),
        Line("ADDED", {{"metadata", {{"resourceVersion", "11"}}}}), Line("RENAMED", Pod("c", "11")),
        Line("BOOKMARK", Json::object())}) {
    EXPECT_TRUE(absl::IsDataLoss(Take(bad))) << bad;
  }
  EXPECT_FALSE(Take(Line("ERROR", "text")).ok());
  EXPECT_THAT(Changes(), IsEmpty());
  EXPECT_EQ(machine_.resource_version(), "10");
}

TEST_F(WatchMachineTest, OtherErrorsInTheStreamDoNotLoseThePlace) {
  Sync();
  const absl::Status error = Take(Error(500, "InternalError"));
  EXPECT_TRUE(absl::IsUnavailable(error)) << error;
  machine_.OnWatchEnd(error, now_);
  EXPECT_GE(Pause(), milliseconds(200));
  EXPECT_EQ(Next(), "watch 10");
}

TEST_F(WatchMachineTest, TrimDropsWhatNobodyReads) {
  machine_.set_trim([](Json& object) { object.erase("status"); });
  Sync();
  ASSERT_TRUE(Take(Line("MODIFIED", Pod("a", "12"))).ok());
  ASSERT_TRUE(Take(Line("DELETED", Pod("b", "13"))).ok());
  ASSERT_EQ(changes_.size(), 2U);
  EXPECT_FALSE(changes_[0].object->contains("status"));
  EXPECT_FALSE(changes_[1].object->contains("status"));
  EXPECT_FALSE(machine_.objects().at({"lab", "a"})->contains("status"));
}

}  // namespace
}  // namespace splitft::kube
