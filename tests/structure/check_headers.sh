#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: check_headers.sh SOURCE COMPILER
#
# Every header compiles alone: the public one as C11 and as C++17 with each compiler there is, without a warning; every
# internal one as C11 with the include path of its layer. The public header is a manual: at least half of its bytes are
# comment.
set -eu
source=$1
compiler=$2
failed=0
checked=0

try()
{
    checked=$((checked + 1))
    if ! "$@" >output.txt 2>&1; then
        echo "does not compile alone: $*"
        sed -n 1,20p output.txt
        failed=1
    fi
}

strict='-fsyntax-only -Wall -Wextra -Wpedantic -Werror'
printf '#include <lstm/lstm.h>\nint main(void) { return LSTM_OK; }\n' >alone.c
cp alone.c alone.cpp
for cc in "$compiler" gcc clang; do
    command -v "$cc" >/dev/null 2>&1 || continue
    # shellcheck disable=SC2086
    for standard in c11 c17; do
        try "$cc" -std=$standard $strict -Wstrict-prototypes -I "$source/include" alone.c
    done
done
cxx_found=0
for cxx in g++ clang++; do
    command -v $cxx >/dev/null 2>&1 || continue
    # shellcheck disable=SC2086
    if $cxx -fsyntax-only -x c++ -include cstddef /dev/null >/dev/null 2>&1; then
        cxx_found=1
        try $cxx -std=c++17 $strict -I "$source/include" alone.cpp
    fi
done
[ $cxx_found -eq 1 ] || { echo "no C++ compiler (Debian: g++)"; failed=1; }

target=$("$compiler" -dumpmachine)
set -- -I "$source/include"
for layer in base kernels nn io api; do
    set -- "$@" -I "$source/src/$layer"
    for header in "$source/src/$layer"/*.h; do
        [ -e "$header" ] || continue
        # A template (*_tpl.h) is no header on its own, and a vector vocabulary needs its level's instructions.
        case $header in
        *_tpl.h) continue ;;
        */vec_avx2.h) level='-mavx2 -mfma' ;;
        */vec_avx512.h) level='-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma' ;;
        */vec_neon.h) level='' ;;
        *) level='' ;;
        esac
        case $header,$target in
        */vec_avx*,x86_64* | */vec_neon.h,aarch64*) ;;
        */vec_avx*,* | */vec_neon.h,*) continue ;;
        esac
        printf '#include "%s"\nint lstm__nothing(void);\n' "$(basename "$header")" >alone.c
        # shellcheck disable=SC2086
        try "$compiler" -std=c11 -D_GNU_SOURCE -fsyntax-only -Wall -Wextra $level "$@" alone.c
    done
done
for header in "$source"/src/cli/*.h; do
    [ -e "$header" ] || continue
    printf '#include "%s"\nint lstm__nothing(void);\n' "$(basename "$header")" >alone.c
    try "$compiler" -std=c11 -D_GNU_SOURCE -fsyntax-only -Wall -Wextra -I "$source/include" -I "$source/src/cli" alone.c
done

# Bytes inside /* */ over bytes that are not white space at the margins.
share=$(awk '{
        line = $0; sub(/^[ \t]+/, "", line); sub(/[ \t]+$/, "", line); all += length(line)
        while (line != "") {
            if (inside) {
                end = index(line, "*/")
                if (!end) { comment += length(line); break }
                comment += end + 1; line = substr(line, end + 2); inside = 0
            } else {
                start = index(line, "/*")
                if (!start) break
                line = substr(line, start); comment += 2; line = substr(line, 3); inside = 1
            }
        }
    } END { printf "%d", 100 * comment / all }' "$source/include/lstm/lstm.h")
echo "lstm.h: $share % comment; $checked compilations of single headers"
[ "$share" -ge 50 ] || { echo "lstm.h is less than half comment"; failed=1; }
exit $failed
