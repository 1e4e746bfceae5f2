/* SPDX-License-Identifier: MIT
 * Dense: y = activation(x W + b) on every row. Backward goes through the activation in the layer's
 * own gradient buffer, then dW = x^T dA, db = column sums of dA, dx = dA W^T.
 */
#include "activation.h"
#include "constants.h"
#include "layer_ports.h"
#include "options.h"
#include "product.h"

#include <stddef.h>

#define FIELD(member) offsetof(lstm_dense_options, member)
static const lstm__option options[] = {
    LSTM__OPTION("units", COUNT, FIELD(units)),
    LSTM__ALIAS("out_features", COUNT, FIELD(units)),
    LSTM__OPTION_OF("activation", FIELD(activation), LSTM_NAMES_ACTIVATION),
    LSTM__OPTION("use_bias", FLAG, FIELD(use_bias)),
    LSTM__ALIAS("bias", FLAG, FIELD(use_bias)),
    LSTM__OPTION_OF("kernel_initializer", FIELD(kernel_initializer), LSTM_NAMES_INITIALIZER),
    LSTM__FIXED("bias_initializer", "zeros"),
    LSTM__FIXED("kernel_regularizer", NULL),
    LSTM__FIXED("bias_regularizer", NULL),
    LSTM__FIXED("activity_regularizer", NULL),
    LSTM__FIXED("kernel_constraint", NULL),
    LSTM__FIXED("bias_constraint", NULL),
    LSTM__FIXED("lora_rank", NULL),
    LSTM__FIXED("lora_alpha", NULL),
    LSTM__FIXED("quantization_config", NULL),
    LSTM__OPTIONS_END,
};

static const lstm_dense_options *options_of(const lstm__node *node)
{
    return node->options;
}

static lstm__shape shape_in(const lstm__node *node)
{
    return node->inputs[0]->node->shapes[node->inputs[0]->port];
}

static lstm_status define(lstm__node *node)
{
    lstm_dense_options *dense = node->options;
    const bool torch = node->model->profile == LSTM_PROFILE_TORCH;
    if (dense->units < 1 || dense->units > INT32_MAX / 8)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "units is %lld: expected 1 to %d",
                          (long long)dense->units, INT32_MAX / 8);
    RETURN_IF_ERROR(lstm__read_constant(&dense->activation, LSTM_ACTIVATION_LINEAR,
                                        LSTM_NAMES_ACTIVATION, "activation"));
    RETURN_IF_ERROR(lstm__read_flag(&dense->use_bias, LSTM_YES, "use_bias"));
    const int32_t kernel = torch ? LSTM_INITIALIZER_TORCH_UNIFORM : LSTM_INITIALIZER_GLOROT_UNIFORM;
    RETURN_IF_ERROR(lstm__read_constant(&dense->kernel_initializer, kernel, LSTM_NAMES_INITIALIZER,
                                        "kernel_initializer"));
    node->port_count = 1;
    node->shapes[0] = (lstm__shape){shape_in(node).steps, dense->units};
    return LSTM_OK;
}

static lstm_status declare(lstm__node *node)
{
    const lstm_dense_options *dense = options_of(node);
    const bool torch = node->model->profile == LSTM_PROFILE_TORCH;
    const size_t inputs = (size_t)shape_in(node).features;
    const size_t units = (size_t)dense->units;
    size_t count = 0;
    size_t weights = 0;
    size_t bias = 0;
    if (!lstm__mul(inputs, units, &count))
        count = SIZE_MAX;
    RETURN_IF_ERROR(lstm__graph_reserve(node->model, count, &weights));
    RETURN_IF_ERROR(lstm__graph_add_parameter(
        node, &(lstm__parameter_spec){.keras_name = "kernel",
                                      .torch_name = "weight",
                                      .offset = weights,
                                      .rows = inputs,
                                      .columns = units,
                                      .rank = 2,
                                      .torch_transposed = true,
                                      .initializer = dense->kernel_initializer,
                                      .fan_in = inputs,
                                      .fan_out = units,
                                      .units = inputs}));
    if (dense->use_bias != LSTM_YES)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__graph_reserve(node->model, units, &bias));
    return lstm__graph_add_parameter(
        node, &(lstm__parameter_spec){.keras_name = "bias",
                                      .torch_name = "bias",
                                      .offset = bias,
                                      .rows = 1,
                                      .columns = units,
                                      .rank = 1,
                                      .initializer = torch ? LSTM_INITIALIZER_TORCH_UNIFORM
                                                           : LSTM_INITIALIZER_ZEROS,
                                      .units = inputs});
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    const lstm__kernels *kernels = session->model->kernels;
    const real *values = session->model->values;
    const size_t units = (size_t)options_of(node)->units;
    const size_t inputs = (size_t)shape_in(node).features;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    const lstm__view x = lstm__session_port(session, node->inputs[0])->value;
    const lstm__view y = lstm__session_own(session, node, 0)->value;
    const bool bias = options_of(node)->use_bias == LSTM_YES;
    if (bias)
        kernels->fill_rows(rows, units, values + lstm__parameter_offset(node, 1), y.data, units);
    lstm__gemm(0, 0, rows, units, inputs, x.data, x.stride,
               values + lstm__parameter_offset(node, 0), units, bias, y.data, units);
    lstm__activation_forward(kernels, options_of(node)->activation, rows, units, y, y);
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    const lstm__kernels *kernels = session->model->kernels;
    const size_t units = (size_t)options_of(node)->units;
    const size_t inputs = (size_t)shape_in(node).features;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    lstm__port *own = lstm__session_own(session, node, 0);
    lstm__port *input = lstm__session_port(session, node->inputs[0]);
    const lstm__view x = input->value;
    real *dy = own->gradient.data;
    if (!own->at_logits)
        lstm__activation_backward(kernels, options_of(node)->activation, rows, units, own->value,
                                  own->gradient, own->gradient, false);
    lstm__gemm(1, 0, inputs, units, rows, x.data, x.stride, dy, units, 0,
               session->gradients + lstm__parameter_offset(node, 0), units);
    if (options_of(node)->use_bias == LSTM_YES)
        kernels->column_sum(rows, units, dy, units,
                            session->gradients + lstm__parameter_offset(node, 1), 0);
    if (input->gradient.data) {
        lstm__gemm(0, 1, rows, inputs, units, dy, units,
                   session->model->values + lstm__parameter_offset(node, 0), units, input->written,
                   input->gradient.data, input->gradient.stride);
        input->written = true;
    }
}

static double flops(const lstm__node *node, int64_t steps)
{
    const double rows = node->shapes[0].steps == 0  ? 1
                        : node->shapes[0].steps > 0 ? (double)node->shapes[0].steps
                                                    : (double)steps;
    return 2 * rows * (double)shape_in(node).features * (double)options_of(node)->units;
}

const lstm__layer_class lstm__class_dense = {
    .type = "Dense",
    .name_stem = "dense",
    .options_size = sizeof(lstm_dense_options),
    .options = options,
    .mask = LSTM__MASK_KEEP,
    .stepwise = true,
    .define = define,
    .declare = declare,
    .plan = lstm__plan_output,
    .forward = forward,
    .backward = backward,
    .flops = flops,
};
