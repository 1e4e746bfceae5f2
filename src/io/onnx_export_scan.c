/* SPDX-License-Identifier: MIT
 *
 * Recurrent layers that ONNX' LSTM, GRU and RNN cannot say, as a Scan whose body is one step in plain
 * operators: projection, clip of the cell, zoneout (its mean), normalised gates and cells, an input
 * gate that follows from the forget gate, activations that ONNX lacks, and every cell under a mask,
 * as sequence_lens knows only steps that are left out at the end. x W of all steps is one product in
 * front of it.
 *
 *     h, c, (y before), [x W](t), (mask(t))  ->  h, c, (y), y(t)
 * The formulas are those of kernels/variants_tpl.h and kernels/gru_tpl.h, without training.
 */
#include "activation.h"
#include "layer_lstm_variants.h"
#include "onnx_export.h"

#include <stdio.h>
#include <string.h>

enum { STATES = 3 }; /* h, c, y */

typedef struct scan {
    lstm__onnx_export *x;
    const lstm__node *node;
    const lstm_lstm_options *lstm; /* NULL: another cell */
    const lstm_gru_options *gru;
    const lstm_simple_rnn_options *rnn;
    lstm__variant_values values;
    int64_t units, width, gates, inputs; /* H, numbers of h, number of gates, I */
    bool sequences, backwards, zeros, torch, bias;
    bool repeats; /* the output before is a state of the loop */
    bool masked;
    char mask[LSTM__ONNX_NAME];
    int states;
    const char *before[STATES], *after[STATES]; /* in the body */
    const char *step, *step_mask, *output;
} scan;

/* ---- When */

static bool is_said(lstm__activation activation)
{
    lstm__onnx_formula formula;
    return lstm__onnx_formula_of(activation, &formula) && formula.in_cells;
}

static bool lstm_needs(const lstm_lstm_options *o)
{
    const lstm__activation output = o->output_activation
                                        ? lstm__activation_of(o->output_activation,
                                                              o->output_activation_alpha,
                                                              o->output_activation_beta)
                                        : lstm__activation_of(o->activation, 0, 0);
    return o->proj_size > 0 || o->cell_clip > 0 || o->zoneout_h > 0 || o->zoneout_c > 0 ||
           o->layer_norm != LSTM_LAYER_NORM_NONE || o->coupled_gates == LSTM_COUPLING_INPUT ||
           !is_said(lstm__activation_of(o->activation, o->activation_alpha, o->activation_beta)) ||
           !is_said(lstm__activation_of(o->recurrent_activation, o->recurrent_activation_alpha,
                                        o->recurrent_activation_beta)) ||
           !is_said(output);
}

bool lstm__onnx_needs_scan(const lstm__onnx_export *x, const lstm__node *node)
{
    char name[LSTM__ONNX_NAME];
    if (lstm__onnx_mask(x, node->inputs[0], name))
        return true;
    if (node->class == &lstm__class_lstm)
        return lstm_needs(node->options);
    if (node->class == &lstm__class_gru) {
        const lstm_gru_options *o = node->options;
        return !is_said(
                   lstm__activation_of(o->activation, o->activation_alpha, o->activation_beta)) ||
               !is_said(lstm__activation_of(o->recurrent_activation, o->recurrent_activation_alpha,
                                            o->recurrent_activation_beta));
    }
    const lstm_simple_rnn_options *o = node->options;
    return !is_said(lstm__activation_of(o->activation, o->activation_alpha, o->activation_beta));
}

