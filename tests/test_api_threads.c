/* SPDX-License-Identifier: MIT
 * Threads: the same bits whatever their number and whoever provides them; several calls on one
 * model and several contexts at once; a context used after fork.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 100, T = 6, F = 3, H = 24, O = 2, X = N * T * F, Y = N * O };

/* ---- Runners of the caller's: backwards on this thread, and on two threads of its own */

static void run_backwards(void *user, void (*task)(void *argument, int32_t index), void *argument,
                          int32_t count)
{
    ++*(int *)user;
    for (int32_t k = count; k-- > 0;)
        task(argument, k);
}

typedef struct half {
    void (*task)(void *argument, int32_t index);
    void *argument;
    int32_t first, count;
} half;

static void *run_half(void *user)
{
    const half *h = user;
    for (int32_t k = h->first; k < h->count; k += 2)
        h->task(h->argument, k);
    return NULL;
}

static void run_on_two(void *user, void (*task)(void *argument, int32_t index), void *argument,
                       int32_t count)
{
    pthread_t thread;
    half halves[2] = {{task, argument, 0, count}, {task, argument, 1, count}};
    ++*(int *)user;
    const int failed = pthread_create(&thread, NULL, run_half, &halves[1]);
    run_half(&halves[0]);
    if (failed)
        run_half(&halves[1]);
    else
        pthread_join(thread, NULL);
}

/* ---- The same work in any context */

typedef struct results {
    float *parameters;
    size_t count;
    float prediction[Y];
    double losses[4];
    float hn[N * H], dweights[(H + F) * 4 * H];
} results;

static const lstm_data *the_data(void)
{
    static float x[X], y[Y];
    static lstm_data data;
    if (!data.struct_size) {
        fill_numbers(x, X, 1);
        fill_numbers(y, Y, 2);
        data = (lstm_data){
            .struct_size = sizeof data, .samples = N, .x = x, .x_count = X, .y = y, .y_count = Y};
    }
    return &data;
}

static lstm_status build(lstm_model **model, lstm_context *context)
{
    assert_ok(lstm_model_create(model, context, OPTIONS(lstm_model, .seed = 3)));
    assert_ok(lstm_model_add_input(*model, OPTIONS(lstm_input, .steps = T, .features = F), NULL));
    assert_ok(lstm_model_add_lstm(
        *model, OPTIONS(lstm_lstm, .units = H, .return_sequences = LSTM_YES), NULL, NULL));
    assert_ok(lstm_model_add_dropout(*model, OPTIONS(lstm_dropout, .rate = 0.2f), NULL, NULL));
    assert_ok(lstm_model_add_lstm(*model, OPTIONS(lstm_lstm, .units = H), NULL, NULL));
    assert_ok(lstm_model_add_dense(*model, OPTIONS(lstm_dense, .units = O), NULL, NULL));
    return lstm_model_build(*model);
}

static void run_primitive(lstm_context *context, results *r)
{
    lstm_primitive *p = NULL;
    float *weights = new_numbers((H + F) * 4 * H, 5);
    assert_ok(lstm_primitive_create(&p, context,
                                    OPTIONS(lstm_primitive, .training = LSTM_YES, .input_size = F,
                                            .hidden_size = H, .batch = N, .steps = T)));
    const lstm_primitive_arrays arrays = {.struct_size = sizeof arrays,
                                          .batch = N,
                                          .steps = T,
                                          .weights = weights,
                                          .x = the_data()->x,
                                          .hn = r->hn,
                                          .dhn = r->hn,
                                          .dweights = r->dweights};
    assert_ok(lstm_primitive_forward(p, &arrays));
    assert_ok(lstm_primitive_backward(p, &arrays));
    lstm_primitive_destroy(p);
    free(weights);
}

static void do_everything(lstm_context *context, results *r)
{
    lstm_model *m = NULL;
    lstm_history *history = NULL;
    assert_ok(build(&m, context));
    assert_ok(lstm_fit(m,
                       OPTIONS(lstm_fit, .epochs = 2, .batch_size = 100, .validation_split = 0.2),
                       the_data(), &history));
    for (size_t k = 0; k < 4; k++)
        r->losses[k] = lstm_history_value(history, k / 2, k % 2);
    r->parameters = copy_parameters(m, &r->count);
    assert_ok(lstm_predict(m, the_data(), r->prediction, Y));
    run_primitive(context, r);
    lstm_history_destroy(history);
    lstm_model_destroy(m);
}

