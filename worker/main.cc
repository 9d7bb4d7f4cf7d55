// splitft-worker: one client of a job. Reads its own text, runs the model's head and tail, and speaks to the
// aggregator.

#include <ATen/Parallel.h>

#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/base/flags.h"
#include "libs/base/status_macros.h"
#include "libs/telemetry/exit.h"
#include "libs/telemetry/log.h"
#include "libs/train/guard.h"
#include "libs/train/job_setup.h"
#include "libs/transport/grpc_stream.h"
#include "worker/client_data.h"
#include "worker/session.h"

namespace splitft::worker {
namespace {

constexpr char kProgram[] = "splitft-worker";
constexpr Duration kConnectPatience = std::chrono::minutes(2);

absl::Status Work(const Flags& flags, const telemetry::Log& log) {
  SPLITFT_ASSIGN_OR_RETURN(const int threads,
                           IntegerOf(flags, {.name = "threads", .low = 1, .high = 1024, .fallback = 0}));
  if (threads > 0) {
    at::set_num_threads(threads);
  }
  SPLITFT_ASSIGN_OR_RETURN(const train::JobSetup setup, train::OpenJob(flags.at("job")));
  SPLITFT_ASSIGN_OR_RETURN(const spec::Client* client, FindClient(setup.job, flags.at("client")));
  SPLITFT_ASSIGN_OR_RETURN(const train::StackOptions stack, train::StackOptionsOf(setup.job, client->device));

  transport::GrpcStreamOptions connection;
  connection.target = flags.at("aggregator");
  SPLITFT_ASSIGN_OR_RETURN(const std::unique_ptr<protocol::FrameStream> stream,
                           transport::ConnectGrpc(connection, SystemClock().Now() + kConnectPatience));
  const model::ModelConfig& config = setup.base->config();
  const bool server_labels = setup.job.split.labels == spec::LabelSide::kServer;
  // The stream is open before the data is read, so that what is wrong with the data reaches the aggregator too.
  absl::StatusOr<train::BatchSampler> sampler = LoadBatches(setup, *client, log);
  train::BatchSampler none({}, 1, 0, "");
  Session session({.job_uid = setup.job_uid,
                   .client = client->name,
                   .seed = setup.job.training.seed,
                   .server_labels = server_labels,
                   .train_client = setup.job.split.train_client,
                   .hidden_size = config.hidden_size,
                   .tensors = at::TensorOptions(stack.placement.device).dtype(stack.placement.dtype)},
                  SystemClock(), *stream, sampler.ok() ? *sampler : none);
  const auto run = [&]() -> absl::Status {
    SPLITFT_RETURN_IF_ERROR(sampler.status());
    SPLITFT_ASSIGN_OR_RETURN(const protocol::Welcome welcome, session.Join(HelloOf(setup, *sampler)));
    log.Info("joined", {{"cut", welcome.cut_layer}, {"steps", welcome.total_steps}});
    SPLITFT_ASSIGN_OR_RETURN(ClientModel model, ClientModel::Load(*setup.base, *setup.layout,
                                                                  {.cut_layer = welcome.cut_layer,
                                                                   .tail_blocks = welcome.tail_blocks,
                                                                   .has_tail = !server_labels,
                                                                   .train_client = setup.job.split.train_client,
                                                                   .weight = client->weight},
                                                                  stack));
    return session.Train(welcome, model);
  };
  const absl::Status status = train::RunGuarded(run);
  if (!status.ok()) {
    session.GiveUp(status);
  }
  stream->Close();
  return status;
}

absl::Status Main(std::span<const char* const> arguments, const telemetry::Log& log) {
  absl::StatusOr<Flags> flags = ParseFlags(arguments, {"job", "client", "aggregator"}, {"threads"});
  if (!flags.ok()) {
    return telemetry::WithExitCode(flags.status(), telemetry::ExitCode::kUsage);
  }
  return Work(*flags, log);
}

}  // namespace
}  // namespace splitft::worker

int main(int argc, char** argv) {
  namespace program = splitft::worker;
  splitft::telemetry::EndOnSigterm();
  const splitft::telemetry::Log log({.program = program::kProgram}, splitft::SystemClock());
  return splitft::telemetry::Finish(program::kProgram, program::Main({argv + 1, static_cast<size_t>(argc - 1)}, log));
}
