/* SPDX-License-Identifier: MIT
 * LSTM: options, parameters and ports around the recurrence (recurrence.c), or, where an option
 * asks for another cell than the plain one, around its variants (stepwise.c).
 *
 * Ports: 0 = the layer's output (last, or all steps), 1 = last h, 2 = last c. Inputs: 0 = sequence,
 * 1 = initial h and 2 = initial c where given. Parameters in the block: W [P+I][4H] (h rows first; P
 * = H without a projection), then one bias [4H], or two under the PyTorch profile, whose sum is
 * used, then those of layer_lstm_variants.c.
 */
#include "constants.h"
#include "input_dropout.h"
#include "layer_lstm_variants.h"
#include "options.h"
#include "row_tables.h"
#include "trace.h"

#include <stddef.h>
#include <string.h>

typedef struct buffers {
    bool varied;  /* the recurrence is `stepwise`, else `recurrence` */
    size_t width; /* numbers of h */
    union {
        lstm__recurrence recurrence;
        lstm__stepwise stepwise;
    };
    lstm__input_dropout dropout;
    real *masked_weights; /* [P+I][4H] and the factors of its h rows: with DropConnect */
    real *weight_factors;
    lstm__recurrence_call call; /* of the latest forward */
    lstm__carried carried;      /* of a stateful layer, or in a session of pieces */
    bool continues;             /* the latest forward began with what was carried */
    real *outputs;              /* all outputs, where they are not those in the tape; else NULL */
    real *last;                 /* the last outputs, where they are not the last h; else NULL */
    real *traces[LSTM_TRACE_OUTPUT]; /* by kind, from LSTM_TRACE_INPUT_GATE on; NULL = not kept */
    /* of the model's values that are packed for forward and for backward; 0 = none */
    uint64_t forward_version;
    uint64_t backward_version;
} buffers;

#define FIELD(member) offsetof(lstm_lstm_options, member)
static const lstm__option options[] = {
    LSTM__OPTION("units", COUNT, FIELD(units)),
    LSTM__ALIAS("hidden_size", COUNT, FIELD(units)),
    LSTM__OPTION("return_sequences", FLAG, FIELD(return_sequences)),
    LSTM__OPTION("return_state", FLAG, FIELD(return_state)),
    LSTM__OPTION("go_backwards", FLAG, FIELD(go_backwards)),
    LSTM__OPTION("zero_output_for_mask", FLAG, FIELD(zero_output_for_mask)),
    LSTM__OPTION("use_bias", FLAG, FIELD(use_bias)),
    LSTM__ALIAS("bias", FLAG, FIELD(use_bias)),
    LSTM__OPTION("unit_forget_bias", FLAG, FIELD(unit_forget_bias)),
    LSTM__OPTION_OF("kernel_initializer", FIELD(kernel_initializer), LSTM_NAMES_INITIALIZER),
    LSTM__OPTION_OF("recurrent_initializer", FIELD(recurrent_initializer), LSTM_NAMES_INITIALIZER),
    LSTM__OPTION_OF("activation", FIELD(activation), LSTM_NAMES_ACTIVATION),
    LSTM__OPTION_OF("recurrent_activation", FIELD(recurrent_activation), LSTM_NAMES_ACTIVATION),
    LSTM__RECURRENT_FIXED_OPTIONS,
    LSTM__OPTION("stateful", FLAG, FIELD(stateful)),
    LSTM__IGNORED("use_cudnn"),
    LSTM__VARIANT_OPTIONS,
    LSTM__OPTIONS_END,
};

static const lstm_lstm_options *options_of(const lstm__node *node)
{
    return node->options;
}

static size_t features_in(const lstm__node *node)
{
    return (size_t)lstm__input_shape(node, 0).features;
}

