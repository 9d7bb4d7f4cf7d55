#include "libs/kube/work_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/libs/kube/manual_clock.h"

namespace splitft::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

ObjectKey Key(const std::string& name) { return {"lab", name}; }

class WorkQueueTest : public ::testing::Test {
 protected:
  // The next key that can be taken at once; "" for none.
  std::string Take() {
    const std::optional<ObjectKey> key = queue_.Take(clock_.Now());
    return key.has_value() ? key->name : "";
  }
  std::string TakeAndFinish() {
    const std::string name = Take();
    queue_.Done(Key(name));
    return name;
  }

  ManualClock clock_;
  WorkQueue queue_{clock_, {.backoff = {.first = milliseconds(100), .most = milliseconds(400)}, .seed = 1}};
};

TEST_F(WorkQueueTest, GivesKeysInTheOrderTheyCameEachOnce) {
  for (const char* name : {"b", "a", "b", "c", "a"}) {
    queue_.Add(Key(name));
  }
  EXPECT_EQ(queue_.ready(), 3U);
  EXPECT_EQ(TakeAndFinish(), "b");
  EXPECT_EQ(TakeAndFinish(), "a");
  EXPECT_EQ(TakeAndFinish(), "c");
  EXPECT_EQ(TakeAndFinish(), "");
}

TEST_F(WorkQueueTest, AKeyThatIsWorkedOnComesAgainAfterwardsOnce) {
  queue_.Add(Key("a"));
  ASSERT_EQ(Take(), "a");
  queue_.Add(Key("a"));
  queue_.Add(Key("a"));
  queue_.Add(Key("b"));
  EXPECT_EQ(queue_.ready(), 1U);
  EXPECT_EQ(Take(), "b");
  EXPECT_EQ(Take(), "");
  queue_.Done(Key("a"));
  EXPECT_EQ(TakeAndFinish(), "a");
  EXPECT_EQ(Take(), "");
}

TEST_F(WorkQueueTest, ADelayedKeyComesInItsTimeAlsoWhenItIsWorkedOn) {
  queue_.AddAfter(Key("late"), seconds(2));
  queue_.AddAfter(Key("soon"), seconds(1));
  queue_.AddAfter(Key("now"), seconds(0));
  EXPECT_EQ(TakeAndFinish(), "now");
  EXPECT_EQ(Take(), "");
  clock_.Advance(seconds(1) - milliseconds(1));
  EXPECT_EQ(Take(), "");
  clock_.Advance(milliseconds(1));
  ASSERT_EQ(Take(), "soon");
  queue_.AddAfter(Key("soon"), milliseconds(500));
  clock_.Advance(seconds(1));
  EXPECT_EQ(TakeAndFinish(), "late");
  EXPECT_EQ(Take(), "") << "two workers would have the key";
  queue_.Done(Key("soon"));
  EXPECT_EQ(Take(), "soon");
}

TEST_F(WorkQueueTest, OfSeveralTimesTheEarliestCounts) {
  queue_.AddAfter(Key("a"), seconds(5));
  queue_.AddAfter(Key("a"), seconds(1));
  queue_.AddAfter(Key("a"), seconds(3));
  clock_.Advance(seconds(1));
  EXPECT_EQ(TakeAndFinish(), "a");
  clock_.Advance(seconds(10));
  EXPECT_EQ(Take(), "");
  queue_.AddAfter(Key("b"), seconds(5));
  queue_.Add(Key("b"));
  queue_.AddAfter(Key("b"), seconds(1));
  EXPECT_EQ(TakeAndFinish(), "b");
  clock_.Advance(seconds(10));
  EXPECT_EQ(Take(), "");
}

TEST_F(WorkQueueTest, FailuresWaitLongerEachTimeUntilForgotten) {
  Duration whole = milliseconds(100);
  for (int i = 0; i < 6; ++i, whole = std::min<Duration>(whole * 2, milliseconds(400))) {
    queue_.AddAfterFailure(Key("a"));
    clock_.Advance(whole / 2 - milliseconds(1));
    EXPECT_EQ(Take(), "") << i;
    clock_.Advance(whole / 2 + milliseconds(1));
    EXPECT_EQ(TakeAndFinish(), "a") << i;
  }
  // Each key has failures of its own.
  queue_.AddAfterFailure(Key("b"));
  clock_.Advance(milliseconds(100));
  EXPECT_EQ(TakeAndFinish(), "b");
  queue_.Forget(Key("a"));
  queue_.AddAfterFailure(Key("a"));
  clock_.Advance(milliseconds(100));
  EXPECT_EQ(TakeAndFinish(), "a");
}

TEST_F(WorkQueueTest, AFailureWaitsAtLeastAsLongAsTold) {
  queue_.AddAfterFailure(Key("a"), seconds(7));
  clock_.Advance(seconds(7) - milliseconds(1));
  EXPECT_EQ(Take(), "");
  clock_.Advance(milliseconds(1));
  EXPECT_EQ(TakeAndFinish(), "a");
  queue_.AddAfterFailure(Key("a"), milliseconds(1));  // its own backoff is longer
  clock_.Advance(milliseconds(99));
  EXPECT_EQ(Take(), "");
}

TEST_F(WorkQueueTest, SaysHowMuchWaitsAndForHowLong) {
  EXPECT_EQ(queue_.longest_wait(), Duration::zero());
  queue_.Add(Key("a"));
  queue_.AddAfter(Key("b"), seconds(1));
  queue_.AddAfter(Key("c"), seconds(9));
  EXPECT_EQ(queue_.ready(), 1U);
  clock_.Advance(seconds(3));
  EXPECT_EQ(queue_.ready(), 2U);
  EXPECT_EQ(queue_.longest_wait(), Duration(seconds(3)));
  ASSERT_EQ(Take(), "a");
  EXPECT_EQ(queue_.ready(), 1U);
  EXPECT_EQ(queue_.longest_wait(), Duration(seconds(2)));
  queue_.AddAfter(Key("a"), seconds(1));
  clock_.Advance(seconds(1));
  EXPECT_EQ(queue_.ready(), 1U) << "a is being worked on";
  EXPECT_EQ(TakeAndFinish(), "b");
  EXPECT_EQ(queue_.longest_wait(), Duration::zero());
}

