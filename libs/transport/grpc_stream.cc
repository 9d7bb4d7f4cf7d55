#include "libs/transport/grpc_stream.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/transport/grpc_status.h"

namespace splitft::transport {
namespace {

using protocol::Frame;

// One call, as gRPC's callbacks see it. Lives until gRPC is done with it, whatever the stream's owner does.
//
// Operations are issued by one thread at a time and outside the lock: whoever changes the state calls Pump, which asks
// NextOperation what the state allows until it allows nothing more.
class Call final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                   public std::enable_shared_from_this<Call> {
 public:
  explicit Call(const GrpcStreamOptions& options) : options_(options) {}

  void Start(const std::shared_ptr<grpc::Channel>& channel) SPLITFT_EXCLUDES(mutex_) {
    {
      const MutexLock lock(mutex_);
      self_ = shared_from_this();
    }
    stub_.emplace(channel);
    stub_->PrepareBidiStreamingCall(&context_, kExchangeMethod, grpc::StubOptions(), this);
    AddHold();  // Pump issues operations from outside gRPC's callbacks
    StartCall();
    Pump();
  }

  absl::Status Send(const Frame& frame, TimePoint deadline) SPLITFT_EXCLUDES(mutex_) {
    absl::StatusOr<grpc::ByteBuffer> bytes = EncodeFrame(frame, options_.limits.max_payload_bytes);
    if (!bytes.ok()) {
      return {bytes.status().code(),
              absl::StrCat(DescribeFrame(frame.key), ": ", std::string(bytes.status().message()))};
    }
    const size_t size = QueuedBytes(frame);
    {
      const MutexLock lock(mutex_);
      while (!closed_ && !end_.has_value() && (SendQueueFullLocked() || BreakingLocked())) {
        if (!changed_.WaitUntil(mutex_, deadline) && !closed_ && !end_.has_value()) {
          return absl::DeadlineExceededError(
              absl::StrCat(DescribeFrame(frame.key), ": ", outbox_.size(), " frames before it were not sent in time"));
        }
      }
      if (closed_ || end_.has_value() || write_failed_) {
        return EndLocked();
      }
      outbox_.push_back({*std::move(bytes), size});
      outbox_bytes_ += size;
    }
    Pump();
    return absl::OkStatus();
  }

  absl::StatusOr<Frame> Receive(TimePoint deadline) SPLITFT_EXCLUDES(mutex_) {
    std::optional<Frame> frame;
    {
      const MutexLock lock(mutex_);
      while (!closed_ && inbox_.empty() && !end_.has_value()) {
        if (!changed_.WaitUntil(mutex_, deadline) && !closed_ && inbox_.empty() && !end_.has_value()) {
          return absl::DeadlineExceededError("the aggregator sent nothing before the deadline");
        }
      }
      if (closed_ || inbox_.empty()) {
        return EndLocked();
      }
      frame.emplace(std::move(inbox_.front()));
      inbox_.pop_front();
      inbox_bytes_ -= QueuedBytes(*frame);
    }
    Pump();
    return *std::move(frame);
  }

  // Says goodbye after what is queued; what arrives from now on is dropped.
  void Close() SPLITFT_EXCLUDES(mutex_) {
    std::deque<Frame> dropped;  // payloads are freed after the lock
    {
      const MutexLock lock(mutex_);
      closed_ = true;
      dropped.swap(inbox_);
      inbox_bytes_ = 0;
    }
    changed_.SignalAll();
    Pump();
  }

  void Cancel() { context_.TryCancel(); }

  // Whether gRPC is done with the call.
  bool WaitUntilDone(TimePoint deadline) SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    while (!done_) {
      if (!changed_.WaitUntil(mutex_, deadline) && !done_) {
        return false;
      }
    }
    return true;
  }

 private:
  enum class Operation { kNone, kRead, kWrite, kWritesDone, kRemoveHold };
  struct Outgoing {
    grpc::ByteBuffer bytes;
    size_t queued_bytes = 0;
  };

