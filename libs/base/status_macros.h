#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the enclosing function when `expression` (an absl::Status) is not OK.
#define SPLITFT_RETURN_IF_ERROR(expression)                                 \
  do {                                                                      \
    if (absl::Status splitft_status = (expression); !splitft_status.ok()) { \
      return splitft_status;                                                \
    }                                                                       \
  } while (false)

#define SPLITFT_CONCAT_INNER(a, b) a##b
#define SPLITFT_CONCAT(a, b) SPLITFT_CONCAT_INNER(a, b)

// Binds `declaration` to the value of `expression` (an absl::StatusOr), or returns its error.
#define SPLITFT_ASSIGN_OR_RETURN(declaration, expression) \
  SPLITFT_ASSIGN_OR_RETURN_NAMED(SPLITFT_CONCAT(splitft_result_, __LINE__), declaration, expression)
#define SPLITFT_ASSIGN_OR_RETURN_NAMED(result, declaration, expression) \
  auto result = (expression);                                           \
  if (!result.ok()) {                                                   \
    return std::move(result).status();                                  \
  }                                                                     \
  declaration = *std::move(result)
