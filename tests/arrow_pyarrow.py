# SPDX-License-Identifier: MIT
#
# usage: arrow_pyarrow.py LIBRARY
#
# The Arrow C data interface of the library against the real pyarrow: what pyarrow exports is read as
# pyarrow itself reads it (numbers of every type, lists of every kind, slices, nulls, streams, memory-mapped
# files), types that are not read are refused by name, and pyarrow gets its memory back. Exits with 77 (skipped)
# where pyarrow is not installed.
import ctypes as c
import gc
import json
import os
import sys
import tempfile

try:
    import numpy as np
    import pyarrow as pa
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

lib = c.CDLL(os.path.abspath(sys.argv[1]))
lib.lstm_last_error.restype = c.c_char_p
lib.lstm_arrow_source.restype = c.c_void_p
lib.lstm_arrow_close.restype = None
lib.lstm_model_destroy.restype = None
random = np.random.default_rng(5)


class Schema(c.Structure):
    _fields_ = [("memory", c.c_byte * 72)]


class Array(c.Structure):
    _fields_ = [("memory", c.c_byte * 80)]


class Stream(c.Structure):
    _fields_ = [("memory", c.c_byte * 40)]


class Columns(c.Structure):
    _fields_ = [("names", c.POINTER(c.c_char_p)), ("count", c.c_size_t)]


class Loss(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("loss", c.c_int32)]


class Options(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("nulls", c.c_int32),
                ("inputs", c.POINTER(Columns)), ("input_count", c.c_size_t),
                ("targets", c.POINTER(Columns)), ("target_count", c.c_size_t),
                ("lengths", c.c_char_p), ("weights", c.c_char_p), ("labels", c.c_char_p),
                ("loss", c.POINTER(Loss))]


class Data(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("layout", c.c_int32), ("samples", c.c_int64),
                ("x", c.c_void_p), ("x_count", c.c_size_t), ("y", c.c_void_p), ("y_count", c.c_size_t),
                ("inputs", c.POINTER(c.POINTER(c.c_float))), ("input_sizes", c.POINTER(c.c_size_t)),
                ("input_count", c.c_size_t),
                ("targets", c.POINTER(c.POINTER(c.c_float))), ("target_sizes", c.POINTER(c.c_size_t)),
                ("target_count", c.c_size_t), ("weights", c.c_void_p), ("weight_count", c.c_size_t),
                ("lengths", c.POINTER(c.c_int32)), ("lengths_count", c.c_size_t)]


class Fit(c.Structure):
    _fields_ = ([("struct_size", c.c_uint32)] +
                [(name, c.c_int32) for name in ("epochs", "batch_size", "shuffle", "initial_epoch", "early_stopping",
                                                "restore_best", "metric_count")] +
                [("metrics", c.c_void_p), ("max_steps", c.c_int64), ("split", c.c_double), ("delta", c.c_double)] +
                [(name, c.c_void_p) for name in ("validation", "loss", "optimizer", "optimizer_options")] +
                [("seed", c.c_uint64), ("checkpoint", c.c_void_p), ("every", c.c_int32), ("reserved", c.c_int32)] +
                [(name, c.c_void_p) for name in ("resume", "progress", "user", "class_weights")] +
                [("class_count", c.c_size_t), ("k1", c.c_int64), ("k2", c.c_int64), ("noise", c.c_double),
                 ("norms", c.c_int32), ("reserved_2", c.c_int32), ("source", c.c_void_p)])


def check(condition, *what):
    if not condition:
        print("FAILED:", *what)
        sys.exit(1)


def model_of(shape, units=3, outputs=1, sequences=False):
    layers = [{"type": "Input", "shape": list(shape)}]
    if len(shape) == 2:
        layers.append({"type": "LSTM", "units": units, "return_sequences": sequences})
    layers.append({"type": "Dense", "units": outputs})
    text = json.dumps({"layers": layers}).encode()
    model = c.c_void_p()
    status = lib.lstm_model_from_json(c.byref(model), None, text, c.c_size_t(len(text)))
    check(status == 0, lib.lstm_last_error())
    return model


