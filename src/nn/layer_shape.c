/* SPDX-License-Identifier: MIT
 * Layers that only move values: RepeatVector, Reshape, Flatten. Sequences are time first inside, so
 * a reshape is a real move: value k of sample b, in the order [steps][features], lies in row (k /
 * features) * batch + b.
 */
#include "layer_ports.h"

#include <stddef.h>
#include <string.h>

/* ---- RepeatVector */

static const lstm__option repeat_options[] = {
    LSTM__OPTION("n", COUNT, offsetof(lstm_repeat_vector_options, count)),
    LSTM__OPTIONS_END,
};

static lstm_status define_repeat(lstm__node *node)
{
    const lstm_repeat_vector_options *repeat = node->options;
    if (repeat->count < 1)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "count is %lld: expected at least 1",
                          (long long)repeat->count);
    if (lstm__input_shape(node, 0).steps != 0)
        return lstm__fail(LSTM_ERROR_SHAPE, "reads layer \"%s\", a sequence: expected a vector",
                          node->inputs[0]->node->name);
    node->port_count = 1;
    node->shapes[0] = (lstm__shape){repeat->count, lstm__input_shape(node, 0).features};
    return LSTM_OK;
}

static void forward_repeat(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    const size_t features = (size_t)node->shapes[0].features;
    const lstm__view x = lstm__session_port(session, node->inputs[0])->value;
    const lstm__view y = lstm__session_own(session, node, 0)->value;
    for (size_t t = 0; t < (size_t)node->shapes[0].steps; t++)
        session->model->kernels->copy_rows(session->batch, features, x.data, x.stride,
                                           y.data + t * session->batch * features, features, 0);
}

static void backward_repeat(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    const size_t features = (size_t)node->shapes[0].features;
    const real *dy = lstm__session_own(session, node, 0)->gradient.data;
    lstm__port *input = lstm__session_port(session, node->inputs[0]);
    if (!input->gradient.data)
        return;
    for (size_t t = 0; t < (size_t)node->shapes[0].steps; t++) {
        session->model->kernels->copy_rows(
            session->batch, features, dy + t * session->batch * features, features,
            input->gradient.data, input->gradient.stride, input->written);
        input->written = true;
    }
}

const lstm__layer_class lstm__class_repeat_vector = {
    .type = "RepeatVector",
    .name_stem = "repeat_vector",
    .options_size = sizeof(lstm_repeat_vector_options),
    .options = repeat_options,
    .define = define_repeat,
    .plan = lstm__plan_output,
    .forward = forward_repeat,
    .backward = backward_repeat,
};

/* ---- Reshape and Flatten */

static const lstm__option reshape_options[] = {
    LSTM__OPTIONS_END, /* "target_shape" is read by model_json.c */
};

static const lstm__option flatten_options[] = {
    LSTM__IGNORED("data_format"),
    LSTM__OPTIONS_END,
};

static lstm_status define_reshape(lstm__node *node)
{
    lstm_reshape_options *reshape = node->options;
    const lstm__shape in = lstm__input_shape(node, 0);
    const bool flatten = node->class == &lstm__class_flatten;
    if (in.steps < 0)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "reads layer \"%s\", whose number of steps is free: expected a fixed one",
                          node->inputs[0]->node->name);
    size_t total = 0;
    const int64_t sizes[2] = {in.steps > 0 ? in.steps : 1, in.features};
    if (!lstm__product(sizes, 2, &total) || total > INT64_MAX)
        return lstm__fail(LSTM_ERROR_SHAPE, "%lld steps of %lld features are too many",
                          (long long)in.steps, (long long)in.features);
    if (flatten)
        reshape->steps = reshape->features = 0;
    if (reshape->steps < 0 || reshape->features < 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "steps is %lld, features %lld: expected 0 or more",
                          (long long)reshape->steps, (long long)reshape->features);
    const int64_t steps = reshape->steps > 0 ? reshape->steps : 1;
    if (reshape->features == 0 && (int64_t)total % steps == 0)
        reshape->features = (int64_t)total / steps;
    const int64_t target[2] = {steps, reshape->features};
    size_t wanted = 0;
    if (!lstm__product(target, 2, &wanted) || wanted != total)
        return lstm__fail(LSTM_ERROR_SHAPE, "%zu values a sample do not fit (%lld, %lld)", total,
                          (long long)reshape->steps, (long long)reshape->features);
    node->port_count = 1;
    node->shapes[0] = (lstm__shape){reshape->steps, reshape->features};
    return LSTM_OK;
}

/* Move every value of every sample from one shape to another. */
static void move(const lstm_session *session, size_t total, lstm__view from, size_t from_features,
                 lstm__view to, size_t to_features, bool accumulate)
{
    for (size_t k = 0; k < total; k++)
        for (size_t b = 0; b < session->batch; b++) {
            const size_t from_row = k / from_features * session->batch + b;
            const size_t to_row = k / to_features * session->batch + b;
            const real value = from.data[from_row * from.stride + k % from_features];
            real *target = &to.data[to_row * to.stride + k % to_features];
            *target = accumulate ? *target + value : value;
        }
}

static size_t values_of(const lstm__node *node)
{
    return (size_t)(node->shapes[0].steps > 0 ? node->shapes[0].steps : 1) *
           (size_t)node->shapes[0].features;
}

static void forward_reshape(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    move(session, values_of(node), lstm__session_port(session, node->inputs[0])->value,
         (size_t)lstm__input_shape(node, 0).features, lstm__session_own(session, node, 0)->value,
         (size_t)node->shapes[0].features, false);
}

static void backward_reshape(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    lstm__port *input = lstm__session_port(session, node->inputs[0]);
    if (!input->gradient.data)
        return;
    move(session, values_of(node), lstm__session_own(session, node, 0)->gradient,
         (size_t)node->shapes[0].features, input->gradient,
         (size_t)lstm__input_shape(node, 0).features, input->written);
    input->written = true;
}

const lstm__layer_class lstm__class_reshape = {
    .type = "Reshape",
    .name_stem = "reshape",
    .options_size = sizeof(lstm_reshape_options),
    .options = reshape_options,
    .define = define_reshape,
    .plan = lstm__plan_output,
    .forward = forward_reshape,
    .backward = backward_reshape,
};

const lstm__layer_class lstm__class_flatten = {
    .type = "Flatten",
    .name_stem = "flatten",
    .options_size = sizeof(lstm_reshape_options),
    .options = flatten_options,
    .define = define_reshape,
    .plan = lstm__plan_output,
    .forward = forward_reshape,
    .backward = backward_reshape,
};
