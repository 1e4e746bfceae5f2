/* SPDX-License-Identifier: MIT
 * LayerNormalization (Ba, Kiros and Hinton 2016): each row alone over its features.
 *
 *     s = 1 / sqrt(variance + epsilon)    n = (x - mean) s    y = n gamma + beta
 *     with g = dy gamma:    dx = s (g - mean(g) - n mean(g n))    dgamma = sum(dy n)    dbeta = sum(dy)
 *
 * Sums are in double: a row's mean must not depend on how its numbers lie in vectors.
 */
#include "layer_ports.h"
#include "options.h"

#include <math.h>
#include <stddef.h>

typedef struct buffers {
    real *normalized; /* n, compact; training only */
    real *scales;     /* s of each row; training only */
} buffers;

#define FIELD(member) offsetof(lstm_layer_normalization_options, member)
static const lstm__option options[] = {
    LSTM__OPTION("center", FLAG, FIELD(center)),
    LSTM__OPTION("scale", FLAG, FIELD(scale)),
    LSTM__OPTION("epsilon", RATE, FIELD(epsilon)),
    LSTM__ALIAS("eps", RATE, FIELD(epsilon)),
    LSTM__FIXED("axis", "-1"),
    LSTM__FIXED("rms_scaling", NULL),
    LSTM__FIXED("gamma_initializer", "ones"),
    LSTM__FIXED("beta_initializer", "zeros"),
    LSTM__FIXED("gamma_regularizer", NULL),
    LSTM__FIXED("beta_regularizer", NULL),
    LSTM__FIXED("gamma_constraint", NULL),
    LSTM__FIXED("beta_constraint", NULL),
    LSTM__OPTIONS_END,
};

static const lstm_layer_normalization_options *options_of(const lstm__node *node)
{
    return node->options;
}

static lstm_status define(lstm__node *node)
{
    lstm_layer_normalization_options *own = node->options;
    RETURN_IF_ERROR(lstm__read_flag(&own->center, LSTM_YES, "center"));
    RETURN_IF_ERROR(lstm__read_flag(&own->scale, LSTM_YES, "scale"));
    if (own->epsilon == 0)
        own->epsilon = node->model->profile == LSTM_PROFILE_TORCH ? 1e-5f : 1e-3f;
    if (!isfinite(own->epsilon))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "epsilon is %g: expected a finite number",
                          (double)own->epsilon);
    node->port_count = 1;
    node->shapes[0] = lstm__input_shape(node, 0);
    return LSTM_OK;
}

static lstm_status declare(lstm__node *node)
{
    const size_t features = (size_t)node->shapes[0].features;
    if (options_of(node)->scale == LSTM_YES)
        RETURN_IF_ERROR(
            lstm__declare_vector(node, "gamma", "weight", features, LSTM_INITIALIZER_ONES));
    if (options_of(node)->center == LSTM_YES)
        RETURN_IF_ERROR(
            lstm__declare_vector(node, "beta", "bias", features, LSTM_INITIALIZER_ZEROS));
    return LSTM_OK;
}

/* Number of the parameter, and whether it is there. */
static bool has_gamma(const lstm__node *node)
{
    return options_of(node)->scale == LSTM_YES;
}
static bool has_beta(const lstm__node *node)
{
    return options_of(node)->center == LSTM_YES;
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *b = memory;
    const size_t rows = lstm__session_max_rows(session, node->shapes[0]);
    if (session->training) {
        b->normalized = lstm__carve_matrix(arena, rows, (size_t)node->shapes[0].features);
        b->scales = lstm__carve_matrix(arena, rows, 1);
    }
    lstm__plan_port(node, session, 0, arena);
}

static double scale_of(const real *x, size_t columns, double epsilon, double *mean)
{
    double sum = 0;
    double squares = 0;
    for (size_t c = 0; c < columns; c++)
        sum += (double)x[c];
    *mean = sum / (double)columns;
    for (size_t c = 0; c < columns; c++)
        squares += ((double)x[c] - *mean) * ((double)x[c] - *mean);
    return 1 / sqrt(squares / (double)columns + epsilon);
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const size_t columns = (size_t)node->shapes[0].features;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const double epsilon = options_of(node)->epsilon < 0 ? 0 : (double)options_of(node)->epsilon;
    const real *gamma = has_gamma(node) ? lstm__values_of(node, 0) : NULL;
    const real *beta = has_beta(node) ? lstm__values_of(node, has_gamma(node)) : NULL;
    const lstm__view x = lstm__input_value(node, session, 0);
    const lstm__view y = lstm__session_own(session, node, 0)->value;
    for (size_t r = 0; r < rows; r++) {
        const real *from = x.data + r * x.stride;
        real *to = y.data + r * y.stride;
        double mean = 0;
        const double scale = scale_of(from, columns, epsilon, &mean);
        real *n = b->normalized ? b->normalized + r * columns : to;
        for (size_t c = 0; c < columns; c++)
            n[c] = (real)(((double)from[c] - mean) * scale);
        for (size_t c = 0; c < columns; c++)
            to[c] = n[c] * (gamma ? gamma[c] : 1) + (beta ? beta[c] : 0);
        if (b->scales)
            b->scales[r] = (real)scale;
    }
}

static void backward_row(size_t columns, const real *n, const real *dy, const real *gamma,
                         real scale, real *dx, bool add)
{
    double sum = 0;
    double along = 0;
    for (size_t c = 0; c < columns; c++) {
        const double g = (double)dy[c] * (gamma ? (double)gamma[c] : 1);
        sum += g;
        along += g * (double)n[c];
    }
    const real mean = (real)(sum / (double)columns);
    const real slope = (real)(along / (double)columns);
    for (size_t c = 0; c < columns; c++) {
        const real part = scale * (dy[c] * (gamma ? gamma[c] : 1) - mean - n[c] * slope);
        dx[c] = add ? dx[c] + part : part;
    }
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const size_t columns = (size_t)node->shapes[0].features;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const lstm__view dy = lstm__session_own(session, node, 0)->gradient;
    const lstm__kernels *kernels = session->model->kernels;
    bool add = false;
    const lstm__view dx = lstm__take_gradient(node, session, 0, &add);
    for (size_t r = 0; dx.data && r < rows; r++)
        backward_row(columns, b->normalized + r * columns, dy.data + r * dy.stride,
                     has_gamma(node) ? lstm__values_of(node, 0) : NULL, b->scales[r],
                     dx.data + r * dx.stride, add);
    if (has_beta(node))
        kernels->column_sum(rows, columns, dy.data, dy.stride,
                            lstm__gradients_of(node, session, has_gamma(node)), 0);
    if (!has_gamma(node))
        return;
    for (size_t r = 0; r < rows; r++) /* dy n in place of n, which is no longer needed */
        for (size_t c = 0; c < columns; c++)
            b->normalized[r * columns + c] *= dy.data[r * dy.stride + c];
    kernels->column_sum(rows, columns, b->normalized, columns, lstm__gradients_of(node, session, 0),
                        0);
}

const lstm__layer_class lstm__class_layer_normalization = {
    .type = "LayerNormalization",
    .name_stem = "layer_normalization",
    .options_size = sizeof(lstm_layer_normalization_options),
    .options = options,
    .mask = LSTM__MASK_KEEP,
    .stepwise = true,
    .plan_size = sizeof(buffers),
    .define = define,
    .declare = declare,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
