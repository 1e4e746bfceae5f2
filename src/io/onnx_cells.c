/* SPDX-License-Identifier: MIT
 *
 * LSTM, GRU and RNN of ONNX (https://onnx.ai/onnx/operators/onnx__LSTM.html):
 *
 *     X (T, B, I)  W (D, G H, I)  R (D, G H, H)  B (D, 2 G H)  sequence_lens (B)
 *     initial_h, initial_c (D, B, H)  P (D, 3 H)  ->  Y (T, D, B, H)  Y_h, Y_c (D, B, H)
 *
 * with layout 1: X (B, T, I), states (B, D, H), Y (B, T, D, H). Gates: LSTM i, o, f, c, ours i, f,
 * c, o; GRU z, r, h in both. Of the two biases the sum is taken, except for the candidate of a GRU
 * with linear_before_reset. The reverse direction is a layer with go_backwards whose outputs are
 * turned round where they are used.
 */
#include "onnx_cells.h"
#include "onnx_constants.h"

#include <math.h>
#include <string.h>

static const char *const attributes[] = {"activation_alpha",
                                         "activation_beta",
                                         "activations",
                                         "clip",
                                         "direction",
                                         "hidden_size",
                                         "input_forget",
                                         "linear_before_reset",
                                         "layout",
                                         "output_sequence",
                                         NULL};

/* ---- Shapes */

static lstm_status expect(const lstm__onnx_node *node, const lstm__onnx_value *value,
                          const char *what, int rank, const int64_t *shape)
{
    char found[160];
    bool same = lstm__onnx_is_constant(value) && value->rank == rank;
    for (int k = 0; same && k < rank; k++)
        same = value->shape[k] == shape[k];
    if (same)
        return LSTM_OK;
    if (!lstm__onnx_is_constant(value))
        return lstm__onnx_refuse(node, "%s is no constant", what);
    (void)node;
    return lstm__fail(LSTM_ERROR_SHAPE, "%s has shape %s: expected (%lld, %lld%s%.0lld)", what,
                      lstm__onnx_describe(value, found), (long long)shape[0], (long long)shape[1],
                      rank > 2 ? ", " : "", rank > 2 ? (long long)shape[2] : 0);
}

static lstm_status read_attributes(lstm__onnx_cell *c)
{
    const lstm__onnx_node *node = c->node;
    char direction[64] = "forward";
    int64_t input_forget = 0;
    int64_t linear_before_reset = 0;
    RETURN_IF_ERROR(lstm__onnx_check_attributes(node, attributes));
    RETURN_IF_ERROR(lstm__onnx_string(node, "direction", direction));
    RETURN_IF_ERROR(lstm__onnx_int(node, "hidden_size", &c->units));
    RETURN_IF_ERROR(lstm__onnx_int(node, "layout", &c->layout));
    RETURN_IF_ERROR(lstm__onnx_int(node, "input_forget", &input_forget));
    RETURN_IF_ERROR(lstm__onnx_int(node, "linear_before_reset", &linear_before_reset));
    RETURN_IF_ERROR(lstm__onnx_float(node, "clip", &c->clip));
    c->coupled = input_forget != 0;
    c->reset_after = linear_before_reset != 0;
    c->directions = strcmp(direction, "bidirectional") == 0 ? 2 : 1;
    c->reverse = strcmp(direction, "reverse") == 0;
    if (c->directions == 1 && !c->reverse && strcmp(direction, "forward") != 0)
        return lstm__onnx_refuse(node,
                                 "direction \"%s\": expected forward, reverse or "
                                 "bidirectional",
                                 direction);
    if (c->layout != 0 && c->layout != 1)
        return lstm__onnx_refuse(node, "layout %lld: expected 0 or 1", (long long)c->layout);
    if (lstm__onnx_has_attribute(node, "clip") && !(c->clip > 0 && isfinite(c->clip)))
        return lstm__onnx_refuse(node, "clip is %g: expected more than 0", (double)c->clip);
    return LSTM_OK;
}

