#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the HDF5 seeds into corpus/hdf5, as h5py writes them, and the Keras seeds into corpus/keras. Needs h5py; for the
Keras seeds keras with one of its backends (KERAS_BACKEND), and with the argument --keras2 the Keras 2 of TensorFlow 2.15.

corpus/keras/written2.h5 is what `lstm convert` makes of a Bidirectional GRU whose backward state another GRU begins with, and a
MultiHeadAttention behind it.

The HDF5 files are fixtures of tests/test_io_hdf5.c, which knows their values by the rule of make_corpus.py.
"""
import io
import json
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np

from make_corpus import values

FOLDER = Path(__file__).resolve().parent / "corpus"
OLD = {"libver": "earliest"}
NEW = {"libver": ("v108", "v110")}
SMALL = {"meta_block_size": 64}


def write(name, fill, **options):
    path = FOLDER / "hdf5" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", **SMALL, **options) as file:
        fill(file)


def compact(group, name, data):
    """A dataset inside its header."""
    data = np.asarray(data)
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(data.shape) if data.shape else h5py.h5s.create(h5py.h5s.SCALAR)
    dataset = h5py.h5d.create(group.id, name.encode(), h5py.h5t.py_create(data.dtype), space, layout)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, data)


def fill_plain(file):
    file.create_dataset("a/b", data=values("<f4", (2, 3)))
    file.attrs["layer_names"] = ["lstm", "", "d\u00e9nse"]
    file.attrs["weight_names"] = np.array([b"ab", b"cdefg"])
    file.attrs["none"] = np.array([])
    file.attrs["one"] = "text"
    file.attrs["number"] = 3


def fill_new(file):
    compact(file.create_group("a"), "b", values("<f4", (2, 3)))
    file.attrs["weight_names"] = np.array([b"ab", b"cdefg"])
    file.attrs["none"] = np.array([])


def fill_types(file):
    for dtype in ["<f2", ">f4", "<f8", "|i1", "<i2", ">i4", "<u8", "|u1"]:
        compact(file, dtype[1:], values(dtype, (3,)))
    compact(file, "scalar", np.float32(1.5))
    file.create_dataset("empty", data=np.zeros((0, 4), "<f4"))
    file.create_dataset("bool", shape=(1,), dtype="?")


def fill_chunks(file):
    data = values("<f4", (5, 7))
    file.create_dataset("packed", data=data, chunks=(2, 3), compression="gzip", shuffle=True)
    part = file.create_dataset("part", shape=(4, 4), dtype="<f4", chunks=(2, 2), fillvalue=2.5)
    part[0, 0] = 1
    file.create_dataset("unwritten", shape=(2, 2), dtype="<f4", fillvalue=7)


def fill_single(file):
    file.create_dataset("a", data=values("<f4", (5, 7)), chunks=(5, 7), compression="gzip", shuffle=True)


def fill_dense(file):
    for k in range(10):
        compact(file, f"d{k}", np.float32(k))
        file.attrs[f"text{k}"] = np.bytes_(f"value {k}")


REFUSED = {
    "soft": lambda file: file.__setitem__("x", h5py.SoftLink("/x")),
    "external": lambda file: file.__setitem__("x", h5py.ExternalLink("other.h5", "/x")),
    "storage": lambda file: file.create_dataset("x", shape=(2,), dtype="<f4", external=[("other", 0, 8)]),
    "named": lambda file: file.__setitem__("x", np.dtype("<f4")),
    "fletcher": lambda file: file.create_dataset("x", shape=(3,), dtype="<f4", chunks=(3,), fletcher32=True),
    "lzf": lambda file: file.create_dataset("x", shape=(3,), dtype="<f4", chunks=(3,), compression="lzf"),
    "loop": lambda file: file.create_group("x").__setitem__("y", file["/"]),
    "rank9": lambda file: file.create_dataset("x", shape=(1,) * 9, dtype="<f4"),
}


def pack(path):
    """A .keras with its entries deflated, as small as it gets."""
    with zipfile.ZipFile(path) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    path.write_bytes(file.getvalue())


def write_keras(keras, stem):
    folder = FOLDER / "keras"
    folder.mkdir(parents=True, exist_ok=True)
    model = keras.Sequential([keras.Input((2, 1)), keras.layers.LSTM(1, name="lstm"),
                              keras.layers.Dense(1, name="dense")])
    model.set_weights([values("<f4", w.shape) for w in model.get_weights()])
    if stem == "keras3":  # with the optimizer's state, which is not read
        model.compile("sgd", "mse")
        model.optimizer.build(model.trainable_variables)
    model.save(folder / f"{stem}.keras")
    pack(folder / f"{stem}.keras")
    dense = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="dense")])
    dense.set_weights([values("<f4", w.shape) for w in dense.get_weights()])
    dense.save(folder / f"{stem}.h5")


def write_keras1():
    """Keras 1's conventions (1.2.2: twelve arrays an LSTM, of the gates i, c, f, o; options under their old names)."""
    names = [f"lstm_1_{part}_{gate}" for gate in "icfo" for part in "WUb"]
    shapes = {"W": (1, 1), "U": (1, 1), "b": (1,)}
    config = {"class_name": "Sequential", "config": [{"class_name": "LSTM", "config": {
        "name": "lstm_1", "trainable": True, "batch_input_shape": [None, 2, 1], "input_dim": 1, "input_length": 2,
        "output_dim": 1, "init": "glorot_uniform", "inner_init": "orthogonal", "forget_bias_init": "one",
        "activation": "tanh", "inner_activation": "sigmoid", "W_regularizer": None, "U_regularizer": None,
        "b_regularizer": None, "dropout_W": 0.0, "dropout_U": 0.0, "return_sequences": False, "go_backwards": False,
        "stateful": False, "unroll": False, "consume_less": "cpu", "input_dtype": "float32"}}]}
    with h5py.File(FOLDER / "keras" / "keras1.h5", "w", **SMALL) as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["keras_version"] = b"1.2.2"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"lstm_1"]
        layer = weights.create_group("lstm_1")
        layer.attrs["weight_names"] = np.array([name.encode() for name in names])
        for k, name in enumerate(names):
            compact(layer, name, np.full(shapes[name[7]], k, "<f4"))


if __name__ == "__main__":
    write("plain.h5", fill_plain, **OLD)
    write("chunks.h5", fill_chunks, **OLD)
    write("types.h5", fill_types, **NEW)
    write("new.h5", fill_new, track_order=True, **NEW)
    write("single.h5", fill_single, **NEW)
    write("dense.h5", fill_dense, **NEW)
    write("soft_old.h5", REFUSED["soft"], **OLD)
    for name, fill in REFUSED.items():
        write(f"{name}.h5", fill, **NEW)
    write_keras1()
    if "--keras2" in sys.argv:
        from tensorflow import keras as keras2
        write_keras(keras2, "keras2")
    else:
        import keras as keras3
        write_keras(keras3, "keras3")
    for kind in ["hdf5", "keras"]:
        print(kind, sum(path.stat().st_size for path in (FOLDER / kind).iterdir()), "bytes")
