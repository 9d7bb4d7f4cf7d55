// `splitft run` as a user meets it: the real command with stand-ins for the training programs, so that each can be made
// to fail in its own way.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "nlohmann/json.hpp"
#include "tests/integration/cli/program.h"

namespace splitft::cli {
namespace {

namespace fs = std::filesystem;
using testing::ContainsRegex;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;
using Words = std::vector<std::string>;

// Beside it lie the stand-ins, as splitft-aggregator and splitft-worker.
const std::string kSplitft = SPLITFT_FAKES_FOLDER "/splitft";

void Write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

// A folder of its own for each test, with a model that opens, two clients' data and a manifest.
class Run : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "splitft-run-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    fs::create_directory(folder_ / "model");
    Write(folder_ / "model/config.json",
          R"({"model_type":"gpt2","n_embd":8,"n_layer":2,"n_head":2,"n_positions":64,"vocab_size":100,)"
          R"("activation_function":"gelu_new","layer_norm_epsilon":1e-5})");
    const std::string header = R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
    std::string size(8, '\0');
    size[0] = static_cast<char>(header.size());
    Write(folder_ / "model/model.safetensors", size + header + std::string(4, '\0'));
    Write(folder_ / "hospital.txt", "text\n");
    Write(folder_ / "bank.jsonl", "{\"text\": \"text\"}\n");
    WriteManifest("");
  }
  void TearDown() override {
    EXPECT_THAT(ProcessesThatMention(folder_), IsEmpty()) << "left behind";
    fs::remove_all(folder_);
  }

  void WriteManifest(const std::string& more) const {
    Write(folder_ / "job.yaml",
          absl::StrCat("apiVersion: splitft.io/v1alpha1\nkind: FineTuneJob\nmetadata: {name: test}\nspec:\n"
                       "  model: {source: {path: model}}\n"
                       "  training: {steps: 5, sequenceLength: 32}\n"
                       "  clients:\n"
                       "    - {name: hospital, data: {path: hospital.txt}}\n"
                       "    - {name: bank, data: {path: bank.jsonl}}\n"
                       "  output: {path: out}\n",
                       more));
  }
  Words Command(const Words& more = {}) const {
    Words words = {kSplitft, "run", folder_ / "job.yaml"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  ProgramResult Result(const Words& environment = {}, const Words& more = {}) const {
    return RunProgram(Command(more), folder_, environment);
  }
  // A job that takes long, once its processes are up.
  std::unique_ptr<Program> LongRun(const Words& environment = {}) const {
    Words all = {"FAKE_STEPS=100000"};
    all.insert(all.end(), environment.begin(), environment.end());
    auto program = std::make_unique<Program>(Command(), folder_, all);
    EXPECT_TRUE(Eventually([&] { return program->Out().find("step 1/") != std::string::npos; })) << program->Err();
    return program;
  }
  // The worker of `client`, or -1.
  pid_t Worker(const std::string& client) const {
    for (const pid_t pid : ProcessesThatMention(folder_)) {
      std::ifstream file(absl::StrCat("/proc/", pid, "/cmdline"));
      const std::string line((std::istreambuf_iterator<char>(file)), {});
      if (line.find(std::string("--client\0", 9) + client) != std::string::npos) {
        return pid;
      }
    }
    return -1;
  }

  fs::path folder_;
};

TEST_F(Run, EndsWithASummaryAndNothingLeft) {
  const ProgramResult result = Result();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("step 1/5  loss 3.9900"));
  EXPECT_THAT(result.out, HasSubstr("step 5/5"));
  EXPECT_THAT(result.out, HasSubstr("Done: 5 steps in "));
  EXPECT_THAT(result.out, HasSubstr("generate --temperature 0 --model "));
  EXPECT_THAT(result.err, IsEmpty());
  EXPECT_TRUE(fs::exists(folder_ / "out/job.yaml"));
}

TEST_F(Run, ReplacesItsOwnFormerOutput) {
  ASSERT_EQ(Result().exit_code, 0);
  Write(folder_ / "out/adapter_model.safetensors", "old");
  EXPECT_EQ(Result().exit_code, 0);
  EXPECT_FALSE(fs::exists(folder_ / "out/adapter_model.safetensors"));
}

TEST_F(Run, RefusesAFolderWithSomebodyElsesFiles) {
  fs::create_directory(folder_ / "out");
  Write(folder_ / "out/thesis.txt", "years of work");
  const ProgramResult result = Result();
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.LastError(), HasSubstr("\"thesis.txt\""));
  EXPECT_EQ(ReadFile(folder_ / "out/thesis.txt", 100).value(), "years of work");

