/* SPDX-License-Identifier: MIT
 * An Embedding in front of an LSTM is computed as a table of x W where the LSTM is its only reader
 * (docs/design/embedding-as-a-table.md). The same layers with a second reader, or with a linear
 * Activation in between, are computed row by row: both must agree, within the rounding of sums in
 * another order, in outputs, states, gates, losses, gradients and what training makes of them; and the
 * table's bits must not depend on the number of threads.
 */
#include "api_checks.h"
#include "counting_allocator.h"

#include <stdio.h>
#include <stdlib.h>

/* Of the largest value of an array. Outputs are within 1e-6: small matrices are computed by another
 * route. Gradients are sums of up to 6000 floats in another order: up to 2.1e-6 apart. */
#define TOLERANCE 1e-6
#define GRADIENT_TOLERANCE 4e-6

typedef enum form {
    TABLE,  /* Embedding -> LSTM -> Dense */
    OUTPUT, /* the embeddings are an output too: the same nodes */
    BETWEEN /* Embedding -> Activation(linear) -> LSTM -> Dense */
} form;

typedef struct variant {
    const char *name;
    int64_t vocabulary, columns, units, samples, steps;
    int32_t profile, threads, mask_zero, sequences, backwards, stateful, zeros, activation;
    float dropconnect;
    int words;   /* tokens come as a vector */
    int padding; /* 1 = lengths, 2 = a mask with holes */
    int32_t recompute;
    int smaller; /* calls are smaller than planned */
} variant;

static const variant variants[] = {
    {"one token", 1, 32, 5, .samples = 4, .steps = 3},
    {"few tokens", 7, 33, 9, .samples = 5, .steps = 7, .sequences = LSTM_YES},
    {"wide", 65, 64, 80, .samples = 16, .steps = 24, .sequences = LSTM_YES},
    {"last output", 30, 40, 33, .samples = 9, .steps = 11},
    {"one sample", 6, 32, 40, .samples = 1, .steps = 50, .sequences = LSTM_YES},
    {"lengths", 20, 32, 24, .samples = 19, .steps = 13, .sequences = LSTM_YES, .padding = 1},
    {"holes", 20, 32, 24, .samples = 19, .steps = 13, .sequences = LSTM_YES, .padding = 2},
    {"mask_zero", 11, 32, 24, .samples = 19, .steps = 13, .mask_zero = LSTM_YES},
    {"mask_zero and lengths", 11, 32, 24, .samples = 19, .steps = 13, .sequences = LSTM_YES,
     .mask_zero = LSTM_YES, .padding = 1, .zeros = LSTM_YES},
    {"backwards", 11, 32, 24, .samples = 9, .steps = 13, .sequences = LSTM_YES,
     .backwards = LSTM_YES, .padding = 1},
    {"backwards, one sample", 11, 32, 24, .samples = 1, .steps = 31, .backwards = LSTM_YES},
    {"stateful", 11, 32, 24, .samples = 9, .steps = 13, .sequences = LSTM_YES,
     .stateful = LSTM_YES},
    {"PyTorch", 11, 32, 24, .samples = 9, .steps = 13, .profile = LSTM_PROFILE_TORCH, .padding = 2},
    {"relu", 11, 32, 24, .samples = 9, .steps = 13, .activation = LSTM_ACTIVATION_RELU,
     .padding = 2},
    {"DropConnect", 11, 32, 24, .samples = 9, .steps = 13, .dropconnect = 0.3f},
    {"words", 11, 32, 24, .samples = 9, .steps = 13, .words = 1, .mask_zero = LSTM_YES},
    {"recomputation", 20, 32, 24, .samples = 150, .steps = 40, .sequences = LSTM_YES, .padding = 1,
     .recompute = LSTM_YES},
    {"smaller calls", 20, 32, 24, .samples = 19, .steps = 13, .sequences = LSTM_YES, .padding = 1,
     .smaller = 1},
    {"threads", 40, 32, 150, .samples = 33, .steps = 20, .sequences = LSTM_YES, .threads = 3},
};

