#include "libs/train/guard.h"

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>

#include <exception>
#include <new>
#include <string>

namespace splitft::train {
namespace {

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

absl::Status RunGuarded(const std::function<absl::Status()>& body) {
  const at::NoGradGuard no_grad;
  try {
    return body();
  } catch (const c10::OutOfMemoryError& error) {
    return absl::ResourceExhaustedError(FirstLine(error.what_without_backtrace()));
  } catch (const c10::Error& error) {
    const std::string what = FirstLine(error.what_without_backtrace());
    // The CPU allocator throws a plain Error.
    if (what.find("not enough memory") != std::string::npos ||
        what.find("can't allocate memory") != std::string::npos) {
      return absl::ResourceExhaustedError(what);
    }
    return absl::InternalError(what);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

}  // namespace splitft::train
