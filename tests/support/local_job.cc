#include "tests/support/local_job.h"

#include <memory>
#include <thread>
#include <utility>

#include "aggregator/coordinator.h"
#include "aggregator/server_model.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/model/peft_adapter.h"
#include "libs/protocol/loopback_network.h"
#include "libs/train/guard.h"
#include "libs/train/tensor_frame.h"
#include "worker/client_data.h"
#include "worker/session.h"

namespace splitft {
namespace {

// A stream that an eavesdropper listens to.
class TappedStream final : public protocol::FrameStream {
 public:
  TappedStream(std::unique_ptr<protocol::FrameStream> stream, Mutex& mutex, std::vector<protocol::Frame>* seen)
      : stream_(std::move(stream)), mutex_(mutex), seen_(seen) {}
  absl::Status Send(protocol::Frame frame, TimePoint deadline) override {
    Note(frame);
    return stream_->Send(std::move(frame), deadline);
  }
  absl::StatusOr<protocol::Frame> Receive(TimePoint deadline) override {
    absl::StatusOr<protocol::Frame> frame = stream_->Receive(deadline);
    if (frame.ok()) {
      Note(*frame);
    }
    return frame;
  }
  void Close() override { stream_->Close(); }

 private:
  void Note(const protocol::Frame& frame) {
    if (seen_ != nullptr) {
      const MutexLock lock(mutex_);
      seen_->push_back(frame);
    }
  }
  std::unique_ptr<protocol::FrameStream> stream_;
  Mutex& mutex_;
  std::vector<protocol::Frame>* seen_;
};

struct ClientThread {
  std::unique_ptr<protocol::FrameStream> stream;
  absl::Status status;
  std::thread thread;
};

absl::Status RunClient(const train::JobSetup& setup, const spec::Client& client, text::Dataset dataset,
                       protocol::FrameStream& stream) {
  const bool server_labels = setup.job.split.labels == spec::LabelSide::kServer;
  SPLITFT_ASSIGN_OR_RETURN(const train::StackOptions stack, train::StackOptionsOf(setup.job, "cpu"));
  train::BatchSampler sampler(std::move(dataset), client.batch_size, setup.job.training.seed, client.name);
  worker::Session session({.job_uid = setup.job_uid,
                           .client = client.name,
                           .server_labels = server_labels,
                           .train_client = setup.job.split.train_client,
                           .microbatches = setup.job.training.microbatches,
                           .hidden_size = setup.base->config().hidden_size,
                           .tensors = at::TensorOptions().dtype(stack.placement.dtype)},
                          SystemClock(), stream, sampler);
  SPLITFT_ASSIGN_OR_RETURN(const protocol::Welcome welcome, session.Join(worker::HelloOf(setup, sampler)));
  SPLITFT_ASSIGN_OR_RETURN(worker::ClientModel model,
                           worker::ClientModel::Load(*setup.base, *setup.layout,
                                                     {.cut_layer = welcome.cut_layer,
                                                      .tail_blocks = welcome.tail_blocks,
                                                      .has_tail = !server_labels,
                                                      .train_client = setup.job.split.train_client,
                                                      .weight = client.weight},
                                                     stack));
  const absl::Status status = session.Train(welcome, model);
  if (!status.ok()) {
    session.GiveUp(status);
  }
  return status;
}

absl::StatusOr<LocalJobResult> RunServer(const train::JobSetup& setup, protocol::FrameServer& server) {
  const model::ModelConfig& config = setup.base->config();
  SPLITFT_ASSIGN_OR_RETURN(const train::StackOptions stack, train::StackOptionsOf(setup.job, "cpu"));
  const aggregator::ServerShare share = aggregator::ShareOf(setup.job, config.block_count);
  SPLITFT_ASSIGN_OR_RETURN(const model::FlatRange trainable, aggregator::TrainableRange(share, *setup.layout));
  SPLITFT_ASSIGN_OR_RETURN(aggregator::ServerModel model,
                           aggregator::ServerModel::Load(*setup.base, *setup.layout, share, stack));
  std::vector<float> initial = setup.layout->Initialize(setup.job.training.seed);
  if (setup.job.lora.initial_adapter) {
    SPLITFT_ASSIGN_OR_RETURN(initial, model::ReadPeftAdapter(*setup.job.lora.initial_adapter, config, *setup.layout));
  }
  train::AdapterState state(initial, trainable, setup.job.training.optimizer, at::kCPU);
  aggregator::Roster roster(setup.job, *setup.layout,
                            {.model_digest = setup.model_digest,
                             .adapter_elements = setup.layout->size(),
                             .hidden_size = config.hidden_size,
                             .format = train::HiddenFormat(setup.job)});
  LocalJobResult result;
  aggregator::Coordinator coordinator({.job_uid = setup.job_uid,
                                       .tensors = at::TensorOptions().dtype(stack.placement.dtype),
                                       .hidden_size = config.hidden_size,
                                       .vocabulary_size = config.vocabulary_size},
                                      {.job = setup.job,
                                       .roster = roster,
                                       .model = model,
                                       .state = state,
                                       .server = server,
                                       .clock = SystemClock(),
                                       .report = [&](const control::JobEvent& event) {
                                         result.events.push_back(event);
                                         if (event.phase() == control::TRAINING && event.has_figures()) {
                                           result.losses.push_back(event.figures().loss());
                                           if (event.figures().has_eval_loss()) {
                                             result.eval_losses.push_back(event.figures().eval_loss());
                                           }
                                         }
                                         return absl::OkStatus();
                                       }});
  const absl::StatusOr<std::string> reason = coordinator.Run();
  coordinator.Dismiss(reason.status(), reason.ok() ? *reason : "");
  SPLITFT_RETURN_IF_ERROR(reason.status());
  result.reason = *reason;
  result.adapters = state.Snapshot();
  return result;
}

}  // namespace

absl::StatusOr<LocalJobResult> RunLocalJob(const train::JobSetup& setup, std::vector<text::Dataset> datasets,
                                           const LocalJobOptions& options) {
  protocol::LoopbackNetwork network;
  Mutex mutex;
  std::vector<ClientThread> clients(setup.job.clients.size());
  for (size_t i = 0; i < clients.size(); ++i) {
    SPLITFT_ASSIGN_OR_RETURN(std::unique_ptr<protocol::FrameStream> stream, network.Connect(setup.job.clients[i].name));
    clients[i].stream = std::make_unique<TappedStream>(std::move(stream), mutex, options.seen);
  }
  for (size_t i = 0; i < clients.size(); ++i) {
    clients[i].thread = std::thread([&, i] {
      clients[i].status = train::RunGuarded(
          [&] { return RunClient(setup, setup.job.clients[i], std::move(datasets[i]), *clients[i].stream); });
      clients[i].stream->Close();
    });
  }
  absl::StatusOr<LocalJobResult> result = absl::UnknownError("did not run");
  const absl::Status status = train::RunGuarded([&] {
    result = RunServer(setup, network.server());
    return result.status();
  });
  for (ClientThread& client : clients) {
    client.stream->Close();
    client.thread.join();
  }
  SPLITFT_RETURN_IF_ERROR(status);
  return result;
}

}  // namespace splitft
