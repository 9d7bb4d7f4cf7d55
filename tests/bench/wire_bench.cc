// Throughput of the real stream: 16 MiB tensors from a client to the aggregator over loopback, in one process. And of
// the int8 codec on one core, in fp32 bytes that are encoded and decoded again: hidden states, and gradients with
// noise.
//
//   wire_bench [--address unix:/tmp/x.sock] [--mib 16] [--frames 64] [--runs 5] [--direction up]
//
// Prints one line of JSON: median, lowest and highest GB/s of the runs, CPU seconds per GB, threads, int8's medians.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/flags.h"
#include "libs/base/random.h"
#include "libs/protocol/int8_codec.h"
#include "libs/transport/grpc_server.h"
#include "libs/transport/grpc_stream.h"

namespace splitft {
namespace {

using protocol::Frame;

struct Settings {
  std::string address = "127.0.0.1:0";
  int mib = 16;
  int frames = 64;
  int runs = 5;
  bool down = false;
};

[[noreturn]] void Die(const absl::Status& status) {
  std::fprintf(stderr, "wire_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}

template <typename T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) {
    Die(result.status());
  }
  return *std::move(result);
}

void Must(const absl::Status& status) {
  if (!status.ok()) {
    Die(status);
  }
}

TimePoint Patience() { return SystemClock().Now() + std::chrono::seconds(60); }

Frame MakeFrame(int mib) {
  const size_t elements = static_cast<size_t>(mib) << 18;
  auto numbers = std::make_shared<std::vector<float>>(elements, 0.5F);
  Frame frame;
  frame.key = {.job_uid = "bench", .client = "client", .kind = protocol::FrameKind::kHiddenUp};
  frame.tensor = {.format = protocol::WireFormat::kFp32, .shape = {static_cast<int64_t>(elements / 1024), 1024}};
  const auto bytes = std::as_bytes(std::span<const float>(*numbers));
  frame.payload = protocol::Payload(std::move(numbers), bytes);
  return frame;
}

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int64_t Threads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
}

Frame NextFrame(protocol::FrameServer& server, protocol::StreamId* stream) {
  for (;;) {
    protocol::StreamEvent event = Must(server.Next(Patience()));
    *stream = event.stream;
    if (auto* frame = std::get_if<Frame>(&event.what)) {
      return std::move(*frame);
    }
  }
}

// Seconds for `frames` frames, to the last one's arrival. The receiver touches nothing: decoding has copied already.
double RunUp(protocol::FrameServer& server, protocol::FrameStream& client, const Settings& settings) {
  const Frame frame = MakeFrame(settings.mib);
  const TimePoint start = SystemClock().Now();
  std::jthread sender([&] {
    for (int i = 0; i < settings.frames; ++i) {
      Must(client.Send(frame, Patience()));
    }
  });
  protocol::StreamId stream = 0;
  for (int i = 0; i < settings.frames; ++i) {
    NextFrame(server, &stream);
  }
  return Seconds(SystemClock().Now() - start);
}

double RunDown(protocol::FrameServer& server, protocol::FrameStream& client, protocol::StreamId stream,
               const Settings& settings) {
  const Frame frame = MakeFrame(settings.mib);
  const TimePoint start = SystemClock().Now();
  for (int i = 0; i < settings.frames; ++i) {
    Must(server.Send(stream, frame));
  }
  for (int i = 0; i < settings.frames; ++i) {
    Must(client.Receive(Patience()));
  }
  return Seconds(SystemClock().Now() - start);
}

// Of rows like GPT-2's; the memory is there already, as an allocator's would be.
double Int8Rate(const Settings& settings, const std::optional<RandomStream>& noise) {
  constexpr int64_t kColumns = 768;
  const int64_t rows = (int64_t{settings.mib} << 18) / kColumns;
  const protocol::Int8Rows part = {.rows = rows, .columns = kColumns, .begin = 0, .end = rows};
  std::vector<float> numbers(static_cast<size_t>(rows * kColumns));
  const RandomStream draws({.seed = 1});
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = draws.Uniform(i) - 0.5F;
  }
  std::vector<std::byte> payload(static_cast<size_t>(rows * (4 + kColumns)));
  std::vector<double> rates;
  for (int run = 0; run < settings.runs; ++run) {
    const TimePoint start = SystemClock().Now();
    for (int frame = 0; frame < settings.frames; ++frame) {
      protocol::EncodeInt8(numbers.data(), part, noise, payload.data());
      protocol::DecodeInt8(payload.data(), part, numbers.data());
    }
    const double bytes = 4.0 * static_cast<double>(rows * kColumns * settings.frames);
    rates.push_back(bytes / 1e9 / Seconds(SystemClock().Now() - start));
  }
  std::sort(rates.begin(), rates.end());
  return rates[rates.size() / 2];
}

