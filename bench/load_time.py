#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""From a model file of 100 MB to its first prediction: `lstm predict` as a whole process, and PyTorch inside one, taking turns.

    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch safetensors numpy
    /tmp/torch/bin/python bench/load_time.py --program build/release/bin/lstm

Two LSTM layers of 1440 units and a Dense layer, random weights, one sequence of 16 steps of 256 features, one thread each. Ours is the
process from its start to its end: it reads the model, checks it (checksum, self-test), reads the input and writes the output.
PyTorch's time begins when everything is imported: module made, file read, weights loaded, one forward pass; once as one usually
writes it, once with the module on "meta" and the tensors assigned, which copies nothing.

`warm`: the file is in the system's cache; `cold`: it was taken out of it before (posix_fadvise, after it had been written to the disk).
Wall and CPU time, medians of the rounds; `peak` is the largest resident size, for PyTorch what is added to that of its import.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

UNITS, STEPS, FEATURES, OUTPUTS = 1440, 16, 256, 10


def describe(profile):
    return {"profile": profile, "seed": 3, "layers": [
        {"type": "Input", "shape": [STEPS, FEATURES]}, {"type": "LSTM", "units": UNITS, "return_sequences": True},
        {"type": "LSTM", "units": UNITS, "return_sequences": False}, {"type": "Dense", "units": OUTPUTS}]}


# ---- In PyTorch's process

def peer(path, assign):
    import numpy
    import torch
    from safetensors.torch import load_file
    torch.set_num_threads(1)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(FEATURES, UNITS, batch_first=True)
            self.lstm_1 = torch.nn.LSTM(UNITS, UNITS, batch_first=True)
            self.dense = torch.nn.Linear(UNITS, OUTPUTS)

        def forward(self, x):
            return self.dense(self.lstm_1(self.lstm(x)[0])[0][:, -1])
    x = torch.from_numpy(numpy.load(os.path.join(os.path.dirname(path), "x.npy")))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    with torch.device("meta" if assign else "cpu"):
        model = Net()
    tensors = load_file(path) if path.endswith(".safetensors") else torch.load(path, weights_only=True)
    model.load_state_dict(tensors, assign=assign)
    with torch.inference_mode():
        y = model(x).numpy()
    used = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before}
    numpy.save(os.path.join(os.path.dirname(path), "torch.npy"), y)
    print(json.dumps(used))


# ---- In the one that measures

def ours(program, path, folder):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    wall = time.perf_counter()
    process = subprocess.Popen([program, "predict", path, "--batch-first", "--threads", "1", "--quiet", "--x", f"{folder}/x.npy",
                                "-o", f"{folder}/y.npy"] if path.endswith(".pt") else
                               [program, "predict", path, "--threads", "1", "--quiet", "--x", f"{folder}/x.npy",
                                "-o", f"{folder}/y.npy"], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{program} predict {path} failed")
    return {"wall": time.perf_counter() - wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss}


def torch_once(path, assign):
    words = [sys.executable, __file__, "--peer", path] + (["--assign"] if assign else [])
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def forget(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def make_files(program, folder):
    import numpy
    numpy.save(f"{folder}/x.npy", numpy.random.default_rng(0).normal(size=(1, STEPS, FEATURES)).astype("f4"))
    for profile in ("keras", "torch"):
        with open(f"{folder}/{profile}.json", "w") as file:
            json.dump(describe(profile), file)
    for words in (["keras.json", "keras.lstm"], ["keras.lstm", "model.keras"], ["keras.lstm", "model.h5"],
                  ["torch.json", "torch.lstm"], ["torch.lstm", "state.pt"],
                  ["torch.lstm", "state.safetensors", "--naming", "torch"]):
        subprocess.run([program, "convert", *words], cwd=folder, check=True, capture_output=True)


def check_equal(program, folder):
    """What both compute of the same file must be the same."""
    import numpy
    ours(program, f"{folder}/torch.lstm", folder)
    torch_once(f"{folder}/state.safetensors", False)
    error = float(numpy.abs(numpy.load(f"{folder}/y.npy") - numpy.load(f"{folder}/torch.npy")).max())
    if not error < 1e-4:
        sys.exit(f"the outputs differ by {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", help="the program lstm")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", help="where the files go (a temporary folder)")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--assign", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peer:
        return peer(given.peer, given.assign)
    if not given.program:
        parser.error("--program is needed")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        make_files(os.path.abspath(given.program), folder)
        check_equal(given.program, folder)
        runs = [("lstm " + name, name, lambda p: ours(given.program, p, folder))
                for name in ("keras.lstm", "torch.lstm", "model.keras", "model.h5")]
        runs += [("PyTorch " + name + how, name, lambda p, a=assign: torch_once(p, a))
                 for name in ("state.safetensors", "state.pt") for how, assign in (("", False), (", assigned", True))]
        found = {}
        for k in range(given.rounds):
            first = 3 * k % len(runs)  # whoever comes first finds the memory as the one before left it
            for state in ("warm", "cold"):
                for title, name, run in runs[first:] + runs[:first]:
                    path = f"{folder}/{name}"
                    if state == "cold":
                        forget(path)
                    else:
                        with open(path, "rb") as file:
                            while file.read(1 << 24):
                                pass
                    found.setdefault((title, state), []).append(run(path))
        size = os.path.getsize(f"{folder}/keras.lstm") / 1e6
        print(f"file {size:.0f} MB; seconds\n{'':32}{'warm wall':>10}{'CPU':>7}{'cold wall':>11}{'CPU':>7}{'peak MB':>9}")
        for title, _, _ in runs:
            of = lambda state, key: statistics.median(r[key] for r in found[title, state])
            print(f"{title:32}{of('warm', 'wall'):10.2f}{of('warm', 'cpu'):7.2f}{of('cold', 'wall'):11.2f}"
                  f"{of('cold', 'cpu'):7.2f}{of('warm', 'peak') / 1000:9.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
