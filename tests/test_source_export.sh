#!/bin/sh
# SPDX-License-Identifier: MIT
#
# C source that `lstm convert` writes: compiled as C99 by every compiler that is there, without a warning, each program runs
# the model on its embedded input, as a whole and, where that can be, step by step, and agrees with the library within 1e-5.
#
#     sh test_source_export.sh PROGRAM
set -u
program=$1
failed=0
checks=0

fail() {
    echo "FAILED: $*"
    failed=$((failed + 1))
}

# describe LAYERS: model.json
describe() {
    printf '{"profile": "%s", "seed": 4, "layers": [%s]}\n' "${profile:-keras}" "$1" >model.json
}

# good NAME LAYERS [yes|no]: written, compiled, equal; with a step function or without
good() {
    name=$1
    describe "$2"
    checks=$((checks + 1))
    if ! "$program" convert model.json "$name.c" 2>message; then
        fail "$name: $(cat message)"
        return
    fi
    case ${3:-yes} in
    yes) grep -q "^void ${name}_step(" "$name.c" || fail "$name: no step function" ;;
    no) grep -q "There is no step function" "$name.c" || fail "$name: a step function" ;;
    esac
    capital=$(echo "$name" | tr '[:lower:]' '[:upper:]')
    for compiler in gcc clang; do
        command -v $compiler >/dev/null 2>&1 || continue
        if ! $compiler -std=c99 -O1 -Wall -Wextra -pedantic -Wmissing-prototypes -Werror "-D${capital}_TEST" \
            -o "$name.$compiler" "$name.c" -lm 2>message; then
            fail "$name: $compiler: $(head -5 message)"
        elif ! "./$name.$compiler" >message; then
            fail "$name: $compiler: $(cat message)"
        fi
        # and as a part of another program
        $compiler -std=c99 -Wall -Wextra -pedantic -Werror -c -o "$name.o" "$name.c" 2>message ||
            fail "$name: $compiler: $(head -5 message)"
    done
}

# refused TEXT WORDS...: exit code 2, the text in the message, no file
refused() {
    text=$1
    shift
    checks=$((checks + 1))
    rm -f refused.c
    "$program" convert "$@" 2>message
    code=$?
    if [ $code -ne 2 ] || ! grep -q "$text" message || [ -e refused.c ]; then
        fail "$*: exit $code, $(cat message)"
    fi
}

x='{"type": "Input", "name": "x", "shape": [null, 4]}'
fixed='{"type": "Input", "name": "x", "shape": [8, 4]}'