/* X as a sequence layer. */
static lstm_status read_sequence(lstm__onnx_cell *c)
{
    lstm__onnx_value *x = lstm__onnx_input(c->import, c->node, 0);
    const int step = c->layout == 0 ? 0 : 1;
    char text[160];
    if (lstm__onnx_is_layers(x) && x->rank == 3 && x->axis[2] == LSTM__AXIS_ONE &&
        lstm__onnx_axis(x, LSTM__AXIS_FEATURE) < 0)
        x->axis[2] = LSTM__AXIS_FEATURE;
    /* one step: a vector with an axis of size 1 for the time */
    if (lstm__onnx_is_layers(x) && x->rank == 3 && x->axis[step] == LSTM__AXIS_ONE &&
        x->axis[1 - step] == LSTM__AXIS_BATCH && x->axis[2] == LSTM__AXIS_FEATURE) {
        const lstm_reshape_options options = {.struct_size = sizeof options, .steps = 1};
        const lstm_layer *layer = NULL;
        lstm_layer *added = NULL;
        RETURN_IF_ERROR(lstm__onnx_join(c->import, x, &layer));
        RETURN_IF_ERROR(
            lstm__onnx_add(c->import, &lstm__class_reshape, &options, &layer, 1, &added));
        const lstm__onnx_part part = {added, false};
        RETURN_IF_ERROR(lstm__onnx_set_parts(c->import, x, 1, &part));
        x->axis[step] = LSTM__AXIS_STEP;
    }
    if (!lstm__onnx_is_layers(x) || x->rank != 3 || x->axis[step] != LSTM__AXIS_STEP ||
        x->axis[1 - step] != LSTM__AXIS_BATCH || x->axis[2] != LSTM__AXIS_FEATURE)
        return lstm__onnx_refuse(
            c->node, "X is %s: expected %s", x ? lstm__onnx_describe(x, text) : "missing",
            step == 0 ? "(steps, batch, features)" : "(batch, steps, features)");
    RETURN_IF_ERROR(lstm__onnx_join(c->import, x, &c->x));
    c->inputs = x->shape[2];
    c->steps = x->shape[step];
    return LSTM_OK;
}

/* Lengths: the graph's input of them, or all steps. */
static lstm_status read_lengths(lstm__onnx_cell *c)
{
    lstm__onnx_import *import = c->import;
    const lstm__onnx_value *lengths = lstm__onnx_input(import, c->node, 4);
    int64_t numbers[4096];
    int count = 0;
    import->has_cells = true;
    if (lengths && lengths->kind == LSTM__VALUE_LENGTHS) {
        if (import->cells_without_lengths ||
            (import->lengths != LSTM__ONNX_NONE && import->lengths != (int)lengths->input))
            return lstm__onnx_refuse(c->node,
                                     "not all recurrent nodes have the same sequence_lens");
        import->lengths = (int)lengths->input;
        return LSTM_OK;
    }
    if (import->lengths != LSTM__ONNX_NONE)
        return lstm__onnx_refuse(c->node, "not all recurrent nodes have the same sequence_lens");
    import->cells_without_lengths = true;
    if (!lengths)
        return LSTM_OK;
    lstm__onnx_value one = *lengths;
    if (one.kind == LSTM__VALUE_CONSTANT && one.elements.stride == 0 && one.elements.count > 0)
        one.elements.count = 1; /* the same for every sample */
    RETURN_IF_ERROR(lstm__onnx_read_integers(c->node, &one, numbers, 4096, &count));
    for (int k = 0; k < count; k++)
        if (numbers[k] != c->steps)
            return lstm__onnx_refuse(c->node, "sequence_lens are constants other than the number "
                                              "of steps: expected an input of the graph");
    return LSTM_OK;
}

/* A first state, (D, B, H) or (B, D, H): layers of the graph, zeros, or a constant that is the same
 * for every sample. layers[direction] NULL = zeros. */
