/* SPDX-License-Identifier: MIT
 * The bits of the LSTM primitive, forward and backward, with 1, 2, 3 and 8 threads: shapes that are
 * shared by rows, by the panels of a step, and not at all; both routes; and of the LSTM's variants.
 * And that routes, batches and samples agree with each other.
 */
#include "closeness.h"

#include <lstm/lstm.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct shape {
    int64_t batch, steps, input, hidden;
} shape;

static const shape shapes[] = {
    {33, 9, 1, 35},  {40, 5, 70, 129}, {13, 3, 300, 200}, {1, 4, 200, 700},
    {3, 4, 60, 500}, {2, 2, 3, 5},     {1, 1, 1, 1},
};

enum { SHAPES = sizeof shapes / sizeof shapes[0], OUTPUTS = 8 };

typedef struct results {
    float *block;
    float *parts[OUTPUTS];
    size_t total;
} results;

static void fill(float *p, size_t count, uint32_t seed, float scale)
{
    for (size_t k = 0; k < count; k++) {
        seed = seed * 1664525u + 1013904223u;
        p[k] = scale * ((float)(seed >> 8) * 0x1p-23f - 1);
    }
}

static void ok(lstm_status status)
{
    if (status != LSTM_OK)
        fail_msg("%s: %s", lstm_status_name(status), lstm_last_error());
}

static results run(shape s, int32_t route, int32_t threads, int32_t training)
{
    const size_t x = (size_t)(s.steps * s.batch * s.input),
                 y = (size_t)(s.steps * s.batch * s.hidden);
    const size_t h = (size_t)(s.batch * s.hidden),
                 w = (size_t)((s.input + s.hidden) * 4 * s.hidden);
    const size_t sizes[OUTPUTS] = {y, h, h, x, w, (size_t)(4 * s.hidden), h, h};
    results r = {0};
    for (size_t k = 0; k < OUTPUTS; k++)
        r.total += sizes[k];
    r.block = calloc(r.total, sizeof(float));
    float *in = malloc((w + x + y) * sizeof(float));
    assert_true(r.block && in);
    fill(in, w, 1, 0.1f);
    fill(in + w, x + y, 2, 1);
    for (size_t k = 0, at = 0; k < OUTPUTS; at += sizes[k++])
        r.parts[k] = r.block + at;
    lstm_context *context = NULL;
    lstm_primitive *p = NULL;
    ok(lstm_context_create(
        &context,
        &(lstm_context_options){.struct_size = sizeof(lstm_context_options), .threads = threads}));
    ok(lstm_primitive_create(
        &p, context,
        &(lstm_primitive_options){.struct_size = sizeof(lstm_primitive_options),
                                  .training = training,
                                  .input_size = s.input,
                                  .hidden_size = s.hidden,
                                  .batch = s.batch,
                                  .steps = s.steps,
                                  .route = route}));
    const lstm_primitive_arrays arrays = {.struct_size = sizeof arrays,
                                          .batch = s.batch,
                                          .steps = s.steps,
                                          .weights = in,
                                          .x = in + w,
                                          .y = r.parts[0],
                                          .hn = r.parts[1],
                                          .cn = r.parts[2],
                                          .dy = in + w + x,
                                          .dx = r.parts[3],
                                          .dweights = r.parts[4],
                                          .dbias = r.parts[5],
                                          .dh0 = r.parts[6],
                                          .dc0 = r.parts[7]};
    ok(lstm_primitive_forward(p, &arrays));
    if (training == LSTM_YES)
        ok(lstm_primitive_backward(p, &arrays));
    lstm_primitive_destroy(p);
    lstm_context_destroy(context);
    free(in);
    return r;
}

