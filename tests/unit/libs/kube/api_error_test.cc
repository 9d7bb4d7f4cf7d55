#include "libs/kube/api_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "libs/kube/object.h"

namespace splitft::kube {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string StatusBody(int code, const std::string& reason, const std::string& message = "no") {
  return Json{{"kind", "Status"}, {"status", "Failure"}, {"code", code}, {"reason", reason}, {"message", message}}
      .dump();
}

absl::Status Answer(int http_status, const std::string& body, const std::string& retry_after = "") {
  return ToStatus(ParseApiError(http_status, body, retry_after));
}

TEST(ApiErrorCodes, FollowTheReason) {
  const std::pair<std::pair<int, const char*>, absl::StatusCode> meanings[] = {
      {{404, "NotFound"}, absl::StatusCode::kNotFound},
      {{409, "AlreadyExists"}, absl::StatusCode::kAlreadyExists},
      {{409, "Conflict"}, absl::StatusCode::kAborted},
      {{410, "Expired"}, absl::StatusCode::kOutOfRange},
      {{410, "Gone"}, absl::StatusCode::kOutOfRange},
      {{422, "Invalid"}, absl::StatusCode::kInvalidArgument},
      {{400, "BadRequest"}, absl::StatusCode::kInvalidArgument},
      {{403, "Forbidden"}, absl::StatusCode::kPermissionDenied},
      {{401, "Unauthorized"}, absl::StatusCode::kUnauthenticated},
      {{429, "TooManyRequests"}, absl::StatusCode::kResourceExhausted},
      {{500, "ServerTimeout"}, absl::StatusCode::kUnavailable},
      {{504, "Timeout"}, absl::StatusCode::kUnavailable},
      {{500, "InternalError"}, absl::StatusCode::kUnavailable},
      {{503, "ServiceUnavailable"}, absl::StatusCode::kUnavailable},
      {{415, "UnsupportedMediaType"}, absl::StatusCode::kUnknown},
      {{405, "MethodNotAllowed"}, absl::StatusCode::kUnknown},
  };
  for (const auto& [answer, code] : meanings) {
    const absl::Status status = Answer(answer.first, StatusBody(answer.first, answer.second));
    EXPECT_EQ(status.code(), code) << answer.second << ": " << status;
    EXPECT_EQ(status.message(), "no");
  }
}

TEST(ApiErrorCodes, WithoutAReasonFollowTheHttpStatus) {
  const std::pair<int, absl::StatusCode> meanings[] = {
      {400, absl::StatusCode::kInvalidArgument},  {401, absl::StatusCode::kUnauthenticated},
      {403, absl::StatusCode::kPermissionDenied}, {404, absl::StatusCode::kNotFound},
      {409, absl::StatusCode::kAborted},          {410, absl::StatusCode::kOutOfRange},
      {422, absl::StatusCode::kInvalidArgument},  {429, absl::StatusCode::kResourceExhausted},
      {500, absl::StatusCode::kUnavailable},      {502, absl::StatusCode::kUnavailable},
      {302, absl::StatusCode::kUnknown},          {418, absl::StatusCode::kUnknown},
  };
  for (const auto& [http_status, code] : meanings) {
    const absl::Status status = Answer(http_status, "<html>a proxy</html>");
    EXPECT_EQ(status.code(), code) << http_status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::to_string(http_status)));
    EXPECT_THAT(std::string(status.message()), HasSubstr("a proxy"));
  }
}

TEST(ApiErrorInside, IsWhatToStatusPutIn) {
  const std::string body = R"({"kind": "Status", "code": 422, "reason": "Invalid", "message": "x is invalid",
      "details": {"retryAfterSeconds": 7, "causes": [
        {"reason": "FieldValueInvalid", "field": "spec.split.cutLayer", "message": "must be at least 1"},
        {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}})";
  const std::optional<ApiError> error = ApiErrorOf(Answer(422, body));
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->http_status, 422);
  EXPECT_EQ(error->reason, "Invalid");
  EXPECT_EQ(error->message, "x is invalid");
  EXPECT_THAT(error->causes, ElementsAre("spec.split.cutLayer: must be at least 1", "ResourceVersionTooLarge"));
  EXPECT_EQ(error->retry_after, Duration(seconds(7)));
}

