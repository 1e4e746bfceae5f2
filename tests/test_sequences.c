/* SPDX-License-Identifier: MIT
 * Lengths and masks, in double: finite differences for every recurrent option and kind of mask, and
 * on random graphs that padding (filled with NaN), the order of the samples and a cut through the
 * sequences change nothing.
 *
 * Finite differences: fourth-order central, h = 2^-10, inputs are multiples of 2^-8, tolerance 1e-6
 * of the largest gradient of the array. Equalities: 1e-12.
 */
#include "losses.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MOST_OUTPUTS = 8, MOST_INPUTS = 4, GRAPHS = 300 };
static const double STEP = 1.0 / 1024;

static void ok(lstm_status status)
{
    if (status != LSTM_OK)
        fail_msg("%s: %s", lstm_status_name(status), lstm_last_error());
}

static const lstm_layer *add(lstm_model *model, const lstm__layer_class *class, const void *options,
                             const lstm_layer *input)
{
    lstm_layer *out = NULL;
    ok(lstm__graph_add(model, class, options, NULL, &input, class == &lstm__class_input ? 0 : 1,
                       &out));
    return out;
}

static const lstm_layer *sequence(lstm_model *model, int64_t features)
{
    return add(model, &lstm__class_input, &(lstm_input_options){.features = features}, NULL);
}

static const lstm_layer *vector(lstm_model *model, int64_t features)
{
    return add(model, &lstm__class_input,
               &(lstm_input_options){.vector = LSTM_YES, .features = features}, NULL);
}

static const lstm_layer *lstm(lstm_model *model, const lstm_layer *input, lstm_lstm_options options)
{
    return add(model, &lstm__class_lstm, &options, input);
}

static const lstm_layer *lstm_from(lstm_model *model, const lstm_layer *input,
                                   lstm_lstm_options options)
{
    lstm_layer *out = NULL;
    const int64_t width = options.proj_size > 0 ? options.proj_size : options.units;
    const lstm_layer *inputs[3] = {input, vector(model, width), vector(model, options.units)};
    ok(lstm__graph_add(model, &lstm__class_lstm, &options, NULL, inputs, 3, &out));
    return out;
}

/* ---- One model with arrays: inputs and the weights of its outputs, in batch-first order */

typedef struct problem {
    lstm_model *model;
    lstm_session *session;
    size_t batch, steps, input_count;
    float *inputs[MOST_INPUTS];
    size_t input_sizes[MOST_INPUTS];
    float *weights[MOST_OUTPUTS];
    unsigned char *mask; /* [batch][steps] */
    lstm__batch arrays;
} problem;

static size_t values_of(const problem *p, lstm__shape shape)
{
    return p->batch * (shape.steps == 0 ? 1 : p->steps) * (size_t)shape.features;
}

static lstm__shape output_shape(const problem *p, size_t k)
{
    const lstm_layer *layer = p->model->outputs[k];
    return layer->node->shapes[layer->port];
}

static float draw(uint64_t stream, size_t k)
{
    return (float)(floor(512 * lstm__random_uniform(11, stream, k) - 256) / 256);
}

static void start(problem *p, lstm_model *model, size_t batch, size_t steps)
{
    *p = (problem){.model = model, .batch = batch, .steps = steps};
    for (size_t k = 0; k < model->node_count; k++)
        if (model->nodes[k]->class == &lstm__class_input) {
            const size_t count = values_of(p, model->nodes[k]->shapes[0]);
            float *values = malloc((count + 1) * sizeof *values);
            for (size_t v = 0; v < count; v++)
                values[v] = draw(20 + p->input_count, v);
            p->input_sizes[p->input_count] = count;
            p->inputs[p->input_count++] = values;
        }
    for (size_t k = 0; k < model->output_count; k++) {
        const size_t count = values_of(p, output_shape(p, k));
        p->weights[k] = malloc((count + 1) * sizeof(float));
        for (size_t v = 0; v < count; v++)
            p->weights[k][v] = draw(40 + k, v);
    }
    p->mask = malloc(batch * steps + 1);
    memset(p->mask, 1, batch * steps);
    ok(lstm__session_create(&p->session, model, true, true, batch > 0 ? batch : 1, steps, 9));
    p->arrays = (lstm__batch){.layout = LSTM_LAYOUT_BATCH_FIRST,
                              .samples = batch,
                              .count = batch,
                              .steps = steps,
                              .inputs = (const float *const *)p->inputs,
                              .mask = p->mask};
}

