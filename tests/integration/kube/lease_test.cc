// Elections with a real Lease.

#include "libs/kube/lease.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "libs/kube/stoppable_wait.h"
#include "tests/integration/kube/server.h"

namespace splitft::kube {
namespace {

// A candidate with a thread of its own.
class Candidate {
 public:
  Candidate(Transport& transport, const LeaseOptions& options)
      : election_(transport, SystemClock(), options,
                  [this](int64_t /*term*/, const std::stop_token& lost) {
                    leads_ = true;
                    WaitUnlessStopped(TimePoint::max(), lost);
                    leads_ = false;
                  }),
        thread_([this](const std::stop_token& stop) { election_.Run(stop); }) {}

  bool leads() const { return leads_; }

 private:
  std::atomic<bool> leads_ = false;
  LeaderElection election_;
  std::jthread thread_;
};

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 3000 && !condition(); ++i) {
    SystemClock().SleepFor(std::chrono::milliseconds(20));
  }
  return condition();
}

TEST(Election, OneLeadsAndAnotherFollowsIt) {
  const auto transport = Connect(Server().kubeconfig());
  Client client(*transport, SystemClock());
  LeaseOptions options{.key = {MakeNamespace(client, "election"), "operator"},
                       .identity = "first",
                       .retry = std::chrono::milliseconds(100)};
  auto first = std::make_unique<Candidate>(*transport, options);
  ASSERT_TRUE(Eventually([&] { return first->leads(); }));
  options.identity = "second";
  Candidate second(*transport, options);
  SystemClock().SleepFor(std::chrono::milliseconds(500));
  EXPECT_FALSE(second.leads());
  first.reset();  // gives the lease up
  EXPECT_TRUE(Eventually([&] { return second.leads(); }));
  const absl::StatusOr<Json> lease = client.Get(kLease, options.key);
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_EQ(TextAt(*lease, {"spec", "holderIdentity"}), "second");
  EXPECT_GE(IntegerAt(*lease, {"spec", "leaseTransitions"}), 1);
}

TEST(Election, ASilentLeaderIsFollowedAfterItsTime) {
  const auto transport = Connect(Server().kubeconfig());
  Client client(*transport, SystemClock());
  LeaseOptions options{.key = {MakeNamespace(client, "election"), "operator"},
                       .identity = "alive",
                       .duration = std::chrono::seconds(2),
                       .renew_deadline = std::chrono::seconds(1),
                       .retry = std::chrono::milliseconds(100)};
  LeaseRules dead({.key = options.key, .identity = "dead", .duration = std::chrono::seconds(2)});
  ASSERT_TRUE(client.Create(kLease, dead.Claim(SystemClock().WallTime())).ok());
  const TimePoint start = SystemClock().Now();
  Candidate candidate(*transport, options);
  EXPECT_TRUE(Eventually([&] { return candidate.leads(); }));
  EXPECT_GE(SystemClock().Now() - start, std::chrono::seconds(2));
}

}  // namespace
}  // namespace splitft::kube
