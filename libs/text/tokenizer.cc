#include "libs/text/tokenizer.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/text/tokenizer_files.h"
#include "libs/text/tokenizer_state.h"

namespace splitft::text {
namespace {

absl::StatusOr<TokenizerHandle> Build(const TokenizerFiles& files) {
  SplitftTokenizer* raw = nullptr;
  if (!files.tokenizer_json.empty()) {
    SPLITFT_RETURN_IF_ERROR(TakeStatus(splitft_tokenizer_from_json(Borrow(files.tokenizer_json), &raw)));
  } else {
    SPLITFT_RETURN_IF_ERROR(TakeStatus(
        splitft_tokenizer_from_gpt2(Borrow(files.vocab), Borrow(files.merges), files.add_prefix_space ? 1 : 0, &raw)));
  }
  TokenizerHandle handle(raw);
  SPLITFT_RETURN_IF_ERROR(TakeStatus(splitft_tokenizer_add_tokens(handle.get(), Borrow(files.added_tokens))));
  return handle;
}

std::string NamedToken(const TokenizerFiles& files, const std::string& name) {
  const auto found = files.special_tokens.find(name);
  return found == files.special_tokens.end() ? "" : found->second;
}

absl::StatusOr<std::optional<int32_t>> NamedId(const TokenizerHandle& handle, const std::string& token) {
  int64_t id = -1;
  SPLITFT_RETURN_IF_ERROR(TakeStatus(splitft_tokenizer_token_id(handle.get(), Borrow(token), &id)));
  return id < 0 ? std::nullopt : std::optional(static_cast<int32_t>(id));
}

absl::StatusOr<int64_t> VocabularySize(const TokenizerHandle& handle) {
  uint64_t size = 0;
  SPLITFT_RETURN_IF_ERROR(TakeStatus(splitft_tokenizer_vocabulary_size(handle.get(), &size)));
  if (size == 0) {
    return absl::InvalidArgumentError("the vocabulary is empty");
  }
  if (size > static_cast<uint64_t>(std::numeric_limits<int32_t>::max())) {
    return absl::InvalidArgumentError(absl::StrCat("token id ", size - 1, " does not fit 31 bits"));
  }
  return static_cast<int64_t>(size);
}

// Compiles the template where there is one.
absl::StatusOr<TemplateHandle> CompileTemplate(const std::string& source) {
  if (source.empty()) {
    return absl::NotFoundError("the model has no chat template");
  }
  SplitftTemplate* raw = nullptr;
  if (const absl::Status status = TakeStatus(splitft_template_compile(Borrow(source), &raw)); !status.ok()) {
    return absl::UnimplementedError(
        absl::StrCat("the chat template does not compile: ", std::string(status.message())));
  }
  return TemplateHandle(raw);
}

}  // namespace

absl::StatusOr<Tokenizer> Tokenizer::Load(const std::filesystem::path& model_directory) {
  SPLITFT_ASSIGN_OR_RETURN(TokenizerFiles files, ReadTokenizerFiles(model_directory));
  auto state = std::make_unique<State>();
  const auto fill = [&]() -> absl::Status {
    SPLITFT_ASSIGN_OR_RETURN(state->handle, Build(files));
    SPLITFT_ASSIGN_OR_RETURN(state->vocabulary_size, VocabularySize(state->handle));
    const std::string begin = NamedToken(files, "bos_token");
    const std::string end = NamedToken(files, "eos_token");
    SPLITFT_ASSIGN_OR_RETURN(state->begin_id, NamedId(state->handle, begin));
    SPLITFT_ASSIGN_OR_RETURN(state->end_id, NamedId(state->handle, end));
    if (files.tokenizer_json.empty() && (files.add_begin || files.add_end)) {
      return TakeStatus(splitft_tokenizer_set_frame(state->handle.get(), Borrow(files.add_begin ? begin : ""),
                                                    Borrow(files.add_end ? end : "")));
    }
    return absl::OkStatus();
  };
  if (const absl::Status status = fill(); !status.ok()) {
    return absl::Status(status.code(), absl::StrCat("the tokenizer in \"", model_directory.string(),
                                                    "\" cannot be loaded: ", std::string(status.message())));
  }
  state->compiled_template = CompileTemplate(files.chat_template);
  state->chat_template = std::move(files.chat_template);
  state->special_tokens = std::move(files.special_tokens);
  return Tokenizer(std::move(state));
}

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::vector<int32_t>> Tokenizer::Encode(std::string_view text, bool add_special_tokens) const {
  SplitftIds ids{};
  SPLITFT_RETURN_IF_ERROR(
      TakeStatus(splitft_tokenizer_encode(state_->handle.get(), Borrow(text), add_special_tokens ? 1 : 0, &ids)));
  std::vector<int32_t> copy(ids.data, ids.data + ids.size);
  splitft_ids_free(ids);
  return copy;
}

absl::StatusOr<std::string> Tokenizer::Decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  for (const int32_t id : ids) {
    if (id < 0) {
      return absl::InvalidArgumentError(absl::StrCat("there is no token with id ", id));
    }
  }
  const std::vector<uint32_t> unsigned_ids(ids.begin(), ids.end());
  SplitftText text{};
  SPLITFT_RETURN_IF_ERROR(TakeStatus(splitft_tokenizer_decode(
      state_->handle.get(), unsigned_ids.data(), unsigned_ids.size(), skip_special_tokens ? 1 : 0, &text)));
  return TakeText(text);
}

int64_t Tokenizer::vocabulary_size() const { return state_->vocabulary_size; }
std::optional<int32_t> Tokenizer::begin_id() const { return state_->begin_id; }
std::optional<int32_t> Tokenizer::end_id() const { return state_->end_id; }
const std::string& Tokenizer::chat_template() const { return state_->chat_template; }

}  // namespace splitft::text