TEST(ApiErrorInside, IsNotInOtherErrors) {
  EXPECT_FALSE(ApiErrorOf(absl::UnavailableError("no connection")).has_value());
  EXPECT_FALSE(ApiErrorOf(absl::OkStatus()).has_value());
  EXPECT_FALSE(IsExpired(absl::OutOfRangeError("too much")));
  EXPECT_FALSE(IsConflict(absl::AbortedError("mine")));
  EXPECT_FALSE(RetryAfterOf(absl::UnavailableError("no connection")).has_value());
}

TEST(ApiErrorRetryAfter, TheHeaderCountsBeforeTheBody) {
  const std::string body = R"({"kind": "Status", "code": 429, "details": {"retryAfterSeconds": 7}})";
  EXPECT_EQ(RetryAfterOf(Answer(429, body)), Duration(seconds(7)));
  EXPECT_EQ(RetryAfterOf(Answer(429, body, "3")), Duration(seconds(3)));
  EXPECT_EQ(RetryAfterOf(Answer(429, "", "0")), Duration(seconds(0)));
  EXPECT_FALSE(RetryAfterOf(Answer(429, "")).has_value());
}

TEST(ApiErrorRetryAfter, WhatIsNoNumberOfSecondsIsLeftOut) {
  const std::string body = R"({"kind": "Status", "code": 429, "details": {"retryAfterSeconds": 7}})";
  EXPECT_EQ(RetryAfterOf(Answer(429, body, "Fri, 31 Dec 1999 23:59:59 GMT")), Duration(seconds(7)));
  EXPECT_EQ(RetryAfterOf(Answer(429, body, "-5")), Duration(seconds(7)));
  EXPECT_FALSE(RetryAfterOf(Answer(429, "", "-5")).has_value());
}

TEST(ApiErrorRetryAfter, IsTenMinutesAtMost) {
  EXPECT_EQ(RetryAfterOf(Answer(503, "", "601")), Duration(minutes(10)));
  EXPECT_EQ(RetryAfterOf(Answer(503, "", "9223372036854775807")), Duration(minutes(10)));
}

TEST(ApiErrorKinds, AConflictIsNotAnExistingName) {
  EXPECT_TRUE(IsConflict(Answer(409, StatusBody(409, "Conflict"))));
  EXPECT_TRUE(IsConflict(Answer(409, "")));
  EXPECT_FALSE(IsConflict(Answer(409, StatusBody(409, "AlreadyExists"))));
  EXPECT_FALSE(IsConflict(Answer(404, StatusBody(404, "NotFound"))));
}

TEST(ApiErrorKinds, AnExpiredVersionHasManyNames) {
  EXPECT_TRUE(IsExpired(Answer(410, StatusBody(410, "Expired"))));
  EXPECT_TRUE(IsExpired(Answer(410, "")));
  EXPECT_TRUE(IsExpired(ToStatus(ParseStatusObject(StatusBody(410, "Gone")))));
  EXPECT_TRUE(IsExpired(ToStatus(ParseStatusObject(R"({"kind": "Status", "code": 410})"))));
  EXPECT_FALSE(IsExpired(ToStatus(ParseStatusObject(StatusBody(500, "InternalError")))));
}

TEST(ApiErrorText, BrokenAnswersAreErrorsToo) {
  EXPECT_EQ(ToStatus(ParseStatusObject("{")).code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(ToStatus(ParseStatusObject(R"({"kind": "Pod"})")).code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(ToStatus(ParseStatusObject(R"({"kind": "Status", "code": "x", "details": []})")).code(),
            absl::StatusCode::kUnknown);
  // The HTTP status is the one that came, whatever the body says.
  EXPECT_EQ(ApiErrorOf(Answer(503, StatusBody(200, "")))->http_status, 503);
  EXPECT_THAT(std::string(Answer(503, R"({"kind": "Status", "reason": "Why"})").message()), HasSubstr("503 Why"));
}

TEST(ApiErrorText, LongAndBinaryTextIsCutBetweenCharacters) {
  std::string euros;
  for (int i = 0; i < 3000; ++i) {
    euros += "\u20ac";
  }
  const absl::Status status = Answer(500, StatusBody(500, "InternalError", euros));
  EXPECT_LE(status.message().size(), 4096U);
  EXPECT_EQ(status.message().size() % 3, 0U);
  EXPECT_LE(Answer(502, euros).message().size(), 300U);
  EXPECT_EQ(ApiErrorOf(Answer(502, "\xff\xfe"))->http_status, 502);
}

}  // namespace
}  // namespace splitft::kube