static void assert_same_results(const results *a, const results *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->losses, b->losses, sizeof a->losses);
    assert_memory_equal(a->parameters, b->parameters, a->count * sizeof(float));
    assert_memory_equal(a->prediction, b->prediction, sizeof a->prediction);
    assert_memory_equal(a->hn, b->hn, sizeof a->hn);
    assert_memory_equal(a->dweights, b->dweights, sizeof a->dweights);
}

static void test_any_number_of_threads_and_any_runner_give_the_same_bits(void **state)
{
    static results expected, found;
    int calls[2] = {0, 0};
    const lstm_context_options options[] = {
        {.struct_size = sizeof options[0], .threads = 1},
        {.struct_size = sizeof options[0], .threads = 2},
        {.struct_size = sizeof options[0], .threads = 3},
        {.struct_size = sizeof options[0], .threads = -1},
        {.struct_size = sizeof options[0],
         .threads = 4,
         .run = run_backwards,
         .run_user = &calls[0]},
        {.struct_size = sizeof options[0], .threads = 2, .run = run_on_two, .run_user = &calls[1]}};
    (void)state;
    do_everything(NULL, &expected);
    for (size_t k = 0; k < LENGTH(options); k++) {
        lstm_context *context = NULL;
        assert_ok(lstm_context_create(&context, &options[k]));
        if (options[k].threads > 0)
            assert_int_equal(lstm_context_threads(context), options[k].threads);
        do_everything(context, &found);
        lstm_context_destroy(context);
        assert_same_results(&found, &expected);
        free(found.parameters);
    }
    assert_true(calls[0] > 0 && calls[1] > 0);
    free(expected.parameters);
}

/* ---- Several callers at once */

typedef struct reader {
    lstm_model *model;
    float out[Y];
    int failures;
} reader;

/* No CMocka on other threads: failures are counted. */
static void *predict_often(void *user)
{
    reader *r = user;
    double value = 0;
    for (int k = 0; k < 20; k++) {
        r->failures += lstm_predict(r->model, the_data(), r->out, Y) != LSTM_OK;
        r->failures += lstm_evaluate(r->model, NULL, the_data(), &value, 1) != LSTM_OK;
    }
    return NULL;
}

static void test_one_model_is_read_by_several_threads_at_once(void **state)
{
    static reader readers[3];
    float expected[Y];
    pthread_t threads[3];
    (void)state;
    for (int32_t count = 1; count <= 3; count++) {
        lstm_context *context = NULL;
        lstm_model *m = NULL;
        assert_ok(lstm_context_create(&context, OPTIONS(lstm_context, .threads = count)));
        assert_ok(build(&m, context));
        assert_ok(lstm_predict(m, the_data(), expected, Y));
        for (size_t k = 0; k < 3; k++) {
            readers[k] = (reader){.model = m};
            assert_int_equal(pthread_create(&threads[k], NULL, predict_often, &readers[k]), 0);
        }
        for (size_t k = 0; k < 3; k++) {
            pthread_join(threads[k], NULL);
            assert_int_equal(readers[k].failures, 0);
            assert_memory_equal(readers[k].out, expected, sizeof expected);
        }
        lstm_model_destroy(m);
        lstm_context_destroy(context);
    }
}

typedef struct trainer {
    lstm_context *context;
    lstm_model *model;
    lstm_status status;
} trainer;

static void *train(void *user)
{
    trainer *t = user;
    t->status = lstm_fit(t->model, OPTIONS(lstm_fit, .epochs = 2, .batch_size = 50), the_data(),
                         NULL);
    return NULL;
}

