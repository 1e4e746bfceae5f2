/* SPDX-License-Identifier: MIT
 * 1,000 random graphs of recurrent cells with their variants, residual stacks, both directions,
 * attention, convolution, normalisation and pooling, in double: a padded batch gives what its samples
 * give one by one, a batch in another order gives its outputs in that order, and sequences in pieces
 * with carried states give what they give whole. Forward and backward; padding holds NaN; 1e-11 of
 * the largest value.
 */
#include "losses.h"
#include "pieces.h"
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

enum { GRAPHS = 1000, MOST_BATCH = 6, MOST_STEPS = 7 };

static void ok(lstm_status status)
{
    if (status != LSTM_OK)
        fail_msg("%s: %s", lstm_status_name(status), lstm_last_error());
}

/* ---- Graphs */

typedef struct maker {
    uint64_t graph;
    size_t draws;
    lstm_model *model;
    bool pieces; /* only layers that allow sequences in pieces */
} maker;

static size_t pick(maker *m, size_t below)
{
    return (size_t)(lstm__random_uniform(77, m->graph, m->draws++) * (double)below);
}

static int32_t flag(maker *m)
{
    return pick(m, 2) ? LSTM_YES : LSTM_NO;
}

static const lstm_layer *add_many(maker *m, const lstm__layer_class *class, const void *options,
                                  const lstm_layer *const *inputs, int count)
{
    lstm_layer *out = NULL;
    ok(lstm__graph_add(m->model, class, options, NULL, inputs, count, &out));
    return out;
}

static const lstm_layer *add(maker *m, const lstm__layer_class *class, const void *options,
                             const lstm_layer *input)
{
    return add_many(m, class, options, &input, 1);
}

static int64_t features_of(const lstm_layer *layer)
{
    return layer->node->shapes[layer->port].features;
}

/* One of the variants of an LSTM; nothing random while training. */
static void vary(maker *m, lstm_lstm_options *o)
{
    switch (pick(m, 8)) {
    case 0:
        o->peepholes = LSTM_YES;
        break;
    case 1:
        o->coupled_gates = 1 + (int32_t)pick(m, 2);
        break;
    case 2:
        if (o->units > 1) {
            o->proj_size = o->units - 1;
            o->proj_clip = 0.5f;
        }
        break;
    case 3:
        o->layer_norm = 1 + (int32_t)pick(m, 3);
        break;
    case 4:
        o->recurrent_activation = LSTM_ACTIVATION_HARD_SIGMOID;
        o->gate_clip = 1;
        o->cell_clip = 0.75f;
        break;
    case 5:
        o->activation = LSTM_ACTIVATION_SOFTSIGN;
        o->output_activation = LSTM_ACTIVATION_TANH;
        o->output_activation_alpha = 1.5f;
        o->output_activation_beta = 0.5f;
        break;
    default:
        break;
    }
}

/* A cell that gives all outputs; `units` 0 = any number. */
static const lstm_layer *cell(maker *m, const lstm_layer *x, int64_t units, int32_t backwards)
{
    units = units ? units : 1 + (int64_t)pick(m, 6);
    switch (pick(m, 4)) {
    case 0:
        return add(m, &lstm__class_gru,
                   &(lstm_gru_options){
                       .units = units,
                       .return_sequences = LSTM_YES,
                       .go_backwards = backwards,
                       .zero_output_for_mask = flag(m),
                       .reset_after = m->model->profile == LSTM_PROFILE_TORCH ? LSTM_YES : flag(m)},
                   x);
    case 1:
        return add(m, &lstm__class_simple_rnn,
                   &(lstm_simple_rnn_options){.units = units,
                                              .return_sequences = LSTM_YES,
                                              .go_backwards = backwards,
                                              .zero_output_for_mask = flag(m)},
                   x);
    default: {
        lstm_lstm_options options = {.units = units,
                                     .return_sequences = LSTM_YES,
                                     .go_backwards = backwards,
                                     .zero_output_for_mask = flag(m)};
        vary(m, &options);
        if (options.proj_size > 0) /* residual sums need the width that was asked for */
            options.units++, options.proj_size = units;
        return add(m, &lstm__class_lstm, &options, x);
    }
    }
}

static const lstm_layer *both_directions(maker *m, const lstm_layer *x)
{
    static const int32_t modes[] = {LSTM_MERGE_CONCAT, LSTM_MERGE_SUM, LSTM_MERGE_MUL,
                                    LSTM_MERGE_AVE};
    const int64_t units = 1 + (int64_t)pick(m, 4);
    const lstm_layer *inputs[2] = {cell(m, x, units, LSTM_NO), cell(m, x, units, LSTM_YES)};
    const lstm_bidirectional_options options = {.merge_mode = modes[pick(m, 4)]};
    return add_many(m, &lstm__class_bidirectional, &options, inputs, 2);
}

