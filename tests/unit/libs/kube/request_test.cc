#include "libs/kube/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace splitft::kube {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const ResourceType kPod{"", "v1", "Pod", "pods"};
const ResourceType kJob{"splitft.io", "v1", "FinetuneJob", "finetunejobs"};
const ResourceType kNode{"", "v1", "Node", "nodes", /*namespaced=*/false};
const ObjectKey kKey{"lab", "a"};

Json Object() { return Json::parse(R"({"metadata": {"namespace": "lab", "name": "a", "resourceVersion": "7"}})"); }

TEST(RequestPaths, HaveGroupVersionNamespaceAndName) {
  EXPECT_EQ(GetRequest(kPod, kKey).target, "/api/v1/namespaces/lab/pods/a");
  EXPECT_EQ(GetRequest(kJob, kKey).target, "/apis/splitft.io/v1/namespaces/lab/finetunejobs/a");
  EXPECT_EQ(GetRequest(kNode, {"", "n1"}).target, "/api/v1/nodes/n1");
  EXPECT_EQ(GetRequest(kNode, {"ignored", "n1"}).target, "/api/v1/nodes/n1");
  EXPECT_EQ(GetRequest(kPod, {"a/b", "c d?"}).target, "/api/v1/namespaces/a%2Fb/pods/c%20d%3F");
  EXPECT_EQ(GetRequest(kPod, kKey).method, Method::kGet);
  EXPECT_EQ(GetRequest(kPod, kKey).body, "");
  EXPECT_EQ(PathRequest("/readyz").target, "/readyz");
}

