/* SPDX-License-Identifier: MIT
 * Columns of a CSV file.
 */
#ifndef LSTM_IO_CSV_TABLE_H
#define LSTM_IO_CSV_TABLE_H

#include "context.h"

#include <stdbool.h>

/* A run of a column's values while their number is not yet known. */
typedef struct lstm__chunk lstm__chunk;

typedef struct lstm__column {
    char *name;
    double *values; /* one a row; NULL while reading, and where none are kept */
    int32_t kind;   /* LSTM_COLUMN_*; 0 while only missing values were seen */
    bool kept;
    size_t missing; /* line of the first missing value, 0 if there is none */
    lstm__chunk *first;
    lstm__chunk *last;
} lstm__column;

/* From `row` on, row r stands in line `line` + r - row, until the next of these. */
typedef struct lstm__line_mark {
    size_t row;
    size_t line;
} lstm__line_mark;

struct lstm_table {
    lstm_context *context;
    char *path;
    lstm__column *columns;
    size_t column_count;
    size_t column_capacity;
    lstm__line_mark *marks; /* rising; the first is of row 0 */
    size_t mark_count;
    size_t mark_capacity;
    size_t rows;
};

/* As lstm_table_load_csv; the options are complete. */
lstm_status lstm__table_load(lstm_table **out, lstm_context *context, const char *path,
                             const lstm_table_options *options);
void lstm__table_destroy(lstm_table *table);

/* Fail with NOT_FOUND and the names that there are. */
lstm_status lstm__table_fail_column(const lstm_table *table, const char *name);

#endif