def columns(names):
    return Columns((c.c_char_p * len(names))(*[n.encode() for n in names]), len(names))


def open_arrow(model, what, x, y=None, nulls=0, lengths=None):
    """what: a RecordBatch, or a reader. Returns (handle, error text)."""
    options = Options(c.sizeof(Options), nulls, c.pointer(columns(x)), 1, c.pointer(columns(y)) if y else None,
                      1 if y else 0, lengths)
    arrow = c.c_void_p()
    if isinstance(what, pa.RecordBatch):
        schema, array = Schema(), Array()
        what._export_to_c(c.addressof(array), c.addressof(schema))
        status = lib.lstm_arrow_open(c.byref(arrow), model, c.byref(options), c.byref(schema), c.byref(array),
                                     c.c_size_t(1))
        if status != 0:  # still ours: given back to pyarrow, which releases them
            pa.RecordBatch._import_from_c(c.addressof(array), c.addressof(schema))
    else:
        stream = Stream()
        what._export_to_c(c.addressof(stream))
        status = lib.lstm_arrow_open_stream(c.byref(arrow), model, c.byref(options), c.byref(stream))
    return arrow, lib.lstm_last_error().decode() if status != 0 else None


def arrays_of(arrow):
    data = Data(c.sizeof(Data))
    check(lib.lstm_arrow_data(arrow, c.byref(data)) == 0, lib.lstm_last_error())
    x = np.ctypeslib.as_array(data.inputs[0], (data.input_sizes[0],)).copy()
    y = np.ctypeslib.as_array(data.targets[0], (data.target_sizes[0],)).copy() if data.target_count else None
    lengths = np.ctypeslib.as_array(data.lengths, (data.samples,)).copy() if data.lengths_count else None
    return x, y, lengths, data


def same_as(what, shape, x_names, expected, nulls=0, y_names=None, expected_y=None, lengths=None, named=None,
            sequences=False):
    model = model_of(shape, sequences=sequences)
    arrow, error = open_arrow(model, what, x_names, y_names, nulls, named)
    check(error is None, what.schema, error)
    x, y, own_lengths, data = arrays_of(arrow)
    check(np.array_equal(x, np.asarray(expected, np.float32).reshape(-1), equal_nan=True), what.schema, x, expected)
    if expected_y is not None:
        check(np.array_equal(y, np.asarray(expected_y, np.float32).reshape(-1)), what.schema, y, expected_y)
    if lengths is not None:
        check(own_lengths is not None and list(own_lengths) == list(lengths), own_lengths, lengths)
    if y_names and not np.isnan(x).any():  # training from the source is training from the arrays
        parameters = []
        for from_source in (True, False):
            trained = model_of(shape, sequences=sequences)
            fit = Fit(c.sizeof(Fit), epochs=2, batch_size=4)
            fit.source = lib.lstm_arrow_source(arrow) if from_source else None
            check(lib.lstm_fit(trained, c.byref(fit), None if from_source else c.byref(data), None) == 0,
                  lib.lstm_last_error())
            total = (c.c_float * 4096)()
            values = []
            for k in range(lib.lstm_model_parameter_count(trained)):
                for size in range(1, 4096):
                    if lib.lstm_model_get_parameter(trained, c.c_size_t(k), total, c.c_size_t(size)) == 0:
                        values += total[:size]
                        break
            parameters.append(values)
            lib.lstm_model_destroy(trained)
        check(len(parameters[0]) > 0 and parameters[0] == parameters[1], "training", what.schema)
    lib.lstm_arrow_close(arrow)
    lib.lstm_model_destroy(model)


def sliced(batch):
    """The batch, and slices of it whose offsets are no multiple of 8."""
    yield 0, batch
    yield 3, batch.slice(3)
    yield 5, batch.slice(2, 9).slice(3)


N = 21


