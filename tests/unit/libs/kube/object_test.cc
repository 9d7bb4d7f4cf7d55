#include "libs/kube/object.h"

#include <gtest/gtest.h>

#include <string>

namespace splitft::kube {
namespace {

const ResourceType kDeployment{"apps", "v1", "Deployment", "deployments"};
const ResourceType kPod{"", "v1", "Pod", "pods"};

TEST(ResourceTypeOf, TheCoreGroupHasNoNameInApiVersions) {
  EXPECT_EQ(kDeployment.api_version(), "apps/v1");
  EXPECT_EQ(kPod.api_version(), "v1");
}

TEST(ObjectKeyOf, AnObjectIsNamedWithinItsNamespaceIfItHasOne) {
  EXPECT_EQ(KeyOf(Json::parse(R"({"metadata": {"namespace": "lab", "name": "a"}})")).text(), "lab/a");
  EXPECT_EQ(KeyOf(Json::parse(R"({"metadata": {"name": "node-1"}})")).text(), "node-1");
  EXPECT_EQ(KeyOf(Json::parse(R"({"metadata": {"name": 5}})")).text(), "");
  EXPECT_EQ(KeyOf(Json()).text(), "");
}

TEST(Find, FollowsAPathAndStopsWhereItEnds) {
  const Json object = Json::parse(R"({"a": {"b": {"c": 7}}, "list": [1], "null": null})");
  ASSERT_NE(Find(object, {"a", "b", "c"}), nullptr);
  EXPECT_EQ(*Find(object, {"a", "b", "c"}), 7);
  EXPECT_EQ(*Find(object, {}), object);
  EXPECT_EQ(Find(object, {"a", "x", "c"}), nullptr);
  EXPECT_EQ(Find(object, {"a", "b", "c", "d"}), nullptr);
  EXPECT_EQ(Find(object, {"list", "0"}), nullptr);
  EXPECT_TRUE(Find(object, {"null"})->is_null());
}

TEST(Find, ReadsWhatHasTheRightTypeOnly) {
  const Json object = Json::parse(R"({"text": "t", "number": 3, "yes": true, "real": 2.5})");
  EXPECT_EQ(TextAt(object, {"text"}), "t");
  EXPECT_EQ(TextAt(object, {"number"}), "");
  EXPECT_EQ(IntegerAt(object, {"number"}), 3);
  EXPECT_EQ(IntegerAt(object, {"text"}, -1), -1);
  EXPECT_EQ(IntegerAt(object, {"real"}, -1), -1);
  EXPECT_EQ(IntegerAt(object, {"missing"}, 9), 9);
  EXPECT_TRUE(BooleanAt(object, {"yes"}));
  EXPECT_FALSE(BooleanAt(object, {"text"}));
  EXPECT_FALSE(BooleanAt(object, {"missing"}));
}

TEST(Metadata, SaysWhoControlsAndWhetherItGoes) {
  const Json object = Json::parse(R"({"metadata": {"uid": "u1", "resourceVersion": "17", "finalizers": ["a/x", "b/y"],
    "deletionTimestamp": "2026-01-31T12:00:00Z",
    "ownerReferences": [{"uid": "o1"}, {"uid": "o2", "controller": false}, {"uid": "o3", "controller": true}]}})");
  EXPECT_EQ(UidOf(object), "u1");
  EXPECT_EQ(ResourceVersionOf(object), "17");
  EXPECT_EQ(ControllerUidOf(object), "o3");
  EXPECT_TRUE(IsBeingDeleted(object));
  EXPECT_TRUE(HasFinalizer(object, "b/y"));
  EXPECT_FALSE(HasFinalizer(object, "b"));

  const Json bare = Json::parse(R"({"metadata": {"ownerReferences": [{"uid": "o1"}]}})");
  EXPECT_EQ(ControllerUidOf(bare), "");
  EXPECT_FALSE(IsBeingDeleted(bare));
  EXPECT_FALSE(HasFinalizer(bare, "a/x"));
}

TEST(ControllerReferenceTo, NamesTheOwnerByTypeNameAndUid) {
  const Json owner = Json::parse(R"({"metadata": {"name": "web", "uid": "u1"}})");
  EXPECT_EQ(ControllerReference(kDeployment, owner),
            Json::parse(R"({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "u1",
                            "controller": true, "blockOwnerDeletion": true})"));
}

TEST(CompareResourceVersions, OrdersDecimalNumbersOfAnyLength) {
  EXPECT_TRUE(CompareResourceVersions("9", "10") < 0);
  EXPECT_TRUE(CompareResourceVersions("10", "9") > 0);
  EXPECT_TRUE(CompareResourceVersions("12", "12") == 0);
  EXPECT_TRUE(CompareResourceVersions("0012", "12") == 0);
  EXPECT_TRUE(CompareResourceVersions("00", "0") == 0);
  // Beyond 64 bits.
  EXPECT_TRUE(CompareResourceVersions("99999999999999999998", "99999999999999999999") < 0);
  EXPECT_TRUE(CompareResourceVersions("99999999999999999999", "100000000000000000000") < 0);
}

TEST(CompareResourceVersions, WhatIsNoNumberIsOlderThanEveryNumber) {
  EXPECT_TRUE(CompareResourceVersions("", "0") < 0);
  EXPECT_TRUE(CompareResourceVersions("zebra", "0") < 0);
  EXPECT_TRUE(CompareResourceVersions("-5", "1") < 0);
  EXPECT_TRUE(CompareResourceVersions("0", "1a") > 0);
  EXPECT_TRUE(CompareResourceVersions("", "zebra") == 0);
}

TEST(CheckListPage, AnswersThatAreNoListsAreNotEmptyLists) {
  EXPECT_TRUE(CheckListPage(Json::parse(R"({"metadata": {"resourceVersion": "5"}, "items": []})")).ok());
  for (const char* bad :
       {"{}", "[]", "null", R"({"kind": "Status", "status": "Success"})", R"({"metadata": {"resourceVersion": "5"}})",
        R"({"metadata": {}, "items": []})", R"({"metadata": {"resourceVersion": "5"}, "items": {}})",
        R"({"metadata": {"resourceVersion": "5"}, "items": [null]})",
        R"({"metadata": {"resourceVersion": "5"}, "items": [{"metadata": {"name": ""}}]})"}) {
    EXPECT_TRUE(absl::IsDataLoss(CheckListPage(Json::parse(bad)))) << bad;
  }
  EXPECT_TRUE(absl::IsDataLoss(CheckListPage(Json::parse("<html>", nullptr, false))));
}

TEST(CutText, NeverCutsACharacter) {
  EXPECT_EQ(CutText("abc", 3), "abc");
  EXPECT_EQ(CutText("abc", 2), "ab");
  EXPECT_EQ(CutText("a\u20ac", 4), "a\u20ac");
  EXPECT_EQ(CutText("a\u20acb", 4), "a\u20ac");
  EXPECT_EQ(CutText("a\u20acb", 3), "a");
  EXPECT_EQ(CutText("a\u20acb", 2), "a");
  EXPECT_EQ(CutText("\u20ac", 2), "");
  EXPECT_EQ(CutText("abc", 0), "");
}

}  // namespace
}  // namespace splitft::kube
