/* SPDX-License-Identifier: MIT
 * The manual loop: forward, loss, backward, step; layouts, free steps, several inputs and outputs;
 * every return code.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <stdlib.h>
#include <string.h>

static lstm_session *new_session(lstm_model *model, int32_t training, int64_t batch, int64_t steps)
{
    lstm_session *session = NULL;
    assert_ok(lstm_session_create(
        &session, model,
        OPTIONS(lstm_session, .training = training, .batch = batch, .steps = steps)));
    assert_true(lstm_session_memory_size(session) > 0);
    return session;
}

static void test_manual_loop_learns(void **state)
{
    enum { N = 16, T = 5 };
    lstm_model *m = NULL;
    lstm_optimizer *optimizer = NULL;
    float x[N * T], y[N];
    double first = 0;
    double loss = 0;
    (void)state;
    fill_numbers(x, N * T, 1);
    for (size_t n = 0; n < N; n++)
        y[n] = x[n * T] + 0.5f * x[n * T + 4];
    const lstm_data data = {
        .struct_size = sizeof data, .samples = N, .x = x, .x_count = N * T, .y = y, .y_count = N};
    assert_ok(build_tutorial(&m, NULL, T, 1, 12, 1));
    assert_ok(lstm_optimizer_create(&optimizer, m, OPTIONS(lstm_optimizer, .learning_rate = 0.02)));
    lstm_session *session = new_session(m, LSTM_YES, N, 0);
    for (int step = 0; step < 300; step++) {
        assert_ok(lstm_session_forward(session, &data));
        assert_ok(lstm_session_loss(session, NULL, &data, &loss));
        assert_ok(lstm_session_backward(session));
        assert_ok(lstm_optimizer_step(optimizer, session));
        first = step == 0 ? loss : first;
    }
    print_message("loss from %g to %g\n", first, loss);
    assert_true(loss < 0.01 && first > 0.1);
    assert_int_equal(lstm_optimizer_steps(optimizer), 300);
    lstm_optimizer_destroy(optimizer);
    lstm_session_destroy(session);
    lstm_model_destroy(m);
}

/* ---- Gradients against finite differences, through every layer type, with dropout */

enum { B = 2 };
static const size_t output_sizes[EVERYTHING_OUTPUTS] = {B * EVERYTHING_STEPS * 3, B * 4, B * 4};
static const size_t input_sizes[EVERYTHING_INPUTS] = {B * EVERYTHING_STEPS * EVERYTHING_FEATURES,
                                                      B *EVERYTHING_VECTOR};

typedef struct problem {
    lstm_model *model;
    float *inputs[EVERYTHING_INPUTS];
    float *weights[EVERYTHING_OUTPUTS]; /* of the outputs in the loss: sum of weights * outputs */
    lstm_data data;
} problem;

static void problem_start(problem *p, int32_t profile)
{
    assert_ok(build_everything(&p->model, NULL, profile, 21));
    for (size_t k = 0; k < EVERYTHING_INPUTS; k++)
        p->inputs[k] = new_numbers(input_sizes[k], 50 + k);
    for (size_t k = 0; k < EVERYTHING_OUTPUTS; k++)
        p->weights[k] = new_numbers(output_sizes[k], 60 + k);
    p->data = (lstm_data){.struct_size = sizeof p->data,
                          .samples = B,
                          .inputs = (const float *const *)p->inputs,
                          .input_sizes = input_sizes,
                          .input_count = EVERYTHING_INPUTS};
}

static void problem_end(problem *p)
{
    for (size_t k = 0; k < EVERYTHING_INPUTS; k++)
        free(p->inputs[k]);
    for (size_t k = 0; k < EVERYTHING_OUTPUTS; k++)
        free(p->weights[k]);
    lstm_model_destroy(p->model);
}

/* A new session each time: dropout draws the same mask in each one's first update. */
static lstm_session *run_forward(const problem *p, double *loss)
{
    lstm_session *session = new_session(p->model, LSTM_YES, B, 0);
    float values[B * EVERYTHING_STEPS * 3];
    *loss = 0;
    assert_ok(lstm_session_forward(session, &p->data));
    for (size_t k = 0; k < EVERYTHING_OUTPUTS; k++) {
        assert_ok(lstm_session_output(session, k, values, output_sizes[k]));
        for (size_t v = 0; v < output_sizes[k]; v++)
            *loss += (double)p->weights[k][v] * (double)values[v];
    }
    return session;
}

