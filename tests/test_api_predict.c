/* SPDX-License-Identifier: MIT
 * lstm_evaluate and lstm_predict: over batches of any size, in both layouts, with several outputs;
 * their return codes.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <stdlib.h>
#include <string.h>

enum { T = 6, F = 3, O = 2, MOST = 130 };

static const int32_t metrics[] = {LSTM_METRIC_MAE, LSTM_METRIC_MSE, LSTM_METRIC_RMSE};

static void test_evaluate_is_the_mean_over_all_samples_whatever_the_batches(void **state)
{
    static const int32_t sizes[] = {0, 1, 2, 7, 32, 64, 100, 129, 130, 5000};
    lstm_model *m = NULL;
    float *x = new_numbers(MOST * T * F, 1);
    float *y = new_numbers(MOST * O, 2);
    float *p = new_numbers(MOST * O, 3);
    double squares = 0;
    double absolute = 0;
    (void)state;
    assert_ok(build_stack(&m, NULL));
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = MOST,
                            .x = x,
                            .x_count = MOST * T * F,
                            .y = y,
                            .y_count = MOST * O};
    assert_ok(lstm_predict(m, &data, p, MOST * O));
    for (size_t k = 0; k < MOST * O; k++) {
        squares += pow((double)p[k] - (double)y[k], 2) / (MOST * O);
        absolute += fabs((double)p[k] - (double)y[k]) / (MOST * O);
    }
    for (size_t k = 0; k < LENGTH(sizes); k++) {
        double values[4];
        assert_ok(lstm_evaluate(
            m,
            OPTIONS(lstm_evaluate, .batch_size = sizes[k], .metrics = metrics, .metric_count = 3),
            &data, values, 4));
        assert_true(fabs(values[0] - squares) < 1e-6);
        assert_true(fabs(values[1] - absolute) < 1e-6);
        assert_true(fabs(values[2] - squares) < 1e-6);
        assert_true(fabs(values[3] - sqrt(squares)) < 1e-6);
    }
    free(x);
    free(y);
    free(p);
    lstm_model_destroy(m);
}

/* Sample by sample is the reference; 64 samples is one internal batch, 65 and 130 are more than
 * one. */
static void test_predict_gives_each_sample_its_own_output(void **state)
{
    static const int64_t counts[] = {0, 1, 2, 63, 64, 65, 128, 130};
    lstm_model *m = NULL;
    float *x = new_numbers(MOST * T * F, 1);
    float single[MOST * O], all[MOST * O];
    (void)state;
    assert_ok(build_stack(&m, NULL));
    for (size_t n = 0; n < MOST; n++) {
        const lstm_data one = {
            .struct_size = sizeof one, .samples = 1, .x = x + n * T * F, .x_count = T * F};
        assert_ok(lstm_predict(m, &one, single + n * O, O));
    }
    for (size_t k = 0; k < LENGTH(counts); k++) {
        const size_t n = (size_t)counts[k];
        const lstm_data data = {
            .struct_size = sizeof data, .samples = counts[k], .x = x, .x_count = n * T * F};
        for (size_t v = 0; v < MOST * O; v++)
            all[v] = 77;
        assert_ok(lstm_predict(m, &data, all, n * O));
        assert_close("prediction", all, single, n * O, 1e-6, 0);
        for (size_t v = n * O; v < MOST * O; v++)
            assert_true(all[v] == 77);
    }
    free(x);
    lstm_model_destroy(m);
}

static void test_predict_without_samples_takes_null_arrays(void **state)
{
    lstm_model *m = NULL;
    float out[1] = {77};
    double value = 5;
    const lstm_data nothing = {.struct_size = sizeof nothing};
    (void)state;
    for (int64_t steps = 0; steps <= T; steps += T) {
        assert_ok(build_tutorial(&m, NULL, steps, F, 4, O));
        assert_ok(lstm_predict(m, &nothing, out, 0));
        assert_true(out[0] == 77);
        assert_ok(lstm_evaluate(m, NULL, &nothing, &value, 1));
        assert_true(value == 0);
        lstm_model_destroy(m);
    }
}

