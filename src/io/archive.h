/* SPDX-License-Identifier: MIT
 * Named float arrays, read from and written to .npy, .npz and .safetensors files.
 */
#ifndef LSTM_IO_ARCHIVE_H
#define LSTM_IO_ARCHIVE_H

#include "element.h"
#include "file_reader.h"
#include "safetensors.h"

typedef struct lstm__array {
    char *name;
    int32_t rank;
    int64_t shape[LSTM__MOST_DIMENSIONS];
    size_t count;
    const float *data; /* in `owned`, or in the archive's file */
    float *owned;
} lstm__array;

struct lstm_archive {
    lstm_context *context;
    lstm__array *arrays;
    size_t count;
    size_t capacity;
    lstm__file file;            /* open while arrays lie in it */
    lstm__safetensors *tensors; /* the same */
};

/* What the public functions of the same names do, behind their argument checks. */
lstm_status lstm__archive_create(lstm_archive **out, lstm_context *context);
void lstm__archive_destroy(lstm_archive *archive);
lstm_status lstm__archive_load(lstm_archive **out, lstm_context *context, const char *path);
lstm_status lstm__archive_save(const lstm_archive *archive, const char *path);

/* Add a copy of an array whose shape and name are good. */
lstm_status lstm__archive_add(lstm_archive *archive, const char *name, int32_t rank,
                              const int64_t *shape, const float *data, size_t count);

/* The array called `name`, NULL if there is none. */
const lstm__array *lstm__archive_find(const lstm_archive *archive, const char *name);

#endif
