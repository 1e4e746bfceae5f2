#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `lstm fit`: every optimizer, schedule and loss by its name, sample and class weights, regularised and frozen layers, and
# resuming with all of it.
. "$(dirname "$0")/cli_checks.sh"

cat >model.json <<'END'
{"layers": [{"type": "Input", "shape": [4, 1]},
            {"type": "LSTM", "units": 3},
            {"type": "Dense", "units": 2}]}
END
rows 50 4 1 >x.csv
rows 50 2 2 >y.csv
awk 'BEGIN { for (k = 0; k < 50; k++) print k % 2 }' >classes.csv
awk 'BEGIN { for (k = 0; k < 50; k++) print k < 40 ? 1 : 0 }' >weights.csv
awk 'BEGIN { for (k = 0; k < 50; k++) print 1 }' >ones.csv
awk 'BEGIN { for (k = 0; k < 50; k++) print k % 2 ? 3 : 1 }' >threes.csv
DATA="--x x.csv --y y.csv"

# ---- Optimizers
for optimizer in adagrad:initial_accumulator_value=0 adadelta:rho=0.9,epsilon=1e-6 adamax:beta_1=0.8 nadam radam \
    lion:beta_2=0.9,weight_decay=0.01 lbfgs:max_iter=3,history_size=4 adam:use_ema=true,ema_momentum=0.9 \
    sgd:gradient_accumulation_steps=2 adagrad:profile=torch,lr_decay=0.1 nadam:profile=torch,momentum_decay=0.01 \
    radam:profile=torch,decoupled_weight_decay=true; do
    check 0 "" fit model.json $DATA --optimizer $optimizer -o o.lstm
done
check 2 'lion has no option "epsilon"' fit model.json $DATA --optimizer lion:epsilon=1 -o n.lstm
check 0 "" fit model.json $DATA --epochs 2 --ema 0.9 --accumulate 2 -o o.lstm
check 0 "" fit model.json $DATA --epochs 2 -o plain.lstm
cmp -s o.lstm plain.lstm && fail "--ema and --accumulate change nothing"

# ---- Schedules
for schedule in constant:warmup_steps=3 step:step_size=2,gamma=0.5 exponential:decay_steps=3,decay_rate=0.7 \
    exponential:steps=3,factor=0.7,staircase=true cosine:steps=4,alpha=0.1,warmup_steps=2,warmup_start=0.0001 \
    cosine_restarts:first_decay_steps=2,t_mul=1,m_mul=0.5 one_cycle:total_steps=9,max_lr=0.1,anneal_strategy=linear \
    plateau:patience=0,factor=0.5,min_lr=1e-5; do
    check 0 "" fit model.json $DATA --epochs 3 --schedule $schedule -o s.lstm
    cmp -s s.lstm plain.lstm && fail "--schedule $schedule changes nothing"
done
check 2 'exponential has no option "alpha"' fit model.json $DATA --schedule exponential:alpha=1 -o n.lstm
check 2 'did you mean warmup_steps' fit model.json $DATA --schedule cosine:steps=3,warmup_step=1 -o n.lstm
check 2 'steps is 0: cosine needs at least 1' fit model.json $DATA --schedule cosine -o n.lstm
check 2 'did you mean "cosine"' fit model.json $DATA --schedule cosin -o n.lstm
check 2 'callback is something for programs' fit model.json $DATA --schedule callback -o n.lstm
check 2 '"patience" takes a whole number' fit model.json $DATA --schedule plateau:patience=x -o n.lstm
printf '{"name": "sgd", "learning_rate": {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.0,
 "decay_steps": 8, "alpha": 0.1, "warmup_target": 0.2, "warmup_steps": 3}}}' >cosine.json
check 0 "" fit model.json $DATA --epochs 3 --optimizer cosine.json -o a.lstm
check 0 "" fit model.json $DATA --epochs 3 --optimizer sgd:lr=0.2 \
    --schedule cosine:steps=8,alpha=0.1,warmup_steps=3 -o b.lstm
same a.lstm b.lstm

# ---- Losses
for loss in mape msle log_cosh cosine_similarity hinge squared_hinge categorical_hinge kl_divergence quantile:q=0.9 \
    mse:reduction=sum huber:delta=2,reduction=weighted_mean; do
    check 0 "" fit model.json $DATA --loss $loss -o o.lstm
