// Cuts, codecs and microbatches that change while the job runs leave its losses alone: who runs a block is nothing to
// the block.

#include <ATen/Parallel.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/random.h"
#include "tests/golden/train/training_case.h"
#include "tests/support/local_job.h"

namespace splitft {
namespace {

namespace fs = std::filesystem;
using ::testing::DoubleNear;
using ::testing::Pointwise;

constexpr double kTolerance = 1e-5;
constexpr int kBlocks = 4;  // make_models.py's

class Plans : public ::testing::Test {
 protected:
  Plans() : folder_(fs::temp_directory_path() / absl::StrCat("splitft_plans_", ::getpid())) { at::set_num_threads(1); }
  ~Plans() override { fs::remove_all(folder_); }

  LocalJobResult Run(const TrainingCase& test, const LocalJobOptions& options = {}) {
    absl::StatusOr<train::JobSetup> setup = OpenCase(test, folder_);
    absl::StatusOr<LocalJobResult> result =
        setup.ok() ? RunLocalJob(*setup, CaseDatasets(test), options) : setup.status();
    if (!result.ok()) {
      ADD_FAILURE() << result.status();
      return {};
    }
    return *std::move(result);
  }

  const fs::path folder_;
};

TrainingCase Case(uint64_t seed) {
  const RandomStream choice({.seed = seed});
  TrainingCase test = ThreeClients();
  test.labels = choice.Below(0, 2) == 0 ? "Client" : "Server";
  test.microbatches = 1 + static_cast<int>(choice.Below(1, 2));
  test.tail_blocks = test.labels == "Client" ? static_cast<int>(choice.Below(2, 2)) : 0;
  test.clients[0].batch_size = test.clients[1].batch_size = 2;
  test.steps = 60;
  test.dropout = 0.1;
  test.extra_training = "evaluation: {intervalSteps: 7, fraction: 0.1}";
  return test;
}

// Another plan for every step: some clients, each with a random cut, and now and then other microbatches.
class RandomPlans {
 public:
  RandomPlans(const TrainingCase& test, uint64_t seed)
      : test_(test), draws_({.seed = seed, .client = HashName("plans")}) {}

  control::Plan operator()() {
    control::Plan plan;
    plan.set_number(++number_);
    if (draws_.Below(next_++, 3) == 0) {
      plan.set_microbatches(1 + static_cast<int>(draws_.Below(next_++, 2)));
    }
    for (const CaseClient& client : test_.clients) {
      if (draws_.Below(next_++, 2) == 0) {
        continue;
      }
      control::ClientPlan& wanted = *plan.add_clients();
      wanted.set_name(client.name);
      const int highest = kBlocks - test_.tail_blocks;
      wanted.set_cut_layer(1 + static_cast<int>(draws_.Below(next_++, static_cast<uint64_t>(highest))));
      wanted.set_reason(absl::StrCat("plan ", number_));
    }
    return plan;
  }

 private:
  const TrainingCase& test_;
  const RandomStream draws_;
  uint64_t next_ = 0;
  uint64_t number_ = 0;
};

// Steps that had something else than the step before.
int Changes(const LocalJobResult& result, const std::function<std::string(const control::JobEvent&)>& what) {
  int changes = 0;
  std::string before;
  for (const control::JobEvent& event : result.events) {
    if (event.phase() != control::TRAINING || !event.has_figures()) {
      continue;
    }
    const std::string now = what(event);
    changes += before.empty() || before == now ? 0 : 1;
    before = now;
  }
  return changes;
}

// All the time that the aggregator stands still it waits for one client or another.
void ExpectWaitsAreSomebodys(const LocalJobResult& result) {
  for (const control::JobEvent& event : result.events) {
    double awaited = 0;
    for (const control::ClientState& client : event.clients()) {
      awaited += client.awaited_seconds();
    }
    if (event.phase() == control::TRAINING && event.has_figures()) {
      EXPECT_NEAR(awaited, event.figures().server_wait_seconds(), 1e-3) << "step " << event.step();
    }
  }
}

int Moves(const LocalJobResult& result) {
  return Changes(result, [](const control::JobEvent& event) {
    std::string cuts;
    for (const control::ClientState& client : event.clients()) {
      absl::StrAppend(&cuts, client.cut_layer(), " ");
    }
    return cuts;
  });
}

int Divisions(const LocalJobResult& result) {
  return Changes(result, [](const control::JobEvent& event) { return absl::StrCat(event.figures().microbatches()); });
}

TEST_F(Plans, RandomCutsAndMicrobatchesAtEveryStepLeaveTheLossesAlone) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const TrainingCase test = Case(seed);
    const LocalJobResult expected = Run(test);
    ASSERT_EQ(expected.losses.size(), 60U);
    const LocalJobResult found = Run(test, {.next_plan = RandomPlans(test, seed)});
    EXPECT_THAT(found.losses, Pointwise(DoubleNear(kTolerance), expected.losses));
    EXPECT_THAT(found.eval_losses, Pointwise(DoubleNear(kTolerance), expected.eval_losses));
    EXPECT_GT(Moves(found), 20);
    EXPECT_EQ(Moves(expected), 0);
    EXPECT_GT(Divisions(found), 3);
    ExpectWaitsAreSomebodys(found);
    EXPECT_EQ(Divisions(expected), 0);
  }
}

