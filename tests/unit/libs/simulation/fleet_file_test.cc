#include "libs/simulation/fleet_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/simulation/simulate.h"

namespace splitft::simulation {
namespace {

using testing::HasSubstr;

constexpr char kFleet[] = R"(
model: {blocks: 12, hiddenSize: 768, adapterBytes: 147456}
training: {steps: 40, batchSize: 4, sequenceLength: 128}
split: {cutLayer: 2, codec: bf16}
scheduling: {codecs: [bf16, int8]}
server: {forwardMicroseconds: 1, backwardMicroseconds: 2}
clients:
  - {name: hospital, forwardMicroseconds: 20, tailMicroseconds: 60, upMbit: 100}
  - {name: bank, count: 3, cutLayer: 3, forwardMicroseconds: 40, backwardMicroseconds: 90, upMbit: 20, downMbit: 40,
     changes: [{step: 30, compute: 0.5}, {step: 10, link: 2}]}
)";

std::string ErrorOf(const std::string& yaml) { return std::string(ParseFleet(yaml).status().message()); }

std::string With(const std::string& what, const std::string& instead) {
  std::string yaml = kFleet;
  yaml.replace(yaml.find(what), what.size(), instead);
  return yaml;
}

TEST(ParseFleet, ReadsWhatIsThereAndKnowsTheRest) {
  const absl::StatusOr<Fleet> fleet = ParseFleet(kFleet);
  ASSERT_TRUE(fleet.ok()) << fleet.status();
  EXPECT_EQ(fleet->job.scheduling.policy, spec::SchedulingPolicy::kMakespan);
  EXPECT_EQ(fleet->job.split.codec, spec::Codec::kBf16);
  EXPECT_THAT(fleet->job.scheduling.codecs, testing::ElementsAre("bf16", "int8"));
  ASSERT_EQ(fleet->job.clients.size(), 4U);
  EXPECT_EQ(fleet->job.clients[0].name, "hospital");
  EXPECT_EQ(fleet->job.clients[0].cut_layer, 2);
  EXPECT_EQ(fleet->job.clients[3].name, "bank-2");
  EXPECT_EQ(fleet->job.clients[3].cut_layer, 3);
  EXPECT_DOUBLE_EQ(fleet->truth.clients[0].forward_seconds, 20e-6);
  EXPECT_DOUBLE_EQ(fleet->truth.clients[0].backward_seconds, 40e-6);
  EXPECT_DOUBLE_EQ(fleet->truth.clients[0].link.down_bytes_per_second, 12.5e6);
  EXPECT_DOUBLE_EQ(fleet->truth.clients[1].backward_seconds, 90e-6);
  EXPECT_DOUBLE_EQ(fleet->truth.clients[1].link.down_bytes_per_second, 5e6);
  ASSERT_EQ(fleet->changes.size(), 6U);
  EXPECT_EQ(fleet->changes[0].step, 10);
  EXPECT_DOUBLE_EQ(fleet->changes[0].link, 2);
  EXPECT_EQ(fleet->changes[5].client, 3U);
}

TEST(ParseFleet, NamesEveryMistake) {
  EXPECT_THAT(ErrorOf(With("blocks: 12", "blocks: 0")), HasSubstr("model.blocks: 0 is not an integer from 1"));
  EXPECT_THAT(ErrorOf(With("hiddenSize: 768, ", "")), HasSubstr("model.hiddenSize: is missing"));
  EXPECT_THAT(ErrorOf(With("upMbit: 100", "upMbits: 100")),
              HasSubstr("clients[0].upMbits: is no field here; expected one of name, count"));
  EXPECT_THAT(ErrorOf(With("int8]", "int9]")), HasSubstr("scheduling.codecs[1]: int9 is not fp32, bf16 or int8"));
  EXPECT_THAT(ErrorOf(With("cutLayer: 3", "cutLayer: 13")), HasSubstr("the cut of bank-0 is 13; expected 1 to 12"));
  EXPECT_THAT(ErrorOf(With("name: hospital", "name: bank-1")), HasSubstr("two are called bank-1"));
  EXPECT_THAT(ErrorOf(With("codecs: [bf16, int8]", "policy: Budget")), HasSubstr("scheduling.stepSeconds"));
  EXPECT_THAT(ErrorOf("clients: ["), HasSubstr("line"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("model"));
}

TEST(Simulate, GivesTheSameRunForTheSameFleet) {
  const absl::StatusOr<Fleet> fleet = ParseFleet(kFleet);
  ASSERT_TRUE(fleet.ok());
  const Course run = Simulate(*fleet);
  EXPECT_EQ(run.step_seconds.size(), 40U);
  EXPECT_FALSE(run.plans.empty());
  EXPECT_EQ(run.step_seconds, Simulate(*fleet).step_seconds);
  Fleet fixed = *fleet;
  fixed.job.scheduling.policy = spec::SchedulingPolicy::kStatic;
  EXPECT_GT(Simulate(fixed).seconds, run.seconds);
}

}  // namespace
}  // namespace splitft::simulation
