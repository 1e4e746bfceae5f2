#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: check_files.sh SOURCE
#
# The shape of the tree: only the agreed entries at the top, unique file names, files of at most 800 lines and functions
# of at most 80, an SPDX line in each source file, instruction-set flags in src/kernels only, no path of somebody's
# machine, no unfinished work.
set -eu
export LC_ALL=C
source=$1
failed=0

complain()
{
    if [ -s found.txt ]; then
        echo "$1:"
        sed "s|^$source/||" found.txt
        failed=1
    fi
}

(cd "$source" && ls) | grep -vxE \
    'CMakeLists\.txt|CMakePresets\.json|CMakeUserPresets\.json|LICENSE|README\.md|include|src|tests|bench|cmake|docs|build(-.*)?' \
    >found.txt || :
complain 'not agreed at the top level'

find "$source" \( -path "$source/.git" -o -path "$source/build" -o -path "$source/build-*" -o -name __pycache__ \) -prune \
    -o -type f -print >files.txt
grep -vE '/(CMakeLists\.txt|README\.md|\.gitignore)$' files.txt | sed 's|.*/||' | sort | uniq -d >found.txt
complain 'file names used twice'
sed 's|.*/||' files.txt | grep -iE '^(utils?|common|misc|helpers?)\.' >found.txt || :
complain 'a file name that says nothing'

grep -E '\.(c|h|cpp|sh|cmake|in|map)$|CMakeLists\.txt$|/\.ci/run$' files.txt >code.txt || :
grep -E '\.(c|h|cpp|sh|cmake|map|md|json|py)$|CMakeLists\.txt$|/\.ci/run$' files.txt >text.txt || :
: >found.txt
while IFS= read -r file; do
    head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT' || case $file in
    *.in) ;;
    *) echo "$file" ;;
    esac
done <code.txt >found.txt
complain 'no "SPDX-License-Identifier: MIT" in the first lines'

# The public header is one file by decision: it is the manual.
grep -v '/include/lstm/lstm\.h$' code.txt | while IFS= read -r file; do
    awk -v file="$file" 'END { if (NR > 800) print file ": " NR " lines, at most 800" }' "$file"
done >found.txt
complain 'too long'

# With the house style a function is what stands between a line "{" and the next line "}", both at the margin.
grep -E '\.(c|h|cpp)$' code.txt >c.txt
while IFS= read -r file; do
    awk -v file="$file" '
        /^[A-Za-z_].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
        /^\{/ { start = NR }
        /^\}/ { if (start && NR - start - 1 > 80) print file ":" start ": " name " has " NR - start - 1 " lines, at most 80"
                start = 0 }
    ' "$file"
done <c.txt >found.txt
complain 'functions that are too long'

while IFS= read -r file; do
    awk -v file="$file" '{ gsub(/[\200-\277]/, "") } length($0) > 120 { print file ":" NR ": " length($0) " columns, at most 120" }' \
        "$file"
done <c.txt >found.txt
complain 'lines that are too long'

while IFS= read -r file; do
    case $file in
    "$source/src/kernels/"* | "$source/tests/structure/"*) ;;
    *) grep -nE -- '-m(arch|tune|avx|fma|sse|cpu)' "$file" /dev/null || : ;;
    esac
done <code.txt | grep -v '^[^:]*/docs/' >found.txt || :
complain 'instruction-set flags outside src/kernels'
while IFS= read -r file; do
    case $file in
    "$source/tests/structure/check_files.sh") ;;
    *) grep -nE -- '-ffast-math|-Ofast|-march=native|-mcpu=native' "$file" /dev/null || : ;;
    esac
done <code.txt | grep -vE ':[0-9]+:[[:space:]]*(#|\*|/\*|//)' >found.txt || :
complain 'flags that make results depend on the machine'

while IFS= read -r file; do
    case $file in
    "$source/tests/structure/check_files.sh") ;;
    *)
        grep -nE '(^|[^A-Za-z0-9_.])/(work|root|home|Users|mnt)/[A-Za-z]|registry\.npmjs|pypi\.org/simple|index-url|artifactory' \
            "$file" /dev/null || :
        ;;
    esac
done <text.txt >found.txt
complain "paths or registries of somebody's machine"

while IFS= read -r file; do
    case $file in
    "$source/tests/structure/check_files.sh") ;;
    *) grep -nE '(TODO|FIXME|XXX|HACK)([^A-Za-z_]|$)' "$file" /dev/null || : ;;
    esac
done <text.txt | grep -v 'mktemp\|XXXXXX' >found.txt || :
complain 'unfinished work'
while IFS= read -r file; do
    case $file in
    "$source/src/"*) grep -niE 'placeholder|not (yet )?implemented|stub' "$file" /dev/null || : ;;
    esac
done <c.txt >found.txt
complain 'unfinished work'

while IFS= read -r file; do
    grep -nE '[ 	]+$|	' "$file" /dev/null || :
done <c.txt >found.txt
complain 'tabs, or white space at the end of a line'

# Links inside the tree lead somewhere.
for page in "$source/README.md" "$source"/docs/*.md "$source"/docs/*/*.md; do
    [ -e "$page" ] || continue
    grep -oE '\]\([^) #]+' "$page" | sed 's/^](//' | grep -vE '^[a-z]+:' | sort -u | while IFS= read -r link; do
        [ -e "$(dirname "$page")/$link" ] || echo "$page: $link"
    done
done >found.txt
complain 'links that lead nowhere'

# The library does not print, exit or abort, and takes memory through its context only.
find "$source/src/base" "$source/src/kernels" "$source/src/nn" "$source/src/io" "$source/src/api" -name '*.[ch]' >library.txt
while IFS= read -r file; do
    grep -nE '(^|[^A-Za-z0-9_>.])(printf|puts|putchar|perror|exit|_exit|abort|assert|fprintf ?\((stdout|stderr))[ ]*\(' \
        "$file" /dev/null || :
done <library.txt | grep -vE ':[0-9]+:[[:space:]]*(\*|/\*|//)|format\(printf' >found.txt || :
complain 'the library prints or ends the process'

echo "$(wc -l <files.txt) files, $(wc -l <c.txt) of them C or C++"
exit $failed
