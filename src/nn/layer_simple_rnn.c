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
    LSTM__OPTION("return_sequences", FLAG, FIELD(return_sequences)),
    LSTM__OPTION("return_state", FLAG, FIELD(return_state)),
    LSTM__OPTION("go_backwards", FLAG, FIELD(go_backwards)),
    LSTM__OPTION("use_bias", FLAG, FIELD(use_bias)),
    LSTM__ALIAS("bias", FLAG, FIELD(use_bias)),
    LSTM__OPTION_OF("kernel_initializer", FIELD(kernel_initializer), LSTM_NAMES_INITIALIZER),
    LSTM__OPTION_OF("recurrent_initializer", FIELD(recurrent_initializer), LSTM_NAMES_INITIALIZER),
    LSTM__FIXED("bias_initializer", "zeros"),
    LSTM__FIXED("kernel_regularizer", NULL),
    LSTM__FIXED("recurrent_regularizer", NULL),
    LSTM__FIXED("bias_regularizer", NULL),
    LSTM__FIXED("activity_regularizer", NULL),
    LSTM__FIXED("kernel_constraint", NULL),
    LSTM__FIXED("recurrent_constraint", NULL),
    LSTM__FIXED("bias_constraint", NULL),
    LSTM__RARE("dropout", RATE, FIELD(dropout), 0),
    LSTM__RARE("recurrent_dropout", RATE, FIELD(recurrent_dropout), 0),
    LSTM__RARE("seed", SEED, FIELD(seed), 0),
    LSTM__NUMBERS("activation", lstm_simple_rnn_options, activation),
    LSTM__OPTION("stateful", FLAG, FIELD(stateful)),
    LSTM__OPTION("zero_output_for_mask", FLAG, FIELD(zero_output_for_mask)),
    LSTM__IGNORED("unroll"),
    LSTM__IGNORED("implementation"),
    LSTM__FIXED("time_major", NULL),
    LSTM__FIXED("num_layers", "1"),
    LSTM__FIXED("bidirectional", NULL),
    LSTM__IGNORED("batch_first"),
    LSTM__OPTIONS_END,
};

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
    const bool torch = node->model->profile == LSTM_PROFILE_TORCH;
    RETURN_IF_ERROR(lstm__read_constant(&own->activation, LSTM_ACTIVATION_TANH,
                                        LSTM_NAMES_ACTIVATION, "activation"));
    if (own->activation == LSTM_ACTIVATION_SOFTMAX)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "activation is softmax: expected one that acts on single values");
    RETURN_IF_ERROR(lstm__read_numbers(own->activation, &own->activation_alpha,
                                       &own->activation_beta, "activation"));
    RETURN_IF_ERROR(lstm__read_flag(&own->return_sequences, LSTM_NO, "return_sequences"));
    RETURN_IF_ERROR(lstm__read_flag(&own->return_state, LSTM_NO, "return_state"));
    RETURN_IF_ERROR(lstm__read_flag(&own->go_backwards, LSTM_NO, "go_backwards"));
    RETURN_IF_ERROR(lstm__read_flag(&own->zero_output_for_mask, LSTM_NO, "zero_output_for_mask"));
    RETURN_IF_ERROR(lstm__read_flag(&own->use_bias, LSTM_YES, "use_bias"));
    RETURN_IF_ERROR(lstm__read_constant(&own->kernel_initializer,
                                        torch ? LSTM_INITIALIZER_TORCH_UNIFORM
                                              : LSTM_INITIALIZER_GLOROT_UNIFORM,
                                        LSTM_NAMES_INITIALIZER, "kernel_initializer"));
    RETURN_IF_ERROR(
        lstm__read_constant(&own->recurrent_initializer,
                            torch ? LSTM_INITIALIZER_TORCH_UNIFORM : LSTM_INITIALIZER_ORTHOGONAL,
                            LSTM_NAMES_INITIALIZER, "recurrent_initializer"));
    RETURN_IF_ERROR(lstm__read_flag(&own->stateful, LSTM_NO, "stateful"));
    RETURN_IF_ERROR(lstm__cell_check_rates(own->dropout, own->recurrent_dropout));
    return lstm__cell_define(node, own->units, own->return_sequences, own->stateful);
}

