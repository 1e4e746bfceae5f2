/* SPDX-License-Identifier: MIT
 * The LSTM's variants through the public header: descriptions and files and back, the same bits for
 * any number of threads, no allocation after creation, states carried and restored, what random
 * numbers depend on, what inference makes of zoneout, and what is refused with which words.
 */
#include "closeness.h"
#include "counting_allocator.h"
#include "golden_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_refused(lstm_status found, lstm_status expected, const char *words)
{
    if (found != expected || !strstr(lstm_last_error(), words))
        fail_msg("%s: \"%s\": expected %s with \"%s\"", lstm_status_name(found), lstm_last_error(),
                 lstm_status_name(expected), words);
}

/* Everything, in cells that may have it together. */
#define RATES                                                        \
    "\"zoneout_h\": 0.25, \"zoneout_c\": 0.125, \"dropout\": 0.25, " \
    "\"recurrent_dropconnect\": 0.5, \"seed\": 7"
#define CELLS                                                                           \
    "{\"profile\": \"%s\", \"layers\": ["                                               \
    "{\"type\": \"Input\", \"name\": \"x\", \"shape\": [null, 5]},"                     \
    "{\"type\": \"LSTM\", \"name\": \"a\", \"units\": 9, \"return_sequences\": true, "  \
    "\"proj_size\": 6, \"proj_clip\": 0.5, \"peepholes\": true, "                       \
    "\"coupled_gates\": \"forget\", \"gate_clip\": 2.5, \"cell_clip\": 1.5, "           \
    "\"recurrent_dropout\": 0.25, " RATES "},"                                          \
    "{\"type\": \"LSTM\", \"name\": \"b\", \"units\": 20, \"return_sequences\": true, " \
    "\"coupled_gates\": \"input\", \"layer_norm\": \"ba\", "                            \
    "\"layer_norm_epsilon\": 0.0625, " RATES "},"                                       \
    "{\"type\": \"LSTM\", \"name\": \"c\", \"units\": 7, \"return_sequences\": true, "  \
    "\"layer_norm\": \"tf\", \"output_activation\": \"linear\", "                       \
    "\"output_activation_alpha\": 0.5, \"activation_alpha\": 1.5, "                     \
    "\"activation_beta\": 0.5, \"recurrent_activation\": \"hard_sigmoid\", "            \
    "\"recurrent_activation_alpha\": 0.25, \"recurrent_activation_beta\": 0.375},"      \
    "{\"type\": \"LSTM\", \"name\": \"d\", \"units\": 8, \"layer_norm\": \"tflite\", "  \
    "\"return_sequences\": false},"                                                     \
    "{\"type\": \"Dense\", \"units\": 3}]}"

static lstm_model *cells(lstm_context *context, const char *profile)
{
    char text[2048];
    lstm_model *model = NULL;
    snprintf(text, sizeof text, CELLS, profile);
    assert_ok(lstm_model_from_json(&model, context, text, strlen(text)));
    return model;
}

static float number(size_t k)
{
    return (float)((k * 2654435761u >> 7) % 2001) / 1000 - 1;
}

enum { SAMPLES = 24, STEPS = 6, FEATURES = 5, OUTPUTS = 3 };
static float input[SAMPLES * STEPS * FEATURES];
static float target[SAMPLES * OUTPUTS];
static int32_t lengths[SAMPLES];

static lstm_data arrays(void)
{
    for (size_t k = 0; k < sizeof input / sizeof *input; k++)
        input[k] = number(k);
    for (size_t k = 0; k < sizeof target / sizeof *target; k++)
        target[k] = number(k + 5000);
    for (int k = 0; k < SAMPLES; k++)
        lengths[k] = (k * 5) % (STEPS + 1);
    return (lstm_data){.struct_size = sizeof(lstm_data),
                       .samples = SAMPLES,
                       .x = input,
                       .x_count = sizeof input / sizeof *input,
                       .y = target,
                       .y_count = sizeof target / sizeof *target,
                       .lengths = lengths,
                       .lengths_count = SAMPLES};
}

