/* SPDX-License-Identifier: MIT
 * Layers and losses of the caller's own: their gradients against finite differences
 * (lstm_gradient_check) and against the library's layers and losses that do the same; files that
 * name a registered type; what is refused.
 */
#include "api_checks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SAMPLES = 6, STEPS = 5, FEATURES = 3, OUTPUTS = 2 };

static void fill(float *x, size_t count, size_t seed)
{
    for (size_t k = 0; k < count; k++)
        x[k] = (float)((k * 37 + seed * 11) % 64) / 32 - 1;
}

static size_t rows_of(const lstm_custom_pass *pass)
{
    const int64_t steps = pass->output.shape.steps;
    return (size_t)(pass->batch * (steps == 0 ? 1 : steps));
}

/* ---- Scale: y = x gain + shift, with two parameters; `user`: the initial gain */

static lstm_status scale_define(void *user, lstm_custom_definition *d)
{
    if (d->input_count != 1)
        return LSTM_ERROR_ARGUMENT;
    d->parameter_count = 2;
    d->parameters[0] = (lstm_custom_parameter){.name = "gain", .rank = 1, .initial = user};
    d->parameters[1] = (lstm_custom_parameter){.name = "shift", .rank = 1};
    d->parameters[0].shape[0] = d->parameters[1].shape[0] = d->output.features;
    return LSTM_OK;
}

static void scale_forward(void *user, const lstm_custom_pass *pass)
{
    const size_t features = (size_t)pass->output.shape.features;
    (void)user;
    for (size_t k = 0; k < rows_of(pass) * features; k++)
        pass->output.values[k] = pass->inputs[0].values[k] * pass->parameters[0][k % features] +
                                 pass->parameters[1][k % features];
}

static void scale_backward(void *user, const lstm_custom_pass *pass)
{
    const size_t features = (size_t)pass->output.shape.features;
    (void)user;
    for (size_t k = 0; k < rows_of(pass) * features; k++) {
        const float dy = pass->output.gradient[k];
        pass->parameter_gradients[0][k % features] += dy * pass->inputs[0].values[k];
        pass->parameter_gradients[1][k % features] += dy;
        if (pass->inputs[0].gradient)
            pass->inputs[0].gradient[k] = dy * pass->parameters[0][k % features];
    }
}

static void scale_wrong(void *user, const lstm_custom_pass *pass)
{
    scale_backward(user, pass);
    pass->parameter_gradients[0][1] *= 1.5f;
}

