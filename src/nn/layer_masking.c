/* SPDX-License-Identifier: MIT
 * Masking: a step all of whose features equal mask_value is masked, and its values become zeros
 * (Keras' Masking). Steps that were masked before stay so. Where all masked steps are zeros as they
 * come, which is the rule (padding of zeros), the output is a view of the input.
 */
#include "layer_ports.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

typedef struct buffers {
    unsigned char *mask; /* [steps][batch] */
    lstm__view values;   /* the output where it is not that of the layer before */
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
    if (arena->base)
        own->values = lstm__session_own(session, node, 0)->value;
}

/* Whether a row that begins with `value` has it everywhere. Numbers of the same bits are told by one
 * comparison of memory; zeros may have either sign. */
static bool goes_on(const real *x, size_t features, real value)
{
    if (features == 1 || memcmp(x, x + 1, (features - 1) * sizeof *x) == 0)
        return true;
    for (size_t f = 1; f < features; f++)
        if (x[f] != value)
            return false;
    return true;
}

static inline bool all_equal(const real *x, size_t features, real value)
{
    return x[0] == value && goes_on(x, features, value);
}

/* Sets the mask. *whole: no step is masked; returns whether the masked ones are zeros already. */
static bool find_masked(const lstm__port *input, size_t rows, size_t features, real value,
                        unsigned char *mask, bool *whole)
{
    bool zeros = true;
    *whole = true;
    for (size_t row = 0; row < rows; row++) {
        const real *x = input->value.data + row * input->value.stride;
        const bool there = !input->mask || input->mask[row];
        mask[row] = there && !all_equal(x, features, value);
        if (mask[row])
            continue;
        *whole = false;
        zeros = zeros && (there ? value == 0 : all_equal(x, features, 0));
    }
    return zeros;
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *own = memory;
    const lstm_masking_options *masking = node->options;
    const lstm__port *input = lstm__session_port(session, node->inputs[0]);
    lstm__port *port = lstm__session_own(session, node, 0);
    const size_t features = own->values.stride;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    bool whole = true;
    const bool as_it_is = find_masked(input, rows, features, (real)masking->mask_value, own->mask,
                                      &whole);
    port->mask = whole ? NULL : own->mask;
    port->value = as_it_is ? input->value : own->values;
    for (size_t row = 0; row < rows && !as_it_is; row++) {
        real *y = own->values.data + row * features;
        if (own->mask[row])
            memcpy(y, input->value.data + row * input->value.stride, features * sizeof *y);
        else
            memset(y, 0, features * sizeof *y);
    }
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *own = memory;
    const lstm__kernels *kernels = session->model->kernels;
    const lstm__port *port = lstm__session_own(session, node, 0);
    lstm__port *input = lstm__session_port(session, node->inputs[0]);
    const size_t features = own->values.stride;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    if (!input->gradient.data)
        return;
    for (size_t row = 0, end = 0; row < rows; row = end) { /* runs of steps of one kind */
        const bool valid = !port->mask || port->mask[row];
        for (end = row + 1; end < rows && (!port->mask || port->mask[end] == valid);)
            end++;
        real *dx = input->gradient.data + row * features;
        if (valid)
            kernels->copy_rows(1, (end - row) * features, port->gradient.data + row * features, 0,
                               dx, 0, input->written);
        else if (!input->written)
            memset(dx, 0, (end - row) * features * sizeof *dx);
    }
    input->written = true;
}

static bool padding(const lstm__node *node, const float *step)
{
    const lstm_masking_options *masking = node->options;
    const size_t features = (size_t)node->shapes[0].features;
    if (step[0] != masking->mask_value)
        return false;
    if (features == 1 || memcmp(step, step + 1, (features - 1) * sizeof *step) == 0)
        return true;
    for (size_t f = 1; f < features; f++)
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
