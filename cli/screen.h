#pragma once

#include <string>
#include <vector>

#include "cli/display.h"

namespace splitft::cli {

// The live area at the bottom of a terminal, redrawn in place. Owns nothing but the cursor's visibility, which it
// restores.
class Screen {
 public:
  // `fd`: a terminal, borrowed.
  explicit Screen(int fd);
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // The terminal's present size; colours unless NO_COLOR is set or the terminal is dumb; Unicode where the locale is
  // UTF-8.
  DisplayStyle style() const;
  // Replaces the live area by `lines`.
  void Draw(std::vector<std::string> lines);
  // Prints a line above the live area.
  void Print(const std::string& line);

 private:
  // Moves to the live area's first row and clears from there, also when a resize has wrapped what was drawn.
  std::string Erase() const;
  void Write(const std::string& bytes) const;

  const int fd_;
  std::vector<std::string> drawn_;
};

// Columns that `painted` takes on a terminal: escape sequences take none.
size_t PaintedWidth(const std::string& painted);

}  // namespace splitft::cli
