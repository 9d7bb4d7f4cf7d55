#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/spec/job.h"
#include "libs/text/tokenizer.h"

namespace splitft::text {

// The largest data file that is read.
inline constexpr int64_t kDataFileLimit = int64_t{8} << 30;

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
  int64_t records = 0;      // records read, bad and empty ones included; of plain text, samples
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
  int sequence_length = 512;  // >= 2
  bool packing = false;
  double eval_fraction = 0;  // in [0, 0.5]
  uint64_t seed = 0;
  std::string client;  // keys the train/eval split
};

// What a job asks of `client`'s file. Nothing is held out where nothing is evaluated.
DatasetOptions DatasetOptionsOf(const spec::Training& training, const std::string& client);

// Reads and tokenizes one client's file: the same file, tokenizer and options give the same dataset.
//
// Plain text is one stream, with the tokenizer's special tokens around it, cut into samples of sequence_length tokens
// (the last may be shorter). A JSONL or CSV record is one sample; end-of-sequence is appended where the tokenizer has
// one, but for messages, which the chat template ends. Masks: see samples.h. The train/eval split comes before packing:
// round( eval_fraction * samples) samples are held out, but never all and, of two or more, at least one where it is not
// 0.
//
// Bad records (not JSON, without the columns, refused by the chat template) are skipped and counted up to 1 % of the
// file's records; so a file of fewer than 100 may have none. Beyond that: InvalidArgument with their number, the first
// one's place and reason, never its content. A CSV quote that never closes, a chat template that the assistant's turns
// cannot be found in, text that is not UTF-8, a file over kDataFileLimit, and a file with nothing to learn from are
// errors too. Unimplemented for a source that is not a path on this machine. Every error names the file. The file is
// mapped while it is read: nobody may truncate it meanwhile.
absl::StatusOr<Dataset> LoadDataset(const spec::Data& data, const Tokenizer& tokenizer, const DatasetOptions& options);

// What kAuto means for `path`: .jsonl and .ndjson, .csv, else text. InvalidArgument for an extension of something that
// is none of these (.json, .tsv, .parquet, .gz). Any other `format` is itself.
absl::StatusOr<spec::DataFormat> ResolveFormat(spec::DataFormat format, const std::filesystem::path& path);

}  // namespace splitft::text
