#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""liblstm beside the peers that are installed, on the same grid, in the same run, taking turns.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install torch==2.13.0 numpy onnxruntime onnx
    env -u OPENBLAS_CORETYPE /tmp/peers/bin/python bench/peers.py --bench build/release/bench/bench_layer

One table a mode and number of threads, in Markdown: GFLOP/s of each in the median of its rounds, our share of the peak that was
measured around the same sample, and our ratio to the fastest peer of the row; then the geometric mean over each peer. With one thread the time is that for which the process held a core, so that
others on the machine do not count; with more it is wall time. PyTorch runs nn.LSTM, forward under no_grad, training with the
gradients of weights and x; ONNX Runtime the LSTM operator, forward alone; oneDNN (bench_onednn, built beside bench_layer where
Debian's libdnnl-dev is installed) its LSTM primitive, forward alone.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time

GRID = ["1,100,64,64", "1,100,128,128", "1,50,512,512", "1,30,1024,1024", "4,100,128,128", "8,100,256,256",
        "20,20,200,200", "20,35,650,650", "32,28,1,32", "32,50,64,128", "64,50,256,256", "64,25,512,512",
        "64,25,1024,1024", "128,100,128,128", "256,120,7,32"]


def processor():
    with open("/proc/cpuinfo", encoding="ascii") as lines:
        facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    return f"{facts.get('model name')} (family {facts.get('cpu family')}, model {facts.get('model')})"


def flops(shape, mode):
    batch, steps, inputs, hidden = shape
    return 8 * hidden * (inputs + hidden) * batch * steps * (3 if mode == "training" else 1)


def timed(run, threads):
    """A function that runs for at least 30 ms and returns seconds of one run."""
    clock = time.process_time if threads == 1 else time.perf_counter

    def once(repeats):
        start = clock()
        for _ in range(repeats):
            run()
        return clock() - start
    run()
    repeats = max(1, math.ceil(0.03 / max(once(1), 1e-7)))
    return lambda: once(repeats) / repeats


class Ours:
    def __init__(self, arguments):
        self.arguments = arguments
        self.name = "liblstm"

    def prepare(self, shape, mode, threads):
        command = [self.arguments.bench, "--mode", mode, "--shape", ",".join(map(str, shape)), "--route", "auto",
                   "--threads", str(threads), "--samples", "1"]
        if self.arguments.level:
            command += ["--level", self.arguments.level]
        def run():
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            line = json.loads(out.strip().splitlines()[-1])
            seconds = line["cpu_seconds" if threads == 1 else "seconds"]
            self.level = line["level"]
            self.shares.append(1e-9 * flops(shape, mode) / seconds / line["peak_gflops"])
            return seconds
        self.shares = []
        return run


class Torch:
    def __init__(self, _):
        import torch
        self.torch = torch
        self.name = "PyTorch " + torch.__version__
        torch.set_flush_denormal(True)

    def prepare(self, shape, mode, threads):
        torch = self.torch
        batch, steps, inputs, hidden = shape
        torch.set_num_threads(threads)
        layer = torch.nn.LSTM(inputs, hidden)
        x = torch.rand(steps, batch, inputs)
        if mode == "forward":
            def run():
                with torch.no_grad():
                    layer(x)
            return timed(run, threads)
        x.requires_grad_(True)
        dy = torch.rand(steps, batch, hidden)

        def train():
            for parameter in [x, *layer.parameters()]:
                parameter.grad = None
            layer(x)[0].backward(dy)
        return timed(train, threads)


class OnnxRuntime:
    def __init__(self, _):
        import onnx
        import onnxruntime
        self.onnx, self.runtime = onnx, onnxruntime
        self.name = "ONNX Runtime " + onnxruntime.__version__

    def prepare(self, shape, mode, threads):
        if mode != "forward":
            return None
        import numpy
        batch, steps, inputs, hidden = shape
        helper, floats = self.onnx.helper, self.onnx.TensorProto.FLOAT
        random = numpy.random.default_rng(1)
        def weights(name, *sizes):
            return self.onnx.numpy_helper.from_array(
                random.uniform(-0.1, 0.1, sizes).astype(numpy.float32), name)
        graph = helper.make_graph(
            [helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=hidden)], "layer",
            [helper.make_tensor_value_info("x", floats, [steps, batch, inputs])],
            [helper.make_tensor_value_info("y", floats, [steps, 1, batch, hidden])],
            [weights("w", 1, 4 * hidden, inputs), weights("r", 1, 4 * hidden, hidden), weights("b", 1, 8 * hidden)])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        session = self.runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        x = random.random((steps, batch, inputs), dtype=numpy.float32)
        return timed(lambda: session.run(None, {"x": x}), threads)


