/* SPDX-License-Identifier: MIT
 * Reading gates and states out of the tape of a recurrence, before backward uses it up. Gates of a
 * masked step are those that hold the cell: i = g = o = 0, f = 1 (recurrence_masks.c).
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

void lstm__recurrence_trace(const lstm__recurrence *r, const lstm__recurrence_call *call,
                            int32_t kind, real *to)
{
    const lstm__pass pass = {.r = r, .call = call};
    for (size_t t = 0; t < call->steps; t++) {
        const size_t time = call->reverse ? call->steps - 1 - t : t;
        for (size_t b = 0; b < call->batch; b++) {
            real *row = to + (time * call->batch + b) * r->hidden;
            if (kind == LSTM_TRACE_OUTPUT || kind == LSTM_TRACE_CELL) {
                const real *state = kind == LSTM_TRACE_CELL
                                        ? lstm__cell_at(&pass, t + 1) + b * r->padded
                                        : lstm__rows_at(&pass, t + 1) + b * r->ld_rows;
                memcpy(row, state, r->hidden * sizeof *row);
                continue;
            }
            const size_t gate = (size_t)(kind - LSTM_TRACE_INPUT_GATE);
            const real *gates = lstm__gates_at(&pass, t) + b * r->ld_gates;
            for (size_t u = 0; u < r->hidden; u++)
                row[u] = gates[gate_column(r, gate, u)];
        }
    }
}
