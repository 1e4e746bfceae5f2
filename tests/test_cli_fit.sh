#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `lstm fit`: logs, validation, optimizers and their files, checkpoints and resuming, interruption, and what stays when
# something goes wrong.
. "$(dirname "$0")/cli_checks.sh"

cat >model.json <<'END'
{"layers": [{"type": "Input", "shape": [4, 1]},
            {"type": "LSTM", "units": 3},
            {"type": "Dropout", "rate": 0.2},
            {"type": "Dense", "units": 2}]}
END
rows 50 4 1 >x.csv
rows 50 2 2 >y.csv
rows 9 4 7 >vx.csv
rows 9 2 8 >vy.csv
DATA="--x x.csv --y y.csv"

# ---- Logs
check 0 "epoch 2/2  loss " fit model.json $DATA --epochs 2 -o a.lstm
holds err.txt "wrote a.lstm"
[ -s out.txt ] && fail "fit wrote to standard output without being asked"
check 0 '{"epoch":2,"loss":' fit model.json $DATA --epochs 2 -o b.lstm --log-format json --quiet
same a.lstm b.lstm
[ -s err.txt ] && fail "--quiet was not quiet"
check 0 '"val_loss":' fit model.json $DATA --val-x vx.csv --val-y vy.csv -o v.lstm --log-format json
holds out.txt '"seconds":'
check 0 '"val_mae":' fit model.json $DATA --validation-split 0.2 --metrics mae,rmse -o v.lstm --log-format json
holds out.txt '"rmse":'
check 0 '{"step":7,"loss":' fit model.json $DATA --steps 7 --shuffle no --log-steps -o s.lstm
[ "$(grep -c '"step"' out.txt)" -eq 7 ] || fail "7 steps gave $(grep -c '"step"' out.txt) lines"
check 0 "" fit model.json $DATA --epochs 2 -o t.lstm --threads 1 --quiet
same a.lstm t.lstm
check 0 "" fit model.json $DATA --epochs 2 -o seed.lstm --seed 5 --quiet
cmp -s a.lstm seed.lstm && fail "--seed changes nothing"
check 0 "" fit model.json $DATA -o d.json
holds d.json '"LSTM"'
check 0 "" summary d.json
check 0 "Dense" summary a.lstm
check 0 '"loss":' evaluate a.lstm $DATA
check 0 "" predict a.lstm --x vx.csv -o p.npy
check 0 "" gradient a.lstm $DATA -o g.npz
check 0 "" gradient a.lstm $DATA -o g2.npz --seed 9
same g.npz g2.npz # no dropout in gradients

# ---- Early stopping
check 0 "stopped after epoch" fit model.json $DATA --epochs 50 --early-stopping 1 --learning-rate 5 -o e.lstm

# ---- On a terminal: a bar that is drawn over itself, and what stays of it
if command -v script >/dev/null && script -qec true /dev/null >/dev/null 2>&1; then
    script -qec "env TERM=xterm LC_ALL=C COLUMNS=70 '$LSTM' fit model.json $DATA --epochs 3 -o a.lstm" /dev/null \
        </dev/null >terminal.txt
    holds terminal.txt 'epoch 1/3 '
    holds terminal.txt '-----'
    holds terminal.txt ' left'
    holds terminal.txt 'epoch 3/3  loss '
    script -qec "env TERM=xterm COLUMNS=30 '$LSTM' fit model.json $DATA --epochs 3 -o a.lstm" /dev/null \
        </dev/null >terminal.txt
    awk 'BEGIN { RS = "\r|\n" } /left/ { gsub(/\033\[[0-9]*[mK]/, ""); if (length($0) > 30) exit 1 }' terminal.txt ||
        fail "the bar is wider than the terminal"
    script -qec "env TERM=xterm NO_COLOR=1 '$LSTM' fit" /dev/null </dev/null >terminal.txt
    grep -q '\[31m' terminal.txt && fail "NO_COLOR was ignored"
    script -qec "env -u NO_COLOR TERM=xterm '$LSTM' fit" /dev/null </dev/null >terminal.txt
    holds terminal.txt '[31mlstm:'
fi

# ---- Report
check 0 "" fit model.json $DATA --epochs 3 --validation-split 0.2 --metrics mae -o a.lstm --report report.html
holds report.html "<svg"
holds report.html "val_mae"
holds report.html "</html>"
check 3 "no_folder" fit model.json $DATA -o n.lstm --report no_folder/report.html
check 2 "would be written twice" fit model.json $DATA -o n.lstm --report n.lstm

