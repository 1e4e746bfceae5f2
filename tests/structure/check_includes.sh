#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: check_includes.sh SOURCE COMPILER base=DIR:DIR... kernels=... nn=... io=... api=... [cli=...]
#
# Nothing includes upwards. The arguments are the include paths that the build gives to each layer; with them every header
# of a higher layer is included once, and that must not find it. The sources may not step around the paths with "../".
# BLAS and LAPACK are reached through src/base/blas.c only, and the program sees the public header only.
set -eu
source=$1
compiler=$2
shift 2
failed=0
refused=0

for entry in "$@"; do
    layer=${entry%%=*}
    paths=${entry#*=}
    case $layer in
    base) higher='kernels nn io api cli' ;;
    kernels) higher='nn io api cli' ;;
    nn) higher='io api cli' ;;
    io) higher='api cli' ;;
    api) higher='cli' ;;
    cli) higher='base kernels nn io api' ;;
    *) echo "unknown layer $layer" && exit 1 ;;
    esac
    (
        IFS=:
        for path in $paths; do
            printf -- '-I"%s"\n' "$path"
        done
    ) >flags.txt
    # The probe itself must be sound: the public header compiles with these flags.
    printf '#include <lstm/lstm.h>\nint lstm__nothing(void);\n' >probe.c
    "$compiler" -std=c11 -D_GNU_SOURCE -fsyntax-only @flags.txt probe.c ||
        { echo "$layer: not even the public header compiles"; failed=1; }
    for folder in $higher; do
        for header in "$source/src/$folder"/*.h; do
            [ -e "$header" ] || continue
            printf '#include "%s"\nint lstm__nothing(void);\n' "$(basename "$header")" >probe.c
            # A header of the C library may have the same name, so what was read counts, not only that it compiled.
            if "$compiler" -std=c11 -D_GNU_SOURCE -M @flags.txt probe.c >read.txt 2>/dev/null &&
                grep -qF "/src/$folder/$(basename "$header")" read.txt; then
                echo "src/$layer can include src/$folder/$(basename "$header")"
                failed=1
            fi
            refused=$((refused + 1))
        done
    done
done

# A line of sources, "file:number:text", that must not be there.
forbid()
{
    if [ -s found.txt ]; then
        echo "$1:"
        sed "s|^$source/||" found.txt
        failed=1
    fi
}
find "$source/src" "$source/include" -name '*.[ch]' -print >sources.txt
: >found.txt
while read -r file; do
    grep -nE '^[ \t]*#[ \t]*include[ \t]*[<"][^>"]*\.\./' "$file" /dev/null >>found.txt || :
done <sources.txt
forbid 'includes that step around the include path'
: >found.txt
while read -r file; do
    [ "$file" = "$source/src/base/blas.c" ] ||
        grep -nE '^[ \t]*#[ \t]*include[ \t]*[<"](cblas|lapacke|openblas|f77blas|lapack)' "$file" /dev/null >>found.txt || :
done <sources.txt
forbid 'BLAS or LAPACK outside src/base/blas.c'
: >found.txt
for file in "$source"/src/cli/*.[ch]; do
    [ -e "$file" ] || continue
    grep -nE '^[ \t]*#[ \t]*include[ \t]*"' "$file" /dev/null | while IFS= read -r line; do
        name=$(printf '%s' "$line" | sed 's/.*"\([^"]*\)".*/\1/')
        [ -e "$source/src/cli/$name" ] || echo "$line"
    done >>found.txt
    grep -nE 'lstm__[a-z]' "$file" /dev/null >>found.txt || :
done
forbid 'the program uses something else than <lstm/lstm.h> of the library'
echo "$refused upward includes tried"
[ "$refused" -gt 0 ] || failed=1
exit $failed
