#include "libs/spec/overrides.h"

#include <gtest/gtest.h>

#include "tests/unit/libs/spec/manifest.h"

namespace splitft::spec {
namespace {

TEST(Overrides, ReplaceWhatTheManifestSays) {
  const absl::StatusOr<FineTuneJob> job = Parse(
      Manifest(), {"training.steps=50", "spec.training.seed=9", "clients[0].cutLayer=3", "clients.bank.cutLayer=2",
                   "clients.bank.data.columns.text=body", "model={source: {huggingFace: gpt2}, dtype: bfloat16}",
                   "lora.targetModules=[c_attn]", "training.steps=51"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->training.steps, 51) << "the last one holds";
  EXPECT_EQ(job->training.seed, 9U);
  EXPECT_EQ(job->clients[0].cut_layer, 3);
  EXPECT_EQ(job->clients[1].cut_layer, 2);
  EXPECT_EQ(job->clients[1].data.text_column, "body");
  EXPECT_EQ(job->model, (Model{{SourceKind::kHuggingFace, "gpt2"}, Dtype::kBfloat16}));
  EXPECT_EQ(job->lora.target_modules, std::vector<std::string>{"c_attn"});
}

TEST(Overrides, AreDefaultsForClientsToo) {
  const absl::StatusOr<FineTuneJob> job = Parse(Manifest(), {"split.cutLayer=4"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->clients[1].cut_layer, 4);
}

TEST(Overrides, TakeValuesWithEqualsSigns) {
  const absl::StatusOr<FineTuneJob> job = Parse(Manifest(), {"output.path=a=b"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->output.value, "/jobs/a=b");
}

TEST(Overrides, TakeAFieldAwayWithAnEmptyValue) {
  const absl::StatusOr<FineTuneJob> job = Parse(Manifest(), {"training.steps=", "training.epochs=2"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->training.steps, 0);
  EXPECT_EQ(job->training.epochs, 2);
}

struct BadOverride {
  const char* text;
  const char* message;
};

void PrintTo(const BadOverride& bad, std::ostream* out) { *out << bad.text; }

class BadOverrides : public ::testing::TestWithParam<BadOverride> {};

TEST_P(BadOverrides, AreRefusedWithAReason) { EXPECT_EQ(ErrorOf(Manifest(), {GetParam().text}), GetParam().message); }

INSTANTIATE_TEST_SUITE_P(
    All, BadOverrides,
    ::testing::Values(
        // What is wrong with the field is said as if the manifest had it.
        BadOverride{"training.stpes=50", "spec.training.stpes: unknown field; did you mean steps?"},
        BadOverride{"training.steps=many", "spec.training.steps: many is not an integer from 0 to 1000000000"},
        BadOverride{"clients[1].cutLayer=0", "spec.clients[1].cutLayer: 0 is not an integer from 1 to 10000"},
        BadOverride{"clients.bank.cutLayr=3", "spec.clients[1].cutLayr: unknown field; did you mean cutLayer?"},
        BadOverride{
            "metadata.name=x",
            "spec.metadata: unknown field; known here: model, lora, split, training, clients, workers, aggregator, "
            "output, scheduling, suspend, activeDeadlineSeconds, startDeadlineSeconds, stallTimeoutSeconds, "
            "ttlSecondsAfterFinished, backoffLimit, failureRules, managedBy"},
        // What finds no field.
        BadOverride{"clients[2].cutLayer=3", "override clients[2].cutLayer=3: there is no element [2]; the list has 2"},
        BadOverride{"clients.bnak.cutLayer=3",
                    "override clients.bnak.cutLayer=3: no element is named bnak; did you mean bank?"},
        BadOverride{"clients.university.cutLayer=3",
                    "override clients.university.cutLayer=3: no element is named university"},
        BadOverride{"training[0].steps=3", "override training[0].steps=3: [0] needs a list"},
        BadOverride{"training.steps.x=3",
                    "override training.steps.x=3: x cannot be set in 100, which is not a mapping"},
        BadOverride{"training.steps=[1",
                    "override training.steps=[1: in the value, line 1: not YAML: end of sequence "
                    "flow not found"},
        BadOverride{"training.steps=&a 1",
                    "override training.steps=&a 1: in the value, line 1: an anchor (&); write the "
                    "value out where it is used"},
        // What is no override.
        BadOverride{"", "override : expected PATH=VALUE, as in training.steps=50 or clients[0].cutLayer=3"},
        BadOverride{"training.steps",
                    "override training.steps: expected PATH=VALUE, as in training.steps=50 or clients[0].cutLayer=3"},
        BadOverride{"=5", "override =5: expected PATH=VALUE, as in training.steps=50 or clients[0].cutLayer=3"},
        BadOverride{"spec=5", "override spec=5: expected PATH=VALUE, as in training.steps=50 or clients[0].cutLayer=3"},
        BadOverride{
            "training..steps=5",
            "override training..steps=5: expected PATH=VALUE, as in training.steps=50 or clients[0].cutLayer=3"},
        BadOverride{
            "clients[-1].name=x",
            "override clients[-1].name=x: expected PATH=VALUE, as in training.steps=50 or clients[0].cutLayer=3"},
        BadOverride{"clients[0.name=x",
                    "override clients[0.name=x: expected PATH=VALUE, as in training.steps=50 or clients[0].cutLayer=3"},
        BadOverride{
            "clients[0]x.name=x",
            "override clients[0]x.name=x: expected PATH=VALUE, as in training.steps=50 or clients[0].cutLayer=3"}));

TEST(Overrides, AreNoWayToNestDeeply) {
  std::string path = "training";
  for (int i = 0; i < 40; ++i) {
    path += ".x";
  }
  EXPECT_TRUE(ErrorOf(Manifest(), {path + "=1"}).starts_with("override training.x.x"));
}

TEST(Overrides, AreCounted) {
  EXPECT_EQ(ErrorOf(Manifest(), std::vector<std::string>(1001, "training.steps=1")),
            "1001 overrides; at most 1000 are allowed");
}

}  // namespace
}  // namespace splitft::spec
