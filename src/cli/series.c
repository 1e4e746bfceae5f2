/* SPDX-License-Identifier: MIT
 *
 * Reading and checking a series (series.h).
 *
 * The table is read with missing values allowed, so that a hole in a column nobody uses does no
 * harm; holes in used columns are found here.
 */
#define _POSIX_C_SOURCE 200809L
#include "series.h"
#include "arguments.h"
#include "messages.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int same_word(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0;
}

static int sounds_like_time(const char *name)
{
    static const char *const words[] = {"time",  "date", "datetime", "timestamp", "year",   "years",
                                        "month", "day",  "week",     "hour",      "period", "t",
                                        "index", "step", "row",      "quarter",   NULL};
    for (size_t i = 0; words[i] != NULL; i++) {
        if (same_word(name, words[i])) {
            return 1;
        }
    }
    return name[0] == '\0'; /* pandas writes its index without a name */
}

/* Write the names of the columns, for messages. */
static const char *name_list(const lstm_table *table, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t c = 0; c < lstm_table_columns(table) && used < size; c++) {
        const int more = snprintf(text + used, size - used, "%s%s", c > 0 ? ", " : "",
                                  lstm_table_column_name(table, c));
        used += more > 0 ? (size_t)more : 0;
    }
    return text;
}

static int find_column(const series *of, const char *name, const char *option, size_t *column)
{
    if (lstm_table_find_column(of->table, name, column) == LSTM_OK) {
        return EXIT_DONE;
    }
    char names[600];
    const char *candidates[SERIES_COLUMNS + 1];
    size_t count = 0;
    for (; count < lstm_table_columns(of->table) && count < SERIES_COLUMNS; count++) {
        candidates[count] = lstm_table_column_name(of->table, count);
    }
    candidates[count] = NULL;
    const char *const near = nearest_word(name, candidates);
    if (option == NULL) {
        return message_error(EXIT_USE,
                             "%s: no column \"%s\", which the model needs; the columns are: %s",
                             of->path, name, name_list(of->table, names, sizeof names));
    }
    return message_error(EXIT_USE, "%s: no column \"%s\" (--%s)%s%s%s; the columns are: %s",
                         of->path, name, option, near != NULL ? ", did you mean \"" : "",
                         near != NULL ? near : "", near != NULL ? "\"?" : "",
                         name_list(of->table, names, sizeof names));
}

/* ---- The time column */

/* Times must increase from row to row. */
static int check_order(const series *of)
{
    for (size_t i = 0; i < of->rows; i++) {
        if (!isfinite(of->times[i])) {
            return message_error(EXIT_USE, "%s: line %zu, column \"%s\": no date", of->path,
                                 series_line(of, i), of->date_name);
        }
        if (i == 0 || of->times[i] > of->times[i - 1]) {
            continue;
        }
        char text[64];
        char before[64];
        const spacing plain = {.kind = of->is_date ? SPACING_SECONDS : SPACING_NUMBERS,
                               .with_time = fmod(of->times[i], 86400.0) != 0.0};
        (void)spacing_time(&plain, of->times[i], text, sizeof text);
        (void)spacing_time(&plain, of->times[i - 1], before, sizeof before);
        if (of->times[i] == of->times[i - 1]) {
            return message_error(EXIT_USE,
                                 "%s: line %zu, column \"%s\": %s is there twice (line %zu has it "
                                 "too); each time must "
                                 "stand in one row",
                                 of->path, series_line(of, i), of->date_name, text,
                                 series_line(of, i - 1));
        }
        return message_error(
            EXIT_USE,
            "%s: line %zu, column \"%s\": %s comes after %s (line %zu); rows must be in the order "
            "of "
            "time, the oldest first (one series a file; --date none takes the rows as they are)",
            of->path, series_line(of, i), of->date_name, text, before, series_line(of, i - 1));
    }
    return EXIT_DONE;
}

static int find_time(series *out, const series_request *request, size_t *column)
{
    *column = (size_t)-1;
    const size_t columns = lstm_table_columns(out->table);
    if (request->date != NULL && !same_word(request->date, "none")) {
        int code = find_column(out, request->date, request->of_model ? NULL : "date", column);
        if (code == EXIT_DONE && lstm_table_column_kind(out->table, *column) == LSTM_COLUMN_TEXT) {
            code = message_error(
                EXIT_USE,
                "%s: column \"%s\" (--date) holds text; expected ISO dates (2020-04-20, 2020-04-20 "
                "13:00) or increasing numbers",
                out->path, request->date);
        }
        return code;
    }
    if (request->date != NULL) {
        return EXIT_DONE;
    }
    for (size_t c = 0; c < columns && *column == (size_t)-1; c++) {
        if (lstm_table_column_kind(out->table, c) == LSTM_COLUMN_DATE) {
            *column = c;
        }
    }
    if (*column == (size_t)-1 && columns > 0 &&
        lstm_table_column_kind(out->table, 0) == LSTM_COLUMN_NUMBER) {
        const char *const name = lstm_table_column_name(out->table, 0);
        if (sounds_like_time(name) && strcmp(name, request->target) != 0) {
            *column = 0;
        }
    }
    return EXIT_DONE;
}

