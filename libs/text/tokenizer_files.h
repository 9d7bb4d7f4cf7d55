#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace splitft::text {

// The largest tokenizer file that is read.
inline constexpr size_t kTokenizerFileLimit = 64 << 20;

// A tokenizer's files, read as Transformers 5 reads them but not yet given to the tokenizer library.
struct TokenizerFiles {
  // Either tokenizer_json, or vocab and merges (GPT-2's two files); the others are empty.
  std::string tokenizer_json;
  std::string vocab;
  std::string merges;
  // "bos_token" -> "<s>": what the configuration names, and what chat templates see.
  std::map<std::string, std::string> special_tokens;
  // Tokens that must be there beside the vocabulary: a JSON list of tokenizer.json's added-token objects, in the order
  // in which missing ones get their ids.
  std::string added_tokens = "[]";
  std::string chat_template;  // Jinja source; empty where there is none
  // Only for vocab and merges: tokenizer.json says these itself.
  bool add_prefix_space = false;
  bool add_begin = false;
  bool add_end = false;
};

// Reads tokenizer.json or else vocab.json and merges.txt, with tokenizer_config.json, special_tokens_map.json and
// chat_template.jinja where they are there. NotFound names the directory and what is missing; a damaged file is
// InvalidArgument, one over kTokenizerFileLimit OutOfRange, each with its path.
absl::StatusOr<TokenizerFiles> ReadTokenizerFiles(const std::filesystem::path& model_directory);

}  // namespace splitft::text
