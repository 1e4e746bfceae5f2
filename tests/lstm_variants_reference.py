# SPDX-License-Identifier: MIT
#
# Writes lstm_variants_onnx.h, lstm_variants_tf.h and lstm_variants_published.h: what other
# implementations make of the LSTM's variants.
#
#     python lstm_variants_reference.py onnx > lstm_variants_onnx.h             # onnx and onnxruntime
#     python lstm_variants_reference.py tf > lstm_variants_tf.h                 # TensorFlow 2.15, TF Addons 0.23
#     python lstm_variants_reference.py keras2 > lstm_variants_keras2.h         # Keras 2.15 on TensorFlow
#     python lstm_variants_reference.py keras3 > lstm_variants_keras3.h         # Keras 3.15 on TensorFlow
#     python lstm_variants_reference.py published > lstm_variants_published.h   # PyTorch
#
# onnx:  ONNX Runtime's LSTM operator (forward only).
# tf:    tf.compat.v1.nn.rnn_cell.LSTMCell and tfa.rnn.LayerNormLSTMCell, with gradients.
# keras2, keras3: GRU with other activations, among them the two hard_sigmoids, with gradients.
# published: the published equations of cells that no package of today contains, written down here on
#     torch.nn.functional.layer_norm, with gradients by autograd in double.
import sys

import numpy as np

T, B, I, H = 4, 2, 3, 5


def numbers(seed, *shape, scale=1.0):
    return np.round(np.random.RandomState(seed).uniform(-scale, scale, shape), 3).astype(np.float32)


def common(seed, width=H):
    """Arrays of a case, parameters in our layout (Keras' shapes, gates i f g o)."""
    return {
        "x": numbers(seed, T, B, I, scale=2), "h0": numbers(seed + 1, B, width), "c0": numbers(seed + 2, B, H),
        "r": numbers(seed + 3, T, B, width),
        "parameters": {"kernel": numbers(seed + 4, I, 4 * H), "recurrent_kernel": numbers(seed + 5, width, 4 * H),
                       "bias": numbers(seed + 6, 4 * H)}}


def declare(name, values):
    print("static const float %s[] = {" % name)
    words = ["%.8gf" % v if ("." in "%.8g" % v or "e" in "%.8g" % v) else "%.1ff" % v for v in np.ravel(values)]
    line = "   "
    for word in words:
        if len(line) + len(word) + 2 > 98:
            print(line)
            line = "   "
        line += " " + word + ","
    print(line[:-1] + "};")


def write(name, origin, options, case, width=H, kind="LSTM"):
    """Gradients are there if `case` has "dx"."""
    with_gradients = "dx" in case
    declare(name + "_x", case["x"])
    declare(name + "_h0", case["h0"])
    if kind == "LSTM":
        declare(name + "_c0", case["c0"])
    declare(name + "_y", case["y"])
    declare(name + "_p", np.concatenate([np.ravel(v) for v in case["parameters"].values()]))
    if with_gradients:
        declare(name + "_r", case["r"])
        declare(name + "_dx", case["dx"])
        declare(name + "_dp", np.concatenate([np.ravel(v) for v in case["gradients"]]))
    print("/* %s */" % origin)
    print("static const reference %s = {" % name)
    print('    "%s", "%s", "%s", %d,' % (name, kind, options.replace('"', '\\"'), width))
    cells = "%s_c0" % name if kind == "LSTM" else "NULL"
    print("    %s_x, %s_h0, %s, %s_y, %s_p," % (name, name, cells, name, name))
    print("    %s};" % ("%s_r, %s_dx, %s_dp" % ((name,) * 3) if with_gradients else "NULL, NULL, NULL"))
    print()


# ---- ONNX Runtime

