#include "libs/text/dataset.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/random.h"
#include "libs/base/status_macros.h"
#include "libs/text/packing.h"
#include "libs/text/records.h"
#include "libs/text/samples.h"

namespace splitft::text {
namespace {

// Of this many records one may be bad.
constexpr int64_t kRecordsPerBadOne = 100;

absl::Status About(const std::filesystem::path& path, const absl::Status& problem) {
  return absl::Status(problem.code(), absl::StrCat("\"", path.string(), "\": ", std::string(problem.message())));
}

absl::StatusOr<std::filesystem::path> LocalPath(const spec::Source& source) {
  if (source.kind == spec::SourceKind::kPath || source.kind == spec::SourceKind::kHostPath) {
    return std::filesystem::path(source.value);
  }
  return absl::UnimplementedError(absl::StrCat(
      "data \"", source.value, "\" is not a file on this machine; only path and ", "hostPath can be read here"));
}

absl::StatusOr<MappedFile> OpenData(const std::filesystem::path& path) {
  SPLITFT_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  if (file.bytes().size() > static_cast<size_t>(kDataFileLimit)) {
    return absl::OutOfRangeError(absl::StrCat("\"", path.string(), "\" has ", file.bytes().size(), " bytes; at most ",
                                              kDataFileLimit, " are read"));
  }
  return file;
}

// The samples of a file, cut to length, and what is known of the records they come from.
struct Samples {
  std::vector<Sample> samples;
  DatasetStats stats;

  // Cuts and keeps `sample`, or counts it as empty.
  void Add(Sample sample, size_t sequence_length) {
    if (sample.tokens.size() > sequence_length) {
      sample.tokens.resize(sequence_length);
      sample.loss_mask.resize(sequence_length);
      ++stats.truncated;
    }
    int64_t loss_tokens = 0;
    for (size_t i = 1; i < sample.loss_mask.size(); ++i) {  // nothing predicts the first token
      loss_tokens += sample.loss_mask[i];
    }
    if (loss_tokens == 0) {
      ++stats.empty;
      return;
    }
    stats.tokens += static_cast<int64_t>(sample.tokens.size());
    stats.loss_tokens += loss_tokens;
    samples.push_back(std::move(sample));
  }
};

absl::StatusOr<Samples> ReadText(std::string_view contents, const Tokenizer& tokenizer, size_t sequence_length) {
  SPLITFT_ASSIGN_OR_RETURN(const std::vector<int32_t> ids,
                           tokenizer.Encode(WithoutBom(contents), /*add_special_tokens=*/true));
  Samples samples;
  for (size_t begin = 0; begin < ids.size(); begin += sequence_length) {
    const size_t end = std::min(ids.size(), begin + sequence_length);
    ++samples.stats.records;
    samples.Add({{ids.begin() + static_cast<int64_t>(begin), ids.begin() + static_cast<int64_t>(end)},
                 std::vector<uint8_t>(end - begin, 1)},
                sequence_length);
  }
  return samples;
}

// The sample of the reader's next record; nothing at the end.
absl::StatusOr<std::optional<Sample>> NextSample(RecordReader& reader, const Tokenizer& tokenizer, bool mask_prompt) {
  SPLITFT_ASSIGN_OR_RETURN(const std::optional<Record> record, reader.Next());
  if (!record) {
    return std::nullopt;
  }
  return MakeSample(*record, tokenizer, mask_prompt);
}

absl::Status CheckBad(const DatasetStats& stats, const std::string& first_bad) {
  if (stats.skipped * kRecordsPerBadOne <= stats.records) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(stats.skipped, " of ", stats.records,
                                                 " records are bad, and at most 1 in ", kRecordsPerBadOne,
                                                 " is skipped; the first: ", first_bad));
}

absl::StatusOr<Samples> ReadRecords(RecordReader& reader, const spec::Data& data, const Tokenizer& tokenizer,
                                    size_t sequence_length) {
  Samples samples;
  std::string first_bad;
  while (true) {
    absl::StatusOr<std::optional<Sample>> sample = NextSample(reader, tokenizer, data.mask_prompt);
    if (sample.ok() && !sample->has_value()) {
      break;
    }
    ++samples.stats.records;
    if (sample.ok()) {
      samples.Add(std::move(**sample), sequence_length);
      continue;
    }
    const std::string problem = absl::StrCat(reader.place(), ": ", std::string(sample.status().message()));
    if (!absl::IsInvalidArgument(sample.status())) {
      return absl::Status(sample.status().code(), problem);
    }
    if (samples.stats.skipped++ == 0) {
      first_bad = problem;
    }
  }
  SPLITFT_RETURN_IF_ERROR(CheckBad(samples.stats, first_bad));
  return samples;
}

absl::StatusOr<Samples> ReadSamples(std::string_view contents, spec::DataFormat format, const spec::Data& data,
                                    const Tokenizer& tokenizer, size_t sequence_length) {
  if (format == spec::DataFormat::kText) {
    return ReadText(contents, tokenizer, sequence_length);
  }
  SPLITFT_ASSIGN_OR_RETURN(const std::unique_ptr<RecordReader> reader, RecordReader::Open(contents, format, data));
  return ReadRecords(*reader, data, tokenizer, sequence_length);
}

absl::Status CheckLearnable(const Samples& samples) {
  if (!samples.samples.empty()) {
    return absl::OkStatus();
  }
  const DatasetStats& stats = samples.stats;
  return absl::InvalidArgumentError(absl::StrCat(
      "there is nothing to learn from: ", stats.records, " records, of which ", stats.empty,
      " have fewer than 2 tokens or, cut to the sequence length (", stats.truncated, " were), no token with a loss"));
}

// Marks the samples to hold out.
std::vector<bool> HoldOut(size_t count, const DatasetOptions& options) {
  std::vector<bool> is_eval(count, false);
  if (options.eval_fraction <= 0 || count < 2) {
    return is_eval;
  }
  const auto wanted = static_cast<size_t>(std::llround(options.eval_fraction * static_cast<double>(count)));
  const size_t held_out = std::clamp<size_t>(wanted, 1, count - 1);
  const RandomStream stream(
      {.seed = options.seed, .purpose = RandomPurpose::kEvalSplit, .client = HashName(options.client)});
  const std::vector<int64_t> order = stream.Permutation(static_cast<int64_t>(count));
  for (size_t i = 0; i < held_out; ++i) {
    is_eval[static_cast<size_t>(order[i])] = true;
  }
  return is_eval;
}

std::vector<Row> MakeRows(std::vector<Sample> samples, const DatasetOptions& options) {
  if (options.packing) {
    return PackRows(std::move(samples), options.sequence_length);
  }
  std::vector<Row> rows(samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    rows[i].samples.push_back(std::move(samples[i]));
  }
  return rows;
}

Dataset Arrange(Samples all, const DatasetOptions& options) {
  const std::vector<bool> is_eval = HoldOut(all.samples.size(), options);
  std::vector<Sample> train;
  std::vector<Sample> eval;
  for (size_t i = 0; i < all.samples.size(); ++i) {
    (is_eval[i] ? eval : train).push_back(std::move(all.samples[i]));
  }
  return {MakeRows(std::move(train), options), MakeRows(std::move(eval), options), all.stats};
}

}  // namespace

