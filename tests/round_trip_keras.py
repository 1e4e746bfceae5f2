#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Models of Keras through the program and back: round_trip_keras.py PROGRAM FOLDER [FOLDER ...]

Each folder holds model.keras, x0.npy, … and y0.npy, …, as ../shared/golden/keras does. The program converts the model to .keras and
to .weights.h5 and to .h5; the real Keras opens all and must predict what is recorded. Layers that the program lacks are passed
over. Also writes networks of its own whose layers Keras sorts differently than they were added. Keras 2 opens the .h5 alone. Ends
with 77 (skipped) without Keras.
"""
import glob
import json
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "jax")
try:
    import numpy as np
    import keras
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

PROGRAM = sys.argv[1]
LIMIT = 1e-5
OLD = keras.__version__.startswith("2.")
# calls that Keras 3 cannot read in the form of Keras 2
KERAS_2_ONLY = {"lstm_states", "states", "decoder_states", "attention_multihead", "merged"}


def run(*words):
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True)


def predict(model, inputs):
    outputs = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    return [np.asarray(y) for y in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


def worst(found, expected):
    assert len(found) == len(expected), (len(found), len(expected))
    return max(float(np.abs(a - b).max()) for a, b in zip(found, expected))


def by_program(path, inputs, expected, work):
    words = [word for k in range(len(inputs)) for word in ("--x", os.path.join(work, f"x{k}.npy"))]
    for k, x in enumerate(inputs):
        np.save(os.path.join(work, f"x{k}.npy"), x)
    result = run("predict", path, *words, "-o", os.path.join(work, "y.npz"))
    assert result.returncode == 0, result.stderr
    with np.load(os.path.join(work, "y.npz")) as found:
        return worst([found[f"y{k}"] for k in range(len(expected))], expected)


def check_old(name, source, inputs, expected, work):
    """The .h5: by the real Keras, and read again by the program."""
    out = os.path.join(work, "out.h5")
    result = run("convert", source, out)
    if result.returncode == 2 and "hard_sigmoid" in result.stderr:
        return []
    assert result.returncode == 0, result.stderr
    errors = [by_program(out, inputs, expected, work)]
    if OLD or name not in KERAS_2_ONLY:
        errors.append(worst(predict(keras.models.load_model(out, compile=False), inputs), expected))
    return errors


def check(name, source, inputs, expected, work):
    if OLD:
        errors = check_old(name, source, inputs, expected, work)
        print(f"{name:32} " + " ".join(f"{e:.1e}" for e in errors))
        return max(errors) <= LIMIT if errors else None
    out = os.path.join(work, "out.keras")
    weights = os.path.join(work, "out.weights.h5")
    result = run("convert", source, out)
    if result.returncode == 2 and ("unknown" in result.stderr or "supports only" in result.stderr):
        return None
    assert result.returncode == 0, result.stderr
    assert run("convert", source, weights).returncode == 0
    model = keras.models.load_model(out)
    errors = [worst(predict(model, inputs), expected)]
    if source.endswith(".keras"):  # weights alone into what Keras itself made of the original
        model = keras.models.load_model(source)
        model.set_weights([0 * w for w in model.get_weights()])
    else:
        model.set_weights([0 * w for w in model.get_weights()])
    model.load_weights(weights)
    errors.append(worst(predict(model, inputs), expected))
    model.save(os.path.join(work, "again.keras"))  # and what Keras writes is read again
    errors.append(by_program(os.path.join(work, "again.keras"), inputs, expected, work))
    errors += check_old(name, source, inputs, expected, work)
    print(f"{name:32} " + " ".join(f"{e:.1e}" for e in errors))
    return max(errors) <= LIMIT


def own_networks():
    two = [{"type": "Input", "name": "a", "shape": [5, 3]}, {"type": "Input", "name": "b", "shape": [5, 3]}]
    yield "parallel", two + [
        {"type": "LSTM", "name": "first", "inputs": ["a"], "units": 4},
        {"type": "LSTM", "name": "second", "inputs": ["b"], "units": 4},
        {"type": "Dense", "name": "p", "inputs": ["second"], "units": 2},
        {"type": "Dense", "name": "q", "inputs": ["first"], "units": 2}], ["p", "q"], "keras"
    yield "depths", two + [
        {"type": "LSTM", "name": "short", "inputs": ["a"], "units": 4},
        {"type": "LSTM", "name": "long1", "inputs": ["b"], "units": 4, "return_sequences": True},
        {"type": "LSTM", "name": "long2", "inputs": ["long1"], "units": 4},
        {"type": "Dense", "name": "p", "inputs": ["short"], "units": 2},
        {"type": "Dense", "name": "q", "inputs": ["long2"], "units": 2}], ["p", "q"], "keras"
    yield "states", two + [
        {"type": "LSTM", "name": "encoder", "inputs": ["a"], "units": 4},
        {"type": "LSTM", "name": "decoder", "inputs": ["b", "encoder:h", "encoder:c"], "units": 4},
        {"type": "Dense", "name": "d", "inputs": ["decoder"], "units": 2, "activation": "softmax"}], ["d", "encoder:c"], "keras"
    yield "decoder_states", two + [
        {"type": "Bidirectional", "name": "e", "inputs": ["a"], "layer": {"type": "LSTM", "units": 2}},
        {"type": "LSTM", "name": "f", "inputs": ["b", "e/forward_lstm:h", "e/forward_lstm:c"], "units": 2, "return_sequences": True},
        {"type": "LSTM", "name": "g", "inputs": ["f", "e/backward_lstm:h", "e/backward_lstm:c"], "units": 2},
        {"type": "Concatenate", "name": "d", "inputs": ["g", "e"]}], ["d", "e/backward_lstm:h"], "keras"
    yield "factor", two[:1] + [
        {"type": "LSTM", "name": "l", "units": 4, "kernel_regularizer": "l2", "learning_rate_factor": 0.5},
        {"type": "Dense", "name": "d", "units": 3, "trainable": False}], ["d"], "keras"
    yield "torch", two[:1] + [
        {"type": "LSTM", "name": "l", "units": 4}, {"type": "Flatten"}, {"type": "Dropout", "rate": 0.5},
        {"type": "Dense", "name": "d", "units": 3}], ["d"], "torch"
    yield "torch_stack", two[:1] + [
        {"type": "GRU", "name": "g", "hidden_size": 4, "num_layers": 2, "bidirectional": True, "dropout": 0.5},
        {"type": "RNN", "name": "r", "hidden_size": 3, "nonlinearity": "relu", "return_sequences": False},
        {"type": "Linear", "name": "d", "units": 3}], ["d"], "torch"
    yield "wrapped", two[:1] + [
        {"type": "LSTM", "name": "l", "units": 4, "return_sequences": True}, {"type": "GaussianNoise", "stddev": 0.5},
        {"type": "TimeDistributed", "name": "w", "layer": {"type": "Dense", "units": 3}},
        {"type": "SpatialDropout1D", "rate": 0.5}, {"type": "Dense", "name": "d", "units": 2},
        {"type": "Bidirectional", "name": "b", "merge_mode": "sum", "layer": {"type": "SimpleRNN", "units": 2},
         "backward_layer": {"type": "SimpleRNN", "units": 2, "activation": "relu", "go_backwards": True}}], ["b"], "keras"
    yield "merged", two + [
        {"type": "GRU", "name": "g", "inputs": ["a"], "units": 4, "return_sequences": True},
        {"type": "LSTM", "name": "l", "inputs": ["b"], "units": 4, "return_sequences": True},
        {"type": "Subtract", "name": "s", "inputs": ["g", "l"]}, {"type": "Maximum", "name": "m", "inputs": ["g", "l"]},
        {"type": "Attention", "name": "t", "inputs": ["s", "m"], "use_scale": True, "use_causal_mask": True},
        {"type": "MultiHeadAttention", "name": "h", "inputs": ["t", "m"], "num_heads": 2, "key_dim": 3, "use_bias": False},
        {"type": "Concatenate", "name": "c", "inputs": ["h", "s"]}, {"type": "AveragePooling1D", "name": "p"},
        {"type": "GlobalMaxPooling1D", "name": "x"}], ["x", "g:h"], "keras"


def masked_networks(random):
    """Functional models with masks, which the real Keras 3 writes as operations beside the layers."""
    layers = keras.layers

    def masking(steps=5, features=3):
        x = random.normal(size=(4, steps, features)).astype("f4")
        x[random.random((4, steps)) < 0.4] = 0.5
        x[:, 2] = 1
        given = keras.Input((steps, features))
        return x, given, layers.Masking(0.5)(given)

    x, given, m = masking()
    yield "mask_chain", keras.Model(given, layers.LSTM(3)(layers.BatchNormalization()(layers.Dense(4)(m)))), x
    x, given, m = masking()
    both = layers.Bidirectional(layers.LSTM(4, return_sequences=True, return_state=True))(m)
    yield "mask_both", keras.Model(given, [layers.GlobalAveragePooling1D()(both[0]), *both[1:]]), x
    x, given, m = masking()
    a, b = layers.LSTM(6, return_sequences=True)(m), layers.GRU(6, return_sequences=True)(m)
    c = layers.Concatenate()([layers.Add()([a, b]), a])
    yield "mask_merge", keras.Model(given, layers.LSTM(2)(layers.TimeDistributed(layers.Dense(3))(c))), x
    x, given, m = masking()
    a = layers.LSTM(6, return_sequences=True)(m)
    yield "mask_attention", keras.Model(given, layers.LSTM(2)(layers.MultiHeadAttention(2, 3)(a, a))), x
    tokens = keras.Input((6,))
    embedded = layers.Embedding(9, 4, mask_zero=True)(tokens)
    x = random.integers(0, 9, (4, 6)).astype("f4")
    yield "mask_tokens", keras.Model(tokens, layers.SimpleRNN(3)(layers.Dropout(0.3)(embedded))), x


def check_masked(name, model, x, work):
    """What Keras writes, .keras and .h5, is read, and gives what Keras gives."""
    random = np.random.default_rng(5)
    model.set_weights([0.3 + random.random(w.shape) if "variance" in v.path else random.normal(size=w.shape)
                       for w, v in zip(model.get_weights(), model.weights)])
    errors = []
    for suffix in ("keras", "h5"):
        model.save(os.path.join(work, f"masked.{suffix}"))
        errors.append(by_program(os.path.join(work, f"masked.{suffix}"), [x], predict(model, [x]), work))
    print(f"{name:32} " + " ".join(f"{e:.1e}" for e in errors))
    return max(errors) <= LIMIT


def main():
    random = np.random.default_rng(0)
    results = []
    with tempfile.TemporaryDirectory() as work:
        for folder in sys.argv[2:]:
            inputs = [np.load(p) for p in sorted(glob.glob(f"{folder}/x[0-9]*.npy"))]
            expected = [np.load(p) for p in sorted(glob.glob(f"{folder}/y[0-9]*.npy"))]
            if inputs and os.path.exists(f"{folder}/model.keras"):
                results.append(check(os.path.basename(folder), f"{folder}/model.keras", inputs, expected, work))
        for name, layers, outputs, profile in own_networks():
            description = os.path.join(work, f"{name}.json")
            with open(description, "w") as file:
                json.dump({"profile": profile, "seed": 7, "layers": layers, "outputs": outputs}, file)
            inputs = [random.normal(size=(2, *l["shape"])).astype("f4") for l in layers if l["type"] == "Input"]
            words = []
            for k, x in enumerate(inputs):
                np.save(os.path.join(work, f"in{k}.npy"), x)
                words += ["--x", os.path.join(work, f"in{k}.npy")]
            result = run("predict", description, *words, "-o", os.path.join(work, "own.npz"))
            assert result.returncode == 0, result.stderr
            with np.load(os.path.join(work, "own.npz")) as found:
                expected = [found[f"y{k}"] for k in range(len(outputs))]
            results.append(check(name, description, inputs, expected, work))
        for name, model, x in [] if OLD else masked_networks(random):
            results.append(check_masked(name, model, x, work))
    done = [r for r in results if r is not None]
    print(f"{sum(done)}/{len(done)} round trips, {len(results) - len(done)} passed over")
    return 0 if done and all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
