/* SPDX-License-Identifier: MIT
 *
 * LSTM, GRU and SimpleRNN as nodes of ONNX, layout 0:
 *
 *     x (B, T, I) -> Transpose -> LSTM, GRU or RNN -> Y (T, 1, B, H), Y_h, Y_c (1, B, H)
 *
 * Rows of W and R are our columns, gates in ONNX' order. A layer that goes backwards has direction
 * reverse, whose Y is in the order of time: NAME:time, which a Bidirectional reads; turned round by a
 * Slice it is the layer's own output.
 */
#include "activation.h"
#include "onnx_export.h"

#include <stdio.h>
#include <string.h>

/* What the three kinds of layers have in common. */
typedef struct cell {
    const lstm__node *node;
    const char *op;
    size_t gates, units, inputs;
    size_t place[4]; /* of each of ONNX' gates among our columns */
    bool sequences, backwards, bias, lstm, reset_after;
    lstm__activation activation[3]; /* f, g, h */
    int activations;
    int biases; /* arrays of them in the model */
    bool coupled, peepholes;
    float clip;
} cell;

bool lstm__onnx_is_cell(const lstm__node *node)
{
    return node->class == &lstm__class_lstm || node->class == &lstm__class_gru ||
           node->class == &lstm__class_simple_rnn;
}

bool lstm__onnx_is_stateful(const lstm__node *node)
{
    if (node->class == &lstm__class_lstm)
        return ((const lstm_lstm_options *)node->options)->stateful == LSTM_YES;
    if (node->class == &lstm__class_gru)
        return ((const lstm_gru_options *)node->options)->stateful == LSTM_YES;
    return node->class == &lstm__class_simple_rnn &&
           ((const lstm_simple_rnn_options *)node->options)->stateful == LSTM_YES;
}

static lstm_status describe_lstm(cell *c)
{
    static const size_t place[] = {0, 3, 1, 2}; /* i, o, f, c of i, f, c, o */
    const lstm_lstm_options *own = c->node->options;
    c->op = "LSTM";
    c->gates = 4;
    memcpy(c->place, place, sizeof place);
    c->lstm = true;
    c->sequences = own->return_sequences == LSTM_YES;
    c->backwards = own->go_backwards == LSTM_YES;
    c->bias = own->use_bias == LSTM_YES;
    c->peepholes = own->peepholes == LSTM_YES;
    c->coupled = own->coupled_gates == LSTM_COUPLING_FORGET;
    c->clip = own->gate_clip;
    c->biases = (int)c->node->parameter_count - 2 - c->peepholes;
    c->activations = 3;
    c->activation[0] = lstm__activation_of(
        own->recurrent_activation, own->recurrent_activation_alpha, own->recurrent_activation_beta);
    c->activation[1] = c->activation[2] = lstm__activation_of(
        own->activation, own->activation_alpha, own->activation_beta);
    if (own->output_activation)
        c->activation[2] = lstm__activation_of(own->output_activation, own->output_activation_alpha,
                                               own->output_activation_beta);
    return LSTM_OK;
}

static lstm_status describe_gru(cell *c)
{
    const lstm_gru_options *own = c->node->options;
    const bool torch = c->node->model->profile == LSTM_PROFILE_TORCH;
    c->op = "GRU";
    c->gates = 3;
    c->place[0] = torch ? 1 : 0; /* z, r, h of z, r, h or of r, z, h */
    c->place[1] = torch ? 0 : 1;
    c->place[2] = 2;
    c->sequences = own->return_sequences == LSTM_YES;
    c->backwards = own->go_backwards == LSTM_YES;
    c->bias = own->use_bias == LSTM_YES;
    c->biases = (int)c->node->parameter_count - 2;
    c->reset_after = own->reset_after == LSTM_YES;
    c->activations = 2;
    c->activation[0] = lstm__activation_of(
        own->recurrent_activation, own->recurrent_activation_alpha, own->recurrent_activation_beta);
    c->activation[1] = lstm__activation_of(own->activation, own->activation_alpha,
                                           own->activation_beta);
    return LSTM_OK;
}

static lstm_status describe_rnn(cell *c)
{
    const lstm_simple_rnn_options *own = c->node->options;
    c->op = "RNN";
    c->gates = 1;
    c->sequences = own->return_sequences == LSTM_YES;
    c->backwards = own->go_backwards == LSTM_YES;
    c->bias = own->use_bias == LSTM_YES;
    c->biases = (int)c->node->parameter_count - 2;
    c->activations = 1;
    c->activation[0] = lstm__activation_of(own->activation, own->activation_alpha,
                                           own->activation_beta);
    return LSTM_OK;
}

static lstm_status describe(const lstm__node *node, cell *c)
{
    const lstm_layer *input = node->inputs[0];
    *c = (cell){.node = node,
                .units = (size_t)node->shapes[1].features,
                .inputs = (size_t)input->node->shapes[input->port].features};
    if (node->class == &lstm__class_lstm)
        return describe_lstm(c);
    return node->class == &lstm__class_gru ? describe_gru(c) : describe_rnn(c);
}

