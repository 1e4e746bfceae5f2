/* SPDX-License-Identifier: MIT
 * Training through the public header: schedules against the rates of Keras 3.15 and PyTorch 2.13 (numbers computed by them),
 * averages and accumulation against Keras, sample and class weights, rates and penalties of layers, bad input, and resuming
 * with everything on, bit for bit.
 */
#include "api_checks.h"
#include "counting_allocator.h"
#include "sample_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { T = 12 };
#define CHECKPOINT "training.checkpoint"

/* ---- A model of two parameters whose gradient is what we say: y = x w with x = 1 */

typedef struct bench {
    lstm_model *model;
    lstm_session *session;
    lstm_optimizer *optimizer;
    lstm_data data;
} bench;

static const float one_sample[1] = {1};

static void set_up(bench *b, int32_t profile, const lstm_optimizer_options *optimizer)
{
    const lstm_model_options model = {.struct_size = sizeof model, .profile = profile};
    const lstm_input_options input = {.struct_size = sizeof input, .vector = LSTM_YES, .features = 1};
    const lstm_dense_options dense = {.struct_size = sizeof dense, .units = 2, .use_bias = LSTM_NO};
    const lstm_session_options session = {.struct_size = sizeof session, .training = LSTM_YES, .batch = 1};
    const float start[2] = {1, -2};
    assert_ok(lstm_model_create(&b->model, NULL, &model));
    assert_ok(lstm_model_add_input(b->model, &input, NULL));
    assert_ok(lstm_model_add_dense(b->model, &dense, NULL, NULL));
    assert_ok(lstm_model_build(b->model));
    assert_ok(lstm_model_set_parameter(b->model, 0, start, 2));
    assert_ok(lstm_session_create(&b->session, b->model, &session));
    assert_ok(lstm_optimizer_create(&b->optimizer, b->model, optimizer));
    b->data = (lstm_data){.struct_size = sizeof b->data, .samples = 1, .x = one_sample, .x_count = 1};
}

static void tear_down(bench *b)
{
    lstm_optimizer_destroy(b->optimizer);
    lstm_session_destroy(b->session);
    lstm_model_destroy(b->model);
}

static void step_with(bench *b, float first, float second)
{
    const float gradient[2] = {first, second};
    assert_ok(lstm_session_forward(b->session, &b->data));
    assert_ok(lstm_session_set_output_gradient(b->session, 0, gradient, 2));
    assert_ok(lstm_session_backward(b->session));
    assert_ok(lstm_optimizer_step(b->optimizer, b->session));
}

/* ---- Schedules */

typedef struct schedule_case {
    const char *name;
    int32_t profile;
    double learning_rate;
    lstm_schedule_options schedule;
    double rates[T];
    double momenta[T]; /* all 0 = not looked at */
} schedule_case;