static void describe(scan *s)
{
    const lstm__node *node = s->node;
    const lstm_layer *input = node->inputs[0];
    s->torch = node->model->profile == LSTM_PROFILE_TORCH;
    s->units = node->class == &lstm__class_lstm ? node->shapes[2].features
                                                : node->shapes[1].features;
    s->width = node->shapes[1].features;
    s->inputs = input->node->shapes[input->port].features;
    s->sequences = node->shapes[0].steps != 0;
    s->masked = lstm__onnx_mask(s->x, input, s->mask) != NULL;
    if (node->class == &lstm__class_lstm) {
        s->lstm = node->options;
        s->gates = 4;
        s->backwards = s->lstm->go_backwards == LSTM_YES;
        s->zeros = s->lstm->zero_output_for_mask == LSTM_YES;
        s->bias = s->lstm->use_bias == LSTM_YES;
        s->values = lstm__variant_values_of(node, node->model->values);
    } else if (node->class == &lstm__class_gru) {
        s->gru = node->options;
        s->gates = 3;
        s->backwards = s->gru->go_backwards == LSTM_YES;
        s->zeros = s->gru->zero_output_for_mask == LSTM_YES;
        s->bias = s->gru->use_bias == LSTM_YES;
    } else {
        s->rnn = node->options;
        s->gates = 1;
        s->backwards = s->rnn->go_backwards == LSTM_YES;
        s->zeros = s->rnn->zero_output_for_mask == LSTM_YES;
        s->bias = s->rnn->use_bias == LSTM_YES;
    }
    /* GRU and SimpleRNN repeat h, also the first one */
    s->repeats = s->lstm && s->masked && s->sequences && !s->zeros;
    s->states = s->lstm ? (s->repeats ? 3 : 2) : 1;
}

/* ---- Small words */

static const char *make(const scan *s, const char *op, const char *a, const char *b)
{
    return lstm__onnx_make(s->x, s->node, op, a, b, NULL);
}

static const char *row(const scan *s, int64_t count, const float *values)
{
    return lstm__onnx_floats_of(s->x, s->node, 1, &count, values);
}

static const char *matrix(const scan *s, int64_t rows, int64_t columns, const float *values)
{
    return lstm__onnx_floats_of(s->x, s->node, 2, (const int64_t[]){rows, columns}, values);
}

static const char *clip(const scan *s, float limit, const char *value)
{
    return limit > 0
               ? lstm__onnx_make(s->x, s->node, "Clip", value, lstm__onnx_number(s->x, -limit),
                                 lstm__onnx_number(s->x, limit))
               : value;
}

/* (1 - rate) fresh + rate old */
static const char *hold(const scan *s, float rate, const char *fresh, const char *old)
{
    if (!(rate > 0))
        return fresh;
    const char *difference = make(s, "Sub", old, fresh);
    return make(s, "Add", fresh, make(s, "Mul", difference, lstm__onnx_number(s->x, rate)));
}

static const char *complement(const scan *s, const char *value)
{
    return make(s, "Sub", lstm__onnx_number(s->x, 1), value);
}

static lstm_status activate(const scan *s, int32_t kind, float alpha, float beta, const char *value,
                            const char **out)
{
    lstm__node unnamed = *s->node;
    unnamed.name[0] = 0;
    *out = lstm__onnx_fresh(s->x, s->node);
    return lstm__onnx_activate(s->x, &unnamed, lstm__activation_of(kind, alpha, beta), value, *out);
}

/* The gates of a row, or (`count` fewer) of the first of them. */
static void split(const scan *s, const char *value, int64_t count, const char **parts)
{
    const char *inputs[] = {value, NULL};
    const char *outputs[5] = {NULL};
    for (int64_t k = 0; k < count; k++)
        outputs[k] = parts[k] = lstm__onnx_fresh(s->x, s->node);
    lstm__onnx_node_open(&s->x->w, "Split", NULL, inputs, outputs);
    lstm__onnx_node_int(&s->x->w, "axis", -1);
    lstm__onnx_node_close(&s->x->w);
}

/* (value - mean) / sqrt(variance + epsilon) gamma + beta along the last axis of `count` numbers;
 * gamma NULL = 1, beta NULL = 0 */
static const char *normalise(const scan *s, const char *value, int64_t count, const float *gamma,
                             const float *beta)
{
    const char *to = lstm__onnx_fresh(s->x, s->node);
    const char *scale = gamma ? row(s, count, gamma)
                              : make(s, "Expand", lstm__onnx_number(s->x, 1),
                                     lstm__onnx_integers(s->x, &count, 1));
    const char *inputs[] = {value, scale, beta ? row(s, count, beta) : NULL, NULL};
    const char *outputs[] = {to, NULL};
    const float epsilon = s->lstm->layer_norm_epsilon;
    lstm__onnx_node_open(&s->x->w, "LayerNormalization", NULL, inputs, outputs);
    lstm__onnx_node_int(&s->x->w, "axis", -1);
    lstm__onnx_node_float(&s->x->w, "epsilon", epsilon < 0 ? 0 : epsilon);
    lstm__onnx_node_close(&s->x->w);
    return to;
}

