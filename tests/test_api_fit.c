/* SPDX-License-Identifier: MIT
 * lstm_fit: it learns; history, validation, shuffling, early stopping, callbacks and cancelling;
 * both layouts and every loss. What is refused is in test_api_fit_errors.c.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <stdlib.h>
#include <string.h>

enum { N = STACK_SAMPLES, X = N * STACK_STEPS * STACK_FEATURES, Y = N * STACK_OUTPUTS };

typedef stack_task task;

static bool same_histories(const lstm_history *a, const lstm_history *b)
{
    bool same = lstm_history_epochs(a) == lstm_history_epochs(b) &&
                lstm_history_columns(a) == lstm_history_columns(b);
    for (size_t e = 0; same && e < lstm_history_epochs(a); e++)
        for (size_t c = 0; c < lstm_history_columns(a); c++)
            same = same && lstm_history_value(a, e, c) == lstm_history_value(b, e, c);
    return same;
}

/* ---- Learning and history */

static void test_fit_learns_a_small_task(void **state)
{
    enum { SAMPLES = 64, T = 8 };
    lstm_model *m = NULL;
    lstm_history *history = NULL;
    float x[SAMPLES * T], y[SAMPLES];
    double value = 0;
    (void)state;
    fill_numbers(x, SAMPLES * T, 9);
    for (size_t n = 0; n < SAMPLES; n++)
        y[n] = 0.7f * x[n * T + 2] - 0.2f * x[n * T + 7];
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = SAMPLES,
                            .x = x,
                            .x_count = SAMPLES * T,
                            .y = y,
                            .y_count = SAMPLES};
    assert_ok(build_tutorial(&m, NULL, T, 1, 16, 1));
    const lstm_optimizer_options adam = {.struct_size = sizeof adam, .learning_rate = 0.01};
    assert_ok(
        lstm_fit(m, OPTIONS(lstm_fit, .epochs = 150, .batch_size = 16, .optimizer_options = &adam),
                 &data, &history));
    const double first = lstm_history_value(history, 0, 0);
    const double last = lstm_history_value(history, 149, 0);
    assert_ok(lstm_evaluate(m, NULL, &data, &value, 1));
    print_message("loss from %g to %g, evaluated %g\n", first, last, value);
    assert_true(first > 0.1 && last < 2e-3 && value < 2e-3);
    lstm_history_destroy(history);
    lstm_model_destroy(m);
}

static void test_history_has_a_named_column_for_each_value(void **state)
{
    static const int32_t metrics[] = {LSTM_METRIC_MAE, LSTM_METRIC_RMSE, LSTM_METRIC_MSE,
                                      LSTM_METRIC_ACCURACY};
    static const char *const names[] = {"loss",     "mae",         "rmse",    "mse",
                                        "accuracy", "val_loss",    "val_mae", "val_rmse",
                                        "val_mse",  "val_accuracy"};
    task t;
    lstm_history *history = NULL;
    (void)state;
    start_stack_task(&t);
    for (int validated = 0; validated < 2; validated++) {
        lstm_model *m = new_sample_stack();
        const size_t columns = validated ? 10 : 5;
        assert_ok(lstm_fit(m,
                           OPTIONS(lstm_fit, .epochs = 3, .metrics = metrics, .metric_count = 4,
                                   .validation_split = validated ? 0.25 : 0),
                           &t.data, &history));
        assert_int_equal(lstm_history_columns(history), columns);
        assert_int_equal(lstm_history_epochs(history), 3);
        for (size_t c = 0; c < columns; c++)
            assert_string_equal(lstm_history_name(history, c), names[c]);
        for (size_t e = 0; e < 3; e++)
            for (size_t c = 0; c < columns; c++)
                assert_true(isfinite(lstm_history_value(history, e, c)));
        for (size_t e = 0; e < 3; e++) { /* the loss is the MSE */
            assert_true(
                fabs(lstm_history_value(history, e, 0) - lstm_history_value(history, e, 3)) < 1e-6);
            assert_true(fabs(pow(lstm_history_value(history, e, 2), 2) -
                             lstm_history_value(history, e, 3)) < 1e-6);
        }
        assert_null(lstm_history_name(history, columns));
        assert_true(isnan(lstm_history_value(history, 3, 0)));
        assert_true(isnan(lstm_history_value(history, 0, columns)));
        lstm_history_destroy(history);
        lstm_model_destroy(m);
    }
}

