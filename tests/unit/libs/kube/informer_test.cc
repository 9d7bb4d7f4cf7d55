#include "libs/kube/informer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/kube/api_error.h"
#include "tests/unit/libs/kube/scripted_transport.h"

namespace splitft::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const ResourceType kPod{"", "v1", "Pod", "pods"};

Json Pod(const std::string& name, const std::string& version, const std::string& node = "n1",
         const std::string& uid = "") {
  return {{"metadata",
           {{"namespace", "lab"}, {"name", name}, {"resourceVersion", version}, {"uid", uid.empty() ? name : uid}}},
          {"spec", {{"nodeName", node}}},
          {"status", {{"big", "text"}}}};
}

Json Page(std::vector<Json> items, const std::string& version, const std::string& next = "") {
  return {{"metadata", {{"resourceVersion", version}, {"continue", next}}}, {"items", std::move(items)}};
}

std::string Line(const std::string& type, const Json& object) {
  return Json{{"type", type}, {"object", object}}.dump() + "\n";
}

std::string Bookmark(const std::string& version) {
  return Line("BOOKMARK", {{"metadata", {{"resourceVersion", version}}}});
}

std::string Expired() {
  return Line("ERROR", {{"kind", "Status"}, {"code", 410}, {"reason", "Expired"}, {"message", "too old"}});
}

std::vector<std::string> ByNode(const Json& object) {
  return {std::string(TextAt(object, {"spec", "nodeName"})), "all"};
}

class InformerTest : public ::testing::Test {
 protected:
  ~InformerTest() override { informer_->Stop(); }
  static Informer::Options Options() {
    return {.type = kPod,
            .name_space = "lab",
            .label_selector = {},
            .trim = nullptr,
            .indexes = {{"node", &ByNode}},
            .machine = {.page_size = 2, .backoff = {.first = milliseconds(10), .most = milliseconds(40)}, .seed = 1},
            .on_error = {},
            .on_relist = {}};
  }
  void Start(Informer::Options options = Options()) {
    options.on_error = [this](const absl::Status& error) {
      const MutexLock lock(mutex_);
      errors_.push_back(error);
    };
    options.on_relist = [this] { ++relists_; };
    informer_ = std::make_unique<Informer>(transport_, SystemClock(), std::move(options));
    informer_->AddListener([this](const Change& change) {
      const MutexLock lock(mutex_);
      changes_.push_back(absl::StrCat(change.kind == Change::Kind::kSet ? "+" : "-", change.key.name, "@",
                                      std::string(ResourceVersionOf(*change.object))));
    });
    informer_->Start();
  }
  bool WaitFor(const std::string& version) {
    return informer_->WaitForVersion(version, SystemClock().Now() + seconds(20));
  }
  // Stops it, so that nothing is under way any more, and says what the listeners were told.
  std::vector<std::string> Changes() {
    informer_->Stop();
    const MutexLock lock(mutex_);
    return changes_;
  }
  std::vector<absl::Status> Errors() {
    const MutexLock lock(mutex_);
    return errors_;
  }
  std::vector<std::string> Names(const std::vector<Object>& objects) {
    std::vector<std::string> names;
    for (const Object& object : objects) {
      names.push_back(KeyOf(*object).name);
    }
    return names;
  }
  std::vector<std::string> Targets() {
    std::vector<std::string> targets;
    for (const ScriptedTransport::Sent& sent : transport_.sent()) {
      targets.push_back(sent.request.target);
    }
    return targets;
  }
  static std::string WatchFrom(const std::string& version) {
    return absl::StrCat("/api/v1/namespaces/lab/pods?watch=true&allowWatchBookmarks=true&resourceVersion=", version,
                        "&timeoutSeconds=290");
  }

  ScriptedTransport transport_{SystemClock()};
  Mutex mutex_;
  std::vector<std::string> changes_ SPLITFT_GUARDED_BY(mutex_);
  std::vector<absl::Status> errors_ SPLITFT_GUARDED_BY(mutex_);
  std::atomic<int> relists_ = 0;
  std::unique_ptr<Informer> informer_;
};

const char kList[] = "/api/v1/namespaces/lab/pods?limit=2";