class OneDnn:
    def __init__(self, arguments):
        self.program = os.path.join(os.path.dirname(os.path.abspath(arguments.bench)), "bench_onednn")
        if not os.path.exists(self.program):
            raise ImportError(f"no {self.program}: install libdnnl-dev 2 and build again")
        self.name = "oneDNN " + self.run("1,1,1,1", 1)["version"]

    def run(self, shape, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        out = subprocess.run([self.program, shape], check=True, capture_output=True, text=True, env=environment).stdout
        return json.loads(out)

    def prepare(self, shape, mode, threads):
        if mode != "forward":
            return None
        text = ",".join(map(str, shape))
        return lambda: self.run(text, threads)["cpu_seconds" if threads == 1 else "seconds"]


def installed(arguments):
    peers = []
    for make in (Torch, OnnxRuntime, OneDnn):
        if arguments.level and make is OnnxRuntime:
            continue
        try:
            peers.append(make(arguments))
        except ImportError as error:
            print(f"left out: {make.__name__} ({error})", file=sys.stderr)
    return peers


def table(contestants, arguments, mode, threads):
    print(f"\n{mode}, {threads} thread{'s' if threads > 1 else ''}, GFLOP/s\n")
    names = [c.name for c in contestants]
    print("| B,T,I,H | " + " | ".join(names) + " | of peak | x the fastest peer |")
    print("|" + "---|" * (len(names) + 3))
    ratios = {name: [] for name in names[1:]}
    for text in arguments.shapes:
        shape = tuple(map(int, text.split(",")))
        runs = [c.prepare(shape, mode, threads) for c in contestants]
        seconds = [[] for _ in runs]
        for _ in range(arguments.rounds):
            for k, run in enumerate(runs):
                if run:
                    seconds[k].append(run())
        speeds = [1e-9 * flops(shape, mode) / statistics.median(s) if s else None for s in seconds]
        for name, speed in zip(names[1:], speeds[1:]):
            if speed:
                ratios[name].append(speeds[0] / speed)
        best = max((s for s in speeds[1:] if s), default=None)
        print(f"| {text} | " + " | ".join(f"{s:.1f}" if s else "-" for s in speeds)
              + f" | {statistics.median(contestants[0].shares):.2f} | " + (f"{speeds[0] / best:.2f} |" if best else "- |"), flush=True)
    for name, values in ratios.items():
        if values:
            mean = math.exp(sum(map(math.log, values)) / len(values))
            print(f"\nGeometric mean over {name}: {mean:.2f} (least {min(values):.2f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True, help="the program bench_layer")
    parser.add_argument("--modes", nargs="+", default=["forward", "training"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--shapes", nargs="+", default=GRID)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--level", choices=["avx2"], help="compare at AVX2: ours, PyTorch and oneDNN are held to it; ONNX Runtime has "
                        "no such switch and is left out")
    arguments = parser.parse_args()
    if arguments.level:  # before a peer is loaded
        os.environ.update(ATEN_CPU_CAPABILITY="avx2", MKL_ENABLE_INSTRUCTIONS="AVX2", ONEDNN_MAX_CPU_ISA="AVX2",
                          DNNL_MAX_CPU_ISA="AVX2")
    os.environ.pop("OPENBLAS_CORETYPE", None)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # idle threads of OpenBLAS spin at first and would be counted as ours
    contestants = [Ours(arguments), *installed(arguments)]
    contestants[0].prepare((1, 1, 1, 8), "forward", 1)()
    print(f"{processor()}, level {contestants[0].level}; the median of {arguments.rounds} rounds in turns")
    for threads in arguments.threads:
        for mode in arguments.modes:
            table(contestants, arguments, mode, threads)


if __name__ == "__main__":
    main()