static double loss_of(const problem *p)
{
    double loss = 0;
    lstm_session_destroy(run_forward(p, &loss));
    return loss;
}

#define STEP_SIZE 0.01f
static void check_derivative(const char *what, size_t index, double found, double expected,
                             double largest)
{
    if (!(fabs(found - expected) <= 2e-3 * fmax(largest, 1e-2)))
        fail_msg("%s, value %zu: gradient %g, finite difference %g (largest %g)", what, index,
                 found, expected, largest);
}

static void check_parameter(const problem *p, lstm_session *session, size_t parameter)
{
    lstm_parameter_info info = {.struct_size = sizeof info};
    assert_ok(lstm_model_parameter_info(p->model, parameter, &info));
    float *gradient = malloc(info.count * sizeof *gradient);
    float *values = malloc(info.count * sizeof *values);
    assert_ok(lstm_session_parameter_gradient(session, parameter, gradient, info.count));
    assert_ok(lstm_model_get_parameter(p->model, parameter, values, info.count));
    const double largest = largest_size(gradient, info.count);
    const size_t stride = info.count / 7 + 1;
    for (size_t k = parameter % stride; k < info.count; k += stride) {
        const float kept = values[k];
        values[k] = kept + STEP_SIZE;
        assert_ok(lstm_model_set_parameter(p->model, parameter, values, info.count));
        const double up = loss_of(p);
        values[k] = kept - STEP_SIZE;
        assert_ok(lstm_model_set_parameter(p->model, parameter, values, info.count));
        const double down = loss_of(p);
        values[k] = kept;
        assert_ok(lstm_model_set_parameter(p->model, parameter, values, info.count));
        check_derivative(info.name, k, (double)gradient[k], (up - down) / (2 * (double)STEP_SIZE),
                         largest);
    }
    free(gradient);
    free(values);
}

static void check_input(problem *p, const lstm_session *session, size_t input)
{
    float gradient[B * EVERYTHING_STEPS * EVERYTHING_FEATURES];
    const size_t count = input_sizes[input];
    assert_ok(lstm_session_input_gradient(session, input, gradient, count));
    for (size_t k = 0; k < count; k += 3) {
        float *value = &p->inputs[input][k];
        const float kept = *value;
        *value = kept + STEP_SIZE;
        const double up = loss_of(p);
        *value = kept - STEP_SIZE;
        const double down = loss_of(p);
        *value = kept;
        check_derivative("input", k, (double)gradient[k], (up - down) / (2 * (double)STEP_SIZE),
                         largest_size(gradient, count));
    }
}

static void test_gradients_agree_with_finite_differences(void **state)
{
    (void)state;
    for (int32_t profile = LSTM_PROFILE_KERAS; profile <= LSTM_PROFILE_TORCH; profile++) {
        problem p;
        double loss = 0;
        problem_start(&p, profile);
        lstm_session *session = run_forward(&p, &loss);
        for (size_t k = 0; k < EVERYTHING_OUTPUTS; k++)
            assert_ok(lstm_session_set_output_gradient(session, k, p.weights[k], output_sizes[k]));
        assert_ok(lstm_session_backward(session));
        for (size_t k = 0; k < lstm_model_parameter_count(p.model); k++)
            check_parameter(&p, session, k);
        for (size_t k = 0; k < EVERYTHING_INPUTS; k++)
            check_input(&p, session, k);
        lstm_session_destroy(session);
        problem_end(&p);
    }
}

static void test_outputs_without_a_gradient_count_as_zero(void **state)
{
    problem p;
    double loss = 0;
    size_t count = 0;
    (void)state;
    problem_start(&p, LSTM_PROFILE_KERAS);
    float zeros[B * EVERYTHING_STEPS * 3] = {0};
    float *gradients[2][40] = {{NULL}};
    const size_t parameters = lstm_model_parameter_count(p.model);
    for (int given = 0; given < 2; given++) {
        lstm_session *session = run_forward(&p, &loss);
        assert_ok(lstm_session_set_output_gradient(session, 1, p.weights[1], output_sizes[1]));
        for (size_t k = 0; given && k < EVERYTHING_OUTPUTS; k += 2)
            assert_ok(lstm_session_set_output_gradient(session, k, zeros, output_sizes[k]));
        assert_ok(lstm_session_backward(session));
        for (size_t k = 0; k < parameters; k++) {
            lstm_parameter_info info = {.struct_size = sizeof info};
            assert_ok(lstm_model_parameter_info(p.model, k, &info));
            count = info.count;
            gradients[given][k] = malloc(count * sizeof(float));
            assert_ok(lstm_session_parameter_gradient(session, k, gradients[given][k], count));
            if (given)
                assert_close(info.name, gradients[1][k], gradients[0][k], count, 0, 1e-6);
        }
        lstm_session_destroy(session);
    }
    for (size_t k = 0; k < parameters; k++) {
        free(gradients[0][k]);
        free(gradients[1][k]);
    }
    problem_end(&p);
}

