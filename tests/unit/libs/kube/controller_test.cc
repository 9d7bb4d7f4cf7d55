#include "libs/kube/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "libs/kube/api_error.h"

namespace splitft::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::SizeIs;

using Again = absl::StatusOr<std::optional<Duration>>;

const ObjectKey kKey{"lab", "a"};

// What the reconciles were called with, and a wait for as many of them.
class Calls {
 public:
  // Returns how many there have been for the key.
  size_t Note(const ObjectKey& key) SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    std::vector<TimePoint>& times = times_[key];
    times.push_back(SystemClock().Now());
    changed_.SignalAll();
    return times.size();
  }
  // The times of the first `count` calls; fewer where they do not come.
  std::vector<TimePoint> WaitFor(const ObjectKey& key, size_t count) SPLITFT_EXCLUDES(mutex_) {
    const TimePoint deadline = SystemClock().Now() + seconds(20);
    const MutexLock lock(mutex_);
    while (times_[key].size() < count && changed_.WaitUntil(mutex_, deadline)) {
    }
    return times_[key];
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::map<ObjectKey, std::vector<TimePoint>> times_ SPLITFT_GUARDED_BY(mutex_);
};

Controller::Options Quick(int workers) {
  return {.workers = workers,
          .queue = {.backoff = {.first = milliseconds(4), .most = milliseconds(16)}, .seed = 1},
          .observer = {}};
}

TEST(ControllerTest, AnErrorComesAgainAfterABackoffUntilItSucceeds) {
  Calls calls;
  Controller controller(SystemClock(), Quick(2), [&](const ObjectKey& key) -> Again {
    return calls.Note(key) < 5 ? Again(absl::UnavailableError("no")) : Again(std::nullopt);
  });
  controller.Start();
  controller.queue().Add(kKey);
  const std::vector<TimePoint> times = calls.WaitFor(kKey, 5);
  ASSERT_THAT(times, SizeIs(5));
  Duration whole = milliseconds(4);
  for (size_t i = 1; i < times.size(); ++i, whole = std::min<Duration>(whole * 2, milliseconds(16))) {
    EXPECT_GE(times[i] - times[i - 1], whole / 2) << i;
  }
  controller.Stop();
  EXPECT_THAT(calls.WaitFor(kKey, 5), SizeIs(5)) << "what has succeeded does not come again";
}

TEST(ControllerTest, ASuccessBeginsTheBackoffAnewAndMayAskToComeAgain) {
  Calls calls;
  Controller controller(SystemClock(), Quick(1), [&](const ObjectKey& key) -> Again {
    const size_t call = calls.Note(key);
    return call == 1 ? Again(milliseconds(10)) : Again(std::nullopt);
  });
  controller.Start();
  controller.queue().Add(kKey);
  const std::vector<TimePoint> times = calls.WaitFor(kKey, 2);
  ASSERT_THAT(times, SizeIs(2));
  EXPECT_GE(times[1] - times[0], milliseconds(10));
}

TEST(ControllerTest, WhereTheServerAsksForMoreTimeItsTimeCounts) {
  Calls calls;
  Controller controller(SystemClock(), Quick(1), [&](const ObjectKey& key) -> Again {
    ApiError busy{.http_status = 429, .reason = {}, .message = "busy", .causes = {}, .retry_after = milliseconds(120)};
    return calls.Note(key) == 1 ? Again(ToStatus(busy)) : Again(std::nullopt);
  });
  controller.Start();
  controller.queue().Add(kKey);
  const std::vector<TimePoint> times = calls.WaitFor(kKey, 2);
  ASSERT_THAT(times, SizeIs(2));
  EXPECT_GE(times[1] - times[0], milliseconds(120));
}

TEST(ControllerTest, WhereTheServerAsksForLessTimeTheBackoffCounts) {
  Calls calls;
  Controller::Options options = Quick(1);
  options.queue.backoff = {.first = milliseconds(60), .most = milliseconds(60)};
  Controller controller(SystemClock(), options, [&](const ObjectKey& key) -> Again {
    ApiError busy{.http_status = 429, .reason = {}, .message = "busy", .causes = {}, .retry_after = milliseconds(1)};
    return calls.Note(key) == 1 ? Again(ToStatus(busy)) : Again(std::nullopt);
  });
  controller.Start();
  controller.queue().Add(kKey);
  const std::vector<TimePoint> times = calls.WaitFor(kKey, 2);
  ASSERT_THAT(times, SizeIs(2));
  EXPECT_GE(times[1] - times[0], milliseconds(30));
}

