#include "aggregator/job_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace splitft::aggregator {
namespace {

using testing::ElementsAre;

control::JobEvent Step(int64_t step, double loss) {
  control::JobEvent event;
  event.set_step(step);
  event.mutable_figures()->set_loss(loss);
  event.mutable_figures()->set_tokens(10);
  event.mutable_figures()->set_seconds(0.5);
  return event;
}

std::vector<int64_t> LastSteps(const JobHistory& history) {
  std::vector<int64_t> steps;
  for (const JobHistory::Point& point : history.points()) {
    steps.push_back(point.last_step);
  }
  return steps;
}

TEST(JobHistory, KeepsEachStepWhileThereIsRoom) {
  JobHistory history({.max_points = 4});
  for (int64_t step = 1; step <= 4; ++step) {
    history.Add(Step(step, 1.0));
  }
  EXPECT_THAT(LastSteps(history), ElementsAre(1, 2, 3, 4));
}

TEST(JobHistory, HalvesTheCurveWhenItIsFull) {
  JobHistory history({.max_points = 4});
  for (int64_t step = 1; step <= 9; ++step) {
    history.Add(Step(step, static_cast<double>(step)));
  }
  // At step 5 pairs were made; at step 9 fours.
  EXPECT_THAT(LastSteps(history), ElementsAre(4, 8, 9));
  const JobHistory::Point& first = history.points()[0];
  EXPECT_EQ(first.first_step, 1);
  EXPECT_EQ(first.steps, 4);
  EXPECT_EQ(first.loss_sum, 10.0);
  EXPECT_EQ(first.loss_min, 1.0);
  EXPECT_EQ(first.loss_max, 4.0);
  EXPECT_EQ(first.tokens, 40);
  EXPECT_EQ(first.seconds, 2.0);
}

TEST(JobHistory, NothingIsLostByHalving) {
  JobHistory history({.max_points = 7});
  double sum = 0;
  for (int64_t step = 1; step <= 1000; ++step) {
    history.Add(Step(step, static_cast<double>(step % 13)));
    sum += static_cast<double>(step % 13);
  }
  double kept = 0;
  int64_t steps = 0;
  for (const JobHistory::Point& point : history.points()) {
    kept += point.loss_sum;
    steps += point.steps;
  }
  EXPECT_LE(history.points().size(), 7u);
  EXPECT_EQ(steps, 1000);
  EXPECT_EQ(kept, sum);
  EXPECT_EQ(history.totals().steps, 1000);
  EXPECT_EQ(history.totals().tokens, 10'000);
}

TEST(JobHistory, IgnoresWhatItHasSeenAndWhatHasNoFigures) {
  JobHistory history;
  history.Add(Step(1, 1.0));
  history.Add(Step(1, 9.0));
  control::JobEvent without;
  without.set_step(2);
  history.Add(without);
  EXPECT_EQ(history.totals().steps, 1);
  EXPECT_EQ(history.totals().last_loss, 1.0);
}

TEST(JobHistory, FirstAndLastLossAreMeansOfTenSteps) {
  JobHistory history;
  for (int64_t step = 1; step <= 100; ++step) {
    history.Add(Step(step, static_cast<double>(step)));
  }
  EXPECT_EQ(history.totals().first_loss, 5.5);
  EXPECT_EQ(history.totals().last_loss, 95.5);
}

TEST(JobHistory, KeepsTheLastEvaluationWhenItThinsThem) {
  JobHistory history({.max_points = 4});
  for (int64_t step = 1; step <= 21; ++step) {
    control::JobEvent event = Step(step, 1.0);
    event.mutable_figures()->set_eval_loss(static_cast<double>(step));
    history.Add(event);
  }
  EXPECT_LE(history.evaluations().size(), 4u);
  EXPECT_EQ(history.evaluations().back().step, 21);
  EXPECT_EQ(history.evaluations().back().loss, 21.0);
}

TEST(JobHistory, FollowsAClientThatComesLateAndItsCut) {
  JobHistory history;
  history.Add(Step(1, 1.0));
  control::JobEvent event = Step(2, 1.0);
  control::ClientState& client = *event.add_clients();
  client.set_name("late");
  client.set_cut_layer(3);
  client.set_loss(7.0);
  client.set_peak_memory_bytes(50);
  (*client.mutable_bytes_by_kind())["HiddenUp"] = 5;
  history.Add(event);
  event.set_step(3);
  event.mutable_clients(0)->set_peak_memory_bytes(40);
  history.Add(event);

  ASSERT_EQ(history.clients().size(), 1u);
  EXPECT_EQ(history.clients()[0].steps, 2);
  EXPECT_EQ(history.clients()[0].peak_memory_bytes, 50);
  EXPECT_EQ(history.clients()[0].bytes_by_kind.at("HiddenUp"), 10);
  EXPECT_TRUE(history.points()[0].clients.empty());
  EXPECT_EQ(history.points()[2].clients[0].cut_layer, 3);
}

}  // namespace
}  // namespace splitft::aggregator