#define KERAS LSTM_PROFILE_KERAS
#define TORCH LSTM_PROFILE_TORCH
static const schedule_case cases[] = {
    {"Keras ExponentialDecay", KERAS, 0.2, {.schedule = LSTM_SCHEDULE_EXPONENTIAL, .steps = 3, .factor = 0.7},
     {0.2, 0.1775808, 0.15767471, 0.14, 0.12430656, 0.1103723, 0.098, 0.087014593, 0.077260606, 0.0686, 0.060910214, 0.05408242},
     {0}},
    {"Keras ExponentialDecay, staircase", KERAS, 0.2, {.schedule = LSTM_SCHEDULE_STEP, .steps = 3, .factor = 0.7},
     {0.2, 0.2, 0.2, 0.14, 0.14, 0.14, 0.098, 0.098, 0.098, 0.0686, 0.0686, 0.0686}, {0}},
    {"Keras CosineDecay", KERAS, 0.2, {.schedule = LSTM_SCHEDULE_COSINE, .steps = 8, .alpha = 0.1},
     {0.2, 0.19314916, 0.17363963, 0.14444152, 0.11, 0.075558484, 0.046360392, 0.026850834, 0.02, 0.02, 0.02, 0.02}, {0}},
    {"Keras CosineDecay, warm-up", KERAS, 0.2,
     {.schedule = LSTM_SCHEDULE_COSINE, .steps = 6, .alpha = 0.1, .warmup_steps = 4, .warmup_start = 0.05},
     {0.05, 0.0875, 0.125, 0.1625, 0.2, 0.1879423, 0.155, 0.11, 0.065, 0.032057714, 0.02, 0.02}, {0}},
    {"Keras CosineDecayRestarts", KERAS, 0.2,
     {.schedule = LSTM_SCHEDULE_COSINE_RESTARTS, .steps = 3, .m_mul = 0.5, .alpha = 0.1},
     {0.2, 0.155, 0.065, 0.11, 0.10397115, 0.0875, 0.065, 0.0425, 0.026028855, 0.065, 0.064233333, 0.061985571}, {0}},
    {"Keras CosineDecayRestarts, equal cycles", KERAS, 0.2,
     {.schedule = LSTM_SCHEDULE_COSINE_RESTARTS, .steps = 4, .t_mul = 1},
     {0.2, 0.17071068, 0.1, 0.029289324, 0.2, 0.17071068, 0.1, 0.029289324, 0.2, 0.17071068, 0.1, 0.029289324}, {0}},
    {"PyTorch StepLR", TORCH, 0.2, {.schedule = LSTM_SCHEDULE_STEP, .steps = 3, .factor = 0.5},
     {0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025}, {0}},
    {"PyTorch ExponentialLR", TORCH, 0.2, {.schedule = LSTM_SCHEDULE_EXPONENTIAL, .steps = 1, .factor = 0.9},
     {0.2, 0.18, 0.162, 0.1458, 0.13122, 0.118098, 0.1062882, 0.09565938, 0.086093442, 0.077484098, 0.069735688, 0.062762119},
     {0}},
    {"PyTorch CosineAnnealingLR", TORCH, 0.2, {.schedule = LSTM_SCHEDULE_COSINE, .steps = 12, .alpha = 0.1},
     {0.2, 0.19693332, 0.18794229, 0.17363961, 0.155, 0.13329371, 0.11, 0.086706286, 0.065, 0.04636039, 0.032057714, 0.023066676},
     {0}},
    {"PyTorch CosineAnnealingWarmRestarts", TORCH, 0.2,
     {.schedule = LSTM_SCHEDULE_COSINE_RESTARTS, .steps = 3, .t_mul = 2, .alpha = 0.1},
     {0.2, 0.155, 0.065, 0.2, 0.18794229, 0.155, 0.11, 0.065, 0.032057714, 0.2, 0.19693332, 0.18794229}, {0}},
    {"PyTorch LinearLR", TORCH, 0.2, {.warmup_steps = 5, .warmup_start = 0.05},
     {0.05, 0.08, 0.11, 0.14, 0.17, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2}, {0}},
    {"PyTorch OneCycleLR", TORCH, 0.2, {.schedule = LSTM_SCHEDULE_ONE_CYCLE, .steps = 13, .cycle_momentum = LSTM_YES},
     {0.008, 0.05903279, 0.15787396, 0.19994041, 0.19287565, 0.17485118, 0.14799396, 0.11547327, 0.081126716, 0.049007344,
      0.022905391, 0.0059010109},
     {0.95, 0.92342042, 0.87194065, 0.85002979, 0.85356219, 0.86257446, 0.87600313, 0.89226353, 0.90943688, 0.92549663,
      0.93854766, 0.94704988}},
    {"PyTorch OneCycleLR, linear", TORCH, 0.2,
     {.schedule = LSTM_SCHEDULE_ONE_CYCLE, .steps = 13, .pct_start = 0.5, .linear = LSTM_YES, .div_factor = 10,
      .final_div_factor = 100, .cycle_momentum = LSTM_YES, .base_momentum = 0.8, .max_momentum = 0.9},
     {0.02, 0.052727273, 0.085454545, 0.11818182, 0.15090909, 0.18363636, 0.18463077, 0.15389231, 0.12315385, 0.092415385,
      0.061676923, 0.030938462},
     {0.9, 0.88181818, 0.86363636, 0.84545455, 0.82727273, 0.80909091, 0.80769231, 0.82307692, 0.83846154, 0.85384615,
      0.86923077, 0.88461538}},
};

/* The rates, and that steps use them: SGD with the cycled momentum computed here beside it. */
static void run_schedule(const schedule_case *c)
{
    bench b;
    lstm_schedule_options schedule = c->schedule;
    schedule.struct_size = sizeof schedule;
    const lstm_optimizer_options options = {.struct_size = sizeof options, .optimizer = LSTM_OPTIMIZER_SGD,
                                            .learning_rate = c->learning_rate, .schedule = &schedule};
    double w = 1;
    double velocity = 0;
    set_up(&b, c->profile, &options);
    for (int t = 0; t < T; t++) {
        const double rate = lstm_optimizer_learning_rate(b.optimizer);
        if (!(fabs(rate - c->rates[t]) <= 2e-7))
            fail_msg("%s, update %d: rate %.9g, expected %.9g", c->name, t, rate, c->rates[t]);
        const double g = sin(t + 1.0);
        step_with(&b, (float)g, 0);
        velocity = t == 0 ? g : c->momenta[t] * velocity + g;
        w -= c->rates[t] * (c->momenta[0] > 0 ? velocity : g);
        float found[2];
        assert_ok(lstm_model_get_parameter(b.model, 0, found, 2));
        if (!(fabs((double)found[0] - w) <= 2e-6) || found[1] != -2)
            fail_msg("%s, update %d: parameter %.9g, expected %.9g", c->name, t, (double)found[0], w);
    }
    tear_down(&b);
}

static void test_schedules_give_the_rates_of_keras_and_pytorch(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        run_schedule(&cases[k]);
}

