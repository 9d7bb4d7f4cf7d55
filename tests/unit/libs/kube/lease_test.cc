#include "libs/kube/lease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace splitft::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::MatchesRegex;

constexpr milliseconds kWall{1'769'860'800'123};  // 2026-01-31T12:00:00.123Z

class LeaseRulesTest : public ::testing::Test {
 protected:
  static Json LeaseOf(const std::string& holder, const std::string& version) {
    return {{"metadata", {{"namespace", "lab"}, {"name", "operator"}, {"resourceVersion", version}}},
            {"spec", {{"holderIdentity", holder}, {"leaseDurationSeconds", 15}, {"leaseTransitions", 3}}}};
  }
  // As the server would have it after our claim.
  void Write(const std::string& version) {
    Json lease = rules_.Claim(kWall);
    lease["metadata"]["resourceVersion"] = version;
    rules_.Written(lease, now_);
  }

  TimePoint now_ = TimePoint(std::chrono::hours(1));
  LeaseRules rules_{{.key = {"lab", "operator"}, .identity = "us"}};
};

TEST(MicroTimeOf, HasExactlySixDigits) {
  EXPECT_EQ(MicroTime(kWall), "2026-01-31T12:00:00.123000Z");
  EXPECT_EQ(MicroTime(milliseconds(0)), "1970-01-01T00:00:00.000000Z");
  EXPECT_THAT(MicroTime(milliseconds(1'769'860'800'000)), MatchesRegex(R"(2026-01-31T12:00:00\.000000Z)"));
}

TEST_F(LeaseRulesTest, WhereThereIsNoLeaseItIsCreated) {
  rules_.Observe(Json(), now_);
  EXPECT_FALSE(rules_.exists());
  ASSERT_TRUE(rules_.MayTake(now_));
  EXPECT_EQ(rules_.Claim(kWall), Json::parse(R"({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
      "metadata": {"namespace": "lab", "name": "operator"},
      "spec": {"holderIdentity": "us", "leaseDurationSeconds": 15, "leaseTransitions": 0,
               "acquireTime": "2026-01-31T12:00:00.123000Z", "renewTime": "2026-01-31T12:00:00.123000Z"}})"));
  EXPECT_FALSE(rules_.Leading(now_)) << "not before it is written";
  EXPECT_TRUE(rules_.Release(kWall).is_null());
}

TEST_F(LeaseRulesTest, WeLeadForTheRenewDeadlineAfterOurLastWrite) {
  rules_.Observe(Json(), now_);
  Write("1");
  EXPECT_TRUE(rules_.Leading(now_));
  EXPECT_EQ(rules_.LeadsUntil(), now_ + seconds(10));
  EXPECT_TRUE(rules_.Leading(now_ + seconds(10) - milliseconds(1)));
  EXPECT_FALSE(rules_.Leading(now_ + seconds(10)));
  now_ += seconds(6);
  Write("2");
  EXPECT_TRUE(rules_.Leading(now_ + seconds(9)));
}

TEST_F(LeaseRulesTest, RenewingKeepsTransitionsAndTheTimeItWasAcquired) {
  rules_.Observe(Json(), now_);
  Write("1");
  const Json renewal = rules_.Claim(kWall + seconds(2));
  EXPECT_EQ(renewal["metadata"]["resourceVersion"], "1");
  EXPECT_EQ(renewal["spec"]["acquireTime"], "2026-01-31T12:00:00.123000Z");
  EXPECT_EQ(renewal["spec"]["renewTime"], "2026-01-31T12:00:02.123000Z");
  EXPECT_EQ(renewal["spec"]["leaseTransitions"], 0);
}

TEST_F(LeaseRulesTest, AnothersLeaseIsTakenWhenItHasNotChangedForItsDuration) {
  rules_.Observe(LeaseOf("other", "7"), now_);
  EXPECT_FALSE(rules_.MayTake(now_));
  rules_.Observe(LeaseOf("other", "7"), now_ + seconds(14));
  EXPECT_FALSE(rules_.MayTake(now_ + seconds(15) - milliseconds(1)));
  EXPECT_TRUE(rules_.MayTake(now_ + seconds(15)));
  // It is renewed: the time begins anew, whatever is written in it.
  rules_.Observe(LeaseOf("other", "8"), now_ + seconds(14));
  EXPECT_FALSE(rules_.MayTake(now_ + seconds(28)));
  EXPECT_TRUE(rules_.MayTake(now_ + seconds(29)));

  const Json claim = rules_.Claim(kWall);
  EXPECT_EQ(claim["metadata"]["resourceVersion"], "8") << "a write of somebody else's meanwhile must be a conflict";
  EXPECT_EQ(claim["spec"]["holderIdentity"], "us");
  EXPECT_EQ(claim["spec"]["leaseTransitions"], 4);
  EXPECT_EQ(claim["spec"]["acquireTime"], "2026-01-31T12:00:00.123000Z");
}

TEST_F(LeaseRulesTest, ItsHoldersDurationCountsNotOurs) {
  Json lease = LeaseOf("other", "7");
  lease["spec"]["leaseDurationSeconds"] = 60;
  rules_.Observe(lease, now_);
  EXPECT_FALSE(rules_.MayTake(now_ + seconds(59)));
  EXPECT_TRUE(rules_.MayTake(now_ + seconds(60)));
}

TEST_F(LeaseRulesTest, AFreeLeaseAndOurOwnAreTakenAtOnce) {
  rules_.Observe(LeaseOf("", "7"), now_);
  EXPECT_TRUE(rules_.MayTake(now_));
  rules_.Observe(LeaseOf("us", "8"), now_);
  EXPECT_TRUE(rules_.MayTake(now_));
  EXPECT_FALSE(rules_.Leading(now_)) << "it may be of our former life: not before we have written";
}

TEST_F(LeaseRulesTest, WhoeverSeesAnotherHolderLeadsNoMore) {
  rules_.Observe(Json(), now_);
  Write("1");
  rules_.Observe(LeaseOf("other", "2"), now_ + seconds(1));
  EXPECT_FALSE(rules_.Leading(now_ + seconds(1)));
  EXPECT_TRUE(rules_.Release(kWall).is_null());
  rules_.Observe(Json(), now_ + seconds(2));
  EXPECT_FALSE(rules_.Leading(now_ + seconds(2)));
}

TEST_F(LeaseRulesTest, ReleaseFreesTheLeaseInTheVersionThatWeHold) {
  rules_.Observe(Json(), now_);
  Write("5");
  const Json freed = rules_.Release(kWall + seconds(1));
  EXPECT_EQ(freed["spec"]["holderIdentity"], "");
  EXPECT_EQ(freed["spec"]["leaseDurationSeconds"], 1);
  EXPECT_EQ(freed["metadata"]["resourceVersion"], "5");
}

TEST(LeaseRulesDuration, IsWrittenInWholeSecondsNeverZero) {
  LeaseRules rules({.key = {"lab", "x"}, .identity = "us", .duration = milliseconds(300)});
  rules.Observe(Json(), TimePoint());
  EXPECT_EQ(rules.Claim(kWall)["spec"]["leaseDurationSeconds"], 1);
}

}  // namespace
}  // namespace splitft::kube
