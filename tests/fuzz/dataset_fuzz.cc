// links: text
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "libs/text/csv.h"
#include "libs/text/records.h"

// The first byte chooses JSONL or CSV. Reading ends, gives what it read once, and never goes beyond the file.
namespace {

using namespace splitft;

void ReadRecords(std::string_view contents, spec::DataFormat format) {
  const spec::Data data;
  const auto reader = text::RecordReader::Open(contents, format, data);
  if (!reader.ok()) {
    return;
  }
  size_t bytes = 0;
  while (true) {
    const auto record = (*reader)->Next();
    if (!record.ok() && absl::IsInvalidArgument(record.status())) {
      continue;
    }
    if (!record.ok() || !record->has_value()) {
      break;
    }
    if (const auto* text = std::get_if<text::TextRecord>(&**record)) {
      bytes += text->text.size();
    }
  }
  if (bytes > contents.size()) {
    std::abort();
  }
}

// Raw CSV records lie in the file one behind the other.
void ReadRaw(std::string_view contents) {
  text::CsvReader csv(contents, 1000);
  std::vector<std::string> fields;
  const char* end = contents.data();
  for (auto is_there = csv.Next(fields); is_there.ok() && *is_there; is_there = csv.Next(fields)) {
    if (csv.raw().empty() || csv.raw().data() < end || fields.empty()) {
      std::abort();
    }
    end = csv.raw().data() + csv.raw().size();
  }
  if (end > contents.data() + contents.size()) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view contents(reinterpret_cast<const char*>(data) + 1, size - 1);
  ReadRecords(contents, data[0] % 2 == 0 ? spec::DataFormat::kJsonl : spec::DataFormat::kCsv);
  ReadRaw(contents);
  return 0;
}