static void end(problem *p)
{
    lstm__session_destroy(p->session);
    for (size_t k = 0; k < MOST_INPUTS; k++)
        free(p->inputs[k]);
    for (size_t k = 0; k < MOST_OUTPUTS; k++)
        free(p->weights[k]);
    free(p->mask);
}

static void build(lstm_model *model)
{
    ok(lstm__graph_build(model));
    for (size_t k = 0; k < model->value_count; k++)
        model->values[k] += (real)(lstm__random_uniform(3, 3, k) - 0.5) / 2;
    lstm__graph_changed(model);
}

static double *output(const problem *p, size_t k)
{
    const lstm_layer *layer = p->model->outputs[k];
    const lstm__shape shape = output_shape(p, k);
    const lstm__view value = lstm__session_port(p->session, layer)->value;
    const size_t steps = shape.steps == 0 ? 1 : p->steps;
    const size_t features = (size_t)shape.features;
    double *values = malloc((values_of(p, shape) + 1) * sizeof *values);
    for (size_t b = 0; b < p->batch; b++)
        for (size_t t = 0; t < steps; t++)
            for (size_t f = 0; f < features; f++)
                values[(b * steps + t) * features + f] =
                    value.data[(t * p->batch + b) * value.stride + f];
    return values;
}

static double objective(problem *p)
{
    double sum = 0;
    lstm__session_forward(p->session, &p->arrays);
    for (size_t k = 0; k < p->model->output_count; k++) {
        const lstm__shape shape = output_shape(p, k);
        lstm__port *port = lstm__session_port(p->session, p->model->outputs[k]);
        double *values = output(p, k);
        lstm__session_import(p->session, shape, port->gradient, LSTM_LAYOUT_BATCH_FIRST,
                             p->weights[k]);
        port->written = true;
        for (size_t v = 0; v < values_of(p, shape); v++)
            sum += values[v] * (double)p->weights[k][v];
        free(values);
    }
    return sum;
}

/* Parameter gradients, then input gradients; of size *count. */
static double *gradients(problem *p, size_t *count)
{
    size_t total = p->model->value_count;
    for (size_t k = 0; k < p->input_count; k++)
        total += p->input_sizes[k];
    double *values = malloc((total + 1) * sizeof *values);
    objective(p);
    lstm__session_backward(p->session);
    memcpy(values, p->session->gradients, p->model->value_count * sizeof *values);
    size_t at = p->model->value_count;
    for (size_t k = 0, input = 0; k < p->model->node_count; k++) {
        const lstm__node *node = p->model->nodes[k];
        if (node->class != &lstm__class_input)
            continue;
        const size_t steps = node->shapes[0].steps == 0 ? 1 : p->steps;
        const size_t features = (size_t)node->shapes[0].features;
        const lstm__view gradient = lstm__session_own(p->session, node, 0)->gradient;
        for (size_t b = 0; b < p->batch; b++)
            for (size_t t = 0; t < steps; t++)
                for (size_t f = 0; f < features; f++)
                    values[at + (b * steps + t) * features + f] =
                        gradient.data[(t * p->batch + b) * gradient.stride + f];
        at += p->input_sizes[input++];
    }
    *count = total;
    return values;
}

static void compare(const char *what, const double *found, const double *expected, size_t count,
                    double tolerance)
{
    double largest = 1e-3;
    for (size_t k = 0; k < count; k++)
        largest = fmax(largest, fabs(expected[k]));
    for (size_t k = 0; k < count; k++)
        if (!(fabs(found[k] - expected[k]) <= tolerance * largest))
            fail_msg("%s: value %zu of %zu is %.15g, expected %.15g", what, k, count, found[k],
                     expected[k]);
}

/* ---- Kinds of masks */