def onnx_case(name, seed, options, clip=None, input_forget=0, peepholes=False, backwards=False, **activations):
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    case = common(seed)
    if peepholes:
        case["parameters"]["peephole_kernel"] = numbers(seed + 7, 3, H)
    order = [0, 3, 1, 2]  # ONNX: i o f c

    def gates(w):
        return np.concatenate([np.split(w, 4, axis=-1)[k] for k in order], axis=-1)

    p = case["parameters"]
    feeds = {"X": case["x"], "W": gates(p["kernel"]).T[None], "R": gates(p["recurrent_kernel"]).T[None],
             "B": np.concatenate([gates(p["bias"]), np.zeros(4 * H, np.float32)])[None],
             "h": case["h0"][None], "c": case["c0"][None]}
    names = ["X", "W", "R", "B", "", "h", "c"]
    if peepholes:
        i, f, o = p["peephole_kernel"]
        feeds["P"] = np.concatenate([i, o, f])[None]
        names.append("P")
    attributes = {"hidden_size": H, "input_forget": input_forget, "direction": "reverse" if backwards else "forward",
                  **activations}
    if clip:
        attributes["clip"] = clip
    node = helper.make_node("LSTM", names, ["Y"], **attributes)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info(k, TensorProto.FLOAT, v.shape)
                                            for k, v in feeds.items()],
                              [helper.make_tensor_value_info("Y", TensorProto.FLOAT, (T, 1, B, H))])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    case["y"] = session.run(None, {k: np.ascontiguousarray(v) for k, v in feeds.items()})[0][:, 0]
    if backwards:
        case["y"] = case["y"][::-1]  # ours come in the order of the steps, as Keras'
    write(name, "ONNX Runtime %s, LSTM operator" % onnxruntime.__version__, options, case)


def run_onnx():
    onnx_case("onnx_peepholes", 10, '"peepholes": true', peepholes=True)
    onnx_case("onnx_input_forget", 30, '"coupled_gates": "forget"', input_forget=1)
    onnx_case("onnx_clip", 50, '"gate_clip": 0.5', clip=0.5)
    onnx_case("onnx_all", 70, '"peepholes": true, "coupled_gates": "forget", "gate_clip": 0.75, "go_backwards": true',
              clip=0.75, input_forget=1, peepholes=True, backwards=True)
    onnx_case("onnx_affine", 90, '"output_activation": "linear", "output_activation_alpha": 0.75, "output_activation_beta": 0.125, '
              '"activation": "softsign"', activations=["Sigmoid", "Softsign", "Affine"], activation_alpha=[0.75],
              activation_beta=[0.125])
    onnx_case("onnx_numbers", 410, '"recurrent_activation": "hard_sigmoid", "recurrent_activation_alpha": 0.25, '
              '"recurrent_activation_beta": 0.375, "activation": "relu", "activation_alpha": 0.5, "output_activation": "tanh", '
              '"output_activation_alpha": 1.25, "output_activation_beta": 0.5, "gate_clip": 1.5, "peepholes": true',
              clip=1.5, peepholes=True, activations=["HardSigmoid", "LeakyRelu", "ScaledTanh"],
              activation_alpha=[0.25, 0.5, 1.25], activation_beta=[0.375, 0.5])
    onnx_case("onnx_threshold", 430, '"activation": "elu", "activation_alpha": 0.5, "output_activation": "relu", '
              '"output_activation_beta": 0.25, "go_backwards": true', backwards=True,
              activations=["Sigmoid", "Elu", "ThresholdedRelu"], activation_alpha=[0.5, 0.25])


# ---- TensorFlow

def to_tf_order(w):  # i, j, f, o
    i, f, g, o = np.split(w, 4, axis=-1)
    return np.concatenate([i, g, f, o], axis=-1)


