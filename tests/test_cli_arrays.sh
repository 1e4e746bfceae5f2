#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Commands that read and write arrays: summary, predict, evaluate, gradient; every way in which shapes and files can be
# wrong, with the exit code and the words of the message.
. "$(dirname "$0")/cli_checks.sh"

cat >model.json <<'END'
{"profile": "keras",
 "layers": [{"type": "Input", "shape": [4, 1]},
            {"type": "LSTM", "units": 3},
            {"type": "Dense", "units": 2}]}
END
cat >sequence.json <<'END'
{"layers": [{"type": "Input", "shape": [null, 2]},
            {"type": "LSTM", "units": 3, "return_sequences": true},
            {"type": "Dense", "units": 1}]}
END
cat >two.json <<'END'
{"layers": [{"type": "Input", "shape": [3, 1], "name": "left"},
            {"type": "LSTM", "units": 2, "name": "a"},
            {"type": "Input", "shape": [3, 2], "name": "right"},
            {"type": "LSTM", "units": 2, "name": "b", "inputs": ["right"]}]}
END
rows 6 4 1 >x.csv
rows 6 2 2 >y.csv
rows 6 3 2 >bad.csv
rows 5 2 2 >short.csv
rows 6 6 3 >steps3.csv
rows 6 3 4 >sy.csv
rows 6 3 5 >left.csv
rows 6 6 6 >right.csv
for k in 0 1 1 0 1 0; do echo $k; done >classes.csv
for k in 0 1 2 0 1 0; do echo $k; done >toobig.csv

# ---- summary
check 0 "lstm   LSTM   (batch, 3)     input          60" summary model.json
holds out.txt "(batch, 4, 1)"
holds out.txt "(batch, 2)"
holds out.txt "Parameters  68 (272 B)"
holds out.txt "batch of 32"
holds out.txt "to train"
check 0 "(batch, steps, 2)" summary sequence.json --steps 7
holds out.txt "of 7 steps"
check 0 "right" summary two.json --batch-size 1

# ---- a first row of CSV with something missing or infinite is a row, not a header that is left out
for odd in NA nan '' '"NaN"'; do
    printf '1,%s,3,4\n5,6,7,8\n' "$odd" >odd.csv
    check 2 'odd.csv: line 1, column "1": the value is missing' predict model.json --x odd.csv -o odd.npy
done
for odd in inf -inf 1e999; do
    printf '1,%s,3,4\n5,6,7,8\n' "$odd" >odd.csv
    check 2 'odd.csv: line 1, column "1": ' predict model.json --x odd.csv -o odd.npy
done
# ---- numbers with decimal commas, or between spaces
printf '1,5;2;3;4\n5;6;7;8\n' >odd.csv
check 0 'line 1 is taken for a header: "1,5" is no number' predict model.json --x odd.csv -o odd.npy
printf '1,5;2;3;4\n5,5;6;7;8\n' >odd.csv
check 2 'numbers, as 1.5, between commas, semicolons or tabs' predict model.json --x odd.csv -o odd.npy
printf '1 2 3 4\n5 6 7 8\n' >odd.txt
check 2 'numbers, as 1.5, between commas, semicolons or tabs' predict model.json --x odd.txt -o odd.npy
# ---- predict: npy, npz, csv; the three agree, and a file of ours is read back as an input
check 0 "wrote y.npy: 6 samples" predict model.json --x x.csv -o y.npy
check 0 "" predict model.json --x x.csv -o y.csv.csv
check 0 "" predict model.json --x x.csv -o y.npz
check 0 "" predict model.json --x x.csv -o y.safetensors
check 0 "" predict model.json --x x.csv -o again.npy --threads 2 --quiet
same y.npy again.npy
[ -s err.txt ] && fail "--quiet was not quiet"
holds y.csv.csv "y0_0,y0_1"
[ "$(wc -l <y.csv.csv)" -eq 7 ] || fail "y.csv.csv does not have 7 lines"
for file in y.npy y.npz y.safetensors y.csv.csv; do
    check 0 '"loss":0,' evaluate model.json --x x.csv --y $file --metrics mae
    holds out.txt '"samples":6'
    holds out.txt '"mae":0}'
