#include "libs/spec/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/libs/spec/manifest.h"

namespace splitft::spec {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// As people write it (the architecture's example).
constexpr char kQuickstart[] = R"(
apiVersion: splitft.io/v1alpha1
kind: FineTuneJob
metadata: {name: quickstart}
spec:
  model: {source: {path: base}, dtype: float32}           # or {huggingFace: org/name@rev}
  lora: {rank: 8, alpha: 16, targetModules: [q_proj, v_proj], cutLayerRank: 4}
  split: {cutLayer: 2, labels: Client}
  training: {steps: 200, batchSize: 4, sequenceLength: 128, learningRate: 5.0e-4, seed: 7}
  clients:
    - {name: hospital, data: {path: hospital.txt}}
    - {name: bank, data: {path: bank.jsonl}, cutLayer: 1}
  output: {path: out}
)";

// Every field, none with its default.
constexpr char kEverything[] = R"(
apiVersion: splitft.io/v1alpha1
kind: FineTuneJob
metadata:
  name: everything
  namespace: research
  labels: {team: "7"}
  annotations: {example.org/note: "two\nlines"}
spec:
  model:
    source: {huggingFace: meta-llama/Llama-3.2-1B@4e20de3}
    dtype: bfloat16
  lora:
    rank: 16
    alpha: 32.5
    dropout: 0.05
    targetModules: [q_proj, mlp.down_proj]
    rankPattern: {layers.3.self_attn.q_proj: 4}
    alphaPattern: {layers.3.self_attn.q_proj: 8}
    cutLayerRank: 2
    initialAdapter: {path: ../start}
  split: {cutLayer: 3, minCutLayer: 2, maxCutLayer: 6, labels: Client, tailBlocks: 1, trainClient: false, codec: bf16}
  training:
    epochs: 2.5
    batchSize: 8
    microbatches: 2
    sequenceLength: 1024
    packing: true
    optimizer: {type: AdamW, beta1: 0.8, beta2: 0.95, epsilon: 1e-6, weightDecay: 0.01}
    learningRate: 1e-3
    schedule: cosine
    warmupSteps: 10
    maxGradNorm: 0.5
    seed: 9223372036854775807
    evaluation: {intervalSteps: 20, fraction: 0.1, earlyStopping: {patience: 3, minDelta: 0.01}}
  clients:
    - name: hospital
      data:
        persistentVolumeClaim: records/2024
        format: csv
        columns: {text: body, prompt: question, completion: answer, messages: turns}
        maskPrompt: false
      cutLayer: 4
      batchSize: 2
      weight: 0.5
      device: cuda:1
      template: {spec: {nodeSelector: {site: north}}}
  workers: {template: {metadata: {labels: {queue: "7"}}, spec: {containers: [{image: a/b:1}]}}}
  aggregator: {device: cpu, template: {spec: {containers: [{resources: {limits: {nvidia.com/gpu: 1}}}]}}}
  output: {hostPath: /var/out/}
  suspend: true
  activeDeadlineSeconds: 7200
  startDeadlineSeconds: 60
  stallTimeoutSeconds: 0
  ttlSecondsAfterFinished: 0
  backoffLimit: 2
  failureRules:
    - {role: Aggregator, action: FailJob}
    - {role: Worker, onExitCodes: [4, 137], action: Ignore}
  managedBy: kueue.x-k8s.io/multikueue
)";

TEST(ParseJob, ReadsWhatPeopleWrite) {
  const absl::StatusOr<FineTuneJob> job = Parse(kQuickstart);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->name, "quickstart");
  EXPECT_EQ(job->model.source, (Source{SourceKind::kPath, "/jobs/base"}));
  EXPECT_THAT(job->lora.target_modules, ElementsAre("q_proj", "v_proj"));
  EXPECT_EQ(job->lora.cut_layer_rank, 4);
  EXPECT_EQ(job->training.steps, 200);
  EXPECT_EQ(job->training.learning_rate, 5e-4);
  EXPECT_EQ(job->training.seed, 7U);
  ASSERT_EQ(job->clients.size(), 2U);
  EXPECT_EQ(job->clients[0].data.source.value, "/jobs/hospital.txt");
  EXPECT_EQ(job->clients[0].cut_layer, 2) << "the job's own";
  EXPECT_EQ(job->clients[1].cut_layer, 1);
  EXPECT_EQ(job->output.value, "/jobs/out");
}

