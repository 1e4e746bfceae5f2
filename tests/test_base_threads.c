/* SPDX-License-Identifier: MIT
 *
 * The fork-join pool and the caller's runner: every task once, nested calls, several callers,
 * signals, denormals, fork. Run it under the thread sanitizer.
 */
#include "context.h"
#include "cpu.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST_TASKS = 300 };

typedef struct job {
    lstm_context *context;
    /* as many tasks as threads that wait for each other: each thread gets one */
    pthread_barrier_t *all_here;
    _Atomic int runs[MOST_TASKS];
    _Atomic int inner_runs;
    _Atomic int mistakes;
} job;

static lstm_context *context_of(int32_t threads)
{
    const lstm_context_options options = {.struct_size = sizeof options, .threads = threads};
    lstm_context *context = NULL;
    assert_int_equal(lstm_context_create(&context, &options), LSTM_OK);
    assert_non_null(context);
    return context;
}

static void count_run(void *argument, int32_t index)
{
    job *const j = argument;
    atomic_fetch_add(&j->runs[index], 1);
}

static void expect_each_once(job *j, int32_t count)
{
    for (int32_t k = 0; k < MOST_TASKS; k++)
        assert_int_equal(atomic_load(&j->runs[k]), k < count);
}

static void test_every_task_runs_once(void **state)
{
    (void)state;
    static const int32_t threads[] = {1, 2, 3, 8};
    static const int32_t counts[] = {0, 1, 2, 3, 7, MOST_TASKS};
    for (size_t t = 0; t < 4; t++) {
        lstm_context *const context = context_of(threads[t]);
        assert_int_equal(lstm_context_threads(context), threads[t]);
        for (int repeat = 0; repeat < 50; repeat++)
            for (size_t c = 0; c < 6; c++) {
                job j = {.context = context};
                lstm__parallel(context, counts[c], count_run, &j);
                expect_each_once(&j, counts[c]);
            }
        lstm_context_destroy(context);
    }
}

static void test_all_cpus_are_used_when_asked_for(void **state)
{
    (void)state;
    lstm_context *const context = context_of(-1);
    assert_true(lstm_context_threads(context) >= 1 && lstm_context_threads(context) <= 256);
    lstm_context_destroy(context);
}

