#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "libs/base/mutex.h"
#include "libs/protocol/event_queue.h"
#include "libs/protocol/ports.h"
#include "libs/transport/grpc_options.h"

namespace splitft::transport {

// One client's stream on the aggregator, as gRPC's callbacks see it. Lives until gRPC is done with it. Thread-safe.
//
// Operations are issued by one thread at a time and outside the lock: whoever changes the state calls Pump, which asks
// NextOperation what the state allows until it allows nothing more.
class ServerCall final : public grpc::ServerGenericBidiReactor, public std::enable_shared_from_this<ServerCall> {
 public:
  struct Options {
    protocol::StreamId id = 0;
    std::string peer;
    int64_t max_payload_bytes = 0;
    QueueLimits receive_queue;
    QueueLimits send_queue;
  };

  // `context` is the call's own.
  ServerCall(Options options, grpc::GenericCallbackServerContext& context,
             std::shared_ptr<protocol::EventQueue> events);

  // Announces the stream and begins to read. Once, right after construction.
  void Start() SPLITFT_EXCLUDES(mutex_);
  // Queues a frame; errors as protocol::FrameServer::Send.
  absl::Status Send(const protocol::Frame& frame) SPLITFT_EXCLUDES(mutex_);
  // Ends the call with `status` after what is queued. Idempotent: the first status counts.
  void Close(absl::Status status) SPLITFT_EXCLUDES(mutex_);
  // The program took a frame of this stream out of the event queue.
  void Taken(size_t queued_bytes) SPLITFT_EXCLUDES(mutex_);

 private:
  enum class Operation { kNone, kRead, kWrite, kFinish };
  struct Outgoing {
    grpc::ByteBuffer bytes;
    size_t queued_bytes = 0;
  };

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  void Pump() SPLITFT_EXCLUDES(mutex_);
  Operation NextOperationLocked() SPLITFT_REQUIRES(mutex_);
  void Issue(Operation operation);
  void BreakLocked() SPLITFT_REQUIRES(mutex_);

  const Options options_;
  grpc::GenericCallbackServerContext& context_;
  const std::shared_ptr<protocol::EventQueue> events_;
  // Each belongs to the operation in flight, and to nobody between them.
  grpc::ByteBuffer read_buffer_;
  grpc::ByteBuffer write_buffer_;
  grpc::Status finish_status_;

  Mutex mutex_;
  std::shared_ptr<ServerCall> self_ SPLITFT_GUARDED_BY(mutex_);  // until OnDone
  std::deque<Outgoing> outbox_ SPLITFT_GUARDED_BY(mutex_);
  size_t outbox_bytes_ SPLITFT_GUARDED_BY(mutex_) = 0;
  QueueLimits untaken_ SPLITFT_GUARDED_BY(mutex_);  // what of this stream is in events_
  bool issuing_ SPLITFT_GUARDED_BY(mutex_) = false;
  bool reading_ SPLITFT_GUARDED_BY(mutex_) = false;
  bool writing_ SPLITFT_GUARDED_BY(mutex_) = false;
  bool read_ended_ SPLITFT_GUARDED_BY(mutex_) = false;
  bool broken_ SPLITFT_GUARDED_BY(mutex_) = false;  // nothing reaches the peer any more
  bool finished_ SPLITFT_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_
      SPLITFT_GUARDED_BY(mutex_);  // what StreamClosed will say; set: nothing more is queued
};

}  // namespace splitft::transport
