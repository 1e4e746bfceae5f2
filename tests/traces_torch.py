# SPDX-License-Identifier: MIT
#
# Writes tests/traces_torch.h: gates and states of cells and weights of attention, by PyTorch.
# Run with `python3 tests/traces_torch.py > tests/traces_torch.h`; made with PyTorch 2 on CPU.
# Numbers come from `pattern` of tests/test_traces.c; gates are computed from torch.nn.LSTMCell's and
# torch.nn.GRUCell's parameters, and checked here against what the cells give.
import math
import torch

BATCH, STEPS, FEATURES, UNITS, HEADS, DEPTH = 2, 4, 3, 5, 2, 4


def pattern(count, seed):
    k = torch.arange(count, dtype=torch.int64)
    return (((k * 37 + seed * 101 + 11) * 29 % 127) - 63).to(torch.float32) / 64


def fill(module):
    for n, p in enumerate(module.parameters()):
        p.data = pattern(p.numel(), n + 1).reshape(p.shape)


def show(name, values):
    text = []
    for v in values.flatten().tolist():
        v = f"{v:.9g}"
        text.append((v if "." in v or "e" in v else v + ".0") + "f")
    print(f"static const float {name}[{len(text)}] = {{")
    for k in range(0, len(text), 6):
        print("    " + " ".join(t + "," for t in text[k:k + 6]))
    print("};")


x = pattern(BATCH * STEPS * FEATURES, 50).reshape(BATCH, STEPS, FEATURES)
print("/* SPDX-License-Identifier: MIT")
print(f" * Made by tests/traces_torch.py with PyTorch {torch.__version__.split('+')[0]}; do not edit. */")
with torch.no_grad():
    cell = torch.nn.LSTMCell(FEATURES, UNITS)
    fill(cell)
    h = c = torch.zeros(BATCH, UNITS)
    rows = {k: [] for k in "ifgoch"}
    for t in range(STEPS):
        a = x[:, t] @ cell.weight_ih.T + cell.bias_ih + h @ cell.weight_hh.T + cell.bias_hh
        i, f, g, o = a.chunk(4, 1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        h, c = cell(x[:, t], (h, c))
        assert torch.allclose(h, o * c.tanh(), atol=1e-6)
        for k, v in zip("ifgoch", (i, f, g, o, c, h)):
            rows[k].append(v)
    for k in "ifgoch":
        show(f"lstm_{k}", torch.stack(rows[k], 1))
    cell = torch.nn.GRUCell(FEATURES, UNITS)
    fill(cell)
    h = torch.zeros(BATCH, UNITS)
    rows = {k: [] for k in "rzgh"}
    for t in range(STEPS):
        xr, xz, xg = (x[:, t] @ cell.weight_ih.T + cell.bias_ih).chunk(3, 1)
        hr, hz, hg = (h @ cell.weight_hh.T + cell.bias_hh).chunk(3, 1)
        r, z = (xr + hr).sigmoid(), (xz + hz).sigmoid()
        g = (xg + r * hg).tanh()
        expected = (1 - z) * g + z * h
        h = cell(x[:, t], h)
        assert torch.allclose(h, expected, atol=1e-6)
        for k, v in zip("rzgh", (r, z, g, h)):
            rows[k].append(v)
    for k in "rzgh":
        show(f"gru_{k}", torch.stack(rows[k], 1))
    # nn.MultiheadAttention wants features = heads * depth: x with more features
    wide = pattern(BATCH * STEPS * HEADS * DEPTH, 51).reshape(BATCH, STEPS, HEADS * DEPTH)
    attention = torch.nn.MultiheadAttention(HEADS * DEPTH, HEADS, batch_first=True)
    size = HEADS * DEPTH
    for n in range(3):  # our kernels: (features, heads, depth)
        kernel = pattern(size * size, 2 * n + 1).reshape(size, size)
        attention.in_proj_weight.data[n * size:(n + 1) * size] = kernel.T
        attention.in_proj_bias.data[n * size:(n + 1) * size] = pattern(size, 2 * n + 2)
    absent = torch.tensor([[False] * STEPS, [False, False, False, True]])
    _, weights = attention(wide, wide, wide, key_padding_mask=absent, average_attn_weights=False)
    show("attention_weights", weights)
    # dot: softmax(q k); additive: softmax(sum(tanh(q + k))), plain and with the same padding
    q = x
    show("dot_weights", (q @ q.transpose(1, 2)).masked_fill(absent[:, None, :], -math.inf).softmax(-1))
    pairs = (q[:, :, None] + q[:, None, :]).tanh().sum(-1)
    show("additive_weights", pairs.masked_fill(absent[:, None, :], -math.inf).softmax(-1))
