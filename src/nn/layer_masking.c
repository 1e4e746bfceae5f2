/* SPDX-License-Identifier: MIT
 * Masking: a step all of whose features equal mask_value is masked, and its values become zeros
 * (Keras' Masking). Steps that were masked before stay so.
 */
#include "layer_ports.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

typedef struct buffers {
    unsigned char *mask; /* [steps][batch] */
} buffers;

static const lstm__option options[] = {
    LSTM__OPTION("mask_value", RATE, offsetof(lstm_masking_options, mask_value)),
    LSTM__OPTIONS_END,
};

static lstm_status define(lstm__node *node)
{
    const lstm_masking_options *own = node->options;
    const lstm__shape shape = node->inputs[0]->node->shapes[node->inputs[0]->port];
    if (!isfinite(own->mask_value))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "mask_value is %g: expected a finite number",
                          (double)own->mask_value);
    if (shape.steps == 0)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "reads layer \"%s\", a vector of %lld features: expected a sequence",
                          node->inputs[0]->node->name, (long long)shape.features);
    node->port_count = 1;
    node->shapes[0] = shape;
    return LSTM_OK;
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *own = memory;
    own->mask = lstm__carve(arena, lstm__session_max_rows(session, node->shapes[0]), 1);
    lstm__plan_port(node, session, 0, arena);
}

static bool is_masked(const real *x, size_t features, real value)
{
    for (size_t f = 0; f < features; f++)
        if (x[f] != value)
            return false;
    return true;
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *own = memory;
    const lstm_masking_options *masking = node->options;
    const lstm__port *input = lstm__session_port(session, node->inputs[0]);
    lstm__port *port = lstm__session_own(session, node, 0);
    const size_t features = port->value.stride;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    bool whole = true;
    for (size_t row = 0; row < rows; row++) {
        const real *x = input->value.data + row * input->value.stride;
        const bool valid = (!input->mask || input->mask[row]) &&
                           !is_masked(x, features, (real)masking->mask_value);
        real *y = port->value.data + row * features;
        own->mask[row] = valid;
        whole = whole && valid;
        if (valid)
            memcpy(y, x, features * sizeof *y);
        else
            memset(y, 0, features * sizeof *y);
    }
    port->mask = whole ? NULL : own->mask;
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    const lstm__port *port = lstm__session_own(session, node, 0);
    lstm__port *input = lstm__session_port(session, node->inputs[0]);
    const size_t features = port->value.stride;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    if (!input->gradient.data)
        return;
    for (size_t row = 0; row < rows; row++) {
        real *dx = input->gradient.data + row * input->gradient.stride;
        const real *dy = port->gradient.data + row * port->gradient.stride;
        const bool valid = !port->mask || port->mask[row];
        for (size_t f = 0; f < features; f++)
            dx[f] = (input->written ? dx[f] : 0) + (valid ? dy[f] : 0);
    }
    input->written = true;
}

static bool padding(const lstm__node *node, const float *step)
{
    const lstm_masking_options *masking = node->options;
    const size_t features = (size_t)node->shapes[0].features;
    for (size_t f = 0; f < features; f++)
        if (step[f] != masking->mask_value)
            return false;
    return true;
}

const lstm__layer_class lstm__class_masking = {
    .type = "Masking",
    .name_stem = "masking",
    .options_size = sizeof(lstm_masking_options),
    .options = options,
    .mask = LSTM__MASK_OWN,
    .plan_size = sizeof(buffers),
    .define = define,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .padding = padding,
    .piecewise = lstm__always_piecewise,
};
