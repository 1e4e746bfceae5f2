/* SPDX-License-Identifier: MIT
 * BatchNormalization (Ioffe and Szegedy 2015): each feature over all valid rows of the batch.
 *
 *     s = 1 / sqrt(variance + epsilon)    n = (x - mean) s    y = n gamma + beta
 *     with g = dy gamma, N rows:    dx = s (g - sum(g) / N - n sum(g n) / N)    (statistics of the batch)
 *                                   dx = s g                                    (moving statistics)
 *
 * Rows that the mask leaves out are normalised by the same numbers but do not count in them, and so
 * take no part in the sums over n (their dx is s g). The moving statistics are parameters that are
 * not learned: backward leaves in their gradients what the next optimizer step takes off them, so a
 * forward pass never changes the model.
 */
#include "layer_ports.h"
#include "options.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

typedef struct buffers {
    real *normalized;                              /* n, compact; training only */
    double *mean, *variance, *scale, *sum, *along; /* [features] */
    size_t count;                                  /* valid rows of the latest forward */
} buffers;

#define FIELD(member) offsetof(lstm_batch_normalization_options, member)
static const lstm__option options[] = {
    LSTM__OPTION("center", FLAG, FIELD(center)),
    LSTM__OPTION("scale", FLAG, FIELD(scale)),
    LSTM__OPTION("epsilon", RATE, FIELD(epsilon)),
    LSTM__ALIAS("eps", RATE, FIELD(epsilon)),
    LSTM__OPTION("momentum", RATE, FIELD(momentum)),
    LSTM__OPTION("fixed_statistics", FLAG, FIELD(fixed_statistics)),
    LSTM__FIXED("axis", "-1"),
    LSTM__FIXED("renorm", NULL),
    LSTM__IGNORED("renorm_clipping"),
    LSTM__IGNORED("renorm_momentum"),
    LSTM__FIXED("synchronized", NULL),
    LSTM__FIXED("gamma_initializer", "ones"),
    LSTM__FIXED("beta_initializer", "zeros"),
    LSTM__FIXED("moving_mean_initializer", "zeros"),
    LSTM__FIXED("moving_variance_initializer", "ones"),
    LSTM__FIXED("gamma_regularizer", NULL),
    LSTM__FIXED("beta_regularizer", NULL),
    LSTM__FIXED("gamma_constraint", NULL),
    LSTM__FIXED("beta_constraint", NULL),
    LSTM__OPTIONS_END,
};

static const lstm_batch_normalization_options *options_of(const lstm__node *node)
{
    return node->options;
}

static lstm_status define(lstm__node *node)
{
    lstm_batch_normalization_options *own = node->options;
    const bool torch = node->model->profile == LSTM_PROFILE_TORCH;
    RETURN_IF_ERROR(lstm__read_flag(&own->center, LSTM_YES, "center"));
    RETURN_IF_ERROR(lstm__read_flag(&own->scale, LSTM_YES, "scale"));
    RETURN_IF_ERROR(lstm__read_flag(&own->fixed_statistics, LSTM_NO, "fixed_statistics"));
    if (own->epsilon == 0)
        own->epsilon = torch ? 1e-5f : 1e-3f;
    if (own->momentum == 0)
        own->momentum = torch ? 0.1f : 0.99f;
    if (!isfinite(own->epsilon))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "epsilon is %g: expected a finite number",
                          (double)own->epsilon);
    if (!(own->momentum <= 1))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "momentum is %g: expected at most 1",
                          (double)own->momentum);
    node->port_count = 1;
    node->shapes[0] = lstm__input_shape(node, 0);
    return LSTM_OK;
}

static bool has_gamma(const lstm__node *node)
{
    return options_of(node)->scale == LSTM_YES;
}
static bool has_beta(const lstm__node *node)
{
    return options_of(node)->center == LSTM_YES;
}
/* Numbers of the parameters. */
static size_t beta_of(const lstm__node *node)
{
    return has_gamma(node);
}
static size_t mean_of(const lstm__node *node)
{
    return (size_t)has_gamma(node) + has_beta(node);
}

