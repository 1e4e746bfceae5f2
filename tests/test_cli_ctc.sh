#!/bin/sh
# SPDX-License-Identifier: MIT
#
# --loss ctc of fit, evaluate and gradient: labels as a padded matrix, or with their lengths; settings; what does not fit is
# refused in words.
. "$(dirname "$0")/cli_checks.sh"

cat >model.json <<'END'
{"layers": [{"type": "Input", "shape": [6, 1]},
            {"type": "LSTM", "units": 6, "return_sequences": true},
            {"type": "Dense", "units": 3}]}
END
printf '1,1,0,0,-1,-1\n0,-1,0,1,0,0\n0,0,1,1,1,0\n-1,0,0,-1,0,0\n' >x.csv
printf '1,2\n2,1\n1,-1\n2,2\n' >y.csv
printf '1,2\n2,1\n1,9\n2,2\n' >free.csv
printf '2\n2\n1\n2\n' >counts.csv

# ---- Trained, and told in metrics
check 0 "" evaluate model.json --x x.csv --y y.csv --loss ctc --metrics label_error_rate,accuracy
cp out.txt before.txt
holds before.txt '"label_error_rate":'
check 0 "" evaluate model.json --x x.csv --y free.csv --label-lengths counts.csv --loss ctc --metrics label_error_rate,accuracy
same out.txt before.txt
check 0 "" fit model.json --x x.csv --y y.csv --loss ctc --epochs 200 --learning-rate 0.03 --metrics label_error_rate \
    --val-x x.csv --val-y free.csv --val-label-lengths counts.csv -o model.lstm
check 0 '"label_error_rate":0,' evaluate model.lstm --x x.csv --y y.csv --loss ctc --metrics label_error_rate,accuracy
holds out.txt '"accuracy":1}'
check 0 "loss" gradient model.lstm --x x.csv --y y.csv --loss ctc --batch-size 3 -o g.npz

# ---- Settings
check 0 "" evaluate model.json --x x.csv --y y.csv --loss ctc:reduction=mean_per_label
cmp -s out.txt before.txt && fail "mean_per_label is mean"
printf '0,1\n1,0\n0,-1\n1,1\n' >last.csv
check 0 "" fit model.json --x x.csv --y last.csv --loss ctc:blank=-1 --epochs 2 -o last.lstm

# ---- Refused
check 2 "is 2, which is the blank" evaluate model.json --x x.csv --y y.csv --loss ctc:blank=2
check 2 "label of sample 2, position 1 is 9" evaluate model.json --x x.csv --y free.csv --loss ctc
printf '1,1,1,1\n1,1,1,1\n1,1,1,1\n1,1,1,1\n' >long.csv
check 2 "4 labels, 3 of them equal to the one before, need 7 steps" fit model.json --x x.csv --y long.csv --loss ctc -o a.lstm
check 1 "the loss is not finite" evaluate model.json --x x.csv --y long.csv --loss ctc
check 0 '"loss":0' evaluate model.json --x x.csv --y long.csv --loss ctc:zero_infinity=true
printf '1,2\n2,1\n1,1.5\n2,2\n' >half.csv
check 2 "half.csv: the label of sample 2 is 1.5: expected a whole number" evaluate model.json --x x.csv --y half.csv --loss ctc
printf '1,2\n2,1\n' >few.csv
check 2 "few.csv: the labels of 2 samples, --x has 4" evaluate model.json --x x.csv --y few.csv --loss ctc
check 2 "blank" evaluate model.json --x x.csv --y y.csv --loss ctc:blank=x
check 2 "ctc_blank is 3" evaluate model.json --x x.csv --y y.csv --loss ctc:blank=3
check 2 "mae does not go with the loss ctc" evaluate model.json --x x.csv --y y.csv --loss ctc --metrics mae
finish
