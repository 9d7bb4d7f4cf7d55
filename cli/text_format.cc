#include "cli/text_format.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace splitft::cli {
namespace {

// The byte where column `width` begins, or the text's end.
size_t ByteOfColumn(std::string_view text, size_t width) {
  size_t columns = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool continues = (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
    if (!continues && columns++ == width) {
      return i;
    }
  }
  return text.size();
}

std::string Blanks(std::string_view text, size_t width) {
  const size_t used = DisplayWidth(text);
  return std::string(used < width ? width - used : 0, ' ');
}

}  // namespace

std::string FormatCount(int64_t count) {
  const std::string digits = absl::StrCat(count);
  const size_t first = count < 0 ? 1 : 0;
  std::string grouped;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > first && (digits.size() - i) % 3 == 0) {
      grouped.push_back(',');
    }
    grouped.push_back(digits[i]);
  }
  return grouped;
}

std::string FormatBytes(int64_t bytes) {
  if (bytes < 1000) {
    return absl::StrCat(bytes, " B");
  }
  static constexpr std::array kUnits = {"kB", "MB", "GB", "TB", "PB"};
  double value = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  // 999.5 would be written with four digits.
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return absl::StrFormat("%.*f %s", decimals, value, kUnits[unit]);
}

std::string FormatDuration(Duration duration) {
  const int64_t seconds = std::max<int64_t>(0, std::llround(Seconds(duration)));
  if (seconds < 3600) {
    return absl::StrFormat("%d:%02d", seconds / 60, seconds % 60);
  }
  return absl::StrFormat("%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::string FormatLoss(double loss) { return std::isfinite(loss) ? absl::StrFormat("%.4f", loss) : "-"; }

std::string Plural(int64_t count, const std::string& noun) {
  return absl::StrCat(FormatCount(count), " ", noun, count == 1 ? "" : "s");
}

size_t DisplayWidth(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string CutToWidth(std::string_view text, size_t width) {
  if (DisplayWidth(text) <= width) {
    return std::string(text);
  }
  return width == 0 ? std::string() : absl::StrCat(std::string(text.substr(0, ByteOfColumn(text, width - 1))), "…");
}

std::string PadLeft(std::string_view text, size_t width) {
  return absl::StrCat(Blanks(text, width), std::string(text));
}

std::string PadRight(std::string_view text, size_t width) {
  return absl::StrCat(std::string(text), Blanks(text, width));
}

std::string FormatTable(const TextTable& table) {
  std::vector<size_t> widths(table.header.size());
  const auto measure = [&](const std::vector<std::string>& row) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], DisplayWidth(row[i]));
    }
  };
  measure(table.header);
  std::for_each(table.rows.begin(), table.rows.end(), measure);

  std::string text;
  const auto append = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&line, "  ", table.right_aligned[i] ? PadLeft(row[i], widths[i]) : PadRight(row[i], widths[i]));
    }
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&text, line, "\n");
  };
  append(table.header);
  std::for_each(table.rows.begin(), table.rows.end(), append);
  return text;
}

std::string ShortPath(const std::filesystem::path& path, const std::filesystem::path& folder) {
  const std::filesystem::path relative = path.lexically_relative(folder);
  if (relative.empty() || *relative.begin() == "..") {
    return path.string();
  }
  return relative.string();
}

std::string ShellWord(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_-./:=@%+,").find(c) != std::string_view::npos;
  });
  return plain ? text : absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

}  // namespace splitft::cli