enum { WHOLE, LENGTHS, HOLES, LEADING, NOTHING, MIXED, KINDS };
static const char *const kind_names[KINDS] = {"whole",   "lengths", "holes",
                                              "leading", "nothing", "mixed"};

static void set_mask(problem *p, int kind, uint64_t stream)
{
    for (size_t b = 0; b < p->batch; b++) {
        const double u = lstm__random_uniform(5, stream, b);
        const size_t bound = (size_t)(u * (double)(p->steps + 1));
        const int own = kind == MIXED ? (int)(b % MIXED) : kind;
        for (size_t t = 0; t < p->steps; t++)
            p->mask[b * p->steps + t] = own == WHOLE     ? 1
                                        : own == LENGTHS ? t < bound
                                        : own == LEADING ? t >= bound
                                        : own == NOTHING
                                            ? 0
                                            : lstm__random_uniform(6, stream, b * p->steps + t) <
                                                  0.5;
    }
}

/* ---- Finite differences */

typedef void (*recipe)(lstm_model *model);

static void last_output(lstm_model *model)
{
    lstm(model, sequence(model, 3), (lstm_lstm_options){.units = 4});
}
static void all_outputs(lstm_model *model)
{
    lstm(model, sequence(model, 3), (lstm_lstm_options){.units = 4, .return_sequences = LSTM_YES});
}
static void zeros_for_masked(lstm_model *model)
{
    lstm(model, sequence(model, 3),
         (lstm_lstm_options){
             .units = 4, .return_sequences = LSTM_YES, .zero_output_for_mask = LSTM_YES});
}
static void repeats_for_masked(lstm_model *model)
{
    lstm(model, sequence(model, 11),
         (lstm_lstm_options){
             .units = 3, .return_sequences = LSTM_YES, .zero_output_for_mask = LSTM_NO});
}
static void backwards(lstm_model *model)
{
    lstm(model, sequence(model, 11),
         (lstm_lstm_options){.units = 3,
                             .return_sequences = LSTM_YES,
                             .go_backwards = LSTM_YES,
                             .return_state = LSTM_YES});
}
static void states(lstm_model *model)
{
    lstm(model, sequence(model, 2),
         (lstm_lstm_options){.units = 3,
                             .return_sequences = LSTM_YES,
                             .return_state = LSTM_YES,
                             .use_bias = LSTM_NO});
}
static void initial_states(lstm_model *model)
{
    lstm_from(
        model, sequence(model, 3),
        (lstm_lstm_options){.units = 3, .return_sequences = LSTM_YES, .return_state = LSTM_YES});
}
static void initial_states_last(lstm_model *model)
{
    lstm_from(model, sequence(model, 9), (lstm_lstm_options){.units = 3, .return_state = LSTM_YES});
}
static void stack(lstm_model *model)
{
    const lstm_layer *a = lstm(model, sequence(model, 2),
                               (lstm_lstm_options){.units = 3, .return_sequences = LSTM_YES});
    const lstm_layer *b = add(model, &lstm__class_dense,
                              &(lstm_dense_options){.units = 4, .activation = LSTM_ACTIVATION_TANH},
                              a);
    lstm(model, b,
         (lstm_lstm_options){.units = 2, .go_backwards = LSTM_YES, .return_sequences = LSTM_YES});
    lstm(model, a, (lstm_lstm_options){.units = 2, .go_backwards = LSTM_YES});
}

static void masking(lstm_model *model)
{
    const lstm_layer *x = add(model, &lstm__class_masking, &(lstm_masking_options){.mask_value = 5},
                              sequence(model, 3));
    lstm(model, x, (lstm_lstm_options){.units = 4, .return_sequences = LSTM_YES});
    lstm(model, x, (lstm_lstm_options){.units = 2});
}

/* Turned round before a layer that goes backwards and after it: a mask that stands at the ends of
 * the sequences, and the same outputs in the order of time. */
