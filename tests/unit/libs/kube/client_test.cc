#include "libs/kube/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "libs/kube/api_error.h"
#include "tests/unit/libs/kube/manual_clock.h"
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
const ResourceType kNode{"", "v1", "Node", "nodes", /*namespaced=*/false};
const ObjectKey kKey{"lab", "a"};

Json Object(const std::string& name) { return {{"metadata", {{"namespace", "lab"}, {"name", name}}}}; }

Json Refusal(int code, const std::string& reason) {
  return {{"kind", "Status"}, {"code", code}, {"reason", reason}, {"message", "no"}};
}

class ClientTest : public ::testing::Test {
 protected:
  Duration Passed() const { return clock_.Now() - start_; }

  ManualClock clock_;
  ScriptedTransport transport_{clock_};
  const TimePoint start_ = clock_.Now();
  Client client_{transport_, clock_};
};

TEST_F(ClientTest, AnAnswerIsItsJson) {
  transport_.Answer(200, Object("a"));
  EXPECT_EQ(client_.Get(kPod, kKey).value(), Object("a"));
  transport_.Answer(201, Object("b"));
  EXPECT_EQ(client_.Create(kPod, Object("b")).value(), Object("b"));
  transport_.AnswerText(200, "");
  EXPECT_TRUE(client_.Call(PathRequest("/readyz")).value().is_null());
  transport_.AnswerText(200, "<html>");
  EXPECT_TRUE(absl::IsDataLoss(client_.Get(kPod, kKey).status()));
  EXPECT_THAT(transport_.sent(), SizeIs(4));
  EXPECT_EQ(Passed(), Duration::zero());
}

TEST_F(ClientTest, AReadWithoutAnAnswerIsTriedAgainAfterGrowingWaits) {
  for (int i = 0; i < 4; ++i) {
    transport_.Fail(absl::UnavailableError("no connection"));
  }
  transport_.Answer(200, Object("a"));
  ASSERT_TRUE(client_.Get(kPod, kKey).ok());
  const std::vector<ScriptedTransport::Sent> sent = transport_.sent();
  ASSERT_THAT(sent, SizeIs(5));
  Duration whole = milliseconds(100);
  for (size_t i = 1; i < sent.size(); ++i, whole *= 2) {
    EXPECT_GE(sent[i].at - sent[i - 1].at, whole / 2) << i;
    EXPECT_LE(sent[i].at - sent[i - 1].at, whole) << i;
  }
  // All attempts share the patience.
  EXPECT_EQ(sent[0].timeout, Duration(seconds(30)));
  EXPECT_EQ(sent[4].timeout, seconds(30) - (sent[4].at - start_));
}

TEST_F(ClientTest, AfterTheLastAttemptTheErrorIsTheAnswer) {
  EXPECT_TRUE(absl::IsUnavailable(client_.Get(kPod, kKey).status()));
  EXPECT_THAT(transport_.sent(), SizeIs(5));
}

TEST_F(ClientTest, AWriteWithoutAnAnswerIsNotTriedAgain) {
  EXPECT_TRUE(absl::IsUnavailable(client_.Create(kPod, Object("a")).status()));
  EXPECT_TRUE(absl::IsUnavailable(client_.Replace(kPod, Object("a")).status()));
  EXPECT_TRUE(absl::IsUnavailable(client_.Apply(kPod, Object("a"), {.name = "x"}).status()));
  EXPECT_TRUE(absl::IsUnavailable(client_.ApplyStatus(kPod, Object("a"), {.name = "x"}).status()));
  EXPECT_TRUE(absl::IsUnavailable(client_.MergePatch(kPod, kKey, Json::object()).status()));
  EXPECT_TRUE(absl::IsUnavailable(client_.Delete(kPod, kKey)));
  EXPECT_THAT(transport_.sent(), SizeIs(6));
}

TEST_F(ClientTest, WhatTheServerRefusedForItsLoadComesAgainWhenItSays) {
  transport_.Answer(429, Refusal(429, "TooManyRequests"), "3");
  transport_.Answer(503, nullptr, "2");
  transport_.Answer(201, Object("a"));
  ASSERT_TRUE(client_.Create(kPod, Object("a")).ok());
  const std::vector<ScriptedTransport::Sent> sent = transport_.sent();
  ASSERT_THAT(sent, SizeIs(3));
  EXPECT_EQ(sent[1].at - sent[0].at, Duration(seconds(3)));
  EXPECT_EQ(sent[2].at - sent[1].at, Duration(seconds(2)));
}

TEST_F(ClientTest, AServersErrorWithoutATimeIsTriedAgainForReadsOnly) {
  transport_.Answer(500, Refusal(500, "InternalError"));
  EXPECT_TRUE(absl::IsUnavailable(client_.Create(kPod, Object("a")).status()));
  EXPECT_THAT(transport_.sent(), SizeIs(1));
  transport_.Answer(500, Refusal(500, "InternalError"));
  transport_.Answer(200, Object("a"));
  EXPECT_TRUE(client_.Get(kPod, kKey).ok());
  EXPECT_THAT(transport_.sent(), SizeIs(3));
}

