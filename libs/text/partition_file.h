#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/file.h"
#include "libs/spec/job.h"
#include "libs/text/partition.h"

namespace splitft::text {

// A data file as the records it can be divided into. JSONL: lines. CSV: records. Text: paragraphs, with the blank lines
// that follow them; lines where there are no blank lines. Records are bytes: nothing is parsed further or checked.
class PartitionFile {
 public:
  // Maps the file. `format` may be kAuto. NotFound and the like; InvalidArgument for a file without records, or a CSV
  // quote that never closes (with the record's number). Each names the file.
  static absl::StatusOr<PartitionFile> Open(const std::filesystem::path& path, spec::DataFormat format);

  // In the file's order, line ends included. They live as long as this.
  const std::vector<std::string_view>& records() const { return records_; }
  // Of each record: its bytes, and its words (runs of anything but white space).
  std::vector<int64_t> ByteCounts() const;
  std::vector<int64_t> WordCounts() const;

  // Writes each client's records, in the file's order and format (a CSV's header in each), to
  // directory/NAME.EXTENSION with this file's extension; makes the directory. `names`: one per client, usable as file
  // names, all different (else InvalidArgument). Returns the paths. A file that is there already is AlreadyExists, and
  // then nothing is written.
  absl::StatusOr<std::vector<std::filesystem::path>> WriteParts(const Partition& partition,
                                                                const std::vector<std::string>& names,
                                                                const std::filesystem::path& directory) const;

 private:
  PartitionFile(MappedFile file, std::filesystem::path path) : file_(std::move(file)), path_(std::move(path)) {}

  MappedFile file_;
  std::filesystem::path path_;
  std::string_view header_;  // CSV; points into file_
  std::vector<std::string_view> records_;
};

}  // namespace splitft::text
