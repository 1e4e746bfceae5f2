/* SPDX-License-Identifier: MIT
 * Lengths, masks and Bidirectional through the public header: errors that say which sample,
 * layouts, descriptions that come back as they went, names of parameters.
 */
#include "closeness.h"

#include <lstm/lstm.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 3, STEPS = 4, FEATURES = 2, UNITS = 3 };

static void check(lstm_status status)
{
    if (status != LSTM_OK)
        fail_msg("%s: %s", lstm_status_name(status), lstm_last_error());
}

static void expect(lstm_status found, lstm_status wanted, const char *words)
{
    if (found != wanted || !strstr(lstm_last_error(), words))
        fail_msg("gave %s: %s; expected %s with \"%s\"", lstm_status_name(found), lstm_last_error(),
                 lstm_status_name(wanted), words);
}

static lstm_model *from_json(const char *text)
{
    lstm_model *model = NULL;
    check(lstm_model_from_json(&model, NULL, text, strlen(text)));
    return model;
}

static const char plain[] = "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 2]},"
                            "{\"type\": \"LSTM\", \"units\": 3, \"return_sequences\": true}]}";

static void fill(float *x, size_t count)
{
    for (size_t k = 0; k < count; k++)
        x[k] = (float)((k * 37 + 11) % 64) / 32 - 1;
}

static void test_wrong_lengths_and_masks_are_refused_in_words(void **state)
{
    (void)state;
    float x[SAMPLES * STEPS * FEATURES];
    float y[SAMPLES * STEPS * UNITS];
    int32_t lengths[SAMPLES] = {4, 0, 2};
    uint8_t mask[SAMPLES * STEPS] = {1};
    const int32_t *of[1] = {lengths};
    const size_t count = SAMPLES * STEPS * UNITS;
    lstm_model *model = from_json(plain);
    fill(x, SAMPLES * STEPS * FEATURES);
    lstm_data data = {.struct_size = sizeof data,
                      .samples = SAMPLES,
                      .x = x,
                      .x_count = SAMPLES * STEPS * FEATURES,
                      .lengths = lengths,
                      .lengths_count = SAMPLES};
    check(lstm_predict(model, &data, y, count));
    lengths[1] = 5;
    expect(lstm_predict(model, &data, y, count), LSTM_ERROR_ARGUMENT,
           "length of sample 1 is 5: expected 0 to 4");
    lengths[1] = -1;
    expect(lstm_predict(model, &data, y, count), LSTM_ERROR_ARGUMENT, "length of sample 1 is -1");
    lengths[1] = 1;
    data.lengths_count = 2;
    expect(lstm_predict(model, &data, y, count), LSTM_ERROR_SHAPE,
           "2 lengths given: expected one for each of the 3");
    data.lengths_count = SAMPLES;
    data.mask = mask;
    data.mask_count = 11;
    expect(lstm_predict(model, &data, y, count), LSTM_ERROR_SHAPE,
           "11 values: expected 12 (3 samples of 4 steps)");
    data.mask = NULL;
    data.input_lengths = of;
    expect(lstm_predict(model, &data, y, count), LSTM_ERROR_ARGUMENT, "lengths and input_lengths");
    data.lengths = NULL;
    check(lstm_predict(model, &data, y, count));
    data.samples = 0;
    data.x_count = 0;
    check(lstm_predict(model, &data, y, 0)); /* an empty batch is harmless */
    lstm_model_destroy(model);
    model = from_json("{\"layers\": [{\"type\": \"Input\", \"shape\": [2]}, {\"type\": \"Dense\", "
                      "\"units\": 3}]}");
    const lstm_data vectors = {.struct_size = sizeof vectors,
                               .samples = SAMPLES,
                               .x = x,
                               .x_count = SAMPLES * FEATURES,
                               .lengths = lengths,
                               .lengths_count = SAMPLES};
    expect(lstm_predict(model, &vectors, y, SAMPLES * UNITS), LSTM_ERROR_ARGUMENT,
           "no input of the model is a sequence");
    lstm_model_destroy(model);
}

