#include "libs/transport/grpc_server.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/transport/listen_check.h"
#include "libs/transport/server_call.h"

namespace splitft::transport {
namespace {

using protocol::StreamId;

// Ends a call that never becomes a stream.
class Refusal final : public grpc::ServerGenericBidiReactor {
 public:
  explicit Refusal(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

// Copies channel arguments into a server that is being built.
class ArgumentsOption final : public grpc::ServerBuilderOption {
 public:
  explicit ArgumentsOption(const grpc::ChannelArguments& arguments) : from_(arguments) {}
  void UpdateArguments(grpc::ChannelArguments* arguments) override {
    const grpc_channel_args given = from_.c_channel_args();
    for (size_t i = 0; i < given.num_args; ++i) {
      const grpc_arg& arg = given.args[i];
      if (arg.type == GRPC_ARG_INTEGER) {
        arguments->SetInt(arg.key, arg.value.integer);
      }
    }
  }
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>*) override {}

 private:
  const grpc::ChannelArguments from_;
};

}  // namespace

class GrpcServer::Service final : public grpc::CallbackGenericService {
 public:
  explicit Service(const GrpcServerOptions& options)
      : options_(options), events_(std::make_shared<protocol::EventQueue>()) {}
  ~Service() override { Shutdown(TimePoint::min()); }

  absl::Status Listen() {
    SPLITFT_RETURN_IF_ERROR(CheckListenAddress(options_.address));
    grpc::ServerBuilder builder;
    builder.AddListeningPort(options_.address,
                             options_.credentials != nullptr ? options_.credentials : grpc::InsecureServerCredentials(),
                             &port_);
    builder.SetOption(std::make_unique<ArgumentsOption>(ServerArguments()));
    builder.RegisterCallbackGenericService(this);
    for (grpc::Service* service : options_.services) {
      builder.RegisterService(service);
    }
    // For services with blocking methods: threads come as calls do.
    builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) {
      return absl::UnavailableError(absl::StrCat("cannot listen on \"", options_.address, "\""));
    }
    address_ = options_.address;
    if (const absl::StatusOr<HostPort> parsed = ParseHostPort(address_); parsed.ok()) {
      address_ = absl::StrCat(address_.substr(0, address_.rfind(':')), ":", port_);
    } else {
      port_ = 0;
    }
    return absl::OkStatus();
  }

  const std::string& address() const { return address_; }
  int port() const { return port_; }

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override
      SPLITFT_EXCLUDES(mutex_) {
    if (context->method() != kExchangeMethod) {
      return new Refusal({grpc::StatusCode::UNIMPLEMENTED, absl::StrCat("no method ", context->method())});
    }
    std::shared_ptr<ServerCall> call;
    {
      const MutexLock lock(mutex_);
      if (shut_down_) {
        return new Refusal({grpc::StatusCode::UNAVAILABLE, "the aggregator is shutting down"});
      }
      if (calls_.size() >= options_.max_streams) {
        return new Refusal({grpc::StatusCode::RESOURCE_EXHAUSTED,
                            absl::StrCat("the aggregator has ", calls_.size(), " streams, the limit")});
      }
      const StreamId id = ++last_id_;
      call = std::make_shared<ServerCall>(ServerCall::Options{.id = id,
                                                              .peer = context->peer(),
                                                              .max_payload_bytes = options_.limits.max_payload_bytes,
                                                              .receive_queue = options_.receive_queue,
                                                              .send_queue = options_.send_queue},
                                          *context, events_);
      calls_.emplace(id, call);
    }
    call->Start();
    return call.get();
  }

  absl::StatusOr<protocol::StreamEvent> Next(TimePoint deadline) SPLITFT_EXCLUDES(mutex_) {
    absl::StatusOr<protocol::StreamEvent> event = events_->Pop(deadline);
    if (event.ok()) {
      if (const auto* frame = std::get_if<protocol::Frame>(&event->what)) {
        if (const std::shared_ptr<ServerCall> call = Find(event->stream); call != nullptr) {
          call->Taken(QueuedBytes(*frame));
        }
      } else if (std::holds_alternative<protocol::StreamClosed>(event->what)) {
        const MutexLock lock(mutex_);
        calls_.erase(event->stream);
      }
    }
    return event;
  }

  std::shared_ptr<ServerCall> Find(StreamId stream) SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    const auto found = calls_.find(stream);
    return found == calls_.end() ? nullptr : found->second;
  }

  void Shutdown(TimePoint deadline) SPLITFT_EXCLUDES(mutex_) {
    std::map<StreamId, std::shared_ptr<ServerCall>> calls;
    {
      const MutexLock lock(mutex_);
      shut_down_ = true;
      calls.swap(calls_);
    }
    events_->Close();
    for (const auto& [id, call] : calls) {
      call->Close(absl::OkStatus());
    }
    if (server_ != nullptr) {
      server_->Shutdown(GrpcTime(deadline));  // cancels at the deadline what is left, and waits for that
    }
  }

 private:
  grpc::ChannelArguments ServerArguments() const {
    grpc::ChannelArguments arguments = ChannelArgumentsFor(options_.limits, End::kServer);
    // With it a second aggregator on the same port would take half of the connections.
    arguments.SetInt(GRPC_ARG_ALLOW_REUSEPORT, 0);
    return arguments;
  }

  const GrpcServerOptions options_;
  const std::shared_ptr<protocol::EventQueue> events_;
  std::string address_;
  int port_ = 0;

  Mutex mutex_;
  std::map<StreamId, std::shared_ptr<ServerCall>> calls_ SPLITFT_GUARDED_BY(mutex_);  // until StreamClosed is taken
  StreamId last_id_ SPLITFT_GUARDED_BY(mutex_) = 0;
  bool shut_down_ SPLITFT_GUARDED_BY(mutex_) = false;

  std::unique_ptr<grpc::Server> server_;  // last: its calls use what is above
};

GrpcServer::GrpcServer() = default;
GrpcServer::~GrpcServer() = default;

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcServerOptions& options) {
  KeepGrpcRunning();
  std::unique_ptr<GrpcServer> server(new GrpcServer());
  server->service_ = std::make_unique<Service>(options);
  SPLITFT_RETURN_IF_ERROR(server->service_->Listen());
  return server;
}

const std::string& GrpcServer::address() const { return service_->address(); }
int GrpcServer::port() const { return service_->port(); }

absl::StatusOr<protocol::StreamEvent> GrpcServer::Next(TimePoint deadline) { return service_->Next(deadline); }

absl::Status GrpcServer::Send(StreamId stream, protocol::Frame frame) {
  const std::shared_ptr<ServerCall> call = service_->Find(stream);
  return call == nullptr ? absl::NotFoundError(absl::StrCat("stream ", stream, " has ended")) : call->Send(frame);
}

void GrpcServer::Close(StreamId stream, absl::Status status) {
  if (const std::shared_ptr<ServerCall> call = service_->Find(stream); call != nullptr) {
    call->Close(std::move(status));
  }
}

void GrpcServer::Shutdown(TimePoint deadline) { service_->Shutdown(deadline); }

}  // namespace splitft::transport
