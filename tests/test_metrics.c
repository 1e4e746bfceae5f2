/* SPDX-License-Identifier: MIT
 * Metrics against scikit-learn 1.9 and jiwer 4 on numbers from a formula: in evaluate, in fit with
 * validation and resume, and on arrays.
 */
#include "api_checks.h"
#include "counting_allocator.h"

#include <stdio.h>
#include <stdlib.h>

static uint32_t hash(uint64_t k)
{
    return (uint32_t)((k * 2654435761u) & 0xFFFFFFFFu) >> 16;
}

static float number(uint64_t k)
{
    return (float)(hash(k) % 2048) / 512 - 2;
}

enum { N = 300, C = 7 };
static float scores[N * C];
static float classes[N];
static int32_t actual[N];
static int32_t predicted[N];
static float one_hot[N * C];

static int start(void **state)
{
    (void)state;
    for (size_t k = 0; k < N * C; k++)
        scores[k] = number(k);
    for (size_t r = 0; r < N; r++) {
        for (int32_t c = 1; c < C; c++)
            if (scores[r * C + (size_t)c] > scores[r * C + (size_t)predicted[r]])
                predicted[r] = c;
        actual[r] = hash(500 + r) % 3 ? (int32_t)(hash(9000 + r) % 6) : predicted[r];
        actual[r] = actual[r] == 5 ? 4 : actual[r]; /* 5 and 6 are mostly predicted only */
        classes[r] = (float)actual[r];
        one_hot[r * C + (size_t)actual[r]] = 1;
    }
    return 0;
}

/* A model that gives its input back. */
static lstm_model *echo(int64_t features, int32_t activation)
{
    lstm_model *model = NULL;
    assert_ok(lstm_model_create(&model, NULL, NULL));
    assert_ok(lstm_model_add_input(
        model, OPTIONS(lstm_input, .vector = LSTM_YES, .features = features), NULL));
    assert_ok(lstm_model_add_activation(model, OPTIONS(lstm_activation, .activation = activation),
                                        NULL, NULL));
    assert_ok(lstm_model_build(model));
    return model;
}

static void assert_near(const char *name, double found, double expected)
{
    if (!(fabs(found - expected) <= 2e-6 * fmax(1, fabs(expected))))
        fail_msg("%s: %.9g, expected %.9g", name, found, expected);
}

static const int32_t metrics[] = {LSTM_METRIC_PRECISION,    LSTM_METRIC_RECALL,
                                  LSTM_METRIC_F1,           LSTM_METRIC_PRECISION_MICRO,
                                  LSTM_METRIC_RECALL_MICRO, LSTM_METRIC_F1_MICRO,
                                  LSTM_METRIC_ACCURACY,     LSTM_METRIC_TOP_5_ACCURACY,
                                  LSTM_METRIC_PERPLEXITY,   LSTM_METRIC_BITS_PER_CHARACTER};
static const double expected_classes[] = {0.361981156, 0.416465326, 0.342020049, 0.39,
                                          0.39,        0.39,        0.39,        0.786666667,
                                          8.13140261,  3.02350423};

/* precision_recall_fscore_support (macro, micro), top_k_accuracy_score, log_loss; from logits,
 * through softmax, from class numbers and one-hot rows, whatever the batch. */
static void test_metrics_of_classes_are_those_of_scikit_learn(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        const bool sparse = form % 2 == 0;
        const bool softmax = form > 1;
        double values[1 + LENGTH(metrics)];
        int64_t matrix[C * C];
        lstm_model *model = echo(C, softmax ? LSTM_ACTIVATION_SOFTMAX : LSTM_ACTIVATION_LINEAR);
        const lstm_loss_options loss = {.struct_size = sizeof loss,
                                        .loss = sparse ? LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY
                                                       : LSTM_LOSS_CATEGORICAL_CROSSENTROPY,
                                        .label_smoothing = 0.1f,
                                        .from_logits = softmax ? LSTM_NO : LSTM_YES};
        const lstm_data data = {.struct_size = sizeof data,
                                .samples = N,
                                .x = scores,
                                .x_count = N * C,
                                .y = sparse ? classes : one_hot,
                                .y_count = sparse ? N : N * C};
        assert_ok(lstm_evaluate(model,
                                OPTIONS(lstm_evaluate, .loss = &loss, .metrics = metrics,
                                        .metric_count = LENGTH(metrics), .batch_size = 17 + form,
                                        .confusion = matrix, .confusion_count = C * C),
                                &data, values, LENGTH(values)));
        for (size_t k = 0; k < LENGTH(metrics); k++)
            assert_near(lstm_constant_name(LSTM_NAMES_METRIC, metrics[k]), values[1 + k],
                        expected_classes[k]);
        static const int64_t row_4[C] = {10, 6, 9, 15, 38, 19, 10};
        assert_memory_equal(matrix + 4 * C, row_4, sizeof row_4);
        lstm_model_destroy(model);
    }
}

