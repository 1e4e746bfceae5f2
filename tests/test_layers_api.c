/* SPDX-License-Identifier: MIT
 * Layers around the LSTM through the public header: descriptions and files and back, moving
 * statistics, padding that changes nothing, long sequences in pieces, a convolution by its
 * definition, and what is refused with which words.
 */
#include "closeness.h"
#include "golden_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS(type, ...) (&(type){.struct_size = sizeof(type), __VA_ARGS__})

static void assert_refused(lstm_status found, lstm_status expected, const char *words)
{
    if (found != expected || !strstr(lstm_last_error(), words))
        fail_msg("%s: \"%s\": expected %s with \"%s\"", lstm_status_name(found), lstm_last_error(),
                 lstm_status_name(expected), words);
}

static lstm_model *from_json(const char *text)
{
    lstm_model *model = NULL;
    assert_ok(lstm_model_from_json(&model, NULL, text, strlen(text)));
    return model;
}

static void assert_json_refused(const char *text, lstm_status expected, const char *words)
{
    lstm_model *model = NULL;
    assert_refused(lstm_model_from_json(&model, NULL, text, strlen(text)), expected, words);
    assert_null(model);
}

static float number(size_t k)
{
    return (float)((k * 2654435761u >> 7) % 2001) / 1000 - 1;
}

static float *numbers(size_t count)
{
    float *values = malloc((count + 1) * sizeof *values);
    assert_non_null(values);
    for (size_t k = 0; k < count; k++)
        values[k] = number(k);
    return values;
}

/* ---- Descriptions and files */

static const char every_layer[] =
    "{\"layers\": ["
    "{\"type\": \"Input\", \"name\": \"tokens\", \"shape\": [6]},"
    "{\"type\": \"Embedding\", \"input_dim\": 9, \"output_dim\": 4, \"mask_zero\": true},"
    "{\"type\": \"SpatialDropout1D\", \"rate\": 0.5},"
    "{\"type\": \"Conv1D\", \"name\": \"conv\", \"filters\": 4, \"kernel_size\": [3], \"padding\": "
    "\"causal\","
    " \"dilation_rate\": 2},"
    "{\"type\": \"BatchNormalization\", \"axis\": [2], \"momentum\": 0.9},"
    "{\"type\": \"GRU\", \"name\": \"gru\", \"units\": 4, \"return_sequences\": true, "
    "\"reset_after\": false},"
    "{\"type\": \"Add\", \"name\": \"sum\", \"inputs\": [\"gru\", \"conv\"]},"
    "{\"type\": \"LayerNormalization\", \"name\": \"norm\", \"center\": false},"
    "{\"type\": \"MultiHeadAttention\", \"name\": \"heads\", \"inputs\": [\"norm\", \"norm\"],"
    " \"num_heads\": 2, \"key_dim\": 3, \"use_causal_mask\": true},"
    "{\"type\": \"Attention\", \"name\": \"dot\", \"inputs\": [\"norm\", \"heads\"], "
    "\"use_scale\": true,"
    " \"score_mode\": \"concat\"},"
    "{\"type\": \"AdditiveAttention\", \"name\": \"additive\", \"inputs\": [\"norm\", \"heads\", "
    "\"norm\"]},"
    "{\"type\": \"Subtract\", \"name\": \"minus\", \"inputs\": [\"dot\", \"additive\"]},"
    "{\"type\": \"Multiply\", \"name\": \"times\", \"inputs\": [\"dot\", \"minus\", \"norm\"]},"
    "{\"type\": \"Average\", \"name\": \"mean\", \"inputs\": [\"dot\", \"times\"]},"
    "{\"type\": \"Maximum\", \"name\": \"most\", \"inputs\": [\"mean\", \"times\"]},"
    "{\"type\": \"Concatenate\", \"name\": \"all\", \"inputs\": [\"mean\", \"times\", \"most\"], "
    "\"axis\": -1},"
    "{\"type\": \"TimeDistributed\", \"name\": \"each\","
    " \"layer\": {\"type\": \"Dense\", \"units\": 5, \"activation\": \"tanh\"}},"
    "{\"type\": \"GaussianNoise\", \"stddev\": 0.1},"
    "{\"type\": \"SimpleRNN\", \"name\": \"start\", \"units\": 5, \"activation\": \"relu\"},"
    "{\"type\": \"SimpleRNN\", \"name\": \"rnn\", \"inputs\": [\"each\"], \"units\": 5, "
    "\"return_sequences\": true,"
    " \"initial_state\": \"start\"},"
    "{\"type\": \"MaxPooling1D\", \"name\": \"pool\", \"pool_size\": 2, \"padding\": \"same\"},"
    "{\"type\": \"AveragePooling1D\", \"name\": \"apool\", \"pool_size\": 2, \"strides\": 1},"
    "{\"type\": \"GlobalAveragePooling1D\", \"name\": \"a\", \"inputs\": [\"apool\"]},"
    "{\"type\": \"GlobalMaxPooling1D\", \"name\": \"b\", \"inputs\": [\"rnn\"]},"
    "{\"type\": \"LastStep\", \"name\": \"c\", \"inputs\": [\"rnn\"]}"
    "]}";