static void turned_round(lstm_model *model)
{
    const lstm_layer *x = add(model, &lstm__class_reverse, &(lstm_combine_options){0},
                              sequence(model, 3));
    const lstm_layer *a = lstm(model, x,
                               (lstm_lstm_options){.units = 3,
                                                   .go_backwards = LSTM_YES,
                                                   .return_sequences = LSTM_YES,
                                                   .zero_output_for_mask = LSTM_YES});
    const lstm_layer *b = add(model, &lstm__class_reverse, &(lstm_combine_options){0}, a);
    lstm(model, b, (lstm_lstm_options){.units = 2, .return_sequences = LSTM_YES});
    lstm(model, b, (lstm_lstm_options){.units = 2});
}

static void learned_states(lstm_model *model)
{
    const lstm_layer *x = sequence(model, 2);
    const lstm_layer *inputs[3] = {x};
    const lstm_lstm_options options = {
        .units = 3, .return_sequences = LSTM_YES, .return_state = LSTM_YES};
    for (int k = 1; k < 3; k++)
        inputs[k] = add(model, &lstm__class_learned_vector,
                        &(lstm_learned_vector_options){.features = 3}, x);
    ok(lstm__graph_add(model, &lstm__class_lstm, &options, NULL, inputs, 3, NULL));
}

static void both_directions(lstm_model *model, int32_t merge_mode, int32_t sequences,
                            int64_t backward_units)
{
    lstm_layer *out = NULL;
    const lstm_layer *x = sequence(model, 2);
    const lstm_layer *layers[2] = {
        lstm(model, x, (lstm_lstm_options){.units = 3, .return_sequences = sequences}),
        lstm(model, x,
             (lstm_lstm_options){.units = backward_units,
                                 .return_sequences = sequences,
                                 .go_backwards = LSTM_YES})};
    const lstm_bidirectional_options options = {.merge_mode = merge_mode};
    ok(lstm__graph_add(model, &lstm__class_bidirectional, &options, NULL, layers, 2, &out));
    const lstm_layer *outputs[4] = {out, &layers[1]->node->ports[1], &layers[0]->node->ports[2],
                                    &out->node->ports[1]};
    if (sequences == LSTM_YES && merge_mode != LSTM_MERGE_NONE)
        outputs[0] = lstm(model, out,
                          (lstm_lstm_options){.units = 2, .return_sequences = LSTM_YES});
    ok(lstm__graph_set_outputs(model, outputs, merge_mode == LSTM_MERGE_NONE ? 4 : 3));
}
static void concat_both(lstm_model *model)
{
    both_directions(model, LSTM_MERGE_CONCAT, LSTM_YES, 2);
}
static void concat_last(lstm_model *model)
{
    both_directions(model, LSTM_MERGE_CONCAT, LSTM_NO, 2);
}
static void sum_both(lstm_model *model)
{
    both_directions(model, LSTM_MERGE_SUM, LSTM_YES, 3);
}
static void multiply_both(lstm_model *model)
{
    both_directions(model, LSTM_MERGE_MUL, LSTM_YES, 3);
}
static void average_both(lstm_model *model)
{
    both_directions(model, LSTM_MERGE_AVE, LSTM_YES, 3);
}
static void keep_both(lstm_model *model)
{
    both_directions(model, LSTM_MERGE_NONE, LSTM_YES, 2);
}

static void soft_gates(lstm_model *model)
{
    const lstm_lstm_options options = {.units = 5,
                                       .return_sequences = LSTM_YES,
                                       .return_state = LSTM_YES,
                                       .activation = LSTM_ACTIVATION_SIGMOID,
                                       .recurrent_activation = LSTM_ACTIVATION_SOFTPLUS};
    lstm_from(model, sequence(model, 3), options);
}
static void linear_gates(lstm_model *model)
{
    const lstm_lstm_options options = {.units = 3,
                                       .go_backwards = LSTM_YES,
                                       .activation = LSTM_ACTIVATION_LINEAR,
                                       .recurrent_activation = LSTM_ACTIVATION_TANH};
    lstm(model, sequence(model, 3), options);
}

