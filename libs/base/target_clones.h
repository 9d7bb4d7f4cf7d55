#pragma once

// Before a function: compiled once per instruction set, chosen when the program starts. By level, not by "arch=" of a
// processor, which only that maker's would match. Sanitizers' runtimes start after that choice is made, so their builds
// have only the default.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SPLITFT_SANITIZED
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(SPLITFT_SANITIZED)
#define SPLITFT_TARGET_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SPLITFT_TARGET_CLONES
#endif
#undef SPLITFT_SANITIZED
