#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"

// Dividing a file's records over clients. Pure: record lengths in, assignment out. Files: partition_file.h.
namespace splitft::text {

enum class PartitionPolicy {
  kIid,              // every client the same number of records (within one), drawn at random
  kBySize,           // numbers of records in given proportions, drawn at random
  kLengthDirichlet,  // SplitFT's: the records of each length class in proportions drawn from Dir(alpha)
};

struct PartitionOptions {
  PartitionPolicy policy = PartitionPolicy::kIid;
  int clients = 1;                  // 1 .. 10000
  std::vector<double> proportions;  // kBySize: one per client, > 0; they need not add up to 1
  int length_classes = 5;           // K, 1 .. 1000: classes between the K-quantiles of the lengths
  double alpha = 0.5;               // kLengthDirichlet, > 0: small is unequal, large nearly iid
  uint64_t seed = 0;
};

struct Partition {
  std::vector<int> client;        // per record, 0 .. clients - 1
  std::vector<int> length_class;  // per record, 0 (shortest) .. length_classes - 1
};

// Assigns every record to exactly one client, and to every client at least one record: where a draw leaves one without,
// it is drawn again, up to 1000 times. `lengths`: one per record, in any unit. A function of its arguments.
// InvalidArgument for options out of their ranges or fewer records than clients; ResourceExhausted where no draw gave
// every client a record (alpha too small for so many clients).
absl::StatusOr<Partition> DivideRecords(std::span<const int64_t> lengths, const PartitionOptions& options);

// What one client got.
struct ClientShare {
  int64_t records = 0;
  int64_t bytes = 0;
  double mean_length = 0;
  double median_length = 0;
  std::vector<int64_t> per_class;  // records in each length class
};

// One row per client. `lengths` and `bytes`: one per record of `partition`.
std::vector<ClientShare> Summarize(const Partition& partition, std::span<const int64_t> lengths,
                                   std::span<const int64_t> bytes, const PartitionOptions& options);

}  // namespace splitft::text
