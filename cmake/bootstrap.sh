#!/bin/sh
# SPDX-License-Identifier: MIT
#
# From a clone to a result in one command, on Debian 12 as root or with sudo:
#
#     sh cmake/bootstrap.sh demo    build, train on a real stock index, say where the model and the report are
#     sh cmake/bootstrap.sh test    build and run every test
#
# Installs with apt-get what is missing and nothing else; where it cannot, it names what is missing and exits with 2.
# Works from any folder and may be run again at any time. Writes into build/ only; build/bootstrap.log holds the output
# of apt-get and of the compiler, which is shown when one of them fails.
set -eu

usage()
{
    echo "usage: sh cmake/bootstrap.sh demo|test" >&2
    exit 2
}

[ $# -eq 1 ] || usage
task=$1
case $task in
demo | test) ;;
*) usage ;;
esac

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
build=$root/build/release
log=$root/build/bootstrap.log
mkdir -p "$root/build"
: >"$log"

say()
{
    echo "[bootstrap] $*"
}

# Run a command into the log; when it fails, show the end of the log and stop.
logged()
{
    echo "+ $*" >>"$log"
    if ! "$@" >>"$log" 2>&1; then
        say "failed: $*" >&2
        tail -n 60 "$log" >&2
        say "the whole log: $log" >&2
        exit 1
    fi
}

# Whether a C program that includes header $1 links with the libraries $2.
links()
{
    printf '#include <%s>\nint main(void) { return 0; }\n' "$1" >"$root/build/probe.c"
    # shellcheck disable=SC2086
    "${CC:-cc}" -I/usr/include/openblas "$root/build/probe.c" $2 -o "$root/build/probe" >>"$log" 2>&1
    found=$?
    rm -f "$root/build/probe" "$root/build/probe.c"
    return $found
}

cmake_is_new_enough()
{
    command -v cmake >/dev/null 2>&1 || return 1
    cmake --version | awk 'NR == 1 { split($3, v, "."); exit !(v[1] > 3 || (v[1] == 3 && v[2] >= 21)) }'
}

# Set `packages` (Debian's names) and `words` (for everybody else) to what is missing.
look()
{
    packages=''
    words=''
    need()
    {
        packages="$packages $1"
        words="$words
    $2"
    }
    cmake_is_new_enough || need cmake "CMake 3.21 or later"
    command -v ninja >/dev/null 2>&1 || command -v make >/dev/null 2>&1 || need ninja-build "Ninja or Make"
    if ! links stdio.h ''; then
        need 'gcc libc6-dev' "a C compiler with the C library's headers"
        missing_compiler=1
    else
        missing_compiler=0
    fi
    if [ "$missing_compiler" = 1 ]; then
        # Nothing can be probed yet; apt-get passes over what is installed already.
        need 'libopenblas-dev liblapacke-dev libjansson-dev zlib1g-dev' "OpenBLAS, LAPACKE, Jansson, zlib with headers"
        [ "$task" = demo ] || need 'libcmocka-dev g++ pkg-config' "CMocka with headers, a C++ compiler, pkg-config"
        return
    fi
    links cblas.h -lopenblas || links cblas.h -lcblas || need libopenblas-dev "OpenBLAS with cblas.h"
    links lapacke.h -llapacke || links lapacke.h -lopenblas || need liblapacke-dev "LAPACKE with lapacke.h"
    links jansson.h -ljansson || need libjansson-dev "Jansson with jansson.h"
    links zlib.h -lz || need zlib1g-dev "zlib with zlib.h"
    if [ "$task" = test ]; then
        command -v c++ >/dev/null 2>&1 || need g++ "a C++ compiler"
        command -v pkg-config >/dev/null 2>&1 || need pkg-config "pkg-config"
        links cmocka.h '-include stdarg.h -include stddef.h -include stdint.h -include setjmp.h -lcmocka' ||
            need libcmocka-dev "CMocka with cmocka.h"
    fi
}

# Run apt-get as root, without questions; a busy dpkg is waited for.
apt()
{
    if [ "$(id -u)" -eq 0 ]; then
        logged env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@"
    else
        logged sudo env DEBIAN_FRONTEND=noninteractive ${http_proxy:+http_proxy="$http_proxy"} \
            ${https_proxy:+https_proxy="$https_proxy"} \
            apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@"
    fi
}

missing()
{
    say "missing:$words" >&2
    say "$1" >&2
    exit 2
}

look
if [ -n "$packages" ]; then
    command -v apt-get >/dev/null 2>&1 || missing "there is no apt-get here: install these, then run this again"
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null 2>&1 ||
        missing "neither root nor sudo: run as root \"apt-get install$packages\", then run this again"
    say "installing$packages"
    apt update
    # shellcheck disable=SC2086
    apt install -y --no-install-recommends $packages
    look
    [ -z "$packages" ] || missing "apt-get has installed what it has, and this is still missing"
fi

# A build folder that was made for another place is of no use.
if [ -f "$build/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$build/CMakeCache.txt"; then
    rm -rf "$build"
fi
generator=''
if [ ! -f "$build/CMakeCache.txt" ] && command -v ninja >/dev/null 2>&1; then
    generator=-GNinja
fi
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
started=$(date +%s)
cd "$root"
if [ "$task" = demo ]; then
    say "building the library and the program in $build"
    # shellcheck disable=SC2086
    logged cmake --preset release $generator -DLSTM_TESTS=OFF -DLSTM_BENCH=OFF
    logged cmake --build "$build" --parallel "$jobs" --target lstm_program
    say "built in $(($(date +%s) - started)) s"
    demo=$root/build/demo
    mkdir -p "$demo"
    say "lstm forecast docs/data/eu-stock-markets.csv --target DAX (DAX, SMI, CAC, FTSE: closing prices 1991-1998)"
    started=$(date +%s)
    "$build/bin/lstm" forecast "$root/docs/data/eu-stock-markets.csv" --target DAX \
        -o "$demo/dax.lstm" --report "$demo/report.html"
    say "trained, judged and forecast in $(($(date +%s) - started)) s"
    say "model:  $demo/dax.lstm"
    say "report: $demo/report.html (open it in a browser)"
    say "program: $build/bin/lstm"
else
    say "building everything in $build"
    # shellcheck disable=SC2086
    logged cmake --preset release $generator -DLSTM_TESTS=ON -DLSTM_BENCH=ON
    logged cmake --build "$build" --parallel "$jobs"
    say "built in $(($(date +%s) - started)) s; running the tests"
    exec ctest --test-dir "$build" --output-on-failure --no-tests=error --parallel 2
fi
