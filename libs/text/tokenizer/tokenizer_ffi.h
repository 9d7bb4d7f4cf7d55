#pragma once

// The border to the Rust crate in this folder: Hugging Face `tokenizers` and `minijinja`. Private to libs/text.
//
// Every function that can fail returns its error as a NUL-terminated UTF-8 string, to be freed with
// splitft_error_free, or null on success; outputs are written only on success. No panic crosses the border. Inputs are
// borrowed for the call. Handles are immutable once loaded, and then may be used from several threads.

#include <stddef.h>  // NOLINT(modernize-deprecated-headers): a C header
#include <stdint.h>  // NOLINT(modernize-deprecated-headers)

#ifdef __cplusplus
extern "C" {
#endif

typedef struct SplitftTokenizer SplitftTokenizer;
typedef struct SplitftTemplate SplitftTemplate;

// Borrowed bytes. data may be null where size is 0.
typedef struct {
  const char* data;
  size_t size;
} SplitftBytes;

// Owned by the caller: free with splitft_text_free, splitft_ids_free.
typedef struct {
  char* data;
  size_t size;
} SplitftText;
typedef struct {
  uint32_t* data;
  size_t size;
} SplitftIds;

void splitft_error_free(char* error);
void splitft_text_free(SplitftText text);
void splitft_ids_free(SplitftIds ids);

// tokenizer.json. Its truncation and padding are switched off: what is encoded is the whole text.
char* splitft_tokenizer_from_json(SplitftBytes json, SplitftTokenizer** out);
// GPT-2's byte-level BPE from vocab.json and merges.txt.
char* splitft_tokenizer_from_gpt2(SplitftBytes vocab, SplitftBytes merges, int add_prefix_space,
                                  SplitftTokenizer** out);
void splitft_tokenizer_free(SplitftTokenizer* tokenizer);

// Before first use. `added_tokens`: a JSON list of tokenizer.json's added-token objects; those present already stay.
char* splitft_tokenizer_add_tokens(SplitftTokenizer* tokenizer, SplitftBytes added_tokens);
// Before first use. Replaces the post-processor: `begin` before, `end` after a text; an empty one adds nothing.
char* splitft_tokenizer_set_frame(SplitftTokenizer* tokenizer, SplitftBytes begin, SplitftBytes end);
// Whether tokenizer.json has a post-processor.
int splitft_tokenizer_has_post_processor(const SplitftTokenizer* tokenizer);

// *id: the token's id, or -1 where there is no such token.
char* splitft_tokenizer_token_id(const SplitftTokenizer* tokenizer, SplitftBytes token, int64_t* id);
// *size: one more than the largest id.
char* splitft_tokenizer_vocabulary_size(const SplitftTokenizer* tokenizer, uint64_t* size);
char* splitft_tokenizer_encode(const SplitftTokenizer* tokenizer, SplitftBytes text, int add_special_tokens,
                               SplitftIds* out);
// An id that the vocabulary does not have is an error.
char* splitft_tokenizer_decode(const SplitftTokenizer* tokenizer, const uint32_t* ids, size_t count,
                               int skip_special_tokens, SplitftText* out);

// A Jinja template set up as Transformers sets it up for chats.
char* splitft_template_compile(SplitftBytes source, SplitftTemplate** out);
void splitft_template_free(SplitftTemplate* compiled);
// `context`: a JSON object of the template's variables. `now`: what strftime_now formats, seconds since the epoch, UTC.
// *raised: 1 where the error is the template's own raise_exception, whose message is then the error, else 0.
char* splitft_template_render(const SplitftTemplate* compiled, SplitftBytes context, int64_t now, int* raised,
                              SplitftText* out);

#ifdef __cplusplus
}
#endif