// The same with clients that are lost and come back, at any frame: a plan under way survives that, or a later one does.
TEST_F(Plans, LossesInBetweenChangeNothing) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const TrainingCase test = Case(seed);
    const LocalJobResult expected = Run(test);
    const RandomStream draws({.seed = seed});
    uint64_t frames = 0;
    int losses = 0;
    const auto fate = [&](const protocol::Frame& /*frame*/, bool /*up*/) {
      const bool lost = draws.Below(frames++, 60) == 0 && losses < 15;
      losses += lost ? 1 : 0;
      return lost ? Fate::kBreaks : Fate::kLives;
    };
    const LocalJobResult found =
        Run(test, {.rejoin_patience = std::chrono::seconds(60), .fate = fate, .next_plan = RandomPlans(test, seed)});
    EXPECT_THAT(found.losses, Pointwise(DoubleNear(kTolerance), expected.losses));
    EXPECT_GT(losses, 10);
    EXPECT_GT(Divisions(found), 1);
    ExpectWaitsAreSomebodys(found);
    EXPECT_GT(Moves(found), 4) << "some cuts are not raised again";
  }
}

// One plan, before step `step` (from 1).
std::function<std::optional<control::Plan>()> Once(int step, control::Plan plan) {
  plan.set_number(1);
  return [step, plan = std::move(plan), asked = 0]() mutable {
    return ++asked == step ? std::optional(plan) : std::nullopt;
  };
}

// Every client's rank cap.
control::Plan Caps(const TrainingCase& test, int cap) {
  control::Plan plan;
  for (const CaseClient& client : test.clients) {
    control::ClientPlan& wanted = *plan.add_clients();
    wanted.set_name(client.name);
    wanted.set_rank_cap(cap);
  }
  return plan;
}

// A lower rank on both sides of each cut trains what a rank pattern of these blocks does; PEFT is its referee
// elsewhere.
TEST_F(Plans, ALowerRankAtTheCutsIsARankPattern) {
  TrainingCase test = Case(1);
  test.clients = {test.clients[0]};
  test.clients[0].cut_layer = 2;
  test.tail_blocks = 0;
  test.steps = 20;
  TrainingCase pattern = test;
  test.extra_lora = ", cutLayerRank: 2";
  for (const char* kind : {"rank", "alpha"}) {
    absl::StrAppend(&pattern.extra_lora, ", ", kind, "Pattern: {");
    const int value = kind[0] == 'r' ? 2 : 4;
    for (const char* block : {"h.1", "h.2"}) {
      for (const char* module : {"attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"}) {
        absl::StrAppend(&pattern.extra_lora, block, ".", module, ": ", value, ", ");
      }
    }
    pattern.extra_lora += "}";
  }
  const LocalJobResult expected = Run(pattern);
  const LocalJobResult found = Run(test);
  ASSERT_EQ(expected.losses.size(), 20U);
  // Pairs of zeros are computed with, so that sums are rounded otherwise, and AdamW makes more of that.
  EXPECT_THAT(found.losses, Pointwise(DoubleNear(1e-4), expected.losses));
  EXPECT_EQ(found.events.back().clients(0).rank(), 2);
}

