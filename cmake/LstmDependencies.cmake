# SPDX-License-Identifier: MIT
#
# Finds what the library links: BLAS with cblas.h (OpenBLAS first, then any), LAPACKE, Jansson, zlib and threads.
#
# Used twice: by the build, and, installed beside LSTMConfig.cmake, by programs that link the static library. Gives one
# interface target, LSTM::dependencies, and LSTM_DEPENDENCIES_MISSING, the list of what was not found. Nothing found here
# is written into an installed file, so that an installed tree may be moved and used on a machine with other paths.
set(LSTM_DEPENDENCIES_MISSING "")

find_path(LSTM_CBLAS_INCLUDE_DIR NAMES cblas.h PATH_SUFFIXES openblas)
find_library(LSTM_BLAS_LIBRARY NAMES openblas cblas blas)
find_path(LSTM_LAPACKE_INCLUDE_DIR NAMES lapacke.h PATH_SUFFIXES openblas lapacke)
find_library(LSTM_LAPACKE_LIBRARY NAMES lapacke) # not found: the BLAS library holds LAPACKE itself, as many OpenBLAS do
find_path(LSTM_JANSSON_INCLUDE_DIR NAMES jansson.h)
find_library(LSTM_JANSSON_LIBRARY NAMES jansson)
find_path(LSTM_ZLIB_INCLUDE_DIR NAMES zlib.h)
find_library(LSTM_ZLIB_LIBRARY NAMES z zlib)
find_library(LSTM_MATH_LIBRARY NAMES m)
find_package(Threads QUIET)
mark_as_advanced(LSTM_CBLAS_INCLUDE_DIR LSTM_BLAS_LIBRARY LSTM_LAPACKE_INCLUDE_DIR LSTM_LAPACKE_LIBRARY
                 LSTM_JANSSON_INCLUDE_DIR LSTM_JANSSON_LIBRARY LSTM_ZLIB_INCLUDE_DIR LSTM_ZLIB_LIBRARY
                 LSTM_MATH_LIBRARY)

foreach(need IN ITEMS
        "BLAS with cblas.h (Debian: libopenblas-dev)=LSTM_CBLAS_INCLUDE_DIR,LSTM_BLAS_LIBRARY"
        "LAPACKE (Debian: liblapacke-dev)=LSTM_LAPACKE_INCLUDE_DIR"
        "Jansson (Debian: libjansson-dev)=LSTM_JANSSON_INCLUDE_DIR,LSTM_JANSSON_LIBRARY"
        "zlib (Debian: zlib1g-dev)=LSTM_ZLIB_INCLUDE_DIR,LSTM_ZLIB_LIBRARY")
    string(REGEX MATCH "^(.*)=(.*)$" unused "${need}")
    set(need_name "${CMAKE_MATCH_1}")
    string(REPLACE "," ";" need_variables "${CMAKE_MATCH_2}")
    foreach(need_variable IN LISTS need_variables)
        if(NOT ${need_variable} AND NOT need_name IN_LIST LSTM_DEPENDENCIES_MISSING)
            list(APPEND LSTM_DEPENDENCIES_MISSING "${need_name}")
        endif()
    endforeach()
endforeach()
if(NOT TARGET Threads::Threads)
    list(APPEND LSTM_DEPENDENCIES_MISSING "POSIX threads")
endif()

if(NOT LSTM_DEPENDENCIES_MISSING AND NOT TARGET LSTM::dependencies)
    add_library(LSTM::dependencies INTERFACE IMPORTED)
    set(lstm_dependency_libraries "")
    foreach(need_variable IN ITEMS LSTM_LAPACKE_LIBRARY LSTM_BLAS_LIBRARY LSTM_JANSSON_LIBRARY LSTM_ZLIB_LIBRARY)
        if(${need_variable})
            list(APPEND lstm_dependency_libraries "${${need_variable}}")
        endif()
    endforeach()
    list(APPEND lstm_dependency_libraries Threads::Threads)
    if(LSTM_MATH_LIBRARY)
        list(APPEND lstm_dependency_libraries "${LSTM_MATH_LIBRARY}")
    endif()
    set_target_properties(LSTM::dependencies PROPERTIES INTERFACE_LINK_LIBRARIES "${lstm_dependency_libraries}")
endif()
