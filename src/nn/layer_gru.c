/* SPDX-License-Identifier: MIT
 * GRU (Cho et al. 2014), with the reset gate before or after the product with h; equations in
 * kernels/gru_tpl.h.
 *
 * Columns of the kernels: z, r, g under Keras' profile, r, z, g under PyTorch's, so that parameters
 * are copied as they are. One product with h a step (two with the reset before it); x W of all
 * steps at once. `second` holds for each step, by time, what the candidate's part of the recurrent
 * kernel sees: h U + c, or r h; backward turns the former into its gradient. Ports: 0 = the layer's
 * output, 1 = last h. Inputs: 0 = sequence, 1 = initial h where given.
 */
#include "activation.h"
#include "cell_steps.h"
#include "constants.h"
#include "options.h"

#include <stddef.h>

typedef struct buffers {
    lstm__cell_tape cell;
    real *second;    /* training [T][B][H], else [B][H] */
    real *recurrent; /* [B][3H]: what comes from h in one step */
} buffers;

#define FIELD(member) offsetof(lstm_gru_options, member)
static const lstm__option options[] = {
    LSTM__OPTION("units", COUNT, FIELD(units)),
    LSTM__ALIAS("hidden_size", COUNT, FIELD(units)),
    LSTM__OPTION("reset_after", FLAG, FIELD(reset_after)),
    LSTM__OPTION_OF("activation", FIELD(activation), LSTM_NAMES_ACTIVATION),
    LSTM__OPTION_OF("recurrent_activation", FIELD(recurrent_activation), LSTM_NAMES_ACTIVATION),
    LSTM__NUMBERS("activation", lstm_gru_options, activation),
    LSTM__NUMBERS("recurrent_activation", lstm_gru_options, recurrent_activation),
    LSTM__IGNORED("use_cudnn"),
    LSTM__CELL_OPTIONS(lstm_gru_options),
    LSTM__OPTIONS_END,
};

static const lstm__cell_fields fields = LSTM__CELL_FIELDS(lstm_gru_options, 3);

static const lstm_gru_options *options_of(const lstm__node *node)
{
    return node->options;
}

static bool is_torch(const lstm__node *node)
{
    return node->model->profile == LSTM_PROFILE_TORCH;
}

static lstm_status define(lstm__node *node)
{
    lstm_gru_options *own = node->options;
    RETURN_IF_ERROR(lstm__read_flag(&own->reset_after, LSTM_YES, "reset_after"));
    RETURN_IF_ERROR(lstm__read_constant(&own->activation, LSTM_ACTIVATION_TANH,
                                        LSTM_NAMES_ACTIVATION, "activation"));
    RETURN_IF_ERROR(lstm__read_constant(&own->recurrent_activation, LSTM_ACTIVATION_SIGMOID,
                                        LSTM_NAMES_ACTIVATION, "recurrent_activation"));
    if (own->activation == LSTM_ACTIVATION_SOFTMAX ||
        own->recurrent_activation == LSTM_ACTIVATION_SOFTMAX)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "softmax inside a GRU: expected an activation of single values");
    RETURN_IF_ERROR(lstm__read_numbers(own->activation, &own->activation_alpha,
                                       &own->activation_beta, "activation"));
    RETURN_IF_ERROR(lstm__read_numbers(own->recurrent_activation, &own->recurrent_activation_alpha,
                                       &own->recurrent_activation_beta, "recurrent_activation"));
    if (is_torch(node) && own->reset_after == LSTM_NO)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "reset_after is off: PyTorch's GRU has the reset gate after the product");
    return lstm__cell_define(node);
}

static lstm_status declare(lstm__node *node)
{
    const lstm_gru_options *own = options_of(node);
    const size_t units = (size_t)own->units;
    RETURN_IF_ERROR(lstm__cell_declare(node));
    if (own->use_bias != LSTM_YES)
        return LSTM_OK;
    if (is_torch(node)) {
        RETURN_IF_ERROR(lstm__cell_declare_bias(node, "bias_ih_l0"));
        return lstm__cell_declare_bias(node, "bias_hh_l0");
    }
    if (own->reset_after == LSTM_NO)
        return lstm__cell_declare_bias(node, NULL);
    size_t offset = 0;
    RETURN_IF_ERROR(lstm__graph_reserve(node->model, 6 * units, &offset));
    return lstm__graph_add_parameter(
        node, &(lstm__parameter_spec){.keras_name = "bias",
                                      .offset = offset,
                                      .rows = 2,
                                      .columns = 3 * units,
                                      .rank = 2,
                                      .initializer = LSTM_INITIALIZER_ZEROS});
}

