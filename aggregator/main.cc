// splitft-aggregator: the server's half of a job. Owns all trainable state, runs the trunk, writes the adapter.

#include <ATen/Parallel.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "aggregator/control_service.h"
#include "aggregator/coordinator.h"
#include "aggregator/job_metrics.h"
#include "aggregator/output.h"
#include "aggregator/plan.h"
#include "aggregator/server_model.h"
#include "libs/base/file.h"
#include "libs/base/flags.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"
#include "libs/model/peft_adapter.h"
#include "libs/telemetry/exit.h"
#include "libs/telemetry/log.h"
#include "libs/telemetry/telemetry_server.h"
#include "libs/train/guard.h"
#include "libs/train/job_setup.h"
#include "libs/train/tensor_frame.h"
#include "libs/transport/grpc_server.h"

namespace splitft::aggregator {
namespace {

constexpr char kProgram[] = "splitft-aggregator";
constexpr Duration kFarewell = std::chrono::seconds(10);
constexpr Duration kBetweenStepsLogged = std::chrono::seconds(10);

// Tells whoever started this program where it listens.
absl::Status Announce(int fd, const std::string& address) {
  if (fd < 0) {
    return absl::OkStatus();
  }
  const UniqueFd owned(fd);
  const std::string line = absl::StrCat(address, "\n");
  if (::write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    return ErrnoStatus(errno, "write to --ready-fd", std::to_string(fd));
  }
  return absl::OkStatus();
}

// What a run leaves, for whoever started this program and cannot look into the output: one line of JSON. In a pod the
// file is the termination message, which outlives the program. No atomic write: that file is mounted, and stays.
absl::Status WriteResult(const std::string& path, const std::string& sha256) {
  std::ofstream file(path, std::ios::trunc);
  file << "{\"adapterSha256\": \"" << sha256 << "\"}\n";
  file.close();
  return file.fail() ? ErrnoStatus(errno, "write --result-file", path) : absl::OkStatus();
}

absl::StatusOr<std::vector<float>> InitialAdapters(const train::JobSetup& setup) {
  if (!setup.job.lora.initial_adapter) {
    return setup.layout->Initialize(setup.job.training.seed);
  }
  return model::ReadPeftAdapter(*setup.job.lora.initial_adapter, setup.base->config(), *setup.layout);
}

control::ModelFacts FactsOf(const train::JobSetup& setup) {
  const model::ModelConfig& config = setup.base->config();
  const int64_t blocks = config.block_count;
  const int64_t element = setup.job.model.dtype == spec::Dtype::kBfloat16 ? 2 : 4;
  const spec::Training& training = setup.job.training;
  // Attention's and the MLP's products, at most three in the latter; and of a batch about what a block's backward pass
  // keeps of its rows.
  const int64_t weights = config.hidden_size * (4 * config.hidden_size + 3 * config.intermediate_size);
  int64_t batch = 1;
  for (const spec::Client& client : setup.job.clients) {
    batch = std::max<int64_t>(batch, client.batch_size);
  }
  const int64_t rows = batch * training.sequence_length;
  const int64_t kept = rows * (8 * config.hidden_size + 2 * config.intermediate_size);
  control::ModelFacts facts;
  facts.set_block_count(config.block_count);
  facts.set_hidden_size(config.hidden_size);
  facts.set_adapter_bytes(setup.layout->size() * int64_t{sizeof(float)} / blocks);
  facts.set_block_bytes((weights + kept) * element);
  return facts;
}

// One job from the first client's hello to the adapter on disk. Parts in the order they depend on each other.
class Aggregation {
 public:
  Aggregation(const Flags& flags, const telemetry::Log& log) : flags_(flags), log_(log) {}

