#include "libs/model/adapter_layout.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/random.h"
#include "libs/base/status_macros.h"
#include "libs/model/module_match.h"

namespace splitft::model {
namespace {

constexpr char kAllLinear[] = "all-linear";  // PEFT's word for every linear module but lm_head
constexpr int64_t kMaxRank = 1 << 16;
constexpr int64_t kMaxElements = int64_t{1} << 40;  // far over any memory, far under any overflow

std::string ModuleNames(const ModelConfig& config) {
  return absl::StrJoin(LinearModules(config), ", ",
                       [](std::string* out, const LinearModule& module) { out->append(module.name); });
}

// The targets, and which of them have matched a module so far.
class TargetSet {
 public:
  TargetSet(const ModelConfig& config, const spec::Lora& lora)
      : targets_(lora.target_modules.empty() ? DefaultTargetModules(config.architecture) : lora.target_modules) {}

  bool Matches(const std::string& module) {
    bool any = false;
    for (const std::string& target : targets_) {
      if (absl::AsciiStrToLower(target) == kAllLinear || TargetMatches(target, module)) {
        used_.insert(target);
        any = true;
      }
    }
    return any;
  }

  absl::Status CheckAllUsed(const ModelConfig& config) const {
    for (const std::string& target : targets_) {
      if (!used_.contains(target)) {
        return absl::InvalidArgumentError(
            absl::StrCat("target module \"", target, "\" matches no linear module of blocks 0 to ",
                         config.block_count - 1, "; there are ", ModuleNames(config), " and ", kAllLinear));
      }
    }
    return absl::OkStatus();
  }

 private:
  const std::vector<std::string> targets_;
  std::set<std::string> used_;
};

// A rank or alpha pattern. PEFT takes the first key that matches; it writes keys in alphabetical order, and so does
// std::map.
template <typename Value>
class Pattern {
 public:
  Pattern(const char* name, const std::map<std::string, Value>& values) : name_(name), values_(values) {}

  absl::Status Check() const {
    for (const auto& [key, value] : values_) {
      if (!IsPlainPattern(key)) {
        return absl::InvalidArgumentError(absl::StrCat(
            name_, " \"", key,
            "\" is not a plain module name (letters, digits, \"_\", \"-\", \".\", and ^ before a full name)"));
      }
    }
    return absl::OkStatus();
  }

  Value Of(const std::string& module, Value fallback) {
    const std::string* winner = nullptr;
    for (const auto& [key, value] : values_) {
      if (!PatternMatches(key, module)) {
        continue;
      }
      if (winner == nullptr) {
        winner = &key;
        used_.insert(key);
      } else {
        shadowed_.emplace(key, std::pair(*winner, module));
      }
    }
    return winner == nullptr ? fallback : values_.at(*winner);
  }

  absl::Status CheckAllUsed(const ModelConfig& config) const {
    for (const auto& [key, value] : values_) {
      if (used_.contains(key)) {
        continue;
      }
      const auto shadowed = shadowed_.find(key);
      if (shadowed != shadowed_.end()) {
        const auto& [winner, module] = shadowed->second;
        return absl::InvalidArgumentError(
            absl::StrCat(name_, " \"", key, "\" never applies: \"", winner,
                         "\" comes before it in the alphabet, and PEFT takes the first that ", "matches; write \"^",
                         module, "\" to put it first"));
      }
      return absl::InvalidArgumentError(
          absl::StrCat(name_, " \"", key, "\" matches no target module; blocks are named ", BlockPrefix(config, 0),
                       " and so on, their modules ", ModuleNames(config)));
    }
    return absl::OkStatus();
  }