/* ---- Validation */

typedef struct batches {
    int64_t batches; /* in an epoch, as told */
    int64_t updates;
} batches;

static int32_t count_batches(void *user, const lstm_progress *progress)
{
    batches *b = user;
    b->batches = progress->batches;
    b->updates += progress->event == LSTM_PROGRESS_BATCH;
    return 0;
}

static void test_validation_split_keeps_the_last_part_as_keras_does(void **state)
{
    static const struct {
        double split;
        int64_t trained; /* int(40 * (1 - split)) */
    } cases[] = {{0.1, 36},  {0.2, 32}, {0.25, 30}, {0.3, 28},
                 {0.33, 26}, {0.5, 20}, {0.01, 39}, {0.97, 1}};
    task t;
    (void)state;
    start_stack_task(&t);
    for (size_t k = 0; k < LENGTH(cases); k++) {
        lstm_model *split = new_sample_stack();
        lstm_model *apart = new_sample_stack();
        lstm_history *a = NULL;
        lstm_history *b = NULL;
        batches counted = {0};
        const int64_t trained = cases[k].trained;
        lstm_data first = t.data;
        first.samples = trained;
        first.x_count = (size_t)trained * STACK_STEPS * STACK_FEATURES;
        first.y_count = (size_t)trained * STACK_OUTPUTS;
        lstm_data last = t.data;
        last.samples = N - trained;
        last.x = t.x + first.x_count;
        last.x_count = X - first.x_count;
        last.y = t.y + first.y_count;
        last.y_count = Y - first.y_count;
        assert_ok(lstm_fit(split,
                           OPTIONS(lstm_fit, .epochs = 2, .batch_size = 1,
                                   .validation_split = cases[k].split, .progress = count_batches,
                                   .progress_user = &counted),
                           &t.data, &a));
        assert_int_equal(counted.batches, trained);
        assert_ok(lstm_fit(apart,
                           OPTIONS(lstm_fit, .epochs = 2, .batch_size = 1, .validation = &last),
                           &first, &b));
        assert_true(same_parameters(split, apart));
        assert_true(same_histories(a, b));
        lstm_history_destroy(a);
        lstm_history_destroy(b);
        lstm_model_destroy(split);
        lstm_model_destroy(apart);
    }
}

static void test_validation_does_not_touch_training(void **state)
{
    task t, other;
    (void)state;
    start_stack_task(&t);
    start_stack_task(&other);
    fill_numbers(other.x, X, 77);
    lstm_model *with = new_sample_stack();
    lstm_model *without = new_sample_stack();
    lstm_history *history = NULL;
    const lstm_fit_options plain = {.struct_size = sizeof plain, .epochs = 3, .batch_size = 7};
    lstm_fit_options validated = plain;
    validated.validation = &other.data;
    assert_ok(lstm_fit(without, &plain, &t.data, NULL));
    assert_ok(lstm_fit(with, &validated, &t.data, &history));
    assert_true(same_parameters(with, without));
    double value = 0;
    assert_ok(lstm_evaluate(with, NULL, &other.data, &value, 1));
    assert_true(fabs(value - lstm_history_value(history, 2, 1)) <
                1e-6); /* of the parameters after the epoch */
    lstm_history_destroy(history);
    lstm_model_destroy(with);
    lstm_model_destroy(without);
}

/* ---- Shuffling */

