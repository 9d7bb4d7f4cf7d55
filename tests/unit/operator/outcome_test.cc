#include "operator/decide/outcome.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/decide/status.h"
#include "tests/support/operator_job.h"

namespace splitft::controller {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(Decides, CompleteWhenTheAggregatorHasSucceeded) {
  Begin();
  c().Train(100);
  c().Aggregator()->phase = PodPhase::kSucceeded;
  c().Aggregator()->message = R"({"adapterSha256": "ba78"})";
  c().Settle();
  EXPECT_EQ(c().state(), "Complete");
  EXPECT_EQ(c().status()["adapter"]["sha256"], "ba78");
  EXPECT_EQ(c().ReasonOf("Complete"), "AdapterWritten");
  EXPECT_THAT(c().pods(), SizeIs(3)) << "workers end by themselves";
  c().Advance(seconds(31));
  c().Settle();
  EXPECT_THAT(c().pods(), SizeIs(1)) << "what has ended stays, for its log";
}

TEST_F(Decides, GivesUpOnAMemberAfterItsBackoffLimit) {
  Begin("  backoffLimit: 1\n");
  for (int i = 0; i < 2; ++i) {
    c().Fail(c().Worker("bank"), 137, "OOMKilled");
    c().Settle();
    c().Advance(minutes(1));
    c().Settle();
  }
  EXPECT_EQ(c().state(), "Failed");
  EXPECT_EQ(c().ReasonOf("Failed"), "OutOfMemory");
  EXPECT_THAT(FailedMessage(), HasSubstr("client bank: pod job-worker-bank-1 ended with 137 (OOMKilled)"));
}

TEST_F(Decides, WhatCannotGetBetterFailsTheJobWithItsLastWords) {
  Begin();
  c().Fail(c().Worker("bank"), 3, "Error", "reading\nsplitft-worker: error: \"/bank.jsonl\" is empty\n");
  c().Settle();
  EXPECT_EQ(c().state(), "Failed");
  EXPECT_THAT(FailedMessage(), HasSubstr("ended with 3: splitft-worker: error: \"/bank.jsonl\" is empty"));
  EXPECT_THAT(c().pods(), SizeIs(1)) << "the rest is deleted";
}

TEST_F(Decides, AnAggregatorThatLosesItsClientsAgainAndAgainEndsTheJob) {
  Begin("  backoffLimit: 1\n");
  for (int i = 0; i < 2; ++i) {
    c().Fail(c().Aggregator(), 4, "Error", "client bank was lost");
    c().Settle();
    c().Advance(minutes(1));
    c().Settle();
  }
  EXPECT_EQ(c().ReasonOf("Failed"), "BackoffLimitExceeded");
}

TEST_F(Decides, SaysWhyAPodDoesNotStart) {
  Begin();
  c().Worker("bank")->reason = "ImagePullBackOff";
  c().Worker("bank")->message = "Back-off pulling image \"worker:1\"";
  c().Settle();
  EXPECT_EQ(c().ReasonOf("Degraded"), "ImagePullBackOff");
  EXPECT_THAT(FindCondition(c().status(), "Running")->value("message", ""),
              HasSubstr("pod job-worker-bank-0 is ImagePullBackOff: Back-off pulling image"));
}

TEST_F(Decides, ACauseComesFirstAndIsToldOnce) {
  Begin();
  c().Worker("hospital")->reason = "Unschedulable";
  c().Worker("hospital")->message = "0/1 nodes are available";
  c().Settle();
  c().Advance(minutes(1));
  c().Settle();
  EXPECT_THAT(FindCondition(c().status(), "Running")->value("message", ""),
              testing::StartsWith("pod job-worker-hospital-0 is Unschedulable: 0/1 nodes"));
  int told = 0;
  for (const Notice& notice : c().notices()) {
    told += notice.reason == "Unschedulable" && notice.warning ? 1 : 0;
  }
  EXPECT_EQ(told, 1);
}

TEST_F(Decides, SaysWhatAVolumeMayLack) {
  Begin();
  c().Worker("bank")->reason = "CreateContainerConfigError";
  c().Worker("bank")->message = "failed to create subPath directory for volumeMount \"data\"";
  c().Settle();
  EXPECT_THAT(FindCondition(c().status(), "Running")->value("message", ""),
              HasSubstr("\"data\"; is there no hostPath /model or hostPath /bank.jsonl?"));
}

TEST_F(Decides, EveryDeadlineEndsTheJob) {
  const struct {
    const char* field;
    bool trains;
    const char* reason;
  } cases[] = {{"  startDeadlineSeconds: 60\n", false, "StartDeadlineExceeded"},
               {"  activeDeadlineSeconds: 60\n", true, "DeadlineExceeded"},
               {"  stallTimeoutSeconds: 60\n", true, "StepStalled"}};
  for (const auto& [field, trains, reason] : cases) {
    SCOPED_TRACE(reason);
    Begin(field);
    if (trains) {
      c().Train(1);
      c().Settle();
    }
    const Plan plan = c().Reconcile();
    ASSERT_TRUE(plan.look_again.has_value());
    c().Advance(seconds(59));
    c().Settle();
    EXPECT_NE(c().state(), "Failed");
    c().Advance(seconds(1));
    c().Settle();
    EXPECT_EQ(c().ReasonOf("Failed"), reason);
    EXPECT_THAT(c().pods(), IsEmpty());
  }
}

TEST_F(Decides, ANewLeaderDoesNotTakeItsOwnIgnoranceForALateStart) {
  Begin("  startDeadlineSeconds: 60\n");
  c().Train(7);
  c().Settle();
  c().Advance(seconds(3600));
  c().ChangeLeader();
  c().Settle();
  EXPECT_NE(c().state(), "Failed");
  c().Advance(seconds(1));
  c().Train(3600);
  c().Settle();
  EXPECT_EQ(c().state(), "Running");
}

TEST_F(Decides, ALostAggregatorsSuccessorHasTheWholeStartDeadline) {
  Begin("  startDeadlineSeconds: 60\n");
  c().Train(7);
  c().Settle();
  c().Advance(seconds(3600));
  c().Fail(c().Aggregator(), 137, "OOMKilled");
  c().set_progress(std::nullopt);
  c().Settle();
  EXPECT_NE(c().state(), "Failed");
  c().Advance(seconds(10));
  c().Settle();
  ASSERT_EQ(c().Aggregator()->index, 1);
  c().Advance(seconds(59));
  c().Settle();
  EXPECT_NE(c().state(), "Failed");
  c().Advance(seconds(1));
  c().Settle();
  EXPECT_EQ(c().ReasonOf("Failed"), "StartDeadlineExceeded");
}

TEST_F(Decides, AFailedJobsPodsGoOnceItsStatusIsWritten) {
  Begin();
  c().Train(7);
  c().Settle();
  c().Fail(c().Worker("bank"), 3);
  const Plan plan = c().Reconcile();
  EXPECT_EQ(plan.status.value("state", ""), "Failed");
  EXPECT_THAT(plan.delete_pods, IsEmpty());
  EXPECT_THAT(c().Reconcile().delete_pods, SizeIs(2));
}

TEST(WithRefusal, SaysWhyWhereTheJobDoesNotRun) {
  const Json waits = {{"conditions", {{{"type", "Running"}, {"status", "False"}, {"reason", "PodsPending"}}}}};
  EXPECT_EQ(WithRefusal(waits, "exceeded quota")["conditions"][0]["reason"], "Refused");
  EXPECT_EQ(WithRefusal(waits, "exceeded quota")["conditions"][0]["message"], "exceeded quota");
  EXPECT_TRUE(WithRefusal(Json(), "exceeded quota").is_null());
}

TEST_F(Decides, ARuleOfTheUserComesFirst) {
  Begin("  failureRules:\n    - {role: Worker, onExitCodes: [137], action: FailJob}\n");
  c().Fail(c().Worker("bank"), 137);
  c().Settle();
  EXPECT_EQ(c().state(), "Failed");
}

TEST_F(Decides, ARuleForTheAggregatorComesBeforeItsWord) {
  Begin("  failureRules:\n    - {role: Aggregator, onExitCodes: [1], action: Restart}\n");
  c().Train(3);
  c().set_progress(ProgressView{.phase = "FAILED", .step = 3, .total_steps = 100, .message = "loss is nan"});
  c().Settle();
  EXPECT_NE(c().state(), "Failed");
  c().Fail(c().Aggregator(), 1);
  c().set_progress(std::nullopt);
  c().Advance(seconds(10));
  c().Settle();
  EXPECT_EQ(c().Aggregator()->index, 1);
}

TEST_F(Decides, TheAggregatorsOwnWordIsTheCause) {
  Begin();
  c().Train(3);
  c().set_progress(
      ProgressView{.phase = "FAILED", .step = 3, .total_steps = 100, .message = "client bank: loss is nan"});
  c().Fail(c().Worker("hospital"), 4, "Error", "the aggregator gave up");
  c().Settle();
  EXPECT_EQ(c().ReasonOf("Failed"), "TrainingFailed");
  EXPECT_EQ(FailedMessage(), "client bank: loss is nan");
}

class DecidesOnPlans : public Decides {
 protected:
  // The events that tell of plans.
  std::vector<std::string> Told() {
    std::vector<std::string> notes;
    for (const Notice& notice : c().notices()) {
      if (notice.reason == "PlanApplied" || notice.reason == "PlanRefused") {
        notes.push_back(notice.note);
      }
    }
    return notes;
  }
};

// A plan is told once, whoever leads: the status remembers it.
TEST_F(DecidesOnPlans, AreShownAndToldOnce) {
  Begin();
  c().Train(12);
  ProgressView progress{.phase = "TRAINING", .step = 12, .total_steps = 100, .changed = c().now()};
  progress.clients = {{.name = "hospital", .connected = true, .cut_layer = 2},
                      {.name = "bank", .connected = true, .cut_layer = 1, .plan = 3, .reason = "slow: cut 2 -> 1"}};
  progress.plan = PlanView{.number = 3, .state = "APPLIED", .step = 10, .message = ""};
  c().set_progress(progress);
  c().Settle();
  EXPECT_EQ(c().status()["plan"], Json({{"number", 3}, {"state", "Applied"}, {"step", 10}, {"message", ""}}));
  EXPECT_EQ(c().status()["clients"][0]["reason"], "slow: cut 2 -> 1");
  EXPECT_EQ(c().status()["summary"]["cuts"], "2,1");
  c().ChangeLeader();
  c().set_progress(progress);
  c().Settle();
  EXPECT_THAT(Told(), testing::ElementsAre("client bank: slow: cut 2 -> 1"));
  progress.plan = PlanView{.number = 4, .state = "REFUSED", .step = 12, .message = "client bank: no memory"};
  c().set_progress(progress);
  c().Settle();
  EXPECT_THAT(Told(), testing::ElementsAre("client bank: slow: cut 2 -> 1", "before step 13: client bank: no memory"));
}

// Also where the next plan is under way by the time that this one is heard of.
TEST_F(DecidesOnPlans, TellOfMicrobatchesOnce) {
  Begin();
  c().Train(12);
  ProgressView progress{.phase = "TRAINING",
                        .step = 12,
                        .total_steps = 100,
                        .microbatches = 4,
                        .microbatches_plan = 3,
                        .microbatches_reason = "idle: microbatches 1 -> 4",
                        .changed = c().now()};
  progress.plan = PlanView{.number = 4, .state = "PREPARING", .step = 0, .message = ""};
  c().set_progress(progress);
  c().Settle();
  EXPECT_EQ(c().status()["progress"]["microbatches"], 4);
  c().ChangeLeader();
  for (const char* state : {"PREPARING", "REFUSED"}) {
    progress.plan->state = state;
    c().set_progress(progress);
    c().Settle();
  }
  EXPECT_THAT(Told(), testing::ElementsAre("all clients: idle: microbatches 1 -> 4", "before step 1: "));
}

TEST_F(Decides, AFinishedJobIsDeletedAfterItsTimeToLive) {
  Begin("  ttlSecondsAfterFinished: 100\n");
  c().Train(100);
  c().Aggregator()->phase = PodPhase::kSucceeded;
  c().Settle();
  c().Advance(seconds(99));
  c().Settle();
  EXPECT_FALSE(c().deleted());
  c().Advance(seconds(1));
  c().Settle();
  EXPECT_TRUE(c().deleted());
}

TEST_F(Decides, FiguresThatAreNotTrustedAreACondition) {
  Begin();
  c().Train(12);
  ProgressView progress{.phase = "TRAINING", .step = 12, .total_steps = 100, .changed = c().now()};
  c().set_progress(progress);
  c().Settle();
  EXPECT_EQ(c().ReasonOf("SchedulingHeld"), "") << "until it happens there is no such condition";
  progress.unknown = "Prometheus answered 503";
  c().set_progress(progress);
  c().Settle();
  EXPECT_EQ(c().ReasonOf("SchedulingHeld"), "FiguresUnknown");
  progress.unknown.clear();
  c().set_progress(progress);
  c().Settle();
  EXPECT_EQ(c().ReasonOf("SchedulingHeld"), "") << "it does not hold any more";
  EXPECT_EQ(c().status()["conditions"].back()["reason"], "AsExpected");
}

}  // namespace
}  // namespace splitft::controller
