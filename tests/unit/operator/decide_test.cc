#include "operator/decide/decide.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/decide/status.h"
#include "tests/support/operator_job.h"

namespace splitft::controller {
namespace {

using std::chrono::seconds;
using testing::IsEmpty;
using testing::SizeIs;

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

TEST_F(Decides, AJobOfAnotherControllerIsLeftAloneWhateverItsState) {
  Begin("  managedBy: example.org/other\n  ttlSecondsAfterFinished: 0\n");
  EXPECT_THAT(c().pods(), IsEmpty());
  EXPECT_TRUE(c().status().is_null());
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
