/* SPDX-License-Identifier: MIT
 * Regularisers outside the cell: penalties of activations against Keras, the moments of random
 * layers, noise on weights and gradients, and that all of it is a function of seed and update.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Activity */

/* Written by Keras 3.15.1 (JAX): LSTM(2, return_sequences, activity L1L2(0.1, 0.2)), Flatten,
 * Dense(2, softmax, activity L1L2(0.05, 0.3)), categorical cross-entropy, weights
 * 0.4 sin(1 + k), x sin(0.5 + 0.7 k) of (2, 3, 2), y the unit matrix; gradients from one step of
 * SGD(0.5), whose loss afterwards is `after`. */
static const double keras_before = 1.0380302667617798;
static const double keras_after = 0.9544022679328918;
static const float keras_gradients[] = {
    0.0214780569f,   0.00344991684f,  0.00440333039f,   0.0010766387f,    -0.106373489f,
    0.042851761f,    0.0236681104f,   0.0034237504f,    0.0217381716f,    0.0129330456f,
    0.00144761801f,  0.000895500183f, -0.166509956f,    0.0959540009f,    0.0194641352f,
    0.0117384493f,   -0.00216495991f, -0.000377297401f, -0.00124179572f,  0.000216960907f,
    0.0102374554f,   0.00288781337f,  -0.00346565247f,  -0.000277638435f, 0.00223457813f,
    0.00010818243f,  0.000868439674f, -7.76350498e-06f, -0.010176897f,    -0.00113993883f,
    0.00302559137f,  0.000162899494f, 0.0324070454f,    0.0212046504f,    0.00768187642f,
    -0.00102370977f, -0.271552205f,   0.0698511451f,    0.0363277793f,    0.0197948217f,
    0.0226637721f,   -0.0226637721f,  -0.0300418735f,   0.0300418958f,    0.0422451496f,
    -0.0422451496f,  0.00578784198f,  -0.00578784943f,  -0.0292645097f,   0.0292645097f,
    0.0560308099f,   -0.0560308099f,  0.139749259f,     -0.139749259f,
};

static const char activity_text[] =
    "{\"layers\": [{\"type\": \"Input\", \"shape\": [3, 2]},"
    "{\"type\": \"LSTM\", \"units\": 2, \"return_sequences\": true, \"activity_regularizer\":"
    " {\"class_name\": \"L1L2\", \"config\": {\"l1\": 0.1, \"l2\": 0.2}}},"
    "{\"type\": \"Flatten\"},"
    "{\"type\": \"Dense\", \"units\": 2, \"activation\": \"softmax\", \"activity_regularizer\":"
    " {\"class_name\": \"L1L2\", \"config\": {\"l1\": 0.05, \"l2\": 0.3}}}]}";

static lstm_model *activity_model(void)
{
    lstm_model *model = NULL;
    size_t k = 0;
    assert_ok(lstm_model_from_json(&model, NULL, activity_text, strlen(activity_text)));
    for (size_t p = 0; p < lstm_model_parameter_count(model); p++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        float values[64];
        assert_ok(lstm_model_parameter_info(model, p, &info));
        for (size_t j = 0; j < info.count; j++)
            values[j] = (float)(0.4 * sin(1.0 + (double)k++));
        assert_ok(lstm_model_set_parameter(model, p, values, info.count));
    }
    return model;
}