TEST_F(WorkQueueTest, TakeSaysHowLongTheKeyCouldHaveBeenTaken) {
  Duration waited{};
  queue_.Add(Key("a"));
  queue_.AddAfter(Key("b"), seconds(1));
  clock_.Advance(seconds(3));
  ASSERT_TRUE(queue_.Take(clock_.Now(), &waited).has_value());
  EXPECT_EQ(waited, Duration(seconds(3)));
  ASSERT_TRUE(queue_.Take(clock_.Now(), &waited).has_value());
  EXPECT_EQ(waited, Duration(seconds(2)));
}

TEST_F(WorkQueueTest, CountsWhatComesInAndWhatFailed) {
  queue_.Add(Key("a"));
  queue_.Add(Key("a"));
  EXPECT_EQ(queue_.counts().adds, 1U) << "it was there already";
  ASSERT_EQ(Take(), "a");
  queue_.Add(Key("a"));
  EXPECT_EQ(queue_.counts().adds, 1U) << "it comes when it is done";
  queue_.Done(Key("a"));
  EXPECT_EQ(queue_.counts().adds, 2U);
  EXPECT_EQ(TakeAndFinish(), "a");
  EXPECT_EQ(queue_.counts().retries, 0U);
  queue_.AddAfterFailure(Key("a"));
  EXPECT_EQ(queue_.counts().retries, 1U);
  EXPECT_EQ(queue_.counts().adds, 2U) << "not before its time";
  clock_.Advance(seconds(1));
  ASSERT_EQ(TakeAndFinish(), "a");
  EXPECT_EQ(queue_.counts().adds, 3U);
}

TEST_F(WorkQueueTest, AClosedQueueGivesNothing) {
  queue_.Add(Key("a"));
  queue_.Close();
  EXPECT_EQ(Take(), "");
  EXPECT_FALSE(queue_.Take(TimePoint::max()).has_value());
  queue_.Add(Key("b"));
  queue_.AddAfter(Key("b"), seconds(1));
  queue_.AddAfterFailure(Key("b"));
  queue_.Done(Key("a"));
  clock_.Advance(seconds(10));
  EXPECT_EQ(Take(), "");
}

TEST(WorkQueueThreads, WaitUntilThereIsAKeyOrItsTimeOrTheEnd) {
  const Clock& clock = SystemClock();
  WorkQueue queue(clock, {});
  const auto take = [&] { return queue.Take(TimePoint::max()).value_or(ObjectKey()).name; };
  std::jthread adder([&] {
    clock.SleepFor(milliseconds(5));
    queue.Add(Key("a"));
  });
  EXPECT_EQ(take(), "a");
  adder.join();
  const TimePoint start = clock.Now();
  adder = std::jthread([&] {
    queue.AddAfter(Key("late"), std::chrono::hours(1));
    clock.SleepFor(milliseconds(5));
    queue.AddAfter(Key("b"), milliseconds(10));  // earlier than what the taker waits for
  });
  EXPECT_EQ(take(), "b");
  EXPECT_GE(clock.Now() - start, milliseconds(15));
  adder.join();
  adder = std::jthread([&] {
    clock.SleepFor(milliseconds(5));
    queue.Close();
  });
  EXPECT_EQ(take(), "");
}

// Adds from many threads: no change is lost, and no key is with two workers.
TEST(WorkQueueThreads, NoChangeIsLostAndNoKeyIsWithTwoWorkers) {
  constexpr int kKeys = 5;
  constexpr int kChanges = 2000;
  const Clock& clock = SystemClock();
  WorkQueue queue(clock, {.backoff = {.first = milliseconds(1), .most = milliseconds(2)}, .seed = 1});
  std::array<std::atomic<int>, kKeys> wanted{};
  std::array<std::atomic<int>, kKeys> done{};
  std::array<std::atomic<int>, kKeys> workers{};
  std::atomic<int> overlaps = 0;
  const auto work = [&] {
    while (const std::optional<ObjectKey> key = queue.Take(TimePoint::max())) {
      const size_t index = std::stoul(key->name);
      overlaps += workers[index].fetch_add(1);
      done[index] = wanted[index].load();
      if (done[index] % 7 == 0) {
        queue.AddAfterFailure(*key);
      }
      workers[index].fetch_sub(1);
      queue.Done(*key);
    }
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back(work);
  }
  {
    std::vector<std::jthread> adders;
    for (int adder = 0; adder < 2; ++adder) {
      adders.emplace_back([&] {
        for (int i = 0; i < kChanges; ++i) {
          ++wanted[i % kKeys];
          i % 3 == 0 ? queue.AddAfter(Key(std::to_string(i % kKeys)), milliseconds(1))
                     : queue.Add(Key(std::to_string(i % kKeys)));
        }
      });
    }
  }
  const auto all_done = [&] {
    for (int i = 0; i < kKeys; ++i) {
      if (done[i] != wanted[i]) {
        return false;
      }
    }
    return true;
  };
  const TimePoint deadline = clock.Now() + seconds(30);
  while (!all_done() && clock.Now() < deadline) {
    clock.SleepFor(milliseconds(1));
  }
  EXPECT_TRUE(all_done());
  EXPECT_EQ(overlaps, 0);
  queue.Close();
}

}  // namespace
}  // namespace splitft::kube
