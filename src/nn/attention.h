/* SPDX-License-Identifier: MIT
 * What the attention layers share: their inputs (query, value, and a key or the value again), and
 * weights from scores.
 *
 * Rows are time first, so the steps of one sample are a matrix whose rows are `batch` rows apart:
 * products of one sample need no copy.
 */
#ifndef LSTM_NN_ATTENTION_H
#define LSTM_NN_ATTENTION_H

#include "layer_ports.h"
#include "product.h"
#include "trace.h"

enum { LSTM__QUERY = 0, LSTM__VALUE = 1 };

static inline int lstm__attention_key(const lstm__node *node)
{
    return node->input_count == 3 ? 2 : LSTM__VALUE;
}

/* All inputs are sequences; value and key have the same steps. */
static inline lstm_status lstm__attention_define(lstm__node *node)
{
    const int key = lstm__attention_key(node);
    for (int k = 0; k < node->input_count; k++)
        RETURN_IF_ERROR(lstm__need_sequence(node, k));
    if (lstm__input_shape(node, LSTM__VALUE).steps != lstm__input_shape(node, key).steps)
        return lstm__fail(
            LSTM_ERROR_SHAPE,
            "value (layer \"%s\") has %lld steps, key (layer \"%s\") %lld: expected as many",
            node->inputs[LSTM__VALUE]->node->name,
            (long long)lstm__input_shape(node, LSTM__VALUE).steps, node->inputs[key]->node->name,
            (long long)lstm__input_shape(node, key).steps);
    node->port_count = 1;
    return LSTM_OK;
}

/* The steps of sample `s` as a matrix, from column `first` on. */
static inline lstm__view lstm__sample(lstm__view x, size_t batch, size_t s, size_t first)
{
    return (lstm__view){x.data ? x.data + s * x.stride + first : NULL, batch * x.stride};
}

/* The trace of the weights [batch][heads][queries][keys] of the latest forward. */
static inline bool lstm__attention_trace(const lstm__node *node, const lstm_session *session,
                                         int32_t which, const real *weights, size_t heads,
                                         lstm__trace *found)
{
    if (which != LSTM_TRACE_ATTENTION)
        return false;
    *found = (lstm__trace){
        .values = weights,
        .each = heads * lstm__session_steps(session, lstm__input_shape(node, LSTM__QUERY)) *
                lstm__session_steps(session, lstm__input_shape(node, LSTM__VALUE))};
    return true;
}

/* A call's sizes and masks. */
typedef struct lstm__attention_call {
    const lstm__kernels *kernels;
    size_t batch, queries, keys;
    const unsigned char *query_mask, *value_mask;
    bool causal;
} lstm__attention_call;

static inline lstm__attention_call lstm__attention_start(const lstm__node *node,
                                                         lstm_session *session, bool causal)
{
    lstm__session_own(session, node, 0)->mask = lstm__input_mask(node, session, LSTM__QUERY);
    return (lstm__attention_call){
        session->model->kernels,
        session->batch,
        lstm__session_steps(session, lstm__input_shape(node, LSTM__QUERY)),
        lstm__session_steps(session, lstm__input_shape(node, LSTM__VALUE)),
        lstm__input_mask(node, session, LSTM__QUERY),
        lstm__input_mask(node, session, LSTM__VALUE),
        causal};
}

static inline bool lstm__attends(const lstm__attention_call *call, size_t sample, size_t query,
                                 size_t key)
{
    return !(call->causal && key > query) &&
           !(call->value_mask && !call->value_mask[key * call->batch + sample]) &&
           !(call->query_mask && !call->query_mask[query * call->batch + sample]);
}

/* Scores [queries][keys] of one sample to weights: a softmax over the keys that may be seen, 0 for
 * the others. */
static inline void lstm__attention_softmax(const lstm__attention_call *call, size_t sample,
                                           real *scores)
{
    const bool all = !call->causal && !call->value_mask && !call->query_mask;
    for (size_t t = 0; t < call->queries && !all; t++)
        for (size_t s = 0; s < call->keys; s++)
            if (!lstm__attends(call, sample, t, s))
                scores[t * call->keys + s] = (real)-1e30;
    call->kernels->softmax_forward(call->queries, call->keys, scores, call->keys, scores,
                                   call->keys);
    for (size_t t = 0; t < call->queries && !all; t++)
        for (size_t s = 0; s < call->keys; s++)
            if (!lstm__attends(call, sample, t, s))
                scores[t * call->keys + s] = 0;
}

#endif