/* ---- LSTM */

static bool normalises_apart(const scan *s)
{
    return s->lstm && (s->lstm->layer_norm == LSTM_LAYER_NORM_BA ||
                       s->lstm->layer_norm == LSTM_LAYER_NORM_FASTRNNS);
}
static bool normalises_gates(const scan *s)
{
    return s->lstm && (s->lstm->layer_norm == LSTM_LAYER_NORM_TF ||
                       s->lstm->layer_norm == LSTM_LAYER_NORM_TFLITE);
}

/* Bias, or the sum of two. */
static const char *add_biases(const scan *s, const char *value)
{
    for (int k = 0; k < 2 && s->values.bias[k]; k++)
        value = make(s, "Add", value, row(s, 4 * s->units, s->values.bias[k]));
    return value;
}

/* Sums of the four gates before their activation. */
static const char *lstm_sums(const scan *s)
{
    const int64_t all = 4 * s->units;
    const char *h = make(s, "MatMul", s->before[0], matrix(s, s->width, all, s->values.weights));
    if (normalises_apart(s))
        return make(s, "Add", s->step, normalise(s, h, all, s->values.gamma[0], NULL));
    const char *sum = make(s, "Add", s->step, h);
    if (!normalises_gates(s))
        return sum;
    const char *apart = make(s, "Reshape", sum,
                             lstm__onnx_integers(s->x, (const int64_t[]){-1, 4, s->units}, 3));
    const char *together = make(s, "Reshape", normalise(s, apart, s->units, NULL, NULL),
                                lstm__onnx_integers(s->x, (const int64_t[]){-1, all}, 2));
    return add_biases(s, make(s, "Mul", together, row(s, all, s->values.gamma[0])));
}

/* a + p c of gate number `look` among i, f, o */
static const char *look(const scan *s, int64_t number, const char *value, const char *c)
{
    if (!s->values.peephole)
        return value;
    const char *p = row(s, s->units, s->values.peephole + number * s->units);
    return make(s, "Add", value, make(s, "Mul", c, p));
}

static lstm_status gate(const scan *s, const char *sum, const char **out)
{
    const lstm_lstm_options *o = s->lstm;
    return activate(s, o->recurrent_activation, o->recurrent_activation_alpha,
                    o->recurrent_activation_beta, clip(s, o->gate_clip, sum), out);
}

/* i, f and g, and c' from them. */
static lstm_status fresh_cell(const scan *s, const char *const sums[4], const char **cell)
{
    const lstm_lstm_options *o = s->lstm;
    const char *c = s->before[1];
    const char *i = NULL;
    const char *f = NULL;
    const char *g = NULL;
    if (o->coupled_gates != LSTM_COUPLING_INPUT)
        RETURN_IF_ERROR(gate(s, look(s, 0, sums[0], c), &i));
    if (o->coupled_gates != LSTM_COUPLING_FORGET)
        RETURN_IF_ERROR(gate(s, look(s, 1, sums[1], c), &f));
    if (!i)
        i = complement(s, f);
    if (!f)
        f = complement(s, i);
    RETURN_IF_ERROR(activate(s, o->activation, o->activation_alpha, o->activation_beta,
                             clip(s, o->gate_clip, sums[2]), &g));
    const char *kept = make(s, "Mul", f, c);
    *cell = clip(s, o->cell_clip, make(s, "Add", kept, make(s, "Mul", i, g)));
    return LSTM_OK;
}

