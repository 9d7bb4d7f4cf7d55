#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "tests/support/sim_conversation.h"

namespace splitft {
namespace {

using protocol::Work;
using protocol::WorkKind;
using ::testing::UnorderedElementsAreArray;

bool IsEvaluation(const Work& work) {
  return work.kind == WorkKind::kEvalForward || work.kind == WorkKind::kEndEvaluation;
}

// Each work of each step and each evaluation once in the attempt that completed it, each kind in order, and nothing
// else there.
void ExpectEachWorkOnce(const Conversation& conversation, const ConversationResult& result) {
  std::map<std::pair<uint64_t, bool>, std::map<uint32_t, std::vector<Work>>> by_phase;
  for (const DoneWork& done : result.work) {
    by_phase[{done.step, IsEvaluation(done.work)}][done.attempt].push_back(done.work);
  }
  std::vector<Work> of_step;
  std::vector<Work> of_evaluation;
  for (const Work& work : ExpectedWork(conversation)) {
    (IsEvaluation(work) ? of_evaluation : of_step).push_back(work);
  }
  ASSERT_EQ(by_phase.size(), conversation.steps * (conversation.evaluate ? 2 : 1));
  for (const auto& [phase, attempts] : by_phase) {
    const std::vector<Work>& completed = attempts.rbegin()->second;
    EXPECT_THAT(completed, UnorderedElementsAreArray(phase.second ? of_evaluation : of_step)) << "step " << phase.first;
    std::map<std::pair<WorkKind, size_t>, uint32_t> next;
    for (const Work& work : completed) {
      const std::pair<WorkKind, size_t> sequence(work.kind, work.client);
      EXPECT_EQ(work.microbatch, next[sequence]++) << WorkKindName(work.kind);
    }
    for (const auto& [attempt, work] : attempts) {
      const bool ended = IsEvaluation(work.back()) ? work.back().kind == WorkKind::kEndEvaluation
                                                   : work.back().kind == WorkKind::kEndStep;
      EXPECT_EQ(ended, attempt == attempts.rbegin()->first) << "only the last attempt ends a step";
    }
  }
}

struct Mode {
  const char* name;
  bool labels_on_server;
  bool client_gradients;
};
class StepMachineSim : public ::testing::TestWithParam<Mode> {
 protected:
  Conversation MakeConversation(uint64_t seed) const {
    Conversation conversation;
    conversation.net.seed = seed;
    conversation.labels_on_server = GetParam().labels_on_server;
    conversation.client_gradients = GetParam().client_gradients;
    conversation.microbatches = 1 + seed % 3;
    conversation.clients = 1 + seed % 4;
    return conversation;
  }
};

TEST_P(StepMachineSim, EndsUnderDelaysDuplicatesAndReordering) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Conversation conversation = MakeConversation(seed);
    conversation.net.duplicate = 0.2;
    conversation.net.reorder_streams = seed % 2 == 1;
    const ConversationResult result = Simulate(conversation);
    ASSERT_TRUE(result.status.ok()) << result.status;
    ExpectEachWorkOnce(conversation, result);
  }
}

TEST_P(StepMachineSim, ACutAtAnySendIsSurvived) {
  Conversation conversation = MakeConversation(2);
  conversation.net.duplicate = 0.1;
  conversation.steps = 2;
  const int64_t sends = Simulate(conversation).sends;
  ASSERT_GT(sends, 20);
  for (int64_t cut = 1; cut <= sends; ++cut) {
    SCOPED_TRACE("cut at send " + std::to_string(cut));
    conversation.net.cut_at_send = cut;
    const ConversationResult result = Simulate(conversation);
    ASSERT_TRUE(result.status.ok()) << result.status;
    EXPECT_TRUE(result.was_cut);
    ExpectEachWorkOnce(conversation, result);
  }
}

TEST_P(StepMachineSim, ReplaysBySeed) {
  Conversation conversation = MakeConversation(7);
  conversation.net.duplicate = 0.2;
  conversation.net.reorder_streams = true;
  conversation.net.cut_at_send = 25;
  EXPECT_EQ(Simulate(conversation).work, Simulate(conversation).work);
}

INSTANTIATE_TEST_SUITE_P(Modes, StepMachineSim,
                         ::testing::Values(Mode{"LabelsOnClient", false, true}, Mode{"LabelsOnServer", true, true},
                                           Mode{"FrozenLabelsOnClient", false, false},
                                           Mode{"FrozenLabelsOnServer", true, false}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace splitft
