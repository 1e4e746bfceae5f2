#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write small ONNX models into corpus/onnx beside this file. Needs numpy and onnx (pip).

They are the seeds of fuzz_onnx and fixtures of test_io_onnx and round_trip_onnx: the ways in which
exporters write recurrent networks, each as small as it can be.
"""
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(__file__).resolve().parent / "corpus" / "onnx"
RANDOM = np.random.default_rng(7)


def weights(*shape):
    return (RANDOM.integers(-32, 33, shape) / 64).astype(np.float32)


def raw(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def typed(name, array):
    """The numbers in their own field instead of raw_data."""
    array = np.asarray(array)
    return helper.make_tensor(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape, array.flatten().tolist())


def port(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def write(name, nodes, inputs, outputs, tensors, opset, **more):
    graph = helper.make_graph(nodes, name, inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="", **more)
    model.ir_version = 8
    onnx.checker.check_model(model)
    (FOLDER / (name + ".onnx")).write_bytes(model.SerializeToString())


def bidirectional():
    """Lengths and first states as inputs; two directions put side by side, as the classic exporter of PyTorch does."""
    h = 2
    tensors = [raw("W", weights(2, 4 * h, 1)), raw("R", weights(2, 4 * h, h)), raw("B", weights(2, 8 * h)),
               raw("shape", np.array([0, 0, -1]))]
    nodes = [helper.make_node("LSTM", ["x", "W", "R", "B", "n", "h0", "c0"], ["y4", "hn", "cn"], "rnn", hidden_size=h,
                              direction="bidirectional"),
             helper.make_node("Transpose", ["y4"], ["yt"], perm=[0, 2, 1, 3]),
             helper.make_node("Reshape", ["yt", "shape"], ["y"])]
    write("bidirectional", nodes,
          [port("x", ["t", "b", 1]), port("n", ["b"], TensorProto.INT32), port("h0", [2, "b", h]), port("c0", [2, "b", h])],
          [port("y", ["t", "b", 2 * h]), port("hn", [2, "b", h]), port("cn", [2, "b", h])], tensors, 14)


def zeros():
    """First states of zeros whose size is that of the batch, worked out in the graph; the last step; Gemm."""
    h = 2
    node = helper.make_node
    tensors = [raw("W", weights(1, 4 * h, 1)), raw("R", weights(1, 4 * h, h)), raw("w", weights(1, h)),
               typed("b2", weights(1).astype(ml_dtypes.bfloat16))]
    constants = [node("Constant", [], [name], value=raw("", np.array(value, np.int64)))
                 for name, value in (("zero", 0), ("one", [1]), ("two", [h]), ("axis", [0]), ("last", -1))]
    nodes = constants + [
        node("Cast", ["b2"], ["b"], to=1),
        node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["batch"], axis=0),
        node("Unsqueeze", ["batch", "axis"], ["batches"]), node("Concat", ["one", "batches", "two"], ["full"], axis=0),
        node("ConstantOfShape", ["full"], ["h0"], value=raw("", np.zeros(1, np.float32))),
        node("Transpose", ["x"], ["xt"], perm=[1, 0, 2]),
        node("LSTM", ["xt", "W", "R", "", "", "h0", "h0"], ["y4", "", ""], hidden_size=h),
        node("Squeeze", ["y4", "one"], ["yt"]), node("Transpose", ["yt"], ["y3"], perm=[1, 0, 2]),
        node("Gather", ["y3", "last"], ["y2"], axis=1),
        node("Gemm", ["y2", "w", "b"], ["y"], transB=1, alpha=0.5, beta=2.0)]
    write("zeros", nodes, [port("x", ["batch", "steps", 1])], [port("y", ["batch", 1])], tensors, 17)


def opset7():
    """Attributes of old operators, numbers in their own fields, a GRU that resets before, doubles and halves."""
    h = 2
    node = helper.make_node
    tensors = [typed("W", weights(1, 3 * h, 1)), typed("R8", weights(1, 3 * h, h).astype(np.float64)),
               typed("B2", weights(1, 6 * h).astype(np.float16)), typed("w", weights(h, 1)),
               typed("r", np.array([-1, h], np.int64))]
    nodes = [node("Cast", ["R8"], ["R"], to=1), node("Cast", ["B2"], ["B"], to=1),
             node("GRU", ["x", "W", "R", "B"], ["y4"], hidden_size=h, direction="reverse"),
             node("Squeeze", ["y4"], ["y3"], axes=[1]),
             node("Slice", ["y3"], ["y1"], starts=[-1], ends=[9223372036854775807], axes=[0]),
             node("Reshape", ["y1", "r"], ["y2"]), node("MatMul", ["y2", "w"], ["m"]), node("Sigmoid", ["m"], ["y"])]
    graph = helper.make_graph(nodes, "opset7", [port("x", [3, 2, 1])], [port("y", [2, 1])], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 7)], producer_name="")
    model.ir_version = 3
    for tensor in graph.initializer:  # as inputs, which the first versions wanted
        model.graph.input.append(port(tensor.name, list(tensor.dims), tensor.data_type))
    (FOLDER / "opset7.onnx").write_bytes(model.SerializeToString())


def layers():
    """What stands around a recurrent layer."""
    node = helper.make_node
    h = 2
    tensors = [raw("table", weights(3, 2)), raw("k", weights(2, 2, 2)), raw("kb", weights(2)), raw("g", weights(2)),
               raw("e", weights(2)), raw("mean", weights(2)), raw("var", np.abs(weights(2)) + 1),
               raw("W", weights(1, h, 2)), raw("R", weights(1, h, h)), raw("m", weights(h, 2)), raw("a", weights(2)),
               raw("axes", np.array([1], np.int64))]
    nodes = [node("Gather", ["table", "x"], ["emb"]), node("Transpose", ["emb"], ["c0"], perm=[0, 2, 1]),
             node("Conv", ["c0", "k", "kb"], ["c1"], pads=[1, 0]), node("BatchNormalization", ["c1", "g", "e", "mean", "var"], ["c2"]),
             node("MaxPool", ["c2"], ["c3"], kernel_shape=[2], strides=[2]),
             node("Transpose", ["c3"], ["s"], perm=[2, 0, 1]),
             node("RNN", ["s", "W", "R"], ["y4"], hidden_size=h, activations=["Relu"]),
             node("Squeeze", ["y4", "axes"], ["y3"]), node("Transpose", ["y3"], ["y5"], perm=[1, 0, 2]),
             node("LayerNormalization", ["y5", "g", "e"], ["n"], axis=-1), node("Add", ["n", "y5"], ["sum"]),
             node("MatMul", ["sum", "m"], ["p"]), node("Add", ["p", "a"], ["q"]), node("Mul", ["q", "a"], ["r"]),
             node("ReduceMean", ["r"], ["mid"], axes=[1], keepdims=0), node("Softmax", ["mid"], ["y"], axis=1)]
    write("layers", nodes, [port("x", ["b", 4], TensorProto.INT64)], [port("y", ["b", 2])], tensors, 17)


def parts():
    """States split and put together again, as a stack of layers has them; a constant first state."""
    h = 1
    node = helper.make_node
    tensors = [raw("W", weights(1, 4 * h, 1)), raw("R", weights(1, 4 * h, h)), raw("start", weights(1, 1, h)),
               raw("wide", np.array([1, 1, h], np.int64)), raw("sizes", np.array([1, 1], np.int64))]
    nodes = [node("Split", ["h", "sizes"], ["h0", "h1"], axis=0), node("Expand", ["start", "wide"], ["c0"]),
             node("LSTM", ["x", "W", "R", "", "", "h0", "c0"], ["y1", "n0", "m0"], "first", hidden_size=h),
             node("Squeeze", ["y1", "axis"], ["x1"]),
             node("LSTM", ["x1", "W", "R", "", "", "h1", "c0"], ["y2", "n1", "m1"], "second", hidden_size=h),
             node("Squeeze", ["y2", "axis"], ["y"]), node("Concat", ["n0", "n1"], ["hn"], axis=0)]
    tensors.append(raw("axis", np.array([1], np.int64)))
    write("parts", nodes, [port("x", ["t", 1, 1]), port("h", [2, 1, h])], [port("y", ["t", 1, h]), port("hn", [2, 1, h])],
          tensors, 13)


def activations():
    """All activations with their alpha and beta: six different ones in two directions, a GRU, an RNN, and operators by themselves."""
    h = 1
    node = helper.make_node
    tensors = [raw("W", weights(2, 4 * h, 1)), raw("R", weights(2, 4 * h, h)), raw("P", weights(2, 3 * h)),
               raw("W3", weights(1, 3 * h, 2 * h)), raw("R3", weights(1, 3 * h, h)), raw("W1", weights(1, h, h)),
               raw("R1", weights(1, h, h)), raw("axis", np.array([1], np.int64)), raw("flat", np.array([0, 0, -1], np.int64))]
    nodes = [node("LSTM", ["x", "W", "R", "", "", "", "", "P"], ["y4"], "six", hidden_size=h, direction="bidirectional", clip=2.0,
                  activations=["HardSigmoid", "LeakyRelu", "ScaledTanh", "Affine", "Elu", "ThresholdedRelu"],
                  activation_alpha=[0.25, 0.5, 1.5, 0.25, 0.75, 0.125], activation_beta=[0.375, 0.75, 0.5]),
             node("Transpose", ["y4"], ["yt"], perm=[0, 2, 1, 3]), node("Reshape", ["yt", "flat"], ["y3"]),
             node("LeakyRelu", ["y3"], ["l"], alpha=0.25), node("ThresholdedRelu", ["l"], ["t"], alpha=0.0625),
             node("GRU", ["t", "W3", "R3"], ["g4"], hidden_size=h, activations=["HardSigmoid", "Softsign"]),
             node("Squeeze", ["g4", "axis"], ["g3"]), node("HardSigmoid", ["g3"], ["s"], alpha=0.375, beta=0.25),
             node("RNN", ["s", "W1", "R1"], ["r4"], hidden_size=h, activations=["ScaledTanh"], activation_alpha=[0.5], activation_beta=[2.0]),
             node("Squeeze", ["r4", "axis"], ["r3"]), node("Elu", ["r3"], ["y"], alpha=0.5)]
    write("activations", nodes, [port("x", ["t", "b", 1])], [port("y", ["t", "b", h])], tensors, 14)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for make in (bidirectional, zeros, opset7, layers, parts, activations):
        make()
    for path in sorted(FOLDER.iterdir()):
        print(path.name, path.stat().st_size)
