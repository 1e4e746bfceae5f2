/* SPDX-License-Identifier: MIT
 * lstm_session_trace: what layers computed inside themselves, in the caller's layout.
 */
#include "constants.h"
#include "need.h"
#include "trace.h"

static bool find(const lstm_session *session, const lstm_layer *layer, int32_t which,
                 lstm__trace *found)
{
    const lstm__node *node = layer->node;
    return session->forward_done && node->model == session->model && node->class->trace &&
           node->class->trace(node, session, session->plans[node->index], which, found);
}

/* Values of a trace. */
static size_t count_of(const lstm_session *session, const lstm_layer *layer,
                       const lstm__trace *trace)
{
    return trace->each > 0
               ? session->batch * trace->each
               : lstm__session_rows(session, lstm__input_shape(layer->node, 0)) * trace->features;
}

size_t lstm_session_trace_count(const lstm_session *session, const lstm_layer *layer, int32_t which)
{
    lstm__trace trace;
    return session && layer && find(session, layer, which, &trace)
               ? count_of(session, layer, &trace)
               : 0;
}

/* Why there is no trace. */
static lstm_status refuse(const lstm_session *session, const lstm_layer *layer, int32_t which)
{
    const lstm__node *node = layer->node;
    const char *name = lstm__constant_name(LSTM_NAMES_TRACE, which);
    if (node->model != session->model)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "layer \"%s\" belongs to another model", node->name);
    if (!session->forward_done)
        return lstm__fail(LSTM_ERROR_STATE,
                          "the session has not run forward yet: call lstm_session_forward");
    if (!name)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "which is %d: expected an LSTM_TRACE_* constant",
                          (int)which);
    if (node->class->trace && which != LSTM_TRACE_ATTENTION && !session->traces)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "the session keeps no traces: create it with traces = LSTM_YES");
    return lstm__fail(LSTM_ERROR_ARGUMENT, "layer \"%s\" (%s) has no trace \"%s\"", node->name,
                      node->class->type, name);
}

lstm_status lstm_session_trace(const lstm_session *session, const lstm_layer *layer, int32_t which,
                               float *values, size_t count)
{
    lstm__trace trace;
    NEED(session);
    NEED(layer);
    NEED(values);
    if (!find(session, layer, which, &trace))
        return refuse(session, layer, which);
    const size_t expected = count_of(session, layer, &trace);
    if (count != expected)
        return lstm__fail(
            LSTM_ERROR_SHAPE, "layer \"%s\": room for %zu values, the trace \"%s\" has %zu",
            layer->node->name, count, lstm__constant_name(LSTM_NAMES_TRACE, which), expected);
    if (trace.each > 0) {
        for (size_t k = 0; k < count; k++)
            values[lstm__session_sample(session, k / trace.each) * trace.each + k % trace.each] =
                (float)trace.values[k];
        return LSTM_OK;
    }
    const lstm__shape shape = {lstm__input_shape(layer->node, 0).steps, (int64_t)trace.features};
    const lstm__view view = {(real *)(uintptr_t)trace.values, trace.features};
    lstm__session_export(session, shape, view, session->layout, values);
    return LSTM_OK;
}
