#include "libs/scheduler/policies.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "libs/scheduler/search.h"

namespace splitft::scheduler {
namespace {

constexpr double kStaySlack = 0.02;
// What fewer microbatches may cost: each has costs of its own, which the model does not know.
constexpr double kMicrobatchSlack = 0.03;

spec::Codec CodecNamed(const std::string& name) {
  if (name == "bf16") {
    return spec::Codec::kBf16;
  }
  return name == "int8" ? spec::Codec::kInt8 : spec::Codec::kFp32;
}

// Accuracy is told by the loss: whose is below the mean is more accurate than it.
Arrangement SplitFt(const Situation& situation) {
  Arrangement next = situation.now;
  const double mean = std::accumulate(situation.losses.begin(), situation.losses.end(), 0.0) /
                      static_cast<double>(situation.losses.size());
  for (size_t i = 0; i < next.clients.size(); ++i) {
    const ClientCost& client = situation.fleet.clients[i];
    const double difference = situation.losses[i] - mean;
    // Losses that are the mean but for rounding are no reason.
    const int step = std::abs(difference) <= 1e-9 * std::abs(mean) ? 0 : (difference < 0 ? 1 : -1);
    int& cut = next.clients[i].cut_layer;
    cut = std::clamp(cut + step, client.lowest_cut, client.highest_cut);
  }
  return next;
}

}  // namespace

std::vector<spec::Codec> AllowedCodecs(const spec::FineTuneJob& job) {
  std::vector<spec::Codec> codecs;
  std::transform(job.scheduling.codecs.begin(), job.scheduling.codecs.end(), std::back_inserter(codecs), CodecNamed);
  if (codecs.empty()) {
    spec::Codec own = job.split.codec;
    if (own == spec::Codec::kAuto) {
      own = job.model.dtype == spec::Dtype::kBfloat16 ? spec::Codec::kBf16 : spec::Codec::kFp32;
    }
    codecs.push_back(own);
  }
  std::sort(codecs.begin(), codecs.end());  // the enumeration goes from exact to coarse
  return codecs;
}

Arrangement Choose(const spec::Scheduling& scheduling, const Situation& situation) {
  const Fleet& fleet = situation.fleet;
  // More microbatches never make a step longer, by the model: the search is among the most, then as few are taken as
  // will do.
  const auto keep = [&](Arrangement best, double limit) {
    limit = std::max(limit, (1 + kMicrobatchSlack) * Predict(fleet, best).seconds);
    best.microbatches = FewestMicrobatches(fleet, best, situation.now.microbatches, limit);
    return KeepWhatMayStay(fleet, situation.now, std::move(best), kStaySlack);
  };
  switch (scheduling.policy) {
    case spec::SchedulingPolicy::kMakespan:
      return keep(LeastSeconds(fleet, situation.codecs, fleet.most_microbatches), 0);
    case spec::SchedulingPolicy::kBudget:
      return keep(LeastServerSeconds(fleet, situation.codecs, fleet.most_microbatches, scheduling.step_seconds),
                  scheduling.step_seconds);
    case spec::SchedulingPolicy::kSplitFt:
      return SplitFt(situation);
    case spec::SchedulingPolicy::kStatic:
      break;
  }
  return situation.now;
}

}  // namespace splitft::scheduler
