#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `lstm fit --stream` on .npy files: the bits of arrays in memory, with validation, lengths and resuming; what is refused;
# a file of 20 GB in little memory. And the two checkpoints: the best one beside the last one.
. "$(dirname "$0")/cli_checks.sh"

cat >model.json <<'END'
{"layers": [{"type": "Input", "shape": [4, 3]},
            {"type": "LSTM", "units": 3},
            {"type": "Dropout", "rate": 0.2},
            {"type": "Dense", "units": 2}]}
END
# An empty network turns CSV into .npy.
printf '{"layers": [{"type": "Input", "shape": [4, 3]}, {"type": "Activation", "activation": "linear"}]}' >x.json
printf '{"layers": [{"type": "Input", "shape": [2]}, {"type": "Activation", "activation": "linear"}]}' >y.json
rows 50 12 1 >x.csv
rows 50 2 2 >y.csv
rows 9 12 7 >vx.csv
rows 9 2 8 >vy.csv
awk 'BEGIN { for (k = 0; k < 50; k++) print 1 + k % 4 }' >lengths.csv
for name in x vx; do
    check 0 "" predict x.json --x $name.csv -o $name.npy
done
for name in y vy; do
    check 0 "" predict y.json --x $name.csv -o $name.npy
done
DATA="--x x.npy --y y.npy"

# ---- The same bits as arrays
for options in "" "--validation-split 0.2" "--val-x vx.npy --val-y vy.npy" "--lengths lengths.csv --shuffle no" \
    "--early-stopping 2 --validation-split 0.3 --threads 2" "--steps 7"; do
    epochs="--epochs 4"
    case $options in *--steps*) epochs="" ;; esac
    check 0 "" fit model.json $DATA $epochs $options -o a.lstm
    check 0 "" fit model.json $DATA $epochs $options -o b.lstm --stream --report report.html
    same a.lstm b.lstm
done
check 0 "" fit model.json $DATA --epochs 5 --validation-split 0.2 -o a.lstm --checkpoint a.ckpt
check 0 "" fit model.json $DATA --epochs 2 --validation-split 0.2 -o b.lstm --stream --checkpoint b.ckpt
check 0 "epoch 5/5" fit model.json $DATA --epochs 5 --validation-split 0.2 -o b.lstm --stream --checkpoint b.ckpt \
    --resume b.ckpt
same a.lstm b.lstm
same a.ckpt b.ckpt
: >log.txt
"$LSTM" fit model.json $DATA --epochs 100000000 --stream --checkpoint i.ckpt -o n.lstm --log-steps >log.txt 2>err.txt &
pid=$!
while [ "$(head -c 2000 log.txt | wc -l)" -lt 20 ] && kill -0 $pid 2>/dev/null; do :; done
kill -TERM $pid
wait $pid
[ $? -eq 130 ] || fail "an interrupted fit --stream ended with another code than 130"
steps=$(grep -c '"step"' log.txt)
check 0 "" fit model.json $DATA --stream --steps $((steps + 5)) -o i.lstm --resume i.ckpt
check 0 "" fit model.json $DATA --steps $((steps + 5)) -o j.lstm
same i.lstm j.lstm

# ---- What is refused
for option in "mask x.npy" "sample-weights y.csv" "folds 2" "find-rate r.html" "label-lengths y.csv"; do
    check 2 "--stream and --${option%% *} exclude each other" fit model.json $DATA --stream -o n.lstm --$option
done
check 2 "--stream takes --x FILE" fit model.json --x input=x.npy --y y.npy --stream -o n.lstm
check 2 "x.csv: no .npy file" fit model.json --x x.csv --y y.npy --stream -o n.lstm
check 3 "absent.npy" fit model.json --x absent.npy --y y.npy --stream -o n.lstm
check 2 "vy.npy has 9 samples, x.npy has 50" fit model.json --x x.npy --y vy.npy --stream -o n.lstm
check 2 "y.npy: shape (50, 2), input" fit model.json --x y.npy --y y.npy --stream -o n.lstm
check 2 "(50,)" fit model.json $DATA --lengths vy.csv --stream -o n.lstm
absent n.lstm

# ---- 20 GB in memory that would not hold them: a file without blocks, of which three batches are read
npy "(5242880, 4, 256)" >big.npy
npy "(5242880, 2)" >big_y.npy
printf '{"layers": [{"type": "Input", "shape": [4, 256]}, {"type": "LSTM", "units": 4}, {"type": "Dense", "units": 2}]}' \
    >big.json
if truncate -s $((128 + 5242880 * 4 * 256 * 4)) big.npy 2>truncate.txt; then
    truncate -s $((128 + 5242880 * 2 * 4)) big_y.npy
    limit=unlimited
    (ulimit -v 2000000; "$LSTM" --version >/dev/null 2>&1) && limit=2000000 # sanitizers ask for more
    (ulimit -v $limit; "$LSTM" fit big.json --x big.npy --y big_y.npy --steps 3 --stream --threads 1 --quiet -o big.lstm \
        >out.txt 2>err.txt) || fail "20 GB: $(cat err.txt)"
    checks=$((checks + 1))
    rm big.npy big_y.npy
else
    echo "20 GB skipped: $(cat truncate.txt)"
fi

# ---- The best checkpoint: that of the last one of a run which ends there
check 0 "" fit model.json $DATA --epochs 30 --validation-split 0.2 --learning-rate 0.2 --log-format json -o a.lstm \
    --checkpoint last.ckpt --checkpoint-best best.ckpt --checkpoint-every 1000
best=$(awk -F'"val_loss":' '{ split($2, part, ","); if (NR == 1 || part[1] + 0 < least) { least = part[1] + 0; at = NR } }
    END { print at }' out.txt)
check 0 "" fit model.json $DATA --epochs "$best" --validation-split 0.2 --learning-rate 0.2 -o b.lstm --checkpoint here.ckpt \
    --checkpoint-every 0
same here.ckpt best.ckpt
check 0 "" predict b.lstm --x x.npy -o of_model.npy # a checkpoint is a model too
check 0 "" predict best.ckpt --x x.npy -o of_checkpoint.npy
same of_model.npy of_checkpoint.npy
check 0 "" convert best.ckpt best.lstm
check 0 "" predict best.lstm --x x.npy -o of_copy.npy
same of_model.npy of_copy.npy
check 0 "epoch 30/30" fit model.json $DATA --epochs 30 --validation-split 0.2 --learning-rate 0.2 -o b.lstm --resume best.ckpt
same a.lstm b.lstm
check 2 "would be written twice" fit model.json $DATA --checkpoint a.ckpt --checkpoint-best a.ckpt -o n.lstm
check 2 "checkpoint-every" fit model.json $DATA --checkpoint a.ckpt --checkpoint-every -1 -o n.lstm
finish