static size_t threads_of_process(void)
{
    DIR *const folder = opendir("/proc/self/task");
    if (!folder)
        return 0;
    size_t count = 0;
    for (const struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static void test_one_thread_creates_none(void **state)
{
    (void)state;
    const size_t before = threads_of_process();
    lstm_context *const one = context_of(1);
    job j = {.context = one};
    lstm__parallel(one, 100, count_run, &j);
    assert_int_equal(threads_of_process(), before);
    lstm_context_destroy(one);
    if (before > 0) {
        lstm_context *const four = context_of(4);
        assert_int_equal(threads_of_process(), before + 3);
        lstm_context_destroy(four);
    }
}

static void count_inner(void *argument, int32_t index)
{
    job *const j = argument;
    (void)index;
    atomic_fetch_add(&j->inner_runs, 1);
}

static void call_again(void *argument, int32_t index)
{
    job *const j = argument;
    atomic_fetch_add(&j->runs[index], 1);
    lstm__parallel(j->context, 5, count_inner, j);
}

static void test_nested_calls_run_and_return(void **state)
{
    (void)state;
    lstm_context *const context = context_of(3);
    for (int repeat = 0; repeat < 100; repeat++) {
        job j = {.context = context};
        lstm__parallel(context, 9, call_again, &j);
        expect_each_once(&j, 9);
        assert_int_equal(atomic_load(&j.inner_runs), 45);
    }
    lstm_context_destroy(context);
}

static void *use_from_a_thread(void *argument)
{
    lstm_context *const context = argument;
    job *const j = malloc(sizeof *j);
    if (!j)
        return (void *)1;
    uintptr_t wrong = 0;
    for (int repeat = 0; repeat < 300; repeat++) {
        memset(j, 0, sizeof *j);
        j->context = context;
        lstm__parallel(context, 11, call_again, j);
        for (int32_t k = 0; k < 11; k++)
            wrong += atomic_load(&j->runs[k]) != 1;
        wrong += atomic_load(&j->inner_runs) != 55;
    }
    free(j);
    return (void *)wrong;
}

static void test_two_callers_take_turns(void **state)
{
    (void)state;
    lstm_context *const context = context_of(2);
    pthread_t callers[2];
    for (size_t k = 0; k < 2; k++)
        assert_int_equal(pthread_create(&callers[k], NULL, use_from_a_thread, context), 0);
    for (size_t k = 0; k < 2; k++) {
        void *wrong = (void *)1;
        assert_int_equal(pthread_join(callers[k], &wrong), 0);
        assert_null(wrong);
    }
    lstm_context_destroy(context);
}

/* Plain memory written by the tasks must be visible after the call, and the caller's before it. */
typedef struct sums {
    const int32_t *numbers;
    int64_t part[16];
} sums;

static void add_part(void *argument, int32_t index)
{
    sums *const s = argument;
    for (int32_t k = 0; k < 100; k++)
        s->part[index] += s->numbers[index * 100 + k];
}

static void test_memory_is_passed_there_and_back(void **state)
{
    (void)state;
    lstm_context *const context = context_of(4);
    static int32_t numbers[1600];
    for (int32_t round = 0; round < 200; round++) {
        for (int32_t k = 0; k < 1600; k++)
            numbers[k] = k + round;
        sums s = {.numbers = numbers};
        lstm__parallel(context, 16, add_part, &s);
        int64_t total = 0;
        for (size_t k = 0; k < 16; k++)
            total += s.part[k];
        assert_int_equal(total, 1600 * 1599 / 2 + 1600 * round);
    }
    lstm_context_destroy(context);
}

static void check_denormals(void *argument, int32_t index)
{
    job *const j = argument;
    (void)index;
    if (j->all_here)
        pthread_barrier_wait(j->all_here);
    volatile float small = 1e-38f;
    if (small * 0.1f != 0)
        atomic_fetch_add(&j->mistakes, 1);
}

static void expect_flushing(lstm_context *context)
{
#if defined(__x86_64__) || defined(__aarch64__)
    job j = {.context = context};
    for (int32_t count = 1; count < 50; count++)
        lstm__parallel(context, count, check_denormals, &j);
    assert_int_equal(atomic_load(&j.mistakes), 0);
    volatile float small = 1e-38f;
    assert_true(small * 0.1f != 0);
#else
    (void)context;
#endif
}

static void expect_flushing_on_each(lstm_context *context, int32_t threads)
{
#if defined(__x86_64__) || defined(__aarch64__)
    pthread_barrier_t barrier;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, (unsigned)threads), 0);
    job j = {.context = context, .all_here = &barrier};
    for (int repeat = 0; repeat < 20; repeat++)
        lstm__parallel(context, threads, check_denormals, &j);
    assert_int_equal(atomic_load(&j.mistakes), 0);
    pthread_barrier_destroy(&barrier);
#else
    (void)context;
    (void)threads;
#endif
}

static void test_tasks_flush_denormals_and_callers_keep_them(void **state)
{
    (void)state;
    for (int32_t threads = 1; threads < 4; threads++) {
        lstm_context *const context = context_of(threads);
        expect_flushing(context);
        expect_flushing_on_each(context, threads);
        lstm_context_destroy(context);
    }
}

static pthread_t main_thread;

static void check_signals(void *argument, int32_t index)
{
    job *const j = argument;
    (void)index;
    pthread_barrier_wait(j->all_here);
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    const int expected = !pthread_equal(pthread_self(), main_thread);
    if (sigismember(&blocked, SIGINT) != expected || sigismember(&blocked, SIGTERM) != expected)
        atomic_fetch_add(&j->mistakes, 1);
}

static void test_workers_take_no_signals(void **state)
{
    (void)state;
    lstm_context *const context = context_of(3);
    main_thread = pthread_self();
    pthread_barrier_t barrier;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 3), 0);
    job j = {.context = context, .all_here = &barrier};
    for (int repeat = 0; repeat < 20; repeat++)
        lstm__parallel(context, 3, check_signals, &j);
    assert_int_equal(atomic_load(&j.mistakes), 0);
    pthread_barrier_destroy(&barrier);
    lstm_context_destroy(context);
}