TEST_F(Plans, RaisingARankLeavesTheNextLossAlone) {
  TrainingCase test = Case(2);
  test.steps = 12;
  const LocalJobResult low = Run(test, {.next_plan = Once(1, Caps(test, 1))});
  const auto lower_then_raise = [&test, asked = 0]() mutable -> std::optional<control::Plan> {
    ++asked;
    if (asked != 1 && asked != 7) {
      return std::nullopt;
    }
    control::Plan plan = Caps(test, asked == 1 ? 1 : 3);
    plan.set_number(static_cast<uint64_t>(asked));
    return plan;
  };
  const LocalJobResult raised = Run(test, {.next_plan = lower_then_raise});
  ASSERT_EQ(raised.losses.size(), 12U);
  for (size_t step = 0; step < 7; ++step) {
    EXPECT_EQ(raised.losses[step], low.losses[step]) << step;
  }
  EXPECT_NE(raised.losses[7], low.losses[7]) << "the new pairs learn";
  EXPECT_EQ(raised.events.back().clients(0).rank(), 3);
  EXPECT_EQ(low.events.back().clients(0).rank(), 1);
}

TEST_F(Plans, LoweringARankLosesWhatItSays) {
  TrainingCase test = Case(2);
  test.steps = 16;
  const LocalJobResult expected = Run(test);
  const LocalJobResult found = Run(test, {.next_plan = Once(9, Caps(test, 2))});
  ASSERT_EQ(found.losses.size(), 16U);
  for (size_t step = 0; step < 8; ++step) {
    EXPECT_EQ(found.losses[step], expected.losses[step]) << step;
  }
  const double discarded = found.events.back().plan().discarded_energy();
  EXPECT_GT(discarded, 0);
  EXPECT_LT(discarded, 0.5);
  EXPECT_NE(found.losses[8], expected.losses[8]);
  EXPECT_NEAR(found.losses[8], expected.losses[8], 0.05);
}

// The bank dies of every cut above 2, as for want of memory, once it computes with it.
TEST_F(Plans, AClientThatIsLostUnderAHigherCutComesBackToItsFormerOne) {
  TrainingCase test = Case(1);
  test.steps = 20;
  const LocalJobResult expected = Run(test);
  int deaths = 0;
  int cut = test.clients[0].cut_layer;
  const auto fate = [&](const protocol::Frame& frame, bool up) {
    const auto* assignment = std::get_if<protocol::Assignment>(&frame.body);
    if (frame.key.client != test.clients[0].name) {
      return Fate::kLives;
    }
    if (assignment != nullptr && frame.key.kind == protocol::FrameKind::kStepBegin) {
      cut = assignment->cut_layer;
    }
    const bool dies = up && frame.key.kind == protocol::FrameKind::kHiddenUp && cut > 2;
    deaths += dies ? 1 : 0;
    return dies ? Fate::kBreaks : Fate::kLives;
  };
  const auto raise = [&test, asked = 0]() mutable -> std::optional<control::Plan> {
    control::Plan plan;
    plan.set_number(static_cast<uint64_t>(++asked));
    control::ClientPlan& wanted = *plan.add_clients();
    wanted.set_name(test.clients[0].name);
    wanted.set_cut_layer(asked < 3 ? 2 : 3);
    return plan;
  };
  const LocalJobResult found =
      Run(test, {.rejoin_patience = std::chrono::seconds(60), .fate = fate, .next_plan = raise});
  EXPECT_EQ(deaths, 1) << "one is enough to learn of it";
  EXPECT_THAT(found.losses, Pointwise(DoubleNear(kTolerance), expected.losses));
  ASSERT_FALSE(found.events.empty());
  EXPECT_EQ(found.events.back().clients(0).cut_layer(), 2);
  EXPECT_EQ(found.events.back().clients(0).cut_limit(), 2);
  EXPECT_EQ(found.events.back().plan().state(), control::PlanState::REFUSED);
}

