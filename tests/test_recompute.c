/* SPDX-License-Identifier: MIT
 *
 * Recomputation: a training session that keeps spans of the tape gives the same outputs, losses,
 * gradients and states, to the bit, as one that keeps all of it: for every number of steps up to
 * 50 and for 1000, with masks, both directions, carried, learned and handed-over states, zeros for
 * masked steps, other activations, several threads, smaller calls than planned. It takes less
 * memory, and allocates nothing after its creation.
 */
#include "counting_allocator.h"

#include <lstm/lstm.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FEATURES = 3, OUTPUTS = 2, CALLS = 2 };

typedef struct variant {
    const char *name;
    int64_t units;
    int32_t profile, threads;
    int32_t sequences; /* of the last LSTM */
    int32_t backwards, stateful, zeros, activation;
    int masked, learned, chained; /* chained: the second LSTM begins with the states of the first */
    int smaller;                  /* calls are smaller than the session was planned for */
} variant;

/* Enough samples that 50 steps of them do not fit into half a megabyte of gates. */
static const variant variants[] = {
    {.name = "plain", .units = 24},
    {.name = "sequences, concat route", .units = 20, .sequences = LSTM_YES},
    {.name = "split route", .units = 180},
    {.name = "masks", .units = 24, .sequences = LSTM_YES, .masked = 1},
    {.name = "masks, last output", .units = 24, .masked = 1},
    {.name = "masks with zeros",
     .units = 24,
     .sequences = LSTM_YES,
     .masked = 1,
     .zeros = LSTM_YES},
    {.name = "backwards", .units = 24, .backwards = LSTM_YES, .masked = 1},
    {.name = "stateful", .units = 24, .stateful = LSTM_YES},
    {.name = "stateful with masks", .units = 24, .stateful = LSTM_YES, .masked = 1},
    {.name = "learned states", .units = 24, .learned = 1, .sequences = LSTM_YES, .masked = 1},
    {.name = "chained states", .units = 24, .chained = 1},
    {.name = "relu", .units = 24, .activation = LSTM_ACTIVATION_RELU, .masked = 1},
    {.name = "PyTorch", .units = 24, .profile = LSTM_PROFILE_TORCH, .masked = 1},
    {.name = "threads", .units = 40, .threads = 3, .sequences = LSTM_YES},
    {.name = "smaller calls", .units = 24, .smaller = 1, .sequences = LSTM_YES, .masked = 1},
};

static void ok(lstm_status status)
{
    if (status != LSTM_OK)
        fail_msg("%s: %s", lstm_status_name(status), lstm_last_error());
}

static void fill(float *p, size_t count, uint32_t seed)
{
    for (size_t k = 0; k < count; k++) {
        seed = seed * 1664525u + 1013904223u;
        p[k] = (float)(seed >> 8) * 0x1p-23f - 1;
    }
}

static lstm_model *build(const variant *v, lstm_context *context)
{
    lstm_model *model = NULL;
    lstm_layer *input = NULL, *first = NULL, *second = NULL, *h = NULL, *c = NULL;
    const lstm_model_options options = {sizeof options, .profile = v->profile, .seed = 7};
    const lstm_input_options in = {.struct_size = sizeof in, .steps = 0, .features = FEATURES};
    const lstm_learned_vector_options learned = {.struct_size = sizeof learned,
                                                 .initializer = LSTM_INITIALIZER_GLOROT_UNIFORM,
                                                 .features = v->units};
    const lstm_dense_options dense = {.struct_size = sizeof dense, .units = OUTPUTS};
    ok(lstm_model_create(&model, context, &options));
    ok(lstm_model_add_input(model, &in, &input));
    if (v->learned) {
        ok(lstm_model_add_learned_vector(model, &learned, input, &h));
        ok(lstm_model_add_learned_vector(model, &learned, input, &c));
    }
    ok(lstm_model_add_lstm(model,
                           &(lstm_lstm_options){.struct_size = sizeof(lstm_lstm_options),
                                                .units = v->units,
                                                .return_sequences = LSTM_YES,
                                                .go_backwards = v->backwards,
                                                .stateful = v->stateful,
                                                .zero_output_for_mask = v->zeros,
                                                .activation = v->activation,
                                                .initial_h = h,
                                                .initial_c = c},
                           input, &first));
    ok(lstm_model_add_lstm(model,
                           &(lstm_lstm_options){.struct_size = sizeof(lstm_lstm_options),
                                                .units = v->units,
                                                .return_sequences = v->sequences,
                                                .stateful = v->stateful,
                                                .initial_state = v->chained ? first : NULL},
                           first, &second));
    ok(lstm_model_add_dense(model, &dense, second, NULL));
    ok(lstm_model_build(model));
    return model;
}

typedef struct data {
    lstm_data view;
    float *x, *y;
    uint8_t *mask;
} data;

