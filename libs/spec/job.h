#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

// The FineTuneJob manifest (docs/manifest.md) as a value: parsed, defaulted and validated once by parse.h, then const.
// Every path is absolute here: ParseJob resolves it against the manifest's folder.
namespace splitft::spec {

enum class Dtype { kFloat32, kBfloat16 };
enum class LabelSide { kClient, kServer };
enum class Schedule { kConstant, kLinear, kCosine };
enum class DataFormat { kAuto, kText, kJsonl, kCsv };
// kAuto is the model's own dtype: what is computed is what is sent.
enum class Codec { kAuto, kFp32, kBf16, kInt8, kInt4 };
enum class Role { kWorker, kAggregator };
enum class FailureAction { kFailJob, kRestart, kIgnore };
enum class SchedulingPolicy { kStatic, kMakespan, kBudget, kSplitFt };

// Where a model, data or output lies. Only kPath works without a cluster.
enum class SourceKind { kPath, kHuggingFace, kPersistentVolumeClaim, kHostPath, kConfigMap };
struct Source {
  SourceKind kind = SourceKind::kPath;
  std::string value;  // kPath, kHostPath: absolute path; kHuggingFace: org/name@revision; kPersistentVolumeClaim:
                      // claim[/sub/path]; kConfigMap: name/key

  bool operator==(const Source&) const = default;
};

struct Model {
  Source source;
  Dtype dtype = Dtype::kFloat32;

  bool operator==(const Model&) const = default;
};

struct Lora {
  int rank = 8;
  double alpha = 16;                        // scale is alpha / rank
  double dropout = 0;                       // in [0, 1)
  std::vector<std::string> target_modules;  // Hugging Face names (q_proj, c_attn); empty: the architecture's default
  std::map<std::string, int> rank_pattern;  // as in PEFT: "layers.3.self_attn.q_proj" or a suffix -> rank
  std::map<std::string, double> alpha_pattern;           // likewise -> alpha
  int cut_layer_rank = 0;                                // 0: off
  std::optional<std::filesystem::path> initial_adapter;  // a PEFT directory to start from

  bool operator==(const Lora&) const = default;
};

struct Split {
  int cut_layer = 1;      // default for clients
  int min_cut_layer = 1;  // privacy floor, >= 1
  int max_cut_layer = 0;  // 0: the model's last block
  LabelSide labels = LabelSide::kClient;
  int tail_blocks = 0;       // last blocks that run with the tail on the client; only with LabelSide::kClient
  bool train_client = true;  // false: the client's blocks are frozen, no gradient returns
  Codec codec = Codec::kAuto;

  bool operator==(const Split&) const = default;
};

struct Optimizer {  // AdamW (Loshchilov, Hutter 2019); names and defaults as torch.optim.AdamW
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.0;

  bool operator==(const Optimizer&) const = default;
};

struct Evaluation {
  int interval_steps = 0;       // 0: no evaluation
  double fraction = 0.0;        // share of each client's samples held out, in [0, 0.5]
  int early_stop_patience = 0;  // evaluations without improvement before the job ends; 0: never
  double early_stop_min_delta = 0.0;

  bool operator==(const Evaluation&) const = default;
};

struct Training {
  int64_t steps = 0;     // exactly one of steps and epochs is > 0
  double epochs = 0;     // passes of the client with the most batches over its own data
  int batch_size = 4;    // sequences per client and step
  int microbatches = 1;  // <= the smallest batch size
  int sequence_length = 512;
  bool packing = false;
  Optimizer optimizer;
  double learning_rate = 2e-4;
  Schedule schedule = Schedule::kLinear;
  int64_t warmup_steps = 0;
  double max_grad_norm = 1.0;  // over all adapters; 0: no clipping
  uint64_t seed = 0;           // below 2^63
  Evaluation evaluation;

  bool operator==(const Training&) const = default;
};

struct Data {
  Source source;
  DataFormat format = DataFormat::kAuto;  // kAuto: by the file's extension (.jsonl, .csv, else text)
  std::string text_column = "text";
  std::string prompt_column = "prompt";
  std::string completion_column = "completion";
  std::string messages_column = "messages";
  bool mask_prompt = true;  // no loss on the prompt's tokens

  bool operator==(const Data&) const = default;
};

struct Client {
  std::string name;  // DNS label, unique in the job
  Data data;
  int cut_layer = 1;
  int batch_size = 4;
  double weight = 1.0;          // > 0: factor of this client's token losses
  std::string device = "auto";  // auto | cpu | cuda:N
  std::string pod_template;     // laid over that of Workers

  bool operator==(const Client&) const = default;
};

// What a cluster adds to the pods it makes: JSON in PodTemplateSpec's shape, as it was given, unchecked; empty:
// nothing.
struct Workers {
  std::string pod_template;  // of every client's worker

  bool operator==(const Workers&) const = default;
};

struct Aggregator {
  std::string device = "auto";
  std::string pod_template;

  bool operator==(const Aggregator&) const = default;
};

// What to do when a program of `role` ends with one of `exit_codes`. The first rule that fits holds.
struct FailureRule {
  Role role = Role::kWorker;
  std::vector<int> exit_codes;  // empty: any
  FailureAction action = FailureAction::kRestart;

  bool operator==(const FailureRule&) const = default;
};

// How cuts, codecs and microbatches follow what is measured while the job runs (libs/scheduler).
struct Scheduling {
  SchedulingPolicy policy = SchedulingPolicy::kStatic;
  int round_steps = 5;              // steps from one decision to the next
  int payback_rounds = 10;          // within how many rounds a change must pay for itself
  std::vector<std::string> codecs;  // that clients may be given; empty: the one that the job begins with
  double step_seconds = 0;          // kBudget: how long a step may take

  bool operator==(const Scheduling&) const = default;
};

// What an operator does with the job as a whole. One machine makes no use of it.
struct Lifecycle {
  bool suspend = false;
  std::optional<std::chrono::seconds> active_deadline;  // none: no limit
  std::chrono::seconds start_deadline{3600};            // 0: no limit; likewise below
  std::chrono::seconds stall_timeout{900};
  std::optional<std::chrono::seconds> ttl_after_finished;  // none: kept
  int backoff_limit = 6;                                   // restarts of each worker and of the aggregator
  std::vector<FailureRule> failure_rules;
  std::string managed_by = "splitft.io/operator";

  bool operator==(const Lifecycle&) const = default;
};

// In the manifest that a cluster's pods read: the job's metadata.uid there.
inline constexpr char kUidAnnotation[] = "splitft.io/uid";

struct FineTuneJob {
  std::string name;
  std::string name_space = "default";
  std::map<std::string, std::string> labels;  // of metadata: kept, not used
  std::map<std::string, std::string> annotations;
  Model model;
  Lora lora;
  Split split;
  Training training;
  std::vector<Client> clients;
  Workers workers;
  Aggregator aggregator;
  Source output;
  Scheduling scheduling;
  Lifecycle lifecycle;

  bool operator==(const FineTuneJob&) const = default;
};

// Sequences of the smallest batch of a client, of whom the job has one at least: no more microbatches can there be.
inline int SmallestBatch(const FineTuneJob& job) {
  int smallest = job.clients.front().batch_size;
  for (const Client& client : job.clients) {
    smallest = std::min(smallest, client.batch_size);
  }
  return smallest;
}

}  // namespace splitft::spec