TEST(ControllerTest, AnExceptionIsAnErrorOfThatObject) {
  Calls calls;
  std::atomic<int> internal = 0;
  Controller::Options options = Quick(1);
  options.observer = [&](const Controller::Outcome& outcome) {
    if (!outcome.status.ok()) {
      EXPECT_TRUE(absl::IsInternal(outcome.status));
      EXPECT_THAT(std::string(outcome.status.message()), HasSubstr("type must be string"));
      ++internal;
    }
  };
  Controller controller(SystemClock(), options, [&](const ObjectKey& key) -> Again {
    if (calls.Note(key) == 1) {
      static_cast<void>(Json(5).get<std::string>());
    }
    return std::nullopt;
  });
  controller.Start();
  controller.queue().Add(kKey);
  EXPECT_THAT(calls.WaitFor(kKey, 2), SizeIs(2));
  controller.Stop();
  EXPECT_EQ(internal, 1);
}

TEST(ControllerTest, ManyWorkersButNeverTwoOnAKey) {
  constexpr int kRounds = 300;
  Calls calls;
  std::atomic<int> overlaps = 0;
  std::map<std::string, std::atomic<int>> workers;
  for (const char* name : {"a", "b", "c"}) {
    workers[name] = 0;
  }
  Controller controller(SystemClock(), Quick(4), [&](const ObjectKey& key) -> Again {
    std::atomic<int>& here = workers.at(key.name);
    overlaps += here.fetch_add(1);
    std::this_thread::yield();
    here.fetch_sub(1);
    return calls.Note(key) < kRounds ? Again(Duration::zero()) : Again(std::nullopt);
  });
  controller.Start();
  for (int i = 0; i < kRounds; ++i) {
    for (const auto& [name, count] : workers) {
      controller.queue().Add({"lab", name});
    }
  }
  for (const auto& [name, count] : workers) {
    EXPECT_GE(calls.WaitFor({"lab", name}, kRounds).size(), static_cast<size_t>(kRounds));
  }
  EXPECT_EQ(overlaps, 0);
}

TEST(ControllerTest, StopWaitsForWhatIsUnderWayAndStartsNothingMore) {
  Calls calls;
  std::atomic<bool> ended = false;
  Controller controller(SystemClock(), Quick(1), [&](const ObjectKey& key) -> Again {
    calls.Note(key);
    SystemClock().SleepFor(milliseconds(20));
    ended = true;
    return absl::UnavailableError("again");
  });
  controller.Start();
  controller.queue().Add(kKey);
  ASSERT_THAT(calls.WaitFor(kKey, 1), SizeIs(1));
  controller.Stop();
  EXPECT_TRUE(ended);
  controller.queue().Add(kKey);
  controller.queue().Add({"lab", "c"});
  controller.Stop();  // once more does nothing
  EXPECT_THAT(calls.WaitFor(kKey, 1), SizeIs(1));
  EXPECT_THAT(calls.WaitFor({"lab", "c"}, 0), SizeIs(0));
}

TEST(ControllerTest, TheObserverSeesWhatEachReconcileCameTo) {
  Calls calls;
  std::atomic<int> good = 0;
  std::atomic<int> bad = 0;
  Controller::Options options = Quick(1);
  options.observer = [&](const Controller::Outcome& outcome) {
    EXPECT_EQ(outcome.key, kKey);
    EXPECT_GE(outcome.duration, milliseconds(2));
    ++(outcome.status.ok() ? good : bad);
  };
  Controller controller(SystemClock(), options, [&](const ObjectKey& key) -> Again {
    SystemClock().SleepFor(milliseconds(2));
    return calls.Note(key) < 3 ? Again(absl::InternalError("no")) : Again(std::nullopt);
  });
  controller.Start();
  controller.queue().Add(kKey);
  ASSERT_THAT(calls.WaitFor(kKey, 3), SizeIs(3));
  controller.Stop();
  EXPECT_EQ(good, 1);
  EXPECT_EQ(bad, 2);
}

}  // namespace
}  // namespace splitft::kube