TEST_F(InformerTest, ListsInPagesAndFollowsTheStream) {
  transport_.Answer(200, Page({Pod("a", "5"), Pod("b", "6")}, "10", "more"));
  transport_.Answer(200, Page({Pod("c", "7")}, "10"));
  transport_.OpenStreamOf(
      {Line("ADDED", Pod("d", "11")), Line("MODIFIED", Pod("a", "12")), Line("DELETED", Pod("b", "13"))});
  Start();
  ASSERT_TRUE(informer_->WaitForSync(SystemClock().Now() + seconds(20)));
  ASSERT_TRUE(WaitFor("13"));
  EXPECT_THAT(Names(informer_->List()), ElementsAre("a", "c", "d"));
  EXPECT_EQ(informer_->size(), 3U);
  EXPECT_EQ(ResourceVersionOf(*informer_->Get({"lab", "a"})), "12");
  EXPECT_EQ(informer_->Get({"lab", "b"}), nullptr);
  EXPECT_EQ(informer_->Get({"other", "a"}), nullptr);
  EXPECT_THAT(Changes(), ElementsAre("+a@5", "+b@6", "+c@7", "+d@11", "+a@12", "-b@13"));
  EXPECT_THAT(Targets(), ElementsAre(kList, std::string(kList) + "&continue=more", WatchFrom("10")));
  EXPECT_EQ(transport_.sent()[0].timeout, Duration(seconds(60)));
  EXPECT_EQ(transport_.sent()[2].timeout, Duration(seconds(305)));
  EXPECT_THAT(Errors(), IsEmpty());
  EXPECT_EQ(relists_, 0);
}

TEST_F(InformerTest, IsNotInSyncBeforeTheLastPage) {
  transport_.Answer(200, Page({Pod("a", "5")}, "10", "more"));
  Start();
  EXPECT_FALSE(informer_->WaitForSync(SystemClock().Now() + milliseconds(10)));
  EXPECT_FALSE(informer_->HasVersion("1"));
  EXPECT_FALSE(informer_->WaitForVersion("1", SystemClock().Now()));
}

TEST_F(InformerTest, AnExpiredWatchListsAgainAndReportsWhatWentMeanwhile) {
  transport_.Answer(200, Page({Pod("a", "5"), Pod("b", "6")}, "10"));
  transport_.StreamOf({Line("MODIFIED", Pod("a", "11")) + Expired() + Line("MODIFIED", Pod("a", "999"))});
  transport_.Answer(200, Page({Pod("a", "30"), Pod("c", "31")}, "40"));
  Start();
  ASSERT_TRUE(WaitFor("40"));
  EXPECT_THAT(Names(informer_->List()), ElementsAre("a", "c"));
  EXPECT_THAT(Names(informer_->ByIndex("node", "n1")), ElementsAre("a", "c"));
  EXPECT_THAT(Changes(), ElementsAre("+a@5", "+b@6", "+a@11", "+a@30", "+c@31", "-b@6"));
  ASSERT_THAT(Errors(), SizeIs(1));
  EXPECT_TRUE(IsExpired(Errors()[0]));
  EXPECT_EQ(relists_, 1);
}

TEST_F(InformerTest, AWatchThatIsRefusedAsExpiredListsAgain) {
  transport_.Answer(200, Page({Pod("a", "5")}, "10"));
  transport_.StreamOf({}, ToStatus(ParseApiError(410, "", "")));
  transport_.Answer(200, Page({}, "40"));
  Start();
  ASSERT_TRUE(WaitFor("40"));
  EXPECT_THAT(Changes(), ElementsAre("+a@5", "-a@5"));
}

TEST_F(InformerTest, ABookmarkMovesTheVersion) {
  transport_.Answer(200, Page({Pod("a", "5")}, "10"));
  transport_.StreamOf({Bookmark("77")});
  transport_.StreamOf({Line("MODIFIED", Pod("a", "80"))});
  Start();
  ASSERT_TRUE(WaitFor("80"));
  EXPECT_THAT(Changes(), ElementsAre("+a@5", "+a@80"));
  const std::vector<std::string> targets = Targets();
  ASSERT_GE(targets.size(), 3U);
  EXPECT_EQ(targets[2], WatchFrom("77"));
}