static lstm_status check_state(const lstm__node *node, int input, int64_t units, const char *what)
{
    const lstm_layer *layer = node->inputs[input];
    const lstm__shape shape = lstm__input_shape(node, input);
    if (shape.steps != 0 || shape.features != units)
        return lstm__fail(
            LSTM_ERROR_SHAPE,
            "initial %s is layer \"%s\" with %lld features%s: expected a vector of %lld units",
            what, layer->node->name, (long long)shape.features, shape.steps ? " a step" : "",
            (long long)units);
    return LSTM_OK;
}

static lstm_status define(lstm__node *node)
{
    lstm_lstm_options *lstm = node->options;
    const bool torch = node->model->profile == LSTM_PROFILE_TORCH;
    const lstm__shape in = lstm__input_shape(node, 0);
    if (lstm->units < 1 || lstm->units > INT32_MAX / 8)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "units is %lld: expected 1 to %d",
                          (long long)lstm->units, INT32_MAX / 8);
    RETURN_IF_ERROR(lstm__need_sequence(node, 0));
    RETURN_IF_ERROR(lstm__read_flag(&lstm->return_sequences, LSTM_NO, "return_sequences"));
    RETURN_IF_ERROR(lstm__read_flag(&lstm->return_state, LSTM_NO, "return_state"));
    RETURN_IF_ERROR(lstm__read_flag(&lstm->go_backwards, LSTM_NO, "go_backwards"));
    RETURN_IF_ERROR(lstm__read_flag(&lstm->use_bias, LSTM_YES, "use_bias"));
    RETURN_IF_ERROR(lstm__read_flag(&lstm->zero_output_for_mask, torch ? LSTM_YES : LSTM_NO,
                                    "zero_output_for_mask"));
    RETURN_IF_ERROR(
        lstm__read_flag(&lstm->unit_forget_bias, torch ? LSTM_NO : LSTM_YES, "unit_forget_bias"));
    RETURN_IF_ERROR(lstm__read_constant(&lstm->activation, LSTM_ACTIVATION_TANH,
                                        LSTM_NAMES_ACTIVATION, "activation"));
    RETURN_IF_ERROR(lstm__read_constant(&lstm->recurrent_activation, LSTM_ACTIVATION_SIGMOID,
                                        LSTM_NAMES_ACTIVATION, "recurrent_activation"));
    if (lstm->activation == LSTM_ACTIVATION_SOFTMAX ||
        lstm->recurrent_activation == LSTM_ACTIVATION_SOFTMAX)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "softmax inside an LSTM: expected an activation of single values");
    const int32_t kernel = torch ? LSTM_INITIALIZER_TORCH_UNIFORM : LSTM_INITIALIZER_GLOROT_UNIFORM;
    const int32_t recurrent = torch ? LSTM_INITIALIZER_TORCH_UNIFORM : LSTM_INITIALIZER_ORTHOGONAL;
    RETURN_IF_ERROR(lstm__read_constant(&lstm->kernel_initializer, kernel, LSTM_NAMES_INITIALIZER,
                                        "kernel_initializer"));
    RETURN_IF_ERROR(lstm__read_constant(&lstm->recurrent_initializer, recurrent,
                                        LSTM_NAMES_INITIALIZER, "recurrent_initializer"));
    RETURN_IF_ERROR(lstm__read_flag(&lstm->stateful, LSTM_NO, "stateful"));
    RETURN_IF_ERROR(lstm__variant_define(lstm));
    const int64_t width = (int64_t)lstm__variant_width(lstm);
    if (lstm->stateful == LSTM_YES && node->input_count == 3)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "is stateful and has an initial state: it begins with one or the other");
    if (node->input_count == 3) {
        RETURN_IF_ERROR(check_state(node, 1, width, "h"));
        RETURN_IF_ERROR(check_state(node, 2, lstm->units, "c"));
    }
    node->port_count = 3;
    node->shapes[0] = (lstm__shape){lstm->return_sequences == LSTM_YES ? in.steps : 0, width};
    node->shapes[1] = (lstm__shape){0, width};
    node->shapes[2] = (lstm__shape){0, lstm->units};
    return LSTM_OK;
}