static lstm_status lstm_step(scan *s)
{
    const lstm_lstm_options *o = s->lstm;
    const bool carried = o->layer_norm == LSTM_LAYER_NORM_TF ||
                         o->layer_norm == LSTM_LAYER_NORM_FASTRNNS;
    const bool own = o->output_activation != 0;
    const char *sums[4];
    const char *m = NULL;
    const char *gate_o = NULL;
    const char *active = NULL;
    split(s, lstm_sums(s), 4, sums);
    RETURN_IF_ERROR(fresh_cell(s, sums, &m));
    const char *seen = s->values.cell_gamma
                           ? normalise(s, m, s->units, s->values.cell_gamma, s->values.cell_beta)
                           : m;
    RETURN_IF_ERROR(gate(s, look(s, 2, sums[3], carried ? seen : m), &gate_o));
    RETURN_IF_ERROR(activate(s, own ? o->output_activation : o->activation,
                             own ? o->output_activation_alpha : o->activation_alpha,
                             own ? o->output_activation_beta : o->activation_beta, seen, &active));
    const char *h = make(s, "Mul", gate_o, active);
    if (s->values.projection)
        h = clip(s, o->proj_clip,
                 make(s, "MatMul", h, matrix(s, s->units, s->width, s->values.projection)));
    s->after[0] = hold(s, o->zoneout_h, h, s->before[0]);
    s->after[1] = hold(s, o->zoneout_c, carried ? seen : m, s->before[1]);
    return LSTM_OK;
}

/* ---- GRU and SimpleRNN */

static lstm_status gru_step(scan *s)
{
    const lstm_gru_options *o = s->gru;
    const int64_t units = s->units;
    const bool after = o->reset_after == LSTM_YES;
    const float *kernel = lstm__stored(s->node, 1);
    const char *h = s->before[0];
    const char *x[3];
    const char *u[3] = {NULL};
    const char *gates[2];
    const char *g = NULL;
    split(s, s->step, 3, x);
    const char *all = make(s, "MatMul", h, matrix(s, units, 3 * units, kernel));
    if (after && s->bias)
        all = make(s, "Add", all,
                   row(s, 3 * units,
                       s->torch ? lstm__stored(s->node, 3) : lstm__stored(s->node, 2) + 3 * units));
    split(s, all, 3, u);
    for (int k = 0; k < 2; k++)
        RETURN_IF_ERROR(activate(s, o->recurrent_activation, o->recurrent_activation_alpha,
                                 o->recurrent_activation_beta, make(s, "Add", x[k], u[k]),
                                 &gates[k]));
    const char *z = gates[s->torch ? 1 : 0];
    const char *r = gates[s->torch ? 0 : 1];
    const char *candidate = u[2];
    if (after) {
        candidate = make(s, "Mul", r, candidate);
    } else { /* the third product is of r h */
        const char *columns = lstm__onnx_integers(s->x, (const int64_t[]){2 * units}, 1);
        const char *inputs[] = {matrix(s, units, 3 * units, kernel), columns,
                                lstm__onnx_integers(s->x, (const int64_t[]){3 * units}, 1),
                                lstm__onnx_integers(s->x, (const int64_t[]){1}, 1), NULL};
        const char *part = lstm__onnx_fresh(s->x, s->node);
        const char *outputs[] = {part, NULL};
        lstm__onnx_node_open(&s->x->w, "Slice", NULL, inputs, outputs);
        lstm__onnx_node_close(&s->x->w);
        candidate = make(s, "MatMul", make(s, "Mul", r, h), part);
    }
    RETURN_IF_ERROR(activate(s, o->activation, o->activation_alpha, o->activation_beta,
                             make(s, "Add", x[2], candidate), &g));
    s->after[0] = make(s, "Add", g, make(s, "Mul", z, make(s, "Sub", h, g)));
    return LSTM_OK;
}

static lstm_status rnn_step(scan *s)
{
    const lstm_simple_rnn_options *o = s->rnn;
    const char *sum = make(
        s, "Add", s->step,
        make(s, "MatMul", s->before[0], matrix(s, s->units, s->units, lstm__stored(s->node, 1))));
    return activate(s, o->activation, o->activation_alpha, o->activation_beta, sum, &s->after[0]);
}

/* ---- The loop */

