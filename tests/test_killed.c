/* SPDX-License-Identifier: MIT
 * Training that is killed: SIGKILL at fifty random moments, and resuming each time, ends in the bits
 * of training in one go; the program's second SIGTERM ends it at once and leaves a good checkpoint.
 *
 * A process kills itself when a timer fires, wherever it is then: in an update, in the middle of a
 * checkpoint, while it reads one. The seed of the moments is printed.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 24, EPOCHS = 40, KILLS = 50 };
#define CHECKPOINT "killed.ckpt"
#define RESULT "killed.lstm"

static float x[N * STACK_STEPS * STACK_FEATURES], y[N * STACK_OUTPUTS];

/* Dropout, Adam, averages, accumulation, a plateau, weight and gradient noise, early stopping's best
 * weights. */
static lstm_status train(const char *resume, const char *checkpoint, const char *result)
{
    const lstm_schedule_options plateau = {
        .struct_size = sizeof plateau, .schedule = LSTM_SCHEDULE_PLATEAU, .patience = 1};
    const lstm_optimizer_options adam = {.struct_size = sizeof adam,
                                         .use_ema = LSTM_YES,
                                         .accumulation_steps = 2,
                                         .gradient_noise = 0.001,
                                         .schedule = &plateau};
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = N,
                            .x = x,
                            .x_count = LENGTH(x),
                            .y = y,
                            .y_count = LENGTH(y)};
    const lstm_fit_options options = {.struct_size = sizeof options,
                                      .epochs = EPOCHS,
                                      .batch_size = 5,
                                      .validation_split = 0.25,
                                      .early_stopping = 1000,
                                      .weight_noise = 0.01,
                                      .gradient_norms = LSTM_YES,
                                      .seed = 8,
                                      .optimizer_options = &adam,
                                      .checkpoint = checkpoint,
                                      .checkpoint_best = checkpoint ? CHECKPOINT ".best" : NULL,
                                      .resume = resume};
    lstm_context *context = NULL;
    lstm_model *model = NULL;
    lstm_status status = lstm_context_create(&context, OPTIONS(lstm_context, .threads = 1));
    status = status == LSTM_OK ? build_stack(&model, context) : status;
    status = status == LSTM_OK ? lstm_fit(model, &options, &data, NULL) : status;
    status = status == LSTM_OK ? lstm_model_save(model, result) : status;
    lstm_model_destroy(model);
    lstm_context_destroy(context);
    return status;
}

static void die(int number)
{
    (void)number;
    kill(getpid(), SIGKILL);
}

/* Train in a process of its own, which kills itself after some microseconds (0 = never). Returns its
 * wait status. */
static int train_apart(suseconds_t microseconds)
{
    int status = 0;
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct itimerval timer = {.it_value = {0, microseconds}};
        signal(SIGALRM, die);
        setitimer(ITIMER_REAL, &timer, NULL);
        const bool exists = access(CHECKPOINT, F_OK) == 0;
        const lstm_status result = train(exists ? CHECKPOINT : NULL, CHECKPOINT, RESULT);
        if (result != LSTM_OK)
            fprintf(stderr, "%s\n", lstm_last_error());
        _exit(result == LSTM_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void assert_result_is(const lstm_model *expected)
{
    lstm_model *found = NULL;
    assert_ok(lstm_model_load(&found, NULL, RESULT));
    assert_true(same_parameters(expected, found));
    lstm_model_destroy(found);
    assert_int_equal(remove(CHECKPOINT), 0);
}

static void test_killed_fifty_times_the_end_has_the_same_bits(void **state)
{
    const unsigned seed = (unsigned)getpid();
    unsigned random = seed;
    lstm_model *expected = NULL;
    int kills = 0;
    int ends = 0;
    (void)state;
    print_message("moments from the seed %u\n", seed);
    fill_numbers(x, LENGTH(x), 3);
    fill_numbers(y, LENGTH(y), 4);
    remove(CHECKPOINT);
    assert_ok(train(NULL, NULL, RESULT));
    assert_ok(lstm_model_load(&expected, NULL, RESULT));
    while (kills < KILLS) {
        random = random * 1103515245u + 12345u;
        const int status = train_apart(200 + (suseconds_t)((random >> 8) % 12000));
        if (WIFSIGNALED(status)) {
            assert_int_equal(WTERMSIG(status), SIGKILL);
            kills++;
            continue;
        }
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_result_is(expected); /* it came to its end: once more from the beginning */
        ends++;
    }
    assert_int_equal(train_apart(0), 0);
    assert_result_is(expected);
    print_message("%d ends on the way\n", ends);
    lstm_model_destroy(expected);
}

/* ---- The program */

static void write_rows(const char *path, const float *values, size_t rows, size_t columns)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t k = 0; k < rows * columns; k++)
        fprintf(file, "%.9g%c", (double)values[k], (k + 1) % columns == 0 ? '\n' : ',');
    assert_int_equal(fclose(file), 0);
}

