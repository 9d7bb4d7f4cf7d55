#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "libs/base/clock.h"

// Figures and tables for people.
namespace splitft::cli {

// "1,234,567".
std::string FormatCount(int64_t count);
// Three digits and a decimal unit: "999 B", "1.23 kB", "45.6 MB".
std::string FormatBytes(int64_t bytes);
// "0:07", "12:34", "1:02:03"; negative is "0:00".
std::string FormatDuration(Duration duration);
// Four decimals, "-" for what is not finite.
std::string FormatLoss(double loss);
// "1 client", "2 clients".
std::string Plural(int64_t count, const std::string& noun);

// Columns on a terminal: code points, since nothing we print is wider or narrower than one.
size_t DisplayWidth(std::string_view text);
// `text` cut to `width` columns, the last one an ellipsis where something is missing.
std::string CutToWidth(std::string_view text, size_t width);
std::string PadLeft(std::string_view text, size_t width);
std::string PadRight(std::string_view text, size_t width);

// Rows under a header, columns aligned: the first to the left, the others to the right where right_aligned says so.
struct TextTable {
  std::vector<std::string> header;
  std::vector<bool> right_aligned;
  std::vector<std::vector<std::string>> rows;
};
std::string FormatTable(const TextTable& table);

// `path` relative to `folder` where that is shorter and stays below it.
std::string ShortPath(const std::filesystem::path& path, const std::filesystem::path& folder);
// `text` as one word of a POSIX shell.
std::string ShellWord(const std::string& text);

}  // namespace splitft::cli