static lstm_status declare_statistic(lstm__node *node, const char *keras_name,
                                     const char *torch_name, int32_t initializer)
{
    const size_t features = (size_t)node->shapes[0].features;
    size_t offset = 0;
    RETURN_IF_ERROR(lstm__graph_reserve_statistic(node->model, features, &offset));
    return lstm__graph_add_parameter(node, &(lstm__parameter_spec){.keras_name = keras_name,
                                                                   .torch_name = torch_name,
                                                                   .offset = offset,
                                                                   .rows = 1,
                                                                   .columns = features,
                                                                   .rank = 1,
                                                                   .statistic = true,
                                                                   .initializer = initializer});
}

static lstm_status declare(lstm__node *node)
{
    const size_t features = (size_t)node->shapes[0].features;
    if (has_gamma(node))
        RETURN_IF_ERROR(
            lstm__declare_vector(node, "gamma", "weight", features, LSTM_INITIALIZER_ONES));
    if (has_beta(node))
        RETURN_IF_ERROR(
            lstm__declare_vector(node, "beta", "bias", features, LSTM_INITIALIZER_ZEROS));
    RETURN_IF_ERROR(declare_statistic(node, "moving_mean", "running_mean", LSTM_INITIALIZER_ZEROS));
    return declare_statistic(node, "moving_variance", "running_var", LSTM_INITIALIZER_ONES);
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *b = memory;
    const size_t features = (size_t)node->shapes[0].features;
    double **const sums[] = {&b->mean, &b->variance, &b->scale, &b->sum, &b->along};
    for (size_t k = 0; k < sizeof sums / sizeof *sums; k++)
        *sums[k] = lstm__carve(arena, features, sizeof(double));
    if (session->training)
        b->normalized = lstm__carve_matrix(arena, lstm__session_max_rows(session, node->shapes[0]),
                                           features);
    lstm__plan_port(node, session, 0, arena);
}

/* A frozen layer goes by its moving statistics, as in Keras. */
static bool uses_batch(const lstm__node *node, const lstm_session *session)
{
    return session->training && options_of(node)->fixed_statistics != LSTM_YES && node->rate != 0;
}

/* Mean and variance (divisor N) of the valid rows, in two passes. */
static void measure(buffers *b, size_t rows, size_t columns, lstm__view x,
                    const unsigned char *mask)
{
    memset(b->mean, 0, columns * sizeof(double));
    memset(b->variance, 0, columns * sizeof(double));
    b->count = 0;
    for (size_t r = 0; r < rows; r++) {
        if (mask && !mask[r])
            continue;
        b->count++;
        for (size_t c = 0; c < columns; c++)
            b->mean[c] += (double)x.data[r * x.stride + c];
    }
    const double count = b->count > 0 ? (double)b->count : 1;
    for (size_t c = 0; c < columns; c++)
        b->mean[c] /= count;
    for (size_t r = 0; r < rows; r++) {
        if (mask && !mask[r])
            continue;
        for (size_t c = 0; c < columns; c++) {
            const double from_mean = (double)x.data[r * x.stride + c] - b->mean[c];
            b->variance[c] += from_mean * from_mean;
        }
    }
    for (size_t c = 0; c < columns; c++)
        b->variance[c] /= count;
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    buffers *b = memory;
    const size_t columns = (size_t)node->shapes[0].features;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const double epsilon = options_of(node)->epsilon < 0 ? 0 : (double)options_of(node)->epsilon;
    const real *gamma = has_gamma(node) ? lstm__values_of(node, 0) : NULL;
    const real *beta = has_beta(node) ? lstm__values_of(node, beta_of(node)) : NULL;
    const real *moving_mean = lstm__values_of(node, mean_of(node));
    const real *moving_variance = lstm__values_of(node, mean_of(node) + 1);
    const lstm__view x = lstm__input_value(node, session, 0);
    const lstm__view y = lstm__session_own(session, node, 0)->value;
    if (uses_batch(node, session))
        measure(b, rows, columns, x, lstm__input_mask(node, session, 0));
    for (size_t c = 0; !uses_batch(node, session) && c < columns; c++) {
        b->mean[c] = (double)moving_mean[c];
        b->variance[c] = (double)moving_variance[c];
    }
    for (size_t c = 0; c < columns; c++)
        b->scale[c] = 1 / sqrt(b->variance[c] + epsilon);
    for (size_t r = 0; r < rows; r++) {
        real *to = y.data + r * y.stride;
        real *n = b->normalized ? b->normalized + r * columns : to;
        for (size_t c = 0; c < columns; c++) {
            n[c] = (real)(((double)x.data[r * x.stride + c] - b->mean[c]) * b->scale[c]);
            to[c] = n[c] * (gamma ? gamma[c] : 1) + (beta ? beta[c] : 0);
        }
    }
}