def run_tf():
    import os
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf
    import tensorflow_addons as tfa

    def finish(name, origin, options, case, cell, places, width=H):
        """places: (our name, variable, how its gradient becomes ours)."""
        x = tf.constant(case["x"])
        with tf.GradientTape() as tape:
            tape.watch(x)
            state, outputs = None, []
            c, h = tf.constant(case["c0"]), tf.constant(case["h0"])
            for t in range(T):
                if isinstance(cell, tfa.rnn.LayerNormLSTMCell):
                    y, (h, c) = cell(x[t], [h, c])
                else:
                    y, state = cell(x[t], tf.compat.v1.nn.rnn_cell.LSTMStateTuple(c, h))
                    c, h = state
                outputs.append(y)
            y = tf.stack(outputs)
            loss = tf.reduce_sum(y * case["r"])
        variables = [v for _, v, _ in places]
        found = tape.gradient(loss, [x] + variables)
        case["y"], case["dx"] = y.numpy(), found[0].numpy()
        case["gradients"] = [how(g.numpy()) for g, (_, _, how) in zip(found[1:], places)]
        write(name, origin, options, case, width)

    def ours(g):
        i, j, f, o = np.split(g, 4, axis=-1)
        return np.concatenate([i, f, j, o], axis=-1)

    def lstm_cell(name, seed, options, clip, projection, proj_clip):
        width = projection or H
        case = common(seed, width)
        p = case["parameters"]
        if projection:
            p["projection_kernel"] = numbers(seed + 8, H, projection)
        p["peephole_kernel"] = numbers(seed + 7, 3, H)
        cell = tf.compat.v1.nn.rnn_cell.LSTMCell(H, use_peepholes=True, cell_clip=clip, num_proj=projection,
                                                 proj_clip=proj_clip, forget_bias=0.0)
        cell.build((B, I))
        cell._kernel.assign(np.concatenate([to_tf_order(p["kernel"]), to_tf_order(p["recurrent_kernel"])]))
        cell._bias.assign(to_tf_order(p["bias"]))
        for k, v in enumerate([cell._w_i_diag, cell._w_f_diag, cell._w_o_diag]):
            v.assign(p["peephole_kernel"][k])
        places = [("kernel", cell._kernel, lambda g: ours(g[:I])),
                  ("recurrent_kernel", cell._kernel, lambda g: ours(g[I:])), ("bias", cell._bias, ours)]
        if projection:
            cell._proj_kernel.assign(p["projection_kernel"])
            places.append(("projection_kernel", cell._proj_kernel, lambda g: g))
        places += [("peephole", v, lambda g: g) for v in (cell._w_i_diag, cell._w_f_diag, cell._w_o_diag)]
        finish(name, "TensorFlow %s, tf.compat.v1.nn.rnn_cell.LSTMCell" % tf.__version__, options, case, cell, places,
               width)

    lstm_cell("tf_cell_clip", 110, '"peepholes": true, "cell_clip": 0.75', 0.75, None, None)
    lstm_cell("tf_lstmp", 130, '"peepholes": true, "cell_clip": 0.75, "proj_size": 3, "proj_clip": 0.25', 0.75, 3, 0.25)

    case = common(150)
    p = case["parameters"]
    p["kernel_gamma"], p["recurrent_gamma"] = numbers(158, 4 * H), numbers(159, 4 * H)
    p["cell_gamma"], p["cell_beta"] = numbers(160, H), numbers(161, H)
    cell = tfa.rnn.LayerNormLSTMCell(H, norm_epsilon=0.01)
    cell.build((B, I))
    for norm in (cell.kernel_norm, cell.recurrent_norm):
        norm.build((B, 4 * H))
    cell.state_norm.build((B, H))
    for v, name in ((cell.kernel, "kernel"), (cell.recurrent_kernel, "recurrent_kernel"), (cell.bias, "bias"),
                    (cell.kernel_norm.gamma, "kernel_gamma"), (cell.recurrent_norm.gamma, "recurrent_gamma"),
                    (cell.state_norm.gamma, "cell_gamma"), (cell.state_norm.beta, "cell_beta")):
        v.assign(p[name])
    same = lambda g: g
    finish("tfa_layer_norm", "TensorFlow Addons %s, tfa.rnn.LayerNormLSTMCell" % tfa.__version__,
           '"layer_norm": "fastrnns", "layer_norm_epsilon": 0.01', case, cell,
           [("kernel", cell.kernel, same), ("recurrent_kernel", cell.recurrent_kernel, same), ("bias", cell.bias, same),
            ("kernel_gamma", cell.kernel_norm.gamma, same), ("recurrent_gamma", cell.recurrent_norm.gamma, same),
            ("cell_gamma", cell.state_norm.gamma, same), ("cell_beta", cell.state_norm.beta, same)])


