#include "operator/decide/decide.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "operator/decide/outcome.h"
#include "operator/decide/status.h"
#include "tests/support/operator_cluster.h"

namespace splitft::controller {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::string Manifest(const std::string& more = "") {
  return absl::StrCat(
      "apiVersion: splitft.io/v1alpha1\nkind: FineTuneJob\nmetadata: {name: job}\nspec:\n"
      "  model: {source: {hostPath: /model}}\n  training: {steps: 100}\n  clients:\n"
      "    - {name: bank, data: {hostPath: /bank.jsonl}}\n    - {name: hospital, data: {hostPath: /hospital.txt}}\n"
      "  output: {persistentVolumeClaim: results}\n",
      more);
}

class Decides : public testing::Test {
 protected:
  void Begin(const std::string& more = "") {
    cluster_.emplace(Manifest(more));
    cluster_->Settle();
  }
  OperatorCluster& c() { return *cluster_; }
  std::string FailedMessage() { return FindCondition(c().status(), "Failed")->value("message", ""); }

  std::optional<OperatorCluster> cluster_;
};

TEST_F(Decides, MakesEveryMemberAndWhatTheyShare) {
  Begin();
  EXPECT_THAT(c().pods(), SizeIs(3));
  EXPECT_THAT(c().children(), SizeIs(4));
  EXPECT_EQ(c().state(), "Pending");
  EXPECT_EQ(c().Worker("bank")->name, "job-worker-bank-0");
}

TEST_F(Decides, OfANewJobNothingIsSaidUntilItsPodsAreSeen) {
  cluster_.emplace(Manifest(""));
  const Plan first = c().Reconcile();
  EXPECT_THAT(first.create, SizeIs(7));
  EXPECT_TRUE(first.status_can_wait);
  EXPECT_THAT(first.notices, IsEmpty());
  const Plan second = c().Reconcile();
  EXPECT_EQ(second.status.value("state", ""), "Pending");
  EXPECT_THAT(second.notices, SizeIs(1));
}

TEST_F(Decides, ChildrenThatWereAsWantedAreNotComparedAgain) {
  cluster_.emplace(Manifest(""));
  EXPECT_FALSE(c().Reconcile().children_are_as_wanted) << "they are made";
  EXPECT_TRUE(c().Reconcile().children_are_as_wanted);
  JobSnapshot snapshot = c().Snapshot();
  snapshot.children_are_as_wanted = true;
  for (auto& [name, child] : snapshot.children) {
    child = std::make_shared<const Json>(Json{{"metadata", {{"uid", "u"}}}});
  }
  const Plan plan = Decide(snapshot);
  EXPECT_THAT(plan.create, IsEmpty());
  EXPECT_THAT(plan.repair, IsEmpty());
}

TEST_F(Decides, NothingWhereNothingChanged) {
  Begin();
  const Json before = c().status();
  const Plan plan = c().Reconcile();
  EXPECT_THAT(plan.create, IsEmpty());
  EXPECT_THAT(plan.repair, IsEmpty());
  EXPECT_THAT(plan.notices, IsEmpty());
  EXPECT_EQ(plan.status, before);
}

TEST_F(Decides, RunsWhenTheAggregatorSaysSo) {
  Begin();
  c().Train(7);
  c().Settle();
  EXPECT_EQ(c().state(), "Running");
  EXPECT_EQ(c().status()["summary"]["steps"], "7/100");
  EXPECT_EQ(c().status()["summary"]["clients"], "2/2");
  EXPECT_EQ(c().status()["progress"]["loss"], "2.5000");
  EXPECT_EQ(c().status()["summary"]["remaining"], "47s");
}

TEST_F(Decides, AStepMoreIsNothingButFigures) {
  Begin();
  c().Train(7);
  c().Settle();
  const Json before = c().status();
  c().Train(8);
  c().Settle();
  EXPECT_NE(c().status(), before);
  EXPECT_EQ(WithoutFigures(c().status()), WithoutFigures(before));
}

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

TEST_F(Decides, RestartsOnlyTheMemberThatWasKilledAfterABackoff) {
  Begin();
  c().Train(7);
  c().Fail(c().Worker("bank"), 137, "OOMKilled");
  Plan plan = c().Reconcile();
  EXPECT_THAT(plan.create, IsEmpty());
  ASSERT_TRUE(plan.look_again.has_value());
  EXPECT_EQ(*plan.look_again, c().now() + seconds(10));
  EXPECT_EQ(c().ReasonOf("Degraded"), "OOMKilled");
  c().Advance(seconds(10));
  c().Settle();
  EXPECT_THAT(c().pods(), SizeIs(4));
  EXPECT_EQ(c().Worker("bank")->name, "job-worker-bank-1");
  EXPECT_EQ(c().notices().back().reason, "WorkerRestarted");
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

TEST_F(Decides, AWorkerThatLostItsPeerIsReplacedAtNoCost) {
  Begin("  backoffLimit: 0\n");
  c().Fail(c().Worker("bank"), 4);
  c().Advance(seconds(1));
  c().Settle();
  EXPECT_EQ(c().Worker("bank")->index, 1);
  EXPECT_EQ(c().state(), "Pending");
}

TEST_F(Decides, ReplacementsBackOffToo) {
  Begin();
  c().Fail(c().Worker("bank"), 4);
  c().Advance(seconds(1));
  c().Settle();
  c().Fail(c().Worker("bank"), 4);
  c().Advance(seconds(1));
  c().Settle();
  EXPECT_EQ(c().Worker("bank")->index, 1) << "the second time it takes two seconds";
  c().Advance(seconds(1));
  c().Settle();
  EXPECT_EQ(c().Worker("bank")->index, 2);
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

TEST_F(Decides, APodThatSomebodyDeletedIsMadeAgainWhenItIsGone) {
  Begin();
  c().Train(1);
  c().Worker("bank")->deletion = c().now() + seconds(30);
  c().Settle();
  EXPECT_THAT(c().pods(), SizeIs(3));
  c().Remove("job-worker-bank-0");
  c().Settle();
  EXPECT_EQ(c().Worker("bank")->uid, "pod-4");
  EXPECT_EQ(c().Worker("bank")->name, "job-worker-bank-1") << "no name is used twice";
  EXPECT_EQ(c().status()["clients"][0]["restarts"], 1);
}

TEST_F(Decides, ANameIsNotUsedAgainThoughItsSuccessorCouldNotBeMadeAtOnce) {
  Begin();
  c().Train(1);
  c().Settle();
  c().Remove("job-worker-bank-0");
  const Plan refused = Decide(c().Snapshot());
  EXPECT_EQ(refused.status["clients"][0]["restarts"], 0) << "written although the pod was refused";
  JobSnapshot later = c().Snapshot();
  later.status = refused.status;
  EXPECT_EQ(Decide(later).create.at(0)["metadata"]["name"], "job-worker-bank-1");
}

TEST_F(Decides, ADeletedAggregatorsSuccessorIsAnotherAttempt) {
  Begin();
  c().Train(5);
  c().Remove("job-aggregator-0");
  c().Settle();
  EXPECT_EQ(c().Aggregator()->name, "job-aggregator-1");
  EXPECT_EQ(c().status()["attempt"], 2);
}

TEST_F(Decides, APodOnALostNodeIsReplacedAfterAWhile) {
  Begin();
  c().Train(1);
  c().Worker("bank")->deletion = c().now() + seconds(30);
  c().Advance(seconds(89));
  c().Settle();
  EXPECT_THAT(c().pods(), SizeIs(3));
  c().Advance(seconds(1));
  c().Settle();
  EXPECT_EQ(c().Worker("bank")->index, 1);
}

TEST_F(Decides, SuspendTakesThePodsAndResumeBringsThemBack) {
  Begin();
  c().Train(9);
  c().Settle();
  c().job().lifecycle.suspend = true;
  c().Settle();
  EXPECT_EQ(c().state(), "Suspended");
  EXPECT_THAT(c().pods(), IsEmpty());
  EXPECT_EQ(c().status()["summary"]["steps"], "9/100") << "progress is kept";
  c().set_progress(std::nullopt);
  c().job().lifecycle.suspend = false;
  c().Settle();
  EXPECT_THAT(c().pods(), SizeIs(3));
  EXPECT_EQ(c().ReasonOf("Suspended"), "");
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

TEST_F(Decides, AJobOfAnotherControllerIsLeftAloneWhateverItsState) {
  Begin("  managedBy: example.org/other\n  ttlSecondsAfterFinished: 0\n");
  EXPECT_THAT(c().pods(), IsEmpty());
  EXPECT_TRUE(c().status().is_null());
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

TEST_F(Decides, ChangedChildrenAreRepaired) {
  Begin();
  Json spoilt = *c().children().at("Service/job-aggregator");
  spoilt["spec"]["selector"]["splitft.io/role"] = "worker";
  spoilt["metadata"]["uid"] = "service-uid";
  c().children()["Service/job-aggregator"] = std::make_shared<const Json>(spoilt);
  const Plan plan = c().Reconcile();
  ASSERT_THAT(plan.repair, SizeIs(1));
  EXPECT_EQ(plan.repair[0]["metadata"]["uid"], "service-uid");
  EXPECT_THAT(c().Reconcile().repair, IsEmpty());
}

TEST_F(Decides, ACrashAfterAnyWriteIsMadeGoodByTheNextLook) {
  cluster_.emplace(Manifest());
  cluster_->Settle();
  const size_t pods = c().pods().size();
  for (int writes = 0; writes < 9; ++writes) {
    cluster_.emplace(Manifest());
    c().Reconcile(writes);
    c().Settle();
    EXPECT_EQ(c().pods().size(), pods) << "after " << writes;
    EXPECT_THAT(c().children(), SizeIs(4)) << "after " << writes;
    EXPECT_EQ(c().state(), "Pending") << "after " << writes;
  }
}

}  // namespace
}  // namespace splitft::controller