static int load_time(series *out, const series_request *request, size_t *column)
{
    int code = find_time(out, request, column);
    if (code != EXIT_DONE) {
        return code;
    }
    if (*column != (size_t)-1) {
        out->date_name = lstm_table_column_name(out->table, *column);
        out->is_date = lstm_table_column_kind(out->table, *column) == LSTM_COLUMN_DATE;
        out->times = lstm_table_column_values(out->table, *column);
        code = out->times == NULL ? EXIT_DONE : check_order(out);
        if (code != EXIT_DONE) {
            return code;
        }
    }
    if (out->times != NULL && out->rows >= 2) {
        out->spacing = spacing_find(out->times, out->rows, out->is_date);
    } else if (out->times != NULL) { /* one row: any spacing will do for the message to come */
        out->spacing = (spacing){.kind = out->is_date ? SPACING_DAYS : SPACING_NUMBERS,
                                 .amount = 1};
    } else {
        out->spacing = (spacing){.kind = SPACING_ROWS};
    }
    return EXIT_DONE;
}

/* ---- The columns of numbers */

static void leave_out(series *out, const char *name, const char *why)
{
    const size_t used = strlen(out->ignored);
    (void)snprintf(out->ignored + used, sizeof out->ignored - used, "%s%s (%s)",
                   used > 0 ? ", " : "", name, why);
}

static int constant(const double *values, size_t rows)
{
    for (size_t i = 1; i < rows; i++) {
        if (values[i] != values[0]) {
            return 0;
        }
    }
    return rows > 2; /* of fewer rows nothing can be said but that they are too few */
}

static int check_values(const series *of, const char *name, const double *values)
{
    for (size_t i = 0; i < of->rows; i++) {
        if (!isfinite(values[i])) {
            return message_error(
                EXIT_USE,
                "%s: line %zu, column \"%s\": the value is missing or no number; fill it or "
                "remove the row%s",
                of->path, series_line(of, i), name,
                of->column_count > 0 ? ", or leave the column out (--features)" : "");
        }
    }
    return EXIT_DONE;
}

static int add_column(series *out, const series_request *request, size_t column, int by_name)
{
    const char *const name = lstm_table_column_name(out->table, column);
    const int32_t kind = lstm_table_column_kind(out->table, column);
    const double *const values = lstm_table_column_values(out->table, column);
    const int is_target = out->column_count == 0;
    for (size_t c = 0; c < out->column_count; c++) {
        if (strcmp(out->names[c], name) == 0) {
            return EXIT_DONE; /* named twice, or the target named as a feature */
        }
    }
    if (kind != LSTM_COLUMN_NUMBER || values == NULL) {
        if (by_name) {
            return message_error(EXIT_USE, "%s: column \"%s\" holds %s, not numbers", out->path,
                                 name, kind == LSTM_COLUMN_DATE ? "dates" : "text");
        }
        leave_out(out, name, kind == LSTM_COLUMN_DATE ? "dates" : "text");
        return EXIT_DONE;
    }
    if (out->column_count == SERIES_COLUMNS) {
        return message_error(EXIT_USE, "%s: more than %d columns; choose some with --features",
                             out->path, SERIES_COLUMNS);
    }
    const int code = check_values(out, name, values);
    if (code != EXIT_DONE) {
        return code;
    }
    if (!request->of_model && constant(values, out->rows)) {
        if (is_target) {
            return message_error(
                EXIT_USE,
                "%s: column \"%s\" has the same value (%g) in every row: there is nothing to "
                "forecast",
                out->path, name, values[0]);
        }
        leave_out(out, name, "constant");
        return EXIT_DONE;
    }
    out->names[out->column_count] = name;
    out->values[out->column_count++] = values;
    return EXIT_DONE;
}

static int choose_columns(series *out, const series_request *request, size_t time_column)
{
    size_t column = 0;
    int code = find_column(out, request->target, request->of_model ? NULL : "target", &column);
    if (code == EXIT_DONE && column == time_column) {
        code = message_error(
            EXIT_USE, "%s: column \"%s\" is the time column; --target names the column to forecast",
            out->path, request->target);
    }
    if (code == EXIT_DONE) {
        code = add_column(out, request, column, 1);
    }
    for (size_t f = 0; f < request->feature_count && code == EXIT_DONE; f++) {
        code = find_column(out, request->features[f], request->of_model ? NULL : "features",
                           &column);
        if (code == EXIT_DONE) {
            code = add_column(out, request, column, 1);
        }
    }
    for (size_t c = 0; request->all && c < lstm_table_columns(out->table) && code == EXIT_DONE;
         c++) {
        if (c != time_column) {
            code = add_column(out, request, c, 0);
        }
    }
    return code;
}

int series_load(series *out, lstm_context *context, const series_request *request)
{
    memset(out, 0, sizeof *out);
    out->path = request->path;
    const lstm_table_options options = {.struct_size = sizeof options, .allow_missing = LSTM_YES};
    const lstm_status status = lstm_table_load_csv(&out->table, context, request->path, &options);
    if (status != LSTM_OK) {
        /* What stands in the file is the user's input, whatever the library calls it. */
        const int code = message_status(status, request->path);
        return status == LSTM_ERROR_FORMAT || status == LSTM_ERROR_UNSUPPORTED ? EXIT_USE : code;
    }
    out->rows = lstm_table_rows(out->table);
    if (out->rows == 0) {
        return message_error(EXIT_USE, "%s: a header but no rows", out->path);
    }
    size_t time_column = 0;
    const int code = load_time(out, request, &time_column);
    return code != EXIT_DONE ? code : choose_columns(out, request, time_column);
}

void series_release(series *of)
{
    lstm_table_destroy(of->table);
    memset(of, 0, sizeof *of);
}

double series_time(const series *of, size_t row)
{
    return of->times != NULL ? of->times[row] : (double)(row + 1);
}

const char *series_time_text(const series *of, size_t row, char *text, size_t size)
{
    return spacing_time(&of->spacing, series_time(of, row), text, size);
}

size_t series_line(const series *of, size_t row)
{
    return lstm_table_line(of->table, row);
}
