#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the seed files of the fuzz targets into corpus/ beside this file. Needs numpy and safetensors.

The files are also fixtures of the unit tests, which know their values: element k of an array of n holds
(k - n // 2) / 2 where the type has fractions, k - n // 2 where it has a sign, k else (bool: k odd).
"""
import io
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save

FOLDER = Path(__file__).resolve().parent / "corpus"


def values(dtype, shape, order="C"):
    dtype = np.dtype(dtype)
    n = int(np.prod(shape, dtype=int))
    k = np.arange(n)
    if dtype.kind == "f":
        k = (k - n // 2) / 2
    elif dtype.kind == "i":
        k = k - n // 2
    elif dtype.kind == "b":
        k = k % 2
    return k.reshape(shape).astype(dtype, order=order)


def npy(array, version=(1, 0)):
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def npy_header(text):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def safetensors(header, data=b""):
    return struct.pack("<Q", len(header)) + header + data


class Stream(io.BytesIO):
    """A file that cannot seek: zipfile then writes data descriptors."""

    def seekable(self):
        return False

    def seek(self, *unused):
        raise io.UnsupportedOperation

    def tell(self):
        raise io.UnsupportedOperation


def zipped(entries, compression, file_type=io.BytesIO):
    file = file_type()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = compression
            with archive.open(info, "w") as entry:
                entry.write(content)
    return file.getvalue()


def write(kind, name, content):
    folder = FOLDER / kind
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def write_npy():
    for dtype in ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "|i1", "<i2", "<i4", ">i4", "<i8", "|u1", ">u2", "<u4",
                  "<u8", "|b1"]:
        name = dtype.replace("<", "").replace("|", "").replace(">", "big_")
        write("npy", f"{name}.npy", npy(values(dtype, (2, 3))))
    write("npy", "fortran.npy", npy(values("<f4", (2, 3, 4), "F")))
    write("npy", "scalar.npy", npy(values("<f4", ())))
    write("npy", "vector.npy", npy(values("<f4", (5,))))
    write("npy", "empty.npy", npy(values("<f4", (2, 0, 3))))
    write("npy", "rank8.npy", npy(values("<f8", (1, 2, 1, 2, 1, 1, 3, 1))))
    write("npy", "version2.npy", npy(values("<f4", (2, 3)), (2, 0)))
    write("npy", "version3.npy", npy(values("<f4", (2, 3)), (3, 0)))
    write("npy", "python2.npy", npy_header(b"{'shape': (2L, 1L), 'fortran_order': False, 'descr': \"<f4\"}\n")
          + values("<f4", (2, 1)).tobytes())
    write("npy", "structured.npy", npy(np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")])))
    write("npy", "complex.npy", npy(np.zeros(2, dtype="<c8")))


def write_zip():
    arrays = {"a": values("<f4", (2, 3)), "lstm/kernel": values(">f8", (4,))}
    for name, saver in [("stored.npz", np.savez), ("deflated.npz", np.savez_compressed)]:
        file = io.BytesIO()
        saver(file, **arrays)
        write("zip", name, file.getvalue())
    entries = [(f"{name}.npy", npy(array)) for name, array in arrays.items()]
    write("zip", "plain.npz", zipped(entries, zipfile.ZIP_STORED))
    write("zip", "streamed.npz", zipped(entries, zipfile.ZIP_DEFLATED, Stream))
    write("zip", "empty.npz", zipped([], zipfile.ZIP_STORED))
    write("zip", "text.zip", zipped([("config.json", b'{"a": 1}' * 20), ("empty", b"")], zipfile.ZIP_DEFLATED))
    write("zip", "up.zip", zipped([("../up.npy", entries[0][1])], zipfile.ZIP_STORED))
    write("zip", "bzip2.zip", zipped(entries[:1], zipfile.ZIP_BZIP2))


def write_safetensors():
    arrays = {"a": values("<f4", (2, 3)), "count": values("<i8", (2,)), "flag": values("|b1", (3,)),
              "scale": values("<f8", ()), "none": values("<f4", (0, 4)), "half": values("<f2", (3,))}
    write("safetensors", "mixed.safetensors", save(arrays, metadata={"format": "np", "text": "a \"quoted\" \u00e9\n"}))
    write("safetensors", "empty.safetensors", safetensors(b"{}"))
    brain = (values("<f4", (4,)).view("<u4") >> 16).astype("<u2").tobytes()
    write("safetensors", "bf16.safetensors",
          safetensors(b'{"b":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]}}', brain))
    parts = []
    for name, dtype in [("F16", "<f2"), ("F32", "<f4"), ("F64", "<f8"), ("I8", "i1"), ("I16", "<i2"), ("I32", "<i4"),
                        ("I64", "<i8"), ("U8", "u1"), ("U16", "<u2"), ("U32", "<u4"), ("U64", "<u8"), ("BOOL", "?")]:
        parts.append((name, values(dtype, (3,)).tobytes()))
    header, data = [], b""
    for name, content in parts:
        header.append('"%s":{"dtype":"%s","shape":[3],"data_offsets":[%d,%d]}'
                      % (name.lower(), name, len(data), len(data) + len(content)))
        data += content
    write("safetensors", "all.safetensors", safetensors(("{" + ",".join(header) + "}  ").encode(), data))
    write("safetensors", "hole.safetensors",
          safetensors(b'{"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}', b"123"))
    write("safetensors", "overlap.safetensors",
          safetensors(b'{"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},'
                      b'"c":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}', b"123"))


def write_csv():
    texts = {
        "plain.csv": "Date,Price,Name\n2020-01-01,1.5,x\n2020-01-02,-2e3,y\n",
        "quoted.csv": '"a, b","say ""hi""","line\nend"\n1,2,3\r\n"4","5",""\r\n',
        "semicolon.csv": "\ufeffa;b\r\n1;2\r\n3;4",
        "tab.csv": "a\tb\n 1 \t\n\n\n",
        "dates.csv": "t,x\n2024-02-29T12:34:56.789+05:30,1\n2024/03/01 00:00,2\n2024-03,3\n",
        "missing.csv": "a,b\nNA,1\n2,\nNaN,3\n",
        "numbers.csv": "a\n0.1\n1e308\n4.9e-324\n123456789012345678901234567890\n.5\n5.\n+7\n-0\n\n\n",
        "ragged.csv": "a,b\n1,2\n3\n",
        "unclosed.csv": 'a,b\n1,"2\n',
        "infinite.csv": "a\n1\ninf\n",
    }
    for name, text in texts.items():
        write("csv", name, text.encode())
    write("csv", "nul.csv", b"a,b\n1,\x002\n")


if __name__ == "__main__":
    write_npy()
    write_zip()
    write_safetensors()
    write_csv()
    print(sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()), "bytes")
