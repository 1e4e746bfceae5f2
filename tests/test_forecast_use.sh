#!/bin/sh
# SPDX-License-Identifier: MIT
#
# lstm forecast at work on series made here: what it chooses, what it says, what it writes, and that it says the same again.
. "$(dirname "$0")/cli_checks.sh"

# series FILE ROWS FORMULA: rows "date,value" of consecutive days; FORMULA is awk's, of the row number t and of a random
# walk w and noise e (from a generator of its own, the same everywhere)
series()
{
    awk -v rows="$2" 'BEGIN {
        print "date,value"
        split("31 28 31 30 31 30 31 31 30 31 30 31", length_of, " ")
        month = 1; day = 1; year = 2001; state = 12345; w = 0
        for (t = 0; t < rows; t++) {
            e = -6
            for (k = 0; k < 12; k++) { state = (state * 16807) % 2147483647; e += state / 2147483647 }
            w += e
            printf "%d-%02d-%02d,%.6f\n", year, month, day, '"$3"'
            if (++day > length_of[month]) {
                day = 1
                if (++month > 12) { month = 1; year++; length_of[2] = year % 4 == 0 ? 29 : 28 }
            }
        }
    }' >"$1"
}
quick="--epochs 8 --networks 2"

# A wave is learned, and better than all simple methods that know nothing of it
series wave.csv 700 '20 + 5 * sin(t * 0.3) * sin(t * 0.3) + 3 * sin(t * 0.3) + 0.2 * e'
check 0 "transform: level" forecast wave.csv --target value --epochs 30 --networks 2 -o wave.lstm --report wave.html
holds out.txt "The network beats repeating the last value of value"
holds out.txt "Errors of value in the test part (2002-08-19 to 2002-12-01, 105 forecasts of 1 step)"
holds out.txt "2002-12-02"
holds err.txt "700 rows, 2001-01-01 to 2002-12-01, daily"
for text in "<svg" "prefers-color-scheme:dark" "The data and its split" "Loss while training" "How the errors are spread" \
    "Autocorrelation of the errors" "linear autoregression" "sha256" "liblstm" "lstm forecast wave.csv --target value"; do
    holds wave.html "$text"
done
checks=$((checks + 1))
if grep -qE "<script|https?://|<link|@import|nan" wave.html; then fail "the report needs the network, a script, or shows nan"; fi
if command -v sha256sum >/dev/null; then
    holds wave.html "$(sha256sum wave.csv | cut -d' ' -f1)"
fi

# A random walk is not, and that is said
series walk.csv 900 'w'
check 0 "transform: diff" forecast walk.csv --target value $quick -o walk.lstm
checks=$((checks + 1))
grep -qE "does not beat|treat it as no better" out.txt || fail "a random walk: $(cat out.txt)"

# Growth in proportion: logarithms; a value below zero forbids them, with a reason
series growth.csv 600 '100 * exp(0.004 * t + 0.01 * w)'
check 0 "transform: log-return" forecast growth.csv --target value $quick -o growth.lstm
sed '595s/,.*/,-36.98/' growth.csv >negative.csv
check 0 "line 595 (2002-08-17) holds -36.98, which has no logarithm" forecast negative.csv --target value $quick -o n.lstm
holds err.txt "transform: diff"

# A season on a trend; several steps; months
awk -F, 'NR == 1 { print } NR > 1 { m = NR - 2; printf "%d-%02d-15,%s\n", 1950 + int(m / 12), m % 12 + 1, $2 }' \
    growth.csv | sed 1d | awk -F, 'BEGIN { print "date,value" } { printf "%s,%.4f\n", $1, 300 + 0.1 * NR + 0.0001 * NR * NR \
    + 3 * sin(NR * 6.2831853 / 12) + 0.1 * sin(NR * NR) }' >months.csv
check 0 "transform: seasonal" forecast months.csv --target value --horizon 12 $quick -o months.lstm --report months.html
holds err.txt "season: year (12 rows)"
holds err.txt "monthly"
holds out.txt "seasonal naive + drift"
holds out.txt "2000-01-15"
holds out.txt "2000-12-15"
holds months.html "Error by step ahead"

# Working days go on after the weekend
awk 'BEGIN { print "date,value"; for (k = 0; k < 400; k++) { d = k + 2 * int(k / 5); printf "%s,%.4f\n", d, 10 + sin(k * k) } }' \
    >days.txt
awk -F, 'NR == 1 { print; next } { split("31 29 31 30 31 30 31 31 30 31 30 31 31 28 31 30 31 30 31 31 30 31 30 31", l, " ")
    n = $1 + 5; m = 1; while (n >= l[m]) { n -= l[m]; m++ } printf "%d-%02d-%02d,%s\n", 2020 + int((m - 1) / 12),
    (m - 1) % 12 + 1, n + 1, $2 }' days.txt >workdays.csv
check 0 "daily, Monday to Friday" forecast workdays.csv --target value --horizon 2 $quick -o workdays.lstm
holds out.txt "2021-07-19"
holds out.txt "2021-07-20"