static void train(lstm_model *model)
{
    const lstm_data data = arrays();
    const lstm_fit_options options = {.struct_size = sizeof options, .epochs = 2, .batch_size = 12};
    assert_ok(lstm_fit(model, &options, &data, NULL));
}

static float *all_values(const lstm_model *model, size_t *count)
{
    float *values = NULL;
    *count = 0;
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, k, &info));
        values = realloc(values, (*count + info.count) * sizeof *values);
        assert_non_null(values);
        assert_ok(lstm_model_get_parameter(model, k, values + *count, info.count));
        *count += info.count;
    }
    return values;
}

static void assert_same_values(const lstm_model *a, const lstm_model *b)
{
    size_t count = 0;
    size_t other = 0;
    float *x = all_values(a, &count);
    float *y = all_values(b, &other);
    assert_int_equal(count, other);
    assert_memory_equal(x, y, count * sizeof *x);
    free(x);
    free(y);
}

static void test_variants_survive_descriptions_and_files(void **state)
{
    static const char *const profiles[] = {"keras", "torch"};
    (void)state;
    for (int p = 0; p < 2; p++) {
        char text[6000];
        char again[6000];
        lstm_model *copy = NULL;
        lstm_model *model = cells(NULL, profiles[p]);
        train(model);
        assert_ok(lstm_model_to_json(model, text, sizeof text, NULL));
        assert_ok(lstm_model_save(model, "cells.lstm"));
        assert_ok(lstm_model_load(&copy, NULL, "cells.lstm"));
        assert_ok(lstm_model_to_json(copy, again, sizeof again, NULL));
        assert_string_equal(text, again);
        assert_non_null(strstr(text, "\"coupled_gates\": \"forget\""));
        assert_non_null(strstr(text, "\"layer_norm_epsilon\": 0.0625"));
        assert_same_values(model, copy);
        train(model);
        train(copy);
        assert_same_values(model, copy);
        lstm_model_destroy(model);
        lstm_model_destroy(copy);
        remove("cells.lstm");
    }
}

static void test_parameters_of_variants_have_names_and_shapes(void **state)
{
    static const struct {
        const char *name;
        int64_t first, second;
    } expected[] = {{"a/kernel", 5, 36},
                    {"a/recurrent_kernel", 6, 36},
                    {"a/bias", 36, 0},
                    {"a/projection_kernel", 9, 6},
                    {"a/peephole_kernel", 3, 9},
                    {"b/kernel", 6, 80},
                    {"b/recurrent_kernel", 20, 80},
                    {"b/bias", 80, 0},
                    {"b/kernel_gamma", 80, 0},
                    {"b/recurrent_gamma", 80, 0},
                    {"b/cell_gamma", 20, 0},
                    {"b/cell_beta", 20, 0},
                    {"c/kernel", 20, 28},
                    {"c/recurrent_kernel", 7, 28},
                    {"c/bias", 28, 0},
                    {"c/gate_gamma", 28, 0},
                    {"c/cell_gamma", 7, 0},
                    {"c/cell_beta", 7, 0},
                    {"d/kernel", 7, 32},
                    {"d/recurrent_kernel", 8, 32},
                    {"d/bias", 32, 0},
                    {"d/gate_gamma", 32, 0}};
    lstm_model *model = cells(NULL, "keras");
    (void)state;
    for (size_t k = 0; k < sizeof expected / sizeof *expected; k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, k, &info));
        assert_string_equal(info.name, expected[k].name);
        assert_int_equal(info.shape[0], expected[k].first);
        assert_int_equal(info.rank == 2 ? info.shape[1] : 0, expected[k].second);
    }
    lstm_model_destroy(model);
}