/* ---- Shapes of calls */

static void test_smaller_batches_and_other_numbers_of_steps_give_what_an_exact_plan_gives(
    void **state)
{
    enum { F = 3, H = 4, MOST_BATCH = 5, MOST_STEPS = 9 };
    static const struct {
        int64_t samples, steps;
    } calls[] = {{5, 9}, {1, 1}, {2, 7}, {5, 1}, {3, 9}, {1, 9}, {4, 2}, {5, 9}};
    lstm_model *m = NULL;
    (void)state;
    assert_ok(build_tutorial(&m, NULL, 0, F, H, 2));
    lstm_session *planned = new_session(m, LSTM_YES, MOST_BATCH, MOST_STEPS);
    for (size_t k = 0; k < LENGTH(calls); k++) {
        const size_t count = (size_t)(calls[k].samples * calls[k].steps * F);
        const size_t outputs = (size_t)calls[k].samples * 2;
        float *x = new_numbers(count, k);
        float *r = new_numbers(outputs, k + 100);
        float y[2][MOST_BATCH * 2], dx[2][MOST_BATCH * MOST_STEPS * F], dw[2][F * 4 * H];
        lstm_session *exact = new_session(m, LSTM_YES, calls[k].samples, calls[k].steps);
        lstm_session *sessions[2] = {planned, exact};
        const lstm_data data = {
            .struct_size = sizeof data, .samples = calls[k].samples, .x = x, .x_count = count};
        for (size_t s = 0; s < 2; s++) {
            assert_ok(lstm_session_forward(sessions[s], &data));
            assert_ok(lstm_session_output(sessions[s], 0, y[s], outputs));
            assert_ok(lstm_session_set_output_gradient(sessions[s], 0, r, outputs));
            assert_ok(lstm_session_backward(sessions[s]));
            assert_ok(lstm_session_input_gradient(sessions[s], 0, dx[s], count));
            assert_ok(lstm_session_parameter_gradient(sessions[s], 0, dw[s], F * 4 * H));
        }
        assert_close("output", y[0], y[1], outputs, 1e-6, 0);
        assert_close("input gradient", dx[0], dx[1], count, 1e-6, 0);
        assert_close("parameter gradient", dw[0], dw[1], F * 4 * H, 1e-6, 1e-6);
        lstm_session_destroy(exact);
        free(x);
        free(r);
    }
    lstm_session_destroy(planned);
    lstm_model_destroy(m);
}

/* [samples][steps][features] <-> [steps][samples][features] */
static void turn(const float *from, float *to, size_t outer, size_t inner, size_t features)
{
    for (size_t a = 0; a < outer; a++)
        for (size_t b = 0; b < inner; b++)
            memcpy(to + (b * outer + a) * features, from + (a * inner + b) * features,
                   features * sizeof *to);
}