static void test_activity_penalties_and_their_gradients_are_those_of_keras(void **state)
{
    static const float y[] = {1, 0, 0, 1};
    float x[12];
    float all[64];
    double loss = 0;
    size_t done = 0;
    lstm_session *session = NULL;
    lstm_model *model = activity_model();
    const lstm_loss_options entropy = {.struct_size = sizeof entropy,
                                       .loss = LSTM_LOSS_CATEGORICAL_CROSSENTROPY};
    (void)state;
    for (size_t k = 0; k < 12; k++)
        x[k] = (float)sin(0.5 + 0.7 * (double)k);
    const lstm_data data = {
        .struct_size = sizeof data, .samples = 2, .x = x, .x_count = 12, .y = y, .y_count = 4};
    assert_ok(lstm_evaluate(model, OPTIONS(lstm_evaluate, .loss = &entropy), &data, &loss, 1));
    assert_true(fabs(loss - keras_before) < 1e-6);
    assert_ok(lstm_session_create(&session, model,
                                  OPTIONS(lstm_session, .training = LSTM_YES, .batch = 2)));
    assert_ok(lstm_session_forward(session, &data));
    assert_ok(lstm_session_loss(session, &entropy, &data, &loss));
    assert_ok(lstm_session_backward(session));
    for (size_t p = 0; p < lstm_model_parameter_count(model); p++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, p, &info));
        assert_ok(lstm_session_parameter_gradient(session, p, all + done, info.count));
        done += info.count;
    }
    assert_int_equal(done, LENGTH(keras_gradients));
    for (size_t k = 0; k < done; k++) /* Keras' are differences of weights: 1e-7 / 0.5 */
        assert_true(fabsf(all[k] - keras_gradients[k]) < 1e-6f);
    const lstm_optimizer_options sgd = {
        .struct_size = sizeof sgd, .optimizer = LSTM_OPTIMIZER_SGD, .learning_rate = 0.5};
    assert_ok(lstm_fit(model, OPTIONS(lstm_fit, .loss = &entropy, .optimizer_options = &sgd), &data,
                       NULL));
    assert_ok(lstm_evaluate(model, OPTIONS(lstm_evaluate, .loss = &entropy), &data, &loss, 1));
    assert_true(fabs(loss - keras_after) < 1e-6);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
}

static void test_padding_has_no_part_in_activity_penalties(void **state)
{
    static const float y[] = {1, 0, 0, 1};
    static const int32_t lengths[] = {1, 3};
    float x[12];
    double padded = 0;
    double changed = 0;
    lstm_model *model = activity_model();
    (void)state;
    fill_numbers(x, 12, 4);
    lstm_data data = {.struct_size = sizeof data,
                      .samples = 2,
                      .x = x,
                      .x_count = 12,
                      .y = y,
                      .y_count = 4,
                      .lengths = lengths,
                      .lengths_count = 2};
    assert_ok(lstm_layer_set_regularizer(lstm_model_layer(model, 1), "activity",
                                         OPTIONS(lstm_regularizer, .l1 = 1)));
    assert_ok(lstm_evaluate(model, NULL, &data, &padded, 1));
    assert_ok(lstm_layer_set_regularizer(lstm_model_layer(model, 1), "activity", NULL));
    assert_ok(lstm_evaluate(model, NULL, &data, &changed, 1));
    const double both = padded - changed;
    data.samples = 1; /* the same samples without padding: 1 step, and 3 */
    data.x_count = 6;
    data.y_count = 2;
    data.lengths = NULL;
    data.lengths_count = 0;
    double alone[2][2];
    for (int sample = 0; sample < 2; sample++)
        for (int with = 0; with < 2; with++) {
            float cut[6] = {0};
            memcpy(cut, x + 6 * sample, 6 * sizeof *cut);
            const int32_t one = lengths[sample];
            data.x = cut;
            data.y = y + 2 * sample;
            data.lengths = &one;
            data.lengths_count = 1;
            assert_ok(lstm_layer_set_regularizer(lstm_model_layer(model, 1), "activity",
                                                 with ? OPTIONS(lstm_regularizer, .l1 = 1) : NULL));
            assert_ok(lstm_evaluate(model, NULL, &data, &alone[sample][with], 1));
        }
    const double expected = (alone[0][1] - alone[0][0] + alone[1][1] - alone[1][0]) / 2;
    assert_true(both > 0 && fabs(both - expected) < 1e-6);
    assert_status_text(lstm_layer_set_regularizer(
                           lstm_model_layer(model, 1), "activity",
                           OPTIONS(lstm_regularizer, .constraint = LSTM_CONSTRAINT_UNIT_NORM)),
                       LSTM_ERROR_ARGUMENT, "activity takes no constraint");
    lstm_model_destroy(model);
}