TEST_F(InformerTest, ANamesakeIsGoneAndThenThere) {
  transport_.Answer(200, Page({Pod("a", "5", "n1", "first")}, "10"));
  transport_.OpenStreamOf({Line("ADDED", Pod("a", "12", "n2", "second"))});
  Start();
  ASSERT_TRUE(WaitFor("12"));
  EXPECT_EQ(UidOf(*informer_->Get({"lab", "a"})), "second");
  EXPECT_THAT(informer_->ByIndex("node", "n1"), IsEmpty());
  EXPECT_THAT(Names(informer_->ByIndex("node", "n2")), ElementsAre("a"));
  EXPECT_THAT(Changes(), ElementsAre("+a@5", "-a@5", "+a@12"));
}

TEST_F(InformerTest, AStreamThatBreaksInMidLineGoesOnFromTheLastWholeOne) {
  const std::string second = Line("MODIFIED", Pod("a", "12"));
  transport_.Answer(200, Page({Pod("a", "5")}, "10"));
  transport_.StreamOf({Line("MODIFIED", Pod("a", "11")) + second.substr(0, 30), second.substr(30, 20)},
                      absl::UnavailableError("broke"));
  transport_.OpenStreamOf({second.substr(0, 1), second.substr(1)});
  Start();
  ASSERT_TRUE(WaitFor("12"));
  EXPECT_THAT(Changes(), ElementsAre("+a@5", "+a@11", "+a@12"));
  EXPECT_THAT(Targets(), ElementsAre(kList, WatchFrom("10"), WatchFrom("11")));
  const auto sent = transport_.sent();
  EXPECT_GE(sent[2].at - sent[1].at, milliseconds(5));
  EXPECT_THAT(Errors(), SizeIs(1));
}

TEST_F(InformerTest, StreamsThatEndAtOnceAreNotAskedForInATightLoop) {
  transport_.Answer(200, Page({Pod("a", "5")}, "10"));
  for (int i = 0; i < 4; ++i) {
    transport_.StreamOf({});
    transport_.StreamOf({Bookmark("10")});
  }
  transport_.OpenStreamOf({Bookmark("11")});
  Start();
  ASSERT_TRUE(WaitFor("11"));
  informer_->Stop();
  const auto sent = transport_.sent();
  ASSERT_THAT(sent, SizeIs(10));
  for (size_t i = 2; i < sent.size(); ++i) {
    EXPECT_GE(sent[i].at - sent[i - 1].at, milliseconds(10)) << i;
    EXPECT_EQ(sent[i].request.target, WatchFrom("10"));
  }
  EXPECT_THAT(Errors(), IsEmpty());
}

TEST_F(InformerTest, ASilentStreamIsReportedAndAskedForAgainLikeOneThatEnded) {
  transport_.Answer(200, Page({Pod("a", "5")}, "10"));
  transport_.StreamOf({}, absl::DeadlineExceededError("silent"));
  transport_.OpenStreamOf({Bookmark("11")});
  Start();
  ASSERT_TRUE(WaitFor("11"));
  EXPECT_THAT(Targets(), ElementsAre(kList, WatchFrom("10"), WatchFrom("10")));
  const auto sent = transport_.sent();
  EXPECT_GE(sent[2].at - sent[1].at, milliseconds(10)) << "a failure's wait would be a little shorter, and then grow";
  EXPECT_THAT(Errors(), SizeIs(1));
}

TEST_F(InformerTest, ListsThatFailAreAskedForAgainAndDeleteNothing) {
  transport_.Answer(200, Page({Pod("a", "5")}, "10"));
  transport_.StreamOf({Expired()});
  transport_.Fail(absl::UnavailableError("no connection"));
  transport_.Answer(200, Json::object());
  transport_.AnswerText(200, "<html>");
  transport_.Answer(504, {{"kind", "Status"}, {"code", 504}, {"reason", "Timeout"}});
  transport_.Answer(200, Page({Pod("a", "5")}, "40"));
  Start();
  ASSERT_TRUE(WaitFor("40"));
  EXPECT_THAT(Changes(), ElementsAre("+a@5"));
  EXPECT_THAT(Errors(), SizeIs(5));
  const auto sent = transport_.sent();
  for (size_t i = 3; i <= 6; ++i) {
    EXPECT_EQ(sent[i].request.target, kList);
    EXPECT_GE(sent[i].at - sent[i - 1].at, milliseconds(5)) << i;
  }
}

