/* SPDX-License-Identifier: MIT
 * CTC as a loss of models: fit, evaluate and sessions; lengths, masks and weights; softmax outputs;
 * metrics; bad labels; memory.
 */
#include "api_checks.h"
#include "counting_allocator.h"
#include "sample_models.h"

#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES = 24, STEPS = 14, FEATURES = 4, LABELS = 3, CLASSES = 4 };

/* Sequences in which each label shows as two steps of its own feature, among noise. */
typedef struct task {
    float x[SAMPLES * STEPS * FEATURES];
    int32_t labels[SAMPLES * LABELS];
    int32_t lengths[SAMPLES];
    lstm_data data;
} task;

static void make_task(task *t)
{
    fill_numbers(t->x, LENGTH(t->x), 5);
    for (size_t k = 0; k < LENGTH(t->x); k++)
        t->x[k] *= 0.2f;
    for (int b = 0; b < SAMPLES; b++) {
        t->lengths[b] = STEPS - b % 4;
        for (int j = 0; j < LABELS; j++) {
            const bool there = j <= b % 3;
            const int label = 1 + (b * 5 + j * (1 + b % 2)) % 3;
            t->labels[b * LABELS + j] = there ? label : -1;
            for (int s = 0; there && s < 2; s++)
                t->x[(b * STEPS + 1 + 3 * j + s) * FEATURES + label] += 1;
        }
    }
    t->data = (lstm_data){.struct_size = sizeof t->data,
                          .samples = SAMPLES,
                          .x = t->x,
                          .x_count = LENGTH(t->x),
                          .labels = t->labels,
                          .labels_count = LENGTH(t->labels),
                          .lengths = t->lengths,
                          .lengths_count = SAMPLES};
}

static lstm_model *network(lstm_context *context, int32_t activation)
{
    lstm_model *model = NULL;
    assert_ok(lstm_model_create(&model, context, NULL));
    assert_ok(lstm_model_add_input(model, OPTIONS(lstm_input, .features = FEATURES), NULL));
    assert_ok(lstm_model_add_lstm(model, OPTIONS(lstm_lstm, .units = 12, .return_sequences = 1),
                                  NULL, NULL));
    assert_ok(lstm_model_add_dense(
        model, OPTIONS(lstm_dense, .units = CLASSES, .activation = activation), NULL, NULL));
    assert_ok(lstm_model_build(model));
    return model;
}

static void test_fit_learns_to_label_and_metrics_say_so(void **state)
{
    static const int32_t metrics[] = {LSTM_METRIC_LABEL_ERROR_RATE, LSTM_METRIC_ACCURACY};
    task t;
    lstm_history *history = NULL;
    double values[3];
    (void)state;
    make_task(&t);
    lstm_model *model = network(NULL, LSTM_ACTIVATION_LINEAR);
    const lstm_loss_options loss = {.struct_size = sizeof loss, .loss = LSTM_LOSS_CTC};
    const lstm_evaluate_options evaluate = {.struct_size = sizeof evaluate,
                                            .loss = &loss,
                                            .metrics = metrics,
                                            .metric_count = 2,
                                            .batch_size = 5};
    assert_ok(lstm_evaluate(model, &evaluate, &t.data, values, 3));
    const double before = values[0];
    assert_ok(lstm_fit(model,
                       OPTIONS(lstm_fit, .epochs = 150, .batch_size = 8, .loss = &loss,
                               .metrics = metrics, .metric_count = 2, .validation = &t.data,
                               .optimizer_options = OPTIONS(lstm_optimizer, .learning_rate = 0.02)),
                       &t.data, &history));
    assert_string_equal(lstm_history_name(history, 1), "label_error_rate");
    assert_string_equal(lstm_history_name(history, 4), "val_label_error_rate");
    assert_ok(lstm_evaluate(model, &evaluate, &t.data, values, 3));
    print_message("loss %g to %g, label errors %g, right %g\n", before, values[0], values[1],
                  values[2]);
    assert_true(values[0] < 0.1 * before);
    assert_true(values[1] < 0.05);
    assert_true(values[2] > 0.9);
    const double last = lstm_history_value(history, lstm_history_epochs(history) - 1, 3);
    assert_true(fabs(last - values[0]) < 1e-5 * values[0]);
    lstm_history_destroy(history);
    lstm_model_destroy(model);
}