static lstm_status declare(lstm__node *node)
{
    lstm_model *model = node->model;
    const lstm_lstm_options *lstm = options_of(node);
    const bool torch = model->profile == LSTM_PROFILE_TORCH;
    const size_t units = (size_t)lstm->units;
    const size_t columns = 4 * units;
    const size_t width = lstm__variant_width(lstm);
    const size_t inputs = features_in(node);
    size_t count = 0;
    size_t weights = 0;
    size_t bias = 0;
    if (!lstm__add(width, inputs, &count) || !lstm__mul(count, columns, &count))
        count = SIZE_MAX;
    RETURN_IF_ERROR(lstm__graph_reserve(model, count, &weights));
    RETURN_IF_ERROR(lstm__graph_add_parameter(
        node, &(lstm__parameter_spec){.keras_name = "kernel",
                                      .torch_name = "weight_ih_l0",
                                      .offset = weights + width * columns,
                                      .rows = inputs,
                                      .columns = columns,
                                      .rank = 2,
                                      .torch_transposed = true,
                                      .initializer = lstm->kernel_initializer,
                                      .fan_in = inputs,
                                      .fan_out = columns,
                                      .units = units}));
    RETURN_IF_ERROR(lstm__graph_add_parameter(
        node, &(lstm__parameter_spec){.keras_name = "recurrent_kernel",
                                      .torch_name = "weight_hh_l0",
                                      .offset = weights,
                                      .rows = width,
                                      .columns = columns,
                                      .rank = 2,
                                      .torch_transposed = true,
                                      .initializer = lstm->recurrent_initializer,
                                      .fan_in = width,
                                      .fan_out = columns,
                                      .units = units}));
    for (int k = 0; lstm->use_bias == LSTM_YES && k < (torch ? 2 : 1); k++) {
        RETURN_IF_ERROR(lstm__graph_reserve(model, columns, &bias));
        RETURN_IF_ERROR(lstm__graph_add_parameter(
            node,
            &(lstm__parameter_spec){
                .keras_name = "bias",
                .torch_name = k == 0 ? "bias_ih_l0" : "bias_hh_l0",
                .offset = bias,
                .rows = 1,
                .columns = columns,
                .rank = 1,
                .initializer = torch ? LSTM_INITIALIZER_TORCH_UNIFORM : LSTM_INITIALIZER_ZEROS,
                .units = units,
                .one_first = units,
                .one_count = k == 0 && lstm->unit_forget_bias == LSTM_YES ? units : 0}));
    }
    return lstm__variant_declare(node);
}

/* Where the parameters of a node lie in the model's block or in the session's gradients. */
static size_t weights_offset(const lstm__node *node)
{
    return node->model->parameters[node->parameter_first + 1].offset; /* the h rows come first */
}
static size_t bias_offset(const lstm__node *node, size_t number)
{
    return node->model->parameters[node->parameter_first + 2 + number].offset;
}
static size_t bias_count(const lstm__node *node)
{
    const bool torch = node->model->profile == LSTM_PROFILE_TORCH;
    return options_of(node)->use_bias != LSTM_YES ? 0 : torch ? 2 : 1;
}

static size_t carries(const lstm__node *node, bool pieces)
{
    const lstm_lstm_options *lstm = options_of(node);
    return pieces || lstm->stateful == LSTM_YES ? lstm__variant_width(lstm) + (size_t)lstm->units
                                                : 0;
}

/* Whether the first h and c may be others than zeros. */
static bool starts_from_state(const lstm__node *node, const lstm_session *session)
{
    return node->input_count == 3 || carries(node, session->pieces) > 0;
}

/* The last output of a sample without any valid step: zeros in Keras (its TensorFlow, Torch and
 * unrolled loops), the initial h in PyTorch, whose last output is h_n. */
static bool zeroes_nothing(const lstm__node *node)
{
    return node->model->profile == LSTM_PROFILE_TORCH;
}

/* The recurrence, the plain one or that of the variants. */