static const struct {
    const char *name;
    recipe make;
} recipes[] = {{"last output", last_output},
               {"all outputs", all_outputs},
               {"zeros for masked", zeros_for_masked},
               {"repeats for masked", repeats_for_masked},
               {"backwards", backwards},
               {"states", states},
               {"initial states", initial_states},
               {"initial states, last", initial_states_last},
               {"stack", stack},
               {"sigmoid and softplus", soft_gates},
               {"linear and tanh", linear_gates},
               {"learned initial states", learned_states},
               {"masking", masking},
               {"turned round", turned_round},
               {"both directions, concat", concat_both},
               {"both directions, concat, last", concat_last},
               {"both directions, sum", sum_both},
               {"both directions, mul", multiply_both},
               {"both directions, ave", average_both},
               {"both directions, none", keep_both}};

static double slope_of_parameter(problem *p, size_t k)
{
    real *value = &p->model->values[k];
    const real at = *value;
    double f[4];
    for (int i = 0; i < 4; i++) {
        *value = at + STEP * (i < 2 ? i - 2 : i - 1);
        lstm__graph_changed(p->model);
        f[i] = objective(p);
    }
    *value = at;
    lstm__graph_changed(p->model);
    return (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * STEP);
}

static double slope_of_input(problem *p, float *value)
{
    const float at = *value;
    double f[4];
    for (int i = 0; i < 4; i++) {
        *value = at + (float)(STEP * (i < 2 ? i - 2 : i - 1));
        f[i] = objective(p);
    }
    *value = at;
    return (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * STEP);
}

static void check_differences(const char *name, recipe make, int32_t profile, int kind,
                              size_t batch, size_t steps)
{
    problem p;
    char what[128];
    lstm_model *model = NULL;
    size_t count = 0;
    ok(lstm__graph_create(&model, NULL, profile, 5));
    make(model);
    build(model);
    start(&p, model, batch, steps);
    set_mask(&p, kind, steps);
    double *found = gradients(&p, &count);
    double *expected = calloc(count + 1, sizeof *expected);
    for (size_t k = 0; k < model->parameter_count; k++)
        for (size_t v = 0; v < lstm__parameter_size(&model->parameters[k]); v++)
            expected[model->parameters[k].offset + v] = slope_of_parameter(
                &p, model->parameters[k].offset + v);
    size_t at = model->value_count;
    for (size_t k = 0; k < p.input_count; k++)
        for (size_t v = 0; v < p.input_sizes[k]; v++)
            expected[at++] = slope_of_input(&p, &p.inputs[k][v]);
    snprintf(what, sizeof what, "%s, profile %d, mask %s, %zu samples, %zu steps", name,
             (int)profile, kind_names[kind], batch, steps);
    compare(what, found, expected, count, 1e-6);
    free(found);
    free(expected);
    end(&p);
    lstm__graph_release(model);
}

static void test_every_kind_of_mask_back_propagates_through_every_option(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof recipes / sizeof *recipes; r++)
        for (int kind = WHOLE; kind < KINDS; kind++)
            for (size_t steps = 1; steps <= 5; steps++)
                for (size_t batch = 1; batch <= 7; batch += 3) {
                    check_differences(recipes[r].name, recipes[r].make, LSTM_PROFILE_KERAS, kind,
                                      batch, steps);
                    check_differences(recipes[r].name, recipes[r].make, LSTM_PROFILE_TORCH, kind,
                                      batch, steps);
                }
}

/* ---- Random graphs */

static size_t pick(uint64_t graph, size_t *at, size_t below)
{
    return (size_t)(lstm__random_uniform(77, graph, (*at)++) * (double)below);
}

/* Half of the layers are variants of the LSTM; those that draw random numbers are left out, as a
 * sample's numbers depend on its place. */
static void vary(uint64_t graph, size_t *at, lstm_lstm_options *options)
{
    if (pick(graph, at, 2))
        return;
    if (options->units > 1 && pick(graph, at, 2))
        options->proj_size = 1 + (int64_t)pick(graph, at, (size_t)options->units - 1);
    options->coupled_gates = (int32_t)pick(graph, at, 4);
    options->gate_clip = pick(graph, at, 3) ? 0 : 0.5f;
    options->cell_clip = pick(graph, at, 3) ? 0 : 0.2f;
    options->layer_norm = (int32_t)pick(graph, at, 6);
    options->layer_norm_epsilon = 0.1f;
    options->output_activation = pick(graph, at, 2) ? LSTM_ACTIVATION_SOFTSIGN : 0;
    if (options->layer_norm <= LSTM_LAYER_NORM_NONE)
        options->peepholes = pick(graph, at, 2) ? LSTM_YES : LSTM_NO;
}