static void test_bits_do_not_depend_on_threads(void **state)
{
    lstm_model *models[3] = {NULL};
    lstm_context *contexts[3] = {NULL};
    (void)state;
    for (int k = 0; k < 3; k++) {
        const lstm_context_options options = {.struct_size = sizeof options, .threads = k + 1};
        assert_ok(lstm_context_create(&contexts[k], &options));
        char text[512];
        /* large enough that threads share the samples */
        snprintf(text, sizeof text,
                 "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 5]},"
                 "{\"type\": \"LSTM\", \"units\": 160, \"proj_size\": 50, \"return_sequences\": "
                 "true, \"peepholes\": true, \"recurrent_dropout\": 0.25, " RATES "},"
                 "{\"type\": \"LSTM\", \"units\": 130, \"layer_norm\": \"ba\", " RATES "},"
                 "{\"type\": \"Dense\", \"units\": 3}]}");
        assert_ok(lstm_model_from_json(&models[k], contexts[k], text, strlen(text)));
        train(models[k]);
        if (k > 0)
            assert_same_values(models[0], models[k]);
    }
    for (int k = 0; k < 3; k++) {
        lstm_model_destroy(models[k]);
        lstm_context_destroy(contexts[k]);
    }
}

static void test_no_call_of_a_session_allocates(void **state)
{
    counting_allocator counter = {0};
    lstm_context *context = NULL;
    lstm_session *session = NULL;
    const lstm_data data = arrays();
    (void)state;
    context = counting_allocator_context(&counter);
    assert_non_null(context);
    lstm_model *model = cells(context, "torch");
    const lstm_session_options options = {
        .struct_size = sizeof options, .training = LSTM_YES, .batch = SAMPLES, .steps = STEPS};
    assert_ok(lstm_session_create(&session, model, &options));
    const size_t before = counter.calls;
    for (int k = 0; k < 3; k++) {
        assert_ok(lstm_session_forward(session, &data));
        assert_ok(lstm_session_set_output_gradient(session, 0, target, SAMPLES * OUTPUTS));
        assert_ok(lstm_session_backward(session));
    }
    assert_int_equal(counter.calls, before);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
    lstm_context_destroy(context);
    assert_nothing_left(&counter);
}

/* ---- States */

static void test_a_projected_layer_carries_its_states(void **state)
{
    static const char text[] =
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 5]}, {\"type\": \"LSTM\", "
        "\"name\": \"a\", \"units\": 9, \"proj_size\": 4, \"peepholes\": true, \"stateful\": true, "
        "\"return_sequences\": true}]}";
    enum { BATCH = 2, UNITS = 9, WIDTH = 4, HALF = STEPS / 2 };
    lstm_model *model = NULL;
    lstm_session *session = NULL;
    float whole[BATCH * STEPS * WIDTH];
    float part[BATCH * HALF * WIDTH];
    float h[BATCH * WIDTH];
    float c[BATCH * UNITS];
    (void)state;
    arrays();
    assert_ok(lstm_model_from_json(&model, NULL, text, strlen(text)));
    lstm_layer *layer = NULL;
    assert_ok(lstm_model_find_layer(model, "a", &layer));
    const lstm_session_options options = {
        .struct_size = sizeof options, .batch = BATCH, .steps = STEPS};
    assert_ok(lstm_session_create(&session, model, &options));
    lstm_data data = {.struct_size = sizeof data,
                      .layout = LSTM_LAYOUT_TIME_FIRST,
                      .samples = BATCH,
                      .x = input,
                      .x_count = BATCH * STEPS * FEATURES};
    assert_ok(lstm_session_forward(session, &data));
    assert_ok(lstm_session_output(session, 0, whole, BATCH * STEPS * WIDTH));
    assert_ok(lstm_session_reset_states(session));
    data.x_count = BATCH * HALF * FEATURES;
    assert_ok(lstm_session_forward(session, &data));
    assert_ok(lstm_session_get_states(session, layer, h, c, BATCH * WIDTH));
    data.x += data.x_count;
    for (int k = 0; k < 2; k++) { /* and again, from the restored states */
        assert_ok(lstm_session_forward(session, &data));
        assert_ok(lstm_session_output(session, 0, part, BATCH * HALF * WIDTH));
        assert_memory_equal(part, whole + BATCH * HALF * WIDTH, sizeof part);
        assert_ok(lstm_session_set_states(session, layer, h, c, BATCH * WIDTH));
    }
    lstm_session_destroy(session);
    lstm_model_destroy(model);
}