static void test_both_layouts_give_the_same_numbers(void **state)
{
    enum { N = 3, T = 5, F = 2, H = 4 };
    lstm_model *m = NULL;
    lstm_loss_options loss_options = {.struct_size = sizeof loss_options, .loss = LSTM_LOSS_HUBER};
    float x[N * T * F], xt[N * T * F], target[N * T * H], target_t[N * T * H];
    float y[N * T * H], yt[N * T * H], turned[N * T * H], dx[N * T * F], dxt[N * T * F];
    double loss = 0;
    double loss_t = 1;
    (void)state;
    assert_ok(lstm_model_create(&m, NULL, NULL));
    assert_ok(lstm_model_add_input(m, OPTIONS(lstm_input, .features = F), NULL));
    assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = H, .return_sequences = LSTM_YES),
                                  NULL, NULL));
    assert_ok(lstm_model_build(m));
    fill_numbers(x, N * T * F, 1);
    fill_numbers(target, N * T * H, 2);
    turn(x, xt, N, T, F);
    turn(target, target_t, N, T, H);
    lstm_session *session = new_session(m, LSTM_YES, N, T);
    const lstm_data batch_first = {.struct_size = sizeof batch_first,
                                   .samples = N,
                                   .x = x,
                                   .x_count = N * T * F,
                                   .y = target,
                                   .y_count = N * T * H};
    lstm_data time_first = batch_first;
    time_first.layout = LSTM_LAYOUT_TIME_FIRST;
    time_first.x = xt;
    time_first.y = target_t;
    assert_ok(lstm_session_forward(session, &batch_first));
    assert_ok(lstm_session_output(session, 0, y, N * T * H));
    assert_ok(lstm_session_loss(session, &loss_options, &batch_first, &loss));
    assert_ok(lstm_session_backward(session));
    assert_ok(lstm_session_input_gradient(session, 0, dx, N * T * F));
    assert_ok(lstm_session_forward(session, &time_first));
    assert_ok(lstm_session_output(session, 0, yt, N * T * H));
    assert_ok(lstm_session_loss(session, &loss_options, &time_first, &loss_t));
    assert_ok(lstm_session_backward(session));
    assert_ok(lstm_session_input_gradient(session, 0, dxt, N * T * F));
    assert_true(loss == loss_t);
    turn(yt, turned, T, N, H);
    assert_memory_equal(turned, y, sizeof y);
    turn(dxt, turned, T, N, F);
    assert_memory_equal(turned, dx, sizeof dx);
    assert_ok(lstm_predict(m, &time_first, turned, N * T * H));
    assert_close("prediction", turned, yt, N * T * H, 1e-6, 0);
    lstm_session_destroy(session);
    lstm_model_destroy(m);
}

static void test_backwards_is_forwards_on_the_reversed_sequence(void **state)
{
    enum { N = 3, T = 4, F = 2, H = 5 };
    float x[N * T * F], reversed[N * T * F], y[2][N * T * H];
    (void)state;
    fill_numbers(x, N * T * F, 1);
    for (size_t n = 0; n < N; n++)
        for (size_t t = 0; t < T; t++)
            memcpy(reversed + (n * T + t) * F, x + (n * T + T - 1 - t) * F, F * sizeof *x);
    for (size_t k = 0; k < 2; k++) {
        lstm_model *m = NULL;
        const lstm_data data = {
            .struct_size = sizeof data, .samples = N, .x = k ? reversed : x, .x_count = N * T * F};
        assert_ok(lstm_model_create(&m, NULL, OPTIONS(lstm_model, .seed = 2)));
        assert_ok(lstm_model_add_input(m, OPTIONS(lstm_input, .steps = T, .features = F), NULL));
        assert_ok(lstm_model_add_lstm(m,
                                      OPTIONS(lstm_lstm, .units = H, .return_sequences = LSTM_YES,
                                              .go_backwards = k ? LSTM_NO : LSTM_YES),
                                      NULL, NULL));
        assert_ok(lstm_model_build(m));
        assert_ok(lstm_predict(m, &data, y[k], N * T * H));
        lstm_model_destroy(m);
    }
    assert_close("outputs", y[0], y[1], N * T * H, 1e-6, 0);
}

static void test_a_batch_without_samples_is_harmless(void **state)
{
    lstm_model *m = NULL;
    double loss = 9;
    float none[1] = {0};
    const lstm_data nothing = {.struct_size = sizeof nothing};
    (void)state;
    for (int64_t steps = 0; steps < 2; steps++) {
        assert_ok(build_tutorial(&m, NULL, steps * 4, 2, 3, 1));
        lstm_session *session = new_session(m, LSTM_YES, 2, 4);
        assert_ok(lstm_session_forward(session, &nothing));
        assert_ok(lstm_session_output(session, 0, none, 0));
        assert_ok(lstm_session_loss(session, NULL, &nothing, &loss));
        assert_true(loss == 0);
        assert_ok(lstm_session_backward(session));
        lstm_session_destroy(session);
        lstm_model_destroy(m);
    }
}

/* ---- Return codes */