def numbers():
    whole = random.integers(0, 100, N)
    for kind in (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64(),
                 pa.float16(), pa.float32(), pa.float64(), pa.bool_()):
        values = whole % 2 == 0 if kind == pa.bool_() else whole.astype(kind.to_pandas_dtype())
        batch = pa.record_batch({"n": pa.array(values, kind), "m": pa.array(values[::-1].copy(), kind)})
        expected = np.stack([np.asarray(values, np.float32), np.asarray(values[::-1], np.float32)], 1)
        for first, part in sliced(batch):
            same_as(part, (2,), ["n", "m"], expected[first:first + len(part)])
            same_as(part, (2,), ["n", "m"], expected[first:first + len(part)], y_names=["m"],
                    expected_y=expected[first:first + len(part), 1])
        holes = [None if k % 5 == 2 else bool(v) if kind == pa.bool_() else kind.to_pandas_dtype()(v)
                 for k, v in enumerate(values)]
        batch = pa.record_batch({"n": pa.array(holes, kind)})
        expected = np.array([np.nan if v is None else float(v) for v in holes], np.float32)
        for first, part in sliced(batch):
            same_as(part, (1,), ["n"], expected[first:first + len(part)], nulls=2)
            row = int(np.flatnonzero(np.isnan(expected[first:first + len(part)]))[0])
            model = model_of((1,))
            _, error = open_arrow(model, part, ["n"])
            check(error and 'column "n": row %d is null' % row in error, error)
            lib.lstm_model_destroy(model)


def lists():
    x = random.standard_normal((N, 4, 2)).astype(np.float32)
    y = random.standard_normal(N).astype(np.float32)
    flat = pa.array(x.reshape(-1))
    pairs = pa.FixedSizeListArray.from_arrays(flat, 2)
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(x)
    forms = {
        "nested": {"x": pa.FixedSizeListArray.from_arrays(pairs, 4)},
        "flat": {"x": pa.FixedSizeListArray.from_arrays(flat, 8)},
        "two": {"a": pa.FixedSizeListArray.from_arrays(pa.array(x[:, :, 0].reshape(-1).astype(np.float64)), 4),
                "b": pa.FixedSizeListArray.from_arrays(pa.array(x[:, :, 1].reshape(-1)), 4)},
        "tensor": {"x": tensor},
        "list": {"x": pa.ListArray.from_arrays(pa.array(np.arange(0, 4 * N + 1, 4, dtype=np.int32)), pairs)},
        "large": {"x": pa.LargeListArray.from_arrays(pa.array(np.arange(0, 4 * N + 1, 4)), pairs)},
        "wide": {"w%d" % k: pa.array(x.reshape(N, 8)[:, k].copy()) for k in range(8)},
    }
    for name, form in forms.items():
        batch = pa.record_batch({**form, "y": pa.array(y)})
        for first, part in sliced(batch):
            rows = slice(first, first + len(part))
            for steps in (4, None):
                same_as(part, (steps, 2), list(form), x[rows], y_names=["y"], expected_y=y[rows])
        table = pa.Table.from_batches([batch.slice(0, 5), batch.slice(5, 0), batch.slice(5, 9), batch.slice(14)])
        same_as(table.to_reader(), (4, 2), list(form), x, y_names=["y"], expected_y=y)
    model = model_of((4, 2))
    permuted = pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), [2, 4], permutation=[1, 0]), pa.FixedSizeListArray.from_arrays(flat, 8))
    _, error = open_arrow(model, pa.record_batch({"x": permuted}), ["x"])
    check(error and "permutation" in error, error)
    lib.lstm_model_destroy(model)