/* A batch with lengths is what its samples give one by one. */
static void test_a_padded_batch_is_its_samples_one_by_one(void **state)
{
    task t;
    double values[1];
    double sum = 0;
    (void)state;
    make_task(&t);
    lstm_model *model = network(NULL, LSTM_ACTIVATION_LINEAR);
    const lstm_loss_options loss = {.struct_size = sizeof loss, .loss = LSTM_LOSS_CTC};
    const lstm_evaluate_options options = {.struct_size = sizeof options, .loss = &loss};
    for (int64_t b = 0; b < SAMPLES; b++) {
        int32_t count = 0;
        while (count < LABELS && t.labels[b * LABELS + count] >= 0)
            count++;
        const lstm_data one = {.struct_size = sizeof one,
                               .samples = 1,
                               .x = t.x + b * STEPS * FEATURES,
                               .x_count = (size_t)(t.lengths[b] * FEATURES),
                               .labels = t.labels + b * LABELS,
                               .labels_count = LABELS,
                               .label_lengths = &count,
                               .label_lengths_count = 1};
        assert_ok(lstm_evaluate(model, &options, &one, values, 1));
        sum += values[0];
    }
    assert_ok(lstm_evaluate(model, &options, &t.data, values, 1));
    assert_true(fabs(values[0] - sum / SAMPLES) < 1e-5 * values[0]);
    lstm_model_destroy(model);
}

static void test_a_softmax_layer_is_gone_through(void **state)
{
    task t;
    float *gradient[2];
    double loss[2];
    size_t count = 0;
    (void)state;
    make_task(&t);
    for (int k = 0; k < 2; k++) {
        lstm_session *session = NULL;
        lstm_model *model = network(NULL,
                                    k == 0 ? LSTM_ACTIVATION_LINEAR : LSTM_ACTIVATION_SOFTMAX);
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_session_create(&session, model,
                                      OPTIONS(lstm_session, .training = LSTM_YES, .batch = SAMPLES,
                                              .steps = STEPS, .labels = LABELS)));
        assert_ok(lstm_session_forward(session, &t.data));
        assert_ok(lstm_session_loss(session, OPTIONS(lstm_loss, .loss = LSTM_LOSS_CTC), &t.data,
                                    &loss[k]));
        assert_ok(lstm_session_backward(session));
        assert_ok(lstm_model_parameter_info(model, 0, &info));
        count = info.count;
        gradient[k] = malloc(count * sizeof(float));
        assert_ok(lstm_session_parameter_gradient(session, 0, gradient[k], count));
        lstm_session_destroy(session);
        lstm_model_destroy(model);
    }
    assert_true(fabs(loss[0] - loss[1]) < 1e-6 * loss[0]);
    assert_close("gradient", gradient[1], gradient[0], count, 0, 1e-5);
    free(gradient[0]);
    free(gradient[1]);
}