static lstm_status constant_state(lstm__onnx_cell *c, const lstm__onnx_value *state,
                                  const lstm_layer *layers[2])
{
    lstm__onnx_import *import = c->import;
    const int part = c->layout == 0 ? 0 : 1;
    if (state->rank != 3 || state->shape[part] != c->directions || state->shape[2] != c->units)
        return lstm__onnx_refuse(c->node, "a first state of another shape than (%d, batch, %lld)",
                                 c->directions, (long long)c->units);
    const int64_t batch = state->shape[1 - part];
    const bool fill = state->elements.stride == 0;
    float *values = NULL;
    if (fill) {
        float one = 0;
        lstm__elements element = state->elements;
        element.count = 1;
        lstm__read_floats(&element, &one);
        if (one == 0)
            return LSTM_OK;
        return lstm__onnx_refuse(c->node, "a first state of %g everywhere", (double)one);
    }
    RETURN_IF_ERROR(lstm__onnx_read_floats(import, state, &values));
    for (int d = 0; d < c->directions; d++) {
        const size_t stride = (size_t)(c->layout == 0 ? c->units : c->directions * c->units);
        const float *own = values + (c->layout == 0 ? (size_t)(d * batch * c->units)
                                                    : (size_t)(d * c->units));
        bool zero = true;
        for (int64_t b = 0; b < batch; b++)
            if (memcmp(own, own + (size_t)b * stride, (size_t)c->units * sizeof *own) != 0)
                return lstm__onnx_refuse(
                    c->node, "a constant first state that is not the same for every sample");
        for (int64_t k = 0; k < c->units; k++)
            zero = zero && own[k] == 0;
        if (zero || batch == 0)
            continue;
        const lstm_learned_vector_options options = {.struct_size = sizeof options,
                                                     .features = c->units};
        lstm_layer *learned = NULL;
        RETURN_IF_ERROR(
            lstm__onnx_add(import, &lstm__class_learned_vector, &options, &c->x, 1, &learned));
        RETURN_IF_ERROR(lstm__onnx_assign(import, learned, 0, own, (size_t)c->units));
        layers[d] = learned;
    }
    return LSTM_OK;
}

static lstm_status read_state(lstm__onnx_cell *c, int input, const lstm_layer *layers[2])
{
    lstm__onnx_value *state = lstm__onnx_input(c->import, c->node, input);
    const int part = c->layout == 0 ? 0 : 1;
    char text[160];
    if (!state)
        return LSTM_OK;
    if (lstm__onnx_is_constant(state))
        return constant_state(c, state, layers);
    if (lstm__onnx_is_layers(state) && state->rank == 3 && state->axis[part] == LSTM__AXIS_ONE)
        state->axis[part] = LSTM__AXIS_PART;
    if (!lstm__onnx_is_layers(state) || state->rank != 3 || state->axis[part] != LSTM__AXIS_PART ||
        state->axis[1 - part] != LSTM__AXIS_BATCH || state->axis[2] != LSTM__AXIS_FEATURE ||
        state->part_count != c->directions || state->shape[2] != c->units)
        return lstm__onnx_refuse(c->node, "the first state is %s: expected (%s%d%s, features %lld)",
                                 lstm__onnx_describe(state, text),
                                 part ? "batch, directions " : "directions ", c->directions,
                                 part ? "" : ", batch", (long long)c->units);
    for (int d = 0; d < c->directions; d++)
        layers[d] = state->parts[d].layer;
    return LSTM_OK;
}

/* One of h and c is zeros and the other is not: zeros as a layer that does not learn. */
static lstm_status complete_state(lstm__onnx_cell *c, const lstm_layer **state)
{
    const lstm_learned_vector_options options = {.struct_size = sizeof options,
                                                 .features = c->units};
    lstm_layer *zeros = NULL;
    float *values = lstm__onnx_allocate(c->import->graph, (size_t)c->units, sizeof *values);
    if (!values)
        return lstm__fail_memory((size_t)c->units * sizeof *values, "a first state");
    RETURN_IF_ERROR(
        lstm__onnx_add(c->import, &lstm__class_learned_vector, &options, &c->x, 1, &zeros));
    zeros->node->rate = 0;
    RETURN_IF_ERROR(lstm__onnx_assign(c->import, zeros, 0, values, (size_t)c->units));
    *state = zeros;
    return LSTM_OK;
}

/* ---- Weights */

/* Columns of our kernel from rows of theirs: `order` gives their block for each of ours. */
static lstm_status columns_of(lstm__onnx_cell *c, const float *rows, size_t width, const int *order,
                              float **kernel)
{
    const size_t units = (size_t)c->units;
    const size_t gates = (size_t)c->gates;
    *kernel = lstm__onnx_allocate(c->import->graph, width * gates * units, sizeof **kernel);
    if (!*kernel)
        return lstm__fail_memory(width * gates * units * sizeof **kernel, "a kernel");
    for (size_t g = 0; g < gates; g++)
        for (size_t u = 0; u < units; u++) {
            const float *from = rows + ((size_t)order[g] * units + u) * width;
            for (size_t k = 0; k < width; k++)
                (*kernel)[k * gates * units + g * units + u] = from[k];
        }
    return LSTM_OK;
}