# ---- Optimizers
for optimizer in sgd sgd:momentum=0.9,nesterov=true rmsprop:rho=0.8,centered=true adam:lr=0.01,amsgrad=true \
    adamw:weight_decay=0 adam:beta_1=0 adam:clipnorm=1 adam:use_ema=false,weight_decay=null; do
    check 0 "" fit model.json $DATA --optimizer $optimizer -o o.lstm
done
for clip in --clip-norm --global-clip-norm --clip-value; do
    check 0 "" fit model.json $DATA $clip 0.1 -o o.lstm
done
printf '{"name": "adam", "learning_rate": 0.01, "weight_decay": null, "clipnorm": 0.05, "global_clipnorm": null,
 "clipvalue": null, "use_ema": false, "ema_momentum": 0.99, "ema_overwrite_frequency": null, "loss_scale_factor": null,
 "gradient_accumulation_steps": null, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07, "amsgrad": false}' >keras.json
printf '{"module": "keras.optimizers", "class_name": "SGD", "config": {"name": "SGD", "learning_rate": 0.1}}' >class.json
printf '{"name": "adam", "lr": 0.001, "betas": [0.9, 0.999], "eps": 1e-08, "weight_decay": 0, "amsgrad": false,
 "maximize": false, "foreach": null, "capturable": false, "differentiable": false, "fused": null,
 "decoupled_weight_decay": false}' >torch.json
printf '{"name": "sgd", "learning_rate": {"class_name": "ExponentialDecay"}}' >schedule.json
printf '{"name": "adam", "use_ema": true}' >ema.json
printf '{"name": "adam", "gradient_accumulation_steps": 2}' >accumulate.json
printf '{"learning_rate": 1}' >nameless.json
printf '{"name": "adam", ' >cut.json
printf '[1]' >list.json
for file in keras class torch; do
    check 0 "" fit model.json $DATA --optimizer $file.json -o o.lstm
done
check 2 'schedule.json: a schedule is {"class_name"' fit model.json $DATA --optimizer schedule.json -o n.lstm
check 0 "" fit model.json $DATA --optimizer ema.json -o o.lstm
check 0 "" fit model.json $DATA --optimizer accumulate.json -o o.lstm
check 2 'lbfgs has no option "clipnorm"' fit model.json $DATA --optimizer lbfgs:clipnorm=1 -o n.lstm
check 2 '"max_iter" takes a whole number from 1 on, not 0' fit model.json $DATA --optimizer lbfgs:max_iter=0 -o n.lstm
check 0 "" fit model.json $DATA --optimizer lbfgs:line_search_fn=strong_wolfe -o w.lstm
check 2 "strong_wolfe or null" fit model.json $DATA --optimizer lbfgs:line_search_fn=armijo -o n.lstm
check 2 'nameless.json: does not say which optimizer' fit model.json $DATA --optimizer nameless.json -o n.lstm
check 2 'cut.json: line 1' fit model.json $DATA --optimizer cut.json -o n.lstm
check 2 'list.json: expected an object' fit model.json $DATA --optimizer list.json -o n.lstm
check 3 'gone.json: No such file' fit model.json $DATA --optimizer gone.json -o n.lstm
check 2 'adam has no option "momentum"' fit model.json $DATA --optimizer adam:momentum=0.9 -o n.lstm
check 2 'did you mean learning_rate' fit model.json $DATA --optimizer adam:learningrate=0.9 -o n.lstm
check 2 '"nesterov" takes true or false, not 1' fit model.json $DATA --optimizer sgd:nesterov=1 -o n.lstm
check 2 '"lr" takes a number from 0 on, not -1' fit model.json $DATA --optimizer sgd:lr=-1 -o n.lstm
check 2 '--optimizer' fit model.json $DATA --optimizer adamm -o n.lstm
check 2 'only one of clipnorm' fit model.json $DATA --optimizer adam:clipnorm=1,clipvalue=1 -o n.lstm
check 2 'only one of --clip-norm' fit model.json $DATA --clip-norm 1 --clip-value 1 -o n.lstm