static lstm_status declare(lstm__node *node)
{
    const lstm_simple_rnn_options *own = options_of(node);
    const size_t units = (size_t)own->units;
    RETURN_IF_ERROR(lstm__cell_declare(node, units, units, own->kernel_initializer,
                                       own->recurrent_initializer));
    if (own->use_bias != LSTM_YES)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__cell_declare_bias(node, "bias_ih_l0", units, units));
    return node->model->profile == LSTM_PROFILE_TORCH
               ? lstm__cell_declare_bias(node, "bias_hh_l0", units, units)
               : LSTM_OK;
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    lstm__cell_tape *cell = memory;
    const lstm_simple_rnn_options *own = options_of(node);
    const size_t units = (size_t)own->units;
    *cell = (lstm__cell_tape){.units = units,
                              .columns = units,
                              .sequences = own->return_sequences == LSTM_YES,
                              .reverse = own->go_backwards == LSTM_YES,
                              .zeros = own->zero_output_for_mask == LSTM_YES,
                              .rates = {own->dropout, own->recurrent_dropout},
                              .seed = own->seed,
                              .stateful = own->stateful == LSTM_YES};
    lstm__cell_plan(node, session, cell, arena);
}

static void run_step(const lstm__node *node, lstm_session *session, const lstm__cell_tape *cell,
                     size_t step, real *sums)
{
    const lstm__kernels *kernels = session->model->kernels;
    const size_t units = cell->units;
    if (node->parameter_count == 4)
        for (size_t b = 0; b < cell->batch; b++)
            kernels->copy_rows(1, units, lstm__values_of(node, 3), 0, sums + b * units, 0, 1);
    lstm__cell_recurrent(node, cell, step, 1, true, sums);
    kernels->shaped_forward(activation_of(node), cell->batch * units, sums,
                            lstm__cell_h(cell, step + 1));
    lstm__cell_hold(cell, step);
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    lstm__cell_tape *cell = memory;
    const real *bias = node->parameter_count > 2 ? lstm__values_of(node, 2) : NULL;
    lstm__cell_start(node, session, cell);
    for (size_t done = 0; done < cell->steps; done += cell->segment) {
        const size_t count = cell->steps - done < cell->segment ? cell->steps - done
                                                                : cell->segment;
        const size_t first = lstm__cell_inputs(node, session, cell, done, count, bias);
        for (size_t step = done; step < done + count; step++)
            run_step(node, session, cell, step, lstm__cell_gates(cell, first, step));
    }
    lstm__cell_finish(node, session, cell);
    lstm__cell_trace(cell, 0, 0);
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

static size_t carries(const lstm__node *node, bool pieces)
{
    const lstm_simple_rnn_options *own = options_of(node);
    return pieces || own->stateful == LSTM_YES ? (size_t)own->units : 0;
}

static lstm__carried *carried(const lstm__node *node, void *memory)
{
    (void)node;
    return &((lstm__cell_tape *)memory)->carried;
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

static bool piecewise(const lstm__node *node)
{
    const lstm_simple_rnn_options *own = options_of(node);
    return lstm__cell_piecewise(node, own->return_sequences, own->go_backwards);
}

static double flops(const lstm__node *node, int64_t steps)
{
    const double units = (double)options_of(node)->units;
    const int64_t own = lstm__input_shape(node, 0).steps;
    return 2 * units * (units + (double)lstm__input_shape(node, 0).features) *
           (double)(own > 0 ? own : steps);
}

static bool returns_ports(const lstm__node *node)
{
    return options_of(node)->return_state == LSTM_YES;
}

const lstm__layer_class lstm__class_simple_rnn = {
    .type = "SimpleRNN",
    .name_stem = "simple_rnn",
    .in_keras = true,
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
    .carries = carries,
    .carried = carried,
    .piecewise = piecewise,
    .trace = trace,
    .flops = flops,
    .returns_ports = returns_ports,
};
