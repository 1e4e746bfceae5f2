/* SPDX-License-Identifier: MIT
 * Conv1D: each window is laid out as one row, so that the convolution is one product with the
 * kernel, a matrix of (K F) x filters; backward adds the rows of dA W^T up again.
 *
 * A window's row holds [k][f] under Keras' profile and [f][k] under PyTorch's, whose weight
 * (filters, F, K) is then the transposed matrix.
 */
#include "activation.h"
#include "constants.h"
#include "options.h"
#include "product.h"
#include "window.h"

#include <stddef.h>
#include <string.h>

typedef struct buffers {
    real *windows; /* [T' B][K F] */
} buffers;

#define FIELD(member) offsetof(lstm_conv1d_options, member)
static const lstm__option options[] = {
    LSTM__OPTION("filters", COUNT, FIELD(filters)),
    LSTM__ALIAS("out_channels", COUNT, FIELD(filters)),
    LSTM__OPTION("kernel_size", COUNT, FIELD(kernel_size)),
    LSTM__OPTION("strides", COUNT, FIELD(strides)),
    LSTM__ALIAS("stride", COUNT, FIELD(strides)),
    LSTM__OPTION("dilation_rate", COUNT, FIELD(dilation_rate)),
    LSTM__ALIAS("dilation", COUNT, FIELD(dilation_rate)),
    LSTM__OPTION_OF("padding", FIELD(padding), LSTM_NAMES_PADDING),
    LSTM__OPTION_OF("activation", FIELD(activation), LSTM_NAMES_ACTIVATION),
    LSTM__OPTION("use_bias", FLAG, FIELD(use_bias)),
    LSTM__ALIAS("bias", FLAG, FIELD(use_bias)),
    LSTM__OPTION_OF("kernel_initializer", FIELD(kernel_initializer), LSTM_NAMES_INITIALIZER),
    LSTM__OPTION("ignore_mask", FLAG, FIELD(ignore_mask)),
    LSTM__FIXED("groups", "1"),
    LSTM__FIXED("data_format", "channels_last"),
    LSTM__FIXED("bias_initializer", "zeros"),
    LSTM__FIXED("kernel_regularizer", NULL),
    LSTM__FIXED("bias_regularizer", NULL),
    LSTM__FIXED("activity_regularizer", NULL),
    LSTM__FIXED("kernel_constraint", NULL),
    LSTM__FIXED("bias_constraint", NULL),
    LSTM__OPTIONS_END,
};

static const lstm_conv1d_options *options_of(const lstm__node *node)
{
    return node->options;
}

static lstm__window window_of(const lstm__node *node)
{
    const lstm_conv1d_options *own = options_of(node);
    return (lstm__window){own->kernel_size, own->strides, own->dilation_rate, own->padding};
}

static size_t width_of(const lstm__node *node)
{
    size_t width = 0;
    const bool fits = lstm__mul((size_t)options_of(node)->kernel_size,
                                (size_t)lstm__input_shape(node, 0).features, &width);
    return fits ? width : SIZE_MAX;
}

static lstm_status define(lstm__node *node)
{
    lstm_conv1d_options *own = node->options;
    const bool torch = node->model->profile == LSTM_PROFILE_TORCH;
    own->strides = own->strides == 0 ? 1 : own->strides;
    own->dilation_rate = own->dilation_rate == 0 ? 1 : own->dilation_rate;
    if (own->filters < 1 || own->filters > INT32_MAX / 8)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "filters is %lld: expected 1 to %d",
                          (long long)own->filters, INT32_MAX / 8);
    RETURN_IF_ERROR(
        lstm__read_constant(&own->padding, LSTM_PADDING_VALID, LSTM_NAMES_PADDING, "padding"));
    RETURN_IF_ERROR(lstm__read_constant(&own->activation, LSTM_ACTIVATION_LINEAR,
                                        LSTM_NAMES_ACTIVATION, "activation"));
    RETURN_IF_ERROR(lstm__read_flag(&own->use_bias, LSTM_YES, "use_bias"));
    RETURN_IF_ERROR(lstm__read_flag(&own->ignore_mask, LSTM_NO, "ignore_mask"));
    RETURN_IF_ERROR(lstm__read_constant(&own->kernel_initializer,
                                        torch ? LSTM_INITIALIZER_TORCH_UNIFORM
                                              : LSTM_INITIALIZER_GLOROT_UNIFORM,
                                        LSTM_NAMES_INITIALIZER, "kernel_initializer"));
    const lstm__window window = window_of(node);
    node->port_count = 1;
    node->shapes[0].features = own->filters;
    RETURN_IF_ERROR(lstm__window_define(node, &window, &node->shapes[0].steps));
    if (own->strides > 1 && own->dilation_rate > 1)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "strides %lld and dilation_rate %lld: at most one may be above 1",
                          (long long)own->strides, (long long)own->dilation_rate);
    return LSTM_OK;
}