static data make_data(const variant *v, int64_t samples, int64_t steps, uint32_t seed)
{
    const size_t rows = (size_t)(samples * steps);
    const size_t targets = (v->sequences == LSTM_YES ? rows : (size_t)samples) * OUTPUTS;
    data d = {.x = malloc((rows * FEATURES + 1) * sizeof(float)),
              .y = malloc((targets + 1) * sizeof(float)),
              .mask = malloc(rows + 1)};
    assert_true(d.x && d.y && d.mask);
    fill(d.x, rows * FEATURES, seed);
    fill(d.y, targets, seed + 1);
    for (size_t k = 0; k < rows; k++) {
        const size_t sample = k / (size_t)steps;
        const size_t step = k % (size_t)steps;
        /* some samples whole, some short, some with holes, one without any step */
        d.mask[k] = (uint8_t)(sample == 5       ? 0
                              : sample % 4 == 1 ? step < sample * 7 % (size_t)steps
                              : sample % 4 == 2 ? (sample * 31 + step * 17) % 5 != 0
                                                : 1);
    }
    d.view = (lstm_data){.struct_size = sizeof d.view,
                         .samples = samples,
                         .x = d.x,
                         .x_count = rows * FEATURES,
                         .y = d.y,
                         .y_count = targets,
                         .mask = v->masked ? d.mask : NULL,
                         .mask_count = v->masked ? rows : 0};
    return d;
}

static void free_data(data *d)
{
    free(d->x);
    free(d->y);
    free(d->mask);
}

static lstm_session *session_of(lstm_model *model, int64_t samples, int64_t steps,
                                int32_t recompute)
{
    lstm_session *session = NULL;
    const lstm_session_options options = {.struct_size = sizeof options,
                                          .training = LSTM_YES,
                                          .batch = samples,
                                          .steps = steps,
                                          .recompute = recompute};
    ok(lstm_session_create(&session, model, &options));
    return session;
}

/* One update's work; what comes out goes to `to` if it is not NULL, one array after the other.
 * Returns how many numbers that are. */
static size_t work(lstm_model *model, lstm_session *session, const data *d, float *to)
{
    const size_t outputs = d->view.y_count;
    const size_t inputs = d->view.x_count;
    double loss = 0;
    ok(lstm_session_forward(session, &d->view));
    ok(lstm_session_loss(session, NULL, &d->view, &loss));
    ok(lstm_session_backward(session));
    size_t count = 0;
    if (to) {
        to[count] = (float)loss;
        ok(lstm_session_output(session, 0, to + 1, outputs));
        ok(lstm_session_input_gradient(session, 0, to + 1 + outputs, inputs));
    }
    count += 1 + outputs + inputs;
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        ok(lstm_model_parameter_info(model, k, &info));
        if (to)
            ok(lstm_session_parameter_gradient(session, k, to + count, info.count));
        count += info.count;
    }
    return count;
}

/* Two calls with and without recomputation, on models with the same numbers. */
static void compare(const variant *v, int64_t samples, int64_t steps, int less_memory)
{
    const lstm_context_options options = {.struct_size = sizeof options, .threads = v->threads};
    lstm_context *context = NULL;
    ok(lstm_context_create(&context, &options));
    lstm_model *model = build(v, context);
    const int64_t most_samples = samples + (v->smaller ? samples / 3 : 0);
    const int64_t most_steps = steps + (v->smaller ? steps / 2 : 0);
    lstm_session *whole = session_of(model, most_samples, most_steps, LSTM_NO);
    lstm_session *spans = session_of(model, most_samples, most_steps, LSTM_YES);
    const size_t memory = lstm_session_memory_size(whole);
    if (less_memory && lstm_session_memory_size(spans) >= memory)
        fail_msg("%s, %d steps: %zu bytes with recomputation, %zu without", v->name, (int)steps,
                 lstm_session_memory_size(spans), memory);
    for (int call = 0; call < CALLS; call++) {
        data d = make_data(v, samples, steps, 11u + (uint32_t)call);
        const size_t count = work(model, whole, &d, NULL);
        float *want = malloc(count * sizeof *want);
        float *got = malloc(count * sizeof *got);
        assert_true(want && got);
        if (v->stateful == LSTM_YES) { /* the pass above has moved the states */
            ok(lstm_session_reset_states(whole));
            ok(lstm_session_reset_states(spans));
            work(model, whole, &d, want);
            work(model, spans, &d, got);
        }
        work(model, whole, &d, want);
        work(model, spans, &d, got);
        for (size_t k = 0; k < count; k++)
            if (memcmp(&want[k], &got[k], sizeof *want) != 0)
                fail_msg("%s, %d steps, call %d: number %zu of %zu is %.9g, without recomputation "
                         "%.9g",
                         v->name, (int)steps, call, k, count, (double)got[k], (double)want[k]);
        free(want);
        free(got);
        free_data(&d);
    }
    lstm_session_destroy(whole);
    lstm_session_destroy(spans);
    lstm_model_destroy(model);
    lstm_context_destroy(context);
}