static lstm_model *recurrent_stack(void)
{
    static const char text[] =
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 5]}, {\"type\": \"LSTM\", "
        "\"units\": 9, \"proj_size\": 4, \"peepholes\": true, \"return_sequences\": true}, "
        "{\"type\": \"GRU\", \"units\": 5, \"return_sequences\": true}, {\"type\": \"Dense\", "
        "\"units\": 3}]}";
    lstm_model *model = NULL;
    assert_ok(lstm_model_from_json(&model, NULL, text, strlen(text)));
    return model;
}

/* Truncated back-propagation: the only piece of a sequence is the sequence, and pieces carry states
 * of both widths. */
static void test_a_projected_layer_trains_in_pieces(void **state)
{
    enum { COUNT = SAMPLES * STEPS * OUTPUTS };
    static float targets[COUNT];
    static const int64_t pieces[] = {0, STEPS, 2};
    lstm_model *models[3];
    (void)state;
    for (size_t k = 0; k < COUNT; k++)
        targets[k] = number(k + 900);
    for (size_t k = 0; k < 3; k++) {
        lstm_data data = arrays();
        data.lengths = NULL;
        data.lengths_count = 0;
        data.y = targets;
        data.y_count = COUNT;
        const lstm_fit_options options = {.struct_size = sizeof options,
                                          .epochs = 2,
                                          .batch_size = 12,
                                          .tbptt_k1 = pieces[k],
                                          .tbptt_k2 = pieces[k] == 2 ? 3 : 0};
        models[k] = recurrent_stack();
        assert_ok(lstm_fit(models[k], &options, &data, NULL));
    }
    assert_same_values(models[0], models[1]);
    size_t count = 0;
    float *whole = all_values(models[0], &count);
    float *cut = all_values(models[2], &count);
    assert_memory_not_equal(whole, cut, count * sizeof *whole);
    free(whole);
    free(cut);
    for (size_t k = 0; k < 3; k++)
        lstm_model_destroy(models[k]);
}

/* Dropout of the input, whose masked copy becomes its gradient, and DropConnect do not disturb a
 * tape that is computed again, span by span; variants take no notice. */
static void test_recomputation_changes_no_bits_of_layers_with_dropout(void **state)
{
    enum { LONG = 400, BATCH = 4, X = BATCH * LONG * FEATURES };
    static const char text[] =
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 5]}, {\"type\": \"Dense\", "
        "\"units\": 12}, {\"type\": \"LSTM\", \"units\": 16, \"return_sequences\": true, "
        "\"dropout\": 0.25, \"recurrent_dropconnect\": 0.25, \"go_backwards\": true}, {\"type\": "
        "\"LSTM\", \"units\": 9, \"dropout\": 0.25, \"return_sequences\": true}, {\"type\": "
        "\"LSTM\", \"units\": 6, \"zoneout_c\": 0.25, \"proj_size\": 3}]}";
    static float x[X];
    static const float y[BATCH * 3] = {0.25f, -0.5f, 0.125f};
    lstm_model *models[2];
    (void)state;
    for (size_t k = 0; k < X; k++)
        x[k] = number(k);
    for (int k = 0; k < 2; k++) {
        const lstm_data data = {.struct_size = sizeof data,
                                .samples = BATCH,
                                .x = x,
                                .x_count = X,
                                .y = y,
                                .y_count = BATCH * 3};
        const lstm_fit_options options = {.struct_size = sizeof options,
                                          .epochs = 3,
                                          .batch_size = BATCH,
                                          .recompute = k ? LSTM_YES : LSTM_NO};
        assert_ok(lstm_model_from_json(&models[k], NULL, text, strlen(text)));
        assert_ok(lstm_fit(models[k], &options, &data, NULL));
    }
    assert_same_values(models[0], models[1]);
    lstm_model_destroy(models[0]);
    lstm_model_destroy(models[1]);
}

