#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace splitft::text {

// Reads comma-separated values (RFC 4180): quoted fields with doubled quotes, commas and line ends in them; records end
// in LF or CRLF, the last perhaps in nothing. Like Python's csv, a quote inside an unquoted field is an ordinary
// character. Blank lines are no records.
class CsvReader {
 public:
  // Borrows `contents`. A record over `limit_bytes` ends the reading.
  CsvReader(std::string_view contents, size_t limit_bytes) : rest_(contents), limit_bytes_(limit_bytes) {}

  // Puts the next record's fields into `fields`; false at the end. OutOfRange for a record over the limit, DataLoss for
  // a quoted field that never ends or that more follows: what comes after cannot be told apart, so reading stops there.
  absl::StatusOr<bool> Next(std::vector<std::string>& fields);

  // The bytes of the last record, with its line end.
  std::string_view raw() const { return raw_; }

 private:
  absl::Status ReadQuoted(size_t& at, std::string& field) const;
  void ReadPlain(size_t& at, std::string& field) const;
  size_t LineEnd(size_t at) const;  // length of the line end at `at`, 0 where there is none

  std::string_view rest_;
  std::string_view raw_;
  size_t limit_bytes_;
};

}  // namespace splitft::text