static void plan_recurrence(const lstm__node *node, const lstm_session *session, buffers *b,
                            lstm__arena *arena)
{
    const lstm_lstm_options *lstm = options_of(node);
    const size_t steps = lstm__session_max_steps(session, lstm__input_shape(node, 0));
    const bool input_gradient = session->training &&
                                (session->input_gradients || node->inputs[0]->node->learns);
    lstm__recurrence *r = &b->recurrence;
    if (b->varied) {
        b->stepwise = (lstm__stepwise){.context = session->model->context,
                                       .kernels = session->model->kernels,
                                       .options = lstm,
                                       .input = features_in(node),
                                       .units = (size_t)lstm->units,
                                       .width = b->width,
                                       .max_batch = session->max_batch,
                                       .max_steps = steps,
                                       .training = session->training || session->traces,
                                       .random = session->training,
                                       .input_gradient = input_gradient};
        lstm__stepwise_plan(&b->stepwise, arena);
        return;
    }
    *r = (lstm__recurrence){.context = session->model->context,
                            .kernels = session->model->kernels,
                            .input = features_in(node),
                            .hidden = b->width,
                            .max_batch = session->max_batch,
                            .max_steps = steps,
                            .training = session->training || session->traces,
                            .recompute = session->training && session->recompute &&
                                         !session->pieces && !session->traces,
                            .input_gradient = input_gradient,
                            .table_rows = lstm__session_table(session, node->inputs[0])};
    r->route = lstm__recurrence_route(r->max_batch, steps, r->input, b->width, r->training);
    if (lstm->activation != LSTM_ACTIVATION_TANH ||
        lstm->recurrent_activation != LSTM_ACTIVATION_SIGMOID) {
        r->activation = lstm->activation;
        r->recurrent_activation = lstm->recurrent_activation;
        r->route = LSTM_ROUTE_SPLIT;
    }
    if (r->table_rows > 0)
        r->route = LSTM_ROUTE_SPLIT;
    lstm__recurrence_plan(r, arena);
}

static lstm__view last_h(const buffers *b, const lstm__recurrence_call *call)
{
    return b->varied ? lstm__stepwise_h(&b->stepwise, call)
                     : lstm__recurrence_h(&b->recurrence, call);
}
static lstm__view last_c(const buffers *b, const lstm__recurrence_call *call)
{
    return b->varied ? lstm__stepwise_c(&b->stepwise, call)
                     : lstm__recurrence_c(&b->recurrence, call);
}
static lstm__view all_outputs(const buffers *b, const lstm__recurrence_call *call)
{
    return b->varied ? lstm__stepwise_outputs(&b->stepwise, call)
                     : lstm__recurrence_outputs(&b->recurrence, call);
}
/* Zeros in the rows of samples without any valid step in the latest forward. */
static void clear_without_steps(const buffers *b, lstm__view rows)
{
    const lstm__packing *packing = &b->recurrence.packing;
    for (size_t k = 0; k < b->call.batch; k++) {
        const bool none = b->varied ? b->stepwise.starts[k] == b->call.steps
                                    : packing->counts[k] == 0;
        const size_t sample = b->varied ? k : (size_t)packing->samples[k];
        if (none)
            memset(rows.data + sample * rows.stride, 0, b->width * sizeof(real));
    }
}
static const unsigned char *mask_of(const buffers *b)
{
    return b->varied ? b->stepwise.mask : b->recurrence.mask;
}

