// Stands in for splitft-worker: waits as long as the fake aggregator trains. FAKE_BANK in the environment changes what
// the client "bank" does: "hang" (until killed), "ignore-sigterm" (likewise, deaf), "crash" (aborts), "CODE:MESSAGE"
// (fails).

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/numbers.h"
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

int Main(const Flags& flags) {
  const char* wish = flags.at("client") == "bank" ? std::getenv("FAKE_BANK") : nullptr;
  const std::string behaviour = wish == nullptr ? "" : wish;
  std::fprintf(stderr, "I am %s\n", flags.at("client").c_str());
  if (behaviour == "hang" || behaviour == "ignore-sigterm") {
    if (behaviour == "ignore-sigterm") {
      std::signal(SIGTERM, SIG_IGN);
    }
    SystemClock().SleepFor(std::chrono::minutes(10));
  }
  if (behaviour == "crash") {
    std::fprintf(stderr, "assertion failed: rows > 0");
    std::abort();
  }
  if (const size_t colon = behaviour.find(':'); colon != std::string::npos) {
    return telemetry::Finish("splitft-worker",
                             telemetry::WithExitCode(absl::InternalError(behaviour.substr(colon + 1)),
                                                     static_cast<telemetry::ExitCode>(std::atoi(behaviour.c_str()))));
  }
  SystemClock().SleepFor(std::chrono::milliseconds(Setting("FAKE_STEPS", 5) * Setting("FAKE_STEP_MS", 10)));
  return 0;
}

}  // namespace
}  // namespace splitft

int main(int argc, char** argv) {
  const auto flags =
      splitft::ParseFlags({argv + 1, static_cast<size_t>(argc - 1)}, {"job", "client", "aggregator"}, {"threads"});
  return flags.ok() ? splitft::Main(*flags) : splitft::telemetry::Finish("splitft-worker", flags.status());
}
