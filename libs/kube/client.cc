#include "libs/kube/client.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/kube/api_error.h"
#include "libs/kube/pruned_json.h"

namespace splitft::kube {
namespace {

// How long to wait before `request` may be sent again; nothing: not at all.
std::optional<Duration> WaitBeforeRetry(const Request& request, const absl::Status& error, Duration backoff) {
  if (const std::optional<ApiError> refused = ApiErrorOf(error)) {
    const bool told = refused->http_status == 429 || (refused->http_status >= 500 && refused->retry_after.has_value());
    if (told || (refused->http_status >= 500 && request.method == Method::kGet)) {
      return std::max(backoff, refused->retry_after.value_or(Duration::zero()));
    }
    return std::nullopt;
  }
  return absl::IsUnavailable(error) && request.method == Method::kGet ? std::optional(backoff) : std::nullopt;
}

// A server may answer with more than was asked for.
Json ParseAnswer(const Request& request, std::string_view body) {
  constexpr std::array<MemberName, 4> kNoMetadata{
      {{"", "spec"}, {"", "status"}, {"", "data"}, {"metadata", "managedFields"}}};
  return ParsePruned(body, request.metadata_only ? kNoMetadata : std::span<const MemberName>());
}

absl::Status CheckKey(const ResourceType& type, const ObjectKey& key) {
  // A path would lead elsewhere with these as its last part.
  if (key.name.empty() || key.name == "." || key.name == "..") {
    return absl::InvalidArgumentError(absl::StrCat(type.plural, ": \"", key.name, "\" is no object's name"));
  }
  if (type.namespaced && key.name_space.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(type.plural, " \"", key.name, "\" has no namespace"));
  }
  return absl::OkStatus();
}

}  // namespace

Client::Client(Transport& transport, const Clock& clock, Options options)
    : transport_(transport), clock_(clock), options_(options), backoff_(options_.backoff, options_.seed) {}

absl::StatusOr<Json> Client::Get(const ResourceType& type, const ObjectKey& key) {
  SPLITFT_RETURN_IF_ERROR(CheckKey(type, key));
  return Call(GetRequest(type, key));
}

absl::StatusOr<std::vector<Json>> Client::List(const ResourceType& type, ListOptions options) {
  std::vector<Json> objects;
  do {
    SPLITFT_ASSIGN_OR_RETURN(Json page, Call(ListRequest(type, options)));
    SPLITFT_RETURN_IF_ERROR(CheckListPage(page));
    std::move(page["items"].begin(), page["items"].end(), std::back_inserter(objects));
    options.continue_token = TextAt(page, {"metadata", "continue"});
  } while (!options.continue_token.empty());
  return objects;
}

absl::StatusOr<Json> Client::Create(const ResourceType& type, const Json& object, Answer answer) {
  return Write(CreateRequest(type, object), answer);
}

absl::StatusOr<Json> Client::Replace(const ResourceType& type, const Json& object) {
  SPLITFT_RETURN_IF_ERROR(CheckKey(type, KeyOf(object)));
  return Call(ReplaceRequest(type, object));
}

absl::StatusOr<Json> Client::Apply(const ResourceType& type, const Json& object, const FieldOwner& manager,
                                   Answer answer) {
  SPLITFT_RETURN_IF_ERROR(CheckKey(type, KeyOf(object)));
  return Write(ApplyRequest(type, object, manager), answer);
}

absl::StatusOr<Json> Client::ApplyStatus(const ResourceType& type, const Json& object, const FieldOwner& manager,
                                         Answer answer) {
  SPLITFT_RETURN_IF_ERROR(CheckKey(type, KeyOf(object)));
  return Write(ApplyStatusRequest(type, object, manager), answer);
}

absl::StatusOr<Json> Client::MergePatch(const ResourceType& type, const ObjectKey& key, const Json& patch) {
  SPLITFT_RETURN_IF_ERROR(CheckKey(type, key));
  return Call(MergePatchRequest(type, key, patch));
}

absl::Status Client::Delete(const ResourceType& type, const ObjectKey& key, const DeleteOptions& options) {
  SPLITFT_RETURN_IF_ERROR(CheckKey(type, key));
  const absl::Status status = Call(DeleteRequest(type, key, options)).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::StatusOr<Json> Client::Write(Request request, Answer answer) {
  request.metadata_only = answer == Answer::kMetadata;
  return Call(request);
}

absl::StatusOr<Json> Client::Call(const Request& request) {
  const TimePoint deadline = clock_.Now() + options_.patience;
  for (int attempt = 1;; ++attempt) {
    const absl::StatusOr<Response> response = transport_.Send(request, deadline - clock_.Now());
    absl::Status error = response.status();
    if (response.ok() && response->status / 100 == 2) {
      Json answer = response->body.empty() ? Json() : ParseAnswer(request, response->body);
      if (answer.is_discarded()) {
        return absl::DataLossError(absl::StrCat(request.verb, " ", request.resource, ": the answer of ",
                                                response->body.size(), " bytes is no JSON"));
      }
      return answer;
    }
    if (response.ok()) {
      error = ToStatus(ParseApiError(response->status, response->body, response->retry_after));
    }
    const std::optional<Duration> wait = WaitBeforeRetry(request, error, BackoffAfter(attempt));
    if (!wait.has_value() || attempt >= options_.attempts || clock_.Now() + *wait >= deadline) {
      return error;
    }
    clock_.SleepFor(*wait);
  }
}

Duration Client::BackoffAfter(int failures) {
  const MutexLock lock(mutex_);
  backoff_.Reset();
  Duration wait{};
  for (int i = 0; i < failures; ++i) {
    wait = backoff_.Next();
  }
  return wait;
}

}  // namespace splitft::kube
