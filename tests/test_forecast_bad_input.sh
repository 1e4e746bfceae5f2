#!/bin/sh
# SPDX-License-Identifier: MIT
#
# lstm forecast on bad input: each mistake has its message and exit code, and nothing is left behind.
. "$(dirname "$0")/cli_checks.sh"

# days FILE ROWS: a daily series with a weekly wave, columns date,value,other; 2020-01-01 on
days()
{
    awk -v rows="$2" 'BEGIN {
        print "date,value,other"
        split("31 29 31 30 31 30 31 31 30 31 30 31", length_of, " ")
        month = 1; day = 1; year = 2020
        for (r = 0; r < rows; r++) {
            printf "%d-%02d-%02d,%.3f,%.3f\n", year, month, day, 10 + sin(r * 6.2831853 / 7) + 0.3 * sin(r * r), cos(r)
            if (++day > length_of[month]) { day = 1; if (++month > 12) { month = 1; year++; length_of[2] = 28 } }
        }
    }' >"$1"
}

# bad TEXT CODE FILE ARGUMENTS...: the run must fail so and write neither model nor report
bad()
{
    text=$1
    expected=$2
    shift 2
    check "$expected" "$text" forecast "$@" -o out.lstm --report out.html
    absent out.lstm
    absent out.html
    checks=$((checks + 1))
    [ -z "$(find . -newer stamp -name 'out*' ! -name out.txt)" ] || fail "lstm forecast $*: something was left: $(ls)"
}

days good.csv 200
touch stamp

# The file itself
bad "missing.csv" 3 missing.csv --target value
: >empty.csv
bad "empty.csv: the file is empty" 2 empty.csv --target value
printf 'date,value\n' >header.csv
bad "no rows" 2 header.csv --target value
tail -n +2 good.csv >no_header.csv
bad "expected a header line" 2 no_header.csv --target value
sed '10s/$/,7/' good.csv >ragged.csv
bad "line 10 has 4 fields, the header has 3" 2 ragged.csv --target value
sed '11s/,[^,]*$//' good.csv >short.csv
bad "line 11 has 2 fields, the header has 3" 2 short.csv --target value
sed '20s/,[^,]*,/,abc,/' good.csv >text.csv
bad 'text.csv: line 20, column "value": "abc" is not a number' 2 text.csv --target value
sed '21s/,[^,]*,/,NaN,/' good.csv >nan.csv
bad 'nan.csv: line 21, column "value": the value is missing or no number' 2 nan.csv --target value
sed '22s/,[^,]*,/,,/' good.csv >hole.csv
bad 'hole.csv: line 22, column "value": the value is missing or no number' 2 hole.csv --target value
sed '23s/,[^,]*,/,inf,/' good.csv >infinite.csv
bad 'infinite.csv: line 23, column "value": "inf"' 2 infinite.csv --target value
sed '24s/,[^,]*$/,NA/' good.csv >other.csv
bad 'other.csv: line 24, column "other": the value is missing or no number' 2 other.csv --target value
sed '25s/value//;1s/other/value/' good.csv >twice.csv
bad 'both called "value"' 2 twice.csv --target value
sed '26s/^[^,]*/2020-02-30/' good.csv >no_date.csv
bad 'line 26, column "date": "2020-02-30" is a date that does not exist' 2 no_date.csv --target value
sed '27s/^[^,]*/soon/' good.csv >soon.csv
bad 'line 27, column "date": "soon" is not a date' 2 soon.csv --target value

# The order of rows
sed '30p' good.csv >duplicate.csv
bad 'duplicate.csv: line 31, column "date": 2020-01-29 is there twice (line 30 has it too)' 2 duplicate.csv --target value
awk 'NR == 40 { held = $0; next } { print } NR == 41 { print held }' good.csv >unsorted.csv
bad 'unsorted.csv: line 41, column "date": 2020-02-08 comes after 2020-02-09 (line 40)' 2 unsorted.csv --target value
awk 'BEGIN { print "year,value" } { print 2000 + NR % 90 "," NR * 1.5 }' good.csv >years.csv
bad 'line 91, column "year": 2000 comes after 2089 (line 90)' 2 years.csv --target value

