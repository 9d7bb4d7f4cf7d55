#include "libs/spec/text_forms.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "libs/spec/scalars.h"

namespace splitft::spec {
namespace {

bool IsLowerAlnum(char c) {
  return absl::ascii_islower(static_cast<unsigned char>(c)) || absl::ascii_isdigit(static_cast<unsigned char>(c));
}

bool IsAlnum(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }

bool IsPlainText(std::string_view text, size_t longest) {
  return !text.empty() && text.size() <= longest && std::none_of(text.begin(), text.end(), IsControl);
}

// 1 to `longest` ASCII letters and digits, and characters of `others`.
bool IsIdentifier(std::string_view text, size_t longest, std::string_view others) {
  return !text.empty() && text.size() <= longest && std::all_of(text.begin(), text.end(), [others](char c) {
    return IsAlnum(c) || others.find(c) != std::string_view::npos;
  });
}

bool IsLabel(std::string_view text) {
  return !text.empty() && text.size() <= 63 && IsLowerAlnum(text.front()) && IsLowerAlnum(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return IsLowerAlnum(c) || c == '-'; });
}

bool IsDevice(std::string_view text) {
  constexpr std::string_view kCuda = "cuda:";
  if (!text.starts_with(kCuda)) {
    return text == "auto" || text == "cpu";
  }
  const std::string_view index = text.substr(kCuda.size());
  return !index.empty() && index.size() <= 2 && (index == "0" || index[0] != '0') &&
         std::all_of(index.begin(), index.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
}

bool IsModule(std::string_view text) { return IsIdentifier(text, 256, "_-."); }

bool IsColumn(std::string_view text) { return IsPlainText(text, 256); }

bool IsKey(std::string_view text) { return IsPlainText(text, 317); }

bool IsPath(std::string_view text) { return IsPlainText(text, kLongestPath) && text[0] != '~'; }

bool IsAbsolutePath(std::string_view text) { return IsPlainText(text, kLongestVolumePath) && text[0] == '/'; }

bool IsHubName(std::string_view text) {
  const size_t at = text.find('@');
  if (at != std::string_view::npos && !IsIdentifier(text.substr(at + 1), 256, "_-./")) {
    return false;
  }
  const std::string_view repository = text.substr(0, at);
  const size_t slash = repository.find('/');
  const auto is_part = [](std::string_view part) { return IsIdentifier(part, 96, "_-.") && IsAlnum(part[0]); };
  return slash == std::string_view::npos
             ? is_part(repository)
             : is_part(repository.substr(0, slash)) && is_part(repository.substr(slash + 1));
}

// What Kubernetes calls a DNS subdomain, but for the rules on each of its labels.
bool IsSubdomain(std::string_view text) {
  return !text.empty() && text.size() <= 253 && IsLowerAlnum(text.front()) && IsLowerAlnum(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return IsLowerAlnum(c) || c == '-' || c == '.'; });
}

// A relative path that leads nowhere but down: no part is empty or begins with a dot.
bool IsSubPath(std::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(std::string(text), '/');
  return IsPlainText(text, kLongestVolumePath) && std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
           return !part.empty() && part[0] != '.';
         });
}

bool IsClaim(std::string_view text) {
  const size_t slash = text.find('/');
  return text.size() <= kLongestVolumePath && IsSubdomain(text.substr(0, slash)) &&
         (slash == std::string_view::npos || IsSubPath(text.substr(slash + 1)));
}

bool IsConfigMap(std::string_view text) {
  const size_t slash = text.find('/');
  return slash != std::string_view::npos && IsSubdomain(text.substr(0, slash)) &&
         IsIdentifier(text.substr(slash + 1), 253, "_-.");
}

bool IsManagedBy(std::string_view text) {
  const size_t slash = text.find('/');
  return text.size() <= 63 && slash != std::string_view::npos && IsSubdomain(text.substr(0, slash)) &&
         IsIdentifier(text.substr(slash + 1), 63, "_-./");
}

bool IsCodec(std::string_view text) { return text == "fp32" || text == "bf16" || text == "int8"; }

}  // namespace

constinit const TextForm kLabelForm = {
    .expected = "a name of lower-case letters, digits and inner '-', at most 63 long",
    .pattern = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
    .longest_bytes = 63,
    .accepts = IsLabel,
};
constinit const TextForm kDeviceForm = {
    .expected = "auto, cpu or cuda:N",
    .pattern = "auto|cpu|cuda:(0|[1-9][0-9]?)",
    .longest_bytes = 7,
    .accepts = IsDevice,
};
constinit const TextForm kCodecForm = {
    .expected = "fp32, bf16 or int8",
    .pattern = "fp32|bf16|int8",
    .longest_bytes = 4,
    .accepts = IsCodec,
};
constinit const TextForm kModuleForm = {
    .expected = "a module's name (letters, digits, '_', '-' and '.', at most 256)",
    .pattern = "[A-Za-z0-9_.-]{1,256}",
    .longest_bytes = 256,
    .accepts = IsModule,
};
constinit const TextForm kColumnForm = {
    .expected = "a name of 1 to 256 bytes without control characters",
    .pattern = "[^\\x00-\\x1f\\x7f]{1,256}",
    .longest_bytes = 256,
    .accepts = IsColumn,
};
constinit const TextForm kKeyForm = {
    .expected = "1 to 317 bytes without control characters",
    .pattern = "[^\\x00-\\x1f\\x7f]{1,317}",
    .longest_bytes = 317,
    .accepts = IsKey,
};
constinit const TextForm kPathForm = {
    .expected = "a path (at most 4096 bytes, no control characters; '~' is not expanded)",
    .pattern = "[^~\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*",
    .longest_bytes = kLongestPath,
    .accepts = IsPath,
};
constinit const TextForm kAbsolutePathForm = {
    .expected = "an absolute path (at most 1024 bytes, no control characters)",
    .pattern = "/[^\\x00-\\x1f\\x7f]*",
    .longest_bytes = kLongestVolumePath,
    .accepts = IsAbsolutePath,
};
constinit const TextForm kHubForm = {
    .expected = "a model on the hub, as in org/name or org/name@revision",
    .pattern = "([A-Za-z0-9][A-Za-z0-9_.-]{0,95}/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,95}(@[A-Za-z0-9_./-]{1,256})?",
    .longest_bytes = 450,
    .accepts = IsHubName,
};
constinit const TextForm kClaimForm = {
    .expected = "a claim's name, or claim/path for a path in it whose parts do not begin with '.'",
    .pattern = "[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?(/[^./\\x00-\\x1f\\x7f][^/\\x00-\\x1f\\x7f]*)*",
    .longest_bytes = kLongestVolumePath,
    .accepts = IsClaim,
};
constinit const TextForm kConfigMapForm = {
    .expected = "a ConfigMap's name, a slash and one of its keys",
    .pattern = "[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?/[A-Za-z0-9_.-]{1,253}",
    .longest_bytes = 507,
    .accepts = IsConfigMap,
};
constinit const TextForm kManagedByForm = {
    .expected = "a domain, a slash and a name, at most 63 long",
    .pattern = "[a-z0-9]([-.a-z0-9]*[a-z0-9])?/[A-Za-z0-9_./-]+",
    .longest_bytes = 63,
    .accepts = IsManagedBy,
};

}  // namespace splitft::spec
