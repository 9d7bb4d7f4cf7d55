#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/text/dataset.h"
#include "libs/train/job_setup.h"

// A small job on one of make_models.py's models, and what PEFT makes of the same batches.
namespace splitft {

struct CaseClient {
  std::string name;
  int cut_layer = 1;
  int batch_size = 2;
  double weight = 1.0;
  std::vector<int> lengths;  // one sample each
};

struct TrainingCase {
  std::string model = "gpt2";  // folder of make_models.py
  std::string dtype = "float32";
  std::string target_modules = "c_attn, c_proj, c_fc";
  double dropout = 0;
  std::string labels = "Client";
  std::string codec = "Auto";
  int tail_blocks = 0;
  bool train_client = true;
  int steps = 20;
  int microbatches = 1;
  std::string extra_lora;      // more of spec.lora, as ", key: value"
  std::string extra_training;  // more lines of spec.training, as "key: value" separated by commas
  std::vector<CaseClient> clients;
};

// Three that differ in everything, on gpt2.
TrainingCase ThreeClients();

// Writes the manifest into `folder` and opens it as the programs do.
absl::StatusOr<train::JobSetup> OpenCase(const TrainingCase& test, const std::filesystem::path& folder);

// Random token samples of the lengths asked for; every third label is masked. The same for the same client.
std::vector<text::Dataset> CaseDatasets(const TrainingCase& test);

// Per-step losses of Transformers + PEFT in one Python process on the union of the clients' batches, from the same
// adapters.
absl::StatusOr<std::vector<double>> PeftLosses(const TrainingCase& test, const train::JobSetup& setup,
                                               const std::filesystem::path& folder);

}  // namespace splitft