static void test_every_layer_survives_descriptions_and_files(void **state)
{
    static const float tokens[12] = {1, 2, 3, 4, 0, 0, 8, 0, 7, 6, 5, 4};
    (void)state;
    lstm_model *model = from_json(every_layer);
    lstm_model *again = NULL;
    lstm_model *loaded = NULL;
    static char text[16384];
    static char other[16384];
    size_t length = 0;
    const lstm_data data = {.struct_size = sizeof data, .samples = 2, .x = tokens, .x_count = 12};
    const size_t outputs = lstm_model_output_count(model);
    float *before = calloc(200, sizeof *before);
    float *after = calloc(200, sizeof *after);
    float *outs[8];
    float *outs_after[8];
    size_t sizes[8];
    for (size_t k = 0; k < outputs; k++) {
        int64_t steps = 0;
        int64_t features = 0;
        assert_ok(lstm_layer_shape(lstm_model_output(model, k), &steps, &features));
        sizes[k] = (size_t)(2 * (steps ? steps : 1) * features);
        outs[k] = k ? outs[k - 1] + sizes[k - 1] : before;
        outs_after[k] = after + (outs[k] - before);
    }
    assert_ok(lstm_predict_outputs(model, &data, outs, sizes, outputs));
    assert_ok(lstm_model_to_json(model, text, sizeof text, &length));
    assert_ok(lstm_model_from_json(&again, NULL, text, strlen(text)));
    assert_ok(lstm_model_to_json(again, other, sizeof other, &length));
    assert_string_equal(text, other);
    assert_ok(lstm_predict_outputs(again, &data, outs_after, sizes, outputs));
    assert_memory_equal(before, after, 200 * sizeof *before); /* the same seed */
    assert_ok(lstm_model_save(model, "every_layer.lstm"));
    assert_ok(lstm_model_load(&loaded, NULL, "every_layer.lstm"));
    memset(after, 0, 200 * sizeof *after);
    assert_ok(lstm_predict_outputs(loaded, &data, outs_after, sizes, outputs));
    assert_memory_equal(before, after, 200 * sizeof *before);
    free(before);
    free(after);
    lstm_model_destroy(model);
    lstm_model_destroy(again);
    lstm_model_destroy(loaded);
}

/* Every gradient of such a model is the derivative of its loss, and the check leaves the model
 * alone. */
