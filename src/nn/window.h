/* SPDX-License-Identifier: MIT
 * Windows that move over the steps of a sequence: how many there are and where each begins.
 */
#ifndef LSTM_NN_WINDOW_H
#define LSTM_NN_WINDOW_H

#include "layer_ports.h"

typedef struct lstm__window {
    int64_t size, strides, dilation;
    int32_t padding; /* LSTM_PADDING_* */
} lstm__window;

/* Steps from the first to the last that a window reads. */
static inline int64_t lstm__window_reach(const lstm__window *w)
{
    return (w->size - 1) * w->dilation + 1;
}

/* Number of windows over `steps` steps; 0 where none fits. */
static inline int64_t lstm__window_count(const lstm__window *w, int64_t steps)
{
    const int64_t reach = lstm__window_reach(w);
    if (w->padding != LSTM_PADDING_VALID)
        return (steps + w->strides - 1) / w->strides;
    return steps < reach ? 0 : (steps - reach) / w->strides + 1;
}

/* The step at which window 0 begins: at most 0. */
static inline int64_t lstm__window_start(const lstm__window *w, int64_t steps)
{
    const int64_t reach = lstm__window_reach(w);
    if (w->padding == LSTM_PADDING_VALID || steps < 1)
        return 0;
    if (w->padding == LSTM_PADDING_CAUSAL)
        return 1 - reach;
    const int64_t around = (lstm__window_count(w, steps) - 1) * w->strides + reach - steps;
    return around > 0 ? -(around / 2) : 0;
}

/* Check sizes and the sequence that is read; the number of windows goes to *count (-1 = any number,
 * as that of the steps). */
static inline lstm_status lstm__window_define(const lstm__node *node, const lstm__window *w,
                                              int64_t *count)
{
    const lstm__shape in = lstm__input_shape(node, 0);
    const int64_t most = INT32_MAX;
    RETURN_IF_ERROR(lstm__need_sequence(node, 0));
    if (w->size < 1 || w->strides < 1 || w->dilation < 1 || w->size > most || w->strides > most ||
        w->dilation > most)
        return lstm__fail(
            LSTM_ERROR_ARGUMENT,
            "window of %lld steps, strides %lld, dilation %lld: expected 1 or more each",
            (long long)w->size, (long long)w->strides, (long long)w->dilation);
    *count = in.steps;
    if (in.steps < 0 && (w->strides > 1 || (w->padding == LSTM_PADDING_VALID && w->size > 1)))
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "reads layer \"%s\", whose number of steps is free: expected a fixed "
                          "one, or strides 1 and padding "
                          "\"same\" or \"causal\"",
                          node->inputs[0]->node->name);
    if (in.steps < 0)
        return LSTM_OK;
    *count = lstm__window_count(w, in.steps);
    if (*count < 1)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "a window of %lld steps does not fit into the %lld steps of layer \"%s\"",
                          (long long)lstm__window_reach(w), (long long)in.steps,
                          node->inputs[0]->node->name);
    return LSTM_OK;
}

#endif