/* Keras' mean, PyTorch's mean, sum and weighted mean, each from the losses of single samples. */
static void test_reductions_and_weights_are_what_they_say(void **state)
{
    task t;
    float weights[SAMPLES];
    double each[SAMPLES];
    double expected[5] = {0};
    double weight_sum = 0;
    (void)state;
    make_task(&t);
    lstm_model *model = network(NULL, LSTM_ACTIVATION_LINEAR);
    lstm_data data = t.data;
    data.sample_weights = weights;
    data.sample_weight_count = SAMPLES;
    for (int b = 0; b < SAMPLES; b++) { /* one sample alone counts */
        memset(weights, 0, sizeof weights);
        weights[b] = 1;
        const lstm_loss_options sum = {
            .struct_size = sizeof sum, .loss = LSTM_LOSS_CTC, .reduction = LSTM_REDUCTION_SUM};
        assert_ok(lstm_evaluate(model, OPTIONS(lstm_evaluate, .loss = &sum, .batch_size = SAMPLES),
                                &data, &each[b], 1));
    }
    for (int b = 0; b < SAMPLES; b++) {
        const double labels = 1 + b % 3;
        weights[b] = (float)(b % 5) / 2;
        weight_sum += (double)weights[b];
        expected[LSTM_REDUCTION_MEAN] += (double)weights[b] * each[b] / SAMPLES;
        expected[LSTM_REDUCTION_SUM] += (double)weights[b] * each[b];
        expected[LSTM_REDUCTION_WEIGHTED_MEAN] += (double)weights[b] * each[b];
        expected[LSTM_REDUCTION_MEAN_PER_LABEL] += (double)weights[b] * each[b] / labels / SAMPLES;
    }
    expected[LSTM_REDUCTION_WEIGHTED_MEAN] /= weight_sum;
    for (int32_t reduction = 1; reduction <= 4; reduction++) {
        double found = 0;
        const lstm_loss_options loss = {
            .struct_size = sizeof loss, .loss = LSTM_LOSS_CTC, .reduction = reduction};
        assert_ok(lstm_evaluate(model, OPTIONS(lstm_evaluate, .loss = &loss, .batch_size = SAMPLES),
                                &data, &found, 1));
        if (fabs(found - expected[reduction]) > 1e-6 * expected[reduction])
            fail_msg("reduction %d: %.9g, expected %.9g", (int)reduction, found,
                     expected[reduction]);
    }
    /* a label of a sample without weight may be anything */
    t.labels[0] = 77;
    assert_ok(lstm_evaluate(
        model, OPTIONS(lstm_evaluate, .loss = OPTIONS(lstm_loss, .loss = LSTM_LOSS_CTC)), &data,
        &each[0], 1));
    lstm_model_destroy(model);
}

