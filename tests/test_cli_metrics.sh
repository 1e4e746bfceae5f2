#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Metrics of classes and the confusion matrix of evaluate, and metrics in fit's log.
. "$(dirname "$0")/cli_checks.sh"

cat >model.json <<'END'
{"layers": [{"type": "Input", "shape": [3]},
            {"type": "Activation", "activation": "linear"}]}
END
# predicted: 0 1 2 2 0; actual: 0 1 2 1 1
printf '2,1,0\n0,3,1\n0,0,5\n0,1,2\n1,0,0\n' >x.csv
printf '0\n1\n2\n1\n1\n' >y.csv
loss=sparse_categorical_crossentropy:from_logits=true
check 0 "" evaluate model.json --x x.csv --y y.csv --loss $loss --confusion \
    --metrics precision,recall,f1,precision_micro,f1_micro,top_5_accuracy,perplexity,bits_per_character
holds out.txt '"confusion":[[1,0,0],[1,1,1],[0,0,1]]'
holds out.txt '"precision":0.666666667,"recall":0.777777778,"f1":0.611111111,"precision_micro":0.6,"f1_micro":0.6,"top_5_accuracy":1,'
holds err.txt "actual \\ predicted"
holds err.txt "    1:  1  [1]  1 "
holds err.txt "0 (1 times)"
[ "$(wc -l <out.txt)" -eq 1 ] || fail "stdout is not one object: $(cat out.txt)"
check 0 "" evaluate model.json --x x.csv --y y.csv --loss $loss --confusion --quiet
[ -s err.txt ] && fail "--quiet printed a table"

# ---- In fit
cat >dense.json <<'END'
{"layers": [{"type": "Input", "shape": [3]}, {"type": "Dense", "units": 3}]}
END
check 0 "" fit dense.json --x x.csv --y y.csv --loss $loss --metrics f1,perplexity --val-x x.csv --val-y y.csv --epochs 2 \
    --log-format json -o dense.lstm
holds out.txt '"f1":'
holds out.txt '"val_perplexity":'

# ---- The matrix in the report of fit is that of evaluate: on validation data, on the part of --validation-split, on all
# cells: what the page shows, as "actual predicted count"
cells()
{
    grep -o 'title="[0-9]* taken for [0-9]*: [0-9.]* %">[0-9]*' "$1" | sed 's/title="//; s/ taken for / /; s/: .*>/ /'
}
# matrix: the same of the object that evaluate has printed
matrix()
{
    grep -o '"confusion":.*' out.txt | tr -d '"a-z:}[' | tr ']' '\n' | sed 's/^,//' |
        awk -F, 'NF { for (c = 1; c <= NF; c++) if ($c > 0) print r + 0, c - 1, $c; r++ }'
}
rows 40 3 3 >many.csv
awk 'BEGIN { for (k = 0; k < 40; k++) print (k * 7) % 3 }' >classes.csv
head -n 28 many.csv >first.csv
tail -n 12 many.csv >last.csv
head -n 28 classes.csv >first_y.csv
tail -n 12 classes.csv >last_y.csv
loss=sparse_categorical_crossentropy:from_logits=true
for part in "many.csv classes.csv" "many.csv classes.csv --validation-split 0.3" \
    "first.csv first_y.csv --val-x last.csv --val-y last_y.csv"; do
    set -- $part
    x=$1 y=$2
    shift 2
    check 0 "" fit dense.json --x $x --y $y "$@" --loss $loss --epochs 3 -o dense.lstm --report report.html
    [ $# -eq 0 ] || { x=last.csv y=last_y.csv; }
    check 0 "" evaluate dense.lstm --x $x --y $y --loss $loss --confusion --quiet
    checks=$((checks + 1))
    [ -n "$(cells report.html)" ] && [ "$(cells report.html)" = "$(matrix)" ] || fail "report: $(cells report.html) and $(matrix)"
    holds report.html "$([ $# -eq 0 ] && echo "40 training" || echo "12 validation") samples"
done
check 0 "" fit dense.json --x many.csv --y many.csv --epochs 1 -o dense.lstm --report report.html
grep -q "taken for" report.html && fail "a matrix of numbers that are no classes"

# ---- Refused
loss=sparse_categorical_crossentropy:from_logits=true
check 2 "a confusion matrix needs an output of classes" evaluate model.json --x x.csv --y x.csv --confusion
check 2 "the metric perplexity does not go with the loss mse" evaluate model.json --x x.csv --y x.csv --metrics perplexity
check 2 "precision" evaluate model.json --x x.csv --y y.csv --loss $loss --metrics precison
finish
