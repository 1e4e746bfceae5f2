/* SPDX-License-Identifier: MIT
 * Resuming with every option on at once: each random option of layers (dropout, recurrent dropout,
 * zoneout, DropConnect, noise), weight and gradient noise, averages, accumulation, a plateau, weights
 * of samples and classes, buckets of lengths, early stopping. 12 + 12 + 12 epochs are 36, and breaking
 * off anywhere changes nothing, bit for bit, for 1, 2 and 3 threads, from arrays and from a source.
 * The best checkpoint, and checkpoints that are not written after every epoch.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N = 26, T = 5, F = 3, K = 3 };
#define LAST "everything.last"
#define BEST "everything.best"

typedef struct task {
    float x[N * T * F], y[N], weights[N];
    int32_t lengths[N];
    lstm_data data;
    lstm_source source;
} task;

static lstm_status read_task(void *user, const lstm_batch *batch)
{
    const task *t = user;
    for (int64_t k = 0; k < batch->count; k++) {
        const int64_t n = batch->samples[k];
        memcpy(batch->inputs[0] + k * T * F, t->x + n * T * F, sizeof(float) * T * F);
        batch->targets[0][k] = t->y[n];
        batch->lengths[k] = t->lengths[n];
        batch->sample_weights[k] = t->weights[n];
    }
    return LSTM_OK;
}

static void start_task(task *t)
{
    memset(t, 0, sizeof *t);
    fill_numbers(t->x, LENGTH(t->x), 15);
    for (int n = 0; n < N; n++) {
        t->lengths[n] = 1 + n * 3 % T;
        t->weights[n] = 0.5f + (float)(n % 4);
        t->y[n] = (float)((t->x[n * T * F] > 0) + (t->x[n * T * F + 1] > 0.3f));
    }
    t->data = (lstm_data){.struct_size = sizeof t->data,
                          .samples = N,
                          .x = t->x,
                          .x_count = LENGTH(t->x),
                          .y = t->y,
                          .y_count = N,
                          .lengths = t->lengths,
                          .lengths_count = N,
                          .sample_weights = t->weights,
                          .sample_weight_count = N};
    t->source = (lstm_source){.struct_size = sizeof t->source,
                              .prefetch = LSTM_YES,
                              .samples = N,
                              .steps = T,
                              .read = read_task,
                              .user = t,
                              .lengths = t->lengths};
}

static lstm_model *build(int32_t threads)
{
    lstm_context *context = NULL;
    lstm_model *m = NULL;
    lstm_layer *last = NULL;
    assert_ok(lstm_context_create(&context, OPTIONS(lstm_context, .threads = threads)));
    assert_ok(lstm_model_create(&m, context, OPTIONS(lstm_model, .seed = 4)));
    lstm_context_destroy(context);
    assert_ok(lstm_model_add_input(m, OPTIONS(lstm_input, .features = F), NULL));
    assert_ok(
        lstm_model_add_lstm(m,
                            OPTIONS(lstm_lstm, .units = 5, .return_sequences = LSTM_YES,
                                    .dropout = 0.2f, .recurrent_dropout = 0.2f, .zoneout_h = 0.1f,
                                    .zoneout_c = 0.15f, .recurrent_dropconnect = 0.2f),
                            NULL, NULL));
    assert_ok(lstm_model_add_gru(m,
                                 OPTIONS(lstm_gru, .units = 4, .return_sequences = LSTM_YES,
                                         .dropout = 0.1f, .recurrent_dropout = 0.2f),
                                 NULL, NULL));
    assert_ok(lstm_model_add_spatial_dropout(m, OPTIONS(lstm_dropout, .rate = 0.2f), NULL, NULL));
    assert_ok(lstm_model_add_gaussian_noise(m, OPTIONS(lstm_gaussian_noise, .stddev = 0.05f), NULL,
                                            NULL));
    assert_ok(lstm_model_add_gaussian_dropout(m, OPTIONS(lstm_dropout, .rate = 0.1f), NULL, NULL));
    assert_ok(lstm_model_add_alpha_dropout(m, OPTIONS(lstm_dropout, .rate = 0.1f), NULL, NULL));
    assert_ok(lstm_model_add_simple_rnn(
        m, OPTIONS(lstm_simple_rnn, .units = 4, .dropout = 0.1f, .recurrent_dropout = 0.1f), NULL,
        NULL));
    assert_ok(lstm_model_add_batch_normalization(m, NULL, NULL, NULL));
    assert_ok(lstm_model_add_dropout(m, OPTIONS(lstm_dropout, .rate = 0.2f), NULL, NULL));
    assert_ok(lstm_model_add_dense(
        m, OPTIONS(lstm_dense, .units = K, .activation = LSTM_ACTIVATION_SOFTMAX), NULL, &last));
    assert_ok(lstm_layer_set_regularizer(
        last, "kernel",
        OPTIONS(lstm_regularizer, .l1 = 1e-4, .l2 = 1e-3, .constraint = LSTM_CONSTRAINT_MAX_NORM)));
    assert_ok(lstm_model_build(m));
    return m;
}

/* Stop after this many batches; 0 = never. */
static int32_t stop(void *user, const lstm_progress *progress)
{
    int *left = user;
    return *left > 0 && progress->event == LSTM_PROGRESS_BATCH && --*left == 0;
}

