// What the aggregators of many jobs in the middle of their training would say, on one port for all their addresses:
//
//   fake_aggregators [--listen 0.0.0.0:7070] [--clients client0,client1,client2]
//
// Each watcher hears once that step 1 of 1000 is done and every client is there, and then nothing more. Prints
// "listening" when it does, and serves until it is killed.
#include <unistd.h>

#include <cstdio>
#include <span>
#include <string>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "api/proto/control.grpc.pb.h"
#include "libs/base/flags.h"
#include "libs/transport/grpc_server.h"

namespace splitft {
namespace {

control::JobEvent FirstStep(const std::string& clients) {
  control::JobEvent event;
  event.set_phase(control::TRAINING);
  event.set_step(1);
  event.set_total_steps(1000);
  event.mutable_figures()->set_loss(2.5);
  event.mutable_figures()->set_seconds(1);
  event.mutable_figures()->set_tokens(2048);
  for (const absl::string_view name : absl::StrSplit(clients, ',')) {
    control::ClientState* client = event.add_clients();
    client->set_name(std::string(name));
    client->set_connected(true);
    client->set_cut_layer(2);
    client->set_codec("none");
  }
  return event;
}

// gRPC owns its life: OnDone is the last call.
class Watcher final : public grpc::ServerWriteReactor<control::JobEvent> {
 public:
  explicit Watcher(const control::JobEvent& event) { StartWrite(&event); }
  void OnCancel() override { Finish(grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }
};

class Aggregators final : public control::Control::CallbackService {
 public:
  explicit Aggregators(control::JobEvent event) : event_(std::move(event)) {}
  grpc::ServerWriteReactor<control::JobEvent>* Watch(grpc::CallbackServerContext* /*context*/,
                                                     const control::WatchRequest* /*request*/) override {
    return new Watcher(event_);
  }

 private:
  const control::JobEvent event_;
};

int Main(std::span<const char* const> arguments) {
  absl::StatusOr<Flags> flags = ParseFlags(arguments, {}, {"listen", "clients"});
  if (!flags.ok()) {
    std::fprintf(stderr, "fake_aggregators: %s\n", flags.status().ToString().c_str());
    return 2;
  }
  flags->insert({{"listen", "0.0.0.0:7070"}, {"clients", "client0,client1,client2"}});  // where they are not given
  Aggregators service(FirstStep(flags->at("clients")));
  // The server of real ones: how often it asks its peers, and lets itself be asked, is part of what is measured.
  transport::GrpcServerOptions options;
  options.address = flags->at("listen");
  options.services = {&service};
  const auto server = transport::GrpcServer::Start(options);
  if (!server.ok()) {
    std::fprintf(stderr, "fake_aggregators: %s\n", server.status().ToString().c_str());
    return 1;
  }
  std::puts("listening");
  std::fflush(stdout);
  while (true) {
    ::pause();
  }
}

}  // namespace
}  // namespace splitft

int main(int argc, char** argv) { return splitft::Main({argv + 1, static_cast<size_t>(argc - 1)}); }
