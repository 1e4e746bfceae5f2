/* SPDX-License-Identifier: MIT
 * From a sequence to one vector: mean, largest or last of the valid steps. A sample without a valid
 * step gives zeros. Of equal largest values the earliest gets the gradient.
 */
#include "layer_ports.h"
#include "options.h"

#include <stddef.h>
#include <string.h>

typedef struct buffers {
    /* [batch][features] or [batch]: the step that was taken, plus 1; 0 = none. Mean: number of
     * steps */
    uint32_t *places;
} buffers;

static const lstm__option options[] = {
    LSTM__OPTION("ignore_mask", FLAG, offsetof(lstm_global_pooling_options, ignore_mask)),
    LSTM__IGNORED("data_format"),
    LSTM__FIXED("keepdims", NULL),
    LSTM__OPTIONS_END,
};

static bool is_max(const lstm__node *node)
{
    return node->class == &lstm__class_global_max_pooling;
}
static bool is_mean(const lstm__node *node)
{
    return node->class == &lstm__class_global_average_pooling;
}

static lstm_status define(lstm__node *node)
{
    lstm_global_pooling_options *own = node->options;
    RETURN_IF_ERROR(lstm__read_flag(&own->ignore_mask, LSTM_NO, "ignore_mask"));
    RETURN_IF_ERROR(lstm__need_sequence(node, 0));
    node->port_count = 1;
    node->shapes[0] = (lstm__shape){0, lstm__input_shape(node, 0).features};
    return LSTM_OK;
}

static const unsigned char *mask_of(const lstm__node *node, lstm_session *session)
{
    const lstm_global_pooling_options *own = node->options;
    return own->ignore_mask == LSTM_YES ? NULL : lstm__input_mask(node, session, 0);
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *b = memory;
    const size_t features = (size_t)node->shapes[0].features;
    size_t bytes = 0;
    if (!lstm__mul(is_max(node) ? features : 1, sizeof *b->places, &bytes))
        arena->overflow = true;
    b->places = lstm__carve(arena, session->max_batch, bytes);
    lstm__plan_port(node, session, 0, arena);
}

static void take_largest(size_t columns, size_t step, const real *x, real *y, uint32_t *places)
{
    for (size_t c = 0; c < columns; c++)
        if (places[c] == 0 || x[c] > y[c]) {
            y[c] = x[c];
            places[c] = (uint32_t)step + 1;
        }
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const size_t columns = (size_t)node->shapes[0].features;
    const size_t steps = lstm__session_steps(session, lstm__input_shape(node, 0));
    const size_t batch = session->batch;
    const lstm__view x = lstm__input_value(node, session, 0);
    const lstm__view y = lstm__session_own(session, node, 0)->value;
    const unsigned char *mask = mask_of(node, session);
    session->model->kernels->fill_rows(batch, columns, NULL, y.data, y.stride);
    memset(b->places, 0, batch * (is_max(node) ? columns : 1) * sizeof *b->places);
    for (size_t row = 0; row < steps * batch; row++) {
        const size_t s = row % batch;
        real *to = y.data + s * y.stride;
        if (mask && !mask[row])
            continue;
        if (is_max(node))
            take_largest(columns, row / batch, x.data + row * x.stride, to,
                         b->places + s * columns);
        else
            session->model->kernels->copy_rows(1, columns, x.data + row * x.stride, x.stride, to,
                                               y.stride, is_mean(node));
        if (!is_max(node))
            b->places[s] = is_mean(node) ? b->places[s] + 1 : (uint32_t)(row / batch) + 1;
    }
    for (size_t s = 0; is_mean(node) && s < batch; s++)
        if (b->places[s] > 1)
            session->model->kernels->scale(columns, 1 / (real)b->places[s], y.data + s * y.stride);
}

/* The share of step `step` in what came out for sample s and one feature. */
static real share(const lstm__node *node, const buffers *b, size_t columns, size_t s, size_t c,
                  size_t step)
{
    if (is_mean(node))
        return 1 / (real)b->places[s];
    return (is_max(node) ? b->places[s * columns + c] : b->places[s]) == step + 1;
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const size_t columns = (size_t)node->shapes[0].features;
    const size_t batch = session->batch;
    const size_t rows = batch * lstm__session_steps(session, lstm__input_shape(node, 0));
    const lstm__view dy = lstm__session_own(session, node, 0)->gradient;
    const unsigned char *mask = mask_of(node, session);
    bool add = false;
    const lstm__view dx = lstm__take_gradient(node, session, 0, &add);
    for (size_t row = 0; dx.data && row < rows; row++) {
        const size_t s = row % batch;
        const bool valid = !mask || mask[row];
        for (size_t c = 0; c < columns; c++) {
            const real part =
                valid ? share(node, b, columns, s, c, row / batch) * dy.data[s * dy.stride + c] : 0;
            real *to = &dx.data[row * dx.stride + c];
            *to = add ? *to + part : part;
        }
    }
}

#define GLOBAL_POOLING(variable, type_name, stem, own)       \
    const lstm__layer_class variable = {                     \
        .type = type_name,                                   \
        .name_stem = stem,                                   \
        .options_size = sizeof(lstm_global_pooling_options), \
        .options = options,                                  \
        .plan_size = sizeof(buffers),                        \
        .define = define,                                    \
        .plan = plan,                                        \
        .forward = forward,                                  \
        .backward = backward,                                \
        .only_here = own,                                    \
    }

GLOBAL_POOLING(lstm__class_global_average_pooling, "GlobalAveragePooling1D",
               "global_average_pooling1d", false);
GLOBAL_POOLING(lstm__class_global_max_pooling, "GlobalMaxPooling1D", "global_max_pooling1d", false);
GLOBAL_POOLING(lstm__class_last_step, "LastStep", "last_step", true);
