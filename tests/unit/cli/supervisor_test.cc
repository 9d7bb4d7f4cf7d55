#include "cli/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace splitft::cli {
namespace {

using std::chrono::seconds;
using Action = Supervisor::Action;

constexpr int kAggregator = 0;
constexpr int kHospital = 1;
constexpr int kBank = 2;

TimePoint At(int second) { return TimePoint(seconds(second)); }

// A job of two clients, all running.
Supervisor Running() {
  Supervisor supervisor({.processes = {"aggregator", "client hospital", "client bank"}}, At(0));
  supervisor.OnStart(kAggregator);
  supervisor.OnReady();
  supervisor.OnStart(kHospital);
  supervisor.OnStart(kBank);
  return supervisor;
}

TEST(Supervisor, WaitsWithoutADeadlineWhileAllIsWell) {
  Supervisor supervisor = Running();
  const Supervisor::Decision decision = supervisor.Decide(At(100'000));
  EXPECT_EQ(decision.action, Action::kWait);
  EXPECT_FALSE(decision.deadline.has_value());
}

TEST(Supervisor, IsDoneWhenAllEndedWell) {
  Supervisor supervisor = Running();
  supervisor.OnExit(kHospital, {}, "", At(10));
  supervisor.OnExit(kAggregator, {}, "", At(10));
  EXPECT_EQ(supervisor.Decide(At(10)).action, Action::kWait);
  supervisor.OnExit(kBank, {}, "", At(11));
  EXPECT_EQ(supervisor.Decide(At(11)).action, Action::kDone);
  EXPECT_EQ(supervisor.verdict().exit_code, 0);
  EXPECT_EQ(supervisor.verdict().cause, "");
}

TEST(Supervisor, BlamesTheProcessWithItsOwnCauseNotTheFirstToEnd) {
  Supervisor supervisor = Running();
  supervisor.OnExit(kAggregator, {.code = 4}, "client bank is gone", At(10));
  supervisor.OnExit(kHospital, {.code = 4}, "the aggregator is gone", At(11));
  supervisor.OnExit(kBank, {.code = 3}, "data \"bank.jsonl\": record 12: not valid JSON", At(12));
  EXPECT_EQ(supervisor.Decide(At(12)).action, Action::kDone);
  EXPECT_EQ(supervisor.verdict().exit_code, 3);
  EXPECT_EQ(supervisor.verdict().cause, "client bank: data \"bank.jsonl\": record 12: not valid JSON");
  EXPECT_EQ(supervisor.verdict().process, kBank);
}

TEST(Supervisor, OfTwoOwnCausesTheEarlierOne) {
  Supervisor supervisor = Running();
  supervisor.OnExit(kBank, {.code = 3}, "no data", At(10));
  supervisor.OnExit(kAggregator, {.code = 1}, "could not go on", At(11));
  EXPECT_EQ(supervisor.verdict().cause, "client bank: no data");
}

TEST(Supervisor, ALostPeerIsTheCauseWhenThereIsNoOther) {
  Supervisor supervisor = Running();
  supervisor.OnExit(kHospital, {.code = 4}, "no answer for 60 s", At(10));
  supervisor.OnExit(kBank, {.code = 4}, "no answer for 60 s", At(11));
  supervisor.OnExit(kAggregator, {.code = 4}, "client hospital is gone", At(11));
  EXPECT_EQ(supervisor.verdict().exit_code, 4);
  EXPECT_EQ(supervisor.verdict().cause, "client hospital: no answer for 60 s");
}

TEST(Supervisor, NamesTheSignalThatKilled) {
  Supervisor supervisor = Running();
  supervisor.OnExit(kBank, {.signal = SIGKILL}, "2026 info step 7 done", At(10));
  EXPECT_EQ(supervisor.verdict().exit_code, 1);
  EXPECT_EQ(supervisor.verdict().cause, "client bank was killed by signal 9 (Killed; out of memory?)");
}

TEST(Supervisor, QuotesTheLastWordsOfACrash) {
  Supervisor supervisor = Running();
  supervisor.OnExit(kAggregator, {.signal = SIGABRT}, "terminate called", At(10));
  EXPECT_EQ(supervisor.verdict().cause, "aggregator was killed by signal 6 (Aborted); its last line: terminate called");
}

TEST(Supervisor, GivesTheOthersTimeAfterAFailureThenTerminatesThenKills) {
  Supervisor supervisor = Running();
  supervisor.OnExit(kBank, {.code = 3}, "no data", At(10));
  EXPECT_EQ(supervisor.Decide(At(10)).action, Action::kWait);
  EXPECT_EQ(supervisor.Decide(At(10)).deadline, At(13));
  EXPECT_EQ(supervisor.Decide(At(13)).action, Action::kTerminate);
  EXPECT_EQ(supervisor.Decide(At(13)).action, Action::kWait);
  EXPECT_EQ(supervisor.Decide(At(13)).deadline, At(18));
  EXPECT_EQ(supervisor.Decide(At(18)).action, Action::kKill);
  EXPECT_EQ(supervisor.Decide(At(18)).action, Action::kWait);
  EXPECT_FALSE(supervisor.Decide(At(18)).deadline.has_value());
}

TEST(Supervisor, WhatATerminatedProcessSaysIsNoCause) {
  Supervisor supervisor = Running();
  supervisor.OnExit(kAggregator, {.code = 4}, "a client is gone", At(10));
  ASSERT_EQ(supervisor.Decide(At(13)).action, Action::kTerminate);
  supervisor.OnExit(kHospital, {.code = 143}, "", At(13));
  supervisor.OnExit(kBank, {.signal = SIGKILL}, "", At(18));
  EXPECT_EQ(supervisor.verdict().exit_code, 4);
  EXPECT_EQ(supervisor.verdict().cause, "aggregator: a client is gone");
}

// The aggregator has said why, and is slow to end.
TEST(Supervisor, TheControlServicesReasonComesBeforeAConsequence) {
  Supervisor supervisor = Running();
  supervisor.OnJobFailed("step 7: the loss is nan");
  supervisor.OnExit(kBank, {.code = 4}, "the aggregator gave up", At(10));
  ASSERT_EQ(supervisor.Decide(At(13)).action, Action::kTerminate);
  supervisor.OnExit(kAggregator, {.code = 143}, "", At(13));
  supervisor.OnExit(kHospital, {.code = 143}, "", At(13));
  EXPECT_EQ(supervisor.verdict().exit_code, 1);
  EXPECT_EQ(supervisor.verdict().cause, "aggregator: step 7: the loss is nan");
}

TEST(Supervisor, AnInterruptTerminatesAtOnceAndGivesItsExitCode) {
  Supervisor supervisor = Running();
  supervisor.OnInterrupt(SIGINT, At(10));
  EXPECT_EQ(supervisor.Decide(At(10)).action, Action::kTerminate);
  supervisor.OnExit(kBank, {.code = 130}, "interrupted", At(10));
  supervisor.OnExit(kHospital, {.signal = SIGTERM}, "", At(10));
  supervisor.OnExit(kAggregator, {.code = 143}, "", At(11));
  EXPECT_EQ(supervisor.Decide(At(11)).action, Action::kDone);
  EXPECT_EQ(supervisor.verdict().exit_code, 130);
  EXPECT_EQ(supervisor.verdict().cause, "interrupted");
}

TEST(Supervisor, ASecondInterruptKills) {
  Supervisor supervisor = Running();
  supervisor.OnInterrupt(SIGTERM, At(10));
  ASSERT_EQ(supervisor.Decide(At(10)).action, Action::kTerminate);
  supervisor.OnInterrupt(SIGINT, At(11));
  EXPECT_EQ(supervisor.Decide(At(11)).action, Action::kKill);
  for (const int process : {kAggregator, kHospital, kBank}) {
    supervisor.OnExit(process, {.signal = SIGKILL}, "", At(11));
  }
  EXPECT_EQ(supervisor.verdict().exit_code, 143);
}

TEST(Supervisor, AnInterruptWhileAFailureIsSettledLeavesTheFailureTheCause) {
  Supervisor supervisor = Running();
  supervisor.OnExit(kBank, {.code = 3}, "no data", At(10));
  supervisor.OnInterrupt(SIGINT, At(11));
  EXPECT_EQ(supervisor.Decide(At(11)).action, Action::kTerminate);
  EXPECT_EQ(supervisor.verdict().exit_code, 3);
}

TEST(Supervisor, LingeringWorkersAreEndedAndTheJobIsDone) {
  Supervisor supervisor = Running();
  supervisor.OnExit(kAggregator, {}, "", At(10));
  supervisor.OnExit(kBank, {}, "", At(10));
  EXPECT_EQ(supervisor.Decide(At(19)).action, Action::kWait);
  EXPECT_EQ(supervisor.Decide(At(20)).action, Action::kTerminate);
  supervisor.OnExit(kHospital, {.signal = SIGTERM}, "", At(20));
  EXPECT_EQ(supervisor.Decide(At(20)).action, Action::kDone);
  EXPECT_EQ(supervisor.verdict().exit_code, 0);
}

TEST(Supervisor, AWorkerThatFailsAfterTheAggregatorIsDoneIsStillAFailure) {
  Supervisor supervisor = Running();
  supervisor.OnExit(kAggregator, {}, "", At(10));
  supervisor.OnExit(kHospital, {.code = 1}, "broke", At(10));
  supervisor.OnExit(kBank, {}, "", At(10));
  EXPECT_EQ(supervisor.verdict().cause, "client hospital: broke");
}

TEST(Supervisor, AnAggregatorThatNeverListensIsGivenUp) {
  Supervisor supervisor({.processes = {"aggregator", "client bank"}, .start = seconds(60)}, At(0));
  supervisor.OnStart(kAggregator);
  EXPECT_EQ(supervisor.Decide(At(1)).deadline, At(60));
  EXPECT_EQ(supervisor.Decide(At(60)).action, Action::kTerminate);
  supervisor.OnExit(kAggregator, {.signal = SIGTERM}, "", At(61));
  // The client never started: nobody waits for it.
  EXPECT_EQ(supervisor.Decide(At(61)).action, Action::kDone);
  EXPECT_EQ(supervisor.verdict().exit_code, 1);
  EXPECT_EQ(supervisor.verdict().cause, "the aggregator did not listen within 60 s");
}

TEST(Supervisor, AnAggregatorThatFailsToStartEndsTheJob) {
  Supervisor supervisor({.processes = {"aggregator", "client bank"}}, At(0));
  supervisor.OnStart(kAggregator);
  supervisor.OnExit(kAggregator, {.code = 1}, "cannot listen on 127.0.0.1:80: in use", At(1));
  EXPECT_EQ(supervisor.Decide(At(1)).action, Action::kDone);
  EXPECT_EQ(supervisor.verdict().cause, "aggregator: cannot listen on 127.0.0.1:80: in use");
}

TEST(Supervisor, TheControlServicesReasonStandsInForASilentAggregator) {
  Supervisor supervisor = Running();
  supervisor.OnJobFailed("loss is not finite in step 7");
  supervisor.OnExit(kAggregator, {.code = 1}, "", At(10));
  EXPECT_EQ(supervisor.verdict().cause, "aggregator: loss is not finite in step 7");
}

TEST(Supervisor, ForeignExitCodesAreAFailedJob) {
  Supervisor supervisor = Running();
  supervisor.OnExit(kBank, {.code = 127}, "", At(10));
  EXPECT_EQ(supervisor.verdict().exit_code, 1);
  EXPECT_EQ(supervisor.verdict().cause, "client bank ended with exit code 127 without saying why");
}

}  // namespace
}  // namespace splitft::cli
