#include "libs/transport/frame_proto.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace splitft::transport {
namespace {

using protocol::FrameKind;
using protocol::WireFormat;

absl::StatusOr<WireFormat> FormatOf(const char* field, uint32_t value) {
  if (!protocol::IsWireFormat(value)) {
    return absl::InvalidArgumentError(absl::StrCat(field, " is ", value, "; expected one of WireFormat's"));
  }
  return static_cast<WireFormat>(value);
}

// Writes a body into the header's oneof.
struct BodyWriter {
  wire::FrameHeader& header;

  void operator()(std::monostate) const {}
  void operator()(const protocol::Hello& hello) const {
    wire::Hello& out = *header.mutable_hello();
    out.set_protocol_version(hello.protocol_version);
    out.set_model_digest(hello.model_digest);
    out.set_adapter_elements(hello.adapter_elements);
    out.set_hidden_size(hello.hidden_size);
    for (const WireFormat format : hello.formats) {
      out.add_formats(static_cast<uint32_t>(format));
    }
    out.set_train_rows(hello.train_rows);
    out.set_eval_batches(hello.eval_batches);
  }
  void operator()(const protocol::Welcome& welcome) const {
    wire::Welcome& out = *header.mutable_welcome();
    out.set_cut_layer(welcome.cut_layer);
    out.set_tail_blocks(welcome.tail_blocks);
    out.set_format(static_cast<uint32_t>(welcome.format));
    out.set_max_frame_bytes(welcome.max_frame_bytes);
    out.set_total_steps(welcome.total_steps);
    out.set_next_step(welcome.next_step);
  }
  void operator()(const protocol::LossReport& report) const {
    wire::LossReport& out = *header.mutable_loss_report();
    out.set_loss_sum(report.loss_sum);
    out.set_loss_tokens(report.loss_tokens);
  }
  void operator()(const protocol::StepReport& report) const {
    wire::StepReport& out = *header.mutable_step_report();
    out.set_head_forward_seconds(report.head_forward_seconds);
    out.set_tail_seconds(report.tail_seconds);
    out.set_head_backward_seconds(report.head_backward_seconds);
    out.set_wait_seconds(report.wait_seconds);
    out.set_tokens(report.tokens);
    out.set_peak_memory_bytes(report.peak_memory_bytes);
    out.set_memory_limit_bytes(report.memory_limit_bytes);
    out.set_cpu_seconds(report.cpu_seconds);
    out.set_throttled_seconds(report.throttled_seconds);
    out.set_cpu_quota(report.cpu_quota);
  }
  void operator()(const protocol::Finish& finish) const { header.mutable_finish()->set_reason(finish.reason); }
  void operator()(const protocol::Fault& fault) const {
    header.mutable_fault()->set_code(fault.code);
    header.mutable_fault()->set_message(fault.message);
  }
  void operator()(const protocol::Assignment& assignment) const {
    wire::Assignment& out = *header.mutable_assignment();
    out.set_plan(assignment.plan);
    out.set_cut_layer(assignment.cut_layer);
    out.set_microbatches(assignment.microbatches);
    out.set_format(static_cast<uint32_t>(assignment.format));
  }
  void operator()(const protocol::Prepared& prepared) const {
    header.mutable_prepared()->set_plan(prepared.plan);
    header.mutable_prepared()->set_refusal(prepared.refusal);
  }
};

protocol::Hello HelloOf(const wire::Hello& in) {
  protocol::Hello hello;
  hello.protocol_version = in.protocol_version();
  hello.model_digest = in.model_digest();
  hello.adapter_elements = in.adapter_elements();
  hello.hidden_size = in.hidden_size();
  for (const uint32_t format : in.formats()) {
    if (protocol::IsWireFormat(format)) {
      hello.formats.push_back(static_cast<WireFormat>(format));
    }
  }
  hello.train_rows = in.train_rows();
  hello.eval_batches = in.eval_batches();
  return hello;
}

absl::StatusOr<protocol::FrameBody> BodyOf(const wire::FrameHeader& header) {
  switch (header.body_case()) {
    case wire::FrameHeader::BODY_NOT_SET:
      return std::monostate();
    case wire::FrameHeader::kHello:
      return HelloOf(header.hello());
    case wire::FrameHeader::kWelcome: {
      const wire::Welcome& in = header.welcome();
      SPLITFT_ASSIGN_OR_RETURN(const WireFormat format, FormatOf("welcome.format", in.format()));
      return protocol::Welcome{.cut_layer = in.cut_layer(),
                               .tail_blocks = in.tail_blocks(),
                               .format = format,
                               .max_frame_bytes = in.max_frame_bytes(),
                               .total_steps = in.total_steps(),
                               .next_step = in.next_step()};
    }
    case wire::FrameHeader::kLossReport:
      return protocol::LossReport{.loss_sum = header.loss_report().loss_sum(),
                                  .loss_tokens = header.loss_report().loss_tokens()};
    case wire::FrameHeader::kStepReport: {
      const wire::StepReport& in = header.step_report();
      return protocol::StepReport{.head_forward_seconds = in.head_forward_seconds(),
                                  .tail_seconds = in.tail_seconds(),
                                  .head_backward_seconds = in.head_backward_seconds(),
                                  .wait_seconds = in.wait_seconds(),
                                  .tokens = in.tokens(),
                                  .peak_memory_bytes = in.peak_memory_bytes(),
                                  .memory_limit_bytes = in.memory_limit_bytes(),
                                  .cpu_seconds = in.cpu_seconds(),
                                  .throttled_seconds = in.throttled_seconds(),
                                  .cpu_quota = in.cpu_quota()};
    }
    case wire::FrameHeader::kFinish:
      return protocol::Finish{.reason = header.finish().reason()};
    case wire::FrameHeader::kFault:
      return protocol::Fault{.code = header.fault().code(), .message = header.fault().message()};
    case wire::FrameHeader::kAssignment: {
      const wire::Assignment& in = header.assignment();
      SPLITFT_ASSIGN_OR_RETURN(const WireFormat format, FormatOf("assignment.format", in.format()));
      return protocol::Assignment{
          .plan = in.plan(), .cut_layer = in.cut_layer(), .format = format, .microbatches = in.microbatches()};
    }
    case wire::FrameHeader::kPrepared:
      return protocol::Prepared{.plan = header.prepared().plan(), .refusal = header.prepared().refusal()};
  }
  return std::monostate();
}

}  // namespace