/* Lengths, the mask that says the same, and the time-first forms of both give the same outputs. */
static void test_lengths_and_masks_mean_the_same_in_both_layouts(void **state)
{
    (void)state;
    float x[SAMPLES * STEPS * FEATURES];
    float turned[SAMPLES * STEPS * FEATURES];
    float y[4][SAMPLES * STEPS * UNITS];
    const int32_t lengths[SAMPLES] = {2, 4, 0};
    uint8_t mask[SAMPLES * STEPS];
    uint8_t turned_mask[SAMPLES * STEPS];
    lstm_model *model = from_json(plain);
    const size_t count = SAMPLES * STEPS * UNITS;
    fill(x, SAMPLES * STEPS * FEATURES);
    for (size_t b = 0; b < SAMPLES; b++)
        for (size_t t = 0; t < STEPS; t++) {
            mask[b * STEPS + t] = turned_mask[t * SAMPLES + b] =
                (uint8_t)((int32_t)t < lengths[b] ? 7 : 0);
            memcpy(turned + (t * SAMPLES + b) * FEATURES, x + (b * STEPS + t) * FEATURES,
                   FEATURES * sizeof *x);
        }
    lstm_data data = {.struct_size = sizeof data,
                      .samples = SAMPLES,
                      .x = x,
                      .x_count = SAMPLES * STEPS * FEATURES,
                      .lengths = lengths,
                      .lengths_count = SAMPLES};
    check(lstm_predict(model, &data, y[0], count));
    data.lengths = NULL;
    data.mask = mask;
    data.mask_count = SAMPLES * STEPS;
    check(lstm_predict(model, &data, y[1], count));
    data.layout = LSTM_LAYOUT_TIME_FIRST;
    data.x = turned;
    data.mask = turned_mask;
    check(lstm_predict(model, &data, y[2], count));
    data.mask = NULL;
    data.lengths = lengths;
    check(lstm_predict(model, &data, y[3], count));
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_memory_equal(y[2], y[3], sizeof y[0]);
    for (size_t b = 0; b < SAMPLES; b++)
        for (size_t t = 0; t < STEPS; t++)
            assert_memory_equal(y[0] + (b * STEPS + t) * UNITS, y[2] + (t * SAMPLES + b) * UNITS,
                                UNITS * sizeof(float));
    lstm_model_destroy(model);
}

static void expect_names(const lstm_model *model, const char *const *names, size_t count)
{
    assert_int_equal(lstm_model_parameter_count(model), count);
    for (size_t k = 0; k < count; k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        check(lstm_model_parameter_info(model, k, &info));
        assert_string_equal(info.name, names[k]);
    }
}

