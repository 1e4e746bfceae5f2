# SPDX-License-Identifier: MIT
#
# What `cmake --install` writes: the header, the libraries, the CMake package LSTM and lstm.pc. No file of it holds the
# prefix, so that the tree can be moved. (The program's own files are in lstm_program(), cmake/LstmTargets.cmake.)
include(CMakePackageConfigHelpers)

install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
set(package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/LSTM")
install(FILES "${PROJECT_SOURCE_DIR}/include/lstm/lstm.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/lstm")

# Two export files: a program that links the shared library must not need what only the static one needs.
if(BUILD_SHARED_LIBS)
    install(TARGETS lstm EXPORT LSTMSharedTargets
            LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
            RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
    install(EXPORT LSTMSharedTargets NAMESPACE LSTM:: DESTINATION "${package_folder}")
    set(static_target lstm_static)
else()
    set(static_target lstm)
endif()
install(TARGETS ${static_target} EXPORT LSTMStaticTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(EXPORT LSTMStaticTargets NAMESPACE LSTM:: DESTINATION "${package_folder}")

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/LSTMConfig.cmake.in"
                              "${PROJECT_BINARY_DIR}/LSTMConfig.cmake"
                              INSTALL_DESTINATION "${package_folder}")
# Until 1.0 the ABI may change with the minor number.
if(PROJECT_VERSION_MAJOR EQUAL 0)
    set(compatible SameMinorVersion)
else()
    set(compatible SameMajorVersion)
endif()
write_basic_package_version_file("${PROJECT_BINARY_DIR}/LSTMConfigVersion.cmake" VERSION ${PROJECT_VERSION}
                                 COMPATIBILITY ${compatible})
install(FILES "${PROJECT_BINARY_DIR}/LSTMConfig.cmake" "${PROJECT_BINARY_DIR}/LSTMConfigVersion.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/LstmDependencies.cmake"
        DESTINATION "${package_folder}")

# lstm.pc: -l names only; ${pcfiledir} leads to the prefix wherever the tree stands.
file(RELATIVE_PATH pc_prefix "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
file(RELATIVE_PATH pc_libdir "${CMAKE_INSTALL_PREFIX}" "${CMAKE_INSTALL_FULL_LIBDIR}")
file(RELATIVE_PATH pc_includedir "${CMAKE_INSTALL_PREFIX}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
set(pc_private "")
foreach(library IN ITEMS "${LSTM_LAPACKE_LIBRARY}" "${LSTM_BLAS_LIBRARY}" "${LSTM_JANSSON_LIBRARY}"
        "${LSTM_ZLIB_LIBRARY}")
    if(library)
        get_filename_component(library_name "${library}" NAME_WE)
        string(REGEX REPLACE "^lib" "" library_name "${library_name}")
        string(APPEND pc_private " -l${library_name}")
    endif()
endforeach()
string(APPEND pc_private " -lpthread -lm")
string(STRIP "${pc_private}" pc_private)
if(BUILD_SHARED_LIBS)
    set(pc_public "")
else()
    set(pc_public " ${pc_private}")
endif()
configure_file("${PROJECT_SOURCE_DIR}/cmake/lstm.pc.in" "${PROJECT_BINARY_DIR}/lstm.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/lstm.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