static uint32_t next_number(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void fill(float *p, size_t count, uint32_t seed, float scale)
{
    for (size_t k = 0; k < count; k++)
        p[k] = scale * ((float)next_number(&seed) * 0x1p-23f - 1);
}

static float *numbers(size_t count)
{
    float *p = calloc(count + 1, sizeof *p);
    assert_non_null(p);
    return p;
}

typedef struct network {
    lstm_context *context;
    lstm_model *model;
    lstm_layer *embedding, *lstm;
    size_t vocabulary;
} network;

static network build_in(lstm_context *context, const variant *v, form how)
{
    network n = {.context = context, .vocabulary = (size_t)v->vocabulary};
    lstm_layer *at = NULL;
    assert_ok(lstm_model_create(&n.model, context,
                                OPTIONS(lstm_model, .profile = v->profile, .seed = 7)));
    assert_ok(lstm_model_add_input(n.model,
                                   OPTIONS(lstm_input, .vector = v->words ? LSTM_YES : LSTM_NO,
                                           .features = v->words ? v->steps : 1),
                                   NULL));
    assert_ok(lstm_model_add_embedding(n.model,
                                       OPTIONS(lstm_embedding, .input_dim = v->vocabulary,
                                               .output_dim = v->columns, .mask_zero = v->mask_zero),
                                       NULL, &n.embedding));
    at = n.embedding;
    if (how == BETWEEN)
        assert_ok(lstm_model_add_activation(
            n.model, OPTIONS(lstm_activation, .activation = LSTM_ACTIVATION_LINEAR), at, &at));
    assert_ok(
        lstm_model_add_lstm(n.model,
                            OPTIONS(lstm_lstm, .units = v->units, .return_sequences = v->sequences,
                                    .go_backwards = v->backwards, .stateful = v->stateful,
                                    .zero_output_for_mask = v->zeros, .activation = v->activation,
                                    .recurrent_dropconnect = v->dropconnect, .seed = 5),
                            at, &n.lstm));
    assert_ok(lstm_model_add_dense(n.model, OPTIONS(lstm_dense, .units = 3), n.lstm, &at));
    const lstm_layer *outputs[2] = {at, n.embedding};
    assert_ok(lstm_model_set_outputs(n.model, outputs, how == OUTPUT ? 2 : 1));
    assert_ok(lstm_model_build(n.model));
    return n;
}

static network build(const variant *v, form how)
{
    lstm_context *context = NULL;
    assert_ok(lstm_context_create(&context, OPTIONS(lstm_context, .threads = v->threads)));
    return build_in(context, v, how);
}

static void release(network *n)
{
    lstm_model_destroy(n->model);
    lstm_context_destroy(n->context);
}

/* Give all parameters values that follow from the seed. */
static void set_values(const network *n, uint32_t seed)
{
    for (size_t k = 0; k < lstm_model_parameter_count(n->model); k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(n->model, k, &info));
        float *values = numbers(info.count);
        fill(values, info.count, seed + (uint32_t)k, 0.25f);
        assert_ok(lstm_model_set_parameter(n->model, k, values, info.count));
        free(values);
    }
}

typedef struct task {
    lstm_data view;
    float *x, *y;
    int32_t *lengths;
    uint8_t *mask;
} task;

static task make_task(const variant *v, int64_t samples, int64_t steps, uint32_t seed)
{
    const size_t rows = (size_t)(samples * steps);
    const size_t targets = (size_t)(v->sequences == LSTM_YES ? samples * steps : samples) * 3;
    task t = {.x = numbers(rows),
              .y = numbers(targets),
              .lengths = calloc((size_t)samples, sizeof(int32_t)),
              .mask = calloc(rows, 1)};
    assert_true(t.lengths && t.mask);
    fill(t.y, targets, seed + 99, 1);
    for (size_t k = 0; k < rows; k++) {
        t.x[k] = (float)(next_number(&seed) % (uint32_t)v->vocabulary);
        t.mask[k] = next_number(&seed) % 3 > 0;
    }
    for (int64_t k = 0; k < samples; k++)
        t.lengths[k] = k == 2 ? 0 : (int32_t)(k * 5 % (steps + 1));
    t.view = (lstm_data){.struct_size = sizeof t.view,
                         .samples = samples,
                         .x = t.x,
                         .x_count = rows,
                         .y = t.y,
                         .y_count = targets,
                         .lengths = v->padding == 1 ? t.lengths : NULL,
                         .lengths_count = v->padding == 1 ? (size_t)samples : 0,
                         .mask = v->padding == 2 ? t.mask : NULL,
                         .mask_count = v->padding == 2 ? rows : 0};
    return t;
}