/* average="binary" of one feature; macro and micro of three features that are there or not. */
static void test_metrics_of_yes_and_no_are_those_of_scikit_learn(void **state)
{
    static const double expected[2][6] = {
        {0.758389262, 0.957627119, 0.846441948, 0.758389262, 0.957627119, 0.846441948},
        {0.606216222, 0.801234433, 0.690163986, 0.60619469, 0.801169591, 0.690176322}};
    (void)state;
    for (int many = 0; many < 2; many++)
        for (int logits = 0; logits < 2; logits++) {
            const size_t width = many ? 3 : 1;
            float x[N * 3];
            float y[N * 3];
            double values[7];
            int64_t matrix[4];
            lstm_model *model = echo((int64_t)width,
                                     logits ? LSTM_ACTIVATION_LINEAR : LSTM_ACTIVATION_SIGMOID);
            for (size_t r = 0; r < N; r++)
                for (size_t f = 0; f < width; f++) {
                    const double p = (double)scores[r * C + f];
                    x[r * width + f] = scores[r * C + f];
                    y[r * width + f] = many ? (double)number(7000 + r * 3 + f) + p > 0.5
                                            : p + (double)scores[r * C + 1] * 0.7 > 0.2;
                }
            const lstm_loss_options loss = {.struct_size = sizeof loss,
                                            .loss = LSTM_LOSS_BINARY_CROSSENTROPY,
                                            .from_logits = logits ? LSTM_YES : LSTM_NO};
            const lstm_data data = {.struct_size = sizeof data,
                                    .samples = N,
                                    .x = x,
                                    .x_count = N * width,
                                    .y = y,
                                    .y_count = N * width};
            lstm_evaluate_options options = {.struct_size = sizeof options,
                                             .loss = &loss,
                                             .metrics = metrics,
                                             .metric_count = 6,
                                             .confusion = many ? NULL : matrix,
                                             .confusion_count = many ? 0 : 4};
            assert_ok(lstm_evaluate(model, &options, &data, values, 7));
            for (size_t k = 0; k < 6; k++)
                assert_near(lstm_constant_name(LSTM_NAMES_METRIC, metrics[k]), values[1 + k],
                            expected[many][k]);
            if (!many) {
                assert_true(matrix[0] == 146 && matrix[1] == 36);
                assert_true(matrix[2] == 5 && matrix[3] == 113);
            } else {
                options.confusion = matrix;
                options.confusion_count = 4;
                assert_status_text(lstm_evaluate(model, &options, &data, values, 7),
                                   LSTM_ERROR_ARGUMENT, "confusion matrix");
            }
            lstm_model_destroy(model);
        }
}

/* Rows of weight 0 do not count; the others count alike. */
static void test_rows_of_no_weight_are_not_counted(void **state)
{
    float weights[N];
    double whole[4];
    double part[4];
    int64_t matrix[C * C];
    int64_t sum = 0;
    (void)state;
    lstm_model *model = echo(C, LSTM_ACTIVATION_LINEAR);
    const lstm_loss_options loss = {.struct_size = sizeof loss,
                                    .loss = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
                                    .from_logits = LSTM_YES};
    for (size_t r = 0; r < N; r++)
        weights[r] = r < 100 ? (float)(1 + r % 3) : 0;
    lstm_data data = {.struct_size = sizeof data,
                      .samples = N,
                      .x = scores,
                      .x_count = N * C,
                      .y = classes,
                      .y_count = N,
                      .sample_weights = weights,
                      .sample_weight_count = N};
    const lstm_evaluate_options options = {.struct_size = sizeof options,
                                           .loss = &loss,
                                           .metrics = metrics,
                                           .metric_count = 3,
                                           .confusion = matrix,
                                           .confusion_count = C * C};
    assert_ok(lstm_evaluate(model, &options, &data, part, 4));
    for (size_t k = 0; k < C * C; k++)
        sum += matrix[k];
    assert_int_equal(sum, 100);
    data.samples = 100;
    data.x_count = 100 * C;
    data.y_count = 100;
    data.sample_weights = NULL;
    data.sample_weight_count = 0;
    assert_ok(lstm_evaluate(model, &options, &data, whole, 4));
    for (size_t k = 1; k < 4; k++)
        assert_near("of a part", part[k], whole[k]);
    lstm_model_destroy(model);
}

static int32_t stop_at(void *user, const lstm_progress *progress)
{
    return progress->step >= *(const int64_t *)user;
}