static void test_bad_labels_are_named(void **state)
{
    task t;
    lstm_session *session = NULL;
    double value = 0;
    (void)state;
    make_task(&t);
    lstm_model *model = network(NULL, LSTM_ACTIVATION_LINEAR);
    const lstm_loss_options loss = {.struct_size = sizeof loss, .loss = LSTM_LOSS_CTC};
    const lstm_fit_options fit = {.struct_size = sizeof fit, .loss = &loss};
    t.labels[5 * LABELS + 1] = 0;
    assert_status_text(lstm_fit(model, &fit, &t.data, NULL), LSTM_ERROR_ARGUMENT,
                       "sample 5, position 1 is 0, which is the blank");
    t.labels[5 * LABELS + 1] = 4;
    assert_status_text(lstm_fit(model, &fit, &t.data, NULL), LSTM_ERROR_ARGUMENT,
                       "sample 5, position 1 is 4: expected 0 to 3");
    make_task(&t);
    t.labels[LABELS] = -1; /* a hole: position 1 stays */
    assert_status_text(lstm_fit(model, &fit, &t.data, NULL), LSTM_ERROR_ARGUMENT,
                       "sample 1, position 1 is 2, behind the padding");
    make_task(&t);
    int32_t label_lengths[SAMPLES] = {0};
    t.data.label_lengths = label_lengths;
    t.data.label_lengths_count = SAMPLES;
    label_lengths[3] = LABELS + 1;
    assert_status_text(lstm_fit(model, &fit, &t.data, NULL), LSTM_ERROR_ARGUMENT,
                       "label length of sample 3 is 4: expected 0 to 3");
    t.data.label_lengths_count = SAMPLES - 1;
    assert_status(lstm_fit(model, &fit, &t.data, NULL), LSTM_ERROR_SHAPE);
    make_task(&t);
    t.data.labels_count--;
    assert_status(lstm_fit(model, &fit, &t.data, NULL), LSTM_ERROR_SHAPE);
    t.data.labels = NULL;
    assert_status_text(lstm_fit(model, &fit, &t.data, NULL), LSTM_ERROR_ARGUMENT, "labels is NULL");
    /* too few steps: what is known before training, what a length says, and what evaluate answers */
    make_task(&t);
    t.lengths[2] = 2;
    assert_status_text(lstm_fit(model, &fit, &t.data, NULL), LSTM_ERROR_NUMERIC,
                       "labels of sample 2: 3 labels");
    assert_ok(lstm_evaluate(model, OPTIONS(lstm_evaluate, .loss = &loss), &t.data, &value, 1));
    assert_true(isinf(value));
    assert_ok(lstm_evaluate(model,
                            OPTIONS(lstm_evaluate, .loss = OPTIONS(lstm_loss, .loss = LSTM_LOSS_CTC,
                                                                   .ctc_zero_infinity = LSTM_YES)),
                            &t.data, &value, 1));
    assert_true(isfinite(value));
    static const int32_t many[] = {1, 2, 3, 3, 2, 1, 1, 2};
    const lstm_data one = {.struct_size = sizeof one,
                           .samples = 1,
                           .x = t.x,
                           .x_count = 7 * FEATURES,
                           .labels = many,
                           .labels_count = LENGTH(many)};
    assert_status_text(lstm_fit(model, &fit, &one, NULL), LSTM_ERROR_ARGUMENT,
                       "8 labels, 2 of them equal to the one before, need 10 steps, the output "
                       "has 7: there is no alignment from position 6 (label 1) on");
    /* a session that was not planned for them */
    assert_ok(lstm_session_create(&session, model,
                                  OPTIONS(lstm_session, .batch = SAMPLES, .steps = STEPS)));
    make_task(&t);
    assert_ok(lstm_session_forward(session, &t.data));
    assert_status_text(lstm_session_loss(session, &loss, &t.data, &value), LSTM_ERROR_STATE,
                       "lstm_session_options.labels = 3");
    lstm_session_destroy(session);
    assert_ok(lstm_session_create(
        &session, model, OPTIONS(lstm_session, .batch = SAMPLES, .steps = STEPS, .labels = 2)));
    assert_ok(lstm_session_forward(session, &t.data));
    assert_status(lstm_session_loss(session, &loss, &t.data, &value), LSTM_ERROR_SHAPE);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
}