static void free_task(task *t)
{
    free(t->x);
    free(t->y);
    free(t->lengths);
    free(t->mask);
}

static lstm_session *session_of(const network *n, const variant *v, int32_t training)
{
    lstm_session *session = NULL;
    assert_ok(lstm_session_create(&session, n->model,
                                  OPTIONS(lstm_session, .training = training, .seed = 3,
                                          .recompute = v->recompute,
                                          .batch = v->samples + (v->smaller ? v->samples / 2 : 0),
                                          .steps = v->steps + (v->smaller ? v->steps / 2 : 0))));
    return session;
}

/* Run forward, and while training backward from the task's y as the gradient at the first output. */
static void run(lstm_session *session, const task *t, int32_t training)
{
    const lstm_data x = {.struct_size = sizeof x,
                         .samples = t->view.samples,
                         .x = t->view.x,
                         .x_count = t->view.x_count,
                         .lengths = t->view.lengths,
                         .lengths_count = t->view.lengths_count,
                         .mask = t->view.mask,
                         .mask_count = t->view.mask_count};
    assert_ok(lstm_session_forward(session, &x));
    if (training == LSTM_NO)
        return;
    assert_ok(lstm_session_set_output_gradient(session, 0, t->y, t->view.y_count));
    assert_ok(lstm_session_backward(session));
}

static void compare_outputs(const variant *v, lstm_session *got, lstm_session *want, size_t count)
{
    float *a = numbers(count);
    float *b = numbers(count);
    assert_ok(lstm_session_output(got, 0, a, count));
    assert_ok(lstm_session_output(want, 0, b, count));
    assert_close(v->name, a, b, count, 0, TOLERANCE);
    free(a);
    free(b);
}

static void compare_gradients(const variant *v, const network *n, lstm_session *got,
                              lstm_session *want)
{
    for (size_t k = 0; k < lstm_model_parameter_count(n->model); k++) {
        char what[256];
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(n->model, k, &info));
        float *a = numbers(info.count);
        float *b = numbers(info.count);
        assert_ok(lstm_session_parameter_gradient(got, k, a, info.count));
        assert_ok(lstm_session_parameter_gradient(want, k, b, info.count));
        snprintf(what, sizeof what, "%s: gradient of %s", v->name, info.name);
        assert_close(what, a, b, info.count, 0, GRADIENT_TOLERANCE);
        free(a);
        free(b);
    }
}

static void compare(const variant *v, int32_t training)
{
    network table = build(v, TABLE);
    network rows = build(v, OUTPUT);
    lstm_session *got = session_of(&table, v, training);
    lstm_session *want = session_of(&rows, v, training);
    if (training == LSTM_YES && lstm_session_memory_size(got) == lstm_session_memory_size(want))
        fail_msg("%s: both sessions have rows", v->name);
    for (uint32_t call = 0; call < 3; call++) {
        if (call != 1) { /* at the second call the weights are as before */
            set_values(&table, 50 + call);
            set_values(&rows, 50 + call);
        }
        task t = make_task(v, v->samples, v->steps, 11 + call);
        run(got, &t, training);
        run(want, &t, training);
        compare_outputs(v, got, want, t.view.y_count);
        if (training == LSTM_YES)
            compare_gradients(v, &table, got, want);
        free_task(&t);
    }
    lstm_session_destroy(got);
    lstm_session_destroy(want);
    release(&table);
    release(&rows);
}

static void test_training_is_that_of_rows(void **state)
{
    (void)state;
    for (size_t k = 0; k < LENGTH(variants); k++)
        compare(&variants[k], LSTM_YES);
}

static void test_prediction_is_that_of_rows(void **state)
{
    (void)state;
    for (size_t k = 0; k < LENGTH(variants); k++)
        compare(&variants[k], LSTM_NO);
}

