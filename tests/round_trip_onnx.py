#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Models through the program, onnx.checker and ONNX Runtime: round_trip_onnx.py PROGRAM CORPUS [SILERO MODEL MODEL]

1. Each network below is built by the program, converted to .onnx, checked by onnx.checker, run by ONNX Runtime, and read back by
   the program: all three outputs agree within 1e-5. Those of ONE_WAY are not read back: that is refused by the operator's name.
2. Each file of CORPUS is run by ONNX Runtime and by the program.
3. Each MODEL, which test_silero made of the LSTM in the folder SILERO, against ONNX Runtime with the weights that are there.
Ends with 77 (skipped) without onnx, onnxruntime or numpy.
"""
import glob
import json
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

PROGRAM = sys.argv[1]
LIMIT = 1e-5
B, T, F = 3, 6, 4
WORK = tempfile.mkdtemp()
RANDOM = np.random.default_rng(5)


def run(*words):
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)
    return done


def save(name, array):
    path = os.path.join(WORK, name.replace("/", "_").replace(":", "_") + ".npy")
    np.save(path, array)
    return path


def close(what, found, expected):
    assert found.shape == expected.shape, (what, found.shape, expected.shape)
    worst = float(np.abs(found.astype("f8") - expected).max()) if found.size else 0.0
    assert worst <= LIMIT, (what, worst)
    return worst


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


# ---- 1. networks

def layer(kind, **options):
    return {"type": kind, **options}


X = layer("Input", name="x", shape=[T, F])
FREE = layer("Input", name="x", shape=[None, F])
TOKENS = layer("Input", name="x", shape=[None])
SEQUENCES = {"return_sequences": True}
NETWORKS = {
    "lstm": [FREE, layer("LSTM", units=5)],
    "lstm sequences": [FREE, layer("LSTM", units=5, **SEQUENCES)],
    "lstm without bias": [X, layer("LSTM", units=5, use_bias=False)],
    "lstm backwards": [FREE, layer("LSTM", units=5, go_backwards=True, **SEQUENCES)],
    "lstm states": [FREE, layer("LSTM", units=5, return_state=True, **SEQUENCES)],
    "peepholes": [FREE, layer("LSTM", units=5, peepholes=True, **SEQUENCES)],
    "coupled gates": [FREE, layer("LSTM", units=5, coupled_gates="forget", use_bias=False)],
    "clip": [FREE, layer("LSTM", units=5, gate_clip=0.1, go_backwards=True)],
    "stack": [FREE, layer("LSTM", units=5, **SEQUENCES), layer("LSTM", units=3), layer("Dense", units=2, activation="softmax")],
    "gru": [FREE, layer("GRU", units=5)],
    "gru sequences": [FREE, layer("GRU", units=5, go_backwards=True, **SEQUENCES)],
    "gru reset before": [FREE, layer("GRU", units=5, reset_after=False, **SEQUENCES)],
    "rnn": [FREE, layer("SimpleRNN", units=5, **SEQUENCES), layer("SimpleRNN", units=3, activation="relu")],
    "first states": [FREE, layer("Input", name="h", shape=[5]), layer("Input", name="c", shape=[5]),
                     layer("LSTM", inputs=["x", "h", "c"], units=5, return_state=True, **SEQUENCES)],
    "first state of a gru": [FREE, layer("Input", name="h", shape=[5]), layer("GRU", inputs=["x", "h"], units=5)],
    "learned states": [FREE, layer("LearnedVector", name="h", features=5, initializer="random_normal"),
                       layer("LearnedVector", name="c", inputs=["x"], features=5, initializer="random_normal"),
                       layer("LSTM", inputs=["x", "h", "c"], units=5)],
    "encoder and decoder": [X, layer("LSTM", name="encoder", units=5), layer("RepeatVector", n=3),
                            layer("LSTM", units=5, initial_state="encoder", **SEQUENCES),
                            layer("TimeDistributed", layer=layer("Dense", units=2))],
    "embedding": [TOKENS, layer("Embedding", input_dim=7, output_dim=4), layer("LSTM", units=3)],
    "norms": [FREE, layer("LayerNormalization"), layer("LSTM", units=4, **SEQUENCES), layer("BatchNormalization"),
              layer("GlobalAveragePooling1D"), layer("BatchNormalization", scale=False), layer("LayerNormalization", center=False)],
    "convolution": [X, layer("Conv1D", filters=5, kernel_size=3, padding="causal", dilation_rate=2, activation="relu"),
                    layer("MaxPooling1D", pool_size=2), layer("LSTM", units=3)],
    "convolution same": [X, layer("Conv1D", filters=5, kernel_size=4, padding="same"), layer("AveragePooling1D", pool_size=2, strides=1),
                         layer("GlobalMaxPooling1D")],
    "convolution valid": [X, layer("Conv1D", filters=5, kernel_size=2, strides=2, activation="tanh"), layer("LastStep")],
    "same pooling": [layer("Input", name="x", shape=[7, F]), layer("MaxPooling1D", pool_size=3, strides=2, padding="same"),
                     layer("Flatten"), layer("Dense", units=2)],
    "shapes": [X, layer("Flatten"), layer("Dense", units=6), layer("Reshape", target_shape=[3, 2]), layer("GRU", units=2)],
    "noise": [FREE, layer("Dropout", rate=0.5), layer("SpatialDropout1D", rate=0.5), layer("GaussianNoise", stddev=1.0),
              layer("Reverse"), layer("LSTM", units=3)],
    "merges": [FREE, layer("LSTM", name="a", units=3, **SEQUENCES), layer("GRU", name="b", inputs=["x"], units=3, **SEQUENCES),
               *[layer(kind, name=kind, inputs=["a", "b"]) for kind in ("Add", "Subtract", "Multiply", "Average", "Maximum")],
               layer("Concatenate", inputs=["Add", "Subtract", "Multiply", "Average", "Maximum"]), layer("LSTM", units=2)],
    "two inputs, two outputs": [FREE, layer("Input", name="v", shape=[3]), layer("LSTM", name="a", inputs=["x"], units=3),
                                layer("Concatenate", name="both", inputs=["a", "v"]), layer("Dense", name="p", units=2),
                                layer("Dense", name="q", inputs=["both"], units=1, activation="sigmoid")],
}
for merge in ("concat", "sum", "mul", "ave"):
    for sequences in (True, False):
        inner = layer("LSTM" if sequences else "GRU", units=3, return_sequences=sequences)
        NETWORKS[f"bidirectional {merge} {sequences}"] = [FREE, layer("Bidirectional", merge_mode=merge, layer=inner)]
for name in ("relu", "softsign", "softplus", "elu", "linear", "hard_sigmoid", "hard_sigmoid_keras2"):
    if name not in ("linear", "hard_sigmoid", "hard_sigmoid_keras2"):
        NETWORKS[f"lstm {name}"] = [FREE, layer("LSTM", units=3, activation=name)]
    NETWORKS[f"lstm gates {name}"] = [FREE, layer("LSTM", units=3, recurrent_activation=name)]
    NETWORKS[f"activation {name}"] = [FREE, layer("LSTM", units=3), layer("Activation", activation=name)]
NUMBERS = {  # activations with numbers of their own: name, alpha, beta
    "affine": ("linear", 0.75, -0.125), "scaled": ("linear", -0.5, 0.0), "scaled tanh": ("tanh", 1.5, 0.5),
    "leaky relu": ("relu", 0.25, 0.0), "thresholded relu": ("relu", 0.0, 0.25), "elu 0.5": ("elu", 0.5, 0.0),
    "hard sigmoid 0.25": ("hard_sigmoid", 0.25, 0.375), "falling hard sigmoid": ("hard_sigmoid", -0.5, 0.0)}


def numbered(key, name, alpha, beta):
    return {key: name, key + "_alpha": alpha, key + "_beta": beta}


for title, words in NUMBERS.items():
    for key in ("activation", "recurrent_activation", "output_activation"):
        NETWORKS[f"lstm {key} {title}"] = [FREE, layer("LSTM", units=3, **numbered(key, *words), **SEQUENCES)]
    for key in ("activation", "recurrent_activation")[:1 + (words[0] in ("tanh", "hard_sigmoid"))]:  # others run away
        NETWORKS[f"gru {key} {title}"] = [FREE, layer("GRU", units=3, reset_after=key == "activation", **numbered(key, *words))]
    NETWORKS[f"rnn {title}"] = [FREE, layer("SimpleRNN", units=3, **numbered("activation", *words))]
    NETWORKS[f"activation {title}"] = [FREE, layer("LSTM", units=3), layer("Activation", **numbered("activation", *words))]
for name in ("relu", "softsign", "softplus", "elu", "hard_sigmoid"):
    NETWORKS[f"gru {name}"] = [FREE, layer("GRU", units=3, activation=name, recurrent_activation="hard_sigmoid_keras2")]
    NETWORKS[f"bidirectional {name}"] = [FREE, layer("Bidirectional", layer=layer(
        "LSTM", units=3, output_activation=name, gate_clip=1.5, **numbered("recurrent_activation", "linear", 0.5, 0.5)))]
NETWORKS["exponential"] = [FREE, layer("LSTM", units=3), layer("Dense", units=2, activation="exponential")]
TORCH = ("lstm", "lstm sequences", "gru", "rnn", "norms", "convolution", "stack", "bidirectional concat True")


# Written in plain operators or as a Scan, which are not read back.
MASKED = [FREE, layer("Masking", name="m")]
EMBEDDED = [TOKENS, layer("Embedding", name="m", input_dim=7, output_dim=4, mask_zero=True)]
STATES = [layer("Input", name="h", shape=[5]), layer("Input", name="c", shape=[5])]
PAIR = [FREE, layer("LSTM", name="q", inputs=["x"], units=4, **SEQUENCES), layer("GRU", name="v", inputs=["x"], units=4, **SEQUENCES)]
ONE_WAY = {
    "several masks": [*MASKED, layer("LSTM", name="a", units=3, **SEQUENCES), layer("Masking", name="n", inputs=["x"], mask_value=0.5),
                      layer("GRU", name="b", inputs=["n"], units=3, **SEQUENCES), layer("Add", name="s", inputs=["a", "b"]),
                      layer("Dense", units=4), layer("Masking"), layer("LSTM", units=2)],
    "a mask through thirty sums": [*MASKED, *[layer("Add", name=f"s{k}", inputs=[f"s{k - 1}" if k else "m"] * 2) for k in range(30)],
                                   layer("Activation", activation="tanh"), layer("LSTM", units=2)],
    "mask turned round": [*MASKED, layer("Reverse"), layer("LSTM", units=3, go_backwards=True, **SEQUENCES), layer("LSTM", units=2)],
    "mask through a convolution": [*MASKED, layer("Conv1D", filters=3, kernel_size=3, padding="same"), layer("GlobalAveragePooling1D")],
    "mask that a convolution does not see": [*MASKED, layer("Conv1D", filters=3, kernel_size=2, padding="same", ignore_mask=True), layer("LSTM", units=2)],
    "first states under a mask": [FREE, *STATES, layer("Masking", name="m", inputs=["x"]),
                                  layer("LSTM", inputs=["m", "h", "c"], units=5, return_state=True, **SEQUENCES)],
    "first states under a mask, last": [FREE, *STATES, layer("Masking", name="m", inputs=["x"]),
                                        layer("LSTM", inputs=["m", "h", "c"], units=5, return_state=True)],
    "first state of a masked gru": [FREE, STATES[0], layer("Masking", name="m", inputs=["x"]),
                                    layer("GRU", inputs=["m", "h"], units=5, **SEQUENCES)],
    "lstmp": [FREE, layer("LSTM", units=5, proj_size=3, peepholes=True, proj_clip=0.2, cell_clip=0.5, gate_clip=2.0, return_state=True,
                          **SEQUENCES), layer("Dense", units=2)],
    "zoneout": [FREE, layer("LSTM", units=5, proj_size=2, zoneout_h=0.25, zoneout_c=0.5, go_backwards=True, **SEQUENCES)],
    "i = 1 - f": [FREE, layer("LSTM", units=5, coupled_gates="input")],
    "exponential gates": [FREE, layer("LSTM", units=3, activation="exponential", recurrent_activation="softsign", gate_clip=0.5)],
    "both numbers of relu": [FREE, layer("SimpleRNN", units=3, **numbered("activation", "relu", 0.25, 0.5)),],
    "other gru": [FREE, layer("GRU", units=3, reset_after=False, **numbered("activation", "relu", 0.25, 0.5), **SEQUENCES),
                  layer("GRU", units=3, **numbered("activation", "relu", 0.25, 0.5))],
    "other gru without bias": [FREE, layer("GRU", units=3, use_bias=False, **numbered("activation", "relu", 0.25, 0.5))],
    "attention": [*PAIR, layer("Attention", inputs=["q", "v"])],
    "attention with a scale": [*PAIR, layer("Attention", inputs=["q", "v", "q"], use_scale=True, use_causal_mask=True)],
    "attention of sums": [*PAIR, layer("Attention", inputs=["q", "v"], score_mode="concat", use_scale=True)],
    "additive attention": [*PAIR, layer("AdditiveAttention", inputs=["q", "v"]), layer("AdditiveAttention", use_scale=False,
                                                                                       inputs=["q", "v"], use_causal_mask=True)],
    "heads": [*PAIR, layer("MultiHeadAttention", inputs=["q", "v"], num_heads=3, key_dim=2)],
    "heads, causal": [*PAIR, layer("MultiHeadAttention", inputs=["q", "v", "q"], num_heads=2, key_dim=3, value_dim=4, use_bias=False,
                                   use_causal_mask=True), layer("LSTM", units=2)],
    "heads under masks": [*MASKED, layer("LSTM", name="q", inputs=["m"], units=4, **SEQUENCES),
                          layer("MultiHeadAttention", inputs=["q", "m"], num_heads=2, key_dim=3, use_causal_mask=True)],
    "attention under masks": [*MASKED, layer("LSTM", name="q", inputs=["x"], units=4, **SEQUENCES),
                              layer("Attention", inputs=["q", "m"]), layer("AdditiveAttention", inputs=["m", "q"]),
                              layer("GlobalMaxPooling1D")],
}
for norm in ("ba", "fastrnns", "tflite", "tf"):
    ONE_WAY[f"normalised {norm}"] = [FREE, layer("LSTM", units=5, layer_norm=norm, **SEQUENCES), layer("LSTM", units=3, layer_norm=norm,
                                     cell_clip=0.5, zoneout_c=0.25, layer_norm_epsilon=0.125, proj_size=2, use_bias=False, coupled_gates="input")]
ONE_WAY["normalised tf, peepholes"] = [FREE, layer("LSTM", units=5, layer_norm="tf", peepholes=True, layer_norm_epsilon=0.25,
                                                   output_activation="softsign", go_backwards=True, **SEQUENCES)]
for title, start in (("mask", MASKED), ("mask of tokens", EMBEDDED)):
    for kind in ("LSTM", "GRU", "SimpleRNN"):
        for zeros in (False, True):
            ONE_WAY[f"{title}, {kind}, zeros {zeros}"] = [*start, layer(kind, units=3, zero_output_for_mask=zeros, **SEQUENCES),
                                                          layer("Dense", units=2)]
        ONE_WAY[f"{title}, {kind}, last"] = [*start, layer(kind, units=3, go_backwards=True)]
        ONE_WAY[f"{title}, Bidirectional {kind}"] = [*start, layer("Bidirectional", layer=layer(kind, units=3, **SEQUENCES)),
                                                     layer("Bidirectional", layer=layer(kind, units=2))]
    for kind in ("GlobalAveragePooling1D", "GlobalMaxPooling1D", "LastStep"):
        ONE_WAY[f"{title}, {kind}"] = [*start, layer("LSTM", units=3, **SEQUENCES), layer(kind)]
TORCH_ONE_WAY = ("lstmp", "zoneout", "normalised ba", "normalised tf", "other gru without bias", "mask, LSTM, last", "mask, GRU, zeros True",
                 "mask, SimpleRNN, zeros False", "first states under a mask, last", "heads", "attention under masks")


def write_model(layers, profile):
    path = os.path.join(WORK, "model.json")
    with open(path, "w") as file:
        json.dump({"profile": profile, "seed": 3, "layers": layers}, file)
    return path


def scattered(own, description, profile):
    """Other numbers for every parameter: biases, peepholes, scales and statistics begin as zeros and ones, which hide mistakes."""
    arrays = os.path.join(WORK, "weights.npz")
    weights = os.path.join(WORK, "weights.safetensors")
    run("convert", own, arrays, "--naming", profile)
    header, data = {}, b""
    with np.load(arrays) as found:
        for name, array in found.items():
            array = (array + RANDOM.uniform(-0.25, 0.25, array.shape)).astype("<f4")
            if "variance" in name or "running_var" in name:
                array = np.abs(array) + np.float32(0.25)
            header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(data), len(data) + array.nbytes]}
            data += array.tobytes()
    text = json.dumps(header).encode()
    with open(weights, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + data)
    run("convert", weights, own, "--network", description)


def feed(layers, steps):
    arrays = {}
    tokens = any(one["type"] == "Embedding" for one in layers)
    for one in layers:
        if one["type"] != "Input":
            continue
        shape = [steps if size is None else size for size in one["shape"]]
        if tokens:
            arrays[one["name"]] = RANDOM.integers(0, 7, (B, steps)).astype("i8")
        else:
            arrays[one["name"]] = RANDOM.standard_normal((B, *shape)).astype("f4")
    if any(one["type"] == "Masking" for one in layers):  # holes, and a sample without a step
        x = arrays["x"]
        x[RANDOM.random(x.shape[:2]) < 0.4] = 0
        x[RANDOM.random(x.shape[:2]) < 0.1] = 0.5
        x[1] = 0
    return arrays


def predict(model, arrays, named):
    out = os.path.join(WORK, "out.npz")
    words = []
    for name, array in arrays.items():
        path = save(name, array)
        words += ["--x", f"{name}={path}" if named else path]
    run("predict", model, *words, "-o", out)
    return np.load(out)


def check_network(name, layers, profile, back=True):
    description = write_model(layers, profile)
    own = os.path.join(WORK, "own.lstm")
    path = os.path.join(WORK, "out.onnx")
    run("convert", description, own)
    scattered(own, description, profile)
    run("convert", own, path)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    runtime = session(path)
    names = [output.name for output in runtime.get_outputs()]
    worst = 0.0
    for steps in (T, 2 * T + 1) if layers[0] is FREE or layers[0] is TOKENS else (layers[0]["shape"][0],):
        arrays = feed(layers, steps)
        ours = predict(own, arrays, False)
        theirs = runtime.run(None, arrays)
        again = predict(path, arrays, True) if back else None
        for k, output in enumerate(theirs):
            worst = max(worst, close(name, output, ours[f"y{k}"]))
            if back:
                worst = max(worst, close(name + ", read again", again[names[k] if len(names) > 1 else "y0"], output))
    if not back:
        done = subprocess.run([PROGRAM, "summary", path], capture_output=True, text=True)
        assert done.returncode == 2 and "node " in done.stderr, (done.returncode, done.stderr)
    return worst


def check_stateful(kind, back, **options):
    """A stream in two pieces through the states of the graph equals the whole sequence."""
    layers = [FREE, layer(kind, name="a", units=5, stateful=True, **options, **SEQUENCES), layer("Dense", units=2)]
    own = os.path.join(WORK, "own.lstm")
    path = os.path.join(WORK, "stream.onnx")
    run("convert", write_model(layers, "keras"), own)
    run("convert", own, path)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    runtime = session(path)
    arrays = feed(layers, 8)
    whole = predict(own, arrays, False)["y0"]
    states = {port.name: np.zeros((1, B, port.shape[2]), "f4") for port in runtime.get_inputs() if port.name != "x"}
    assert sorted(states) == (["a.c0", "a.h0"] if kind == "LSTM" else ["a.h0"]), states
    pieces = []
    for part in (slice(0, 3), slice(3, 8)):
        y, *last = runtime.run(None, {"x": arrays["x"][:, part], **states})
        states = dict(zip((name for name in ("a.h0", "a.c0") if name in states), last))
        pieces.append(y)
    if back:
        predict(path, {"x": arrays["x"], **{name: np.zeros((1, B, 5), "f4") for name in states}}, True)
    return close("stateful", np.concatenate(pieces, 1), whole)


def check_refusals():
    for layers, word in (([X, layer("Conv1D", filters=2, kernel_size=3, strides=2, padding="causal")], "causal"),
                         ([TOKENS, layer("Embedding", name="e", input_dim=3, output_dim=1), layer("Add", inputs=["x", "e"])], "tokens")):
        own = os.path.join(WORK, "own.lstm")
        path = os.path.join(WORK, "refused.onnx")
        run("convert", write_model(layers, "keras"), own)
        done = subprocess.run([PROGRAM, "convert", own, path], capture_output=True, text=True)
        assert done.returncode == 2 and word in done.stderr and not os.path.exists(path), (done.returncode, done.stderr)


# ---- 2. files of other exporters

def check_file(path):
    runtime = session(path)
    sizes = {"b": 4, "batch": 4, "t": 5, "steps": 5}
    tensors = {tensor.name for tensor in onnx.load(path).graph.initializer}
    arrays = {}
    for port in runtime.get_inputs():
        shape = [size if isinstance(size, int) else sizes[size] for size in port.shape]
        if port.name in tensors:
            continue
        if port.type == "tensor(float)":
            arrays[port.name] = RANDOM.standard_normal(shape).astype("f4")
        else:
            high, kind = (3, "i8") if port.type == "tensor(int64)" else (6, "i4")
            arrays[port.name] = RANDOM.integers(0, high, shape).astype(kind)
    names = [output.name for output in runtime.get_outputs()]
    found = predict(path, arrays, True)
    return max(close(path, found[name if len(names) > 1 else "y0"], expected)
               for name, expected in zip(names, runtime.run(None, arrays)))


# ---- 3. Silero VAD

def safetensors(path):
    with open(path, "rb") as file:
        data = file.read()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    return {name: np.frombuffer(data[start + one["data_offsets"][0]:start + one["data_offsets"][1]], "f4").reshape(one["shape"])
            for name, one in header.items() if name != "__metadata__"}


def check_silero(folder, models):
    """Step by step, as the detector does it, with the weights of both files."""
    shared = os.environ.get("LSTM_SHARED")
    folder = os.path.join(shared, "data", "silero-vad") if shared else folder
    files = [os.path.join(folder, name) for name in ("silero_vad_16k.safetensors", "silero_vad_16k_op15.onnx")]
    if not all(map(os.path.exists, files + models)):
        print("Silero VAD: passed over,", folder, "or", *models, "is absent")
        return 0.0
    initializers = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(files[1]).graph.initializer}
    sources = (("lstm_cell", safetensors(files[0])), ("model.decoder.rnn", initializers))
    worst = 0.0
    for model, (prefix, tensors) in zip(models, sources):
        w, r, bw, br = (tensors[f"{prefix}.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        h = r.shape[1]
        order = np.concatenate([np.arange(h) + gate * h for gate in (0, 3, 1, 2)])  # i, o, f, c of i, f, c, o
        helper, names = onnx.helper, ("W", "R", "B")
        arrays = (w[order][None], r[order][None], np.concatenate([bw[order], br[order]])[None])
        graph = helper.make_graph(
            [helper.make_node("LSTM", ["x", *names, "", "h0", "c0"], ["y", "hn", "cn"], hidden_size=h)], "step",
            [helper.make_tensor_value_info(name, 1, shape) for name, shape in
             (("x", ["t", 1, w.shape[1]]), ("h0", [1, 1, h]), ("c0", [1, 1, h]))],
            [helper.make_tensor_value_info(name, 1, None) for name in ("y", "hn", "cn")],
            [onnx.numpy_helper.from_array(array, name) for array, name in zip(arrays, names)])
        path = os.path.join(WORK, "silero.onnx")
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), path)
        runtime = session(path)
        x = RANDOM.standard_normal((9, 1, w.shape[1])).astype("f4")
        state = {"h0": np.zeros((1, 1, h), "f4"), "c0": np.zeros((1, 1, h), "f4")}
        steps = []
        for t in range(len(x)):
            y, state["h0"], state["c0"] = runtime.run(None, {"x": x[t:t + 1], **state})
            steps.append(y[0, 0])
        ours = predict(model, {"x": x.transpose(1, 0, 2)}, False)["y0"]
        worst = max(worst, close("Silero VAD, " + prefix, ours, np.concatenate(steps)[None]))
    return worst


def main():
    errors = {}
    for name, layers in NETWORKS.items():
        errors[name] = check_network(name, layers, "keras")
        if name in TORCH:
            errors[name + ", torch"] = check_network(name, layers, "torch")
    for name, layers in ONE_WAY.items():
        errors[name] = check_network(name, layers, "keras", False)
        if name in TORCH_ONE_WAY:
            errors[name + ", torch"] = check_network(name, layers, "torch", False)
    for kind in ("LSTM", "GRU", "SimpleRNN"):
        errors["stateful " + kind] = check_stateful(kind, True)
    errors["stateful with a projection"] = check_stateful("LSTM", False, proj_size=3, zoneout_c=0.5)
    check_refusals()
    for path in sorted(glob.glob(os.path.join(sys.argv[2], "*.onnx"))):
        errors[os.path.basename(path)] = check_file(path)
    if len(sys.argv) > 5:
        errors["Silero VAD"] = check_silero(sys.argv[3], sys.argv[4:6])
    worst = max(errors, key=errors.get)
    print(f"{len(errors)} networks and files agree; worst: {worst}: {errors[worst]:.2g} (limit {LIMIT:g})")


if __name__ == "__main__":
    main()
