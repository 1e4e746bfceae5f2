/* SPDX-License-Identifier: MIT
 * Checkpoints: training in pieces gives the bits of training in one go, also when cancelled in the
 * middle of an epoch; a checkpoint of another run is refused with what differs and changes nothing;
 * checkpoints of manual loops.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N = 30, X = N * STACK_STEPS * STACK_FEATURES, Y = N * STACK_OUTPUTS };
#define CHECKPOINT "resume.checkpoint"

static const int32_t metrics[] = {LSTM_METRIC_MAE, LSTM_METRIC_ACCURACY};
static const lstm_optimizer_options adam = {
    .struct_size = sizeof adam, .learning_rate = 0.01, .amsgrad = LSTM_YES, .global_clip_norm = 1};

typedef struct task {
    float x[X], y[Y];
    lstm_data data;
} task;

static void task_start(task *t)
{
    fill_numbers(t->x, X, 5);
    fill_numbers(t->y, Y, 6);
    for (size_t n = 0; n < N; n++) /* something to learn, under noise */
        t->y[2 * n] = 0.8f * t->x[n * STACK_STEPS * STACK_FEATURES + 4] + 0.1f * t->y[2 * n];
    t->data = (lstm_data){.struct_size = sizeof t->data,
                          .samples = N,
                          .x = t->x,
                          .x_count = X,
                          .y = t->y,
                          .y_count = Y};
}

/* Shuffling, dropout (in the model), Adam with amsgrad, clipping, validation, metrics, early
 * stopping with patience. */
static lstm_fit_options options_for(int32_t epochs)
{
    return (lstm_fit_options){.struct_size = sizeof(lstm_fit_options),
                              .epochs = epochs,
                              .batch_size = 4,
                              .seed = 3,
                              .early_stopping = 100,
                              .restore_best = LSTM_NO,
                              .metrics = metrics,
                              .metric_count = 2,
                              .validation_split = 0.2,
                              .optimizer_options = &adam};
}

static void assert_same_histories(const lstm_history *a, const lstm_history *b)
{
    assert_int_equal(lstm_history_epochs(a), lstm_history_epochs(b));
    assert_int_equal(lstm_history_columns(a), lstm_history_columns(b));
    assert_int_equal(lstm_history_best(a), lstm_history_best(b));
    for (size_t e = 0; e < lstm_history_epochs(a); e++)
        for (size_t c = 0; c < lstm_history_columns(a); c++)
            if (lstm_history_value(a, e, c) != lstm_history_value(b, e, c))
                fail_msg("epoch %zu, %s: %.17g and %.17g", e + 1, lstm_history_name(a, c),
                         lstm_history_value(a, e, c), lstm_history_value(b, e, c));
}

static void test_36_epochs_equal_12_and_12_and_12(void **state)
{
    task t;
    (void)state;
    task_start(&t);
    for (int32_t restore = LSTM_YES; restore <= LSTM_NO; restore++) {
        lstm_model *whole = new_sample_stack();
        lstm_model *pieces = NULL;
        lstm_history *expected = NULL;
        lstm_history *history = NULL;
        lstm_fit_options options = options_for(36);
        options.restore_best = restore;
        assert_ok(lstm_fit(whole, &options, &t.data, &expected));
        for (int32_t part = 1; part <= 3; part++) {
            lstm_history_destroy(history);
            lstm_model_destroy(pieces);
            pieces = new_sample_stack(); /* as in a new process: everything comes from the file */
            options = options_for(12 * part);
            options.restore_best = restore;
            options.checkpoint = CHECKPOINT;
            options.resume = part > 1 ? CHECKPOINT : NULL;
            assert_ok(lstm_fit(pieces, &options, &t.data, &history));
        }
        assert_true(same_parameters(whole, pieces));
        assert_int_equal(lstm_history_epochs(history), 36);
        assert_same_histories(history, expected);
        lstm_history_destroy(expected);
        lstm_history_destroy(history);
        lstm_model_destroy(whole);
        lstm_model_destroy(pieces);
    }
    remove(CHECKPOINT);
}

