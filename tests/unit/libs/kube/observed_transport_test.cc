#include "libs/kube/observed_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/kube/api_error.h"
#include "tests/unit/libs/kube/manual_clock.h"
#include "tests/unit/libs/kube/scripted_transport.h"

namespace splitft::kube {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;

const ResourceType kPod{"", "v1", "Pod", "pods"};

class ObservedTransportTest : public ::testing::Test {
 protected:
  absl::Status Watch(std::stop_token stop = {}) {
    return observed_.Stream(WatchRequest(kPod, {}), seconds(1), std::move(stop), [this](std::string_view) {
      clock_.Advance(seconds(2));
      return absl::OkStatus();
    });
  }

  ManualClock clock_;
  ScriptedTransport transport_{clock_};
  std::vector<std::string> seen_;
  ObservedTransport observed_{
      transport_, clock_, [this](const RequestOutcome& outcome) {
        seen_.push_back(absl::StrCat(outcome.request.verb, " ", outcome.http_status, " ", Seconds(outcome.duration)));
      }};
};

TEST_F(ObservedTransportTest, TellsWhatEachRequestCameTo) {
  transport_.Answer(200, {{"a", 1}});
  transport_.Answer(503, nullptr);
  transport_.Fail(absl::UnavailableError("no connection"));
  const Request request = GetRequest(kPod, {"lab", "a"});
  EXPECT_EQ(observed_.Send(request, seconds(1))->body, R"({"a":1})");
  EXPECT_EQ(observed_.Send(request, seconds(1))->status, 503);
  EXPECT_TRUE(absl::IsUnavailable(observed_.Send(request, seconds(1)).status()));
  EXPECT_THAT(seen_, ElementsAre("get 200 0", "get 503 0", "get 0 0"));
}

TEST_F(ObservedTransportTest, AStreamIsWellAnsweredOnceSomethingCame) {
  transport_.StreamOf({"a", "b"}, absl::UnavailableError("broke"));
  EXPECT_TRUE(absl::IsUnavailable(Watch()));
  transport_.StreamOf({"too old"}, ToStatus(ParseApiError(410, "", "")));
  EXPECT_TRUE(IsExpired(Watch()));
  EXPECT_THAT(seen_, ElementsAre("watch 200 4", "watch 200 2"));
}

TEST_F(ObservedTransportTest, AStreamThatEndsEmptyIsWhatItsEndSays) {
  transport_.StreamOf({});
  EXPECT_TRUE(Watch().ok());
  transport_.StreamOf({}, ToStatus(ParseApiError(403, "", "")));
  EXPECT_TRUE(absl::IsPermissionDenied(Watch()));
  transport_.StreamOf({}, absl::UnavailableError("no connection"));
  EXPECT_TRUE(absl::IsUnavailable(Watch()));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(Watch(stop.get_token())));
  EXPECT_THAT(seen_, ElementsAre("watch 200 0", "watch 403 0", "watch 0 0", "watch 200 0"));
}

}  // namespace
}  // namespace splitft::kube