static void test_every_layer_passes_the_gradient_check(void **state)
{
    static const float tokens[12] = {1, 2, 3, 4, 5, 6, 8, 0, 7, 6, 5, 4};
    lstm_model *model = from_json(
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [6]},"
        "{\"type\": \"Embedding\", \"input_dim\": 9, \"output_dim\": 4},"
        "{\"type\": \"Conv1D\", \"name\": \"conv\", \"filters\": 4, \"kernel_size\": 3},"
        "{\"type\": \"GRU\", \"name\": \"gru\", \"units\": 5, \"return_sequences\": true},"
        "{\"type\": \"MultiHeadAttention\", \"inputs\": [\"gru\", \"conv\"], \"num_heads\": 2,"
        " \"key_dim\": 3}, {\"type\": \"GlobalAveragePooling1D\"}]}");
    double errors[16];
    float *y = numbers(10);
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = 2,
                            .x = tokens,
                            .x_count = 12,
                            .y = y,
                            .y_count = 10};
    const size_t count = lstm_model_parameter_count(model);
    (void)state;
    assert_in_range(count, 8, 16);
    assert_ok(lstm_gradient_check(model, NULL, &data, NULL, errors, count));
    for (size_t k = 0; k < count; k++)
        assert_true(errors[k] < 5e-3);
    assert_refused(lstm_gradient_check(model, NULL, &data, NULL, errors, 1), LSTM_ERROR_SHAPE,
                   "room for 1 errors");
    assert_refused(lstm_gradient_check(model, NULL, &data,
                                       OPTIONS(lstm_gradient_check_options, .step = -1), NULL, 0),
                   LSTM_ERROR_ARGUMENT, "step is -1");
    free(y);
    lstm_model_destroy(model);
}

/* ---- Moving statistics */

static lstm_model *batch_norm_model(int32_t profile)
{
    lstm_model *model = NULL;
    assert_ok(lstm_model_create(&model, NULL, OPTIONS(lstm_model_options, .profile = profile)));
    assert_ok(
        lstm_model_add_input(model, OPTIONS(lstm_input_options, .steps = 3, .features = 2), NULL));
    assert_ok(lstm_model_add_batch_normalization(model, NULL, NULL, NULL));
    assert_ok(lstm_model_add_dense(model, OPTIONS(lstm_dense_options, .units = 1), NULL, NULL));
    assert_ok(lstm_model_build(model));
    return model;
}

/* One update of AdamW, whose weight decay must leave the statistics alone. */
static void check_moving_statistics(int32_t profile, double rate, bool unbiased)
{
    enum { ROWS = 12, FEATURES = 2 };
    lstm_model *model = batch_norm_model(profile);
    float *x = numbers(ROWS * FEATURES);
    float *y = numbers(ROWS);
    float mean[FEATURES];
    float variance[FEATURES];
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = 4,
                            .x = x,
                            .x_count = ROWS * FEATURES,
                            .y = y,
                            .y_count = ROWS};
    const lstm_optimizer_options adamw = {.struct_size = sizeof adamw,
                                          .optimizer = LSTM_OPTIMIZER_ADAMW,
                                          .weight_decay = 0.5,
                                          .learning_rate = 0.5};
    assert_ok(lstm_fit(
        model, OPTIONS(lstm_fit_options, .epochs = 1, .batch_size = 4, .optimizer_options = &adamw),
        &data, NULL));
    assert_ok(lstm_model_get_parameter(model, 2, mean, FEATURES));
    assert_ok(lstm_model_get_parameter(model, 3, variance, FEATURES));
    for (size_t f = 0; f < FEATURES; f++) {
        double sum = 0;
        double squares = 0;
        for (size_t r = 0; r < ROWS; r++)
            sum += (double)x[r * FEATURES + f] / ROWS;
        for (size_t r = 0; r < ROWS; r++)
            squares += ((double)x[r * FEATURES + f] - sum) * ((double)x[r * FEATURES + f] - sum) /
                       (unbiased ? ROWS - 1 : ROWS);
        assert_true(fabs((double)mean[f] - rate * sum) < 1e-6);
        assert_true(fabs((double)variance[f] - (1 - rate + rate * squares)) < 1e-6);
    }
    free(x);
    free(y);
    lstm_model_destroy(model);
}

