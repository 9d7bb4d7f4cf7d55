// splitft-operator: makes FineTuneJobs of a cluster happen.

#include <malloc.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "libs/base/flags.h"
#include "libs/base/status_macros.h"
#include "libs/kube/cluster.h"
#include "libs/kube/credentials.h"
#include "libs/kube/http_transport.h"
#include "libs/kube/lease.h"
#include "libs/kube/observed_transport.h"
#include "libs/telemetry/exit.h"
#include "libs/telemetry/log.h"
#include "libs/telemetry/metrics.h"
#include "libs/telemetry/telemetry_server.h"
#include "operator/figures_poller.h"
#include "operator/job_operator.h"
#include "operator/operator_metrics.h"
#include "operator/prometheus.h"

namespace splitft::controller {
namespace {

constexpr char kProgram[] = "splitft-operator";

std::string FlagOr(const Flags& flags, const char* name, const std::string& fallback) {
  const auto found = flags.find(name);
  return found == flags.end() ? fallback : found->second;
}

std::string Identity() {
  const char* host = std::getenv("HOSTNAME");
  return absl::StrCat(host == nullptr ? "local" : host, "-", ::getpid());
}

absl::StatusOr<OperatorSettings> SettingsOf(const Flags& flags, const std::string& name_space) {
  OperatorSettings settings;
  settings.worker_image = FlagOr(flags, "worker-image", "splitft/worker:latest");
  settings.aggregator_image = FlagOr(flags, "aggregator-image", "splitft/aggregator:latest");
  settings.aggregator_cuda_image = FlagOr(flags, "aggregator-cuda-image", "splitft/aggregator-cuda:latest");
  settings.image_pull_policy = FlagOr(flags, "image-pull-policy", "IfNotPresent");
  settings.watcher_namespace = name_space;
  settings.watcher_labels = {{"app.kubernetes.io/name", "splitft-operator"}};
  const std::string scrapers = FlagOr(flags, "metrics-from", "[]");
  settings.scrapers = Json::parse(scrapers, nullptr, /*allow_exceptions=*/false);
  if (!settings.scrapers.is_array()) {
    return telemetry::WithExitCode(
        absl::InvalidArgumentError(absl::StrCat("--metrics-from: \"", scrapers, "\" is no JSON list of network peers")),
        telemetry::ExitCode::kUsage);
  }
  return settings;
}

// Where jobs' figures are read instead of from their aggregators, if anywhere.
struct PrometheusParts {
  std::unique_ptr<kube::Transport> transport;
  std::optional<Prometheus> prometheus;
};
absl::StatusOr<PrometheusParts> PrometheusOf(const Flags& flags, const Clock& clock) {
  PrometheusParts parts;
  const std::string url = FlagOr(flags, "prometheus-url", "");
  if (url.empty()) {
    return parts;
  }
  Prometheus::Options options;
  options.query = FlagOr(flags, "prometheus-query", options.query);
  SPLITFT_ASSIGN_OR_RETURN(const int timeout,
                           IntegerOf(flags, {.name = "prometheus-timeout", .low = 1, .high = 10, .fallback = 5}));
  SPLITFT_ASSIGN_OR_RETURN(const int interval,
                           IntegerOf(flags, {.name = "prometheus-interval", .low = 1, .high = 3600, .fallback = 15}));
  options.timeout = std::chrono::seconds(timeout);
  options.interval = std::chrono::seconds(interval);
  // A Secret may have one of the two.
  const auto file = [&](const char* flag) {
    std::filesystem::path path = FlagOr(flags, flag, "");
    std::error_code error;
    return std::filesystem::exists(path, error) ? path : std::filesystem::path();
  };
  kube::Cluster server{.server = url, .ca_file = file("prometheus-ca-file")};
  if (const std::filesystem::path token = file("prometheus-token-file"); !token.empty()) {
    server.credentials = kube::TokenFile(token, clock);
  }
  auto transport = kube::MakeHttpTransport(server, {.connections = 1, .user_agent = kProgram}, clock);
  if (!transport.ok()) {
    return telemetry::WithExitCode(
        {transport.status().code(), absl::StrCat("--prometheus-url: ", std::string(transport.status().message()))},
        telemetry::ExitCode::kUsage);
  }
  parts.transport = *std::move(transport);
  parts.prometheus.emplace(*parts.transport, clock, std::move(options));
  return parts;
}

absl::StatusOr<std::unique_ptr<telemetry::TelemetryServer>> StartServer(const Flags& flags,
                                                                        telemetry::Metrics& metrics) {
  constexpr char kFlag[] = "health-address";
  auto server = telemetry::TelemetryServer::Start(FlagOr(flags, kFlag, "0.0.0.0:8081"), metrics);
  if (server.ok()) {
    return server;
  }
  const absl::Status error(server.status().code(),
                           absl::StrCat("--", kFlag, ": ", std::string(server.status().message())));
  return absl::IsInvalidArgument(error) ? telemetry::WithExitCode(error, telemetry::ExitCode::kUsage) : error;
}

// Works on jobs while this process leads, until `stop`.
absl::Status Operate(const Flags& flags, const telemetry::Log& log, const std::stop_token& stop) {
  const Clock& clock = SystemClock();
  telemetry::Metrics all_metrics;
  telemetry::AddBuildInfo(all_metrics, SPLITFT_VERSION);
  const OperatorMetrics metrics(all_metrics);
  SPLITFT_ASSIGN_OR_RETURN(const auto server, StartServer(flags, all_metrics));
  const std::string kubeconfig = FlagOr(flags, "kubeconfig", "");
  SPLITFT_ASSIGN_OR_RETURN(const kube::Cluster cluster,
                           kubeconfig.empty() ? kube::DefaultCluster(clock)
                                              : kube::FromKubeconfig(kubeconfig, FlagOr(flags, "context", ""), clock));
  SPLITFT_ASSIGN_OR_RETURN(const std::unique_ptr<kube::Transport> connections,
                           kube::MakeHttpTransport(cluster, {.connections = 12, .user_agent = kProgram}, clock));
  kube::ObservedTransport transport(*connections, clock,
                                    [&](const kube::RequestOutcome& outcome) { metrics.Requested(outcome); });
  const std::string identity = Identity();
  SPLITFT_ASSIGN_OR_RETURN(const OperatorSettings settings, SettingsOf(flags, cluster.name_space));
  SPLITFT_ASSIGN_OR_RETURN(const PrometheusParts figures, PrometheusOf(flags, clock));
  std::optional<FiguresPoller> poller;
  if (figures.prometheus.has_value()) {
    poller.emplace(FiguresPoller::Parts{clock, log, metrics}, *figures.prometheus);
  }
  const auto lead = [&](int64_t term, const std::stop_token& lost) {
    log.Info("leading", {{"identity", identity}, {"term", term}});
    JobOperator(
        {.transport = transport,
         .clock = clock,
         .log = log,
         .metrics = metrics,
         .figures = poller.has_value() ? &*poller : nullptr},
        {.name_space = FlagOr(flags, "watch-namespace", ""), .identity = identity, .term = term, .settings = settings})
        .Run(lost);
    log.Info("no longer leading");
  };
  server->set_ready(true);  // a follower is ready to take over
  if (FlagOr(flags, "leader-elect", "true") == "false") {
    lead(/*term=*/0, stop);
    return absl::OkStatus();
  }
  const kube::ObjectKey lease{cluster.name_space, FlagOr(flags, "lease-name", kProgram)};
  kube::LeaderElection(transport, clock, {.key = lease, .identity = identity}, lead).Run(stop);
  return absl::OkStatus();
}

absl::Status Main(std::span<const char* const> arguments, const telemetry::Log& log, const std::stop_token& stop) {
  absl::StatusOr<Flags> flags = ParseFlags(
      arguments, {},
      {"kubeconfig", "context", "watch-namespace", "leader-elect", "worker-image", "aggregator-image",
       "aggregator-cuda-image", "image-pull-policy", "health-address", "lease-name", "metrics-from", "prometheus-url",
       "prometheus-query", "prometheus-timeout", "prometheus-interval", "prometheus-ca-file", "prometheus-token-file"});
  if (!flags.ok()) {
    return telemetry::WithExitCode(flags.status(), telemetry::ExitCode::kUsage);
  }
  return Operate(*flags, log, stop);
}

// Waits for the first signal that asks this process to end. Blocked in every thread, so that it is taken here alone.
std::jthread StopOnSignal(std::stop_source stop) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return std::jthread([signals, stop = std::move(stop)](const std::stop_token& ended) mutable {
    const timespec tick{.tv_sec = 0, .tv_nsec = 200'000'000};
    while (!ended.stop_requested()) {
      if (::sigtimedwait(&signals, nullptr, &tick) > 0) {
        stop.request_stop();
        return;
      }
    }
  });
}

}  // namespace
}  // namespace splitft::controller

int main(int argc, char** argv) {
  // Many threads with small objects: few arenas, and no lists of freed blocks that every larger block sweeps together.
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_MXFAST, 0);
  namespace program = splitft::controller;
  const splitft::telemetry::Log log({.program = program::kProgram}, splitft::SystemClock());
  const std::stop_source stop;
  const std::jthread signals = program::StopOnSignal(stop);
  return splitft::telemetry::Finish(program::kProgram,
                                    program::Main({argv + 1, static_cast<size_t>(argc - 1)}, log, stop.get_token()));
}