typedef struct run {
    const task *t;
    int32_t epochs, threads;
    bool from_source;
    const char *resume, *last, *best;
    double seconds;
    int32_t patience;
    int stop_after;
    lstm_status expected;
} run;

static lstm_model *train(run r, lstm_history **history)
{
    static const int32_t metrics[] = {LSTM_METRIC_ACCURACY, LSTM_METRIC_F1};
    static const float class_weights[K] = {1, 2, 0.5f};
    static const lstm_loss_options loss = {.struct_size = sizeof loss,
                                           .loss = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY};
    const lstm_schedule_options plateau = {
        .struct_size = sizeof plateau, .schedule = LSTM_SCHEDULE_PLATEAU, .patience = 2};
    const lstm_optimizer_options nadam = {.struct_size = sizeof nadam,
                                          .optimizer = LSTM_OPTIMIZER_NADAM,
                                          .learning_rate = 0.01,
                                          .weight_decay = 0.01,
                                          .global_clip_norm = 1,
                                          .accumulation_steps = 3,
                                          .use_ema = LSTM_YES,
                                          .ema_momentum = 0.9,
                                          .ema_overwrite_frequency = 4,
                                          .gradient_noise = 1e-3,
                                          .schedule = &plateau};
    const lstm_fit_options options = {.struct_size = sizeof options,
                                      .epochs = r.epochs,
                                      .batch_size = 4,
                                      .validation_split = 0.25,
                                      .early_stopping = r.patience,
                                      .metrics = metrics,
                                      .metric_count = LENGTH(metrics),
                                      .loss = &loss,
                                      .optimizer_options = &nadam,
                                      .seed = 21,
                                      .class_weights = class_weights,
                                      .class_weight_count = K,
                                      .weight_noise = 0.02,
                                      .gradient_norms = LSTM_YES,
                                      .bucket_batches = 2,
                                      .source = r.from_source ? &r.t->source : NULL,
                                      .resume = r.resume,
                                      .checkpoint = r.last,
                                      .checkpoint_best = r.best,
                                      .checkpoint_seconds = r.seconds,
                                      .progress = stop,
                                      .progress_user = &r.stop_after};
    lstm_model *model = build(r.threads);
    assert_status(lstm_fit(model, &options, r.from_source ? NULL : &r.t->data, history),
                  r.expected);
    return model;
}

static void assert_same_history(const lstm_history *a, const lstm_history *b)
{
    assert_int_equal(lstm_history_epochs(a), lstm_history_epochs(b));
    for (size_t e = 0; e < lstm_history_epochs(a); e++)
        for (size_t c = 0; c < lstm_history_columns(a); c++)
            if (lstm_history_value(a, e, c) != lstm_history_value(b, e, c))
                fail_msg("epoch %zu column %s: %.17g %.17g", e + 1, lstm_history_name(a, c),
                         lstm_history_value(a, e, c), lstm_history_value(b, e, c));
}

static void test_36_epochs_are_12_and_12_and_12_with_every_option_on(void **state)
{
    static task t;
    lstm_history *whole_history = NULL;
    (void)state;
    start_task(&t);
    lstm_model *whole = train((run){.t = &t, .epochs = 36, .threads = 1, .patience = 1000},
                              &whole_history);
    for (int32_t threads = 1; threads <= 3; threads++)
        for (int from_source = 0; from_source < 2; from_source++) {
            lstm_model *pieces = NULL;
            lstm_history *history = NULL;
            for (int32_t part = 1; part <= 3; part++) {
                lstm_model_destroy(pieces);
                lstm_history_destroy(history);
                pieces = train((run){.t = &t,
                                     .epochs = 12 * part,
                                     .threads = 1 + (threads + part) % 3,
                                     .from_source = from_source,
                                     .patience = 1000,
                                     .last = LAST,
                                     .seconds = 1e6,
                                     .resume = part > 1 ? LAST : NULL},
                               &history);
            }
            assert_same_history(whole_history, history);
            assert_true(same_parameters(whole, pieces));
            lstm_model_destroy(pieces);
            lstm_history_destroy(history);
        }
    lstm_history_destroy(whole_history);
    lstm_model_destroy(whole);
    remove(LAST);
}