static void test_bidirectional_comes_back_from_its_description(void **state)
{
    (void)state;
    static const char text[] =
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [4, 2]},"
        "{\"type\": \"Bidirectional\", \"merge_mode\": \"sum\","
        " \"layer\": {\"type\": \"LSTM\", \"units\": 3, \"return_sequences\": true}},"
        "{\"type\": \"Dense\", \"units\": 2}]}";
    static const char *const names[] = {"bidirectional/forward_lstm/kernel",
                                        "bidirectional/forward_lstm/recurrent_kernel",
                                        "bidirectional/forward_lstm/bias",
                                        "bidirectional/backward_lstm/kernel",
                                        "bidirectional/backward_lstm/recurrent_kernel",
                                        "bidirectional/backward_lstm/bias",
                                        "dense/kernel",
                                        "dense/bias"};
    float x[SAMPLES * STEPS * FEATURES];
    float y[3][SAMPLES * STEPS * 2];
    static char written[16384];
    size_t length = 0;
    lstm_model *first = from_json(text);
    expect_names(first, names, 8);
    check(lstm_model_to_json(first, written, sizeof written, &length));
    lstm_model *second = from_json(written);
    expect_names(second, names, 8);
    /* The same by calls. */
    lstm_model *third = NULL;
    const lstm_input_options input = {
        .struct_size = sizeof input, .steps = STEPS, .features = FEATURES};
    const lstm_lstm_options lstm = {
        .struct_size = sizeof lstm, .units = UNITS, .return_sequences = LSTM_YES};
    const lstm_bidirectional_options both = {
        .struct_size = sizeof both, .merge_mode = LSTM_MERGE_SUM, .lstm = &lstm};
    const lstm_dense_options dense = {.struct_size = sizeof dense, .units = 2};
    check(lstm_model_create(&third, NULL, NULL));
    check(lstm_model_add_input(third, &input, NULL));
    check(lstm_model_add_bidirectional(third, &both, NULL, NULL));
    check(lstm_model_add_dense(third, &dense, NULL, NULL));
    check(lstm_model_build(third));
    expect_names(third, names, 8);
    fill(x, SAMPLES * STEPS * FEATURES);
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = SAMPLES,
                            .x = x,
                            .x_count = SAMPLES * STEPS * FEATURES};
    check(lstm_predict(first, &data, y[0], SAMPLES * STEPS * 2));
    check(lstm_predict(second, &data, y[1], SAMPLES * STEPS * 2));
    check(lstm_predict(third, &data, y[2], SAMPLES * STEPS * 2));
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_memory_equal(y[0], y[2], sizeof y[0]);
    lstm_model_destroy(first);
    lstm_model_destroy(second);
    lstm_model_destroy(third);
}

static void test_bidirectional_has_pytorchs_names_under_its_profile(void **state)
{
    (void)state;
    static const char text[] =
        "{\"profile\": \"torch\", \"layers\": [{\"type\": \"Input\", \"shape\": [4, 2]},"
        "{\"type\": \"Bidirectional\", \"name\": \"lstm\","
        " \"layer\": {\"type\": \"LSTM\", \"hidden_size\": 3}}]}";
    static const char *const names[] = {"lstm.weight_ih_l0",         "lstm.weight_hh_l0",
                                        "lstm.bias_ih_l0",           "lstm.bias_hh_l0",
                                        "lstm.weight_ih_l0_reverse", "lstm.weight_hh_l0_reverse",
                                        "lstm.bias_ih_l0_reverse",   "lstm.bias_hh_l0_reverse"};
    lstm_model *model = from_json(text);
    expect_names(model, names, 8);
    lstm_model_destroy(model);
}

static void test_a_failed_bidirectional_leaves_the_model_as_it_was(void **state)
{
    (void)state;
    lstm_model *model = NULL;
    lstm_layer *layer = NULL;
    const lstm_input_options input = {
        .struct_size = sizeof input, .steps = STEPS, .features = FEATURES};
    const lstm_lstm_options lstm = {.struct_size = sizeof lstm, .units = UNITS};
    lstm_bidirectional_options both = {.struct_size = sizeof both, .merge_mode = 9, .lstm = &lstm};
    check(lstm_model_create(&model, NULL, NULL));
    check(lstm_model_add_input(model, &input, NULL));
    expect(lstm_model_add_bidirectional(model, &both, NULL, &layer), LSTM_ERROR_ARGUMENT,
           "merge_mode");
    assert_null(layer);
    assert_int_equal(lstm_model_layer_count(model), 1);
    both.merge_mode = LSTM_MERGE_NONE;
    check(lstm_model_add_bidirectional(model, &both, NULL, &layer));
    assert_int_equal(lstm_model_layer_count(model), 4);
    assert_string_equal(lstm_layer_name(layer), "bidirectional");
    lstm_layer *backward = NULL;
    lstm_layer *output = NULL;
    check(lstm_bidirectional_parts(layer, NULL, &backward, &output));
    assert_string_equal(lstm_layer_name(backward), "bidirectional/backward_lstm");
    both = (lstm_bidirectional_options){
        .struct_size = sizeof both, .forward = backward, .backward = backward};
    expect(lstm_model_add_bidirectional(model, &both, NULL, NULL), LSTM_ERROR_ARGUMENT,
           "goes backwards");
    lstm_model_destroy(model);
}