/* Sequences of any length through one model, in both layouts, more than one internal batch. */
static void test_sequences_come_out_in_the_layout_they_went_in(void **state)
{
    enum { N = 70 };
    lstm_model *m = NULL;
    (void)state;
    assert_ok(lstm_model_create(&m, NULL, OPTIONS(lstm_model, .seed = 2)));
    assert_ok(lstm_model_add_input(m, OPTIONS(lstm_input, .features = F), NULL));
    assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 5, .return_sequences = LSTM_YES),
                                  NULL, NULL));
    assert_ok(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = O), NULL, NULL));
    assert_ok(lstm_model_build(m));
    for (size_t steps = 1; steps <= 5; steps += 2) {
        float *x = new_numbers(N * steps * F, steps);
        float *xt = new_numbers(N * steps * F, 0);
        float *y = new_numbers(N * steps * O, 0);
        float *yt = new_numbers(N * steps * O, 0);
        for (size_t n = 0; n < N; n++)
            for (size_t t = 0; t < steps; t++)
                memcpy(xt + (t * N + n) * F, x + (n * steps + t) * F, F * sizeof *x);
        lstm_data data = {
            .struct_size = sizeof data, .samples = N, .x = x, .x_count = N * steps * F};
        assert_ok(lstm_predict(m, &data, y, N * steps * O));
        data.layout = LSTM_LAYOUT_TIME_FIRST;
        data.x = xt;
        assert_ok(lstm_predict(m, &data, yt, N * steps * O));
        for (size_t n = 0; n < N; n++)
            for (size_t t = 0; t < steps; t++)
                assert_memory_equal(yt + (t * N + n) * O, y + (n * steps + t) * O, O * sizeof *y);
        free(x);
        free(xt);
        free(y);
        free(yt);
    }
    lstm_model_destroy(m);
}

static void test_several_outputs_are_predicted_together(void **state)
{
    enum { N = 65 };
    static const size_t x_sizes[] = {N * EVERYTHING_STEPS * EVERYTHING_FEATURES,
                                     N * EVERYTHING_VECTOR};
    static const size_t y_each[] = {EVERYTHING_STEPS * 3, 4, 4};
    const size_t y_sizes[] = {N * y_each[0], N * y_each[1], N * y_each[2]};
    lstm_model *m = NULL;
    float *x[2], *y[3];
    lstm_session *session = NULL;
    (void)state;
    assert_ok(build_everything(&m, NULL, LSTM_PROFILE_KERAS, 4));
    for (size_t k = 0; k < 2; k++)
        x[k] = new_numbers(x_sizes[k], k);
    for (size_t k = 0; k < 3; k++)
        y[k] = new_numbers(y_sizes[k], 0);
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = N,
                            .inputs = (const float *const *)x,
                            .input_sizes = x_sizes,
                            .input_count = 2};
    assert_ok(lstm_predict_outputs(m, &data, y, y_sizes, 3));
    assert_ok(lstm_session_create(&session, m, OPTIONS(lstm_session, .batch = N)));
    assert_ok(lstm_session_forward(session, &data));
    for (size_t k = 0; k < 3; k++) {
        float *expected = new_numbers(y_sizes[k], 0);
        assert_ok(lstm_session_output(session, k, expected, y_sizes[k]));
        assert_close("output", y[k], expected, y_sizes[k], 1e-6, 0);
        free(expected);
    }
    assert_status_text(lstm_predict(m, &data, y[0], y_sizes[0]), LSTM_ERROR_STATE,
                       "lstm_predict_outputs");
    assert_status(lstm_predict_outputs(m, &data, y, y_sizes, 2), LSTM_ERROR_SHAPE);
    const size_t wrong_sizes[] = {y_sizes[0], y_sizes[1] + 1, y_sizes[2]};
    assert_status_text(lstm_predict_outputs(m, &data, y, wrong_sizes, 3), LSTM_ERROR_SHAPE, "tail");
    float *missing[] = {y[0], y[1], NULL};
    assert_status(lstm_predict_outputs(m, &data, missing, y_sizes, 3), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_predict_outputs(NULL, &data, y, y_sizes, 3), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_predict_outputs(m, &data, NULL, y_sizes, 3), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_predict_outputs(m, &data, y, NULL, 3), LSTM_ERROR_ARGUMENT);
    for (size_t k = 0; k < 2; k++)
        free(x[k]);
    for (size_t k = 0; k < 3; k++)
        free(y[k]);
    lstm_session_destroy(session);
    lstm_model_destroy(m);
}

