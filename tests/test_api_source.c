/* SPDX-License-Identifier: MIT
 * Data that comes a batch at a time: the same bits as from arrays, whatever is done with it; batches
 * of like lengths; bad input; no allocation missed.
 */
#include "api_checks.h"
#include "counting_allocator.h"
#include "sample_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 23, STEPS = 9, FEATURES = 3 };
#define CHECKPOINT "source.checkpoint"

typedef struct task {
    float x[SAMPLES * STEPS * FEATURES], y[SAMPLES * STEPS], weights[SAMPLES];
    int32_t lengths[SAMPLES];
    lstm_data data;
    lstm_source source;
    int reads;
    int64_t fail_at;    /* sample whose batch cannot be read; -1 = none */
    int64_t wrong_at;   /* sample that gets a wrong length */
    float wrong_weight; /* of that sample instead */
} task;

static lstm_status read_batch(void *user, const lstm_batch *batch)
{
    task *t = user;
    t->reads++;
    assert_int_equal(batch->struct_size, sizeof *batch);
    for (int64_t k = 0; k < batch->count; k++) {
        const int64_t n = batch->samples[k];
        assert_true(n >= 0 && n < SAMPLES);
        assert_int_equal(batch->lengths[k], STEPS);
        assert_true(batch->sample_weights[k] == 1.0f);
        if (n == t->fail_at)
            return lstm_model_find_layer(NULL, "x", NULL);
        memcpy(batch->inputs[0] + k * STEPS * FEATURES, t->x + n * STEPS * FEATURES,
               sizeof(float) * STEPS * FEATURES);
        memcpy(batch->targets[0] + k * STEPS, t->y + n * STEPS, sizeof(float) * STEPS);
        batch->lengths[k] = t->lengths[n] + (n == t->wrong_at && t->wrong_weight == 0 ? 100 : 0);
        batch->sample_weights[k] = n == t->wrong_at && t->wrong_weight != 0 ? t->wrong_weight
                                                                            : t->weights[n];
    }
    return LSTM_OK;
}

static void start_task(task *t)
{
    memset(t, 0, sizeof *t);
    fill_numbers(t->x, sizeof t->x / sizeof *t->x, 5);
    for (int k = 0; k < SAMPLES * STEPS; k++)
        t->y[k] = t->x[k * FEATURES] * 0.5f;
    for (int k = 0; k < SAMPLES; k++) {
        t->lengths[k] = 1 + k * 7 % STEPS;
        t->weights[k] = 0.5f + (float)(k % 3);
    }
    t->fail_at = t->wrong_at = -1;
    t->data = (lstm_data){.struct_size = sizeof t->data,
                          .samples = SAMPLES,
                          .x = t->x,
                          .x_count = sizeof t->x / sizeof *t->x,
                          .y = t->y,
                          .y_count = sizeof t->y / sizeof *t->y,
                          .lengths = t->lengths,
                          .lengths_count = SAMPLES,
                          .sample_weights = t->weights,
                          .sample_weight_count = SAMPLES};
    t->source = (lstm_source){.struct_size = sizeof t->source,
                              .samples = SAMPLES,
                              .steps = STEPS,
                              .read = read_batch,
                              .user = t,
                              .lengths = t->lengths};
}

/* Free steps -> LSTM(5, sequences) -> Dropout -> Dense(1) on each step. */
static lstm_status build(lstm_model **model, lstm_context *context)
{
    const lstm_input_options input = {.struct_size = sizeof input, .features = FEATURES};
    const lstm_lstm_options lstm = {
        .struct_size = sizeof lstm, .units = 5, .return_sequences = LSTM_YES};
    const lstm_dropout_options dropout = {.struct_size = sizeof dropout, .rate = 0.25f};
    const lstm_dense_options dense = {.struct_size = sizeof dense, .units = 1};
    lstm_status status = lstm_model_create(model, context, NULL);
    if (status == LSTM_OK)
        status = lstm_model_add_input(*model, &input, NULL);
    if (status == LSTM_OK)
        status = lstm_model_add_lstm(*model, &lstm, NULL, NULL);
    if (status == LSTM_OK)
        status = lstm_model_add_dropout(*model, &dropout, NULL, NULL);
    if (status == LSTM_OK)
        status = lstm_model_add_dense(*model, &dense, NULL, NULL);
    return status == LSTM_OK ? lstm_model_build(*model) : status;
}

