#pragma once

// Clang's thread-safety annotations (-Wthread-safety); they compile to nothing elsewhere.
// https://clang.llvm.org/docs/ThreadSafetyAnalysis.html
#if defined(__clang__)
#define SPLITFT_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define SPLITFT_THREAD_ATTRIBUTE(x)
#endif

// Types.
#define SPLITFT_CAPABILITY(name) SPLITFT_THREAD_ATTRIBUTE(capability(name))
#define SPLITFT_SCOPED_CAPABILITY SPLITFT_THREAD_ATTRIBUTE(scoped_lockable)
// Members: read and written only while the named lock is held.
#define SPLITFT_GUARDED_BY(lock) SPLITFT_THREAD_ATTRIBUTE(guarded_by(lock))
// Functions: the caller holds (REQUIRES) or does not hold (EXCLUDES) the named locks.
#define SPLITFT_REQUIRES(...) SPLITFT_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define SPLITFT_EXCLUDES(...) SPLITFT_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define SPLITFT_ASSERTS(...) SPLITFT_THREAD_ATTRIBUTE(assert_capability(__VA_ARGS__))
#define SPLITFT_ACQUIRE(...) SPLITFT_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define SPLITFT_RELEASE(...) SPLITFT_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
