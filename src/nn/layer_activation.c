/* SPDX-License-Identifier: MIT
 * Activation as a layer, and the functions on tensors that Dense shares with it.
 */
#include "activation.h"
#include "constants.h"
#include "layer_ports.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

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

/* ---- Numbers */

typedef struct shape {
    int32_t kind;
    float usual[2];
    /* what alpha and beta must be: 'x' not 0, '+' above 0, '0' not negative, '=' 0, '.' any */
    char rules[3];
} shape;

static const shape shapes[] = {
    {LSTM_ACTIVATION_LINEAR, {1, 0}, "x."},
    {LSTM_ACTIVATION_TANH, {1, 1}, "xx"},
    {LSTM_ACTIVATION_RELU, {0, 0}, "00"},
    {LSTM_ACTIVATION_ELU, {1, 0}, "+="},
    {LSTM_ACTIVATION_HARD_SIGMOID, {1 / 6.0f, 0.5f}, "x."},
};

static const char *broken(char rule, float number)
{
    if (rule == 'x' && number == 0)
        return "a number that is not 0";
    if (rule == '+' && !(number > 0))
        return "a number above 0";
    if (rule == '0' && !(number >= 0))
        return "no negative number";
    return rule == '=' && number != 0 ? "0" : NULL;
}

lstm_status lstm__read_numbers(int32_t kind, float *alpha, float *beta, const char *what)
{
    const float numbers[2] = {*alpha, *beta};
    const char *const name = lstm__constant_name(LSTM_NAMES_ACTIVATION, kind);
    size_t at = 0;
    if (*alpha == 0 && *beta == 0)
        return LSTM_OK;
    while (at < sizeof shapes / sizeof *shapes && shapes[at].kind != kind)
        at++;
    if (at == sizeof shapes / sizeof *shapes)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "%s_alpha is %g and %s_beta %g: expected 0, as %s has no numbers", what,
                          (double)*alpha, what, (double)*beta, name);
    for (int k = 0; k < 2; k++) {
        const char *expected = !isfinite(numbers[k]) ? "a finite number"
                                                     : broken(shapes[at].rules[k], numbers[k]);
        if (expected)
            return lstm__fail(LSTM_ERROR_ARGUMENT, "%s_%s of %s is %g: expected %s", what,
                              k ? "beta" : "alpha", name, (double)numbers[k], expected);
    }
    if (numbers[0] == shapes[at].usual[0] && numbers[1] == shapes[at].usual[1])
        *alpha = *beta = 0;
    return LSTM_OK;
}

bool lstm__is_shaped(const lstm__node *node)
{
    static const char *const words[] = {"activation_alpha", "activation_beta", "output_activation"};
    for (const lstm__option *option = node->class->options; option && option->key; option++)
        for (size_t k = 0; option->rare && k < sizeof words / sizeof *words; k++)
            if (strstr(option->key, words[k]) && lstm__option_is_on(option, node->options))
                return true;
    return false;
}

/* ---- The layer */

static const lstm__option options[] = {
    LSTM__OPTION_OF("activation", offsetof(lstm_activation_options, activation),
                    LSTM_NAMES_ACTIVATION),
    LSTM__RARE("activation_alpha", RATE, offsetof(lstm_activation_options, alpha), 0),
    LSTM__RARE("activation_beta", RATE, offsetof(lstm_activation_options, beta), 0),
    LSTM__OPTIONS_END,
};

static lstm_status define(lstm__node *node)
{
    lstm_activation_options *own = node->options;
    RETURN_IF_ERROR(lstm__read_constant(&own->activation, LSTM_ACTIVATION_LINEAR,
                                        LSTM_NAMES_ACTIVATION, "activation"));
    RETURN_IF_ERROR(lstm__read_numbers(own->activation, &own->alpha, &own->beta, "activation"));
    node->port_count = 1;
    node->shapes[0] = node->inputs[0]->node->shapes[node->inputs[0]->port];
    return LSTM_OK;
}

static bool is_shaped(const lstm_activation_options *own)
{
    return own->alpha != 0 || own->beta != 0;
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    const lstm_activation_options *own = node->options;
    const lstm__kernels *kernels = session->model->kernels;
    if (is_shaped(own)) {
        const lstm__activation f = lstm__activation_of(own->activation, own->alpha, own->beta);
        const lstm__view x = lstm__session_port(session, node->inputs[0])->value;
        const lstm__view y = lstm__session_own(session, node, 0)->value;
        for (size_t row = 0; row < lstm__session_rows(session, node->shapes[0]); row++)
            kernels->shaped_forward(f, (size_t)node->shapes[0].features, x.data + row * x.stride,
                                    y.data + row * y.stride);
        return;
    }
    lstm__activation_forward(kernels, own->activation, lstm__session_rows(session, node->shapes[0]),
                             (size_t)node->shapes[0].features,
                             lstm__session_port(session, node->inputs[0])->value,
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
    const bool accumulate = input->written;
    input->written = true;
    if (is_shaped(own)) {
        const lstm__activation f = lstm__activation_of(own->activation, own->alpha, own->beta);
        for (size_t row = 0; row < lstm__session_rows(session, node->shapes[0]); row++)
            session->model->kernels->shaped_backward(
                f, (size_t)node->shapes[0].features, port->value.data + row * port->value.stride,
                port->gradient.data + row * port->gradient.stride,
                input->gradient.data + row * input->gradient.stride, accumulate);
        return;
    }
    lstm__activation_backward(
        session->model->kernels, port->at_logits ? LSTM_ACTIVATION_LINEAR : own->activation,
        lstm__session_rows(session, node->shapes[0]), (size_t)node->shapes[0].features, port->value,
        port->gradient, input->gradient, accumulate);
}

const lstm__layer_class lstm__class_activation = {
    .type = "Activation",
    .name_stem = "activation",
    .options_size = sizeof(lstm_activation_options),
    .options = options,
    .mask = LSTM__MASK_KEEP,
    .stepwise = true,
    .define = define,
    .plan = lstm__plan_output,
    .forward = forward,
    .backward = backward,
};