/* Whether the tape is that of one span: then outputs are not in it. Variants keep a whole tape. */
static bool recomputes(const buffers *b)
{
    return !b->varied && b->recurrence.recompute;
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *b = memory;
    const lstm_lstm_options *lstm = options_of(node);
    const size_t units = (size_t)lstm->units;
    b->varied = lstm__stepwise_needed(lstm);
    b->width = lstm__variant_width(lstm);
    plan_recurrence(node, session, b, arena);
    lstm__input_dropout_plan(node, session, lstm->dropout, &b->dropout, arena);
    for (int32_t k = LSTM_TRACE_INPUT_GATE; k <= LSTM_TRACE_OUTPUT; k++)
        b->traces[k - LSTM_TRACE_INPUT_GATE] = lstm__trace_plan(
            node, session, k == LSTM_TRACE_OUTPUT ? b->width : units, arena);
    b->outputs = b->last = b->masked_weights = b->weight_factors = NULL;
    if (session->training && lstm->recurrent_dropconnect > 0) {
        b->masked_weights = lstm__carve_matrix(arena, b->width + features_in(node), 4 * units);
        b->weight_factors = lstm__carve_matrix(arena, b->width, 4 * units);
    }
    if (carries(node, session->pieces) > 0) {
        b->carried.units = b->width;
        b->carried.cell_units = units;
        b->carried.h = lstm__carve(arena, session->max_batch, b->width * sizeof(real));
        b->carried.c = lstm__carve(arena, session->max_batch, units * sizeof(real));
    }
    if (lstm->return_sequences == LSTM_YES) {
        if (!b->varied || !session->training || lstm->zero_output_for_mask == LSTM_YES ||
            starts_from_state(node, session))
            b->outputs = lstm__carve(arena, lstm__session_max_rows(session, node->shapes[0]),
                                     b->width * sizeof(real));
    } else if (starts_from_state(node, session) && !zeroes_nothing(node)) {
        b->last = lstm__carve(arena, session->max_batch, b->width * sizeof(real));
    }
}

/* The weights that the recurrence reads: the model's, or these with a part of the recurrent kernel
 * left out (DropConnect). */
static const real *masked_weights(const lstm__node *node, const lstm_session *session, buffers *b)
{
    const lstm_lstm_options *lstm = options_of(node);
    const real *weights = session->model->values + weights_offset(node);
    const size_t columns = 4 * (size_t)lstm->units;
    const size_t count = b->width * columns;
    if (!b->weight_factors)
        return weights;
    lstm__draw_factors(session->model->kernels, lstm__in_layer_seed(session, lstm->seed),
                       lstm__in_layer_stream(node, session, LSTM__DRAW_KERNEL),
                       lstm->recurrent_dropconnect, count, b->weight_factors);
    memcpy(b->masked_weights, weights, (count + features_in(node) * columns) * sizeof(real));
    for (size_t k = 0; k < count; k++)
        b->masked_weights[k] *= b->weight_factors[k];
    return b->masked_weights;
}

/* Packed copies follow the model's values: once an update, not once a call; with DropConnect once a
 * call. */
static void pack_forward(const lstm__node *node, lstm_session *session, buffers *b)
{
    const lstm_model *model = session->model;
    if (b->forward_version == model->version && !b->weight_factors)
        return;
    lstm__variant_values values = lstm__variant_values_of(node, model->values);
    const real *weights = masked_weights(node, session, b);
    if (b->weight_factors)
        values.weights = b->masked_weights;
    if (b->varied)
        lstm__stepwise_pack_forward(&b->stepwise, &values);
    else
        lstm__recurrence_pack_forward(&b->recurrence, weights, values.bias[0], values.bias[1]);
    if (!b->varied && b->recurrence.table_rows > 0)
        lstm__recurrence_tabulate(&b->recurrence, lstm__input_value(node, session, 0));
    b->forward_version = model->version;
}

static void pack_backward(const lstm__node *node, const lstm_model *model, buffers *b)
{
    if (b->backward_version == model->version && !b->weight_factors)
        return;
    lstm__variant_values values = lstm__variant_values_of(node, model->values);
    if (b->weight_factors)
        values.weights = b->masked_weights;
    if (b->varied)
        lstm__stepwise_pack_backward(&b->stepwise, &values);
    else
        lstm__recurrence_pack_backward(&b->recurrence, values.weights);
    b->backward_version = model->version;
}

/* h, but zeros for samples without any valid step. */
static lstm__view last_outputs(const lstm_session *session, const buffers *b, lstm__view h)
{
    const lstm__view last = {b->last, b->width};
    session->model->kernels->copy_rows(session->batch, last.stride, h.data, h.stride, last.data,
                                       last.stride, 0);
    clear_without_steps(b, last);
    return last;
}