static void test_bits_are_the_same_for_1_2_3_and_8_threads(void **state)
{
    static const int32_t threads[] = {2, 3, 8};
    (void)state;
    for (size_t k = 0; k < SHAPES; k++)
        for (int32_t route = LSTM_ROUTE_CONCAT; route <= LSTM_ROUTE_SPLIT; route++)
            for (int32_t training = LSTM_YES; training <= LSTM_NO; training++) {
                const results one = run(shapes[k], route, 1, training);
                for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
                    const results many = run(shapes[k], route, threads[t], training);
                    for (size_t v = 0; v < one.total; v++)
                        if (memcmp(one.block + v, many.block + v, sizeof(float)) != 0)
                            fail_msg("shape %zu, route %d, training %d, %d threads: value %zu is "
                                     "%.9g, with one %.9g",
                                     k, (int)route, (int)training, (int)threads[t], v,
                                     (double)many.block[v], (double)one.block[v]);
                    free(many.block);
                }
                free(one.block);
            }
}

/* ---- The variants of the LSTM, a few samples at a time: the columns of a step are shared */

enum { FEATURES = 20, UNITS = 600, STEPS = 3, MOST_BATCH = 3 };

/* Outputs, then the gradients of x and of all parameters. */
static float *run_variant(const char *options, int64_t batch, int32_t threads, size_t *total)
{
    static const int32_t lengths[MOST_BATCH] = {1, 3, 2};
    float x[MOST_BATCH * STEPS * FEATURES];
    static float dy[MOST_BATCH * STEPS * UNITS];
    char text[512];
    lstm_context *context = NULL;
    lstm_model *model = NULL;
    lstm_session *session = NULL;
    int64_t width = 0;
    snprintf(
        text, sizeof text,
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [3, 20]}, {\"type\": \"LSTM\", \"units\": "
        "600, \"return_sequences\": true, \"recurrent_initializer\": \"glorot_uniform\", %s}]}",
        options);
    fill(x, sizeof x / sizeof *x, 3, 1);
    fill(dy, sizeof dy / sizeof *dy, 4, 1);
    ok(lstm_context_create(
        &context,
        &(lstm_context_options){.struct_size = sizeof(lstm_context_options), .threads = threads}));
    ok(lstm_model_from_json(&model, context, text, strlen(text)));
    ok(lstm_session_create(&session, model,
                           &(lstm_session_options){.struct_size = sizeof(lstm_session_options),
                                                   .training = LSTM_YES,
                                                   .batch = batch}));
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = batch,
                            .x = x,
                            .x_count = (size_t)batch * STEPS * FEATURES,
                            .lengths = batch > 1 ? lengths : NULL,
                            .lengths_count = batch > 1 ? (size_t)batch : 0};
    ok(lstm_layer_shape(lstm_model_output(model, 0), NULL, &width));
    const size_t outputs = (size_t)(batch * STEPS * width);
    *total = outputs + data.x_count + lstm_model_parameter_total(model);
    float *all = malloc(*total * sizeof *all);
    assert_non_null(all);
    ok(lstm_session_forward(session, &data));
    ok(lstm_session_output(session, 0, all, outputs));
    ok(lstm_session_set_output_gradient(session, 0, dy, outputs));
    ok(lstm_session_backward(session));
    ok(lstm_session_input_gradient(session, 0, all + outputs, data.x_count));
    float *at = all + outputs + data.x_count;
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        ok(lstm_model_parameter_info(model, k, &info));
        ok(lstm_session_parameter_gradient(session, k, at, info.count));
        at += info.count;
    }
    lstm_session_destroy(session);
    lstm_model_destroy(model);
    lstm_context_destroy(context);
    return all;
}

static void test_variants_have_the_same_bits_for_few_samples(void **state)
{
    static const char *const options[] = {
        "\"proj_size\": 500",
        "\"peepholes\": true, \"cell_clip\": 0.2, \"zoneout_h\": 0.2, \"zoneout_c\": 0.2",
        "\"layer_norm\": \"ba\", \"recurrent_dropout\": 0.3",
        "\"layer_norm\": \"tf\", \"peepholes\": true, \"go_backwards\": true",
        "\"recurrent_dropout\": 0.3, \"coupled_gates\": \"input\""};
    (void)state;
    for (size_t k = 0; k < sizeof options / sizeof *options; k++)
        for (int64_t batch = 1; batch <= MOST_BATCH; batch += 2) {
            size_t total = 0, same = 0;
            float *one = run_variant(options[k], batch, 1, &total);
            float *many = run_variant(options[k], batch, 2, &same);
            assert_int_equal(total, same);
            for (size_t v = 0; v < total; v++)
                if (memcmp(one + v, many + v, sizeof *one) != 0)
                    fail_msg("%s, %d samples, 2 threads: value %zu is %.9g, with one %.9g",
                             options[k], (int)batch, v, (double)many[v], (double)one[v]);
            free(one);
            free(many);
        }
}