/* Run `lstm fit` with standard output into `output` (-1 = nowhere; then with a checkpoint only to go
 * on). */
static pid_t start_fit(const char *epochs, const char *result, const char *resume, int output)
{
    const char *words[] = {LSTM_PROGRAM,
                           "fit",
                           "killed.json",
                           "--x=killed-x.csv",
                           "--y=killed-y.csv",
                           "--quiet",
                           "--log-steps",
                           "--threads=1",
                           "--epochs",
                           epochs,
                           "-o",
                           result,
                           output < 0 && !resume ? NULL : "--checkpoint",
                           "program.ckpt",
                           resume ? "--resume" : NULL,
                           resume,
                           NULL};
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGINT, SIG_DFL); /* ignored in the background of a shell */
        if (output >= 0)
            dup2(output, STDOUT_FILENO);
        else if (!freopen("/dev/null", "w", stdout))
            _exit(99);
        execv(LSTM_PROGRAM, (char *const *)(uintptr_t)words);
        _exit(99);
    }
    return pid;
}

static int end_of(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void write_inputs(void)
{
    static const char text[] = "{\"layers\": [{\"type\": \"Input\", \"shape\": [6, 3]}, {\"type\": "
                               "\"LSTM\", \"units\": 4},"
                               " {\"type\": \"Dense\", \"units\": 2}]}";
    FILE *file = fopen("killed.json", "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    fill_numbers(x, LENGTH(x), 3);
    fill_numbers(y, LENGTH(y), 4);
    write_rows("killed-x.csv", x, N, STACK_STEPS * STACK_FEATURES);
    write_rows("killed-y.csv", y, N, STACK_OUTPUTS);
}

/* Start a run that soon stands still, as nobody reads the lines of --log-steps, once it has a checkpoint.
 * ends: of its standard output. */
static pid_t start_that_stands_still(int ends[2])
{
    int status = 0;
    remove("program.ckpt");
    assert_int_equal(pipe(ends), 0);
#ifdef F_SETPIPE_SZ
    fcntl(ends[1], F_SETPIPE_SZ, 4096); /* sooner full: fewer epochs to repeat below */
#endif
    const pid_t pid = start_fit("100000", "never.lstm", NULL, ends[1]);
    while (access("program.ckpt", F_OK) != 0)
        assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    return pid;
}

/* Going on from the checkpoint ends in the bits of a run in one go. */
static void assert_checkpoint_is_good(void)
{
    lstm_model *whole = NULL;
    lstm_model *resumed = NULL;
    assert_int_equal(end_of(start_fit("300", "resumed.lstm", "program.ckpt", -1)), 0);
    assert_int_equal(end_of(start_fit("300", "whole.lstm", NULL, -1)), 0);
    assert_ok(lstm_model_load(&whole, NULL, "whole.lstm"));
    assert_ok(lstm_model_load(&resumed, NULL, "resumed.lstm"));
    assert_true(same_parameters(whole, resumed));
    lstm_model_destroy(whole);
    lstm_model_destroy(resumed);
}

/* The first signal: the update under way is finished, a checkpoint written, the exit code 130. */
static void test_one_signal_ends_the_program_with_a_checkpoint_of_that_moment(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM};
    (void)state;
    write_inputs();
    for (size_t k = 0; k < LENGTH(signals); k++) {
        char lines[4096];
        int ends[2];
        const pid_t pid = start_that_stands_still(ends);
        assert_int_equal(kill(pid, signals[k]), 0);
        close(ends[1]);
        while (read(ends[0], lines, sizeof lines) > 0)
            ;
        close(ends[0]);
        const int status = end_of(pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 130);
        assert_true(access("never.lstm", F_OK) != 0);
        assert_checkpoint_is_good();
    }
}

/* The program stands still in the middle of an epoch, so that only a signal that acts at once can end
 * it. */
static void test_the_second_signal_ends_the_program_at_once(void **state)
{
    int ends[2];
    int status = 0;
    (void)state;
    write_inputs();
    const pid_t pid = start_that_stands_still(ends);
    pid_t ended = 0;
    while (ended == 0) {
        kill(pid, SIGTERM);
        ended = waitpid(pid, &status, WNOHANG);
    }
    assert_int_equal(ended, pid);
    /* 130 if it got to the end of its update between the two signals, before the pipe was full */
    assert_true((WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM) ||
                (WIFEXITED(status) && WEXITSTATUS(status) == 130));
    assert_true(access("never.lstm", F_OK) != 0);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(end_of(start_fit("100000", "never.lstm", "killed.json", -1)), 2 << 8);
    assert_checkpoint_is_good();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_fifty_times_the_end_has_the_same_bits),
        cmocka_unit_test(test_one_signal_ends_the_program_with_a_checkpoint_of_that_moment),
        cmocka_unit_test(test_the_second_signal_ends_the_program_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