static void test_training_moves_the_statistics_by_the_profiles_rule(void **state)
{
    lstm_parameter_info info = {.struct_size = sizeof info};
    (void)state;
    check_moving_statistics(LSTM_PROFILE_KERAS, 0.01, false);
    check_moving_statistics(LSTM_PROFILE_TORCH, 0.1, true);
    lstm_model *model = batch_norm_model(LSTM_PROFILE_TORCH);
    assert_ok(lstm_model_parameter_info(model, 3, &info));
    assert_string_equal(info.name, "batch_normalization.running_var");
    assert_int_equal(info.trainable, LSTM_NO);
    assert_ok(lstm_model_parameter_info(model, 0, &info));
    assert_int_equal(info.trainable, LSTM_YES);
    lstm_model_destroy(model);
}

/* ---- Sequences */

static lstm_model *cell_model(bool gru, int32_t reset_after, int32_t backwards)
{
    lstm_model *model = NULL;
    assert_ok(lstm_model_create(&model, NULL, NULL));
    assert_ok(lstm_model_add_input(model, OPTIONS(lstm_input_options, .features = 3), NULL));
    if (gru)
        assert_ok(
            lstm_model_add_gru(model,
                               OPTIONS(lstm_gru_options, .units = 5, .reset_after = reset_after,
                                       .go_backwards = backwards, .return_sequences = LSTM_YES),
                               NULL, NULL));
    else
        assert_ok(lstm_model_add_simple_rnn(model,
                                            OPTIONS(lstm_simple_rnn_options, .units = 5,
                                                    .go_backwards = backwards,
                                                    .return_sequences = LSTM_YES),
                                            NULL, NULL));
    assert_ok(lstm_model_add_last_step(model, NULL, NULL, NULL));
    assert_ok(lstm_model_add_layer_normalization(model, NULL, NULL, NULL));
    assert_ok(lstm_model_build(model));
    return model;
}

static void check_padding(bool gru, int32_t reset_after)
{
    enum { SAMPLES = 4, STEPS = 7, FEATURES = 3, UNITS = 5 };
    static const int32_t lengths[SAMPLES] = {7, 1, 4, 6};
    lstm_model *model = cell_model(gru, reset_after, LSTM_NO);
    float *x = numbers(SAMPLES * STEPS * FEATURES);
    float together[SAMPLES * UNITS];
    float alone[UNITS];
    for (size_t s = 0; s < SAMPLES; s++)
        for (size_t k = (size_t)lengths[s] * FEATURES; k < STEPS * FEATURES; k++)
            x[s * STEPS * FEATURES + k] = NAN;
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = SAMPLES,
                            .x = x,
                            .x_count = SAMPLES * STEPS * FEATURES,
                            .lengths = lengths,
                            .lengths_count = SAMPLES};
    assert_ok(lstm_predict(model, &data, together, SAMPLES * UNITS));
    for (size_t s = 0; s < SAMPLES; s++) {
        const lstm_data one = {.struct_size = sizeof one,
                               .samples = 1,
                               .x = x + s * STEPS * FEATURES,
                               .x_count = (size_t)lengths[s] * FEATURES};
        assert_ok(lstm_predict(model, &one, alone, UNITS));
        assert_close("a sample alone", together + s * UNITS, alone, UNITS, 1e-6, 0);
    }
    free(x);
    lstm_model_destroy(model);
}

static void test_padding_never_changes_the_answer_of_a_cell(void **state)
{
    (void)state;
    check_padding(true, LSTM_YES);
    check_padding(true, LSTM_NO);
    check_padding(false, LSTM_YES);
}

/* Convolutions, attention of itself, normalisation and pooling over padded samples, each against
 * the sample alone. */
