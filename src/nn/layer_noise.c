/* SPDX-License-Identifier: MIT
 * SpatialDropout1D (Tompson et al. 2015): whole features of a sample set to zero, the same at every
 * step; and GaussianNoise added to every value. Both only while training, as functions of (seed,
 * layer, update, place).
 */
#include "layer_ports.h"
#include "random.h"

#include <math.h>
#include <stddef.h>

enum { STREAM_SPATIAL = 5, STREAM_GAUSSIAN = 6 };

typedef struct buffers {
    real *factors; /* SpatialDropout1D: [batch][features], 0 or 1 / (1 - rate); training only */
} buffers;

static uint64_t seed_of(const lstm_session *session, uint64_t own)
{
    return own ? own : session->model->seed ^ session->seed;
}

static uint64_t stream_of(const lstm__node *node, const lstm_session *session, uint64_t kind)
{
    return lstm__random_stream(lstm__random_stream(kind, node->index), session->update);
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *b = memory;
    if (!session->training)
        return; /* the output is the input itself */
    if (node->class == &lstm__class_spatial_dropout)
        b->factors = lstm__carve_matrix(arena, session->max_batch,
                                        (size_t)node->shapes[0].features);
    lstm__plan_port(node, session, 0, arena);
}

/* ---- SpatialDropout1D */

static const lstm__option spatial_options[] = {
    LSTM__OPTION("rate", RATE, offsetof(lstm_dropout_options, rate)),
    LSTM__OPTION("seed", SEED, offsetof(lstm_dropout_options, seed)),
    LSTM__OPTIONS_END,
};

static lstm_status define_spatial(lstm__node *node)
{
    const lstm_dropout_options *own = node->options;
    if (!(own->rate >= 0 && own->rate < 1))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "rate is %g: expected 0 <= rate < 1",
                          (double)own->rate);
    RETURN_IF_ERROR(lstm__need_sequence(node, 0));
    node->port_count = 1;
    node->shapes[0] = lstm__input_shape(node, 0);
    return LSTM_OK;
}

/* y = (or +=) x times the factors of its sample. */
static void multiply(const lstm__node *node, const lstm_session *session, const buffers *b,
                     lstm__view x, lstm__view y, bool add)
{
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const size_t columns = (size_t)node->shapes[0].features;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            const real value = x.data[r * x.stride + c] *
                               b->factors[r % session->batch * columns + c];
            real *to = &y.data[r * y.stride + c];
            *to = add ? *to + value : value;
        }
}

static void forward_spatial(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const lstm_dropout_options *own = node->options;
    lstm__port *port = lstm__session_own(session, node, 0);
    const lstm__view x = lstm__input_value(node, session, 0);
    if (!session->training) {
        port->value = x;
        return;
    }
    const uint64_t stream = stream_of(node, session, STREAM_SPATIAL);
    const real keep = (real)(1 / (1 - (double)own->rate));
    for (size_t k = 0; k < session->batch * (size_t)node->shapes[0].features; k++)
        b->factors[k] = lstm__random_uniform(seed_of(session, own->seed), stream, k) <
                                (double)own->rate
                            ? 0
                            : keep;
    multiply(node, session, b, x, port->value, false);
}

static void backward_spatial(const lstm__node *node, lstm_session *session, void *memory)
{
    bool add = false;
    const lstm__view dx = lstm__take_gradient(node, session, 0, &add);
    if (dx.data)
        multiply(node, session, memory, lstm__session_own(session, node, 0)->gradient, dx, add);
}

const lstm__layer_class lstm__class_spatial_dropout = {
    .type = "SpatialDropout1D",
    .name_stem = "spatial_dropout1d",
    .options_size = sizeof(lstm_dropout_options),
    .options = spatial_options,
    .mask = LSTM__MASK_KEEP,
    .plan_size = sizeof(buffers),
    .define = define_spatial,
    .plan = plan,
    .forward = forward_spatial,
    .backward = backward_spatial,
    .piecewise = lstm__always_piecewise,
};

/* ---- GaussianNoise */

static const lstm__option gaussian_options[] = {
    LSTM__OPTION("stddev", RATE, offsetof(lstm_gaussian_noise_options, stddev)),
    LSTM__OPTION("seed", SEED, offsetof(lstm_gaussian_noise_options, seed)),
    LSTM__OPTIONS_END,
};

static lstm_status define_gaussian(lstm__node *node)
{
    const lstm_gaussian_noise_options *own = node->options;
    if (!(own->stddev >= 0) || !isfinite(own->stddev))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "stddev is %g: expected a finite number of at least 0",
                          (double)own->stddev);
    node->port_count = 1;
    node->shapes[0] = lstm__input_shape(node, 0);
    return LSTM_OK;
}

static void forward_gaussian(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    const lstm_gaussian_noise_options *own = node->options;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const size_t columns = (size_t)node->shapes[0].features;
    lstm__port *port = lstm__session_own(session, node, 0);
    const lstm__view x = lstm__input_value(node, session, 0);
    if (!session->training) {
        port->value = x;
        return;
    }
    const uint64_t stream = stream_of(node, session, STREAM_GAUSSIAN);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            port->value.data[r * columns + c] =
                x.data[r * x.stride + c] +
                (real)((double)own->stddev *
                       lstm__random_normal(seed_of(session, own->seed), stream, r * columns + c));
}

static void backward_gaussian(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    bool add = false;
    const lstm__view dy = lstm__session_own(session, node, 0)->gradient;
    const lstm__view dx = lstm__take_gradient(node, session, 0, &add);
    if (dx.data)
        session->model->kernels->copy_rows(lstm__session_rows(session, node->shapes[0]),
                                           (size_t)node->shapes[0].features, dy.data, dy.stride,
                                           dx.data, dx.stride, add);
}

const lstm__layer_class lstm__class_gaussian_noise = {
    .type = "GaussianNoise",
    .name_stem = "gaussian_noise",
    .options_size = sizeof(lstm_gaussian_noise_options),
    .options = gaussian_options,
    .mask = LSTM__MASK_KEEP,
    .stepwise = true,
    .plan_size = sizeof(buffers),
    .define = define_gaussian,
    .plan = plan,
    .forward = forward_gaussian,
    .backward = backward_gaussian,
};
