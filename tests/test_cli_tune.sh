#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `lstm tune`: the same result for any number of processes and after being killed at any time; what is wrong with a space
# is told by its key; the ablation switches off what it says.
. "$(dirname "$0")/cli_checks.sh"

cat >model.json <<'END'
{"layers": [{"type": "Input", "shape": [6, 1]},
            {"type": "LSTM", "units": 6, "kernel_regularizer": "l2"},
            {"type": "Dropout", "rate": 0.3},
            {"type": "Dense", "units": 1}]}
END
cat >space.json <<'END'
{"learning-rate": {"log_uniform": [1e-4, 1e-1]}, "batch-size": [8, 16], "lstm.units": {"log_int": [2, 8]},
 "dropout.rate": {"uniform": [0, 0.5]}, "lstm.kernel_regularizer": [null, {"class_name": "L1L2", "config": {"l2": 0.1}}],
 "schedule": [null, "cosine:steps=20"]}
END
rows 60 6 1 >x.csv
rows 60 1 3 >y.csv
DATA="--x x.csv --y y.csv --validation-split 0.3 --seed 5"
results() { grep -v '"seconds"' "$1/trials.json"; }
equal()
{
    checks=$((checks + 1))
    results "$1" >a.txt
    results "$2" >b.txt
    cmp -s a.txt b.txt || fail "the trials of $1 and $2 differ"
    same "$1/best.lstm" "$2/best.lstm"
}

# ---- Any number of processes, and the report
HALVING="--space space.json $DATA --epochs 9 --method halving --trials 9"
check 0 "" tune model.json $HALVING -o one -j 1
check 0 "val_loss" tune model.json $HALVING -o many -j 3 --threads 2
equal one many
holds one/report.html "What mattered"
holds one/report.html "<svg"
holds one/report.html "lstm.units"
check 0 '"loss":' evaluate one/best.lstm --x x.csv --y y.csv
check 0 "" tune model.json $HALVING -o one -j 1   # nothing is left to do
equal one many
[ "$(grep -c '"planned": 9' one/trials.json)" -eq 1 ] || fail "one trial of nine was to reach epoch 9"
[ "$(grep -c '"planned": 1$' one/trials.json)" -eq 9 ] || fail "nine trials were to train for one epoch"

# ---- The best trial by hand is the best trial
line=$(grep -o 'lstm fit one/trial-[^<]*' one/report.html | sed "s/&#39;//g")
check 0 "" ${line#lstm }
same one/best.lstm "$(echo "$line" | sed 's/.*--output=//; s/ .*//')"

# ---- Killed at any time, and interrupted
LONG="--space space.json $DATA --epochs 243 --method halving --trials 9 -j 2"
check 0 "" tune model.json $LONG -o whole
mkdir broken
for k in 1 3 5 8 10 12; do # kill it once so many rungs of trials are done
    "$LSTM" tune model.json $LONG -o broken >/dev/null 2>&1 &
    victim=$!
    until [ "$(cat broken/trials.json 2>/dev/null | grep -c planned)" -ge $k ]; do
        kill -0 $victim 2>/dev/null || break
    done
    if [ $((k % 2)) -eq 0 ]; then kill -KILL $victim 2>/dev/null; else kill -TERM $victim 2>/dev/null; fi
    wait $victim
    code=$?
    checks=$((checks + 1))
    case "$k $code" in
    *" 0" | *" 3") ;; # it was done before, or orphans of the one before still held the folder
    *[02468]" 137" | *[13579]" 130") ;;
    *[13579]" 143") ;; # the signal came before the search had begun
    *) fail "a search killed after $k rungs ended with $code" ;;
    esac
done
n=0
until "$LSTM" tune model.json $LONG -o broken >/dev/null 2>err.txt; do # its orphans may still be there
    n=$((n + 1))
    [ $n -lt 200 ] || { fail "the killed search cannot be taken up: $(cat err.txt)"; break; }
done
equal whole broken

# ---- What is in a folder is not mixed with something else
check 2 'made with another space' tune model.json $HALVING -o one --space /dev/stdin <<'END'
{"batch-size": [8]}
END
check 2 'made with another set of options' tune model.json $HALVING -o one --batch-size 3
check 2 'made with another seed' tune model.json $HALVING -o one --seed 6
check 2 'made with another method' tune model.json $HALVING -o one --method random
echo '{"lstm_tune": 1, ' >cut.json && mkdir -p cut && mv cut.json cut/trials.json
check 2 'cut/trials.json: line' tune model.json $HALVING -o cut

# ---- More trials later; Hyperband; another objective
RANDOM_SEARCH="--space space.json $DATA --epochs 2 --method random"
check 0 "" tune model.json $RANDOM_SEARCH --trials 3 -o more
check 0 "" tune model.json $RANDOM_SEARCH --trials 6 -o more
check 0 "" tune model.json $RANDOM_SEARCH --trials 6 -o six
equal more six
check 0 '"trial":' tune model.json --space space.json $DATA --epochs 4 --method hyperband --eta 2 --metrics mae \
    --objective val_mae --log-format json -o hyper
