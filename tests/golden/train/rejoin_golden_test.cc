// A client that is lost and comes back changes nothing: adapters, losses and figures are those of an undisturbed job.

#include <ATen/Parallel.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/random.h"
#include "tests/golden/train/training_case.h"
#include "tests/support/local_job.h"

namespace splitft {
namespace {

namespace fs = std::filesystem;
using protocol::FrameKind;
using ::testing::AnyOf;
using ::testing::Each;
using ::testing::HasSubstr;

constexpr Duration kPatience = std::chrono::seconds(60);

class Rejoin : public ::testing::Test {
 protected:
  Rejoin() : folder_(fs::temp_directory_path() / absl::StrCat("splitft_rejoin_", ::getpid())) {
    at::set_num_threads(1);
  }
  ~Rejoin() override { fs::remove_all(folder_); }

  absl::StatusOr<LocalJobResult> Try(const TrainingCase& test, const LocalJobOptions& options = {}) {
    absl::StatusOr<train::JobSetup> setup = OpenCase(test, folder_);
    return setup.ok() ? RunLocalJob(*setup, CaseDatasets(test), options) : setup.status();
  }
  LocalJobResult Run(const TrainingCase& test, const LocalJobOptions& options = {}) {
    absl::StatusOr<LocalJobResult> result = Try(test, options);
    if (!result.ok()) {
      ADD_FAILURE() << result.status();
      return {};
    }
    return *std::move(result);
  }

