#include "cli/progress.h"

#include <gtest/gtest.h>

namespace splitft::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TimePoint At(int second) { return TimePoint(seconds(second)); }

Progress NewProgress() { return Progress("quickstart", {{.name = "hospital", .cut_layer = 2}}, At(0)); }

control::JobEvent Step(int64_t step) {
  control::JobEvent event;
  event.set_phase(control::TRAINING);
  event.set_step(step);
  event.set_total_steps(100);
  control::StepFigures& figures = *event.mutable_figures();
  figures.set_loss(3.0);
  figures.set_tokens(500);
  figures.set_seconds(0.5);
  control::ClientState& client = *event.add_clients();
  client.set_name("hospital");
  client.set_connected(true);
  client.set_cut_layer(2);
  client.set_loss(3.5);
  client.set_tokens(250);
  client.set_bytes_up(1000);
  client.set_bytes_down(2000);
  client.set_head_forward_seconds(0.1);
  client.set_wait_seconds(0.3);
  return event;
}

TEST(Progress, ShowsTheManifestsClientsBeforeTheyConnect) {
  const JobView view = NewProgress().View(At(3));
  ASSERT_EQ(view.clients.size(), 1u);
  EXPECT_EQ(view.clients[0].name, "hospital");
  EXPECT_EQ(view.clients[0].cut_layer, 2);
  EXPECT_FALSE(view.clients[0].connected);
  EXPECT_FALSE(view.loss.has_value());
  EXPECT_FALSE(view.left.has_value());
  EXPECT_EQ(view.elapsed, seconds(3));
}

TEST(Progress, TakesFiguresAsTheyAre) {
  Progress progress = NewProgress();
  progress.Add(Step(1), At(1));
  const JobView view = progress.View(At(1));
  EXPECT_EQ(view.step, 1);
  EXPECT_EQ(view.total_steps, 100);
  EXPECT_EQ(view.loss, 3.0);
  EXPECT_EQ(view.tokens_per_second, 1000);
  EXPECT_EQ(view.clients[0].tokens_per_second, 500);
  EXPECT_EQ(view.clients[0].bytes_up, 1000);
  EXPECT_DOUBLE_EQ(view.clients[0].time.head_forward, 0.25);
  EXPECT_DOUBLE_EQ(view.clients[0].time.wait, 0.75);
}

TEST(Progress, EstimatesTheEndFromTheTimeBetweenSteps) {
  Progress progress = NewProgress();
  progress.Add(Step(1), At(10));
  EXPECT_FALSE(progress.View(At(10)).left.has_value());
  progress.Add(Step(2), At(12));
  EXPECT_EQ(progress.View(At(12)).left, seconds(196));
  EXPECT_EQ(progress.View(At(13)).left, seconds(195));
}

TEST(Progress, AnEventSeenTwiceCountsOnce) {
  Progress progress = NewProgress();
  progress.Add(Step(1), At(1));
  progress.Add(Step(1), At(2));
  EXPECT_EQ(progress.View(At(2)).clients[0].bytes_up, 1000);
}

TEST(Progress, MissedStepsAreAccountedFor) {
  Progress progress = NewProgress();
  progress.Add(Step(1), At(10));
  progress.Add(Step(5), At(14));
  EXPECT_EQ(progress.View(At(14)).clients[0].bytes_up, 5000);
  EXPECT_EQ(progress.View(At(14)).left, seconds(95));
}

TEST(Progress, KeepsTheLastEvaluation) {
  Progress progress = NewProgress();
  control::JobEvent event = Step(1);
  event.mutable_figures()->set_eval_loss(2.5);
  progress.Add(event, At(1));
  progress.Add(Step(2), At(2));
  EXPECT_EQ(progress.View(At(2)).eval_loss, 2.5);
}

TEST(Progress, AFailureThatKnowsNoStepsForgetsNone) {
  Progress progress = NewProgress();
  progress.Add(Step(26), At(1));
  control::JobEvent event;
  event.set_phase(control::FAILED);
  progress.Add(event, At(2));
  const JobView view = progress.View(At(2));
  EXPECT_EQ(view.phase, control::FAILED);
  EXPECT_EQ(view.step, 26);
  EXPECT_EQ(view.total_steps, 100);
}

TEST(Progress, ALostClientIsShownAsSuch) {
  Progress progress = NewProgress();
  progress.Add(Step(1), At(1));
  control::JobEvent event;
  event.set_phase(control::WAITING_FOR_CLIENTS);
  event.set_step(1);
  event.add_clients()->set_name("hospital");
  progress.Add(event, At(2));
  const JobView view = progress.View(At(2));
  EXPECT_FALSE(view.clients[0].connected);
  EXPECT_EQ(view.clients[0].cut_layer, 2);
  EXPECT_EQ(view.step, 1);
}

}  // namespace
}  // namespace splitft::cli
