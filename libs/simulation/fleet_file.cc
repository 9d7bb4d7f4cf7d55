#include "libs/simulation/fleet_file.h"

#include <algorithm>
#include <initializer_list>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status_macros.h"
#include "libs/spec/document.h"
#include "libs/spec/node_values.h"
#include "libs/spec/problems.h"
#include "libs/spec/text_forms.h"

namespace splitft::simulation {
namespace {

using spec::Node;
using spec::Problems;

constexpr std::string_view kPolicies[] = {"Static", "Makespan", "Budget", "SplitFT"};
constexpr std::string_view kSides[] = {"Client", "Server"};
constexpr std::string_view kCodecs[] = {"fp32", "bf16", "int8"};
constexpr double kMicro = 1e-6;
constexpr double kMbit = 1e6 / 8;

// A mapping whose fields are read one by one; those that are left are mistakes.
class Fields {
 public:
  // `node`: null where the mapping is absent.
  Fields(std::string path, const Node* node, Problems& problems) : path_(std::move(path)), problems_(problems) {
    if (node != nullptr && node->kind != Node::Kind::kNull &&
        spec::IsA(Node::Kind::kMapping, {path_, *node}, problems_)) {
      node_ = node;
    }
  }
  Fields(const Fields&) = delete;
  ~Fields() {
    for (size_t i = 0; node_ != nullptr && i < node_->keys.size(); ++i) {
      if (std::find(known_.begin(), known_.end(), node_->keys[i]) == known_.end()) {
        problems_.Add(spec::PathBelow(path_, node_->keys[i]),
                      absl::StrCat("is no field here; expected one of ", absl::StrJoin(known_, ", ")));
      }
    }
  }

  const Node* Take(const std::string& name, bool required = false) {
    known_.push_back(name);
    const Node* found = node_ == nullptr ? nullptr : node_->Find(name);
    if (found == nullptr && required) {
      problems_.Add(spec::PathBelow(path_, name), "is missing");
    }
    return found;
  }
  std::string PathOf(const std::string& name) const { return spec::PathBelow(path_, name); }

  // The number at `name` times `unit`; as it is where there is none.
  void Number(const std::string& name, const spec::NumberRange& range, double& value, double unit = 1,
              bool required = false) {
    if (const Node* node = Take(name, required)) {
      if (const auto number = spec::ReadNumberAt({PathOf(name), *node}, range, problems_)) {
        value = *number * unit;
      }
    }
  }
  template <typename T>
  void Integer(const std::string& name, const spec::IntegerRange& range, T& value, bool required = false) {
    if (const Node* node = Take(name, required)) {
      if (const auto number = spec::ReadIntegerAt({PathOf(name), *node}, range, problems_)) {
        value = static_cast<T>(*number);
      }
    }
  }
  template <typename E>
  void Word(const std::string& name, std::span<const std::string_view> words, E& value) {
    if (const Node* node = Take(name)) {
      if (const auto index = spec::ReadWordAt({PathOf(name), *node}, words, problems_)) {
        value = static_cast<E>(*index);
      }
    }
  }
  // The items of the list at `name`.
  const std::vector<Node>& List(const std::string& name, bool required = false) {
    static const std::vector<Node> none;
    const Node* node = Take(name, required);
    return node != nullptr && spec::IsA(Node::Kind::kList, {PathOf(name), *node}, problems_) ? node->items : none;
  }

