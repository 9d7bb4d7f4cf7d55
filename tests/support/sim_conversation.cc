#include "tests/support/sim_conversation.h"

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace splitft {
namespace {

using protocol::Acceptance;
using protocol::Frame;
using protocol::FrameKey;
using protocol::FrameKind;
using protocol::FrameStream;
using protocol::StepMachine;
using protocol::StreamClosed;
using protocol::StreamEvent;
using protocol::StreamId;
using protocol::Work;
using protocol::WorkKind;

constexpr Duration kPatience = std::chrono::minutes(10);

Frame MakeFrame(FrameKey key) {
  Frame frame;
  frame.key = std::move(key);
  return frame;
}

// What a worker sends, and when. Stateless between steps; frames may come twice or late.
class Client {
 public:
  Client(const Conversation& conversation, size_t index, SimClock& clock, SimNet& net)
      : conversation_(conversation), index_(index), name_(absl::StrCat("client", index)), clock_(clock), net_(net) {}

  const std::string& name() const { return name_; }

  // Until Finish; opens the stream again when it breaks.
  absl::Status Run() {
    for (;;) {
      absl::Status status = RunStream();
      if (!absl::IsUnavailable(status)) {
        return status;
      }
      if (++reconnects_ > 3) {
        return absl::AbortedError(absl::StrCat(name_, " lost its stream too often: ", std::string(status.message())));
      }
    }
  }

 private:
  absl::Status RunStream() {
    SPLITFT_ASSIGN_OR_RETURN(stream_, net_.Connect(name_));
    attempt_ = 0;
    SPLITFT_RETURN_IF_ERROR(Send(FrameKind::kHello, 0));
    for (;;) {
      SPLITFT_ASSIGN_OR_RETURN(const Frame frame, stream_->Receive(clock_.Now() + kPatience));
      if (frame.key.kind == FrameKind::kFinish) {
        return absl::OkStatus();
      }
      SPLITFT_RETURN_IF_ERROR(Handle(frame.key));
    }
  }

  absl::Status Handle(const FrameKey& key) {
    const bool begins = key.kind == FrameKind::kStepBegin || key.kind == FrameKind::kEvalBegin;
    if (begins) {
      const std::pair<uint64_t, bool> phase = {key.step, key.kind == FrameKind::kEvalBegin};
      const bool news = key.attempt > attempt_ || (key.attempt == attempt_ && (!phase_.has_value() || phase > *phase_));
      if (!news) {
        return absl::OkStatus();
      }
      attempt_ = key.attempt;
      phase_ = phase;
      answered_.clear();
      return phase.second ? SendEvaluation(0) : SendHidden();
    }
    if (key.attempt != attempt_ || !phase_.has_value() || key.step != phase_->first ||
        !answered_.insert({key.kind, key.microbatch}).second) {
      return absl::OkStatus();
    }
    switch (key.kind) {
      case FrameKind::kHiddenDown:
        SPLITFT_RETURN_IF_ERROR(Send(FrameKind::kGradientUp, key.microbatch));
        return MaybeEnd(conversation_.client_gradients ? FrameKind::kGradientDown : FrameKind::kHiddenDown);
      case FrameKind::kGradientDown:
        return MaybeEnd(FrameKind::kGradientDown);
      case FrameKind::kEvalHiddenDown:
        return SendEvaluation(key.microbatch + 1);
      default:
        return absl::InternalError(absl::StrCat(name_, " got ", DescribeFrame(key)));
    }
  }

  absl::Status SendHidden() {
    for (uint32_t m = 0; m < conversation_.microbatches; ++m) {
      SPLITFT_RETURN_IF_ERROR(Send(FrameKind::kHiddenUp, m));
      if (conversation_.labels_on_server) {
        SPLITFT_RETURN_IF_ERROR(Send(FrameKind::kLabelsUp, m));
      }
    }
    const bool over = conversation_.labels_on_server && !conversation_.client_gradients;
    return over ? Send(FrameKind::kStepEnd, 0) : absl::OkStatus();
  }

  absl::Status MaybeEnd(FrameKind last) {
    for (uint32_t m = 0; m < conversation_.microbatches; ++m) {
      if (!answered_.contains({last, m})) {
        return absl::OkStatus();
      }
    }
    return Send(FrameKind::kStepEnd, 0);
  }

  absl::Status SendEvaluation(uint32_t batch) {
    if (batch == index_) {  // as many as it holds out
      return Send(FrameKind::kEvalEnd, 0);
    }
    SPLITFT_RETURN_IF_ERROR(Send(FrameKind::kEvalHiddenUp, batch));
    return conversation_.labels_on_server ? Send(FrameKind::kEvalLabelsUp, batch) : absl::OkStatus();
  }

  absl::Status Send(FrameKind kind, uint32_t microbatch) {
    const uint64_t step = phase_.has_value() ? phase_->first : 0;
    return stream_->Send(MakeFrame({"job", attempt_, name_, step, microbatch, kind}), clock_.Now() + kPatience);
  }

  const Conversation& conversation_;
  const size_t index_;
  const std::string name_;
  SimClock& clock_;
  SimNet& net_;
  std::unique_ptr<FrameStream> stream_;
  int reconnects_ = 0;
  uint32_t attempt_ = 0;
  std::optional<std::pair<uint64_t, bool>> phase_;  // step, whether its evaluation
  std::set<std::pair<FrameKind, uint32_t>> answered_;
};

class Aggregator {
 public:
  Aggregator(const Conversation& conversation, std::vector<std::string> clients, SimClock& clock, SimNet& net)
      : conversation_(conversation), clients_(std::move(clients)), clock_(clock), net_(net) {}

  absl::Status Run() {
    absl::StatusOr<StepMachine> machine =
        StepMachine::Create({clients_, conversation_.labels_on_server, conversation_.client_gradients});
    SPLITFT_RETURN_IF_ERROR(machine.status());
    machine_.emplace(*std::move(machine));
    while (stream_of_.size() < clients_.size()) {
      SPLITFT_RETURN_IF_ERROR(HandleNext());
    }
    for (uint64_t step = 0; step < conversation_.steps; ++step) {
      SPLITFT_RETURN_IF_ERROR(machine_->BeginStep(step, attempt_, conversation_.microbatches));
      SPLITFT_RETURN_IF_ERROR(RunPhase(FrameKind::kStepBegin));
      if (conversation_.evaluate) {
        std::vector<uint32_t> batches;
        for (size_t i = 0; i < clients_.size(); ++i) {
          batches.push_back(static_cast<uint32_t>(i));
        }
        SPLITFT_RETURN_IF_ERROR(machine_->BeginEvaluation(step, attempt_, std::move(batches)));
        SPLITFT_RETURN_IF_ERROR(RunPhase(FrameKind::kEvalBegin));
      }
    }
    return Finish();
  }

  const std::vector<DoneWork>& work() const { return work_; }

 private:
  absl::Status RunPhase(FrameKind begin) {
    begin_ = begin;
    SendAll(begin);
    while (!machine_->idle()) {
      SPLITFT_RETURN_IF_ERROR(HandleNext());
      while (const std::optional<Work> work = machine_->NextWork()) {
        work_.push_back({attempt_, machine_->step(), *work});
        Do(*work);
      }
      if (!machine_->idle() && machine_->Waiting().empty()) {
        return absl::InternalError("neither work nor anybody to wait for");
      }
    }
    return absl::OkStatus();
  }

  // Everybody is told until everybody has gone: a stream may break at the last word.
  absl::Status Finish() {
    finishing_ = true;
    SendAll(FrameKind::kFinish);
    while (!stream_of_.empty()) {
      SPLITFT_RETURN_IF_ERROR(HandleNext());
    }
    return absl::OkStatus();
  }

  absl::Status HandleNext() {
    SPLITFT_ASSIGN_OR_RETURN(const StreamEvent event, net_.server().Next(clock_.Now() + kPatience));
    if (const auto* frame = std::get_if<Frame>(&event.what)) {
      return frame->key.kind == FrameKind::kHello ? Join(event.stream, frame->key.client) : Take(frame->key);
    }
    if (const auto* closed = std::get_if<StreamClosed>(&event.what)) {
      for (auto entry = stream_of_.begin(); entry != stream_of_.end(); ++entry) {
        if (entry->second == event.stream && (closed->status.ok() || !finishing_)) {
          stream_of_.erase(entry);
          break;
        }
      }
    }
    return absl::OkStatus();
  }

  absl::Status Join(StreamId stream, const std::string& client) {
    if (!joined_.insert(stream).second) {
      return absl::OkStatus();  // its Hello came twice
    }
    stream_of_[client] = stream;
    if (finishing_) {
      SendTo(client, FrameKind::kFinish, 0);
    } else if (!machine_->idle()) {
      SPLITFT_RETURN_IF_ERROR(machine_->Restart(++attempt_));
      SendAll(begin_);
    }
    return absl::OkStatus();
  }

  absl::Status Take(const FrameKey& key) {
    SPLITFT_ASSIGN_OR_RETURN(const Acceptance acceptance, machine_->Accept(key));
    if (acceptance == Acceptance::kAccepted &&
        !accepted_.insert({key.attempt, key.step, key.client, key.kind, key.microbatch}).second) {
      return absl::InternalError(absl::StrCat(DescribeFrame(key), " was accepted twice"));
    }
    return absl::OkStatus();
  }

  void Do(const Work& work) {
    switch (work.kind) {
      case WorkKind::kForward:
        return SendAll(FrameKind::kHiddenDown, work.microbatch);
      case WorkKind::kBackward:
      case WorkKind::kForwardBackward:
        return conversation_.client_gradients ? SendAll(FrameKind::kGradientDown, work.microbatch) : void();
      case WorkKind::kEvalForward:
        return SendTo(clients_[work.client], FrameKind::kEvalHiddenDown, work.microbatch);
      case WorkKind::kEndStep:
      case WorkKind::kEndEvaluation:
        return;
    }
  }

  void SendAll(FrameKind kind, uint32_t microbatch = 0) {
    for (const std::string& client : clients_) {
      SendTo(client, kind, microbatch);
    }
  }

  // A client without a stream comes back, and the step is started over.
  void SendTo(const std::string& client, FrameKind kind, uint32_t microbatch) {
    if (const auto found = stream_of_.find(client); found != stream_of_.end()) {
      (void)net_.server().Send(found->second, MakeFrame({"job", attempt_, client, machine_->step(), microbatch, kind}));
    }
  }

  const Conversation& conversation_;
  const std::vector<std::string> clients_;
  SimClock& clock_;
  SimNet& net_;
  std::optional<StepMachine> machine_;
  uint32_t attempt_ = 1;
  FrameKind begin_ = FrameKind::kStepBegin;
  bool finishing_ = false;
  std::map<std::string, StreamId> stream_of_;
  std::set<StreamId> joined_;
  std::set<std::tuple<uint32_t, uint64_t, std::string, FrameKind, uint32_t>> accepted_;
  std::vector<DoneWork> work_;
};

}  // namespace

ConversationResult Simulate(const Conversation& conversation) {
  SimClock clock(conversation.net.seed);
  SimNet net(conversation.net, clock);
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<std::string> names;
  for (size_t i = 0; i < conversation.clients; ++i) {
    clients.push_back(std::make_unique<Client>(conversation, i, clock, net));
    names.push_back(clients.back()->name());
  }
  Aggregator aggregator(conversation, names, clock, net);
  std::vector<absl::Status> ends(conversation.clients + 1, absl::UnknownError("never ended"));
  for (size_t i = 0; i < conversation.clients; ++i) {
    clock.Spawn(names[i], [&, i] {
      ends[i] = clients[i]->Run();
      clients[i].reset();
    });
  }
  clock.Spawn("aggregator", [&] { ends.back() = aggregator.Run(); });
  ConversationResult result;
  result.status = clock.Run();
  for (const absl::Status& end : ends) {
    result.status.Update(end);
  }
  result.work = aggregator.work();
  result.sends = net.sends();
  result.was_cut = net.was_cut();
  return result;
}

std::vector<Work> ExpectedWork(const Conversation& conversation) {
  std::vector<Work> expected;
  for (uint32_t m = 0; m < conversation.microbatches; ++m) {
    if (conversation.labels_on_server) {
      expected.push_back({WorkKind::kForwardBackward, m});
    } else {
      expected.push_back({WorkKind::kForward, m});
      expected.push_back({WorkKind::kBackward, m});
    }
  }
  expected.push_back({WorkKind::kEndStep});
  if (conversation.evaluate) {
    for (size_t client = 0; client < conversation.clients; ++client) {
      for (uint32_t batch = 0; batch < client; ++batch) {
        expected.push_back({WorkKind::kEvalForward, batch, client});
      }
    }
    expected.push_back({WorkKind::kEndEvaluation});
  }
  return expected;
}

}  // namespace splitft