wire::FrameHeader ToProto(const protocol::Frame& frame) {
  wire::FrameHeader header;
  header.set_job_uid(frame.key.job_uid);
  header.set_attempt(frame.key.attempt);
  header.set_client(frame.key.client);
  header.set_step(frame.key.step);
  header.set_microbatch(frame.key.microbatch);
  header.set_kind(static_cast<uint32_t>(frame.key.kind));
  header.set_format(static_cast<uint32_t>(frame.tensor.format));
  header.mutable_shape()->Add(frame.tensor.shape.begin(), frame.tensor.shape.end());
  for (const protocol::SequenceRun& run : frame.tensor.runs) {
    wire::SequenceRun& out = *header.add_runs();
    out.set_count(run.count);
    out.set_length(run.length);
  }
  header.set_held_seconds(frame.held_seconds);
  std::visit(BodyWriter{header}, frame.body);
  return header;
}

absl::StatusOr<protocol::Frame> FromProto(const wire::FrameHeader& header) {
  if (!protocol::IsFrameKind(header.kind())) {
    return absl::InvalidArgumentError(absl::StrCat("kind is ", header.kind(), "; expected one of FrameKind's"));
  }
  protocol::Frame frame;
  frame.key = {.job_uid = header.job_uid(),
               .attempt = header.attempt(),
               .client = header.client(),
               .step = header.step(),
               .microbatch = header.microbatch(),
               .kind = static_cast<FrameKind>(header.kind())};
  SPLITFT_ASSIGN_OR_RETURN(frame.tensor.format, FormatOf("format", header.format()));
  frame.tensor.shape.assign(header.shape().begin(), header.shape().end());
  frame.tensor.runs.reserve(static_cast<size_t>(header.runs_size()));
  for (const wire::SequenceRun& run : header.runs()) {
    frame.tensor.runs.push_back({.count = run.count(), .length = run.length()});
  }
  frame.held_seconds = header.held_seconds();
  SPLITFT_ASSIGN_OR_RETURN(frame.body, BodyOf(header));
  return frame;
}

}  // namespace splitft::transport
