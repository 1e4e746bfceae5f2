/* SPDX-License-Identifier: MIT
 * Splits for cross-validation, number for number those of scikit-learn; the learning-rate range test
 * on a problem whose losses are known.
 */
#include "api_checks.h"

#include <math.h>
#include <stdlib.h>

enum { MOST = 40 };

typedef struct parts {
    int64_t train[MOST], validation[MOST];
    int64_t trained, validated;
} parts;

static lstm_status split(const lstm_split_options *options, int64_t samples, int32_t fold,
                         parts *out)
{
    return lstm_split(options, samples, fold, out->train, &out->trained, out->validation,
                      &out->validated);
}

/* scikit-learn 1.9.1: first sample and number of the validation parts, samples to train. */
typedef struct known {
    int32_t kind, folds;
    int64_t samples, gap;
    int64_t first[7], count[7], train[7];
} known;

static const known of_sklearn[] = {
    {LSTM_SPLIT_FOLDS, 3, 10, 0, {0, 4, 7}, {4, 3, 3}, {6, 7, 7}},
    {LSTM_SPLIT_FOLDS, 4, 23, 0, {0, 6, 12, 18}, {6, 6, 6, 5}, {17, 17, 17, 18}},
    {LSTM_SPLIT_FOLDS,
     7,
     7,
     0,
     {0, 1, 2, 3, 4, 5, 6},
     {1, 1, 1, 1, 1, 1, 1},
     {6, 6, 6, 6, 6, 6, 6}},
    {LSTM_SPLIT_WALK_FORWARD, 3, 10, 0, {4, 6, 8}, {2, 2, 2}, {4, 6, 8}},
    {LSTM_SPLIT_WALK_FORWARD, 4, 23, 2, {7, 11, 15, 19}, {4, 4, 4, 4}, {5, 9, 13, 17}},
};

static void test_splits_are_those_of_scikit_learn(void **state)
{
    (void)state;
    for (size_t k = 0; k < LENGTH(of_sklearn); k++) {
        const known *e = &of_sklearn[k];
        const lstm_split_options options = {
            .struct_size = sizeof options, .kind = e->kind, .folds = e->folds, .gap = e->gap};
        for (int32_t fold = 0; fold < e->folds; fold++) {
            parts p;
            assert_ok(split(&options, e->samples, fold, &p));
            assert_int_equal(p.validated, e->count[fold]);
            assert_int_equal(p.trained, e->train[fold]);
            for (int64_t j = 0; j < p.validated; j++)
                assert_int_equal(p.validation[j], e->first[fold] + j);
            for (int64_t j = 0; j < p.trained;
                 j++) /* all others, in order; walking forward: the first */
                assert_int_equal(p.train[j], e->kind == LSTM_SPLIT_FOLDS && j >= e->first[fold]
                                                 ? j + e->count[fold]
                                                 : j);
        }
    }
}

static void test_shuffled_folds_take_each_sample_once_and_depend_on_the_seed(void **state)
{
    const lstm_split_options options = {
        .struct_size = sizeof options, .folds = 4, .shuffle = LSTM_YES, .seed = 6};
    const lstm_split_options other = {
        .struct_size = sizeof other, .folds = 4, .shuffle = LSTM_YES, .seed = 7};
    int seen[23] = {0};
    int same = 0;
    (void)state;
    for (int32_t fold = 0; fold < 4; fold++) {
        parts p, again, q;
        assert_ok(split(&options, 23, fold, &p));
        assert_ok(split(&options, 23, fold, &again));
        assert_ok(split(&other, 23, fold, &q));
        assert_memory_equal(p.validation, again.validation, (size_t)p.validated * sizeof(int64_t));
        same += memcmp(p.validation, q.validation, (size_t)p.validated * sizeof(int64_t)) == 0;
        int here[23] = {0};
        for (int64_t j = 0; j < p.validated; j++) {
            seen[p.validation[j]]++;
            here[p.validation[j]]++;
        }
        for (int64_t j = 0; j < p.trained; j++)
            here[p.train[j]]++;
        for (int j = 0; j < 23; j++)
            assert_int_equal(here[j], 1);
    }
    for (int j = 0; j < 23; j++)
        assert_int_equal(seen[j], 1);
    assert_true(same < 4);
}

static void test_splits_that_cannot_be_are_refused(void **state)
{
    parts p;
    (void)state;
    assert_status_text(split(NULL, 4, 0, &p), LSTM_ERROR_ARGUMENT, "5 folds of 4 samples");
    assert_status_text(split(NULL, 9, 5, &p), LSTM_ERROR_ARGUMENT, "fold is 5: expected 0 to 4");
    assert_status_text(split(OPTIONS(lstm_split, .kind = 3), 9, 0, &p), LSTM_ERROR_ARGUMENT,
                       "kind is 3");
    assert_status_text(split(OPTIONS(lstm_split, .folds = 1), 9, 0, &p), LSTM_ERROR_ARGUMENT,
                       "1 folds");
    assert_status_text(split(OPTIONS(lstm_split, .gap = 1), 9, 0, &p), LSTM_ERROR_ARGUMENT,
                       "belongs to walking");
    assert_status_text(
        split(OPTIONS(lstm_split, .kind = LSTM_SPLIT_WALK_FORWARD, .shuffle = LSTM_YES), 9, 0, &p),
        LSTM_ERROR_ARGUMENT, "shuffling to folds");
    assert_status_text(
        split(OPTIONS(lstm_split, .kind = LSTM_SPLIT_WALK_FORWARD, .gap = 4), 9, 0, &p),
        LSTM_ERROR_ARGUMENT, "leaves nothing");
    assert_status_text(
        split(OPTIONS(lstm_split, .kind = LSTM_SPLIT_WALK_FORWARD, .folds = 9), 9, 0, &p),
        LSTM_ERROR_ARGUMENT, "one before them");
    assert_status(split(OPTIONS(lstm_split, .shuffle = 3), 9, 0, &p), LSTM_ERROR_ARGUMENT);
    assert_status(split(OPTIONS(lstm_split, .reserved = 3), 9, 0, &p), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_split(NULL, 9, 0, NULL, NULL, NULL, NULL), LSTM_ERROR_ARGUMENT);
}

