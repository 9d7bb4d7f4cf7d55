#include "libs/text/records.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/text/csv.h"
#include "libs/text/json.h"

namespace splitft::text {
namespace {

using Json = nlohmann::ordered_json;

absl::StatusOr<std::string> StringMember(const Json& object, const std::string& name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is not a string"));
  }
  return found->get<std::string>();
}

absl::StatusOr<Record> ChatOf(const Json& messages, const std::string& column) {
  if (!messages.is_array() || messages.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", column, "\" is not a list of messages"));
  }
  if (messages.size() > kMessagesLimit) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", column, "\" has ", messages.size(), " messages; at most ", kMessagesLimit, " are read"));
  }
  ChatRecord record;
  for (const Json& message : messages) {
    if (!message.is_object()) {
      return absl::InvalidArgumentError(absl::StrCat("\"", column, "\" has a message that is not an object"));
    }
    SPLITFT_ASSIGN_OR_RETURN(std::string role, StringMember(message, "role"));
    SPLITFT_ASSIGN_OR_RETURN(std::string content, StringMember(message, "content"));
    record.messages.push_back({std::move(role), std::move(content)});
  }
  return record;
}

class JsonlReader final : public RecordReader {
 public:
  JsonlReader(std::string_view contents, const spec::Data& data) : rest_(contents), data_(data) {}

  absl::StatusOr<std::optional<Record>> Next() override {
    while (!rest_.empty()) {
      const std::string_view line = rest_.substr(0, rest_.find('\n'));
      rest_.remove_prefix(std::min(rest_.size(), line.size() + 1));
      ++line_;
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
        continue;
      }
      SPLITFT_ASSIGN_OR_RETURN(Record record, ParseJsonRecord(line, data_));
      return std::optional(std::move(record));
    }
    return std::nullopt;
  }
  std::string place() const override { return absl::StrCat("line ", line_); }

 private:
  std::string_view rest_;
  const spec::Data& data_;
  int64_t line_ = 0;
};

// Where a CSV file's columns are.
struct Columns {
  std::optional<size_t> text;
  std::optional<size_t> prompt;
  std::optional<size_t> completion;
  size_t count = 0;
};

absl::StatusOr<Columns> FindColumns(const std::vector<std::string>& header, const spec::Data& data) {
  Columns columns{.count = header.size()};
  for (const auto& [name, column] :
       {std::pair(&data.text_column, &columns.text), std::pair(&data.prompt_column, &columns.prompt),
        std::pair(&data.completion_column, &columns.completion)}) {
    const auto found = std::find(header.begin(), header.end(), *name);
    if (found == header.end()) {
      continue;
    }
    if (std::find(found + 1, header.end(), *name) != header.end()) {
      return absl::InvalidArgumentError(absl::StrCat("the header has two columns \"", *name, "\""));
    }
    *column = static_cast<size_t>(found - header.begin());
  }
  if (!columns.text && !(columns.prompt && columns.completion)) {
    return absl::InvalidArgumentError(absl::StrCat("the header (", header.size(), " columns) has neither \"",
                                                   data.text_column, "\" nor both \"", data.prompt_column, "\" and \"",
                                                   data.completion_column, "\"; the manifest can name others"));
  }
  return columns;
}

class CsvRecordReader final : public RecordReader {
 public:
  CsvRecordReader(CsvReader csv, Columns columns) : csv_(csv), columns_(columns) {}

  absl::StatusOr<std::optional<Record>> Next() override {
    ++record_;
    SPLITFT_ASSIGN_OR_RETURN(const bool is_there, csv_.Next(fields_));
    if (!is_there) {
      return std::nullopt;
    }
    if (fields_.size() != columns_.count) {
      return absl::InvalidArgumentError(
          absl::StrCat("it has ", fields_.size(), " fields, the header has ", columns_.count));
    }
    if (columns_.prompt && columns_.completion) {
      return PromptRecord{std::move(fields_[*columns_.prompt]), std::move(fields_[*columns_.completion])};
    }
    return TextRecord{std::move(fields_[*columns_.text])};
  }
  std::string place() const override { return absl::StrCat("record ", record_); }

 private:
  CsvReader csv_;
  Columns columns_;
  std::vector<std::string> fields_;
  int64_t record_ = 0;
};

}  // namespace

std::string_view WithoutBom(std::string_view contents) {
  return contents.substr(0, 3) == "\xEF\xBB\xBF" ? contents.substr(3) : contents;
}

absl::StatusOr<Record> ParseJsonRecord(std::string_view line, const spec::Data& data) {
  if (line.size() > kRecordLimit) {
    return absl::InvalidArgumentError(
        absl::StrCat("it has ", line.size(), " bytes; at most ", kRecordLimit, " are read"));
  }
  SPLITFT_ASSIGN_OR_RETURN(const Json json, ParseJson(line));
  if (!json.is_object()) {
    return absl::InvalidArgumentError("it is not a JSON object");
  }
  if (const auto messages = json.find(data.messages_column); messages != json.end()) {
    return ChatOf(*messages, data.messages_column);
  }
  if (json.contains(data.prompt_column) && json.contains(data.completion_column)) {
    SPLITFT_ASSIGN_OR_RETURN(std::string prompt, StringMember(json, data.prompt_column));
    SPLITFT_ASSIGN_OR_RETURN(std::string completion, StringMember(json, data.completion_column));
    return PromptRecord{std::move(prompt), std::move(completion)};
  }
  if (json.contains(data.text_column)) {
    SPLITFT_ASSIGN_OR_RETURN(std::string text, StringMember(json, data.text_column));
    return TextRecord{std::move(text)};
  }
  return absl::InvalidArgumentError(absl::StrCat("it has neither \"", data.text_column, "\", nor \"",
                                                 data.prompt_column, "\" and \"", data.completion_column, "\", nor \"",
                                                 data.messages_column, "\""));
}

absl::StatusOr<std::unique_ptr<RecordReader>> RecordReader::Open(std::string_view contents, spec::DataFormat format,
                                                                 const spec::Data& data) {
  contents = WithoutBom(contents);
  if (format == spec::DataFormat::kJsonl) {
    return std::make_unique<JsonlReader>(contents, data);
  }
  CsvReader csv(contents, kRecordLimit);
  std::vector<std::string> header;
  const absl::StatusOr<bool> is_there = csv.Next(header);
  if (!is_there.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("the header: ", std::string(is_there.status().message())));
  }
  if (!*is_there) {
    return absl::InvalidArgumentError("there is no header");
  }
  SPLITFT_ASSIGN_OR_RETURN(const Columns columns, FindColumns(header, data));
  return std::make_unique<CsvRecordReader>(csv, columns);
}

}  // namespace splitft::text
