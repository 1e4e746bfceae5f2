/* SPDX-License-Identifier: MIT
 * lstm_fit: what it refuses, and what it leaves behind when a number stops being finite.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <stdlib.h>
#include <string.h>

enum { N = STACK_SAMPLES, X = N * STACK_STEPS * STACK_FEATURES, Y = N * STACK_OUTPUTS };

typedef stack_task task;

/* ---- Numbers that stop being finite */

static void test_nan_in_the_data_names_epoch_batch_and_parameter(void **state)
{
    static const float bad[] = {NAN, INFINITY};
    task t;
    (void)state;
    for (size_t k = 0; k < LENGTH(bad); k++) {
        start_stack_task(&t);
        t.y[2 * 21] = bad[k]; /* sample 21: the sixth batch of 4 in order */
        lstm_model *m = new_sample_stack();
        lstm_model *before = new_sample_stack();
        lstm_history *history = (lstm_history *)m;
        const lstm_status status = lstm_fit(
            m, OPTIONS(lstm_fit, .epochs = 3, .batch_size = 4, .shuffle = LSTM_NO), &t.data,
            &history);
        assert_status_text(status, LSTM_ERROR_NUMERIC, "epoch 1, batch 6");
        assert_text_contains(lstm_last_error(), "lstm/kernel");
        assert_null(history);
        assert_ok(lstm_fit(before,
                           OPTIONS(lstm_fit, .max_steps = 5, .batch_size = 4, .shuffle = LSTM_NO),
                           &t.data, NULL));
        assert_true(same_parameters(m, before));
        lstm_model_destroy(m);
        lstm_model_destroy(before);
    }
    start_stack_task(&t);
    t.x[3] = NAN;
    lstm_model *m = new_sample_stack();
    lstm_model *untouched = new_sample_stack();
    assert_status_text(lstm_fit(m, OPTIONS(lstm_fit, .shuffle = LSTM_NO), &t.data, NULL),
                       LSTM_ERROR_NUMERIC, "batch 1");
    assert_true(same_parameters(m, untouched));
    t.x[3] = 0;
    t.x[(21 * STACK_STEPS + 2) * STACK_FEATURES + 1] =
        -INFINITY; /* found in any order of samples */
    assert_status_text(lstm_fit(m, OPTIONS(lstm_fit, .batch_size = 4), &t.data, NULL),
                       LSTM_ERROR_NUMERIC, ", sample 21, step 2, feature 1, is -inf");
    lstm_model_destroy(m);
    lstm_model_destroy(untouched);
}

/* Samples that only the validation sees may hold anything: its loss is NaN, training goes on. */
static int32_t mend_validation(void *user, const lstm_progress *progress)
{
    if (progress->event == LSTM_PROGRESS_EPOCH && progress->epoch == 1)
        *(float *)user = 0;
    return 0;
}

static void test_a_validation_loss_that_is_nan_never_counts_as_best(void **state)
{
    task t;
    lstm_history *history = NULL;
    (void)state;
    start_stack_task(&t);
    t.y[Y - 1] = NAN;
    lstm_model *m = new_sample_stack();
    assert_ok(
        lstm_fit(m,
                 OPTIONS(lstm_fit, .epochs = 4, .early_stopping = 10, .validation_split = 0.25,
                         .progress = mend_validation, .progress_user = &t.y[Y - 1]),
                 &t.data, &history));
    assert_true(isnan(lstm_history_value(history, 0, 1)));
    assert_true(isfinite(lstm_history_value(history, 1, 1)));
    assert_true(lstm_history_best(history) > 0);
    lstm_history_destroy(history);
    lstm_model_destroy(m);
}

/* ---- Return codes */

