#include "tests/golden/train/training_case.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/random.h"
#include "libs/base/status_macros.h"
#include "libs/model/peft_adapter.h"
#include "libs/train/batches.h"
#include "libs/train/schedule.h"
#include "nlohmann/json.hpp"

namespace splitft {
namespace {

namespace fs = std::filesystem;

constexpr int kVocabulary = 96;  // make_models.py's
constexpr size_t kJsonLimitBytes = 16 << 20;

std::string Manifest(const TrainingCase& test) {
  std::string yaml = absl::StrCat(
      "apiVersion: splitft.io/v1alpha1\nkind: FineTuneJob\nmetadata: {name: golden}\nspec:\n  model: {source: {path: ",
      SPLITFT_GOLDEN_MODELS, "/", test.model, "}, dtype: ", test.dtype,
      "}\n  lora: {rank: 3, alpha: 6, dropout: ", test.dropout, ", targetModules: [", test.target_modules, "]",
      test.extra_lora, "}\n  split: {labels: ", test.labels, ", codec: ", test.codec,
      ", tailBlocks: ", test.tail_blocks, ", trainClient: ", test.train_client ? "true" : "false",
      "}\n  training: {steps: ", test.steps, ", microbatches: ", test.microbatches,
      ", sequenceLength: 32, learningRate: 0.02, warmupSteps: 2, maxGradNorm: 0.5, seed: 11, optimizer: {weightDecay: "
      "0.01}");
  absl::StrAppend(&yaml, test.extra_training.empty() ? "" : ", ", test.extra_training, "}\n  clients:\n");
  for (const CaseClient& client : test.clients) {
    absl::StrAppend(&yaml, "    - {name: ", client.name, ", data: {path: unused.txt}, cutLayer: ", client.cut_layer,
                    ", batchSize: ", client.batch_size, ", weight: ", client.weight, "}\n");
  }
  return absl::StrCat(yaml, "  output: {path: out}\n");
}

// The batches of every step, as peft_training.py takes them: one entry per sequence.
nlohmann::json Steps(const TrainingCase& test) {
  nlohmann::json steps = nlohmann::json::array();
  std::vector<text::Dataset> datasets = CaseDatasets(test);
  std::vector<train::BatchSampler> samplers;
  for (size_t c = 0; c < datasets.size(); ++c) {
    samplers.emplace_back(std::move(datasets[c]), test.clients[c].batch_size, 11, test.clients[c].name);
  }
  for (int step = 0; step < test.steps; ++step) {
    nlohmann::json sequences = nlohmann::json::array();
    for (size_t c = 0; c < samplers.size(); ++c) {
      const train::Microbatch batch = samplers[c].Train(static_cast<uint64_t>(step), 1).front();
      const auto* ids = batch.ids_N.const_data_ptr<int64_t>();
      const auto* labels = batch.labels_N.const_data_ptr<int64_t>();
      for (const model::SequenceRun& run : batch.part.runs) {
        for (int64_t i = 0; i < run.count; ++i, ids += run.length, labels += run.length) {
          sequences.push_back({{"ids", std::vector<int64_t>(ids, ids + run.length)},
                               {"labels", std::vector<int64_t>(labels, labels + run.length)},
                               {"weight", test.clients[c].weight}});
        }
      }
    }
    steps.push_back(std::move(sequences));
  }
  return steps;
}

}  // namespace

TrainingCase ThreeClients() {
  TrainingCase test;
  test.clients = {{.name = "bank", .cut_layer = 1, .batch_size = 2, .weight = 1, .lengths = {16, 12, 16, 8}},
                  {.name = "factory", .cut_layer = 3, .batch_size = 1, .weight = 0.5, .lengths = {31, 20}},
                  {.name = "hospital", .cut_layer = 2, .batch_size = 3, .weight = 2, .lengths = {7, 7, 24, 11, 9}}};
  return test;
}

absl::StatusOr<train::JobSetup> OpenCase(const TrainingCase& test, const fs::path& folder) {
  fs::create_directories(folder);
  SPLITFT_RETURN_IF_ERROR(WriteFileAtomically(folder / "job.yaml", Manifest(test)));
  return train::OpenJob(folder / "job.yaml");
}

std::vector<text::Dataset> CaseDatasets(const TrainingCase& test) {
  std::vector<text::Dataset> datasets;
  for (const CaseClient& client : test.clients) {
    text::Dataset dataset;
    const RandomStream draws({.seed = 3, .client = HashName(client.name)});
    uint64_t next = 0;
    for (const int length : client.lengths) {
      text::Sample sample;
      for (int i = 0; i < length; ++i) {
        sample.tokens.push_back(static_cast<int32_t>(draws.Below(next++, kVocabulary)));
        sample.loss_mask.push_back(i % 3 == 2 ? 0 : 1);
      }
      dataset.train.push_back({.samples = {std::move(sample)}});
    }
    dataset.eval = {dataset.train.front()};
    datasets.push_back(std::move(dataset));
  }
  return datasets;
}

absl::StatusOr<std::vector<double>> PeftLosses(const TrainingCase& test, const train::JobSetup& setup,
                                               const fs::path& folder) {
  const spec::Training& training = setup.job.training;
  const std::vector<float> initial = setup.layout->Initialize(training.seed);
  SPLITFT_RETURN_IF_ERROR(model::WritePeftAdapter(folder / "initial", setup.base->config(), setup.job.lora,
                                                  *setup.layout, initial, setup.job.model.source.value));
  nlohmann::json job = {{"model", setup.job.model.source.value},
                        {"adapter", (folder / "initial").string()},
                        {"dtype", test.dtype},
                        {"max_grad_norm", training.max_grad_norm},
                        {"optimizer",
                         {{"betas", {training.optimizer.beta1, training.optimizer.beta2}},
                          {"eps", training.optimizer.epsilon},
                          {"weight_decay", training.optimizer.weight_decay}}},
                        {"steps", Steps(test)}};
  for (int step = 0; step < test.steps; ++step) {
    job["learning_rates"].push_back(train::LearningRate(training, step, test.steps));
  }
  SPLITFT_RETURN_IF_ERROR(WriteFileAtomically(folder / "batches.json", job.dump()));
  const std::string command = absl::StrCat(SPLITFT_PYREF, " ", SPLITFT_GOLDEN_SOURCE, "/peft_training.py ",
                                           (folder / "batches.json").string(), " ", (folder / "peft.json").string());
  if (const int code = std::system(command.c_str()); code != 0) {
    return absl::InternalError(absl::StrCat(command, " ended with ", code));
  }
  SPLITFT_ASSIGN_OR_RETURN(const std::string result, ReadFile(folder / "peft.json", kJsonLimitBytes));
  return nlohmann::json::parse(result).at("losses").get<std::vector<double>>();
}

}  // namespace splitft