static void test_shuffling_depends_on_the_seed_alone(void **state)
{
    task t;
    (void)state;
    start_stack_task(&t);
    lstm_model *m[5];
    const lstm_fit_options shuffled = {
        .struct_size = sizeof shuffled, .epochs = 2, .batch_size = 4, .seed = 5};
    lstm_fit_options other = shuffled;
    other.seed = 6;
    lstm_fit_options ordered = shuffled;
    ordered.shuffle = LSTM_NO;
    lstm_fit_options explicit_yes = shuffled;
    explicit_yes.shuffle = LSTM_YES;
    const lstm_fit_options *const options[5] = {&shuffled, &explicit_yes, &other, &ordered,
                                                &ordered};
    for (size_t k = 0; k < 5; k++) {
        m[k] = new_sample_stack();
        assert_ok(lstm_fit(m[k], options[k], &t.data, NULL));
    }
    assert_true(same_parameters(m[0], m[1]));
    assert_false(same_parameters(m[0], m[2]));
    assert_false(same_parameters(m[0], m[3]));
    assert_true(same_parameters(m[3], m[4]));
    for (size_t k = 0; k < 5; k++)
        lstm_model_destroy(m[k]);
}

/* With a learning rate of 0 and one sample a batch the losses tell which sample was taken. */
typedef struct losses {
    double values[3 * N];
    size_t count;
} losses;

static int32_t note_loss(void *user, const lstm_progress *progress)
{
    losses *l = user;
    if (progress->event == LSTM_PROGRESS_BATCH && l->count < LENGTH(l->values))
        l->values[l->count++] = progress->loss;
    return 0;
}

static const lstm_optimizer_options standstill = {.struct_size = sizeof standstill,
                                                  .learning_rate = -1};

