/* SPDX-License-Identifier: MIT
 * What decides the step of an optimizer, through the public header: schedules against the rates of
 * Keras 3.15 and PyTorch 2.13 (numbers computed by them), averages and accumulation against Keras,
 * L-BFGS in a manual loop.
 */
#include "api_checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { T = 12 };

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
    const lstm_input_options input = {
        .struct_size = sizeof input, .vector = LSTM_YES, .features = 1};
    const lstm_dense_options dense = {.struct_size = sizeof dense, .units = 2, .use_bias = LSTM_NO};
    const lstm_session_options session = {
        .struct_size = sizeof session, .training = LSTM_YES, .batch = 1};
    const float start[2] = {1, -2};
    assert_ok(lstm_model_create(&b->model, NULL, &model));
    assert_ok(lstm_model_add_input(b->model, &input, NULL));
    assert_ok(lstm_model_add_dense(b->model, &dense, NULL, NULL));
    assert_ok(lstm_model_build(b->model));
    assert_ok(lstm_model_set_parameter(b->model, 0, start, 2));
    assert_ok(lstm_session_create(&b->session, b->model, &session));
    assert_ok(lstm_optimizer_create(&b->optimizer, b->model, optimizer));
    b->data = (lstm_data){
        .struct_size = sizeof b->data, .samples = 1, .x = one_sample, .x_count = 1};
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
    {"Keras ExponentialDecay",
     KERAS,
     0.2,
     {.schedule = LSTM_SCHEDULE_EXPONENTIAL, .steps = 3, .factor = 0.7},
     {0.2, 0.1775808, 0.15767471, 0.14, 0.12430656, 0.1103723, 0.098, 0.087014593, 0.077260606,
      0.0686, 0.060910214, 0.05408242},
     {0}},
    {"Keras ExponentialDecay, staircase",
     KERAS,
     0.2,
     {.schedule = LSTM_SCHEDULE_STEP, .steps = 3, .factor = 0.7},
     {0.2, 0.2, 0.2, 0.14, 0.14, 0.14, 0.098, 0.098, 0.098, 0.0686, 0.0686, 0.0686},
     {0}},
    {"Keras CosineDecay",
     KERAS,
     0.2,
     {.schedule = LSTM_SCHEDULE_COSINE, .steps = 8, .alpha = 0.1},
     {0.2, 0.19314916, 0.17363963, 0.14444152, 0.11, 0.075558484, 0.046360392, 0.026850834, 0.02,
      0.02, 0.02, 0.02},
     {0}},
    {"Keras CosineDecay, warm-up",
     KERAS,
     0.2,
     {.schedule = LSTM_SCHEDULE_COSINE,
      .steps = 6,
      .alpha = 0.1,
      .warmup_steps = 4,
      .warmup_start = 0.05},
     {0.05, 0.0875, 0.125, 0.1625, 0.2, 0.1879423, 0.155, 0.11, 0.065, 0.032057714, 0.02, 0.02},
     {0}},
    {"Keras CosineDecayRestarts",
     KERAS,
     0.2,
     {.schedule = LSTM_SCHEDULE_COSINE_RESTARTS, .steps = 3, .m_mul = 0.5, .alpha = 0.1},
     {0.2, 0.155, 0.065, 0.11, 0.10397115, 0.0875, 0.065, 0.0425, 0.026028855, 0.065, 0.064233333,
      0.061985571},
     {0}},
    {"Keras CosineDecayRestarts, equal cycles",
     KERAS,
     0.2,
     {.schedule = LSTM_SCHEDULE_COSINE_RESTARTS, .steps = 4, .t_mul = 1},
     {0.2, 0.17071068, 0.1, 0.029289324, 0.2, 0.17071068, 0.1, 0.029289324, 0.2, 0.17071068, 0.1,
      0.029289324},
     {0}},
    {"PyTorch StepLR",
     TORCH,
     0.2,
     {.schedule = LSTM_SCHEDULE_STEP, .steps = 3, .factor = 0.5},
     {0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025},
     {0}},
    {"PyTorch ExponentialLR",
     TORCH,
     0.2,
     {.schedule = LSTM_SCHEDULE_EXPONENTIAL, .steps = 1, .factor = 0.9},
     {0.2, 0.18, 0.162, 0.1458, 0.13122, 0.118098, 0.1062882, 0.09565938, 0.086093442, 0.077484098,
      0.069735688, 0.062762119},
     {0}},
    {"PyTorch CosineAnnealingLR",
     TORCH,
     0.2,
     {.schedule = LSTM_SCHEDULE_COSINE, .steps = 12, .alpha = 0.1},
     {0.2, 0.19693332, 0.18794229, 0.17363961, 0.155, 0.13329371, 0.11, 0.086706286, 0.065,
      0.04636039, 0.032057714, 0.023066676},
     {0}},
    {"PyTorch CosineAnnealingWarmRestarts",
     TORCH,
     0.2,
     {.schedule = LSTM_SCHEDULE_COSINE_RESTARTS, .steps = 3, .t_mul = 2, .alpha = 0.1},
     {0.2, 0.155, 0.065, 0.2, 0.18794229, 0.155, 0.11, 0.065, 0.032057714, 0.2, 0.19693332,
      0.18794229},
     {0}},
    {"PyTorch LinearLR",
     TORCH,
     0.2,
     {.warmup_steps = 5, .warmup_start = 0.05},
     {0.05, 0.08, 0.11, 0.14, 0.17, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2},
     {0}},
    {"PyTorch OneCycleLR",
     TORCH,
     0.2,
     {.schedule = LSTM_SCHEDULE_ONE_CYCLE, .steps = 13, .cycle_momentum = LSTM_YES},
     {0.008, 0.05903279, 0.15787396, 0.19994041, 0.19287565, 0.17485118, 0.14799396, 0.11547327,
      0.081126716, 0.049007344, 0.022905391, 0.0059010109},
     {0.95, 0.92342042, 0.87194065, 0.85002979, 0.85356219, 0.86257446, 0.87600313, 0.89226353,
      0.90943688, 0.92549663, 0.93854766, 0.94704988}},
    {"PyTorch OneCycleLR, linear",
     TORCH,
     0.2,
     {.schedule = LSTM_SCHEDULE_ONE_CYCLE,
      .steps = 13,
      .pct_start = 0.5,
      .linear = LSTM_YES,
      .div_factor = 10,
      .final_div_factor = 100,
      .cycle_momentum = LSTM_YES,
      .base_momentum = 0.8,
      .max_momentum = 0.9},
     {0.02, 0.052727273, 0.085454545, 0.11818182, 0.15090909, 0.18363636, 0.18463077, 0.15389231,
      0.12315385, 0.092415385, 0.061676923, 0.030938462},
     {0.9, 0.88181818, 0.86363636, 0.84545455, 0.82727273, 0.80909091, 0.80769231, 0.82307692,
      0.83846154, 0.85384615, 0.86923077, 0.88461538}},
};