# Columns
bad 'no column "valeu" (--target), did you mean "value"?; the columns are: date, value, other' 2 good.csv --target valeu
bad 'no column "x" (--features)' 2 good.csv --target value --features other,x
bad 'no column "when" (--date)' 2 good.csv --target value --date when
bad 'column "date" is the time column' 2 good.csv --target date
bad "has an empty part" 2 good.csv --target value --features other,
awk -F, 'NR == 1 { print $0 ",sky" } NR > 1 { print $0 (NR % 2 ? ",sun" : ",rain") }' good.csv >sky.csv
bad 'column "sky" holds text, not numbers' 2 sky.csv --target sky
bad 'column "sky" holds text, not numbers' 2 sky.csv --target value --features sky
bad 'column "sky" (--date) holds text' 2 sky.csv --target value --date sky
awk -F, -v OFS=, 'NR > 1 { $2 = 5 } { print }' good.csv >constant.csv
bad 'column "value" has the same value (5) in every row' 2 constant.csv --target value
awk -F, -v OFS=, 'NR > 1 && NR < 190 { $2 = 5 } { print }' good.csv >late.csv
bad 'column "value" has the same value (5) in the whole training part' 2 late.csv --target value

# Rows
head -n 31 good.csv >few.csv
bad "few.csv: 30 rows, but window 32 and horizon 1 need at least 59" 2 few.csv --target value
head -n 2 good.csv >one.csv
bad "one.csv: 1 row, but window 32 and horizon 1" 2 one.csv --target value
bad "good.csv: 200 rows, but window 32 and horizon 150" 2 good.csv --target value --horizon 150

# Logarithms
awk -F, -v OFS=, 'NR == 150 { $2 = -36.98 } { print }' good.csv >negative.csv
bad 'negative.csv: line 150 (2020-05-28), column "value": -36.98 has no logarithm' 2 negative.csv --target value \
    --transform log-return
bad 'no season was found' 2 good.csv --target other --features none --transform seasonal

# Options
bad "--target COLUMN" 2 good.csv
check 2 "-o MODEL.lstm" forecast good.csv --target value
check 2 "" forecast --target value -o out.lstm
bad "horizon" 2 good.csv --target value --horizon 0
bad "window" 2 good.csv --target value --window 0
bad "validation" 2 good.csv --target value --validation 0
bad "test" 2 good.csv --target value --test 0.9
bad "transform" 2 good.csv --target value --transform levels
check 3 "no_folder" forecast good.csv --target value -o no_folder/out.lstm
check 3 "no_folder" forecast good.csv --target value -o out.lstm --report no_folder/out.html
absent out.lstm
check 2 "out.xyz" forecast good.csv --target value -o out.xyz

# Saved models
check 0 "" forecast good.csv --target value --features other --epochs 1 --networks 1 -q -o good.lstm
check 3 "missing.lstm" forecast --model missing.lstm good.csv
check 2 "good.csv" forecast --model good.csv good.csv
head -c 3000 good.lstm >cut.lstm
check 2 "cut.lstm" forecast --model cut.lstm good.csv
cut -d, -f1,2 good.csv >narrow.csv
check 2 'no column "other", which the model needs; the columns are: date, value' forecast --model good.lstm narrow.csv
cut -d, -f2,3 good.csv >dateless.csv
check 2 'no column "date", which the model needs' forecast --model good.lstm dateless.csv
head -n 20 good.csv >tiny.csv
check 2 "tiny.csv: 19 rows, but the model needs the latest 3" forecast --model good.lstm tiny.csv
check 2 'line 22, column "value"' forecast --model good.lstm hole.csv
check 2 "--window belongs to training" forecast --model good.lstm good.csv --window 8
check 2 "written as .csv" forecast --model good.lstm good.csv -o out.lstm
check 2 'good.lstm forecasts "value", not "other"' forecast --model good.lstm good.csv --target other
printf '{"layers":[{"type":"Input","shape":[4,1]},{"type":"LSTM","units":2}]}' >plain.json
check 2 "no forecasting recipe" forecast --model plain.json good.csv
absent out.lstm
check 0 "" forecast good.csv --target value --features none --transform log-return --epochs 1 --networks 1 -q -o log.lstm
awk -F, -v OFS=, 'NR == 195 { $2 = 0 } { print }' good.csv >zero.csv
check 2 'zero.csv: line 195, column "value": 0 has no logarithm' forecast --model log.lstm zero.csv

finish