/* With one sample, where rows take the split route too. */
static void test_outputs_have_the_bits_of_rows_on_the_same_route(void **state)
{
    enum { COUNT = 40 * 3 };
    const variant v = {"bits", 9, 70, 45, .samples = 1, .steps = 40, .sequences = LSTM_YES};
    float outputs[2][COUNT];
    (void)state;
    for (int32_t training = LSTM_NO; training <= LSTM_YES; training++) {
        for (int k = 0; k < 2; k++) {
            network n = build(&v, k == 0 ? TABLE : OUTPUT);
            set_values(&n, 8);
            lstm_session *session = session_of(&n, &v, training);
            task t = make_task(&v, v.samples, v.steps, 6);
            run(session, &t, training);
            assert_ok(lstm_session_output(session, 0, outputs[k], COUNT));
            free_task(&t);
            lstm_session_destroy(session);
            release(&n);
        }
        assert_memory_equal(outputs[0], outputs[1], sizeof outputs[0]);
    }
}

static void test_training_with_a_table_takes_less_memory(void **state)
{
    (void)state;
    const variant v = {"memory", 30, 64, 32, .samples = 16, .steps = 40, .sequences = LSTM_YES};
    network table = build(&v, TABLE);
    network rows = build(&v, BETWEEN);
    lstm_session *small = session_of(&table, &v, LSTM_YES);
    lstm_session *large = session_of(&rows, &v, LSTM_YES);
    /* x, its gradient and its place in the tape are not there */
    assert_true(lstm_session_memory_size(small) + 3 * 64 * 16 * 40 * sizeof(float) <
                lstm_session_memory_size(large) + 2 * 30 * 4 * 48 * sizeof(float));
    lstm_session_destroy(small);
    lstm_session_destroy(large);
    release(&table);
    release(&rows);
}

/* Step by step, with a vocabulary far larger than the rows of a call. */
static void test_generation_is_that_of_rows(void **state)
{
    enum { MOST = 3, STEPS = 60 };
    (void)state;
    for (int64_t samples = 1; samples <= MOST; samples++) {
        const variant v = {
            "step by step",      300, 24, 40, .samples = samples, .steps = 1, .sequences = LSTM_YES,
            .stateful = LSTM_YES};
        network table = build(&v, TABLE);
        network rows = build(&v, OUTPUT);
        lstm_session *got = session_of(&table, &v, LSTM_NO);
        lstm_session *want = session_of(&rows, &v, LSTM_NO);
        for (uint32_t step = 0; step < STEPS; step++) {
            if (step % 25 == 0) {
                set_values(&table, 1 + step);
                set_values(&rows, 1 + step);
            }
            task t = make_task(&v, samples, 1, step % 20);
            run(got, &t, LSTM_NO);
            run(want, &t, LSTM_NO);
            compare_outputs(&v, got, want, t.view.y_count);
            free_task(&t);
        }
        lstm_session_destroy(got);
        lstm_session_destroy(want);
        release(&table);
        release(&rows);
    }
}

/* All that a training pass gives, one array after the other. */
static size_t collect(const network *n, const variant *v, float *to)
{
    lstm_session *session = session_of(n, v, LSTM_YES);
    task t = make_task(v, v->samples, v->steps, 5);
    size_t count = t.view.y_count;
    run(session, &t, LSTM_YES);
    if (to)
        assert_ok(lstm_session_output(session, 0, to, count));
    for (size_t k = 0; k < lstm_model_parameter_count(n->model); k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(n->model, k, &info));
        if (to)
            assert_ok(lstm_session_parameter_gradient(session, k, to + count, info.count));
        count += info.count;
    }
    free_task(&t);
    lstm_session_destroy(session);
    return count;
}

static void test_bits_do_not_depend_on_threads(void **state)
{
    static const int32_t threads[] = {1, 2, 3, 8};
    static const variant shapes[] = {
        {"rows", 40, 70, 129, .samples = 40, .steps = 9, .sequences = LSTM_YES},
        {"panels", 9, 200, 700, .samples = 2, .steps = 10},
        {"masks", 40, 70, 129, .samples = 40, .steps = 9, .padding = 2},
    };
    (void)state;
    for (size_t s = 0; s < LENGTH(shapes); s++) {
        float *first = NULL;
        for (size_t k = 0; k < LENGTH(threads); k++) {
            variant v = shapes[s];
            v.threads = threads[k];
            network n = build(&v, TABLE);
            const size_t count = collect(&n, &v, NULL);
            float *all = numbers(count);
            collect(&n, &v, all);
            if (first)
                assert_memory_equal(all, first, count * sizeof *all);
            else
                first = all;
            if (all != first)
                free(all);
            release(&n);
        }
        free(first);
    }
}