done
for loss in binary_focal_crossentropy:from_logits=true,gamma=0,alpha=0.3,apply_class_balancing=true \
    categorical_focal_crossentropy:from_logits=true,label_smoothing=0.1 binary_crossentropy:from_logits=true,label_smoothing=0.1; do
    check 0 "" fit model.json --x x.csv --y y.csv --loss $loss -o o.lstm
done
sed 's/"units": 2/"units": 2, "activation": "softplus"/' model.json >positive.json
check 0 "" fit positive.json $DATA --loss poisson -o o.lstm
check 0 "" fit model.json --x x.csv --y classes.csv --loss gaussian_nll -o o.lstm --metrics mae
check 0 "" fit model.json --x x.csv --y classes.csv --loss quantile:quantiles=0.1/0.9 -o o.lstm
check 0 '"loss":' evaluate o.lstm --x x.csv --y classes.csv --loss quantile:quantiles=0.1/0.9
check 2 'class numbers' fit model.json $DATA --loss sparse_categorical_crossentropy -o n.lstm
check 2 'numbers between 0 and 1' fit model.json $DATA --loss quantile:q=2 -o n.lstm
check 2 'mse has no option "delta"' fit model.json $DATA --loss mse:delta=2 -o n.lstm
check 2 '"label_smoothing" takes a number from 0 to below 1' fit model.json $DATA --loss bce:label_smoothing=1 -o n.lstm

# ---- Weights
SPARSE="--loss scce:from_logits=true"
check 0 "" fit model.json --x x.csv --y y.csv -o a.lstm --sample-weights ones.csv
check 0 "" fit model.json --x x.csv --y y.csv -o b.lstm
same a.lstm b.lstm
check 0 "" fit model.json --x x.csv --y y.csv -o b.lstm --sample-weights weights.csv
cmp -s a.lstm b.lstm && fail "--sample-weights changes nothing"
check 0 "" fit model.json --x x.csv --y classes.csv $SPARSE -o a.lstm --class-weights 1,3
check 0 "" fit model.json --x x.csv --y classes.csv $SPARSE -o b.lstm --sample-weights threes.csv
same a.lstm b.lstm
check 0 '"loss":' evaluate a.lstm --x x.csv --y classes.csv $SPARSE --sample-weights weights.csv
check 2 'class 1: expected' fit model.json --x x.csv --y classes.csv $SPARSE -o n.lstm --class-weights 1
check 2 'expected a number from 0 on' fit model.json --x x.csv --y classes.csv $SPARSE -o n.lstm --class-weights 1,-1
rows 9 1 1 >few.csv
check 2 'sample weights are (50,)' fit model.json $DATA -o n.lstm --sample-weights few.csv

# ---- Regularisers, constraints, rates: in the description, and what they do
cat >held.json <<'END'
{"layers": [{"type": "Input", "shape": [4, 1]},
            {"type": "LSTM", "units": 3, "kernel_regularizer": "l2", "recurrent_regularizer": {"class_name": "L1L2",
             "config": {"l1": 0.01, "l2": 0.02}}, "bias_constraint": "NonNeg", "kernel_constraint": {"class_name": "MaxNorm",
             "config": {"max_value": 0.5, "axis": 0}}, "learning_rate_factor": 0.5},
            {"type": "Dense", "units": 2, "trainable": false}]}
END
check 0 "" fit held.json $DATA --epochs 3 -o h.lstm
check 0 "" fit held.json $DATA -o h.json
holds h.json '"L1L2"'
holds h.json '"max_value": 0.5'
holds h.json '"NonNeg"'
holds h.json '"trainable": false'
holds h.json '"learning_rate_factor": 0.5'
printf '{"layers": [{"type": "Input", "shape": [4, 1]}, {"type": "Dense", "units": 2, "recurrent_regularizer": "l2"}]}' >no.json
check 2 'recurrent_regularizer' fit no.json $DATA -o n.lstm
printf '{"layers": [{"type": "Input", "shape": [4, 1]}, {"type": "LSTM", "units": 2, "kernel_regularizer": "L3"}]}' >no.json
check 2 'expected L1, L2 or L1L2' fit no.json $DATA -o n.lstm