def lengths():
    wanted = [3, 0, 5, 1, 4, 5, 2, 2, 1, 5, 3, 4, 1, 2, 5, 3, 2, 4, 1, 1, 2]
    x = [random.standard_normal((n, 2)).astype(np.float32) for n in wanted]
    y = [random.standard_normal(n).astype(np.float32) for n in wanted]
    padded = np.zeros((N, 5, 2), np.float32)
    targets = np.zeros((N, 5), np.float32)
    for k, n in enumerate(wanted):
        padded[k, :n], targets[k, :n] = x[k], y[k]
    inner = pa.list_(pa.float32(), 2)
    for outer in (pa.list_(inner), pa.large_list(inner)):
        batch = pa.record_batch({"x": pa.array([a.tolist() for a in x], outer),
                                 "y": pa.array([a.tolist() for a in y], pa.list_(pa.float64()))})
        for first, part in sliced(batch):
            rows = slice(first, first + len(part))
            same_as(part, (5, 2), ["x"], padded[rows], y_names=["y"], expected_y=targets[rows], lengths=wanted[rows],
                    sequences=True)
        holes = pa.array([None if k == 6 else a.tolist() for k, a in enumerate(x)], outer)
        expected = padded.copy()
        expected[6] = 0
        same_as(pa.record_batch({"x": holes}), (None, 2), ["x"], expected, nulls=2,
                lengths=[0 if k == 6 else n for k, n in enumerate(wanted)])


def refused():
    one = {
        "utf8": pa.array(["a"]), "large_utf8": pa.array(["a"], pa.large_string()), "binary": pa.array([b"a"]),
        "fixed_size_binary": pa.array([b"ab"], pa.binary(2)), "null": pa.nulls(1),
        "date32": pa.array([1], pa.date32()), "date64": pa.array([86400000], pa.date64()),
        "time32[s]": pa.array([1], pa.time32("s")), "time64[ns]": pa.array([1], pa.time64("ns")),
        "timestamp[us]": pa.array([1], pa.timestamp("us", "Europe/Berlin")),
        "timestamp[s]": pa.array([1], pa.timestamp("s")), "duration": pa.array([1], pa.duration("ms")),
        "decimal": pa.array([1], pa.decimal128(19, 2)), "struct": pa.array([{"a": 1}]),
        "map": pa.array([[(1, 2)]], pa.map_(pa.int8(), pa.int8())),
        "dictionary-encoded": pa.array(["a"]).dictionary_encode(),
        "utf8_view": pa.array(["a"], pa.string_view()), "list_view": pa.array([[1]], pa.list_view(pa.int8())),
        "interval": pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
        "run_end_encoded": pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array([1.0])),
    }
    for name, array in one.items():
        model = model_of((1,))
        _, error = open_arrow(model, pa.record_batch({"c": array}), ["c"])
        check(error and name in error and 'column "c"' in error, name, error)
        lib.lstm_model_destroy(model)


def mapped():
    """A file that is mapped into memory: numbers are used where they lie in the map."""
    x = random.standard_normal((N, 4, 2)).astype(np.float32)
    array = pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), 8)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.arrow")
        with pa.ipc.new_file(path, pa.schema({"x": array.type})) as file:
            file.write(pa.record_batch({"x": array}))
        batch = pa.ipc.open_file(pa.memory_map(path)).get_batch(0)
        model = model_of((4, 2))
        arrow, error = open_arrow(model, batch, ["x"])
        check(error is None, error)
        found, _, _, data = arrays_of(arrow)
        check(np.array_equal(found, x.reshape(-1)), "mapped")
        check(c.addressof(data.inputs[0].contents) == batch.column(0).values.buffers()[1].address, "copied")
        lib.lstm_arrow_close(arrow)
        lib.lstm_model_destroy(model)


def failing_reader():
    def batches():
        yield pa.record_batch({"x": pa.array([1.0, 2.0])})
        raise OSError("the disk is gone")

    reader = pa.RecordBatchReader.from_batches(pa.schema({"x": pa.float64()}), batches())
    model = model_of((1,))
    _, error = open_arrow(model, reader, ["x"])
    check(error and "get_next" in error and "the disk is gone" in error, error)
    lib.lstm_model_destroy(model)


before = pa.total_allocated_bytes()
for part in (numbers, lists, lengths, refused, mapped, failing_reader):
    part()
    gc.collect()
    check(pa.total_allocated_bytes() == before, part.__name__, "kept", pa.total_allocated_bytes() - before, "bytes")
print("pyarrow", pa.__version__, "reads the same")