/* The bias of x (0) or of h (1) in a block laid out like the model's values; NULL = none. */
static size_t bias_place(const lstm__node *node, int number)
{
    const lstm_gru_options *own = options_of(node);
    if (own->use_bias != LSTM_YES || (number == 1 && own->reset_after != LSTM_YES))
        return SIZE_MAX;
    if (is_torch(node))
        return lstm__parameter_offset(node, 2 + (size_t)number);
    return lstm__parameter_offset(node, 2) + (size_t)number * 3 * (size_t)own->units;
}
static const real *bias_of(const lstm__node *node, int number)
{
    const size_t place = bias_place(node, number);
    return place == SIZE_MAX ? NULL : node->model->values + place;
}
static real *bias_gradient(const lstm__node *node, const lstm_session *session, int number)
{
    const size_t place = bias_place(node, number);
    return place == SIZE_MAX ? NULL : session->gradients + place;
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *b = memory;
    const size_t units = (size_t)options_of(node)->units;
    const size_t rows = session->training || session->traces
                            ? lstm__session_max_rows(session, lstm__input_shape(node, 0))
                            : session->max_batch;
    lstm__cell_plan(node, session, &b->cell, arena);
    b->second = lstm__carve_matrix(arena, rows, units);
    b->recurrent = lstm__carve_matrix(arena, session->max_batch, 3 * units);
}

static real *second_at(const buffers *b, size_t step)
{
    const lstm__cell_tape *cell = &b->cell;
    return b->second +
           (cell->training ? lstm__cell_time(cell, step) * cell->batch * cell->units : 0);
}

static lstm__gru_step step_of(const lstm__node *node, const buffers *b, size_t step, real *gates)
{
    const lstm__cell_tape *cell = &b->cell;
    const lstm_gru_options *own = options_of(node);
    const size_t units = cell->units;
    return (lstm__gru_step){.rows = cell->batch,
                            .units = units,
                            .z = is_torch(node) ? units : 0,
                            .r = is_torch(node) ? 0 : units,
                            .after = own->reset_after == LSTM_YES,
                            .activation = lstm__activation_of(
                                own->activation, own->activation_alpha, own->activation_beta),
                            .recurrent_activation = lstm__activation_of(
                                own->recurrent_activation, own->recurrent_activation_alpha,
                                own->recurrent_activation_beta),
                            .gates = gates,
                            .recurrent = b->recurrent,
                            .h_previous = lstm__cell_h(cell, step),
                            .ld_previous = units,
                            .h = lstm__cell_h(cell, step + 1),
                            .second = second_at(b, step)};
}

static void run_step(const lstm__node *node, lstm_session *session, void *memory, size_t step,
                     real *gates)
{
    const buffers *b = memory;
    const lstm__kernels *kernels = session->model->kernels;
    const size_t units = b->cell.units;
    const size_t batch = b->cell.batch;
    const real *u = lstm__values_of(node, 1);
    const real *bias = bias_of(node, 1);
    lstm__gru_step s = step_of(node, b, step, gates);
    if (bias)
        kernels->fill_rows(batch, 3 * units, bias, b->recurrent, 3 * units);
    lstm__cell_recurrent(node, &b->cell, step, s.after ? 3 : 2, bias != NULL, b->recurrent);
    if (s.after) {
        kernels->gru_after_forward(&s);
    } else {
        s.h_previous = lstm__cell_seen(&b->cell, step, 2);
        kernels->gru_before_reset(&s);
        s.h_previous = lstm__cell_h(&b->cell, step);
        lstm__gemm(0, 0, batch, units, units, s.second, units, u + 2 * units, 3 * units, 1,
                   gates + 2 * units, 3 * units);
        kernels->gru_before_forward(&s);
    }
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    lstm__cell_forward(node, session, memory, bias_of(node, 0), run_step);
    for (size_t gate = 0; gate < 3; gate++)
        lstm__cell_trace(memory, gate + 1, gate == (is_torch(node) ? 1 : 0));
}

