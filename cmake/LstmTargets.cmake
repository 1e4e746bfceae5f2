# SPDX-License-Identifier: MIT
#
# How the folders of src/ become targets.
#
#   lstm_layer(<layer> [OPTIMIZE <option>] SOURCES a.c b.c)
#       The OBJECT library lstm_<layer> of the folder src/<layer>. Its include path is include/, its own folder and those
#       of the lower layers, so an include of something higher does not compile. <option> (-O2 where there is none) takes
#       the place of CMake's -O3 in release builds: docs/design/library-size.md.
#   lstm_layer_double(<layer> SOURCES a.c b.c)
#       The same with LSTM__DOUBLE, as lstm_<layer>_double: built only when a gradient check links it.
#   lstm_library()
#       The library: `lstm`, and `lstm_static` where `lstm` is shared.
#   lstm_program(SOURCES main.c ...)
#       The program `lstm`, target lstm_program. Its include path is include/ and its own folder. Its manual page and the
#       completion for bash are what `lstm help --man` and `lstm help --completion` print.
if(LSTM_DEPENDENCIES_MISSING)
    list(JOIN LSTM_DEPENDENCIES_MISSING "\n    " missing_lines)
    message(FATAL_ERROR "liblstm needs, and did not find:\n    ${missing_lines}\n"
                        "Install them, or add their prefix to CMAKE_PREFIX_PATH.")
endif()

# From the lowest to the highest.
set(LSTM_LAYERS base kernels nn io api)