static void test_padding_never_changes_the_answer_of_the_layers_around(void **state)
{
    enum { SAMPLES = 3, STEPS = 6, FEATURES = 2, OUTPUTS = 12 };
    static const int32_t lengths[SAMPLES] = {4, 6, 1};
    lstm_model *model = from_json(
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 2]},"
        "{\"type\": \"Conv1D\", \"filters\": 4, \"kernel_size\": 3, \"padding\": \"same\", "
        "\"activation\": \"tanh\"},"
        "{\"type\": \"BatchNormalization\"},"
        "{\"type\": \"Conv1D\", \"name\": \"second\", \"filters\": 4, \"kernel_size\": 3, "
        "\"padding\": \"same\"},"
        "{\"type\": \"MultiHeadAttention\", \"name\": \"heads\", \"inputs\": [\"second\", "
        "\"second\"], \"num_heads\": 2,"
        " \"key_dim\": 3}, {\"type\": \"Attention\", \"name\": \"dot\", \"inputs\": [\"heads\", "
        "\"second\"]},"
        "{\"type\": \"Add\", \"name\": \"sum\", \"inputs\": [\"dot\", \"heads\"]},"
        "{\"type\": \"GlobalAveragePooling1D\", \"name\": \"a\"},"
        "{\"type\": \"GlobalMaxPooling1D\", \"name\": \"b\", \"inputs\": [\"sum\"]},"
        "{\"type\": \"LastStep\", \"name\": \"c\", \"inputs\": [\"sum\"]},"
        "{\"type\": \"Concatenate\", \"inputs\": [\"a\", \"b\", \"c\"]}]}");
    float *x = numbers(SAMPLES * STEPS * FEATURES);
    float together[SAMPLES * OUTPUTS];
    float alone[OUTPUTS];
    (void)state;
    for (size_t s = 0; s < SAMPLES; s++)
        for (size_t k = (size_t)lengths[s] * FEATURES; k < STEPS * FEATURES; k++)
            x[s * STEPS * FEATURES + k] = NAN;
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = SAMPLES,
                            .x = x,
                            .x_count = SAMPLES * STEPS * FEATURES,
                            .lengths = lengths,
                            .lengths_count = SAMPLES};
    assert_ok(lstm_predict(model, &data, together, SAMPLES * OUTPUTS));
    for (size_t s = 0; s < SAMPLES; s++) {
        const lstm_data one = {.struct_size = sizeof one,
                               .samples = 1,
                               .x = x + s * STEPS * FEATURES,
                               .x_count = (size_t)lengths[s] * FEATURES};
        assert_ok(lstm_predict(model, &one, alone, OUTPUTS));
        assert_close("a sample alone", together + s * OUTPUTS, alone, OUTPUTS, 1e-6, 0);
    }
    free(x);
    lstm_model_destroy(model);
}

/* Without training a cell works through its steps in pieces. */
static void test_long_sequences_give_the_same_with_and_without_a_tape(void **state)
{
    enum { SAMPLES = 2, STEPS = 75, FEATURES = 3, UNITS = 5 };
    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        lstm_model *model = cell_model(kind < 4, kind < 2 ? LSTM_YES : LSTM_NO,
                                       kind % 2 ? LSTM_YES : LSTM_NO);
        lstm_session *session = NULL;
        float *x = numbers(SAMPLES * STEPS * FEATURES);
        float taped[SAMPLES * UNITS];
        float free_running[SAMPLES * UNITS];
        const lstm_data data = {.struct_size = sizeof data,
                                .samples = SAMPLES,
                                .x = x,
                                .x_count = SAMPLES * STEPS * FEATURES};
        assert_ok(lstm_session_create(
            &session, model,
            OPTIONS(lstm_session_options, .training = LSTM_YES, .batch = SAMPLES, .steps = STEPS)));
        assert_ok(lstm_session_forward(session, &data));
        assert_ok(lstm_session_output(session, 0, taped, SAMPLES * UNITS));
        assert_ok(lstm_predict(model, &data, free_running, SAMPLES * UNITS));
        assert_close("without a tape", free_running, taped, SAMPLES * UNITS, 1e-6, 0);
        free(x);
        lstm_session_destroy(session);
        lstm_model_destroy(model);
    }
}

/* y(t) = b + sum over taps and features of x(start + t strides + k dilation, f) w(k, f), as written
 * down. */
