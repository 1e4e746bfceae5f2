/* SPDX-License-Identifier: MIT
 * Fields of a CSV file, one after another, in a buffer of fixed size.
 */
#ifndef LSTM_IO_CSV_READER_H
#define LSTM_IO_CSV_READER_H

#include "context.h"

#include <stdbool.h>

enum { LSTM__CSV_MOST_FIELD = 1 << 20 }; /* bytes in a field */

typedef struct lstm__csv lstm__csv;

/* One field. Its text ends with a NUL, is without its quotes, and stays until the next call. */
typedef struct lstm__field {
    char *text;
    size_t length;
    size_t line; /* where it begins, from 1 */
    bool quoted;
    bool last; /* the record ends after it */
} lstm__field;

/* Open a file or pipe (waiting for its writer), skip a byte-order mark and find the separator from
 * the first line. FORMAT: empty, or no text. */
lstm_status lstm__csv_open(lstm__csv **out, lstm_context *context, const char *path);
void lstm__csv_close(lstm__csv *csv);

/* Read the next field. *ended (with an empty field) where the file ends instead of a record.
 * FORMAT: NUL byte, unclosed quote, quote in the middle of a field, lone carriage return, field too
 * long. */
lstm_status lstm__csv_next(lstm__csv *csv, lstm__field *field, bool *ended);

#endif