/* Keep the last states for the next call, or those behind an earlier step. */
static void carry(const lstm_session *session, buffers *b)
{
    const lstm__kernels *kernels = session->model->kernels;
    const size_t units = b->carried.units;
    const size_t cells = b->carried.cell_units;
    lstm__recurrence_call call = b->call;
    if (units == 0 || session->carry_after == 0)
        return;
    const bool early = session->carry_after < call.steps && !b->varied;
    if (session->carry_after < call.steps)
        call.steps = session->carry_after;
    if (early)
        lstm__recurrence_rewind(&b->recurrence, &call);
    const lstm__view h = last_h(b, &call);
    const lstm__view c = last_c(b, &call);
    kernels->copy_rows(session->batch, units, h.data, h.stride, b->carried.h, units, 0);
    kernels->copy_rows(session->batch, cells, c.data, c.stride, b->carried.c, cells, 0);
    b->carried.batch = session->batch;
    if (early)
        lstm__recurrence_rewind(&b->recurrence, &b->call);
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    buffers *b = memory;
    const lstm_lstm_options *lstm = options_of(node);
    lstm__recurrence_call *call = &b->call;
    *call = (lstm__recurrence_call){
        .batch = session->batch,
        .steps = lstm__session_steps(session, lstm__input_shape(node, 0)),
        .reverse = lstm->go_backwards == LSTM_YES,
        .x = lstm__input_dropout_forward(node, session, lstm->dropout, lstm->seed, &b->dropout),
        .numbers = lstm__session_port(session, node->inputs[0])->numbers,
        .mask = lstm__input_mask(node, session, 0),
        .zero_masked = lstm->zero_output_for_mask == LSTM_YES,
    };
    if (!session->training || call->mask || recomputes(b))
        call->y = (lstm__view){b->outputs, b->width};
    if (node->input_count == 3) {
        call->h0 = lstm__input_value(node, session, 1);
        call->c0 = lstm__input_value(node, session, 2);
    }
    b->continues = b->carried.batch == session->batch && b->carried.batch > 0;
    if (b->continues) {
        call->h0 = (lstm__view){b->carried.h, b->carried.units};
        call->c0 = (lstm__view){b->carried.c, b->carried.cell_units};
    }
    pack_forward(node, session, b);
    if (b->varied) {
        b->stepwise.seed = lstm__in_layer_seed(session, lstm->seed);
        b->stepwise.stream = lstm__in_layer_stream(node, session, LSTM__DRAW_STEP);
        lstm__stepwise_forward(&b->stepwise, call);
    } else {
        lstm__recurrence_forward(&b->recurrence, call);
    }
    const lstm__view h = last_h(b, call);
    carry(session, b);
    for (int32_t kind = LSTM_TRACE_INPUT_GATE; b->traces[0] && kind <= LSTM_TRACE_OUTPUT; kind++)
        if (b->varied)
            lstm__stepwise_trace(&b->stepwise, call, kind, b->traces[kind - LSTM_TRACE_INPUT_GATE]);
        else
            lstm__recurrence_trace(&b->recurrence, call, kind,
                                   b->traces[kind - LSTM_TRACE_INPUT_GATE]);
    lstm__view output = h;
    if (lstm->return_sequences == LSTM_YES)
        output = call->y.data ? call->y : all_outputs(b, call);
    else if (b->last && call->mask)
        output = last_outputs(session, b, h);
    lstm__session_own(session, node, 0)->value = output;
    lstm__session_own(session, node, 0)->mask = call->mask && lstm->return_sequences == LSTM_YES
                                                    ? mask_of(b)
                                                    : NULL;
    lstm__session_own(session, node, 1)->value = h;
    lstm__session_own(session, node, 2)->value = last_c(b, call);
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    buffers *b = memory;
    const bool sequences = options_of(node)->return_sequences == LSTM_YES;
    lstm__recurrence_call *call = &b->call;
    real *gradients = session->gradients;
    call->dy = sequences ? lstm__own_gradient(session, node, 0) : (lstm__view){NULL, 0};
    call->dhn[0] = sequences ? (lstm__view){NULL, 0} : lstm__own_gradient(session, node, 0);
    if (call->dhn[0].data && b->last && call->mask)
        clear_without_steps(b, call->dhn[0]);
    call->dhn[1] = lstm__own_gradient(session, node, 1);
    call->dcn = lstm__own_gradient(session, node, 2);
    bool add = false;
    const lstm__view dx = lstm__take_gradient(node, session, 0, &add);
    call->add_dx = add;
    call->dx = lstm__input_dropout_place(&b->dropout, dx, &call->add_dx);
    if (node->input_count == 3 && !b->continues) {
        call->dh0 = lstm__take_gradient(node, session, 1, &call->add_dh0);
        call->dc0 = lstm__take_gradient(node, session, 2, &call->add_dc0);
    }
    call->dweights = gradients + weights_offset(node);
    call->dbias = bias_count(node) ? gradients + bias_offset(node, 0) : NULL;
    pack_backward(node, session->model, b);
    const lstm__variant_values to = lstm__variant_values_of(node, gradients);
    if (b->varied)
        lstm__stepwise_backward(&b->stepwise, call, &to);
    else
        lstm__recurrence_backward(&b->recurrence, call);
    if (to.bias[1])
        session->model->kernels->copy_rows(1, 4 * (size_t)options_of(node)->units, to.bias[0], 0,
                                           to.bias[1], 0, 0);
    for (size_t k = 0; b->weight_factors && k < b->width * 4 * (size_t)options_of(node)->units; k++)
        to.weights[k] *= b->weight_factors[k];
    lstm__input_dropout_backward(node, session, &b->dropout, dx, add);
}