static void test_resumed_early_stopping_stops_where_it_would_have(void **state)
{
    task t;
    (void)state;
    task_start(&t);
    lstm_model *whole = new_sample_stack();
    lstm_model *pieces = NULL;
    lstm_history *expected = NULL;
    lstm_history *history = NULL;
    lstm_fit_options options = options_for(100);
    options.early_stopping = 3;
    options.restore_best = LSTM_YES;
    assert_ok(lstm_fit(whole, &options, &t.data, &expected));
    const size_t epochs = lstm_history_epochs(expected);
    print_message("stops after %zu epochs\n", epochs);
    assert_true(epochs > 3 && epochs < 100);
    /* Piece by piece, one epoch at a time, beyond the end too. */
    for (int32_t part = 1; part <= (int32_t)epochs + 2; part++) {
        lstm_history_destroy(history);
        lstm_model_destroy(pieces);
        pieces = new_sample_stack();
        options.epochs = part;
        options.checkpoint = CHECKPOINT;
        options.resume = part > 1 ? CHECKPOINT : NULL;
        assert_ok(lstm_fit(pieces, &options, &t.data, &history));
    }
    assert_true(same_parameters(whole, pieces));
    assert_same_histories(history, expected);
    lstm_history_destroy(expected);
    lstm_history_destroy(history);
    lstm_model_destroy(whole);
    lstm_model_destroy(pieces);
    remove(CHECKPOINT);
}

typedef struct canceller {
    int32_t event;
    int64_t at; /* step, or epoch */
} canceller;

static int32_t cancel(void *user, const lstm_progress *p)
{
    const canceller *c = user;
    return p->event == c->event && (p->event == LSTM_PROGRESS_BATCH ? p->step : p->epoch) == c->at;
}

static void test_cancelled_anywhere_and_resumed_equals_uninterrupted(void **state)
{
    static const canceller places[] = {
        {LSTM_PROGRESS_BATCH, 1},  {LSTM_PROGRESS_BATCH, 5},  {LSTM_PROGRESS_BATCH, 6},
        {LSTM_PROGRESS_BATCH, 7},  {LSTM_PROGRESS_BATCH, 12}, {LSTM_PROGRESS_BATCH, 29},
        {LSTM_PROGRESS_BATCH, 30}, {LSTM_PROGRESS_EPOCH, 1},  {LSTM_PROGRESS_EPOCH, 4}};
    task t;
    lstm_history *expected = NULL;
    (void)state;
    task_start(&t);
    lstm_model *whole = new_sample_stack();
    const lstm_fit_options plain = options_for(5);
    assert_ok(lstm_fit(whole, &plain, &t.data, &expected));
    for (size_t k = 0; k < LENGTH(places); k++) {
        lstm_history *history = NULL;
        canceller c = places[k];
        lstm_model *m = new_sample_stack();
        lstm_fit_options options = plain;
        options.checkpoint = CHECKPOINT;
        options.checkpoint_every = 3;
        options.progress = cancel;
        options.progress_user = &c;
        assert_status(lstm_fit(m, &options, &t.data, NULL), LSTM_ERROR_CANCELLED);
        lstm_model *resumed = new_sample_stack();
        options.progress = NULL;
        options.resume = CHECKPOINT;
        assert_ok(lstm_fit(resumed, &options, &t.data, &history));
        if (!same_parameters(resumed, whole))
            fail_msg("cancelled at event %d, %d: other parameters", (int)c.event, (int)c.at);
        assert_same_histories(history, expected);
        lstm_history_destroy(history);
        lstm_model_destroy(m);
        lstm_model_destroy(resumed);
    }
    lstm_history_destroy(expected);
    lstm_model_destroy(whole);
    remove(CHECKPOINT);
}

static void test_runs_of_so_many_updates_resume_too(void **state)
{
    task t;
    lstm_history *expected = NULL;
    (void)state;
    task_start(&t);
    lstm_model *whole = new_sample_stack();
    lstm_fit_options options = options_for(1);
    options.max_steps = 40; /* 6 updates an epoch */
    assert_ok(lstm_fit(whole, &options, &t.data, &expected));
    lstm_model *pieces = NULL;
    lstm_history *history = NULL;
    for (int64_t steps = 1; steps <= 40; steps += 13) {
        lstm_history_destroy(history);
        lstm_model_destroy(pieces);
        pieces = new_sample_stack();
        options.max_steps = steps;
        options.checkpoint = CHECKPOINT;
        options.resume = steps > 1 ? CHECKPOINT : NULL;
        assert_ok(lstm_fit(pieces, &options, &t.data, &history));
    }
    assert_true(same_parameters(whole, pieces));
    assert_same_histories(history, expected);
    lstm_history_destroy(expected);
    lstm_history_destroy(history);
    lstm_model_destroy(whole);
    lstm_model_destroy(pieces);
    remove(CHECKPOINT);
}

