/* SPDX-License-Identifier: MIT
 * Dropout (Srivastava et al. 2014), inverted: kept values are divided by 1 - rate while training;
 * the identity otherwise. The mask of an update is a function of (seed, layer, update, place), kept
 * as factors for backward.
 */
#include "layer_ports.h"
#include "random.h"

#include <stddef.h>

enum { STREAM_DROPOUT = 2 };

typedef struct buffers {
    real *factors; /* 0 or 1 / (1 - rate), one a value; training only */
} buffers;

#define FIELD(member) offsetof(lstm_dropout_options, member)
static const lstm__option options[] = {
    LSTM__OPTION("rate", RATE, FIELD(rate)),
    LSTM__ALIAS("p", RATE, FIELD(rate)),
    LSTM__OPTION("seed", SEED, FIELD(seed)),
    LSTM__FIXED("noise_shape", NULL),
    LSTM__OPTIONS_END,
};

static lstm_status define(lstm__node *node)
{
    const lstm_dropout_options *dropout = node->options;
    if (!(dropout->rate >= 0 && dropout->rate < 1))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "rate is %g: expected 0 <= rate < 1",
                          (double)dropout->rate);
    node->port_count = 1;
    node->shapes[0] = node->inputs[0]->node->shapes[node->inputs[0]->port];
    return LSTM_OK;
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *b = memory;
    const size_t features = (size_t)node->shapes[0].features;
    const size_t rows = lstm__session_max_rows(session, node->shapes[0]);
    if (!session->training)
        return; /* the output is the input itself */
    b->factors = lstm__carve(arena, rows, features * sizeof(real));
    lstm__plan_port(node, session, 0, arena);
}

static void draw(const lstm__node *node, const lstm_session *session, size_t count, real *factors)
{
    const lstm_dropout_options *dropout = node->options;
    const uint64_t seed = dropout->seed ? dropout->seed : session->model->seed ^ session->seed;
    const uint64_t stream = lstm__random_stream(lstm__random_stream(STREAM_DROPOUT, node->index),
                                                session->update);
    session->model->kernels->draw_factors(
        &(lstm__draw){.seed = seed,
                      .stream = stream,
                      .rate = (double)dropout->rate,
                      .drawn = 0,
                      .other = (real)(1.0 / (1.0 - (double)dropout->rate))},
        count, factors);
}

static void multiply(size_t rows, size_t columns, const real *factors, lstm__view x, lstm__view y,
                     bool accumulate)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            const real product = x.data[r * x.stride + c] * factors[r * columns + c];
            real *to = &y.data[r * y.stride + c];
            *to = accumulate ? *to + product : product;
        }
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const size_t features = (size_t)node->shapes[0].features;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    lstm__port *own = lstm__session_own(session, node, 0);
    const lstm__view x = lstm__session_port(session, node->inputs[0])->value;
    if (!session->training) {
        own->value = x;
        return;
    }
    draw(node, session, rows * features, b->factors);
    multiply(rows, features, b->factors, x, own->value, false);
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const lstm__port *own = lstm__session_own(session, node, 0);
    lstm__port *input = lstm__session_port(session, node->inputs[0]);
    if (!input->gradient.data)
        return;
    multiply(lstm__session_rows(session, node->shapes[0]), (size_t)node->shapes[0].features,
             b->factors, own->gradient, input->gradient, input->written);
    input->written = true;
}

const lstm__layer_class lstm__class_dropout = {
    .type = "Dropout",
    .name_stem = "dropout",
    .options_size = sizeof(lstm_dropout_options),
    .options = options,
    .mask = LSTM__MASK_KEEP,
    .stepwise = true,
    .plan_size = sizeof(buffers),
    .define = define,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