static void test_activity_is_part_of_the_description(void **state)
{
    char text[4096];
    lstm_model *model = activity_model();
    lstm_model *states = NULL;
    static const char returns[] =
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [3, 2]}, {\"type\": \"LSTM\", \"units\": 2,"
        " \"return_state\": true, \"activity_regularizer\": \"l2\"}]}";
    (void)state;
    assert_ok(lstm_model_to_json(model, text, sizeof text, NULL));
    assert_non_null(strstr(text, "\"activity_regularizer\""));
    assert_status_text(lstm_model_from_json(&states, NULL, returns, strlen(returns)),
                       LSTM_ERROR_UNSUPPORTED, "returned states");
    lstm_model_destroy(model);
}

/* ---- Random layers */

enum { SAMPLES = 40, STEPS = 25, FEATURES = 10, VALUES = SAMPLES * STEPS * FEATURES };

/* What a layer makes of ones (times `x`) in training, update 0. */
static void run_layer(const char *layer, float x, int training, float *out)
{
    char text[512];
    lstm_model *model = NULL;
    lstm_session *session = NULL;
    float *in = malloc(VALUES * sizeof *in);
    assert_non_null(in);
    for (size_t k = 0; k < VALUES; k++)
        in[k] = x;
    snprintf(text, sizeof text,
             "{\"seed\": 5, \"layers\": [{\"type\": \"Input\", \"shape\": [%d, %d]}, %s]}", STEPS,
             FEATURES, layer);
    assert_ok(lstm_model_from_json(&model, NULL, text, strlen(text)));
    const lstm_data data = {
        .struct_size = sizeof data, .samples = SAMPLES, .x = in, .x_count = VALUES};
    assert_ok(lstm_session_create(
        &session, model,
        OPTIONS(lstm_session, .training = training ? LSTM_YES : LSTM_NO, .batch = SAMPLES)));
    assert_ok(lstm_session_forward(session, &data));
    assert_ok(lstm_session_output(session, 0, out, VALUES));
    lstm_session_destroy(session);
    lstm_model_destroy(model);
    free(in);
}

static void moments_of(const float *x, double *mean, double *variance)
{
    *mean = *variance = 0;
    for (size_t k = 0; k < VALUES; k++)
        *mean += (double)x[k] / VALUES;
    for (size_t k = 0; k < VALUES; k++)
        *variance += ((double)x[k] - *mean) * ((double)x[k] - *mean) / VALUES;
}

/* Tolerances are five standard errors of 10000 values. */
static void test_gaussian_dropout_keeps_the_mean_and_has_the_variance_of_dropout(void **state)
{
    static float y[VALUES];
    double mean = 0;
    double variance = 0;
    (void)state;
    run_layer("{\"type\": \"GaussianDropout\", \"rate\": 0.2}", 2, 1, y);
    moments_of(y, &mean, &variance);
    assert_true(fabs(mean - 2) < 5 * 1.0 / 100);
    assert_true(fabs(variance - 4 * 0.25) < 5 * sqrt(2.0) / 100);
    run_layer("{\"type\": \"GaussianDropout\", \"rate\": 0.2}", 2, 0, y);
    moments_of(y, &mean, &variance);
    assert_true(fabs(mean - 2) < 1e-9 && variance < 1e-12);
}

