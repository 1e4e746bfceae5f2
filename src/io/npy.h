/* SPDX-License-Identifier: MIT
 * NumPy's .npy files.
 */
#ifndef LSTM_IO_NPY_H
#define LSTM_IO_NPY_H

#include "element.h"
#include "file_reader.h"

/* What a .npy file holds. */
typedef struct lstm__npy {
    int32_t kind; /* LSTM__F16, F32 … BOOL */
    bool big_endian;
    bool fortran_order; /* the first index is contiguous, not the last */
    int32_t rank;
    int64_t shape[LSTM__MOST_DIMENSIONS];
    size_t count;
    const unsigned char *bytes; /* the elements; inside the memory that was parsed */
} lstm__npy;

/* Whether bytes start like a .npy file. */
bool lstm__is_npy(const unsigned char *bytes, size_t size);

/* Check a whole .npy file, from the cursor to its end, and describe it. FORMAT: anything wrong.
 * UNSUPPORTED: another version, more than 8 dimensions, elements that are no numbers. */
lstm_status lstm__npy_parse(lstm__npy *npy, lstm__cursor *cursor);

/* The same for the beginning of a file of `file` bytes, of which the cursor holds at least the
 * header: it then stands at the elements, and npy->bytes is NULL. */
lstm_status lstm__npy_describe(lstm__npy *npy, lstm__cursor *cursor, uint64_t file);

/* Convert the elements to row-major floats, npy->count of them. */
void lstm__npy_floats(const lstm__npy *npy, float *values);

/* Write the header of a version 1.0 file with row-major floats: its length, a multiple of 64. */
enum { LSTM__NPY_HEADER = 320 };
size_t lstm__npy_header(char header[LSTM__NPY_HEADER], int32_t rank, const int64_t *shape);

#endif