/* A stack of one to three LSTM layers with Dense between them; the last gives all outputs or its
 * last states. `keep`: no backwards layers, and states in and out, so that a sequence can be cut.
 */
static lstm_model *random_graph(uint64_t graph, bool keep)
{
    lstm_model *model = NULL;
    size_t at = 0;
    const lstm_layer *outputs[MOST_OUTPUTS] = {NULL};
    size_t output_count = 1;
    const int32_t profile = pick(graph, &at, 2) ? LSTM_PROFILE_KERAS : LSTM_PROFILE_TORCH;
    ok(lstm__graph_create(&model, NULL, profile, graph));
    const lstm_layer *layer = sequence(model, 1 + (int64_t)pick(graph, &at, 10));
    const size_t layers = keep ? 1 : 1 + pick(graph, &at, 3);
    for (size_t k = 0; k < layers; k++) {
        lstm_lstm_options options = {.units = 1 + (int64_t)pick(graph, &at, 9),
                                     .return_sequences = LSTM_YES};
        options.go_backwards = !keep && pick(graph, &at, 2) ? LSTM_YES : LSTM_NO;
        options.zero_output_for_mask = pick(graph, &at, 2) ? LSTM_YES : LSTM_NO;
        options.recurrent_activation = pick(graph, &at, 3) ? LSTM_ACTIVATION_SIGMOID
                                                           : LSTM_ACTIVATION_HARD_SIGMOID;
        vary(graph, &at, &options);
        layer = keep ? lstm_from(model, layer, options) : lstm(model, layer, options);
        outputs[output_count++] = &layer->node->ports[1];
        outputs[output_count++] = &layer->node->ports[2];
        if (!keep && pick(graph, &at, 2))
            layer = add(model, &lstm__class_dense,
                        &(lstm_dense_options){.units = 3, .activation = LSTM_ACTIVATION_TANH},
                        layer);
    }
    outputs[0] = layer;
    ok(lstm__graph_set_outputs(model, outputs, output_count));
    build(model);
    return model;
}

/* Copy sample b of `from` into sample k of `to`, whose sequences may be shorter; NaN-proof. */
static void copy_sample(const problem *from, size_t b, problem *to, size_t k)
{
    for (size_t i = 0; i < from->input_count; i++) {
        const size_t each = from->input_sizes[i] / from->batch;
        const size_t own = to->input_sizes[i] / to->batch;
        memcpy(to->inputs[i] + k * own, from->inputs[i] + b * each, own * sizeof(float));
    }
    for (size_t o = 0; o < from->model->output_count; o++) {
        const size_t each = values_of(from, output_shape(from, o)) / from->batch;
        const size_t own = values_of(to, output_shape(to, o)) / to->batch;
        memcpy(to->weights[o] + k * own, from->weights[o] + b * each, own * sizeof(float));
    }
}

/* Where (sample, valid step t) of a graph's sequence output stands: layers that go backwards turn
 * the sequence round. */
static bool turned(const lstm_model *model)
{
    bool turn = false;
    for (size_t k = 0; k < model->node_count; k++)
        if (model->nodes[k]->class == &lstm__class_lstm)
            turn ^= ((const lstm_lstm_options *)model->nodes[k]->options)->go_backwards == LSTM_YES;
    return turn;
}

