#include "aggregator/report_data.h"

#include <array>
#include <cmath>
#include <functional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace splitft::aggregator {
namespace {

using Point = JobHistory::Point;
using ClientTotals = JobHistory::ClientTotals;

constexpr size_t kMostLossCurves = 12;

// What frames carry, as people think of it; the order is that of the colours.
constexpr std::array kCategories = {"hidden states", "gradients",  "adapters", "adapter gradients",
                                    "labels",        "evaluation", "other"};

size_t Category(std::string_view kind) {
  if (kind == "HiddenUp" || kind == "HiddenDown") {
    return 0;
  }
  if (kind == "GradientUp" || kind == "GradientDown") {
    return 1;
  }
  if (kind == "StepBegin") {
    return 2;
  }
  if (kind == "StepEnd") {
    return 3;
  }
  if (kind == "LabelsUp") {
    return 4;
  }
  return kind.starts_with("Eval") ? 5 : 6;
}

// Five digits are more than a screen shows. JSON knows no NaN.
std::string Number(double value) { return std::isfinite(value) ? absl::StrFormat("%.5g", value) : "null"; }

// A string for a <script> element: no "<" that could end it.
std::string Quoted(const std::string& text) {
  const std::string json = nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  std::string safe;
  for (const char c : json) {
    if (c == '<' || c == '>' || c == '&') {
      absl::StrAppendFormat(&safe, "\\u%04x", static_cast<unsigned>(c));
    } else {
      safe.push_back(c);
    }
  }
  return safe;
}

template <typename Items, typename Format>
std::string List(const Items& items, Format&& format) {
  std::string list = "[";
  for (const auto& item : items) {
    absl::StrAppend(&list, list.size() > 1 ? "," : "", format(item));
  }
  return list + "]";
}

// [[point, cut], ...]: where the cut changes, by index into the curve.
std::string CutChanges(const std::vector<Point>& points, size_t client) {
  std::string list = "[";
  int cut = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    if (client >= points[i].clients.size() || points[i].clients[client].steps == 0 ||
        points[i].clients[client].cut_layer == cut) {
      continue;
    }
    cut = points[i].clients[client].cut_layer;
    absl::StrAppend(&list, list.size() > 1 ? "," : "", "[", i, ",", cut, "]");
  }
  return list + "]";
}

// [[category, bytes], ...] of one direction.
std::string BytesByCategory(const ClientTotals& client, bool up) {
  std::array<int64_t, kCategories.size()> bytes{};
  for (const auto& [kind, count] : client.bytes_by_kind) {
    bytes[Category(kind)] += GoesUp(kind) == up ? count : 0;
  }
  std::string list = "[";
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] > 0) {
      absl::StrAppend(&list, list.size() > 1 ? "," : "", "[", i, ",", bytes[i], "]");
    }
  }
  return list + "]";
}

std::string ClientData(const JobHistory& history, size_t index) {
  const ClientTotals& client = history.clients()[index];
  std::string data =
      absl::StrCat("{\"name\":", Quoted(client.name), ",\"cuts\":", CutChanges(history.points(), index),
                   ",\"up\":", BytesByCategory(client, true), ",\"down\":", BytesByCategory(client, false));
  absl::StrAppend(&data, ",\"time\":[", Number(client.head_forward_seconds), ",", Number(client.tail_seconds), ",",
                  Number(client.head_backward_seconds), ",", Number(client.wait_seconds), "]");
  if (index < kMostLossCurves) {
    absl::StrAppend(&data, ",\"loss\":", List(history.points(), [index](const Point& point) -> std::string {
      if (index >= point.clients.size() || point.clients[index].steps == 0) {
        return "null";
      }
      return Number(point.clients[index].loss_sum / static_cast<double>(point.clients[index].steps));
    }));
  }
  return data + "}";
}

}  // namespace

std::string ReportData(const JobHistory& history) {
  const std::vector<Point>& points = history.points();
  const auto column = [&points](auto&& value) {
    return List(points, [&value](const Point& point) { return Number(value(point)); });
  };
  const auto whole = [&points](int64_t Point::*member) {
    return List(points, [member](const Point& point) { return absl::StrCat(point.*member); });
  };
  std::string data = absl::StrCat("{\"stride\":", points.empty() ? 1 : points.front().steps,
                                  ",\"first\":", whole(&Point::first_step), ",\"steps\":", whole(&Point::last_step));
  absl::StrAppend(&data, ",\"loss\":", column([](const Point& p) { return p.loss_sum / static_cast<double>(p.steps); }),
                  ",\"low\":", column([](const Point& p) { return p.loss_min; }),
                  ",\"high\":", column([](const Point& p) { return p.loss_max; }),
                  ",\"rate\":", column([](const Point& p) {
                    return p.seconds > 0 ? static_cast<double>(p.tokens) / p.seconds : 0.0;
                  }));
  absl::StrAppend(&data, ",\"evals\":", List(history.evaluations(), [](const JobHistory::Evaluation& evaluation) {
    return absl::StrCat("[", evaluation.step, ",", Number(evaluation.loss), "]");
  }));
  absl::StrAppend(&data, ",\"kinds\":", List(kCategories, [](const char* name) { return Quoted(name); }));
  const JobHistory::Totals totals = history.totals();
  absl::StrAppend(&data, ",\"server\":[", Number(totals.server_forward_seconds), ",",
                  Number(totals.server_backward_seconds), ",", Number(totals.server_wait_seconds), "],\"clients\":[");
  for (size_t i = 0; i < history.clients().size(); ++i) {
    absl::StrAppend(&data, i > 0 ? "," : "", ClientData(history, i));
  }
  return data + "]}";
}

bool GoesUp(std::string_view kind) {
  return kind.ends_with("Up") || kind == "Hello" || kind == "StepEnd" || kind == "EvalEnd";
}

std::string EscapeHtml(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped.push_back(c);
    }
  }
  return escaped;
}

}  // namespace splitft::aggregator