static void test_every_variant_has_the_same_bits(void **state)
{
    static const int64_t steps[] = {1, 19, 33};
    (void)state;
    for (size_t v = 0; v < sizeof variants / sizeof variants[0]; v++)
        for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++)
            compare(&variants[v], 2400 / variants[v].units + 60, steps[k], steps[k] == 33);
}

static void test_every_number_of_steps_up_to_50_has_the_same_bits(void **state)
{
    (void)state;
    for (int64_t steps = 1; steps <= 50; steps++) {
        const variant v = {.name = "steps",
                           .units = 16,
                           .sequences = LSTM_YES,
                           .masked = steps % 2 == 1,
                           .backwards = steps % 3 == 0 ? LSTM_YES : LSTM_NO};
        compare(&v, 150, steps, steps > 40);
    }
}

static void test_a_thousand_steps_have_the_same_bits(void **state)
{
    static const int64_t samples[] = {1, 7};
    (void)state;
    for (size_t k = 0; k < 2; k++)
        for (int masked = 0; masked < 2; masked++) {
            const variant v = {
                .name = "long", .units = 20, .sequences = LSTM_YES, .masked = masked};
            compare(&v, samples[k], 1000 + (int64_t)k, samples[k] > 1);
        }
}

/* 32 samples of 1000 steps through one LSTM of 64 units. A step's tape has (row of h and x) + 4 U + 2 U
 * numbers a sample, padded; the states between spans U + U. */
static void test_a_thousand_steps_take_a_tenth_of_the_memory(void **state)
{
    (void)state;
    lstm_model *model = NULL;
    const lstm_input_options in = {.struct_size = sizeof in, .steps = 0, .features = 8};
    const lstm_lstm_options lstm = {.struct_size = sizeof lstm, .units = 64};
    ok(lstm_model_create(&model, NULL, NULL));
    ok(lstm_model_add_input(model, &in, NULL));
    ok(lstm_model_add_lstm(model, &lstm, NULL, NULL));
    ok(lstm_model_build(model));
    size_t bytes[2];
    for (int recompute = 0; recompute < 2; recompute++) {
        lstm_session *session = session_of(model, 32, 1000, recompute ? LSTM_YES : LSTM_NO);
        bytes[recompute] = lstm_session_memory_size(session);
        lstm_session_destroy(session);
    }
    print_message("1000 steps: %zu bytes with the whole tape, %zu with recomputation\n", bytes[0],
                  bytes[1]);
    assert_true(10 * bytes[1] < bytes[0]);
    lstm_model_destroy(model);
}

static void test_nothing_is_allocated_after_the_creation(void **state)
{
    (void)state;
    counting_allocator allocator = {0};
    lstm_context *context = counting_allocator_context(&allocator);
    const variant v = {.name = "allocation", .units = 24, .sequences = LSTM_YES, .masked = 1};
    lstm_model *model = build(&v, context);
    lstm_session *session = session_of(model, 150, 40, LSTM_YES);
    data d = make_data(&v, 150, 40, 3);
    work(model, session, &d, NULL);
    const size_t calls = allocator.calls;
    for (int k = 0; k < 3; k++)
        work(model, session, &d, NULL);
    assert_int_equal(allocator.calls, calls);
    free_data(&d);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
    lstm_context_destroy(context);
    assert_nothing_left(&allocator);
}

static void test_fit_gives_the_same_parameters(void **state)
{
    (void)state;
    const variant v = {.name = "fit", .units = 24, .masked = 1};
    float *parameters[2];
    size_t total = 0;
    for (int recompute = 0; recompute < 2; recompute++) {
        lstm_model *model = build(&v, NULL);
        data d = make_data(&v, 300, 40, 5);
        const lstm_fit_options options = {.struct_size = sizeof options,
                                          .epochs = 2,
                                          .batch_size = 150,
                                          .recompute = recompute ? LSTM_YES : LSTM_NO};
        ok(lstm_fit(model, &options, &d.view, NULL));
        total = 0;
        parameters[recompute] = calloc(40000, sizeof(float));
        for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
            lstm_parameter_info info = {.struct_size = sizeof info};
            ok(lstm_model_parameter_info(model, k, &info));
            assert_true(total + info.count <= 40000);
            ok(lstm_model_get_parameter(model, k, parameters[recompute] + total, info.count));
            total += info.count;
        }
        free_data(&d);
        lstm_model_destroy(model);
    }
    assert_memory_equal(parameters[0], parameters[1], total * sizeof(float));
    free(parameters[0]);
    free(parameters[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_variant_has_the_same_bits),
        cmocka_unit_test(test_every_number_of_steps_up_to_50_has_the_same_bits),
        cmocka_unit_test(test_a_thousand_steps_have_the_same_bits),
        cmocka_unit_test(test_a_thousand_steps_take_a_tenth_of_the_memory),
        cmocka_unit_test(test_nothing_is_allocated_after_the_creation),
        cmocka_unit_test(test_fit_gives_the_same_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
