#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: run_consumer.sh WAY SOURCE BUILD CMAKE COMPILER GENERATOR
#
# Builds and runs a program that uses the library in one way: package (find_package: shared, static, C++17), pkg_config,
# pkg_config_static, subdirectory (add_subdirectory). The library is installed into a prefix that is then moved; the first
# prefix is gone when the programs are built.
set -eu
way=$1
source=$2
build=$3
cmake=$4
CC=$5
generator=$6
here=$source/tests/consumers

work=$(mktemp -d "${TMPDIR:-/tmp}/lstm-consumer-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

install_and_move()
{
    "$cmake" --install "$build" --prefix "$work/first" >"$work/install.txt"
    if grep -rlF "$work/first" "$work/first" --include='*.cmake' --include='*.pc'; then
        echo "these installed files hold the prefix"
        exit 1
    fi
    mv "$work/first" "$work/moved"
    prefix=$work/moved
    pc=$(find "$prefix" -name lstm.pc)
    PKG_CONFIG_PATH=$(dirname "$pc")
    export PKG_CONFIG_PATH
    libdir=$(CDPATH='' cd -- "$PKG_CONFIG_PATH/.." && pwd)
}

# Whether program $1 loads the shared library, said by its own table of needed libraries.
needs_shared()
{
    objdump -p "$1" | grep -q 'NEEDED.*liblstm\.so\.'
}

must_be_static()
{
    if needs_shared "$1"; then
        echo "$1 needs liblstm.so"
        exit 1
    fi
}

cd "$work"
case $way in
package)
    install_and_move
    "$cmake" -S "$here/package" -B out -G "$generator" -DCMAKE_C_COMPILER="$CC" -DCMAKE_PREFIX_PATH="$prefix" \
        -DCMAKE_BUILD_TYPE=Debug
    "$cmake" --build out
    ./out/consumer_shared
    ./out/consumer_static
    must_be_static ./out/consumer_static
    ./out/consumer_cpp
    if [ -e "$prefix/bin/lstm" ]; then
        env -u LD_LIBRARY_PATH "$prefix/bin/lstm" --version
    fi
    # A version that this one does not promise to be compatible with is refused.
    mkdir refuse
    printf 'cmake_minimum_required(VERSION 3.21)\nproject(refuse LANGUAGES C)\nfind_package(LSTM 77.0 REQUIRED)\n' \
        >refuse/CMakeLists.txt
    if "$cmake" -S refuse -B refused -G "$generator" -DCMAKE_PREFIX_PATH="$prefix" >refused.txt 2>&1; then
        echo "find_package(LSTM 77.0) was satisfied"
        exit 1
    fi
    grep -q 'compatible' refused.txt
    ;;
pkg_config)
    install_and_move
    # shellcheck disable=SC2046
    "$CC" -std=c11 "$here/consumer.c" $(pkg-config --cflags --libs lstm) -lm -o consumer
    needs_shared ./consumer
    LD_LIBRARY_PATH=$libdir ./consumer
    version=$(awk '/^#define LSTM_VERSION_(MAJOR|MINOR|PATCH) / { v = v s $3; s = "." } END { print v }' \
        "$source/include/lstm/lstm.h")
    pkg-config --exact-version="$version" lstm
    ;;
pkg_config_static)
    install_and_move
    rm -f "$libdir"/liblstm.so*
    # shellcheck disable=SC2046
    "$CC" -std=c11 "$here/consumer.c" $(pkg-config --static --cflags --libs lstm) -lm -o consumer
    must_be_static ./consumer
    ./consumer
    ;;
subdirectory)
    "$cmake" -S "$here/subdirectory" -B out -G "$generator" -DCMAKE_C_COMPILER="$CC" -DLIBLSTM="$source" \
        -DCMAKE_BUILD_TYPE=Debug
    "$cmake" --build out --parallel 2
    must_be_static ./out/consumer_inside
    ./out/consumer_inside
    ;;
*)
    echo "unknown way: $way"
    exit 2
    ;;
esac
