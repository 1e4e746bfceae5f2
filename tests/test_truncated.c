/* SPDX-License-Identifier: MIT
 * Truncated back-propagation through time: every update against PyTorch's (truncated_torch.py, 2e-6
 * absolute), and bit for bit: one piece of all steps is plain training, long sequences are streams
 * of a stateful model, training in parts is training in one go, inside a sequence too.
 */
#include "api_checks.h"
#include "truncated_torch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH = 3, STEPS = 10, FEATURES = 3, UNITS = 4, OUTPUTS = 2 };
#define CHECKPOINT "truncated.checkpoint"

/* As in truncated_torch.py. */
static void pattern(float *values, size_t count, size_t seed)
{
    for (size_t k = 0; k < count; k++)
        values[k] = ((float)(((k * 37 + seed * 101 + 11) * 29) % 127) - 63) / 128;
}

static lstm_model *from_json(const char *text)
{
    lstm_model *model = NULL;
    assert_ok(lstm_model_from_json(&model, NULL, text, strlen(text)));
    return model;
}

static float *parameters(const lstm_model *model, size_t *total)
{
    float *all = NULL;
    *total = 0;
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, k, &info));
        all = realloc(all, (*total + info.count) * sizeof *all);
        assert_ok(lstm_model_get_parameter(model, k, all + *total, info.count));
        *total += info.count;
    }
    return all;
}

static void assert_same(const lstm_model *a, const lstm_model *b, const char *what)
{
    size_t count[2];
    float *values[2] = {parameters(a, &count[0]), parameters(b, &count[1])};
    assert_int_equal(count[0], count[1]);
    for (size_t k = 0; k < count[0]; k++)
        if (memcmp(values[0] + k, values[1] + k, sizeof(float)) != 0)
            fail_msg("%s: parameter value %zu: %.9g and %.9g", what, k, (double)values[0][k],
                     (double)values[1][k]);
    free(values[0]);
    free(values[1]);
}

/* Sequences with a target a step. */
typedef struct task {
    float *x, *y;
    lstm_data data;
} task;

static task start(size_t samples, size_t steps)
{
    task t = {.x = malloc(samples * steps * FEATURES * sizeof(float)),
              .y = malloc(samples * steps * OUTPUTS * sizeof(float))};
    pattern(t.x, samples * steps * FEATURES, 50);
    pattern(t.y, samples * steps * OUTPUTS, 60);
    t.data = (lstm_data){.struct_size = sizeof t.data,
                         .samples = (int64_t)samples,
                         .x = t.x,
                         .x_count = samples * steps * FEATURES,
                         .y = t.y,
                         .y_count = samples * steps * OUTPUTS};
    return t;
}

static void end(task *t)
{
    free(t->x);
    free(t->y);
}

/* ---- Against PyTorch */

typedef struct expectation {
    const lstm_model *model;
    const float *rows; /* parameters after each update */
    size_t columns, seen;
    double worst;
} expectation;

static int32_t compare_update(void *user, const lstm_progress *p)
{
    expectation *e = user;
    size_t count = 0;
    if (p->event != LSTM_PROGRESS_BATCH)
        return 0;
    float *values = parameters(e->model, &count);
    assert_int_equal(count, e->columns);
    for (size_t k = 0; k < count; k++)
        e->worst = fmax(e->worst, fabs((double)values[k] - (double)e->rows[e->seen * count + k]));
    free(values);
    e->seen++;
    assert_int_equal(p->batch, e->seen);
    return 0;
}

static void check_case(const char *name, const char *layers, const float *rows, size_t updates,
                       size_t columns, int64_t k1, int64_t k2, const int32_t *lengths)
{
    char text[1024];
    task t = start(BATCH, STEPS);
    snprintf(text, sizeof text,
             "{\"profile\": \"torch\", \"layers\": [{\"type\": \"Input\", \"shape\": [null, 3]}, "
             "%s, {\"type\": \"Dense\", \"units\": 2}]}",
             layers);
    lstm_model *model = from_json(text);
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, k, &info));
        float *values = malloc(info.count * sizeof *values);
        pattern(values, info.count, k + 1);
        assert_ok(lstm_model_set_parameter(model, k, values, info.count));
        free(values);
    }
    expectation e = {model, rows, columns, 0, 0};
    t.data.lengths = lengths;
    t.data.lengths_count = lengths ? BATCH : 0;
    assert_ok(lstm_fit(
        model,
        OPTIONS(lstm_fit, .tbptt_k1 = k1, .tbptt_k2 = k2,
                .optimizer_options = OPTIONS(lstm_optimizer, .optimizer = LSTM_OPTIMIZER_SGD,
                                             .learning_rate = 0.25),
                .progress = compare_update, .progress_user = &e),
        &t.data, NULL));
    print_message("%s: %zu updates, largest difference %.1e\n", name, e.seen, e.worst);
    assert_int_equal(e.seen, updates);
    assert_true(e.worst < 2e-6);
    end(&t);
    lstm_model_destroy(model);
}

