#include "libs/transport/server_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/transport/grpc_status.h"

namespace splitft::transport {

using protocol::Frame;

ServerCall::ServerCall(Options options, grpc::GenericCallbackServerContext& context,
                       std::shared_ptr<protocol::EventQueue> events)
    : options_(std::move(options)), context_(context), events_(std::move(events)) {}

void ServerCall::Start() {
  {
    const MutexLock lock(mutex_);
    self_ = shared_from_this();
  }
  events_->Push({options_.id, protocol::StreamOpened{options_.peer}});
  Pump();
}

absl::Status ServerCall::Send(const Frame& frame) {
  absl::StatusOr<grpc::ByteBuffer> bytes = EncodeFrame(frame, options_.max_payload_bytes);
  if (!bytes.ok()) {
    return {bytes.status().code(), absl::StrCat(DescribeFrame(frame.key), ": ", std::string(bytes.status().message()))};
  }
  {
    const MutexLock lock(mutex_);
    if (end_.has_value() || broken_) {
      return absl::NotFoundError(absl::StrCat("stream ", options_.id, " has ended"));
    }
    if (outbox_.size() >= options_.send_queue.frames || outbox_bytes_ >= options_.send_queue.bytes) {
      return absl::ResourceExhaustedError(absl::StrCat(DescribeFrame(frame.key), ": ", outbox_.size(), " frames of ",
                                                       outbox_bytes_,
                                                       " bytes are queued, the limit: the client does not read"));
    }
    const size_t size = QueuedBytes(frame);
    outbox_.push_back({*std::move(bytes), size});
    outbox_bytes_ += size;
  }
  Pump();
  return absl::OkStatus();
}

void ServerCall::Close(absl::Status status) {
  {
    const MutexLock lock(mutex_);
    if (!end_.has_value()) {
      end_ = std::move(status);
    }
  }
  Pump();
}

void ServerCall::Taken(size_t queued_bytes) {
  {
    const MutexLock lock(mutex_);
    --untaken_.frames;
    untaken_.bytes -= queued_bytes;
  }
  Pump();
}

void ServerCall::OnReadDone(bool ok) {
  absl::StatusOr<Frame> frame = absl::CancelledError();
  if (ok) {
    const TimePoint now = SystemClock().Now();
    frame = DecodeFrame(read_buffer_, options_.max_payload_bytes);
    read_buffer_.Clear();
    if (frame.ok()) {
      frame->arrived = now;
    }
  }
  // The client's goodbye and its loss both end the reading; only a loss marks the call as cancelled.
  const bool lost = !ok && context_.IsCancelled();
  {
    const MutexLock lock(mutex_);
    reading_ = false;
    if (lost) {
      BreakLocked();
    }
    if (frame.ok() && !end_.has_value()) {
      ++untaken_.frames;
      untaken_.bytes += QueuedBytes(*frame);
      // Under the lock: nothing of this stream comes after its StreamClosed.
      events_->Push({options_.id, *std::move(frame)});
    } else if (ok && !frame.ok() && !end_.has_value()) {
      end_ = frame.status();
    } else if (!ok) {
      read_ended_ = true;
    }
  }
  Pump();
}

void ServerCall::OnWriteDone(bool ok) {
  write_buffer_.Clear();
  {
    const MutexLock lock(mutex_);
    writing_ = false;
    if (!ok) {
      BreakLocked();
    }
  }
  Pump();
}

void ServerCall::OnCancel() {
  {
    const MutexLock lock(mutex_);
    BreakLocked();
  }
  Pump();
}

void ServerCall::OnDone() {
  std::shared_ptr<ServerCall> self;
  absl::Status status;
  {
    const MutexLock lock(mutex_);
    self.swap(self_);
    status = end_.value_or(absl::OkStatus());
  }
  events_->Push({options_.id, protocol::StreamClosed{std::move(status)}});
}

void ServerCall::BreakLocked() {
  broken_ = true;
  outbox_.clear();
  outbox_bytes_ = 0;
  if (!end_.has_value()) {
    end_ = absl::UnavailableError(absl::StrCat("the connection to ", options_.peer, " was lost"));
  }
}

void ServerCall::Pump() {
  const std::shared_ptr<ServerCall> alive = shared_from_this();
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
    Issue(operation);
    const MutexLock lock(mutex_);
    issuing_ = false;
  }
}

// What may be issued now; the state says from here on that it was.
ServerCall::Operation ServerCall::NextOperationLocked() {
  if (finished_) {
    return Operation::kNone;
  }
  if (!writing_ && !outbox_.empty()) {
    write_buffer_ = outbox_.front().bytes;
    outbox_bytes_ -= outbox_.front().queued_bytes;
    outbox_.pop_front();
    writing_ = true;
    return Operation::kWrite;
  }
  if (!writing_ && (end_.has_value() || read_ended_)) {
    finished_ = true;
    finish_status_ = ToGrpc(end_.value_or(absl::OkStatus()));
    return Operation::kFinish;
  }
  const bool full = untaken_.frames >= options_.receive_queue.frames || untaken_.bytes >= options_.receive_queue.bytes;
  if (!reading_ && !read_ended_ && !end_.has_value() && !full) {
    reading_ = true;
    return Operation::kRead;
  }
  return Operation::kNone;
}

void ServerCall::Issue(Operation operation) {
  switch (operation) {
    case Operation::kNone:
      return;
    case Operation::kRead:
      return StartRead(&read_buffer_);
    case Operation::kWrite:
      return StartWrite(&write_buffer_);
    case Operation::kFinish:
      return Finish(finish_status_);
  }
}

}  // namespace splitft::transport
