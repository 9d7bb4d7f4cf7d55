#include "libs/protocol/step_machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

namespace splitft::protocol {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

StepMachine::Options TwoClients() { return {{"bank", "hospital"}}; }

StepMachine MakeMachine(StepMachine::Options options) {
  absl::StatusOr<StepMachine> machine = StepMachine::Create(std::move(options));
  EXPECT_TRUE(machine.ok()) << machine.status();
  return *std::move(machine);
}

StepMachine AtStep(StepMachine::Options options, uint64_t step, uint32_t attempt = 0, uint32_t microbatches = 1) {
  StepMachine machine = MakeMachine(std::move(options));
  EXPECT_TRUE(machine.BeginStep(step, attempt, microbatches).ok());
  return machine;
}

// Frames of one client, attempt and step.
struct Sender {
  std::string client;
  uint64_t step = 0;
  uint32_t attempt = 0;
  FrameKey operator()(FrameKind kind, uint32_t microbatch = 0) const {
    return {"job", attempt, client, step, microbatch, kind};
  }
};

#define EXPECT_ACCEPTANCE(expected, expression)                       \
  do {                                                                \
    const absl::StatusOr<Acceptance> acceptance = (expression);       \
    ASSERT_TRUE(acceptance.ok()) << acceptance.status();              \
    EXPECT_EQ(AcceptanceName(*acceptance), AcceptanceName(expected)); \
  } while (false)
#define EXPECT_ACCEPTED(expression) EXPECT_ACCEPTANCE(Acceptance::kAccepted, expression)

void ExpectError(const absl::StatusOr<Acceptance>& acceptance, absl::StatusCode code, const std::string& part) {
  ASSERT_FALSE(acceptance.ok()) << AcceptanceName(*acceptance);
  EXPECT_EQ(acceptance.status().code(), code) << acceptance.status();
  EXPECT_THAT(std::string(acceptance.status().message()), HasSubstr(part));
}

TEST(StepMachine, RefusesOptionsThatNameNobody) {
  EXPECT_EQ(StepMachine::Create({}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(StepMachine::Create({{"a", "b", "a"}}).status().message()), HasSubstr("\"a\" twice"));
}

TEST(StepMachine, WalksOneStepWithLabelsOnTheClients) {
  StepMachine machine = AtStep(TwoClients(), 3);
  const Sender bank{"bank", 3};
  const Sender hospital{"hospital", 3};

  EXPECT_ACCEPTED(machine.Accept(bank(FrameKind::kHiddenUp)));
  EXPECT_EQ(machine.NextWork(), std::nullopt);
  EXPECT_ACCEPTED(machine.Accept(hospital(FrameKind::kHiddenUp)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kForward, 0}));
  EXPECT_EQ(machine.NextWork(), std::nullopt);

  EXPECT_ACCEPTED(machine.Accept(hospital(FrameKind::kGradientUp)));
  EXPECT_EQ(machine.NextWork(), std::nullopt);
  EXPECT_ACCEPTED(machine.Accept(bank(FrameKind::kGradientUp)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kBackward, 0}));

  EXPECT_ACCEPTED(machine.Accept(bank(FrameKind::kStepEnd)));
  EXPECT_EQ(machine.NextWork(), std::nullopt);
  EXPECT_ACCEPTED(machine.Accept(hospital(FrameKind::kStepEnd)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kEndStep}));
  EXPECT_TRUE(machine.idle());
  EXPECT_EQ(machine.NextWork(), std::nullopt);
}

TEST(StepMachine, ServerLabelsNeedHiddenAndLabelsOfEveryClient) {
  StepMachine::Options options = TwoClients();
  options.labels_on_server = true;
  StepMachine machine = AtStep(options, 0);
  const Sender bank{"bank"};
  const Sender hospital{"hospital"};
  EXPECT_ACCEPTED(machine.Accept(bank(FrameKind::kHiddenUp)));
  EXPECT_ACCEPTED(machine.Accept(bank(FrameKind::kLabelsUp)));
  EXPECT_ACCEPTED(machine.Accept(hospital(FrameKind::kHiddenUp)));
  EXPECT_EQ(machine.NextWork(), std::nullopt);
  EXPECT_ACCEPTED(machine.Accept(hospital(FrameKind::kLabelsUp)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kForwardBackward, 0}));
  ExpectError(machine.Accept(bank(FrameKind::kGradientUp)), absl::StatusCode::kInvalidArgument,
              "the aggregator has the labels");
  EXPECT_ACCEPTED(machine.Accept(bank(FrameKind::kStepEnd)));
  EXPECT_ACCEPTED(machine.Accept(hospital(FrameKind::kStepEnd)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kEndStep}));
}

