#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The program's frame: help, version, completion, man page, options that are wrong, streams that are closed or full.
. "$(dirname "$0")/cli_checks.sh"

check 2 "usage: lstm COMMAND"
check 0 "usage: lstm COMMAND" --help
check 0 "usage: lstm COMMAND" help
check 0 "liblstm" --version
for command in summary fit evaluate predict gradient forecast bench help; do
    check 0 "usage: lstm $command" help $command
    check 0 "usage: lstm $command" $command --help
    check 0 "usage: lstm $command" $command -h
    check 2 "$command has no option --no-such-thing" $command --no-such-thing
    check 0 "--threads N" $command --help
done
check 2 'there is no command "predcit"; did you mean predict?' predcit
check 2 'there is no command "zzzzzzzzz"' zzzzzzzzz
check 2 'did you mean fit' help fitt
check 2 'unexpected argument "b"' help fit b
check 0 ".SH NAME" help --man
check 0 "complete -o filenames -F _lstm lstm" help --completion
check 0 "" help --man -o lstm.1
holds lstm.1 ".SH COMMANDS"
check 2 "one thing at a time" help --man --completion
check 2 "one thing at a time" help --man fit
check 2 "-o belongs to" help fit -o lstm.1
check 3 "no_folder" help --man -o no_folder/lstm.1
if command -v bash >/dev/null; then
    "$LSTM" help --completion >completion
    bash -n completion || fail "the completion script does not parse"
    words=$(bash -c '. ./completion; COMP_WORDS=(lstm fit --val); COMP_CWORD=2; _lstm; echo "${COMPREPLY[*]}"')
    checks=$((checks + 1))
    [ "$words" = "--validation-split --val-x --val-y --val-lengths --val-mask --val-label-lengths" ] || fail "completion of --val gave: $words"
fi

# What cli.md promises for later is refused, not ignored.
for option in tune; do
    check 2 "fit has no option --$option" fit m.json --x x --y y -o o.lstm --$option=z
done
check 2 "predict has no option --states" predict m.json --x x.npy -o y.npy --states s.npz

# Arguments
check 2 "did you mean --epochs" fit m.json --x x --y y -o o.lstm --epoch=1 --epohcs 3
check 2 "an argument is missing: lstm predict MODEL" predict --x a.npy -o b.npy
check 2 "predict needs --x FILE" predict m.json -o b.npy
check 2 "predict needs -o FILE" predict m.json --x a.npy
check 2 "unexpected argument" predict a.json b.json --x a.npy -o b.npy
check 2 "needs an argument" predict m.json --x
check 2 "--quiet takes no argument" predict m.json --quiet=1
check 2 '--epochs takes a whole number from 1 to 1000000000, not "0"' fit m.json --x x --y y -o o.lstm --epochs 0
check 2 '--epochs takes a whole number from 1 to 1000000000, not "1.5"' fit m.json --x x --y y -o o.lstm --epochs 1.5
check 2 '--validation-split takes a number from 0 to below 1, not "1"' fit m.json --x x --y y -o o.lstm --validation-split 1
check 2 '--learning-rate takes a number from 0 to 1000000, not "nan"' fit m.json --x x --y y -o o.lstm --learning-rate nan
check 2 '--clip-norm takes a number above 0' fit m.json --x x --y y -o o.lstm --clip-norm 0
check 2 '--shuffle takes one of yes, no, not "maybe"' fit m.json --x x --y y -o o.lstm --shuffle maybe
check 2 "did you mean json?" fit m.json --x x --y y -o o.lstm --log-format jsn
check 2 '--threads takes a whole number from 1 to 256, not "0"' bench --threads 0
check 2 '--x: the argument is empty' predict m.json --x "" -o y.npy
check 2 '--shape takes batch,steps,features,units' bench --shape 1,2,3
check 2 '--shape takes batch,steps,features,units' bench --shape 1,2,3,0
check 2 '--shape takes batch,steps,features,units' bench --shape 1000000,1000000,1000000,1000000
check 2 'is given twice' fit m.json --x x --y y -o o.lstm --loss huber:delta=1,delta=2

# A bench line
check 0 '"mode":"training","B":2,"T":3,"I":4,"H":5,"threads":1' bench --shape 2,3,4,5 --seconds 0.01 --format json --threads 1
check 0 'GFLOP/s' bench --shape 2,3,4,5 --shape 1,1,1,1 --seconds 0.01

# Streams
if [ -w /dev/full ]; then
    "$LSTM" help >/dev/full 2>err.txt
    [ $? -eq 3 ] || fail "a full standard output was not noticed"
    holds err.txt "standard output: No space left"
fi
"$LSTM" help >&- 2>err.txt
[ $? -eq 3 ] || fail "a closed standard output was not noticed"
holds err.txt "standard output:"
checks=$((checks + 2))
"$LSTM" nothing 2>&-
[ $? -eq 2 ] || fail "a closed standard error changed the exit code"

# Operands may stand anywhere, whatever the environment says; -- ends the options.
POSIXLY_CORRECT=1 "$LSTM" predict missing.json --x x.npy -o y.npy >out.txt 2>err.txt
[ $? -eq 3 ] || fail "POSIXLY_CORRECT changed the parsing"
holds err.txt "missing.json"
check 3 "missing.json" predict --x x.npy -o y.npy -- missing.json
check 3 "missing.json: cannot open: No such file" predict missing.json --x x.npy -o y.npy

# convert --input-shape: steps become fixed or free, parameters stay, and everything else is refused.
cat >free.json <<'END'
{"layers": [{"type": "Input", "name": "a", "shape": [null, 2]}, {"type": "Input", "name": "v", "shape": [3]},
            {"type": "LSTM", "name": "l", "inputs": ["a"], "units": 3}, {"type": "Concatenate", "inputs": ["l", "v"]},
            {"type": "Dense", "units": 1}]}
END
check 0 "" convert free.json free.lstm
check 0 "" convert free.lstm fixed.lstm --input-shape a=7,2 --input-shape v=3
check 0 "" convert fixed.lstm fixed.json
tr -d ' \n' <fixed.json >flat.json
holds flat.json '"name":"a","shape":[7,2]'
check 0 "" convert fixed.lstm again.lstm --input-shape '?,2'
check 0 "" convert again.lstm again.json
check 0 "" convert free.lstm free.json
same again.json free.json
for model in free fixed again; do
    check 0 "" convert $model.lstm $model.safetensors --naming keras
done
same free.safetensors fixed.safetensors
same free.safetensors again.safetensors
for shape in 7,3 7 7,2,1 v=4 v=3,1; do
    check 2 "only its steps can change" convert free.lstm o.lstm --input-shape $shape
done
for shape in '' 0,2 7, ,2 7x,2 -1,2 ?2,2 a= 99999999999999999999,2; do
    check 2 "--input-shape" convert free.lstm o.lstm "--input-shape=$shape"
done
check 2 "the model has no such input" convert free.lstm o.lstm --input-shape b=7,2
check 2 "the model has no such input" convert free.lstm o.lstm --input-shape 7,2 --input-shape 3 --input-shape 1
absent o.lstm
# an ONNX file whose steps are a symbol: its names go on
check 0 "" convert "${LSTM_TESTS_DIR:-$(dirname "$0")}/fuzz/corpus/onnx/zeros.onnx" zeros.lstm --input-shape x=4,1
rows 4 1 1 >x.csv
check 0 "(batch, 4, 1)" summary zeros.lstm
finish