/* Our bias: the sum of both, or (reset_after) both one behind the other. */
static lstm_status bias_of(lstm__onnx_cell *c, const float *both, const int *order, float **bias,
                           size_t *count)
{
    const size_t units = (size_t)c->units;
    const size_t all = (size_t)c->gates * units;
    const bool two = c->reset_after && c->class == &lstm__class_gru;
    *count = two ? 2 * all : all;
    *bias = lstm__onnx_allocate(c->import->graph, *count, sizeof **bias);
    if (!*bias)
        return lstm__fail_memory(*count * sizeof **bias, "a bias");
    for (size_t k = 0; k < all; k++) {
        const size_t from = (size_t)order[k / units] * units + k % units;
        const float x = both[from];
        const float h = both[all + from];
        (*bias)[k] = two ? x : x + h;
        if (two)
            (*bias)[all + k] = h;
    }
    return LSTM_OK;
}

static lstm_status read_weights(lstm__onnx_cell *c)
{
    const lstm__onnx_value *w = lstm__onnx_input(c->import, c->node, 1);
    const lstm__onnx_value *r = lstm__onnx_input(c->import, c->node, 2);
    const lstm__onnx_value *b = lstm__onnx_input(c->import, c->node, 3);
    if (c->units == 0 && lstm__onnx_is_constant(r) && r->rank == 3)
        c->units = r->shape[2];
    if (c->units < 1 || c->units > INT32_MAX / 8)
        return lstm__onnx_refuse(c->node, "hidden_size is %lld: expected 1 to %d",
                                 (long long)c->units, INT32_MAX / 8);
    const int64_t rows = c->gates * c->units;
    RETURN_IF_ERROR(expect(c->node, w, "W", 3, (int64_t[]){c->directions, rows, c->inputs}));
    RETURN_IF_ERROR(expect(c->node, r, "R", 3, (int64_t[]){c->directions, rows, c->units}));
    RETURN_IF_ERROR(lstm__onnx_read_floats(c->import, w, &c->w));
    RETURN_IF_ERROR(lstm__onnx_read_floats(c->import, r, &c->r));
    if (b) {
        RETURN_IF_ERROR(expect(c->node, b, "B", 2, (int64_t[]){c->directions, 2 * rows}));
        RETURN_IF_ERROR(lstm__onnx_read_floats(c->import, b, &c->b));
    }
    return LSTM_OK;
}

static lstm_status assign(lstm__onnx_cell *c, int direction, const lstm_layer *layer)
{
    static const int lstm_order[] = {0, 2, 3, 1};
    static const int plain_order[] = {0, 1, 2};
    const int *order = c->class == &lstm__class_lstm ? lstm_order : plain_order;
    const size_t rows = (size_t)(c->gates * c->units);
    const size_t d = (size_t)direction;
    float *values = NULL;
    size_t count = 0;
    RETURN_IF_ERROR(
        columns_of(c, c->w + d * rows * (size_t)c->inputs, (size_t)c->inputs, order, &values));
    RETURN_IF_ERROR(lstm__onnx_assign(c->import, layer, 0, values, rows * (size_t)c->inputs));
    RETURN_IF_ERROR(
        columns_of(c, c->r + d * rows * (size_t)c->units, (size_t)c->units, order, &values));
    RETURN_IF_ERROR(lstm__onnx_assign(c->import, layer, 1, values, rows * (size_t)c->units));
    if (!c->b)
        return LSTM_OK;
    RETURN_IF_ERROR(bias_of(c, c->b + d * 2 * rows, order, &values, &count));
    return lstm__onnx_assign(c->import, layer, 2, values, count);
}

/* ---- Outputs */

