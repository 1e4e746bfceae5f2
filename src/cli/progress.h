/* SPDX-License-Identifier: MIT
 *
 * How training shows itself: a bar on a terminal, one line an epoch elsewhere, or JSON lines for
 * scripts; and how it is interrupted.
 *
 *     progress show;
 *     progress_begin(&show, arguments, log_steps);
 *     options.progress = progress_report;
 *     options.progress_user = &show;
 *     status = lstm_fit(model, &options, &data, &history);
 *     progress_end(&show);                     // leaves the terminal clean; before any other message
 *     if (status == LSTM_ERROR_CANCELLED) return progress_interrupted(&show, checkpoint_path_or_NULL, hint_or_NULL);
 *
 * Bar and lines go to stderr, JSON to stdout: {"epoch":1,"loss":…,"val_loss":…,"seconds":…}, and
 * with log_steps {"step":1,"loss":…} for each update, numbers with 9 significant digits (a float
 * survives the way).
 *
 * progress_begin also catches SIGINT and SIGTERM: the first one makes progress_report ask lstm_fit
 * to stop after the update under way, the second one ends the program at once.
 */
#ifndef LSTM_CLI_PROGRESS_H
#define LSTM_CLI_PROGRESS_H

#include "arguments.h"
#include <lstm/lstm.h>
#include <stdint.h>

typedef struct progress {
    int style;          /* silent, bar, lines, json */
    int log_steps;      /* one JSON line an update */
    int drawn;          /* a bar stands on the last line of the terminal */
    int interrupt_told; /* "stopping after this update" was said */
    double next_draw;   /* seconds since fit began before which the bar is not drawn again */
    double epoch_began; /* seconds since fit began */
    double seconds;
    int64_t first_step; /* updates done before this run; -1 = not known yet */
    int64_t epoch;      /* latest one seen, and how many are planned */
    int64_t epochs;
    int64_t finished; /* epochs finished since training began */
    int64_t step;
    /* fit's max_steps, 0 = epochs decide; set it after progress_begin for a correct bar */
    int64_t max_steps;
    char last_values[256]; /* "loss 0.0123  val_loss 0.0145" of the epoch before */
} progress;

/* `arguments` supply --quiet and, where the command has it, --log-format. */
void progress_begin(progress *show, const arguments *arguments, int log_steps);

/* For a fit among others: nothing is shown, interrupts are watched. */
void progress_begin_quietly(progress *show);

/* The callback of lstm_fit_options; user = the progress. */
int32_t progress_report(void *user, const lstm_progress *event);

/* Take the bar away and give the signals back. Safe to call twice. */
void progress_end(progress *show);

/* Say that training was interrupted, where the checkpoint is (NULL = none) and how to go on, or
 * what would have kept the work (`hint`; NULL = nothing). Returns EXIT_INTERRUPTED. */
int progress_interrupted(const progress *show, const char *checkpoint, const char *hint);

/* For loops of one's own: 1 once SIGINT or SIGTERM came since progress_begin or interrupt_watch. */
void interrupt_watch(void);
void interrupt_unwatch(void);
int interrupt_seen(void);

#endif