/* ---- Random numbers */

static lstm_model *one_layer(const char *options)
{
    char text[512];
    lstm_model *model = NULL;
    snprintf(text, sizeof text,
             "{\"seed\": 3, \"layers\": [{\"type\": \"Input\", \"shape\": [null, 5]}, {\"type\": "
             "\"LSTM\", \"units\": 50, %s}]}",
             options);
    assert_ok(lstm_model_from_json(&model, NULL, text, strlen(text)));
    return model;
}

/* Outputs [SAMPLES][50] of a new session's forward number `update`. */
static void run(const char *options, int32_t training, int update, float *y)
{
    lstm_session *session = NULL;
    lstm_data data = arrays();
    data.y = NULL;
    data.y_count = 0;
    data.lengths = NULL;
    data.lengths_count = 0;
    lstm_model *model = one_layer(options);
    const lstm_session_options plan = {
        .struct_size = sizeof plan, .training = training, .batch = SAMPLES, .steps = STEPS};
    assert_ok(lstm_session_create(&session, model, &plan));
    for (int k = 0; k < update; k++)
        assert_ok(lstm_session_forward(session, &data));
    assert_ok(lstm_session_output(session, 0, y, SAMPLES * 50));
    lstm_session_destroy(session);
    lstm_model_destroy(model);
}

static void test_random_options_act_in_training_alone_and_follow_seed_and_update(void **state)
{
    static const char *const options[] = {"\"dropout\": 0.5", "\"recurrent_dropout\": 0.5",
                                          "\"recurrent_dropconnect\": 0.5", "\"zoneout_h\": 0.5",
                                          "\"zoneout_c\": 0.5"};
    enum { COUNT = SAMPLES * 50 };
    static float y[6][COUNT];
    (void)state;
    run("\"dropout\": 0", LSTM_NO, 1, y[0]);
    for (size_t k = 0; k < sizeof options / sizeof *options; k++) {
        char seeded[96];
        snprintf(seeded, sizeof seeded, "%s, \"seed\": 9", options[k]);
        run(options[k], LSTM_NO, 1, y[1]);
        if (k < 3)
            assert_close("without training", y[1], y[0], COUNT, 1e-6, 0);
        run(options[k], LSTM_YES, 1, y[2]);
        run(options[k], LSTM_YES, 1, y[3]);
        assert_memory_equal(y[2], y[3], sizeof y[2]);
        run(options[k], LSTM_YES, 2, y[4]);
        run(seeded, LSTM_YES, 1, y[5]);
        assert_memory_not_equal(y[2], y[1], sizeof y[2]);
        assert_memory_not_equal(y[2], y[4], sizeof y[2]);
        assert_memory_not_equal(y[2], y[5], sizeof y[2]);
    }
}

/* TensorFlow Addons' LayerNormLSTMCell in double, with one mask of h for all gates and steps. The mask is
 * read off the gradient: rows of the recurrent kernel whose h is left out have none. */
enum { WIDTH = 12, LENGTH_OF_MASKED = 4 };

static void get(const lstm_model *model, const char *name, float *values, size_t count)
{
    size_t index = 0;
    assert_ok(lstm_model_find_parameter(model, name, &index));
    assert_ok(lstm_model_get_parameter(model, index, values, count));
}

static void normalise(double *a, size_t count)
{
    double mean = 0;
    double variance = 0;
    for (size_t k = 0; k < count; k++)
        mean += a[k] / (double)count;
    for (size_t k = 0; k < count; k++)
        variance += (a[k] - mean) * (a[k] - mean) / (double)count;
    for (size_t k = 0; k < count; k++)
        a[k] = (a[k] - mean) / sqrt(variance + 1e-5);
}