TEST(EscapeQuery, LeavesOnlyUnreservedCharacters) {
  EXPECT_EQ(EscapeQuery("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(EscapeQuery("a=b,c!=d&+/%"), "a%3Db%2Cc%21%3Dd%26%2B%2F%25");
  EXPECT_EQ(EscapeQuery("\u00e4"), "%C3%A4");
}

TEST(ListRequestOf, AsksForAPage) {
  EXPECT_EQ(ListRequest(kPod, {}).target, "/api/v1/pods?limit=500");
  EXPECT_EQ(ListRequest(kPod, {.name_space = "lab",
                               .label_selector = "a=b,c",
                               .field_selector = "spec.nodeName=n",
                               .limit = 0,
                               .continue_token = "",
                               .resource_version = "0"})
                .target,
            "/api/v1/namespaces/lab/pods?labelSelector=a%3Db%2Cc&fieldSelector=spec.nodeName%3Dn&resourceVersion=0");
  EXPECT_EQ(ListRequest(kPod, {}).verb, "list");
}

TEST(ListRequestOf, ANextPageGoesOnWithTheListsOwnVersion) {
  const std::string target = ListRequest(kPod, {.name_space = {},
                                                .label_selector = {},
                                                .field_selector = {},
                                                .limit = 2,
                                                .continue_token = "to/ken==",
                                                .resource_version = "5"})
                                 .target;
  EXPECT_EQ(target, "/api/v1/pods?limit=2&continue=to%2Fken%3D%3D");
}

TEST(WatchRequestOf, AsksForChangesWithBookmarksAndAnEnd) {
  const Request request = WatchRequest(kJob, {.name_space = "lab",
                                              .label_selector = "a",
                                              .field_selector = {},
                                              .resource_version = "12",
                                              .timeout = std::chrono::seconds(290)});
  EXPECT_EQ(request.target,
            "/apis/splitft.io/v1/namespaces/lab/finetunejobs?watch=true&allowWatchBookmarks=true&resourceVersion=12&"
            "timeoutSeconds=290&labelSelector=a");
  EXPECT_EQ(request.method, Method::kGet);
  EXPECT_EQ(request.verb, "watch");
}

TEST(WriteRequests, GoToTheirPlaceWithTheirType) {
  const Request create = CreateRequest(kPod, Object());
  EXPECT_EQ(create.method, Method::kPost);
  EXPECT_EQ(create.target, "/api/v1/namespaces/lab/pods");
  EXPECT_EQ(create.content_type, "application/json");
  EXPECT_EQ(Json::parse(create.body), Object());

  const Request replace = ReplaceRequest(kPod, Object());
  EXPECT_EQ(replace.method, Method::kPut);
  EXPECT_EQ(replace.target, "/api/v1/namespaces/lab/pods/a");
  EXPECT_EQ(Json::parse(replace.body), Object());

  const Request patch = MergePatchRequest(kPod, kKey, {{"metadata", {{"labels", {{"x", nullptr}}}}}});
  EXPECT_EQ(patch.method, Method::kPatch);
  EXPECT_EQ(patch.target, "/api/v1/namespaces/lab/pods/a");
  EXPECT_EQ(patch.content_type, "application/merge-patch+json");
  EXPECT_EQ(patch.body, R"({"metadata":{"labels":{"x":null}}})");
}

TEST(ApplyRequestOf, NamesTheManagerAndForcesOnlyWhenAsked) {
  const Request apply = ApplyRequest(kJob, Object(), {.name = "split ft"});
  EXPECT_EQ(apply.method, Method::kPatch);
  EXPECT_EQ(apply.target, "/apis/splitft.io/v1/namespaces/lab/finetunejobs/a?fieldManager=split%20ft&force=true");
  EXPECT_EQ(apply.content_type, "application/apply-patch+yaml");
  EXPECT_EQ(Json::parse(apply.body), Object());
  EXPECT_THAT(ApplyRequest(kJob, Object(), {.name = "x", .force = false}).target, Not(HasSubstr("force")));
  EXPECT_EQ(ApplyStatusRequest(kJob, Object(), {.name = "x"}).target,
            "/apis/splitft.io/v1/namespaces/lab/finetunejobs/a/status?fieldManager=x&force=true");
}

TEST(ApplyRequestOf, SendsUtf8AsItIsAndNeverThrows) {
  Json object = Object();
  object["note"] = "\u20ac \U0001F600";
  EXPECT_THAT(ApplyRequest(kJob, object, {.name = "x"}).body, HasSubstr("\u20ac \U0001F600"));
  object["note"] = "broken \xff";
  EXPECT_THAT(ApplyRequest(kJob, object, {.name = "x"}).body, HasSubstr("broken \uFFFD"));
}

TEST(DeleteRequestOf, CarriesItsConditions) {
  const Request plain = DeleteRequest(kPod, kKey, {});
  EXPECT_EQ(plain.method, Method::kDelete);
  EXPECT_EQ(plain.target, "/api/v1/namespaces/lab/pods/a");
  EXPECT_EQ(Json::parse(plain.body),
            Json::parse(R"({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"})"));

  const Request exact = DeleteRequest(
      kPod, kKey,
      {.preconditions = {.uid = "u1", .resource_version = "9"}, .propagation = "Foreground", .grace_seconds = 0});
  EXPECT_EQ(Json::parse(exact.body),
            Json::parse(R"({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground",
                            "gracePeriodSeconds": 0, "preconditions": {"uid": "u1", "resourceVersion": "9"}})"));
}

TEST(EvictRequestOf, PostsAnEvictionOfThePod) {
  const Request evict = EvictRequest(kKey);
  EXPECT_EQ(evict.method, Method::kPost);
  EXPECT_EQ(evict.target, "/api/v1/namespaces/lab/pods/a/eviction");
  EXPECT_EQ(Json::parse(evict.body), Json::parse(R"({"apiVersion": "policy/v1", "kind": "Eviction",
                                                     "metadata": {"name": "a", "namespace": "lab"}})"));
}

TEST(MethodNames, AreTheOnesOfHttp) {
  EXPECT_EQ(MethodName(Method::kGet), "GET");
  EXPECT_EQ(MethodName(Method::kPost), "POST");
  EXPECT_EQ(MethodName(Method::kPut), "PUT");
  EXPECT_EQ(MethodName(Method::kPatch), "PATCH");
  EXPECT_EQ(MethodName(Method::kDelete), "DELETE");
}

}  // namespace
}  // namespace splitft::kube
