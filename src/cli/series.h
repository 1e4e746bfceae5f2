/* SPDX-License-Identifier: MIT
 *
 * A time series from a CSV file, checked: rows in increasing order of time, each once, no value
 * missing in the columns that are used. Everything that is wrong is told with line and column.
 */
#ifndef LSTM_CLI_SERIES_H
#define LSTM_CLI_SERIES_H

#include "series_dates.h"
#include <lstm/lstm.h>
#include <stddef.h>

#define SERIES_COLUMNS 256 /* the target and at most 255 features */

typedef struct series_request {
    const char *path;
    const char *target; /* name of the column to forecast */
    const char *date; /* name of the time column; NULL = found by itself, "none" = there is none */
    const char *const *features; /* further columns; NULL = every column of numbers, if `all` */
    size_t feature_count;
    int all;      /* take every other column of numbers as well */
    int of_model; /* the columns are those of a saved model: they may be constant in new data */
} series_request;

typedef struct series {
    const char *path;
    lstm_table *table;
    size_t rows;
    size_t column_count; /* the target is column 0 */
    const char *names[SERIES_COLUMNS];
    const double *values[SERIES_COLUMNS];
    const char *date_name; /* NULL = no time column */
    int is_date;           /* ISO dates, not numbers */
    const double *times;   /* NULL = no time column */
    spacing spacing;
    char ignored[512]; /* names of columns left out, for notes; "" = none */
} series;

/* Read and check. Returns 0, or the exit code after printing the error; release in any case. */
int series_load(series *out, lstm_context *context, const series_request *request);
void series_release(series *of);

/* The time of a row, or its number (from 1) where there is no time column. */
double series_time(const series *of, size_t row);

/* The same in words: "2020-04-20". Returns text. */
const char *series_time_text(const series *of, size_t row, char *text, size_t size);

/* Line of the file of a row. */
size_t series_line(const series *of, size_t row);

#endif
