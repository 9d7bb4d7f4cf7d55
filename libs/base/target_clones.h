#pragma once

// Before a function: compiled once per instruction set, chosen when the program starts. Sanitizers' runtimes start
// after that choice is made, so their builds have only the default.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SPLITFT_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SPLITFT_SANITIZED
#endif

#if defined(__x86_64__) && !defined(SPLITFT_SANITIZED)
#define SPLITFT_TARGET_CLONES __attribute__((target_clones("arch=skylake-avx512", "avx2", "default")))
#else
#define SPLITFT_TARGET_CLONES
#endif
#undef SPLITFT_SANITIZED
