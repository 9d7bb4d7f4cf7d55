#include "tests/tidy/rules/arrows.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace splitft::tidy {
namespace {

struct Arrow {
  std::string_view from;
  std::vector<std::string_view> to;  // beside the folder itself
};

// The most particular folder comes first.
const std::vector<Arrow>& Arrows() {
  static const std::vector<Arrow> arrows{
      {"libs/base", {}},
      {"libs/telemetry", {"libs/base"}},
      {"libs/spec", {"libs/base"}},
      {"libs/kube", {"libs/base"}},
      {"libs/collective", {"libs/base"}},
      {"libs/protocol", {"libs/base", "libs/spec"}},
      {"libs/model", {"libs/base", "libs/spec"}},
      {"libs/text", {"libs/base", "libs/spec"}},
      {"libs/scheduler", {"libs/base", "libs/spec", "api/proto"}},
      {"libs/simulation", {"libs/base", "libs/spec", "libs/protocol", "libs/scheduler"}},
      {"libs/train", {"libs/base", "libs/spec", "libs/text", "libs/protocol", "libs/model", "libs/collective"}},
      {"libs/transport", {"libs/base", "libs/protocol", "api/proto"}},
      {"operator/decide", {"libs/base", "libs/spec", "libs/scheduler", "operator/desired"}},
      {"operator/desired", {"libs/base", "libs/spec"}},
      {"operator", {"libs/base", "libs/spec", "libs/kube", "libs/scheduler", "libs/telemetry", "api/proto"}},
      {"worker",
       {"libs/base", "libs/collective", "libs/model", "libs/protocol", "libs/scheduler", "libs/spec", "libs/telemetry",
        "libs/text", "libs/train", "libs/transport", "api/proto"}},
      {"aggregator",
       {"libs/base", "libs/collective", "libs/model", "libs/protocol", "libs/scheduler", "libs/spec", "libs/telemetry",
        "libs/text", "libs/train", "libs/transport", "api/proto"}},
      {"api/crd", {"libs/base", "libs/spec"}},
      {"api/rest", {"libs/base", "libs/spec", "libs/kube", "libs/telemetry"}},
      {"cli", {"libs", "api"}},
      {"tests", {"libs", "api", "operator", "worker", "aggregator", "cli"}},
  };
  return arrows;
}

struct OutsideHeader {
  std::string_view prefix;
  std::string_view only_folder;  // empty: nobody
  std::string_view or_folder;
  std::string_view reason;
};

constexpr OutsideHeader kOutsideHeaders[] = {
    {"yaml-cpp/", "libs/spec", "libs/kube", "manifests are parsed in one place, kubeconfigs in another"},
    {"prometheus/", "libs/telemetry", "", "metrics have one owner"},
    {"torch/torch.h", "", "", "it costs 17 s a file; include ATen/core/Tensor.h and ATen/ops/<op>.h"},
    {"random", "", "", "draws are counter-based: libs/base/random.h"},
};

// What the line includes, or nothing.
std::optional<std::string_view> IncludedHeader(std::string_view line) {
  const size_t hash = line.find_first_not_of(" \t");
  if (hash == std::string_view::npos || !line.substr(hash).starts_with("#include")) {
    return std::nullopt;
  }
  const size_t open = line.find_first_of("\"<", hash);
  const size_t close = line.find_first_of("\">", open + 1);
  if (open == std::string_view::npos || close == std::string_view::npos) {
    return std::nullopt;
  }
  return line.substr(open + 1, close - open - 1);
}

bool IsOurs(std::string_view header) {
  constexpr std::string_view kRoots[] = {"aggregator", "api", "cli", "libs", "operator", "tests", "worker"};
  return std::any_of(std::begin(kRoots), std::end(kRoots),
                     [&](std::string_view root) { return header.size() > root.size() && IsUnder(header, root); });
}

std::optional<std::string> WhyForbidden(const Arrow& arrow, std::string_view header) {
  const auto allows = [&](std::string_view folder) { return IsUnder(header, folder); };
  if (allows(arrow.from) || std::any_of(arrow.to.begin(), arrow.to.end(), allows)) {
    return std::nullopt;
  }
  const auto append = [](std::string* out, std::string_view folder) { out->append(folder); };
  return absl::StrCat("includes \"", std::string(header), "\", but ", std::string(arrow.from), " may include only ",
                      arrow.to.empty() ? "itself" : absl::StrJoin(arrow.to, ", ", append));
}

std::optional<std::string> WhyForbiddenOutside(std::string_view path, std::string_view header) {
  for (const OutsideHeader& outside : kOutsideHeaders) {
    const bool whole_name = !outside.prefix.ends_with('/');
    if (whole_name ? header != outside.prefix : !header.starts_with(outside.prefix)) {
      continue;
    }
    if (outside.only_folder.empty()) {
      return absl::StrCat("includes <", std::string(header), ">: ", std::string(outside.reason));
    }
    const bool may_too = !outside.or_folder.empty() && IsUnder(path, outside.or_folder);
    if (!IsUnder(path, outside.only_folder) && !may_too) {
      return absl::StrCat("includes <", std::string(header), ">, which only ", std::string(outside.only_folder),
                          outside.or_folder.empty() ? "" : " and ", std::string(outside.or_folder),
                          " may: ", std::string(outside.reason));
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<Violation> CheckIncludes(const SourceFile& file) {
  const auto arrow = std::find_if(Arrows().begin(), Arrows().end(),
                                  [&](const Arrow& candidate) { return IsUnder(file.path, candidate.from); });
  if (arrow == Arrows().end()) {
    return {{file.path, 0, "lies in a folder that tests/tidy/rules/arrows.cc does not know"}};
  }
  std::vector<Violation> violations;
  for (size_t i = 0; i < file.lines.size(); ++i) {
    const std::optional<std::string_view> header = IncludedHeader(file.lines[i]);
    if (!header) {
      continue;
    }
    const auto why = IsOurs(*header) ? WhyForbidden(*arrow, *header) : WhyForbiddenOutside(file.path, *header);
    if (why) {
      violations.push_back({file.path, static_cast<int>(i) + 1, *why});
    }
  }
  return violations;
}

}  // namespace splitft::tidy
