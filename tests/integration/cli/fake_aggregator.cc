// Stands in for splitft-aggregator: speaks its flags and its control service, trains nothing. FAKE_STEPS and
// FAKE_STEP_MS in the environment say how long it takes; FAKE_AGGREGATOR=CODE:MESSAGE makes it fail after the first
// step.

#include <grpcpp/server_builder.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "api/proto/control.grpc.pb.h"
#include "libs/base/clock.h"
#include "libs/base/flags.h"
#include "libs/telemetry/exit.h"

namespace splitft {
namespace {

int Setting(const char* name, int fallback) {
  const char* text = std::getenv(name);
  int value = fallback;
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : fallback;
}

control::JobEvent Step(int step, int steps) {
  control::JobEvent event;
  event.set_phase(control::TRAINING);
  event.set_step(step);
  event.set_total_steps(steps);
  event.mutable_figures()->set_loss(4.0 - step * 0.01);
  event.mutable_figures()->set_tokens(100);
  event.mutable_figures()->set_seconds(0.01);
  for (const char* name : {"hospital", "bank"}) {
    control::ClientState& client = *event.add_clients();
    client.set_name(name);
    client.set_connected(true);
    client.set_cut_layer(1);
    client.set_loss(3.5);
    client.set_tokens(50);
    client.set_bytes_up(1000);
    client.set_bytes_down(2000);
    client.set_wait_seconds(0.01);
  }
  return event;
}

// Every watcher sees the whole job at its own pace.
class FakeControl final : public control::Control::Service {
 public:
  grpc::Status Watch(grpc::ServerContext* context, const control::WatchRequest* /*request*/,
                     grpc::ServerWriter<control::JobEvent>* writer) override {
    const int steps = Setting("FAKE_STEPS", 5);
    for (int step = 1; step <= steps && !context->IsCancelled(); ++step) {
      writer->Write(Step(step, steps));
      SystemClock().SleepFor(std::chrono::milliseconds(Setting("FAKE_STEP_MS", 10)));
    }
    control::JobEvent end = Step(steps, steps);
    end.set_phase(control::COMPLETED);
    writer->Write(end);
    return grpc::Status::OK;
  }
};

int Main(const Flags& flags) {
  FakeControl control;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(flags.at("listen"), grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&control);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const std::string ready = absl::StrCat("127.0.0.1:", port, "\n");
  const int fd = std::atoi(flags.at("ready-fd").c_str());
  if (::write(fd, ready.data(), ready.size()) < 0 || ::close(fd) != 0) {
    return 1;
  }
  std::ofstream metrics(flags.at("output") + "/metrics.jsonl");
  const int steps = Setting("FAKE_STEPS", 5);
  for (int step = 1; step <= steps; ++step) {
    metrics << "{\"step\":" << step << ",\"loss\":" << 4.0 - step * 0.01
            << ",\"tokens\":100,\"clients\":[{\"bytes_up\":1000,\"bytes_down\":2000}]}\n"
            << std::flush;
    SystemClock().SleepFor(std::chrono::milliseconds(Setting("FAKE_STEP_MS", 10)));
    if (const char* failure = std::getenv("FAKE_AGGREGATOR"); failure != nullptr) {
      server->Shutdown(std::chrono::system_clock::time_point());  // or a watcher would keep it alive
      const std::string text = failure;
      const size_t colon = text.find(':');
      return telemetry::Finish("splitft-aggregator",
                               telemetry::WithExitCode(absl::InternalError(text.substr(colon + 1)),
                                                       static_cast<telemetry::ExitCode>(std::atoi(failure))));
    }
  }
  SystemClock().SleepFor(std::chrono::milliseconds(100));
  server->Shutdown(std::chrono::system_clock::time_point());
  return 0;
}

}  // namespace
}  // namespace splitft

int main(int argc, char** argv) {
  const auto flags = splitft::ParseFlags({argv + 1, static_cast<size_t>(argc - 1)},
                                         {"job", "listen", "output", "ready-fd"}, {"threads"});
  return flags.ok() ? splitft::Main(*flags) : splitft::telemetry::Finish("splitft-aggregator", flags.status());
}