  ASSERT_EQ(Result({}, {"--out", folder_ / "elsewhere"}).exit_code, 0);
  Write(folder_ / "elsewhere/notes.txt", "mine");
  EXPECT_EQ(Result({}, {"--out", folder_ / "elsewhere"}).exit_code, 3);
  EXPECT_TRUE(fs::exists(folder_ / "elsewhere/notes.txt"));
}

TEST_F(Run, RefusesAFolderThatAnotherRunWritesTo) {
  fs::create_directory(folder_ / "out");
  const UniqueFd other(::open((folder_ / "out").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(other.get(), LOCK_EX), 0);
  const ProgramResult result = Result();
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.LastError(), HasSubstr("is in use by another run"));
  EXPECT_TRUE(fs::is_empty(folder_ / "out"));
}

TEST_F(Run, RefusesToReplaceTheAdapterItStartsFrom) {
  ASSERT_EQ(Result().exit_code, 0);
  const ProgramResult result = Result({}, {"--set", "lora.initialAdapter.path=out"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("is spec.lora.initialAdapter"));
  EXPECT_TRUE(fs::exists(folder_ / "out/job.yaml"));
}

TEST_F(Run, RefusesAnEmptyOutput) {
  const ProgramResult result = Result({}, {"--out", ""});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.LastError(), HasSubstr("--out: \"\""));
}

TEST_F(Run, NamesEveryProblemOfAManifest) {
  WriteManifest("  lora: {rnk: 4}\n  splitt: {}\n");
  const ProgramResult result = Result();
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("rnk"));
  EXPECT_THAT(result.err, HasSubstr("splitt"));
  EXPECT_THAT(result.LastError(), StartsWith("splitft: error: "));
  EXPECT_THAT(result.LastError(), EndsWith(" has 2 problems"));
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(Run, NamesEveryMissingFile) {
  fs::remove(folder_ / "bank.jsonl");
  fs::remove_all(folder_ / "model");
  const ProgramResult result = Result();
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr(absl::StrCat("spec.clients[1].data.path: \"", (folder_ / "bank.jsonl").string(),
                                                 "\" does not exist")));
  EXPECT_THAT(result.err, HasSubstr("/model\" does not exist"));
}

TEST_F(Run, RefusesACutThatTheModelDoesNotHave) {
  const ProgramResult result = Result({}, {"--set", "split.cutLayer=99"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("99"));
}

TEST_F(Run, RefusesATruncatedModel) {
  fs::resize_file(folder_ / "model/model.safetensors", 30);
  const ProgramResult result = Result();
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.LastError(), HasSubstr("model.safetensors"));
}

TEST_F(Run, ValidateReadsEveryClientsData) {
  // A vocabulary of single bytes is enough of a tokenizer.
  Write(folder_ / "model/vocab.json", R"({"t":0,"e":1,"x":2,"<|endoftext|>":3})");
  Write(folder_ / "model/merges.txt", "#version: 0.2\n");
  Write(folder_ / "bank.jsonl", "{\"text\": \"text\"}\nno JSON\n");
  Words command = {kSplitft, "validate", folder_ / "job.yaml"};
  ProgramResult result = RunProgram(command, folder_);
  EXPECT_EQ(result.exit_code, 3) << result.out;
  EXPECT_THAT(result.LastError(),
              HasSubstr("client bank: \"" + (folder_ / "bank.jsonl").string() + "\": 1 of 2 records are bad"));
  Write(folder_ / "bank.jsonl", "{\"text\": \"text\"}\n");
  result = RunProgram(command, folder_);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, ContainsRegex("bank +.*bank.jsonl +1 +5 +1 +4"));  // rows, tokens, cut, batch
}