/* Keras 3.15.1: AlphaDropout(0.3) makes 0.88456833 of a kept 0.5 and -1.0595481 of a dropped one. */
static void test_alpha_dropout_gives_the_two_values_of_keras(void **state)
{
    static float y[VALUES];
    size_t kept = 0;
    (void)state;
    run_layer("{\"type\": \"AlphaDropout\", \"rate\": 0.3}", 0.5f, 1, y);
    for (size_t k = 0; k < VALUES; k++) {
        const int is_kept = fabsf(y[k] - 0.88456833f) < 1e-6f;
        assert_true(is_kept || fabsf(y[k] + 1.0595481f) < 1e-6f);
        kept += (size_t)is_kept;
    }
    assert_true(fabs((double)kept / VALUES - 0.7) < 5 * sqrt(0.21 / VALUES));
}

static void test_spatial_dropout_is_one_mask_for_all_steps(void **state)
{
    static float y[VALUES];
    size_t kept = 0;
    (void)state;
    run_layer("{\"type\": \"SpatialDropout1D\", \"rate\": 0.5}", 1, 1, y);
    for (size_t b = 0; b < SAMPLES; b++)
        for (size_t f = 0; f < FEATURES; f++) {
            kept += y[b * STEPS * FEATURES + f] != 0;
            for (size_t t = 1; t < STEPS; t++)
                assert_true(y[(b * STEPS + t) * FEATURES + f] == y[b * STEPS * FEATURES + f]);
        }
    assert_true(fabs((double)kept / (SAMPLES * FEATURES) - 0.5) < 5 * 0.5 / 20);
}

/* ---- Noise on weights and gradients */

enum { WIDE = 2000 };

/* Input(WIDE) -> Dense(2) without bias, all zero. */
static lstm_model *zero_model(void)
{
    static float zeros[2 * WIDE];
    lstm_model *model = NULL;
    assert_ok(lstm_model_create(&model, NULL, NULL));
    assert_ok(lstm_model_add_input(model, OPTIONS(lstm_input, .features = WIDE), NULL));
    assert_ok(lstm_model_add_dense(model, OPTIONS(lstm_dense, .units = 2, .use_bias = LSTM_NO),
                                   NULL, NULL));
    assert_ok(lstm_model_build(model));
    assert_ok(lstm_model_set_parameter(model, 0, zeros, 2 * WIDE));
    return model;
}

static double variance_of_weights(const lstm_model *model)
{
    static float w[2 * WIDE];
    double sum = 0;
    assert_ok(lstm_model_get_parameter(model, 0, w, 2 * WIDE));
    for (size_t k = 0; k < 2 * WIDE; k++)
        sum += (double)w[k] * (double)w[k] / (2 * WIDE);
    return sum;
}

/* Neelakantan et al. 2015: variance eta / (1 + t)^0.55. Without data, SGD adds it up. */
static void test_gradient_noise_has_the_variance_of_its_formula(void **state)
{
    static float x[WIDE];
    static const float y[2] = {0, 0};
    const lstm_data data = {
        .struct_size = sizeof data, .samples = 1, .x = x, .x_count = WIDE, .y = y, .y_count = 2};
    const lstm_optimizer_options sgd = {.struct_size = sizeof sgd,
                                        .optimizer = LSTM_OPTIMIZER_SGD,
                                        .learning_rate = 1,
                                        .clip_norm = 1e-3, /* comes before the noise */
                                        .gradient_noise = 0.3};
    double expected = 0;
    lstm_model *model = zero_model();
    (void)state;
    for (int t = 0; t < 3; t++) {
        lstm_optimizer *optimizer = NULL;
        lstm_model *fresh = zero_model();
        assert_ok(lstm_optimizer_create(&optimizer, fresh, &sgd));
        assert_ok(lstm_fit(fresh, OPTIONS(lstm_fit, .epochs = t + 1, .optimizer = optimizer), &data,
                           NULL));
        expected += 0.3 / pow(1 + t, 0.55);
        const double found = variance_of_weights(fresh);
        assert_true(fabs(found / expected - 1) < 5 * sqrt(2.0 / (2 * WIDE)));
        lstm_optimizer_destroy(optimizer);
        lstm_model_destroy(fresh);
    }
    lstm_model_destroy(model);
}