static void check_convolution(int32_t padding, int64_t strides, int64_t dilation, int64_t before)
{
    enum { STEPS = 9, TAPS = 3, FEATURES = 2, FILTERS = 2 };
    lstm_model *model = NULL;
    int64_t outputs = 0;
    float *x = numbers(STEPS * FEATURES);
    float *kernel = numbers(TAPS * FEATURES * FILTERS);
    float *y = numbers(STEPS * FILTERS);
    float expected[STEPS * FILTERS];
    assert_ok(lstm_model_create(&model, NULL, NULL));
    assert_ok(lstm_model_add_input(
        model, OPTIONS(lstm_input_options, .steps = STEPS, .features = FEATURES), NULL));
    assert_ok(lstm_model_add_conv1d(
        model,
        OPTIONS(lstm_conv1d_options, .filters = FILTERS, .kernel_size = TAPS, .padding = padding,
                .strides = strides, .dilation_rate = dilation, .use_bias = LSTM_NO),
        NULL, NULL));
    assert_ok(lstm_model_build(model));
    assert_ok(lstm_model_set_parameter(model, 0, kernel, TAPS * FEATURES * FILTERS));
    assert_ok(lstm_layer_shape(lstm_model_output(model, 0), &outputs, NULL));
    const lstm_data data = {
        .struct_size = sizeof data, .samples = 1, .x = x, .x_count = STEPS * FEATURES};
    assert_ok(lstm_predict(model, &data, y, (size_t)outputs * FILTERS));
    for (int64_t t = 0; t < outputs; t++)
        for (int64_t o = 0; o < FILTERS; o++) {
            double sum = 0;
            for (int64_t k = 0; k < TAPS; k++)
                for (int64_t f = 0; f < FEATURES; f++) {
                    const int64_t step = t * strides + k * dilation - before;
                    if (step >= 0 && step < STEPS)
                        sum += (double)x[step * FEATURES + f] *
                               (double)kernel[(k * FEATURES + f) * FILTERS + o];
                }
            expected[t * FILTERS + o] = (float)sum;
        }
    assert_close("convolution", y, expected, (size_t)outputs * FILTERS, 1e-6, 0);
    free(x);
    free(kernel);
    free(y);
    lstm_model_destroy(model);
}

static void test_convolution_is_its_definition(void **state)
{
    (void)state;
    check_convolution(LSTM_PADDING_VALID, 1, 1, 0);
    check_convolution(LSTM_PADDING_VALID, 2, 1, 0);
    check_convolution(LSTM_PADDING_VALID, 1, 3, 0);
    check_convolution(LSTM_PADDING_SAME, 1, 1, 1);
    check_convolution(LSTM_PADDING_SAME, 2, 1, 1);
    check_convolution(LSTM_PADDING_SAME, 1, 2, 2);
    check_convolution(LSTM_PADDING_CAUSAL, 1, 1, 2);
    check_convolution(LSTM_PADDING_CAUSAL, 1, 4, 8);
}

/* ---- What is refused */

