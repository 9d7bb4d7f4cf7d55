# CUDA for sm_90: the system's toolkit or, without one, the wheels that scripts/setup.sh unpacks (CMake 3.25's
# FindCUDAToolkit does not know them: it wants nvToolsExt, which CUDA 13 dropped).
set(wheels ${SPLITFT_PREFIX}/cuda/nvidia)
if(NOT CMAKE_CUDA_COMPILER)
  find_program(SPLITFT_NVCC nvcc PATHS /usr/local/cuda/bin ${wheels}/cu13/bin)
  if(NOT SPLITFT_NVCC)
    message(FATAL_ERROR "No nvcc in PATH, in /usr/local/cuda or in ${wheels}/cu13. Run scripts/setup.sh cuda.")
  endif()
  set(CMAKE_CUDA_COMPILER ${SPLITFT_NVCC})
endif()
set(CMAKE_CUDA_ARCHITECTURES 90)
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc has C++20
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
get_filename_component(cuda_root ${CMAKE_CUDA_COMPILER} REALPATH)
get_filename_component(cuda_root ${cuda_root}/../.. ABSOLUTE)

# LibTorch's CUDA half. Nothing of ours names a symbol of libtorch_cuda: the linker would drop it, and LibTorch would
# find no GPU.
set(CMAKE_LINK_LIBRARY_USING_whether_needed_or_not_SUPPORTED TRUE)
set(CMAKE_LINK_LIBRARY_USING_whether_needed_or_not "LINKER:--push-state,--no-as-needed" "<LINK_ITEM>" "LINKER:--pop-state")
target_compile_definitions(splitft_torch INTERFACE SPLITFT_CUDA=1)
target_include_directories(splitft_torch SYSTEM INTERFACE ${cuda_root}/include)
target_link_libraries(splitft_torch INTERFACE
  $<LINK_LIBRARY:whether_needed_or_not,${SPLITFT_TORCH_DIR}/lib/libtorch_cuda.so> ${SPLITFT_TORCH_DIR}/lib/libc10_cuda.so
  ${cuda_root}/lib64/libcudart.so)

# What libtorch_cuda needs in turn, where LibTorch and the toolkit are wheels that do not lie side by side.
foreach(folder cu13 cudnn nccl cusparselt nvshmem)
  if(EXISTS ${wheels}/${folder}/lib)
    list(APPEND CMAKE_BUILD_RPATH ${wheels}/${folder}/lib)
  endif()
endforeach()