static int compare_numbers(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void test_each_epoch_takes_every_sample_once_in_a_new_order(void **state)
{
    task t;
    losses l = {.count = 0};
    lstm_model *m = NULL;
    (void)state;
    start_stack_task(&t);
    assert_ok(build_tutorial(&m, NULL, STACK_STEPS, STACK_FEATURES, 4, STACK_OUTPUTS));
    assert_ok(
        lstm_fit(m,
                 OPTIONS(lstm_fit, .epochs = 3, .batch_size = 1, .optimizer_options = &standstill,
                         .progress = note_loss, .progress_user = &l),
                 &t.data, NULL));
    assert_int_equal(l.count, 3 * N);
    size_t moved = 0;
    for (size_t n = 0; n < N; n++)
        moved += l.values[n] != l.values[N + n] && l.values[N + n] != l.values[2 * N + n];
    assert_true(moved > N / 2);
    for (size_t epoch = 0; epoch < 3; epoch++)
        qsort(l.values + epoch * N, N, sizeof *l.values, compare_numbers);
    assert_memory_equal(l.values, l.values + N, N * sizeof *l.values);
    assert_memory_equal(l.values, l.values + 2 * N, N * sizeof *l.values);
    lstm_model_destroy(m);
}

static void test_dropout_draws_a_new_mask_for_each_update(void **state)
{
    task t;
    losses l = {.count = 0};
    (void)state;
    start_stack_task(&t);
    lstm_model *m = new_sample_stack(); /* has a dropout layer */
    assert_ok(lstm_fit(m,
                       OPTIONS(lstm_fit, .epochs = 3, .batch_size = N / 2, .shuffle = LSTM_NO,
                               .optimizer_options = &standstill, .progress = note_loss,
                               .progress_user = &l),
                       &t.data, NULL));
    assert_int_equal(l.count, 6);
    for (size_t k = 0; k + 2 < l.count; k++)
        assert_true(l.values[k] != l.values[k + 2]); /* the same samples, an epoch later */
    lstm_model_destroy(m);
}

/* ---- Early stopping */

static void test_early_stopping_stops_and_restores_the_best_weights(void **state)
{
    task t, noise;
    (void)state;
    start_stack_task(&t);
    start_stack_task(&noise);
    fill_numbers(noise.y, Y, 31); /* nothing to learn for the validation: its loss soon rises */
    const lstm_optimizer_options fast = {.struct_size = sizeof fast, .learning_rate = 0.02};
    lstm_fit_options options = {.struct_size = sizeof options,
                                .epochs = 200,
                                .batch_size = 8,
                                .early_stopping = 4,
                                .validation = &noise.data,
                                .optimizer_options = &fast};
    lstm_history *history = NULL;
    lstm_model *restored = new_sample_stack();
    assert_ok(lstm_fit(restored, &options, &t.data, &history));
    const size_t epochs = lstm_history_epochs(history);
    const size_t best = lstm_history_best(history);
    print_message("stopped after %zu epochs, best %zu\n", epochs, best + 1);
    assert_true(epochs < 200);
    assert_int_equal(epochs, best + 1 + 4);
    for (size_t e = 0; e < epochs; e++)
        assert_true(lstm_history_value(history, e, 1) >= lstm_history_value(history, best, 1));
    double value = 0;
    assert_ok(lstm_evaluate(restored, NULL, &noise.data, &value, 1));
    assert_true(fabs(value - lstm_history_value(history, best, 1)) < 1e-6);
    /* Training for exactly the best number of epochs gives those weights. */
    lstm_model *shorter = new_sample_stack();
    lstm_fit_options until_best = options;
    until_best.early_stopping = 0;
    until_best.epochs = (int32_t)best + 1;
    assert_ok(lstm_fit(shorter, &until_best, &t.data, NULL));
    assert_true(same_parameters(shorter, restored));
    lstm_model *kept = new_sample_stack();
    options.restore_best = LSTM_NO;
    assert_ok(lstm_fit(kept, &options, &t.data, NULL));
    assert_ok(lstm_evaluate(kept, NULL, &noise.data, &value, 1));
    assert_true(fabs(value - lstm_history_value(history, epochs - 1, 1)) < 1e-6);
    lstm_history_destroy(history);
    lstm_model_destroy(restored);
    lstm_model_destroy(shorter);
    lstm_model_destroy(kept);
}

static void test_min_delta_decides_what_counts_as_better(void **state)
{
    task t;
    lstm_history *history = NULL;
    (void)state;
    start_stack_task(&t);
    lstm_model *m = new_sample_stack();
    assert_ok(lstm_fit(m, OPTIONS(lstm_fit, .epochs = 50, .early_stopping = 3, .min_delta = 10),
                       &t.data, &history));
    assert_int_equal(lstm_history_epochs(history), 4); /* nothing beats the first epoch by 10 */
    assert_int_equal(lstm_history_best(history), 0);
    lstm_history_destroy(history);
    lstm_model_destroy(m);
}

/* ---- Number of updates */

static void test_max_steps_goes_round_the_data(void **state)
{
    task t;
    (void)state;
    start_stack_task(&t);
    for (int64_t steps = 1; steps <= 25; steps += 6) { /* 10 updates an epoch */
        lstm_model *m = new_sample_stack();
        lstm_history *history = NULL;
        batches counted = {0};
        assert_ok(lstm_fit(m,
                           OPTIONS(lstm_fit, .epochs = 1, .batch_size = 4, .max_steps = steps,
                                   .progress = count_batches, .progress_user = &counted),
                           &t.data, &history));
        assert_int_equal(counted.updates, steps);
        assert_int_equal(lstm_history_epochs(history), steps / 10);
        lstm_history_destroy(history);
        lstm_model_destroy(m);
    }
}

static void test_an_optimizer_of_the_callers_goes_on_where_it_was(void **state)
{
    task t;
    lstm_optimizer *optimizer = NULL;
    (void)state;
    start_stack_task(&t);
    lstm_model *once = new_sample_stack();
    lstm_model *twice = new_sample_stack();
    const lstm_fit_options all = {.struct_size = sizeof all, .epochs = 4, .batch_size = 8};
    assert_ok(lstm_fit(once, &all, &t.data, NULL));
    assert_ok(lstm_optimizer_create(&optimizer, twice, NULL));
    assert_ok(lstm_fit(twice,
                       OPTIONS(lstm_fit, .epochs = 2, .batch_size = 8, .optimizer = optimizer),
                       &t.data, NULL));
    assert_int_equal(lstm_optimizer_steps(optimizer), 10);
    assert_ok(lstm_fit(
        twice,
        OPTIONS(lstm_fit, .epochs = 4, .initial_epoch = 2, .batch_size = 8, .optimizer = optimizer),
        &t.data, NULL));
    assert_int_equal(lstm_optimizer_steps(optimizer), 20);
    assert_true(same_parameters(once, twice));
    lstm_optimizer_destroy(optimizer);
    lstm_model_destroy(once);
    lstm_model_destroy(twice);
}

/* ---- Progress and cancelling */

typedef struct watcher {
    lstm_progress last;
    int64_t events[3];
    int32_t cancel_event;
    int64_t cancel_at; /* this many events of that kind */
    double seconds;
    char first_name[32];
} watcher;

static int32_t watch(void *user, const lstm_progress *p)
{
    watcher *w = user;
    w->events[p->event]++;
    assert_int_equal(p->struct_size, sizeof *p);
    assert_true(p->seconds >= w->seconds);
    w->seconds = p->seconds;
    if (p->event == LSTM_PROGRESS_EPOCH) {
        assert_int_equal(p->value_count, 2);
        assert_string_equal(p->names[1], "val_loss");
        assert_true(p->values[0] == p->loss);
        assert_int_equal(p->batch, p->batches);
        assert_true(p->improved == LSTM_YES || p->improved == LSTM_NO);
    } else {
        assert_int_equal(p->value_count, 0);
        assert_int_equal(p->step, (p->epoch - 1) * p->batches + p->batch);
        assert_true(p->batch >= 1 && p->batch <= p->batches);
    }
    assert_int_equal(p->epochs, 5);
    w->last = *p;
    return p->event == w->cancel_event && w->events[p->event] == w->cancel_at;
}

static void test_progress_tells_where_training_stands(void **state)
{
    task t;
    watcher w = {.cancel_event = 0};
    (void)state;
    start_stack_task(&t);
    lstm_model *m = new_sample_stack();
    assert_ok(lstm_fit(m,
                       OPTIONS(lstm_fit, .epochs = 5, .batch_size = 7, .validation_split = 0.25,
                               .progress = watch, .progress_user = &w),
                       &t.data, NULL));
    assert_int_equal(w.events[LSTM_PROGRESS_BATCH], 5 * 5); /* 30 samples in batches of 7 */
    assert_int_equal(w.events[LSTM_PROGRESS_EPOCH], 5);
    assert_int_equal(w.last.event, LSTM_PROGRESS_EPOCH);
    assert_int_equal(w.last.epoch, 5);
    assert_int_equal(w.last.step, 25);
    lstm_model_destroy(m);
}

static void test_the_callback_cancels_after_a_batch_or_an_epoch(void **state)
{
    task t;
    (void)state;
    start_stack_task(&t);
    for (int32_t event = LSTM_PROGRESS_BATCH; event <= LSTM_PROGRESS_EPOCH; event++) {
        watcher w = {.cancel_event = event, .cancel_at = event == LSTM_PROGRESS_BATCH ? 12 : 2};
        const int64_t updates = event == LSTM_PROGRESS_BATCH ? 12 : 10;
        lstm_model *m = new_sample_stack();
        lstm_model *same = new_sample_stack();
        lstm_history *history = NULL;
        const lstm_fit_options options = {.struct_size = sizeof options,
                                          .epochs = 5,
                                          .batch_size = 7,
                                          .validation_split = 0.25,
                                          .progress = watch,
                                          .progress_user = &w};
        assert_status(lstm_fit(m, &options, &t.data, &history), LSTM_ERROR_CANCELLED);
        assert_non_null(history);
        assert_int_equal(lstm_history_epochs(history), 2);
        assert_int_equal(w.last.step, updates);
        /* The parameters are those after the last update. */
        lstm_fit_options counted = options;
        counted.progress = NULL;
        counted.max_steps = updates;
        assert_ok(lstm_fit(same, &counted, &t.data, NULL));
        assert_true(same_parameters(m, same));
        lstm_history_destroy(history);
        lstm_model_destroy(m);
        lstm_model_destroy(same);
    }
    /* Cancelled in the first epoch there is no history. */
    watcher w = {.cancel_event = LSTM_PROGRESS_BATCH, .cancel_at = 1};
    lstm_model *m = new_sample_stack();
    lstm_history *history = (lstm_history *)m;
    assert_status(lstm_fit(m,
                           OPTIONS(lstm_fit, .epochs = 5, .validation_split = 0.25,
                                   .progress = watch, .progress_user = &w),
                           &t.data, &history),
                  LSTM_ERROR_CANCELLED);
    assert_null(history);
    lstm_model_destroy(m);
}

/* Sequences with targets at every step, in both layouts, shuffled and validated. */
static void test_fit_gives_the_same_in_both_layouts(void **state)
{
    enum { T = 5, F = 2, O = 2, SAMPLES = 11 };
    float x[SAMPLES * T * F], xt[SAMPLES * T * F], y[SAMPLES * T * O], yt[SAMPLES * T * O];
    lstm_model *models[2] = {NULL, NULL};
    lstm_history *histories[2] = {NULL, NULL};
    (void)state;
    fill_numbers(x, LENGTH(x), 1);
    fill_numbers(y, LENGTH(y), 2);
    for (size_t n = 0; n < SAMPLES; n++)
        for (size_t step = 0; step < T; step++) {
            memcpy(xt + (step * SAMPLES + n) * F, x + (n * T + step) * F, F * sizeof *x);
            memcpy(yt + (step * SAMPLES + n) * O, y + (n * T + step) * O, O * sizeof *y);
        }
    for (size_t k = 0; k < 2; k++) {
        const lstm_data data = {.struct_size = sizeof data,
                                .layout = k ? LSTM_LAYOUT_TIME_FIRST : LSTM_LAYOUT_BATCH_FIRST,
                                .samples = SAMPLES,
                                .x = k ? xt : x,
                                .x_count = LENGTH(x),
                                .y = k ? yt : y,
                                .y_count = LENGTH(y)};
        lstm_model *m = NULL;
        assert_ok(lstm_model_create(&m, NULL, OPTIONS(lstm_model, .seed = 4)));
        assert_ok(lstm_model_add_input(m, OPTIONS(lstm_input, .features = F), NULL));
        assert_ok(lstm_model_add_lstm(
            m, OPTIONS(lstm_lstm, .units = 4, .return_sequences = LSTM_YES), NULL, NULL));
        assert_ok(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = O), NULL, NULL));
        assert_ok(lstm_model_build(m));
        assert_ok(lstm_fit(
            m, OPTIONS(lstm_fit, .epochs = 3, .batch_size = 3, .validation_split = 0.2, .seed = 8),
            &data, &histories[k]));
        models[k] = m;
    }
    assert_true(same_parameters(models[0], models[1]));
    assert_true(same_histories(histories[0], histories[1]));
    for (size_t k = 0; k < 2; k++) {
        lstm_history_destroy(histories[k]);
        lstm_model_destroy(models[k]);
    }
}