static void test_checkpoints_are_written_as_often_as_asked(void **state)
{
    task t;
    (void)state;
    task_start(&t);
    for (int32_t every = 1; every <= 3; every++) {
        lstm_model *m = new_sample_stack();
        canceller c = {LSTM_PROGRESS_BATCH, 14}; /* in the third epoch */
        lstm_fit_options options = options_for(9);
        options.checkpoint = CHECKPOINT;
        options.checkpoint_every = every;
        options.progress = cancel;
        options.progress_user = &c;
        remove(CHECKPOINT);
        assert_status(lstm_fit(m, &options, &t.data, NULL), LSTM_ERROR_CANCELLED);
        assert_int_equal(access(CHECKPOINT, R_OK), 0);
        lstm_model_destroy(m);
    }
    remove(CHECKPOINT);
}

static void test_an_optimizer_of_the_callers_resumes_too(void **state)
{
    task t;
    lstm_optimizer *optimizer = NULL;
    (void)state;
    task_start(&t);
    lstm_model *whole = new_sample_stack();
    lstm_model *m = new_sample_stack();
    lstm_fit_options options = options_for(6);
    assert_ok(lstm_fit(whole, &options, &t.data, NULL));
    options.epochs = 3;
    options.checkpoint = CHECKPOINT;
    assert_ok(lstm_fit(m, &options, &t.data, NULL));
    lstm_model_destroy(m);
    m = new_sample_stack();
    assert_ok(lstm_optimizer_create(&optimizer, m, &adam));
    assert_ok(lstm_optimizer_set_learning_rate(optimizer, 0.5)); /* the checkpoint's counts */
    options.epochs = 6;
    options.resume = CHECKPOINT;
    options.optimizer_options = NULL;
    options.optimizer = optimizer;
    assert_ok(lstm_fit(m, &options, &t.data, NULL));
    assert_int_equal(lstm_optimizer_steps(optimizer), 36);
    assert_true(same_parameters(whole, m));
    lstm_optimizer_destroy(optimizer);
    lstm_model_destroy(m);
    lstm_model_destroy(whole);
    remove(CHECKPOINT);
}

/* ---- Checkpoints of another run */

static void expect_refusal(lstm_model *model, const lstm_fit_options *options,
                           const lstm_data *data, const char *what)
{
    size_t count = 0;
    float *before = copy_parameters(model, &count);
    lstm_history *history = (lstm_history *)model;
    assert_status_text(lstm_fit(model, options, data, &history), LSTM_ERROR_FORMAT, what);
    assert_null(history);
    float *after = copy_parameters(model, &count);
    assert_memory_equal(before, after, count * sizeof *before);
    free(before);
    free(after);
}

