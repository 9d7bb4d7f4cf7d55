#include "worker/client_data.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status_macros.h"
#include "libs/text/dataset.h"
#include "libs/text/tokenizer.h"

namespace splitft::worker {
namespace {

// Embedding rows are looked up by id without a check.
absl::Status CheckIds(const std::vector<text::Row>& rows, int64_t vocabulary_size) {
  for (const text::Row& row : rows) {
    for (const text::Sample& sample : row.samples) {
      const auto largest = std::max_element(sample.tokens.begin(), sample.tokens.end());
      if (largest != sample.tokens.end() && (*largest >= vocabulary_size || *largest < 0)) {
        return absl::InvalidArgumentError(absl::StrCat("the tokenizer gives id ", *largest,
                                                       "; the model's vocab_size is ", vocabulary_size,
                                                       ": tokenizer and model do not belong together"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<const spec::Client*> FindClient(const spec::FineTuneJob& job, const std::string& name) {
  std::vector<std::string> names;
  for (const spec::Client& client : job.clients) {
    if (client.name == name) {
      return &client;
    }
    names.push_back(client.name);
  }
  return absl::NotFoundError(
      absl::StrCat("--client: the job has no client \"", name, "\"; it has ", absl::StrJoin(names, ", ")));
}

absl::StatusOr<train::BatchSampler> LoadBatches(const train::JobSetup& setup, const spec::Client& client,
                                                const telemetry::Log& log) {
  const spec::Training& training = setup.job.training;
  SPLITFT_ASSIGN_OR_RETURN(const text::Tokenizer tokenizer, text::Tokenizer::Load(setup.base->path()));
  SPLITFT_ASSIGN_OR_RETURN(text::Dataset dataset,
                           text::LoadDataset(client.data, tokenizer, text::DatasetOptionsOf(training, client.name)));
  SPLITFT_RETURN_IF_ERROR(CheckIds(dataset.train, setup.base->config().vocabulary_size));
  SPLITFT_RETURN_IF_ERROR(CheckIds(dataset.eval, setup.base->config().vocabulary_size));
  const text::DatasetStats& stats = dataset.stats;
  log.Info("data read", {{"client", client.name},
                         {"records", stats.records},
                         {"skipped", stats.skipped},
                         {"truncated", stats.truncated},
                         {"rows", dataset.train.size()},
                         {"held_out", dataset.eval.size()},
                         {"tokens", stats.tokens},
                         {"loss_tokens", stats.loss_tokens}});
  return train::BatchSampler(std::move(dataset), client.batch_size, training.seed, client.name);
}

protocol::Hello HelloOf(const train::JobSetup& setup, const train::BatchSampler& sampler) {
  return {.protocol_version = protocol::kProtocolVersion,
          .model_digest = setup.model_digest,
          .adapter_elements = setup.layout->size(),
          .hidden_size = setup.base->config().hidden_size,
          .formats = {protocol::WireFormat::kFp32, protocol::WireFormat::kBf16, protocol::WireFormat::kInt8},
          .train_rows = sampler.train_rows(),
          .eval_batches = sampler.eval_batches()};
}

}  // namespace splitft::worker
