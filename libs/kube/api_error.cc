#include "libs/kube/api_error.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/kube/object.h"

namespace splitft::kube {
namespace {

constexpr char kPayload[] = "splitft.io/kubernetes-status";
constexpr size_t kMessageLimit = 4096;
constexpr auto kLongestRetryAfter = std::chrono::minutes(10);

struct Meaning {
  std::string_view reason;
  absl::StatusCode code;
};
constexpr std::array<Meaning, 12> kMeanings = {{{"NotFound", absl::StatusCode::kNotFound},
                                                {"AlreadyExists", absl::StatusCode::kAlreadyExists},
                                                {"Conflict", absl::StatusCode::kAborted},
                                                {"Expired", absl::StatusCode::kOutOfRange},
                                                {"Gone", absl::StatusCode::kOutOfRange},
                                                {"Invalid", absl::StatusCode::kInvalidArgument},
                                                {"BadRequest", absl::StatusCode::kInvalidArgument},
                                                {"Forbidden", absl::StatusCode::kPermissionDenied},
                                                {"Unauthorized", absl::StatusCode::kUnauthenticated},
                                                {"TooManyRequests", absl::StatusCode::kResourceExhausted},
                                                {"ServerTimeout", absl::StatusCode::kUnavailable},
                                                {"Timeout", absl::StatusCode::kUnavailable}}};

absl::StatusCode CodeOf(const ApiError& error) {
  const auto known = std::find_if(kMeanings.begin(), kMeanings.end(),
                                  [&](const Meaning& meaning) { return meaning.reason == error.reason; });
  if (known != kMeanings.end()) {
    return known->code;
  }
  switch (error.http_status) {
    case 400:
    case 422:
      return absl::StatusCode::kInvalidArgument;
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kNotFound;
    case 409:
      return absl::StatusCode::kAborted;
    case 410:
      return absl::StatusCode::kOutOfRange;
    case 429:
      return absl::StatusCode::kResourceExhausted;
    default:
      return error.http_status >= 500 ? absl::StatusCode::kUnavailable : absl::StatusCode::kUnknown;
  }
}

Duration WaitOf(int64_t seconds) {
  return std::min<Duration>(std::chrono::seconds(std::min<int64_t>(seconds, 1 << 20)), kLongestRetryAfter);
}

std::vector<std::string> CausesOf(const Json& status) {
  std::vector<std::string> causes;
  const Json* list = Find(status, {"details", "causes"});
  if (list == nullptr || !list->is_array()) {
    return causes;
  }
  for (const Json& cause : *list) {
    const std::string_view field = TextAt(cause, {"field"});
    const std::string_view message = TextAt(cause, {"message"});
    causes.push_back(field.empty() ? std::string(TextAt(cause, {"reason"}))
                                   : absl::StrCat(std::string(field), ": ", std::string(message)));
  }
  return causes;
}

ApiError FromStatusObject(const Json& status) {
  ApiError error{.http_status = static_cast<int>(IntegerAt(status, {"code"})),
                 .reason = std::string(TextAt(status, {"reason"})),
                 .message = std::string(CutText(TextAt(status, {"message"}), kMessageLimit)),
                 .causes = CausesOf(status),
                 .retry_after = {}};
  if (const int64_t seconds = IntegerAt(status, {"details", "retryAfterSeconds"}); seconds > 0) {
    error.retry_after = WaitOf(seconds);
  }
  return error;
}

std::optional<Json> ParseStatus(std::string_view body) {
  Json status = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (TextAt(status, {"kind"}) != "Status") {
    return std::nullopt;
  }
  return status;
}

}  // namespace

absl::Status ToStatus(const ApiError& error) {
  absl::Status status(CodeOf(error), error.message.empty() ? absl::StrCat("the API server answered ", error.http_status,
                                                                          " ", error.reason)
                                                           : error.message);
  Json payload = {{"code", error.http_status}, {"reason", error.reason}, {"causes", error.causes}};
  if (error.retry_after.has_value()) {
    payload["retryAfter"] = error.retry_after->count();
  }
  status.SetPayload(kPayload, absl::Cord(payload.dump(-1, ' ', false, Json::error_handler_t::replace)));
  return status;
}

std::optional<ApiError> ApiErrorOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayload);
  if (!payload.has_value()) {
    return std::nullopt;
  }
  const Json fields = Json::parse(std::string(*payload), nullptr, false);
  ApiError error{.http_status = static_cast<int>(IntegerAt(fields, {"code"})),
                 .reason = std::string(TextAt(fields, {"reason"})),
                 .message = std::string(status.message()),
                 .causes = fields.at("causes").get<std::vector<std::string>>(),
                 .retry_after = {}};
  if (const int64_t wait = IntegerAt(fields, {"retryAfter"}, -1); wait >= 0) {
    error.retry_after = Duration(wait);
  }
  return error;
}

ApiError ParseApiError(int http_status, std::string_view body, std::string_view retry_after) {
  ApiError error;
  if (const std::optional<Json> status = ParseStatus(body)) {
    error = FromStatusObject(*status);
  } else {
    error.message =
        absl::StrCat("HTTP ", http_status, ", and not from the API server: ", std::string(CutText(body, 200)));
  }
  error.http_status = http_status;
  int64_t seconds = 0;
  if (absl::SimpleAtoi(std::string(retry_after), &seconds) && seconds >= 0) {
    error.retry_after = WaitOf(seconds);
  }
  return error;
}

ApiError ParseStatusObject(std::string_view body) {
  const std::optional<Json> status = ParseStatus(body);
  return status.has_value() ? FromStatusObject(*status) : ApiError{.message = "a Status object that is none"};
}

bool IsConflict(const absl::Status& status) {
  const std::optional<ApiError> error = ApiErrorOf(status);
  return error.has_value() && (error->reason == "Conflict" || (error->reason.empty() && error->http_status == 409));
}

bool IsExpired(const absl::Status& status) {
  const std::optional<ApiError> error = ApiErrorOf(status);
  return error.has_value() && (error->reason == "Expired" || error->reason == "Gone" || error->http_status == 410);
}

std::optional<Duration> RetryAfterOf(const absl::Status& status) {
  const std::optional<ApiError> error = ApiErrorOf(status);
  return error.has_value() ? error->retry_after : std::nullopt;
}

}  // namespace splitft::kube