static void test_checkpoints_of_other_runs_are_refused_and_change_nothing(void **state)
{
    task t;
    lstm_model *other = NULL;
    (void)state;
    task_start(&t);
    lstm_model *m = new_sample_stack();
    lstm_fit_options options = options_for(2);
    options.checkpoint = CHECKPOINT;
    assert_ok(lstm_fit(m, &options, &t.data, NULL));
    options = options_for(4);
    options.resume = CHECKPOINT;
    lstm_fit_options wrong = options;
    wrong.batch_size = 5;
    expect_refusal(m, &wrong, &t.data, "batch size");
    wrong = options;
    wrong.seed = 4;
    expect_refusal(m, &wrong, &t.data, "seed");
    wrong = options;
    wrong.shuffle = LSTM_NO;
    expect_refusal(m, &wrong, &t.data, "shuffle");
    wrong = options;
    wrong.metric_count = 1;
    expect_refusal(m, &wrong, &t.data, "metrics");
    const int32_t other_metrics[] = {LSTM_METRIC_MAE, LSTM_METRIC_RMSE};
    wrong = options;
    wrong.metrics = other_metrics;
    expect_refusal(m, &wrong, &t.data, "metrics");
    wrong = options;
    wrong.validation_split = 0.5;
    expect_refusal(m, &wrong, &t.data, "samples");
    const lstm_loss_options mae = {.struct_size = sizeof mae, .loss = LSTM_LOSS_MAE};
    wrong = options;
    wrong.loss = &mae;
    expect_refusal(m, &wrong, &t.data, "loss");
    const lstm_optimizer_options sgd = {.struct_size = sizeof sgd, .optimizer = LSTM_OPTIMIZER_SGD};
    wrong = options;
    wrong.optimizer_options = &sgd;
    expect_refusal(m, &wrong, &t.data, "optimizer");
    const lstm_optimizer_options plain = {.struct_size = sizeof plain};
    wrong.optimizer_options = &plain;
    expect_refusal(m, &wrong, &t.data, "amsgrad");
    assert_ok(build_tutorial(&other, NULL, STACK_STEPS, STACK_FEATURES, 5, STACK_OUTPUTS));
    expect_refusal(other, &options, &t.data, "layers");
    lstm_model_destroy(other);
    assert_ok(
        lstm_model_create(&other, NULL, NULL)); /* as the stack, but one layer of another width */
    assert_ok(lstm_model_add_input(
        other, OPTIONS(lstm_input, .steps = STACK_STEPS, .features = STACK_FEATURES), NULL));
    assert_ok(lstm_model_add_lstm(
        other, OPTIONS(lstm_lstm, .units = 6, .return_sequences = LSTM_YES), NULL, NULL));
    assert_ok(lstm_model_add_dropout(other, OPTIONS(lstm_dropout, .rate = 0.3f), NULL, NULL));
    assert_ok(lstm_model_add_lstm(other, OPTIONS(lstm_lstm, .units = 4, .go_backwards = LSTM_YES),
                                  NULL, NULL));
    assert_ok(lstm_model_add_dense(other, OPTIONS(lstm_dense, .units = STACK_OUTPUTS), NULL, NULL));
    assert_ok(lstm_model_build(other));
    expect_refusal(other, &options, &t.data, "\"units\":5");
    lstm_model_destroy(other);
    /* Other files. */
    assert_ok(lstm_model_save(m, "resume.model"));
    wrong = options;
    wrong.resume = "resume.model";
    expect_refusal(m, &wrong, &t.data, "checkpoint");
    wrong.resume = "there is no such file";
    assert_status(lstm_fit(m, &wrong, &t.data, NULL), LSTM_ERROR_IO);
    /* After all the refusals the right one still works. */
    assert_ok(lstm_fit(m, &options, &t.data, NULL));
    lstm_model_destroy(m);
    remove("resume.model");
    remove(CHECKPOINT);
}

/* ---- Manual loops */

static void train(lstm_model *model, lstm_optimizer *optimizer, const lstm_data *data, int steps)
{
    lstm_session *session = NULL;
    assert_ok(lstm_session_create(&session, model,
                                  OPTIONS(lstm_session, .training = LSTM_YES, .batch = N)));
    for (int k = 0; k < steps; k++) {
        assert_ok(lstm_session_forward(session, data));
        assert_ok(lstm_session_loss(session, NULL, data, NULL));
        assert_ok(lstm_session_backward(session));
        assert_ok(lstm_optimizer_step(optimizer, session));
    }
    lstm_session_destroy(session);
}

static const lstm_optimizer_options manual_optimizers[] = {
    {.struct_size = sizeof(lstm_optimizer_options), .optimizer = LSTM_OPTIMIZER_SGD},
    {.struct_size = sizeof(lstm_optimizer_options),
     .optimizer = LSTM_OPTIMIZER_SGD,
     .momentum = 0.9,
     .nesterov = LSTM_YES},
    {.struct_size = sizeof(lstm_optimizer_options),
     .optimizer = LSTM_OPTIMIZER_RMSPROP,
     .momentum = 0.5,
     .centered = LSTM_YES},
    {.struct_size = sizeof(lstm_optimizer_options),
     .optimizer = LSTM_OPTIMIZER_ADAM,
     .profile = LSTM_PROFILE_TORCH,
     .amsgrad = LSTM_YES},
    {.struct_size = sizeof(lstm_optimizer_options), .optimizer = LSTM_OPTIMIZER_ADAMW}};