static lstm__carried *carried(const lstm__node *node, void *memory)
{
    (void)node;
    return &((buffers *)memory)->carried;
}

static bool trace(const lstm__node *node, const lstm_session *session, const void *memory,
                  int32_t which, lstm__trace *found)
{
    const buffers *b = memory;
    if (!session->traces || which < LSTM_TRACE_INPUT_GATE || which > LSTM_TRACE_OUTPUT)
        return false;
    *found = (lstm__trace){
        .values = b->traces[which - LSTM_TRACE_INPUT_GATE],
        .features = which == LSTM_TRACE_OUTPUT ? b->width : (size_t)options_of(node)->units};
    return true;
}

static bool piecewise(const lstm__node *node)
{
    const lstm_lstm_options *lstm = options_of(node);
    return lstm->return_sequences == LSTM_YES && lstm->go_backwards == LSTM_NO &&
           node->readers[1] == 0 && node->readers[2] == 0;
}

/* The variants read rows, and so does dropout of the input. */
static bool takes_table(const lstm__node *node, const lstm_session *session)
{
    const lstm_lstm_options *lstm = options_of(node);
    return !lstm__stepwise_needed(lstm) && !(session->training && lstm->dropout > 0);
}

static bool returns_ports(const lstm__node *node)
{
    return options_of(node)->return_state == LSTM_YES;
}

static double flops(const lstm__node *node, int64_t steps)
{
    const lstm_lstm_options *lstm = options_of(node);
    const double units = (double)lstm->units;
    const double width = (double)lstm__variant_width(lstm);
    const double projection = lstm->proj_size > 0 ? 2 * units * width : 0;
    return (8 * units * (width + (double)features_in(node)) + projection) * (double)steps;
}

const lstm__layer_class lstm__class_lstm = {
    .type = "LSTM",
    .name_stem = "lstm",
    .options_size = sizeof(lstm_lstm_options),
    .options = options,
    .most_inputs = 3,
    .mask = LSTM__MASK_OWN,
    .plan_size = sizeof(buffers),
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
    .takes_table = takes_table,
};