static void check_padding(uint64_t graph)
{
    size_t at = 100;
    char what[64];
    problem p;
    lstm_model *model = random_graph(graph, false);
    const size_t batch = 1 + pick(graph, &at, 9);
    const size_t steps = 1 + pick(graph, &at, 8);
    size_t count = 0;
    snprintf(what, sizeof what, "graph %llu", (unsigned long long)graph);
    start(&p, model, batch, steps);
    set_mask(&p, LENGTHS, graph);
    const bool turn = turned(model);
    const size_t features = (size_t)output_shape(&p, 0).features;
    const size_t inputs = p.input_sizes[0] / (batch * steps);
    size_t *lengths = calloc(batch, sizeof *lengths);
    for (size_t b = 0; b < batch; b++)
        for (size_t t = 0; t < steps; t++) {
            const bool valid = p.mask[b * steps + t];
            lengths[b] += valid;
            for (size_t f = 0; f < inputs && !valid; f++)
                p.inputs[0][(b * steps + t) * inputs + f] = NAN;
            for (size_t f = 0; f < features && !valid; f++)
                p.weights[0][(b * steps + (turn ? steps - 1 - t : t)) * features + f] = 0;
        }
    double *whole = gradients(&p, &count);
    double *sum = calloc(count + 1, sizeof *sum);
    double *y = output(&p, 0);
    double *h = output(&p, model->output_count - 2);
    const size_t units = (size_t)output_shape(&p, model->output_count - 2).features;
    for (size_t b = 0; b < batch; b++) {
        problem one;
        size_t own = 0;
        if (lengths[b] == 0)
            continue;
        start(&one, model, 1, lengths[b]);
        copy_sample(&p, b, &one, 0);
        const size_t shift = turn ? steps - lengths[b] : 0; /* turned, the padding comes first */
        memcpy(one.weights[0], p.weights[0] + (b * steps + shift) * features,
               lengths[b] * features * sizeof(float));
        double *g = gradients(&one, &own);
        double *own_y = output(&one, 0);
        double *own_h = output(&one, model->output_count - 2);
        for (size_t k = 0; k < model->value_count; k++)
            sum[k] += g[k];
        memcpy(sum + model->value_count + b * steps * inputs, g + model->value_count,
               lengths[b] * inputs * sizeof *g);
        compare(what, y + (b * steps + shift) * features, own_y, lengths[b] * features, 1e-12);
        compare(what, h + b * units, own_h, units, 1e-12);
        free(g);
        free(own_y);
        free(own_h);
        end(&one);
    }
    compare(what, whole, sum, count, 1e-12);
    free(whole);
    free(sum);
    free(y);
    free(h);
    free(lengths);
    end(&p);
    lstm__graph_release(model);
}

static void test_a_padded_batch_equals_its_samples_one_by_one(void **state)
{
    (void)state;
    for (uint64_t graph = 0; graph < GRAPHS; graph++)
        check_padding(graph);
}

static void check_order(uint64_t graph)
{
    size_t at = 100;
    problem p;
    problem q;
    lstm_model *model = random_graph(graph, false);
    const size_t batch = 2 + pick(graph, &at, 8);
    const size_t steps = 1 + pick(graph, &at, 8);
    uint64_t order[16];
    size_t count = 0;
    start(&p, model, batch, steps);
    start(&q, model, batch, steps);
    set_mask(&p, MIXED, graph);
    lstm__random_permutation(graph, 9, order, batch);
    for (size_t k = 0; k < batch; k++) {
        copy_sample(&p, order[k], &q, k);
        memcpy(q.mask + k * steps, p.mask + order[k] * steps, steps);
    }
    double *a = gradients(&p, &count);
    double *b = gradients(&q, &count);
    compare("parameter gradients of a permuted batch", b, a, model->value_count, 1e-12);
    const size_t each = p.input_sizes[0] / batch;
    for (size_t k = 0; k < batch; k++)
        compare("input gradient of a permuted batch", b + model->value_count + k * each,
                a + model->value_count + order[k] * each, each, 1e-12);
    free(a);
    free(b);
    for (size_t o = 0; o < model->output_count; o++) {
        const size_t size = values_of(&p, output_shape(&p, o)) / batch;
        a = output(&p, o);
        b = output(&q, o);
        for (size_t k = 0; k < batch; k++)
            compare("output of a permuted batch", b + k * size, a + order[k] * size, size, 1e-12);
        free(a);
        free(b);
    }
    end(&p);
    end(&q);
    lstm__graph_release(model);
}

static void test_the_order_of_the_samples_changes_nothing(void **state)
{
    (void)state;
    for (uint64_t graph = 0; graph < GRAPHS; graph++)
        check_order(graph);
}

