#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "libs/protocol/frame.h"

namespace splitft::protocol {

// The index of the first number in `bytes` that is NaN or infinite. kFp32 and kBf16; other formats have none. `bytes`
// need not be aligned; what follows the last whole number is not looked at. As fast as memory is read.
std::optional<size_t> FirstNonFinite(WireFormat format, std::span<const std::byte> bytes);

}  // namespace splitft::protocol