/* Backward belongs to the forward pass before it: what was set in between changes the weights it goes
 * back through, as everywhere, but not the rows that were read. */
static void test_embeddings_set_before_backward_are_not_those_of_forward(void **state)
{
    (void)state;
    const variant v = {"set in between", 8, 24, 20, .samples = 6, .steps = 7};
    network table = build(&v, TABLE);
    network rows = build(&v, OUTPUT);
    lstm_session *got = session_of(&table, &v, LSTM_YES);
    lstm_session *want = session_of(&rows, &v, LSTM_YES);
    task t = make_task(&v, v.samples, v.steps, 4);
    lstm_session *sessions[2] = {got, want};
    const network *networks[2] = {&table, &rows};
    for (int k = 0; k < 2; k++) {
        float other[8 * 24];
        set_values(networks[k], 3);
        assert_ok(lstm_session_forward(sessions[k], &t.view));
        fill(other, 8 * 24, 77, 1);
        assert_ok(lstm_model_set_parameter(networks[k]->model, 0, other, 8 * 24));
        assert_ok(lstm_session_set_output_gradient(sessions[k], 0, t.y, t.view.y_count));
        assert_ok(lstm_session_backward(sessions[k]));
    }
    compare_gradients(&v, &table, got, want);
    free_task(&t);
    lstm_session_destroy(got);
    lstm_session_destroy(want);
    release(&table);
    release(&rows);
}

static void test_tokens_outside_of_the_table_are_refused(void **state)
{
    (void)state;
    const variant v = {"outside", 8, 24, 20, .samples = 6, .steps = 7};
    network n = build(&v, TABLE);
    lstm_session *session = session_of(&n, &v, LSTM_YES);
    task t = make_task(&v, v.samples, v.steps, 4);
    t.x[9] = 8;
    assert_status_text(lstm_session_forward(session, &t.view), LSTM_ERROR_ARGUMENT,
                       "sample 1, step 2: token 8");
    t.x[9] = 7;
    run(session, &t, LSTM_YES);
    free_task(&t);
    lstm_session_destroy(session);
    release(&n);
}

static void test_gates_are_those_of_rows(void **state)
{
    (void)state;
    const variant v = {"traces", 8, 24, 20, .samples = 6, .steps = 7, .padding = 1};
    task t = make_task(&v, v.samples, v.steps, 4);
    float *gates[2] = {NULL, NULL};
    for (int32_t which = LSTM_TRACE_INPUT_GATE; which <= LSTM_TRACE_OUTPUT; which++) {
        size_t count = 0;
        for (int k = 0; k < 2; k++) {
            network n = build(&v, k == 0 ? TABLE : OUTPUT);
            lstm_session *session = NULL;
            set_values(&n, 3);
            assert_ok(lstm_session_create(
                &session, n.model,
                OPTIONS(lstm_session, .traces = LSTM_YES, .batch = v.samples, .steps = v.steps)));
            run(session, &t, LSTM_NO);
            count = lstm_session_trace_count(session, n.lstm, which);
            gates[k] = numbers(count);
            assert_ok(lstm_session_trace(session, n.lstm, which, gates[k], count));
            lstm_session_destroy(session);
            release(&n);
        }
        assert_true(count == 6 * 7 * 20);
        assert_close("gates", gates[0], gates[1], count, 0, TOLERANCE);
        free(gates[0]);
        free(gates[1]);
    }
    free_task(&t);
}

/* Train with everything that acts on an embedding or runs sequences in pieces. */
static void fit_both(const char *name, const lstm_fit_options *options,
                     void (*prepare)(const network *n))
{
    const variant v = {name,        8, 24, 20, .samples = 12, .steps = 20, .sequences = LSTM_YES,
                       .padding = 1};
    network table = build(&v, TABLE);
    network rows = build(&v, BETWEEN);
    task t = make_task(&v, v.samples, v.steps, 4);
    const network *networks[2] = {&table, &rows};
    for (int k = 0; k < 2; k++) {
        set_values(networks[k], 3);
        if (prepare)
            prepare(networks[k]);
        assert_ok(lstm_fit(networks[k]->model, options, &t.view, NULL));
    }
    for (size_t k = 0; k < lstm_model_parameter_count(table.model); k++) {
        char what[256];
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(table.model, k, &info));
        float *a = numbers(info.count);
        float *b = numbers(info.count);
        assert_ok(lstm_model_get_parameter(table.model, k, a, info.count));
        assert_ok(lstm_model_get_parameter(rows.model, k, b, info.count));
        snprintf(what, sizeof what, "%s: %s", name, info.name);
        assert_close(what, a, b, info.count, 0, 5 * TOLERANCE);
        free(a);
        free(b);
    }
    free_task(&t);
    release(&table);
    release(&rows);
}