/* Run steps first .. first + count - 1 of p's sequences from states h and c (NULL: zeros); the last
 * states come back. */
static void run_part(const problem *p, size_t first, size_t count, double **h, double **c)
{
    problem part;
    const size_t inputs = p->input_sizes[0] / (p->batch * p->steps);
    start(&part, p->model, p->batch, count);
    for (size_t b = 0; b < p->batch; b++) {
        memcpy(part.inputs[0] + b * count * inputs, p->inputs[0] + (b * p->steps + first) * inputs,
               count * inputs * sizeof(float));
        memcpy(part.mask + b * count, p->mask + b * p->steps + first, count);
    }
    lstm__session_forward(part.session, &part.arrays);
    const lstm_layer *layer = p->model->outputs[0];
    /* Inputs are floats: carry the states in double through the ports instead. */
    for (size_t k = 0, input = 0; k < p->model->node_count && *h; k++) {
        const lstm__node *node = p->model->nodes[k];
        if (node->class == &lstm__class_input && input++ > 0)
            for (size_t v = 0; v < part.input_sizes[input - 1]; v++)
                lstm__session_own(part.session, node, 0)->value.data[v] = (input == 2 ? *h : *c)[v];
    }
    layer->node->class->forward(layer->node, part.session, part.session->plans[layer->node->index]);
    free(*h);
    free(*c);
    *h = output(&part, 1);
    *c = output(&part, 2);
    end(&part);
}

static void test_a_cut_sequence_with_carried_states_equals_the_whole(void **state)
{
    (void)state;
    for (uint64_t graph = 0; graph < GRAPHS; graph++) {
        size_t at = 100;
        problem p;
        lstm_model *model = random_graph(graph, true);
        const size_t batch = 1 + pick(graph, &at, 9);
        const size_t steps = 2 + pick(graph, &at, 8);
        const size_t cut = 1 + pick(graph, &at, steps - 1);
        double *h[2] = {NULL, NULL};
        double *c[2] = {NULL, NULL};
        start(&p, model, batch, steps);
        set_mask(&p, MIXED, graph);
        run_part(&p, 0, steps, &h[0], &c[0]);
        run_part(&p, 0, cut, &h[1], &c[1]);
        run_part(&p, cut, steps - cut, &h[1], &c[1]);
        compare("h of a cut sequence", h[1], h[0], p.input_sizes[1], 1e-12);
        compare("c of a cut sequence", c[1], c[0], p.input_sizes[2], 1e-12);
        for (int k = 0; k < 2; k++) {
            free(h[k]);
            free(c[k]);
        }
        end(&p);
        lstm__graph_release(model);
    }
}

/* ---- Without training */

static void test_inference_gives_what_training_gives(void **state)
{
    (void)state;
    for (uint64_t graph = 0; graph < GRAPHS; graph++) {
        size_t at = 100;
        problem p;
        lstm_model *model = random_graph(graph, pick(graph, &at, 2) != 0);
        lstm_session *session = NULL;
        start(&p, model, 1 + pick(graph, &at, 9), 1 + pick(graph, &at, 40));
        set_mask(&p, MIXED, graph);
        lstm__session_forward(p.session, &p.arrays);
        ok(lstm__session_create(&session, model, false, false, p.batch, p.steps, 0));
        lstm__session_forward(session, &p.arrays);
        lstm_session *trained = p.session;
        for (size_t o = 0; o < model->output_count; o++) {
            double *a = output(&p, o);
            p.session = session;
            double *b = output(&p, o);
            p.session = trained;
            compare("output without training", b, a, values_of(&p, output_shape(&p, o)), 1e-12);
            free(a);
            free(b);
        }
        lstm__session_destroy(session);
        end(&p);
        lstm__graph_release(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_mask_back_propagates_through_every_option),
        cmocka_unit_test(test_a_padded_batch_equals_its_samples_one_by_one),
        cmocka_unit_test(test_the_order_of_the_samples_changes_nothing),
        cmocka_unit_test(test_a_cut_sequence_with_carried_states_equals_the_whole),
        cmocka_unit_test(test_inference_gives_what_training_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