TEST(StepMachine, BackwardComesBeforeForward) {
  StepMachine machine = AtStep({{"a"}}, 0, 0, 2);
  const Sender a{"a"};
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kHiddenUp, 0)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kForward, 0}));
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kHiddenUp, 1)));
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kGradientUp, 0)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kBackward, 0}));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kForward, 1}));
}

TEST(StepMachine, KeepsMicrobatchOrderWhenFramesOvertakeEachOther) {
  StepMachine machine = AtStep({{"a"}}, 0, 0, 3);
  const Sender a{"a"};
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kHiddenUp, 2)));
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kHiddenUp, 1)));
  EXPECT_EQ(machine.NextWork(), std::nullopt);
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kHiddenUp, 0)));
  for (uint32_t m = 0; m < 3; ++m) {
    EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kForward, m}));
  }
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kGradientUp, 1)));
  EXPECT_EQ(machine.NextWork(), std::nullopt);
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kGradientUp, 0)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kBackward, 0}));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kBackward, 1}));
}

TEST(StepMachine, TellsDuplicatesAndStaleFrames) {
  StepMachine machine = AtStep({{"a"}}, 5, 2);
  const Sender now{"a", 5, 2};
  EXPECT_ACCEPTED(machine.Accept(now(FrameKind::kHiddenUp)));
  EXPECT_ACCEPTANCE(Acceptance::kDuplicate, machine.Accept(now(FrameKind::kHiddenUp)));
  EXPECT_ACCEPTANCE(Acceptance::kStale, machine.Accept(Sender{"a", 4, 2}(FrameKind::kStepEnd)));
  EXPECT_ACCEPTANCE(Acceptance::kStale, machine.Accept(Sender{"a", 5, 1}(FrameKind::kHiddenUp)));
  EXPECT_ACCEPTANCE(Acceptance::kStale, machine.Accept(Sender{"a", 9, 1}(FrameKind::kGradientUp, 77)));

  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kForward, 0}));
  EXPECT_ACCEPTED(machine.Accept(now(FrameKind::kGradientUp)));
  EXPECT_ACCEPTANCE(Acceptance::kDuplicate, machine.Accept(now(FrameKind::kGradientUp)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kBackward, 0}));
  EXPECT_ACCEPTED(machine.Accept(now(FrameKind::kStepEnd)));
  EXPECT_ACCEPTANCE(Acceptance::kDuplicate, machine.Accept(now(FrameKind::kStepEnd)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kEndStep}));
  EXPECT_ACCEPTANCE(Acceptance::kStale, machine.Accept(now(FrameKind::kStepEnd)));
  EXPECT_ACCEPTANCE(Acceptance::kStale, machine.Accept(now(FrameKind::kHiddenUp)));
}