/* x + cell(x): a residual connection; the layer before is brought to its width. */
static const lstm_layer *residual(maker *m, const lstm_layer *x)
{
    const lstm_layer *inputs[2] = {x, cell(m, x, features_of(x), LSTM_NO)};
    return add_many(m, &lstm__class_add, &(lstm_combine_options){0}, inputs, 2);
}

static const lstm_layer *attention(maker *m, const lstm_layer *x)
{
    const lstm_layer *inputs[2] = {x, cell(m, x, features_of(x), LSTM_NO)};
    if (pick(m, 3) == 0)
        return add_many(m, &lstm__class_multi_head_attention,
                        &(lstm_multi_head_attention_options){.num_heads = 2, .key_dim = 2}, inputs,
                        2);
    return add_many(m, pick(m, 2) ? &lstm__class_attention : &lstm__class_additive_attention,
                    &(lstm_attention_options){.causal = flag(m)}, inputs, 2);
}

static const lstm_layer *block(maker *m, const lstm_layer *x)
{
    const lstm_layer *inputs[2] = {x, x};
    switch (pick(m, m->pieces ? 7 : 11)) {
    case 0:
    case 1:
        return cell(m, x, 0, LSTM_NO);
    case 2:
    case 3:
        return residual(m, x);
    case 4:
        return add(m, &lstm__class_dense,
                   &(lstm_dense_options){.units = 1 + (int64_t)pick(m, 5),
                                         .activation = LSTM_ACTIVATION_TANH},
                   x);
    case 5:
        return add(m, &lstm__class_layer_normalization,
                   &(lstm_layer_normalization_options){.epsilon = 0.1f}, x);
    case 6:
        inputs[1] = cell(m, x, 0, LSTM_NO);
        return add_many(m, &lstm__class_concatenate, &(lstm_combine_options){0}, inputs, 2);
    case 7:
    case 8:
        return both_directions(m, x);
    case 9:
        return attention(m, x);
    default:
        return add(
            m, &lstm__class_conv1d,
            &(lstm_conv1d_options){.filters = 3,
                                   .kernel_size = 3,
                                   .padding = pick(m, 2) ? LSTM_PADDING_SAME : LSTM_PADDING_CAUSAL},
            x);
    }
}

/* One to four blocks, then all steps, the last one, or a pool over them. */
static lstm_model *make(uint64_t graph, bool pieces)
{
    static const lstm__layer_class *const ends[] = {&lstm__class_last_step,
                                                    &lstm__class_global_average_pooling,
                                                    &lstm__class_global_max_pooling};
    maker m = {.graph = graph, .pieces = pieces};
    const int32_t profile = pick(&m, 2) ? LSTM_PROFILE_KERAS : LSTM_PROFILE_TORCH;
    ok(lstm__graph_create(&m.model, NULL, profile, graph));
    const lstm_input_options input = {.features = 1 + (int64_t)pick(&m, 5)};
    const lstm_layer *x = NULL;
    lstm_layer *first = NULL;
    ok(lstm__graph_add(m.model, &lstm__class_input, &input, NULL, NULL, 0, &first));
    x = first;
    for (size_t blocks = 1 + pick(&m, 4); blocks > 0; blocks--)
        x = block(&m, x);
    const size_t end = pieces ? 4 : pick(&m, 8);
    if (end < 3)
        x = add(&m, ends[end], &(lstm_global_pooling_options){0}, x);
    ok(lstm__graph_set_outputs(m.model, &x, 1));
    ok(lstm__graph_build(m.model));
    for (size_t k = 0; k < m.model->value_count; k++)
        m.model->values[k] += (real)(lstm__random_uniform(3, graph, k) - 0.5) / 2;
    lstm__graph_changed(m.model);
    return m.model;
}

/* ---- Runs */

typedef struct arrays {
    size_t batch, steps, features, outputs; /* outputs: features of the output */
    bool sequences;                         /* the output is one */
    float *x, *dy;
    int32_t lengths[MOST_BATCH];
} arrays;

typedef struct result {
    double *y, *dx, *dw;
} result;

