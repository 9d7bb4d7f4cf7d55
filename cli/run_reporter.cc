#include "cli/run_reporter.h"

#include <chrono>

#include "nlohmann/json.hpp"

namespace splitft::cli {
namespace {

using Json = nlohmann::ordered_json;
constexpr Duration kLeastBetweenDraws = std::chrono::milliseconds(100);
constexpr Duration kMostBetweenDraws = std::chrono::seconds(1);  // for the clock on the screen

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

void LiveReporter::OnProgress(const JobView& /*view*/) { changed_ = true; }

void LiveReporter::OnLine(const std::string& line) { screen_.Print(line); }

std::optional<Duration> LiveReporter::OnTick(const JobView& view, TimePoint now) {
  const bool phase_changed = view.phase != phase_;
  const Duration since = drawn_at_.has_value() ? now - *drawn_at_ : kMostBetweenDraws;
  if (phase_changed || since >= kMostBetweenDraws || (changed_ && since >= kLeastBetweenDraws)) {
    screen_.Draw(RenderDisplay(view, screen_.style()));
    drawn_at_ = now;
    phase_ = view.phase;
    changed_ = false;
    return kMostBetweenDraws;
  }
  return (changed_ ? kLeastBetweenDraws : kMostBetweenDraws) - since;
}

void PlainReporter::OnProgress(const JobView& view) {
  if (const std::optional<std::string> line = progress_.Next(view); line.has_value()) {
    OnLine(*line);
  }
}

void PlainReporter::OnLine(const std::string& line) { out_ << line << std::endl; }

std::optional<Duration> PlainReporter::OnTick(const JobView& /*view*/, TimePoint /*now*/) { return std::nullopt; }

void JsonReporter::OnProgress(const JobView& view) { out_ << ProgressJson(view) << std::endl; }

void JsonReporter::OnLine(const std::string& line) {
  Json json;
  json["event"] = "line";
  json["line"] = line;
  out_ << Dump(json) << std::endl;
}

std::optional<Duration> JsonReporter::OnTick(const JobView& /*view*/, TimePoint /*now*/) { return std::nullopt; }

std::string ProgressJson(const JobView& view) {
  Json json;
  json["event"] = "progress";
  json["job"] = view.job;
  json["phase"] = control::Phase_Name(view.phase);
  json["step"] = view.step;
  json["total_steps"] = view.total_steps;
  json["seconds"] = Seconds(view.elapsed);
  if (view.left.has_value()) {
    json["seconds_left"] = Seconds(*view.left);
  }
  if (view.loss.has_value()) {
    json["loss"] = *view.loss;
  }
  if (view.eval_loss.has_value()) {
    json["eval_loss"] = *view.eval_loss;
  }
  json["tokens_per_second"] = view.tokens_per_second;
  json["clients"] = Json::array();
  for (const ClientView& client : view.clients) {
    Json& entry = json["clients"].emplace_back();
    entry["name"] = client.name;
    entry["connected"] = client.connected;
    entry["cut_layer"] = client.cut_layer;
    if (client.loss.has_value()) {
      entry["loss"] = *client.loss;
    }
    entry["tokens_per_second"] = client.tokens_per_second;
    entry["bytes_up"] = client.bytes_up;
    entry["bytes_down"] = client.bytes_down;
  }
  return Dump(json);
}

}  // namespace splitft::cli