static void test_options_that_do_not_go_together_are_refused(void **state)
{
    static const int32_t mae[] = {LSTM_METRIC_MAE};
    static const int32_t label_errors[] = {LSTM_METRIC_LABEL_ERROR_RATE};
    static const float class_weights[] = {1, 1, 1, 1};
    float weights[SAMPLES * STEPS];
    task t;
    lstm_ctc *ctc = NULL;
    double value[2];
    (void)state;
    make_task(&t);
    lstm_model *model = network(NULL, LSTM_ACTIVATION_LINEAR);
    const lstm_loss_options loss = {.struct_size = sizeof loss, .loss = LSTM_LOSS_CTC};
    assert_status(
        lstm_evaluate(model,
                      OPTIONS(lstm_evaluate, .loss = &loss, .metrics = mae, .metric_count = 1),
                      &t.data, value, 2),
        LSTM_ERROR_ARGUMENT);
    assert_status(lstm_fit(model, OPTIONS(lstm_fit, .metrics = label_errors, .metric_count = 1),
                           &t.data, NULL),
                  LSTM_ERROR_ARGUMENT);
    assert_status(lstm_fit(model,
                           OPTIONS(lstm_fit, .loss = &loss, .class_weights = class_weights,
                                   .class_weight_count = 4),
                           &t.data, NULL),
                  LSTM_ERROR_ARGUMENT);
    for (size_t k = 0; k < LENGTH(weights); k++)
        weights[k] = 1;
    t.data.sample_weights = weights;
    t.data.sample_weight_count = LENGTH(weights);
    assert_status_text(
        lstm_evaluate(model, OPTIONS(lstm_evaluate, .loss = &loss), &t.data, value, 1),
        LSTM_ERROR_SHAPE, "weighs whole samples");
    static const lstm_loss_options wrong[] = {
        {.struct_size = sizeof(lstm_loss_options), .loss = LSTM_LOSS_CTC, .ctc_blank = 4},
        {.struct_size = sizeof(lstm_loss_options), .loss = LSTM_LOSS_CTC, .ctc_blank = -5},
        {.struct_size = sizeof(lstm_loss_options), .ctc_blank = 1},
        {.struct_size = sizeof(lstm_loss_options), .ctc_zero_infinity = LSTM_YES},
        {.struct_size = sizeof(lstm_loss_options), .ctc_zero_infinity = 3, .loss = LSTM_LOSS_CTC},
        {.struct_size = sizeof(lstm_loss_options), .reduction = LSTM_REDUCTION_MEAN_PER_LABEL},
        {.struct_size = sizeof(lstm_loss_options), .loss = LSTM_LOSS_CTC, .label_smoothing = 0.1f},
    };
    make_task(&t);
    for (size_t k = 0; k < LENGTH(wrong); k++)
        assert_status(
            lstm_evaluate(model, OPTIONS(lstm_evaluate, .loss = &wrong[k]), &t.data, value, 1),
            LSTM_ERROR_ARGUMENT);
    static const lstm_ctc_options bad[] = {
        {.struct_size = sizeof(lstm_ctc_options), .classes = 0, .batch = 1, .steps = 1},
        {.struct_size = sizeof(lstm_ctc_options), .classes = 2, .batch = 0, .steps = 1},
        {.struct_size = sizeof(lstm_ctc_options), .classes = 2, .batch = 1, .steps = 0},
        {.struct_size = sizeof(lstm_ctc_options), .classes = 2, .batch = 1, .steps = 1, .blank = 2},
        {.struct_size = sizeof(lstm_ctc_options),
         .classes = 2,
         .batch = 1,
         .steps = 1,
         .labels = -1},
        {.struct_size = sizeof(lstm_ctc_options),
         .classes = 2,
         .batch = 1,
         .steps = 1,
         .reduction = LSTM_REDUCTION_WEIGHTED_MEAN},
    };
    for (size_t k = 0; k < LENGTH(bad); k++) {
        assert_status(lstm_ctc_create(&ctc, NULL, &bad[k]), LSTM_ERROR_ARGUMENT);
        assert_null(ctc);
    }
    assert_status(lstm_ctc_create(&ctc, NULL,
                                  OPTIONS(lstm_ctc, .classes = 2, .batch = INT64_MAX,
                                          .steps = INT64_MAX, .labels = INT64_MAX)),
                  LSTM_ERROR_MEMORY);
    lstm_model_destroy(model);
}

/* The fit of the resume: other settings of CTC are another training. */
static void test_a_checkpoint_knows_the_settings_of_ctc(void **state)
{
    const char *path = "ctc.checkpoint";
    task t;
    (void)state;
    make_task(&t);
    lstm_model *model = network(NULL, LSTM_ACTIVATION_LINEAR);
    const lstm_loss_options loss = {.struct_size = sizeof loss, .loss = LSTM_LOSS_CTC};
    const lstm_loss_options other = {
        .struct_size = sizeof loss, .loss = LSTM_LOSS_CTC, .ctc_zero_infinity = LSTM_YES};
    assert_ok(lstm_fit(model, OPTIONS(lstm_fit, .loss = &loss, .checkpoint = path, .epochs = 1),
                       &t.data, NULL));
    assert_status_text(lstm_fit(model,
                                OPTIONS(lstm_fit, .loss = &other, .resume = path, .epochs = 2),
                                &t.data, NULL),
                       LSTM_ERROR_FORMAT, "ctc");
    assert_ok(lstm_fit(model, OPTIONS(lstm_fit, .loss = &loss, .resume = path, .epochs = 2),
                       &t.data, NULL));
    remove(path);
    lstm_model_destroy(model);
}

