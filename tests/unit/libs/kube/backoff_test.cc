#include "libs/kube/backoff.h"

#include <gtest/gtest.h>

#include <vector>

namespace splitft::kube {
namespace {

using std::chrono::milliseconds;

std::vector<Duration> Draw(Backoff& backoff, int count) {
  std::vector<Duration> waits;
  for (int i = 0; i < count; ++i) {
    waits.push_back(backoff.Next());
  }
  return waits;
}

TEST(BackoffTimes, DoubleUpToTheMostEachFromItsUpperHalf) {
  Backoff backoff({.first = milliseconds(100), .most = milliseconds(1000)}, 1);
  Duration whole = milliseconds(100);
  for (int i = 0; i < 200; ++i) {
    const Duration wait = backoff.Next();
    EXPECT_GE(wait, whole / 2) << i;
    EXPECT_LE(wait, whole) << i;
    whole = std::min<Duration>(whole * 2, milliseconds(1000));
  }
  EXPECT_EQ(backoff.failures(), 200);
}

TEST(BackoffTimes, BeginAnewAfterReset) {
  Backoff backoff({.first = milliseconds(100), .most = milliseconds(1000)}, 1);
  Draw(backoff, 5);
  backoff.Reset();
  EXPECT_EQ(backoff.failures(), 0);
  EXPECT_LE(backoff.Next(), milliseconds(100));
}

TEST(BackoffTimes, AFirstOverTheMostIsTheMost) {
  Backoff backoff({.first = milliseconds(500), .most = milliseconds(100)}, 1);
  EXPECT_LE(backoff.Next(), milliseconds(100));
}

TEST(BackoffTimes, DifferBetweenSeedsAndAreTheSameForOne) {
  const Backoff::Options options;
  Backoff one(options, 1);
  Backoff same(options, 1);
  Backoff other(options, 2);
  const std::vector<Duration> waits = Draw(one, 10);
  EXPECT_EQ(waits, Draw(same, 10));
  EXPECT_NE(waits, Draw(other, 10));
  // The jitter is drawn anew each time, also after a reset.
  one.Reset();
  EXPECT_NE(one.Next(), waits.front());
}

}  // namespace
}  // namespace splitft::kube