static void test_breaking_off_after_any_batch_changes_nothing(void **state)
{
    static task t;
    (void)state;
    start_task(&t);
    lstm_model *whole = train((run){.t = &t, .epochs = 3, .threads = 1, .patience = 1000}, NULL);
    for (int batches = 1; batches <= 14; batches += 2) {
        run r = {.t = &t,
                 .epochs = 3,
                 .threads = 2,
                 .patience = 1000,
                 .last = LAST,
                 .seconds = 1e6, /* cancelling writes it all the same */
                 .stop_after = batches,
                 .expected = LSTM_ERROR_CANCELLED};
        lstm_model_destroy(train(r, NULL));
        r.stop_after = 0;
        r.resume = LAST;
        r.expected = LSTM_OK;
        lstm_model *resumed = train(r, NULL);
        assert_true(same_parameters(whole, resumed));
        lstm_model_destroy(resumed);
        remove(LAST);
    }
    lstm_model_destroy(whole);
}

static size_t read_all(const char *path, unsigned char *bytes, size_t room)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t count = fread(bytes, 1, room, file);
    assert_true(count > 0 && count < room);
    assert_int_equal(fclose(file), 0);
    return count;
}

/* The best checkpoint is what the last one of a run up to the best epoch is, and going on from it
 * ends where the whole run ended. */
static void test_the_best_checkpoint_is_that_of_the_best_epoch(void **state)
{
    static task t;
    static unsigned char best[1 << 17], last[1 << 17];
    lstm_history *history = NULL;
    (void)state;
    start_task(&t);
    run r = {.t = &t, .epochs = 20, .threads = 1, .patience = 4, .best = BEST, .last = LAST};
    lstm_model *whole = train(r, &history);
    const int32_t epoch = (int32_t)lstm_history_best(history) + 1;
    const int32_t epochs = (int32_t)lstm_history_epochs(history);
    print_message("best epoch %d of %d\n", (int)epoch, (int)epochs);
    assert_true(epoch > 1 && epoch < epochs);
    const size_t size = read_all(BEST, best, sizeof best);
    run again = r;
    again.epochs = epoch;
    again.best = NULL;
    lstm_model_destroy(train(again, NULL));
    assert_int_equal(read_all(LAST, last, sizeof last), size);
    assert_memory_equal(last, best, size);
    again.epochs = 20;
    again.resume = BEST;
    again.last = NULL;
    again.best = BEST; /* it stays the best */
    lstm_model *resumed = train(again, NULL);
    assert_true(same_parameters(whole, resumed));
    assert_int_equal(read_all(BEST, last, sizeof last), size);
    assert_memory_equal(last, best, size);
    lstm_model_destroy(resumed);
    lstm_model_destroy(whole);
    lstm_history_destroy(history);
    lstm_model *model = build(1);
    assert_status_text(lstm_fit(model,
                                OPTIONS(lstm_fit, .checkpoint = LAST, .checkpoint_best = LAST),
                                &t.data, NULL),
                       LSTM_ERROR_ARGUMENT, "the same file");
    assert_status_text(lstm_fit(model, OPTIONS(lstm_fit, .checkpoint_seconds = -1), &t.data, NULL),
                       LSTM_ERROR_ARGUMENT, "checkpoint_seconds is -1");
    lstm_model_destroy(model);
    remove(BEST);
    remove(LAST);
}

typedef struct watch {
    int64_t epoch; /* after which the checkpoint is taken away */
    bool there[6]; /* at the end of each epoch, before it may be written anew */
} watch;

static int32_t look(void *user, const lstm_progress *progress)
{
    watch *w = user;
    if (progress->event == LSTM_PROGRESS_EPOCH && progress->epoch < 6) {
        w->there[progress->epoch] = access(LAST, F_OK) == 0;
        remove(LAST);
    }
    return 0;
}

static void test_epochs_that_follow_soon_share_a_checkpoint(void **state)
{
    static task t;
    (void)state;
    start_task(&t);
    for (int k = 0; k < 2; k++) {
        watch w = {0};
        lstm_model *model = NULL;
        remove(LAST);
        assert_ok(build_tutorial(&model, NULL, T, F, 2, 1));
        assert_ok(lstm_fit(model,
                           OPTIONS(lstm_fit, .epochs = 6, .checkpoint = LAST,
                                   .checkpoint_seconds = k == 0 ? 0 : 1000, .progress = look,
                                   .progress_user = &w),
                           &t.data, NULL));
        assert_false(w.there[1]); /* nothing yet */
        assert_true(w.there[2]);  /* that of the first epoch */
        for (int e = 3; e < 6; e++)
            assert_int_equal(w.there[e], k == 0);
        assert_int_equal(access(LAST, F_OK), 0); /* the end is always written */
        lstm_model_destroy(model);
    }
    remove(LAST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_36_epochs_are_12_and_12_and_12_with_every_option_on),
        cmocka_unit_test(test_breaking_off_after_any_batch_changes_nothing),
        cmocka_unit_test(test_the_best_checkpoint_is_that_of_the_best_epoch),
        cmocka_unit_test(test_epochs_that_follow_soon_share_a_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
