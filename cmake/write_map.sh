#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Writes src/lstm.map, the linker's version script, from the functions that include/lstm/lstm.h declares.
# tests/structure compares the two and what the library exports, so a new function needs this run once:
#     sh cmake/write_map.sh
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# A long name may stand on the line after its LSTM_API.
names=$(awk '/#define/ { next } /LSTM_API/ { open = 1 }
    open && match($0, /lstm_[a-z0-9_]+\(/) { print substr($0, RSTART, RLENGTH - 1); open = 0 }' \
    "$root/include/lstm/lstm.h" | LC_ALL=C sort)
major=$(awk '$2 == "LSTM_VERSION_MAJOR" { print $3; exit }' "$root/include/lstm/lstm.h")
{
    echo "# SPDX-License-Identifier: MIT"
    echo "# What the shared library exports: the functions of include/lstm/lstm.h. Written by cmake/write_map.sh."
    echo "LSTM_$major {"
    echo "    global:"
    for name in $names; do
        echo "        $name;"
    done
    echo "    local:"
    echo "        *;"
    echo "};"
} >"$root/src/lstm.map"