static void test_session_create_rejects_bad_options(void **state)
{
    lstm_model *m = NULL;
    lstm_session *session = (lstm_session *)&m;
    (void)state;
    assert_ok(build_tutorial(&m, NULL, 0, 2, 3, 1));
    assert_status(lstm_session_create(NULL, m, OPTIONS(lstm_session, .batch = 1, .steps = 1)),
                  LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_create(&session, NULL, OPTIONS(lstm_session, .batch = 1)),
                  LSTM_ERROR_ARGUMENT);
    assert_null(session);
    assert_status(lstm_session_create(&session, m, OPTIONS(lstm_session, .batch = 0, .steps = 1)),
                  LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_create(&session, m, OPTIONS(lstm_session, .batch = -1, .steps = 1)),
                  LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_create(&session, m, OPTIONS(lstm_session, .batch = 1, .steps = -1)),
                  LSTM_ERROR_ARGUMENT);
    assert_status_text(lstm_session_create(&session, m, OPTIONS(lstm_session, .batch = 1)),
                       LSTM_ERROR_ARGUMENT, "steps");
    lstm_model_destroy(m);
}

static void test_calls_in_the_wrong_order_are_refused(void **state)
{
    lstm_model *m = NULL;
    lstm_model *other = NULL;
    lstm_optimizer *optimizer = NULL;
    lstm_optimizer *foreign = NULL;
    float x[8], y[2] = {0}, dw[2 * 12], dx[8];
    double loss = 5;
    (void)state;
    fill_numbers(x, 8, 1);
    assert_ok(build_tutorial(&m, NULL, 2, 2, 3, 1));
    assert_ok(build_tutorial(&other, NULL, 2, 2, 3, 1));
    assert_ok(lstm_optimizer_create(&optimizer, m, NULL));
    assert_ok(lstm_optimizer_create(&foreign, other, NULL));
    const lstm_data data = {
        .struct_size = sizeof data, .samples = 2, .x = x, .x_count = 8, .y = y, .y_count = 2};
    lstm_session *s = new_session(m, LSTM_YES, 2, 0);
    lstm_session *reader = new_session(m, LSTM_NO, 2, 0);
    assert_status(lstm_session_output(s, 0, y, 2), LSTM_ERROR_STATE);
    assert_status(lstm_session_loss(s, NULL, &data, &loss), LSTM_ERROR_STATE);
    assert_status(lstm_session_set_output_gradient(s, 0, y, 2), LSTM_ERROR_STATE);
    assert_status(lstm_session_backward(s), LSTM_ERROR_STATE);
    assert_ok(lstm_session_forward(s, &data));
    assert_status_text(lstm_session_backward(s), LSTM_ERROR_STATE, "lstm_session_loss");
    assert_status(lstm_session_parameter_gradient(s, 0, dw, 24), LSTM_ERROR_STATE);
    assert_status(lstm_session_input_gradient(s, 0, dx, 8), LSTM_ERROR_STATE);
    assert_status(lstm_optimizer_step(optimizer, s), LSTM_ERROR_STATE);
    assert_ok(lstm_session_loss(s, NULL, &data, &loss));
    assert_ok(lstm_session_loss(s, NULL, &data, NULL)); /* once more, the value not wanted */
    assert_ok(lstm_session_backward(s));
    assert_status_text(lstm_session_backward(s), LSTM_ERROR_STATE, "forward");
    assert_status(lstm_optimizer_step(foreign, s), LSTM_ERROR_ARGUMENT);
    assert_ok(lstm_session_parameter_gradient(s, 0, dw, 24));
    assert_ok(
        lstm_session_loss(s, NULL, &data, &loss)); /* the loss may be asked again, backward not */
    assert_status_text(lstm_session_backward(s), LSTM_ERROR_STATE, "forward");
    assert_ok(lstm_session_set_output_gradient(s, 0, y, 2));
    assert_status_text(lstm_session_backward(s), LSTM_ERROR_STATE, "forward");
    assert_ok(lstm_session_forward(s, &data));
    assert_ok(lstm_session_loss(s, NULL, &data, &loss));
    assert_ok(lstm_session_backward(s));
    assert_ok(lstm_optimizer_step(optimizer, s));
    assert_ok(lstm_session_forward(reader, &data));
    assert_ok(lstm_session_loss(reader, NULL, &data, &loss));
    assert_status_text(lstm_session_backward(reader), LSTM_ERROR_STATE, "training");
    assert_status(lstm_session_set_output_gradient(reader, 0, y, 2), LSTM_ERROR_STATE);
    assert_status(lstm_session_parameter_gradient(reader, 0, dw, 24), LSTM_ERROR_STATE);
    assert_status(lstm_session_input_gradient(reader, 0, dx, 8), LSTM_ERROR_STATE);
    assert_status(lstm_optimizer_step(optimizer, reader), LSTM_ERROR_STATE);
    lstm_session_destroy(s);
    lstm_session_destroy(reader);
    lstm_optimizer_destroy(optimizer);
    lstm_optimizer_destroy(foreign);
    lstm_model_destroy(m);
    lstm_model_destroy(other);
}

