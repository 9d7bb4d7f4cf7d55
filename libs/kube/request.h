#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "libs/kube/object.h"

// Requests to an API server as values: built here without I/O, sent by a Transport.
namespace splitft::kube {

enum class Method { kGet, kPost, kPut, kPatch, kDelete };
std::string_view MethodName(Method method);

struct Request {
  Method method = Method::kGet;
  std::string target;  // path and query: "/api/v1/namespaces/default/pods?limit=500"
  std::string content_type;
  std::string body;
  std::string verb;      // "list", "watch", "apply": for metrics and messages, as Kubernetes' audit log has them
  std::string resource;  // "pods", likewise; empty for paths that are no resource
  // The answer is to be the object's metadata alone, as a PartialObjectMetadata.
  bool metadata_only = false;

  bool operator==(const Request&) const = default;
};

struct ListOptions {
  std::string name_space;  // empty: all of them
  std::string label_selector;
  std::string field_selector;
  int64_t limit = 500;         // objects in one page
  std::string continue_token;  // of the page before
  // empty: what is newest, as a quorum read; "0": whatever the server's cache has
  std::string resource_version;
};

struct WatchOptions {
  std::string name_space;
  std::string label_selector;
  std::string field_selector;
  std::string resource_version;                              // of a list: changes after it
  std::chrono::seconds timeout = std::chrono::seconds(290);  // the server ends the stream then
};

// Whose fields an apply sets, and whether it takes them from others who have set them otherwise.
struct FieldOwner {
  std::string name;
  bool force = true;
};

// Conditions of a deletion: the very object that was seen, not a namesake.
struct Preconditions {
  std::string uid;
  std::string resource_version;
};

Request GetRequest(const ResourceType& type, const ObjectKey& key);
Request ListRequest(const ResourceType& type, const ListOptions& options);
Request WatchRequest(const ResourceType& type, const WatchOptions& options);
// Creates `object`, whose namespace is its own.
Request CreateRequest(const ResourceType& type, const Json& object);
// Replaces the object; its resourceVersion must be the one that is there.
Request ReplaceRequest(const ResourceType& type, const Json& object);
// Server-side apply: creates the object or sets its fields. With metadata.uid in it never a new one in the place of one
// that was deleted meanwhile.
Request ApplyRequest(const ResourceType& type, const Json& object, const FieldOwner& manager);
// Likewise for the status subresource.
Request ApplyStatusRequest(const ResourceType& type, const Json& object, const FieldOwner& manager);
// JSON merge patch (RFC 7396).
Request MergePatchRequest(const ResourceType& type, const ObjectKey& key, const Json& patch);
// `propagation`: "Background", "Foreground" or "Orphan". A zero grace period kills at once; nothing: the pod's own.
struct DeleteOptions {
  Preconditions preconditions;
  std::string propagation = "Background";
  std::optional<int64_t> grace_seconds;
};
Request DeleteRequest(const ResourceType& type, const ObjectKey& key, const DeleteOptions& options);
// Evicts a pod, as a drain does; answers 429 where a PodDisruptionBudget forbids it.
Request EvictRequest(const ObjectKey& pod);
// A path that is no resource: "/version", "/readyz".
Request PathRequest(std::string path);

// `text` with everything but unreserved characters as %XX (RFC 3986).
std::string EscapeQuery(std::string_view text);

}  // namespace splitft::kube
