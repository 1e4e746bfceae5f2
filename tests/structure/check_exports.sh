#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: check_exports.sh SOURCE LIBRARY NM
#
# Three lists of functions have to be the same: those declared in include/lstm/lstm.h, those named in src/lstm.map, and
# those that the shared library exports. Prints every difference.
set -eu
export LC_ALL=C
source=$1
library=$2
nm=$3

# Declarations in code: comments are taken out first, so that a name in prose does not count.
awk '{
        line = $0; out = ""
        while (line != "") {
            if (inside) {
                end = index(line, "*/")
                if (!end) { line = ""; break }
                line = substr(line, end + 2); inside = 0
            } else {
                start = index(line, "/*")
                if (!start) { out = out line; line = ""; break }
                out = out substr(line, 1, start - 1); line = substr(line, start + 2); inside = 1
            }
        }
        print out
    }' "$source/include/lstm/lstm.h" >header_code.txt
awk '/^LSTM_API/ { text = ""; open = 1 }
     open { text = text " " $0 }
     open && /;/ {
        if (match(text, /lstm_[a-z0-9_]+\(/)) print substr(text, RSTART, RLENGTH - 1)
        open = 0
     }' header_code.txt | sort >header.txt
grep -c '^LSTM_API' header_code.txt >declared.txt
awk '/global:/ { inside = 1; next } /local:/ { inside = 0 } inside { sub(/;.*/, ""); gsub(/[ \t]/, ""); if ($0 != "") print }' \
    "$source/src/lstm.map" | sort >map.txt
"$nm" -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >exported.txt
"$nm" -D --defined-only "$library" | awk '$2 != "A" && $2 != "T" { print }' >data.txt

failed=0
if [ "$(cat declared.txt)" -ne "$(wc -l <header.txt)" ]; then
    echo "lstm.h: $(cat declared.txt) LSTM_API declarations, but $(wc -l <header.txt) function names understood"
    failed=1
fi
[ -z "$(uniq -d header.txt)" ] || { echo "lstm.h declares twice: $(uniq -d header.txt)"; failed=1; }
diff -U0 header.txt map.txt >difference.txt || {
    echo "lstm.h (-) and src/lstm.map (+) differ; sh cmake/write_map.sh writes the map anew:"
    grep '^[-+][a-z]' difference.txt
    failed=1
}
diff -U0 header.txt exported.txt >difference.txt || {
    echo "lstm.h (-) and what $(basename "$library") exports (+) differ:"
    grep '^[-+][a-z_A-Z]' difference.txt
    failed=1
}
[ ! -s data.txt ] || { echo "exported, but no function:"; cat data.txt; failed=1; }
[ $failed -ne 0 ] || echo "$(wc -l <header.txt) functions in header, map and library"
exit $failed
