#include "libs/text/tokenizer_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status_macros.h"
#include "libs/text/json.h"

namespace splitft::text {
namespace {

using Json = nlohmann::ordered_json;

// The order in which Transformers adds special tokens that the vocabulary does not have.
constexpr std::array<const char*, 7> kNamedTokens = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                     "pad_token", "cls_token", "mask_token"};
constexpr char kGpt2EndOfText[] = "<|endoftext|>";

absl::Status About(const std::filesystem::path& path, const std::string& problem) {
  return absl::InvalidArgumentError(absl::StrCat("\"", path.string(), "\": ", problem));
}

bool Exists(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// The object in a JSON file; an empty one where there is no such file.
absl::StatusOr<Json> ReadObject(const std::filesystem::path& path) {
  if (!Exists(path)) {
    return Json::object();
  }
  SPLITFT_ASSIGN_OR_RETURN(const std::string contents, ReadFile(path, kTokenizerFileLimit));
  absl::StatusOr<Json> json = ParseJson(contents);
  if (!json.ok()) {
    return About(path, std::string(json.status().message()));
  }
  if (!json->is_object()) {
    return About(path, "the top level is not an object");
  }
  return json;
}

// The text of a token that is written as a string or as an object with "content".
std::optional<std::string> TokenContent(const Json& value) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (value.is_object() && value.contains("content") && value["content"].is_string()) {
    return value["content"].get<std::string>();
  }
  return std::nullopt;
}

bool Flag(const Json& object, const char* name, bool otherwise) {
  const auto found = object.find(name);
  return found != object.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

// tokenizer.json's form of an added token.
Json AddedToken(const Json& value, const std::string& content, bool named) {
  const Json object = value.is_object() ? value : Json::object();
  const bool special = named || Flag(object, "special", !value.is_object());
  return {{"content", content},
          {"single_word", Flag(object, "single_word", false)},
          {"lstrip", Flag(object, "lstrip", false)},
          {"rstrip", Flag(object, "rstrip", false)},
          {"normalized", Flag(object, "normalized", !special)},
          {"special", special}};
}

// Collects added tokens once each, in order.
class AddedTokens {
 public:
  void Add(const Json& value, bool named) {
    const std::optional<std::string> content = TokenContent(value);
    if (content && !content->empty() && std::find(seen_.begin(), seen_.end(), *content) == seen_.end()) {
      seen_.push_back(*content);
      tokens_.push_back(AddedToken(value, *content, named));
    }
  }
  std::string Dump() const { return tokens_.dump(); }

 private:
  std::vector<std::string> seen_;
  Json tokens_ = Json::array();
};

absl::StatusOr<std::vector<Json>> AddedTokensDecoder(const Json& config, const std::filesystem::path& path) {
  std::vector<std::pair<int64_t, Json>> by_id;
  const Json decoder = config.contains("added_tokens_decoder") ? config["added_tokens_decoder"] : Json::object();
  if (!decoder.is_object()) {
    return About(path, "added_tokens_decoder is not an object");
  }
  for (const auto& [key, value] : decoder.items()) {
    int64_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || !TokenContent(value)) {
      return About(path, absl::StrCat("added_tokens_decoder.", key, " is not a token id with a token"));
    }
    by_id.emplace_back(id, value);
  }
  std::stable_sort(by_id.begin(), by_id.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Json> tokens;
  for (auto& [id, token] : by_id) {
    tokens.push_back(std::move(token));
  }
  return tokens;
}

// Special tokens: those the configuration names, and the JSON list of tokens to add.
absl::Status ReadSpecialTokens(const Json& config, const std::filesystem::path& config_path, TokenizerFiles& files) {
  SPLITFT_ASSIGN_OR_RETURN(const std::vector<Json> decoder, AddedTokensDecoder(config, config_path));
  AddedTokens added;
  for (const Json& token : decoder) {
    added.Add(token, /*named=*/false);
  }
  for (const char* name : kNamedTokens) {
    if (const auto found = config.find(name); found != config.end()) {
      added.Add(*found, /*named=*/true);
    }
  }
  for (const char* list : {"additional_special_tokens", "extra_special_tokens"}) {
    if (const auto found = config.find(list); found != config.end() && (found->is_array() || found->is_object())) {
      for (const Json& token : *found) {
        added.Add(token, /*named=*/true);
      }
    }
  }
  files.added_tokens = added.Dump();
  for (const auto& [name, value] : config.items()) {
    if (const std::optional<std::string> content = TokenContent(value); absl::EndsWith(name, "_token") && content) {
      files.special_tokens[name] = *content;
    }
  }
  return absl::OkStatus();
}

// `chat_template` is a string, or a list of {name, template} with one called "default".
absl::StatusOr<std::string> ChatTemplate(const Json& config, const std::filesystem::path& path) {
  const auto found = config.find("chat_template");
  if (found == config.end() || found->is_null()) {
    return std::string();
  }
  if (found->is_string()) {
    return found->get<std::string>();
  }
  if (found->is_array()) {
    for (const Json& entry : *found) {
      const bool is_default = entry.is_object() && entry.contains("name") && entry["name"] == "default";
      if (is_default && entry.contains("template") && entry["template"].is_string()) {
        return entry["template"].get<std::string>();
      }
    }
    return About(path, "chat_template is a list without a template named \"default\"");
  }
  return About(path, "chat_template is neither a string nor a list");
}

absl::Status ReadGpt2(const std::filesystem::path& directory, const Json& config, TokenizerFiles& files) {
  const std::string tokenizer_class = config.contains("tokenizer_class") && config["tokenizer_class"].is_string()
                                          ? config["tokenizer_class"].get<std::string>()
                                          : "GPT2Tokenizer";
  if (tokenizer_class != "GPT2Tokenizer" && tokenizer_class != "GPT2TokenizerFast") {
    return absl::UnimplementedError(
        absl::StrCat("\"", directory.string(), "\" has no tokenizer.json, and its tokenizer_class is ", tokenizer_class,
                     "; only GPT2Tokenizer is built from vocab.json and merges.txt"));
  }
  SPLITFT_ASSIGN_OR_RETURN(files.vocab, ReadFile(directory / "vocab.json", kTokenizerFileLimit));
  SPLITFT_ASSIGN_OR_RETURN(files.merges, ReadFile(directory / "merges.txt", kTokenizerFileLimit));
  files.add_prefix_space = Flag(config, "add_prefix_space", false);
  files.add_begin = Flag(config, "add_bos_token", false);
  files.add_end = Flag(config, "add_eos_token", false);
  return absl::OkStatus();
}

// GPT-2's files alone do not name its one special token; its class does.
Json WithGpt2Defaults(Json config, const std::string& vocab) {
  if (absl::StrContains(vocab, absl::StrCat("\"", kGpt2EndOfText, "\""))) {
    for (const char* name : {"bos_token", "eos_token", "unk_token"}) {
      if (!config.contains(name)) {
        config[name] = kGpt2EndOfText;
      }
    }
  }
  return config;
}

}  // namespace

absl::StatusOr<TokenizerFiles> ReadTokenizerFiles(const std::filesystem::path& model_directory) {
  const std::filesystem::path config_path = model_directory / "tokenizer_config.json";
  SPLITFT_ASSIGN_OR_RETURN(Json config, ReadObject(config_path));
  if (!config.contains("added_tokens_decoder")) {  // older files: Transformers then reads the map, which wins
    SPLITFT_ASSIGN_OR_RETURN(const Json map, ReadObject(model_directory / "special_tokens_map.json"));
    config.update(map);
  }

  TokenizerFiles files;
  if (Exists(model_directory / "tokenizer.json")) {
    SPLITFT_ASSIGN_OR_RETURN(files.tokenizer_json, ReadFile(model_directory / "tokenizer.json", kTokenizerFileLimit));
  } else if (Exists(model_directory / "vocab.json") && Exists(model_directory / "merges.txt")) {
    SPLITFT_RETURN_IF_ERROR(ReadGpt2(model_directory, config, files));
    config = WithGpt2Defaults(std::move(config), files.vocab);
  } else {
    return absl::NotFoundError(absl::StrCat(
        "\"", model_directory.string(), "\" has no tokenizer: neither tokenizer.json, nor vocab.json and merges.txt"));
  }
  SPLITFT_RETURN_IF_ERROR(ReadSpecialTokens(config, config_path, files));

  if (const std::filesystem::path path = model_directory / "chat_template.jinja"; Exists(path)) {
    SPLITFT_ASSIGN_OR_RETURN(files.chat_template, ReadFile(path, kTokenizerFileLimit));
  } else {
    SPLITFT_ASSIGN_OR_RETURN(files.chat_template, ChatTemplate(config, config_path));
  }
  return files;
}

}  // namespace splitft::text