TEST_F(Run, SaysWhenStandardOutputTakesNothing) {
  const std::string script = absl::StrCat("exec ", kSplitft, " version > /dev/full");
  const ProgramResult result = RunProgram({"/bin/sh", "-c", script}, folder_);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.LastError(), HasSubstr("cannot write to standard output"));
}

TEST_F(Run, PassesOnWhyAWorkerFailed) {
  const ProgramResult result =
      Result({"FAKE_BANK=3:data \"bank.jsonl\": record 12: not valid JSON", "FAKE_STEPS=100000"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.LastError(), "splitft: error: client bank: data \"bank.jsonl\": record 12: not valid JSON");
}

TEST_F(Run, PrefersTheCauseToItsConsequence) {
  // The aggregator ends first, but only because of its peer.
  const ProgramResult result = Result({"FAKE_AGGREGATOR=4:client bank was lost", "FAKE_BANK=3:no data"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.LastError(), "splitft: error: client bank: no data");
}

TEST_F(Run, PassesOnWhyTheAggregatorFailed) {
  const ProgramResult result = Result({"FAKE_AGGREGATOR=1:the loss of step 7 is not finite", "FAKE_STEPS=100000"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.LastError(), "splitft: error: aggregator: the loss of step 7 is not finite");
}

TEST_F(Run, QuotesTheLastWordsOfACrash) {
  const ProgramResult result = Result({"FAKE_BANK=crash", "FAKE_STEPS=100000"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.LastError(), HasSubstr("client bank was killed by signal 6"));
  EXPECT_THAT(result.LastError(), HasSubstr("assertion failed: rows > 0"));
}

TEST_F(Run, NamesAWorkerThatSomebodyKilled) {
  const auto program = LongRun({"FAKE_BANK=hang"});
  const pid_t bank = Worker("bank");
  ASSERT_GT(bank, 0);
  ::kill(bank, SIGKILL);
  const ProgramResult result = program->Wait();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.LastError(), "splitft: error: client bank was killed by signal 9 (Killed; out of memory?)");
}

TEST_F(Run, CtrlCEndsEverything) {
  const auto program = LongRun();
  program->Signal(SIGINT);
  const ProgramResult result = program->Wait();
  EXPECT_EQ(result.exit_code, 130);
  EXPECT_EQ(result.LastError(), "splitft: error: interrupted");
  EXPECT_THAT(result.err, HasSubstr("No adapter was written"));
}

TEST_F(Run, SigtermEndsEverything) {
  const auto program = LongRun();
  program->Signal(SIGTERM);
  EXPECT_EQ(program->Wait().exit_code, 143);
}

TEST_F(Run, ADeafProcessIsKilledAfterFiveSeconds) {
  const auto program = LongRun({"FAKE_BANK=ignore-sigterm"});
  program->Signal(SIGINT);
  EXPECT_FALSE(Eventually([&] { return ProcessesThatMention(folder_).empty(); }, std::chrono::seconds(3)));
  EXPECT_EQ(program->Wait().exit_code, 130);
}

TEST_F(Run, ASecondCtrlCDoesNotWait) {
  const auto program = LongRun({"FAKE_BANK=ignore-sigterm"});
  program->Signal(SIGINT);
  ASSERT_TRUE(Eventually([&] { return program->Out().find("interrupted") != std::string::npos; }));
  program->Signal(SIGINT);
  EXPECT_EQ(program->Wait(std::chrono::seconds(4)).exit_code, 130);
}

TEST_F(Run, NothingOutlivesItsSuddenDeath) {
  const auto program = LongRun({"FAKE_BANK=ignore-sigterm"});
  ASSERT_GE(ProcessesThatMention(folder_).size(), 4u);
  program->Signal(SIGKILL);
  EXPECT_EQ(program->Wait().exit_code, 137);
  EXPECT_TRUE(Eventually([&] { return ProcessesThatMention(folder_).empty(); }));
}

TEST_F(Run, JsonIsOneObjectALine) {
  const ProgramResult result = Result({}, {"--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  nlohmann::json last;
  bool progress = false;
  for (const std::string& line : Words(absl::StrSplit(result.out, '\n', absl::SkipEmpty()))) {
    last = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(last.is_object()) << line;
    progress = progress || (last["event"] == "progress" && last["step"] == 5);
  }
  EXPECT_TRUE(progress);
  EXPECT_EQ(last["event"], "completed");
  EXPECT_EQ(last["steps"], 5);
}

TEST_F(Run, VerboseShowsWhatTheProcessesSay) {
  EXPECT_THAT(Result({}, {"--verbose"}).out, HasSubstr("bank | I am bank\n"));
  EXPECT_THAT(Result().out, Not(HasSubstr("I am bank")));
}

TEST_F(Run, SaysWhichProgramIsMissing) {
  fs::create_directory(folder_ / "bin");
  fs::copy_file(kSplitft, folder_ / "bin/splitft");
  const ProgramResult result = RunProgram({folder_ / "bin/splitft", "run", folder_ / "job.yaml"}, folder_);
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.LastError(),
              MatchesRegex("splitft: error: cannot start \".*/bin/splitft-aggregator\": No such file.*"));
}

// Runs in a terminal of 70 columns; returns what the terminal got.
std::string InTerminal(const Words& words, const Words& environment, int* exit_code) {
  winsize size{.ws_row = 20, .ws_col = 70};
  int terminal = -1;
  const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, &size);
  if (pid == 0) {
    for (const std::string& variable : environment) {
      ::putenv(const_cast<char*>(variable.c_str()));
    }
    std::vector<char*> argv;
    for (const std::string& word : words) {
      argv.push_back(const_cast<char*>(word.c_str()));
    }
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    ::_exit(126);
  }
  const UniqueFd owned(terminal);
  std::string shown;
  char bytes[4096];
  for (ssize_t got = 0; (got = ::read(terminal, bytes, sizeof(bytes))) > 0;) {
    shown.append(bytes, static_cast<size_t>(got));
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return shown;
}

TEST_F(Run, OnATerminalRedrawsInPlaceAndGivesTheCursorBack) {
  int exit_code = -1;
  const std::string shown = InTerminal(Command(), {"FAKE_STEPS=40", "LANG=C.UTF-8", "TERM=xterm-256color"}, &exit_code);
  EXPECT_EQ(exit_code, 0);
  EXPECT_THAT(shown, StartsWith("\x1b[?25l"));
  EXPECT_THAT(shown, HasSubstr("\x1b[8A\r\x1b[J"));  // back over the eight lines
  EXPECT_THAT(shown, HasSubstr("hospital"));
  EXPECT_THAT(shown, HasSubstr("step 40/40"));
  EXPECT_GT(shown.rfind("\x1b[?25h"), shown.rfind("\x1b[?25l"));
  EXPECT_GT(shown.find("Done: 40 steps"), shown.rfind("\x1b[?25h"));
}

TEST_F(Run, HonoursNoColor) {
  int exit_code = -1;
  const std::string shown = InTerminal(Command(), {"NO_COLOR=1", "LANG=C"}, &exit_code);
  EXPECT_EQ(exit_code, 0);
  EXPECT_THAT(shown, Not(HasSubstr("\x1b[3")));
  EXPECT_THAT(shown, Not(HasSubstr("━")));
}

TEST_F(Run, BashCompletesCommandsFlagsAndChoices) {
  const std::string script = absl::StrCat(
      "source <(", kSplitft, " completion bash) && ", kSplitft, " completion bash | bash -n && ",
      "try() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _splitft; echo \"${COMPREPLY[*]}\"; } && ",
      "try splitft va && try splitft run job.yaml --ver && try splitft partition f --by l && try splitft completion z");
  const ProgramResult result = RunProgram({"/bin/bash", "-c", script}, folder_);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "validate\n--verbose\nlength\nzsh\n");
}

}  // namespace
}  // namespace splitft::cli
