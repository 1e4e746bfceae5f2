/* SPDX-License-Identifier: MIT
 * The network against the real Keras: outputs within 1e-5, gradients within 1e-4 of the largest, whole training runs
 * within 1e-3 relative, for every case of ../shared/golden that this version's layers can express.
 */
#include "closeness.h"
#include "golden_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 8 };

typedef struct arrays {
    float *values[MOST];
    size_t counts[MOST];
    size_t count;
} arrays;

static arrays load_numbered(const golden_case *golden, const char *stem)
{
    arrays a = {.count = 0};
    while (a.count < MOST && (a.values[a.count] = golden_array_number(golden, stem, 1, a.count, &a.counts[a.count])))
        a.count++;
    return a;
}

static void free_arrays(arrays *a)
{
    for (size_t k = 0; k < a->count; k++)
        free(a->values[k]);
}

static void check_parameter_gradients(const golden_case *golden, const lstm_session *session, const lstm_model *model,
                                      double *worst)
{
    for (size_t k = 0, learned = 0; k < lstm_model_parameter_count(model); k++) {
        size_t count = 0;
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, k, &info));
        if (info.trainable == LSTM_NO)
            continue; /* Keras has no gradient of moving statistics */
        float *expected = golden_array_number(golden, "gw", 2, learned++, &count);
        float *found = malloc((count + 1) * sizeof *found);
        assert_non_null(expected);
        assert_ok(lstm_session_parameter_gradient(session, k, found, count));
        /* A softmax does not change when a number is added to all scores: the gradient of a key's bias is 0 but for rounding. */
        const bool zero = strstr(info.name, "/key/bias") != NULL;
        const double off = assert_close(info.name, found, expected, count, zero ? 1e-6 : 0, zero ? 0 : 1e-4);
        *worst = fmax(*worst, zero ? 0 : off / largest_size(expected, count));
        free(found);
        free(expected);
    }
}

/* Keras' gradient of BatchNormalization was taken in inference mode. */
static void fix_statistics(const golden_case *golden)
{
    size_t k = 0;
    json_t *layer = NULL;
    json_t *config = json_object_get(json_object_get(golden->json, "config"), "config");
    json_array_foreach(json_object_get(config, "layers"), k, layer)
        if (strcmp(json_string_value(json_object_get(layer, "class_name")), "BatchNormalization") == 0)
            json_object_set_new(json_object_get(layer, "config"), "fixed_statistics", json_true());
}

static void run_forward_case(const char *name)
{
    golden_case golden;
    golden_open(&golden, "keras", name);
    fix_statistics(&golden);
    lstm_model *model = golden_model(&golden);
    lstm_session *session = NULL;
    double output_error = 0;
    double gradient_error = 0;
    golden_set_parameters(&golden, model, "w", 2);
    arrays x = load_numbered(&golden, "x");
    arrays y = load_numbered(&golden, "y");
    arrays r = load_numbered(&golden, "r");
    arrays gx = load_numbered(&golden, "gx");
    assert_int_equal(y.count, lstm_model_output_count(model));
    const lstm_data data = {.struct_size = sizeof data, .samples = 4, .inputs = (const float *const *)x.values,
                            .input_sizes = x.counts, .input_count = x.count};
    const lstm_session_options options = {.struct_size = sizeof options, .training = LSTM_YES, .batch = 4};
    assert_ok(lstm_session_create(&session, model, &options));
    assert_ok(lstm_session_forward(session, &data));
    for (size_t k = 0; k < y.count; k++) {
        float *found = malloc((y.counts[k] + 1) * sizeof *found);
        assert_ok(lstm_session_output(session, k, found, y.counts[k]));
        output_error = fmax(output_error, assert_close("output", found, y.values[k], y.counts[k], 1e-5, 0));
        free(found);
        assert_ok(lstm_session_set_output_gradient(session, k, r.values[k], r.counts[k]));
    }
    /* The inference plan must give the same. */
    float *outs[MOST];
    for (size_t k = 0; k < y.count; k++)
        outs[k] = malloc((y.counts[k] + 1) * sizeof **outs);
    assert_ok(lstm_predict_outputs(model, &data, outs, y.counts, y.count));
    for (size_t k = 0; k < y.count; k++) {
        assert_close("predicted output", outs[k], y.values[k], y.counts[k], 1e-5, 0);
        free(outs[k]);
    }
    assert_ok(lstm_session_backward(session));
    check_parameter_gradients(&golden, session, model, &gradient_error);
    for (size_t k = 0; k < gx.count; k++) {
        float *found = malloc((gx.counts[k] + 1) * sizeof *found);
        assert_ok(lstm_session_input_gradient(session, k, found, gx.counts[k]));
        assert_close("input gradient", found, gx.values[k], gx.counts[k], 0, 1e-4);
        free(found);
    }
    print_message("%-28s output %.1e, gradient %.1e relative\n", name, output_error, gradient_error);
    free_arrays(&x);
    free_arrays(&y);
    free_arrays(&r);
    free_arrays(&gx);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
    golden_close(&golden);
}