static float gains[16] = {1.5f, 0.5f, -1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static const lstm_custom_layer scale = {.struct_size = sizeof scale,
                                        .stepwise = LSTM_YES,
                                        .type = "ScaleShift",
                                        .define = scale_define,
                                        .forward = scale_forward,
                                        .backward = scale_backward,
                                        .user = gains};

/* ---- Gate: y = a sigmoid(b), which it keeps; no parameters, two inputs */

static lstm_status gate_define(void *user, lstm_custom_definition *d)
{
    (void)user;
    if (d->input_count != 2 || d->inputs[0].features != d->inputs[1].features ||
        d->inputs[0].steps != d->inputs[1].steps)
        return LSTM_ERROR_SHAPE;
    d->memory = d->output.features;
    return LSTM_OK;
}

static void gate_forward(void *user, const lstm_custom_pass *pass)
{
    (void)user;
    for (size_t k = 0; k < rows_of(pass) * (size_t)pass->output.shape.features; k++) {
        pass->memory[k] = 1 / (1 + expf(-pass->inputs[1].values[k]));
        pass->output.values[k] = pass->inputs[0].values[k] * pass->memory[k];
    }
}

static void gate_backward(void *user, const lstm_custom_pass *pass)
{
    (void)user;
    for (size_t k = 0; k < rows_of(pass) * (size_t)pass->output.shape.features; k++) {
        const float dy = pass->output.gradient[k];
        const float s = pass->memory[k];
        if (pass->inputs[0].gradient)
            pass->inputs[0].gradient[k] = dy * s;
        if (pass->inputs[1].gradient)
            pass->inputs[1].gradient[k] = dy * pass->inputs[0].values[k] * s * (1 - s);
    }
}

static const lstm_custom_layer gate = {.struct_size = sizeof gate,
                                       .type = "Gate",
                                       .define = gate_define,
                                       .forward = gate_forward,
                                       .backward = gate_backward};

/* ---- Models and data */

typedef struct task {
    float x[SAMPLES * STEPS * FEATURES], y[SAMPLES * STEPS * OUTPUTS];
    int32_t lengths[SAMPLES];
    lstm_data data;
} task;

static void start(task *t)
{
    static const int32_t lengths[SAMPLES] = {5, 2, 4, 0, 1, 3};
    fill(t->x, LENGTH(t->x), 1);
    fill(t->y, LENGTH(t->y), 2);
    memcpy(t->lengths, lengths, sizeof lengths);
    t->data = (lstm_data){.struct_size = sizeof t->data,
                          .samples = SAMPLES,
                          .x = t->x,
                          .x_count = LENGTH(t->x),
                          .y = t->y,
                          .y_count = LENGTH(t->y),
                          .lengths = t->lengths,
                          .lengths_count = SAMPLES};
}

/* x -> LSTM -> ScaleShift -> Gate of it with itself and with the LSTM -> Dense(2) */
static lstm_model *build(int32_t profile, const lstm_custom_layer *scaling)
{
    lstm_model *model = NULL;
    lstm_layer *h = NULL;
    lstm_layer *s = NULL;
    lstm_layer *once = NULL;
    assert_ok(lstm_model_create(&model, NULL, OPTIONS(lstm_model, .profile = profile)));
    assert_ok(lstm_model_add_input(model, OPTIONS(lstm_input, .features = FEATURES), NULL));
    assert_ok(lstm_model_add_lstm(
        model, OPTIONS(lstm_lstm, .units = 4, .return_sequences = LSTM_YES), NULL, &h));
    assert_ok(lstm_model_add_custom(model, scaling, NULL, NULL, 0, &s));
    const lstm_layer *twice[2] = {s, s};
    assert_ok(lstm_model_add_custom(model, &gate, "itself", twice, 2, &once));
    const lstm_layer *both[2] = {once, h};
    assert_ok(lstm_model_add_custom(model, &gate, NULL, both, 2, NULL));
    assert_ok(lstm_model_add_dense(model, OPTIONS(lstm_dense, .units = OUTPUTS), NULL, NULL));
    assert_ok(lstm_model_build(model));
    return model;
}

static void test_gradients_of_own_layers_are_derivatives(void **state)
{
    task t;
    double errors[16];
    (void)state;
    start(&t);
    for (int32_t profile = LSTM_PROFILE_KERAS; profile <= LSTM_PROFILE_TORCH; profile++) {
        lstm_model *model = build(profile, &scale);
        const size_t count = lstm_model_parameter_count(model);
        size_t index = 0;
        float values[4];
        assert_string_equal(lstm_layer_name(lstm_model_output(model, 0)), "dense");
        assert_ok(lstm_model_find_parameter(
            model, profile == LSTM_PROFILE_KERAS ? "scale_shift/gain" : "scale_shift.gain",
            &index));
        assert_ok(lstm_model_get_parameter(model, index, values, 4));
        assert_memory_equal(values, gains, sizeof values);
        assert_ok(lstm_gradient_check(model, NULL, &t.data, NULL, errors, count));
        for (size_t k = 0; k < count; k++)
            assert_true(errors[k] < 0.01);
        lstm_model_destroy(model);
    }
    lstm_custom_layer wrong = scale;
    wrong.backward = scale_wrong;
    lstm_model *model = build(LSTM_PROFILE_KERAS, &wrong);
    assert_status_text(
        lstm_gradient_check(model, NULL, &t.data, NULL, errors, lstm_model_parameter_count(model)),
        LSTM_ERROR_NUMERIC, "scale_shift/gain");
    lstm_model_destroy(model);
}

static void product_forward(void *user, const lstm_custom_pass *pass)
{
    (void)user;
    for (size_t k = 0; k < rows_of(pass) * (size_t)pass->output.shape.features; k++)
        pass->output.values[k] = pass->inputs[0].values[k] * pass->inputs[1].values[k];
}

static void product_backward(void *user, const lstm_custom_pass *pass)
{
    (void)user;
    for (size_t k = 0; k < rows_of(pass) * (size_t)pass->output.shape.features; k++)
        for (size_t i = 0; i < 2; i++)
            if (pass->inputs[i].gradient)
                pass->inputs[i].gradient[k] += pass->output.gradient[k] *
                                               pass->inputs[1 - i].values[k];
}

static void test_an_own_product_is_the_librarys_multiply(void **state)
{
    static const lstm_custom_layer product = {.struct_size = sizeof product,
                                              .type = "Product",
                                              .forward = product_forward,
                                              .backward = product_backward};
    task t;
    float y[2][SAMPLES * STEPS * OUTPUTS];
    (void)state;
    start(&t);
    for (int own = 0; own < 2; own++) {
        lstm_model *model = NULL;
        lstm_layer *layers[2] = {NULL, NULL};
        assert_ok(lstm_model_create(&model, NULL, NULL));
        assert_ok(lstm_model_add_input(model, OPTIONS(lstm_input, .features = FEATURES), NULL));
        lstm_layer *x = lstm_model_input(model, 0);
        for (int k = 0; k < 2; k++)
            assert_ok(lstm_model_add_lstm(
                model, OPTIONS(lstm_lstm, .units = 4, .return_sequences = LSTM_YES), x,
                &layers[k]));
        const lstm_layer *inputs[2] = {layers[0], layers[1]};
        if (own)
            assert_ok(lstm_model_add_custom(model, &product, NULL, inputs, 2, NULL));
        else
            assert_ok(lstm_model_add_product(model, NULL, inputs, 2, NULL));
        assert_ok(lstm_model_add_lstm(
            model, OPTIONS(lstm_lstm, .units = OUTPUTS, .return_sequences = LSTM_YES), NULL, NULL));
        assert_ok(lstm_model_build(model));
        assert_ok(lstm_fit(model, OPTIONS(lstm_fit, .epochs = 3, .batch_size = 2), &t.data, NULL));
        assert_ok(lstm_predict(model, &t.data, y[own], LENGTH(y[own])));
        lstm_model_destroy(model);
    }
    assert_memory_equal(y[0], y[1], sizeof y[0]);
}

static void test_files_name_a_type_that_the_loader_has_registered(void **state)
{
    task t;
    float y[2][SAMPLES * STEPS * OUTPUTS];
    lstm_context *context = NULL;
    lstm_model *loaded = NULL;
    lstm_history *history = NULL;
    (void)state;
    start(&t);
    lstm_model *model = build(LSTM_PROFILE_KERAS, &scale);
    assert_ok(lstm_fit(model,
                       OPTIONS(lstm_fit, .epochs = 30, .tbptt_k1 = 0,
                               .optimizer_options = OPTIONS(lstm_optimizer, .learning_rate = 0.02)),
                       &t.data, &history));
    assert_true(lstm_history_value(history, 29, 0) < 0.8 * lstm_history_value(history, 0, 0));
    lstm_history_destroy(history);
    assert_ok(lstm_predict(model, &t.data, y[0], LENGTH(y[0])));
    assert_ok(lstm_model_save(model, "custom.lstm"));
    assert_status_text(lstm_model_load(&loaded, NULL, "custom.lstm"), LSTM_ERROR_NOT_FOUND,
                       "unknown layer type \"ScaleShift\"");
    assert_ok(lstm_context_create(&context, NULL));
    assert_ok(lstm_context_register_layer(context, &gate));
    lstm_custom_layer near = scale;
    near.type = "ScaleShifd";
    assert_ok(lstm_context_register_layer(context, &near));
    assert_status_text(lstm_model_load(&loaded, context, "custom.lstm"), LSTM_ERROR_NOT_FOUND,
                       "ScaleShifd"); /* the nearest */
    assert_ok(lstm_context_register_layer(context, &scale));
    assert_ok(lstm_context_register_layer(context, &scale)); /* once more replaces it */
    assert_ok(lstm_model_load(&loaded, context, "custom.lstm"));
    lstm_context_destroy(context); /* the model keeps it */
    assert_ok(lstm_predict(loaded, &t.data, y[1], LENGTH(y[1])));
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    lstm_model_destroy(loaded);
    assert_status_text(lstm_model_export(model, "custom.keras"), LSTM_ERROR_UNSUPPORTED,
                       "ScaleShift");
    lstm_model_destroy(model);
    remove("custom.lstm");
}

static void test_a_description_names_own_layers_like_others(void **state)
{
    static const char text[] =
        "{\"layers\": [{\"type\": \"Input\", \"name\": \"x\", \"shape\": [null, 3]},"
        "{\"type\": \"ScaleShift\", \"name\": \"s\"},"
        "{\"type\": \"Gate\", \"inputs\": [\"s\", \"x\"]}]}";
    static const char odd[] = "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 3]},"
                              "{\"type\": \"ScaleShift\", \"rate\": 2}]}";
    char buffer[1024];
    lstm_context *context = NULL;
    lstm_model *model = NULL;
    (void)state;
    assert_ok(lstm_context_create(&context, NULL));
    assert_ok(lstm_context_register_layer(context, &scale));
    assert_ok(lstm_context_register_layer(context, &gate));
    assert_ok(lstm_model_from_json(&model, context, text, strlen(text)));
    assert_int_equal(lstm_model_parameter_count(model), 2);
    assert_ok(lstm_model_to_json(model, buffer, sizeof buffer, NULL));
    assert_text_contains(buffer, "\"type\": \"ScaleShift\"");
    lstm_model_destroy(model);
    assert_ok(lstm_model_from_json(&model, context, buffer, strlen(buffer)));
    lstm_model_destroy(model);
    assert_status_text(lstm_model_from_json(&model, context, odd, strlen(odd)),
                       LSTM_ERROR_NOT_FOUND, "rate");
    lstm_context_destroy(context);
}

static void test_own_layers_run_in_pieces_where_they_treat_steps_alone(void **state)
{
    task t;
    (void)state;
    start(&t);
    lstm_model *model = build(LSTM_PROFILE_KERAS, &scale);
    assert_status_text(lstm_fit(model, OPTIONS(lstm_fit, .tbptt_k1 = 2), &t.data, NULL),
                       LSTM_ERROR_ARGUMENT, "layer \"itself\" (Gate) needs its sequence whole");
    lstm_model_destroy(model);
    assert_ok(lstm_model_create(&model, NULL, NULL));
    assert_ok(lstm_model_add_input(model, OPTIONS(lstm_input, .features = FEATURES), NULL));
    assert_ok(lstm_model_add_custom(model, &scale, NULL, NULL, 0, NULL));
    assert_ok(lstm_model_add_lstm(
        model, OPTIONS(lstm_lstm, .units = OUTPUTS, .return_sequences = LSTM_YES), NULL, NULL));
    assert_ok(lstm_model_build(model));
    assert_ok(lstm_fit(model, OPTIONS(lstm_fit, .tbptt_k1 = 2), &t.data, NULL));
    lstm_model_destroy(model);
}

/* ---- What is refused */

static lstm_status define_bad(void *user, lstm_custom_definition *d)
{
    switch (*(const int *)user) {
    case 0:
        d->output.features = 0;
        break;
    case 1:
        d->parameter_count = 9;
        break;
    case 2:
        d->parameter_count = 1;
        d->parameters[0] = (lstm_custom_parameter){.name = "a b", .rank = 1, .shape = {1}};
        break;
    case 3:
        d->parameter_count = 1;
        d->parameters[0] = (lstm_custom_parameter){.name = "w", .rank = 5, .shape = {1}};
        break;
    case 4:
        d->parameter_count = 1;
        d->parameters[0] = (lstm_custom_parameter){.name = "w", .rank = 2, .shape = {2, 0}};
        break;
    case 5:
        d->memory = -1;
        break;
    case 6:
        d->output.steps = -2;
        break;
    default:
        return LSTM_ERROR_SHAPE;
    }
    return LSTM_OK;
}

static void test_definitions_that_cannot_be_are_refused_in_words(void **state)
{
    static const char *const words[] = {"0 features",
                                        "9 parameters: expected at most 8",
                                        "\"a b\": expected letters",
                                        "rank 5: expected 1 to 4",
                                        "axis 1 is 0",
                                        "memory is -1",
                                        "-2 steps",
                                        "define callback refused what it reads: layer \"input\""};
    (void)state;
    lstm_model *model = NULL;
    assert_ok(lstm_model_create(&model, NULL, NULL));
    assert_ok(lstm_model_add_input(model, OPTIONS(lstm_input, .features = 3), NULL));
    for (int k = 0; k < (int)LENGTH(words); k++) {
        lstm_custom_layer bad = scale;
        bad.define = define_bad;
        bad.user = &k;
        const lstm_status status = lstm_model_add_custom(model, &bad, "odd", NULL, 0, NULL);
        assert_true(status == LSTM_ERROR_ARGUMENT || status == LSTM_ERROR_SHAPE);
        assert_text_contains(lstm_last_error(), "layer \"odd\" (ScaleShift)");
        assert_text_contains(lstm_last_error(), words[k]);
    }
    lstm_custom_layer bad = scale;
    bad.backward = NULL;
    assert_status_text(lstm_model_add_custom(model, &bad, NULL, NULL, 0, NULL), LSTM_ERROR_ARGUMENT,
                       "no backward callback");
    bad = scale;
    bad.forward = NULL;
    assert_status_text(lstm_model_add_custom(model, &bad, NULL, NULL, 0, NULL), LSTM_ERROR_ARGUMENT,
                       "forward is NULL");
    bad = scale;
    bad.type = "LSTM";
    assert_status_text(lstm_model_add_custom(model, &bad, NULL, NULL, 0, NULL), LSTM_ERROR_ARGUMENT,
                       "\"LSTM\" is one of the library's own");
    bad.type = "my layer";
    assert_status_text(lstm_context_register_layer(NULL, &bad), LSTM_ERROR_ARGUMENT, "context");
    assert_status_text(lstm_model_add_custom(model, &bad, NULL, NULL, 0, NULL), LSTM_ERROR_ARGUMENT,
                       "expected letters, digits and _");
    bad = scale;
    bad.stepwise = 3;
    assert_status_text(lstm_model_add_custom(model, &bad, NULL, NULL, 0, NULL),
                       LSTM_ERROR_ARGUMENT, "stepwise");
    bad = scale;
    bad.drop_mask = -1;
    assert_status_text(lstm_model_add_custom(model, &bad, NULL, NULL, 0, NULL),
                       LSTM_ERROR_ARGUMENT, "drop_mask");
    bad = scale;
    bad.reserved = 1;
    assert_status_text(lstm_model_add_custom(model, &bad, NULL, NULL, 0, NULL),
                       LSTM_ERROR_ARGUMENT, "reserved is 1");
    bad = scale;
    bad.struct_size = 2;
    assert_status(lstm_model_add_custom(model, &bad, NULL, NULL, 0, NULL), LSTM_ERROR_ARGUMENT);
    assert_ok(lstm_model_add_custom(model, &scale, NULL, NULL, 0, NULL)); /* still usable */
    assert_ok(lstm_model_build(model));
    lstm_model_destroy(model);
}

/* ---- Losses */

/* Mean squared error of a row. */
static double squares(void *user, const float *p, size_t features, const float *y, size_t targets,
                      float *gradient)
{
    double sum = 0;
    assert_int_equal(features, targets);
    *(size_t *)user += 1;
    for (size_t f = 0; f < features; f++) {
        const double e = (double)p[f] - (double)y[f];
        sum += e * e / (double)features;
        if (gradient)
            gradient[f] = (float)(2 * e / (double)features);
    }
    return sum;
}

/* Targets of four values: y, then how much each counts; cubes of the distances. */
static double cubes(void *user, const float *p, size_t features, const float *y, size_t targets,
                    float *gradient)
{
    double sum = 0;
    (void)user;
    assert_int_equal(2 * features, targets);
    for (size_t f = 0; f < features; f++) {
        const double e = (double)p[f] - (double)y[f];
        const double weight = fabs((double)y[features + f]);
        sum += weight * fabs(e * e * e);
        if (gradient)
            gradient[f] = (float)(3 * weight * e * fabs(e));
    }
    return sum;
}

static void test_an_own_mean_squared_error_is_the_librarys(void **state)
{
    static const float weights[SAMPLES] = {1, 2, 0, 1, 0.5f, 3};
    task t;
    (void)state;
    start(&t);
    t.data.sample_weights = weights;
    t.data.sample_weight_count = SAMPLES;
    for (int32_t reduction = LSTM_REDUCTION_MEAN; reduction <= LSTM_REDUCTION_WEIGHTED_MEAN;
         reduction++) {
        float y[2][SAMPLES * STEPS * OUTPUTS];
        double values[2][2];
        size_t calls = 0;
        const int32_t mae[1] = {LSTM_METRIC_MAE};
        for (int own = 0; own < 2; own++) {
            lstm_model *model = build(LSTM_PROFILE_KERAS, &scale);
            const lstm_loss_options loss = {.struct_size = sizeof loss,
                                            .loss = own ? LSTM_LOSS_CUSTOM : LSTM_LOSS_MSE,
                                            .reduction = reduction,
                                            .custom = own ? squares : NULL,
                                            .custom_user = &calls};
            assert_ok(
                lstm_fit(model, OPTIONS(lstm_fit, .epochs = 3, .loss = &loss), &t.data, NULL));
            assert_ok(lstm_evaluate(
                model, OPTIONS(lstm_evaluate, .loss = &loss, .metrics = mae, .metric_count = 1),
                &t.data, values[own], 2));
            assert_ok(lstm_predict(model, &t.data, y[own], LENGTH(y[own])));
            lstm_model_destroy(model);
        }
        /* masked rows and samples of weight 0 are not asked for: 15 steps, 4 of them in sample 2 */
        assert_int_equal(calls, 4 * 11);
        for (size_t k = 0; k < LENGTH(y[0]); k++)
            assert_true(fabsf(y[0][k] - y[1][k]) < 1e-5f);
        assert_true(fabs(values[0][0] - values[1][0]) < 1e-5);
        assert_true(fabs(values[0][1] - values[1][1]) < 1e-5);
    }
}

static void test_gradients_of_own_losses_are_derivatives(void **state)
{
    task t;
    float y[SAMPLES * STEPS * 2 * OUTPUTS];
    double errors[16];
    (void)state;
    start(&t);
    fill(y, LENGTH(y), 5);
    t.data.y = y;
    t.data.y_count = LENGTH(y);
    lstm_model *model = build(LSTM_PROFILE_KERAS, &scale);
    lstm_loss_options loss = {.struct_size = sizeof loss,
                              .loss = LSTM_LOSS_CUSTOM,
                              .custom = cubes,
                              .custom_targets = 2 * OUTPUTS};
    assert_ok(lstm_gradient_check(model, &loss, &t.data, NULL, errors,
                                  lstm_model_parameter_count(model)));
    assert_ok(lstm_fit(model, OPTIONS(lstm_fit, .epochs = 2, .loss = &loss), &t.data, NULL));
    loss.custom = NULL;
    assert_status_text(lstm_fit(model, OPTIONS(lstm_fit, .loss = &loss), &t.data, NULL),
                       LSTM_ERROR_ARGUMENT, "the loss is custom, but its function custom is NULL");
    loss.custom = cubes;
    loss.loss = LSTM_LOSS_MAE;
    assert_status_text(lstm_fit(model, OPTIONS(lstm_fit, .loss = &loss), &t.data, NULL),
                       LSTM_ERROR_ARGUMENT, "the loss is mae, but its function custom is set");
    loss.loss = LSTM_LOSS_CUSTOM;
    loss.custom_targets = -1;
    assert_status_text(lstm_fit(model, OPTIONS(lstm_fit, .loss = &loss), &t.data, NULL),
                       LSTM_ERROR_ARGUMENT, "custom_targets is -1");
    lstm_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_of_own_layers_are_derivatives),
        cmocka_unit_test(test_an_own_product_is_the_librarys_multiply),
        cmocka_unit_test(test_files_name_a_type_that_the_loader_has_registered),
        cmocka_unit_test(test_a_description_names_own_layers_like_others),
        cmocka_unit_test(test_own_layers_run_in_pieces_where_they_treat_steps_alone),
        cmocka_unit_test(test_definitions_that_cannot_be_are_refused_in_words),
        cmocka_unit_test(test_an_own_mean_squared_error_is_the_librarys),
        cmocka_unit_test(test_gradients_of_own_losses_are_derivatives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