static void freeze(const network *n)
{
    assert_ok(lstm_layer_set_rate(n->embedding, 0));
}

static void regularise(const network *n)
{
    assert_ok(lstm_layer_set_regularizer(n->lstm, "kernel",
                                         OPTIONS(lstm_regularizer, .l1 = 1e-3, .l2 = 1e-2)));
    assert_ok(lstm_layer_set_regularizer(
        n->lstm, "recurrent_kernel",
        OPTIONS(lstm_regularizer, .constraint = LSTM_CONSTRAINT_MAX_NORM, .max_norm = 0.5)));
}

static void penalise_activity(const network *n)
{
    assert_ok(lstm_layer_set_regularizer(n->embedding, "activity",
                                         OPTIONS(lstm_regularizer, .l1 = 1e-2, .l2 = 1e-1)));
}

static void test_fit_is_that_of_rows(void **state)
{
    (void)state;
    const lstm_optimizer_options sgd = {.struct_size = sizeof sgd,
                                        .optimizer = LSTM_OPTIMIZER_SGD,
                                        .learning_rate = 0.1,
                                        .momentum = 0.5};
    const lstm_optimizer_options clipped = {.struct_size = sizeof clipped,
                                            .optimizer = LSTM_OPTIMIZER_SGD,
                                            .learning_rate = 0.1,
                                            .global_clip_norm = 0.05};
    lstm_fit_options o = {
        .struct_size = sizeof o, .epochs = 3, .batch_size = 5, .optimizer_options = &sgd};
    fit_both("plain", &o, NULL);
    fit_both("frozen embeddings", &o, freeze);
    fit_both("penalties", &o, regularise);
    fit_both("activity penalty", &o, penalise_activity);
    o.tbptt_k1 = 5;
    fit_both("pieces", &o, NULL);
    o.tbptt_k2 = 8;
    fit_both("overlapping pieces", &o, NULL);
    o.tbptt_k1 = o.tbptt_k2 = 0;
    o.optimizer_options = &clipped;
    fit_both("clipped by the global norm", &o, freeze);
}

static void test_nothing_is_allocated_after_the_creation(void **state)
{
    (void)state;
    counting_allocator allocator = {0};
    const variant v = {"allocation", 8, 24, 20, .samples = 6, .steps = 7, .padding = 2};
    for (int32_t training = LSTM_NO; training <= LSTM_YES; training++) {
        lstm_context *context = counting_allocator_context(&allocator);
        network n = build_in(context, &v, TABLE);
        lstm_session *session = session_of(&n, &v, training);
        task t = make_task(&v, v.samples, v.steps, 4);
        const size_t calls = allocator.calls;
        for (uint32_t k = 0; k < 3; k++) {
            set_values(&n, k);
            run(session, &t, training);
        }
        assert_int_equal(allocator.calls, calls);
        free_task(&t);
        lstm_session_destroy(session);
        release(&n);
    }
    assert_nothing_left(&allocator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_is_that_of_rows),
        cmocka_unit_test(test_prediction_is_that_of_rows),
        cmocka_unit_test(test_outputs_have_the_bits_of_rows_on_the_same_route),
        cmocka_unit_test(test_training_with_a_table_takes_less_memory),
        cmocka_unit_test(test_generation_is_that_of_rows),
        cmocka_unit_test(test_bits_do_not_depend_on_threads),
        cmocka_unit_test(test_embeddings_set_before_backward_are_not_those_of_forward),
        cmocka_unit_test(test_tokens_outside_of_the_table_are_refused),
        cmocka_unit_test(test_gates_are_those_of_rows),
        cmocka_unit_test(test_fit_is_that_of_rows),
        cmocka_unit_test(test_nothing_is_allocated_after_the_creation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
