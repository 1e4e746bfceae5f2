# SPDX-License-Identifier: MIT
#
# Writes tests/truncated_torch.h: parameters after each update of a truncated loop in PyTorch.
# Run with `python3 tests/truncated_torch.py > tests/truncated_torch.h`; made with PyTorch 2 on CPU.
#
# Each update reads the k2 - k1 steps before its k1 new ones (fewer at the beginning) from detached
# states, takes the loss of the new ones, and steps plain SGD. Numbers come from the formula of
# `pattern` in tests/test_truncated.c, so that only results are stored.
import torch

BATCH, STEPS, FEATURES, UNITS, OUTPUTS, RATE = 3, 10, 3, 4, 2, 0.25


def pattern(count, seed):
    k = torch.arange(count, dtype=torch.int64)
    return (((k * 37 + seed * 101 + 11) * 29 % 127) - 63).to(torch.float32) / 128


def detached(state):
    return tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()


def run(name, kind, layers, k1, k2, lengths):
    cells = torch.nn.ModuleList(kind(FEATURES if n == 0 else UNITS, UNITS) for n in range(layers))
    dense = torch.nn.Linear(UNITS, OUTPUTS)
    parameters = [p for cell in cells for p in cell.parameters()] + list(dense.parameters())
    for n, p in enumerate(parameters):
        p.data = pattern(p.numel(), n + 1).reshape(p.shape)
    x = pattern(BATCH * STEPS * FEATURES, 50).reshape(BATCH, STEPS, FEATURES).transpose(0, 1)
    y = pattern(BATCH * STEPS * OUTPUTS, 60).reshape(BATCH, STEPS, OUTPUTS).transpose(0, 1)
    valid = torch.arange(STEPS)[:, None] < torch.tensor(lengths)[None, :]
    optimizer = torch.optim.SGD(parameters, lr=RATE)

    def forward(h, states):
        after = []
        for cell, state in zip(cells, states):
            h, state = cell(h, state)
            after.append(state)
        return dense(h), after

    at, states, rows = 0, [None] * layers, []
    for begin in range(0, STEPS, k1):
        end = min(begin + k1, STEPS)
        next_at = max(0, begin + k1 - (k2 - k1))
        optimizer.zero_grad()
        out, carried = [], states
        if next_at < end and next_at > at:  # the next pass begins inside this one
            first, carried = forward(x[at:next_at], states)
            out.append(first)
            kept = [detached(s) for s in carried]
            last, _ = forward(x[next_at:end], carried)
            out.append(last)
        else:
            whole, after = forward(x[at:end], states)
            out.append(whole)
            kept = states if next_at <= at else [detached(s) for s in after]
        counted = valid[begin:end, :, None].expand(-1, -1, OUTPUTS)
        error = (torch.cat(out)[begin - at:] - y[begin:end]) ** 2
        error[counted].mean().backward()
        optimizer.step()
        at, states = next_at, kept
        rows.append(torch.cat([p.detach().flatten() for p in parameters]))
    print(f"/* {name}: k1 = {k1}, k2 = {k2} */")
    print(f"static const float {name}[{len(rows)}][{len(rows[0])}] = {{")
    for row in rows:
        text = [f"{v:.9g}f" if "." in f"{v:.9g}" or "e" in f"{v:.9g}" else f"{v:.9g}.0f" for v in row.tolist()]
        print("    {")
        for k in range(0, len(text), 6):
            print("        " + " ".join(t + "," for t in text[k:k + 6]))
        print("    },")
    print("};")


print("/* SPDX-License-Identifier: MIT")
print(f" * Made by tests/truncated_torch.py with PyTorch {torch.__version__.split('+')[0]}; do not edit. */")
torch.manual_seed(0)
whole = [STEPS] * BATCH
run("lstm_3_3", torch.nn.LSTM, 1, 3, 3, whole)
run("lstm_3_5", torch.nn.LSTM, 2, 3, 5, whole)
run("lstm_2_7", torch.nn.LSTM, 1, 2, 7, [10, 5, 7])
run("gru_4_6", torch.nn.GRU, 1, 4, 6, whole)
run("rnn_2_3", torch.nn.RNN, 1, 2, 3, whole)
