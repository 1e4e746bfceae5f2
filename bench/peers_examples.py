#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Training of three programs of docs/examples beside scripts of the same models in PyTorch: CPU seconds of an epoch, taking turns.

    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch numpy
    python3 bench/peers_examples.py --examples build/release/examples --bench build/release/bench/bench_layer \\
        --python /tmp/torch/bin/python --data DATA shakespeare digits cartpole

DATA holds the folders tinyshakespeare and fsdd. Everything is pinned to one core with one thread. Ours is the example itself; it is
stopped (SIGSTOP) after each of its epochs while PyTorch runs one. Seconds are those for which a process held the core, so that others
on the machine do not count. The PyTorch scripts have the same shapes, optimizer, clipping and validation, padded sequences with
the same lengths (padding, not packing), and no metrics; a round of cartpole is play (a step of 32 games at a time) and six passes over them.
Shares are of the core's peak of multiply-adds, for the products of a padded epoch, peaks measured before each.
"""
import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time

# Products of an epoch in floating-point operations, padding included: three times the forward pass, and the validation's.
FLOPS = {
    "shakespeare": 3 * 489 * 2048 * 2 * (320 * 1024 + 256 * 65) + 54 * 2048 * 2 * (320 * 1024 + 256 * 65),
    "digits": (3 * 3000 + 200) * 120 * 2 * (2 * (40 + 96) * 384 + 192 * 11),
}


# ---- In PyTorch's process: each line asks for an epoch

def shakespeare(folder):
    import numpy
    import torch
    text = numpy.frombuffer(open(os.path.join(folder, "tinyshakespeare", "input.txt"), "rb").read(), numpy.uint8)
    symbols = numpy.unique(text)
    numbers = numpy.searchsorted(symbols, text)
    held = len(numbers) // 10

    def streams(part):
        pieces = (len(part) - 1) // 32 // 64
        shape = lambda a: torch.from_numpy(a[:pieces * 2048].reshape(32, pieces, 64).swapaxes(0, 1).copy())
        return shape(part[:-1]), shape(part[1:])
    train, test = streams(numbers[:-held]), streams(numbers[-held:])

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(len(symbols), 64)
            self.lstm = torch.nn.LSTM(64, 256, batch_first=True)
            self.dense = torch.nn.Linear(256, len(symbols))

        def forward(self, x, state):
            out, state = self.lstm(self.embedding(x), state)
            return self.dense(out), state
    model = Model()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    loss = torch.nn.CrossEntropyLoss()

    def epoch():
        state = None
        for x, y in zip(*train):
            optimizer.zero_grad()
            out, state = model(x, state)
            state = tuple(s.detach() for s in state)
            loss(out.flatten(0, 1), y.flatten()).backward()
            optimizer.step()
        with torch.no_grad():
            state = None
            for x, y in zip(*test):
                out, state = model(x, state)
                loss(out.flatten(0, 1), y.flatten()).item()
    return epoch


def digits(_folder):
    import torch
    torch.manual_seed(1)
    lengths = torch.randint(60, 121, (3200,))
    x = torch.randn(3200, 120, 40)
    label_lengths = torch.randint(3, 6, (3200,))
    labels = torch.randint(1, 11, (3200, 5))

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(40, 96, batch_first=True, bidirectional=True)
            self.dense = torch.nn.Linear(192, 11)

        def forward(self, value):
            return self.dense(self.lstm(value)[0]).log_softmax(-1).transpose(0, 1)
    model = Model()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    ctc = torch.nn.CTCLoss(zero_infinity=True)

    def of(rows):
        return ctc(model(x[rows]), labels[rows], lengths[rows], label_lengths[rows])

    def epoch():
        for rows in torch.randperm(3000).split(16):
            optimizer.zero_grad()
            of(rows).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5)
            optimizer.step()
        with torch.no_grad():
            for rows in torch.arange(3000, 3200).split(16):
                of(rows).item()
    return epoch


def cartpole(_folder):
    import numpy
    import torch
    games, steps = 32, 500
    random = numpy.random.default_rng(1)

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(2, 64, batch_first=True)
            self.policy = torch.nn.Linear(64, 2)
            self.value = torch.nn.Linear(64, 1)

        def forward(self, x, state=None):
            out, state = self.lstm(x, state)
            return self.policy(out), self.value(out)[..., 0], state
    model = Model()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def play():
        place, speed, angle, turn = random.uniform(-0.05, 0.05, (4, games))
        seen = numpy.zeros((games, steps, 2), numpy.float32)
        acted = numpy.zeros((games, steps), numpy.int64)
        was = numpy.ones((games, steps), numpy.float32)
        lengths = numpy.zeros(games, int)
        playing = numpy.ones(games, bool)
        state = None
        for step in range(steps):
            if not playing.any():
                break
            seen[:, step, 0], seen[:, step, 1] = place / 2.4, angle / 0.2
            with torch.no_grad():
                logits, _, state = model(torch.from_numpy(seen[:, step:step + 1]), state)
                right = logits[:, 0].softmax(-1)[:, 1].numpy()
            action = random.random(games) < right
            acted[:, step] = action
            was[:, step] = numpy.where(action, right, 1 - right)
            lengths[playing] = step + 1
            force = numpy.where(action, 10, -10)
            sine, cosine = numpy.sin(angle), numpy.cos(angle)
            common = (force + 0.05 * turn * turn * sine) / 1.1
            turning = (9.8 * sine - cosine * common) / (0.5 * (4 / 3 - 0.1 * cosine * cosine / 1.1))
            speeding = common - 0.05 * turning * cosine / 1.1
            place, speed = place + 0.02 * speed, speed + 0.02 * speeding
            angle, turn = angle + 0.02 * turn, turn + 0.02 * turning
            playing &= ~((abs(place) > 2.4) | (abs(angle) > 12 * 2 * numpy.pi / 360))
        return seen, acted, was, lengths, playing

    def epoch():  # five rounds: what the example prints
        for _ in range(5):
            seen, acted, was, lengths, playing = play()
            x, action, old = torch.from_numpy(seen), torch.from_numpy(acted), torch.from_numpy(was)
            there = torch.from_numpy(numpy.arange(steps) < lengths[:, None])
            for number in range(6):
                logits, values, _ = model(x)
                values = values * 100
                if number == 0:
                    judged = values.detach().numpy()
                    advantage = numpy.zeros((games, steps), numpy.float32)
                    wanted = numpy.zeros((games, steps), numpy.float32)
                    following = numpy.where(playing, judged[numpy.arange(games), lengths - 1], 0)
                    ahead = numpy.zeros(games)
                    for t in range(lengths.max() - 1, -1, -1):
                        here = t < lengths
                        ahead = numpy.where(here, 1 + 0.99 * following - judged[:, t] + 0.99 * 0.95 * ahead, ahead)
                        following = numpy.where(here, judged[:, t], following)
                        advantage[:, t], wanted[:, t] = ahead, ahead + judged[:, t]
                    advantage, wanted = torch.from_numpy(advantage), torch.from_numpy(wanted)
                    chosen = advantage[there]
                    advantage = (advantage - chosen.mean()) / (chosen.std(unbiased=False) + 1e-8)
                distribution = torch.distributions.Categorical(logits=logits)
                ratio = distribution.log_prob(action).exp() / old
                gain = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
                loss = -gain - 0.003 * distribution.entropy() + 0.5 * (values - wanted) ** 2 / 10000
                optimizer.zero_grad()
                loss[there].mean().backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
                optimizer.step()
    return epoch


def serve(task, folder):
    import torch
    torch.set_num_threads(1)
    epoch = {"shakespeare": shakespeare, "digits": digits, "cartpole": cartpole}[task](folder)
    print(torch.__version__, flush=True)
    for _ in sys.stdin:
        start = time.process_time()
        epoch()
        print(time.process_time() - start, flush=True)


# ---- The one that asks

def cpu_seconds(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:  # nanoseconds on a core
            total += int(file.read().split()[0])
    return 1e-9 * total


class Ours:
    """An example, stopped except while its next epoch is wanted. The first epoch has the start in it and is left out."""

    def __init__(self, path, arguments):
        self.process = subprocess.Popen([path, *arguments], stdout=subprocess.PIPE, text=True)
        self.seconds = []
        self.used = None
        self.next()
        self.seconds = []

    def next(self):
        self.process.send_signal(signal.SIGCONT)
        for line in self.process.stdout:
            if line.startswith(("epoch ", "round ")):
                break
        else:
            sys.exit("an example ended too soon")
        self.process.send_signal(signal.SIGSTOP)
        used = cpu_seconds(self.process.pid)
        self.seconds.append(used - self.used if self.used is not None else used)
        self.used = used

    def end(self):
        self.process.kill()
        self.process.wait()


def peak_of(bench):
    answer = subprocess.run([bench, "--shape", "8,4,32,32", "--mode", "forward", "--threads", "1", "--samples", "3"],
                            capture_output=True, text=True)
    for line in answer.stdout.splitlines():
        if '"peak_gflops"' in line:
            return json.loads(line)["peak_gflops"]
    return None


def compare(task, options, rounds):
    program = {"shakespeare": "shakespeare", "digits": "connected_digits", "cartpole": "cartpole"}[task]
    folder = {"shakespeare": ["tinyshakespeare"], "digits": ["fsdd"], "cartpole": []}[task]
    arguments = [os.path.join(options.data, name) for name in folder] + ["--epochs", str((rounds + 2) * 5)]
    peer = subprocess.Popen([options.python, __file__, "--serve", task, "--data", options.data], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    version = peer.stdout.readline().strip()

    def ask():
        print("epoch", file=peer.stdin, flush=True)
        return float(peer.stdout.readline())
    ask()
    ours = Ours(os.path.join(options.examples, program), arguments)
    theirs, peaks = [], []
    for _ in range(rounds):
        peaks.append(peak_of(options.bench))
        ours.next()
        theirs.append(ask())
    ours.end()
    peer.kill()
    ratios = [b / a for a, b in zip(ours.seconds, theirs)]
    mine, other = statistics.median(ours.seconds), statistics.median(theirs)
    if task == "cartpole":  # games grow longer in both: sums of the same rounds
        mine, other, ratios = sum(ours.seconds), sum(theirs), [sum(theirs) / sum(ours.seconds)]
    shares = "| | "
    if task in FLOPS and all(peaks):
        peak = statistics.median(peaks)
        shares = f"| {FLOPS[task] / mine / peak / 1e9:.2f} | {FLOPS[task] / other / peak / 1e9:.2f} "
    print(f"| {task} | {mine:.2f} | {other:.2f} | {statistics.median(ratios):.2f} "
          f"({min(ratios):.2f} to {max(ratios):.2f}) {shares}| PyTorch {version} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=["shakespeare", "digits", "cartpole"])
    parser.add_argument("--examples", default="build/release/examples")
    parser.add_argument("--bench", default="build/release/bench/bench_layer")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has PyTorch")
    parser.add_argument("--data", required=True, help="the folder of the data sets")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve")
    options = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if options.serve:
        serve(options.serve, options.data)
        return
    print("| task | ours, CPU s | PyTorch, CPU s | x PyTorch | our share of the peak | theirs | |\n|---|---|---|---|---|---|---|")
    for task in options.tasks:
        compare(task, options, options.rounds)


main()
