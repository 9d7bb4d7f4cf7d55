# LibTorch out of the PyPI wheel. Its own CMake package wants a CUDA toolkit, so the targets are written here.
find_path(SPLITFT_TORCH_DIR lib/libtorch_cpu.so
  HINTS ${CMAKE_PREFIX_PATH} ENV CMAKE_PREFIX_PATH ${SPLITFT_PREFIX}/torch-2.11.0
  PATH_SUFFIXES torch . NO_DEFAULT_PATH)
if(NOT SPLITFT_TORCH_DIR)
  message(FATAL_ERROR "No LibTorch in ${SPLITFT_PREFIX}/torch-2.11.0 nor in CMAKE_PREFIX_PATH. "
                      "Run scripts/setup.sh, or pass the folder that has lib/libtorch_cpu.so in CMAKE_PREFIX_PATH.")
endif()
set(version_header ${SPLITFT_TORCH_DIR}/include/torch/headeronly/version.h)
if(EXISTS ${version_header})
  file(STRINGS ${version_header} version REGEX "define TORCH_VERSION_M(AJOR|INOR) ")
endif()
if(NOT version MATCHES "MAJOR 2;.*MINOR 11$")
  message(FATAL_ERROR "LibTorch in ${SPLITFT_TORCH_DIR} is not version 2.11, which splitft is written against.")
endif()

add_library(splitft_torch INTERFACE)
# -idirafter: the wheel also carries an old google/protobuf, which must not shadow Debian's.
foreach(folder ${SPLITFT_TORCH_DIR}/include ${SPLITFT_TORCH_DIR}/include/torch/csrc/api/include)
  target_compile_options(splitft_torch INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-idirafter ${folder}>" "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-idirafter,${folder}>")
endforeach()
target_link_libraries(splitft_torch INTERFACE ${SPLITFT_TORCH_DIR}/lib/libtorch_cpu.so ${SPLITFT_TORCH_DIR}/lib/libc10.so)
target_link_options(splitft_torch INTERFACE -Wl,--allow-shlib-undefined)

# at::parallel_for is a template: without -fopenmp, what we compile of it is a plain loop. Its threads are those of the
# libgomp that LibTorch brings along, which is linked by its path: a second one in the process would have its own.
file(GLOB gomp ${SPLITFT_TORCH_DIR}/lib/libgomp*.so*)
if(gomp)
  set(SPLITFT_OPENMP_OPTION -fopenmp)
  target_link_libraries(splitft_torch INTERFACE ${gomp})
else()
  message(WARNING "LibTorch in ${SPLITFT_TORCH_DIR} has no libgomp beside it: splitft's CPU kernels will use one thread.")
endif()