TEST(ParseJob, ReadsEveryField) {
  const absl::StatusOr<FineTuneJob> job = Parse(kEverything);
  ASSERT_TRUE(job.ok()) << job.status();
  const FineTuneJob expected = {
      .name = "everything",
      .name_space = "research",
      .labels = {{"team", "7"}},
      .annotations = {{"example.org/note", "two\nlines"}},
      .model = {{SourceKind::kHuggingFace, "meta-llama/Llama-3.2-1B@4e20de3"}, Dtype::kBfloat16},
      .lora = {.rank = 16,
               .alpha = 32.5,
               .dropout = 0.05,
               .target_modules = {"q_proj", "mlp.down_proj"},
               .rank_pattern = {{"layers.3.self_attn.q_proj", 4}},
               .alpha_pattern = {{"layers.3.self_attn.q_proj", 8}},
               .cut_layer_rank = 2,
               .initial_adapter = "/start"},
      .split = {.cut_layer = 3,
                .min_cut_layer = 2,
                .max_cut_layer = 6,
                .labels = LabelSide::kClient,
                .tail_blocks = 1,
                .train_client = false,
                .codec = Codec::kBf16},
      .training = {.steps = 0,
                   .epochs = 2.5,
                   .batch_size = 8,
                   .microbatches = 2,
                   .sequence_length = 1024,
                   .packing = true,
                   .optimizer = {.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-6, .weight_decay = 0.01},
                   .learning_rate = 1e-3,
                   .schedule = Schedule::kCosine,
                   .warmup_steps = 10,
                   .max_grad_norm = 0.5,
                   .seed = 9223372036854775807U,
                   .evaluation =
                       {.interval_steps = 20, .fraction = 0.1, .early_stop_patience = 3, .early_stop_min_delta = 0.01}},
      .clients = {{.name = "hospital",
                   .data = {.source = {SourceKind::kPersistentVolumeClaim, "records/2024"},
                            .format = DataFormat::kCsv,
                            .text_column = "body",
                            .prompt_column = "question",
                            .completion_column = "answer",
                            .messages_column = "turns",
                            .mask_prompt = false},
                   .cut_layer = 4,
                   .batch_size = 2,
                   .weight = 0.5,
                   .device = "cuda:1",
                   .pod_template = R"({"spec": {"nodeSelector": {"site": "north"}}})"}},
      .workers = {R"({"metadata": {"labels": {"queue": "7"}}, "spec": {"containers": [{"image": "a/b:1"}]}})"},
      .aggregator = {.device = "cpu",
                     .pod_template = R"({"spec": {"containers": [{"resources": {"limits": {"nvidia.com/gpu": 1}}}]}})"},
      .output = {SourceKind::kHostPath, "/var/out"},
      .lifecycle = {.suspend = true,
                    .active_deadline = std::chrono::seconds(7200),
                    .start_deadline = std::chrono::seconds(60),
                    .stall_timeout = std::chrono::seconds(0),
                    .ttl_after_finished = std::chrono::seconds(0),
                    .backoff_limit = 2,
                    .failure_rules = {{Role::kAggregator, {}, FailureAction::kFailJob},
                                      {Role::kWorker, {4, 137}, FailureAction::kIgnore}},
                    .managed_by = "kueue.x-k8s.io/multikueue"},
  };
  EXPECT_TRUE(*job == expected) << "read:\n" << FormatJob(*job) << "\nexpected:\n" << FormatJob(expected);
}

