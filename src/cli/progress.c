/* SPDX-License-Identifier: MIT
 *
 * Progress of training and its interruption; see progress.h.
 *
 * The bar is one line of the terminal, drawn over itself at most ten times a second:
 *
 *     epoch 12/100 ━━━━━━━━───────────────  loss 0.0123  val_loss 0.0145  0:42 left
 *
 * Its width is what the other parts leave of the terminal's; where they leave less than ten
 * columns, it is not drawn. What is shown of losses is the latest epoch's, or the running batch's
 * before the first epoch ends.
 *
 * Signals: the handler only sets a flag and gives both signals back to the system, so that the next
 * one ends the program at once. A SIGINT that was ignored when the program began (nohup, a shell's
 * background job) stays ignored.
 */
#include "progress.h"

#include "messages.h"

#include <langinfo.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STYLE_SILENT = 1, STYLE_BAR, STYLE_LINES, STYLE_JSON };

#define REDRAW_SECONDS 0.1

static volatile sig_atomic_t interrupted;
static struct sigaction old_int;
static struct sigaction old_term;
static int watching;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
    struct sigaction back = {0};
    back.sa_handler = SIG_DFL;
    sigaction(SIGINT, &back, NULL);
    sigaction(SIGTERM, &back, NULL);
}

void interrupt_watch(void)
{
    if (watching) {
        return;
    }
    watching = 1;
    interrupted = 0;
    struct sigaction action = {0};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, &old_term);
    sigaction(SIGINT, NULL, &old_int);
    if (old_int.sa_handler != SIG_IGN) {
        sigaction(SIGINT, &action, NULL);
    }
}

void interrupt_unwatch(void)
{
    if (watching) {
        watching = 0;
        sigaction(SIGINT, &old_int, NULL);
        sigaction(SIGTERM, &old_term, NULL);
    }
}

int interrupt_seen(void)
{
    return interrupted != 0;
}

void progress_begin(progress *show, const arguments *line, int log_steps)
{
    *show = (progress){.log_steps = log_steps, .first_step = -1};
    const char *format = arguments_text(line, "log-format");
    if (format != NULL && strcmp(format, "json") == 0) {
        show->style = STYLE_JSON;
    } else if (message_is_quiet()) {
        show->style = STYLE_SILENT;
    } else {
        show->style = message_columns(stderr) > 0 ? STYLE_BAR : STYLE_LINES;
    }
    interrupt_watch();
}

void progress_begin_quietly(progress *show)
{
    *show = (progress){.first_step = -1, .style = STYLE_SILENT};
    interrupt_watch();
}

static void erase(progress *show)
{
    if (show->drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        show->drawn = 0;
    }
}

/* "1:02", "3:04:05" */
static void clock_text(char *text, size_t size, double seconds)
{
    const long total = seconds < 0 || !isfinite(seconds) ? 0
                       : seconds > 3.6e9                 ? 3600000000L
                                                         : lround(seconds);
    if (total >= 3600) {
        snprintf(text, size, "%ld:%02ld:%02ld", total / 3600, total / 60 % 60, total % 60);
    } else {
        snprintf(text, size, "%ld:%02ld", total / 60, total % 60);
    }
}

/* Remember "loss 0.0123  val_loss 0.0145" of an epoch. */
static void keep_values(progress *show, const lstm_progress *event)
{
    size_t used = 0;
    show->last_values[0] = '\0';
    for (size_t i = 0; i < event->value_count && used < sizeof show->last_values; i++) {
        if (strcmp(event->names[i], "gradient_norm") == 0) {
            continue; /* for JSON and reports */
        }
        used += (size_t)snprintf(show->last_values + used, sizeof show->last_values - used,
                                 "%s%s %.4g", i == 0 ? "" : "  ", event->names[i],
                                 event->values[i]);
    }
}

/* How much of the run is done, and of what this process had to do (a resumed run begins in the
 * middle). */
static double fraction_done(const progress *show, const lstm_progress *event, double *of_this_run)
{
    const double total = show->max_steps > 0 ? (double)show->max_steps
                                             : (double)event->epochs * (double)event->batches;
    const double done = (double)event->step;
    const double first = (double)show->first_step;
    *of_this_run = total > first ? (done - first) / (total - first) : 1;
    const double fraction = total > 0 ? done / total : 0;
    return fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
}

