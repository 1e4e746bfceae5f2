/* SPDX-License-Identifier: MIT
 * Training against the real Keras: whole runs of every optimizer, schedule and regulariser of
 * ../shared/golden/keras_train within 1e-3 relative, step by step, and every loss of keras_loss
 * (value 1e-5, gradient 1e-4 of the largest), with and without sample weights.
 */
#include "closeness.h"
#include "golden_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Training */

static double option(const json_t *optimizer, const char *key)
{
    return json_number_value(json_object_get(optimizer, key));
}

/* Keras' schedule objects. */
static void read_schedule(const json_t *object, lstm_optimizer_options *options,
                          lstm_schedule_options *schedule)
{
    const json_t *config = json_object_get(object, "config");
    if (!config)
        return;
    *schedule = (lstm_schedule_options){.struct_size = sizeof *schedule};
    assert_ok(lstm_constant_from_name(LSTM_NAMES_SCHEDULE,
                                      json_string_value(json_object_get(object, "class_name")),
                                      &schedule->schedule));
    options->learning_rate = option(config, "initial_learning_rate");
    schedule->factor = option(config, "decay_rate");
    schedule->steps = json_integer_value(json_object_get(config, "decay_steps")) +
                      json_integer_value(json_object_get(config, "first_decay_steps"));
    schedule->t_mul = option(config, "t_mul");
    schedule->m_mul = option(config, "m_mul");
    schedule->alpha = option(config, "alpha");
    options->schedule = schedule;
}

static lstm_optimizer_options read_optimizer(const golden_case *golden,
                                             lstm_schedule_options *schedule)
{
    const json_t *o = json_object_get(golden->json, "optimizer");
    lstm_optimizer_options options = {.struct_size = sizeof options};
    assert_ok(lstm_constant_from_name(
        LSTM_NAMES_OPTIMIZER, json_string_value(json_object_get(o, "name")), &options.optimizer));
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
    options.initial_accumulator = option(o, "initial_accumulator_value");
    options.use_ema = json_is_true(json_object_get(o, "use_ema")) ? LSTM_YES : LSTM_NO;
    options.ema_momentum = option(o, "ema_momentum");
    options.accumulation_steps = (int32_t)json_integer_value(
        json_object_get(o, "gradient_accumulation_steps"));
    read_schedule(json_object_get(o, "learning_rate"), &options, schedule);
    options.amsgrad = json_is_true(json_object_get(o, "amsgrad")) ? LSTM_YES : LSTM_NO;
    return options;
}

enum { MOST_PARAMETERS = 8 };

/* What fit reports, and the parameters after each update with their averages, computed here in
 * double. */
typedef struct recorder {
    double losses[64];
    size_t count;
    const lstm_model *model;
    double momentum; /* of the averages */
    size_t parameters, sizes[MOST_PARAMETERS];
    float *latest[MOST_PARAMETERS];
    double *averages[MOST_PARAMETERS];
} recorder;

static void start_recorder(recorder *r, const lstm_model *model, double momentum)
{
    *r = (recorder){
        .model = model, .momentum = momentum, .parameters = lstm_model_parameter_count(model)};
    assert_true(r->parameters <= MOST_PARAMETERS);
    for (size_t k = 0; k < r->parameters; k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, k, &info));
        r->sizes[k] = info.count;
        r->latest[k] = calloc(info.count + 1, sizeof(float));
        r->averages[k] = calloc(info.count + 1, sizeof(double));
    }
}

static void end_recorder(recorder *r)
{
    for (size_t k = 0; k < r->parameters; k++) {
        free(r->latest[k]);
        free(r->averages[k]);
    }
}

/* Fit leaves the averages in the model. */
static void check_averages(const recorder *r)
{
    for (size_t k = 0; k < r->parameters; k++) {
        float *expected = malloc((r->sizes[k] + 1) * sizeof *expected);
        float *found = malloc((r->sizes[k] + 1) * sizeof *found);
        for (size_t v = 0; v < r->sizes[k]; v++)
            expected[v] = (float)r->averages[k][v];
        assert_ok(lstm_model_get_parameter(r->model, k, found, r->sizes[k]));
        assert_close("averages", found, expected, r->sizes[k], 0, 1e-6);
        free(found);
        free(expected);
    }
}