include(CheckCSourceCompiles)
set(CMAKE_REQUIRED_LIBRARIES LSTM::dependencies)
set(CMAKE_REQUIRED_INCLUDES "${LSTM_CBLAS_INCLUDE_DIR}" "${LSTM_LAPACKE_INCLUDE_DIR}")
check_c_source_compiles("#include <cblas.h>
    int main(void) { float x = 1; return (int)cblas_sdot(1, &x, 1, &x, 1); }" LSTM_CBLAS_LINKS)
check_c_source_compiles("#include <lapacke.h>
    int main(void) { double a = 1; return (int)LAPACKE_dgeqrf(LAPACK_ROW_MAJOR, 1, 1, &a, 1, &a); }" LSTM_LAPACKE_LINKS)
unset(CMAKE_REQUIRED_LIBRARIES)
unset(CMAKE_REQUIRED_INCLUDES)
if(NOT LSTM_CBLAS_LINKS)
    message(FATAL_ERROR "${LSTM_BLAS_LIBRARY}: a program that calls cblas_sdot does not link with it")
endif()
if(NOT LSTM_LAPACKE_LINKS)
    message(FATAL_ERROR "No LAPACKE: neither a library `lapacke` nor ${LSTM_BLAS_LIBRARY} has LAPACKE_dgeqrf "
                        "(Debian: liblapacke-dev)")
endif()

# gcc 12.2 for aarch64 breaks off ("internal compiler error: in vect_transform_reduction") where it makes vectors of the
# largest of floats in double. The kernels' vectors are written by hand, so nothing is lost by leaving that out.
set(CMAKE_REQUIRED_FLAGS "-O3")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
check_c_source_compiles("
    double largest(const float *x, int n)
    {
        double m = 0;
        for (int k = 0; k < n; k++)
            m = __builtin_fmax(m, __builtin_fabs((double)x[k]));
        return m;
    }" LSTM_VECTOR_LOOPS)
unset(CMAKE_REQUIRED_FLAGS)
unset(CMAKE_TRY_COMPILE_TARGET_TYPE)

if(NOT LSTM_SANITIZE STREQUAL "" AND NOT LSTM_SANITIZE STREQUAL "address-undefined" AND NOT LSTM_SANITIZE STREQUAL "thread")
    message(FATAL_ERROR "LSTM_SANITIZE is \"${LSTM_SANITIZE}\"; expected nothing, address-undefined or thread")
endif()

# The language, the warnings and the sanitizers of every target of this project; installed targets do not carry them.
function(lstm_compile_settings target)
    set_target_properties(${target} PROPERTIES
        C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
        C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
    target_compile_options(${target} PRIVATE
        -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes
        -Wvla -Wundef -ffp-contract=off)
    if(LSTM_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
    if(NOT LSTM_VECTOR_LOOPS)
        target_compile_options(${target} PRIVATE -fno-tree-loop-vectorize)
    endif()
    if(LSTM_SANITIZE STREQUAL "address-undefined")
        set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    elseif(LSTM_SANITIZE STREQUAL "thread")
        set(sanitize -fsanitize=thread -fno-omit-frame-pointer)
    endif()
    target_compile_options(${target} PRIVATE ${sanitize})
    target_link_options(${target} PRIVATE ${sanitize})
endfunction()

# The folders that sources of `layer` may include from.
function(lstm_layer_folders layer result)
    set(folders "${PROJECT_SOURCE_DIR}/include")
    foreach(lower IN LISTS LSTM_LAYERS)
        list(APPEND folders "${PROJECT_SOURCE_DIR}/src/${lower}")
        if(lower STREQUAL layer)
            set(${result} "${folders}" PARENT_SCOPE)
            return()
        endif()
    endforeach()
    message(FATAL_ERROR "\"${layer}\" is no layer; there are: ${LSTM_LAYERS}")
endfunction()

function(lstm__object_library target layer)
    add_library(${target} OBJECT ${ARGN})
    lstm_compile_settings(${target})
    lstm_layer_folders(${layer} folders)
    target_include_directories(${target} PRIVATE ${folders})
    target_include_directories(${target} SYSTEM PRIVATE "${LSTM_CBLAS_INCLUDE_DIR}" "${LSTM_LAPACKE_INCLUDE_DIR}"
                               "${LSTM_JANSSON_INCLUDE_DIR}" "${LSTM_ZLIB_INCLUDE_DIR}")
    target_compile_definitions(${target} PRIVATE LSTM_BUILDING_SHARED)
endfunction()

function(lstm_layer layer)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "OPTIMIZE" "SOURCES")
    if(NOT arg_SOURCES)
        message(FATAL_ERROR "lstm_layer(${layer}): SOURCES is empty")
    endif()
    if(NOT arg_OPTIMIZE)
        set(arg_OPTIMIZE -O2)
    endif()
    lstm__object_library(lstm_${layer} ${layer} ${arg_SOURCES})
    target_compile_options(lstm_${layer} PRIVATE "$<$<CONFIG:Release>:${arg_OPTIMIZE}>")
endfunction()

function(lstm_layer_double layer)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES")
    lstm__object_library(lstm_${layer}_double ${layer} ${arg_SOURCES})
    target_compile_definitions(lstm_${layer}_double PRIVATE LSTM__DOUBLE)
    set_target_properties(lstm_${layer}_double PROPERTIES EXCLUDE_FROM_ALL ON)
endfunction()

function(lstm__library_settings target)
    lstm_compile_settings(${target})
    target_include_directories(${target} INTERFACE "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
                               "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
    set_target_properties(${target} PROPERTIES OUTPUT_NAME lstm)
endfunction()

function(lstm_library)
    set(objects "")
    foreach(layer IN LISTS LSTM_LAYERS)
        list(APPEND objects "$<TARGET_OBJECTS:lstm_${layer}>")
    endforeach()
    if(BUILD_SHARED_LIBS)
        add_library(lstm SHARED ${objects})
        set_target_properties(lstm PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
                              LINK_DEPENDS "${PROJECT_SOURCE_DIR}/src/lstm.map")
        if(NOT APPLE)
            target_link_options(lstm PRIVATE "LINKER:--version-script=${PROJECT_SOURCE_DIR}/src/lstm.map")
            # clang's sanitizers live in the program, so the library has to leave their functions open.
            if(NOT (LSTM_SANITIZE AND CMAKE_C_COMPILER_ID MATCHES "Clang"))
                target_link_options(lstm PRIVATE "LINKER:--no-undefined")
            endif()
        endif()
        add_library(lstm_static STATIC ${objects})
        lstm__library_settings(lstm_static)
        target_link_libraries(lstm_static PUBLIC LSTM::dependencies)
        add_library(LSTM::lstm_static ALIAS lstm_static)
        target_link_libraries(lstm PRIVATE LSTM::dependencies)
    else()
        add_library(lstm STATIC ${objects})
        target_link_libraries(lstm PUBLIC LSTM::dependencies)
        add_library(LSTM::lstm_static ALIAS lstm)
    endif()
    lstm__library_settings(lstm)
    add_library(LSTM::lstm ALIAS lstm)
endfunction()

function(lstm_program)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "SOURCES")
    add_executable(lstm_program ${arg_SOURCES})
    lstm_compile_settings(lstm_program)
    target_include_directories(lstm_program PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
    target_include_directories(lstm_program SYSTEM PRIVATE "${LSTM_JANSSON_INCLUDE_DIR}")
    target_link_libraries(lstm_program PRIVATE lstm "${LSTM_JANSSON_LIBRARY}" "${LSTM_MATH_LIBRARY}")
    # From the program's folder to the library's, so that an installed tree can be moved.
    file(RELATIVE_PATH to_library "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
    set_target_properties(lstm_program PROPERTIES OUTPUT_NAME lstm INSTALL_RPATH "$ORIGIN/${to_library}"
                          RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
    install(TARGETS lstm_program RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
    if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
        return() # the program does not run here, so it cannot print them
    endif()
    set(page "${CMAKE_CURRENT_BINARY_DIR}/lstm.1")
    set(completion "${CMAKE_CURRENT_BINARY_DIR}/lstm.bash")
    add_custom_command(OUTPUT "${page}" "${completion}"
                       COMMAND lstm_program help --man > "${page}"
                       COMMAND lstm_program help --completion > "${completion}"
                       DEPENDS lstm_program VERBATIM)
    add_custom_target(lstm_program_pages ALL DEPENDS "${page}" "${completion}")
    install(FILES "${page}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
    install(FILES "${completion}" DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" RENAME lstm)
endfunction()