done
check 0 "" predict sequence.json --x steps3.csv -o s.npy
check 0 "" predict sequence.json --x steps3.csv -o s.csv
[ "$(head -1 s.csv)" = "y0_0,y0_1,y0_2" ] || fail "three steps became $(head -1 s.csv)"
check 0 "" predict two.json --x left.csv --x right.csv -o both.npz
check 0 '"loss":0' evaluate two.json --x left.csv --x right.csv --y both.npz
check 2 "holds one array, there are 2" predict two.json --x left.csv --x right.csv -o both.npy
check 0 "" predict model.json --x x.csv -o seeded.npy --seed 7
cmp -s y.npy seeded.npy && fail "--seed does not change the parameters of a description"
check 0 "" predict model.json --x x.csv -o seeded2.npy --seed 7
same seeded.npy seeded2.npy

# ---- shapes
check 2 "bad.csv: shape (6, 3), the model's input \"input\" takes (samples, 4, 1)" predict model.json --x bad.csv -o n.npy
check 2 "short.csv: 5 samples, but x.csv has 6" evaluate model.json --x x.csv --y short.csv
check 2 "bad.csv: shape (6, 3), the model's output \"dense\" takes (samples, 2)" evaluate model.json --x x.csv --y bad.csv
check 2 "class numbers: (samples,)" evaluate model.json --x x.csv --y y.csv --loss sparse_categorical_crossentropy
check 2 'the model has 1 input ("input"), but 2 arrays were given' predict model.json --x x.csv --x x.csv -o n.npy
check 2 'the model has 2 inputs ("left", "right"), but 1 array was given' predict two.json --x left.csv -o n.npz
check 2 "takes (samples, steps, 2)" predict sequence.json --x s.npy -o n.npy
check 2 "shape (6, 3, 1)" predict sequence.json --x s.npy -o n.npy
absent n.npy

# ---- evaluate
check 0 '"accuracy":' evaluate model.json --x x.csv --y classes.csv --metrics accuracy \
    --loss sparse_categorical_crossentropy:from_logits=true
check 2 "" evaluate model.json --x x.csv --y toobig.csv --loss sparse_categorical_crossentropy:from_logits=true
check 2 "--metrics" evaluate model.json --x x.csv --y y.csv --metrics acuracy
check 2 "--loss" evaluate model.json --x x.csv --y y.csv --loss msee
check 2 'mse has no option "delta"' evaluate model.json --x x.csv --y y.csv --loss mse:delta=2
check 2 "\"delta\" takes a number above 0" evaluate model.json --x x.csv --y y.csv --loss huber:delta=0
check 2 "expected key=value" evaluate model.json --x x.csv --y y.csv --loss huber:delta
check 0 '"loss":' evaluate model.json --x x.csv --y y.csv --loss huber:delta=2

# ---- numbers that are none
one='\000\000\200\077'
nan='\000\000\300\177'
npy '(1, 4, 1)' $one $one $nan $one >nan.npy
npy '(1, 4, 1)' $one $one $one $one >ones.npy
npy '(1, 2)' $one $nan >nany.npy
npy '(1, 2)' $one $one >onesy.npy
check 0 "warning: nan.npy: nan at (0, 2, 0), counted from 0" predict model.json --x nan.npy -o p.npy
check 2 "nan.npy: nan at (0, 2, 0), counted from 0: every number must be finite" evaluate model.json --x nan.npy --y onesy.npy
check 2 "nany.npy: nan at (0, 1)" evaluate model.json --x ones.npy --y nany.npy
check 0 '"samples":1' evaluate model.json --x ones.npy --y onesy.npy
npy '(0, 4, 1)' >none.npy
check 0 "0 samples" predict model.json --x none.npy -o p0.npy
check 2 "holds no sample" evaluate model.json --x none.npy --y p0.npy
npy '(4,)' $one $one $one $one >flat.npy
npy '()' $one >scalar.npy
check 2 "shape (4,)" predict model.json --x flat.npy -o n.npy
check 2 "scalar.npy" predict model.json --x scalar.npy -o n.npy