 private:
  const std::string path_;
  Problems& problems_;
  const Node* node_ = nullptr;
  std::vector<std::string> known_;
};

void ReadModel(const Node* node, Problems& problems, scheduler::ModelShape* shape) {
  Fields model("model", node, problems);
  model.Integer("blocks", {1, 10'000}, shape->block_count, /*required=*/true);
  model.Integer("hiddenSize", {1, 1 << 20}, shape->hidden_size, /*required=*/true);
  model.Integer("adapterBytes", {0, int64_t{1} << 40}, shape->adapter_bytes);
  model.Integer("blockBytes", {0, int64_t{1} << 40}, shape->block_bytes);
}

void ReadTraining(const Node* node, Problems& problems, spec::Training* training) {
  Fields fields("training", node, problems);
  fields.Integer("steps", {1, 1'000'000}, training->steps, /*required=*/true);
  fields.Integer("batchSize", {1, 65'536}, training->batch_size);
  fields.Integer("sequenceLength", {1, 1 << 20}, training->sequence_length);
  fields.Integer("microbatches", {1, 65'536}, training->microbatches);
}

void ReadSplit(const Node* node, Problems& problems, spec::Split* split) {
  Fields fields("split", node, problems);
  fields.Integer("cutLayer", {1, 10'000}, split->cut_layer);
  fields.Integer("minCutLayer", {1, 10'000}, split->min_cut_layer);
  fields.Integer("maxCutLayer", {0, 10'000}, split->max_cut_layer);
  fields.Word("labels", kSides, split->labels);
  size_t codec = 0;
  fields.Word("codec", kCodecs, codec);
  split->codec = static_cast<spec::Codec>(codec + 1);  // Auto comes before them
}

void ReadScheduling(const Node* node, Problems& problems, spec::Scheduling* scheduling) {
  scheduling->policy = spec::SchedulingPolicy::kMakespan;
  Fields fields("scheduling", node, problems);
  fields.Word("policy", kPolicies, scheduling->policy);
  fields.Integer("roundSteps", {1, 1'000'000}, scheduling->round_steps);
  fields.Integer("paybackRounds", {1, 1'000'000}, scheduling->payback_rounds);
  fields.Number("stepSeconds", {0, 86'400}, scheduling->step_seconds);
  const std::vector<Node>& codecs = fields.List("codecs");
  for (size_t i = 0; i < codecs.size(); ++i) {
    if (auto codec =
            spec::ReadTextAt({absl::StrCat("scheduling.codecs[", i, "]"), codecs[i]}, spec::kCodecForm, problems)) {
      scheduling->codecs.push_back(*std::move(codec));
    }
  }
}

void ReadServer(const Node* node, Problems& problems, ServerTruth* server) {
  Fields fields("server", node, problems);
  fields.Number("forwardMicroseconds", {0, 1e9}, server->forward_seconds, kMicro, /*required=*/true);
  fields.Number("backwardMicroseconds", {0, 1e9}, server->backward_seconds, kMicro, /*required=*/true);
  fields.Number("blockMicroseconds", {0, 1e9}, server->block_seconds, kMicro);
  fields.Number("otherMilliseconds", {0, 1e9}, server->other_seconds, 1e-3);
}

// What stands in one item of `clients`: several of a kind.
struct Kind {
  std::string name;
  int count = 1;
  int cut_layer = 0;
  int batch_size = 0;
  ClientTruth truth;
  std::vector<SpeedChange> changes;
};

Kind ReadKind(const std::string& path, const Node& node, Problems& problems) {
  Kind kind;
  Fields fields(path, &node, problems);
  if (const Node* name = fields.Take("name", /*required=*/true)) {
    kind.name = spec::ReadTextAt({fields.PathOf("name"), *name}, spec::kLabelForm, problems).value_or("");
  }
  fields.Integer("count", {1, kMostSimulatedClients}, kind.count);
  fields.Integer("cutLayer", {1, 10'000}, kind.cut_layer);
  fields.Integer("batchSize", {1, 65'536}, kind.batch_size);
  ClientTruth& truth = kind.truth;
  fields.Number("forwardMicroseconds", {0, 1e9, true}, truth.forward_seconds, kMicro, /*required=*/true);
  truth.backward_seconds = 2 * truth.forward_seconds;
  fields.Number("backwardMicroseconds", {0, 1e9}, truth.backward_seconds, kMicro);
  fields.Number("tailMicroseconds", {0, 1e9}, truth.tail_seconds, kMicro);
  fields.Number("upMbit", {0, 1e7}, truth.link.up_bytes_per_second, kMbit);
  truth.link.down_bytes_per_second = truth.link.up_bytes_per_second;
  fields.Number("downMbit", {0, 1e7}, truth.link.down_bytes_per_second, kMbit);
  fields.Number("roundTripMilliseconds", {0, 1e6}, truth.link.round_trip_seconds, 1e-3);
  fields.Integer("memoryBytes", {0, int64_t{1} << 50}, truth.memory_limit_bytes);
  fields.Number("loss", {0, 1e6}, truth.loss);
  fields.Number("noise", {0, 1, false, true}, truth.noise);
  fields.Number("lossProbability", {0, 0.5}, truth.loss_probability);
  fields.Number("awaySeconds", {0, 1e6}, truth.away_seconds);
  const std::vector<Node>& changes = fields.List("changes");
  for (size_t i = 0; i < changes.size(); ++i) {
    SpeedChange change;
    Fields at(absl::StrCat(path, ".changes[", i, "]"), &changes[i], problems);
    at.Integer("step", {1, 1'000'000}, change.step, /*required=*/true);
    at.Number("compute", {0, 1e6, true}, change.compute);
    at.Number("link", {0, 1e6, true}, change.link);
    kind.changes.push_back(change);
  }
  return kind;
}

void AddKind(const Kind& kind, Fleet* fleet) {
  for (int i = 0; i < kind.count; ++i) {
    for (SpeedChange change : kind.changes) {
      change.client = fleet->job.clients.size();
      fleet->changes.push_back(change);
    }
    fleet->job.clients.push_back(
        {.name = kind.count == 1 ? kind.name : absl::StrCat(kind.name, "-", i),
         .data = {},
         .cut_layer = kind.cut_layer > 0 ? kind.cut_layer : fleet->job.split.cut_layer,
         .batch_size = kind.batch_size > 0 ? kind.batch_size : fleet->job.training.batch_size});
    fleet->truth.clients.push_back(kind.truth);
  }
}

// What one field does not show.
void CheckFleet(const Fleet& fleet, Problems& problems) {
  const spec::Split& split = fleet.job.split;
  const int highest = split.max_cut_layer > 0 ? std::min(split.max_cut_layer, fleet.truth.shape.block_count)
                                              : fleet.truth.shape.block_count;
  std::vector<std::string> names;
  for (const spec::Client& client : fleet.job.clients) {
    names.push_back(client.name);
    if (client.cut_layer < split.min_cut_layer || client.cut_layer > highest) {
      problems.Add("clients", absl::StrCat("the cut of ", client.name, " is ", client.cut_layer, "; expected ",
                                           split.min_cut_layer, " to ", highest));
    }
    if (client.batch_size < fleet.job.training.microbatches) {
      problems.Add("clients", absl::StrCat("the batch of ", client.name, " is ", client.batch_size,
                                           "; expected at least training.microbatches, which is ",
                                           fleet.job.training.microbatches));
    }
  }
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end()) {
    problems.Add("clients", absl::StrCat("two are called ", *twice));
  }
  if (names.empty()) {
    problems.Add("clients", "is empty; expected at least one");
  }
  if (names.size() > static_cast<size_t>(kMostSimulatedClients)) {
    problems.Add("clients", absl::StrCat("are ", names.size(), "; expected at most ", kMostSimulatedClients));
  }
  if (fleet.job.scheduling.policy == spec::SchedulingPolicy::kBudget && fleet.job.scheduling.step_seconds == 0) {
    problems.Add("scheduling.stepSeconds", "0 is no time; policy Budget expects a number above 0");
  }
}

}  // namespace

absl::StatusOr<Fleet> ParseFleet(std::string_view yaml) {
  Problems problems;
  const Node document = spec::ParseDocument(yaml, kFleetLimitBytes, problems);
  SPLITFT_RETURN_IF_ERROR(problems.ToStatus());
  Fleet fleet;
  {
    Fields fields("", &document, problems);
    ReadModel(fields.Take("model", true), problems, &fleet.truth.shape);
    ReadTraining(fields.Take("training", true), problems, &fleet.job.training);
    ReadSplit(fields.Take("split"), problems, &fleet.job.split);
    ReadScheduling(fields.Take("scheduling"), problems, &fleet.job.scheduling);
    ReadServer(fields.Take("server", true), problems, &fleet.truth.server);
    fields.Integer("seed", {0, INT64_MAX}, fleet.truth.seed);
    const std::vector<Node>& kinds = fields.List("clients", /*required=*/true);
    for (size_t i = 0; i < kinds.size() && fleet.job.clients.size() <= kMostSimulatedClients; ++i) {
      AddKind(ReadKind(absl::StrCat("clients[", i, "]"), kinds[i], problems), &fleet);
    }
  }
  if (problems.empty()) {
    CheckFleet(fleet, problems);
  }
  SPLITFT_RETURN_IF_ERROR(problems.ToStatus());
  std::stable_sort(fleet.changes.begin(), fleet.changes.end(),
                   [](const SpeedChange& a, const SpeedChange& b) { return a.step < b.step; });
  return fleet;
}

}  // namespace splitft::simulation
