/* SPDX-License-Identifier: MIT
 * Dropout inside recurrent layers, as in Keras: of the input, one mask for all steps of a sequence
 * (Gal and Ghahramani 2016); and DropConnect of the recurrent kernel, one mask for an update (Wan et
 * al. 2013; AWD-LSTM, Merity et al. 2018). Values that stay are divided by 1 - rate. Both act on
 * what the recurrence reads and leave it as fast as it is. A mask is a function of (seed, layer,
 * update, place).
 */
#ifndef LSTM_NN_INPUT_DROPOUT_H
#define LSTM_NN_INPUT_DROPOUT_H

#include "layer_ports.h"
#include "random.h"

enum {
    LSTM__STREAM_IN_LAYER = 8,
    LSTM__DRAW_INPUT = 1,
    LSTM__DRAW_KERNEL = 2,
    LSTM__DRAW_STEP = 3
};

typedef struct lstm__input_dropout {
    real *factors; /* [batch][features]; NULL = no dropout */
    real *x;       /* [steps][batch][features]: the masked input, then the gradient at it */
    size_t features;
} lstm__input_dropout;

static inline uint64_t lstm__in_layer_seed(const lstm_session *session, uint64_t seed)
{
    return seed ? seed : session->model->seed ^ session->seed;
}

static inline uint64_t lstm__in_layer_stream(const lstm__node *node, const lstm_session *session,
                                             int draw)
{
    const uint64_t layer = lstm__random_stream(LSTM__STREAM_IN_LAYER, node->index);
    return lstm__random_stream(lstm__random_stream(layer, (uint64_t)draw), session->update);
}

/* 0 with chance `rate`, else 1 / (1 - rate). */
static inline void lstm__draw_factors(const lstm__kernels *kernels, uint64_t seed, uint64_t stream,
                                      float rate, size_t count, real *factors)
{
    kernels->draw_factors(&(lstm__draw){.seed = seed,
                                        .stream = stream,
                                        .rate = (double)rate,
                                        .drawn = 0,
                                        .other = (real)(1.0 / (1.0 - (double)rate))},
                          count, factors);
}

/* to = (or +=) from * factors, these for each sample the same at all steps. */
static inline void lstm__mask_inputs(const lstm_session *session, const lstm__input_dropout *d,
                                     size_t rows, lstm__view from, lstm__view to, bool add)
{
    for (size_t r = 0; r < rows; r++) {
        const real *x = from.data + r * from.stride;
        const real *factors = d->factors + r % session->batch * d->features;
        real *y = to.data + r * to.stride;
        for (size_t k = 0; k < d->features; k++)
            y[k] = (add ? y[k] : 0) + (factors[k] == 0 ? 0 : x[k] * factors[k]);
    }
}

static inline void lstm__input_dropout_plan(const lstm__node *node, const lstm_session *session,
                                            float rate, lstm__input_dropout *d, lstm__arena *arena)
{
    const lstm__shape in = lstm__input_shape(node, 0);
    *d = (lstm__input_dropout){.features = (size_t)in.features};
    if (!session->training || !(rate > 0))
        return;
    d->factors = lstm__carve_matrix(arena, session->max_batch, d->features);
    d->x = lstm__carve_matrix(arena, lstm__session_max_rows(session, in), d->features);
}

/* What the recurrence reads: the input, or the masked input. */
static inline lstm__view lstm__input_dropout_forward(const lstm__node *node, lstm_session *session,
                                                     float rate, uint64_t seed,
                                                     const lstm__input_dropout *d)
{
    const lstm__view x = lstm__input_value(node, session, 0);
    const lstm__view masked = {d->x, d->features};
    if (!d->factors)
        return x;
    lstm__draw_factors(session->model->kernels, lstm__in_layer_seed(session, seed),
                       lstm__in_layer_stream(node, session, LSTM__DRAW_INPUT), rate,
                       session->batch * d->features, d->factors);
    lstm__mask_inputs(session, d, lstm__session_rows(session, lstm__input_shape(node, 0)), x,
                      masked, false);
    return masked;
}

/* Where the recurrence may write the gradient at what it read; *add: add to what is there. */
static inline lstm__view lstm__input_dropout_place(const lstm__input_dropout *d, lstm__view dx,
                                                   bool *add)
{
    if (!d->factors || !dx.data)
        return dx;
    *add = false;
    return (lstm__view){d->x, d->features};
}

/* From there to the gradient at the input. */
static inline void lstm__input_dropout_backward(const lstm__node *node, lstm_session *session,
                                                const lstm__input_dropout *d, lstm__view dx,
                                                bool add)
{
    const size_t rows = lstm__session_rows(session, lstm__input_shape(node, 0));
    if (d->factors && dx.data)
        lstm__mask_inputs(session, d, rows, (lstm__view){d->x, d->features}, dx, add);
}

#endif