static void test_plateaus_reduce_the_rate_when_keras_and_pytorch_do(void **state)
{
    static const double losses[16] = {1, 0.9, 0.895, 0.899, 0.89, 0.889, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6};
    static const double rates[2][16] = {
        {0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.02, 0.02, 0.02, 0.02},
        {0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05}};
    const lstm_schedule_options plateau = {.struct_size = sizeof plateau, .schedule = LSTM_SCHEDULE_PLATEAU, .factor = 0.5,
                                           .patience = 2, .min_delta = 0.01, .cooldown = 1, .minimum = 0.02};
    (void)state;
    for (int32_t profile = KERAS; profile <= TORCH; profile++) {
        bench b;
        const lstm_optimizer_options options = {.struct_size = sizeof options, .optimizer = LSTM_OPTIMIZER_SGD,
                                                .learning_rate = 0.2, .schedule = &plateau};
        set_up(&b, profile, &options);
        for (int k = 0; k < 16; k++) {
            assert_ok(lstm_optimizer_watch(b.optimizer, losses[k]));
            const double rate = lstm_optimizer_learning_rate(b.optimizer);
            if (!(fabs(rate - rates[profile - 1][k]) <= 1e-12))
                fail_msg("profile %d, epoch %d: rate %g, expected %g", (int)profile, k, rate, rates[profile - 1][k]);
        }
        assert_status_text(lstm_optimizer_watch(b.optimizer, (double)NAN), LSTM_ERROR_ARGUMENT, "NaN");
        tear_down(&b);
    }
}

static double halving(void *user, int64_t t, double rate)
{
    *(int *)user += 1;
    return t < 3 ? rate / (double)(1 + t) : t == 3 ? -1 : 0;
}

static void test_a_callback_decides_the_rate_and_may_not_give_nonsense(void **state)
{
    bench b;
    int calls = 0;
    float w[2];
    const float gradient[2] = {1, 0};
    const lstm_schedule_options schedule = {.struct_size = sizeof schedule, .schedule = LSTM_SCHEDULE_CALLBACK,
                                            .rate = halving, .rate_user = &calls};
    const lstm_optimizer_options options = {.struct_size = sizeof options, .optimizer = LSTM_OPTIMIZER_SGD,
                                            .learning_rate = 0.6, .schedule = &schedule};
    (void)state;
    set_up(&b, KERAS, &options);
    step_with(&b, 1, 0);
    step_with(&b, 1, 0);
    step_with(&b, 1, 0);
    assert_ok(lstm_model_get_parameter(b.model, 0, w, 2));
    assert_true(fabs((double)w[0] - (1 - 0.6 - 0.3 - 0.2)) < 1e-6 && calls >= 3);
    assert_ok(lstm_session_forward(b.session, &b.data));
    assert_ok(lstm_session_set_output_gradient(b.session, 0, gradient, 2));
    assert_ok(lstm_session_backward(b.session));
    assert_status_text(lstm_optimizer_step(b.optimizer, b.session), LSTM_ERROR_ARGUMENT, "callback gave the rate -1");
    tear_down(&b);
}

/* ---- Averages and accumulation: nine steps, numbers computed by Keras 3.15 */

static void test_averages_and_accumulation_are_those_of_keras(void **state)
{
    static const lstm_schedule_options decay = {.struct_size = sizeof decay, .schedule = LSTM_SCHEDULE_EXPONENTIAL,
                                                .steps = 3, .factor = 0.5};
    static const struct {
        lstm_optimizer_options options;
        float w[2], average[2];
    } runs[] = {
        {{.optimizer = LSTM_OPTIMIZER_SGD, .learning_rate = 0.1, .use_ema = LSTM_YES, .ema_momentum = 0.8,
          .accumulation_steps = 2},
         {0.9228455f, -2.0443199f},
         {0.9420974f, -2.0290873f}},
        {{.optimizer = LSTM_OPTIMIZER_SGD, .learning_rate = 0.1, .use_ema = LSTM_YES, .ema_momentum = 0.8,
          .accumulation_steps = 2, .ema_overwrite_frequency = 2},
         {0.9244451f, -2.0243416f},
         {0.9244451f, -2.0243416f}},
        {{.optimizer = LSTM_OPTIMIZER_ADAM, .learning_rate = 0.1, .use_ema = LSTM_YES, .ema_momentum = 0.8,
          .ema_overwrite_frequency = 3},
         {0.8219913f, -2.1383007f},
         {0.8219913f, -2.1383007f}},
        {{.optimizer = LSTM_OPTIMIZER_SGD, .learning_rate = 0.2, .use_ema = LSTM_YES, .ema_momentum = 0.8,
          .accumulation_steps = 3, .schedule = &decay},
         {0.94082856f, -1.9967974f},
         {0.94095826f, -1.9968146f}},
    };
    (void)state;
    for (size_t k = 0; k < sizeof runs / sizeof *runs; k++) {
        bench b;
        float found[2];
        lstm_optimizer_options options = runs[k].options;
        options.struct_size = sizeof options;
        set_up(&b, KERAS, &options);
        assert_status_text(lstm_optimizer_use_average(b.optimizer), LSTM_ERROR_STATE, "no averages");
        for (int t = 0; t < 9; t++)
            step_with(&b, (float)sin(t + 1.0), (float)cos(2.0 * t));
        assert_int_equal(lstm_optimizer_steps(b.optimizer), 9);
        assert_ok(lstm_model_get_parameter(b.model, 0, found, 2));
        assert_close("parameters", found, runs[k].w, 2, 0, 1e-5); /* Keras computes powers in float */
        assert_ok(lstm_optimizer_use_average(b.optimizer));
        assert_ok(lstm_model_get_parameter(b.model, 0, found, 2));
        assert_close("averages", found, runs[k].average, 2, 0, 1e-5);
        tear_down(&b);
    }
}