// Other microbatches in between are no reason to forget that the cut is on trial; they stay when it is undone.
TEST_F(Plans, OtherMicrobatchesLeaveAHigherCutOnTrial) {
  TrainingCase test = Case(1);
  test.steps = 20;
  test.microbatches = 1;
  const LocalJobResult expected = Run(test);
  int deaths = 0;
  int cut = 0;
  uint64_t prepares = 0;
  const auto fate = [&](const protocol::Frame& frame, bool up) {
    const auto* assignment = std::get_if<protocol::Assignment>(&frame.body);
    prepares += frame.key.kind == protocol::FrameKind::kPrepare ? 1 : 0;
    if (frame.key.client != test.clients[0].name) {
      return Fate::kLives;
    }
    if (assignment != nullptr && frame.key.kind == protocol::FrameKind::kStepBegin) {
      cut = assignment->cut_layer;
    }
    const bool dies = up && frame.key.kind == protocol::FrameKind::kHiddenUp && cut > 2 && frame.key.step >= 9;
    deaths += dies ? 1 : 0;
    return dies ? Fate::kBreaks : Fate::kLives;
  };
  uint64_t asked = 0;
  const auto plans = [&]() -> std::optional<control::Plan> {
    control::Plan plan;
    plan.set_number(++asked);
    if (asked == 1 || asked == 3) {
      control::ClientPlan& wanted = *plan.add_clients();
      wanted.set_name(test.clients[0].name);
      wanted.set_cut_layer(asked == 1 ? 2 : 3);
    } else if (asked == 6) {
      plan.set_microbatches(2);
      plan.set_reason("why not");
    } else {
      return std::nullopt;
    }
    return plan;
  };
  const LocalJobResult found =
      Run(test, {.rejoin_patience = std::chrono::seconds(60), .fate = fate, .next_plan = plans});
  EXPECT_EQ(deaths, 1);
  EXPECT_LE(prepares, 2U) << "nobody prepares for microbatches";
  EXPECT_THAT(found.losses, Pointwise(DoubleNear(kTolerance), expected.losses));
  ASSERT_FALSE(found.events.empty());
  const control::JobEvent& last = found.events.back();
  EXPECT_EQ(last.clients(0).cut_layer(), 2);
  EXPECT_EQ(last.clients(0).cut_limit(), 2);
  EXPECT_EQ(last.figures().microbatches(), 2);
  EXPECT_EQ(last.microbatches_plan(), 6U);
  EXPECT_EQ(last.microbatches_reason(), "why not");
}

class CodecPlans : public Plans, public ::testing::WithParamInterface<std::string> {};

TEST_P(CodecPlans, ACodecIsChangedLikewise) {
  const std::string& codec = GetParam();
  const TrainingCase test = Case(3);
  const LocalJobResult expected = Run(test);
  uint64_t asked = 0;
  const LocalJobResult found = Run(test, {.next_plan = [&]() -> std::optional<control::Plan> {
                                     control::Plan plan;
                                     plan.set_number(++asked);
                                     control::ClientPlan& bank = *plan.add_clients();
                                     bank.set_name("bank");
                                     bank.set_codec(asked % 2 == 0 ? "fp32" : codec);
                                     return plan;
                                   }});
  int changed = 0;
  for (const control::JobEvent& event : found.events) {
    changed += event.has_figures() && event.clients(0).codec() == codec ? 1 : 0;
  }
  EXPECT_GT(changed, 15);
  EXPECT_THAT(found.losses, Pointwise(DoubleNear(0.05), expected.losses));
  EXPECT_NE(found.losses, expected.losses) << codec << " has been on the wire";
}

INSTANTIATE_TEST_SUITE_P(All, CodecPlans, ::testing::Values("bf16", "int8"));

TEST_F(Plans, OneThatAClientCannotFollowIsRefusedWhole) {
  TrainingCase test = Case(1);
  test.steps = 6;
  const LocalJobResult expected = Run(test);
  bool asked = false;
  const LocalJobResult found = Run(test, {.next_plan = [&]() -> std::optional<control::Plan> {
                                     if (std::exchange(asked, true)) {
                                       return std::nullopt;
                                     }
                                     control::Plan plan;
                                     plan.set_number(1);
                                     for (const auto& [name, cut] : {std::pair("bank", 2), std::pair("hospital", 9)}) {
                                       control::ClientPlan& wanted = *plan.add_clients();
                                       wanted.set_name(name);
                                       wanted.set_cut_layer(cut);
                                     }
                                     return plan;
                                   }});
  EXPECT_EQ(found.losses, expected.losses);
  EXPECT_EQ(Moves(found), 0);
  ASSERT_FALSE(found.events.empty());
  EXPECT_EQ(found.events.back().plan().state(), control::PlanState::REFUSED);
  EXPECT_THAT(found.events.back().plan().message(), ::testing::HasSubstr("client hospital: "));
}

}  // namespace
}  // namespace splitft