static void test_every_loss_trains(void **state)
{
    task t;
    float classes[N];
    (void)state;
    start_stack_task(&t);
    for (size_t n = 0; n < N; n++) {
        classes[n] = t.y[2 * n] > 0;
        t.y[2 * n] = classes[n];
        t.y[2 * n + 1] = 1 - classes[n];
    }
    for (int32_t loss = LSTM_LOSS_MSE; loss <= LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY; loss++)
        for (int32_t logits = LSTM_YES; logits <= LSTM_NO; logits++) {
            lstm_model *m = NULL;
            lstm_history *history = NULL;
            const int32_t metric = LSTM_METRIC_ACCURACY;
            const lstm_loss_options options = {
                .struct_size = sizeof options, .loss = loss, .from_logits = logits};
            const bool binary = loss == LSTM_LOSS_BINARY_CROSSENTROPY;
            const int32_t activation = loss <= LSTM_LOSS_HUBER || logits == LSTM_YES
                                           ? LSTM_ACTIVATION_LINEAR
                                       : binary ? LSTM_ACTIVATION_SIGMOID
                                                : LSTM_ACTIVATION_SOFTMAX;
            lstm_data d = t.data;
            if (loss == LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY) {
                d.y = classes;
                d.y_count = N;
            }
            assert_ok(lstm_model_create(&m, NULL, NULL));
            assert_ok(lstm_model_add_input(
                m, OPTIONS(lstm_input, .steps = STACK_STEPS, .features = STACK_FEATURES), NULL));
            assert_ok(lstm_model_add_lstm(m, OPTIONS(lstm_lstm, .units = 8), NULL, NULL));
            assert_ok(lstm_model_add_dense(
                m, OPTIONS(lstm_dense, .units = 2, .activation = activation), NULL, NULL));
            assert_ok(lstm_model_build(m));
            const lstm_optimizer_options fast = {.struct_size = sizeof fast, .learning_rate = 0.02};
            assert_ok(
                lstm_fit(m,
                         OPTIONS(lstm_fit, .epochs = 60, .batch_size = 8, .loss = &options,
                                 .metrics = &metric, .metric_count = 1, .optimizer_options = &fast),
                         &d, &history));
            const double before = lstm_history_value(history, 0, 0);
            const double after = lstm_history_value(history, 59, 0);
            const double accuracy = lstm_history_value(history, 59, 1);
            print_message("%-32s logits %s: loss %.3f to %.4f, accuracy %.3f\n",
                          lstm_constant_name(LSTM_NAMES_LOSS, loss),
                          logits == LSTM_YES ? "yes" : "no", before, after, accuracy);
            assert_true(after < 0.35 * before && accuracy > 0.9);
            lstm_history_destroy(history);
            lstm_model_destroy(m);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fit_learns_a_small_task),
        cmocka_unit_test(test_history_has_a_named_column_for_each_value),
        cmocka_unit_test(test_validation_split_keeps_the_last_part_as_keras_does),
        cmocka_unit_test(test_validation_does_not_touch_training),
        cmocka_unit_test(test_shuffling_depends_on_the_seed_alone),
        cmocka_unit_test(test_each_epoch_takes_every_sample_once_in_a_new_order),
        cmocka_unit_test(test_dropout_draws_a_new_mask_for_each_update),
        cmocka_unit_test(test_early_stopping_stops_and_restores_the_best_weights),
        cmocka_unit_test(test_min_delta_decides_what_counts_as_better),
        cmocka_unit_test(test_max_steps_goes_round_the_data),
        cmocka_unit_test(test_an_optimizer_of_the_callers_goes_on_where_it_was),
        cmocka_unit_test(test_progress_tells_where_training_stands),
        cmocka_unit_test(test_the_callback_cancels_after_a_batch_or_an_epoch),
        cmocka_unit_test(test_fit_gives_the_same_in_both_layouts),
        cmocka_unit_test(test_every_loss_trains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
