#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""State dicts through the program and back: round_trip_torch.py PROGRAM [FOLDER ...]

Each folder holds model.pt, model.safetensors and case.json, as ../shared/golden/torch does: the program writes the state dict again,
the real torch.load(weights_only=True) opens it, the module takes it with strict=True, and every bit is as before. Then networks of
our own, of both profiles: the program writes their state dict, modules of the same names take it and predict what the program
predicts; what torch.save makes of them (ZIP and legacy) goes back into a description and predicts the same. Ends with 77
(skipped) without PyTorch.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

PROGRAM = sys.argv[1]
LIMIT = 1e-5


def run(*words):
    result = subprocess.run([PROGRAM, *words], capture_output=True, text=True)
    assert result.returncode == 0, (words, result.stderr)


def safetensors(path):
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data[t["data_offsets"][0]:t["data_offsets"][1]], "<f4").reshape(t["shape"])
            for name, t in header.items()}


def golden(folder, work):
    with open(f"{folder}/case.json") as file:
        case = json.load(file)
    if "proj_size" in case["module"] and subprocess.run([PROGRAM, "summary", f"{folder}/model.pt"],
                                                        capture_output=True).returncode == 2:
        return None
    original = torch.load(f"{folder}/model.pt", weights_only=True)
    module = eval("torch.nn." + case["module"])
    for source in ("model.pt", "model.safetensors"):
        out = os.path.join(work, "out.pt")
        plain = os.path.join(work, "out.safetensors")
        run("convert", f"{folder}/{source}", out)
        run("convert", f"{folder}/{source}", plain, "--naming", "torch")
        found = torch.load(out, weights_only=True)
        module.load_state_dict(found, strict=True)
        arrays = safetensors(plain)
        if list(found) != list(original) or set(arrays) != set(original) or \
                not all(torch.equal(found[k], original[k]) and np.array_equal(arrays[k], original[k].numpy())
                        for k in original):
            return False
    return True


class Network(torch.nn.Module):
    """Modules by name, in a row; recurrent ones give their outputs."""

    def __init__(self, last, **modules):
        super().__init__()
        self.last = last
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        for module in self.children():
            if isinstance(module, torch.nn.Embedding):
                x = module(x[..., 0].long())
            elif isinstance(module, (torch.nn.Conv1d, torch.nn.BatchNorm1d)):
                x = module(x.transpose(1, 2)).transpose(1, 2)
            else:
                x = module(x)
            x = x[0] if isinstance(x, tuple) else x
        return x[:, -1] if self.last else x


def networks():
    nn = torch.nn
    rnn = {"return_sequences": True}
    yield "lstm_norm", "keras", [
        {"type": "LSTM", "name": "a", "units": 4, **rnn}, {"type": "LayerNormalization", "name": "n"},
        {"type": "Dense", "name": "d", "units": 2}], lambda: Network(
            False, a=nn.LSTM(3, 4, batch_first=True), n=nn.LayerNorm(4, eps=1e-3), d=nn.Linear(4, 2))
    yield "gru", "keras", [
        {"type": "GRU", "name": "g", "units": 5, **rnn}, {"type": "Dense", "name": "d", "units": 2}], lambda: Network(
            False, g=nn.GRU(3, 5, batch_first=True), d=nn.Linear(5, 2))
    yield "rnn_relu", "keras", [
        {"type": "SimpleRNN", "name": "s", "units": 5, "activation": "relu", **rnn}], lambda: Network(
            False, s=nn.RNN(3, 5, nonlinearity="relu", batch_first=True))
    yield "bidirectional", "keras", [
        {"type": "Bidirectional", "name": "b", "layer": {"type": "LSTM", "units": 4, **rnn}}], lambda: Network(
            False, b=nn.LSTM(3, 4, bidirectional=True, batch_first=True))
    yield "conv_batch", "keras", [
        {"type": "Conv1D", "name": "c", "filters": 4, "kernel_size": 2}, {"type": "BatchNormalization", "name": "n"},
        {"type": "LSTM", "name": "l", "units": 3, "use_bias": False, **rnn}], lambda: Network(
            False, c=nn.Conv1d(3, 4, 2), n=nn.BatchNorm1d(4, eps=1e-3), l=nn.LSTM(4, 3, bias=False, batch_first=True))
    yield "stack", "torch", [
        {"type": "LSTM", "name": "rnn", "hidden_size": 4, "num_layers": 3, "bidirectional": True, "dropout": 0.5},
        {"type": "Linear", "name": "head", "units": 2}], lambda: Network(
            False, rnn=nn.LSTM(3, 4, num_layers=3, bidirectional=True, batch_first=True), head=nn.Linear(8, 2))
    yield "gru_stack", "torch", [
        {"type": "GRU", "name": "rnn", "hidden_size": 4, "num_layers": 2, "bias": False}], lambda: Network(
            False, rnn=nn.GRU(3, 4, num_layers=2, bias=False, batch_first=True))
    yield "bare", "torch", [{"type": "GRU", "name": "g", "hidden_size": 4, "torch_module": ""}], lambda: torch.nn.GRU(
        3, 4, batch_first=True)


