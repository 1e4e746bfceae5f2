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
fitted=

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
    if ! "$program" convert "${fitted:-model.json}" "$name.c" 2>message; then
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

# good_fitted NAME LAYERS [yes|no]: the same after some training on 6 steps of 4 features, so that no parameter is 0 or 1
good_fitted() {
    describe "{\"type\": \"Input\", \"name\": \"x\", \"shape\": [6, 4]}, $2"
    mv model.json fit.json
    "$program" fit fit.json --x x.csv --y y.csv -o fitted.lstm --epochs 5 --learning-rate 0.05 --quiet 2>message ||
        fail "$1: $(cat message)"
    fitted=fitted.lstm
    good "$@"
    fitted=
}

# numbers ROWS COLUMNS SEED
numbers() {
    awk -v n="$1" -v m="$2" -v seed="$3" 'BEGIN { srand(seed); for (i = 0; i < n; i++) for (k = 1; k <= m; k++)
        printf "%s%s", 2 * rand() - 1, k < m ? "," : "\n" }'
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
    {\"type\": \"GRU\", \"units\": 3, \"reset_after\": false, \"return_sequences\": true, \"activation\": \"softsign\",
     \"recurrent_activation\": \"hard_sigmoid\"},
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

# variants of the LSTM, attention
numbers 24 24 3 >x.csv
numbers 24 30 5 >y.csv
lstm() { echo "{\"type\": \"LSTM\", \"units\": 5, \"return_sequences\": true, $1}"; }
good_fitted peepholes "$(lstm '"peepholes": true'), $(lstm '"peepholes": true, "coupled_gates": "forget", "gate_clip": 0.4')"
good_fitted clips "$(lstm '"coupled_gates": "input", "cell_clip": 0.2, "activation": "softsign"'), $(lstm '"zoneout_h": 0.2, "zoneout_c": 0.3, "use_bias": false')"
good_fitted projected "$(lstm '"proj_size": 3, "proj_clip": 0.1, "cell_clip": 0.5'), $(lstm '"proj_size": 2, "zoneout_h": 0.5'), {\"type\": \"Dense\", \"units\": 5}"
for norm in ba fastrnns tf tflite; do
    good_fitted "norm_$norm" "$(lstm "\"layer_norm\": \"$norm\""), $(lstm "\"layer_norm\": \"$norm\", \"cell_clip\": 0.3, \"zoneout_c\": 0.2, \"proj_size\": 3"), {\"type\": \"Dense\", \"units\": 5}"
done
profile=torch good_fitted torch_variants "$(lstm '"proj_size": 3'), $(lstm '"peepholes": true'), $(lstm '"layer_norm": "ba"')"
good_fitted both_peepholes "{\"type\": \"Bidirectional\", \"merge_mode\": \"sum\", \"layer\": $(lstm '"peepholes": true')}" no
good_fitted attention "{\"type\": \"LSTM\", \"name\": \"q\", \"units\": 4, \"return_sequences\": true}, {\"type\": \"Attention\", \"name\": \"a\", \"inputs\": [\"q\", \"x\"]},
    {\"type\": \"Attention\", \"name\": \"b\", \"inputs\": [\"q\", \"x\", \"a\"], \"use_scale\": true, \"use_causal_mask\": true},
    {\"type\": \"Attention\", \"name\": \"c\", \"inputs\": [\"b\", \"x\"], \"score_mode\": \"concat\", \"use_scale\": true},
    {\"type\": \"AdditiveAttention\", \"name\": \"d\", \"inputs\": [\"c\", \"q\"]},
    {\"type\": \"AdditiveAttention\", \"name\": \"e\", \"inputs\": [\"d\", \"q\"], \"use_scale\": false}, {\"type\": \"GaussianDropout\", \"rate\": 0.1},
    {\"type\": \"Dense\", \"units\": 5}" no
good_fitted heads "{\"type\": \"LSTM\", \"name\": \"q\", \"units\": 4, \"return_sequences\": true},
    {\"type\": \"MultiHeadAttention\", \"name\": \"h\", \"num_heads\": 2, \"key_dim\": 3, \"value_dim\": 5, \"inputs\": [\"q\", \"x\"]},
    {\"type\": \"MultiHeadAttention\", \"num_heads\": 3, \"key_dim\": 2, \"use_bias\": false, \"use_causal_mask\": true, \"inputs\": [\"h\", \"x\", \"q\"]},
    {\"type\": \"Dense\", \"units\": 5}" no
good free_attention "$x, {\"type\": \"LSTM\", \"name\": \"q\", \"units\": 4, \"return_sequences\": true},
    {\"type\": \"MultiHeadAttention\", \"num_heads\": 2, \"key_dim\": 3, \"inputs\": [\"q\", \"x\"]}" no

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
refused '"gap" (Masking): C source has no masks' model.json refused.c
describe "{\"type\": \"Input\", \"name\": \"x\", \"shape\": [null]}, {\"type\": \"Embedding\", \"name\": \"words\", \"input_dim\": 9, \"output_dim\": 4, \"mask_zero\": true},
    {\"type\": \"LSTM\", \"units\": 3}"
refused '"words" (Embedding): C source has no masks' model.json refused.c

echo "$checks checks, $failed failed"
[ $failed -eq 0 ]
