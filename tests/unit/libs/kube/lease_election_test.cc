// LeaderElection against a server that holds one Lease.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "libs/base/mutex.h"
#include "libs/kube/lease.h"
#include "libs/kube/stoppable_wait.h"
#include "tests/unit/libs/kube/manual_clock.h"

namespace splitft::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Has one Lease, and refuses writes of another version than the one that is there. May hang.
class LeaseServer final : public Transport {
 public:
  absl::StatusOr<Response> Send(const Request& request, Duration) override SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    while (hangs_) {
      changed_.WaitUntil(mutex_, TimePoint::max());
    }
    const bool is_read = request.method == Method::kGet;
    if (lease_.is_null() && request.method != Method::kPost) {
      return Refusal(404, "NotFound");
    }
    if (!is_read) {
      Json written = Json::parse(request.body);
      const bool fits =
          request.method == Method::kPost ? lease_.is_null() : ResourceVersionOf(written) == ResourceVersionOf(lease_);
      if (!fits) {
        return Refusal(409, "Conflict");
      }
      written["metadata"]["resourceVersion"] = std::to_string(++version_);
      lease_ = std::move(written);
    }
    return Response{is_read ? 200 : 201, lease_.dump(), ""};
  }
  absl::Status Stream(const Request&, Duration, std::stop_token, const Sink&) override {
    return absl::UnimplementedError("a lease is not watched");
  }

  // Whether requests, whatever their time limit, get no answer.
  void Hang(bool hangs) SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    hangs_ = hangs;
    changed_.SignalAll();
  }
  Json lease() const SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return lease_;
  }
  void Put(Json lease) SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    lease["metadata"]["resourceVersion"] = std::to_string(++version_);
    lease_ = std::move(lease);
  }

 private:
  static Response Refusal(int code, const std::string& reason) {
    return {code, Json{{"kind", "Status"}, {"code", code}, {"reason", reason}}.dump(), ""};
  }
  mutable Mutex mutex_;
  CondVar changed_;
  bool hangs_ SPLITFT_GUARDED_BY(mutex_) = false;
  Json lease_ SPLITFT_GUARDED_BY(mutex_);
  int version_ SPLITFT_GUARDED_BY(mutex_) = 0;
};

// One candidate, and what it was told.
class Candidate {
 public:
  Candidate(Transport& transport, LeaseOptions options)
      : election_(transport, SystemClock(), std::move(options),
                  [this](int64_t /*term*/, const std::stop_token& stop) {
                    ++begun;
                    leads = true;
                    WaitUnlessStopped(TimePoint::max(), stop);
                    leads = false;
                  }),
        thread_([this](const std::stop_token& stop) { election_.Run(stop); }) {}
  void Stop() {
    thread_.request_stop();
    thread_.join();
  }

  std::atomic<int> begun = 0;
  std::atomic<bool> leads = false;

 private:
  LeaderElection election_;
  std::jthread thread_;
};

LeaseOptions OptionsOf(const std::string& identity) {
  return {.key = {"lab", "operator"},
          .identity = identity,
          .duration = seconds(100),
          .renew_deadline = seconds(60),
          .retry = milliseconds(10)};
}

template <typename Condition>
bool Eventually(Condition condition) {
  const TimePoint deadline = SystemClock().Now() + seconds(20);
  while (!condition() && SystemClock().Now() < deadline) {
    SystemClock().SleepFor(milliseconds(1));
  }
  return condition();
}

TEST(LeaderElectionTest, OneLeadsAndTheOtherFollowsWhenItLeaves) {
  LeaseServer server;
  Candidate first(server, OptionsOf("first"));
  ASSERT_TRUE(Eventually([&] { return first.leads.load(); }));
  Candidate second(server, OptionsOf("second"));
  SystemClock().SleepFor(milliseconds(30));
  EXPECT_FALSE(second.leads);
  EXPECT_EQ(TextAt(server.lease(), {"spec", "holderIdentity"}), "first");
  first.Stop();
  EXPECT_FALSE(first.leads);
  // At once: the lease was given up.
  ASSERT_TRUE(Eventually([&] { return second.leads.load(); }));
  EXPECT_EQ(IntegerAt(server.lease(), {"spec", "leaseTransitions"}), 1);
  EXPECT_EQ(first.begun, 1);
  second.Stop();
  EXPECT_EQ(TextAt(server.lease(), {"spec", "holderIdentity"}), "");
}

