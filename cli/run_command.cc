#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/job_checks.h"
#include "cli/output_folder.h"
#include "cli/run_session.h"
#include "cli/run_summary.h"
#include "cli/text_format.h"
#include "libs/base/file.h"
#include "libs/base/status_macros.h"
#include "libs/spec/parse.h"
#include "libs/telemetry/exit.h"

namespace splitft::cli {
namespace {

namespace fs = std::filesystem;

CommandSpec Spec() {
  return {
      .name = "run",
      .summary = "Fine-tune on this machine: an aggregator and a worker per client, each a process of its own",
      .details =
          "Reads a FineTuneJob manifest, trains, and leaves a PEFT adapter, report.html and metrics.jsonl in the "
          "output folder. A former output of splitft there is replaced; anything else is refused.",
      .positional = "JOB.yaml",
      .flags =
          {{.name = "--set",
            .value_name = "PATH=VALUE",
            .help = "change the manifest's spec before it is read, as in training.steps=50; may be given several times",
            .repeated = true},
           {.name = "--out", .value_name = "DIR", .help = "output folder, in place of the manifest's output.path"},
           {.name = "--port", .value_name = "N", .help = "the aggregator's port on loopback (default: any free one)"},
           {.name = "--threads",
            .value_name = "N",
            .help = "threads of each process (default: all cores for the aggregator, an equal share of them for "
                    "each worker)"},
           {.name = "--json", .help = "one JSON object per event on stdout"},
           {.name = "--verbose", .help = "show what the processes log"}},
      .examples = {{.command = "splitft run examples/quickstart/job.yaml", .what = "the quickstart"},
                   {.command = "splitft run job.yaml --set training.steps=50 --set split.cutLayer=2 --out /tmp/try",
                    .what = "a shorter run with another cut, elsewhere"}}};
}

// Where the programs lie: beside this one, wherever it was called from.
absl::StatusOr<fs::path> ProgramFolder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) {
    return ErrnoStatus(error.value(), "read", "/proc/self/exe");
  }
  return self.parent_path();
}

struct Threads {
  int aggregator = 1;
  int worker = 1;
};

absl::StatusOr<Threads> ChooseThreads(const Arguments& arguments, size_t clients) {
  SPLITFT_ASSIGN_OR_RETURN(const int64_t asked, arguments.Integer("--threads", 0, 1, 1024));
  if (asked > 0) {
    return Threads{.aggregator = static_cast<int>(asked), .worker = static_cast<int>(asked)};
  }
  const auto cores = std::max(1U, std::thread::hardware_concurrency());
  const auto sharing = static_cast<unsigned>(std::max<size_t>(1, clients));
  return Threads{.aggregator = static_cast<int>(cores), .worker = static_cast<int>((cores + sharing - 1) / sharing)};
}

// Adapter in fp32 and room for tokenizer, report and metrics.
int64_t LeastFreeBytes(const CheckedJob& checked) { return 4 * checked.layout.size() + 16'000'000; }

std::unique_ptr<RunReporter> ChooseReporter(const Arguments& arguments, const CommandContext& context) {
  if (arguments.Has("--json")) {
    return std::make_unique<JsonReporter>(context.out);
  }
  if (::isatty(STDOUT_FILENO) == 1) {
    return std::make_unique<LiveReporter>(STDOUT_FILENO);
  }
  return std::make_unique<PlainReporter>(context.out);
}

// The error of a run that did not succeed; what is left of it was said before.
absl::Status FailedRun(const Verdict& verdict, const RunSession& session, const fs::path& output,
                       const CommandContext& context) {
  // A process that gave no reason: its last lines are all there is.
  if (verdict.process >= 0 && verdict.cause.find("without saying why") != std::string::npos) {
    for (const std::string& line : session.LastLines(verdict.process)) {
      context.err << "  " << line << "\n";
    }
  }
  std::error_code error;
  const auto metrics_bytes = fs::file_size(output / "metrics.jsonl", error);
  context.err << (!error && metrics_bytes > 0
                      ? "No adapter was written; the metrics of the steps that were done are in "
                      : "No adapter was written; no step was done; nothing of use is in ")
              << output.string() << "\n";
  return telemetry::WithExitCode(absl::AbortedError(verdict.cause),
                                 static_cast<telemetry::ExitCode>(verdict.exit_code));
}

absl::Status Summarize(const CheckedJob& checked, Duration elapsed, const Arguments& arguments,
                       const CommandContext& context) {
  const fs::path output = checked.job.output.value;
  SPLITFT_ASSIGN_OR_RETURN(const MappedFile metrics, MappedFile::Open(output / "metrics.jsonl"));
  const auto bytes = metrics.bytes();
  SPLITFT_ASSIGN_OR_RETURN(const RunTotals totals,
                           AddUpMetrics(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())));
  if (arguments.Has("--json")) {
    context.out << CompletedJson(output.string(), totals, elapsed) << std::endl;
    return absl::OkStatus();
  }
  std::error_code error;
  context.out << "\n"
              << FormatRunSummary({.job = checked.job,
                                   .totals = totals,
                                   .elapsed = elapsed,
                                   .working_directory = fs::current_path(error),
                                   .program = context.program})
              << std::flush;
  return absl::OkStatus();
}

absl::Status Run(const Arguments& arguments, const CommandContext& context) {
  JobRequest request{.manifest = *arguments.positional(), .overrides = arguments.All("--set")};
  if (arguments.Has("--out")) {
    request.output = arguments.Text("--out", "");
  }
  SPLITFT_ASSIGN_OR_RETURN(const int64_t port, arguments.Integer("--port", 0, 0, 65535));
  SPLITFT_ASSIGN_OR_RETURN(const fs::path programs, ProgramFolder());
  SPLITFT_ASSIGN_OR_RETURN(const CheckedJob checked, CheckJob(request));
  SPLITFT_ASSIGN_OR_RETURN(const Threads threads, ChooseThreads(arguments, checked.job.clients.size()));
  const fs::path output = checked.job.output.value;
  SPLITFT_ASSIGN_OR_RETURN(const UniqueFd in_use,
                           PrepareOutputFolder(output, spec::FormatJob(checked.job), LeastFreeBytes(checked)));

  const TimePoint start = context.clock.Now();
  std::unique_ptr<RunReporter> reporter = ChooseReporter(arguments, context);
  RunSession session({.programs = programs,
                      .manifest = output / "job.yaml",
                      .output = output,
                      .port = static_cast<int>(port),
                      .aggregator_threads = threads.aggregator,
                      .worker_threads = threads.worker,
                      .verbose = arguments.Has("--verbose")},
                     checked.job, *reporter, context.clock);
  SPLITFT_ASSIGN_OR_RETURN(const Verdict verdict, session.Run());
  reporter.reset();  // the terminal's cursor is back before anything else is printed
  if (verdict.exit_code != 0) {
    return FailedRun(verdict, session, output, context);
  }
  return Summarize(checked, context.clock.Now() - start, arguments, context);
}

}  // namespace

Command RunCommand() { return {.spec = Spec(), .run = &Run}; }

}  // namespace splitft::cli
