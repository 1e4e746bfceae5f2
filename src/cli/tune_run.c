/* SPDX-License-Identifier: MIT
 *
 * The processes of a search: one a trial and rung, `jobs` at a time.
 *
 * A process is forked before this one has made any thread, parses the trial's command line with the
 * table of `lstm fit` and trains. What it prints goes to a pipe: the last line is the result, one
 * JSON object, or else the error. It goes on from the trial's checkpoint where there is one (the
 * rung before, or a run that was broken off), which `lstm_fit` does to the bit.
 *
 *     {"epochs": 9, "loss": …, "val_loss": …, "seconds": …, "planned": 9}
 *
 * are the values of the epoch whose weights the trial leaves: the best one with early stopping,
 * else the last one.
 *
 * Signals: an interrupt reaches this process alone (the others ignore SIGINT) and is handed on as
 * one SIGTERM, after which each writes its checkpoint. Where the system can, the processes get the
 * same signal when this one is killed.
 */
#include "tune.h"

#include "command.h"
#include "messages.h"
#include "network_file.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#define TEXT_LIMIT 65536

typedef struct worker {
    pid_t pid; /* 0 = free */
    int pipe;
    size_t which;
    int64_t epochs;        /* asked for */
    char text[TEXT_LIMIT]; /* what it printed; of more, the end */
    size_t length;
} worker;

/* ---- In the process of a trial */

static json_t *result_of(const fit_job *job)
{
    const lstm_history *h = job->history;
    const size_t epochs = lstm_history_epochs(h);
    json_t *result = json_object();
    if (epochs == 0 || result == NULL) {
        return result;
    }
    const size_t row = job->options.early_stopping > 0 ? lstm_history_best(h) : epochs - 1;
    json_object_set_new(result, "epochs", json_integer((json_int_t)epochs));
    for (size_t c = 0; c < lstm_history_columns(h); c++) {
        const double value = lstm_history_value(h, row, c);
        json_object_set_new(result, lstm_history_name(h, c),
                            isfinite(value) ? json_real(value) : json_null());
    }
    json_object_set_new(result, "seconds", json_real(job->show.seconds));
    return result;
}

static int train_trial(const tune *t, const trial *which, const arguments *line)
{
    static fit_job job; /* large, and one a process */
    json_t *result = NULL;
    char *text = NULL;
    int code = EXIT_DONE;
    NEED(fit_job_prepare(&job, line));
    job.options.checkpoint_every = job.options.epochs / 10 + 1; /* of what is killed little is lost */
    NEED(fit_job_train(&job));
    result = result_of(&job);
    if (t->measure != NULL) {
        NEED(t->measure(t, which, &job, result));
    }
    NEED(model_write(job.main.model, arguments_text(line, "output")));
    text = json_dumps(result, JSON_COMPACT);
    if (text == NULL) {
        code = message_error(EXIT_WORK, "out of memory");
        goto out;
    }
    printf("\n%s\n", text);
out:
    free(text);
    json_decref(result);
    fit_job_release(&job);
    return code;
}

static int run_trial(const tune *t, const trial *which, int64_t epochs)
{
    char path[4096];
    word_list words = {0};
    arguments *line = NULL;
    int code = trial_words(t, which, epochs, &words);
    if (code == EXIT_DONE && access(trial_path(t, which, ".ckpt", path, sizeof path), F_OK) == 0) {
        words_add(&words, "--resume=%s", path);
    }
    if (code == EXIT_DONE && words.failed) {
        code = message_error(EXIT_WORK, "out of memory");
    }
    if (code == EXIT_DONE) {
        code = arguments_parse(&line, &command_fit, (int)words.count, words.words);
    }
    if (code == ARGUMENTS_GO_ON) {
        code = train_trial(t, which, line);
    }
    arguments_destroy(line);
    words_release(&words);
    const int output = message_finish_output();
    return code != EXIT_DONE ? code : output;
}

static void become_worker(int output, pid_t parent)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
    if (getppid() != parent || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0) {
        _exit(EXIT_WORK);
    }
    close(output);
}

static int start(worker *w, const tune *t, size_t which, int64_t epochs)
{
    int ends[2];
    const pid_t parent = getpid();
    if (pipe(ends) != 0) {
        return message_error(EXIT_WORK, "a pipe cannot be made: %s", strerror(errno));
    }
    fflush(stdout);
    fflush(stderr);
    const pid_t pid = fork();
    if (pid < 0) {
        const int code = message_error(EXIT_WORK, "a process cannot be started: %s",
                                       strerror(errno));
        close(ends[0]);
        close(ends[1]);
        return code;
    }
    if (pid == 0) {
        close(ends[0]);
        become_worker(ends[1], parent);
        _exit(run_trial(t, &t->trials[which], epochs));
    }
    close(ends[1]);
    w->pid = pid;
    w->pipe = ends[0];
    w->which = which;
    w->epochs = epochs;
    w->length = 0;
    return EXIT_DONE;
}

/* ---- In the process of the search */