TEST(ParseJob, LeavesDefaultsWhereNothingIsGiven) {
  const absl::StatusOr<FineTuneJob> job = Parse(Manifest());
  ASSERT_TRUE(job.ok()) << job.status();
  FineTuneJob expected = {.name = "quickstart"};
  expected.model.source.value = "/jobs/base";
  expected.training.steps = 100;
  expected.clients = {{.name = "hospital", .data = {.source = {SourceKind::kPath, "/jobs/a.txt"}}},
                      {.name = "bank", .data = {.source = {SourceKind::kPath, "/jobs/b.jsonl"}}}};
  expected.output.value = "/jobs/out";
  EXPECT_TRUE(*job == expected) << "read:\n" << FormatJob(*job) << "\nexpected:\n" << FormatJob(expected);
}

TEST(ParseJob, TakesNullForAbsentAsKubernetesDoes) {
  const absl::StatusOr<FineTuneJob> job = Parse(Manifest({{"lora", ""}, {"split", "{cutLayer: ~, codec: null}"}}));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->split, Split());
}

TEST(ParseJob, KeepsPodTemplatesAsJson) {
  const auto kept = [](const std::string& yaml) {
    const absl::StatusOr<FineTuneJob> job = Parse(Manifest({{"workers", "{template: " + yaml + "}"}}));
    return job.ok() ? job->workers.pod_template : std::string(job.status().message());
  };
  EXPECT_EQ(kept("{}"), "{}");
  EXPECT_EQ(kept("~"), "") << "null is absent";
  EXPECT_EQ(kept("{b: 1e3, a: -0.50, c: true, d: ~, e: \"true\", f: 500m, g: [], h: \"2\"}"),
            R"({"b": 1000, "a": -0.5, "c": true, "d": null, "e": "true", "f": "500m", "g": [], "h": "2"})");
  EXPECT_EQ(kept("{a: \"x\\n\\\"\\\\\u00fc\"}"), "{\"a\": \"x\\u000a\\\"\\\\\u00fc\"}");
}

TEST(ParseJob, GivesClientsTheJobsCutAndBatchSize) {
  const absl::StatusOr<FineTuneJob> job = Parse(Manifest({{"split", "{cutLayer: 5}"},
                                                          {"training", "{steps: 1, batchSize: 32}"},
                                                          {"clients",
                                                           "[{name: a, data: {path: a}},"
                                                           " {name: b, data: {path: b}, batchSize: 2}]"}}));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->clients[0].cut_layer, 5);
  EXPECT_EQ(job->clients[0].batch_size, 32);
  EXPECT_EQ(job->clients[1].batch_size, 2);
}

TEST(ParseJob, TakesIntegersInEveryDecimalSpelling) {
  const absl::StatusOr<FineTuneJob> job = Parse(Manifest({{"training", "{steps: 1e3, seed: +12, batchSize: 8.0}"}}));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->training.steps, 1000);
  EXPECT_EQ(job->training.seed, 12U);
  EXPECT_EQ(job->training.batch_size, 8);
}

TEST(ParseJob, MakesPathsAbsoluteAndShort) {
  const auto output_of = [](const std::string& path) {
    const absl::StatusOr<FineTuneJob> job = Parse(Manifest({{"output", "{path: " + path + "}"}}));
    return job.ok() ? job->output.value : std::string(job.status().message());
  };
  EXPECT_EQ(output_of("out"), "/jobs/out");
  EXPECT_EQ(output_of("./a/../b/"), "/jobs/b");
  EXPECT_EQ(output_of("../other"), "/other");
  EXPECT_EQ(output_of("/var//x"), "/var/x");
  EXPECT_EQ(output_of("."), "/jobs");
  EXPECT_EQ(output_of("/"), "/");
  EXPECT_EQ(output_of("\"2024\""), "/jobs/2024");
}