static void test_several_contexts_work_at_once(void **state)
{
    trainer trainers[3];
    pthread_t threads[3];
    lstm_model *alone = NULL;
    (void)state;
    assert_ok(build(&alone, NULL));
    assert_ok(lstm_fit(alone, OPTIONS(lstm_fit, .epochs = 2, .batch_size = 50), the_data(), NULL));
    for (size_t k = 0; k < 3; k++) {
        trainers[k] = (trainer){NULL, NULL, LSTM_OK};
        assert_ok(lstm_context_create(&trainers[k].context,
                                      OPTIONS(lstm_context, .threads = (int32_t)k + 1)));
        assert_ok(build(&trainers[k].model, trainers[k].context));
    }
    for (size_t k = 0; k < 3; k++)
        assert_int_equal(pthread_create(&threads[k], NULL, train, &trainers[k]), 0);
    for (size_t k = 0; k < 3; k++) {
        pthread_join(threads[k], NULL);
        assert_int_equal(trainers[k].status, LSTM_OK);
        assert_true(same_parameters(trainers[k].model, alone));
        lstm_model_destroy(trainers[k].model);
        lstm_context_destroy(trainers[k].context);
    }
    lstm_model_destroy(alone);
}

/* ---- After fork */

/* In the child: what each call answers, as bits of the exit code; an alarm ends a child that hangs.
 */
static int use_after_fork(lstm_model *model, lstm_session *session, lstm_primitive *primitive,
                          lstm_status expected)
{
    static float out[Y];
    double value = 0;
    int wrong = 0;
    const lstm_primitive_arrays arrays = {.struct_size = sizeof arrays,
                                          .batch = N,
                                          .steps = T,
                                          .weights = the_data()->x,
                                          .x = the_data()->x};
    alarm(20);
    wrong |= lstm_predict(model, the_data(), out, Y) == expected ? 0 : 1;
    wrong |= lstm_evaluate(model, NULL, the_data(), &value, 1) == expected ? 0 : 2;
    wrong |= lstm_fit(model, NULL, the_data(), NULL) == expected ? 0 : 4;
    wrong |= lstm_session_forward(session, the_data()) == expected ? 0 : 8;
    wrong |= lstm_primitive_forward(primitive, &arrays) == expected ? 0 : 16;
    return wrong;
}

static void test_a_context_with_threads_answers_thread_error_after_fork(void **state)
{
    (void)state;
    for (int32_t count = 1; count <= 2; count++) {
        lstm_context *context = NULL;
        lstm_model *m = NULL;
        lstm_session *session = NULL;
        lstm_primitive *primitive = NULL;
        float out[Y];
        int child_status = 0;
        assert_ok(lstm_context_create(&context, OPTIONS(lstm_context, .threads = count)));
        assert_ok(build(&m, context));
        assert_ok(lstm_session_create(&session, m, OPTIONS(lstm_session, .batch = N)));
        assert_ok(lstm_primitive_create(
            &primitive, context,
            OPTIONS(lstm_primitive, .input_size = 1, .hidden_size = 4, .batch = N, .steps = T)));
        assert_ok(lstm_predict(m, the_data(), out, Y)); /* the threads have worked */
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            const int wrong = use_after_fork(m, session, primitive,
                                             count > 1 ? LSTM_ERROR_THREAD : LSTM_OK);
            if (!wrong) { /* ending everything must not hang either */
                lstm_primitive_destroy(primitive);
                lstm_session_destroy(session);
                lstm_model_destroy(m);
                lstm_context_destroy(context);
            }
            _exit(wrong);
        }
        assert_int_equal(waitpid(child, &child_status, 0), child);
        if (!WIFEXITED(child_status) || WEXITSTATUS(child_status) != 0)
            fail_msg("%d threads: the child ended with status %#x", (int)count, child_status);
        assert_ok(lstm_predict(m, the_data(), out, Y)); /* the parent goes on */
        lstm_primitive_destroy(primitive);
        lstm_session_destroy(session);
        lstm_model_destroy(m);
        lstm_context_destroy(context);
    }
}

int main(void)
{
    the_data();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_number_of_threads_and_any_runner_give_the_same_bits),
        cmocka_unit_test(test_one_model_is_read_by_several_threads_at_once),
        cmocka_unit_test(test_several_contexts_work_at_once),
        cmocka_unit_test(test_a_context_with_threads_answers_thread_error_after_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
