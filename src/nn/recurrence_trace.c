/* SPDX-License-Identifier: MIT
 * Reading gates and states out of the tape of a recurrence, before backward uses it up. Gates of a
 * masked step, which the tape does not have, are those that would hold the cell: i = g = o = 0, f = 1.
 */
#include "tape.h"
#include "trace.h"

#include <string.h>

/* Column of a unit's gate in a row of the tape: the four gates of a panel of units side by side. */
static size_t gate_column(const lstm__recurrence *r, size_t gate, size_t unit)
{
    const size_t lanes = r->kernels->lanes;
    return (4 * (unit / lanes) + gate) * lanes + unit % lanes;
}

/* What row k of step t of the tape traces, for LSTM_TRACE_OUTPUT and _CELL of block t. */
static void trace_row(const lstm__pass *pass, int32_t kind, size_t t, size_t k, real *to)
{
    const lstm__recurrence *r = pass->r;
    if (kind == LSTM_TRACE_OUTPUT || kind == LSTM_TRACE_CELL) {
        const real *state = kind == LSTM_TRACE_CELL ? lstm__cell_at(pass, t) + k * r->padded
                                                    : lstm__rows_at(pass, t) + k * r->ld_rows;
        memcpy(to, state, r->hidden * sizeof *to);
        return;
    }
    const size_t gate = (size_t)(kind - LSTM_TRACE_INPUT_GATE);
    const real *gates = lstm__gates_at(pass, t) + k * r->ld_gates;
    for (size_t u = 0; u < r->hidden; u++)
        to[u] = gates[gate_column(r, gate, u)];
}

void lstm__recurrence_trace(const lstm__recurrence *r, const lstm__recurrence_call *call,
                            int32_t kind, real *to)
{
    const lstm__pass pass = {.r = r, .call = call};
    const bool state = kind == LSTM_TRACE_OUTPUT || kind == LSTM_TRACE_CELL;
    for (size_t k = 0; k < call->batch; k++) {
        const size_t b = call->mask ? (size_t)r->packing.samples[k] : k;
        size_t step = 0; /* valid steps so far */
        for (size_t t = 0; t < call->steps; t++) {
            const size_t time = call->reverse ? call->steps - 1 - t : t;
            const bool valid = !call->mask || r->mask[t * call->batch + b];
            real *row = to + (time * call->batch + b) * r->hidden;
            if (valid || state)
                trace_row(&pass, kind, step + (valid && state), k, row);
            else
                for (size_t u = 0; u < r->hidden; u++)
                    row[u] = kind == LSTM_TRACE_FORGET_GATE;
            step += valid;
        }
    }
}