def own(name, profile, layers, make, work):
    random = np.random.default_rng(7)
    x = random.normal(size=(2, 6, 3)).astype("f4")
    file = lambda suffix: os.path.join(work, name + suffix)
    np.save(file(".x.npy"), x)
    description = {"profile": profile, "seed": 3,
                   "layers": [{"type": "Input", "name": "x", "shape": [6, 3]}, *layers]}
    with open(file(".json"), "w") as out:
        json.dump(description, out)
    run("convert", file(".json"), file(".pt"))
    run("predict", file(".json"), "--x", file(".x.npy"), "-o", file(".y.npy"))
    expected = np.load(file(".y.npy"))
    module = make().eval()
    state = torch.load(file(".pt"), weights_only=True)
    module.load_state_dict(state, strict=True)
    with torch.no_grad():
        predict = lambda: (lambda y: y[0] if isinstance(y, tuple) else y)(module(torch.tensor(x))).numpy()
        errors = [float(np.abs(predict() - expected).max())]
        for p in module.parameters():  # other values, in both kinds of files, into the description
            p.copy_(torch.randn_like(p) / 2)
        for buffer in module.buffers():
            buffer.copy_(torch.rand_like(buffer.float()) + 0.5)
    description["profile"] = "torch"
    if profile == "keras":  # as PyTorch has it: no 0.99 of the moving averages, epsilon stays
        for layer in description["layers"]:
            if layer["type"] in ("LayerNormalization", "BatchNormalization"):
                layer["epsilon"] = 1e-3
            if layer["type"] == "Bidirectional":
                layer["layer"]["return_sequences"] = True
    with open(file(".torch.json"), "w") as out:
        json.dump(description, out)
    for zipped in (True, False):
        torch.save(module.state_dict(), file(".saved.pt"), _use_new_zipfile_serialization=zipped)
        run("predict", file(".saved.pt"), "--network", file(".torch.json"), "--x", file(".x.npy"), "-o",
            file(".z.npy"))
        with torch.no_grad():
            errors.append(float(np.abs(np.load(file(".z.npy")) - predict()).max()))
    print(f"{name:32} " + " ".join(f"{e:.1e}" for e in errors))
    return max(errors) <= LIMIT


def main():
    torch.manual_seed(1)
    results = []
    with tempfile.TemporaryDirectory() as work:
        for folder in sys.argv[2:]:
            if os.path.exists(f"{folder}/model.pt"):
                results.append(golden(folder, work))
                print(f"{os.path.basename(folder):32} {results[-1]}")
        for name, profile, layers, make in networks():
            results.append(own(name, profile, layers, make, work))
    done = [r for r in results if r is not None]
    print(f"{sum(done)}/{len(done)} round trips, {len(results) - len(done)} passed over")
    return 0 if done and all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
