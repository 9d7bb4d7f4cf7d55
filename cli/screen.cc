#include "cli/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/text_format.h"

namespace splitft::cli {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool LocaleIsUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    if (const std::string value = Environment(name); !value.empty()) {
      const std::string lower = absl::AsciiStrToLower(value);
      return absl::StrContains(lower, "utf-8") || absl::StrContains(lower, "utf8");
    }
  }
  return false;
}

}  // namespace

Screen::Screen(int fd) : fd_(fd) { Write("\x1b[?25l"); }

Screen::~Screen() { Write("\x1b[?25h"); }

DisplayStyle Screen::style() const {
  DisplayStyle style;
  winsize size{};
  if (::ioctl(fd_, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
    style.width = size.ws_col;
    style.height = size.ws_row;
  }
  style.color = Environment("NO_COLOR").empty() && Environment("TERM") != "dumb";
  style.unicode = LocaleIsUtf8();
  return style;
}

void Screen::Draw(std::vector<std::string> lines) {
  std::string bytes = Erase();
  for (const std::string& line : lines) {
    absl::StrAppend(&bytes, line, "\n");
  }
  drawn_ = std::move(lines);
  Write(bytes);
}

void Screen::Print(const std::string& line) {
  std::string bytes = absl::StrCat(Erase(), line, "\n");
  for (const std::string& drawn : drawn_) {
    absl::StrAppend(&bytes, drawn, "\n");
  }
  Write(bytes);
}

std::string Screen::Erase() const {
  if (drawn_.empty()) {
    return "";
  }
  const size_t width = style().width;
  size_t rows = 0;
  for (const std::string& line : drawn_) {
    rows += std::max<size_t>(1, (PaintedWidth(line) + width - 1) / width);
  }
  return absl::StrCat("\x1b[", rows, "A\r\x1b[J");
}

void Screen::Write(const std::string& bytes) const {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t written = ::write(fd_, bytes.data() + done, bytes.size() - done);
    if (written < 0 && errno != EINTR) {
      return;  // a terminal that went away must not stop training
    }
    done += written > 0 ? static_cast<size_t>(written) : 0;
  }
}

size_t PaintedWidth(const std::string& painted) {
  std::string visible;
  for (size_t i = 0; i < painted.size(); ++i) {
    if (painted[i] == '\x1b') {
      i = painted.find('m', i);
      if (i == std::string::npos) {
        break;
      }
      continue;
    }
    visible.push_back(painted[i]);
  }
  return DisplayWidth(visible);
}

}  // namespace splitft::cli