  void OnReadDone(bool ok) override {
    absl::StatusOr<Frame> frame = absl::CancelledError();
    if (ok) {
      const TimePoint now = SystemClock().Now();
      frame = DecodeFrame(read_buffer_, options_.limits.max_payload_bytes);
      read_buffer_.Clear();
      if (frame.ok()) {
        frame->arrived = now;
      }
    }
    const absl::Status decoded = frame.status();
    const bool damaged = ok && !decoded.ok();
    {
      const MutexLock lock(mutex_);
      reading_ = false;
      if (!decoded.ok()) {
        read_ended_ = true;
      } else if (!closed_) {
        inbox_bytes_ += QueuedBytes(*frame);
        inbox_.push_back(*std::move(frame));
      }
      if (damaged && !end_.has_value()) {
        end_ = absl::Status(decoded.code(),
                            absl::StrCat("the aggregator sent a bad frame: ", std::string(decoded.message())));
      }
    }
    changed_.SignalAll();
    if (damaged) {
      Cancel();
    }
    Pump();
  }

  void OnWriteDone(bool ok) override {
    write_buffer_.Clear();
    {
      const MutexLock lock(mutex_);
      writing_ = false;
      if (!ok) {
        write_failed_ = true;
        outbox_.clear();
        outbox_bytes_ = 0;
      }
    }
    changed_.SignalAll();
    Pump();
  }

  void OnDone(const grpc::Status& status) override {
    std::shared_ptr<Call> self;
    {
      const MutexLock lock(mutex_);
      done_ = true;
      if (!end_.has_value()) {
        end_ = status.ok() ? absl::UnavailableError("the aggregator ended the stream") : FromGrpc(status);
      }
      self.swap(self_);
    }
    changed_.SignalAll();
  }

  void Pump() SPLITFT_EXCLUDES(mutex_) {
    const std::shared_ptr<Call> alive = shared_from_this();
    for (;;) {
      Operation operation = Operation::kNone;
      {
        const MutexLock lock(mutex_);
        if (issuing_) {
          return;  // that thread looks again when it is back
        }
        operation = NextOperationLocked();
        issuing_ = operation != Operation::kNone;
      }
      if (operation == Operation::kNone) {
        return;
      }
      changed_.SignalAll();  // the send queue may have room
      Issue(operation);
      const MutexLock lock(mutex_);
      issuing_ = false;
    }
  }

  // What may be issued now; the state says from here on that it was.
  Operation NextOperationLocked() SPLITFT_REQUIRES(mutex_) {
    if (read_ended_) {  // the call is over; its status comes when nothing holds it any more
      return std::exchange(hold_, false) ? Operation::kRemoveHold : Operation::kNone;
    }
    if (!writing_ && !outbox_.empty()) {
      write_buffer_ = outbox_.front().bytes;
      outbox_bytes_ -= outbox_.front().queued_bytes;
      outbox_.pop_front();
      writing_ = true;
      return Operation::kWrite;
    }
    if (closed_ && !writing_ && !write_failed_ && !std::exchange(writes_done_, true)) {
      return Operation::kWritesDone;
    }
    if (!reading_ && (closed_ || !ReceiveQueueFullLocked())) {
      reading_ = true;
      return Operation::kRead;
    }
    return Operation::kNone;
  }

  void Issue(Operation operation) {
    switch (operation) {
      case Operation::kNone:
        return;
      case Operation::kRead:
        return StartRead(&read_buffer_);
      case Operation::kWrite:
        return StartWrite(&write_buffer_);
      case Operation::kWritesDone:
        return StartWritesDone();
      case Operation::kRemoveHold:
        return RemoveHold();
    }
  }