TEST_F(ClientTest, OtherRefusalsAreFinal) {
  for (const int code : {400, 401, 403, 404, 409, 410, 422}) {
    transport_.Answer(code, Refusal(code, ""));
    const absl::Status status = client_.Get(kPod, kKey).status();
    EXPECT_EQ(ApiErrorOf(status)->http_status, code);
  }
  transport_.Fail(absl::DeadlineExceededError("slow"));
  EXPECT_TRUE(absl::IsDeadlineExceeded(client_.Get(kPod, kKey).status()));
  EXPECT_THAT(transport_.sent(), SizeIs(8));
  EXPECT_EQ(Passed(), Duration::zero());
}

TEST_F(ClientTest, NobodyWaitsBeyondThePatience) {
  transport_.Answer(429, Refusal(429, "TooManyRequests"), "60");
  EXPECT_TRUE(absl::IsResourceExhausted(client_.Get(kPod, kKey).status()));
  EXPECT_THAT(transport_.sent(), SizeIs(1));
  EXPECT_EQ(Passed(), Duration::zero());
}

TEST_F(ClientTest, AListIsAllItsPages) {
  transport_.Answer(
      200, {{"metadata", {{"resourceVersion", "9"}, {"continue", "more"}}}, {"items", {Object("a"), Object("b")}}});
  transport_.Answer(200, {{"metadata", {{"resourceVersion", "9"}}}, {"items", {Object("c")}}});
  const absl::StatusOr<std::vector<Json>> objects =
      client_.List(kPod, {.name_space = "lab", .label_selector = "x", .field_selector = {}, .limit = 2});
  ASSERT_TRUE(objects.ok()) << objects.status();
  EXPECT_THAT(*objects, ElementsAre(Object("a"), Object("b"), Object("c")));
  const std::vector<ScriptedTransport::Sent> sent = transport_.sent();
  ASSERT_THAT(sent, SizeIs(2));
  EXPECT_EQ(sent[0].request.target, "/api/v1/namespaces/lab/pods?limit=2&labelSelector=x");
  EXPECT_EQ(sent[1].request.target, "/api/v1/namespaces/lab/pods?limit=2&continue=more&labelSelector=x");
}

TEST_F(ClientTest, AnAnswerThatIsNoListIsNotAnEmptyOne) {
  transport_.Answer(200, Json::object());
  EXPECT_TRUE(absl::IsDataLoss(client_.List(kPod, {}).status()));
  transport_.Answer(200, {{"metadata", {{"resourceVersion", "9"}, {"continue", "more"}}}, {"items", {Object("a")}}});
  transport_.Answer(410, Refusal(410, "Expired"));
  EXPECT_TRUE(IsExpired(client_.List(kPod, {}).status()));
}

TEST_F(ClientTest, WhatIsNotThereIsDeletedButANamesakeIsNot) {
  transport_.Answer(404, Refusal(404, "NotFound"));
  EXPECT_TRUE(client_.Delete(kPod, kKey).ok());
  transport_.Answer(409, Refusal(409, "Conflict"));
  EXPECT_TRUE(IsConflict(client_.Delete(kPod, kKey, {.preconditions = {.uid = "u1", .resource_version = {}}})));
  EXPECT_THAT(transport_.sent().back().request.body, HasSubstr("u1"));
  transport_.Answer(404, Refusal(404, "NotFound"));
  EXPECT_TRUE(absl::IsNotFound(client_.Get(kPod, kKey).status()));
}

TEST_F(ClientTest, WithoutANameNothingIsSent) {
  // DELETE of /api/v1/namespaces/lab/pods/ would delete them all.
  for (const ObjectKey& key :
       {ObjectKey{"lab", ""}, ObjectKey{"lab", "."}, ObjectKey{"lab", ".."}, ObjectKey{"", "a"}}) {
    const Json object = {{"metadata", {{"namespace", key.name_space}, {"name", key.name}}}};
    EXPECT_TRUE(absl::IsInvalidArgument(client_.Delete(kPod, key))) << key.text();
    EXPECT_TRUE(absl::IsInvalidArgument(client_.Get(kPod, key).status())) << key.text();
    EXPECT_TRUE(absl::IsInvalidArgument(client_.MergePatch(kPod, key, Json::object()).status())) << key.text();
    EXPECT_TRUE(absl::IsInvalidArgument(client_.Replace(kPod, object).status())) << key.text();
    EXPECT_TRUE(absl::IsInvalidArgument(client_.Apply(kPod, object, {.name = "x"}).status())) << key.text();
    EXPECT_TRUE(absl::IsInvalidArgument(client_.ApplyStatus(kPod, object, {.name = "x"}).status())) << key.text();
  }
  EXPECT_THAT(transport_.sent(), IsEmpty());
  transport_.Answer(200, Object("n1"));
  EXPECT_TRUE(client_.Get(kNode, {"", "n1"}).ok());
}

}  // namespace
}  // namespace splitft::kube