static void back_step(const lstm__node *node, lstm_session *session, const buffers *b, size_t step)
{
    const lstm__kernels *kernels = session->model->kernels;
    const lstm__cell_tape *cell = &b->cell;
    const size_t units = cell->units;
    const real *u = lstm__values_of(node, 1);
    real *gates = lstm__cell_gates(cell, 0, step);
    lstm__gru_step s = step_of(node, b, step, gates);
    s.recurrent = NULL;
    s.h = cell->carry;
    kernels->gru_backward(&s);
    lstm__cell_back_hold(cell, step, gates, 3 * units);
    if (s.after) {
        lstm__cell_back_hold(cell, step, s.second, units);
        lstm__cell_back_product(node, cell, 2, 1, s.second, units);
    } else {
        lstm__gemm(0, 1, cell->batch, units, units, gates + 2 * units, 3 * units, u + 2 * units,
                   3 * units, 0, b->recurrent, units);
        s.recurrent = b->recurrent;
        if (cell->factors) {
            s.h_previous = lstm__cell_seen(cell, step, 2);
            s.h = cell->part;
            kernels->fill_rows(cell->batch, units, NULL, s.h, units);
        }
        kernels->gru_before_backward(&s);
        if (cell->factors)
            lstm__cell_back_mask(cell, 2);
    }
    lstm__cell_back_product(node, cell, 0, 2, gates, 3 * units);
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const lstm__cell_tape *cell = &b->cell;
    const lstm__kernels *kernels = session->model->kernels;
    const size_t units = cell->units;
    const size_t rows = cell->steps * cell->batch;
    real *du = lstm__gradients_of(node, session, 1);
    real *bias[2] = {bias_gradient(node, session, 0), bias_gradient(node, session, 1)};
    lstm__cell_back_start(node, session, cell);
    for (size_t step = cell->steps; step-- > 0;) {
        lstm__cell_back_output(node, session, cell, step);
        back_step(node, session, b, step);
    }
    lstm__cell_back_recurrent(cell, 0, 2, cell->gates, 3 * units, du);
    if (options_of(node)->reset_after == LSTM_YES)
        lstm__cell_back_recurrent(cell, 2, 1, b->second, units, du);
    else
        lstm__gemm(1, 0, units, units, rows, b->second, units, cell->gates + 2 * units, 3 * units,
                   0, du + 2 * units, 3 * units);
    lstm__cell_back_inputs(node, session, cell, bias[0]);
    if (!bias[1])
        return;
    kernels->copy_rows(1, 2 * units, bias[0], 0, bias[1], 0, 0); /* z and r see the sum of both */
    kernels->column_sum(rows, units, b->second, units, bias[1] + 2 * units, 0);
}

static bool trace(const lstm__node *node, const lstm_session *session, const void *memory,
                  int32_t which, lstm__trace *found)
{
    const lstm__cell_tape *cell = &((const buffers *)memory)->cell;
    const size_t z = is_torch(node) ? 2 : 1;
    const size_t place = which == LSTM_TRACE_OUTPUT        ? 0
                         : which == LSTM_TRACE_UPDATE_GATE ? z
                         : which == LSTM_TRACE_RESET_GATE  ? 3 - z
                         : which == LSTM_TRACE_CANDIDATE   ? 3
                                                           : SIZE_MAX;
    if (!session->traces || place == SIZE_MAX)
        return false;
    *found = (lstm__trace){.values = cell->traces[place], .features = cell->units};
    return true;
}

const lstm__layer_class lstm__class_gru = {
    .type = "GRU",
    .name_stem = "gru",
    .options_size = sizeof(lstm_gru_options),
    .options = options,
    .mask = LSTM__MASK_OWN,
    .most_inputs = 2,
    .plan_size = sizeof(buffers),
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