static double gate(double a)
{
    return 1 / (1 + exp(-a));
}

static void reference_step(const float *w, const float *u, const float *b, const double *factors,
                           double x, double *h, double *c)
{
    double own[4 * WIDTH], fed[4 * WIDTH] = {0};
    for (size_t k = 0; k < 4 * WIDTH; k++) {
        own[k] = x * (double)w[k];
        for (size_t j = 0; j < WIDTH; j++)
            fed[k] += h[j] * factors[j] * (double)u[j * 4 * WIDTH + k];
    }
    normalise(own, 4 * WIDTH);
    normalise(fed, 4 * WIDTH);
    for (size_t k = 0; k < 4 * WIDTH; k++)
        own[k] += fed[k] + (double)b[k];
    for (size_t k = 0; k < WIDTH; k++)
        c[k] = gate(own[WIDTH + k]) * c[k] + gate(own[k]) * tanh(own[2 * WIDTH + k]);
    normalise(c, WIDTH);
    for (size_t k = 0; k < WIDTH; k++)
        h[k] = gate(own[3 * WIDTH + k]) * tanh(c[k]);
}

static void test_recurrent_dropout_of_a_normalised_cell_has_one_mask(void **state)
{
    static const char text[] =
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [4, 1]}, {\"type\": \"LSTM\", \"units\": "
        "12, "
        "\"return_sequences\": true, \"layer_norm\": \"fastrnns\", \"recurrent_dropout\": 0.4}]}";
    const float x[LENGTH_OF_MASKED] = {1, -2, 0.5f, 3};
    float w[4 * WIDTH], u[4 * WIDTH * WIDTH], b[4 * WIDTH], du[4 * WIDTH * WIDTH];
    float y[LENGTH_OF_MASKED * WIDTH], dy[LENGTH_OF_MASKED * WIDTH];
    double factors[WIDTH], h[WIDTH] = {0}, c[WIDTH] = {0}, worst = 0;
    size_t index = 0, left_out = 0;
    lstm_model *model = NULL;
    lstm_session *session = NULL;
    (void)state;
    assert_ok(lstm_model_from_json(&model, NULL, text, strlen(text)));
    const lstm_session_options plan = {
        .struct_size = sizeof plan, .training = LSTM_YES, .batch = 1};
    const lstm_data data = {
        .struct_size = sizeof data, .samples = 1, .x = x, .x_count = LENGTH_OF_MASKED};
    assert_ok(lstm_session_create(&session, model, &plan));
    assert_ok(lstm_session_forward(session, &data));
    assert_ok(lstm_session_output(session, 0, y, LENGTH_OF_MASKED * WIDTH));
    for (size_t k = 0; k < LENGTH_OF_MASKED * WIDTH; k++)
        dy[k] = (float)(k % 5) - 1.5f;
    assert_ok(lstm_session_set_output_gradient(session, 0, dy, LENGTH_OF_MASKED * WIDTH));
    assert_ok(lstm_session_backward(session));
    assert_ok(lstm_model_find_parameter(model, "lstm/recurrent_kernel", &index));
    assert_ok(lstm_session_parameter_gradient(session, index, du, 4 * WIDTH * WIDTH));
    get(model, "lstm/kernel", w, 4 * WIDTH);
    get(model, "lstm/recurrent_kernel", u, 4 * WIDTH * WIDTH);
    get(model, "lstm/bias", b, 4 * WIDTH);
    for (size_t j = 0; j < WIDTH; j++) {
        size_t zeros = 0;
        for (size_t k = 0; k < 4 * WIDTH; k++)
            zeros += du[j * 4 * WIDTH + k] == 0;
        assert_true(zeros == 0 || zeros == 4 * WIDTH); /* of all gates or of none */
        factors[j] = zeros == 0 ? 1 / 0.6 : 0;
        left_out += zeros > 0;
    }
    assert_in_range(left_out, 1, WIDTH - 1);
    for (size_t t = 0; t < LENGTH_OF_MASKED; t++) {
        reference_step(w, u, b, factors, (double)x[t], h, c);
        for (size_t k = 0; k < WIDTH; k++)
            worst = fmax(worst, fabs((double)y[t * WIDTH + k] - h[k]));
    }
    print_message("%zu of %d left out; difference %.1e\n", left_out, (int)WIDTH, worst);
    assert_true(worst < 1e-5);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
}