static void test_unknown_layers_and_options_suggest_the_nearest(void **state)
{
    (void)state;
    assert_json_refused("{\"layers\": [{\"type\": \"Input\", \"shape\": [3, 2]}, {\"type\": "
                        "\"GRUU\", \"units\": 2}]}",
                        LSTM_ERROR_NOT_FOUND, "did you mean \"GRU\"?");
    assert_json_refused("{\"layers\": [{\"type\": \"Input\", \"shape\": [3, 2]}, {\"type\": "
                        "\"GRU\", \"unit\": 2}]}",
                        LSTM_ERROR_NOT_FOUND, "did you mean \"units\"?");
    assert_json_refused(
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [3, 2]},"
        " {\"type\": \"Conv1D\", \"filters\": 2, \"kernel_size\": 2, \"padding\": \"cauusal\"}]}",
        LSTM_ERROR_NOT_FOUND, "did you mean \"causal\"?");
    assert_json_refused(
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [3, 2]},"
        " {\"type\": \"TimeDistributed\", \"layer\": {\"type\": \"GRU\", \"units\": 2}}]}",
        LSTM_ERROR_UNSUPPORTED, "each step alone");
    assert_json_refused(
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [3, 2]}, {\"type\": \"TimeDistributed\"}]}",
        LSTM_ERROR_FORMAT, "\"layer\"");
    assert_json_refused("{\"layers\": [{\"type\": \"Input\", \"name\": \"x\", \"shape\": [3, 2]},"
                        " {\"type\": \"Concatenate\", \"inputs\": [\"x\", \"x\"], \"axis\": 1}]}",
                        LSTM_ERROR_UNSUPPORTED, "\"axis\" is 1");
    assert_json_refused("{\"layers\": [{\"type\": \"Input\", \"name\": \"x\", \"shape\": [3, 2]}, "
                        "{\"type\": \"Add\"}]}",
                        LSTM_ERROR_FORMAT, "reads 1 layers: expected more");
    assert_json_refused("{\"layers\": [{\"type\": \"Input\", \"name\": \"x\", \"shape\": [3, 2]},"
                        " {\"type\": \"Subtract\", \"inputs\": [\"x\", \"x\", \"x\"]}]}",
                        LSTM_ERROR_FORMAT, "expected at most 2");
}

static void test_shapes_that_do_not_go_together_are_named_with_their_layers(void **state)
{
    lstm_model *model = NULL;
    lstm_layer *x = NULL;
    lstm_layer *y = NULL;
    lstm_layer *v = NULL;
    (void)state;
    assert_ok(lstm_model_create(&model, NULL, NULL));
    assert_ok(lstm_model_add_input(
        model, OPTIONS(lstm_input_options, .steps = 7, .features = 3, .name = "left"), &x));
    assert_ok(lstm_model_add_input(
        model, OPTIONS(lstm_input_options, .steps = 5, .features = 4, .name = "right"), &y));
    assert_ok(lstm_model_add_input(
        model, OPTIONS(lstm_input_options, .vector = LSTM_YES, .features = 4, .name = "flat"), &v));
    const lstm_layer *both[2] = {x, y};
    const lstm_layer *flat[2] = {x, v};
    assert_refused(lstm_model_add_sum(model, NULL, both, 2, NULL), LSTM_ERROR_SHAPE,
                   "layer \"left\" has the shape (7 steps, 3 features), layer \"right\" (5 steps, "
                   "4 features)");
    assert_refused(lstm_model_add_concatenate(model, NULL, flat, 2, NULL), LSTM_ERROR_SHAPE,
                   "layer \"flat\" (4 features)");
    assert_refused(lstm_model_add_attention(model, NULL, both, 2, NULL), LSTM_ERROR_SHAPE,
                   "query (layer \"left\") has 3 features, key (layer \"right\") 4");
    assert_refused(lstm_model_add_attention(model, NULL, flat, 2, NULL), LSTM_ERROR_SHAPE,
                   "reads layer \"flat\", a vector");
    assert_refused(lstm_model_add_gru(model, OPTIONS(lstm_gru_options, .units = 3), v, NULL),
                   LSTM_ERROR_SHAPE, "\"flat\"");
    assert_refused(
        lstm_model_add_gru(model, OPTIONS(lstm_gru_options, .units = 3, .initial_h = v), x, NULL),
        LSTM_ERROR_SHAPE,
        "initial h is layer \"flat\" with 4 features: expected a vector of 3 units");
    assert_refused(
        lstm_model_add_embedding(
            model, OPTIONS(lstm_embedding_options, .input_dim = 4, .output_dim = 2), x, NULL),
        LSTM_ERROR_SHAPE, "3 features a step");
    assert_refused(
        lstm_model_add_conv1d(model, OPTIONS(lstm_conv1d_options, .filters = 2, .kernel_size = 6),
                              y, NULL),
        LSTM_ERROR_SHAPE, "a window of 6 steps does not fit into the 5 steps of layer \"right\"");
    assert_refused(
        lstm_model_add_max_pooling(
            model, OPTIONS(lstm_pooling_options, .padding = LSTM_PADDING_CAUSAL), y, NULL),
        LSTM_ERROR_ARGUMENT, "causal");
    assert_refused(lstm_model_add_sum(model, NULL, both, 1, NULL), LSTM_ERROR_ARGUMENT,
                   "reads 1 layers: expected 2 to 64");
    assert_refused(lstm_model_add_sum(model, NULL, NULL, 2, NULL), LSTM_ERROR_ARGUMENT,
                   "inputs is NULL");
    assert_refused(lstm_model_add_simple_rnn(model,
                                             OPTIONS(lstm_simple_rnn_options, .units = 2,
                                                     .activation = LSTM_ACTIVATION_SOFTMAX),
                                             x, NULL),
                   LSTM_ERROR_ARGUMENT, "softmax");
    assert_int_equal(lstm_model_layer_count(model), 3); /* nothing was added */
    lstm_model_destroy(model);
}

