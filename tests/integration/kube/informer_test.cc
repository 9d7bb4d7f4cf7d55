// A cache that follows a real API server, also over its death.

#include "libs/kube/informer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/integration/kube/server.h"

namespace splitft::kube {
namespace {

TimePoint In(Duration duration) { return SystemClock().Now() + duration; }
constexpr Duration kPatience = std::chrono::seconds(60);

class Follows : public testing::Test {
 protected:
  void SetUp() override {
    transport_ = Connect(Server().kubeconfig());
    client_ = std::make_unique<Client>(*transport_, SystemClock());
    name_space_ = MakeNamespace(*client_, "follows");
  }

  std::unique_ptr<Informer> Start(int64_t page_size = 500) {
    auto informer = std::make_unique<Informer>(
        *transport_, SystemClock(),
        Informer::Options{
            .type = kConfigMap,
            .name_space = name_space_,
            .indexes = {{"colour",
                         [](const Json& object) -> std::vector<std::string> {
                           const std::string_view colour = TextAt(object, {"data", "colour"});
                           return colour.empty() ? std::vector<std::string>()
                                                 : std::vector<std::string>{std::string(colour)};
                         }}},
            .machine = {.page_size = page_size,
                        .backoff = {.first = std::chrono::milliseconds(50), .most = std::chrono::milliseconds(500)}}});
    informer->Start();
    EXPECT_TRUE(informer->WaitForSync(In(kPatience)));
    return informer;
  }
  // Writes; returns the version the server gave it.
  std::string Put(const std::string& name, const std::string& colour) {
    const auto put = client_->Apply(kConfigMap, ConfigMap(name_space_, name, {{"colour", colour}}), {.name = "test"});
    EXPECT_TRUE(put.ok()) << put.status();
    return put.ok() ? std::string(ResourceVersionOf(*put)) : "";
  }
  std::string Remove(const std::string& name) {
    EXPECT_TRUE(client_->Delete(kConfigMap, {name_space_, name}).ok());
    return Put("last", "none");  // a deletion is answered without its version
  }

  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Client> client_;
  std::string name_space_;
};

TEST_F(Follows, WhatIsThereAndWhatComes) {
  for (int i = 0; i < 5; ++i) {
    Put(absl::StrCat("m", i), "red");
  }
  const auto informer = Start(/*page_size=*/2);
  EXPECT_EQ(informer->size(), 5U);
  EXPECT_EQ(informer->ByIndex("colour", "red").size(), 5U);
  ASSERT_TRUE(informer->WaitForVersion(Put("m0", "blue"), In(kPatience)));
  EXPECT_EQ(informer->ByIndex("colour", "red").size(), 4U);
  ASSERT_EQ(informer->ByIndex("colour", "blue").size(), 1U);
  EXPECT_EQ(KeyOf(*informer->ByIndex("colour", "blue")[0]).name, "m0");
  ASSERT_TRUE(informer->WaitForVersion(Remove("m1"), In(kPatience)));
  EXPECT_EQ(informer->Get({name_space_, "m1"}), nullptr);
  EXPECT_EQ(informer->ByIndex("colour", "red").size(), 3U);
}

TEST_F(Follows, OverTheServersDeath) {
  Put("kept", "red");
  Put("removed", "red");
  const auto informer = Start();
  ASSERT_TRUE(Server().Kill().ok());
  EXPECT_NE(informer->Get({name_space_, "kept"}), nullptr) << "an outage takes nothing from the cache";
  ASSERT_TRUE(Server().Restart().ok());
  ASSERT_TRUE(informer->WaitForVersion(Remove("removed"), In(kPatience)));
  EXPECT_NE(informer->Get({name_space_, "kept"}), nullptr);
  EXPECT_EQ(informer->Get({name_space_, "removed"}), nullptr);
}

TEST_F(Follows, ToItsEndAtOnce) {
  auto informer = Start();
  const TimePoint start = SystemClock().Now();
  informer.reset();
  // The watch would go on for five minutes.
  EXPECT_LT(SystemClock().Now() - start, std::chrono::seconds(60));
}

}  // namespace
}  // namespace splitft::kube