/* After one step from zeros, a unit of h or c that is held is zero: count them; and inference
 * multiplies by the chance not to be held. */
static void test_zoneout_holds_as_often_as_its_rate_says(void **state)
{
    enum { UNITS = 64, BATCH = 256 };
    static float x[BATCH];
    static float y[3][BATCH * UNITS];
    (void)state;
    for (size_t k = 0; k < BATCH; k++)
        x[k] = 1 + 0.01f * (float)k;
    for (int mode = 0; mode < 3; mode++) {
        lstm_model *model = NULL;
        lstm_session *session = NULL;
        char text[256];
        snprintf(text, sizeof text,
                 "{\"layers\": [{\"type\": \"Input\", \"shape\": [1, 1]}, {\"type\": \"LSTM\", "
                 "\"units\": 64, \"zoneout_h\": %g}]}",
                 mode == 0 ? 0 : 0.3);
        assert_ok(lstm_model_from_json(&model, NULL, text, strlen(text)));
        const lstm_session_options plan = {.struct_size = sizeof plan,
                                           .training = mode == 2 ? LSTM_YES : LSTM_NO,
                                           .batch = BATCH,
                                           .steps = 1};
        const lstm_data data = {
            .struct_size = sizeof data, .samples = BATCH, .x = x, .x_count = BATCH};
        assert_ok(lstm_session_create(&session, model, &plan));
        assert_ok(lstm_session_forward(session, &data));
        assert_ok(lstm_session_output(session, 0, y[mode], BATCH * UNITS));
        lstm_session_destroy(session);
        lstm_model_destroy(model);
    }
    size_t held = 0;
    for (size_t k = 0; k < BATCH * UNITS; k++) {
        assert_true(fabsf(y[1][k] - 0.7f * y[0][k]) < 1e-6f);
        assert_true(y[2][k] == 0 || fabsf(y[2][k] - y[0][k]) < 1e-6f);
        held += y[2][k] == 0;
    }
    /* 0.3 within five standard deviations of 16384 draws */
    assert_true(fabs((double)held / (BATCH * UNITS) - 0.3) < 0.018);
}

/* ---- Refusals */