static void test_forked_child_is_told_and_does_not_hang(void **state)
{
    (void)state;
    lstm_context *const context = context_of(3);
    lstm_context *const single = context_of(1);
    assert_int_equal(lstm__context_check(context), LSTM_OK);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        job j = {.context = context};
        int wrong = lstm__context_check(context) != LSTM_ERROR_THREAD;
        wrong |= lstm__context_check(single) != LSTM_OK;
        lstm__parallel(context, 20, count_run, &j);
        for (int32_t k = 0; k < 20; k++)
            wrong |= atomic_load(&j.runs[k]) != 1;
        lstm_context_destroy(context);
        lstm_context_destroy(single);
        _exit(wrong);
    }
    int exit_status = -1;
    assert_int_equal(waitpid(child, &exit_status, 0), child);
    assert_true(WIFEXITED(exit_status));
    assert_int_equal(WEXITSTATUS(exit_status), 0);
    job j = {.context = context};
    lstm__parallel(context, 20, count_run, &j);
    expect_each_once(&j, 20);
    lstm_context_destroy(context);
    lstm_context_destroy(single);
}

/* ---- The caller's runner: runs tasks backwards, each on a thread of its own. */

typedef struct runner {
    int calls;
    int32_t largest;
} runner;

typedef struct one_task {
    void (*task)(void *argument, int32_t index);
    void *argument;
    int32_t index;
} one_task;

static void *run_one(void *argument)
{
    const one_task *const t = argument;
    t->task(t->argument, t->index);
    return NULL;
}

static void run_on_threads(void *user, void (*task)(void *argument, int32_t index), void *argument,
                           int32_t count)
{
    runner *const r = user;
    r->calls++;
    if (count > r->largest)
        r->largest = count;
    for (int32_t k = count - 1; k >= 0; k--) {
        one_task t = {task, argument, k};
        pthread_t thread;
        if (pthread_create(&thread, NULL, run_one, &t) == 0)
            pthread_join(thread, NULL);
        else
            run_one(&t);
    }
}

static lstm_context *context_with_runner(runner *r)
{
    const lstm_context_options options = {
        .struct_size = sizeof options, .threads = 4, .run = run_on_threads, .run_user = r};
    lstm_context *context = NULL;
    assert_int_equal(lstm_context_create(&context, &options), LSTM_OK);
    return context;
}

static void test_runner_gets_the_tasks_and_no_thread_is_started(void **state)
{
    (void)state;
    runner r = {0};
    const size_t before = threads_of_process();
    lstm_context *const context = context_with_runner(&r);
    assert_int_equal(threads_of_process(), before);
    assert_int_equal(lstm_context_threads(context), 4);
    job j = {.context = context};
    lstm__parallel(context, 40, count_run, &j);
    expect_each_once(&j, 40);
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.largest, 40);
    expect_flushing(context);
    lstm_context_destroy(context);
}

static void test_runner_is_not_called_while_it_runs(void **state)
{
    (void)state;
    runner r = {0};
    lstm_context *const context = context_with_runner(&r);
    job j = {.context = context};
    lstm__parallel(context, 6, call_again, &j);
    expect_each_once(&j, 6);
    assert_int_equal(atomic_load(&j.inner_runs), 30);
    assert_int_equal(r.calls, 1);
    lstm_context_destroy(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_runs_once),
        cmocka_unit_test(test_all_cpus_are_used_when_asked_for),
        cmocka_unit_test(test_one_thread_creates_none),
        cmocka_unit_test(test_nested_calls_run_and_return),
        cmocka_unit_test(test_two_callers_take_turns),
        cmocka_unit_test(test_memory_is_passed_there_and_back),
        cmocka_unit_test(test_tasks_flush_denormals_and_callers_keep_them),
        cmocka_unit_test(test_workers_take_no_signals),
        cmocka_unit_test(test_forked_child_is_told_and_does_not_hang),
        cmocka_unit_test(test_runner_gets_the_tasks_and_no_thread_is_started),
        cmocka_unit_test(test_runner_is_not_called_while_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