static void test_outputs_and_gradients_equal_those_of_keras(void **state)
{
    static const char *const names[] = {"lstm_last",       "lstm_sequences", "lstm_backwards",       "lstm_states",
                                        "lstm_no_bias",    "tutorial",       "stack2_dense_softmax", "encoder_decoder",
                                        "gru_reset_after", "gru_reset_before", "simple_rnn",           "time_distributed_dense",
                                        "layernorm_between", "batchnorm_inference", "global_pool",     "conv_pool_lstm",
                                        "attention_dot",   "attention_additive", "attention_multihead",
                                        "embedding_mask_trail_last", "embedding_mask_trail_seq", "embedding_mask_holes_last",
                                        "embedding_mask_holes_seq", "embedding_mask_lead_last", "embedding_mask_lead_seq"};
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        run_forward_case(names[k]);
}

/* ---- Training */

static double option(const json_t *optimizer, const char *key)
{
    return json_number_value(json_object_get(optimizer, key));
}

static lstm_optimizer_options read_optimizer(const golden_case *golden)
{
    const json_t *o = json_object_get(golden->json, "optimizer");
    lstm_optimizer_options options = {.struct_size = sizeof options};
    assert_ok(lstm_constant_from_name(LSTM_NAMES_OPTIMIZER, json_string_value(json_object_get(o, "name")),
                                      &options.optimizer));
    options.learning_rate = option(o, "learning_rate");
    options.momentum = option(o, "momentum");
    options.rho = option(o, "rho");
    options.beta_1 = option(o, "beta_1");
    options.beta_2 = option(o, "beta_2");
    options.epsilon = option(o, "epsilon");
    options.weight_decay = option(o, "weight_decay");
    options.clip_norm = option(o, "clipnorm");
    options.global_clip_norm = option(o, "global_clipnorm");
    options.clip_value = option(o, "clipvalue");
    options.nesterov = json_is_true(json_object_get(o, "nesterov")) ? LSTM_YES : LSTM_NO;
    options.centered = json_is_true(json_object_get(o, "centered")) ? LSTM_YES : LSTM_NO;
    options.amsgrad = json_is_true(json_object_get(o, "amsgrad")) ? LSTM_YES : LSTM_NO;
    return options;
}

typedef struct recorder {
    double losses[64];
    size_t count;
} recorder;

static int32_t record(void *user, const lstm_progress *progress)
{
    recorder *r = user;
    if (progress->event == LSTM_PROGRESS_BATCH && r->count < 64)
        r->losses[r->count++] = progress->loss;
    return 0;
}

static void run_training_case(const char *name)
{
    golden_case golden;
    size_t x_count = 0;
    size_t y_count = 0;
    size_t steps = 0;
    double loss_error = 0;
    double weight_error = 0;
    recorder r = {.count = 0};
    golden_open(&golden, "keras_train", name);
    lstm_model *model = golden_model(&golden);
    golden_set_parameters(&golden, model, "w0_", 2);
    float *x = golden_array(&golden, "x", &x_count);
    float *y = golden_array(&golden, "y", &y_count);
    float *losses = golden_array(&golden, "losses", &steps);
    int64_t input_steps = 0;
    int64_t features = 0;
    assert_ok(lstm_layer_shape(lstm_model_input(model, 0), &input_steps, &features));
    const lstm_optimizer_options optimizer = read_optimizer(&golden);
    const bool mse = strcmp(json_string_value(json_object_get(golden.json, "loss")), "mse") == 0;
    const lstm_loss_options loss = {.struct_size = sizeof loss,
                                    .loss = mse ? LSTM_LOSS_MSE : LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
                                    .from_logits = mse ? LSTM_NO : LSTM_YES};
    const lstm_data data = {.struct_size = sizeof data, .samples = (int64_t)x_count / (input_steps * features), .x = x,
                            .x_count = x_count, .y = y, .y_count = y_count};
    const lstm_fit_options options = {.struct_size = sizeof options, .loss = &loss, .optimizer_options = &optimizer,
                                      .batch_size = (int32_t)json_integer_value(json_object_get(golden.json, "batch")),
                                      .max_steps = (int64_t)steps, .shuffle = LSTM_NO, .progress = record,
                                      .progress_user = &r};
    assert_ok(lstm_fit(model, &options, &data, NULL));
    assert_int_equal(r.count, steps);
    for (size_t k = 0; k < steps; k++)
        loss_error = fmax(loss_error, fabs(r.losses[k] - (double)losses[k]) / fabs((double)losses[k]));
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
        size_t count = 0;
        float *expected = golden_array_number(&golden, "w1_", 2, k, &count);
        float *found = malloc((count + 1) * sizeof *found);
        assert_ok(lstm_model_get_parameter(model, k, found, count));
        weight_error = fmax(weight_error, assert_close("weights after training", found, expected, count, 0, 1e-3)
                                              / largest_size(expected, count));
        free(found);
        free(expected);
    }
    print_message("%-28s losses %.1e, weights %.1e relative after %zu steps\n", name, loss_error, weight_error, steps);
    assert_true(loss_error <= 1e-3);
    free(x);
    free(y);
    free(losses);
    lstm_model_destroy(model);
    golden_close(&golden);
}

