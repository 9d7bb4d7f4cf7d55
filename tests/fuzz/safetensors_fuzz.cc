// links: model_files
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "libs/model/safetensors.h"

// What the parser accepts lies inside the file, covers it once, and is accepted again when it is written again.
namespace {

using namespace splitft::model;

void Check(bool holds) {
  if (!holds) {
    std::abort();
  }
}

std::vector<TensorView> Views(const TensorTable& table, std::span<const std::byte> file) {
  std::vector<TensorView> views;
  uint64_t bytes = 0;
  for (const auto& [name, entry] : table) {
    Check(entry.begin <= entry.end && entry.end <= file.size());
    views.push_back({name, entry.type, entry.shape, file.subspan(entry.begin, entry.end - entry.begin)});
    bytes += entry.end - entry.begin;
  }
  Check(bytes < file.size());
  return views;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  const absl::StatusOr<TensorTable> table = ParseSafetensors(file, "input");
  if (!table.ok()) {
    Check(!table.status().message().empty());
    return 0;
  }
  const absl::StatusOr<std::string> again = SerializeSafetensors(Views(*table, file));
  Check(again.ok());
  const absl::StatusOr<TensorTable> same = ParseSafetensors(std::as_bytes(std::span(*again)), "again");
  Check(same.ok() && same->size() == table->size());
  for (const auto& [name, entry] : *same) {
    const TensorEntry& first = table->at(name);
    Check(entry.type == first.type && entry.shape == first.shape && entry.end - entry.begin == first.end - first.begin);
  }
  return 0;
}