/* What the optimizer step takes off the moving statistics. */
static void move_statistics(const lstm__node *node, lstm_session *session, const buffers *b)
{
    const bool torch = node->model->profile == LSTM_PROFILE_TORCH;
    const size_t columns = (size_t)node->shapes[0].features;
    const double momentum = options_of(node)->momentum < 0 ? 0 : (double)options_of(node)->momentum;
    const double rate = uses_batch(node, session) && b->count > 0
                            ? (torch ? momentum : 1 - momentum)
                            : 0;
    const double count = (double)b->count;
    const double unbiased = torch && b->count > 1 ? count / (count - 1) : 1;
    for (size_t c = 0; c < columns; c++) {
        const double mean = (double)lstm__values_of(node, mean_of(node))[c];
        const double variance = (double)lstm__values_of(node, mean_of(node) + 1)[c];
        lstm__gradients_of(node, session, mean_of(node))[c] = (real)(rate * (mean - b->mean[c]));
        lstm__gradients_of(node, session, mean_of(node) + 1)[c] =
            (real)(rate * (variance - unbiased * b->variance[c]));
    }
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const size_t columns = (size_t)node->shapes[0].features;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const lstm__view dy = lstm__session_own(session, node, 0)->gradient;
    const real *gamma = has_gamma(node) ? lstm__values_of(node, 0) : NULL;
    const unsigned char *mask = lstm__input_mask(node, session, 0);
    const double count = uses_batch(node, session) && b->count > 0 ? (double)b->count : INFINITY;
    memset(b->sum, 0, columns * sizeof(double));
    memset(b->along, 0, columns * sizeof(double));
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            const double d = (double)dy.data[r * dy.stride + c];
            b->sum[c] += d;
            b->along[c] += d * (double)b->normalized[r * columns + c];
        }
    bool add = false;
    const lstm__view dx = lstm__take_gradient(node, session, 0, &add);
    for (size_t r = 0; dx.data && r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            double part = (double)dy.data[r * dy.stride + c];
            if (!mask || mask[r])
                part -= b->sum[c] / count +
                        (double)b->normalized[r * columns + c] * b->along[c] / count;
            const real share = (real)(b->scale[c] * (gamma ? (double)gamma[c] : 1) * part);
            real *to = &dx.data[r * dx.stride + c];
            *to = add ? *to + share : share;
        }
    for (size_t c = 0; has_gamma(node) && c < columns; c++)
        lstm__gradients_of(node, session, 0)[c] = (real)b->along[c];
    for (size_t c = 0; has_beta(node) && c < columns; c++)
        lstm__gradients_of(node, session, beta_of(node))[c] = (real)b->sum[c];
    move_statistics(node, session, b);
}

const lstm__layer_class lstm__class_batch_normalization = {
    .type = "BatchNormalization",
    .name_stem = "batch_normalization",
    .options_size = sizeof(lstm_batch_normalization_options),
    .options = options,
    .mask = LSTM__MASK_KEEP,
    .plan_size = sizeof(buffers),
    .define = define,
    .declare = declare,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .piecewise = lstm__always_piecewise,
};