static void test_wrong_options_are_refused_by_name(void **state)
{
    static const struct {
        const char *options;
        lstm_status status;
        const char *words;
    } cases[] = {
        {"\"proj_size\": 50", LSTM_ERROR_ARGUMENT, "proj_size is 50: expected 1 to 49"},
        {"\"proj_clip\": 1", LSTM_ERROR_ARGUMENT, "set proj_size too"},
        {"\"gate_clip\": -1", LSTM_ERROR_ARGUMENT, "gate_clip is -1"},
        {"\"cell_clip\": -1", LSTM_ERROR_ARGUMENT, "cell_clip is -1"},
        {"\"zoneout_c\": 1.5", LSTM_ERROR_ARGUMENT, "zoneout_c is 1.5: expected 0 to 1"},
        {"\"recurrent_dropout\": 1", LSTM_ERROR_ARGUMENT, "recurrent_dropout is 1"},
        {"\"recurrent_dropconnect\": -0.5", LSTM_ERROR_ARGUMENT, "recurrent_dropconnect is -0.5"},
        {"\"coupled_gates\": \"forgt\"", LSTM_ERROR_NOT_FOUND, "\"forget\""},
        {"\"peephole\": true", LSTM_ERROR_NOT_FOUND, "\"peepholes\""},
        {"\"peepholes\": true, \"layer_norm\": \"ba\"", LSTM_ERROR_UNSUPPORTED,
         "peepholes together with layer_norm \"ba\": only \"tf\" has both"},
        {"\"output_activation\": \"softmax\"", LSTM_ERROR_UNSUPPORTED, "output_activation"},
        {"\"output_activation_beta\": 1", LSTM_ERROR_ARGUMENT, "there is no output_activation"},
        {"\"activation_alpha\": 1", LSTM_ERROR_ARGUMENT,
         "activation_beta of tanh is 0: expected a number that is not 0"},
        {"\"recurrent_activation_alpha\": 1", LSTM_ERROR_ARGUMENT, "sigmoid has no numbers"},
        {"\"activation\": \"relu\", \"activation_alpha\": -0.5", LSTM_ERROR_ARGUMENT,
         "activation_alpha of relu is -0.5: expected no negative number"},
        {"\"activation\": \"elu\", \"activation_alpha\": 0.5, \"activation_beta\": 1",
         LSTM_ERROR_ARGUMENT, "activation_beta of elu is 1: expected 0"},
        {"\"activation\": \"hard_sigmoid\", \"activation_beta\": 1", LSTM_ERROR_ARGUMENT,
         "activation_alpha of hard_sigmoid is 0"}};
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char text[512];
        lstm_model *model = NULL;
        snprintf(text, sizeof text,
                 "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 5]}, {\"type\": \"LSTM\", "
                 "\"units\": 50, %s}]}",
                 cases[k].options);
        assert_refused(lstm_model_from_json(&model, NULL, text, strlen(text)), cases[k].status,
                       cases[k].words);
        assert_null(model);
    }
}

static void test_a_variant_is_not_written_for_keras(void **state)
{
    lstm_model *model = one_layer("\"peepholes\": true");
    (void)state;
    assert_refused(lstm_model_export(model, "cells.keras"), LSTM_ERROR_UNSUPPORTED,
                   "\"peepholes\", which Keras' LSTM does not have");
    lstm_model_destroy(model);
    model = one_layer("\"output_activation\": \"linear\"");
    assert_refused(lstm_model_export(model, "cells.keras"), LSTM_ERROR_UNSUPPORTED,
                   "\"output_activation\", which Keras' LSTM does not have");
    assert_refused(lstm_model_export(model, "cells.pt"), LSTM_ERROR_UNSUPPORTED,
                   "output_activation");
    assert_refused(lstm_model_export_source(model, "cells.c", NULL), LSTM_ERROR_UNSUPPORTED,
                   "output_activation");
    lstm_model_destroy(model);
    model = one_layer("\"dropout\": 0.25");
    assert_ok(lstm_model_export(model, "cells.keras"));
    lstm_model_destroy(model);
    assert_ok(lstm_model_load(&model, NULL, "cells.keras"));
    char text[6000];
    assert_ok(lstm_model_to_json(model, text, sizeof text, NULL));
    assert_non_null(strstr(text, "\"dropout\": 0.25"));
    lstm_model_destroy(model);
    remove("cells.keras");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variants_survive_descriptions_and_files),
        cmocka_unit_test(test_parameters_of_variants_have_names_and_shapes),
        cmocka_unit_test(test_bits_do_not_depend_on_threads),
        cmocka_unit_test(test_no_call_of_a_session_allocates),
        cmocka_unit_test(test_a_projected_layer_carries_its_states),
        cmocka_unit_test(test_a_projected_layer_trains_in_pieces),
        cmocka_unit_test(test_recomputation_changes_no_bits_of_layers_with_dropout),
        cmocka_unit_test(test_random_options_act_in_training_alone_and_follow_seed_and_update),
        cmocka_unit_test(test_recurrent_dropout_of_a_normalised_cell_has_one_mask),
        cmocka_unit_test(test_zoneout_holds_as_often_as_its_rate_says),
        cmocka_unit_test(test_wrong_options_are_refused_by_name),
        cmocka_unit_test(test_a_variant_is_not_written_for_keras),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