/* Train on arrays and on the source with the same options: parameters and history have the same
 * bits. */
static void compare(const lstm_fit_options *options, int32_t prefetch)
{
    static task t;
    lstm_model *models[2];
    lstm_history *histories[2];
    start_task(&t);
    t.source.prefetch = prefetch;
    lstm_fit_options from = *options;
    for (int k = 0; k < 2; k++) {
        from.source = k == 0 ? NULL : &t.source;
        assert_ok(build(&models[k], NULL));
        assert_ok(lstm_fit(models[k], &from, k == 0 ? &t.data : NULL, &histories[k]));
    }
    assert_true(same_parameters(models[0], models[1]));
    assert_true(t.reads > 0);
    for (size_t epoch = 0; epoch < lstm_history_epochs(histories[0]); epoch++)
        for (size_t k = 0; k < lstm_history_columns(histories[0]); k++)
            assert_true(lstm_history_value(histories[0], epoch, k) ==
                        lstm_history_value(histories[1], epoch, k));
    for (int k = 0; k < 2; k++) {
        lstm_history_destroy(histories[k]);
        lstm_model_destroy(models[k]);
    }
}

static void test_a_source_gives_the_bits_of_arrays(void **state)
{
    const int32_t metric = LSTM_METRIC_MAE;
    const lstm_optimizer_options lbfgs = {.struct_size = sizeof lbfgs,
                                          .optimizer = LSTM_OPTIMIZER_LBFGS,
                                          .max_iterations = 2,
                                          .learning_rate = 0.1};
    const lstm_fit_options runs[] = {
        {.struct_size = sizeof runs[0], .epochs = 3, .batch_size = 5},
        {.struct_size = sizeof runs[0], .epochs = 2, .batch_size = 50, .shuffle = LSTM_NO},
        {.struct_size = sizeof runs[0],
         .epochs = 3,
         .batch_size = 4,
         .validation_split = 0.3,
         .metrics = &metric,
         .metric_count = 1,
         .early_stopping = 5},
        {.struct_size = sizeof runs[0], .epochs = 2, .batch_size = 5, .tbptt_k1 = 4, .tbptt_k2 = 6},
        {.struct_size = sizeof runs[0], .epochs = 3, .batch_size = 4, .bucket_batches = 3},
        {.struct_size = sizeof runs[0], .epochs = 2, .batch_size = 6, .optimizer_options = &lbfgs},
    };
    (void)state;
    for (size_t k = 0; k < LENGTH(runs); k++)
        for (int32_t prefetch = LSTM_YES; prefetch <= LSTM_NO; prefetch++)
            compare(&runs[k], prefetch);
}

static void test_reading_ahead_reads_every_batch_once(void **state)
{
    static task t;
    lstm_model *model;
    (void)state;
    start_task(&t);
    t.source.prefetch = LSTM_YES;
    const lstm_fit_options options = {
        .struct_size = sizeof options, .epochs = 4, .batch_size = 5, .source = &t.source};
    assert_ok(build(&model, NULL));
    assert_ok(lstm_fit(model, &options, NULL, NULL));
    assert_int_equal(t.reads, 4 * 5);
    lstm_model_destroy(model);
}

static int32_t stop_at(void *user, const lstm_progress *progress)
{
    return progress->step == *(int64_t *)user;
}