static void test_pytorch_sums_accumulated_gradients(void **state)
{
    bench b;
    float w[2];
    const lstm_optimizer_options options = {.struct_size = sizeof options, .optimizer = LSTM_OPTIMIZER_SGD,
                                            .learning_rate = 0.5, .accumulation_steps = 2};
    (void)state;
    set_up(&b, TORCH, &options);
    step_with(&b, 0.25f, 1);
    assert_ok(lstm_model_get_parameter(b.model, 0, w, 2));
    assert_true(w[0] == 1 && w[1] == -2);
    step_with(&b, 0.5f, 1);
    assert_ok(lstm_model_get_parameter(b.model, 0, w, 2));
    assert_true(w[0] == 1 - 0.375f && w[1] == -3);
    tear_down(&b);
}

static void test_lbfgs_solves_a_quadratic_in_a_manual_loop(void **state)
{
    bench b;
    float w[2] = {1, -2};
    const lstm_optimizer_options options = {.struct_size = sizeof options, .optimizer = LSTM_OPTIMIZER_LBFGS};
    (void)state;
    set_up(&b, TORCH, &options);
    for (int t = 0; t < 12; t++) { /* f = (w0 - 3)^2 + 10 (w1 - 1)^2 */
        step_with(&b, 2 * (w[0] - 3), 20 * (w[1] - 1));
        assert_ok(lstm_model_get_parameter(b.model, 0, w, 2));
    }
    assert_true(fabsf(w[0] - 3) < 1e-4f && fabsf(w[1] - 1) < 1e-4f);
    tear_down(&b);
}

/* ---- Weights */

typedef struct task {
    float x[20 * STACK_STEPS * STACK_FEATURES], classes[20];
    lstm_data data;
} task;

static void start_task(task *t)
{
    fill_numbers(t->x, sizeof t->x / sizeof *t->x, 5);
    for (int k = 0; k < 20; k++)
        t->classes[k] = t->x[k * STACK_STEPS * STACK_FEATURES] > 0.2f;
    t->data = (lstm_data){.struct_size = sizeof t->data, .samples = 20, .x = t->x, .x_count = sizeof t->x / sizeof *t->x,
                          .y = t->classes, .y_count = 20};
}

static const lstm_loss_options sparse = {.struct_size = sizeof sparse, .loss = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
                                         .from_logits = LSTM_YES};

static lstm_model *fitted(const lstm_data *data, const float *class_weights, size_t count)
{
    lstm_model *model = NULL;
    const lstm_fit_options options = {.struct_size = sizeof options, .epochs = 3, .batch_size = 6, .loss = &sparse,
                                      .class_weights = class_weights, .class_weight_count = count};
    assert_ok(build_stack(&model, NULL));
    assert_ok(lstm_fit(model, &options, data, NULL));
    return model;
}

static void test_class_weights_equal_sample_weights_and_ones_equal_none(void **state)
{
    task t;
    float weights[20];
    const float class_weights[2] = {0.5f, 3};
    const float ones[2] = {1, 1};
    (void)state;
    start_task(&t);
    lstm_model *plain = fitted(&t.data, NULL, 0);
    lstm_model *neutral = fitted(&t.data, ones, 2);
    lstm_model *by_class = fitted(&t.data, class_weights, 2);
    for (int k = 0; k < 20; k++)
        weights[k] = class_weights[(int)t.classes[k]];
    t.data.sample_weights = weights;
    t.data.sample_weight_count = 20;
    lstm_model *by_sample = fitted(&t.data, NULL, 0);
    assert_true(same_parameters(plain, neutral));
    assert_true(same_parameters(by_class, by_sample));
    assert_false(same_parameters(plain, by_class));
    lstm_model_destroy(plain);
    lstm_model_destroy(neutral);
    lstm_model_destroy(by_class);
    lstm_model_destroy(by_sample);
}

static void test_rows_of_weight_zero_may_hold_anything(void **state)
{
    task t;
    float weights[20];
    double with[2];
    double without[2];
    const int32_t accuracy = LSTM_METRIC_ACCURACY;
    lstm_loss_options loss = sparse;
    loss.reduction = LSTM_REDUCTION_WEIGHTED_MEAN;
    const lstm_evaluate_options options = {.struct_size = sizeof options, .loss = &loss, .metrics = &accuracy,
                                           .metric_count = 1};
    lstm_model *model = NULL;
    (void)state;
    start_task(&t);
    assert_ok(build_stack(&model, NULL));
    lstm_data part = t.data;
    part.samples = 13;
    part.x_count = 13 * STACK_STEPS * STACK_FEATURES;
    part.y_count = 13;
    assert_ok(lstm_evaluate(model, &options, &part, without, 2));
    for (int k = 0; k < 20; k++) {
        weights[k] = k < 13;
        t.classes[k] = k < 13 ? t.classes[k] : -1;
    }
    assert_status_text(lstm_evaluate(model, &options, &t.data, with, 2), LSTM_ERROR_ARGUMENT, "class -1");
    t.data.sample_weights = weights;
    t.data.sample_weight_count = 20;
    assert_ok(lstm_evaluate(model, &options, &t.data, with, 2));
    assert_true(fabs(with[0] - without[0]) < 1e-6 && with[1] == without[1]);
    lstm_model_destroy(model);
}