/* What the mask leaves out holds its states; the output. */
static void mask_step(scan *s)
{
    const char *h = s->after[0];
    for (int k = 0; s->masked && k < (s->lstm ? 2 : 1); k++)
        s->after[k] = lstm__onnx_make(s->x, s->node, "Where", s->step_mask, s->after[k],
                                      s->before[k]);
    if (s->repeats)
        s->after[2] = lstm__onnx_make(s->x, s->node, "Where", s->step_mask, h, s->before[2]);
    if (s->masked && s->zeros)
        s->output = lstm__onnx_masked(s->x, s->node, h, s->step_mask);
    else
        s->output = make(s, "Identity", s->after[s->repeats ? 2 : 0], NULL);
}

static void port(const scan *s, uint32_t field, const char *name, int32_t type, int64_t width)
{
    static const char *const symbols[] = {"batch", "width"};
    lstm__onnx_put_port(&s->x->w, field, name, type, 2, (const int64_t[]){0, width}, symbols);
}

static lstm_status put_body(scan *s)
{
    const int64_t widths[STATES] = {s->width, s->units, s->width};
    for (int k = 0; k < s->states; k++) {
        s->before[k] = lstm__onnx_fresh(s->x, s->node);
        port(s, 11, s->before[k], LSTM__ONNX_FLOAT, widths[k]);
    }
    s->step = lstm__onnx_fresh(s->x, s->node);
    port(s, 11, s->step, LSTM__ONNX_FLOAT, s->gates * s->units);
    if (s->masked) {
        s->step_mask = lstm__onnx_fresh(s->x, s->node);
        port(s, 11, s->step_mask, LSTM__ONNX_BOOL, 1);
    }
    RETURN_IF_ERROR(s->lstm ? lstm_step(s) : s->gru ? gru_step(s) : rnn_step(s));
    mask_step(s);
    for (int k = 0; k < s->states; k++)
        port(s, 12, s->after[k], LSTM__ONNX_FLOAT, widths[k]);
    port(s, 12, s->output, LSTM__ONNX_FLOAT, s->width);
    return lstm__message_check(&s->x->w.graph);
}

/* x W of all steps, with the biases that stand there. */
static const char *put_products(const scan *s)
{
    const int64_t all = s->gates * s->units;
    char input[LSTM__ONNX_NAME];
    const char *value = make(s, "MatMul", lstm__onnx_value_name(s->node->inputs[0], input),
                             matrix(s, s->inputs, all, lstm__stored(s->node, 0)));
    if (normalises_apart(s))
        value = normalise(s, value, all, s->values.gamma[1], NULL);
    if (s->lstm)
        return normalises_gates(s) ? value : add_biases(s, value);
    if (s->bias)
        value = make(s, "Add", value, row(s, all, lstm__stored(s->node, 2)));
    if (s->bias && s->rnn && s->torch)
        value = make(s, "Add", value, row(s, all, lstm__stored(s->node, 3)));
    return value;
}

/* The first state number k: from outside, from another layer, or zeros. */
static const char *first_state(const scan *s, int k)
{
    char name[LSTM__ONNX_NAME];
    const int64_t width = k == 1 ? s->units : s->width;
    if (k < 2 && lstm__onnx_is_stateful(s->node)) {
        snprintf(name, sizeof name, "%s.%s", s->node->name, k == 0 ? "h0" : "c0");
        return make(s, "Squeeze", name, lstm__onnx_integers(s->x, (const int64_t[]){0}, 1));
    }
    if (k < 2 && s->node->input_count > k + 1)
        return make(s, "Identity", lstm__onnx_value_name(s->node->inputs[k + 1], name), NULL);
    lstm__node unnamed = *s->node;
    unnamed.name[0] = 0;
    const char *zeros = make(s, "Expand", lstm__onnx_number(s->x, 0),
                             lstm__onnx_integers(s->x, (const int64_t[]){1, width}, 2));
    return lstm__onnx_for_batch(s->x, &unnamed, zeros, width, lstm__onnx_fresh(s->x, s->node));
}