/* ---- Weights */

/* Columns of `stored` [width][gates * units] as rows, in ONNX' order. */
static void rows_of(const cell *c, const float *stored, size_t width, float *rows)
{
    const size_t columns = c->gates * c->units;
    for (size_t g = 0; g < c->gates; g++)
        for (size_t u = 0; u < c->units; u++)
            for (size_t k = 0; k < width; k++)
                *rows++ = stored[k * columns + c->place[g] * c->units + u];
}

/* Wb then Rb. Where there is one bias, or two that are added, all of it is in Wb. */
static void both_biases(const cell *c, float *both)
{
    const size_t columns = c->gates * c->units;
    const float *x = lstm__stored(c->node, 2);
    const float *h = c->biases == 2 ? lstm__stored(c->node, 3) : NULL;
    if (c->reset_after && !h)
        h = x + columns;
    for (size_t g = 0; g < c->gates; g++)
        for (size_t u = 0; u < c->units; u++) {
            const size_t from = c->place[g] * c->units + u;
            both[g * c->units + u] = x[from] + (h && !c->reset_after ? h[from] : 0);
            both[columns + g * c->units + u] = c->reset_after ? h[from] : 0;
        }
}

static lstm_status put_weights(lstm__onnx_export *x, const cell *c, char names[4][LSTM__ONNX_NAME])
{
    const lstm_model *model = x->model;
    const int64_t rows = (int64_t)(c->gates * c->units);
    const size_t width = c->inputs > c->units ? c->inputs : c->units;
    const size_t count = (size_t)rows * (width > 2 ? width : 2);
    float *values = lstm__allocate_array(model->context, count, sizeof *values);
    if (!values)
        return lstm__fail_memory(count * sizeof *values, "the weights of the ONNX file");
    rows_of(c, lstm__stored(c->node, 0), c->inputs, values);
    lstm__onnx_floats_out(x, c->node, "W", 3, (const int64_t[]){1, rows, (int64_t)c->inputs},
                          values, names[0]);
    rows_of(c, lstm__stored(c->node, 1), c->units, values);
    lstm__onnx_floats_out(x, c->node, "R", 3, (const int64_t[]){1, rows, (int64_t)c->units}, values,
                          names[1]);
    names[2][0] = names[3][0] = 0;
    if (c->peepholes) { /* rows i, o, f of our i, f, o */
        const float *stored = lstm__stored(c->node, (size_t)(2 + c->biases));
        for (size_t u = 0; u < c->units; u++) {
            values[u] = stored[u];
            values[c->units + u] = stored[2 * c->units + u];
            values[2 * c->units + u] = stored[c->units + u];
        }
        lstm__onnx_floats_out(x, c->node, "P", 2, (const int64_t[]){1, 3 * (int64_t)c->units},
                              values, names[3]);
    }
    if (c->bias) {
        both_biases(c, values);
        lstm__onnx_floats_out(x, c->node, "B", 2, (const int64_t[]){1, 2 * rows}, values, names[2]);
    }
    lstm__release(model->context, values);
    return LSTM_OK;
}

/* ---- States */

/* A first state (B, H) as (1, B, H); "" = zeros. */
static lstm_status put_state(lstm__onnx_export *x, const cell *c, int input,
                             char name[LSTM__ONNX_NAME])
{
    char value[LSTM__ONNX_NAME];
    char axis[32];
    const char *what = input == 1 ? "h0" : "c0";
    name[0] = 0;
    if (lstm__onnx_is_stateful(c->node)) {
        snprintf(name, LSTM__ONNX_NAME, "%s.%s", c->node->name, what);
        return LSTM_OK;
    }
    if (c->node->input_count <= input)
        return LSTM_OK;
    lstm__onnx_put_integers(&x->w, axis, 1, (const int64_t[]){0}, 1);
    lstm__onnx_value_name(c->node->inputs[input], value);
    lstm__onnx_between(c->node, what, name);
    lstm__onnx_simple(x, NULL, "Unsqueeze", value, axis, name);
    return LSTM_OK;
}

/* A last state (1, B, H) as (B, H). */
static void take_state(lstm__onnx_export *x, const char *from, const char *to)
{
    char axis[32];
    lstm__onnx_put_integers(&x->w, axis, 1, (const int64_t[]){0}, 1);
    lstm__onnx_simple(x, NULL, "Squeeze", from, axis, to);
}

/* ---- Attributes and outputs */

static lstm_status put_activations(lstm__onnx_export *x, const cell *c)
{
    const char *names[3];
    float numbers[2][3];
    size_t counts[2] = {0, 0};
    for (int k = 0; k < c->activations; k++) {
        lstm__onnx_formula formula;
        if (!lstm__onnx_formula_of(c->activation[k], &formula) || !formula.in_cells)
            return lstm__onnx_cannot(c->node, "this activation inside a recurrent layer");
        names[k] = formula.op;
        for (int n = 0; n < formula.numbers; n++)
            numbers[n][counts[n]++] = formula.number[n];
    }
    lstm__onnx_node_texts(&x->w, "activations", names, (size_t)c->activations);
    if (counts[0] > 0)
        lstm__onnx_node_floats(&x->w, "activation_alpha", numbers[0], counts[0]);
    if (counts[1] > 0)
        lstm__onnx_node_floats(&x->w, "activation_beta", numbers[1], counts[1]);
    return LSTM_OK;
}

