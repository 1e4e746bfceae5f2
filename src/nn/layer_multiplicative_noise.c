/* SPDX-License-Identifier: MIT
 * Two relatives of Dropout which multiply each value by a random factor f and add a constant o while
 * training, y = f x + o, as functions of (seed, layer, update, place):
 *
 *     GaussianDropout (Srivastava et al. 2014, section 10)   f normal with mean 1 and variance
 *                                                            rate / (1 - rate), o = 0
 *     AlphaDropout (Klambauer et al. 2017)                   f = a, o = b for values that are kept,
 *                                                            f = 0, o = a alpha' + b for the others
 *
 * with alpha' = -1.7580993408473766 (what SELU tends to) and a = ((1 - rate)(1 + rate alpha'^2))^-1/2,
 * b = -a alpha' rate, which keep mean 0 and variance 1. Keras' and PyTorch's formulas are the same.
 */
#include "layer_ports.h"
#include "random.h"

#include <math.h>
#include <stddef.h>

enum { STREAM_GAUSSIAN_DROPOUT = 20, STREAM_ALPHA_DROPOUT = 21 };

#define SELU_LIMIT (-1.7580993408473766)

typedef struct buffers {
    real *factors; /* one a value; training only */
} buffers;

static const lstm__option options[] = {
    LSTM__OPTION("rate", RATE, offsetof(lstm_dropout_options, rate)),
    LSTM__ALIAS("p", RATE, offsetof(lstm_dropout_options, rate)),
    LSTM__OPTION("seed", SEED, offsetof(lstm_dropout_options, seed)),
    LSTM__FIXED("noise_shape", NULL),
    LSTM__OPTIONS_END,
};

static lstm_status define(lstm__node *node)
{
    const lstm_dropout_options *own = node->options;
    if (!(own->rate >= 0 && own->rate < 1))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "rate is %g: expected 0 <= rate < 1",
                          (double)own->rate);
    node->port_count = 1;
    node->shapes[0] = lstm__input_shape(node, 0);
    return LSTM_OK;
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *b = memory;
    if (!session->training)
        return; /* the output is the input itself */
    b->factors = lstm__carve_matrix(arena, lstm__session_max_rows(session, node->shapes[0]),
                                    (size_t)node->shapes[0].features);
    lstm__plan_port(node, session, 0, arena);
}

/* What the draws of a layer depend on. */
typedef struct source {
    uint64_t seed, stream;
    double rate;
} source;

static source source_of(const lstm__node *node, const lstm_session *session, uint64_t kind)
{
    const lstm_dropout_options *own = node->options;
    return (source){own->seed ? own->seed : session->model->seed ^ session->seed,
                    lstm__random_stream(lstm__random_stream(kind, node->index), session->update),
                    (double)own->rate};
}

static void draw_gaussian(const source *from, size_t count, real *factors)
{
    const double deviation = sqrt(from->rate / (1 - from->rate));
    for (size_t k = 0; k < count; k++)
        factors[k] = (real)(1 + deviation * lstm__random_normal(from->seed, from->stream, k));
}

/* y = f x + (f is 0 ? dropped : kept) */
static void apply(size_t rows, size_t columns, const real *factors, lstm__view x, real kept,
                  real dropped, real *y)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            const real f = factors[r * columns + c];
            y[r * columns + c] = f * x.data[r * x.stride + c] + (f == 0 ? dropped : kept);
        }
}

static void forward_gaussian(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    lstm__port *port = lstm__session_own(session, node, 0);
    const lstm__view x = lstm__input_value(node, session, 0);
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const size_t columns = (size_t)node->shapes[0].features;
    if (!session->training) {
        port->value = x;
        return;
    }
    const source from = source_of(node, session, STREAM_GAUSSIAN_DROPOUT);
    draw_gaussian(&from, rows * columns, b->factors);
    apply(rows, columns, b->factors, x, 0, 0, port->value.data);
}

static void forward_alpha(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    lstm__port *port = lstm__session_own(session, node, 0);
    const lstm__view x = lstm__input_value(node, session, 0);
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const size_t columns = (size_t)node->shapes[0].features;
    if (!session->training) {
        port->value = x;
        return;
    }
    const source from = source_of(node, session, STREAM_ALPHA_DROPOUT);
    const double spread = (1 - from.rate) * (1 + from.rate * SELU_LIMIT * SELU_LIMIT);
    const double a = 1 / sqrt(spread);
    const double offset = -a * SELU_LIMIT * from.rate;
    for (size_t k = 0; k < rows * columns; k++)
        b->factors[k] = lstm__random_uniform(from.seed, from.stream, k) < from.rate ? 0 : (real)a;
    apply(rows, columns, b->factors, x, (real)offset, (real)(a * SELU_LIMIT + offset),
          port->value.data);
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    bool add = false;
    const lstm__view dy = lstm__session_own(session, node, 0)->gradient;
    const lstm__view dx = lstm__take_gradient(node, session, 0, &add);
    const size_t columns = (size_t)node->shapes[0].features;
    for (size_t r = 0; dx.data && r < lstm__session_rows(session, node->shapes[0]); r++)
        for (size_t c = 0; c < columns; c++) {
            const real product = b->factors[r * columns + c] * dy.data[r * dy.stride + c];
            real *to = &dx.data[r * dx.stride + c];
            *to = add ? *to + product : product;
        }
}

const lstm__layer_class lstm__class_gaussian_dropout = {
    .type = "GaussianDropout",
    .name_stem = "gaussian_dropout",
    .options_size = sizeof(lstm_dropout_options),
    .options = options,
    .mask = LSTM__MASK_KEEP,
    .stepwise = true,
    .plan_size = sizeof(buffers),
    .define = define,
    .plan = plan,
    .forward = forward_gaussian,
    .backward = backward,
};

const lstm__layer_class lstm__class_alpha_dropout = {
    .type = "AlphaDropout",
    .name_stem = "alpha_dropout",
    .options_size = sizeof(lstm_dropout_options),
    .options = options,
    .mask = LSTM__MASK_KEEP,
    .stepwise = true,
    .plan_size = sizeof(buffers),
    .define = define,
    .plan = plan,
    .forward = forward_alpha,
    .backward = backward,
};