static void test_predict_and_evaluate_reject_bad_calls(void **state)
{
    lstm_model *m = NULL;
    float x[2 * T * F], y[2 * O], out[2 * O];
    double values[2] = {7, 7};
    (void)state;
    fill_numbers(x, 2 * T * F, 1);
    fill_numbers(y, 2 * O, 2);
    assert_ok(build_stack(&m, NULL));
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = 2,
                            .x = x,
                            .x_count = 2 * T * F,
                            .y = y,
                            .y_count = 2 * O};
    assert_status(lstm_predict(NULL, &data, out, 2 * O), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_predict(m, NULL, out, 2 * O), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_predict(m, &data, NULL, 2 * O), LSTM_ERROR_ARGUMENT);
    assert_status_text(lstm_predict(m, &data, out, 3), LSTM_ERROR_SHAPE, "expected 4");
    lstm_data d = data;
    d.x_count = 5;
    assert_status_text(lstm_predict(m, &d, out, 2 * O), LSTM_ERROR_SHAPE, "expected 36");
    d = data;
    d.samples = INT64_MAX;
    assert_status(lstm_predict(m, &d, out, 2 * O), LSTM_ERROR_SHAPE);
    assert_status(lstm_evaluate(NULL, NULL, &data, values, 1), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_evaluate(m, NULL, NULL, values, 1), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_evaluate(m, NULL, &data, NULL, 1), LSTM_ERROR_ARGUMENT);
    assert_status_text(lstm_evaluate(m, NULL, &data, values, 2), LSTM_ERROR_SHAPE, "expected 1");
    d = data;
    d.y_count = 3;
    assert_status(lstm_evaluate(m, NULL, &d, values, 1), LSTM_ERROR_SHAPE);
    assert_true(values[0] == 7 && values[1] == 7);
    lstm_model_destroy(m);
}

static void test_dropout_acts_only_in_training(void **state)
{
    lstm_model *m = NULL;
    lstm_session *training = NULL;
    float x[T * F], a[O], b[O], c[O];
    (void)state;
    fill_numbers(x, T * F, 1);
    assert_ok(build_stack(&m, NULL));
    const lstm_data data = {.struct_size = sizeof data, .samples = 1, .x = x, .x_count = T * F};
    assert_ok(lstm_predict(m, &data, a, O));
    assert_ok(lstm_predict(m, &data, b, O));
    assert_memory_equal(a, b, sizeof a);
    assert_ok(lstm_session_create(
        &training, m, OPTIONS(lstm_session, .training = LSTM_YES, .batch = 1, .seed = 4)));
    assert_ok(lstm_session_forward(training, &data));
    assert_ok(lstm_session_output(training, 0, b, O));
    assert_memory_not_equal(a, b, sizeof a);
    assert_ok(lstm_session_forward(training, &data)); /* the next update draws another mask */
    assert_ok(lstm_session_output(training, 0, c, O));
    assert_memory_not_equal(c, b, sizeof c);
    lstm_session_destroy(training);
    lstm_model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evaluate_is_the_mean_over_all_samples_whatever_the_batches),
        cmocka_unit_test(test_predict_gives_each_sample_its_own_output),
        cmocka_unit_test(test_predict_without_samples_takes_null_arrays),
        cmocka_unit_test(test_sequences_come_out_in_the_layout_they_went_in),
        cmocka_unit_test(test_several_outputs_are_predicted_together),
        cmocka_unit_test(test_predict_and_evaluate_reject_bad_calls),
        cmocka_unit_test(test_dropout_acts_only_in_training),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
