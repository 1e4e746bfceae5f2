/* SPDX-License-Identifier: MIT
 *
 * Arrays that travel in files: .npy, .npz, .safetensors and CSV in, .npy, .npz, .safetensors and
 * CSV out.
 *
 * A CSV file is a matrix of numbers (rows, columns), its first line a header if any field of it is
 * no number.
 */
#ifndef LSTM_CLI_ARRAYS_H
#define LSTM_CLI_ARRAYS_H

#include "arguments.h"
#include <lstm/lstm.h>
#include <stddef.h>
#include <stdint.h>

typedef struct array {
    char label[256]; /* how messages call it: "x.npy", or "data.npz: x0" */
    int32_t rank;
    int64_t shape[8];
    size_t count;
    const float *data; /* row-major */
    int from_csv;      /* a matrix whose rows may be flattened samples */
} array;

typedef struct array_list {
    array *items;
    size_t count;
    lstm_archive **archives; /* what owns the numbers */
    size_t archive_count;
} array_list;

/* Load every file of a repeatable option (or one OPTION_TEXT) in order. A file with one array gives
 * that one; a file with several gives those called NAME, NAME0, NAME1, … where NAME is the last
 * part of the option's name ("x" of
 * --x and --val-x). Zero files give an empty list.
 * Returns 0, or the exit code after printing the error. */
int arrays_load(array_list *out, lstm_context *context, const arguments *arguments,
                const char *option);

/* Load one file, as above. */
int arrays_load_file(array_list *out, lstm_context *context, const char *path, const char *name);
void arrays_release(array_list *list);

/* Write "(10, 28, 1)" into text and return it. */
const char *shape_text(char *text, size_t size, int32_t rank, const int64_t *shape);

/* Arrays on their way to a file. The names must outlive the call. */
typedef struct output_array {
    const char *name;
    int32_t rank;
    int64_t shape[4];
    const float *data;
    size_t count;
} output_array;

/* Check before the work that `path` has a suffix that can be written (.npy and .csv take one array)
 * and that its folder exists and can be written to. Returns 0, or the exit code after printing the
 * error. */
int arrays_check_output(const char *path, size_t array_count);

/* Write the arrays; the file appears only when it is complete. Returns 0, or the exit code after
 * printing the error. */
int arrays_write(lstm_context *context, const char *path, const output_array *arrays, size_t count);

#endif