static lstm_status declare(lstm__node *node)
{
    const lstm_conv1d_options *own = options_of(node);
    const bool torch = node->model->profile == LSTM_PROFILE_TORCH;
    const size_t filters = (size_t)own->filters;
    const int64_t features = lstm__input_shape(node, 0).features;
    const size_t width = width_of(node);
    size_t count = 0;
    size_t kernel = 0;
    size_t bias = 0;
    if (!lstm__mul(width, filters, &count) || width == SIZE_MAX)
        count = SIZE_MAX;
    RETURN_IF_ERROR(lstm__graph_reserve(node->model, count, &kernel));
    RETURN_IF_ERROR(lstm__graph_add_parameter(
        node, &(lstm__parameter_spec){.keras_name = "kernel",
                                      .torch_name = "weight",
                                      .offset = kernel,
                                      .rows = width,
                                      .columns = filters,
                                      .rank = 3,
                                      .keras_shape = {own->kernel_size, features, own->filters},
                                      .torch_shape = {own->filters, features, own->kernel_size},
                                      .torch_transposed = true,
                                      .initializer = own->kernel_initializer,
                                      .fan_in = width,
                                      .fan_out = (size_t)own->kernel_size * filters,
                                      .units = width}));
    if (own->use_bias != LSTM_YES)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__graph_reserve(node->model, filters, &bias));
    return lstm__graph_add_parameter(
        node, &(lstm__parameter_spec){.keras_name = "bias",
                                      .torch_name = "bias",
                                      .offset = bias,
                                      .rows = 1,
                                      .columns = filters,
                                      .rank = 1,
                                      .units = width,
                                      .initializer = torch ? LSTM_INITIALIZER_TORCH_UNIFORM
                                                           : LSTM_INITIALIZER_ZEROS});
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *b = memory;
    b->windows = lstm__carve_matrix(arena, lstm__session_max_rows(session, node->shapes[0]),
                                    width_of(node));
    lstm__plan_port(node, session, 0, arena);
}

/* Walks over the places of all windows: value k of the window in row r stands in row `step * batch
 * + sample` of x. */
typedef struct walk {
    lstm__window window;
    int64_t start, steps;
    size_t batch, features, width;
    const unsigned char *mask; /* steps that are left out count as zeros; NULL = none */
    size_t tap, feature;       /* distance of two taps and of two features in a window's row */
} walk;

static const unsigned char *mask_of(const lstm__node *node, lstm_session *session)
{
    return options_of(node)->ignore_mask == LSTM_YES ? NULL : lstm__input_mask(node, session, 0);
}

static walk walk_of(const lstm__node *node, lstm_session *session)
{
    const bool torch = node->model->profile == LSTM_PROFILE_TORCH;
    walk w = {.window = window_of(node),
              .batch = session->batch,
              .width = width_of(node),
              .features = (size_t)lstm__input_shape(node, 0).features};
    w.steps = (int64_t)lstm__session_steps(session, lstm__input_shape(node, 0));
    w.start = lstm__window_start(&w.window, w.steps);
    w.mask = mask_of(node, session);
    w.tap = torch ? 1 : w.features;
    w.feature = torch ? (size_t)w.window.size : 1;
    return w;
}

