#pragma once

#include "absl/status/statusor.h"
#include "libs/text/dataset.h"
#include "libs/text/records.h"
#include "libs/text/tokenizer.h"

namespace splitft::text {

// The sample that a record makes, not yet cut to a length. loss_mask is 1 where the loss is wanted:
// - text: everywhere. The tokenizer's special tokens are added, and its end-of-sequence where it has one.
// - prompt and completion: tokenized as one text, likewise. With `mask_prompt`, not on the tokens that the prompt alone
// has
//   at its beginning too; a token that reaches over the border belongs to the completion.
// - messages: the chat template's text, to which nothing is added. With `mask_prompt`, only on what the template writes
//   behind "the assistant speaks now" for each assistant message, end of turn included.
// InvalidArgument: the record is bad (not UTF-8, refused by the template); its content is not in the message.
// FailedPrecondition: the template does not write a conversation as a continuation of its beginning, so turns cannot be
// told apart. NotFound, Unimplemented: the model has no template, or one that does not compile.
absl::StatusOr<Sample> MakeSample(const Record& record, const Tokenizer& tokenizer, bool mask_prompt);

}  // namespace splitft::text
