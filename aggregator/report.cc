#include "aggregator/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "aggregator/report_data.h"
#include "aggregator/report_template.h"

namespace splitft::aggregator {
namespace {

std::string Grouped(int64_t count) {
  const std::string digits = absl::StrCat(count);
  std::string grouped;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) {
      grouped.push_back(',');
    }
    grouped.push_back(digits[i]);
  }
  return grouped;
}

std::string Bytes(int64_t bytes) {
  static constexpr std::array kUnits = {"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return absl::StrFormat("%.*f %s", unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2, value, kUnits[unit]);
}

std::string Duration(double seconds) {
  const int64_t whole = std::llround(std::max(0.0, seconds));
  return whole < 3600 ? absl::StrFormat("%d:%02d", whole / 60, whole % 60)
                      : absl::StrFormat("%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string Loss(double loss) { return std::isfinite(loss) ? absl::StrFormat("%.4f", loss) : "–"; }

std::string Tile(const std::string& name, const std::string& value, const std::string& extra) {
  return absl::StrCat("<div class=\"tile\"><div class=\"name\">", EscapeHtml(name), "</div><div class=\"value\">",
                      EscapeHtml(value), "</div><div class=\"extra\">", EscapeHtml(extra), "</div></div>");
}

std::string Tiles(const JobHistory& history) {
  const JobHistory::Totals totals = history.totals();
  int64_t up = 0;
  int64_t down = 0;
  for (const JobHistory::ClientTotals& client : history.clients()) {
    up += client.bytes_up;
    down += client.bytes_down;
  }
  std::string tiles = Tile(
      "Loss", Loss(totals.last_loss),
      absl::StrCat("from ", Loss(totals.first_loss), "; means of ", std::min<int64_t>(10, totals.steps), " steps"));
  if (!history.evaluations().empty()) {
    tiles += Tile("Held-out loss", Loss(history.evaluations().back().loss),
                  absl::StrCat("from ", Loss(history.evaluations().front().loss)));
  }
  tiles += Tile("Steps", Grouped(totals.steps), absl::StrCat(Grouped(totals.tokens), " tokens"));
  tiles += Tile(
      "Training time", Duration(totals.seconds),
      totals.steps > 0 ? absl::StrFormat("%.3g s a step", totals.seconds / static_cast<double>(totals.steps)) : "");
  tiles += Tile("Tokens per second",
                totals.seconds > 0 ? Grouped(std::llround(static_cast<double>(totals.tokens) / totals.seconds)) : "–",
                absl::StrCat(history.clients().size(), history.clients().size() == 1 ? " client" : " clients"));
  tiles += Tile("Traffic", Bytes(up + down), absl::StrCat(Bytes(up), " up, ", Bytes(down), " down"));
  return tiles;
}

std::string Row(const char* cell, const std::vector<std::string>& values) {
  std::string row = "<tr>";
  for (const std::string& value : values) {
    absl::StrAppend(&row, "<", cell, ">", EscapeHtml(value), "</", cell, ">");
  }
  return row + "</tr>";
}

std::string ClientTable(const JobHistory& history) {
  std::string table = absl::StrCat(
      "<table><thead>",
      Row("th", {"client", "cut", "codec", "steps", "tokens", "up", "down", "computing", "waiting", "peak memory"}),
      "</thead><tbody>");
  for (size_t i = 0; i < history.clients().size(); ++i) {
    const JobHistory::ClientTotals& client = history.clients()[i];
    int cut = 0;
    for (const JobHistory::Point& point : history.points()) {
      cut = i < point.clients.size() && point.clients[i].steps > 0 ? point.clients[i].cut_layer : cut;
    }
    table += Row("td",
                 {client.name, absl::StrCat(cut), client.codec, Grouped(client.steps), Grouped(client.tokens),
                  Bytes(client.bytes_up), Bytes(client.bytes_down),
                  Duration(client.head_forward_seconds + client.tail_seconds + client.head_backward_seconds),
                  Duration(client.wait_seconds), client.peak_memory_bytes > 0 ? Bytes(client.peak_memory_bytes) : "–"});
  }
  return table + "</tbody></table>";
}

std::string TrafficTable(const JobHistory& history) {
  std::string table =
      absl::StrCat("<table><thead>", Row("th", {"kind", "direction", "all clients"}), "</thead><tbody>");
  std::map<std::string, int64_t> by_kind;
  for (const JobHistory::ClientTotals& client : history.clients()) {
    for (const auto& [kind, bytes] : client.bytes_by_kind) {
      by_kind[kind] += bytes;
    }
  }
  for (const auto& [kind, bytes] : by_kind) {
    table += Row("td", {kind, GoesUp(kind) ? "up" : "down", Bytes(bytes)});
  }
  return table + "</tbody></table>";
}

// Replaces each {{name}} of the template once; what is put in is not looked at again.
std::string Fill(std::string_view page, const std::vector<std::pair<std::string_view, std::string>>& values) {
  std::string filled;
  while (!page.empty()) {
    const size_t open = page.find("{{");
    const size_t close = open == std::string_view::npos ? open : page.find("}}", open);
    filled.append(page.substr(0, open));
    if (close == std::string_view::npos) {
      break;
    }
    const std::string_view name = page.substr(open + 2, close - open - 2);
    for (const auto& [key, value] : values) {
      filled.append(key == name ? value : "");
    }
    page.remove_prefix(close + 2);
  }
  return filled;
}

}  // namespace

std::string RenderReport(const ReportInput& input) {
  const size_t clients = input.history.clients().size();
  return Fill(ReportTemplate(),
              {{"title", EscapeHtml(input.job)},
               {"reason", EscapeHtml(input.reason)},
               {"lead", EscapeHtml(absl::StrCat(input.model, ", fine-tuned by ", clients,
                                                clients == 1 ? " client" : " clients", ", each on its own text."))},
               {"tiles", Tiles(input.history)},
               {"clients", ClientTable(input.history)},
               {"traffic", TrafficTable(input.history)},
               {"manifest", EscapeHtml(input.manifest)},
               {"data", ReportData(input.history)}});
}

}  // namespace splitft::aggregator