static void test_a_session_with_ctc_allocates_nothing_and_reads_no_stale_memory(void **state)
{
    counting_allocator allocator = {0};
    task t;
    double loss = 0;
    lstm_session *session = NULL;
    (void)state;
    make_task(&t);
    lstm_context *context = counting_allocator_context(&allocator);
    lstm_model *model = network(context, LSTM_ACTIVATION_LINEAR);
    assert_ok(lstm_session_create(&session, model,
                                  OPTIONS(lstm_session, .training = LSTM_YES, .batch = SAMPLES,
                                          .steps = STEPS, .labels = LABELS)));
    const size_t calls = allocator.calls;
    allocator.refuse = calls + 1;
    for (int k = 0; k < 2; k++) {
        assert_ok(lstm_session_forward(session, &t.data));
        assert_ok(
            lstm_session_loss(session, OPTIONS(lstm_loss, .loss = LSTM_LOSS_CTC), &t.data, &loss));
        assert_ok(lstm_session_backward(session));
        assert_true(isfinite(loss));
    }
    assert_int_equal(allocator.calls, calls);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
    lstm_context_destroy(context);
    assert_nothing_left(&allocator);
}

/* Every allocation of a session with labels may fail. */
static void test_a_failed_allocation_leaves_nothing_behind(void **state)
{
    counting_allocator allocator = {0};
    (void)state;
    lstm_context *context = counting_allocator_context(&allocator);
    lstm_model *model = network(context, LSTM_ACTIVATION_LINEAR);
    for (size_t n = 1;; n++) {
        lstm_session *session = NULL;
        lstm_ctc *ctc = NULL;
        allocator.refuse = allocator.calls + n;
        lstm_status status = lstm_session_create(
            &session, model, OPTIONS(lstm_session, .batch = 2, .steps = 5, .labels = 2));
        if (status == LSTM_OK)
            status = lstm_ctc_create(&ctc, context,
                                     OPTIONS(lstm_ctc, .classes = 3, .batch = 2, .steps = 5));
        lstm_session_destroy(session);
        lstm_ctc_destroy(ctc);
        if (status == LSTM_OK)
            break;
        assert_int_equal(status, LSTM_ERROR_MEMORY);
        assert_true(n < 20);
    }
    allocator.refuse = 0;
    lstm_model_destroy(model);
    lstm_context_destroy(context);
    assert_nothing_left(&allocator);
}

static void test_the_gradient_check_knows_ctc(void **state)
{
    task t;
    (void)state;
    make_task(&t);
    lstm_model *model = network(NULL, LSTM_ACTIVATION_SOFTMAX);
    assert_ok(lstm_gradient_check(model, OPTIONS(lstm_loss, .loss = LSTM_LOSS_CTC), &t.data, NULL,
                                  NULL, 0));
    lstm_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fit_learns_to_label_and_metrics_say_so),
        cmocka_unit_test(test_a_padded_batch_is_its_samples_one_by_one),
        cmocka_unit_test(test_a_softmax_layer_is_gone_through),
        cmocka_unit_test(test_reductions_and_weights_are_what_they_say),
        cmocka_unit_test(test_bad_labels_are_named),
        cmocka_unit_test(test_options_that_do_not_go_together_are_refused),
        cmocka_unit_test(test_a_checkpoint_knows_the_settings_of_ctc),
        cmocka_unit_test(test_a_session_with_ctc_allocates_nothing_and_reads_no_stale_memory),
        cmocka_unit_test(test_a_failed_allocation_leaves_nothing_behind),
        cmocka_unit_test(test_the_gradient_check_knows_ctc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