TEST_F(InformerTest, IndexesAreRightAfterChangesAndDeletions) {
  transport_.Answer(200, Page({Pod("a", "5", "n1"), Pod("b", "6", "n1")}, "10"));
  transport_.StreamOf({Line("MODIFIED", Pod("a", "11", "n2")), Line("ADDED", Pod("c", "12", "n2")), Bookmark("13")});
  transport_.OpenStreamOf({Line("DELETED", Pod("a", "20", "n3")), Line("MODIFIED", Pod("b", "21", "n2"))});
  Start();
  ASSERT_TRUE(WaitFor("21"));
  EXPECT_THAT(informer_->ByIndex("node", "n1"), IsEmpty());
  EXPECT_THAT(Names(informer_->ByIndex("node", "n2")), ElementsAre("b", "c"));
  EXPECT_THAT(informer_->ByIndex("node", "n3"), IsEmpty());
  EXPECT_THAT(Names(informer_->ByIndex("node", "all")), ElementsAre("b", "c"));
  EXPECT_THAT(informer_->ByIndex("node", "nowhere"), IsEmpty());
  EXPECT_THAT(informer_->ByIndex("no index", "n1"), IsEmpty());
}

TEST_F(InformerTest, WaitForVersionEndsWhenTheWriteIsSeen) {
  transport_.Answer(200, Page({Pod("a", "5")}, "9"));
  transport_.OpenStreamOf({Line("MODIFIED", Pod("a", "12"))});
  Start();
  ASSERT_TRUE(WaitFor("12"));
  EXPECT_EQ(ResourceVersionOf(*informer_->Get({"lab", "a"})), "12");
  EXPECT_TRUE(informer_->HasVersion("9"));
  EXPECT_FALSE(informer_->HasVersion("100"));
  const TimePoint deadline = SystemClock().Now() + milliseconds(10);
  EXPECT_FALSE(informer_->WaitForVersion("13", deadline));
  EXPECT_GE(SystemClock().Now(), deadline);
}

TEST_F(InformerTest, WhoeverIsToldFindsItInTheCache) {
  transport_.Answer(200, Page({Pod("a", "5")}, "10"));
  transport_.OpenStreamOf({Line("MODIFIED", Pod("a", "11")), Line("DELETED", Pod("a", "12")), Bookmark("13")});
  informer_ = std::make_unique<Informer>(transport_, SystemClock(), Options());
  std::vector<std::string> seen;
  informer_->AddListener([&](const Change& change) {
    const Object object = informer_->Get(change.key);
    seen.emplace_back(object == nullptr ? "none" : ResourceVersionOf(*object));
  });
  informer_->Start();
  ASSERT_TRUE(WaitFor("13"));
  informer_->Stop();
  EXPECT_THAT(seen, ElementsAre("5", "11", "none"));
}

TEST_F(InformerTest, TrimsAndSelects) {
  Informer::Options options = Options();
  options.name_space = "";
  options.label_selector = "app=x";
  options.trim = [](Json& object) { object.erase("status"); };
  transport_.Answer(200, Page({Pod("a", "5")}, "10"));
  transport_.OpenStreamOf({Line("ADDED", Pod("b", "11"))});
  Start(options);
  ASSERT_TRUE(WaitFor("11"));
  EXPECT_FALSE(informer_->Get({"lab", "a"})->contains("status"));
  EXPECT_FALSE(informer_->Get({"lab", "b"})->contains("status"));
  for (const std::string& target : Targets()) {
    EXPECT_THAT(target, HasSubstr("/api/v1/pods?"));
    EXPECT_THAT(target, HasSubstr("labelSelector=app%3Dx"));
  }
}

TEST_F(InformerTest, StopEndsAWaitAndAStream) {
  Informer::Options options = Options();
  options.machine.backoff = {.first = std::chrono::hours(2), .most = std::chrono::hours(2)};
  Start(options);  // the list fails, and the next is hours away
  SystemClock().SleepFor(milliseconds(5));
  informer_->Stop();
  transport_.Answer(200, Page({}, "10"));
  Start();
  ASSERT_TRUE(WaitFor("10"));
  informer_->Stop();
  informer_->Stop();
  EXPECT_TRUE(informer_->HasVersion("10")) << "the cache stays as it is";
}

}  // namespace
}  // namespace splitft::kube
