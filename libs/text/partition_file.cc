#include "libs/text/partition_file.h"

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/text/csv.h"
#include "libs/text/dataset.h"
#include "libs/text/records.h"

namespace splitft::text {
namespace {

constexpr char kBlank[] = " \t\r\n\v\f";

bool IsBlank(std::string_view line) { return line.find_first_not_of(kBlank) == std::string_view::npos; }

// Takes the next line off `rest`, with its end.
std::string_view TakeLine(std::string_view& rest) {
  const size_t newline = rest.find('\n');
  const std::string_view line = rest.substr(0, newline == std::string_view::npos ? rest.size() : newline + 1);
  rest.remove_prefix(line.size());
  return line;
}

std::vector<std::string_view> Lines(std::string_view contents) {
  std::vector<std::string_view> lines;
  while (!contents.empty()) {
    if (const std::string_view line = TakeLine(contents); !IsBlank(line)) {
      lines.push_back(line);
    }
  }
  return lines;
}

std::vector<std::string_view> Paragraphs(std::string_view contents) {
  std::vector<std::string_view> paragraphs;
  while (!contents.empty()) {
    const std::string_view begin = contents;
    bool has_text = false;
    bool ends = false;
    while (!contents.empty()) {
      std::string_view after = contents;
      const bool blank = IsBlank(TakeLine(after));
      if (ends && !blank) {
        break;
      }
      has_text = has_text || !blank;
      ends = has_text && blank;
      contents = after;
    }
    if (has_text) {
      paragraphs.push_back(begin.substr(0, begin.size() - contents.size()));
    }
  }
  return paragraphs;
}

std::vector<std::string_view> TextRecords(std::string_view contents) {
  std::vector<std::string_view> paragraphs = Paragraphs(contents);
  return paragraphs.size() > 1 ? paragraphs : Lines(contents);
}

absl::StatusOr<std::vector<std::string_view>> CsvRecords(std::string_view contents, std::string_view* header) {
  CsvReader csv(contents, kRecordLimit);
  std::vector<std::string> fields;
  std::vector<std::string_view> records;
  while (true) {
    const absl::StatusOr<bool> is_there = csv.Next(fields);
    if (!is_there.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("record ", records.size() + 1, ": ", std::string(is_there.status().message())));
    }
    if (!*is_there) {
      return records;
    }
    if (header->empty()) {
      *header = csv.raw();
    } else {
      records.push_back(csv.raw());
    }
  }
}

// Appends `record`, and the line end that the file's last record may lack.
void Append(std::string_view record, std::string& out) {
  out.append(record);
  if (!record.empty() && record.back() != '\n') {
    out.push_back('\n');
  }
}

}  // namespace

absl::StatusOr<PartitionFile> PartitionFile::Open(const std::filesystem::path& path, spec::DataFormat format) {
  SPLITFT_ASSIGN_OR_RETURN(format, ResolveFormat(format, path));
  SPLITFT_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::Open(path));
  PartitionFile file(std::move(mapped), path);
  const std::string_view contents =
      WithoutBom({reinterpret_cast<const char*>(file.file_.bytes().data()), file.file_.bytes().size()});
  if (format == spec::DataFormat::kCsv) {
    absl::StatusOr<std::vector<std::string_view>> records = CsvRecords(contents, &file.header_);
    if (!records.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", path.string(), "\": ", std::string(records.status().message())));
    }
    file.records_ = *std::move(records);
  } else {
    file.records_ = format == spec::DataFormat::kJsonl ? Lines(contents) : TextRecords(contents);
  }
  if (file.records_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", path.string(), "\" has no records"));
  }
  return file;
}

std::vector<int64_t> PartitionFile::ByteCounts() const {
  std::vector<int64_t> counts;
  for (const std::string_view record : records_) {
    counts.push_back(static_cast<int64_t>(record.size()));
  }
  return counts;
}

std::vector<int64_t> PartitionFile::WordCounts() const {
  std::vector<int64_t> counts;
  for (const std::string_view record : records_) {
    int64_t words = 0;
    size_t at = record.find_first_not_of(kBlank);
    while (at != std::string_view::npos) {
      ++words;
      at = record.find_first_not_of(kBlank, std::min(record.find_first_of(kBlank, at), record.size()));
    }
    counts.push_back(words);
  }
  return counts;
}

absl::StatusOr<std::vector<std::filesystem::path>> PartitionFile::WriteParts(
    const Partition& partition, const std::vector<std::string>& names, const std::filesystem::path& directory) const {
  if (const std::set<std::string> distinct(names.begin(), names.end()); distinct.size() != names.size()) {
    return absl::InvalidArgumentError("two clients have the same name");
  }
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return ErrnoStatus(error.value(), "create", directory);
  }
  std::vector<std::filesystem::path> paths;
  for (const std::string& name : names) {
    paths.push_back(directory / (name + path_.extension().string()));
    if (std::filesystem::exists(paths.back(), error)) {
      return absl::AlreadyExistsError(absl::StrCat("\"", paths.back().string(), "\" is there already"));
    }
  }
  for (size_t client = 0; client < names.size(); ++client) {
    std::string part;
    Append(header_, part);
    for (size_t i = 0; i < records_.size(); ++i) {
      if (partition.client[i] == static_cast<int>(client)) {
        Append(records_[i], part);
      }
    }
    SPLITFT_RETURN_IF_ERROR(WriteFileAtomically(paths[client], part));
  }
  return paths;
}

}  // namespace splitft::text