static void test_carried_states_can_be_saved_restored_and_reset(void **state)
{
    (void)state;
    static const char text[] = "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 2]},"
                               "{\"type\": \"LSTM\", \"units\": 3, \"stateful\": true}]}";
    float x[SAMPLES * STEPS * FEATURES];
    float y[4][SAMPLES * UNITS];
    float h[SAMPLES * UNITS];
    float c[SAMPLES * UNITS];
    lstm_model *model = from_json(text);
    lstm_session *session = NULL;
    const lstm_layer *layer = lstm_model_output(model, 0);
    const lstm_session_options options = {
        .struct_size = sizeof options, .batch = SAMPLES, .steps = STEPS};
    const size_t count = SAMPLES * UNITS;
    fill(x, SAMPLES * STEPS * FEATURES);
    lstm_data data = {.struct_size = sizeof data,
                      .samples = SAMPLES,
                      .x = x,
                      .x_count = SAMPLES * STEPS * FEATURES};
    check(lstm_session_create(&session, model, &options));
    expect(lstm_session_get_states(session, layer, h, c, count), LSTM_ERROR_STATE, "no states yet");
    check(lstm_session_forward(session, &data));
    check(lstm_session_output(session, 0, y[0], count));
    check(lstm_session_get_states(session, layer, h, c, count));
    assert_memory_equal(h, y[0], sizeof h);
    check(lstm_session_forward(session, &data));
    check(lstm_session_output(session, 0, y[1], count));
    assert_memory_not_equal(y[0], y[1], sizeof h);
    check(lstm_session_set_states(session, layer, h, c, count));
    check(lstm_session_forward(session, &data));
    check(lstm_session_output(session, 0, y[2], count));
    assert_memory_equal(y[1], y[2], sizeof h);
    data.samples = 1;
    data.x_count = STEPS * FEATURES;
    expect(lstm_session_forward(session, &data), LSTM_ERROR_SHAPE,
           "carries the states of 3 samples, 1 given");
    check(lstm_session_reset_states(session));
    check(lstm_session_forward(session, &data));
    check(lstm_session_output(session, 0, y[3], UNITS));
    for (size_t k = 0; k < UNITS; k++)
        assert_true(fabsf(y[3][k] - y[0][k]) < 1e-6f);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
}

/* The loss of a padded batch is the mean over the steps that are there; the targets of the others
 * may be anything. */
static void test_a_loss_leaves_out_masked_steps(void **state)
{
    (void)state;
    float x[SAMPLES * STEPS * FEATURES];
    float y[SAMPLES * STEPS * UNITS];
    float p[SAMPLES * STEPS * UNITS];
    const int32_t lengths[SAMPLES] = {4, 1, 2};
    const int32_t metric = LSTM_METRIC_MAE;
    double values[2];
    double squares = 0;
    double sizes = 0;
    size_t valid = 0;
    lstm_model *model = from_json(plain);
    fill(x, SAMPLES * STEPS * FEATURES);
    fill(y, SAMPLES * STEPS * UNITS);
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = SAMPLES,
                            .x = x,
                            .x_count = SAMPLES * STEPS * FEATURES,
                            .y = y,
                            .y_count = SAMPLES * STEPS * UNITS,
                            .lengths = lengths,
                            .lengths_count = SAMPLES};
    check(lstm_predict(model, &data, p, SAMPLES * STEPS * UNITS));
    for (int b = 0; b < SAMPLES; b++)
        for (int t = 0; t < STEPS; t++)
            for (int f = 0; f < UNITS; f++) {
                const int k = (b * STEPS + t) * UNITS + f;
                if (t >= lengths[b]) {
                    y[k] = NAN;
                    continue;
                }
                const double e = (double)p[k] - (double)y[k];
                squares += e * e;
                sizes += fabs(e);
                valid++;
            }
    const lstm_evaluate_options options = {
        .struct_size = sizeof options, .metrics = &metric, .metric_count = 1};
    check(lstm_evaluate(model, &options, &data, values, 2));
    assert_true(fabs(values[0] - squares / (double)valid) < 1e-6);
    assert_true(fabs(values[1] - sizes / (double)valid) < 1e-6);
    /* Training on such targets leaves every parameter finite. */
    check(lstm_fit(model, &(lstm_fit_options){.struct_size = sizeof(lstm_fit_options), .epochs = 2},
                   &data, NULL));
    check(lstm_evaluate(model, &options, &data, values, 2));
    assert_true(values[0] < squares / (double)valid);
    lstm_model_destroy(model);
}