/* Counts of an epoch that was broken off are in the checkpoint; validation has its own. */
static void test_an_epoch_in_two_pieces_counts_all_its_classes(void **state)
{
    const char *path = "metrics.checkpoint";
    lstm_history *history[2] = {NULL, NULL};
    lstm_model *model[2];
    const int64_t stop = 3;
    (void)state;
    const lstm_loss_options loss = {.struct_size = sizeof loss,
                                    .loss = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
                                    .from_logits = LSTM_YES};
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = N,
                            .x = scores,
                            .x_count = N * C,
                            .y = classes,
                            .y_count = N};
    lstm_fit_options options = {.struct_size = sizeof options,
                                .loss = &loss,
                                .epochs = 2,
                                .metrics = metrics,
                                .metric_count = 10,
                                .validation_split = 0.3};
    for (int k = 0; k < 2; k++) {
        assert_ok(lstm_model_create(&model[k], NULL, NULL));
        assert_ok(lstm_model_add_input(
            model[k], OPTIONS(lstm_input, .vector = LSTM_YES, .features = C), NULL));
        assert_ok(lstm_model_add_dense(model[k], OPTIONS(lstm_dense, .units = C), NULL, NULL));
        assert_ok(lstm_model_build(model[k]));
    }
    assert_ok(lstm_fit(model[0], &options, &data, &history[0]));
    options.checkpoint = path;
    options.progress = stop_at;
    options.progress_user = (void *)(uintptr_t)&stop;
    assert_status(lstm_fit(model[1], &options, &data, NULL), LSTM_ERROR_CANCELLED);
    options.checkpoint = NULL;
    options.progress = NULL;
    options.resume = path;
    assert_ok(lstm_fit(model[1], &options, &data, &history[1]));
    assert_int_equal(lstm_history_epochs(history[1]), 2);
    assert_string_equal(lstm_history_name(history[0], 1), "precision");
    assert_string_equal(lstm_history_name(history[0], 12), "val_precision");
    for (size_t epoch = 0; epoch < 2; epoch++)
        for (size_t column = 0; column < lstm_history_columns(history[0]); column++)
            if (lstm_history_value(history[0], epoch, column) !=
                lstm_history_value(history[1], epoch, column))
                fail_msg("epoch %zu, %s: %.9g, in one go %.9g", epoch,
                         lstm_history_name(history[0], column),
                         lstm_history_value(history[1], epoch, column),
                         lstm_history_value(history[0], epoch, column));
    remove(path);
    for (int k = 0; k < 2; k++) {
        lstm_history_destroy(history[k]);
        lstm_model_destroy(model[k]);
    }
}

static void test_metrics_of_arrays_are_those_of_scikit_learn(void **state)
{
    static const double means[3][3] = {{0.39, 0.39, 0.39},
                                       {0.361981156, 0.416465326, 0.342020049},
                                       {0.486931075, 0.39, 0.413961376}};
    static const double class_4[3] = {0.575757576, 0.355140187, 0.439306358};
    int64_t matrix[C * C];
    double found[3 * (C + 3)];
    double accuracy = 0;
    (void)state;
    assert_ok(lstm_confusion_matrix(actual, predicted, N, C, matrix, C * C));
    assert_ok(lstm_confusion_scores(matrix, C, found, LENGTH(found)));
    for (size_t k = 0; k < 9; k++)
        assert_near("a mean", found[3 * C + k], means[k / 3][k % 3]);
    for (size_t k = 0; k < 3; k++)
        assert_near("class 4", found[3 * 4 + k], class_4[k]);
    assert_ok(lstm_top_k_accuracy(scores, actual, N, C, 2, &accuracy));
    assert_near("top 2", accuracy, 0.513333333);
    assert_ok(lstm_top_k_accuracy(scores, actual, N, C, 100, &accuracy));
    assert_true(accuracy == 1);
    /* bad input */
    assert_status(lstm_confusion_matrix(actual, predicted, N, C, matrix, C), LSTM_ERROR_SHAPE);
    assert_status_text(lstm_confusion_matrix(actual, predicted, N, 3, matrix, 9),
                       LSTM_ERROR_ARGUMENT, "expected 0 to 2");
    assert_status(lstm_confusion_scores(matrix, C, found, 4), LSTM_ERROR_SHAPE);
    assert_status(lstm_top_k_accuracy(scores, actual, N, C, 0, &accuracy), LSTM_ERROR_ARGUMENT);
    static const int64_t nothing[4] = {0};
    assert_ok(lstm_confusion_scores(nothing, 2, found, 15));
    for (size_t k = 0; k < 15; k++)
        assert_true(found[k] == 0);
}

