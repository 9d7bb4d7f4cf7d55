// Every verb against a real API server.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "libs/kube/api_error.h"
#include "tests/integration/kube/server.h"

namespace splitft::kube {
namespace {

using testing::Contains;
using testing::HasSubstr;

class Verbs : public testing::Test {
 protected:
  void SetUp() override {
    transport_ = Connect(Server().kubeconfig());
    client_ = std::make_unique<Client>(*transport_, SystemClock());
    name_space_ = MakeNamespace(*client_, "verbs");
  }

  Json Create(const std::string& name, const Json& data = {{"a", "1"}}) {
    absl::StatusOr<Json> made = client_->Create(kConfigMap, ConfigMap(name_space_, name, data));
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }
  absl::StatusOr<Json> Get(const std::string& name) { return client_->Get(kConfigMap, {name_space_, name}); }

  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Client> client_;
  std::string name_space_;
};

TEST_F(Verbs, CreatedIsRead) {
  Create("one", {{"text", "grüße, 世界 \U0001F30D"}});
  const absl::StatusOr<Json> read = Get("one");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(TextAt(*read, {"data", "text"}), "grüße, 世界 \U0001F30D");
}

TEST_F(Verbs, AWriteMayBeAnsweredWithMetadataAlone) {
  const Json object = ConfigMap(name_space_, "brief", {{"a", "1"}});
  const absl::StatusOr<Json> made = client_->Create(kConfigMap, object, Client::Answer::kMetadata);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ((*made)["kind"], "PartialObjectMetadata");
  EXPECT_FALSE(made->contains("data"));
  EXPECT_FALSE((*made)["metadata"].contains("managedFields"));
  EXPECT_EQ(ResourceVersionOf(*made), ResourceVersionOf(*Get("brief")));

  const absl::StatusOr<Json> applied = client_->Apply(kConfigMap, ConfigMap(name_space_, "brief", {{"a", "2"}}),
                                                      {.name = "test"}, Client::Answer::kMetadata);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_FALSE(applied->contains("data"));
  EXPECT_EQ(ResourceVersionOf(*applied), ResourceVersionOf(*Get("brief")));
  EXPECT_NE(ResourceVersionOf(*applied), ResourceVersionOf(*made));

  const absl::Status refused = client_->Create(kConfigMap, object, Client::Answer::kMetadata).status();
  EXPECT_TRUE(absl::IsAlreadyExists(refused)) << refused;
}

TEST_F(Verbs, WhatIsNotThereIsNotFound) { EXPECT_TRUE(absl::IsNotFound(Get("none").status())); }

TEST_F(Verbs, CreatedTwiceAlreadyExists) {
  Create("one");
  EXPECT_TRUE(absl::IsAlreadyExists(client_->Create(kConfigMap, ConfigMap(name_space_, "one")).status()));
}

TEST_F(Verbs, AnInvalidObjectNamesItsField) {
  const absl::Status status = client_->Create(kConfigMap, ConfigMap(name_space_, "Not A Name")).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  ASSERT_TRUE(ApiErrorOf(status).has_value());
  EXPECT_EQ(ApiErrorOf(status)->http_status, 422);
  EXPECT_THAT(ApiErrorOf(status)->causes, Contains(HasSubstr("metadata.name: ")));
}

TEST_F(Verbs, ListsInPages) {
  for (int i = 0; i < 7; ++i) {
    Create(absl::StrCat("page-", i));
  }
  const absl::StatusOr<std::vector<Json>> all = client_->List(kConfigMap, {.name_space = name_space_, .limit = 3});
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), 7U);
  EXPECT_EQ(KeyOf(all->back()).name, "page-6");
}

TEST_F(Verbs, ListsByLabel) {
  Create("plain");
  Json labelled = ConfigMap(name_space_, "labelled");
  labelled["metadata"]["labels"] = {{"a/b", "c"}};
  ASSERT_TRUE(client_->Create(kConfigMap, labelled).ok());
  const auto found = client_->List(kConfigMap, {.name_space = name_space_, .label_selector = "a/b in (c,d)"});
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 1U);
}

TEST_F(Verbs, AStaleReplaceIsAConflict) {
  Json first = Create("one");
  Json second = first;
  first["data"]["a"] = "2";
  ASSERT_TRUE(client_->Replace(kConfigMap, first).ok());
  second["data"]["a"] = "3";
  const absl::Status status = client_->Replace(kConfigMap, second).status();
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_TRUE(IsConflict(status));
}

TEST_F(Verbs, ApplyingTheSameWritesNothing) {
  const Json wanted = ConfigMap(name_space_, "applied", {{"a", "1"}});
  const absl::StatusOr<Json> first = client_->Apply(kConfigMap, wanted, {.name = "test"});
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::StatusOr<Json> second = client_->Apply(kConfigMap, wanted, {.name = "test"});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(ResourceVersionOf(*first), ResourceVersionOf(*second));
}

TEST_F(Verbs, ApplyTakesAwayWhatItNoLongerSets) {
  ASSERT_TRUE(client_->Apply(kConfigMap, ConfigMap(name_space_, "x", {{"a", "1"}, {"b", "2"}}), {.name = "test"}).ok());
  ASSERT_TRUE(client_->MergePatch(kConfigMap, {name_space_, "x"}, {{"data", {{"theirs", "3"}}}}).ok());
  ASSERT_TRUE(client_->Apply(kConfigMap, ConfigMap(name_space_, "x", {{"a", "1"}}), {.name = "test"}).ok());
  EXPECT_EQ(Get("x")->at("data"), (Json{{"a", "1"}, {"theirs", "3"}}));
}

TEST_F(Verbs, ApplyWithoutForceLeavesOthersTheirFields) {
  ASSERT_TRUE(client_->Apply(kConfigMap, ConfigMap(name_space_, "x", {{"a", "1"}}), {.name = "first"}).ok());
  const Json other = ConfigMap(name_space_, "x", {{"a", "2"}});
  EXPECT_TRUE(IsConflict(client_->Apply(kConfigMap, other, {.name = "second", .force = false}).status()));
  EXPECT_TRUE(client_->Apply(kConfigMap, other, {.name = "second"}).ok());
}

TEST_F(Verbs, ApplyWithAUidMakesNoNamesake) {
  Json wanted = ConfigMap(name_space_, "gone", {{"a", "1"}});
  wanted["metadata"]["uid"] = UidOf(Create("gone"));
  ASSERT_TRUE(client_->Delete(kConfigMap, {name_space_, "gone"}).ok());
  EXPECT_FALSE(client_->Apply(kConfigMap, wanted, {.name = "test"}).ok());
  EXPECT_TRUE(absl::IsNotFound(Get("gone").status()));
}

TEST_F(Verbs, DeletesOnlyTheObjectThatWasSeen) {
  const std::string uid(UidOf(Create("one")));
  const ObjectKey key{name_space_, "one"};
  const DeleteOptions stranger{
      .preconditions = {.uid = "7d4f1b9e-0000-0000-0000-000000000000", .resource_version = {}}};
  EXPECT_TRUE(IsConflict(client_->Delete(kConfigMap, key, stranger)));
  EXPECT_TRUE(client_->Delete(kConfigMap, key, {.preconditions = {.uid = uid, .resource_version = {}}}).ok());
  EXPECT_TRUE(absl::IsNotFound(Get("one").status()));
  EXPECT_TRUE(client_->Delete(kConfigMap, key).ok()) << "what is gone is deleted";
}

}  // namespace
}  // namespace splitft::kube