/* ---- Order of the samples */

enum { MANY = 150, LONGEST = 9 };

typedef struct many {
    float x[MANY * LONGEST * FEATURES];
    float y[MANY * LONGEST * UNITS];
    int32_t lengths[MANY];
} many;

static lstm_data many_data(const many *m, size_t samples)
{
    return (lstm_data){.struct_size = sizeof(lstm_data),
                       .samples = (int64_t)samples,
                       .x = m->x,
                       .x_count = samples * LONGEST * FEATURES,
                       .y = m->y,
                       .y_count = samples * LONGEST * UNITS,
                       .lengths = m->lengths,
                       .lengths_count = samples};
}

/* to[k] = from[order[k]], with other rubbish in the padding. */
static void reorder(const many *from, const size_t *order, many *to)
{
    for (size_t k = 0; k < MANY; k++) {
        const size_t x = LONGEST * FEATURES;
        const size_t y = LONGEST * UNITS;
        to->lengths[k] = from->lengths[order[k]];
        memcpy(to->x + k * x, from->x + order[k] * x, x * sizeof(float));
        memcpy(to->y + k * y, from->y + order[k] * y, y * sizeof(float));
        for (size_t v = (size_t)to->lengths[k] * FEATURES; v < x; v++)
            to->x[k * x + v] = 1e30f;
    }
}

static void fill_many(many *m, size_t *order)
{
    fill(m->x, MANY * LONGEST * FEATURES);
    fill(m->y, MANY * LONGEST * UNITS);
    for (size_t k = 0; k < MANY; k++) {
        m->lengths[k] = (int32_t)((k * 7 + k / 10) % (LONGEST + 1));
        order[k] = (k * 67 + 13) % MANY;
    }
}

/* Samples are computed in the order of their lengths; whoever gives them in another order sees
 * nothing of that, to the bit. */
static void test_samples_in_any_order_are_predicted_with_the_same_bits(void **state)
{
    static many a;
    static many b;
    static float out[2][MANY * LONGEST * UNITS];
    size_t order[MANY];
    const size_t each = LONGEST * UNITS;
    (void)state;
    lstm_model *model = from_json(plain);
    fill_many(&a, order);
    reorder(&a, order, &b);
    const lstm_data data[2] = {many_data(&a, MANY), many_data(&b, MANY)};
    for (int k = 0; k < 2; k++)
        check(lstm_predict(model, &data[k], out[k], MANY * each));
    for (size_t k = 0; k < MANY; k++)
        assert_memory_equal(out[1] + k * each, out[0] + order[k] * each, each * sizeof(float));
    /* one by one */
    for (size_t k = 0; k < MANY; k++) {
        float own[LONGEST * UNITS];
        lstm_data one = many_data(&a, 1);
        one.x = a.x + k * LONGEST * FEATURES;
        one.lengths = a.lengths + k;
        check(lstm_predict(model, &one, own, each));
        for (size_t v = 0; v < each; v++)
            assert_true(fabsf(own[v] - out[0][k * each + v]) < 1e-6f);
    }
    double values[2];
    for (int k = 0; k < 2; k++)
        check(lstm_evaluate(model, NULL, &data[k], &values[k], 1));
    assert_true(values[0] > 0);
    lstm_model_destroy(model);
}

