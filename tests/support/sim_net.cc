#include "tests/support/sim_net.h"

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

namespace splitft {

using protocol::Frame;
using protocol::StreamClosed;
using protocol::StreamEvent;
using protocol::StreamId;
using protocol::StreamOpened;

// The network and what is under way on it. Only one of the clock's threads runs at a time: no locks.
class SimNet::State : public std::enable_shared_from_this<SimNet::State> {
 public:
  struct Link {
    std::string peer;
    bool open = true;  // between its ends; what is under way still arrives
    std::deque<Frame> down;
    bool client_closed = false;
    bool client_ended = false;  // the end has reached the client, with `end`
    absl::Status end;
    size_t up_frames = 0;
    TimePoint last_up;
    TimePoint last_down;
  };

  State(const Options& options, SimClock& clock)
      : options(options),
        clock(clock),
        random_({.seed = options.seed, .purpose = RandomPurpose::kSampling, .step = 1}) {}

  StreamId Open(std::string peer) {
    const StreamId id = ++last_id_;
    Link& link = links[id];
    link.peer = std::move(peer);
    Emit(id, StreamOpened{link.peer});
    return id;
  }

  absl::Status SendUp(StreamId id, Frame frame) {
    if (CutNow(id)) {
      return absl::OkStatus();  // it was accepted and is lost
    }
    Emit(id, frame);
    if (Chance(options.duplicate)) {
      Emit(id, std::move(frame));
    }
    return absl::OkStatus();
  }

  absl::Status SendDown(StreamId id, const Frame& frame) {
    Link& link = links[id];
    if (!link.open) {
      return absl::NotFoundError(absl::StrCat("stream ", id, " has ended"));
    }
    if (CutNow(id)) {
      return absl::OkStatus();
    }
    for (int copies = Chance(options.duplicate) ? 2 : 1; copies > 0; --copies) {
      clock.At(Arrival(link.last_down), [self = shared_from_this(), id, frame] {
        Link& to = self->links[id];
        if (!to.client_closed) {
          to.down.push_back(frame);
        }
      });
    }
    return absl::OkStatus();
  }

  // Ends a stream: each side learns it after what is under way to it.
  void End(StreamId id, const absl::Status& client_sees, const absl::Status& server_sees) {
    Link& link = links[id];
    if (!link.open) {
      return;
    }
    link.open = false;
    Emit(id, StreamClosed{server_sees}, /*last=*/true);
    link.last_down = std::max(link.last_down, clock.Now() + Delay());
    clock.At(link.last_down, [self = shared_from_this(), id, client_sees] {
      self->links[id].client_ended = true;
      self->links[id].end = client_sees;
    });
  }

  const Options options;
  SimClock& clock;
  std::map<StreamId, Link> links;
  std::deque<StreamEvent> events;
  bool server_down = false;
  int64_t sends = 0;
  bool was_cut = false;

 private:
  bool Chance(double probability) { return random_.UniformDouble(draws_++) < probability; }

  Duration Delay() {
    const auto span = static_cast<uint64_t>((options.max_delay - options.min_delay).count());
    return options.min_delay + Duration(static_cast<int64_t>(random_.Below(draws_++, span + 1)));
  }

  // When what is sent now arrives on a way whose last arrival is `last`.
  TimePoint Arrival(TimePoint& last) {
    const TimePoint at = clock.Now() + Delay();
    last = std::max(last, at);
    return options.reorder_streams ? at : last;
  }

  template <typename What>
  void Emit(StreamId id, What what, bool last = false) {
    Link& link = links[id];
    const bool is_frame = std::is_same_v<What, Frame>;
    link.up_frames += is_frame ? 1 : 0;
    const TimePoint at = Arrival(link.last_up);
    clock.At(last ? link.last_up : at, [self = shared_from_this(), event = StreamEvent{id, std::move(what)}] {
      if (!self->server_down) {
        self->events.push_back(event);
      }
    });
  }

  bool CutNow(StreamId id) {
    if (++sends != options.cut_at_send) {
      return false;
    }
    was_cut = true;
    const absl::Status lost = absl::UnavailableError("the simulated network was cut");
    End(id, lost, lost);
    return true;
  }

