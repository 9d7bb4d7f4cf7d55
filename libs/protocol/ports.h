#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/protocol/frame.h"

// How the training programs see the network. Implementations: libs/transport (gRPC), LoopbackNetwork (one process), and
// the simulated network of the tests.
namespace splitft::protocol {

// A client's stream to the aggregator. Send and Receive may be used by two threads, one each; Close by any.
class FrameStream {
 public:
  virtual ~FrameStream() = default;

  // Queues `frame`; waits while the queue is full. Unavailable: the stream is gone (with the peer's reason where it
  // gave one); DeadlineExceeded: the queue stayed full.
  virtual absl::Status Send(Frame frame, TimePoint deadline) = 0;
  // The next frame, in order. Unavailable: the stream ended; DeadlineExceeded; InvalidArgument: the peer sent what is
  // no frame.
  virtual absl::StatusOr<Frame> Receive(TimePoint deadline) = 0;
  // Ends the stream; waiting calls return Cancelled. Idempotent.
  virtual void Close() = 0;
};

// The aggregator's end: many streams, one queue of what happened on them.
using StreamId = uint64_t;

struct StreamOpened {
  std::string peer;  // address, for people
};
struct StreamClosed {
  absl::Status status;  // why: OK when the client closed it
};
struct StreamEvent {
  StreamId stream = 0;
  std::variant<StreamOpened, Frame, StreamClosed> what;
};

class FrameServer {
 public:
  virtual ~FrameServer() = default;

  // The next event of any stream; per stream in order. Back-pressure: a stream whose frames are not taken is not read
  // from. DeadlineExceeded; Cancelled after Shutdown.
  virtual absl::StatusOr<StreamEvent> Next(TimePoint deadline) = 0;
  // Queues `frame` to one stream without waiting for the network. NotFound: that stream is gone; ResourceExhausted: its
  // queue is full (the peer does not read).
  virtual absl::Status Send(StreamId stream, Frame frame) = 0;
  // Ends one stream after what is queued was sent; with an error, the client sees it as its stream's status.
  virtual void Close(StreamId stream, absl::Status status) = 0;
  // Ends all; waits for queued frames at most until `deadline`.
  virtual void Shutdown(TimePoint deadline) = 0;
};

// Bytes that crossed, by direction and kind, for metrics. Headers included.
struct TrafficTotals {
  int64_t frames = 0;
  int64_t bytes = 0;
};

}  // namespace splitft::protocol