/* With all weights zero and x a unit vector the outputs are two draws: the loss is the mean of their
 * squares. The weights themselves do not move at rate 0. */
static void test_weight_noise_is_on_the_weights_of_each_update_only(void **state)
{
    static float x[WIDE];
    static const float y[2] = {0, 0};
    const lstm_data data = {
        .struct_size = sizeof data, .samples = 1, .x = x, .x_count = WIDE, .y = y, .y_count = 2};
    const lstm_optimizer_options still = {
        .struct_size = sizeof still, .optimizer = LSTM_OPTIMIZER_SGD, .learning_rate = -1};
    enum { EPOCHS = 400 };
    double sum = 0;
    lstm_history *history = NULL;
    lstm_model *model = zero_model();
    (void)state;
    x[7] = 1;
    assert_ok(lstm_fit(model,
                       OPTIONS(lstm_fit, .epochs = EPOCHS, .weight_noise = 0.2, .validation = &data,
                               .optimizer_options = &still),
                       &data, &history));
    for (size_t e = 0; e < EPOCHS; e++) {
        sum += lstm_history_value(history, e, 0) / EPOCHS;
        assert_true(lstm_history_value(history, e, 1) == 0); /* validation: without noise */
    }
    assert_true(fabs(sum / 0.04 - 1) < 5 * sqrt(2.0 / (2 * EPOCHS)));
    assert_true(lstm_history_value(history, 0, 0) != lstm_history_value(history, 1, 0));
    assert_true(variance_of_weights(model) == 0);
    lstm_history_destroy(history);
    lstm_model_destroy(model);
}

/* ---- Resume and threads with all of it */

static const char noisy_text[] =
    "{\"layers\": [{\"type\": \"Input\", \"shape\": [5, 3]}, {\"type\": \"SpatialDropout1D\","
    " \"rate\": 0.2}, {\"type\": \"GaussianNoise\", \"stddev\": 0.1}, {\"type\": \"LSTM\","
    " \"units\": 9, \"return_sequences\": true, \"activity_regularizer\": \"l1\"},"
    " {\"type\": \"GaussianDropout\", \"rate\": 0.2}, {\"type\": \"LSTM\", \"units\": 8},"
    " {\"type\": \"AlphaDropout\", \"rate\": 0.1}, {\"type\": \"Dense\", \"units\": 2,"
    " \"activity_regularizer\": \"l2\"}]}";

static lstm_model *train_noisy(int32_t threads, int32_t epochs, const char *resume)
{
    static float x[30 * 15], y[60];
    lstm_context *context = NULL;
    lstm_model *model = NULL;
    const lstm_optimizer_options adam = {
        .struct_size = sizeof adam, .gradient_noise = 0.01, .gradient_noise_seed = 9};
    fill_numbers(x, LENGTH(x), 1);
    fill_numbers(y, LENGTH(y), 2);
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = 30,
                            .x = x,
                            .x_count = LENGTH(x),
                            .y = y,
                            .y_count = LENGTH(y)};
    assert_ok(lstm_context_create(&context, OPTIONS(lstm_context, .threads = threads)));
    assert_ok(lstm_model_from_json(&model, context, noisy_text, strlen(noisy_text)));
    assert_ok(lstm_fit(model,
                       OPTIONS(lstm_fit, .epochs = epochs, .batch_size = 7, .weight_noise = 0.05,
                               .seed = 4, .optimizer_options = &adam, .checkpoint = "noisy.ckpt",
                               .resume = resume, .gradient_norms = LSTM_YES),
                       &data, NULL));
    lstm_context_destroy(context);
    return model;
}

