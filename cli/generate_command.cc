#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/sampler.h"
#include "cli/text_generator.h"
#include "cli/token_stream.h"
#include "libs/base/random.h"
#include "libs/base/status_macros.h"
#include "libs/text/tokenizer.h"
#include "libs/train/guard.h"

namespace splitft::cli {
namespace {

CommandSpec Spec() {
  return {.name = "generate",
          .summary = "Continue a text with a base model, or with base and adapter",
          .details =
              "Prints the prompt and its continuation as it is made. Temperature 0 always takes the most likely token; "
              "otherwise the same --seed gives the same text.",
          .flags = {{.name = "--model", .value_name = "DIR", .help = "the base model: a Hugging Face folder"},
                    {.name = "--adapter", .value_name = "DIR", .help = "a PEFT adapter for it, such as a job's output"},
                    {.name = "--prompt", .value_name = "TEXT", .help = "what to continue"},
                    {.name = "--max-tokens", .value_name = "N", .help = "most tokens to add (default: 100)"},
                    {.name = "--temperature", .value_name = "T", .help = "0 for the most likely token (default: 0.8)"},
                    {.name = "--top-p",
                     .value_name = "P",
                     .help = "keep the likeliest tokens up to this probability (default: 0.95)"},
                    {.name = "--top-k", .value_name = "K", .help = "keep the K likeliest tokens (default: 0, all)"},
                    {.name = "--seed", .value_name = "S", .help = "of the draws (default: 0)"},
                    {.name = "--chat", .help = "put the prompt as a user's message into the model's chat template"}},
          .examples = {{.command = "splitft generate --model base --prompt \"The\"", .what = "the base alone"},
                       {.command = "splitft generate --model base --adapter out --prompt \"The\" --temperature 0",
                        .what = "with an adapter, the most likely text"}}};
}

struct GenerateOptions {
  SamplingOptions sampling;
  int64_t max_tokens = 100;
  uint64_t seed = 0;
};

absl::StatusOr<GenerateOptions> ReadOptions(const Arguments& arguments) {
  GenerateOptions options;
  SPLITFT_ASSIGN_OR_RETURN(options.max_tokens, arguments.Integer("--max-tokens", 100, 1, 1'000'000));
  SPLITFT_ASSIGN_OR_RETURN(options.sampling.temperature, arguments.Number("--temperature", 0.8, 0, 100));
  SPLITFT_ASSIGN_OR_RETURN(options.sampling.top_p, arguments.Number("--top-p", 0.95, 0, 1));
  SPLITFT_ASSIGN_OR_RETURN(options.sampling.top_k, arguments.Integer("--top-k", 0, 0, 1'000'000));
  SPLITFT_ASSIGN_OR_RETURN(const int64_t seed, arguments.Integer("--seed", 0, 0, INT64_MAX));
  options.seed = static_cast<uint64_t>(seed);
  return options;
}

absl::StatusOr<std::vector<int32_t>> EncodePrompt(const text::Tokenizer& tokenizer, const std::string& prompt,
                                                  bool chat) {
  std::vector<int32_t> tokens;
  if (chat) {
    const text::ChatMessage message{.role = "user", .content = prompt};
    SPLITFT_ASSIGN_OR_RETURN(const std::string rendered, text::RenderChat(tokenizer, {&message, 1}, true));
    SPLITFT_ASSIGN_OR_RETURN(tokens, tokenizer.Encode(rendered, false));
  } else {
    SPLITFT_ASSIGN_OR_RETURN(tokens, tokenizer.Encode(prompt, true));
  }
  if (tokens.empty() && tokenizer.begin_id().has_value()) {
    tokens.push_back(*tokenizer.begin_id());
  }
  if (tokens.empty()) {
    return UsageError("--prompt: an empty text has no continuation with this model");
  }
  return tokens;
}

absl::Status Continue(const TextGenerator& generator, const text::Tokenizer& tokenizer, std::vector<int32_t> tokens,
                      const GenerateOptions& options, const CommandContext& context) {
  TokenStream stream([&tokenizer](std::span<const int32_t> ids) { return tokenizer.Decode(ids, true); });
  const RandomStream draws({.seed = options.seed, .purpose = RandomPurpose::kSampling});
  for (int64_t i = 0; i < options.max_tokens; ++i) {
    SPLITFT_ASSIGN_OR_RETURN(const std::vector<float> logits, generator.NextLogits(tokens));
    const int32_t token = SampleToken(logits, options.sampling, draws.UniformDouble(static_cast<uint64_t>(i)));
    if (tokenizer.end_id() == token) {
      break;
    }
    tokens.push_back(token);
    SPLITFT_ASSIGN_OR_RETURN(const std::string piece, stream.Push(token));
    context.out << piece << std::flush;
  }
  SPLITFT_ASSIGN_OR_RETURN(const std::string rest, stream.Finish());
  context.out << rest << std::endl;
  return absl::OkStatus();
}

absl::Status Generate(const Arguments& arguments, const CommandContext& context) {
  for (const char* needed : {"--model", "--prompt"}) {
    if (!arguments.Has(needed)) {
      return UsageError(absl::StrCat("`splitft generate` needs ", needed, "; see `splitft generate --help`"));
    }
  }
  SPLITFT_ASSIGN_OR_RETURN(const GenerateOptions options, ReadOptions(arguments));
  const std::string model = arguments.Text("--model", "");
  const std::string prompt = arguments.Text("--prompt", "");
  std::optional<std::filesystem::path> adapter;
  if (arguments.Has("--adapter")) {
    adapter = arguments.Text("--adapter", "");
  }
  return train::RunGuarded([&]() -> absl::Status {
    SPLITFT_ASSIGN_OR_RETURN(const text::Tokenizer tokenizer, text::Tokenizer::Load(model));
    SPLITFT_ASSIGN_OR_RETURN(const std::unique_ptr<TextGenerator> generator, TextGenerator::Load(model, adapter, {}));
    SPLITFT_ASSIGN_OR_RETURN(std::vector<int32_t> tokens, EncodePrompt(tokenizer, prompt, arguments.Has("--chat")));
    if (!arguments.Has("--chat")) {
      context.out << prompt << std::flush;
    }
    return Continue(*generator, tokenizer, std::move(tokens), options, context);
  });
}

}  // namespace

Command GenerateCommand() { return {.spec = Spec(), .run = &Generate}; }

}  // namespace splitft::cli