Settings ReadSettings(int argc, char** argv) {
  const std::vector<const char*> arguments(argv + 1, argv + argc);
  const Flags flags = Must(ParseFlags(arguments, {}, {"address", "mib", "frames", "runs", "direction"}));
  Settings settings;
  if (const auto found = flags.find("address"); found != flags.end()) {
    settings.address = found->second;
  }
  if (const auto found = flags.find("direction"); found != flags.end()) {
    settings.down = found->second == "down";
  }
  settings.mib = Must(IntegerOf(flags, {"mib", 1, 512, settings.mib}));
  settings.frames = Must(IntegerOf(flags, {"frames", 1, 10000, settings.frames}));
  settings.runs = Must(IntegerOf(flags, {"runs", 1, 100, settings.runs}));
  return settings;
}

int Main(int argc, char** argv) {
  const Settings settings = ReadSettings(argc, argv);
  transport::GrpcServerOptions server_options{.address = settings.address};
  server_options.send_queue.bytes = size_t{8} << 30;  // queued frames share one payload here
  const auto server = Must(transport::GrpcServer::Start(server_options));
  const auto client = Must(transport::ConnectGrpc({.target = server->address()}, Patience()));
  protocol::StreamId stream = 0;
  Must(client->Send(MakeFrame(1), Patience()));
  NextFrame(*server, &stream);

  const double gigabytes = static_cast<double>(settings.frames) * settings.mib * (1 << 20) / 1e9;
  const double cpu_start = CpuSeconds();
  std::vector<double> rates;
  for (int run = 0; run < settings.runs; ++run) {
    const double seconds =
        settings.down ? RunDown(*server, *client, stream, settings) : RunUp(*server, *client, settings);
    rates.push_back(gigabytes / seconds);
  }
  const double cpu = (CpuSeconds() - cpu_start) / (gigabytes * settings.runs);
  const int64_t threads = Threads();
  std::sort(rates.begin(), rates.end());
  std::printf(
      "{\"bench\": \"wire\", \"address\": \"%s\", \"direction\": \"%s\", \"frame_mib\": %d, \"frames\": %d, \"runs\": "
      "%d, "
      "\"gigabytes_per_second\": %.3f, \"lowest\": %.3f, \"highest\": %.3f, \"cpu_seconds_per_gigabyte\": %.3f, "
      "\"threads\": %lld, \"int8_gigabytes_per_second\": %.3f, "
      "\"int8_gradient_gigabytes_per_second\": %.3f}\n",
      server->address().c_str(), settings.down ? "down" : "up", settings.mib, settings.frames, settings.runs,
      rates[rates.size() / 2], rates.front(), rates.back(), cpu, static_cast<long long>(threads),
      Int8Rate(settings, std::nullopt), Int8Rate(settings, RandomStream({.purpose = RandomPurpose::kRounding})));
  client->Close();
  server->Shutdown(Patience());
  return 0;
}

}  // namespace
}  // namespace splitft

int main(int argc, char** argv) { return splitft::Main(argc, argv); }
