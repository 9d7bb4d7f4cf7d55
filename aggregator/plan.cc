#include "aggregator/plan.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace splitft::aggregator {
namespace {

absl::Status CheckCut(const control::ClientPlan& wanted, const spec::FineTuneJob& job, const spec::Client& client,
                      int block_count) {
  const int cut = wanted.cut_layer();
  const int lowest = std::max(1, job.split.min_cut_layer);
  int highest = block_count - (job.split.labels == spec::LabelSide::kServer ? 0 : job.split.tail_blocks);
  highest = job.split.max_cut_layer > 0 ? std::min(highest, job.split.max_cut_layer) : highest;
  if (cut < lowest || cut > highest) {
    return absl::InvalidArgumentError(absl::StrCat("plan ", wanted.name(), ": cut_layer is ", cut, "; expected ",
                                                   lowest, " to ", highest, ", or 0 to leave it"));
  }
  if (!job.split.train_client && cut != client.cut_layer) {
    return absl::InvalidArgumentError(absl::StrCat("plan ", wanted.name(), ": cut_layer is ", cut, "; expected ",
                                                   client.cut_layer,
                                                   ": with trainClient: false the cut says what is trained"));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<int> RankCaps(const spec::FineTuneJob& job, int block_count, std::span<const int> cuts,
                          std::span<const int> caps) {
  std::vector<int> lowest(static_cast<size_t>(block_count), 0);
  const auto cap = [&](int block, int rank) {
    if (block < block_count && rank > 0) {
      int& value = lowest[static_cast<size_t>(block)];
      value = value == 0 ? rank : std::min(value, rank);
    }
  };
  for (size_t client = 0; client < cuts.size(); ++client) {
    cap(cuts[client] - 1, job.lora.cut_layer_rank);
    cap(cuts[client], job.lora.cut_layer_rank);
    for (int block = 0; block < cuts[client]; ++block) {
      cap(block, caps[client]);
    }
  }
  return lowest;
}

absl::StatusOr<protocol::WireFormat> FormatOfCodec(const std::string& codec) {
  for (const protocol::WireFormat format :
       std::array{protocol::WireFormat::kFp32, protocol::WireFormat::kBf16, protocol::WireFormat::kInt8}) {
    if (codec == protocol::WireFormatName(format)) {
      return format;
    }
  }
  return absl::InvalidArgumentError(absl::StrCat("codec is \"", codec, "\"; expected fp32, bf16 or int8"));
}

absl::Status CheckPlan(const control::Plan& plan, const spec::FineTuneJob& job, int block_count) {
  const int smallest = spec::SmallestBatch(job);
  if (plan.microbatches() < 0 || plan.microbatches() > smallest) {
    return absl::InvalidArgumentError(absl::StrCat("plan: microbatches is ", plan.microbatches(), "; expected 1 to ",
                                                   smallest, ", the smallest batch, or 0 to leave it"));
  }
  std::set<std::string> seen;
  for (const control::ClientPlan& wanted : plan.clients()) {
    const auto client = std::find_if(job.clients.begin(), job.clients.end(),
                                     [&](const spec::Client& known) { return known.name == wanted.name(); });
    if (client == job.clients.end()) {
      return absl::InvalidArgumentError(absl::StrCat("plan: this job has no client \"", wanted.name(), "\""));
    }
    if (!seen.insert(wanted.name()).second) {
      return absl::InvalidArgumentError(absl::StrCat("plan: client ", wanted.name(), " is there twice"));
    }
    if (wanted.cut_layer() != 0) {
      SPLITFT_RETURN_IF_ERROR(CheckCut(wanted, job, *client, block_count));
    }
    if (wanted.rank_cap() < 0 || wanted.rank_cap() > job.lora.rank) {
      return absl::InvalidArgumentError(absl::StrCat("plan ", wanted.name(), ": rank_cap is ", wanted.rank_cap(),
                                                     "; expected 1 to ", job.lora.rank, ", or 0 to leave it"));
    }
    if (const absl::Status codec = FormatOfCodec(wanted.codec()).status(); !wanted.codec().empty() && !codec.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("plan ", wanted.name(), ": ", std::string(codec.message())));
    }
  }
  return absl::OkStatus();
}

}  // namespace splitft::aggregator