static void test_training_from_a_source_resumes_to_the_bit(void **state)
{
    static task t;
    lstm_model *whole, *part;
    int64_t stop = 7;
    (void)state;
    start_task(&t);
    t.source.prefetch = LSTM_YES;
    lstm_fit_options options = {.struct_size = sizeof options,
                                .epochs = 3,
                                .batch_size = 5,
                                .tbptt_k1 = 4,
                                .bucket_batches = 2,
                                .source = &t.source};
    assert_ok(build(&whole, NULL));
    assert_ok(lstm_fit(whole, &options, NULL, NULL));
    assert_ok(build(&part, NULL));
    options.checkpoint = CHECKPOINT;
    options.progress = stop_at;
    options.progress_user = &stop;
    assert_int_equal(lstm_fit(part, &options, NULL, NULL), LSTM_ERROR_CANCELLED);
    options.progress = NULL;
    options.resume = CHECKPOINT;
    assert_ok(lstm_fit(part, &options, NULL, NULL));
    assert_true(same_parameters(whole, part));
    lstm_model_destroy(whole);
    lstm_model_destroy(part);
    remove(CHECKPOINT);
}

static void test_evaluate_reads_a_source(void **state)
{
    static task t;
    lstm_model *model;
    double of_arrays[2], of_source[2];
    const int32_t metric = LSTM_METRIC_RMSE;
    (void)state;
    start_task(&t);
    lstm_evaluate_options options = {
        .struct_size = sizeof options, .batch_size = 4, .metrics = &metric, .metric_count = 1};
    assert_ok(build(&model, NULL));
    assert_ok(lstm_evaluate(model, &options, &t.data, of_arrays, 2));
    options.source = &t.source;
    assert_ok(lstm_evaluate(model, &options, NULL, of_source, 2));
    assert_memory_equal(of_arrays, of_source, sizeof of_arrays);
    assert_status_text(lstm_evaluate(model, &options, &t.data, of_source, 2), LSTM_ERROR_ARGUMENT,
                       "both data and source");
    lstm_model_destroy(model);
}

/* The lengths met by each batch of an epoch of buckets. */
typedef struct spread {
    task *task;
    int32_t largest; /* difference inside a batch of full size */
} spread;

static lstm_status read_and_look(void *user, const lstm_batch *batch)
{
    spread *s = user;
    int32_t least = STEPS, most = 0;
    const lstm_status status = read_batch(s->task, batch);
    for (int64_t k = 0; k < batch->count; k++) {
        least = batch->lengths[k] < least ? batch->lengths[k] : least;
        most = batch->lengths[k] > most ? batch->lengths[k] : most;
    }
    if (batch->count == 4 && most - least > s->largest)
        s->largest = most - least;
    return status;
}

static void test_buckets_bring_like_lengths_together(void **state)
{
    static task t;
    int32_t largest[2];
    (void)state;
    for (int k = 0; k < 2; k++) {
        lstm_model *model;
        spread s = {&t, 0};
        start_task(&t);
        t.source.read = read_and_look;
        t.source.user = &s;
        const lstm_fit_options options = {.struct_size = sizeof options,
                                          .epochs = 5,
                                          .batch_size = 4,
                                          .bucket_batches = k == 0 ? 0 : 100,
                                          .source = &t.source};
        assert_ok(build(&model, NULL));
        assert_ok(lstm_fit(model, &options, NULL, NULL));
        lstm_model_destroy(model);
        largest[k] = s.largest;
    }
    assert_true(largest[0] >= 6); /* chance brings short and long together */
    assert_true(largest[1] <= 3);
}