static void test_fit_rejects_bad_calls_and_changes_nothing(void **state)
{
    task t;
    lstm_optimizer *foreign = NULL;
    (void)state;
    start_stack_task(&t);
    lstm_model *m = new_sample_stack();
    lstm_model *other = new_sample_stack();
    lstm_history *history = (lstm_history *)m;
    const lstm_optimizer_options bad_optimizer = {.struct_size = sizeof bad_optimizer, .beta_1 = 2};
    const lstm_loss_options bad_loss = {.struct_size = sizeof bad_loss, .loss = 99};
    const lstm_loss_options sparse = {.struct_size = sizeof sparse,
                                      .loss = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY};
    assert_ok(lstm_optimizer_create(&foreign, other, NULL));
    assert_status(lstm_fit(NULL, NULL, &t.data, &history), LSTM_ERROR_ARGUMENT);
    assert_null(history);
    assert_status(lstm_fit(m, NULL, NULL, NULL), LSTM_ERROR_ARGUMENT);
    lstm_data d = t.data;
    d.samples = 0;
    d.x_count = d.y_count = 0;
    assert_status_text(lstm_fit(m, NULL, &d, NULL), LSTM_ERROR_ARGUMENT, "no samples");
    assert_status_text(lstm_fit(m, OPTIONS(lstm_fit, .validation = &d), &t.data, NULL),
                       LSTM_ERROR_ARGUMENT, "validation");
    d = t.data;
    d.y = NULL;
    assert_status(lstm_fit(m, NULL, &d, NULL), LSTM_ERROR_ARGUMENT);
    d = t.data;
    d.x_count--;
    assert_status(lstm_fit(m, NULL, &d, NULL), LSTM_ERROR_SHAPE);
    assert_status_text(lstm_fit(m, OPTIONS(lstm_fit, .validation = &d), &t.data, NULL),
                       LSTM_ERROR_SHAPE, "validation");
    d = t.data;
    d.y_count--;
    assert_status(lstm_fit(m, NULL, &d, NULL), LSTM_ERROR_SHAPE);
    d = t.data;
    d.samples = INT64_C(1) << 62;
    assert_status(lstm_fit(m, NULL, &d, NULL), LSTM_ERROR_SHAPE);
    assert_status(lstm_fit(m, OPTIONS(lstm_fit, .validation_split = 0.999), &t.data, NULL),
                  LSTM_ERROR_ARGUMENT);
    assert_status(lstm_fit(m, OPTIONS(lstm_fit, .optimizer = foreign), &t.data, NULL),
                  LSTM_ERROR_ARGUMENT);
    assert_status(
        lstm_fit(m, OPTIONS(lstm_fit, .optimizer = foreign, .optimizer_options = &bad_optimizer),
                 &t.data, NULL),
        LSTM_ERROR_ARGUMENT);
    assert_status(
        lstm_fit(m, OPTIONS(lstm_fit, .optimizer_options = &bad_optimizer), &t.data, NULL),
        LSTM_ERROR_ARGUMENT);
    assert_status(lstm_fit(m, OPTIONS(lstm_fit, .loss = &bad_loss), &t.data, NULL),
                  LSTM_ERROR_ARGUMENT);
    assert_status(
        lstm_fit(m, OPTIONS(lstm_fit, .checkpoint = "no/such/folder/c.lstm"), &t.data, NULL),
        LSTM_ERROR_IO);
    lstm_model_destroy(m);
    m = new_sample_stack();
    /* A class number out of range in the last batch is found before the first update. */
    float classes[N] = {0};
    classes[N - 1] = STACK_OUTPUTS;
    d = t.data;
    d.y = classes;
    d.y_count = N;
    assert_status_text(
        lstm_fit(m, OPTIONS(lstm_fit, .loss = &sparse, .batch_size = 4, .shuffle = LSTM_NO), &d,
                 NULL),
        LSTM_ERROR_ARGUMENT, "sample 39");
    assert_true(same_parameters(m, other));
    assert_ok(lstm_fit(m, OPTIONS(lstm_fit, .epochs = 3, .initial_epoch = 3), &t.data,
                       &history)); /* nothing left to do */
    assert_int_equal(lstm_history_epochs(history), 0);
    assert_true(same_parameters(m, other));
    lstm_history_destroy(history);
    lstm_optimizer_destroy(foreign);
    lstm_model_destroy(m);
    lstm_model_destroy(other);
}

static int32_t spoil_class(void *user, const lstm_progress *progress)
{
    (void)progress;
    *(float *)user = 1e9f;
    return 0;
}

/* The callback may write to the data, though it should not: the class number indexes no array
 * unchecked. Where padding or class weights look at it again it is named, else it is a target that
 * no class has. */
static void test_class_numbers_are_checked_again_before_they_are_used(void **state)
{
    static const float weights[STACK_OUTPUTS] = {1, 1};
    int32_t lengths[N];
    task t;
    float classes[N] = {0};
    const lstm_loss_options sparse = {.struct_size = sizeof sparse,
                                      .loss = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY};
    lstm_fit_options options = {.struct_size = sizeof options,
                                .epochs = 2,
                                .loss = &sparse,
                                .batch_size = 4,
                                .progress = spoil_class,
                                .progress_user = &classes[9]};
    (void)state;
    start_stack_task(&t);
    t.data.y = classes;
    t.data.y_count = N;
    lstm_model *m = new_sample_stack();
    assert_ok(lstm_fit(m, &options, &t.data, NULL));
    classes[9] = 0;
    options.class_weights = weights;
    options.class_weight_count = STACK_OUTPUTS;
    assert_status_text(lstm_fit(m, &options, &t.data, NULL), LSTM_ERROR_ARGUMENT, "sample 9");
    classes[9] = 0;
    for (size_t k = 0; k < N; k++)
        lengths[k] = STACK_STEPS;
    options.class_weights = NULL;
    options.class_weight_count = 0;
    t.data.lengths = lengths;
    t.data.lengths_count = N;
    assert_status_text(lstm_fit(m, &options, &t.data, NULL), LSTM_ERROR_ARGUMENT, "sample 9");
    lstm_model_destroy(m);
}

static void test_a_huge_batch_size_costs_no_more_than_the_data(void **state)
{
    task t;
    (void)state;
    start_stack_task(&t);
    lstm_model *m = new_sample_stack();
    double value = 0;
    assert_ok(lstm_fit(m, OPTIONS(lstm_fit, .batch_size = INT32_MAX, .validation_split = 0.5),
                       &t.data, NULL));
    assert_ok(
        lstm_evaluate(m, OPTIONS(lstm_evaluate, .batch_size = INT32_MAX), &t.data, &value, 1));
    lstm_model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nan_in_the_data_names_epoch_batch_and_parameter),
        cmocka_unit_test(test_a_validation_loss_that_is_nan_never_counts_as_best),
        cmocka_unit_test(test_fit_rejects_bad_calls_and_changes_nothing),
        cmocka_unit_test(test_class_numbers_are_checked_again_before_they_are_used),
        cmocka_unit_test(test_a_huge_batch_size_costs_no_more_than_the_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
