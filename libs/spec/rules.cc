#include "libs/spec/rules.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "libs/spec/parse.h"
#include "libs/spec/scalars.h"

namespace splitft::spec {
namespace {

bool AllRight(const Problems& problems, std::initializer_list<std::string_view> paths) {
  return std::none_of(paths.begin(), paths.end(), [&](std::string_view path) { return problems.Touches(path); });
}

std::string ClientPath(size_t index, std::string_view field) {
  return absl::StrCat("spec.clients[", index, "].", std::string(field));
}

void CheckLora(const Lora& lora, Problems& problems) {
  if (lora.cut_layer_rank > lora.rank && AllRight(problems, {"spec.lora.rank", "spec.lora.cutLayerRank"})) {
    problems.Add("spec.lora.cutLayerRank",
                 absl::StrCat(lora.cut_layer_rank, " is above spec.lora.rank, which is ", lora.rank));
  }
}

void CheckCutBounds(const Split& split, Problems& problems) {
  if (split.max_cut_layer != 0 && split.min_cut_layer > split.max_cut_layer &&
      AllRight(problems, {"spec.split.minCutLayer", "spec.split.maxCutLayer"})) {
    problems.Add("spec.split.minCutLayer",
                 absl::StrCat(split.min_cut_layer, " is above spec.split.maxCutLayer, which is ", split.max_cut_layer));
  }
}

void CheckCut(const std::string& path, int cut, const Split& split, Problems& problems) {
  if (!AllRight(problems, {path, "spec.split.minCutLayer", "spec.split.maxCutLayer"})) {
    return;
  }
  if (cut < split.min_cut_layer) {
    problems.Add(path, absl::StrCat(cut, " is below spec.split.minCutLayer, which is ", split.min_cut_layer));
  } else if (split.max_cut_layer != 0 && cut > split.max_cut_layer) {
    problems.Add(path, absl::StrCat(cut, " is above spec.split.maxCutLayer, which is ", split.max_cut_layer));
  }
}

void CheckCuts(const FineTuneJob& job, Problems& problems) {
  CheckCutBounds(job.split, problems);
  CheckCut("spec.split.cutLayer", job.split.cut_layer, job.split, problems);
  for (size_t i = 0; i < job.clients.size(); ++i) {
    // A client that has the job's cut breaks no rule that the job's cut does not break.
    if (job.clients[i].cut_layer != job.split.cut_layer) {
      CheckCut(ClientPath(i, "cutLayer"), job.clients[i].cut_layer, job.split, problems);
    }
  }
}

void CheckSplit(const Split& split, Problems& problems) {
  if (split.tail_blocks > 0 && split.labels == LabelSide::kServer &&
      AllRight(problems, {"spec.split.tailBlocks", "spec.split.labels"})) {
    problems.Add(
        "spec.split.tailBlocks",
        absl::StrCat(split.tail_blocks, " needs spec.split.labels: Client; with Server the tail is not the client's"));
  }
  if (split.codec == Codec::kInt4) {
    problems.Add("spec.split.codec", "int4 is not available yet; expected one of Auto, fp32, bf16, int8");
  }
}

void CheckLength(const Training& training, Problems& problems) {
  if (!AllRight(problems, {"spec.training.steps", "spec.training.epochs"})) {
    return;
  }
  if (training.steps == 0 && training.epochs == 0) {
    problems.Add("spec.training", "says not how long; expected steps or epochs above 0");
  } else if (training.steps > 0 && training.epochs > 0) {
    problems.Add("spec.training", absl::StrCat("has steps (", training.steps, ") and epochs (",
                                               NumberText(training.epochs), "); expected only one of them"));
  } else if (training.steps > 0 && training.warmup_steps > training.steps &&
             AllRight(problems, {"spec.training.warmupSteps"})) {
    problems.Add("spec.training.warmupSteps",
                 absl::StrCat(training.warmup_steps, " is above spec.training.steps, which is ", training.steps));
  }
}

void CheckMicrobatches(const FineTuneJob& job, Problems& problems) {
  const int microbatches = job.training.microbatches;
  if (!AllRight(problems, {"spec.training.microbatches", "spec.training.batchSize"})) {
    return;
  }
  // One line: who has the smallest batch.
  const auto smallest = std::min_element(job.clients.begin(), job.clients.end(),
                                         [](const Client& a, const Client& b) { return a.batch_size < b.batch_size; });
  if (smallest == job.clients.end() || microbatches <= smallest->batch_size) {
    return;
  }
  const size_t index = static_cast<size_t>(smallest - job.clients.begin());
  const std::string path = ClientPath(index, "batchSize");
  if (AllRight(problems, {path})) {
    const bool own = smallest->batch_size != job.training.batch_size;
    problems.Add("spec.training.microbatches",
                 absl::StrCat(microbatches, " is above ", own ? path : "spec.training.batchSize", ", which is ",
                              smallest->batch_size));
  }
}

void CheckEvaluation(const Evaluation& evaluation, Problems& problems) {
  const std::string path = "spec.training.evaluation.";
  if (!AllRight(problems, {path + "intervalSteps", path + "fraction", path + "earlyStopping"})) {
    return;
  }
  if (evaluation.interval_steps > 0 && evaluation.fraction == 0) {
    problems.Add(path + "fraction", "0 leaves nothing to evaluate on every intervalSteps; expected a number above 0");
  }
  if (evaluation.interval_steps == 0 && evaluation.fraction > 0) {
    problems.Add(path + "intervalSteps",
                 absl::StrCat("0 makes no use of fraction, which is ", NumberText(evaluation.fraction),
                              "; expected an integer above 0"));
  }
  if (evaluation.interval_steps == 0 && evaluation.early_stop_patience > 0) {
    problems.Add(path + "earlyStopping.patience",
                 absl::StrCat(evaluation.early_stop_patience, " needs evaluations; expected intervalSteps above 0"));
  }
}

void CheckScheduling(const Scheduling& scheduling, Problems& problems) {
  if (scheduling.policy == SchedulingPolicy::kBudget && scheduling.step_seconds == 0 &&
      AllRight(problems, {"spec.scheduling.policy", "spec.scheduling.stepSeconds"})) {
    problems.Add("spec.scheduling.stepSeconds", "0 is no time; policy Budget expects a number above 0");
  }
}

void CheckClientNames(const FineTuneJob& job, Problems& problems) {
  std::map<std::string_view, size_t> first_index;
  for (size_t i = 0; i < job.clients.size(); ++i) {
    const std::string& name = job.clients[i].name;
    const auto [first, is_new] = first_index.emplace(name, i);
    const std::string path = ClientPath(i, "name");
    if (!is_new && !name.empty()) {
      problems.Add(path, absl::StrCat(name, " is already the name of spec.clients[", first->second, "]"));
    }
  }
}

}  // namespace

void CheckRules(const FineTuneJob& job, Problems& problems) {
  CheckLora(job.lora, problems);
  CheckCuts(job, problems);
  CheckSplit(job.split, problems);
  CheckLength(job.training, problems);
  CheckMicrobatches(job, problems);
  CheckEvaluation(job.training.evaluation, problems);
  CheckScheduling(job.scheduling, problems);
  CheckClientNames(job, problems);
}

absl::Status ValidateAgainstModel(const FineTuneJob& job, int block_count) {
  Problems problems;
  const Split& split = job.split;
  const std::string blocks = absl::StrCat("the model's ", block_count, block_count == 1 ? " block" : " blocks");
  // The client's blocks below the cut and those of its tail are different ones; the server may have none.
  const int highest = block_count - split.tail_blocks;
  const auto check_cut = [&](const std::string& path, int cut) {
    if (cut > block_count) {
      problems.Add(path, absl::StrCat(cut, " is above ", blocks));
    } else if (cut > highest && highest >= 1) {
      problems.Add(path, absl::StrCat(cut, " and spec.split.tailBlocks ", split.tail_blocks, " are together above ",
                                      blocks, "; expected a cut from ", split.min_cut_layer, " to ", highest));
    }
  };
  if (highest < 1) {
    problems.Add("spec.split.tailBlocks", absl::StrCat(split.tail_blocks, " leaves no block for the cut of ", blocks,
                                                       "; expected at most ", block_count - 1));
  }
  if (split.max_cut_layer > block_count) {
    problems.Add("spec.split.maxCutLayer", absl::StrCat(split.max_cut_layer, " is above ", blocks));
  }
  bool default_in_use = false;
  for (size_t i = 0; i < job.clients.size(); ++i) {
    if (job.clients[i].cut_layer == split.cut_layer) {
      default_in_use = true;
    } else {
      check_cut(ClientPath(i, "cutLayer"), job.clients[i].cut_layer);
    }
  }
  if (default_in_use) {
    check_cut("spec.split.cutLayer", split.cut_layer);
  }
  return problems.ToStatus();
}

}  // namespace splitft::spec