# ---- Noise
check 0 "" fit model.json $DATA --epochs 3 --weight-noise 0.05 --gradient-noise 0.01 -o w.lstm
check 0 "" fit model.json $DATA --epochs 3 -o v.lstm
cmp -s w.lstm v.lstm && fail "--weight-noise and --gradient-noise change nothing"
check 0 "" fit model.json $DATA --epochs 1 --weight-noise 0.05 --optimizer adam:gradient_noise=0.01 -o w1.lstm --checkpoint w.ckpt
check 0 "" fit model.json $DATA --epochs 3 --weight-noise 0.05 --gradient-noise 0.01 -o w3.lstm --resume w.ckpt
same w.lstm w3.lstm
check 2 'another weight noise' fit model.json $DATA --epochs 3 --weight-noise 0.06 --gradient-noise 0.01 -o n.lstm --resume w.ckpt
check 2 'another gradient noise' fit model.json $DATA --epochs 3 --weight-noise 0.05 -o n.lstm --resume w.ckpt
check 2 'not for L-BFGS' fit model.json $DATA --weight-noise 0.05 --optimizer lbfgs -o n.lstm
check 0 '"gradient_norm":' fit model.json $DATA --log-format json -o w.lstm

# ---- Resuming with all of it
ALL="--optimizer nadam:use_ema=true,ema_momentum=0.8,gradient_accumulation_steps=3 --schedule plateau:patience=0,factor=0.5"
ALL="$ALL --sample-weights weights.csv --batch-size 7"
check 0 "" fit held.json $DATA $ALL --epochs 6 -o six.lstm
check 0 "" fit held.json $DATA $ALL --epochs 2 -o r.lstm --checkpoint r.ckpt
check 0 "" fit held.json $DATA $ALL --epochs 4 -o r.lstm --checkpoint r.ckpt --resume r.ckpt
check 0 "" fit held.json $DATA $ALL --epochs 6 -o r.lstm --checkpoint r.ckpt --resume r.ckpt
same six.lstm r.lstm
check 2 'another schedule' fit held.json $DATA $ALL --schedule cosine:steps=3 --epochs 7 -o n.lstm --resume r.ckpt
check 0 "" fit model.json $DATA --optimizer lbfgs:max_iter=3,history_size=2 --epochs 6 -o six.lstm
check 0 "" fit model.json $DATA --optimizer lbfgs:max_iter=3,history_size=2 --epochs 3 -o r.lstm --checkpoint r.ckpt
check 0 "" fit model.json $DATA --optimizer lbfgs:max_iter=3,history_size=2 --epochs 6 -o r.lstm --resume r.ckpt
same six.lstm r.lstm
check 2 'another' fit model.json $DATA --optimizer lbfgs:max_iter=3,history_size=3 --epochs 7 -o n.lstm --resume r.ckpt

# ---- Folds, walking forward, the range test
check 0 "mean" fit model.json $DATA --epochs 2 --folds 5 -o f.lstm --metrics mae
check 0 "" fit model.json $DATA --epochs 2 -o plain.lstm --metrics mae
same f.lstm plain.lstm # the model itself is trained on everything
"$LSTM" fit model.json $DATA --epochs 2 --walk-forward 4 --log-format json -q -o f.lstm >json.txt 2>err.txt || fail "--walk-forward: $(cat err.txt)"
[ "$(grep -c '"fold":' json.txt)" -eq 4 ] || fail "expected four folds: $(cat json.txt)"
grep -q '"folds":4,.*"val_loss":.*"val_loss_sd":' json.txt || fail "no mean of four folds: $(cat json.txt)"
tail -n 10 x.csv >x5.csv; tail -n 10 y.csv >y5.csv; head -n 40 x.csv >x40.csv; head -n 40 y.csv >y40.csv
"$LSTM" fit model.json --x x40.csv --y y40.csv --val-x x5.csv --val-y y5.csv --epochs 2 --log-format json -q -o f.lstm | tail -n 1 |
    sed 's/.*"val_loss":\([^,]*\),.*/\1/' >last.txt
grep '"fold":4,' json.txt | grep -qF "\"val_loss\":$(cat last.txt)" || fail "the last fold is not the last fifth: $(cat last.txt json.txt)"
check 2 'does not go with --folds' fit model.json $DATA --folds 3 --validation-split 0.2 -o n.lstm
check 2 'exclude each other' fit model.json $DATA --folds 3 --walk-forward 3 -o n.lstm
check 2 '99 folds of 50 samples' fit model.json $DATA --folds 99 -o n.lstm
check 0 '"steepest":' fit model.json $DATA --find-rate rate.html
holds rate.html "learning rate"
check 2 'fit needs -o OUT' fit model.json $DATA
absent n.lstm
finish
