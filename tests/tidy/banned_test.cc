#include "tests/tidy/rules/banned.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace splitft::tidy {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Banned(std::string path, std::string_view text) {
  return Format(CheckBanned(ParseSource(std::move(path), text)));
}

std::string Names(std::string path, std::string_view text) {
  return Format(CheckNames(ParseSource(std::move(path), text)));
}

TEST(Banned, TimeOutsideBase) {
  EXPECT_EQ(Banned("worker/a.cc", "auto t = std::chrono::steady_clock::now();\n"),
            "worker/a.cc:1: \"steady_clock::now\": take a Clock\n");
  EXPECT_THAT(Banned("tests/unit/a_test.cc", "std::this_thread::sleep_for(x);"), HasSubstr("take a Clock"));
  EXPECT_THAT(Banned("libs/spec/a.cc", "clock_gettime(0, &t);"), HasSubstr("take a Clock"));
  EXPECT_THAT(Banned("libs/base/clock.cc", "auto t = std::chrono::steady_clock::now();\n"), IsEmpty());
}

TEST(Banned, RandomnessOutsideBase) {
  EXPECT_THAT(Banned("libs/train/a.cc", "int x = rand();"), HasSubstr("use RandomStream"));
  EXPECT_THAT(Banned("libs/train/a.cc", "std::srand(1);"), HasSubstr("use RandomStream"));
  EXPECT_THAT(Banned("tests/sim/a.cc", "std::mt19937_64 g;"), HasSubstr("use RandomStream"));
  EXPECT_THAT(Banned("libs/train/a.cc", "std::random_device d;"), HasSubstr("use RandomStream"));
  EXPECT_THAT(Banned("libs/model/a.cc", "x = at::randn({2});"), HasSubstr("global state"));
  EXPECT_THAT(Banned("tests/golden/a.cc", "x = at::randn({2}); y = operand(1);"), IsEmpty());
}

TEST(Banned, ProcessExitInALibrary) {
  EXPECT_THAT(Banned("libs/spec/a.cc", "std::exit(1);"), HasSubstr("return a Status"));
  EXPECT_THAT(Banned("cli/main.cc", "std::exit(1);"), IsEmpty());
  EXPECT_THAT(Banned("libs/spec/a.cc", "worker.on_exit(1); ::_exit(127);"), IsEmpty());
}

TEST(Banned, DetachedThreadsButNotDetachedTensors) {
  EXPECT_THAT(Banned("worker/a.cc", "reader_thread_.detach();"), HasSubstr("join it"));
  EXPECT_THAT(Banned("worker/a.cc", "std::thread(Run).detach();"), HasSubstr("join it"));
  EXPECT_THAT(Banned("libs/train/a.cc", "loss = loss.detach();"), IsEmpty());
}

TEST(Banned, LocksWithoutAnnotations) {
  EXPECT_THAT(Banned("worker/a.h", "std::mutex m;"), HasSubstr("libs/base/mutex.h"));
  EXPECT_THAT(Banned("worker/a.cc", "const std::scoped_lock lock(m);"), HasSubstr("libs/base/mutex.h"));
  EXPECT_THAT(Banned("tests/sim/a.cc", "absl::MutexLock lock(&m);"), HasSubstr("ThreadSanitizer"));
  EXPECT_THAT(Banned("libs/base/mutex.h", "std::mutex mutex_;"), IsEmpty());
}

TEST(Banned, ThrowInProduction) {
  EXPECT_THAT(Banned("libs/text/a.cc", "throw 1;"), HasSubstr("return a Status"));
  EXPECT_THAT(Banned("libs/text/a.cc", "// does not throw\nconst char* k = \"throw\";"), IsEmpty());
}

TEST(Banned, TestsThatSkip) {
  EXPECT_THAT(Banned("tests/unit/a_test.cc", "GTEST_SKIP() << 1;"), HasSubstr("may not fail"));
  EXPECT_THAT(Banned("tests/unit/a_test.cc", "TEST(A, DISABLED_B) {}"), HasSubstr("mend the test"));
  EXPECT_THAT(Banned("tests/gpu/a_test.cc", "GTEST_SKIP() << 1;"), IsEmpty());
}

TEST(Banned, NotesOfWorkUndone) {
  EXPECT_THAT(Banned("worker/a.cc", "int x = 0;  // TODO: more\n"), HasSubstr("open an issue"));
}

TEST(Banned, OpenMp) {
  EXPECT_THAT(Banned("libs/train/a.cc", "#pragma omp parallel for\n"), HasSubstr("parallel_for"));
}

TEST(Names, MustSaySomething) {
  EXPECT_EQ(Names("libs/a/b.h", "\nclass ClientManager {\n"),
            "libs/a/b.h:2: the name \"ClientManager\" does not say what it is\n");
  EXPECT_THAT(Names("libs/a/b.h", "struct MiscOptions;"), HasSubstr("MiscOptions"));
  EXPECT_THAT(Names("libs/a/string_utils.h", ""), HasSubstr("string_utils"));
  EXPECT_THAT(Names("libs/a/utilization.h", "class Commonality;\nint helper = 0;\n"), IsEmpty());
}

}  // namespace
}  // namespace splitft::tidy