static arrays fill(const lstm_model *model, uint64_t graph)
{
    const lstm_layer *out = model->outputs[0];
    arrays a = {.batch = 1 + (size_t)(lstm__random_uniform(78, graph, 0) * MOST_BATCH),
                .steps = 1 + (size_t)(lstm__random_uniform(78, graph, 1) * MOST_STEPS),
                .features = (size_t)model->nodes[0]->shapes[0].features,
                .outputs = (size_t)features_of(out),
                .sequences = out->node->shapes[out->port].steps != 0};
    a.x = malloc(a.batch * a.steps * a.features * sizeof *a.x);
    a.dy = calloc(a.batch * a.steps * a.outputs, sizeof *a.dy);
    for (size_t b = 0; b < a.batch; b++) {
        a.lengths[b] = 1 + (int32_t)(lstm__random_uniform(79, graph, b) * (double)a.steps);
        for (size_t t = 0; t < a.steps; t++) {
            const bool there = t < (size_t)a.lengths[b];
            for (size_t f = 0; f < a.features; f++) {
                const size_t k = (b * a.steps + t) * a.features + f;
                a.x[k] = there ? (float)(2 * lstm__random_uniform(80, graph, k) - 1) : NAN;
            }
            for (size_t f = 0; f < a.outputs && (there || !a.sequences); f++) {
                const size_t k = (b * a.steps + t) * a.outputs + f;
                a.dy[k] = (float)(2 * lstm__random_uniform(81, graph, k) - 1);
            }
        }
    }
    return a;
}

/* Copy `count` steps from step `first` of some samples; of a vector output dy stands at step 0. */
static arrays part(const arrays *a, const size_t *samples, size_t batch, size_t first, size_t count)
{
    arrays p = *a;
    p.batch = batch;
    p.steps = count;
    p.x = malloc(batch * count * a->features * sizeof *p.x);
    p.dy = malloc(batch * count * a->outputs * sizeof *p.dy);
    for (size_t b = 0; b < batch; b++) {
        const size_t from = samples[b] * a->steps + first;
        const int32_t left = a->lengths[samples[b]] - (int32_t)first;
        p.lengths[b] = left < 0 ? 0 : left > (int32_t)count ? (int32_t)count : left;
        memcpy(p.x + b * count * a->features, a->x + from * a->features,
               count * a->features * sizeof *p.x);
        memcpy(p.dy + b * count * a->outputs, a->dy + from * a->outputs,
               count * a->outputs * sizeof *p.dy);
    }
    return p;
}

static void end(arrays *a)
{
    free(a->x);
    free(a->dy);
}

static result pass(lstm_session *session, const arrays *a)
{
    const lstm_model *model = session->model;
    const lstm_layer *out = model->outputs[0];
    const float *inputs[1] = {a->x};
    const lstm__batch batch = {.layout = LSTM_LAYOUT_BATCH_FIRST,
                               .samples = a->batch,
                               .count = a->batch,
                               .steps = a->steps,
                               .inputs = inputs,
                               .lengths = a->lengths};
    result r = {.y = calloc(a->batch * a->steps * a->outputs + 1, sizeof(double)),
                .dx = calloc(a->batch * a->steps * a->features + 1, sizeof(double)),
                .dw = calloc(model->value_count + 1, sizeof(double))};
    lstm__session_forward(session, &batch);
    lstm__port *port = lstm__session_port(session, out);
    const size_t steps = a->sequences ? a->steps : 1;
    for (size_t b = 0; b < a->batch; b++)
        for (size_t t = 0; t < steps; t++)
            for (size_t f = 0; f < a->outputs; f++) {
                const size_t row = t * a->batch + b;
                const size_t at = (b * a->steps + t) * a->outputs + f;
                r.y[at] = port->mask && !port->mask[row]
                              ? 0 /* what stands at masked steps is each layer's own affair */
                              : port->value.data[row * port->value.stride + f];
                port->gradient.data[row * port->gradient.stride + f] = (real)a->dy[at];
            }
    port->written = true;
    lstm__session_backward(session);
    const lstm__view dx = lstm__session_own(session, model->nodes[0], 0)->gradient;
    const bool written = lstm__session_own(session, model->nodes[0], 0)->written;
    for (size_t b = 0; written && b < a->batch; b++)
        for (size_t t = 0; t < a->steps; t++)
            for (size_t f = 0; f < a->features; f++)
                r.dx[(b * a->steps + t) * a->features + f] =
                    dx.data[(t * a->batch + b) * dx.stride + f];
    for (size_t k = 0; k < model->value_count; k++)
        r.dw[k] = session->gradients[k];
    return r;
}

static result run(lstm_model *model, const arrays *a)
{
    lstm_session *session = NULL;
    ok(lstm__session_create(&session, model, true, true, a->batch, a->steps, 9));
    const result r = pass(session, a);
    lstm__session_destroy(session);
    return r;
}

static void drop(result *r)
{
    free(r->y);
    free(r->dx);
    free(r->dw);
}