/* The last output, where it is not the last h: zeros for samples without a valid step. */
static const char *last_output(const scan *s, const char *h)
{
    const bool starts = s->node->input_count == 3 || lstm__onnx_is_stateful(s->node);
    if (!s->lstm || !s->masked || !starts || s->torch)
        return h;
    const char *number = lstm__onnx_fresh(s->x, s->node);
    const char *any = lstm__onnx_fresh(s->x, s->node);
    lstm__onnx_open(s->x, NULL, "Cast", s->mask, NULL, number);
    lstm__onnx_node_int(&s->x->w, "to", LSTM__ONNX_FLOAT);
    lstm__onnx_node_close(&s->x->w);
    lstm__onnx_open(s->x, NULL, "ReduceMax", number, NULL, any);
    lstm__onnx_node_ints(&s->x->w, "axes", (const int64_t[]){1}, 1);
    lstm__onnx_node_int(&s->x->w, "keepdims", 0);
    lstm__onnx_node_close(&s->x->w);
    return make(s, "Mul", h, any);
}

static void put_outputs(const scan *s, const char *const last[STATES], const char *sequence)
{
    const lstm__node *node = s->node;
    char name[LSTM__ONNX_NAME];
    char time[LSTM__ONNX_NAME];
    for (int k = 0; k < (s->lstm ? 2 : 1); k++) {
        if (lstm__onnx_is_stateful(node)) {
            snprintf(name, sizeof name, "%s.%s", node->name, k == 0 ? "hn" : "cn");
            lstm__onnx_simple(s->x, NULL, "Unsqueeze", last[k],
                              lstm__onnx_integers(s->x, (const int64_t[]){0}, 1), name);
        }
        if (node->readers[k + 1] > 0)
            lstm__onnx_simple(s->x, NULL, "Identity", last[k], NULL,
                              lstm__onnx_value_name(&node->ports[k + 1], name));
    }
    if (!s->sequences) {
        if (node->readers[0] > 0)
            lstm__onnx_simple(s->x, NULL, "Identity", last_output(s, last[0]), NULL,
                              lstm__onnx_value_name(&node->ports[0], name));
        return;
    }
    lstm__onnx_simple(s->x, NULL, "Identity", sequence, NULL,
                      lstm__onnx_value_name(&node->ports[0], name));
    if (s->backwards)
        lstm__onnx_turn(s->x, NULL, name, lstm__onnx_between(node, "time", time));
}

lstm_status lstm__onnx_export_scan(lstm__onnx_export *x, const lstm__node *node)
{
    lstm_status status = LSTM_OK;
    scan s = {.x = x, .node = node};
    lstm__message outer = {0};
    lstm__message body = {0};
    const char *inputs[STATES + 3] = {NULL};
    const char *outputs[STATES + 2] = {NULL};
    describe(&s);
    for (int k = 0; k < s.states; k++)
        inputs[k] = first_state(&s, k);
    inputs[s.states] = put_products(&s);
    inputs[s.states + 1] = s.masked ? s.mask : NULL;
    lstm__onnx_graph_open(&x->w, &outer);
    status = put_body(&s);
    lstm__onnx_graph_close(&x->w, &outer, node->name, &body);
    if (status == LSTM_OK) {
        const int64_t ones[] = {1, 1};
        const int64_t directions[] = {s.backwards, s.backwards};
        const size_t scanned = s.masked ? 2 : 1;
        for (int k = 0; k <= s.states; k++)
            outputs[k] = lstm__onnx_fresh(x, node);
        lstm__onnx_node_open(&x->w, "Scan", node->name, inputs, outputs);
        lstm__onnx_node_graph(&x->w, "body", &body);
        lstm__onnx_node_int(&x->w, "num_scan_inputs", (int64_t)scanned);
        lstm__onnx_node_ints(&x->w, "scan_input_axes", ones, scanned);
        lstm__onnx_node_ints(&x->w, "scan_input_directions", directions, scanned);
        lstm__onnx_node_ints(&x->w, "scan_output_axes", ones, 1);
        lstm__onnx_node_close(&x->w);
        put_outputs(&s, outputs, outputs[s.states]);
        lstm__onnx_put_mask(x, node);
    }
    lstm__message_end(&body);
    return status;
}
