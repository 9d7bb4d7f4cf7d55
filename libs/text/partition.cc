#include "libs/text/partition.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/random.h"
#include "libs/base/status_macros.h"
#include "libs/text/dirichlet.h"

namespace splitft::text {
namespace {

constexpr int kMaxClients = 10000;
constexpr int kMaxClasses = 1000;
constexpr uint64_t kMaxDraws = 1000;

absl::Status CheckOptions(size_t records, const PartitionOptions& options) {
  if (options.clients < 1 || options.clients > kMaxClients) {
    return absl::InvalidArgumentError(absl::StrCat("clients is ", options.clients, "; from 1 to ", kMaxClients));
  }
  if (records < static_cast<size_t>(options.clients)) {
    return absl::InvalidArgumentError(
        absl::StrCat(records, " records cannot be divided over ", options.clients, " clients: each needs one"));
  }
  if (options.length_classes < 1 || options.length_classes > kMaxClasses) {
    return absl::InvalidArgumentError(
        absl::StrCat("length_classes is ", options.length_classes, "; from 1 to ", kMaxClasses));
  }
  if (options.policy == PartitionPolicy::kLengthDirichlet && !(options.alpha > 0 && std::isfinite(options.alpha))) {
    return absl::InvalidArgumentError(absl::StrCat("alpha is ", options.alpha, "; it must be over 0"));
  }
  if (options.policy == PartitionPolicy::kBySize) {
    if (options.proportions.size() != static_cast<size_t>(options.clients)) {
      return absl::InvalidArgumentError(
          absl::StrCat(options.proportions.size(), " proportions for ", options.clients, " clients"));
    }
    for (const double proportion : options.proportions) {
      if (!(proportion > 0 && std::isfinite(proportion))) {
        return absl::InvalidArgumentError(absl::StrCat("proportion ", proportion, " is not over 0"));
      }
    }
  }
  return absl::OkStatus();
}

// Class of each length: how many of the inner K-quantiles are at most as long. Equal lengths share a class.
std::vector<int> LengthClasses(std::span<const int64_t> lengths, int classes) {
  std::vector<int64_t> sorted(lengths.begin(), lengths.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<int64_t> quantiles;
  for (int k = 1; k < classes; ++k) {
    quantiles.push_back(sorted[sorted.size() * static_cast<size_t>(k) / static_cast<size_t>(classes)]);
  }
  std::vector<int> result;
  result.reserve(lengths.size());
  for (const int64_t length : lengths) {
    result.push_back(
        static_cast<int>(std::upper_bound(quantiles.begin(), quantiles.end(), length) - quantiles.begin()));
  }
  return result;
}

// The records, in random order, class by class; one class for the policies that know none.
std::vector<std::vector<size_t>> ShuffledGroups(const Partition& partition, const PartitionOptions& options,
                                                uint64_t draw) {
  const bool by_class = options.policy == PartitionPolicy::kLengthDirichlet;
  std::vector<std::vector<size_t>> groups(by_class ? static_cast<size_t>(options.length_classes) : 1);
  const RandomStream stream({.seed = options.seed, .purpose = RandomPurpose::kPartition, .step = draw, .block = 0});
  for (const int64_t record : stream.Permutation(static_cast<int64_t>(partition.length_class.size()))) {
    const auto i = static_cast<size_t>(record);
    groups[by_class ? static_cast<size_t>(partition.length_class[i]) : 0].push_back(i);
  }
  return groups;
}

std::vector<double> Weights(const PartitionOptions& options, uint64_t draw, size_t group) {
  const auto clients = static_cast<size_t>(options.clients);
  switch (options.policy) {
    case PartitionPolicy::kIid:
      return std::vector<double>(clients, 1.0);
    case PartitionPolicy::kBySize:
      return options.proportions;
    case PartitionPolicy::kLengthDirichlet:
      break;
  }
  return SampleDirichlet(
      options.alpha, clients,
      {.seed = options.seed, .purpose = RandomPurpose::kPartition, .step = draw, .block = group + 1});
}

// Fills partition.client; whether every client got a record.
bool Draw(const PartitionOptions& options, uint64_t draw, Partition& partition) {
  std::vector<size_t> total(static_cast<size_t>(options.clients), 0);
  const std::vector<std::vector<size_t>> groups = ShuffledGroups(partition, options, draw);
  for (size_t group = 0; group < groups.size(); ++group) {
    const std::vector<size_t> counts = Apportion(groups[group].size(), Weights(options, draw, group));
    size_t next = 0;
    for (size_t client = 0; client < counts.size(); ++client) {
      for (size_t i = 0; i < counts[client]; ++i) {
        partition.client[groups[group][next++]] = static_cast<int>(client);
      }
      total[client] += counts[client];
    }
  }
  return std::find(total.begin(), total.end(), size_t{0}) == total.end();
}

double Median(std::vector<int64_t>& lengths) {
  if (lengths.empty()) {
    return 0;
  }
  std::sort(lengths.begin(), lengths.end());
  const size_t middle = lengths.size() / 2;
  return lengths.size() % 2 == 1
             ? static_cast<double>(lengths[middle])
             : (static_cast<double>(lengths[middle - 1]) + static_cast<double>(lengths[middle])) / 2;
}

}  // namespace

absl::StatusOr<Partition> DivideRecords(std::span<const int64_t> lengths, const PartitionOptions& options) {
  SPLITFT_RETURN_IF_ERROR(CheckOptions(lengths.size(), options));
  Partition partition{.client = std::vector<int>(lengths.size(), 0),
                      .length_class = LengthClasses(lengths, options.length_classes)};
  const uint64_t draws = options.policy == PartitionPolicy::kLengthDirichlet ? kMaxDraws : 1;
  for (uint64_t draw = 0; draw < draws; ++draw) {
    if (Draw(options, draw, partition)) {
      return partition;
    }
  }
  return absl::ResourceExhaustedError(absl::StrCat("none of ", draws, " draws gave each of ", options.clients,
                                                   " clients at least one of ", lengths.size(),
                                                   " records; ask for more even shares, or fewer clients"));
}

std::vector<ClientShare> Summarize(const Partition& partition, std::span<const int64_t> lengths,
                                   std::span<const int64_t> bytes, const PartitionOptions& options) {
  const auto clients = static_cast<size_t>(options.clients);
  std::vector<ClientShare> shares(clients);
  std::vector<std::vector<int64_t>> lengths_of(clients);
  for (ClientShare& share : shares) {
    share.per_class.resize(static_cast<size_t>(options.length_classes), 0);
  }
  for (size_t i = 0; i < partition.client.size(); ++i) {
    const auto client = static_cast<size_t>(partition.client[i]);
    ++shares[client].records;
    shares[client].bytes += bytes[i];
    ++shares[client].per_class[static_cast<size_t>(partition.length_class[i])];
    lengths_of[client].push_back(lengths[i]);
  }
  for (size_t client = 0; client < clients; ++client) {
    const int64_t sum = std::accumulate(lengths_of[client].begin(), lengths_of[client].end(), int64_t{0});
    shares[client].mean_length =
        shares[client].records == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(shares[client].records);
    shares[client].median_length = Median(lengths_of[client]);
  }
  return shares;
}

}  // namespace splitft::text
