#include "libs/kube/request.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace splitft::kube {
namespace {

constexpr char kJsonType[] = "application/json";
// Server-side apply takes YAML, of which JSON is a part.
constexpr char kApplyType[] = "application/apply-patch+yaml";

std::string CollectionPath(const ResourceType& type, std::string_view name_space) {
  std::string path =
      type.group.empty() ? absl::StrCat("/api/", type.version) : absl::StrCat("/apis/", type.group, "/", type.version);
  if (type.namespaced && !name_space.empty()) {
    absl::StrAppend(&path, "/namespaces/", EscapeQuery(name_space));
  }
  return absl::StrCat(path, "/", type.plural);
}

std::string ObjectPath(const ResourceType& type, const ObjectKey& key) {
  return absl::StrCat(CollectionPath(type, key.name_space), "/", EscapeQuery(key.name));
}

// Query parameters, in the order they are added; those without a value are left out.
class Query {
 public:
  Query& Add(std::string_view name, std::string_view value) {
    if (!value.empty()) {
      absl::StrAppend(&text_, text_.empty() ? "?" : "&", std::string(name), "=", EscapeQuery(value));
    }
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// What is sent is UTF-8 as it is: the server refuses surrogate escapes.
std::string Dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

Request ApplyTo(const std::string& path, const ResourceType& type, const Json& object, const FieldOwner& manager) {
  Query query;
  query.Add("fieldManager", manager.name).Add("force", manager.force ? "true" : "");
  return {.method = Method::kPatch,
          .target = path + query.text(),
          .content_type = kApplyType,
          .body = Dump(object),
          .verb = "apply",
          .resource = type.plural};
}

}  // namespace

std::string_view MethodName(Method method) {
  switch (method) {
    case Method::kGet:
      return "GET";
    case Method::kPost:
      return "POST";
    case Method::kPut:
      return "PUT";
    case Method::kPatch:
      return "PATCH";
    case Method::kDelete:
      return "DELETE";
  }
  return "";
}

std::string EscapeQuery(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

Request GetRequest(const ResourceType& type, const ObjectKey& key) {
  return {.target = ObjectPath(type, key), .content_type = {}, .body = {}, .verb = "get", .resource = type.plural};
}

Request ListRequest(const ResourceType& type, const ListOptions& options) {
  Query query;
  query.Add("limit", options.limit > 0 ? std::to_string(options.limit) : "")
      .Add("continue", options.continue_token)
      .Add("labelSelector", options.label_selector)
      .Add("fieldSelector", options.field_selector);
  if (options.continue_token.empty()) {  // a continued list goes on with its own
    query.Add("resourceVersion", options.resource_version);
  }
  return {.target = CollectionPath(type, options.name_space) + query.text(),
          .content_type = {},
          .body = {},
          .verb = "list",
          .resource = type.plural};
}

Request WatchRequest(const ResourceType& type, const WatchOptions& options) {
  Query query;
  query.Add("watch", "true")
      .Add("allowWatchBookmarks", "true")
      .Add("resourceVersion", options.resource_version)
      .Add("timeoutSeconds", std::to_string(options.timeout.count()))
      .Add("labelSelector", options.label_selector)
      .Add("fieldSelector", options.field_selector);
  return {.target = CollectionPath(type, options.name_space) + query.text(),
          .content_type = {},
          .body = {},
          .verb = "watch",
          .resource = type.plural};
}

Request CreateRequest(const ResourceType& type, const Json& object) {
  return {.method = Method::kPost,
          .target = CollectionPath(type, KeyOf(object).name_space),
          .content_type = kJsonType,
          .body = Dump(object),
          .verb = "create",
          .resource = type.plural};
}

Request ReplaceRequest(const ResourceType& type, const Json& object) {
  return {.method = Method::kPut,
          .target = ObjectPath(type, KeyOf(object)),
          .content_type = kJsonType,
          .body = Dump(object),
          .verb = "update",
          .resource = type.plural};
}

Request ApplyRequest(const ResourceType& type, const Json& object, const FieldOwner& manager) {
  return ApplyTo(ObjectPath(type, KeyOf(object)), type, object, manager);
}

Request ApplyStatusRequest(const ResourceType& type, const Json& object, const FieldOwner& manager) {
  return ApplyTo(absl::StrCat(ObjectPath(type, KeyOf(object)), "/status"), type, object, manager);
}

Request MergePatchRequest(const ResourceType& type, const ObjectKey& key, const Json& patch) {
  return {.method = Method::kPatch,
          .target = ObjectPath(type, key),
          .content_type = "application/merge-patch+json",
          .body = Dump(patch),
          .verb = "patch",
          .resource = type.plural};
}

Request DeleteRequest(const ResourceType& type, const ObjectKey& key, const DeleteOptions& options) {
  Json body = {{"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"propagationPolicy", options.propagation}};
  if (options.grace_seconds.has_value()) {
    body["gracePeriodSeconds"] = *options.grace_seconds;
  }
  if (!options.preconditions.uid.empty()) {
    body["preconditions"]["uid"] = options.preconditions.uid;
  }
  if (!options.preconditions.resource_version.empty()) {
    body["preconditions"]["resourceVersion"] = options.preconditions.resource_version;
  }
  return {.method = Method::kDelete,
          .target = ObjectPath(type, key),
          .content_type = kJsonType,
          .body = Dump(body),
          .verb = "delete",
          .resource = type.plural};
}

Request EvictRequest(const ObjectKey& pod) {
  const Json body = {{"apiVersion", "policy/v1"},
                     {"kind", "Eviction"},
                     {"metadata", {{"name", pod.name}, {"namespace", pod.name_space}}}};
  return {.method = Method::kPost,
          .target = absl::StrCat("/api/v1/namespaces/", EscapeQuery(pod.name_space), "/pods/", EscapeQuery(pod.name),
                                 "/eviction"),
          .content_type = kJsonType,
          .body = Dump(body),
          .verb = "create",
          .resource = "pods/eviction"};
}

Request PathRequest(std::string path) {
  return {.target = std::move(path), .content_type = {}, .body = {}, .verb = "get", .resource = {}};
}

}  // namespace splitft::kube