/* The same of a session: outputs, input gradients and attention stand where the samples stood. */
static void test_a_session_keeps_to_the_order_of_its_caller(void **state)
{
    enum { SOME = 40, EACH = LONGEST * UNITS, PAIRS = LONGEST * LONGEST };
    static const char text[] =
        "{\"layers\": [{\"type\": \"Input\", \"name\": \"x\", \"shape\": [null, 2]},"
        "{\"type\": \"LSTM\", \"name\": \"h\", \"units\": 3, \"return_sequences\": true},"
        "{\"type\": \"Attention\", \"inputs\": [\"h\", \"h\"]}]}";
    static many a;
    static many b;
    static float y[2][SOME * EACH], dx[2][SOME * LONGEST * FEATURES], h[2][SOME * EACH];
    static float pairs[2][SOME * PAIRS];
    size_t order[MANY];
    double loss[2];
    lstm_layer *attention = NULL;
    lstm_layer *recurrent = NULL;
    (void)state;
    lstm_model *model = from_json(text);
    check(lstm_model_find_layer(model, "attention", &attention));
    check(lstm_model_find_layer(model, "h", &recurrent));
    fill_many(&a, order);
    for (size_t k = 0; k < MANY; k++)
        order[k] = k < SOME ? (k * 7 + 3) % SOME : k;
    reorder(&a, order, &b);
    for (int k = 0; k < 2; k++) {
        lstm_session *session = NULL;
        const lstm_data data = many_data(k == 0 ? &a : &b, SOME);
        check(
            lstm_session_create(&session, model,
                                &(lstm_session_options){.struct_size = sizeof(lstm_session_options),
                                                        .training = LSTM_YES,
                                                        .batch = SOME,
                                                        .steps = LONGEST,
                                                        .traces = LSTM_YES}));
        check(lstm_session_forward(session, &data));
        check(lstm_session_output(session, 0, y[k], SOME * EACH));
        check(lstm_session_trace(session, attention, LSTM_TRACE_ATTENTION, pairs[k], SOME * PAIRS));
        check(lstm_session_trace(session, recurrent, LSTM_TRACE_OUTPUT, h[k], SOME * EACH));
        check(lstm_session_loss(session, NULL, &data, &loss[k]));
        check(lstm_session_backward(session));
        check(lstm_session_input_gradient(session, 0, dx[k], SOME * LONGEST * FEATURES));
        check(lstm_session_forward(session, &data)); /* a gradient of the caller's own */
        check(lstm_session_set_output_gradient(session, 0, data.y, SOME * EACH));
        check(lstm_session_backward(session));
        check(lstm_session_input_gradient(session, 0, h[k], SOME * LONGEST * FEATURES));
        lstm_session_destroy(session);
    }
    assert_true(fabs(loss[0] - loss[1]) < 1e-9);
    for (size_t k = 0; k < SOME; k++) {
        const size_t x = LONGEST * FEATURES;
        for (size_t v = 0; v < EACH; v++)
            assert_true(fabsf(y[1][k * EACH + v] - y[0][order[k] * EACH + v]) < 1e-6f);
        for (size_t v = 0; v < PAIRS; v++)
            assert_true(fabsf(pairs[1][k * PAIRS + v] - pairs[0][order[k] * PAIRS + v]) < 1e-6f);
        for (size_t v = 0; v < x; v++) {
            assert_true(fabsf(dx[1][k * x + v] - dx[0][order[k] * x + v]) < 1e-6f);
            assert_true(fabsf(h[1][k * x + v] - h[0][order[k] * x + v]) < 1e-6f);
        }
    }
    lstm_model_destroy(model);
}