# ---- GRU of Keras

def gru_case(name, seed, activation, recurrent_activation, ours, reset_after):
    import os
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf
    import keras

    case = common(seed)
    p = {"kernel": numbers(seed + 4, I, 3 * H), "recurrent_kernel": numbers(seed + 5, H, 3 * H),
         "bias": numbers(seed + 6, *((2, 3 * H) if reset_after else (3 * H,)))}
    case["parameters"] = p
    layer = keras.layers.GRU(H, activation=activation, recurrent_activation=recurrent_activation,
                             reset_after=reset_after, return_sequences=True)
    x, h = tf.constant(case["x"].swapaxes(0, 1)), tf.constant(case["h0"])
    layer(x)
    layer.set_weights(list(p.values()))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, initial_state=h)
        loss = tf.reduce_sum(y * case["r"].swapaxes(0, 1))
    variables = [v.value if hasattr(v, "path") and not isinstance(v, tf.Variable) else v
                 for v in layer.trainable_variables]
    found = tape.gradient(loss, [x] + variables)
    case["y"], case["dx"] = y.numpy().swapaxes(0, 1), found[0].numpy().swapaxes(0, 1)
    case["gradients"] = [g.numpy() for g in found[1:]]
    write(name, "Keras %s, GRU" % keras.__version__,
          '"activation": "%s", "recurrent_activation": "%s", "reset_after": %s' %
          (activation, ours, "true" if reset_after else "false"), case, kind="GRU")


def run_keras2():
    gru_case("keras2_gru_after", 310, "softsign", "hard_sigmoid", "hard_sigmoid_keras2", True)
    gru_case("keras2_gru_before", 330, "relu", "hard_sigmoid", "hard_sigmoid_keras2", False)


def run_keras3():
    gru_case("keras3_gru_after", 350, "elu", "hard_sigmoid", "hard_sigmoid", True)
    gru_case("keras3_gru_before", 370, "linear", "softsign", "softsign", False)


# ---- The published equations