static int32_t record(void *user, const lstm_progress *progress)
{
    recorder *r = user;
    if (progress->event != LSTM_PROGRESS_BATCH || r->count >= 64)
        return 0;
    for (size_t k = 0; k < r->parameters; k++) {
        const double keep = r->count == 0 ? 0 : r->momentum;
        assert_ok(lstm_model_get_parameter(r->model, k, r->latest[k], r->sizes[k]));
        for (size_t v = 0; v < r->sizes[k]; v++)
            r->averages[k][v] = keep * r->averages[k][v] + (1 - keep) * (double)r->latest[k][v];
    }
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
    recorder r;
    golden_open(&golden, "keras_train", name);
    lstm_model *model = golden_model(&golden);
    golden_set_parameters(&golden, model, "w0_", 2);
    start_recorder(&r, model, option(json_object_get(golden.json, "optimizer"), "ema_momentum"));
    float *x = golden_array(&golden, "x", &x_count);
    float *y = golden_array(&golden, "y", &y_count);
    float *losses = golden_array(&golden, "losses", &steps);
    int64_t input_steps = 0;
    int64_t features = 0;
    assert_ok(lstm_layer_shape(lstm_model_input(model, 0), &input_steps, &features));
    lstm_schedule_options schedule;
    const lstm_optimizer_options optimizer = read_optimizer(&golden, &schedule);
    const bool mse = strcmp(json_string_value(json_object_get(golden.json, "loss")), "mse") == 0;
    const lstm_loss_options loss = {.struct_size = sizeof loss,
                                    .loss = mse ? LSTM_LOSS_MSE
                                                : LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
                                    .from_logits = mse ? LSTM_NO : LSTM_YES};
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = (int64_t)x_count / (input_steps * features),
                            .x = x,
                            .x_count = x_count,
                            .y = y,
                            .y_count = y_count};
    const lstm_fit_options options = {
        .struct_size = sizeof options,
        .loss = &loss,
        .optimizer_options = &optimizer,
        .batch_size = (int32_t)json_integer_value(json_object_get(golden.json, "batch")),
        .max_steps = (int64_t)steps,
        .shuffle = LSTM_NO,
        .progress = record,
        .progress_user = &r};
    assert_ok(lstm_fit(model, &options, &data, NULL));
    assert_int_equal(r.count, steps);
    for (size_t k = 0; k < steps; k++)
        loss_error = fmax(loss_error,
                          fabs(r.losses[k] - (double)losses[k]) / fabs((double)losses[k]));
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
        size_t count = 0;
        float *expected = golden_array_number(&golden, "w1_", 2, k, &count);
        weight_error = fmax(weight_error, assert_close("weights after training", r.latest[k],
                                                       expected, count, 0, 1e-3) /
                                              largest_size(expected, count));
        free(expected);
    }
    if (optimizer.use_ema == LSTM_YES)
        check_averages(&r);
    end_recorder(&r);
    print_message("%-28s losses %.1e, weights %.1e relative after %zu steps\n", name, loss_error,
                  weight_error, steps);
    assert_true(loss_error <= 1e-3);
    free(x);
    free(y);
    free(losses);
    lstm_model_destroy(model);
    golden_close(&golden);
}

static void test_training_follows_keras_step_by_step(void **state)
{
    static const char *const names[] = {"tutorial_adam_mse",
                                        "adam",
                                        "adam_amsgrad",
                                        "adam_clipnorm",
                                        "adamw",
                                        "rmsprop",
                                        "rmsprop_centered_momentum",
                                        "sgd",
                                        "sgd_clipvalue",
                                        "sgd_global_clipnorm",
                                        "sgd_momentum",
                                        "sgd_nesterov",
                                        "sgd_weight_decay",
                                        "adagrad",
                                        "adadelta",
                                        "adamax",
                                        "nadam",
                                        "lion",
                                        "adam_ema",
                                        "sgd_accumulate2",
                                        "sgd_exponential_decay",
                                        "sgd_cosine_restarts",
                                        "regularized"};
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        run_training_case(names[k]);
}

/* ---- Losses */