static void test_manual_loops_resume_to_the_bit_with_every_optimizer(void **state)
{
    task t;
    (void)state;
    task_start(&t);
    for (size_t k = 0; k < LENGTH(manual_optimizers); k++) {
        lstm_model *whole = NULL;
        lstm_model *resumed = NULL;
        lstm_optimizer *a = NULL;
        lstm_optimizer *b = NULL;
        int64_t position = 0;
        assert_ok(build_tutorial(&whole, NULL, STACK_STEPS, STACK_FEATURES, 5, STACK_OUTPUTS));
        assert_ok(build_tutorial(&resumed, NULL, STACK_STEPS, STACK_FEATURES, 5, STACK_OUTPUTS));
        assert_ok(lstm_optimizer_create(&a, whole, &manual_optimizers[k]));
        assert_ok(lstm_optimizer_create(&b, resumed, &manual_optimizers[k]));
        train(whole, a, &t.data, 5);
        assert_ok(lstm_optimizer_set_learning_rate(a, 0.005));
        assert_ok(lstm_checkpoint_save(CHECKPOINT, whole, a, INT64_MIN + 5));
        train(whole, a, &t.data, 4);
        train(resumed, b, &t.data, 2); /* whatever was there is replaced */
        assert_ok(lstm_checkpoint_load(CHECKPOINT, resumed, b, &position));
        assert_true(position == INT64_MIN + 5);
        assert_int_equal(lstm_optimizer_steps(b), 5);
        assert_true(lstm_optimizer_learning_rate(b) == 0.005);
        train(resumed, b, &t.data, 4);
        assert_true(same_parameters(whole, resumed));
        assert_ok(lstm_checkpoint_load(CHECKPOINT, resumed, b, NULL));
        lstm_optimizer_destroy(a);
        lstm_optimizer_destroy(b);
        lstm_model_destroy(whole);
        lstm_model_destroy(resumed);
    }
    remove(CHECKPOINT);
}

