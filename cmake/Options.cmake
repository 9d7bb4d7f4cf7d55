set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
# Installed programs find their libraries beside them. RPATH, not RUNPATH: it also serves the libraries' own needs.
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib")
add_link_options(-Wl,--disable-new-dtags)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
# A build type of our own: asserts on, quick enough to run, names and lines in reports.
set(CMAKE_C_FLAGS_SANITIZE "-O1 -g1")
set(CMAKE_CXX_FLAGS_SANITIZE "-O1 -g1")

option(SPLITFT_TESTS "Build the tests" ON)
option(SPLITFT_FUZZ "Build the fuzz targets (needs clang)" OFF)
option(SPLITFT_TORCH "Build the parts that use LibTorch: model, train, the programs" ON)
option(SPLITFT_CUDA "Build the CUDA kernels" OFF)
set(SPLITFT_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them: address,undefined or thread")

set(prefix "$ENV{SPLITFT_PREFIX}")
if(NOT prefix)
  set(prefix "$ENV{HOME}/.cache/splitft")
endif()
set(SPLITFT_PREFIX "${prefix}" CACHE PATH "Private prefix filled by scripts/setup.sh")

find_program(CCACHE ccache)
if(CCACHE)
  # The cache lives in the prefix too. base_dir: another checkout finds the same objects.
  foreach(language C CXX CUDA)
    set(CMAKE_${language}_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_DIR=${SPLITFT_PREFIX}/ccache
        CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
  endforeach()
endif()

# What our own targets compile with; outside code is never built with these.
add_library(splitft_flags INTERFACE)
target_include_directories(splitft_flags INTERFACE ${CMAKE_SOURCE_DIR})
set(warnings -Wall -Wextra -Wpedantic -Werror -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  list(APPEND warnings -Wno-maybe-uninitialized)  # GCC 12 sees it in std::string temporaries of initializer lists (PR 105562)
endif()
target_compile_options(splitft_flags INTERFACE
  "$<$<COMPILE_LANGUAGE:C,CXX>:${warnings}>" "$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>")
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(splitft_flags INTERFACE -Wthread-safety)
endif()

# Sanitizers see generated code too: a race in it is a race of ours.
if(SPLITFT_SANITIZE)
  add_compile_options(-fsanitize=${SPLITFT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${SPLITFT_SANITIZE})
  # What tests run with. Debian's libraries are not built for ThreadSanitizer: it watches calls of ours only, and the
  # file names what it reports of gRPC all the same.
  set(SPLITFT_SANITIZE_ENVIRONMENT
    ASAN_OPTIONS=set:detect_stack_use_after_return=1:strict_string_checks=1
    UBSAN_OPTIONS=set:print_stacktrace=1
    TSAN_OPTIONS=set:ignore_noninstrumented_modules=1:halt_on_error=1:suppressions=${CMAKE_SOURCE_DIR}/tests/support/tsan.supp)
endif()
