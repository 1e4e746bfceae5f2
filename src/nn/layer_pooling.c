/* SPDX-License-Identifier: MIT
 * MaxPooling1D and AveragePooling1D over windows of steps. What lies outside the sequence takes no
 * part: the mean of a window at an end is over the steps inside. Of equal largest values the
 * earliest gets the gradient.
 */
#include "constants.h"
#include "window.h"

#include <stddef.h>

#define FIELD(member) offsetof(lstm_pooling_options, member)
static const lstm__option options[] = {
    LSTM__OPTION("pool_size", COUNT, FIELD(pool_size)),
    LSTM__ALIAS("kernel_size", COUNT, FIELD(pool_size)),
    LSTM__OPTION("strides", COUNT, FIELD(strides)),
    LSTM__ALIAS("stride", COUNT, FIELD(strides)),
    LSTM__OPTION_OF("padding", FIELD(padding), LSTM_NAMES_PADDING),
    LSTM__FIXED("data_format", "channels_last"),
    LSTM__OPTIONS_END,
};

static lstm__window window_of(const lstm__node *node)
{
    const lstm_pooling_options *own = node->options;
    return (lstm__window){own->pool_size, own->strides, 1, own->padding};
}

static lstm_status define(lstm__node *node)
{
    lstm_pooling_options *own = node->options;
    own->pool_size = own->pool_size == 0 ? 2 : own->pool_size;
    own->strides = own->strides == 0 ? own->pool_size : own->strides;
    RETURN_IF_ERROR(
        lstm__read_constant(&own->padding, LSTM_PADDING_VALID, LSTM_NAMES_PADDING, "padding"));
    if (own->padding == LSTM_PADDING_CAUSAL)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "padding is \"causal\": pooling knows \"valid\" and \"same\"");
    const lstm__window window = window_of(node);
    node->port_count = 1;
    node->shapes[0].features = lstm__input_shape(node, 0).features;
    return lstm__window_define(node, &window, &node->shapes[0].steps);
}

/* Steps [first, last) of window t inside the sequence. */
static void range(const lstm__window *w, int64_t steps, int64_t t, int64_t *first, int64_t *last)
{
    *first = lstm__window_start(w, steps) + t * w->strides;
    *last = *first + w->size < steps ? *first + w->size : steps;
    *first = *first < 0 ? 0 : *first;
}

typedef struct job {
    lstm__window window;
    int64_t steps;
    size_t batch, columns;
    bool largest;
    lstm__view x;
} job;

static job job_of(const lstm__node *node, lstm_session *session)
{
    return (job){window_of(node),
                 (int64_t)lstm__session_steps(session, lstm__input_shape(node, 0)),
                 session->batch,
                 (size_t)node->shapes[0].features,
                 node->class == &lstm__class_max_pooling,
                 lstm__input_value(node, session, 0)};
}

static const real *value_at(const job *j, int64_t step, size_t sample, size_t column)
{
    return &j->x.data[((size_t)step * j->batch + sample) * j->x.stride + column];
}

static int64_t largest_step(const job *j, int64_t first, int64_t last, size_t sample, size_t column)
{
    int64_t best = first;
    for (int64_t t = first + 1; t < last; t++)
        if (*value_at(j, t, sample, column) > *value_at(j, best, sample, column))
            best = t;
    return best;
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    const job j = job_of(node, session);
    const lstm__view y = lstm__session_own(session, node, 0)->value;
    const int64_t outputs = (int64_t)lstm__session_steps(session, node->shapes[0]);
    int64_t first = 0;
    int64_t last = 0;
    for (int64_t t = 0; t < outputs; t++) {
        range(&j.window, j.steps, t, &first, &last);
        for (size_t s = 0; s < j.batch; s++)
            for (size_t c = 0; c < j.columns; c++) {
                real sum = 0;
                for (int64_t k = first; !j.largest && k < last; k++)
                    sum += *value_at(&j, k, s, c);
                y.data[((size_t)t * j.batch + s) * y.stride + c] =
                    j.largest ? *value_at(&j, largest_step(&j, first, last, s, c), s, c)
                              : sum / (real)(last - first);
            }
    }
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    const job j = job_of(node, session);
    const lstm__view dy = lstm__session_own(session, node, 0)->gradient;
    const int64_t outputs = (int64_t)lstm__session_steps(session, node->shapes[0]);
    int64_t first = 0;
    int64_t last = 0;
    bool add = false;
    const lstm__view dx = lstm__take_gradient(node, session, 0, &add);
    if (!dx.data)
        return;
    if (!add)
        session->model->kernels->fill_rows((size_t)j.steps * j.batch, j.columns, NULL, dx.data,
                                           dx.stride);
    for (int64_t t = 0; t < outputs; t++) {
        range(&j.window, j.steps, t, &first, &last);
        for (size_t s = 0; s < j.batch; s++)
            for (size_t c = 0; c < j.columns; c++) {
                const int64_t best = j.largest ? largest_step(&j, first, last, s, c) : first;
                const int64_t end = j.largest ? best + 1 : last;
                const real part = dy.data[((size_t)t * j.batch + s) * dy.stride + c] /
                                  (real)(end - best);
                for (int64_t k = best; k < end; k++)
                    dx.data[((size_t)k * j.batch + s) * dx.stride + c] += part;
            }
    }
}

#define POOLING(variable, type_name, stem)            \
    const lstm__layer_class variable = {              \
        .type = type_name,                            \
        .name_stem = stem,                            \
        .options_size = sizeof(lstm_pooling_options), \
        .options = options,                           \
        .define = define,                             \
        .plan = lstm__plan_output,                    \
        .forward = forward,                           \
        .backward = backward,                         \
    }

POOLING(lstm__class_max_pooling, "MaxPooling1D", "max_pooling1d");
POOLING(lstm__class_average_pooling, "AveragePooling1D", "average_pooling1d");
