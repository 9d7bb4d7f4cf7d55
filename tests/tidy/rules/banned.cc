#include "tests/tidy/rules/banned.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <regex>

#include "absl/strings/str_cat.h"

namespace splitft::tidy {
namespace {

enum class Where { kCode, kText };  // without or with comments and literals

struct Ban {
  std::string_view hint;  // a plain part of every match, for speed
  const char* pattern;
  std::string_view instead;
  std::vector<std::string_view> only_in;     // empty: everywhere
  std::vector<std::string_view> allowed_in;  // and below
  Where where = Where::kCode;
};

const std::vector<Ban>& Bans() {
  static const std::vector<Ban> bans{
      {"clock::now", R"(\b(system|steady|high_resolution)_clock::now\b)", "take a Clock", {}, {"libs/base"}},
      {"gettime", R"(\bclock_gettime\()", "take a Clock", {}, {"libs/base"}},
      {"sleep", R"(\b(sleep_for|sleep_until|usleep|nanosleep|sleep)\()", "take a Clock", {}, {"libs/base"}},
      {"rand", R"((^|[^\w:.>]|std::)s?rand\()", "use RandomStream", {}, {"libs/base"}},
      {"random_device", R"(\brandom_device\b)", "use RandomStream", {}, {"libs/base"}},
      {"mt19937", R"(\bmt19937)", "use RandomStream", {}, {"libs/base"}},
      {"at::",
       R"(\bat::(rand|randn|randint|randperm|bernoulli|multinomial|dropout)\()",
       "use RandomStream: LibTorch's generator is global state",
       {},
       {"tests"}},
      {"exit", R"((^|[^\w.>_])(quick_)?exit\()", "return a Status", {"libs"}, {}},
      {"detach",
       R"([Tt]hread\w*(\[\w*\]|\([^)]*\))?(\.|->)detach\(|pthread_detach)",
       "join it: every thread has an owner",
       {},
       {}},
      {"std::",
       R"(\bstd::(mutex|shared_mutex|recursive_mutex|lock_guard|unique_lock|scoped_lock)\b)",
       "use Mutex of libs/base/mutex.h: its locks are annotated",
       {},
       {"libs/base"}},
      {"absl::Mutex",
       R"(\babsl::Mutex)",
       "use Mutex of libs/base/mutex.h: ThreadSanitizer cannot see this one",
       {},
       {}},
      {"throw", R"(\bthrow\b)", "return a Status", {}, {"tests"}},
      {"omp", R"(#\s*pragma\s+omp)", "use at::parallel_for: a second OpenMP would be linked", {}, {}},
      {"GTEST_SKIP", R"(\bGTEST_SKIP\b)", "a test that may not run may not fail", {}, {"tests/gpu"}},
      {"DISABLED_", R"(\bDISABLED_)", "mend the test or remove it", {}, {}},
      {"TODO", R"(\bTODO\b)", "do it, or open an issue", {}, {"tests/tidy"}, Where::kText},
      {"FIXME", R"(\bFIXME\b)", "do it, or open an issue", {}, {"tests/tidy"}, Where::kText},
  };
  return bans;
}

bool AppliesTo(const Ban& ban, std::string_view path) {
  const auto holds = [&](std::string_view folder) { return IsUnder(path, folder); };
  const bool wanted = ban.only_in.empty() || std::any_of(ban.only_in.begin(), ban.only_in.end(), holds);
  return wanted && std::none_of(ban.allowed_in.begin(), ban.allowed_in.end(), holds);
}

constexpr std::string_view kEmptyWords[] = {"manager", "helper", "util", "utils", "utility", "common", "misc"};

// The words of FooBar_baz, in lower case: foo, bar, baz.
std::vector<std::string> Words(std::string_view name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    const auto letter = static_cast<unsigned char>(c);
    if (std::isupper(letter) != 0 || std::isalnum(letter) == 0) {
      words.emplace_back();
    }
    if (std::isalnum(letter) != 0) {
      words.back().push_back(static_cast<char>(std::tolower(letter)));
    }
  }
  return words;
}

bool SaysNothing(std::string_view name) {
  const std::vector<std::string> words = Words(name);
  return std::any_of(words.begin(), words.end(), [](const std::string& word) {
    return std::find(std::begin(kEmptyWords), std::end(kEmptyWords), word) != std::end(kEmptyWords);
  });
}

}  // namespace

std::vector<Violation> CheckBanned(const SourceFile& file) {
  std::vector<Violation> violations;
  for (const Ban& ban : Bans()) {
    if (!AppliesTo(ban, file.path)) {
      continue;
    }
    const std::regex pattern(ban.pattern);
    const std::vector<std::string>& lines = ban.where == Where::kCode ? file.code : file.lines;
    for (size_t i = 0; i < lines.size(); ++i) {
      std::smatch match;
      if (lines[i].find(ban.hint) != std::string::npos && std::regex_search(lines[i], match, pattern)) {
        violations.push_back(
            {file.path, static_cast<int>(i) + 1, absl::StrCat("\"", match.str(), "\": ", std::string(ban.instead))});
      }
    }
  }
  return violations;
}

std::vector<Violation> CheckNames(const SourceFile& file) {
  std::vector<Violation> violations;
  const std::string stem = std::filesystem::path(file.path).stem().string();
  if (SaysNothing(stem)) {
    violations.push_back({file.path, 0, absl::StrCat("the name \"", stem, "\" does not say what it is")});
  }
  const std::regex declaration(R"(\b(?:class|struct|union|enum(?: class)?|using)\s+(\w+))");
  for (size_t i = 0; i < file.code.size(); ++i) {
    std::smatch match;
    if (std::regex_search(file.code[i], match, declaration) && SaysNothing(match.str(1))) {
      violations.push_back({file.path, static_cast<int>(i) + 1,
                            absl::StrCat("the name \"", match.str(1), "\" does not say what it is")});
    }
  }
  return violations;
}

}  // namespace splitft::tidy