DatasetOptions DatasetOptionsOf(const spec::Training& training, const std::string& client) {
  return {.sequence_length = training.sequence_length,
          .packing = training.packing,
          .eval_fraction = training.evaluation.interval_steps > 0 ? training.evaluation.fraction : 0,
          .seed = training.seed,
          .client = client};
}

absl::StatusOr<spec::DataFormat> ResolveFormat(spec::DataFormat format, const std::filesystem::path& path) {
  if (format != spec::DataFormat::kAuto) {
    return format;
  }
  const std::string extension = absl::AsciiStrToLower(path.extension().string());
  if (extension == ".jsonl" || extension == ".ndjson") {
    return spec::DataFormat::kJsonl;
  }
  if (extension == ".csv") {
    return spec::DataFormat::kCsv;
  }
  for (const char* other : {".json", ".tsv", ".parquet", ".arrow", ".gz", ".zip", ".zst"}) {
    if (extension == other) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", path.string(), "\": ", other,
                       " files are not read; write .jsonl, .csv or plain text, or set the "
                       "format if it is one of these"));
    }
  }
  return spec::DataFormat::kText;
}

absl::StatusOr<Dataset> LoadDataset(const spec::Data& data, const Tokenizer& tokenizer, const DatasetOptions& options) {
  if (options.sequence_length < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("sequence_length is ", options.sequence_length, "; at least 2 is needed"));
  }
  SPLITFT_ASSIGN_OR_RETURN(const std::filesystem::path path, LocalPath(data.source));
  SPLITFT_ASSIGN_OR_RETURN(const spec::DataFormat format, ResolveFormat(data.format, path));
  SPLITFT_ASSIGN_OR_RETURN(const MappedFile file, OpenData(path));
  const std::string_view contents(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());

  absl::StatusOr<Samples> samples =
      ReadSamples(contents, format, data, tokenizer, static_cast<size_t>(options.sequence_length));
  if (!samples.ok()) {
    return About(path, samples.status());
  }
  if (const absl::Status status = CheckLearnable(*samples); !status.ok()) {
    return About(path, status);
  }
  return Arrange(*std::move(samples), options);
}

}  // namespace splitft::text