static void test_bad_weights_are_refused(void **state)
{
    task t;
    float weights[20] = {0};
    const float two[2] = {1, -1};
    double value = 0;
    lstm_model *model = NULL;
    const lstm_evaluate_options options = {.struct_size = sizeof options, .loss = &sparse};
    lstm_fit_options fit = {.struct_size = sizeof fit, .loss = &sparse, .class_weights = two, .class_weight_count = 2};
    (void)state;
    start_task(&t);
    assert_ok(build_stack(&model, NULL));
    t.data.sample_weight_count = 20;
    assert_status_text(lstm_evaluate(model, &options, &t.data, &value, 1), LSTM_ERROR_ARGUMENT, "sample_weights is NULL");
    t.data.sample_weights = weights;
    assert_status_text(lstm_evaluate(model, &options, &t.data, &value, 1), LSTM_ERROR_ARGUMENT, "all 20 sample weights are 0");
    weights[7] = -1;
    assert_status_text(lstm_evaluate(model, &options, &t.data, &value, 1), LSTM_ERROR_ARGUMENT, "sample weight 7 is -1");
    weights[7] = (float)NAN;
    assert_status_text(lstm_evaluate(model, &options, &t.data, &value, 1), LSTM_ERROR_ARGUMENT, "sample weight 7");
    t.data.sample_weight_count = 19;
    assert_status_text(lstm_evaluate(model, &options, &t.data, &value, 1), LSTM_ERROR_SHAPE, "19 sample weights");
    t.data.sample_weight_count = 0;
    t.data.sample_weights = NULL;
    assert_status_text(lstm_fit(model, &fit, &t.data, NULL), LSTM_ERROR_ARGUMENT, "class weight 1 is -1");
    fit.class_weight_count = 1;
    assert_status_text(lstm_fit(model, &fit, &t.data, NULL), LSTM_ERROR_ARGUMENT, "class 1");
    lstm_model_destroy(model);
}

/* ---- Layers */

static void test_frozen_layers_stay_and_rates_scale_the_step(void **state)
{
    task t;
    lstm_layer *layer = NULL;
    const lstm_optimizer_options sgd = {.struct_size = sizeof sgd, .optimizer = LSTM_OPTIMIZER_SGD, .weight_decay = 0.1};
    const lstm_fit_options options = {.struct_size = sizeof options, .batch_size = 20, .loss = &sparse, .optimizer_options = &sgd};
    float before[16];
    float after[3][16];
    lstm_parameter_info info = {.struct_size = sizeof info};
    (void)state;
    start_task(&t);
    for (int k = 0; k < 3; k++) {
        lstm_model *model = NULL;
        assert_ok(build_stack(&model, NULL));
        assert_ok(lstm_model_find_layer(model, "dense", &layer));
        assert_true(lstm_layer_rate(layer) == 1);
        assert_ok(lstm_layer_set_rate(layer, k == 0 ? 0 : k == 1 ? 0.5 : 1));
        const size_t last = lstm_model_parameter_count(model) - 2; /* the kernel of Dense */
        assert_ok(lstm_model_parameter_info(model, last, &info));
        assert_true(info.layer == layer && info.count <= 16);
        assert_ok(lstm_model_get_parameter(model, last, before, info.count));
        assert_ok(lstm_fit(model, &options, &t.data, NULL));
        assert_ok(lstm_model_get_parameter(model, last, after[k], info.count));
        assert_status_text(lstm_layer_set_rate(layer, -1), LSTM_ERROR_ARGUMENT, "rate of layer");
        lstm_model_destroy(model);
    }
    for (size_t v = 0; v < info.count; v++) {
        assert_true(after[0][v] == before[v]);
        assert_true(fabsf((after[1][v] - before[v]) - 0.5f * (after[2][v] - before[v])) < 1e-6f);
        assert_true(after[2][v] != before[v]);
    }
}

