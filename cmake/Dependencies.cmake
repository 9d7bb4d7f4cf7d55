# Protobuf before gRPC, and both before Torch: see docs/architecture.md, "Building".
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(yaml-cpp CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
if(SPLITFT_TESTS)
  find_package(GTest CONFIG REQUIRED)
endif()

# LibTorch out of the PyPI wheel. Its own CMake package wants a CUDA toolkit, so the targets are written here.
find_path(SPLITFT_TORCH_DIR lib/libtorch_cpu.so
  HINTS ${CMAKE_PREFIX_PATH} ${SPLITFT_PREFIX}/torch-2.11.0
  PATH_SUFFIXES torch . NO_DEFAULT_PATH REQUIRED)
add_library(splitft_torch INTERFACE)
# -idirafter: the wheel also carries an old google/protobuf, which must not shadow Debian's.
target_compile_options(splitft_torch INTERFACE
  "SHELL:-idirafter ${SPLITFT_TORCH_DIR}/include"
  "SHELL:-idirafter ${SPLITFT_TORCH_DIR}/include/torch/csrc/api/include")
target_link_libraries(splitft_torch INTERFACE ${SPLITFT_TORCH_DIR}/lib/libtorch_cpu.so ${SPLITFT_TORCH_DIR}/lib/libc10.so)
target_link_options(splitft_torch INTERFACE -Wl,--allow-shlib-undefined -Wl,-rpath,${SPLITFT_TORCH_DIR}/lib)