/* Y (T, D, B, H) or (B, T, D, H); Y_h and Y_c (D, B, H) or (B, D, H). */
static lstm_status set_outputs(lstm__onnx_cell *c, const lstm_layer *const *layers)
{
    static const int axes[2][2][4] = {
        {{LSTM__AXIS_STEP, LSTM__AXIS_PART, LSTM__AXIS_BATCH, LSTM__AXIS_FEATURE},
         {LSTM__AXIS_BATCH, LSTM__AXIS_STEP, LSTM__AXIS_PART, LSTM__AXIS_FEATURE}},
        {{LSTM__AXIS_PART, LSTM__AXIS_BATCH, LSTM__AXIS_FEATURE, 0},
         {LSTM__AXIS_BATCH, LSTM__AXIS_PART, LSTM__AXIS_FEATURE, 0}}};
    const lstm__onnx_value *x = lstm__onnx_input(c->import, c->node, 0);
    const int64_t batch = x->shape[lstm__onnx_axis(x, LSTM__AXIS_BATCH)];
    for (int k = 0; k < 3; k++) {
        lstm__onnx_value *out = lstm__onnx_output(c->import, c->node, k);
        lstm__onnx_part parts[2];
        if (!out)
            continue;
        if (k == 2 && c->class != &lstm__class_lstm)
            return lstm__onnx_refuse(c->node, "has a third output");
        *out = (lstm__onnx_value){.rank = k == 0 ? 4 : 3, .is_state = k > 0};
        for (int axis = 0; axis < out->rank; axis++) {
            const int kind = axes[k > 0][c->layout][axis];
            out->axis[axis] = kind;
            out->shape[axis] = kind == LSTM__AXIS_STEP    ? c->steps
                               : kind == LSTM__AXIS_PART  ? c->directions
                               : kind == LSTM__AXIS_BATCH ? batch
                                                          : c->units;
        }
        for (int d = 0; d < c->directions; d++) {
            const bool backwards = d == 1 || c->reverse;
            parts[d] = (lstm__onnx_part){&layers[d]->node->ports[k], k == 0 && backwards};
        }
        RETURN_IF_ERROR(lstm__onnx_set_parts(c->import, out, c->directions, parts));
    }
    return LSTM_OK;
}

/* ---- The three operators */

static lstm_status add_layers(lstm__onnx_cell *c)
{
    const lstm_layer *h0[2] = {NULL, NULL};
    const lstm_layer *c0[2] = {NULL, NULL};
    const lstm_layer *layers[2] = {NULL, NULL};
    const bool is_lstm = c->class == &lstm__class_lstm;
    RETURN_IF_ERROR(read_state(c, 5, h0));
    if (is_lstm)
        RETURN_IF_ERROR(read_state(c, 6, c0));
    for (int d = 0; d < c->directions; d++) {
        const lstm_layer *inputs[3] = {c->x, h0[d], c0[d]};
        lstm_layer *layer = NULL;
        const bool started = h0[d] || c0[d];
        for (int k = 1; is_lstm && started && k < 3; k++)
            if (!inputs[k])
                RETURN_IF_ERROR(complete_state(c, &inputs[k]));
        RETURN_IF_ERROR(lstm__onnx_cell_options(c, d, d == 1 || c->reverse));
        RETURN_IF_ERROR(lstm__onnx_add(c->import, c->class, &c->options, inputs,
                                       started ? (is_lstm ? 3 : 2) : 1, &layer));
        RETURN_IF_ERROR(assign(c, d, layer));
        RETURN_IF_ERROR(lstm__onnx_cell_extra(c, d, layer));
        layers[d] = layer;
    }
    return set_outputs(c, layers);
}

static lstm_status translate(lstm__onnx_import *import, const lstm__onnx_node *node,
                             const lstm__layer_class *class, int gates)
{
    lstm__onnx_cell c = {.import = import, .node = node, .class = class, .gates = gates};
    RETURN_IF_ERROR(read_attributes(&c));
    RETURN_IF_ERROR(read_sequence(&c));
    RETURN_IF_ERROR(read_weights(&c));
    RETURN_IF_ERROR(read_lengths(&c));
    return add_layers(&c);
}

static lstm_status lstm(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    return translate(import, node, &lstm__class_lstm, 4);
}

static lstm_status gru(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    return translate(import, node, &lstm__class_gru, 3);
}

static lstm_status rnn(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    return translate(import, node, &lstm__class_simple_rnn, 1);
}

const lstm__onnx_operator lstm__onnx_cell_operators[] = {
    {"LSTM", lstm},
    {"GRU", gru},
    {"RNN", rnn},
    {NULL, NULL},
};