TEST(StepMachine, RefusesWhatNoCorrectClientSends) {
  StepMachine machine = AtStep({{"a"}}, 5, 1, 2);
  const Sender a{"a", 5, 1};
  ExpectError(machine.Accept(Sender{"b", 5, 1}(FrameKind::kHiddenUp)), absl::StatusCode::kInvalidArgument, "\"b\"");
  ExpectError(machine.Accept(a(FrameKind::kHiddenUp, 2)), absl::StatusCode::kOutOfRange, "expected less than 2");
  ExpectError(machine.Accept(a(FrameKind::kHiddenUp, 0xFFFFFFFF)), absl::StatusCode::kOutOfRange, "4294967295");
  ExpectError(machine.Accept(a(FrameKind::kLabelsUp)), absl::StatusCode::kInvalidArgument, "labels stay");
  ExpectError(machine.Accept(Sender{"a", 6, 1}(FrameKind::kHiddenUp)), absl::StatusCode::kOutOfRange, "at most 5");
  ExpectError(machine.Accept(Sender{"a", 5, 2}(FrameKind::kHiddenUp)), absl::StatusCode::kOutOfRange, "at most 1");
  ExpectError(machine.Accept(a(FrameKind::kGradientUp)), absl::StatusCode::kFailedPrecondition, "HiddenDown");
  ExpectError(machine.Accept(a(FrameKind::kStepEnd)), absl::StatusCode::kFailedPrecondition, "GradientDown");
  ExpectError(machine.Accept(a(FrameKind::kStepEnd, 1)), absl::StatusCode::kOutOfRange, "expected less than 1");
  ExpectError(machine.Accept(a(FrameKind::kEvalHiddenUp)), absl::StatusCode::kOutOfRange, "none before it begins");
  for (const FrameKind kind :
       {FrameKind::kHello, FrameKind::kWelcome, FrameKind::kStepBegin, FrameKind::kHiddenDown, FrameKind::kGradientDown,
        FrameKind::kEvalBegin, FrameKind::kEvalHiddenDown, FrameKind::kFinish, FrameKind::kFault, FrameKind::kPrepare,
        FrameKind::kPrepared, static_cast<FrameKind>(99)}) {
    ExpectError(machine.Accept(a(kind)), absl::StatusCode::kInvalidArgument, "no frame that a client sends");
  }
  // None of them left a trace.
  EXPECT_THAT(machine.Waiting(), ElementsAre(Missing{"a", FrameKind::kHiddenUp, {0, 1}}));
}

TEST(StepMachine, FramesBeforeTheFirstStepAreAhead) {
  StepMachine machine = MakeMachine(TwoClients());
  ExpectError(machine.Accept(Sender{"bank"}(FrameKind::kHiddenUp)), absl::StatusCode::kOutOfRange,
              "none before it begins");
}

TEST(StepMachine, StepEndWaitsForEveryGradientDown) {
  StepMachine machine = AtStep({{"a"}}, 0, 0, 2);
  const Sender a{"a"};
  for (uint32_t m = 0; m < 2; ++m) {
    EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kHiddenUp, m)));
    EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kForward, m}));
  }
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kGradientUp, 0)));
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kGradientUp, 1)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kBackward, 0}));
  ExpectError(machine.Accept(a(FrameKind::kStepEnd)), absl::StatusCode::kFailedPrecondition, "GradientDown");
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kBackward, 1}));
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kStepEnd)));
}

TEST(StepMachine, FrozenClientsEndWithoutGradientDown) {
  StepMachine::Options options{{"a"}};
  options.client_gradients = false;
  StepMachine machine = AtStep(options, 0);
  const Sender a{"a"};
  ExpectError(machine.Accept(a(FrameKind::kStepEnd)), absl::StatusCode::kFailedPrecondition, "HiddenDown");
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kHiddenUp)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kForward, 0}));
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kStepEnd)));  // before the backward that nobody waits for
  EXPECT_EQ(machine.NextWork(), std::nullopt);
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kGradientUp)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kBackward, 0}));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kEndStep}));
}

TEST(StepMachine, FrozenClientsWithServerLabelsEndAtOnce) {
  StepMachine::Options options{{"a"}};
  options.client_gradients = false;
  options.labels_on_server = true;
  StepMachine machine = AtStep(options, 0);
  const Sender a{"a"};
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kStepEnd)));
  EXPECT_EQ(machine.NextWork(), std::nullopt);
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kHiddenUp)));
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kLabelsUp)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kForwardBackward, 0}));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kEndStep}));
}

TEST(StepMachine, StepsOnlyGoForwardWithinAnAttempt) {
  StepMachine machine = AtStep({{"a"}}, 3);
  EXPECT_EQ(machine.BeginStep(4, 0, 1).code(), absl::StatusCode::kFailedPrecondition);  // 3 is not over
  EXPECT_EQ(machine.BeginEvaluation(3, 0, {1}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(machine.BeginStep(2, 1, 1).ok());  // a later attempt goes back to a checkpoint
  EXPECT_EQ(machine.BeginStep(9, 0, 1).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(machine.step(), 2u);
  EXPECT_EQ(machine.attempt(), 1u);
}

TEST(StepMachine, AStepDoesNotRepeatWithinAnAttempt) {
  StepMachine::Options options{{"a"}};
  options.labels_on_server = true;
  StepMachine machine = AtStep(options, 3);
  const Sender a{"a", 3};
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kHiddenUp)));
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kLabelsUp)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kForwardBackward, 0}));
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kStepEnd)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kEndStep}));
  EXPECT_EQ(machine.BeginStep(3, 0, 1).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(machine.BeginStep(4, 0, 1).ok());
}