static void check_token(int32_t layout, float bad, const char *words)
{
    enum { SAMPLES = 3, STEPS = 4 };
    float tokens[SAMPLES * STEPS] = {0};
    float out[SAMPLES * 2];
    /* sample 1, step 2 */
    const size_t place = layout == LSTM_LAYOUT_TIME_FIRST ? 2 * SAMPLES + 1 : 1 * STEPS + 2;
    lstm_model *model = from_json(
        "{\"layers\": [{\"type\": \"Input\", \"name\": \"words\", \"shape\": [null]},"
        "{\"type\": \"Embedding\", \"name\": \"table\", \"input_dim\": 10, \"output_dim\": 2},"
        "{\"type\": \"GlobalAveragePooling1D\"}]}");
    lstm_data data = {.struct_size = sizeof data,
                      .layout = layout,
                      .samples = SAMPLES,
                      .x = tokens,
                      .x_count = SAMPLES * STEPS};
    assert_ok(lstm_predict(model, &data, out, SAMPLES * 2));
    tokens[place] = bad;
    assert_refused(lstm_predict(model, &data, out, SAMPLES * 2), LSTM_ERROR_ARGUMENT, words);
    static const int32_t lengths[SAMPLES] = {4, 2, 4};
    data.lengths = lengths; /* the token now stands in the padding */
    data.lengths_count = SAMPLES;
    assert_ok(lstm_predict(model, &data, out, SAMPLES * 2));
    lstm_model_destroy(model);
}

static void test_tokens_outside_the_vocabulary_are_refused_with_sample_step_and_value(void **state)
{
    (void)state;
    check_token(LSTM_LAYOUT_BATCH_FIRST, 10,
                "input \"words\", sample 1, step 2: token 10: layer \"table\" takes whole numbers "
                "from 0 to 9");
    check_token(LSTM_LAYOUT_TIME_FIRST, -1, "sample 1, step 2: token -1");
    check_token(LSTM_LAYOUT_BATCH_FIRST, 2.5f, "token 2.5");
    check_token(LSTM_LAYOUT_BATCH_FIRST, NAN, "token");
    check_token(LSTM_LAYOUT_TIME_FIRST, INFINITY, "token inf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_layer_survives_descriptions_and_files),
        cmocka_unit_test(test_every_layer_passes_the_gradient_check),
        cmocka_unit_test(test_training_moves_the_statistics_by_the_profiles_rule),
        cmocka_unit_test(test_padding_never_changes_the_answer_of_a_cell),
        cmocka_unit_test(test_padding_never_changes_the_answer_of_the_layers_around),
        cmocka_unit_test(test_long_sequences_give_the_same_with_and_without_a_tape),
        cmocka_unit_test(test_convolution_is_its_definition),
        cmocka_unit_test(test_unknown_layers_and_options_suggest_the_nearest),
        cmocka_unit_test(test_shapes_that_do_not_go_together_are_named_with_their_layers),
        cmocka_unit_test(test_tokens_outside_the_vocabulary_are_refused_with_sample_step_and_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