/* The rates, and that steps use them: SGD with the cycled momentum computed here beside it. */
static void run_schedule(const schedule_case *c)
{
    bench b;
    lstm_schedule_options schedule = c->schedule;
    schedule.struct_size = sizeof schedule;
    const lstm_optimizer_options options = {.struct_size = sizeof options,
                                            .optimizer = LSTM_OPTIMIZER_SGD,
                                            .learning_rate = c->learning_rate,
                                            .schedule = &schedule};
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
            fail_msg("%s, update %d: parameter %.9g, expected %.9g", c->name, t, (double)found[0],
                     w);
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
    static const double losses[16] = {1,   0.9, 0.895, 0.899, 0.89, 0.889, 0.5, 0.6,
                                      0.6, 0.6, 0.6,   0.6,   0.6,  0.6,   0.6, 0.6};
    static const double rates[2][16] = {
        {0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.02, 0.02, 0.02, 0.02},
        {0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05}};
    const lstm_schedule_options plateau = {.struct_size = sizeof plateau,
                                           .schedule = LSTM_SCHEDULE_PLATEAU,
                                           .factor = 0.5,
                                           .patience = 2,
                                           .min_delta = 0.01,
                                           .cooldown = 1,
                                           .minimum = 0.02};
    (void)state;
    for (int32_t profile = KERAS; profile <= TORCH; profile++) {
        bench b;
        const lstm_optimizer_options options = {.struct_size = sizeof options,
                                                .optimizer = LSTM_OPTIMIZER_SGD,
                                                .learning_rate = 0.2,
                                                .schedule = &plateau};
        set_up(&b, profile, &options);
        for (int k = 0; k < 16; k++) {
            assert_ok(lstm_optimizer_watch(b.optimizer, losses[k]));
            const double rate = lstm_optimizer_learning_rate(b.optimizer);
            if (!(fabs(rate - rates[profile - 1][k]) <= 1e-12))
                fail_msg("profile %d, epoch %d: rate %g, expected %g", (int)profile, k, rate,
                         rates[profile - 1][k]);
        }
        assert_status_text(lstm_optimizer_watch(b.optimizer, (double)NAN), LSTM_ERROR_ARGUMENT,
                           "NaN");
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
    const lstm_schedule_options schedule = {.struct_size = sizeof schedule,
                                            .schedule = LSTM_SCHEDULE_CALLBACK,
                                            .rate = halving,
                                            .rate_user = &calls};
    const lstm_optimizer_options options = {.struct_size = sizeof options,
                                            .optimizer = LSTM_OPTIMIZER_SGD,
                                            .learning_rate = 0.6,
                                            .schedule = &schedule};
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
    assert_status_text(lstm_optimizer_step(b.optimizer, b.session), LSTM_ERROR_ARGUMENT,
                       "callback gave the rate -1");
    tear_down(&b);
}

/* ---- Averages and accumulation: nine steps, numbers computed by Keras 3.15 */

static void test_averages_and_accumulation_are_those_of_keras(void **state)
{
    static const lstm_schedule_options decay = {.struct_size = sizeof decay,
                                                .schedule = LSTM_SCHEDULE_EXPONENTIAL,
                                                .steps = 3,
                                                .factor = 0.5};
    static const struct {
        lstm_optimizer_options options;
        float w[2], average[2];
    } runs[] = {
        {{.optimizer = LSTM_OPTIMIZER_SGD,
          .learning_rate = 0.1,
          .use_ema = LSTM_YES,
          .ema_momentum = 0.8,
          .accumulation_steps = 2},
         {0.9228455f, -2.0443199f},
         {0.9420974f, -2.0290873f}},
        {{.optimizer = LSTM_OPTIMIZER_SGD,
          .learning_rate = 0.1,
          .use_ema = LSTM_YES,
          .ema_momentum = 0.8,
          .accumulation_steps = 2,
          .ema_overwrite_frequency = 2},
         {0.9244451f, -2.0243416f},
         {0.9244451f, -2.0243416f}},
        {{.optimizer = LSTM_OPTIMIZER_ADAM,
          .learning_rate = 0.1,
          .use_ema = LSTM_YES,
          .ema_momentum = 0.8,
          .ema_overwrite_frequency = 3},
         {0.8219913f, -2.1383007f},
         {0.8219913f, -2.1383007f}},
        {{.optimizer = LSTM_OPTIMIZER_SGD,
          .learning_rate = 0.2,
          .use_ema = LSTM_YES,
          .ema_momentum = 0.8,
          .accumulation_steps = 3,
          .schedule = &decay},
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
        assert_status_text(lstm_optimizer_use_average(b.optimizer), LSTM_ERROR_STATE,
                           "no averages");
        for (int t = 0; t < 9; t++)
            step_with(&b, (float)sin(t + 1.0), (float)cos(2.0 * t));
        assert_int_equal(lstm_optimizer_steps(b.optimizer), 9);
        assert_ok(lstm_model_get_parameter(b.model, 0, found, 2));
        /* Keras computes powers in float */
        assert_close("parameters", found, runs[k].w, 2, 0, 1e-5);
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
    const lstm_optimizer_options options = {.struct_size = sizeof options,
                                            .optimizer = LSTM_OPTIMIZER_SGD,
                                            .learning_rate = 0.5,
                                            .accumulation_steps = 2};
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
    const lstm_optimizer_options options = {.struct_size = sizeof options,
                                            .optimizer = LSTM_OPTIMIZER_LBFGS};
    (void)state;
    set_up(&b, TORCH, &options);
    for (int t = 0; t < 12; t++) { /* f = (w0 - 3)^2 + 10 (w1 - 1)^2 */
        step_with(&b, 2 * (w[0] - 3), 20 * (w[1] - 1));
        assert_ok(lstm_model_get_parameter(b.model, 0, w, 2));
    }
    assert_true(fabsf(w[0] - 3) < 1e-4f && fabsf(w[1] - 1) < 1e-4f);
    tear_down(&b);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