/* Take what a worker printed. Returns 0 when it has closed its end. */
static int take_text(worker *w)
{
    if (w->length > TEXT_LIMIT / 2) { /* only the end matters */
        memmove(w->text, w->text + w->length / 2, w->length - w->length / 2);
        w->length -= w->length / 2;
    }
    const ssize_t got = read(w->pipe, w->text + w->length, TEXT_LIMIT - 1 - w->length);
    if (got > 0) {
        w->length += (size_t)got;
    }
    return got > 0 || (got < 0 && errno == EINTR);
}

/* The last line that is not empty. */
static char *last_line(worker *w)
{
    while (w->length > 0 && w->text[w->length - 1] == '\n') {
        w->length--;
    }
    w->text[w->length] = '\0';
    char *line = strrchr(w->text, '\n');
    return line == NULL ? w->text : line + 1;
}

static void fail_trial(trial *which, const char *text)
{
    free(which->error);
    which->error = strdup(strncmp(text, "lstm: ", 6) == 0 ? text + 6 : text);
    message_warning("trial %lld failed: %s", (long long)which->number,
                    which->error == NULL ? "" : which->error);
}

/* A process has ended. Returns 0, EXIT_INTERRUPTED, or what ends the search. */
static int finish(worker *w, tune *t)
{
    int status = 0;
    trial *which = &t->trials[w->which];
    close(w->pipe);
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR) {
    }
    w->pid = 0;
    which->running = 0;
    char *line = last_line(w);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code == EXIT_INTERRUPTED || (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM)) {
        return EXIT_INTERRUPTED;
    }
    if (code == EXIT_FILE) {
        return message_error(EXIT_FILE, "trial %lld: %s", (long long)which->number,
                             strncmp(line, "lstm: ", 6) == 0 ? line + 6 : line);
    }
    json_t *result = code == EXIT_DONE ? json_loads(line, 0, NULL) : NULL;
    char text[96];
    if (result != NULL) {
        json_object_set_new(result, "planned", json_integer((json_int_t)w->epochs));
        json_array_append_new(which->results, result);
    } else if (WIFSIGNALED(status)) {
        snprintf(text, sizeof text, "its process was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
        fail_trial(which, text);
    } else {
        fail_trial(which, line);
    }
    const int saved = trials_save(t);
    if (saved == EXIT_DONE && result != NULL) {
        t->tell(t, which);
    }
    return saved;
}

static void stop_all(worker *workers, const tune *t)
{
    for (int64_t i = 0; i < t->jobs; i++) {
        if (workers[i].pid > 0) {
            kill(workers[i].pid, SIGTERM);
        }
    }
}

/* Wait until a worker says something or an interrupt comes. */
static int attend(worker *workers, struct pollfd *polls, tune *t)
{
    nfds_t count = 0;
    size_t of[256];
    int code = EXIT_DONE;
    for (int64_t i = 0; i < t->jobs; i++) {
        if (workers[i].pid > 0) {
            of[count] = (size_t)i;
            polls[count++] = (struct pollfd){.fd = workers[i].pipe, .events = POLLIN};
        }
    }
    if (poll(polls, count, -1) < 0) {
        return errno == EINTR ? EXIT_DONE : message_error(EXIT_WORK, "poll: %s", strerror(errno));
    }
    for (nfds_t k = 0; k < count; k++) {
        worker *w = &workers[of[k]];
        if (polls[k].revents != 0 && !take_text(w)) {
            const int ended = finish(w, t);
            code = code == EXIT_DONE ? ended : code;
        }
    }
    return code;
}

static int running(const worker *workers, const tune *t)
{
    int count = 0;
    for (int64_t i = 0; i < t->jobs; i++) {
        count += workers[i].pid > 0;
    }
    return count;
}

/* Start what can run. */
static int fill(worker *workers, tune *t)
{
    for (int64_t i = 0; i < t->jobs; i++) {
        int64_t epochs = 0;
        const ptrdiff_t which = workers[i].pid > 0 ? -1 : t->next(t, &epochs);
        if (which >= 0) {
            const int code = start(&workers[i], t, (size_t)which, epochs);
            if (code != EXIT_DONE) {
                return code;
            }
            t->trials[which].running = 1;
        }
    }
    return EXIT_DONE;
}

int tune_run(tune *t)
{
    worker *workers = calloc((size_t)t->jobs, sizeof *workers);
    struct pollfd *polls = calloc((size_t)t->jobs, sizeof *polls);
    int code = workers == NULL || polls == NULL ? message_error(EXIT_WORK, "out of memory")
                                                : trials_save(t);
    int told = 0;
    interrupt_watch();
    while (workers != NULL && polls != NULL) {
        if (code == EXIT_DONE && !interrupt_seen()) {
            code = fill(workers, t);
        }
        if (running(workers, t) == 0) {
            break;
        }
        if ((interrupt_seen() || code != EXIT_DONE) && !told) {
            told = 1;
            stop_all(workers, t);
        }
        const int ended = attend(workers, polls, t);
        code = code == EXIT_DONE ? ended : code;
    }
    if (code == EXIT_DONE && interrupt_seen()) {
        code = EXIT_INTERRUPTED;
    }
    interrupt_unwatch();
    free(workers);
    free(polls);
    if (code == EXIT_INTERRUPTED) {
        message_error(code, "interrupted; the same command goes on with what is in %s", t->folder);
    }
    return code;
}