/* Masked steps of a Masking layer are zeros and hand nothing back, whether they come as zeros (the
 * layer then copies nothing) or not. */
static void test_masking_gives_zeros_whatever_comes(void **state)
{
    enum {
        ROWS = SAMPLES * STEPS,
        COUNT = ROWS * FEATURES,
        MASKED = 5,
        LEFT_OUT = 7,
        MIXED_ZEROS = 2
    };
    static const char *const texts[] = {
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 2]}, {\"type\": \"Masking\"}]}",
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 2]}, {\"type\": \"Masking\", "
        "\"mask_value\": 3}]}",
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 2]}, {\"type\": \"Activation\", "
        "\"activation\": \"sigmoid\"}, {\"type\": \"Masking\"}]}",
    };
    (void)state;
    for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
        float x[COUNT];
        float y[COUNT];
        float dy[COUNT];
        float dx[COUNT];
        uint8_t mask[ROWS];
        const float value = k == 1 ? 3 : 0;
        lstm_session *session = NULL;
        lstm_model *model = from_json(texts[k]);
        fill(x, COUNT);
        memset(mask, 1, sizeof mask);
        mask[LEFT_OUT] = 0;
        for (size_t v = 0; v < COUNT; v++)
            dy[v] = (float)(v + 1);
        for (size_t f = 0; f < FEATURES; f++) {
            x[LEFT_OUT * FEATURES + f] = NAN;
            x[MASKED * FEATURES + f] = value;
            x[MIXED_ZEROS * FEATURES + f] = f % 2 ? -value : value; /* masked if these are zeros */
        }
        const lstm_session_options plan = {
            .struct_size = sizeof plan, .training = LSTM_YES, .batch = SAMPLES, .steps = STEPS};
        const lstm_data data = {.struct_size = sizeof data,
                                .samples = SAMPLES,
                                .x = x,
                                .x_count = COUNT,
                                .mask = mask,
                                .mask_count = ROWS};
        check(lstm_session_create(&session, model, &plan));
        check(lstm_session_forward(session, &data));
        check(lstm_session_output(session, 0, y, COUNT));
        check(lstm_session_set_output_gradient(session, 0, dy, COUNT));
        check(lstm_session_backward(session));
        check(lstm_session_input_gradient(session, 0, dx, COUNT));
        for (size_t v = 0; v < COUNT; v++) {
            const size_t row = v / FEATURES;
            const bool own = k < 2 && (row == MASKED || (row == MIXED_ZEROS && k == 0));
            const bool zero = row == LEFT_OUT || own;
            const float active = 1 / (1 + expf(-x[v]));
            const float slope = k == 2 ? active * (1 - active) : 1;
            assert_true(zero ? y[v] == 0 : fabsf(y[v] - (k == 2 ? active : x[v])) <= 1e-6f);
            assert_true(zero ? dx[v] == 0 : fabsf(dx[v] - slope * dy[v]) <= 1e-5f * dy[v]);
        }
        lstm_session_destroy(session);
        lstm_model_destroy(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_lengths_and_masks_are_refused_in_words),
        cmocka_unit_test(test_masking_gives_zeros_whatever_comes),
        cmocka_unit_test(test_lengths_and_masks_mean_the_same_in_both_layouts),
        cmocka_unit_test(test_bidirectional_comes_back_from_its_description),
        cmocka_unit_test(test_bidirectional_has_pytorchs_names_under_its_profile),
        cmocka_unit_test(test_a_failed_bidirectional_leaves_the_model_as_it_was),
        cmocka_unit_test(test_a_loss_leaves_out_masked_steps),
        cmocka_unit_test(test_carried_states_can_be_saved_restored_and_reset),
        cmocka_unit_test(test_samples_in_any_order_are_predicted_with_the_same_bits),
        cmocka_unit_test(test_a_session_keeps_to_the_order_of_its_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