TEST(ParseJob, ResolvesARelativeFolderAgainstTheCurrentOne) {
  const absl::StatusOr<FineTuneJob> job = ParseJob(Manifest(), {.base_directory = "sub"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->output.value, (std::filesystem::current_path() / "sub/out").string());
}

TEST(ParseJob, ReadsJsonToo) {
  const absl::StatusOr<FineTuneJob> job = Parse(
      R"({"apiVersion": "splitft.io/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": "j", "labels": {"a": "b"}},
          "spec": {"model": {"source": {"path": "base"}}, "training": {"steps": 5}, "output": {"path": "out"},
                   "clients": [{"name": "c", "data": {"path": "\u00fc.txt"}}]}})");
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_THAT(job->labels, UnorderedElementsAre(Pair("a", "b")));
  EXPECT_EQ(job->clients[0].data.source.value, "/jobs/\u00fc.txt");
}

TEST(FormatJob, IsReadBackAsTheSameJob) {
  for (const char* yaml : {kQuickstart, kEverything}) {
    const absl::StatusOr<FineTuneJob> job = Parse(yaml);
    ASSERT_TRUE(job.ok()) << job.status();
    // The folder does not matter: every path is absolute.
    const absl::StatusOr<FineTuneJob> again = ParseJob(FormatJob(*job), {.base_directory = "/elsewhere"});
    ASSERT_TRUE(again.ok()) << again.status() << "\n" << FormatJob(*job);
    EXPECT_TRUE(*again == *job) << FormatJob(*job) << "\nread back as\n" << FormatJob(*again);
    EXPECT_EQ(FormatJob(*again), FormatJob(*job));
  }
}

TEST(FormatJob, QuotesWhatWouldBeReadAsSomethingElse) {
  FineTuneJob job = *Parse(Manifest());
  for (const char* name : {"no", "5", "1e3", "null", "0x10"}) {
    job.clients[0].name = name;
    const absl::StatusOr<FineTuneJob> again = Parse(FormatJob(job));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->clients[0].name, name);
  }
  for (const char* path : {"/a b", "/a: b", "/#x", "/\"'\\", "/{x}", "/\u00fc\u4e2d", "/x ", "/*", "/a,b]"}) {
    job.output.value = path;
    const absl::StatusOr<FineTuneJob> again = Parse(FormatJob(job));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->output.value, path);
  }
}

TEST(FormatJob, WritesPodTemplatesSoThatTheyAreReadBack) {
  for (const char* yaml : {"{a: {b: [1, 2.5, {c: ~}], \"d: e\": \"x\\n\\x7f#\"}}",
                           "{a: 1e300, b: 99999999999999999999}", "{\"{}[],:\": \"'\"}"}) {
    const absl::StatusOr<FineTuneJob> job = Parse(Manifest({{"aggregator", std::string("{template: ") + yaml + "}"}}));
    ASSERT_TRUE(job.ok()) << job.status();
    const absl::StatusOr<FineTuneJob> again = Parse(FormatJob(*job));
    ASSERT_TRUE(again.ok()) << again.status() << FormatJob(*job);
    EXPECT_EQ(again->aggregator.pod_template, job->aggregator.pod_template);
  }
}

TEST(FormatJob, IsStableText) {
  const std::string text = FormatJob(*Parse(Manifest(
      {{"lora", "{rankPattern: {h.0.attn.c_attn: 2}}"}, {"clients", "[{name: a, data: {path: a}, weight: 1e6}]"}})));
  EXPECT_THAT(text, ::testing::HasSubstr("spec:\n"
                                         "  model:\n"
                                         "    source:\n"
                                         "      path: /jobs/base\n"
                                         "    dtype: float32\n"));
  EXPECT_THAT(text, ::testing::HasSubstr("    rankPattern: {h.0.attn.c_attn: 2}\n"
                                         "    alphaPattern: {}\n"
                                         "    cutLayerRank: 0\n"
                                         "  split:\n"));
  EXPECT_THAT(text, ::testing::HasSubstr("  clients:\n"
                                         "    - name: a\n"
                                         "      data:\n"
                                         "        path: /jobs/a\n"));
  EXPECT_THAT(text, ::testing::HasSubstr("      weight: 1000000\n"));
}

}  // namespace
}  // namespace splitft::spec