static void test_what_a_source_gets_wrong_is_named(void **state)
{
    static task t;
    lstm_model *model;
    (void)state;
    assert_ok(build(&model, NULL));
    lstm_fit_options options = {
        .struct_size = sizeof options, .batch_size = 5, .shuffle = LSTM_NO, .source = &t.source};
#define REFUSED(code, text)                                                    \
    do {                                                                       \
        size_t count;                                                          \
        float *before = copy_parameters(model, &count);                        \
        assert_status_text(lstm_fit(model, &options, NULL, NULL), code, text); \
        float *after = copy_parameters(model, &count);                         \
        if (t.reads == 1)                                                      \
            assert_memory_equal(before, after, count * sizeof *before);        \
        free(before);                                                          \
        free(after);                                                           \
    } while (0)
    for (int32_t prefetch = LSTM_YES; prefetch <= LSTM_NO; prefetch++) {
        start_task(&t);
        t.source.prefetch = prefetch;
        t.fail_at = 12;
        REFUSED(LSTM_ERROR_ARGUMENT, "begins with sample 10: lstm_model_find_layer");
    }
    start_task(&t);
    t.source.lengths = NULL;
    t.wrong_at = 3;
    REFUSED(LSTM_ERROR_ARGUMENT, "the length of sample 3 is");
    start_task(&t);
    t.source.lengths = t.lengths + 1;
    t.source.samples = SAMPLES - 1;
    REFUSED(LSTM_ERROR_ARGUMENT, "source.lengths says");
    start_task(&t);
    t.wrong_at = 4;
    t.wrong_weight = -1;
    REFUSED(LSTM_ERROR_ARGUMENT, "the weight of sample 4 is -1");
    start_task(&t);
    t.source.steps = 0;
    REFUSED(LSTM_ERROR_ARGUMENT, "source.steps is 0");
    start_task(&t);
    t.source.read = NULL;
    REFUSED(LSTM_ERROR_ARGUMENT, "source.read is NULL");
    start_task(&t);
    t.source.samples = 0;
    REFUSED(LSTM_ERROR_ARGUMENT, "source.samples is 0");
    start_task(&t);
    options.shuffle = LSTM_YES;
    options.bucket_batches = -1;
    REFUSED(LSTM_ERROR_ARGUMENT, "bucket_batches is -1");
    options.bucket_batches = 2;
    t.source.lengths = NULL;
    REFUSED(LSTM_ERROR_ARGUMENT, "no lengths");
    options.shuffle = LSTM_NO;
    REFUSED(LSTM_ERROR_ARGUMENT, "shuffle is LSTM_NO");
    assert_status_text(lstm_fit(model, &options, &t.data, NULL), LSTM_ERROR_ARGUMENT,
                       "both data and source");
    lstm_model_destroy(model);
}

static void test_every_refused_allocation_is_an_error_that_leaves_nothing(void **state)
{
    static task t;
    (void)state;
    start_task(&t);
    t.source.prefetch = LSTM_YES;
    for (size_t refuse = 1;; refuse++) {
        counting_allocator allocator = {.refuse = refuse};
        lstm_context *context = counting_allocator_context(&allocator);
        lstm_model *model = NULL;
        lstm_status status = context ? build(&model, context) : LSTM_ERROR_MEMORY;
        const lstm_fit_options options = {.struct_size = sizeof options,
                                          .batch_size = 8,
                                          .bucket_batches = 2,
                                          .validation_source = &t.source,
                                          .source = &t.source};
        if (status == LSTM_OK)
            status = lstm_fit(model, &options, NULL, NULL);
        lstm_model_destroy(model);
        lstm_context_destroy(context);
        assert_nothing_left(&allocator);
        if (status == LSTM_OK && atomic_load(&allocator.refused) == 0)
            break;
        if (status != LSTM_OK)
            assert_int_equal(status, LSTM_ERROR_MEMORY);
        assert_true(refuse < 10000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_source_gives_the_bits_of_arrays),
        cmocka_unit_test(test_reading_ahead_reads_every_batch_once),
        cmocka_unit_test(test_training_from_a_source_resumes_to_the_bit),
        cmocka_unit_test(test_evaluate_reads_a_source),
        cmocka_unit_test(test_buckets_bring_like_lengths_together),
        cmocka_unit_test(test_what_a_source_gets_wrong_is_named),
        cmocka_unit_test(test_every_refused_allocation_is_an_error_that_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