  const RandomStream random_;
  uint64_t draws_ = 0;
  StreamId last_id_ = 0;
};

class SimNet::Stream final : public protocol::FrameStream {
 public:
  Stream(std::shared_ptr<State> state, StreamId id) : state_(std::move(state)), id_(id) {}
  ~Stream() override { Close(); }

  absl::Status Send(Frame frame, TimePoint deadline) override {
    State::Link& link = state_->links[id_];
    const bool ready = state_->clock.WaitUntil(deadline, "room to send", [&] {
      return link.client_closed || link.client_ended || link.up_frames < state_->options.up_frames;
    });
    if (link.client_closed || link.client_ended) {
      return Ended(link);
    }
    if (!ready) {
      return absl::DeadlineExceededError("the aggregator did not take frames before the deadline");
    }
    return link.open ? state_->SendUp(id_, std::move(frame)) : absl::OkStatus();  // lost: the client does not know yet
  }

  absl::StatusOr<Frame> Receive(TimePoint deadline) override {
    State::Link& link = state_->links[id_];
    const bool ready = state_->clock.WaitUntil(
        deadline, "a frame", [&] { return link.client_closed || link.client_ended || !link.down.empty(); });
    if (!ready) {
      return absl::DeadlineExceededError("the aggregator sent nothing before the deadline");
    }
    if (link.client_closed || link.down.empty()) {
      return Ended(link);
    }
    Frame frame = std::move(link.down.front());
    link.down.pop_front();
    return frame;
  }

  void Close() override {
    State::Link& link = state_->links[id_];
    link.client_closed = true;
    link.down.clear();
    state_->End(id_, absl::OkStatus(), absl::OkStatus());
  }

 private:
  static absl::Status Ended(const State::Link& link) {
    return link.client_closed ? absl::CancelledError("the stream was closed on this side") : link.end;
  }

  const std::shared_ptr<State> state_;
  const StreamId id_;
};

class SimNet::Server final : public protocol::FrameServer {
 public:
  explicit Server(std::shared_ptr<State> state) : state_(std::move(state)) {}

  absl::StatusOr<StreamEvent> Next(TimePoint deadline) override {
    const bool ready = state_->clock.WaitUntil(deadline, "an event of any stream",
                                               [&] { return state_->server_down || !state_->events.empty(); });
    if (state_->server_down) {
      return absl::CancelledError("the server was shut down");
    }
    if (!ready) {
      return absl::DeadlineExceededError("no stream had anything to say before the deadline");
    }
    StreamEvent event = std::move(state_->events.front());
    state_->events.pop_front();
    if (std::holds_alternative<Frame>(event.what)) {
      --state_->links[event.stream].up_frames;
    }
    return event;
  }

  absl::Status Send(StreamId stream, Frame frame) override { return state_->SendDown(stream, frame); }

  void Close(StreamId stream, absl::Status status) override {
    state_->End(stream, status.ok() ? absl::UnavailableError("the aggregator ended the stream") : status, status);
  }

  void Shutdown(TimePoint) override {
    for (const auto& [id, link] : state_->links) {
      Close(id, absl::OkStatus());
    }
    state_->server_down = true;
    state_->events.clear();
  }

 private:
  const std::shared_ptr<State> state_;
};

SimNet::SimNet(const Options& options, SimClock& clock)
    : state_(std::make_shared<State>(options, clock)), server_(std::make_unique<Server>(state_)) {}
SimNet::~SimNet() = default;

protocol::FrameServer& SimNet::server() { return *server_; }

absl::StatusOr<std::unique_ptr<protocol::FrameStream>> SimNet::Connect(std::string peer) {
  if (state_->server_down) {
    return absl::UnavailableError("the aggregator was shut down");
  }
  return std::make_unique<Stream>(state_, state_->Open(std::move(peer)));
}

int64_t SimNet::sends() const { return state_->sends; }
bool SimNet::was_cut() const { return state_->was_cut; }

}  // namespace splitft