static void test_session_calls_reject_null_indices_and_counts(void **state)
{
    lstm_model *m = NULL;
    lstm_optimizer *optimizer = NULL;
    float x[12], y[3] = {0}, dw[24], dx[12];
    (void)state;
    fill_numbers(x, 12, 1);
    assert_ok(build_tutorial(&m, NULL, 2, 2, 3, 1));
    assert_ok(lstm_optimizer_create(&optimizer, m, NULL));
    lstm_session *s = new_session(m, LSTM_YES, 2, 0);
    lstm_data data = {
        .struct_size = sizeof data, .samples = 2, .x = x, .x_count = 8, .y = y, .y_count = 2};
    lstm_data wrong = data;
    assert_status(lstm_session_forward(NULL, &data), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_forward(s, NULL), LSTM_ERROR_ARGUMENT);
    wrong.x_count = 7;
    assert_status_text(lstm_session_forward(s, &wrong), LSTM_ERROR_SHAPE, "8");
    wrong = data;
    wrong.x = NULL;
    assert_status(lstm_session_forward(s, &wrong), LSTM_ERROR_ARGUMENT);
    wrong = data;
    wrong.samples = -1;
    assert_status_text(lstm_session_forward(s, &wrong), LSTM_ERROR_ARGUMENT, "samples");
    wrong.samples = INT64_C(1) << 62;
    assert_status(lstm_session_forward(s, &wrong), LSTM_ERROR_SHAPE);
    wrong.samples = 3;
    wrong.x_count = 12;
    assert_status_text(lstm_session_forward(s, &wrong), LSTM_ERROR_SHAPE, "planned for 2");
    assert_ok(lstm_session_forward(s, &data));
    assert_status(lstm_session_output(NULL, 0, y, 2), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_output(s, 1, y, 2), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_output(s, 0, NULL, 2), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_output(s, 0, y, 3), LSTM_ERROR_SHAPE);
    assert_status(lstm_session_set_output_gradient(NULL, 0, y, 2), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_set_output_gradient(s, 1, y, 2), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_set_output_gradient(s, 0, NULL, 2), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_set_output_gradient(s, 0, y, 1), LSTM_ERROR_SHAPE);
    assert_status(lstm_session_loss(NULL, NULL, &data, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_loss(s, NULL, NULL, NULL), LSTM_ERROR_ARGUMENT);
    wrong = data;
    wrong.y = NULL;
    assert_status_text(lstm_session_loss(s, NULL, &wrong, NULL), LSTM_ERROR_ARGUMENT, "y is NULL");
    wrong = data;
    wrong.y_count = 3;
    assert_status(lstm_session_loss(s, NULL, &wrong, NULL), LSTM_ERROR_SHAPE);
    wrong = data;
    wrong.samples = 1; /* not the samples of the forward pass */
    wrong.x_count = 4;
    wrong.y_count = 1;
    assert_status(lstm_session_loss(s, NULL, &wrong, NULL), LSTM_ERROR_SHAPE);
    assert_status(lstm_session_backward(NULL), LSTM_ERROR_ARGUMENT);
    assert_ok(lstm_session_loss(s, NULL, &data, NULL));
    assert_ok(lstm_session_backward(s));
    assert_status(lstm_session_parameter_gradient(NULL, 0, dw, 24), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_parameter_gradient(s, 9, dw, 24), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_parameter_gradient(s, 0, NULL, 24), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_parameter_gradient(s, 0, dw, 23), LSTM_ERROR_SHAPE);
    assert_status(lstm_session_input_gradient(NULL, 0, dx, 8), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_input_gradient(s, 1, dx, 8), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_input_gradient(s, 0, NULL, 8), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_session_input_gradient(s, 0, dx, 9), LSTM_ERROR_SHAPE);
    assert_status(lstm_optimizer_step(NULL, s), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_optimizer_step(optimizer, NULL), LSTM_ERROR_ARGUMENT);
    lstm_session_destroy(s);
    lstm_optimizer_destroy(optimizer);
    lstm_model_destroy(m);
}

static void test_free_steps_are_checked_against_plan_and_count(void **state)
{
    lstm_model *m = NULL;
    float x[24] = {0};
    (void)state;
    assert_ok(build_tutorial(&m, NULL, 0, 2, 3, 1));
    lstm_session *s = new_session(m, LSTM_NO, 2, 3);
    lstm_data data = {.struct_size = sizeof data, .samples = 2, .x = x, .x_count = 16};
    assert_status_text(lstm_session_forward(s, &data), LSTM_ERROR_SHAPE, "4 steps");
    data.x_count = 10;
    assert_status(lstm_session_forward(s, &data), LSTM_ERROR_SHAPE);
    data.x_count = 0;
    assert_status(lstm_session_forward(s, &data), LSTM_ERROR_SHAPE);
    data.x_count = 12;
    assert_ok(lstm_session_forward(s, &data));
    lstm_session_destroy(s);
    lstm_model_destroy(m);
}

static void test_several_inputs_and_targets_are_checked(void **state)
{
    problem p;
    double loss = 0;
    (void)state;
    problem_start(&p, LSTM_PROFILE_KERAS);
    lstm_session *s = new_session(p.model, LSTM_YES, B, 0);
    lstm_data d = p.data;
    d.input_count = 1;
    assert_status_text(lstm_session_forward(s, &d), LSTM_ERROR_SHAPE, "2 input");
    d = p.data;
    d.inputs = NULL;
    d.x = p.inputs[0];
    d.x_count = input_sizes[0];
    assert_status(lstm_session_forward(s, &d), LSTM_ERROR_SHAPE);
    d = p.data;
    d.input_sizes = NULL;
    assert_status(lstm_session_forward(s, &d), LSTM_ERROR_ARGUMENT);
    const float *missing[] = {p.inputs[0], NULL};
    d = p.data;
    d.inputs = missing;
    assert_status_text(lstm_session_forward(s, &d), LSTM_ERROR_ARGUMENT, "input");
    assert_ok(lstm_session_forward(s, &p.data));
    d = p.data;
    d.targets = (const float *const *)p.weights;
    d.target_count = EVERYTHING_OUTPUTS;
    assert_status(lstm_session_loss(s, NULL, &d, &loss), LSTM_ERROR_ARGUMENT); /* no sizes */
    d.target_sizes = output_sizes;
    d.target_count = 2;
    assert_status_text(lstm_session_loss(s, NULL, &d, &loss), LSTM_ERROR_SHAPE, "3 output");
    d.target_count = EVERYTHING_OUTPUTS;
    assert_ok(lstm_session_loss(s, NULL, &d, &loss));
    /* The loss is the sum of the outputs' means. */
    double sum = 0;
    for (size_t k = 0; k < EVERYTHING_OUTPUTS; k++) {
        float values[B * EVERYTHING_STEPS * 3];
        double squares = 0;
        assert_ok(lstm_session_output(s, k, values, output_sizes[k]));
        for (size_t v = 0; v < output_sizes[k]; v++)
            squares += pow((double)values[v] - (double)p.weights[k][v], 2);
        sum += squares / (double)output_sizes[k];
    }
    assert_true(fabs(loss - sum) < 1e-6);
    assert_ok(lstm_session_backward(s));
    lstm_session_destroy(s);
    problem_end(&p);
}

static void test_class_numbers_out_of_range_name_sample_step_and_value(void **state)
{
    enum { N = 3, T = 2, C = 4 };
    static const float wrong[] = {-1, 4, 1.5f, 1e30f, NAN, INFINITY};
    lstm_model *m = NULL;
    float x[N * T] = {0};
    float y[N * T] = {0, 1, 2, 3, 0, 1};
    const lstm_loss_options loss = {.struct_size = sizeof loss,
                                    .loss = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY};
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = N,
                            .x = x,
                            .x_count = N * T,
                            .y = y,
                            .y_count = N * T};
    (void)state;
    assert_ok(lstm_model_create(&m, NULL, NULL));
    assert_ok(lstm_model_add_input(m, OPTIONS(lstm_input, .steps = T, .features = 1), NULL));
    assert_ok(lstm_model_add_dense(
        m, OPTIONS(lstm_dense, .units = C, .activation = LSTM_ACTIVATION_SOFTMAX), NULL, NULL));
    assert_ok(lstm_model_build(m));
    lstm_session *s = new_session(m, LSTM_YES, N, 0);
    assert_ok(lstm_session_forward(s, &data));
    assert_ok(lstm_session_loss(s, &loss, &data, NULL));
    for (size_t k = 0; k < LENGTH(wrong); k++) {
        y[5] = wrong[k]; /* sample 2, step 1 */
        assert_status_text(lstm_session_loss(s, &loss, &data, NULL), LSTM_ERROR_ARGUMENT,
                           "sample 2, step 1");
    }
    y[5] = 3;
    assert_ok(lstm_session_loss(s, &loss, &data, NULL));
    assert_ok(lstm_session_backward(s));
    lstm_session_destroy(s);
    lstm_model_destroy(m);
}