  const fs::path folder_;
};

TrainingCase Case(const std::string& labels, int microbatches, int steps = 4) {
  TrainingCase test = ThreeClients();
  test.clients[0].batch_size = test.clients[1].batch_size = 2;
  test.labels = labels;
  test.microbatches = microbatches;
  test.steps = steps;
  test.dropout = 0.1;
  test.extra_training = "evaluation: {intervalSteps: 2, fraction: 0.1}";
  return test;
}

// What does not depend on time of what a job's steps report: what must not know of aborted attempts.
std::vector<std::string> Lines(const LocalJobResult& result) {
  std::vector<std::string> lines;
  for (const control::JobEvent& event : result.events) {
    if (event.phase() != control::TRAINING || !event.has_figures()) {
      continue;
    }
    const control::StepFigures& figures = event.figures();
    std::string line = absl::StrCat(event.step(), " rate ", figures.learning_rate(), " norm ", figures.gradient_norm(),
                                    " tokens ", figures.tokens(), " ", figures.loss_tokens());
    for (const control::ClientState& client : event.clients()) {
      absl::StrAppend(&line, "; ", client.name(), " loss ", client.loss(), " tokens ", client.tokens());
      for (const auto& [kind, bytes] :
           std::map<std::string, int64_t>(client.bytes_by_kind().begin(), client.bytes_by_kind().end())) {
        absl::StrAppend(&line, " ", kind, " ", bytes);
      }
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

void ExpectSame(const LocalJobResult& found, const LocalJobResult& expected) {
  EXPECT_EQ(found.losses, expected.losses);
  EXPECT_EQ(found.eval_losses, expected.eval_losses);
  EXPECT_TRUE(found.adapters == expected.adapters) << "adapters differ";
  EXPECT_EQ(Lines(found), Lines(expected));
}

const control::ClientState& StateOf(const control::JobEvent& event, const std::string& client) {
  for (const control::ClientState& state : event.clients()) {
    if (state.name() == client) {
      return state;
    }
  }
  return control::ClientState::default_instance();
}

struct Place {
  FrameKind kind;
  bool up;
  bool client_labels;
  bool server_labels;
};
constexpr std::array kPlaces = {
    Place{FrameKind::kHello, true, true, true},        Place{FrameKind::kWelcome, false, true, true},
    Place{FrameKind::kStepBegin, false, true, true},   Place{FrameKind::kHiddenUp, true, true, true},
    Place{FrameKind::kLabelsUp, true, false, true},    Place{FrameKind::kHiddenDown, false, true, false},
    Place{FrameKind::kGradientUp, true, true, false},  Place{FrameKind::kGradientDown, false, true, true},
    Place{FrameKind::kStepEnd, true, true, true},      Place{FrameKind::kEvalBegin, false, true, true},
    Place{FrameKind::kEvalHiddenUp, true, true, true}, Place{FrameKind::kEvalHiddenDown, false, true, true},
    Place{FrameKind::kEvalEnd, true, true, true},
};

class EveryPlace : public Rejoin, public ::testing::WithParamInterface<std::tuple<std::string, int>> {};

TEST_P(EveryPlace, AClientThatIsLostThereAndComesBackChangesNothing) {
  const auto& [labels, microbatches] = GetParam();
  const TrainingCase test = Case(labels, microbatches);
  const LocalJobResult expected = Run(test);
  ASSERT_EQ(expected.losses.size(), 4U);
  ASSERT_EQ(expected.eval_losses.size(), 2U);
  for (const Place& place : kPlaces) {
    if (!(labels == "Client" ? place.client_labels : place.server_labels)) {
      continue;
    }
    for (const Fate fate : {Fate::kBreaks, Fate::kVanishes}) {
      const std::string client = fate == Fate::kBreaks ? "factory" : "bank";
      SCOPED_TRACE(
          absl::StrCat(std::string(FrameKindName(place.kind)), fate == Fate::kBreaks ? " breaks" : " vanishes"));
      bool done = false;
      const LocalJobResult found = Run(
          test, {.rejoin_patience = kPatience, .fate = [&](const protocol::Frame& frame, bool up) {
                   const bool joining = frame.key.kind == FrameKind::kHello || frame.key.kind == FrameKind::kWelcome;
                   const bool here = frame.key.kind == place.kind && up == place.up && frame.key.client == client &&
                                     (joining || frame.key.step == 1);
                   return here && !std::exchange(done, true) ? fate : Fate::kLives;
                 }});
      EXPECT_TRUE(done);
      ExpectSame(found, expected);
      if (found.events.empty()) {
        continue;
      }
      EXPECT_EQ(StateOf(found.events.back(), client).restarts(), 1);
      EXPECT_EQ(StateOf(found.events.back(), "hospital").restarts(), 0);
      // A loss is seen when the job next looks at its streams: while the others join, or in the step after.
      EXPECT_THAT(found.events.back().attempt(), place.kind == FrameKind::kHello ? AnyOf(1, 2) : AnyOf(2, 2));
      if (fate == Fate::kVanishes) {
        ASSERT_EQ(found.replaced.size(), 1U);
        EXPECT_EQ(found.replaced[0].code(), absl::StatusCode::kAborted) << found.replaced[0];
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Jobs, EveryPlace,
                         ::testing::Combine(::testing::Values("Client", "Server"), ::testing::Values(1, 2)));

TEST_F(Rejoin, LossesAnywhereAtOnceAndAgainChangeNothing) {
  int losses = 0;
  for (uint64_t seed = 1; seed <= 24; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const RandomStream choice({.seed = seed});
    const TrainingCase test =
        Case(choice.Below(0, 2) == 0 ? "Client" : "Server", 1 + static_cast<int>(choice.Below(1, 2)), 6);
    const LocalJobResult expected = Run(test);
    std::map<std::string, uint64_t> frames;
    std::map<std::string, int> lost;
    // One frame in 15 is a client's last, in bursts: the restart itself is hit as well.
    const auto fate = [&](const protocol::Frame& frame, bool /*up*/) {
      const std::string& client = frame.key.client;
      const RandomStream draws({.seed = seed, .client = HashName(client)});
      const uint64_t draw = draws.Below(frames[client]++, 45);
      if (draw > 2 || lost[client] >= 6) {
        return Fate::kLives;
      }
      ++lost[client];
      ++losses;
      return draw == 0 ? Fate::kVanishes : Fate::kBreaks;
    };
    const LocalJobResult found = Run(test, {.rejoin_patience = kPatience, .fate = fate});
    ExpectSame(found, expected);
    EXPECT_THAT(found.replaced, Each(::testing::Property(&absl::Status::code, AnyOf(absl::StatusCode::kAborted,
                                                                                    absl::StatusCode::kUnavailable))));
  }
  std::cout << losses << " losses over 24 jobs\n";
  EXPECT_GT(losses, 100);
}

// The clients that stay are told apart from the one that is away, and no step is reported before it is whole.
TEST_F(Rejoin, WatchersSeeWhoIsWaitedFor) {
  bool done = false;
  const LocalJobResult found =
      Run(Case("Client", 1), {.rejoin_patience = kPatience, .fate = [&](const protocol::Frame& frame, bool up) {
                                const bool here = up && frame.key.kind == FrameKind::kEvalHiddenUp &&
                                                  frame.key.client == "bank" && frame.key.step == 1;
                                return here && !std::exchange(done, true) ? Fate::kBreaks : Fate::kLives;
                              }});
  std::vector<std::string> phases;
  for (const control::JobEvent& event : found.events) {
    if (event.total_steps() > 0 && (event.step() == 2 || event.phase() != control::TRAINING)) {
      phases.push_back(absl::StrCat(control::Phase_Name(event.phase()), " ", event.has_figures(),
                                    StateOf(event, "bank").connected(), StateOf(event, "hospital").connected(), " ",
                                    event.attempt()));
    }
  }
  EXPECT_THAT(phases, ::testing::ElementsAre("EVALUATING 011 1", "WAITING_FOR_CLIENTS 001 2", "EVALUATING 011 2",
                                             "TRAINING 111 2", "EVALUATING 011 2"));
}

Fate BankAtStep2(const protocol::Frame& frame, bool up, Fate fate) {
  const bool here = up && frame.key.kind == FrameKind::kHiddenUp && frame.key.client == "bank" && frame.key.step == 2;
  return here ? fate : Fate::kLives;
}

TEST_F(Rejoin, WithoutPatienceALossEndsTheJobAtOnce) {
  const auto fate = [](const protocol::Frame& frame, bool up) { return BankAtStep2(frame, up, Fate::kBreaks); };
  const absl::Status status = Try(Case("Client", 1), {.fate = fate}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), "client bank was lost after 2 steps: it closed its stream");
}

TEST_F(Rejoin, WhoStaysAwayEndsTheJobByName) {
  const auto fate = [](const protocol::Frame& frame, bool up) { return BankAtStep2(frame, up, Fate::kStaysAway); };
  const absl::Status status =
      Try(Case("Client", 1), {.rejoin_patience = std::chrono::milliseconds(300), .fate = fate}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(),
            "client bank was lost after 2 steps and did not come back within 0.3 s: it closed its stream");
}

TEST_F(Rejoin, AClientThatDiesOfTheStepDoesNotRestartItForEver) {
  const auto fate = [](const protocol::Frame& frame, bool up) { return BankAtStep2(frame, up, Fate::kBreaks); };
  const absl::Status status = Try(Case("Client", 1), {.rejoin_patience = kPatience, .fate = fate}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("client bank was lost after 2 steps, 20 times without a step being completed"));
}

}  // namespace
}  // namespace splitft