static void test_noise_depends_on_seed_and_update_alone(void **state)
{
    lstm_model *whole = train_noisy(1, 6, NULL);
    lstm_model *threads = train_noisy(3, 6, NULL);
    (void)state;
    assert_true(same_parameters(whole, threads));
    lstm_model_destroy(train_noisy(1, 2, NULL));
    lstm_model_destroy(train_noisy(2, 4, "noisy.ckpt"));
    lstm_model *pieces = train_noisy(1, 6, "noisy.ckpt");
    assert_true(same_parameters(whole, pieces));
    lstm_model_destroy(whole);
    lstm_model_destroy(threads);
    lstm_model_destroy(pieces);
}

static void test_noise_that_cannot_be_is_refused(void **state)
{
    static float x[WIDE];
    static const float y[2] = {0, 0};
    const lstm_data data = {
        .struct_size = sizeof data, .samples = 1, .x = x, .x_count = WIDE, .y = y, .y_count = 2};
    const lstm_optimizer_options lbfgs = {.struct_size = sizeof lbfgs,
                                          .optimizer = LSTM_OPTIMIZER_LBFGS};
    lstm_model *model = zero_model();
    (void)state;
    assert_status_text(lstm_fit(model, OPTIONS(lstm_fit, .weight_noise = -1), &data, NULL),
                       LSTM_ERROR_ARGUMENT, "weight_noise is -1");
    assert_status_text(lstm_fit(model,
                                OPTIONS(lstm_fit, .weight_noise = 1, .optimizer_options = &lbfgs),
                                &data, NULL),
                       LSTM_ERROR_ARGUMENT, "not for L-BFGS");
    lstm_model_destroy(model);
}

/* ---- Gradient norms */

/* One sample, one weight vector: the gradient of (w.x - y)^2 at w = 0 is -2 y x. */
static void test_the_history_has_the_norm_of_the_gradients(void **state)
{
    static float x[2 * WIDE];
    static const float y[4] = {3, 0, 0, 5};
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = 2,
                            .x = x,
                            .x_count = 2 * WIDE,
                            .y = y,
                            .y_count = 4};
    const lstm_optimizer_options still = {.struct_size = sizeof still,
                                          .optimizer = LSTM_OPTIMIZER_SGD,
                                          .learning_rate = -1,
                                          .clip_norm = 1e-3};
    lstm_history *history = NULL;
    lstm_model *model = zero_model();
    (void)state;
    x[1] = 2;
    x[WIDE + 2] = 1;
    assert_ok(lstm_fit(model,
                       OPTIONS(lstm_fit, .batch_size = 1, .gradient_norms = LSTM_YES,
                               .validation = &data, .optimizer_options = &still),
                       &data, &history));
    assert_int_equal(lstm_history_columns(history), 3);
    assert_string_equal(lstm_history_name(history, 1), "val_loss");
    assert_string_equal(lstm_history_name(history, 2), "gradient_norm");
    /* (p - y)^2 is a mean over two outputs: norms 3 * 2 and 5 * 1 */
    assert_true(fabs(lstm_history_value(history, 0, 2) - (6 + 5) / 2.0) < 1e-6);
    lstm_history_destroy(history);
    lstm_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activity_penalties_and_their_gradients_are_those_of_keras),
        cmocka_unit_test(test_padding_has_no_part_in_activity_penalties),
        cmocka_unit_test(test_activity_is_part_of_the_description),
        cmocka_unit_test(test_gaussian_dropout_keeps_the_mean_and_has_the_variance_of_dropout),
        cmocka_unit_test(test_alpha_dropout_gives_the_two_values_of_keras),
        cmocka_unit_test(test_spatial_dropout_is_one_mask_for_all_steps),
        cmocka_unit_test(test_gradient_noise_has_the_variance_of_its_formula),
        cmocka_unit_test(test_weight_noise_is_on_the_weights_of_each_update_only),
        cmocka_unit_test(test_noise_depends_on_seed_and_update_alone),
        cmocka_unit_test(test_noise_that_cannot_be_is_refused),
        cmocka_unit_test(test_the_history_has_the_norm_of_the_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