/* The two routes add in another order but compute the same. */
static void test_routes_agree(void **state)
{
    (void)state;
    for (size_t k = 0; k < SHAPES; k++) {
        const results a = run(shapes[k], LSTM_ROUTE_CONCAT, 2, LSTM_YES);
        const results b = run(shapes[k], LSTM_ROUTE_SPLIT, 2, LSTM_YES);
        assert_close("routes", a.block, b.block, a.total, 1e-5, 1e-5);
        free(a.block);
        free(b.block);
    }
}

/* One sample after the other, over so many steps that a batch of them is worked on in several
 * segments. */
static void test_gradients_of_a_batch_are_the_sums_of_those_of_its_samples(void **state)
{
    const shape s = {24, 41, 30, 70};
    const size_t w = (size_t)((s.input + s.hidden) * 4 * s.hidden), b = (size_t)(4 * s.hidden);
    const size_t x = (size_t)(s.steps * s.batch * s.input),
                 y = (size_t)(s.steps * s.batch * s.hidden);
    float *in = malloc((w + x + y) * sizeof(float));
    float *one_x = malloc((x + y) * sizeof(float));
    float *one = malloc((w + b) * sizeof(float));
    float *sum = calloc(w + b, sizeof(float));
    float *whole = malloc((w + b) * sizeof(float));
    (void)state;
    assert_true(in && one_x && one && sum && whole);
    fill(in, w, 1, 0.1f);
    fill(in + w, x + y, 2, 1);
    float *one_y = one_x + s.steps * s.input;
    lstm_primitive *p = NULL;
    ok(lstm_primitive_create(
        &p, NULL,
        &(lstm_primitive_options){.struct_size = sizeof(lstm_primitive_options),
                                  .training = LSTM_YES,
                                  .input_size = s.input,
                                  .hidden_size = s.hidden,
                                  .batch = s.batch,
                                  .steps = s.steps}));
    lstm_primitive_arrays a = {.struct_size = sizeof a,
                               .batch = s.batch,
                               .steps = s.steps,
                               .weights = in,
                               .x = in + w,
                               .dy = in + w + x,
                               .dweights = whole,
                               .dbias = whole + w};
    ok(lstm_primitive_forward(p, &a));
    ok(lstm_primitive_backward(p, &a));
    a.batch = 1;
    a.weights = NULL; /* those of the forward before */
    a.x = one_x;
    a.dy = one_y;
    a.dweights = one;
    a.dbias = one + w;
    for (int64_t sample = 0; sample < s.batch; sample++) {
        for (int64_t t = 0; t < s.steps; t++) {
            memcpy(one_x + t * s.input, in + w + (t * s.batch + sample) * s.input,
                   (size_t)s.input * sizeof(float));
            memcpy(one_y + t * s.hidden, in + w + x + (t * s.batch + sample) * s.hidden,
                   (size_t)s.hidden * sizeof(float));
        }
        ok(lstm_primitive_forward(p, &a));
        ok(lstm_primitive_backward(p, &a));
        for (size_t k = 0; k < w + b; k++)
            sum[k] += one[k];
    }
    assert_close("dW and db", whole, sum, w + b, 1e-5, 1e-5);
    lstm_primitive_destroy(p);
    free(in);
    free(one_x);
    free(one);
    free(sum);
    free(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_are_the_same_for_1_2_3_and_8_threads),
        cmocka_unit_test(test_variants_have_the_same_bits_for_few_samples),
        cmocka_unit_test(test_routes_agree),
        cmocka_unit_test(test_gradients_of_a_batch_are_the_sums_of_those_of_its_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