# ---- CSV: separators, quotes, a header or none, a byte-order mark
printf '\357\273\277a;b;c;d\r\n1;1;1;1\r\n' >semicolon.csv
printf '1\t1\t1\t1\n' >tab.tsv
printf '"1","1",1,1\n' >quoted.csv
check 0 "" predict model.json --x ones.npy -o p1.npy
for file in semicolon.csv tab.tsv quoted.csv; do
    check 0 "" predict model.json --x $file -o p2.npy
    same p1.npy p2.npy
done

# ---- gradient
check 0 "loss " gradient model.json --x x.csv --y y.csv -o g.npz
check 0 "" gradient model.json --x x.csv --y y.csv -o g3.npz --batch-size 4
check 0 "6 parameters, 2 inputs" gradient two.json --x left.csv --x right.csv --dy y.csv --dy y.csv -o g2.npz
check 2 "either --y (with --loss) or --dy" gradient model.json --x x.csv -o n.npz
check 2 "either --y (with --loss) or --dy" gradient model.json --x x.csv --y y.csv --dy y.csv -o n.npz
check 2 "--loss belongs to --y" gradient model.json --x x.csv --dy y.csv --loss mae -o n.npz
check 2 "holds one array, there are" gradient model.json --x x.csv --y y.csv -o n.npy
check 2 "the model's output \"dense\" takes (samples, 2)" gradient model.json --x x.csv --dy bad.csv -o n.npz
absent n.npz

# ---- files
printf 'a,b\n1,2\n3,x\n' >text.csv
printf 'a,b\n1,2\n3\n' >ragged.csv
printf 'd,b\n2020-01-01,2\n2020-01-02,3\n' >dates.csv
: >empty.csv
: >empty.npy
printf '\223NUMPY\001\000' >cut.npy
printf '{"layers": [' >broken.json
printf '{"layers": [{"type": "LSMT", "units": 2}]}' >typo.json
printf '{"layers": [{"type": "Input", "shape": [2, 1]}, {"type": "LSTM", "unit": 2}]}' >key.json
mkdir folder
check 3 "missing.npy" predict model.json --x missing.npy -o n.npy
check 3 "missing.csv" predict model.json --x missing.csv -o n.npy
check 3 "missing.lstm" predict missing.lstm --x x.csv -o n.npy
check 2 "empty.csv" predict model.json --x empty.csv -o n.npy
check 2 "empty.npy" predict model.json --x empty.npy -o n.npy
check 2 "cut.npy" predict model.json --x cut.npy -o n.npy
check 2 "text.csv" predict model.json --x text.csv -o n.npy
check 2 "ragged.csv" predict model.json --x ragged.csv -o n.npy
check 2 'dates.csv: column "d" holds dates' predict model.json --x dates.csv -o n.npy
check 2 "broken.json" summary broken.json
check 2 "LSTM" summary typo.json
check 2 "units" summary key.json
check 2 "x.csv" summary x.csv
check 2 "arrays are written as .npy, .npz, .safetensors or .csv" predict model.json --x x.csv -o n.txt
check 3 "no_folder" predict model.json --x x.csv -o no_folder/n.npy
check 3 "folder.npy" predict model.json --x x.csv -o folder.npy/n.npy
mkdir folder.npy
check 3 "Is a directory" predict model.json --x x.csv -o folder.npy
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked && chmod 555 locked
    check 3 "Permission denied" predict model.json --x x.csv -o locked/n.npy
    chmod 755 locked
fi
absent n.npy
finish
