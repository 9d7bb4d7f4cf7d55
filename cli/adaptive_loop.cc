#include "cli/adaptive_loop.h"

#include <grpcpp/client_context.h>

#include "absl/strings/str_cat.h"
#include "api/proto/control.grpc.pb.h"
#include "cli/local_channel.h"
#include "libs/base/clock.h"
#include "libs/transport/grpc_options.h"
#include "libs/transport/grpc_status.h"

namespace splitft::cli {
namespace {

// The aggregator notes a plan and answers at once.
constexpr Duration kPatience = std::chrono::seconds(5);

}  // namespace

std::vector<std::string> AdaptiveLoop::OnEvent(const control::JobEvent& event) {
  const std::optional<control::Plan> plan = pilot_.OnEvent(event, /*job_uid=*/"");
  std::vector<std::string> lines = pilot_.TakeNews();
  if (plan.has_value()) {
    if (const absl::Status sent = Send(*plan); !sent.ok()) {
      pilot_.NotSent();
      lines.push_back(
          absl::StrCat("step ", event.step(), ": the aggregator took no plan: ", std::string(sent.message())));
    }
  }
  return lines;
}

absl::Status AdaptiveLoop::Send(const control::Plan& plan) const {
  const std::unique_ptr<control::Control::Stub> stub = control::Control::NewStub(OpenLocalChannel(address_));
  grpc::ClientContext context;
  context.set_deadline(transport::GrpcTime(SystemClock().Now() + kPatience));
  control::PlanAccepted accepted;
  return transport::FromGrpc(stub->Apply(&context, plan, &accepted));
}

}  // namespace splitft::cli
