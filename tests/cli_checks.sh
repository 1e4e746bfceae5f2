# SPDX-License-Identifier: MIT
#
# What the tests of the program share; sourced by test_cli_*.sh, which are called with the program's path and run in
# a folder of their own (emptied first).
#
#   check CODE TEXT ARGUMENTS...   run the program; it must end with CODE and print TEXT (a fixed string; "" = anything)
#   same A B                       two files must be equal, byte by byte
#   holds FILE TEXT                a file must hold a fixed string
#   absent FILE                    a file must not exist
#   finish                         the number of checks; ends with 1 if one failed
LSTM=$1
[ -x "$LSTM" ] || { echo "usage: $0 PROGRAM" >&2; exit 2; }
work=$(pwd)/cli_work.$$
mkdir "$work" || exit 2
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
unset NO_COLOR LSTM_MAX_ISA
checks=0
failures=0

fail()
{
    failures=$((failures + 1))
    echo "FAILED: $*"
}

check()
{
    expected=$1
    text=$2
    shift 2
    "$LSTM" "$@" >out.txt 2>err.txt
    code=$?
    checks=$((checks + 1))
    if [ "$code" -ne "$expected" ]; then
        fail "lstm $*: exit code $code, expected $expected; it said: $(head -c 400 err.txt)"
    elif [ -n "$text" ] && ! cat out.txt err.txt | grep -qF -- "$text"; then
        fail "lstm $*: expected \"$text\"; it said: $(cat out.txt err.txt | head -c 400)"
    fi
}

same()
{
    checks=$((checks + 1))
    cmp -s "$1" "$2" || fail "$1 and $2 differ"
}

holds()
{
    checks=$((checks + 1))
    grep -qF -- "$2" "$1" || fail "$1 does not hold \"$2\": $(head -c 400 "$1")"
}

absent()
{
    checks=$((checks + 1))
    [ ! -e "$1" ] || fail "$1 exists"
}

finish()
{
    echo "$checks checks, $failures failed"
    [ "$failures" -eq 0 ]
    exit $?
}

# npy SHAPE BYTES...: a .npy file of float32 on standard output; SHAPE "(1, 2)", each number as four bytes in octal
npy()
{
    printf '\223NUMPY\001\000v\000'
    printf '%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': $1, }"
    shift
    for bytes in "$@"; do
        printf "$bytes"
    done
}

# rows ROWS COLUMNS SEED: a CSV matrix of smooth numbers without header
rows()
{
    awk -v rows="$1" -v columns="$2" -v seed="$3" 'BEGIN {
        for (r = 0; r < rows; r++) {
            for (c = 0; c < columns; c++) printf "%s%.6f", c ? "," : "", sin(seed + 0.7 * r + 0.3 * c)
            print ""
        }
    }'
}