static void test_constraints_hold_after_every_update(void **state)
{
    task t;
    lstm_layer *layer = NULL;
    lstm_model *model = NULL;
    const lstm_fit_options options = {.struct_size = sizeof options, .epochs = 3, .loss = &sparse};
    const lstm_regularizer_options max_norm = {.struct_size = sizeof max_norm, .constraint = LSTM_CONSTRAINT_MAX_NORM,
                                               .max_norm = 0.3};
    const lstm_regularizer_options non_negative = {.struct_size = sizeof non_negative,
                                                   .constraint = LSTM_CONSTRAINT_NON_NEGATIVE};
    const lstm_regularizer_options bad = {.struct_size = sizeof bad, .l1 = -1};
    float kernel[8];
    float bias[2];
    (void)state;
    start_task(&t);
    assert_ok(build_stack(&model, NULL));
    assert_ok(lstm_model_find_layer(model, "dense", &layer));
    assert_ok(lstm_layer_set_regularizer(layer, "kernel", &max_norm));
    assert_ok(lstm_layer_set_regularizer(layer, "bias", &non_negative));
    assert_status_text(lstm_layer_set_regularizer(layer, "recurrent_kernel", &max_norm), LSTM_ERROR_NOT_FOUND, "recurrent_kernel");
    assert_status_text(lstm_layer_set_regularizer(layer, "bias", &bad), LSTM_ERROR_ARGUMENT, "l1 is -1");
    assert_ok(lstm_fit(model, &options, &t.data, NULL));
    const size_t count = lstm_model_parameter_count(model);
    assert_ok(lstm_model_get_parameter(model, count - 2, kernel, 8));
    assert_ok(lstm_model_get_parameter(model, count - 1, bias, 2));
    for (int c = 0; c < 2; c++) {
        double sum = 0;
        for (int r = 0; r < 4; r++)
            sum += (double)kernel[2 * r + c] * (double)kernel[2 * r + c];
        assert_true(sqrt(sum) <= 0.3000001 && sqrt(sum) > 0.29);
        assert_true(bias[c] >= 0);
    }
    lstm_model_destroy(model);
}

/* ---- Bad options */

static void test_options_that_do_not_go_together_are_refused(void **state)
{
    static const lstm_schedule_options no_steps = {.struct_size = sizeof no_steps, .schedule = LSTM_SCHEDULE_COSINE};
    static const lstm_schedule_options no_factor = {.struct_size = sizeof no_factor, .schedule = LSTM_SCHEDULE_EXPONENTIAL,
                                                    .steps = 3};
    static const lstm_schedule_options cycle = {.struct_size = sizeof cycle, .schedule = LSTM_SCHEDULE_ONE_CYCLE, .steps = 9,
                                                .cycle_momentum = LSTM_YES};
    static const struct {
        lstm_optimizer_options options;
        const char *text;
    } wrong[] = {{{.optimizer = LSTM_OPTIMIZER_LBFGS, .clip_norm = 1}, "L-BFGS takes no clipping"},
                 {{.optimizer = LSTM_OPTIMIZER_LBFGS, .accumulation_steps = 2}, "L-BFGS takes no clipping"},
                 {{.accumulation_steps = -1}, "accumulation_steps is -1"},
                 {{.use_ema = LSTM_YES, .ema_momentum = 1}, "ema_momentum is 1"},
                 {{.ema_overwrite_frequency = 2}, "use_ema is not"},
                 {{.rate_decay = 0.1}, "rate_decay belongs"},
                 {{.schedule = &no_steps}, "steps is 0"},
                 {{.schedule = &no_factor}, "factor is 0"},
                 {{.optimizer = LSTM_OPTIMIZER_ADADELTA, .schedule = &cycle}, "cycle_momentum needs"}};
    const float low[1] = {0};
    const struct {
        lstm_loss_options loss;
        const char *text;
    } losses[] = {{{.label_smoothing = 0.1f}, "label_smoothing belongs"},
                  {{.loss = LSTM_LOSS_QUANTILE, .quantiles = low, .quantile_count = 1}, "quantile 0 is 0"},
                  {{.quantiles = low, .quantile_count = 1}, "quantiles are set"},
                  {{.loss = LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY, .focal_alpha = 1}, "focal_alpha"},
                  {{.reduction = 9}, "reduction is 9"}};
    lstm_model *model = NULL;
    lstm_optimizer *optimizer = NULL;
    task t;
    (void)state;
    start_task(&t);
    assert_ok(build_stack(&model, NULL));
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        lstm_optimizer_options options = wrong[k].options;
        options.struct_size = sizeof options;
        assert_status_text(lstm_optimizer_create(&optimizer, model, &options), LSTM_ERROR_ARGUMENT, wrong[k].text);
        assert_null(optimizer);
    }
    for (size_t k = 0; k < sizeof losses / sizeof *losses; k++) {
        lstm_loss_options loss = losses[k].loss;
        loss.struct_size = sizeof loss;
        const lstm_fit_options options = {.struct_size = sizeof options, .loss = &loss};
        assert_status_text(lstm_fit(model, &options, &t.data, NULL), LSTM_ERROR_ARGUMENT, losses[k].text);
    }
    lstm_model_destroy(model);
}

/* ---- Resuming */

static lstm_model *new_stack(void)
{
    lstm_layer *layer = NULL;
    lstm_model *model = NULL;
    const lstm_regularizer_options l2 = {.struct_size = sizeof l2, .l1 = 0.001, .l2 = 0.01,
                                         .constraint = LSTM_CONSTRAINT_MAX_NORM, .max_norm = 1};
    assert_ok(build_stack(&model, NULL));
    assert_ok(lstm_model_find_layer(model, "lstm", &layer));
    assert_ok(lstm_layer_set_regularizer(layer, "kernel", &l2));
    assert_ok(lstm_layer_set_rate(layer, 0.5));
    return model;
}

static int32_t stop_at(void *user, const lstm_progress *progress)
{
    const int64_t step = *(const int64_t *)user;
    return progress->event == LSTM_PROGRESS_BATCH && progress->step == step;
}

