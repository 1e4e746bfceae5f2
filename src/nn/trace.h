/* SPDX-License-Identifier: MIT
 * Traces: gates and states of recurrent layers, step by step, and the weights of attention, as
 * lstm_session_trace gives them. A recurrent layer copies them out of its tape behind each forward
 * of a session that keeps traces, since backward uses the tape up.
 */
#ifndef LSTM_NN_TRACE_H
#define LSTM_NN_TRACE_H

#include "layer_ports.h"
#include "recurrence.h"

/* What a layer's `trace` finds. */
struct lstm__trace {
    const real *values;
    size_t features; /* rows by time, [steps][batch][features] … */
    size_t each;     /* … or, if this is not 0, [batch][each] */
};

/* [steps][batch][units] for a recurrent layer where the session keeps traces, else NULL. */
static inline real *lstm__trace_plan(const lstm__node *node, const lstm_session *session,
                                     size_t units, lstm__arena *arena)
{
    if (!session->traces)
        return NULL;
    return lstm__carve_matrix(arena, lstm__session_max_rows(session, lstm__input_shape(node, 0)),
                              units);
}

/* Copy the gate or state LSTM_TRACE_… of a recurrence with a tape to rows by time. */
void lstm__recurrence_trace(const lstm__recurrence *r, const lstm__recurrence_call *call,
                            int32_t kind, real *to);

#endif
