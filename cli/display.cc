#include "cli/display.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/text_format.h"

namespace splitft::cli {
namespace {

constexpr const char* kPlain = "";
constexpr const char* kBold = "1";
constexpr const char* kDim = "2";
constexpr const char* kGreen = "32";
constexpr const char* kRed = "31";

struct Span {
  std::string text;
  const char* color = kPlain;  // parameters of an SGR sequence
};
using Line = std::vector<Span>;

size_t Width(const Line& line) {
  size_t width = 0;
  for (const Span& span : line) {
    width += DisplayWidth(span.text);
  }
  return width;
}

// The line's text, cut to `width` columns, with colours if wanted.
std::string Paint(const Line& line, size_t width, bool color) {
  std::string out;
  for (const Span& span : line) {
    const std::string text = CutToWidth(span.text, width);
    width -= DisplayWidth(text);
    if (color && *span.color != '\0' && !text.empty()) {
      absl::StrAppend(&out, "\x1b[", span.color, "m", text, "\x1b[0m");
    } else {
      out += text;
    }
  }
  out.erase(out.find_last_not_of(' ') + 1);
  return out;
}

// Where time goes: per share a colour, a letter for terminals without colour, a word for the legend.
struct ShareStyle {
  double TimeShares::*share;
  const char* color;
  char letter;
  const char* word;
};
constexpr std::array<ShareStyle, 4> kShares = {{{&TimeShares::head_forward, "36", 'f', "forward"},
                                                {&TimeShares::tail, "34", 't', "tail and loss"},
                                                {&TimeShares::head_backward, "35", 'b', "backward"},
                                                {&TimeShares::wait, "90", '.', "waiting"}}};

// A bar of `cells`, divided by largest remainder so that the cells always add up.
Line TimeBar(const TimeShares& time, size_t cells, const DisplayStyle& style) {
  std::array<size_t, kShares.size()> counts{};
  std::array<double, kShares.size()> rest{};
  size_t used = 0;
  double sum = 0;
  for (size_t i = 0; i < kShares.size(); ++i) {
    const double exact = std::max(0.0, time.*kShares[i].share) * static_cast<double>(cells);
    sum += exact;
    counts[i] = static_cast<size_t>(exact);
    rest[i] = exact - std::floor(exact);
    used += counts[i];
  }
  if (sum <= 0) {
    return {};
  }
  while (used < cells) {
    const auto most = static_cast<size_t>(std::max_element(rest.begin(), rest.end()) - rest.begin());
    ++counts[most];
    rest[most] = -1;
    ++used;
  }
  Line bar;
  for (size_t i = 0; i < kShares.size(); ++i) {
    const bool block = style.color && style.unicode;
    std::string cell = block ? "█" : std::string(1, kShares[i].letter);
    std::string text;
    for (size_t n = 0; n < counts[i]; ++n) {
      text += cell;
    }
    bar.push_back({text, kShares[i].color});
  }
  return bar;
}

Line Legend(const DisplayStyle& style) {
  Line legend = {{"  ", kPlain}};
  for (const ShareStyle& share : kShares) {
    legend.push_back({style.color && style.unicode ? "█" : std::string(1, share.letter), share.color});
    legend.push_back({absl::StrCat(" ", share.word, "   "), kDim});
  }
  return legend;
}

// Which columns there is room for, in the order of their worth: loss, tokens/s, cut, time, traffic.
struct Columns {
  size_t name = 0;
  bool cut = false;
  bool loss = false;
  bool rate = false;
  bool traffic = false;
  size_t bar = 0;
};
constexpr size_t kCutWidth = 5;
constexpr size_t kLossWidth = 9;
constexpr size_t kRateWidth = 10;
constexpr size_t kTrafficWidth = 20;
constexpr size_t kLeastBar = 12;
constexpr size_t kMostBar = 32;

Columns ChooseColumns(const JobView& view, size_t width) {
  Columns columns{.name = 6};
  for (const ClientView& client : view.clients) {
    columns.name = std::max(columns.name, std::min<size_t>(20, DisplayWidth(client.name)));
  }
  size_t used = columns.name + 4;
  const auto fits = [&](size_t column) {
    const bool room = used + column <= width;
    used += room ? column : 0;
    return room;
  };
  columns.loss = fits(kLossWidth);
  columns.rate = columns.loss && fits(kRateWidth);
  columns.cut = columns.rate && fits(kCutWidth);
  columns.bar = columns.cut && fits(kLeastBar + 2) ? kLeastBar : 0;
  columns.traffic = columns.bar > 0 && fits(kTrafficWidth);
  if (columns.traffic) {
    columns.bar += std::min(kMostBar - kLeastBar, width - used);
  }
  return columns;
}

Line Header(const Columns& columns) {
  std::string text = absl::StrCat("    ", PadRight("client", columns.name));
  text += columns.cut ? PadLeft("cut", kCutWidth) : "";
  text += columns.loss ? PadLeft("loss", kLossWidth) : "";
  text += columns.rate ? PadLeft("tokens/s", kRateWidth) : "";
  text += columns.traffic ? PadLeft("sent", kTrafficWidth / 2) + PadLeft("received", kTrafficWidth / 2) : "";
  text += columns.bar > 0 ? "  where time goes" : "";
  return {{text, kDim}};
}

Line ClientLine(const ClientView& client, const Columns& columns, const DisplayStyle& style) {
  const std::string dot = style.unicode ? (client.connected ? "●" : "○") : (client.connected ? "*" : "-");
  Line line = {{"  "}, {absl::StrCat(dot, " "), client.connected ? kGreen : kDim}};
  line.push_back({PadRight(CutToWidth(client.name, columns.name), columns.name), kPlain});
  if (columns.cut) {
    line.push_back({PadLeft(absl::StrCat(client.cut_layer), kCutWidth), kPlain});
  }
  if (columns.loss) {
    line.push_back({PadLeft(client.loss.has_value() ? FormatLoss(*client.loss) : "", kLossWidth), kPlain});
  }
  if (!client.loss.has_value()) {
    line.push_back({client.connected ? "" : "  not connected", kDim});
    return line;
  }
  if (columns.rate) {
    line.push_back({PadLeft(FormatCount(std::llround(client.tokens_per_second)), kRateWidth), kPlain});
  }
  if (columns.traffic) {
    line.push_back({PadLeft(FormatBytes(client.bytes_up), kTrafficWidth / 2), kPlain});
    line.push_back({PadLeft(FormatBytes(client.bytes_down), kTrafficWidth / 2), kPlain});
  }
  if (columns.bar > 0) {
    line.push_back({"  ", kPlain});
    const Line bar = TimeBar(client.time, columns.bar, style);
    line.insert(line.end(), bar.begin(), bar.end());
  }
  return line;
}

Line ProgressBar(const JobView& view, size_t cells, const DisplayStyle& style) {
  const double share =
      view.total_steps > 0
          ? std::clamp(static_cast<double>(view.step) / static_cast<double>(view.total_steps), 0.0, 1.0)
          : 0.0;
  const auto halves = static_cast<size_t>(share * static_cast<double>(cells) * 2);
  std::string done;
  std::string open;
  for (size_t i = 0; i < cells; ++i) {
    if (2 * i + 1 < halves) {
      done += style.unicode ? "━" : "=";
    } else if (2 * i < halves) {
      done += style.unicode ? "╸" : ">";
    } else {
      open += style.unicode ? "─" : "-";
    }
  }
  return {{done, kGreen}, {open, kDim}};
}

// The bar takes what the figures leave, between 10 and 40 columns; figures are dropped from the right on narrow
// terminals.
Line ProgressLine(const JobView& view, size_t width, const DisplayStyle& style) {
  constexpr size_t kLeastCells = 10;
  constexpr size_t kMostCells = 40;
  std::string figures = absl::StrCat(" ", ProgressText(view));
  while (DisplayWidth(figures) + kLeastCells + 3 > width && figures.rfind("  ") != std::string::npos &&
         figures.rfind("  ") > 0) {
    figures.erase(figures.rfind("  "));
  }
  const size_t taken = DisplayWidth(figures) + 3;
  const size_t cells = std::clamp(width > taken ? width - taken : 0, kLeastCells, kMostCells);
  Line line = {{"  "}};
  for (Span& span : ProgressBar(view, cells, style)) {
    line.push_back(std::move(span));
  }
  line.push_back({figures, kPlain});
  return line;
}

Line Title(const JobView& view, size_t width) {
  const char* color = view.phase == control::FAILED ? kRed : view.phase == control::COMPLETED ? kGreen : kPlain;
  Line line = {{"  "}, {view.job, kBold}, {"  "}, {PhaseText(view), color}};
  const std::string elapsed = FormatDuration(view.elapsed);
  const size_t used = Width(line) + DisplayWidth(elapsed);
  if (used + 2 <= width) {
    line.push_back({std::string(std::min<size_t>(width, 100) > used ? std::min<size_t>(width, 100) - used : 2, ' ')});
    line.push_back({elapsed, kDim});
  }
  return line;
}

}  // namespace

std::vector<std::string> RenderDisplay(const JobView& view, const DisplayStyle& style) {
  const size_t width = std::max<size_t>(style.width, 2) - 1;
  const size_t height = std::max<size_t>(style.height, 2) - 1;
  const Columns columns = ChooseColumns(view, width);
  constexpr size_t kFrameLines = 6;  // title, blank, header, legend, blank, progress
  std::vector<Line> lines;
  if (height > kFrameLines) {
    size_t shown = view.clients.size();
    if (shown > height - kFrameLines) {
      shown = height - kFrameLines - 1;
    }
    lines = {Title(view, width), {}, Header(columns)};
    for (size_t i = 0; i < shown; ++i) {
      lines.push_back(ClientLine(view.clients[i], columns, style));
    }
    if (shown < view.clients.size()) {
      lines.push_back({{absl::StrCat("    and ", view.clients.size() - shown, " more"), kDim}});
    }
    lines.push_back(columns.bar > 0 ? Legend(style) : Line());
    if (columns.bar > 0) {
      lines.emplace_back();
    }
  }
  lines.push_back(ProgressLine(view, width, style));
  std::vector<std::string> painted;
  for (const Line& line : lines) {
    painted.push_back(Paint(line, width, style.color));
  }
  return painted;
}

std::string ProgressText(const JobView& view) {
  std::string text = absl::StrCat("step ", view.step, "/", view.total_steps);
  if (view.loss.has_value()) {
    absl::StrAppend(&text, "  loss ", FormatLoss(*view.loss));
  }
  if (view.left.has_value() && view.step < view.total_steps) {
    absl::StrAppend(&text, "  ", FormatDuration(*view.left), " left");
  }
  if (view.tokens_per_second > 0) {
    absl::StrAppend(&text, "  ", FormatCount(std::llround(view.tokens_per_second)), " tokens/s");
  }
  if (view.eval_loss.has_value()) {
    absl::StrAppend(&text, "  held-out ", FormatLoss(*view.eval_loss));
  }
  return text;
}

std::optional<std::string> PlainProgress::Next(const JobView& view) {
  const int64_t interval = std::max<int64_t>(1, (view.total_steps + most_lines_ - 1) / most_lines_);
  // The first step of each interval that is seen gets the line, so that steps which were missed cost none.
  const bool due = view.step > printed_step_ && (printed_step_ == 0 || view.step == view.total_steps ||
                                                 view.step / interval > printed_step_ / interval);
  if (due) {
    printed_step_ = view.step;
    phase_ = PhaseText(view);
    return ProgressText(view);
  }
  const bool training = view.phase == control::TRAINING || view.phase == control::EVALUATING;
  const std::string phase = PhaseText(view);
  if (phase != std::exchange(phase_, phase) && !(training && printed_step_ > 0)) {
    return phase;
  }
  return std::nullopt;
}

std::string PhaseText(const JobView& view) {
  constexpr size_t kMostNames = 3;
  std::vector<std::string> lost;
  // Before the first step the job waits for all of them to join.
  for (const ClientView& client : view.clients) {
    if (view.phase == control::WAITING_FOR_CLIENTS && view.total_steps > 0 && !client.connected) {
      lost.push_back(client.name);
    }
  }
  if (lost.empty()) {
    return PhaseName(view.phase);
  }
  const size_t more = lost.size() > kMostNames ? lost.size() - kMostNames : 0;
  lost.resize(lost.size() - more);
  return absl::StrCat("waiting for ", absl::StrJoin(lost, ", "), more > 0 ? absl::StrCat(" and ", more, " more") : "");
}

std::string PhaseName(control::Phase phase) {
  switch (phase) {
    case control::WAITING_FOR_CLIENTS:
      return "waiting for clients";
    case control::TRAINING:
      return "training";
    case control::EVALUATING:
      return "evaluating on held-out text";
    case control::WRITING:
      return "writing the adapter and the report";
    case control::COMPLETED:
      return "completed";
    case control::FAILED:
      return "failed";
    default:
      return "starting";
  }
}

}  // namespace splitft::cli