/* 36 epochs at once, and in pieces that end in the middle of an epoch and of an accumulation, with a new model each time. */
static void resume_case(const char *name, const lstm_optimizer_options *optimizer)
{
    static const int64_t stops[] = {31, 52, 97};
    const float class_weights[2] = {0.5f, 2};
    task t;
    start_task(&t);
    lstm_loss_options loss = sparse;
    loss.label_smoothing = 0.1f;
    lstm_fit_options options = {.struct_size = sizeof options, .epochs = 36, .batch_size = 3, .loss = &loss, .seed = 3,
                                .validation_split = 0.2, .early_stopping = 100, .restore_best = LSTM_NO,
                                .optimizer_options = optimizer, .class_weights = class_weights, .class_weight_count = 2};
    lstm_model *whole = new_stack();
    assert_ok(lstm_fit(whole, &options, &t.data, NULL));
    options.checkpoint = CHECKPOINT;
    options.progress = stop_at;
    for (size_t k = 0; k < 4; k++) {
        lstm_model *part = new_stack();
        int64_t stop = k < 3 ? stops[k] : -1;
        options.progress_user = &stop;
        options.resume = k > 0 ? CHECKPOINT : NULL;
        const lstm_status status = lstm_fit(part, &options, &t.data, NULL);
        if (status != (k < 3 ? LSTM_ERROR_CANCELLED : LSTM_OK))
            fail_msg("%s, part %zu: %s", name, k, lstm_last_error());
        if (k == 3 && !same_parameters(whole, part))
            fail_msg("%s: the pieces do not give the whole", name);
        lstm_model_destroy(part);
    }
    lstm_model_destroy(whole);
    remove(CHECKPOINT);
}

static void test_pieces_give_the_bits_of_the_whole_with_everything_on(void **state)
{
    static const lstm_schedule_options plateau = {.struct_size = sizeof plateau, .schedule = LSTM_SCHEDULE_PLATEAU,
                                                  .patience = 1, .factor = 0.7};
    static const lstm_schedule_options cycle = {.struct_size = sizeof cycle, .schedule = LSTM_SCHEDULE_ONE_CYCLE, .steps = 200,
                                                .cycle_momentum = LSTM_YES};
    static const struct {
        const char *name;
        lstm_optimizer_options options;
    } runs[] = {
        {"nadam, averages, accumulation, plateau",
         {.optimizer = LSTM_OPTIMIZER_NADAM, .learning_rate = 0.01, .use_ema = LSTM_YES, .ema_momentum = 0.8,
          .accumulation_steps = 4, .schedule = &plateau, .global_clip_norm = 0.5, .weight_decay = 0.01}},
        {"the same with PyTorch's formulas",
         {.optimizer = LSTM_OPTIMIZER_NADAM, .profile = TORCH, .use_ema = LSTM_YES, .accumulation_steps = 4,
          .schedule = &plateau}},
        {"averages put back", {.optimizer = LSTM_OPTIMIZER_ADAM, .use_ema = LSTM_YES, .ema_overwrite_frequency = 5}},
        {"one cycle", {.optimizer = LSTM_OPTIMIZER_SGD, .schedule = &cycle}},
        {"adagrad", {.optimizer = LSTM_OPTIMIZER_ADAGRAD}},
        {"adadelta", {.optimizer = LSTM_OPTIMIZER_ADADELTA, .learning_rate = 1}},
        {"adamax", {.optimizer = LSTM_OPTIMIZER_ADAMAX}},
        {"radam", {.optimizer = LSTM_OPTIMIZER_RADAM}},
        {"lion", {.optimizer = LSTM_OPTIMIZER_LION}},
        {"lbfgs", {.optimizer = LSTM_OPTIMIZER_LBFGS, .learning_rate = 0.01, .history_size = 5, .max_iterations = 3}}};
    (void)state;
    for (size_t k = 0; k < sizeof runs / sizeof *runs; k++) {
        lstm_optimizer_options options = runs[k].options;
        options.struct_size = sizeof options;
        resume_case(runs[k].name, &options);
    }
}

/* What came later is in the file only when it is used: a plain run writes what the first version wrote. */
static void test_a_plain_checkpoint_has_the_form_of_the_first_version(void **state)
{
    static const char *const names[] = {"values", "moment.0", "moment.1", "integers", "doubles", "learning_rate", "history"};
    task t;
    lstm_archive *archive = NULL;
    lstm_model *model = NULL;
    const lstm_fit_options options = {.struct_size = sizeof options, .loss = &sparse, .checkpoint = CHECKPOINT};
    (void)state;
    start_task(&t);
    assert_ok(build_stack(&model, NULL));
    assert_ok(lstm_fit(model, &options, &t.data, NULL));
    assert_ok(lstm_archive_load(&archive, NULL, CHECKPOINT));
    assert_int_equal(lstm_archive_count(archive), sizeof names / sizeof *names);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        lstm_array_info info = {.struct_size = sizeof info};
        assert_ok(lstm_archive_find(archive, names[k], &info));
    }
    lstm_archive_destroy(archive);
    lstm_model_destroy(model);
    remove(CHECKPOINT);
}

