#!/bin/sh
# SPDX-License-Identifier: MIT
#
# --lengths and --mask of fit, evaluate and predict: padding changes nothing, lengths and the mask that says the same agree, and
# what does not fit is refused in words. --tbptt.
. "$(dirname "$0")/cli_checks.sh"

cat >model.json <<'END'
{"layers": [{"type": "Input", "shape": [3, 1]},
            {"type": "LSTM", "units": 4},
            {"type": "Dense", "units": 1}]}
END
printf '0.5,0.25,9\n-1,0,0\n0.75,9,9\n1,0.5,-0.25\n' >x.csv
printf '0.5,0.25,-7\n-1,0,0\n0.75,3,5\n1,0.5,-0.25\n' >other.csv
printf '1\n0\n-1\n0.5\n' >y.csv
printf '2\n3\n1\n3\n' >lengths.csv
printf '1,1,0\n1,1,1\n1,0,0\n1,1,1\n' >mask.csv
printf '2\n3\n1\n' >three.csv
printf '2\n3\n4\n3\n' >long.csv
printf '2\n3\n-1\n3\n' >negative.csv
printf '1,1,2\n1,1,1\n1,0,0\n1,1,1\n' >numbers.csv

# ---- The same whatever the padding holds, and however it is told
check 0 "" predict model.json --x x.csv --lengths lengths.csv -o a.csv
check 0 "" predict model.json --x other.csv --lengths lengths.csv -o b.csv
check 0 "" predict model.json --x x.csv --mask mask.csv -o c.csv
check 0 "" predict model.json --x x.csv -o d.csv
cmp -s a.csv b.csv || fail "padding changed a prediction"
cmp -s a.csv c.csv || fail "the mask differs from the lengths"
cmp -s a.csv d.csv && fail "lengths had no effect"
check 0 "" evaluate model.json --x x.csv --y y.csv --lengths lengths.csv
cp out.txt one.txt
check 0 "" evaluate model.json --x other.csv --y y.csv --mask mask.csv
cmp -s out.txt one.txt || fail "padding changed a loss"
check 0 "" fit model.json --x x.csv --y y.csv --lengths lengths.csv --val-x x.csv --val-y y.csv --val-mask mask.csv \
    --epochs 2 -o a.lstm
check 0 "" fit model.json --x other.csv --y y.csv --mask mask.csv --val-x other.csv --val-y y.csv --val-lengths lengths.csv \
    --epochs 2 -o b.lstm
check 0 "" predict a.lstm --x x.csv --lengths lengths.csv -o a.csv
check 0 "" predict b.lstm --x x.csv --lengths lengths.csv -o b.csv
[ -s a.csv ] || fail "no prediction"

# ---- Sequences in pieces: all steps at once are plain training, and a run may stop and go on
cat >pieces.json <<'END'
{"layers": [{"type": "Input", "shape": [3, 1]},
            {"type": "LSTM", "units": 4, "return_sequences": true},
            {"type": "Dense", "units": 1}]}
END
check 0 "" fit pieces.json --x x.csv --y other.csv --epochs 4 -o a.lstm
check 0 "" fit pieces.json --x x.csv --y other.csv --epochs 4 -o b.lstm --tbptt 3
cmp -s a.lstm b.lstm || fail "one piece of all steps differs from plain training"
check 0 "" fit pieces.json --x x.csv --y other.csv --epochs 4 -o b.lstm --recompute
cmp -s a.lstm b.lstm || fail "recomputation changes the result"
check 0 "" fit pieces.json --x x.csv --y other.csv --epochs 4 -o a.lstm --tbptt 1,2 --log-steps
[ "$(grep -c '"step"' out.txt)" = 12 ] || fail "not three updates an epoch"
check 0 "" fit pieces.json --x x.csv --y other.csv --epochs 2 -o b.lstm --tbptt 1,2 --checkpoint t.ckpt
check 0 "" fit pieces.json --x x.csv --y other.csv --epochs 4 -o b.lstm --tbptt 1,2 --resume t.ckpt
cmp -s a.lstm b.lstm || fail "resumed training in pieces differs"
check 2 'another tbptt' fit pieces.json --x x.csv --y other.csv --epochs 6 -o n.lstm --tbptt 1,3 --resume t.ckpt
for wrong in 0 2,1 x 1,2,3; do
    check 2 'expected K1 or K1,K2 with 1 <= K1 <= K2' fit pieces.json --x x.csv --y other.csv -o n.lstm --tbptt $wrong
done
check 2 'layer "lstm" (LSTM) needs its sequence whole' fit model.json --x x.csv --y y.csv -o n.lstm --tbptt 1

# ---- Refused
check 2 "three.csv: shape (3, 1): --lengths takes one array (4,)" predict model.json --x x.csv --lengths three.csv -o a.csv
check 2 "the length of sample 2 is 4: expected 0 to 3" predict model.json --x x.csv --lengths long.csv -o a.csv
check 2 "the length of sample 2 is -1" predict model.json --x x.csv --lengths negative.csv -o a.csv
check 2 "numbers.csv: value 2 is 2: expected 0 or 1" predict model.json --x x.csv --mask numbers.csv -o a.csv
finish