/* ---- The range test */

/* p = w x with x = 1, y = 1, w = 0: SGD at the rate r multiplies w - 1 by 1 - 2 r, so each loss is
 * known, and above the rate 1 they grow. */
static lstm_model *one_weight(void)
{
    static const float zero[1] = {0};
    lstm_model *model = NULL;
    assert_ok(lstm_model_create(&model, NULL, NULL));
    assert_ok(lstm_model_add_input(model, OPTIONS(lstm_input, .features = 1), NULL));
    assert_ok(lstm_model_add_dense(model, OPTIONS(lstm_dense, .units = 1, .use_bias = LSTM_NO),
                                   NULL, NULL));
    assert_ok(lstm_model_build(model));
    assert_ok(lstm_model_set_parameter(model, 0, zero, 1));
    return model;
}

static void test_the_range_test_gives_the_losses_of_growing_rates(void **state)
{
    static const float one[1] = {1};
    const lstm_data data = {
        .struct_size = sizeof data, .samples = 1, .x = one, .x_count = 1, .y = one, .y_count = 1};
    const lstm_optimizer_options sgd = {.struct_size = sizeof sgd, .optimizer = LSTM_OPTIMIZER_SGD};
    enum { STEPS = 60 };
    double rates[STEPS];
    double losses[STEPS];
    double average = 0;
    double distance = -1;
    float w = 9;
    lstm_rate_test_result result = {.struct_size = sizeof result};
    lstm_model *model = one_weight();
    (void)state;
    assert_ok(lstm_rate_test(model,
                             OPTIONS(lstm_rate_test, .lowest = 1e-3, .highest = 100, .steps = STEPS,
                                     .optimizer_options = &sgd),
                             &data, rates, losses, STEPS, &result));
    assert_in_range(result.count, 30, STEPS - 1); /* ended when the loss ran away */
    for (int32_t k = 0; k < result.count; k++) {
        const double rate = 1e-3 * pow(1e5, k / (double)(STEPS - 1));
        average = 0.9 * average + 0.1 * distance * distance;
        assert_true(fabs(rates[k] / rate - 1) < 1e-12);
        if (fabs(distance) > 1e-3) /* nearer, a float of about 1 has lost the digits */
            assert_true(fabs(losses[k] / (average / (1 - pow(0.9, k + 1))) - 1) < 1e-4);
        else
            break;
        distance *= 1 - 2 * rate;
    }
    assert_true(fabs(distance) < 1e-3);
    assert_true(result.steepest > 0 && result.steepest < result.lowest);
    assert_true(result.lowest > 0.3 &&
                result.lowest < 30); /* above 1 it grows, from what rounding left */
    assert_ok(lstm_model_get_parameter(model, 0, &w, 1));
    assert_true(w == 0); /* as before */
    lstm_model_destroy(model);
}

static void test_range_tests_that_cannot_be_are_refused(void **state)
{
    static const float one[1] = {1};
    const lstm_data data = {
        .struct_size = sizeof data, .samples = 1, .x = one, .x_count = 1, .y = one, .y_count = 1};
    double rates[10];
    double losses[10];
    lstm_rate_test_result result = {.struct_size = sizeof result};
    lstm_model *model = one_weight();
    (void)state;
    assert_status_text(lstm_rate_test(model, NULL, &data, rates, losses, 10, &result),
                       LSTM_ERROR_SHAPE, "room for 10 rates: expected 100");
    assert_status_text(lstm_rate_test(model, OPTIONS(lstm_rate_test, .lowest = 1, .highest = 0.1),
                                      &data, rates, losses, 10, &result),
                       LSTM_ERROR_ARGUMENT, "0 < lowest < highest");
    assert_status_text(lstm_rate_test(model, OPTIONS(lstm_rate_test, .stop = 1), &data, rates,
                                      losses, 10, &result),
                       LSTM_ERROR_ARGUMENT, "stop is 1");
    assert_status(lstm_rate_test(model, OPTIONS(lstm_rate_test, .reserved = 1), &data, rates,
                                 losses, 10, &result),
                  LSTM_ERROR_ARGUMENT);
    lstm_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits_are_those_of_scikit_learn),
        cmocka_unit_test(test_shuffled_folds_take_each_sample_once_and_depend_on_the_seed),
        cmocka_unit_test(test_splits_that_cannot_be_are_refused),
        cmocka_unit_test(test_the_range_test_gives_the_losses_of_growing_rates),
        cmocka_unit_test(test_range_tests_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