/* ---- Memory: every refused allocation is an error that leaves nothing behind, and steps ask for none */

static lstm_status train_and_resume(lstm_context *context, const task *t, const lstm_optimizer_options *optimizer)
{
    lstm_model *model = NULL;
    lstm_fit_options options = {.struct_size = sizeof options, .epochs = 1, .batch_size = 6, .loss = &sparse,
                                .optimizer_options = optimizer, .checkpoint = CHECKPOINT};
    lstm_status status = build_stack(&model, context);
    if (status == LSTM_OK)
        status = lstm_fit(model, &options, &t->data, NULL);
    options.epochs = 2;
    options.resume = CHECKPOINT;
    if (status == LSTM_OK)
        status = lstm_fit(model, &options, &t->data, NULL);
    lstm_model_destroy(model);
    return status;
}

static void test_every_refused_allocation_is_an_error_that_leaves_nothing(void **state)
{
    static const lstm_optimizer_options runs[] = {
        {.struct_size = sizeof runs[0], .optimizer = LSTM_OPTIMIZER_NADAM, .use_ema = LSTM_YES, .accumulation_steps = 2},
        {.struct_size = sizeof runs[0], .optimizer = LSTM_OPTIMIZER_LBFGS, .history_size = 3, .max_iterations = 2}};
    task t;
    (void)state;
    start_task(&t);
    for (size_t k = 0; k < LENGTH(runs); k++)
        for (size_t refuse = 1;; refuse++) {
            counting_allocator allocator = {.refuse = refuse};
            lstm_context *context = counting_allocator_context(&allocator);
            const lstm_status status = context ? train_and_resume(context, &t, &runs[k]) : LSTM_ERROR_MEMORY;
            lstm_context_destroy(context);
            assert_nothing_left(&allocator);
            if (status == LSTM_OK && atomic_load(&allocator.refused) == 0)
                break;
            if (status != LSTM_OK)
                assert_int_equal(status, LSTM_ERROR_MEMORY);
            assert_true(refuse < 10000);
        }
    remove(CHECKPOINT);
}

static void test_steps_ask_for_no_memory(void **state)
{
    (void)state;
    for (int32_t kind = LSTM_OPTIMIZER_SGD; kind <= LSTM_OPTIMIZER_LBFGS; kind++) {
        counting_allocator allocator = {.refuse = 0};
        lstm_context *context = counting_allocator_context(&allocator);
        lstm_model *model = NULL;
        lstm_session *session = NULL;
        lstm_optimizer *optimizer = NULL;
        task t;
        start_task(&t);
        const lstm_optimizer_options options = {.struct_size = sizeof options, .optimizer = kind, .use_ema = LSTM_YES,
                                                .accumulation_steps = kind == LSTM_OPTIMIZER_LBFGS ? 1 : 2};
        assert_ok(build_stack(&model, context));
        assert_ok(lstm_session_create(&session, model, OPTIONS(lstm_session, .training = LSTM_YES, .batch = 20)));
        assert_ok(lstm_optimizer_create(&optimizer, model, &options));
        const size_t before = atomic_load(&allocator.calls);
        for (int step = 0; step < 5; step++) {
            assert_ok(lstm_session_forward(session, &t.data));
            assert_ok(lstm_session_loss(session, &sparse, &t.data, NULL));
            assert_ok(lstm_session_backward(session));
            assert_ok(lstm_optimizer_step(optimizer, session));
        }
        assert_ok(lstm_optimizer_use_average(optimizer));
        assert_int_equal(atomic_load(&allocator.calls), before);
        lstm_optimizer_destroy(optimizer);
        lstm_session_destroy(session);
        lstm_model_destroy(model);
        lstm_context_destroy(context);
        assert_nothing_left(&allocator);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedules_give_the_rates_of_keras_and_pytorch),
        cmocka_unit_test(test_plateaus_reduce_the_rate_when_keras_and_pytorch_do),
        cmocka_unit_test(test_a_callback_decides_the_rate_and_may_not_give_nonsense),
        cmocka_unit_test(test_averages_and_accumulation_are_those_of_keras),
        cmocka_unit_test(test_pytorch_sums_accumulated_gradients),
        cmocka_unit_test(test_lbfgs_solves_a_quadratic_in_a_manual_loop),
        cmocka_unit_test(test_class_weights_equal_sample_weights_and_ones_equal_none),
        cmocka_unit_test(test_rows_of_weight_zero_may_hold_anything),
        cmocka_unit_test(test_bad_weights_are_refused),
        cmocka_unit_test(test_frozen_layers_stay_and_rates_scale_the_step),
        cmocka_unit_test(test_constraints_hold_after_every_update),
        cmocka_unit_test(test_options_that_do_not_go_together_are_refused),
        cmocka_unit_test(test_pieces_give_the_bits_of_the_whole_with_everything_on),
        cmocka_unit_test(test_a_plain_checkpoint_has_the_form_of_the_first_version),
        cmocka_unit_test(test_every_refused_allocation_is_an_error_that_leaves_nothing),
        cmocka_unit_test(test_steps_ask_for_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