# The same again, with any number of threads, line ends and separators
check 0 "" forecast wave.csv --target value $quick --seed 7 -q -o a.lstm
cp out.txt first.txt
check 0 "" forecast wave.csv --target value $quick --seed 7 -q --threads 1 -o b.lstm
same out.txt first.txt
same a.lstm b.lstm
printf '\357\273\277' >dos.csv
sed 's/$/\r/' wave.csv >>dos.csv
check 0 "" forecast dos.csv --target value $quick --seed 7 -q -o b.lstm
same out.txt first.txt
tr , ';' <wave.csv >semicolon.csv
check 0 "" forecast semicolon.csv --target value $quick --seed 7 -q -o b.lstm
same out.txt first.txt

# A saved model forecasts what it did when it was made, and goes on from other rows
check 0 "" forecast --model a.lstm wave.csv -o ahead.csv --report ahead.html
sed -n '/^Forecast of/,/^$/p' first.txt | sed -n 4p >expected.txt
grep 2002-12-02 out.txt >found.txt
checks=$((checks + 1))
[ "$(sed -n '/2002-12-02/p' first.txt)" = "$(cat found.txt)" ] || fail "the saved model: $(cat found.txt first.txt)"
holds ahead.csv "date,value,low_80,high_80,low_95,high_95"
holds ahead.csv "2002-12-02,"
holds ahead.html "<svg"
head -n 101 wave.csv >earlier.csv
check 0 "2001-04-11" forecast --model a.lstm earlier.csv
check 0 "" forecast --model months.lstm months.csv -o months_ahead.csv
checks=$((checks + 1))
[ "$(wc -l <months_ahead.csv)" -eq 13 ] || fail "12 months and a header: $(cat months_ahead.csv)"
awk -F, 'NR == 1 || NR % 2' wave.csv >gaps.csv
check 0 "but the model was trained on rows daily" forecast --model a.lstm gaps.csv

# Intervals of a series that is calm and wild by turns are wide after a wild window
series turns.csv 1500 'v += e * (t % 200 < 100 ? 1 : 6)'
check 0 "" forecast turns.csv --target value $quick --transform diff -q -o turns.lstm
head -n 1401 turns.csv >wild.csv
head -n 1301 turns.csv >calm.csv
for part in wild calm; do
    check 0 "" forecast --model turns.lstm $part.csv -q -o $part.ahead.csv
done
checks=$((checks + 1))
awk -F, 'FNR == 2 { for (k = 3; k <= 6; k++) { d = $k - $2; width[FILENAME, k] = d < 0 ? -d : d } }
    END { for (k = 3; k <= 6; k++) if (!(width["wild.ahead.csv", k] > 3 * width["calm.ahead.csv", k])) exit 1 }' \
    wild.ahead.csv calm.ahead.csv || fail "intervals do not follow the spread: $(cat wild.ahead.csv calm.ahead.csv)"

# Of a long file, some of the windows
series dated.csv 60000 'sin(t * 0.7) + 0.1 * e'
cut -d, -f2 dated.csv >long.csv
check 0 "training on every 3. window" forecast long.csv --target value --window 4 --units 4 --epochs 1 --networks 1 -o l.lstm

# Columns: text is passed over, features are chosen and told, names are escaped
awk -F, 'NR == 1 { print $0 ",sky,<b>x&\"" } NR > 1 { print $0 (NR % 2 ? ",sun," : ",rain,") NR % 5 }' wave.csv |
    sed '1s/<b>x&"/"<b>x\&"""/' >columns.csv
check 0 "not used: sky (text)" forecast columns.csv --target value $quick -o c.lstm --report c.html
holds err.txt "columns: "
check 0 "" forecast columns.csv --target '<b>x&"' --features value $quick -q -o c.lstm --report c.html
holds c.html '&lt;b&gt;x&amp;&quot;'
checks=$((checks + 1))
if grep -q '<b>x' c.html; then fail "a column's name is not escaped"; fi
check 0 "" forecast --model c.lstm columns.csv -o c.csv
holds c.csv 'date,"<b>x&""",low_80'

# No dates at all, and dates that are told to be ignored
cut -d, -f2 wave.csv >plain.csv
check 0 "row by row, without dates" forecast plain.csv --target value $quick -o p.lstm
holds out.txt "row 701"
sed '30p' wave.csv >repeated.csv
check 0 "row by row, without dates" forecast repeated.csv --target value --date none $quick -o p.lstm

# By hand: each transform and loss
for transform in level none diff log-return window-last seasonal log-seasonal; do
    check 0 "asked for with --transform" forecast months.csv --target value --transform $transform --horizon 3 --epochs 1 \
        --networks 1 -o t.lstm
    check 0 "" forecast --model t.lstm months.csv
done
for loss in huber mae; do
    check 0 "" forecast wave.csv --target value --loss $loss --epochs 1 --networks 1 -q -o t.lstm
done
check 0 '{"epoch":1,"loss":' forecast wave.csv --target value --epochs 1 --networks 1 --log-format json -o t.lstm

# Interrupted: nothing is written
"$LSTM" forecast wave.csv --target value --epochs 100000 --patience 100000 --units 64 --networks 1 -o i.lstm 2>err.txt &
process=$!
while ! grep -q "poch" err.txt && kill -0 $process 2>/dev/null; do :; done
kill -TERM $process
wait $process
code=$?
checks=$((checks + 1))
[ $code -eq 130 ] || fail "an interrupted run ended with $code: $(tail -n 2 err.txt)"
absent i.lstm

finish
