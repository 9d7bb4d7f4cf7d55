#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/spec/job.h"
#include "libs/text/tokenizer.h"

namespace splitft::text {

// The longest record (a JSONL line, a CSV record) that is read, and the longest conversation.
inline constexpr size_t kRecordLimit = 16 << 20;
inline constexpr size_t kMessagesLimit = 1024;

struct TextRecord {
  std::string text;
};
struct PromptRecord {
  std::string prompt;
  std::string completion;
};
struct ChatRecord {
  std::vector<ChatMessage> messages;
};
using Record = std::variant<TextRecord, PromptRecord, ChatRecord>;

// The record in one JSONL line: the first that is there of data.messages_column, data.prompt_column with
// data.completion_column, and data.text_column. InvalidArgument says what is wrong, without the line's content.
absl::StatusOr<Record> ParseJsonRecord(std::string_view line, const spec::Data& data);

// Reads a JSONL or CSV file record by record.
class RecordReader {
 public:
  // Borrows `contents` and `data`. `format` is kJsonl or kCsv. InvalidArgument for a CSV header without the columns.
  static absl::StatusOr<std::unique_ptr<RecordReader>> Open(std::string_view contents, spec::DataFormat format,
                                                            const spec::Data& data);
  virtual ~RecordReader() = default;

  // The next record, or nothing at the end. InvalidArgument: this record is bad, the next call goes on behind it. Any
  // other error: reading cannot go on. Neither names the record; see place().
  virtual absl::StatusOr<std::optional<Record>> Next() = 0;
  // Where the last record was: "line 7", or "record 7", which does not count the header.
  virtual std::string place() const = 0;
};

// `contents` without a UTF-8 byte order mark.
std::string_view WithoutBom(std::string_view contents);

}  // namespace splitft::text