/* Y (T, 1, B, H) as (B, T, H), and turned round where the layer goes backwards. */
static void put_sequence(lstm__onnx_export *x, const cell *c, const char *y)
{
    char name[LSTM__ONNX_NAME];
    char turned[LSTM__ONNX_NAME];
    char own[LSTM__ONNX_NAME];
    char axis[32];
    lstm__onnx_between(c->node, "moved", name);
    lstm__onnx_between(c->node, "time", turned);
    lstm__onnx_value_name(&c->node->ports[0], own);
    lstm__onnx_transpose(x, NULL, y, name, (const int64_t[]){2, 0, 1, 3}, 4);
    lstm__onnx_put_integers(&x->w, axis, 1, (const int64_t[]){2}, 1);
    lstm__onnx_simple(x, NULL, "Squeeze", name, axis, c->backwards ? turned : own);
    if (!c->backwards)
        return;
    lstm__onnx_turn(x, NULL, turned, own);
}

/* Whether anybody reads a port. */
static bool is_read(const lstm__node *node, int port)
{
    return node->readers[port] > 0;
}

static lstm_status put_node(lstm__onnx_export *x, const cell *c, const char *const *inputs,
                            char outputs[3][LSTM__ONNX_NAME])
{
    const char *list[] = {outputs[0], outputs[1], c->lstm ? outputs[2] : NULL, NULL};
    lstm__onnx_node_open(&x->w, c->op, c->node->name, inputs, list);
    lstm__onnx_node_int(&x->w, "hidden_size", (int64_t)c->units);
    lstm__onnx_node_text(&x->w, "direction", c->backwards ? "reverse" : "forward");
    if (c->op[0] == 'G')
        lstm__onnx_node_int(&x->w, "linear_before_reset", c->reset_after);
    if (c->coupled)
        lstm__onnx_node_int(&x->w, "input_forget", 1);
    if (c->clip > 0)
        lstm__onnx_node_float(&x->w, "clip", c->clip);
    RETURN_IF_ERROR(put_activations(x, c));
    lstm__onnx_node_close(&x->w);
    return LSTM_OK;
}

lstm_status lstm__onnx_export_cell(lstm__onnx_export *x, const lstm__node *node)
{
    cell c;
    char input[LSTM__ONNX_NAME];
    char moved[LSTM__ONNX_NAME];
    char weights[4][LSTM__ONNX_NAME];
    char states[2][LSTM__ONNX_NAME];
    char outputs[3][LSTM__ONNX_NAME];
    char own[LSTM__ONNX_NAME];
    const bool stateful = lstm__onnx_is_stateful(node);
    if (lstm__onnx_needs_scan(x, node))
        return lstm__onnx_export_scan(x, node);
    RETURN_IF_ERROR(describe(node, &c));
    RETURN_IF_ERROR(put_weights(x, &c, weights));
    RETURN_IF_ERROR(put_state(x, &c, 1, states[0]));
    RETURN_IF_ERROR(put_state(x, &c, 2, states[1]));
    lstm__onnx_value_name(node->inputs[0], input);
    lstm__onnx_between(node, "x", moved);
    lstm__onnx_transpose(x, NULL, input, moved, (const int64_t[]){1, 0, 2}, 3);
    const bool last = is_read(node, 1) || (!c.sequences && is_read(node, 0));
    for (int k = 0; k < 3; k++) {
        static const char *const words[] = {"y", "last_h", "last_c"};
        const bool wanted = k == 0   ? c.sequences && is_read(node, 0)
                            : k == 1 ? last
                                     : c.lstm && is_read(node, 2);
        outputs[k][0] = 0;
        if (stateful && k > 0)
            snprintf(outputs[k], sizeof outputs[k], "%s.%s", node->name, k == 1 ? "hn" : "cn");
        else if (wanted)
            lstm__onnx_between(node, words[k], outputs[k]);
    }
    const char *inputs[] = {moved,
                            weights[0],
                            weights[1],
                            weights[2],
                            "",
                            states[0],
                            c.lstm ? states[1] : NULL,
                            c.peepholes ? weights[3] : NULL,
                            NULL};
    RETURN_IF_ERROR(put_node(x, &c, inputs, outputs));
    if (c.sequences && outputs[0][0])
        put_sequence(x, &c, outputs[0]);
    if (!c.sequences && is_read(node, 0))
        take_state(x, outputs[1], lstm__onnx_value_name(&node->ports[0], own));
    for (int k = 1; k < 3; k++)
        if (node->port_count > k && is_read(node, k))
            take_state(x, outputs[k], lstm__onnx_value_name(&node->ports[k], own));
    return LSTM_OK;
}