static void draw(progress *show, const lstm_progress *event)
{
    double of_this_run = 0;
    const double fraction = fraction_done(show, event, &of_this_run);
    char left[64];
    if (show->max_steps > 0) {
        snprintf(left, sizeof left, "step %lld/%lld", (long long)event->step,
                 (long long)show->max_steps);
    } else {
        snprintf(left, sizeof left, "epoch %lld/%lld", (long long)event->epoch,
                 (long long)event->epochs);
    }
    char time[32] = "";
    if (of_this_run > 0) {
        char clock[24];
        clock_text(clock, sizeof clock, event->seconds * (1 - of_this_run) / of_this_run);
        snprintf(time, sizeof time, "  %s left", clock);
    }
    char values[300];
    if (show->last_values[0] != '\0') {
        snprintf(values, sizeof values, "  %s", show->last_values);
    } else {
        snprintf(values, sizeof values, "  loss %.4g", event->loss);
    }
    const int columns = message_columns(stderr);
    int room = columns - 1 - (int)strlen(left) - 2 - (int)strlen(time);
    if ((int)strlen(values) > room) {
        values[room > 0 ? room : 0] = '\0';
    }
    room -= (int)strlen(values);
    const int bar = room < 10 ? 0 : room > 40 ? 40 : room;
    const int full = (int)(fraction * bar);
    const int utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    fprintf(stderr, "\r\033[K%s ", left);
    fputs(message_paint(stderr, PAINT_GREEN), stderr);
    for (int i = 0; i < bar; i++) {
        if (i == full) {
            fputs(message_paint(stderr, PAINT_NONE), stderr);
            fputs(message_paint(stderr, PAINT_DIM), stderr);
        }
        fputs(i < full ? (utf8 ? "━" : "#") : (utf8 ? "─" : "-"), stderr);
    }
    fprintf(stderr, "%s%s%s", message_paint(stderr, PAINT_NONE), values, time);
    fflush(stderr);
    show->drawn = 1;
}

static void print_number(const char *name, double value)
{
    if (isfinite(value)) {
        printf("\"%s\":%.9g", name, value);
    } else {
        printf("\"%s\":null", name);
    }
}

static void report_step(progress *show, const lstm_progress *event)
{
    if (show->style == STYLE_BAR && isatty(STDOUT_FILENO)) {
        erase(show);
    }
    printf("{\"step\":%lld,", (long long)event->step);
    print_number("loss", event->loss);
    puts("}");
    fflush(stdout);
}

static void report_epoch(progress *show, const lstm_progress *event)
{
    const double seconds = event->seconds - show->epoch_began;
    show->epoch_began = event->seconds;
    keep_values(show, event);
    if (show->style == STYLE_JSON) {
        printf("{\"epoch\":%lld,", (long long)event->epoch);
        for (size_t i = 0; i < event->value_count; i++) {
            print_number(event->names[i], event->values[i]);
            putchar(',');
        }
        printf("\"seconds\":%.9g}\n", seconds);
        fflush(stdout);
    } else if (show->style == STYLE_LINES) {
        fprintf(stderr, "epoch %lld", (long long)event->epoch);
        if (show->max_steps == 0) {
            fprintf(stderr, "/%lld", (long long)event->epochs);
        }
        for (size_t i = 0; i < event->value_count; i++) {
            if (strcmp(event->names[i], "gradient_norm") == 0) {
                continue;
            }
            fprintf(stderr, "  %s %.6g", event->names[i], event->values[i]);
        }
        fprintf(stderr, seconds < 1 ? "  %.0f ms\n" : "  %.1f s\n",
                seconds < 1 ? seconds * 1e3 : seconds);
    }
}

int32_t progress_report(void *user, const lstm_progress *event)
{
    progress *show = user;
    if (show->first_step < 0) {
        show->first_step = event->step - (event->event == LSTM_PROGRESS_BATCH ? 1 : 0);
    }
    show->epoch = event->epoch;
    show->epochs = event->epochs;
    show->step = event->step;
    show->seconds = event->seconds;
    if (event->event == LSTM_PROGRESS_BATCH && show->log_steps) {
        report_step(show, event);
    }
    if (event->event == LSTM_PROGRESS_EPOCH) {
        show->finished = event->epoch;
        report_epoch(show, event);
    }
    if (show->style == STYLE_BAR && event->seconds >= show->next_draw) {
        draw(show, event);
        show->next_draw = event->seconds + REDRAW_SECONDS;
    }
    if (interrupted && !show->interrupt_told) {
        show->interrupt_told = 1;
        erase(show);
        message_note("interrupted, stopping after this update (once more to stop at once)");
    }
    return interrupted != 0;
}

void progress_end(progress *show)
{
    erase(show);
    if (show->style == STYLE_BAR && show->last_values[0] != '\0') {
        char clock[24];
        clock_text(clock, sizeof clock, show->seconds);
        fprintf(stderr, "epoch %lld/%lld  %s  %s\n", (long long)show->epoch,
                (long long)show->epochs, show->last_values, clock);
    }
    show->style = STYLE_SILENT;
    interrupt_unwatch();
}

int progress_interrupted(const progress *show, const char *checkpoint, const char *hint)
{
    if (checkpoint == NULL) {
        return message_error(EXIT_INTERRUPTED, "interrupted in epoch %lld; nothing was written%s%s",
                             (long long)show->epoch, hint == NULL ? "" : "; ",
                             hint == NULL ? "" : hint);
    }
    return message_error(
        EXIT_INTERRUPTED,
        "interrupted in epoch %lld, after update %lld; the work so far is in %s%s%s",
        (long long)show->epoch, (long long)show->step, checkpoint,
        hint == NULL ? "" : ": go on with ", hint == NULL ? "" : hint);
}
