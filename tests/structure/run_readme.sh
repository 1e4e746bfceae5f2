#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: run_readme.sh SOURCE BUILD CMAKE COMPILER
#
# Runs what README.md and docs/*.md tell the reader to run. Every fenced block of C or shell has a mark on the line before
# it:
#     <!-- test: c [NAME] -->        written to NAME.c (program.c), compiled without a warning, linked and run
#     <!-- test: sh -->              run line by line; in a session with "$ " prompts only the prompted lines
#     <!-- test: skip WHY -->        not run
# The blocks of one file run one after the other in one empty folder, which sees docs/data and an installed copy of this
# build: the program in PATH, the library by pkg-config and by CMAKE_PREFIX_PATH. For pages that speak of the reader's own
# files there are x.npy and new.npy (64, 28, 1) and y.npy (64, 10), prices.csv and new-prices.csv (time, close: the DAX) and
# co2.csv (date, CO2: 30 years of months with a trend and a season).
set -eu
source=$1
build=$2
cmake=$3
CC=$4

work=$(mktemp -d "${TMPDIR:-/tmp}/lstm-readme-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
"$cmake" --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/prefix"
prefix=$work/prefix
libdir=$(dirname "$(find "$prefix" -name lstm.pc)")/..
libdir=$(CDPATH='' cd -- "$libdir" && pwd)
PATH=$prefix/bin:$PATH
PKG_CONFIG_PATH=$libdir/pkgconfig
CMAKE_PREFIX_PATH=$prefix
LD_LIBRARY_PATH=$libdir
export PATH PKG_CONFIG_PATH CMAKE_PREFIX_PATH LD_LIBRARY_PATH CC

# Write the blocks of Markdown file $1 to $2/01.kind, $2/02.kind ...; complain about blocks without a mark.
extract()
{
    awk -v out="$2" -v file="$1" '
        /^[ ]*```/ && !inside {
            fence = $0; sub(/^[ ]*```/, "", fence); sub(/[ \t].*/, "", fence); inside = 1; block = ""
            if (fence ~ /^(c|sh|bash|shell|console)$/) {
                if (mark == "") { print file ":" NR ": a block of " fence " without <!-- test: ... --> before it"; bad = 1 }
                split(mark, word, " ")
                if (word[1] == "skip" && word[2] == "") { print file ":" NR ": skipped without a reason"; bad = 1 }
                if (mark != "" && word[1] !~ /^(c|sh|skip)$/) { print file ":" NR ": unknown mark " mark; bad = 1 }
                if (word[1] == "c" || word[1] == "sh")
                    block = sprintf("%s/%02d-line-%d.%s", out, ++count, NR, word[1])
                if (word[1] == "c") print (word[2] == "" ? "program" : word[2]) > (block ".name")
            }
            next
        }
        /^[ ]*```/ && inside { inside = 0; mark = ""; if (block != "") close(block); next }
        inside { if (block != "") print > block; next }
        /^[ ]*<!-- test: .* -->[ ]*$/ { mark = $0; sub(/.*<!-- test: /, "", mark); sub(/ -->.*/, "", mark); next }
        /[^ \t]/ { mark = "" }
        END { if (inside) { print file ": a block is not closed"; bad = 1 } exit bad }
    ' "$1"
}

# Write a .npy file $1 of float32 ones with the shape $2 and $3 elements.
write_ones()
{
    printf "\\223NUMPY\\001\\000\\166\\000%-117s\\n" "{'descr': '<f4', 'fortran_order': False, 'shape': $2, }" >"$1"
    awk -v n="$3" 'BEGIN { for (k = 0; k < n; k++) print "" }' | while read -r _; do printf '\000\000\200\077'; done >>"$1"
}

failed=0
ran=0
[ -e "$source/README.md" ] || { echo "no README.md"; exit 1; }
for page in "$source/README.md" "$source"/docs/*.md; do
    [ -e "$page" ] || continue
    name=$(basename "$page" .md)
    blocks=$work/blocks-$name
    folder=$work/run-$name
    mkdir -p "$blocks" "$folder/docs"
    ln -s "$source/docs/data" "$folder/docs/data"
    write_ones "$folder/x.npy" '(64, 28, 1)' 1792
    write_ones "$folder/y.npy" '(64, 10)' 640
    cp "$folder/x.npy" "$folder/new.npy"
    awk -F, 'NR == 1 { print "time,close" } NR > 1 { print $1 "," $2 }' "$source/docs/data/eu-stock-markets.csv" \
        >"$folder/prices.csv"
    cp "$folder/prices.csv" "$folder/new-prices.csv"
    awk 'BEGIN {
        print "date,CO2"
        for (k = 0; k < 360; k++)
            printf "%d-%02d-01,%.3f\n", 1990 + int(k / 12), k % 12 + 1, 350 + 0.15 * k + 3 * sin(k * 0.523598776)
    }' >"$folder/co2.csv"
    extract "$page" "$blocks" || failed=1
    for block in "$blocks"/*.c "$blocks"/*.sh; do
        [ -e "$block" ] && printf '%s\n' "$block"
    done | sort >"$work/list"
    while IFS= read -r block; do
        where=$name.md:$(basename "$block")
        ran=$((ran + 1))
        passed=0
        case $block in
        *.c)
            program=$(cat "$block.name")
            cp "$block" "$folder/$program.c"
            (cd "$folder" && eval "$CC -std=c11 -Wall -Wextra -Wpedantic -Werror -O1 $program.c \
                $(pkg-config --cflags --libs lstm) -lm -o $program" && "./$program") >"$work/output" 2>&1 || passed=1
            ;;
        *.sh)
            if grep -q '^\$ ' "$block"; then
                sed -n 's/^\$ //p' "$block" >"$work/session"
            else
                cp "$block" "$work/session"
            fi
            (cd "$folder" && sh -eu "$work/session") >"$work/output" 2>&1 </dev/null || passed=1
            ;;
        esac
        if [ $passed -eq 0 ]; then
            echo "ran $where"
        else
            echo "fails: $where"
            cat "$block"
            echo "--- it printed:"
            tail -n 40 "$work/output"
            failed=1
        fi
    done <"$work/list"
done
echo "$ran blocks run"
[ "$ran" -gt 0 ] || failed=1
exit $failed