/* The row of x that tap k of window row r reads, or -1 for a zero. */
static int64_t source_row(const walk *w, size_t r, int64_t k)
{
    const int64_t step = w->start + (int64_t)(r / w->batch) * w->window.strides +
                         k * w->window.dilation;
    const int64_t row = step * (int64_t)w->batch + (int64_t)(r % w->batch);
    return step < 0 || step >= w->steps || (w->mask && !w->mask[row]) ? -1 : row;
}

static void spread(const walk *w, size_t rows, lstm__view x, real *windows)
{
    for (size_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < w->window.size; k++) {
            const int64_t source = source_row(w, r, k);
            real *to = windows + r * w->width + (size_t)k * w->tap;
            for (size_t f = 0; f < w->features; f++)
                to[f * w->feature] = source < 0 ? 0 : x.data[(size_t)source * x.stride + f];
        }
}

static void gather(const walk *w, size_t rows, const real *windows, lstm__view dx)
{
    for (size_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < w->window.size; k++) {
            const int64_t source = source_row(w, r, k);
            const real *from = windows + r * w->width + (size_t)k * w->tap;
            for (size_t f = 0; source >= 0 && f < w->features; f++)
                dx.data[(size_t)source * dx.stride + f] += from[f * w->feature];
        }
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const lstm_conv1d_options *own = options_of(node);
    const size_t filters = (size_t)own->filters;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const walk w = walk_of(node, session);
    lstm__port *port = lstm__session_own(session, node, 0);
    const bool bias = own->use_bias == LSTM_YES;
    spread(&w, rows, lstm__input_value(node, session, 0), b->windows);
    if (bias)
        session->model->kernels->fill_rows(rows, filters, lstm__values_of(node, 1),
                                           port->value.data, filters);
    lstm__gemm(0, 0, rows, filters, w.width, b->windows, w.width, lstm__values_of(node, 0), filters,
               bias, port->value.data, filters);
    lstm__activation_forward(session->model->kernels, own->activation, rows, filters, port->value,
                             port->value);
    port->mask = own->padding != LSTM_PADDING_VALID && own->strides == 1 ? mask_of(node, session)
                                                                         : NULL;
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const lstm_conv1d_options *own = options_of(node);
    const size_t filters = (size_t)own->filters;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const walk w = walk_of(node, session);
    const lstm__port *port = lstm__session_own(session, node, 0);
    const real *dy = port->gradient.data;
    bool add = false;
    lstm__activation_backward(session->model->kernels, own->activation, rows, filters, port->value,
                              port->gradient, port->gradient, false);
    lstm__gemm(1, 0, w.width, filters, rows, b->windows, w.width, dy, filters, 0,
               lstm__gradients_of(node, session, 0), filters);
    if (own->use_bias == LSTM_YES)
        session->model->kernels->column_sum(rows, filters, dy, filters,
                                            lstm__gradients_of(node, session, 1), 0);
    const lstm__view dx = lstm__take_gradient(node, session, 0, &add);
    if (!dx.data)
        return;
    if (!add)
        session->model->kernels->fill_rows((size_t)w.steps * w.batch, w.features, NULL, dx.data,
                                           dx.stride);
    lstm__gemm(0, 1, rows, w.width, filters, dy, filters, lstm__values_of(node, 0), filters, 0,
               b->windows, w.width);
    gather(&w, rows, b->windows, dx);
}

static double flops(const lstm__node *node, int64_t steps)
{
    const double outputs = (double)(node->shapes[0].steps < 0 ? steps : node->shapes[0].steps);
    return 2 * outputs * (double)width_of(node) * (double)options_of(node)->filters;
}

const lstm__layer_class lstm__class_conv1d = {
    .type = "Conv1D",
    .name_stem = "conv1d",
    .options_size = sizeof(lstm_conv1d_options),
    .options = options,
    .mask = LSTM__MASK_OWN,
    .plan_size = sizeof(buffers),
    .define = define,
    .declare = declare,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .flops = flops,
};
