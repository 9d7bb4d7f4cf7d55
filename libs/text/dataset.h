#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/spec/job.h"
#include "libs/text/tokenizer.h"

namespace splitft::text {

// One training sample: tokens that attend only to each other. The loss at position i is on tokens[i + 1], and only
// where loss_mask[i + 1] is 1. 2 <= tokens.size() <= sequence_length.
struct Sample {
  std::vector<int32_t> tokens;
  std::vector<uint8_t> loss_mask;
};

// One row of a batch: one sample, or with packing several whose lengths add up to at most sequence_length.
struct Row {
  std::vector<Sample> samples;
};

struct DatasetStats {
  int64_t records = 0;      // records read
  int64_t skipped = 0;      // bad records skipped (<= 1 %)
  int64_t truncated = 0;    // samples cut to sequence_length
  int64_t empty = 0;        // records with nothing to learn from (fewer than 2 tokens, or all masked)
  int64_t tokens = 0;       // tokens in all rows
  int64_t loss_tokens = 0;  // positions with a loss
};

struct Dataset {
  std::vector<Row> train;
  std::vector<Row> eval;
  DatasetStats stats;
};

struct DatasetOptions {
  int sequence_length = 512;
  bool packing = false;
  double eval_fraction = 0;
  uint64_t seed = 0;
  std::string client;  // keys the train/eval split
};

// Reads and tokenizes one client's file.
// Plain text is one stream, cut into samples of sequence_length tokens (the last may be shorter). JSONL and CSV records
// become one sample each; end-of-sequence is appended where the tokenizer has one. Errors name the file and the
// record's number (line for JSONL, record for CSV), never its content.
absl::StatusOr<Dataset> LoadDataset(const spec::Data& data, const Tokenizer& tokenizer, const DatasetOptions& options);

}  // namespace splitft::text