check 2 'neither loss nor one of --metrics' tune model.json $RANDOM_SEARCH --objective val_mae -o n

# ---- Spaces with a mistake
wrong()
{
    echo "$1" >bad.json
    check 2 "$2" tune model.json --space bad.json $DATA -o n
}
wrong '{"learning_rate": [1]}' 'bad.json: "learning_rate" is no option of `lstm fit`; did you mean learning-rate?'
wrong '{"lstm.unit": [1]}' 'unknown option "unit"; did you mean "units"?'
wrong '{"lsmt.units": [1]}' 'no layer "lsmt"; did you mean lstm?'
wrong '{"dropout.rate": {"unifrom": [0, 1]}}' 'no range "unifrom"; did you mean uniform?'
wrong '{"dropout.rate": {"uniform": [0, 1.5]}}' 'rate is 1.5: expected 0 <= rate < 1'
wrong '{"lstm.units": {"int": [0.5, 8]}}' '"int" takes [low, high], whole numbers'
wrong '{"learning-rate": {"log_uniform": [0, 1]}}' 'numbers with 0 < low < high'
wrong '{"batch-size": ["x"]}' 'bad.json: "batch-size" asks for it'
wrong '{"optimizer": ["adm"]}' 'did you mean "adam"?'
wrong '{"loss": ["mae"]}' 'cannot be searched'
wrong '{"batch-size": []}' 'nothing to choose from'
wrong '{"batch-size": [1], "batch-size": [2]}' 'duplicate'
wrong '[]' 'expected an object'
absent n/trials.json
check 2 'needs validation data' tune model.json --space space.json --x x.csv --y y.csv -o n
check 2 'either --space SPACE.json or --ablate' tune model.json $DATA -o n

# ---- A trial that fails is told and loses; data that cannot be read end the search
echo '{"learning-rate": [0.01, 1e6]}' >wild.json
check 0 'trial' tune model.json --space wild.json $DATA --optimizer sgd --trials 6 --epochs 3 -o wild
holds wild/trials.json 'is not finite'
check 3 'none.csv' tune model.json --space space.json --x none.csv --y y.csv --validation-split 0.3 -o gone

# ---- Ablation: three regularisers, eight variants, two seeds
check 0 "without dropout: rate 0.3" tune model.json --ablate $DATA --epochs 4 --early-stopping 2 --seeds 2 -o ablation
[ "$(grep -c '"variant"' ablation/trials.json)" -eq 16 ] || fail "expected 16 trials of the ablation"
holds ablation/report.html "only early-stopping 2"
holds ablation/picture.svg "<svg xmlns"
holds ablation/picture.svg "{fill:#0072b2;fill:var(--c0)}" # viewers without CSS variables too
grep -A2 '"Dropout"' ablation/trial-4.json | grep -q '"rate": 0.0' && fail "trial 4 is without early stopping, not dropout"
sed -n '/"Dropout"/,/}/p' ablation/trial-2.json | grep -q '"rate": 0.0' || fail "none: Dropout is still on"
grep -q regularizer ablation/trial-2.json && fail "none: the penalty is still there"
check 0 "label smoothing 0.1" tune model.json --ablate $DATA --epochs 1 --seeds 1 \
    --loss bce:label_smoothing=0.1,from_logits=true -o smooth
printf '{"layers": [{"type": "Input", "shape": [6, 1]}, {"type": "LSTM", "units": 2}, {"type": "Dense", "units": 1}]}' >bare.json
printf '{"name": "adamw", "weight_decay": 0.02, "use_ema": true, "ema_momentum": 0.95}' >adamw.json
for optimizer in adamw.json "adamw:weight_decay=0.02,use_ema=true,ema_momentum=0.95"; do
    check 0 "without weight-decay 0.02" tune bare.json --ablate $DATA --epochs 2 --seeds 1 --optimizer "$optimizer" -o "named"
    holds out.txt "without ema 0.95"
    holds out.txt "only ema 0.95"
    # what is switched off is off: "none" is plain Adam
    "$LSTM" tune bare.json --ablate $DATA --epochs 2 --seeds 1 --optimizer adam --weight-decay 0.02 --ema 0.95 -o plain \
        >plain.txt 2>/dev/null
    checks=$((checks + 1))
    [ "$(grep '^none' out.txt)" = "$(grep '^none' plain.txt)" ] || fail "none: $(grep '^none' out.txt plain.txt)"
    rm -r named plain
done
check 0 "without weight-decay default" tune bare.json --ablate $DATA --epochs 1 --seeds 1 --optimizer adamw --ema 0.9 -o named
check 2 'nothing to switch off' tune bare.json --ablate $DATA -o n
finish
