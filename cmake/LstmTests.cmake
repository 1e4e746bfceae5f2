# SPDX-License-Identifier: MIT
#
# How tests are added.
#
#   lstm_unit_test(test_x LAYER io SOURCES test_x.c [DOUBLE] [LABELS ...] [TIMEOUT seconds])
#       A CMocka program that links the object libraries of the layer and of all lower ones and sees their headers. With
#       DOUBLE, kernels and nn are those compiled with LSTM__DOUBLE.
#   lstm_api_test(test_x SOURCES test_x.c [LABELS ...] [TIMEOUT seconds])
#       A CMocka program that links the library alone and sees the public header alone.
#   lstm_script_test(name COMMAND sh script.sh ... [LABELS ...] [TIMEOUT seconds])
#       Any command; it gets LSTM_PROGRAM, LSTM_TESTS_DIR and LSTM_DATA_DIR in its environment.
#
# Every test runs in a folder of its own in the build tree. Compile-time strings for all of them: LSTM_SHARED_DIR (the
# folder with the shared data; a test first looks at the environment variable LSTM_SHARED and prints
# "skipped: ../shared is absent" if the folder is not there), LSTM_TESTS_DIR (this project's tests/), LSTM_DATA_DIR
# (docs/data) and LSTM_PROGRAM (the built program). A test whose name speaks of threads, pools or forks gets the label
# `threads`, which the thread sanitizer's run selects.
find_path(LSTM_CMOCKA_INCLUDE_DIR NAMES cmocka.h)
find_library(LSTM_CMOCKA_LIBRARY NAMES cmocka)
mark_as_advanced(LSTM_CMOCKA_INCLUDE_DIR LSTM_CMOCKA_LIBRARY)
if(NOT LSTM_CMOCKA_INCLUDE_DIR OR NOT LSTM_CMOCKA_LIBRARY)
    message(FATAL_ERROR "The tests need CMocka (Debian: libcmocka-dev); -DLSTM_TESTS=OFF leaves them out")
endif()

# The folder of one test, its labels and its time limit.
function(lstm__test_settings name kind labels timeout)
    set(folder "${PROJECT_BINARY_DIR}/tests/run/${name}")
    file(MAKE_DIRECTORY "${folder}")
    set(all_labels ${kind} ${labels})
    if(name MATCHES "thread|pool|fork|parallel|concurren")
        list(APPEND all_labels threads)
    endif()
    if(NOT timeout)
        set(timeout 120)
    endif()
    if(LSTM_SANITIZE)
        math(EXPR timeout "${timeout} * 10")
    endif()
    list(REMOVE_DUPLICATES all_labels)
    set_tests_properties(${name} PROPERTIES WORKING_DIRECTORY "${folder}" LABELS "${all_labels}" TIMEOUT ${timeout})
endfunction()

function(lstm__test_program name)
    add_executable(${name} ${ARGN})
    lstm_compile_settings(${name})
    target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
    target_include_directories(${name} SYSTEM PRIVATE "${LSTM_CMOCKA_INCLUDE_DIR}")
    target_compile_definitions(${name} PRIVATE
        "LSTM_SHARED_DIR=\"${PROJECT_SOURCE_DIR}/../shared\"" "LSTM_TESTS_DIR=\"${PROJECT_SOURCE_DIR}/tests\""
        "LSTM_DATA_DIR=\"${PROJECT_SOURCE_DIR}/docs/data\"" "LSTM_PROGRAM=\"${PROJECT_BINARY_DIR}/bin/lstm\"")
    target_link_libraries(${name} PRIVATE "${LSTM_CMOCKA_LIBRARY}")
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests/bin")
endfunction()

function(lstm_unit_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "DOUBLE" "LAYER;TIMEOUT" "SOURCES;LABELS")
    lstm__test_program(${name} ${arg_SOURCES})
    lstm_layer_folders("${arg_LAYER}" folders)
    target_include_directories(${name} PRIVATE ${folders})
    target_include_directories(${name} SYSTEM PRIVATE "${LSTM_JANSSON_INCLUDE_DIR}" "${LSTM_ZLIB_INCLUDE_DIR}")
    if(arg_DOUBLE)
        target_compile_definitions(${name} PRIVATE LSTM__DOUBLE)
    endif()
    foreach(layer IN LISTS LSTM_LAYERS)
        if(arg_DOUBLE AND TARGET lstm_${layer}_double)
            target_sources(${name} PRIVATE $<TARGET_OBJECTS:lstm_${layer}_double>)
        else()
            target_sources(${name} PRIVATE $<TARGET_OBJECTS:lstm_${layer}>)
        endif()
        if(layer STREQUAL arg_LAYER)
            break()
        endif()
    endforeach()
    target_link_libraries(${name} PRIVATE LSTM::dependencies)
    add_test(NAME ${name} COMMAND ${name})
    lstm__test_settings(${name} unit "${arg_LABELS}" "${arg_TIMEOUT}")
endfunction()

function(lstm_api_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;LABELS")
    lstm__test_program(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE lstm "${LSTM_MATH_LIBRARY}" Threads::Threads)
    if(TARGET lstm_program)
        add_dependencies(${name} lstm_program)
    endif()
    add_test(NAME ${name} COMMAND ${name})
    lstm__test_settings(${name} api "${arg_LABELS}" "${arg_TIMEOUT}")
endfunction()

function(lstm_script_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "COMMAND;LABELS")
    add_test(NAME ${name} COMMAND ${arg_COMMAND})
    lstm__test_settings(${name} script "${arg_LABELS}" "${arg_TIMEOUT}")
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT "LSTM_PROGRAM=${PROJECT_BINARY_DIR}/bin/lstm"
                 "LSTM_TESTS_DIR=${PROJECT_SOURCE_DIR}/tests" "LSTM_DATA_DIR=${PROJECT_SOURCE_DIR}/docs/data")
endfunction()
