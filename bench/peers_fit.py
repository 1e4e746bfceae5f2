#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One epoch of the tutorial model, and one prediction of one sample, by liblstm and by the peers that are installed, taking turns.

    python3 -m venv /tmp/tf && /tmp/tf/bin/pip install tensorflow-cpu keras
    python3 -m venv /tmp/jax && /tmp/jax/bin/pip install jax keras
    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch numpy
    env -u OPENBLAS_CORETYPE python3 bench/peers_fit.py --bench build/release/bench/bench_fit \\
        --python /tmp/tf/bin/python --python /tmp/jax/bin/python --python /tmp/torch/bin/python

28 steps of 1 feature, LSTM 32, Dense 10, mean squared error, Adam, 2048 samples in shuffled batches of 32, float32. Each interpreter
runs what it has: a loop in PyTorch, Keras' fit on TensorFlow, JAX or PyTorch. Everything is pinned to one core and has one thread; an
epoch is the time for which the process held the core, so that others on the machine do not count, the median of the rounds.
Everybody compiles and warms up before. A prediction is what a program would call: ours forward and output of a session,
PyTorch the module under inference_mode, Keras both predict() and the model called as a function.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

STEPS, UNITS, OUTPUTS, SAMPLES, BATCH = 28, 32, 10, 2048, 32
GOALS = {"keras-tensorflow": 15, "keras-jax": 4, "torch": 5}

PROBE = """
import importlib.util as u, json
has = lambda name: u.find_spec(name) is not None
peers = ["torch"] if has("torch") and has("numpy") else []
if has("keras"):
    peers += ["keras-" + b for b in ("tensorflow", "jax", "torch") if has(b)]
print(json.dumps(peers))
"""


# ---- In a peer's process: lines "epoch" and "predict" are answered by lines of JSON

def numbers():
    import numpy
    random = numpy.random.default_rng(1)
    return (random.uniform(-1, 1, (SAMPLES, STEPS, 1)).astype("float32"),
            random.uniform(-1, 1, (SAMPLES, OUTPUTS)).astype("float32"))


def torch_peer():
    import torch
    torch.set_num_threads(1)
    x, y = (torch.from_numpy(a) for a in numbers())

    class Tutorial(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(1, UNITS, batch_first=True)
            self.dense = torch.nn.Linear(UNITS, OUTPUTS)

        def forward(self, value):
            return self.dense(self.lstm(value)[0][:, -1])
    model = Tutorial()
    optimizer = torch.optim.Adam(model.parameters())

    def epoch():
        model.train()
        for rows in torch.randperm(SAMPLES).split(BATCH):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(x[rows]), y[rows]).backward()
            optimizer.step()

    def predict():
        with torch.inference_mode():
            model(x[:1]).numpy()
    return f"PyTorch {torch.__version__}, a loop", epoch, {"": predict}


def keras_peer(backend):
    os.environ["KERAS_BACKEND"] = backend
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    if backend == "tensorflow":
        import tensorflow as below
        below.config.threading.set_intra_op_parallelism_threads(1)
        below.config.threading.set_inter_op_parallelism_threads(1)
    elif backend == "jax":
        import jax as below
    else:
        import torch as below
        below.set_num_threads(1)
    import keras
    x, y = numbers()
    model = keras.Sequential([keras.Input((STEPS, 1)), keras.layers.LSTM(UNITS), keras.layers.Dense(OUTPUTS)])
    model.compile(optimizer="adam", loss="mse")
    one = keras.ops.convert_to_tensor(x[:1])
    return (f"Keras {keras.__version__} on {below.__name__} {below.__version__}",
            lambda: model.fit(x, y, batch_size=BATCH, epochs=1, shuffle=True, verbose=0),
            {" predict()": lambda: model.predict(x[:1], verbose=0),
             " called": lambda: keras.ops.convert_to_numpy(model(one))})