 private:
  const char* name_;
  const std::map<std::string, Value>& values_;
  std::set<std::string> used_;
  std::map<std::string, std::pair<std::string, std::string>>
      shadowed_;  // key -> the key before it, and a module of both
};

absl::Status CheckRankAndAlpha(const std::string& module, int64_t rank, double alpha) {
  if (rank < 1 || rank > kMaxRank) {
    return absl::InvalidArgumentError(
        absl::StrCat("the rank of \"", module, "\" is ", rank, "; expected 1 to ", kMaxRank));
  }
  if (!std::isfinite(alpha) || alpha <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the alpha of \"", module, "\" is ", alpha, "; expected a number over 0"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AdapterLayout> AdapterLayout::Create(const ModelConfig& config, const spec::Lora& lora) {
  TargetSet targets(config, lora);
  Pattern<int> ranks("rank pattern", lora.rank_pattern);
  Pattern<double> alphas("alpha pattern", lora.alpha_pattern);
  SPLITFT_RETURN_IF_ERROR(ranks.Check());
  SPLITFT_RETURN_IF_ERROR(alphas.Check());

  const std::vector<LinearModule> modules = LinearModules(config);
  AdapterLayout layout;
  layout.block_count_ = config.block_count;
  for (int block = 0; block < config.block_count; ++block) {
    layout.first_slot_.push_back(static_cast<int>(layout.slots_.size()));
    for (size_t module = 0; module < modules.size(); ++module) {
      const std::string full_name = absl::StrCat(BlockPrefix(config, block), ".", modules[module].name);
      if (!targets.Matches(full_name)) {
        continue;
      }
      AdapterSlot slot{.block = block,
                       .module = static_cast<int>(module),
                       .name = modules[module].name,
                       .in_features = modules[module].in_features,
                       .out_features = modules[module].out_features,
                       .rank = ranks.Of(full_name, lora.rank),
                       .alpha = alphas.Of(full_name, lora.alpha)};
      SPLITFT_RETURN_IF_ERROR(CheckRankAndAlpha(full_name, slot.rank, slot.alpha));
      slot.scale = slot.alpha / static_cast<double>(slot.rank);
      slot.offset_a = layout.size_;
      slot.offset_b = slot.offset_a + slot.rank * slot.in_features;
      layout.size_ = slot.offset_b + slot.rank * slot.out_features;
      if (layout.size_ > kMaxElements) {
        return absl::InvalidArgumentError(absl::StrCat("the adapters up to \"", full_name, "\" have ", layout.size_,
                                                       " elements; at most ", kMaxElements, " are held"));
      }
      layout.slots_.push_back(std::move(slot));
    }
  }
  layout.first_slot_.push_back(static_cast<int>(layout.slots_.size()));
  SPLITFT_RETURN_IF_ERROR(targets.CheckAllUsed(config));
  SPLITFT_RETURN_IF_ERROR(ranks.CheckAllUsed(config));
  SPLITFT_RETURN_IF_ERROR(alphas.CheckAllUsed(config));
  return layout;
}

AdapterLayout::SlotRange AdapterLayout::BlockSlots(int block) const {
  const auto index = static_cast<size_t>(block);
  return {first_slot_[index], first_slot_[index + 1]};
}

FlatRange AdapterLayout::BlockRange(int first, int last) const {
  const auto begin_of = [this](int block) {
    const auto slot = static_cast<size_t>(first_slot_[static_cast<size_t>(block)]);
    return slot == slots_.size() ? size_ : slots_[slot].offset_a;
  };
  const int64_t begin = begin_of(first);
  return {begin, begin_of(last) - begin};
}

AdapterLayout AdapterLayout::WithRanks(std::span<const int64_t> ranks) const {
  AdapterLayout other = *this;
  other.size_ = 0;
  for (size_t i = 0; i < other.slots_.size(); ++i) {
    AdapterSlot& slot = other.slots_[i];
    slot.alpha = slot.alpha * static_cast<double>(ranks[i]) / static_cast<double>(slot.rank);
    slot.rank = ranks[i];
    slot.offset_a = other.size_;
    slot.offset_b = slot.offset_a + slot.rank * slot.in_features;
    other.size_ = slot.offset_b + slot.rank * slot.out_features;
  }
  return other;
}

std::vector<float> AdapterLayout::Initialize(uint64_t seed) const {
  std::vector<float> flat(static_cast<size_t>(size_), 0.0F);
  for (const AdapterSlot& slot : slots_) {
    const RandomStream stream({.seed = seed,
                               .purpose = RandomPurpose::kAdapterInit,
                               .client = HashName(slot.name),
                               .block = static_cast<uint64_t>(slot.block)});
    const float bound = 1.0F / std::sqrt(static_cast<float>(slot.in_features));
    const auto count = static_cast<uint64_t>(slot.rank * slot.in_features);
    float* a = flat.data() + slot.offset_a;
    for (uint64_t i = 0; i < count; ++i) {
      a[i] = bound * (2.0F * stream.Uniform(i) - 1.0F);
    }
  }
  return flat;
}

}  // namespace splitft::model
