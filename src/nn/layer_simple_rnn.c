/* SPDX-License-Identifier: MIT
 * SimpleRNN (Elman 1990): h' = activation(x W + h U + b). x W of all steps at once, then one
 * product a step added to it; the gradient of the activation comes from h itself, and stands where
 * x W was. Ports: 0 = the layer's output, 1 = last h. Inputs: 0 = sequence, 1 = initial h where
 * given.
 */
#include "activation.h"
#include "cell_steps.h"
#include "constants.h"
#include "options.h"

#include <stddef.h>

#define FIELD(member) offsetof(lstm_simple_rnn_options, member)
static const lstm__option options[] = {
    LSTM__OPTION("units", COUNT, FIELD(units)),
    LSTM__ALIAS("hidden_size", COUNT, FIELD(units)),
    LSTM__OPTION_OF("activation", FIELD(activation), LSTM_NAMES_ACTIVATION),
    {"nonlinearity", LSTM__OPTION_NAMED, FIELD(activation), LSTM_NAMES_ACTIVATION, true, NULL,
     false},
    LSTM__NUMBERS("activation", lstm_simple_rnn_options, activation),
    LSTM__CELL_OPTIONS(lstm_simple_rnn_options),
    LSTM__OPTIONS_END,
};

static const lstm__cell_fields fields = LSTM__CELL_FIELDS(lstm_simple_rnn_options, 1);

static const lstm_simple_rnn_options *options_of(const lstm__node *node)
{
    return node->options;
}

static lstm__activation activation_of(const lstm__node *node)
{
    const lstm_simple_rnn_options *own = options_of(node);
    return lstm__activation_of(own->activation, own->activation_alpha, own->activation_beta);
}

static lstm_status define(lstm__node *node)
{
    lstm_simple_rnn_options *own = node->options;
    RETURN_IF_ERROR(lstm__read_constant(&own->activation, LSTM_ACTIVATION_TANH,
                                        LSTM_NAMES_ACTIVATION, "activation"));
    if (own->activation == LSTM_ACTIVATION_SOFTMAX)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "activation is softmax: expected one that acts on single values");
    RETURN_IF_ERROR(lstm__read_numbers(own->activation, &own->activation_alpha,
                                       &own->activation_beta, "activation"));
    return lstm__cell_define(node);
}

static lstm_status declare(lstm__node *node)
{
    const lstm_simple_rnn_options *own = options_of(node);
    RETURN_IF_ERROR(lstm__cell_declare(node));
    if (own->use_bias != LSTM_YES)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__cell_declare_bias(node, "bias_ih_l0"));
    return node->model->profile == LSTM_PROFILE_TORCH ? lstm__cell_declare_bias(node, "bias_hh_l0")
                                                      : LSTM_OK;
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    lstm__cell_plan(node, session, memory, arena);
}

static void run_step(const lstm__node *node, lstm_session *session, void *memory, size_t step,
                     real *sums)
{
    const lstm__cell_tape *cell = memory;
    const lstm__kernels *kernels = session->model->kernels;
    const size_t units = cell->units;
    if (node->parameter_count == 4)
        for (size_t b = 0; b < cell->batch; b++)
            kernels->copy_rows(1, units, lstm__values_of(node, 3), 0, sums + b * units, 0, 1);
    lstm__cell_recurrent(node, cell, step, 1, true, sums);
    kernels->shaped_forward(activation_of(node), cell->batch * units, sums,
                            lstm__cell_h(cell, step + 1));
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    lstm__cell_forward(node, session, memory,
                       node->parameter_count > 2 ? lstm__values_of(node, 2) : NULL, run_step);
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    const lstm__cell_tape *cell = memory;
    const lstm__kernels *kernels = session->model->kernels;
    const size_t units = cell->units;
    real *bias = node->parameter_count > 2 ? lstm__gradients_of(node, session, 2) : NULL;
    lstm__cell_back_start(node, session, cell);
    for (size_t step = cell->steps; step-- > 0;) {
        real *sums = lstm__cell_gates(cell, 0, step);
        lstm__cell_back_output(node, session, cell, step);
        kernels->shaped_backward(activation_of(node), cell->batch * units,
                                 lstm__cell_h(cell, step + 1), cell->carry, sums, 0);
        kernels->fill_rows(cell->batch, units, NULL, cell->carry, units);
        lstm__cell_back_hold(cell, step, sums, units);
        lstm__cell_back_product(node, cell, 0, 1, sums, units);
    }
    lstm__cell_back_recurrent(cell, 0, 1, cell->gates, units, lstm__gradients_of(node, session, 1));
    lstm__cell_back_inputs(node, session, cell, bias);
    if (node->parameter_count == 4)
        kernels->copy_rows(1, units, bias, 0, lstm__gradients_of(node, session, 3), 0, 0);
}

static bool trace(const lstm__node *node, const lstm_session *session, const void *memory,
                  int32_t which, lstm__trace *found)
{
    const lstm__cell_tape *cell = memory;
    (void)node;
    if (!session->traces || which != LSTM_TRACE_OUTPUT)
        return false;
    *found = (lstm__trace){.values = cell->traces[0], .features = cell->units};
    return true;
}

const lstm__layer_class lstm__class_simple_rnn = {
    .type = "SimpleRNN",
    .name_stem = "simple_rnn",
    .options_size = sizeof(lstm_simple_rnn_options),
    .options = options,
    .mask = LSTM__MASK_OWN,
    .most_inputs = 2,
    .plan_size = sizeof(lstm__cell_tape),
    .define = define,
    .declare = declare,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .carries = lstm__cell_carries,
    .carried = lstm__cell_carried,
    .piecewise = lstm__cell_piecewise,
    .trace = trace,
    .flops = lstm__cell_flops,
    .returns_ports = lstm__cell_returns_ports,
    .cell = &fields,
};