static void test_training_follows_keras_step_by_step(void **state)
{
    static const char *const names[] = {"tutorial_adam_mse", "adam",         "adam_amsgrad",  "adam_clipnorm", "adamw",
                                        "rmsprop",           "rmsprop_centered_momentum",     "sgd",           "sgd_clipvalue",
                                        "sgd_global_clipnorm", "sgd_momentum", "sgd_nesterov", "sgd_weight_decay"};
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        run_training_case(names[k]);
}

/* ---- Losses */

static void run_loss_case(const char *name, int32_t kind, int32_t from_logits, float delta)
{
    golden_case golden;
    lstm_model *model = NULL;
    lstm_session *session = NULL;
    size_t p_count = 0;
    size_t y_count = 0;
    size_t g_count = 0;
    double value = 0;
    golden_open(&golden, "keras_loss", name);
    float *p = golden_array(&golden, "y_pred", &p_count);
    float *y = golden_array(&golden, "y_true", &y_count);
    float *expected = golden_array(&golden, "gradient", &g_count);
    float *found = malloc((p_count + 1) * sizeof *found);
    const int64_t features = 5;
    const lstm_input_options input = {.struct_size = sizeof input, .vector = LSTM_YES, .features = features};
    const lstm_session_options options = {.struct_size = sizeof options, .training = LSTM_YES, .batch = 64};
    const lstm_loss_options loss = {.struct_size = sizeof loss, .loss = kind, .from_logits = from_logits, .huber_delta = delta};
    const lstm_data data = {.struct_size = sizeof data, .samples = (int64_t)p_count / features, .x = p, .x_count = p_count,
                            .y = y, .y_count = y_count};
    assert_ok(lstm_model_create(&model, NULL, NULL));
    assert_ok(lstm_model_add_input(model, &input, NULL));
    assert_ok(lstm_model_add_activation(model, NULL, NULL, NULL));
    assert_ok(lstm_model_build(model));
    assert_ok(lstm_session_create(&session, model, &options));
    assert_ok(lstm_session_forward(session, &data));
    assert_ok(lstm_session_loss(session, &loss, &data, &value));
    assert_ok(lstm_session_backward(session));
    assert_ok(lstm_session_input_gradient(session, 0, found, p_count));
    const double wanted = json_number_value(json_object_get(golden.json, "value"));
    const double worst = assert_close(name, found, expected, g_count, 0, 1e-4);
    print_message("%-28s value %.1e, gradient %.1e\n", name, fabs(value - wanted), worst);
    assert_true(fabs(value - wanted) <= 1e-5);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
    free(p);
    free(y);
    free(expected);
    free(found);
    golden_close(&golden);
}

static void test_losses_and_their_gradients_equal_those_of_keras(void **state)
{
    (void)state;
    if (!golden_available())
        skip();
    run_loss_case("mse", LSTM_LOSS_MSE, LSTM_NO, 0);
    run_loss_case("mae", LSTM_LOSS_MAE, LSTM_NO, 0);
    run_loss_case("huber", LSTM_LOSS_HUBER, LSTM_NO, 0.7f);
    run_loss_case("bce", LSTM_LOSS_BINARY_CROSSENTROPY, LSTM_NO, 0);
    run_loss_case("bce_logits", LSTM_LOSS_BINARY_CROSSENTROPY, LSTM_YES, 0);
    run_loss_case("cce", LSTM_LOSS_CATEGORICAL_CROSSENTROPY, LSTM_NO, 0);
    run_loss_case("cce_logits", LSTM_LOSS_CATEGORICAL_CROSSENTROPY, LSTM_YES, 0);
    run_loss_case("scce", LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY, LSTM_NO, 0);
    run_loss_case("scce_logits", LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY, LSTM_YES, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs_and_gradients_equal_those_of_keras),
        cmocka_unit_test(test_training_follows_keras_step_by_step),
        cmocka_unit_test(test_losses_and_their_gradients_equal_those_of_keras),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
