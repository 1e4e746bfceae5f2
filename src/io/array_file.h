/* SPDX-License-Identifier: MIT
 * A .npy file that stays open and is read row by row: for arrays larger than memory.
 */
#ifndef LSTM_IO_ARRAY_FILE_H
#define LSTM_IO_ARRAY_FILE_H

#include "npy.h"

typedef struct lstm__array_file {
    lstm_context *context;
    char *name;            /* the path, for messages; NULL = closed */
    int file;              /* its descriptor */
    lstm__npy npy;         /* rank >= 1 */
    uint64_t first;        /* where the elements begin */
    size_t row;            /* elements of one row of the first axis */
    unsigned char *buffer; /* the bytes of one row */
} lstm__array_file;

/* Open and check the header. IO, FORMAT, UNSUPPORTED (Fortran order), MEMORY. On failure it is
 * closed. */
lstm_status lstm__array_file_open(lstm__array_file *file, lstm_context *context, const char *path);
void lstm__array_file_close(lstm__array_file *file);

/* Rows of the first axis, `count` of them, as floats. rows[k] are in range. */
lstm_status lstm__array_file_read(lstm__array_file *file, const int64_t *rows, size_t count,
                                  float *values);

#endif
