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

// What the clients' threads share.
struct Wire {
  explicit Wire(const LocalJobOptions& given) : options(given) {}

  const LocalJobOptions& options;
  Mutex mutex;
  // Notes a frame, and what becomes of its client.
  Fate Pass(const protocol::Frame& frame, bool up) SPLITFT_EXCLUDES(mutex) {
    const MutexLock lock(mutex);
    if (options.seen != nullptr) {
      options.seen->push_back(frame);
    }
    return options.fate ? options.fate(frame, up) : Fate::kLives;
  }
};

// A stream that an eavesdropper listens to, and that can be cut.
class TappedStream final : public protocol::FrameStream {
 public:
  TappedStream(std::unique_ptr<protocol::FrameStream> stream, Wire& wire) : stream_(std::move(stream)), wire_(wire) {}
  absl::Status Send(protocol::Frame frame, TimePoint deadline) override {
    if (fate_ != Fate::kLives) {
      return Gone();
    }
    SPLITFT_RETURN_IF_ERROR(stream_->Send(frame, deadline));
    return Pass(frame, true);
  }
  absl::StatusOr<protocol::Frame> Receive(TimePoint deadline) override {
    if (fate_ != Fate::kLives) {
      return Gone();
    }
    absl::StatusOr<protocol::Frame> frame = stream_->Receive(deadline);
    if (frame.ok()) {
      SPLITFT_RETURN_IF_ERROR(Pass(*frame, false));
    }
    return frame;
  }
  void Close() override { stream_->Close(); }

  Fate fate() const { return fate_; }
  std::unique_ptr<protocol::FrameStream> Release() { return std::move(stream_); }

 private:
  static absl::Status Gone() { return absl::UnavailableError("this client is no more"); }
  absl::Status Pass(const protocol::Frame& frame, bool up) {
    fate_ = wire_.Pass(frame, up);
    if (fate_ == Fate::kBreaks || fate_ == Fate::kStaysAway) {
      stream_->Close();
    }
    return fate_ == Fate::kLives ? absl::OkStatus() : Gone();
  }

  std::unique_ptr<protocol::FrameStream> stream_;
  Wire& wire_;
  Fate fate_ = Fate::kLives;
};

struct ClientThread {
  std::vector<std::unique_ptr<protocol::FrameStream>> left_behind;
  std::thread thread;
};

absl::Status RunClient(const train::JobSetup& setup, const spec::Client& client, text::Dataset dataset,
                       protocol::FrameStream& stream) {
  const bool server_labels = setup.job.split.labels == spec::LabelSide::kServer;
  SPLITFT_ASSIGN_OR_RETURN(const train::StackOptions stack, train::StackOptionsOf(setup.job, "cpu"));
  train::BatchSampler sampler(std::move(dataset), client.batch_size, setup.job.training.seed, client.name);
  worker::Session session({.job_uid = setup.job_uid,
                           .client = client.name,
                           .seed = setup.job.training.seed,
                           .server_labels = server_labels,
                           .train_client = setup.job.split.train_client,
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

// One client after the other, until one lives to the end.
void RunClients(const train::JobSetup& setup, size_t index, const text::Dataset& dataset,
                protocol::LoopbackNetwork& network, Wire& wire, ClientThread& self) {
  const spec::Client& client = setup.job.clients[index];
  for (;;) {
    absl::StatusOr<std::unique_ptr<protocol::FrameStream>> connected = network.Connect(client.name);
    if (!connected.ok()) {
      return;  // the job is over
    }
    TappedStream stream(*std::move(connected), wire);
    (void)train::RunGuarded([&] { return RunClient(setup, client, dataset, stream); });
    if (stream.fate() == Fate::kVanishes) {
      self.left_behind.push_back(stream.Release());
      continue;
    }
    stream.Close();
    if (stream.fate() != Fate::kBreaks) {
      return;
    }
  }
}

// How a stream that nobody reads any more ended.
absl::Status EndOf(protocol::FrameStream& stream) {
  for (;;) {
    if (const absl::StatusOr<protocol::Frame> frame = stream.Receive(SystemClock().Now()); !frame.ok()) {
      return frame.status();
    }
  }
}

absl::StatusOr<LocalJobResult> RunServer(const train::JobSetup& setup, protocol::FrameServer& server,
                                         const LocalJobOptions& options) {
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
  train::AdapterRanks ranks(*setup.layout, setup.job.training.seed);
  aggregator::Roster roster(setup.job, *setup.layout,
                            {.model_digest = setup.model_digest,
                             .adapter_elements = setup.layout->size(),
                             .hidden_size = config.hidden_size,
                             .format = train::HiddenFormat(setup.job)});
  LocalJobResult result;
  aggregator::Coordinator coordinator({.job_uid = setup.job_uid,
                                       .tensors = at::TensorOptions().dtype(stack.placement.dtype),
                                       .hidden_size = config.hidden_size,
                                       .vocabulary_size = config.vocabulary_size,
                                       .rejoin_patience = options.rejoin_patience},
                                      {.job = setup.job,
                                       .roster = roster,
                                       .model = model,
                                       .state = state,
                                       .ranks = ranks,
                                       .server = server,
                                       .clock = SystemClock(),
                                       .report =
                                           [&](const control::JobEvent& event) {
                                             result.events.push_back(event);
                                             if (event.phase() == control::TRAINING && event.has_figures()) {
                                               result.losses.push_back(event.figures().loss());
                                               if (event.figures().has_eval_loss()) {
                                                 result.eval_losses.push_back(event.figures().eval_loss());
                                               }
                                             }
                                             return absl::OkStatus();
                                           },
                                       .next_plan = options.next_plan});
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
  Wire wire(options);
  std::vector<ClientThread> clients(setup.job.clients.size());
  for (size_t i = 0; i < clients.size(); ++i) {
    clients[i].thread = std::thread([&, i] { RunClients(setup, i, datasets[i], network, wire, clients[i]); });
  }
  absl::StatusOr<LocalJobResult> result = absl::UnknownError("did not run");
  const absl::Status status = train::RunGuarded([&] {
    result = RunServer(setup, network.server(), options);
    return result.status();
  });
  network.server().Shutdown(SystemClock().Now());
  for (ClientThread& client : clients) {
    client.thread.join();
    for (const std::unique_ptr<protocol::FrameStream>& stream : client.left_behind) {
      if (result.ok()) {
        result->replaced.push_back(EndOf(*stream));
      }
    }
  }
  SPLITFT_RETURN_IF_ERROR(status);
  return result;
}

}  // namespace splitft