/* Value and gradient against one array of the case; `weights` NULL = without sample weights. */
static void check_loss(const golden_case *golden, const lstm_loss_options *loss,
                       const float *weights, const char *gradient, const char *value_key)
{
    lstm_model *model = NULL;
    lstm_session *session = NULL;
    size_t p_count = 0;
    size_t y_count = 0;
    size_t g_count = 0;
    double value = 0;
    float *p = golden_array(golden, "y_pred", &p_count);
    float *y = golden_array(golden, "y_true", &y_count);
    float *expected = golden_array(golden, gradient, &g_count);
    float *found = malloc((p_count + 1) * sizeof *found);
    const int64_t features = 5;
    const lstm_input_options input = {
        .struct_size = sizeof input, .vector = LSTM_YES, .features = features};
    const lstm_session_options options = {
        .struct_size = sizeof options, .training = LSTM_YES, .batch = 64};
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = (int64_t)p_count / features,
                            .x = p,
                            .x_count = p_count,
                            .y = y,
                            .y_count = y_count,
                            .sample_weights = weights,
                            .sample_weight_count = weights ? p_count / (size_t)features : 0};
    assert_ok(lstm_model_create(&model, NULL, NULL));
    assert_ok(lstm_model_add_input(model, &input, NULL));
    assert_ok(lstm_model_add_activation(model, NULL, NULL, NULL));
    assert_ok(lstm_model_build(model));
    assert_ok(lstm_session_create(&session, model, &options));
    assert_ok(lstm_session_forward(session, &data));
    assert_ok(lstm_session_loss(session, loss, &data, &value));
    assert_ok(lstm_session_backward(session));
    assert_ok(lstm_session_input_gradient(session, 0, found, p_count));
    const double wanted = json_number_value(json_object_get(golden->json, value_key));
    const double worst = assert_close(gradient, found, expected, g_count, 0, 1e-4);
    const double error = fabs(value - wanted);
    print_message("%-22s %-29s value %.1e, gradient %.1e\n", strrchr(golden->folder, '/') + 1,
                  gradient, error, worst);
    assert_true(error <= 1e-5 * fmax(1, fabs(wanted)));
    lstm_session_destroy(session);
    lstm_model_destroy(model);
    free(p);
    free(y);
    free(expected);
    free(found);
}

static void test_losses_and_their_gradients_equal_those_of_keras(void **state)
{
    static const struct {
        const char *name;
        lstm_loss_options loss;
    } cases[] = {
        {"mse", {.loss = LSTM_LOSS_MSE}},
        {"mae", {.loss = LSTM_LOSS_MAE}},
        {"mape", {.loss = LSTM_LOSS_MAPE}},
        {"msle", {.loss = LSTM_LOSS_MSLE}},
        {"log_cosh", {.loss = LSTM_LOSS_LOG_COSH}},
        {"huber", {.loss = LSTM_LOSS_HUBER, .huber_delta = 0.7f}},
        {"poisson", {.loss = LSTM_LOSS_POISSON}},
        {"cosine", {.loss = LSTM_LOSS_COSINE_SIMILARITY}},
        {"kld", {.loss = LSTM_LOSS_KL_DIVERGENCE}},
        {"hinge", {.loss = LSTM_LOSS_HINGE}},
        {"squared_hinge", {.loss = LSTM_LOSS_SQUARED_HINGE}},
        {"categorical_hinge", {.loss = LSTM_LOSS_CATEGORICAL_HINGE}},
        {"focal", {.loss = LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY}},
        {"bce", {.loss = LSTM_LOSS_BINARY_CROSSENTROPY}},
        {"bce_logits", {.loss = LSTM_LOSS_BINARY_CROSSENTROPY, .from_logits = LSTM_YES}},
        {"bce_logits_smooth",
         {.loss = LSTM_LOSS_BINARY_CROSSENTROPY, .from_logits = LSTM_YES, .label_smoothing = 0.1f}},
        {"cce", {.loss = LSTM_LOSS_CATEGORICAL_CROSSENTROPY}},
        {"cce_logits", {.loss = LSTM_LOSS_CATEGORICAL_CROSSENTROPY, .from_logits = LSTM_YES}},
        {"cce_logits_smooth",
         {.loss = LSTM_LOSS_CATEGORICAL_CROSSENTROPY,
          .from_logits = LSTM_YES,
          .label_smoothing = 0.1f}},
        {"scce", {.loss = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY}},
        {"scce_logits",
         {.loss = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY, .from_logits = LSTM_YES}},
    };
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        golden_case golden;
        size_t count = 0;
        lstm_loss_options loss = cases[k].loss;
        loss.struct_size = sizeof loss;
        golden_open(&golden, "keras_loss", cases[k].name);
        float *weights = golden_array(&golden, "sample_weight", &count);
        check_loss(&golden, &loss, NULL, "gradient", "value");
        check_loss(&golden, &loss, weights, "gradient_with_sample_weights",
                   "value_with_sample_weights");
        free(weights);
        golden_close(&golden);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_follows_keras_step_by_step),
        cmocka_unit_test(test_losses_and_their_gradients_equal_those_of_keras),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
