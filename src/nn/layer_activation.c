/* SPDX-License-Identifier: MIT
 * Activation as a layer, and the functions on tensors that Dense shares with it.
 */
#include "activation.h"
#include "constants.h"
#include "session.h"

#include <stddef.h>

void lstm__activation_forward(const lstm__kernels *kernels, int32_t activation, size_t rows,
                              size_t columns, lstm__view x, lstm__view y)
{
    if (activation == LSTM_ACTIVATION_SOFTMAX) {
        kernels->softmax_forward(rows, columns, x.data, x.stride, y.data, y.stride);
        return;
    }
    if (activation == LSTM_ACTIVATION_LINEAR) {
        if (x.data != y.data)
            kernels->copy_rows(rows, columns, x.data, x.stride, y.data, y.stride, 0);
        return;
    }
    if (x.stride == columns && y.stride == columns) {
        kernels->activation_forward(activation, rows * columns, x.data, y.data);
        return;
    }
    for (size_t r = 0; r < rows; r++)
        kernels->activation_forward(activation, columns, x.data + r * x.stride,
                                    y.data + r * y.stride);
}

void lstm__activation_backward(const lstm__kernels *kernels, int32_t activation, size_t rows,
                               size_t columns, lstm__view y, lstm__view dy, lstm__view dx,
                               bool accumulate)
{
    if (activation == LSTM_ACTIVATION_SOFTMAX) {
        kernels->softmax_backward(rows, columns, y.data, y.stride, dy.data, dy.stride, dx.data,
                                  dx.stride, accumulate);
        return;
    }
    if (activation == LSTM_ACTIVATION_LINEAR) {
        if (dx.data != dy.data)
            kernels->copy_rows(rows, columns, dy.data, dy.stride, dx.data, dx.stride, accumulate);
        return;
    }
    for (size_t r = 0; r < rows; r++)
        kernels->activation_backward(activation, columns, y.data + r * y.stride,
                                     dy.data + r * dy.stride, dx.data + r * dx.stride, accumulate);
}

static const lstm__option options[] = {
    LSTM__OPTION_OF("activation", offsetof(lstm_activation_options, activation),
                    LSTM_NAMES_ACTIVATION),
    LSTM__OPTIONS_END,
};

static lstm_status define(lstm__node *node)
{
    lstm_activation_options *own = node->options;
    RETURN_IF_ERROR(lstm__read_constant(&own->activation, LSTM_ACTIVATION_LINEAR,
                                        LSTM_NAMES_ACTIVATION, "activation"));
    node->port_count = 1;
    node->shapes[0] = node->inputs[0]->node->shapes[node->inputs[0]->port];
    return LSTM_OK;
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    (void)memory;
    const size_t features = (size_t)node->shapes[0].features;
    const lstm__view value = {lstm__carve(arena, lstm__session_max_rows(session, node->shapes[0]),
                                          features * sizeof(real)),
                              features};
    if (arena->base)
        lstm__session_own(session, node, 0)->value = value;
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    const lstm_activation_options *own = node->options;
    lstm__activation_forward(
        session->model->kernels, own->activation, lstm__session_rows(session, node->shapes[0]),
        (size_t)node->shapes[0].features, lstm__session_port(session, node->inputs[0])->value,
        lstm__session_own(session, node, 0)->value);
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    const lstm_activation_options *own = node->options;
    const lstm__port *port = lstm__session_own(session, node, 0);
    lstm__port *input = lstm__session_port(session, node->inputs[0]);
    if (!input->gradient.data)
        return;
    lstm__activation_backward(
        session->model->kernels, port->at_logits ? LSTM_ACTIVATION_LINEAR : own->activation,
        lstm__session_rows(session, node->shapes[0]), (size_t)node->shapes[0].features, port->value,
        port->gradient, input->gradient, input->written);
    input->written = true;
}

const lstm__layer_class lstm__class_activation = {
    .type = "Activation",
    .name_stem = "activation",
    .in_keras = true,
    .options_size = sizeof(lstm_activation_options),
    .options = options,
    .mask = LSTM__MASK_KEEP,
    .stepwise = true,
    .define = define,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
