#include "aggregator/absences.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace splitft::aggregator {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

TimePoint At(int second) { return TimePoint(seconds(second)); }

Absences Waiting() { return Absences({.start_patience = seconds(100), .rejoin_patience = seconds(60)}); }

TEST(Absences, NobodyAwayMeansNoDeadline) {
  Absences absences = Waiting();
  EXPECT_EQ(absences.deadline(), TimePoint::max());
  EXPECT_TRUE(absences.Expired(At(1'000'000)).ok());
}

TEST(Absences, WhoNeverJoinedIsWaitedForSinceTheStart) {
  Absences absences = Waiting();
  absences.Expect("bank", At(0));
  absences.Expect("hospital", At(0));
  absences.Expect("factory", At(0));
  absences.Return("hospital");
  EXPECT_EQ(absences.deadline(), At(100));
  EXPECT_TRUE(absences.Expired(At(99)).ok());
  EXPECT_EQ(absences.Expired(At(100)), absl::DeadlineExceededError("clients did not join within 100 s: bank, factory"));
}

TEST(Absences, EachLossHasItsOwnPatience) {
  Absences absences = Waiting();
  ASSERT_TRUE(absences.Lose("bank", At(10), 7, "reset").ok());
  ASSERT_TRUE(absences.Lose("hospital", At(30), 7, "timeout").ok());
  EXPECT_EQ(absences.deadline(), At(70));
  EXPECT_EQ(absences.Expired(At(70)),
            absl::UnavailableError("client bank was lost after 7 steps and did not come back within 60 s: reset"));
  absences.Return("bank");
  EXPECT_EQ(absences.deadline(), At(90));
  EXPECT_THAT(std::string(absences.Expired(At(200)).message()), HasSubstr("client hospital"));
  absences.Return("hospital");
  EXPECT_TRUE(absences.Expired(At(200)).ok());
}

TEST(Absences, OneThatJoinedAndIsLostBeforeTheStartHasLessTimeThanTheOthers) {
  Absences absences = Waiting();
  absences.Expect("bank", At(0));
  absences.Expect("hospital", At(0));
  absences.Return("bank");
  ASSERT_TRUE(absences.Lose("bank", At(5), 0, "reset").ok());
  EXPECT_EQ(absences.deadline(), At(65));
}

TEST(Absences, WithoutPatienceTheFirstLossIsTheEnd) {
  Absences absences({.start_patience = seconds(100)});
  EXPECT_EQ(absences.Lose("bank", At(1), 3, "reset"),
            absl::UnavailableError("client bank was lost after 3 steps: reset"));
}

TEST(Absences, LossesAreCountedPerClientAndForgottenWithEveryStep) {
  Absences absences({.rejoin_patience = seconds(60), .max_losses = 3});
  for (int step = 0; step < 4; ++step) {
    for (const char* client : {"bank", "hospital"}) {
      EXPECT_TRUE(absences.Lose(client, At(step), step, "reset").ok());
      absences.Return(client);
      EXPECT_TRUE(absences.Lose(client, At(step), step, "reset").ok());
      absences.Return(client);
    }
    absences.Progress();
  }
  EXPECT_TRUE(absences.Lose("bank", At(9), 9, "reset").ok());
  EXPECT_TRUE(absences.Lose("bank", At(9), 9, "reset").ok());
  EXPECT_THAT(std::string(absences.Lose("bank", At(9), 9, "out of memory").message()),
              HasSubstr("after 9 steps, 3 times without a step being completed: out of memory"));
}

TEST(Absences, ARefusedAttemptToComeBackIsNamed) {
  Absences absences = Waiting();
  ASSERT_TRUE(absences.Lose("bank", At(0), 2, "reset").ok());
  absences.Refuse("bank", absl::FailedPreconditionError("its data has changed"));
  absences.Refuse("stranger", absl::NotFoundError("not in this job"));
  EXPECT_THAT(std::string(absences.Expired(At(60)).message()),
              HasSubstr("within 60 s: reset (it came and was refused: its data has changed)"));
}

}  // namespace
}  // namespace splitft::aggregator