  absl::Status Run() {
    SPLITFT_ASSIGN_OR_RETURN(const int fd,
                             IntegerOf(flags_, {.name = "ready-fd", .low = 3, .high = 1 << 20, .fallback = -1}));
    SPLITFT_ASSIGN_OR_RETURN(rejoin_seconds_,
                             IntegerOf(flags_, {.name = "rejoin-patience", .low = 0, .high = 86400, .fallback = 0}));
    SPLITFT_ASSIGN_OR_RETURN(start_seconds_,
                             IntegerOf(flags_, {.name = "start-patience", .low = 1, .high = 86400, .fallback = 600}));
    SPLITFT_ASSIGN_OR_RETURN(const train::JobSetup setup, train::OpenJob(flags_.at("job")));
    SPLITFT_ASSIGN_OR_RETURN(const auto telemetry, StartTelemetry());
    metrics_.emplace(all_metrics_, setup.job.name_space, setup.job.name);
    if (const auto sha256 = Output::FinishedBefore(flags_.at("output"), setup.job); sha256.has_value()) {
      log_.Info("done before", {{"output", flags_.at("output")}});
      return TellResult(*sha256);
    }
    SPLITFT_ASSIGN_OR_RETURN(Output output, Output::Open(flags_.at("output"), SystemClock()));
    const auto uid = setup.job.annotations.find(spec::kUidAnnotation);
    control_.Describe(uid == setup.job.annotations.end() ? "" : uid->second, [&](const control::Plan& plan) {
      return CheckPlan(plan, setup.job, setup.layout->block_count());
    });
    transport::GrpcServerOptions server_options;
    server_options.address = flags_.at("listen");
    server_options.services = {&control_};
    absl::StatusOr<std::unique_ptr<transport::GrpcServer>> started = transport::GrpcServer::Start(server_options);
    if (!started.ok()) {
      return telemetry::WithExitCode(started.status(), telemetry::ExitCode::kJobFailed);
    }
    const std::unique_ptr<transport::GrpcServer> server = *std::move(started);
    SPLITFT_RETURN_IF_ERROR(Announce(fd, server->address()));
    log_.Info("listening", {{"address", server->address()}, {"job", setup.job_uid}});
    const absl::Status status = train::RunGuarded([&] { return Train(setup, output, *server); });
    if (!status.ok()) {
      control::JobEvent event = last_event_;
      event.set_phase(control::FAILED);
      event.set_reason(absl::StatusCodeToString(status.code()));
      event.set_message(std::string(status.message()));
      control_.Publish(event);
    }
    server->Shutdown(SystemClock().Now() + kFarewell);
    return status;
  }

 private:
  absl::Status Train(const train::JobSetup& setup, Output& output, transport::GrpcServer& server) {
    const model::ModelConfig& config = setup.base->config();
    SPLITFT_ASSIGN_OR_RETURN(const train::StackOptions stack,
                             train::StackOptionsOf(setup.job, setup.job.aggregator.device));
    const ServerShare share = ShareOf(setup.job, config.block_count);
    SPLITFT_ASSIGN_OR_RETURN(const model::FlatRange trainable, TrainableRange(share, *setup.layout));
    SPLITFT_ASSIGN_OR_RETURN(ServerModel model, ServerModel::Load(*setup.base, *setup.layout, share, stack));
    SPLITFT_ASSIGN_OR_RETURN(const std::vector<float> initial, InitialAdapters(setup));
    train::AdapterState state(initial, trainable, setup.job.training.optimizer, stack.placement.device);
    train::AdapterRanks ranks(*setup.layout, setup.job.training.seed);
    Roster roster(setup.job, *setup.layout,
                  {.model_digest = setup.model_digest,
                   .adapter_elements = setup.layout->size(),
                   .hidden_size = config.hidden_size,
                   .format = train::HiddenFormat(setup.job)});
    Coordinator coordinator({.job_uid = setup.job_uid,
                             .tensors = at::TensorOptions(stack.placement.device).dtype(stack.placement.dtype),
                             .hidden_size = config.hidden_size,
                             .vocabulary_size = config.vocabulary_size,
                             .start_patience = std::chrono::seconds(start_seconds_),
                             .rejoin_patience = std::chrono::seconds(rejoin_seconds_),
                             .model = FactsOf(setup)},
                            {.job = setup.job,
                             .roster = roster,
                             .model = model,
                             .state = state,
                             .ranks = ranks,
                             .server = server,
                             .clock = SystemClock(),
                             .report =
                                 [&](const control::JobEvent& event) {
                                   LogProgress(event);
                                   metrics_->Take(event);
                                   last_event_ = event;
                                   control_.Publish(event);
                                   return output.Record(event);
                                 },
                             .next_plan = [this] { return control_.TakePlan(); },
                             .decided =
                                 [&](const control::Plan& plan, const control::PlanState& state) {
                                   LogDecision(plan, state);
                                   metrics_->Decided(state);
                                   return output.RecordDecision(plan, state);
                                 }});
    absl::StatusOr<std::string> reason = coordinator.Run();
    absl::Status status = reason.status();
    if (status.ok()) {
      control_.Publish(coordinator.Event(control::WRITING));
      status = output.Finish({.job = setup.job,
                              .base = *setup.base,
                              .layout = ranks.Layout(),
                              .adapters = ranks.Trimmed(state.Snapshot()),
                              .reason = *reason});
    }
    if (status.ok()) {
      const absl::StatusOr<std::string> sha256 = Sha256OfFile(output.directory() / model::kAdapterFile);
      status = sha256.ok() ? TellResult(*sha256) : sha256.status();
    }
    coordinator.Dismiss(status, status.ok() ? *reason : "");
    if (status.ok()) {
      control::JobEvent event = coordinator.Event(control::COMPLETED);
      event.set_reason(*reason);
      event.set_output(output.directory().string());
      control_.Publish(event);
      log_.Info("done", {{"reason", *reason}, {"output", output.directory().string()}});
    }
    return status;
  }