# ---- Wrong use
check 2 "go together" fit model.json $DATA --val-x vx.csv -o n.lstm
check 2 "exclude each other" fit model.json $DATA --val-x vx.csv --val-y vy.csv --validation-split 0.1 -o n.lstm
check 2 "exclude each other" fit model.json $DATA --epochs 2 --steps 2 -o n.lstm
check 2 "would be written twice" fit model.json $DATA --checkpoint n.lstm -o n.lstm
check 2 "models are written as .lstm" fit model.json $DATA -o n.hdf5
check 2 "models are written as" fit model.json $DATA -o n.model
check 3 "no_folder" fit model.json $DATA -o no_folder/n.lstm
check 3 "no_folder" fit model.json $DATA --checkpoint no_folder/c -o n.lstm
check 3 "gone.ckpt" fit model.json $DATA --resume gone.ckpt -o n.lstm
printf 'not a checkpoint' >bad.ckpt
check 2 "bad.ckpt" fit model.json $DATA --resume bad.ckpt -o n.lstm
printf 'a\n' >none.csv
check 2 "" fit model.json --x none.csv --y none.csv -o n.lstm

printf '1,2\n3,nan\n' | cat - y.csv | head -50 >nan.csv
check 2 "nan.csv: line 2" fit model.json --x x.csv --y nan.csv -o n.lstm

# ---- The work fails: the loss becomes infinite
rows 50 2 2 | sed 's/[0-9]\.[0-9]*/1e30/g' >huge.csv
check 1 "" fit model.json --x x.csv --y huge.csv --optimizer sgd --learning-rate 1000 --epochs 9 -o n.lstm
absent n.lstm

# ---- Resuming: 2 + 2 + 2 equal 6, in epochs and in steps, bit for bit
check 0 "" fit model.json $DATA --epochs 6 -o six.lstm --validation-split 0.2
check 0 "" fit model.json $DATA --epochs 2 -o r.lstm --validation-split 0.2 --checkpoint r.ckpt
check 0 "" fit model.json $DATA --epochs 4 -o r.lstm --validation-split 0.2 --checkpoint r.ckpt --resume r.ckpt
check 0 "epoch 6/6" fit model.json $DATA --epochs 6 -o r.lstm --validation-split 0.2 --checkpoint r.ckpt --resume r.ckpt
same six.lstm r.lstm
check 0 "nothing was left to train: 6 epochs were done before" fit model.json $DATA --epochs 6 -o r.lstm \
    --validation-split 0.2 --resume r.ckpt
same six.lstm r.lstm
check 0 "goes on with the checkpoint's learning rate, 0.001; 0.1 is not used" fit model.json $DATA --epochs 7 -o rate.lstm \
    --validation-split 0.2 --resume r.ckpt --learning-rate 0.1
check 2 "another batch size" fit model.json $DATA --epochs 7 -o n.lstm --validation-split 0.2 --resume r.ckpt --batch-size 8
check 0 "" fit model.json $DATA --steps 11 -o six.lstm
check 0 "" fit model.json $DATA --steps 3 -o r.lstm --checkpoint r.ckpt
check 0 "" fit model.json $DATA --steps 11 -o r.lstm --resume r.ckpt
same six.lstm r.lstm
printf '{"layers": [{"type": "Input", "shape": [4, 1]}, {"type": "LSTM", "units": 2}]}' >other.json
check 2 "r.ckpt" fit other.json $DATA --resume r.ckpt -o n.lstm

# ---- Interruption: SIGTERM ends after the update under way with 130, the checkpoint stays and is good for going on
: >log.txt
"$LSTM" fit model.json $DATA --epochs 100000000 --checkpoint i.ckpt -o n.lstm --log-steps >log.txt 2>err.txt &
pid=$!
while [ "$(head -c 2000 log.txt | wc -l)" -lt 20 ] && kill -0 $pid 2>/dev/null; do :; done
kill -TERM $pid
wait $pid
[ $? -eq 130 ] || fail "an interrupted fit ended with another code than 130"
checks=$((checks + 1))
holds err.txt "i.ckpt: go on with"
absent n.lstm
steps=$(grep -c '"step"' log.txt)
check 0 "" fit model.json $DATA --steps $((steps + 5)) -o i.lstm --resume i.ckpt
check 0 "" fit model.json $DATA --steps $((steps + 5)) -o j.lstm
same i.lstm j.lstm
ls | grep -q '\.[A-Za-z0-9]\{6\}$' && fail "temporary files stayed: $(ls)"

# ---- Disk full: the old file stays
cp six.lstm old.lstm
(ulimit -f 1; trap '' XFSZ; "$LSTM" fit model.json $DATA -o old.lstm --quiet >out.txt 2>err.txt)
[ $? -eq 3 ] || fail "a write that failed did not end with 3"
checks=$((checks + 1))
same six.lstm old.lstm
finish