TEST(StepMachine, AStepMayHaveOtherMicrobatchesThanTheLast) {
  StepMachine::Options options{{"a"}};
  options.labels_on_server = true;
  StepMachine machine = AtStep(options, 0);
  for (uint32_t microbatches = 1; microbatches < 4; ++microbatches) {
    const Sender a{"a", microbatches - 1};
    for (uint32_t m = 0; m < microbatches; ++m) {
      EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kHiddenUp, m)));
      EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kLabelsUp, m)));
      EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kForwardBackward, m}));
    }
    ExpectError(machine.Accept(a(FrameKind::kHiddenUp, microbatches)), absl::StatusCode::kOutOfRange, "microbatch is");
    EXPECT_EQ(machine.BeginStep(microbatches, 0, 9).code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kStepEnd)));
    EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kEndStep}));
    EXPECT_EQ(machine.BeginStep(microbatches, 0, 0).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(machine.BeginStep(microbatches, 0, microbatches + 1).ok());
  }
}

TEST(StepMachine, RestartForgetsTheStepAndFencesItsFrames) {
  StepMachine machine = AtStep({{"a"}}, 7);
  const Sender before{"a", 7, 0};
  const Sender after{"a", 7, 1};
  EXPECT_ACCEPTED(machine.Accept(before(FrameKind::kHiddenUp)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kForward, 0}));
  EXPECT_EQ(machine.Restart(0).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(machine.Restart(1).ok());
  EXPECT_ACCEPTANCE(Acceptance::kStale, machine.Accept(before(FrameKind::kGradientUp)));
  ExpectError(machine.Accept(after(FrameKind::kGradientUp)), absl::StatusCode::kFailedPrecondition, "HiddenDown");
  EXPECT_ACCEPTED(machine.Accept(after(FrameKind::kHiddenUp)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kForward, 0}));
}

TEST(StepMachine, NothingToRestartWhenIdle) {
  StepMachine machine = MakeMachine(TwoClients());
  EXPECT_EQ(machine.Restart(1).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(StepMachine, EvaluatesEachClientsBatchesOnTheirOwn) {
  StepMachine machine = MakeMachine(TwoClients());
  ASSERT_TRUE(machine.BeginEvaluation(10, 0, {1, 2}).ok());
  const Sender bank{"bank", 10};
  const Sender hospital{"hospital", 10};
  ExpectError(machine.Accept(bank(FrameKind::kEvalHiddenUp, 1)), absl::StatusCode::kOutOfRange, "expected less than 1");
  ExpectError(machine.Accept(bank(FrameKind::kEvalEnd)), absl::StatusCode::kFailedPrecondition, "EvalHiddenDown");

  EXPECT_ACCEPTED(machine.Accept(hospital(FrameKind::kEvalHiddenUp, 1)));
  EXPECT_EQ(machine.NextWork(), std::nullopt);  // its batch 0 comes first
  EXPECT_ACCEPTED(machine.Accept(hospital(FrameKind::kEvalHiddenUp, 0)));
  EXPECT_ACCEPTANCE(Acceptance::kDuplicate, machine.Accept(hospital(FrameKind::kEvalHiddenUp, 0)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kEvalForward, 0, 1}));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kEvalForward, 1, 1}));
  EXPECT_ACCEPTED(machine.Accept(hospital(FrameKind::kEvalEnd)));
  EXPECT_EQ(machine.NextWork(), std::nullopt);
  EXPECT_ACCEPTED(machine.Accept(bank(FrameKind::kEvalHiddenUp)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kEvalForward, 0, 0}));
  EXPECT_ACCEPTED(machine.Accept(bank(FrameKind::kEvalEnd)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kEndEvaluation}));
  EXPECT_TRUE(machine.idle());
  EXPECT_ACCEPTANCE(Acceptance::kStale, machine.Accept(bank(FrameKind::kEvalEnd)));
}