  bool SendQueueFullLocked() const SPLITFT_REQUIRES(mutex_) {
    return outbox_.size() >= options_.send_queue.frames || outbox_bytes_ >= options_.send_queue.bytes;
  }
  bool ReceiveQueueFullLocked() const SPLITFT_REQUIRES(mutex_) {
    return inbox_.size() >= options_.receive_queue.frames || inbox_bytes_ >= options_.receive_queue.bytes;
  }
  // A write failed, and the reason is about to be read.
  bool BreakingLocked() const SPLITFT_REQUIRES(mutex_) { return write_failed_ && !ReceiveQueueFullLocked(); }

  absl::Status EndLocked() const SPLITFT_REQUIRES(mutex_) {
    if (closed_) {
      return absl::CancelledError("the stream was closed on this side");
    }
    return end_.value_or(absl::UnavailableError("the aggregator no longer takes frames"));
  }

  const GrpcStreamOptions options_;
  grpc::ClientContext context_;
  std::optional<grpc::GenericStub> stub_;
  // Each belongs to the operation in flight, and to nobody between them.
  grpc::ByteBuffer read_buffer_;
  grpc::ByteBuffer write_buffer_;

  Mutex mutex_;
  CondVar changed_;
  std::shared_ptr<Call> self_ SPLITFT_GUARDED_BY(mutex_);  // until OnDone
  std::deque<Outgoing> outbox_ SPLITFT_GUARDED_BY(mutex_);
  size_t outbox_bytes_ SPLITFT_GUARDED_BY(mutex_) = 0;
  std::deque<Frame> inbox_ SPLITFT_GUARDED_BY(mutex_);
  size_t inbox_bytes_ SPLITFT_GUARDED_BY(mutex_) = 0;
  bool issuing_ SPLITFT_GUARDED_BY(mutex_) = false;
  bool reading_ SPLITFT_GUARDED_BY(mutex_) = false;
  bool writing_ SPLITFT_GUARDED_BY(mutex_) = false;
  bool hold_ SPLITFT_GUARDED_BY(mutex_) = true;
  bool closed_ SPLITFT_GUARDED_BY(mutex_) = false;       // by this side
  bool writes_done_ SPLITFT_GUARDED_BY(mutex_) = false;  // said so to the aggregator
  bool write_failed_ SPLITFT_GUARDED_BY(mutex_) = false;
  bool read_ended_ SPLITFT_GUARDED_BY(mutex_) = false;
  bool done_ SPLITFT_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_ SPLITFT_GUARDED_BY(mutex_);  // why the call is over
};

class GrpcStream final : public protocol::FrameStream {
 public:
  GrpcStream(std::shared_ptr<Call> call, Duration linger) : call_(std::move(call)), linger_(linger) {}

  ~GrpcStream() override {
    call_->Close();
    if (!call_->WaitUntilDone(SystemClock().Now() + linger_)) {
      call_->Cancel();
      // A cancelled call ends at once; should gRPC not manage, the call outlives the stream.
      call_->WaitUntilDone(SystemClock().Now() + std::chrono::seconds(5));
    }
  }

  absl::Status Send(Frame frame, TimePoint deadline) override { return call_->Send(frame, deadline); }
  absl::StatusOr<Frame> Receive(TimePoint deadline) override { return call_->Receive(deadline); }
  void Close() override { call_->Close(); }

 private:
  const std::shared_ptr<Call> call_;
  const Duration linger_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<protocol::FrameStream>> ConnectGrpc(const GrpcStreamOptions& options,
                                                                   TimePoint deadline) {
  KeepGrpcRunning();
  const std::shared_ptr<grpc::ChannelCredentials> credentials =
      options.credentials != nullptr ? options.credentials : grpc::InsecureChannelCredentials();
  const std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomChannel(options.target, credentials, ChannelArgumentsFor(options.limits, End::kClient));
  if (!channel->WaitForConnected(GrpcTime(deadline))) {
    return absl::UnavailableError(absl::StrCat("no aggregator answered at \"", options.target, "\" in time"));
  }
  auto call = std::make_shared<Call>(options);
  call->Start(channel);
  return std::make_unique<GrpcStream>(std::move(call), options.linger);
}

}  // namespace splitft::transport