  // Metrics and health, where --health-address asks for them; else nothing.
  absl::StatusOr<std::unique_ptr<telemetry::TelemetryServer>> StartTelemetry() {
    const auto address = flags_.find("health-address");
    if (address == flags_.end()) {
      return nullptr;
    }
    telemetry::AddBuildInfo(all_metrics_, SPLITFT_VERSION);
    auto server = telemetry::TelemetryServer::Start(address->second, all_metrics_);
    if (!server.ok()) {
      return telemetry::WithExitCode(
          {server.status().code(), absl::StrCat("--health-address: ", std::string(server.status().message()))},
          absl::IsInvalidArgument(server.status()) ? telemetry::ExitCode::kUsage : telemetry::ExitCode::kJobFailed);
    }
    (*server)->set_ready(true);
    return server;
  }

  absl::Status TellResult(const std::string& sha256) const {
    const auto file = flags_.find("result-file");
    return file == flags_.end() ? absl::OkStatus() : WriteResult(file->second, sha256);
  }

  void LogDecision(const control::Plan& plan, const control::PlanState& state) const {
    if (state.state() == control::PlanState::REFUSED) {
      log_.Warning("plan refused", {{"plan", state.number()}, {"steps", state.step()}, {"why", state.message()}});
    }
    if (state.discarded_energy() > 0) {
      log_.Warning("lower ranks", {{"steps", state.step()}, {"lost share of energy", state.discarded_energy()}});
    }
    if (state.state() == control::PlanState::APPLIED && !plan.reason().empty()) {
      log_.Info("plan applied", {{"plan", state.number()}, {"steps", state.step()}, {"reason", plan.reason()}});
    }
    for (const control::ClientPlan& client : plan.clients()) {
      if (state.state() == control::PlanState::APPLIED) {
        log_.Info("plan applied", {{"plan", state.number()},
                                   {"steps", state.step()},
                                   {"client", client.name()},
                                   {"reason", client.reason()}});
      }
    }
  }

  // What somebody who follows the log should see of the job's progress.
  void LogProgress(const control::JobEvent& event) {
    LogLosses(event);
    const TimePoint now = SystemClock().Now();
    const bool steps = event.has_figures() && (event.step() == event.total_steps() || now >= next_step_logged_);
    if (event.phase() != last_event_.phase()) {
      log_.Info(absl::AsciiStrToLower(control::Phase_Name(event.phase())),
                {{"step", event.step()}, {"steps", event.total_steps()}});
    } else if (event.phase() == control::TRAINING && steps) {
      next_step_logged_ = now + kBetweenStepsLogged;
      log_.Info("step", {{"step", event.step()},
                         {"steps", event.total_steps()},
                         {"loss", event.figures().loss()},
                         {"seconds", event.figures().seconds()},
                         {"tokens", event.figures().tokens()}});
    }
  }

  // Who was lost or came back since the last event, once the job has begun.
  void LogLosses(const control::JobEvent& event) const {
    for (int i = 0; i < event.clients_size() && i < last_event_.clients_size() && event.total_steps() > 0; ++i) {
      const control::ClientState& client = event.clients(i);
      const control::ClientState& before = last_event_.clients(i);
      if (before.connected() && !client.connected()) {
        log_.Warning("client lost", {{"client", client.name()}, {"steps", event.step()}});
      } else if (client.restarts() > before.restarts()) {
        log_.Info("client came back", {{"client", client.name()}, {"attempt", event.attempt()}});
      }
    }
  }

  const Flags& flags_;
  const telemetry::Log& log_;
  int rejoin_seconds_ = 0;
  int start_seconds_ = 0;
  ControlService control_;
  telemetry::Metrics all_metrics_;
  std::optional<JobMetrics> metrics_;
  control::JobEvent last_event_;  // of the coordinator
  TimePoint next_step_logged_{};
};

absl::Status Main(std::span<const char* const> arguments, const telemetry::Log& log) {
  absl::StatusOr<Flags> flags =
      ParseFlags(arguments, {"job", "listen", "output"},
                 {"health-address", "ready-fd", "rejoin-patience", "result-file", "start-patience", "threads"});
  if (!flags.ok()) {
    return telemetry::WithExitCode(flags.status(), telemetry::ExitCode::kUsage);
  }
  SPLITFT_ASSIGN_OR_RETURN(const int threads,
                           IntegerOf(*flags, {.name = "threads", .low = 1, .high = 1024, .fallback = 0}));
  if (threads > 0) {
    at::set_num_threads(threads);
  }
  return Aggregation(*flags, log).Run();
}

}  // namespace
}  // namespace splitft::aggregator

int main(int argc, char** argv) {
  namespace program = splitft::aggregator;
  splitft::telemetry::EndOnSigterm();
  const splitft::telemetry::Log log({.program = program::kProgram}, splitft::SystemClock());
  return splitft::telemetry::Finish(program::kProgram, program::Main({argv + 1, static_cast<size_t>(argc - 1)}, log));
}
