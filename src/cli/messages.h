/* SPDX-License-Identifier: MIT
 *
 * What the program says on stderr, and the codes with which it ends.
 *
 * Every message is one line that begins with "lstm: ". Colour only on a terminal, and not where
 * NO_COLOR is set or TERM is "dumb".
 */
#ifndef LSTM_CLI_MESSAGES_H
#define LSTM_CLI_MESSAGES_H

#include <lstm/lstm.h>
#include <stdio.h>

#define EXIT_DONE 0
#define EXIT_WORK 1          /* the work failed: numeric trouble, no memory, target not reached */
#define EXIT_USE 2           /* wrong use or bad input */
#define EXIT_FILE 3          /* a file can't be read or written */
#define EXIT_INTERRUPTED 130 /* SIGINT or SIGTERM */

#if defined(__GNUC__)
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#else
#define PRINTF_LIKE(text, first)
#endif

/* Print "lstm: …" and return `code`, so that a command can say `return message_error(EXIT_USE, …)`.
 */
int message_error(int code, const char *format, ...) PRINTF_LIKE(2, 3);

/* Print the library's latest error and return the exit code that belongs to the status. `where` (a
 * file, a step of the work) comes first unless the text begins with it already; NULL = nothing. */
int message_status(lstm_status status, const char *where);

/* Return the exit code of a status, printing nothing. */
int message_exit_code(lstm_status status);

/* Print "lstm: …": something worth knowing; silent after message_set_quiet(1). */
void message_note(const char *format, ...) PRINTF_LIKE(1, 2);

/* Print "lstm: warning: …", even when quiet. */
void message_warning(const char *format, ...) PRINTF_LIKE(1, 2);

/* --quiet: no notes, no progress, results only. */
void message_set_quiet(int quiet);
int message_is_quiet(void);

/* Flush stdout and find out whether everything arrived (full disk, closed pipe). Returns 0, or
 * EXIT_FILE after printing why. The last thing that every command does; main.c does it for all. */
int message_finish_output(void);

/* Escape sequences for a stream, or "" where colour is not wanted. */
#define PAINT_NONE 0
#define PAINT_BOLD 1
#define PAINT_DIM 2
#define PAINT_RED 3
#define PAINT_GREEN 4
#define PAINT_YELLOW 5
#define PAINT_CYAN 6
const char *message_paint(FILE *stream, int paint);

/* Columns of the terminal behind a stream (COLUMNS, else the system's answer); 0 if it is no
 * terminal. */
int message_columns(FILE *stream);

/* Give up on an error status: needs `int code` and a label `out`. */
#define CHECK(call, where)                                \
    do {                                                  \
        const lstm_status check_status = (call);          \
        if (check_status != LSTM_OK) {                    \
            code = message_status(check_status, (where)); \
            goto out;                                     \
        }                                                 \
    } while (0)

/* The same for calls that have printed their error and return an exit code. */
#define NEED(call)               \
    do {                         \
        code = (call);           \
        if (code != EXIT_DONE) { \
            goto out;            \
        }                        \
    } while (0)

#endif
