# SPDX-License-Identifier: MIT
#
# Toolchain file: aarch64 by Debian's cross compiler (gcc-aarch64-linux-gnu), tests under qemu-user.
#
#   sh cmake/aarch64_root.sh build/aarch64-root
#   cmake --preset aarch64 && cmake --build build/aarch64 && ctest --preset aarch64
#
# LSTM_AARCH64_ROOT is the folder that cmake/aarch64_root.sh made.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)

set(LSTM_AARCH64_ROOT "${CMAKE_CURRENT_LIST_DIR}/../build/aarch64-root" CACHE PATH "Libraries for aarch64")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES LSTM_AARCH64_ROOT)
get_filename_component(CMAKE_SYSROOT "${LSTM_AARCH64_ROOT}" ABSOLUTE)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH "${CMAKE_SYSROOT}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L "${CMAKE_SYSROOT}")