def run_published():
    import torch
    from torch.nn.functional import layer_norm

    def case_of(name, source, seed, options, extra, step, hold=(0.0, 0.0)):
        case = common(seed)
        for k, (parameter, shape) in enumerate(extra.items()):
            case["parameters"][parameter] = numbers(seed + 8 + k, *shape)
        p = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in case["parameters"].items()}
        x = torch.tensor(case["x"], dtype=torch.float64, requires_grad=True)
        h, c = (torch.tensor(case[k], dtype=torch.float64) for k in ("h0", "c0"))
        outputs = []
        for t in range(T):
            new_h, new_c = step(p, x[t], h, c)
            h = hold[0] * h + (1 - hold[0]) * new_h
            c = hold[1] * c + (1 - hold[1]) * new_c
            outputs.append(h)
        y = torch.stack(outputs)
        (y * torch.tensor(case["r"], dtype=torch.float64)).sum().backward()
        case["y"] = y.detach().numpy()
        if hold == (0.0, 0.0):  # else: inference, which we do not go back through
            case["dx"] = x.grad.numpy()
            case["gradients"] = [v.grad.numpy() for v in p.values()]
        write(name, source + ", on PyTorch " + torch.__version__, options, case)

    def states(a, c, seen=lambda c: c, carried=False):
        i, f, g, o = a.chunk(4, -1)
        new = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        n = seen(new)
        return torch.sigmoid(o) * torch.tanh(n), n if carried else new

    def each_gate(p, x, h):
        a = x @ p["kernel"] + h @ p["recurrent_kernel"]
        a = torch.cat([layer_norm(gate, (H,), eps=0.01) for gate in a.chunk(4, -1)], -1)
        return a * p["gate_gamma"] + p["bias"]

    def ba(p, x, h, c):
        a = (layer_norm(x @ p["kernel"], (4 * H,), p["kernel_gamma"], eps=0.01) +
             layer_norm(h @ p["recurrent_kernel"], (4 * H,), p["recurrent_gamma"], eps=0.01) + p["bias"])
        return states(a, c, lambda c: layer_norm(c, (H,), p["cell_gamma"], p["cell_beta"], 0.01))

    def tflite(p, x, h, c):
        return states(each_gate(p, x, h), c)

    def tf1(p, x, h, c):
        return states(each_gate(p, x, h), c,
                      lambda c: layer_norm(c, (H,), p["cell_gamma"], p["cell_beta"], 0.01), True)

    def tf1_peepholes(p, x, h, c):
        i, f, g, o = each_gate(p, x, h).chunk(4, -1)
        look = p["peephole_kernel"]
        new = torch.sigmoid(f + look[1] * c) * c + torch.sigmoid(i + look[0] * c) * torch.tanh(g)
        n = layer_norm(new, (H,), p["cell_gamma"], p["cell_beta"], 0.01)
        return torch.sigmoid(o + look[2] * n) * torch.tanh(n), n

    def tflite_cifg(p, x, h, c):
        i, f, g, o = (x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"]).chunk(4, -1)
        f = torch.sigmoid(f)
        new = f * c + (1 - f) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(new), new

    def plain(p, x, h, c):
        return states(x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"], c)

    epsilon = ', "layer_norm_epsilon": 0.01'
    cell = {"cell_gamma": (H,), "cell_beta": (H,)}
    case_of("ba_layer_norm", "Ba et al. 2016, equations 20 to 22", 210, '"layer_norm": "ba"' + epsilon,
            {"kernel_gamma": (4 * H,), "recurrent_gamma": (4 * H,), **cell}, ba)
    case_of("tflite_layer_norm", "TensorFlow Lite, lstm_eval.cc", 230, '"layer_norm": "tflite"' + epsilon,
            {"gate_gamma": (4 * H,)}, tflite)
    case_of("tf_layer_norm", "TensorFlow 1, LayerNormBasicLSTMCell", 250, '"layer_norm": "tf"' + epsilon,
            {"gate_gamma": (4 * H,), **cell}, tf1)
    case_of("tf_layer_norm_peepholes", "TensorFlow 1, contrib's LayerNormLSTMCell", 390,
            '"peepholes": true, "layer_norm": "tf"' + epsilon,
            {"peephole_kernel": (3, H), "gate_gamma": (4 * H,), **cell}, tf1_peepholes)
    case_of("tflite_cifg", "TensorFlow Lite, lstm_eval.cc", 270, '"coupled_gates": "input"', {}, tflite_cifg)
    case_of("zoneout_inference", "Krueger et al. 2016, expectation", 290, '"zoneout_h": 0.25, "zoneout_c": 0.5', {},
            plain, (0.25, 0.5))


HEAD = """/* SPDX-License-Identifier: MIT
 * Written by lstm_variants_reference.py, which says how; each case names its origin. */
#ifndef LSTM_TESTS_LSTM_VARIANTS_%s_H
#define LSTM_TESTS_LSTM_VARIANTS_%s_H

#include "lstm_variants_reference.h"
"""

if __name__ == "__main__":
    part = sys.argv[1]
    print(HEAD % (part.upper(), part.upper()))
    globals()["run_" + part]()
    print("#endif")
