// The half of Coordinator that minds the clients: they join, are lost, and come back.

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "aggregator/coordinator.h"
#include "libs/base/status_macros.h"
#include "libs/telemetry/exit.h"
#include "libs/train/tensor_frame.h"

namespace splitft::aggregator {
namespace {

using protocol::Frame;
using protocol::FrameKind;

// How often clients that wait for another one hear that the aggregator is alive: well below their own patience.
constexpr Duration kSignOfLife = std::chrono::minutes(1);

// Fault codes come from the wire: whatever is no absl code is Unknown.
absl::Status ClientFault(const std::string& client, const protocol::Fault& fault) {
  // A consequence here: the client's own process ends with the cause.
  return telemetry::WithExitCode(
      {static_cast<absl::StatusCode>(fault.code), absl::StrCat("client ", client, ": ", fault.message)},
      telemetry::ExitCode::kPeerLost);
}

}  // namespace

absl::Status Coordinator::WelcomeAll() {
  total_steps_ = TotalSteps();
  if (const int64_t warmup = parts_.job.training.warmup_steps; warmup > total_steps_) {
    return telemetry::WithExitCode(
        absl::InvalidArgumentError(absl::StrCat("spec.training.warmupSteps: ", warmup, " is above the ", total_steps_,
                                                " steps of ", parts_.job.training.epochs, " epochs")),
        telemetry::ExitCode::kUsage);
  }
  parts_.roster.Begin();
  for (Member& member : parts_.roster.members()) {
    SPLITFT_RETURN_IF_ERROR(Welcome(member));
  }
  return parts_.report(Event(control::TRAINING));
}

int64_t Coordinator::TotalSteps() const {
  if (parts_.job.training.steps > 0) {
    return parts_.job.training.steps;
  }
  int64_t longest = 0;
  for (const Member& member : parts_.roster.members()) {
    const int64_t batches = (member.hello.train_rows + member.batch_size - 1) / member.batch_size;
    longest = std::max(longest, batches);
  }
  return std::max<int64_t>(1, std::llround(std::ceil(parts_.job.training.epochs * static_cast<double>(longest))));
}

absl::Status Coordinator::Welcome(Member& member) {
  Frame frame;
  frame.body = protocol::Welcome{.cut_layer = member.assignment.cut_layer,
                                 .tail_blocks = member.tail_blocks,
                                 .format = member.assignment.format,
                                 .max_frame_bytes = 0,
                                 .total_steps = total_steps_,
                                 .next_step = static_cast<uint64_t>(parts_.state.steps_done())};
  SPLITFT_RETURN_IF_ERROR(Send(member, FrameKind::kWelcome, 0, std::move(frame)));
  return SendPrepare(static_cast<size_t>(&member - parts_.roster.members().data()));
}

absl::Status Coordinator::AwaitClients() {
  TimePoint sign_of_life = parts_.clock.Now() + kSignOfLife;
  while (!parts_.roster.Complete()) {
    SPLITFT_RETURN_IF_ERROR(absences_.Expired(parts_.clock.Now()));
    absl::StatusOr<protocol::StreamEvent> event = parts_.server.Next(std::min(absences_.deadline(), sign_of_life));
    if (event.ok()) {
      SPLITFT_RETURN_IF_ERROR(Handle(*std::move(event)));
    } else if (!absl::IsDeadlineExceeded(event.status())) {
      return event.status();
    }
    if (parts_.clock.Now() < sign_of_life) {
      continue;
    }
    sign_of_life = parts_.clock.Now() + kSignOfLife;
    for (Member& member : parts_.roster.members()) {
      if (member.stream && total_steps_ > 0) {
        SPLITFT_RETURN_IF_ERROR(Welcome(member));  // a second one says nothing but that
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Coordinator::Handle(protocol::StreamEvent event) {
  const auto* closed = std::get_if<protocol::StreamClosed>(&event.what);
  if (replaced_.contains(event.stream)) {
    if (closed != nullptr) {
      replaced_.erase(event.stream);
    }
    return absl::OkStatus();
  }
  Member* member = parts_.roster.Find(event.stream);
  if (auto* frame = std::get_if<Frame>(&event.what)) {
    if (member == nullptr) {
      return HandleStranger(event.stream, *frame);
    }
    const auto* fault = std::get_if<protocol::Fault>(&frame->body);
    return fault == nullptr ? HandleFrame(*member, std::move(*frame)) : ClientFault(member->name, *fault);
  }
  if (closed == nullptr || member == nullptr) {
    return absl::OkStatus();
  }
  return Lose(*member, closed->status.ok() ? "it closed its stream" : std::string(closed->status.message()));
}

absl::Status Coordinator::HandleStranger(protocol::StreamId stream, const Frame& frame) {
  // A client that cannot even join: its data is unusable, say.
  const auto* fault = std::get_if<protocol::Fault>(&frame.body);
  if (fault != nullptr && frame.key.job_uid == options_.job_uid && parts_.roster.Named(frame.key.client) != nullptr) {
    return ClientFault(frame.key.client, *fault);
  }
  const auto* hello = std::get_if<protocol::Hello>(&frame.body);
  if (hello == nullptr || frame.key.kind != FrameKind::kHello) {
    parts_.server.Close(stream, absl::InvalidArgumentError(absl::StrCat("a stream begins with Hello, not ",
                                                                        std::string(FrameKindName(frame.key.kind)))));
    return absl::OkStatus();
  }
  if (frame.key.job_uid != options_.job_uid) {
    parts_.server.Close(
        stream, absl::InvalidArgumentError(absl::StrCat("job \"", frame.key.job_uid, "\" is not this aggregator's, \"",
                                                        options_.job_uid, "\"")));
    return absl::OkStatus();
  }
  return HandleHello(stream, frame.key.client, *hello);
}

absl::Status Coordinator::HandleHello(protocol::StreamId stream, const std::string& client,
                                      const protocol::Hello& hello) {
  absl::Status refusal = parts_.roster.Check(client, hello);
  Member* member = parts_.roster.Named(client);
  const bool may_replace = options_.rejoin_patience > Duration::zero();
  if (refusal.ok() && member->stream && may_replace) {
    // A node that died says nothing for a while; who comes in its place is here now. Of two that live, the newer wins.
    replaced_.insert(*member->stream);
    parts_.server.Close(*member->stream,
                        absl::AbortedError(absl::StrCat("another worker took the place of client ", client)));
    SPLITFT_RETURN_IF_ERROR(Lose(*member, "another worker took its place"));
  }
  if (refusal.ok()) {
    refusal = parts_.roster.Admit(stream, client, hello).status();
  }
  if (!refusal.ok()) {
    absences_.Refuse(client, refusal);
    parts_.server.Close(stream, refusal);
    return absl::OkStatus();
  }
  absences_.Return(client);
  if (total_steps_ > 0) {
    SPLITFT_RETURN_IF_ERROR(Welcome(*member));
    if (parts_.roster.Complete()) {
      return absl::OkStatus();  // the next event says what the job goes on with
    }
  }
  return parts_.report(Event(control::WAITING_FOR_CLIENTS));
}

absl::Status Coordinator::Lose(Member& member, const std::string& why) {
  member.stream.reset();
  last_lost_ = &member;
  SPLITFT_RETURN_IF_ERROR(absences_.Lose(member.name, parts_.clock.Now(), parts_.state.steps_done(), why));
  SPLITFT_RETURN_IF_ERROR(Abandon());
  SPLITFT_RETURN_IF_ERROR(ForgoPlanOf(member));
  SPLITFT_RETURN_IF_ERROR(UndoPlanOf(member));
  return parts_.report(Event(control::WAITING_FOR_CLIENTS));
}

absl::Status Coordinator::Abandon() {
  if (abandoned_ || machine_.idle()) {
    return absl::OkStatus();
  }
  // What is on its way belongs to the former attempt from here on, and is dropped.
  SPLITFT_RETURN_IF_ERROR(machine_.Restart(++attempt_));
  abandoned_ = true;
  for (size_t client = 0; client < inbox_.size(); ++client) {
    inbox_[client].clear();
    runs_[client].clear();
  }
  return absl::OkStatus();
}

}  // namespace splitft::aggregator
