#include "operator/prometheus.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/kube/request.h"
#include "nlohmann/json.hpp"

namespace splitft::controller {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostQuoted = 80;
constexpr char kTwice[] = "twice";  // among a job's samples: one series was there twice
// The labels that may tell series of one metric and client apart.
constexpr const char* kOtherLabels[] = {"activity", "phase", "codec"};

absl::Status Untrusted(const std::string& why) { return absl::UnavailableError(absl::StrCat("Prometheus ", why)); }

std::string Quote(std::string_view text) {
  std::string quoted;
  for (const char c : text.substr(0, kMostQuoted)) {
    quoted += c >= ' ' && c < 0x7f ? c : ' ';
  }
  return absl::StrCat("\"", quoted, text.size() > kMostQuoted ? "...\"" : "\"");
}

std::string Text(const Json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// What FiguresOf reads.
constexpr std::string_view kNeeded[] = {"splitft_job_steps_total",
                                        "splitft_job_planned_steps",
                                        "splitft_job_restarted_steps_total",
                                        "splitft_job_last_step_seconds",
                                        "splitft_job_microbatches",
                                        "splitft_client_cut_layer",
                                        "splitft_client_cut_limit",
                                        "splitft_client_codec",
                                        "splitft_client_loss",
                                        "splitft_client_last_step_tokens",
                                        "splitft_client_last_step_seconds",
                                        "splitft_client_uplink_bytes_per_second",
                                        "splitft_client_downlink_bytes_per_second",
                                        "splitft_client_round_trip_seconds",
                                        "splitft_client_peak_memory_bytes",
                                        "splitft_client_memory_limit_bytes",
                                        "splitft_client_last_step_cpu_seconds",
                                        "splitft_client_last_step_throttled_seconds",
                                        "splitft_client_cpu_quota_cores"};

bool IsNeeded(std::string_view metric) {
  return std::find(std::begin(kNeeded), std::end(kNeeded), metric) != std::end(kNeeded);
}

// One series of the vector: [time, "value"].
absl::Status AddSample(const Json& series, Duration now, MeasuredJobs* jobs) {
  const auto labels = series.is_object() ? series.find("metric") : series.end();
  const auto value = series.is_object() ? series.find("value") : series.end();
  if (!series.is_object() || labels == series.end() || value == series.end() || !labels->is_object() ||
      !value->is_array() || value->size() != 2 || !(*value)[0].is_number() || !(*value)[1].is_string()) {
    return Untrusted("answered with a series that is none");
  }
  const std::string name = Text(*labels, "__name__");
  const kube::ObjectKey job{Text(*labels, "namespace"), Text(*labels, "job")};
  if (!IsNeeded(name) || job.name_space.empty() || job.name.empty()) {
    return absl::OkStatus();  // nobody's, or another query's
  }
  const double age = Seconds(now) - (*value)[0].get<double>();
  if (!(std::abs(age) <= Seconds(kMostClockSkew))) {
    return Untrusted(absl::StrCat("answered as of ", static_cast<int64_t>(age), " s ago"));
  }
  std::string key = name;
  if (const std::string client = Text(*labels, "client"); !client.empty()) {
    absl::StrAppend(&key, " ", client);
  }
  for (const char* label : kOtherLabels) {
    if (const std::string other = Text(*labels, label); !other.empty()) {
      absl::StrAppend(&key, " ", other);
    }
  }
  double number = std::nan("");
  static_cast<void>(absl::SimpleAtod((*value)[1].get<std::string>(), &number));  // NaN, +Inf and the like stay
  JobSamples& samples = (*jobs)[job];
  if (!samples.emplace(key, number).second) {
    samples[kTwice] = 1;
  }
  return absl::OkStatus();
}

constexpr int64_t kMostOfFew = 1'000'000;  // blocks, microbatches

// Looks samples up, and remembers the first that is missing or no number.
class Lookup {
 public:
  explicit Lookup(const JobSamples& samples) : samples_(samples) {}

  double operator()(const std::string& key) {
    const auto found = samples_.find(key);
    if (found == samples_.end()) {
      Note(absl::NotFoundError(absl::StrCat("Prometheus has no ", key)));
      return 0;
    }
    if (!std::isfinite(found->second)) {
      Note(absl::InvalidArgumentError(absl::StrCat("Prometheus: ", key, " is ", found->second)));
      return 0;
    }
    return found->second;
  }
  int64_t Count(const std::string& key) {
    const double value = (*this)(key);
    if (value < 0 || value > 1e15) {
      Note(absl::InvalidArgumentError(absl::StrCat("Prometheus: ", key, " is ", value)));
      return 0;
    }
    return static_cast<int64_t>(value);
  }
  // Of what there are few.
  int Small(const std::string& key) {
    const int64_t value = Count(key);
    if (value > kMostOfFew) {
      Note(absl::InvalidArgumentError(absl::StrCat("Prometheus: ", key, " is ", value)));
    }
    return static_cast<int>(std::min(value, kMostOfFew));
  }
  const absl::Status& status() const { return status_; }

 private:
  void Note(absl::Status status) {
    if (status_.ok()) {
      status_ = std::move(status);
    }
  }

  const JobSamples& samples_;
  absl::Status status_;
};

spec::Codec CodecOf(const JobSamples& samples, const std::string& client) {
  for (const auto& [name, codec] : {std::pair("bf16", spec::Codec::kBf16), std::pair("int8", spec::Codec::kInt8)}) {
    const auto found = samples.find(absl::StrCat("splitft_client_codec ", client, " ", name));
    if (found != samples.end() && found->second == 1) {
      return codec;
    }
  }
  return spec::Codec::kFp32;
}

}  // namespace

absl::StatusOr<MeasuredJobs> ParseAnswer(const kube::Response& response, Duration now) {
  const Json answer = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (answer.is_object() && Text(answer, "status") == "error") {
    return Untrusted(absl::StrCat("answered ", response.status, ", ", Text(answer, "errorType"), ": ",
                                  Quote(Text(answer, "error"))));
  }
  if (response.status != 200) {
    return Untrusted(absl::StrCat("answered ", response.status, ": ", Quote(response.body)));
  }
  if (!answer.is_object() || Text(answer, "status") != "success") {
    return Untrusted(absl::StrCat("answered with what is none of its answers: ", Quote(response.body)));
  }
  if (const auto warnings = answer.find("warnings"); warnings != answer.end() && !warnings->empty()) {
    return Untrusted(absl::StrCat("warns: ", Quote(warnings->dump())));
  }
  const auto data = answer.find("data");
  const auto result = data != answer.end() && data->is_object() ? data->find("result") : answer.end();
  if (data == answer.end() || !data->is_object() || Text(*data, "resultType") != "vector" || result == data->end() ||
      !result->is_array()) {
    return Untrusted("answered with no vector: the query must have one");
  }
  MeasuredJobs jobs;
  for (const Json& series : *result) {
    SPLITFT_RETURN_IF_ERROR(AddSample(series, now, &jobs));
  }
  return jobs;
}

absl::StatusOr<scheduler::StepFigures> FiguresOf(const JobSamples& samples, const spec::FineTuneJob& job) {
  if (samples.contains(kTwice)) {
    return absl::InvalidArgumentError(
        "Prometheus has a series of this job twice: of two aggregators, or two clusters, that its query must tell "
        "apart");
  }
  Lookup of(samples);
  scheduler::StepFigures figures{.step = of.Count("splitft_job_steps_total"),
                                 .total_steps = of.Count("splitft_job_planned_steps"),
                                 .attempt = 1 + of.Count("splitft_job_restarted_steps_total"),
                                 .microbatches = of.Small("splitft_job_microbatches"),
                                 .seconds = of("splitft_job_last_step_seconds total"),
                                 .server_forward_seconds = of("splitft_job_last_step_seconds forward"),
                                 .server_backward_seconds = of("splitft_job_last_step_seconds backward"),
                                 .server_wait_seconds = of("splitft_job_last_step_seconds wait"),
                                 .clients = {}};
  for (const spec::Client& client : job.clients) {
    const auto key = [&](const char* metric, const char* phase = "") {
      return absl::StrCat(metric, " ", client.name, *phase == '\0' ? "" : " ", phase);
    };
    constexpr char kSeconds[] = "splitft_client_last_step_seconds";
    figures.clients.push_back(
        {.name = client.name,
         .choice = {.cut_layer = of.Small(key("splitft_client_cut_layer")), .codec = CodecOf(samples, client.name)},
         .tokens = of.Count(key("splitft_client_last_step_tokens")),
         .head_forward_seconds = of(key(kSeconds, "forward")),
         .tail_seconds = of(key(kSeconds, "tail")),
         .head_backward_seconds = of(key(kSeconds, "backward")),
         .link = {.up_bytes_per_second = of(key("splitft_client_uplink_bytes_per_second")),
                  .down_bytes_per_second = of(key("splitft_client_downlink_bytes_per_second")),
                  .round_trip_seconds = of(key("splitft_client_round_trip_seconds"))},
         .loss = of(key("splitft_client_loss")),
         .memory_bytes = of.Count(key("splitft_client_peak_memory_bytes")),
         .memory_limit_bytes = of.Count(key("splitft_client_memory_limit_bytes")),
         .cpu_seconds = of(key("splitft_client_last_step_cpu_seconds")),
         .throttled_seconds = of(key("splitft_client_last_step_throttled_seconds")),
         .cpu_quota = of(key("splitft_client_cpu_quota_cores")),
         .cut_limit = of.Small(key("splitft_client_cut_limit"))});
  }
  SPLITFT_RETURN_IF_ERROR(of.status());
  return figures;
}

std::string DefaultQuery() {
  std::string names;
  for (const std::string_view name : kNeeded) {
    absl::StrAppend(&names, names.empty() ? "" : "|", std::string(name));
  }
  return absl::StrCat("{__name__=~\"", names, "\"}");
}

absl::StatusOr<MeasuredJobs> Prometheus::Read() const {
  kube::Request request = kube::PathRequest(absl::StrCat("/api/v1/query?query=", kube::EscapeQuery(options_.query)));
  request.verb = "query";
  const absl::StatusOr<kube::Response> response = transport_.Send(request, options_.timeout);
  if (!response.ok()) {
    return Untrusted(absl::StrCat("did not answer: ", std::string(response.status().message())));
  }
  return ParseAnswer(*response, clock_.WallTime());
}

}  // namespace splitft::controller
