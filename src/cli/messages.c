/* SPDX-License-Identifier: MIT
 *
 * Messages on stderr and exit codes; see messages.h.
 *
 * A message is put together in one buffer and written by one call, so that lines of several
 * processes writing to the same log do not mix. Control characters in it (from file names, from
 * files) are shown as '?': a file's content must not be able to steer the terminal.
 */
#include "messages.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int quiet_mode;

static int wants_colour(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(fileno(stream)) && (no_color == NULL || no_color[0] == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}

const char *message_paint(FILE *stream, int paint)
{
    static const char *const codes[] = {"\033[0m",  "\033[1m",  "\033[2m", "\033[31m",
                                        "\033[32m", "\033[33m", "\033[36m"};
    if (paint < 0 || (size_t)paint >= sizeof codes / sizeof codes[0] || !wants_colour(stream)) {
        return "";
    }
    return codes[paint];
}

int message_columns(FILE *stream)
{
    if (!isatty(fileno(stream))) {
        return 0;
    }
    const char *columns = getenv("COLUMNS");
    if (columns != NULL) {
        const long value = strtol(columns, NULL, 10);
        if (value >= 20 && value <= 1000) {
            return (int)value;
        }
    }
    struct winsize size;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) {
        return size.ws_col;
    }
    return 80;
}

/* Print "lstm: <kind><text>\n". */
static void print_line(int paint, const char *kind, const char *text)
{
    const int flushed = fflush(stdout); /* results before the message that comes after them */
    (void)flushed;
    char line[4096];
    snprintf(line, sizeof line, "%s", text);
    for (char *c = line; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = (*c == '\n' || *c == '\t') ? ' ' : '?';
        }
    }
    const char *on = message_paint(stderr, paint);
    const char *off = message_paint(stderr, PAINT_NONE);
    const char *clean = isatty(STDERR_FILENO) ? "\r\033[K" : ""; /* a bar may stand on this line */
    fprintf(stderr, "%s%slstm:%s %s%s\n", clean, on, off, kind, line);
}

int message_error(int code, const char *format, ...)
{
    char text[4000];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    print_line(PAINT_RED, "", text);
    return code;
}

void message_note(const char *format, ...)
{
    if (quiet_mode) {
        return;
    }
    char text[4000];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    print_line(PAINT_CYAN, "", text);
}

void message_warning(const char *format, ...)
{
    char text[4000];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    print_line(PAINT_YELLOW, "warning: ", text);
}

int message_exit_code(lstm_status status)
{
    switch (status) {
    case LSTM_OK:
        return EXIT_DONE;
    case LSTM_ERROR_ARGUMENT:
    case LSTM_ERROR_SHAPE:
    case LSTM_ERROR_STATE:
    case LSTM_ERROR_UNSUPPORTED:
    case LSTM_ERROR_FORMAT:
    case LSTM_ERROR_NOT_FOUND:
        return EXIT_USE;
    case LSTM_ERROR_IO:
        return EXIT_FILE;
    case LSTM_ERROR_CANCELLED:
        return EXIT_INTERRUPTED;
    default: /* MEMORY, NUMERIC, THREAD */
        return EXIT_WORK;
    }
}

int message_status(lstm_status status, const char *where)
{
    const char *text = lstm_last_error();
    if (text[0] == '\0') {
        text = lstm_status_message(status);
    }
    const int code = message_exit_code(status);
    if (where == NULL || strncmp(text, where, strlen(where)) == 0) {
        return message_error(code, "%s", text);
    }
    return message_error(code, "%s: %s", where, text);
}

void message_set_quiet(int quiet)
{
    quiet_mode = quiet;
}

int message_is_quiet(void)
{
    return quiet_mode;
}

int message_finish_output(void)
{
    errno = 0;
    const int flushed = fflush(stdout);
    if (flushed == 0 && !ferror(stdout)) {
        return EXIT_DONE;
    }
    return message_error(EXIT_FILE, "standard output: %s",
                         errno != 0 ? strerror(errno) : "write failed");
}