good lstm "$x, {\"type\": \"LSTM\", \"units\": 5, \"return_sequences\": true}, {\"type\": \"Dropout\", \"rate\": 0.5},
    {\"type\": \"LSTM\", \"units\": 3}, {\"type\": \"Dense\", \"units\": 2, \"activation\": \"softmax\"}"
good cells "$x, {\"type\": \"GRU\", \"units\": 4, \"return_sequences\": true},
    {\"type\": \"GRU\", \"units\": 3, \"reset_after\": false, \"return_sequences\": true},
    {\"type\": \"SimpleRNN\", \"units\": 3, \"activation\": \"softsign\", \"use_bias\": false, \"return_sequences\": true},
    {\"type\": \"LSTM\", \"units\": 3, \"activation\": \"softplus\", \"recurrent_activation\": \"hard_sigmoid\",
     \"return_sequences\": true, \"stateful\": true}"
profile=torch good torch "$x, {\"type\": \"LSTM\", \"units\": 4}, {\"type\": \"GRU\", \"units\": 3}, {\"type\": \"RNN\", \"units\": 3},
    {\"type\": \"LayerNormalization\"}, {\"type\": \"Dense\", \"units\": 2, \"activation\": \"elu\"}"
good both "$x, {\"type\": \"Bidirectional\", \"name\": \"a\", \"layer\": {\"type\": \"LSTM\", \"units\": 3, \"return_sequences\": true}},
    {\"type\": \"Bidirectional\", \"merge_mode\": \"mul\", \"layer\": {\"type\": \"GRU\", \"units\": 2, \"return_sequences\": true}},
    {\"type\": \"Bidirectional\", \"merge_mode\": \"ave\", \"layer\": {\"type\": \"LSTM\", \"units\": 3}}" no
good merges "$x, {\"type\": \"LSTM\", \"name\": \"a\", \"units\": 3, \"return_sequences\": true},
    {\"type\": \"SimpleRNN\", \"name\": \"b\", \"inputs\": [\"x\"], \"units\": 3, \"return_sequences\": true},
    {\"type\": \"Add\", \"name\": \"p\", \"inputs\": [\"a\", \"b\"]}, {\"type\": \"Subtract\", \"name\": \"q\", \"inputs\": [\"a\", \"b\"]},
    {\"type\": \"Multiply\", \"name\": \"r\", \"inputs\": [\"a\", \"b\", \"p\"]}, {\"type\": \"Average\", \"name\": \"s\", \"inputs\": [\"a\", \"b\", \"p\"]},
    {\"type\": \"Maximum\", \"name\": \"t\", \"inputs\": [\"a\", \"b\"]},
    {\"type\": \"Concatenate\", \"inputs\": [\"p\", \"q\", \"r\", \"s\", \"t\"]}, {\"type\": \"BatchNormalization\"},
    {\"type\": \"Activation\", \"activation\": \"hard_sigmoid_keras2\"}, {\"type\": \"LastStep\"}"
good windows "$fixed, {\"type\": \"Conv1D\", \"filters\": 5, \"kernel_size\": 3, \"padding\": \"causal\", \"dilation_rate\": 2, \"activation\": \"relu\"},
    {\"type\": \"Conv1D\", \"filters\": 4, \"kernel_size\": 4, \"padding\": \"same\"}, {\"type\": \"MaxPooling1D\", \"pool_size\": 3, \"padding\": \"same\", \"strides\": 2},
    {\"type\": \"AveragePooling1D\", \"name\": \"a\", \"pool_size\": 2, \"strides\": 1}, {\"type\": \"GlobalMaxPooling1D\", \"name\": \"m\"},
    {\"type\": \"GlobalAveragePooling1D\", \"name\": \"n\", \"inputs\": [\"a\"]}, {\"type\": \"Flatten\", \"name\": \"f\", \"inputs\": [\"a\"]},
    {\"type\": \"Concatenate\", \"inputs\": [\"m\", \"n\", \"f\"]}, {\"type\": \"RepeatVector\", \"n\": 3}, {\"type\": \"Reverse\"},
    {\"type\": \"LSTM\", \"units\": 2, \"go_backwards\": true}" no
good tokens "{\"type\": \"Input\", \"name\": \"x\", \"shape\": [null]}, {\"type\": \"Embedding\", \"input_dim\": 9, \"output_dim\": 4},
    {\"type\": \"LSTM\", \"units\": 3, \"return_sequences\": true}, {\"type\": \"Dense\", \"units\": 9}"
good states "$x, {\"type\": \"LearnedVector\", \"name\": \"h\", \"features\": 3, \"initializer\": \"random_normal\"},
    {\"type\": \"LearnedVector\", \"name\": \"c\", \"inputs\": [\"x\"], \"features\": 3, \"initializer\": \"random_normal\"},
    {\"type\": \"LSTM\", \"name\": \"rnn\", \"inputs\": [\"x\", \"h\", \"c\"], \"units\": 3, \"return_sequences\": true, \"return_state\": true}"
good decoder "$x, {\"type\": \"LSTM\", \"name\": \"encoder\", \"units\": 3}, {\"type\": \"RepeatVector\", \"n\": 4},
    {\"type\": \"LSTM\", \"units\": 3, \"initial_state\": \"encoder\", \"return_sequences\": true}, {\"type\": \"Dense\", \"units\": 1}" no

# the check inside the file does check
checks=$((checks + 1))
sed '/_test_y0\[/{n;s/[0-9]\.[0-9]*/0.987654/;}' lstm.c >wrong.c
cc -std=c99 -DLSTM_TEST -o wrong wrong.c -lm || fail "the changed file does not compile"
./wrong >/dev/null && fail "a wrong output was not seen"

# names, limits, refusals
checks=$((checks + 2))
describe "$x, {\"type\": \"LSTM\", \"units\": 2}"
if ! "$program" convert model.json named.c --prefix wake_word --max-steps 5 2>message ||
    ! grep -q "^int wake_word_run(" named.c || ! grep -q "WAKE_WORD_MAX_STEPS 5" named.c; then
    fail "--prefix and --max-steps: $(cat message)"
fi
"$program" convert model.json 8-bit.v2.c && grep -q "^int m8_bit_run(" 8-bit.v2.c || fail "a name from the path"
refused 'prefix "2x"' model.json refused.c --prefix 2x
refused "max-steps" model.json refused.c --max-steps 0
refused "for C source" model.json refused.lstm --prefix x
describe "$x, {\"type\": \"Masking\", \"name\": \"gap\"}, {\"type\": \"LSTM\", \"units\": 2}"
refused '"gap" (Masking)' model.json refused.c
describe "$x, {\"type\": \"LSTM\", \"name\": \"rnn\", \"units\": 2, \"peepholes\": true}"
refused '"rnn" (LSTM)' model.json refused.c

echo "$checks checks, $failed failed"
[ $failed -eq 0 ]