#define CASE(name, layers, k1, k2, lengths) \
    check_case(#name, layers, name[0], LENGTH(name), LENGTH(name[0]), k1, k2, lengths)
#define RECURRENT(type) "{\"type\": \"" type "\", \"hidden_size\": 4, \"return_sequences\": true}"

static void test_every_update_is_that_of_a_truncated_loop_in_pytorch(void **state)
{
    static const int32_t lengths[BATCH] = {10, 5, 7};
    (void)state;
    CASE(lstm_3_3, RECURRENT("LSTM"), 3, 0, NULL);
    CASE(lstm_3_5, RECURRENT("LSTM") ", " RECURRENT("LSTM"), 3, 5, NULL);
    CASE(lstm_2_7, RECURRENT("LSTM"), 2, 7, lengths);
    CASE(gru_4_6, RECURRENT("GRU"), 4, 6, NULL);
    CASE(rnn_2_3, RECURRENT("SimpleRNN"), 2, 3, NULL);
}

/* ---- Bit for bit */

static const char stack[] = "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 3]},"
                            "{\"type\": \"LSTM\", \"units\": 4, \"return_sequences\": true},"
                            "{\"type\": \"Dropout\", \"rate\": 0.25},"
                            "{\"type\": \"GRU\", \"units\": 5, \"return_sequences\": true},"
                            "{\"type\": \"SimpleRNN\", \"units\": 3, \"return_sequences\": true},"
                            "{\"type\": \"Dense\", \"units\": 2}]}";
static const char stateful[] =
    "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 3]},"
    "{\"type\": \"LSTM\", \"units\": 4, \"return_sequences\": true, \"stateful\": true},"
    "{\"type\": \"Dropout\", \"rate\": 0.25},"
    "{\"type\": \"GRU\", \"units\": 5, \"return_sequences\": true, \"stateful\": true},"
    "{\"type\": \"SimpleRNN\", \"units\": 3, \"return_sequences\": true, \"stateful\": true},"
    "{\"type\": \"Dense\", \"units\": 2}]}";

static lstm_fit_options options_for(int32_t epochs)
{
    static const lstm_optimizer_options adam = {.struct_size = sizeof adam, .learning_rate = 0.01};
    return (lstm_fit_options){.struct_size = sizeof(lstm_fit_options),
                              .epochs = epochs,
                              .batch_size = 4,
                              .seed = 3,
                              .optimizer_options = &adam};
}

static void test_one_piece_of_all_steps_is_plain_training(void **state)
{
    static const int64_t pieces[][2] = {{STEPS, 0}, {STEPS, STEPS}, {STEPS + 5, STEPS + 9}};
    static const int32_t lengths[8] = {3, 10, 0, 7, 7, 1, 10, 2};
    (void)state;
    task t = start(8, STEPS);
    for (int masked = 0; masked < 2; masked++) {
        t.data.lengths = masked ? lengths : NULL;
        t.data.lengths_count = masked ? 8 : 0;
        lstm_model *plain = from_json(stack);
        lstm_history *expected = NULL;
        lstm_fit_options options = options_for(3);
        assert_ok(lstm_fit(plain, &options, &t.data, &expected));
        for (size_t k = 0; k < LENGTH(pieces); k++) {
            lstm_history *history = NULL;
            lstm_model *cut = from_json(stack);
            options.tbptt_k1 = pieces[k][0];
            options.tbptt_k2 = pieces[k][1];
            assert_ok(lstm_fit(cut, &options, &t.data, &history));
            assert_same(cut, plain, "one piece");
            for (size_t e = 0; e < 3; e++)
                assert_true(lstm_history_value(history, e, 0) ==
                            lstm_history_value(expected, e, 0));
            lstm_history_destroy(history);
            lstm_model_destroy(cut);
        }
        lstm_history_destroy(expected);
        lstm_model_destroy(plain);
    }
    end(&t);
}

/* Streams as long sequences cut by tbptt, and the same as short samples of a stateful model: sample
 * k of a batch goes on in sample k of the next. */
static void test_long_sequences_are_the_streams_of_a_stateful_model(void **state)
{
    enum { STREAMS = 4, PIECE = 5, PIECES = 6 };
    (void)state;
    task whole = start(STREAMS, PIECE * PIECES);
    task cut = start(STREAMS * PIECES, PIECE);
    for (size_t j = 0; j < PIECES; j++)
        for (size_t k = 0; k < STREAMS; k++) {
            memcpy(cut.x + (j * STREAMS + k) * PIECE * FEATURES,
                   whole.x + (k * PIECES + j) * PIECE * FEATURES, PIECE * FEATURES * sizeof(float));
            memcpy(cut.y + (j * STREAMS + k) * PIECE * OUTPUTS,
                   whole.y + (k * PIECES + j) * PIECE * OUTPUTS, PIECE * OUTPUTS * sizeof(float));
        }
    for (int time_first = 0; time_first < 2; time_first++) {
        lstm_model *a = from_json(stack);
        lstm_model *b = from_json(stateful);
        lstm_history *history[2] = {NULL, NULL};
        lstm_fit_options options = options_for(3);
        options.shuffle = LSTM_NO;
        assert_ok(lstm_fit(b, &options, &cut.data, &history[1]));
        options.tbptt_k1 = PIECE;
        assert_ok(lstm_fit(a, &options, &whole.data, &history[0]));
        assert_same(a, b, "streams");
        for (size_t e = 0; e < 3; e++)
            assert_true(fabs(lstm_history_value(history[0], e, 0) -
                             lstm_history_value(history[1], e, 0)) < 1e-12);
        lstm_history_destroy(history[0]);
        lstm_history_destroy(history[1]);
        lstm_model_destroy(a);
        lstm_model_destroy(b);
        float *turned = malloc(whole.data.x_count * sizeof *turned); /* once more, time first */
        float *targets = malloc(whole.data.y_count * sizeof *targets);
        for (size_t k = 0; k < STREAMS; k++)
            for (size_t t = 0; t < PIECE * PIECES; t++) {
                memcpy(turned + (t * STREAMS + k) * FEATURES,
                       whole.x + (k * PIECE * PIECES + t) * FEATURES, FEATURES * sizeof(float));
                memcpy(targets + (t * STREAMS + k) * OUTPUTS,
                       whole.y + (k * PIECE * PIECES + t) * OUTPUTS, OUTPUTS * sizeof(float));
            }
        free(whole.x);
        free(whole.y);
        whole.data.x = whole.x = turned;
        whole.data.y = whole.y = targets;
        whole.data.layout = LSTM_LAYOUT_TIME_FIRST;
    }
    end(&whole);
    end(&cut);
}

/* The same where streams have ended: batches must not be sorted by length then, or a stream would go
 * on from another one's states. The order of sums differs: 1e-5. */
static void test_streams_of_different_lengths_keep_their_places(void **state)
{
    enum { STREAMS = 4, PIECE = 5, PIECES = 6 };
    static const int32_t lengths[STREAMS] = {12, 30, 3, 24};
    /* dropout would draw by place */
    const char *dry = "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 3]},"
                      "{\"type\": \"LSTM\", \"units\": 4, \"return_sequences\": true},"
                      "{\"type\": \"Dense\", \"units\": 2}]}";
    const char *dry_stateful = "{\"layers\": [{\"type\": \"Input\", \"shape\": [null, 3]},"
                               "{\"type\": \"LSTM\", \"units\": 4, \"return_sequences\": true,"
                               "\"stateful\": true}, {\"type\": \"Dense\", \"units\": 2}]}";
    (void)state;
    task whole = start(STREAMS, PIECE * PIECES);
    task cut = start(STREAMS * PIECES, PIECE);
    int32_t left[STREAMS * PIECES];
    for (size_t j = 0; j < PIECES; j++)
        for (size_t k = 0; k < STREAMS; k++) {
            const int32_t own = lengths[k] - (int32_t)(j * PIECE);
            left[j * STREAMS + k] = own < 0 ? 0 : own > PIECE ? PIECE : own;
            memcpy(cut.x + (j * STREAMS + k) * PIECE * FEATURES,
                   whole.x + (k * PIECES + j) * PIECE * FEATURES, PIECE * FEATURES * sizeof(float));
            memcpy(cut.y + (j * STREAMS + k) * PIECE * OUTPUTS,
                   whole.y + (k * PIECES + j) * PIECE * OUTPUTS, PIECE * OUTPUTS * sizeof(float));
        }
    whole.data.lengths = lengths;
    whole.data.lengths_count = STREAMS;
    cut.data.lengths = left;
    cut.data.lengths_count = STREAMS * PIECES;
    lstm_model *a = from_json(dry);
    lstm_model *b = from_json(dry_stateful);
    lstm_fit_options options = options_for(2);
    const lstm_optimizer_options sgd = {
        .struct_size = sizeof sgd, .optimizer = LSTM_OPTIMIZER_SGD, .learning_rate = 0.1};
    size_t count = 0;
    options.optimizer_options = &sgd;
    options.shuffle = LSTM_NO;
    assert_ok(lstm_fit(b, &options, &cut.data, NULL));
    options.tbptt_k1 = PIECE;
    assert_ok(lstm_fit(a, &options, &whole.data, NULL));
    float *values[2] = {parameters(a, &count), parameters(b, &count)};
    for (size_t k = 0; k < count; k++)
        assert_true(fabs((double)values[0][k] - (double)values[1][k]) < 1e-5);
    free(values[0]);
    free(values[1]);
    lstm_model_destroy(a);
    lstm_model_destroy(b);
    end(&whole);
    end(&cut);
}

typedef struct canceller {
    int64_t at;
} canceller;

static int32_t cancel(void *user, const lstm_progress *p)
{
    return p->event == LSTM_PROGRESS_BATCH && p->step == ((const canceller *)user)->at;
}

/* 36 epochs are 12 and 12 and 12; and wherever training is cancelled, also inside a sequence,
 * resumed it ends with the same bits. */
static void check_resume(const char *json, const task *t, lstm_fit_options options, int64_t updates)
{
    lstm_model *whole = from_json(json);
    options.epochs = 36;
    assert_ok(lstm_fit(whole, &options, &t->data, NULL));
    lstm_fit_options part = options;
    part.checkpoint = CHECKPOINT;
    part.checkpoint_every = 100; /* at the end of each part: files are slow */
    lstm_model *pieces = NULL;
    for (int32_t k = 1; k <= 3; k++) {
        lstm_model_destroy(pieces);
        pieces = from_json(json);
        part.epochs = 12 * k;
        part.resume = k > 1 ? CHECKPOINT : NULL;
        assert_ok(lstm_fit(pieces, &part, &t->data, NULL));
    }
    assert_same(pieces, whole, "12 + 12 + 12 epochs");
    lstm_model_destroy(pieces);
    for (canceller c = {1}; c.at < updates; c.at += 1 + updates / 13) {
        pieces = from_json(json);
        part.checkpoint = CHECKPOINT;
        part.resume = NULL;
        part.epochs = 36;
        part.progress = cancel;
        part.progress_user = &c;
        assert_status(lstm_fit(pieces, &part, &t->data, NULL), LSTM_ERROR_CANCELLED);
        lstm_model_destroy(pieces);
        pieces = from_json(json);
        part.progress = NULL;
        part.resume = CHECKPOINT;
        part.checkpoint = NULL;
        assert_ok(lstm_fit(pieces, &part, &t->data, NULL));
        assert_same(pieces, whole, "cancelled and resumed");
        lstm_model_destroy(pieces);
    }
    lstm_model_destroy(whole);
    remove(CHECKPOINT);
}

static void test_resumed_training_has_the_bits_of_training_in_one_go(void **state)
{
    static const int32_t lengths[6] = {3, 10, 0, 7, 7, 2};
    (void)state;
    task t = start(6, STEPS);
    lstm_fit_options options = options_for(36);
    options.tbptt_k1 = 3;
    options.tbptt_k2 = 5;
    check_resume(stack, &t, options, 36 * 8);
    t.data.lengths = lengths;
    t.data.lengths_count = 6;
    check_resume(stack, &t, options, 36 * 6);
    options.shuffle = LSTM_NO;
    check_resume(stateful, &t, options, 36 * 6); /* carried from batch to batch too */
    options.tbptt_k1 = options.tbptt_k2 = 0;
    options.batch_size = 2;
    check_resume(stateful, &t, options, 36 * 3);
    end(&t);
}

static int32_t count_updates(void *user, const lstm_progress *p)
{
    *(int64_t *)user += p->event == LSTM_PROGRESS_BATCH;
    return 0;
}

static void test_pieces_of_padding_alone_cause_no_update(void **state)
{
    static const int32_t lengths[4] = {2, 3, 0, 1};
    (void)state;
    task t = start(4, STEPS);
    int64_t updates = 0;
    lstm_model *model = from_json(stack);
    lstm_fit_options options = options_for(2);
    options.tbptt_k1 = 2;
    options.batch_size = 2;
    options.shuffle = LSTM_NO;
    options.progress = count_updates;
    options.progress_user = &updates;
    t.data.lengths = lengths;
    t.data.lengths_count = 4;
    assert_ok(lstm_fit(model, &options, &t.data, NULL));
    assert_int_equal(updates, 2 * (2 + 1));
    lstm_model_destroy(model);
    end(&t);
}

/* L-BFGS runs a piece again and again: each time from the states that it began with. With a tiny
 * rate the parameters stay almost the same, and with them the losses of all pieces. */
typedef struct losses {
    double values[64];
    size_t count;
} losses;

static int32_t note_loss(void *user, const lstm_progress *p)
{
    losses *l = user;
    if (p->event == LSTM_PROGRESS_BATCH)
        l->values[l->count++] = p->loss;
    return 0;
}

static void test_lbfgs_begins_each_evaluation_of_a_piece_with_its_states(void **state)
{
    (void)state;
    task t = start(4, STEPS);
    losses found[2] = {{{0}, 0}, {{0}, 0}};
    for (int k = 0; k < 2; k++) {
        lstm_model *model = from_json(stateful);
        const lstm_optimizer_options optimizer = {.struct_size = sizeof optimizer,
                                                  .optimizer = k == 0 ? LSTM_OPTIMIZER_SGD
                                                                      : LSTM_OPTIMIZER_LBFGS,
                                                  .learning_rate = k == 0 ? -1 : 1e-5,
                                                  .max_iterations = 3,
                                                  .tolerance_change = 1e-30};
        lstm_fit_options options = options_for(1);
        options.tbptt_k1 = 2;
        options.optimizer_options = &optimizer;
        options.progress = note_loss;
        options.progress_user = &found[k];
        assert_ok(lstm_fit(model, &options, &t.data, NULL));
        lstm_model_destroy(model);
    }
    assert_int_equal(found[0].count, 5);
    for (size_t k = 0; k < 5; k++)
        assert_true(fabs(found[0].values[k] - found[1].values[k]) < 1e-4);
    end(&t);
}

/* ---- Memory */

static void *allocate_little(void *user, size_t bytes, size_t alignment)
{
    return bytes > *(size_t *)user ? NULL : aligned_alloc(alignment, bytes);
}

static void release(void *user, void *memory)
{
    (void)user;
    free(memory);
}

static void test_sequences_may_be_longer_than_the_memory_of_a_tape(void **state)
{
    (void)state;
    enum { LONG = 20000 };
    size_t most = (size_t)1 << 20;
    lstm_context *context = NULL;
    lstm_model *model = NULL;
    task t = start(2, LONG);
    lstm_history *history = NULL;
    assert_ok(lstm_context_create(&context, OPTIONS(lstm_context, .allocate = allocate_little,
                                                    .release = release, .allocator_user = &most)));
    assert_ok(lstm_model_from_json(&model, context, stack, strlen(stack)));
    lstm_fit_options options = options_for(1);
    assert_status(lstm_fit(model, &options, &t.data, NULL), LSTM_ERROR_MEMORY);
    options.tbptt_k1 = 50;
    options.tbptt_k2 = 80;
    assert_ok(lstm_fit(model, &options, &t.data, &history));
    assert_true(isfinite(lstm_history_value(history, 0, 0)));
    lstm_history_destroy(history);
    lstm_model_destroy(model);
    lstm_context_destroy(context);
    end(&t);
}

/* ---- Errors */

static void refuse(const char *layers, int64_t k1, int64_t k2, const char *words)
{
    char text[1024];
    task t = start(2, STEPS);
    snprintf(text, sizeof text, "{\"layers\": [{\"type\": \"Input\", \"shape\": [10, 3]}, %s]}",
             layers);
    lstm_model *model = from_json(text);
    lstm_fit_options options = options_for(1);
    options.tbptt_k1 = k1;
    options.tbptt_k2 = k2;
    int64_t steps = 0;
    int64_t features = 0;
    assert_ok(lstm_layer_shape(lstm_model_output(model, 0), &steps, &features));
    t.data.y_count = 2 * (size_t)(features * (steps == 0 ? 1 : steps));
    float *y = calloc(t.data.y_count, sizeof *y);
    t.data.y = y;
    assert_status_text(lstm_fit(model, &options, &t.data, NULL), LSTM_ERROR_ARGUMENT, words);
    free(y);
    lstm_model_destroy(model);
    end(&t);
}

static void test_what_cannot_be_cut_is_refused_by_name(void **state)
{
    (void)state;
    const char *plain = "{\"type\": \"LSTM\", \"units\": 2, \"return_sequences\": true}";
    refuse(plain, 3, 2, "tbptt_k1 is 3 and tbptt_k2 2: expected 1 <= tbptt_k1 <= tbptt_k2");
    refuse(plain, -1, 0, "tbptt_k1 is -1");
    refuse(plain, 0, 4, "tbptt_k1 is 0 and tbptt_k2 4");
    refuse("{\"type\": \"LSTM\", \"units\": 2}", 3, 0, "layer \"lstm\" (LSTM) needs its sequence");
    refuse("{\"type\": \"LSTM\", \"units\": 2, \"return_sequences\": true, \"go_backwards\": true}",
           3, 0, "layer \"lstm\" (LSTM) needs its sequence whole");
    refuse("{\"type\": \"GRU\", \"units\": 2, \"return_sequences\": true, \"go_backwards\": true}",
           3, 0, "layer \"gru\" (GRU) needs its sequence whole");
    refuse("{\"type\": \"Bidirectional\", \"layer\": {\"type\": \"LSTM\", \"units\": 2, "
           "\"return_sequences\": true}}",
           3, 0, "needs its sequence whole");
    refuse("{\"type\": \"Conv1D\", \"filters\": 2, \"kernel_size\": 3}", 3, 0,
           "layer \"conv1d\" (Conv1D) needs its sequence whole");
    refuse("{\"type\": \"GlobalMaxPooling1D\"}", 3, 0, "needs its sequence whole");
    lstm_model *vectors = from_json("{\"layers\": [{\"type\": \"Input\", \"shape\": [3]}, "
                                    "{\"type\": \"Dense\", \"units\": 2}]}");
    task t = start(2, 1);
    lstm_fit_options options = options_for(1);
    options.tbptt_k1 = 3;
    assert_status_text(lstm_fit(vectors, &options, &t.data, NULL), LSTM_ERROR_ARGUMENT,
                       "no input of the model is a sequence");
    lstm_model_destroy(vectors);
    end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_update_is_that_of_a_truncated_loop_in_pytorch),
        cmocka_unit_test(test_one_piece_of_all_steps_is_plain_training),
        cmocka_unit_test(test_long_sequences_are_the_streams_of_a_stateful_model),
        cmocka_unit_test(test_streams_of_different_lengths_keep_their_places),
        cmocka_unit_test(test_resumed_training_has_the_bits_of_training_in_one_go),
        cmocka_unit_test(test_pieces_of_padding_alone_cause_no_update),
        cmocka_unit_test(test_lbfgs_begins_each_evaluation_of_a_piece_with_its_states),
        cmocka_unit_test(test_sequences_may_be_longer_than_the_memory_of_a_tape),
        cmocka_unit_test(test_what_cannot_be_cut_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