TEST(LeaderElectionTest, ALeaderWhoseRequestsHangStandsDownInTimeAndLeadsAgainLater) {
  LeaseServer server;
  LeaseOptions options = OptionsOf("leader");
  options.renew_deadline = milliseconds(100);
  Candidate leader(server, options);
  ASSERT_TRUE(Eventually([&] { return leader.leads.load(); }));
  server.Hang(true);
  EXPECT_TRUE(Eventually([&] { return !leader.leads; }));
  server.Hang(false);
  EXPECT_TRUE(Eventually([&] { return leader.leads.load(); }));
  EXPECT_GE(leader.begun, 2);
  leader.Stop();
}

TEST(LeaderElectionTest, ALeaderStandsDownWhenAnotherHoldsTheLease) {
  LeaseServer server;
  Candidate leader(server, OptionsOf("leader"));
  ASSERT_TRUE(Eventually([&] { return leader.leads.load(); }));
  Json stolen = server.lease();
  stolen["spec"]["holderIdentity"] = "thief";
  stolen["spec"]["leaseDurationSeconds"] = 3600;
  server.Put(stolen);
  ASSERT_TRUE(Eventually([&] { return !leader.leads; }));
  leader.Stop();
  EXPECT_EQ(TextAt(server.lease(), {"spec", "holderIdentity"}), "thief") << "what is not ours is not given up";
}

// Has a lease that nobody renews. The first read takes five seconds, the others one; the first write ends the election.
class SlowReads final : public Transport {
 public:
  explicit SlowReads(const ManualClock& clock) : clock_(clock) {}
  absl::StatusOr<Response> Send(const Request& request, Duration) override {
    if (request.method != Method::kGet) {
      written = clock_.Now();
      stop.request_stop();
      return absl::UnavailableError("enough");
    }
    const bool is_first = answered == TimePoint();
    clock_.Advance(seconds(is_first ? 5 : 1));
    answered = is_first ? clock_.Now() : answered;
    return Response{200, R"({"metadata": {"namespace": "lab", "name": "operator", "resourceVersion": "1"},
                             "spec": {"holderIdentity": "other", "leaseDurationSeconds": 15}})",
                    ""};
  }
  absl::Status Stream(const Request&, Duration, std::stop_token, const Sink&) override {
    return absl::UnimplementedError("a lease is not watched");
  }

  std::stop_source stop;
  TimePoint answered{};  // the first read
  TimePoint written{};

 private:
  const ManualClock& clock_;
};

TEST(LeaderElectionTest, AHoldersTimeBeginsWhenTheReadIsAnsweredNotWhenItWasAsked) {
  const ManualClock clock;
  SlowReads server(clock);
  LeaderElection election(server, clock, OptionsOf("us"), [](int64_t, const std::stop_token&) {});
  election.Run(server.stop.get_token());
  EXPECT_EQ(server.written - server.answered, Duration(seconds(15)));
}

TEST(LeaderElectionTest, StopReachesTheLeaderThoughARequestHangs) {
  LeaseServer server;
  Candidate leader(server, OptionsOf("leader"));
  ASSERT_TRUE(Eventually([&] { return leader.leads.load(); }));
  server.Hang(true);
  SystemClock().SleepFor(milliseconds(30));  // so that one does
  std::jthread stopper([&] { leader.Stop(); });
  EXPECT_TRUE(Eventually([&] { return !leader.leads; }));
  server.Hang(false);
}

}  // namespace
}  // namespace splitft::kube