def serve(peer):
    name, epoch, predictions = torch_peer() if peer == "torch" else keras_peer(peer.removeprefix("keras-"))
    for _ in range(2):
        epoch()
    for predict in predictions.values():
        for _ in range(5):
            predict()
    print(json.dumps({"name": name, "predictions": list(predictions)}), flush=True)
    for line in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        if line.strip() == "epoch":
            epoch()
            answer = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        else:
            answer = {}
            for key, predict in predictions.items():
                start, repeats = time.process_time(), 20
                for _ in range(repeats):
                    predict()
                answer[key] = (time.process_time() - start) / repeats
        print(json.dumps(answer), flush=True)


# ---- In the first process

class Peer:
    def __init__(self, python, peer):
        self.peer = peer
        environment = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
        self.process = subprocess.Popen([python, os.path.abspath(__file__), "--serve", peer], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
        hello = self.process.stdout.readline()
        if not hello:
            raise RuntimeError(f"{python}: {peer} ended with code {self.process.wait()}")
        self.name = json.loads(hello)["name"]
        self.epochs, self.predictions = [], {}

    def ask(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def round(self):
        self.epochs.append(self.ask("epoch")["cpu"])
        for key, seconds in self.ask("predict").items():
            self.predictions.setdefault(key, []).append(seconds)


class Ours:
    peer = "liblstm"

    def __init__(self, bench):
        self.bench = bench
        self.epochs, self.predictions = [], {}

    def round(self):
        out = subprocess.run([self.bench, "--model", "tutorial", "--samples", "3"], check=True, capture_output=True,
                             text=True, env=dict(os.environ, OPENBLAS_NUM_THREADS="1")).stdout
        line = json.loads(out)
        self.name = f"liblstm, {line['level']}, {line['cpu']}"
        self.epochs.append(line["epoch_cpu_seconds"])
        self.predictions.setdefault("", []).append(line["predict_cpu_seconds"])


def start(pythons):
    peers, seen = [], set()
    for python in pythons:
        found = json.loads(subprocess.run([python, "-c", PROBE], check=True, capture_output=True, text=True).stdout)
        for peer in found:
            if peer in seen:
                continue
            seen.add(peer)
            try:
                peers.append(Peer(python, peer))
            except RuntimeError as error:
                print(f"left out: {error}", file=sys.stderr)
    for peer in sorted(set(GOALS) - seen):
        print(f"left out: {peer} is in none of the interpreters", file=sys.stderr)
    return peers


def main():
    parser = argparse.ArgumentParser(description="An epoch of the tutorial model by liblstm and its peers")
    parser.add_argument("--bench", help="the program bench_fit")
    parser.add_argument("--python", action="append", help="an interpreter with peers in it; again for more")
    parser.add_argument("--rounds", type=int, default=9, help="epochs of each, at least 7")
    parser.add_argument("--core", type=int, help="the core that all run on; default the last one allowed")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve)
    if not arguments.bench or arguments.rounds < 7:
        parser.error("--bench is needed, and at least 7 rounds")
    core = arguments.core if arguments.core is not None else max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    ours = Ours(arguments.bench)
    everybody = [ours] + start(arguments.python or [sys.executable])
    for _ in range(arguments.rounds):
        for one in everybody:
            one.round()
    epoch = statistics.median(ours.epochs)
    prediction = statistics.median(ours.predictions[""])
    print("| | an epoch | x ours | goal | one prediction | x ours |\n|---|---|---|---|---|---|")
    for one in everybody:
        for k, (key, times) in enumerate(one.predictions.items()):
            seconds, once = statistics.median(one.epochs), statistics.median(times)
            goal = f">= {GOALS[one.peer]}" if one.peer in GOALS else ""
            first = f"{seconds * 1e3:.1f} ms | {seconds / epoch:.1f} | {goal}" if k == 0 else "| |"
            print(f"| {one.name if k == 0 else ''}{key} | {first} | {once * 1e6:.1f} us | {once / prediction:.0f} |")


if __name__ == "__main__":
    sys.exit(main())