/* The distance by its definition, without remembering anything. */
static size_t distance_of(const int32_t *a, size_t n, const int32_t *b, size_t m)
{
    if (n == 0 || m == 0)
        return n + m;
    const size_t both = distance_of(a + 1, n - 1, b + 1, m - 1) + (a[0] != b[0]);
    const size_t left = distance_of(a + 1, n - 1, b, m) + 1;
    const size_t right = distance_of(a, n, b + 1, m - 1) + 1;
    const size_t least = left < right ? left : right;
    return both < least ? both : least;
}

static void test_edit_distances_are_the_smallest_numbers_of_changes(void **state)
{
    (void)state;
    for (uint64_t k = 0; k < 60; k++) {
        int32_t a[6];
        int32_t b[6];
        size_t found = 0;
        for (uint64_t j = 0; j < 6; j++) {
            a[j] = (int32_t)(hash(k * 100 + j) % 3);
            b[j] = (int32_t)(hash(k * 100 + j + 50) % 3);
        }
        assert_ok(lstm_edit_distance(NULL, a, k % 7, b, k / 7 % 7, &found));
        assert_int_equal(found, distance_of(a, k % 7, b, k / 7 % 7));
    }
}

/* jiwer.wer gives 5 of 8 words, jiwer.cer 15 of 47 characters. */
static void test_error_rates_of_texts_are_those_of_jiwer(void **state)
{
    const char *reference = "der schnelle Fuchs springt \xC3\xBC"
                            "ber den faulen Hund";
    const char *text = "der schnell Fuchs sprang ueber den Hund hinweg";
    size_t errors = 0;
    size_t units = 0;
    (void)state;
    assert_ok(lstm_text_errors(NULL, reference, text, LSTM_UNIT_WORD, &errors, &units));
    assert_true(errors == 5 && units == 8);
    assert_ok(lstm_text_errors(NULL, reference, text, LSTM_UNIT_CHARACTER, &errors, &units));
    assert_true(errors == 15 && units == 47);
    assert_ok(lstm_text_errors(NULL, "", "a b", LSTM_UNIT_WORD, &errors, &units));
    assert_true(errors == 2 && units == 0);
    /* bytes that are no UTF-8 are units of their own, and nothing behind the text is read */
    assert_ok(lstm_text_errors(NULL, "\xFF\xC3", "\xC3", LSTM_UNIT_CHARACTER, &errors, &units));
    assert_true(errors == 1 && units == 2);
    assert_ok(lstm_text_errors(NULL, "  a\n b\t", "a b", LSTM_UNIT_WORD, &errors, &units));
    assert_true(errors == 0 && units == 2);
    assert_status(lstm_text_errors(NULL, "a", "b", 3, &errors, &units), LSTM_ERROR_ARGUMENT);
    counting_allocator allocator = {0};
    lstm_context *context = counting_allocator_context(&allocator);
    for (size_t n = 1; n <= 4; n++) {
        allocator.refuse = allocator.calls + n;
        assert_status(lstm_text_errors(context, "a", "b", LSTM_UNIT_WORD, &errors, &units),
                      LSTM_ERROR_MEMORY);
    }
    lstm_context_destroy(context);
    assert_nothing_left(&allocator);
}

static void test_metrics_that_do_not_go_with_a_loss_are_refused(void **state)
{
    static const int32_t wrong[] = {LSTM_METRIC_TOP_5_ACCURACY, LSTM_METRIC_PERPLEXITY,
                                    LSTM_METRIC_BITS_PER_CHARACTER, LSTM_METRIC_LABEL_ERROR_RATE};
    double values[2];
    (void)state;
    lstm_model *model = echo(C, LSTM_ACTIVATION_LINEAR);
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = N,
                            .x = scores,
                            .x_count = N * C,
                            .y = one_hot,
                            .y_count = N * C};
    for (size_t k = 0; k < LENGTH(wrong); k++)
        assert_status_text(
            lstm_evaluate(model, OPTIONS(lstm_evaluate, .metrics = &wrong[k], .metric_count = 1),
                          &data, values, 2),
            LSTM_ERROR_ARGUMENT, lstm_constant_name(LSTM_NAMES_METRIC, wrong[k]));
    lstm_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics_of_classes_are_those_of_scikit_learn),
        cmocka_unit_test(test_metrics_of_yes_and_no_are_those_of_scikit_learn),
        cmocka_unit_test(test_rows_of_no_weight_are_not_counted),
        cmocka_unit_test(test_an_epoch_in_two_pieces_counts_all_its_classes),
        cmocka_unit_test(test_metrics_of_arrays_are_those_of_scikit_learn),
        cmocka_unit_test(test_edit_distances_are_the_smallest_numbers_of_changes),
        cmocka_unit_test(test_error_rates_of_texts_are_those_of_jiwer),
        cmocka_unit_test(test_metrics_that_do_not_go_with_a_loss_are_refused),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