TEST(StepMachine, EvaluationWithServerLabelsNeedsBoth) {
  StepMachine::Options options{{"a"}};
  options.labels_on_server = true;
  StepMachine machine = MakeMachine(options);
  ASSERT_TRUE(machine.BeginEvaluation(0, 0, {1}).ok());
  EXPECT_ACCEPTED(machine.Accept(Sender{"a"}(FrameKind::kEvalHiddenUp)));
  EXPECT_EQ(machine.NextWork(), std::nullopt);
  EXPECT_ACCEPTED(machine.Accept(Sender{"a"}(FrameKind::kEvalLabelsUp)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kEvalForward, 0, 0}));
}

TEST(StepMachine, AClientWithoutHeldOutBatchesOnlyEnds) {
  StepMachine machine = MakeMachine({{"a"}});
  ASSERT_TRUE(machine.BeginEvaluation(0, 0, {0}).ok());
  EXPECT_THAT(machine.Waiting(), ElementsAre(Missing{"a", FrameKind::kEvalEnd, {0}}));
  EXPECT_ACCEPTED(machine.Accept(Sender{"a"}(FrameKind::kEvalEnd)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kEndEvaluation}));
}

TEST(StepMachine, EvaluationAndStepOfTheSameNumberDoNotMix) {
  StepMachine machine = MakeMachine({{"a"}});
  const Sender a{"a", 4};
  ASSERT_TRUE(machine.BeginEvaluation(4, 0, {0}).ok());
  ExpectError(machine.Accept(a(FrameKind::kHiddenUp)), absl::StatusCode::kOutOfRange, "none before it begins");
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kEvalEnd)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kEndEvaluation}));
  ASSERT_TRUE(machine.BeginStep(4, 0, 1).ok());
  EXPECT_ACCEPTANCE(Acceptance::kStale, machine.Accept(a(FrameKind::kEvalEnd)));
  EXPECT_ACCEPTED(machine.Accept(a(FrameKind::kHiddenUp)));
}

TEST(StepMachine, RefusedEvaluationLeavesTheOneInProgress) {
  StepMachine machine = MakeMachine({{"a"}});
  ASSERT_TRUE(machine.BeginEvaluation(4, 0, {2}).ok());
  EXPECT_EQ(machine.BeginEvaluation(5, 0, {0}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(machine.BeginEvaluation(5, 1, {0, 0}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(machine.Waiting(), ElementsAre(Missing{"a", FrameKind::kEvalHiddenUp, {0, 1}}));
}

TEST(StepMachine, NamesWhoIsMissing) {
  StepMachine machine = MakeMachine(TwoClients());
  EXPECT_THAT(machine.Waiting(), IsEmpty());
  ASSERT_TRUE(machine.BeginStep(0, 0, 2).ok());
  const Sender bank{"bank"};
  const Sender hospital{"hospital"};
  EXPECT_EQ(DescribeMissing(machine.Waiting()), "bank: HiddenUp 0, 1; hospital: HiddenUp 0, 1");
  EXPECT_ACCEPTED(machine.Accept(bank(FrameKind::kHiddenUp, 0)));
  EXPECT_ACCEPTED(machine.Accept(bank(FrameKind::kHiddenUp, 1)));
  EXPECT_ACCEPTED(machine.Accept(hospital(FrameKind::kHiddenUp, 0)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kForward, 0}));
  EXPECT_EQ(DescribeMissing(machine.Waiting()), "bank: GradientUp 0; hospital: HiddenUp 1, GradientUp 0");
  EXPECT_ACCEPTED(machine.Accept(hospital(FrameKind::kHiddenUp, 1)));
  EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kForward, 1}));
  for (uint32_t m = 0; m < 2; ++m) {
    EXPECT_ACCEPTED(machine.Accept(bank(FrameKind::kGradientUp, m)));
    EXPECT_ACCEPTED(machine.Accept(hospital(FrameKind::kGradientUp, m)));
    EXPECT_EQ(machine.NextWork(), (Work{WorkKind::kBackward, m}));
  }
  EXPECT_ACCEPTED(machine.Accept(bank(FrameKind::kStepEnd)));
  EXPECT_EQ(DescribeMissing(machine.Waiting()), "hospital: StepEnd");
}

TEST(StepMachine, NamesItsEnumerations) {
  EXPECT_EQ(WorkKindName(WorkKind::kForwardBackward), "ForwardBackward");
  EXPECT_EQ(AcceptanceName(Acceptance::kStale), "Stale");
}

}  // namespace
}  // namespace splitft::protocol