static void compare(uint64_t graph, const char *what, const double *found, const double *expected,
                    size_t count)
{
    double largest = 1;
    for (size_t k = 0; k < count; k++)
        largest = fmax(largest, fabs(expected[k]));
    for (size_t k = 0; k < count; k++)
        if (!(fabs(found[k] - expected[k]) <= 1e-11 * largest))
            fail_msg("graph %llu: %s: value %zu is %.15g, expected %.15g",
                     (unsigned long long)graph, what, k, found[k], expected[k]);
}

/* ---- Properties */

static void test_padded_batches_of_random_graphs_equal_their_samples_one_by_one(void **state)
{
    (void)state;
    for (uint64_t graph = 0; graph < GRAPHS; graph++) {
        lstm_model *model = make(graph, false);
        arrays a = fill(model, graph);
        result whole = run(model, &a);
        double *sum = calloc(model->value_count + 1, sizeof *sum);
        for (size_t b = 0; b < a.batch; b++) {
            const size_t length = (size_t)a.lengths[b];
            arrays one = part(&a, &b, 1, 0, length);
            result r = run(model, &one);
            compare(graph, "output of a padded sample", whole.y + b * a.steps * a.outputs, r.y,
                    (a.sequences ? length : 1) * a.outputs);
            compare(graph, "gradient at a padded sample", whole.dx + b * a.steps * a.features, r.dx,
                    length * a.features);
            for (size_t k = 0; k < model->value_count; k++)
                sum[k] += r.dw[k];
            drop(&r);
            end(&one);
        }
        compare(graph, "parameter gradients of a padded batch", whole.dw, sum, model->value_count);
        free(sum);
        drop(&whole);
        end(&a);
        lstm__graph_release(model);
    }
}

static void test_random_graphs_give_a_permuted_batch_permuted_outputs(void **state)
{
    (void)state;
    for (uint64_t graph = 0; graph < GRAPHS; graph++) {
        lstm_model *model = make(graph, false);
        arrays a = fill(model, graph);
        uint64_t order[MOST_BATCH];
        size_t samples[MOST_BATCH];
        lstm__random_permutation(graph, 9, order, a.batch);
        for (size_t b = 0; b < a.batch; b++)
            samples[b] = (size_t)order[b];
        arrays turned = part(&a, samples, a.batch, 0, a.steps);
        result first = run(model, &a);
        result second = run(model, &turned);
        for (size_t b = 0; b < a.batch; b++) {
            compare(graph, "output of a permuted batch", second.y + b * a.steps * a.outputs,
                    first.y + samples[b] * a.steps * a.outputs, a.steps * a.outputs);
            compare(graph, "input gradient of a permuted batch",
                    second.dx + b * a.steps * a.features,
                    first.dx + samples[b] * a.steps * a.features, a.steps * a.features);
        }
        compare(graph, "parameter gradients of a permuted batch", second.dw, first.dw,
                model->value_count);
        drop(&first);
        drop(&second);
        end(&turned);
        end(&a);
        lstm__graph_release(model);
    }
}

static void test_random_graphs_carry_their_states_over_a_cut(void **state)
{
    (void)state;
    for (uint64_t graph = 0; graph < GRAPHS; graph++) {
        lstm_model *model = make(graph, true);
        lstm__pieces pieces;
        arrays a = fill(model, graph);
        size_t all[MOST_BATCH];
        for (size_t b = 0; b < a.batch; b++)
            all[b] = b;
        ok(lstm__pieces_read(&pieces, model, 1, 1, a.steps)); /* it may be cut */
        result whole = run(model, &a);
        lstm_session *session = NULL;
        ok(lstm__session_create_as(&session, model,
                                   &(lstm__session_wish){.training = true,
                                                         .input_gradients = true,
                                                         .pieces = true,
                                                         .batch = a.batch,
                                                         .steps = a.steps,
                                                         .seed = 9}));
        const size_t cut = 1 + (size_t)(lstm__random_uniform(82, graph, 0) * (double)a.steps);
        for (size_t first = 0; first < a.steps; first += cut) {
            const size_t count = a.steps - first < cut ? a.steps - first : cut;
            arrays piece = part(&a, all, a.batch, first, count);
            result r = pass(session, &piece);
            for (size_t b = 0; b < a.batch; b++)
                compare(graph, "output of a piece", r.y + b * count * a.outputs,
                        whole.y + (b * a.steps + first) * a.outputs, count * a.outputs);
            drop(&r);
            end(&piece);
        }
        lstm__session_destroy(session);
        drop(&whole);
        end(&a);
        lstm__graph_release(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_padded_batches_of_random_graphs_equal_their_samples_one_by_one),
        cmocka_unit_test(test_random_graphs_give_a_permuted_batch_permuted_outputs),
        cmocka_unit_test(test_random_graphs_carry_their_states_over_a_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