/* ---- Optimizer */

static void test_step_refuses_gradients_that_are_not_finite(void **state)
{
    lstm_model *m = NULL;
    lstm_model *twin = NULL;
    lstm_optimizer *optimizer = NULL;
    float x[4] = {0.5f, -0.5f, 0.25f, 1};
    const float r[1] = {NAN};
    (void)state;
    assert_ok(build_tutorial(&m, NULL, 2, 2, 3, 1));
    assert_ok(build_tutorial(&twin, NULL, 2, 2, 3, 1));
    assert_ok(lstm_optimizer_create(&optimizer, m, OPTIONS(lstm_optimizer, .clip_value = 1)));
    lstm_session *s = new_session(m, LSTM_YES, 1, 0);
    const lstm_data data = {.struct_size = sizeof data, .samples = 1, .x = x, .x_count = 4};
    assert_ok(lstm_session_forward(s, &data));
    assert_ok(lstm_session_set_output_gradient(s, 0, r, 1));
    assert_ok(lstm_session_backward(s));
    assert_status_text(lstm_optimizer_step(optimizer, s), LSTM_ERROR_NUMERIC, "lstm/kernel");
    assert_true(same_parameters(m, twin));
    assert_int_equal(lstm_optimizer_steps(optimizer), 0);
    lstm_session_destroy(s);
    lstm_optimizer_destroy(optimizer);
    lstm_model_destroy(m);
    lstm_model_destroy(twin);
}

