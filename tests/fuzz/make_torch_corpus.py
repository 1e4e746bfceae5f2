#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the seeds of PyTorch's files into corpus/torch, as the real torch.save writes them. Needs torch.

They are fixtures of tests/test_torch_files.c: value k of n of a tensor is (k - n // 2) / 2, as in make_corpus.py.
"""
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch

FOLDER = Path(__file__).resolve().parent / "corpus" / "torch"


def values(shape, dtype=torch.float32):
    count = int(torch.tensor(shape).prod())
    return ((torch.arange(count) - count // 2) / 2).to(dtype).reshape(shape)


def lstm():
    module = torch.nn.LSTM(1, 1)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(values(p.shape))
    return module.state_dict()


def save(name, thing, zipped=False):
    FOLDER.mkdir(parents=True, exist_ok=True)
    torch.save(thing, FOLDER / name, _use_new_zipfile_serialization=zipped)  # legacy files are small


def deflate(name, source):
    with zipfile.ZipFile(FOLDER / source) as archive:
        entries = [(entry, archive.read(entry)) for entry in archive.namelist()]
    with zipfile.ZipFile(FOLDER / name, "w", zipfile.ZIP_DEFLATED) as out:
        for entry, content in entries:
            out.writestr(zipfile.ZipInfo(entry, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)


class Asks:
    """Unpickled by Python, this would run a command."""

    def __reduce__(self):
        return eval, ("1 + 1",)


if __name__ == "__main__":
    save("lstm.pt", lstm(), zipped=True)
    save("legacy.pt", lstm())
    deflate("deflated.pt", "lstm.pt")
    block = values((4, 3))
    save("kinds.pt", OrderedDict([  # all of one Linear in every kind, strides and offsets, one storage shared
        ("transposed", block.t()), ("column", block[:, 1]), ("part", block[1:3, 1:]), ("shared", block),
        ("half", values((3,), torch.float16)), ("bfloat", values((3,), torch.bfloat16)),
        ("double", values((3,), torch.float64)), ("long", torch.tensor([-3, 0, 7])),
        ("byte", torch.tensor([0, 255], dtype=torch.uint8)), ("bool", torch.tensor([True, False])),
        ("scalar", torch.tensor(1.5)), ("none", torch.zeros(0, 2)), ("expanded", torch.tensor([2.0]).expand(3))]))
    save("checkpoint.pt", {"epoch": 3, "model_state_dict": lstm(), "loss": 0.5, "lr": [0.1, None, (1, 2)],
                           "notes": {"a": "b", "big": 1 << 80, "no": False}})
    save("parameters.pt", {k: torch.nn.Parameter(v) for k, v in lstm().items()})
    save("module.pt", torch.nn.Linear(1, 1), zipped=True)  # a whole module: refused
    deflate("module.pt", "module.pt")
    save("tensor.pt", torch.zeros(1))
    save("asks.pt", {"weight": Asks()})
    (FOLDER / "pickle.pt").write_bytes(pickle.dumps({"weight": Asks()}, 2))
    bidirectional = torch.nn.GRU(1, 1, num_layers=2, bidirectional=True)
    with torch.no_grad():
        for p in bidirectional.parameters():
            p.copy_(values(p.shape))
    row = torch.nn.ModuleDict({"tokens": torch.nn.Embedding(5, 1), "rnn": bidirectional,
                               "norm": torch.nn.LayerNorm(2), "head": torch.nn.Linear(2, 3)})
    save("row.pt", {"module." + k: v for k, v in row.state_dict().items()})