static void test_manual_checkpoints_of_others_are_refused(void **state)
{
    lstm_model *m = NULL;
    lstm_model *wider = NULL;
    lstm_optimizer *optimizers[5];
    lstm_optimizer *for_wider = NULL;
    int64_t position = 77;
    (void)state;
    assert_ok(build_tutorial(&m, NULL, 4, 2, 3, 1));
    assert_ok(build_tutorial(&wider, NULL, 4, 2, 4, 1));
    assert_ok(lstm_optimizer_create(&for_wider, wider, NULL));
    for (size_t k = 0; k < 5; k++)
        assert_ok(lstm_optimizer_create(&optimizers[k], m, &manual_optimizers[k]));
    size_t count = 0;
    float *before = copy_parameters(m, &count);
    for (size_t k = 0; k < 5; k++) {
        assert_ok(lstm_checkpoint_save(CHECKPOINT, m, optimizers[k], 1));
        for (size_t other = 0; other < 5; other++)
            if (other != k)
                assert_status_text(
                    lstm_checkpoint_load(CHECKPOINT, m, optimizers[other], &position),
                    LSTM_ERROR_FORMAT, CHECKPOINT);
    }
    assert_status_text(lstm_checkpoint_load(CHECKPOINT, wider, for_wider, &position),
                       LSTM_ERROR_FORMAT, "another layer");
    assert_int_equal(position, 77);
    float *after = copy_parameters(m, &count);
    assert_memory_equal(before, after, count * sizeof *before);
    free(before);
    free(after);
    assert_status(lstm_checkpoint_save(NULL, m, optimizers[0], 1), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_checkpoint_save(CHECKPOINT, NULL, optimizers[0], 1), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_checkpoint_save(CHECKPOINT, m, NULL, 1), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_checkpoint_save(CHECKPOINT, m, for_wider, 1), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_checkpoint_save("no/such/folder/file", m, optimizers[0], 1), LSTM_ERROR_IO);
    assert_status(lstm_checkpoint_load(NULL, m, optimizers[0], NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_checkpoint_load(CHECKPOINT, NULL, optimizers[0], NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_checkpoint_load(CHECKPOINT, m, NULL, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_checkpoint_load(CHECKPOINT, m, for_wider, NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_checkpoint_load("there is no such file", m, optimizers[0], NULL),
                  LSTM_ERROR_IO);
    for (size_t k = 0; k < 5; k++)
        lstm_optimizer_destroy(optimizers[k]);
    lstm_optimizer_destroy(for_wider);
    lstm_model_destroy(m);
    lstm_model_destroy(wider);
    remove(CHECKPOINT);
}

/* ---- A checkpoint as a model */

static void assert_same_parameters(const lstm_model *a, const lstm_model *b)
{
    assert_int_equal(lstm_model_parameter_count(a), lstm_model_parameter_count(b));
    for (size_t k = 0; k < lstm_model_parameter_count(a); k++) {
        static float left[4096];
        static float right[4096];
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(a, k, &info));
        assert_true(info.count <= LENGTH(left));
        assert_ok(lstm_model_get_parameter(a, k, left, info.count));
        assert_ok(lstm_model_get_parameter(b, k, right, info.count));
        assert_memory_equal(left, right, info.count * sizeof *left);
    }
}

static void test_the_best_checkpoint_opens_as_the_model_of_the_best_epoch(void **state)
{
    task t;
    lstm_model *m = new_sample_stack();
    lstm_model *best = NULL;
    lstm_model *last = NULL;
    lstm_fit_options options = options_for(12);
    const double offset[STACK_FEATURES] = {1, 2, 3};
    const double factor[STACK_FEATURES] = {4, 5, 6};
    double found[2][STACK_FEATURES];
    size_t columns = 0;
    (void)state;
    task_start(&t);
    options.checkpoint = CHECKPOINT;
    options.checkpoint_best = "best." CHECKPOINT;
    options.restore_best = LSTM_YES;
    assert_ok(lstm_model_set_metadata(m, "lstm.layout", "time_first"));
    assert_ok(lstm_model_set_scaler(m, LSTM_SCALER_INPUT, STACK_FEATURES, offset, factor));
    assert_ok(lstm_fit(m, &options, &t.data, NULL));
    assert_ok(lstm_model_load(&best, NULL, options.checkpoint_best));
    assert_same_parameters(m, best);
    assert_string_equal(lstm_model_metadata(best, "lstm.layout"), "time_first");
    assert_ok(lstm_model_get_scaler(best, LSTM_SCALER_INPUT, &columns, found[0], found[1],
                                    STACK_FEATURES));
    assert_int_equal(columns, STACK_FEATURES);
    assert_memory_equal(found[0], offset, sizeof offset);
    assert_memory_equal(found[1], factor, sizeof factor);
    /* the last one: 12 epochs on; a checkpoint with scalers and notes goes on as others do */
    options.restore_best = LSTM_NO;
    options.resume = CHECKPOINT;
    assert_ok(lstm_fit(m, &options, &t.data, NULL));
    assert_ok(lstm_model_load(&last, NULL, CHECKPOINT));
    assert_same_parameters(m, last);
    lstm_model_destroy(m);
    lstm_model_destroy(best);
    lstm_model_destroy(last);
    assert_int_equal(remove(CHECKPOINT), 0);
    assert_int_equal(remove("best." CHECKPOINT), 0);
}

static void test_a_damaged_checkpoint_is_no_model(void **state)
{
    task t;
    static unsigned char bytes[1 << 20];
    lstm_model *m = new_sample_stack();
    lstm_model *loaded = NULL;
    lstm_fit_options options = options_for(1);
    (void)state;
    task_start(&t);
    options.checkpoint = CHECKPOINT;
    assert_ok(lstm_fit(m, &options, &t.data, NULL));
    FILE *file = fopen(CHECKPOINT, "rb");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_true(size < sizeof bytes);
    for (size_t k = 0; k < 60; k++) { /* one bit, anywhere */
        const size_t at = k * (size - 1) / 59;
        bytes[at] ^= (unsigned char)(1 << k % 8);
        file = fopen(CHECKPOINT, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, size, file), size);
        fclose(file);
        assert_true(lstm_model_load(&loaded, NULL, CHECKPOINT) != LSTM_OK);
        assert_null(loaded);
        bytes[at] ^= (unsigned char)(1 << k % 8);
    }
    lstm_model_destroy(m);
    assert_int_equal(remove(CHECKPOINT), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_36_epochs_equal_12_and_12_and_12),
        cmocka_unit_test(test_resumed_early_stopping_stops_where_it_would_have),
        cmocka_unit_test(test_cancelled_anywhere_and_resumed_equals_uninterrupted),
        cmocka_unit_test(test_runs_of_so_many_updates_resume_too),
        cmocka_unit_test(test_checkpoints_are_written_as_often_as_asked),
        cmocka_unit_test(test_an_optimizer_of_the_callers_resumes_too),
        cmocka_unit_test(test_checkpoints_of_other_runs_are_refused_and_change_nothing),
        cmocka_unit_test(test_manual_loops_resume_to_the_bit_with_every_optimizer),
        cmocka_unit_test(test_manual_checkpoints_of_others_are_refused),
        cmocka_unit_test(test_the_best_checkpoint_opens_as_the_model_of_the_best_epoch),
        cmocka_unit_test(test_a_damaged_checkpoint_is_no_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