static void test_learning_rate_can_be_read_and_set(void **state)
{
    lstm_model *m = NULL;
    lstm_optimizer *optimizer = NULL;
    (void)state;
    assert_ok(build_tutorial(&m, NULL, 2, 2, 3, 1));
    assert_status(lstm_optimizer_create(NULL, m, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_optimizer_create(&optimizer, NULL, NULL), LSTM_ERROR_ARGUMENT);
    assert_ok(lstm_optimizer_create(&optimizer, m,
                                    OPTIONS(lstm_optimizer, .optimizer = LSTM_OPTIMIZER_SGD)));
    assert_true(lstm_optimizer_learning_rate(optimizer) == 0.01);
    assert_ok(lstm_optimizer_set_learning_rate(optimizer, 0));
    assert_true(lstm_optimizer_learning_rate(optimizer) == 0);
    assert_ok(lstm_optimizer_set_learning_rate(optimizer, 0.25));
    assert_true(lstm_optimizer_learning_rate(optimizer) == 0.25);
    assert_status(lstm_optimizer_set_learning_rate(optimizer, -1), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_optimizer_set_learning_rate(optimizer, NAN), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_optimizer_set_learning_rate(optimizer, INFINITY), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_optimizer_set_learning_rate(NULL, 1), LSTM_ERROR_ARGUMENT);
    assert_true(lstm_optimizer_learning_rate(optimizer) == 0.25);
    lstm_optimizer_destroy(optimizer);
    lstm_model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manual_loop_learns),
        cmocka_unit_test(test_gradients_agree_with_finite_differences),
        cmocka_unit_test(test_outputs_without_a_gradient_count_as_zero),
        cmocka_unit_test(
            test_smaller_batches_and_other_numbers_of_steps_give_what_an_exact_plan_gives),
        cmocka_unit_test(test_both_layouts_give_the_same_numbers),
        cmocka_unit_test(test_backwards_is_forwards_on_the_reversed_sequence),
        cmocka_unit_test(test_a_batch_without_samples_is_harmless),
        cmocka_unit_test(test_session_create_rejects_bad_options),
        cmocka_unit_test(test_calls_in_the_wrong_order_are_refused),
        cmocka_unit_test(test_session_calls_reject_null_indices_and_counts),
        cmocka_unit_test(test_free_steps_are_checked_against_plan_and_count),
        cmocka_unit_test(test_several_inputs_and_targets_are_checked),
        cmocka_unit_test(test_class_numbers_out_of_range_name_sample_step_and_value),
        cmocka_unit_test(test_step_refuses_gradients_that_are_not_finite),
        cmocka_unit_test(test_learning_rate_can_be_read_and_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
