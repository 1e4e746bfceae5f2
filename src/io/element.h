/* SPDX-License-Identifier: MIT
 * The kinds of numbers that array files hold, and reading them as float, double or unsigned
 * integer.
 */
#ifndef LSTM_IO_ELEMENT_H
#define LSTM_IO_ELEMENT_H

#include "status.h"

#include <stdbool.h>

/* Kinds; 0 is none. */
enum {
    LSTM__F16 = 1,
    LSTM__BF16,
    LSTM__F32,
    LSTM__F64,
    LSTM__I8,
    LSTM__I16,
    LSTM__I32,
    LSTM__I64,
    LSTM__U8,
    LSTM__U16,
    LSTM__U32,
    LSTM__U64,
    LSTM__BOOL /* one byte; not 0 = true */
};
enum { LSTM__MOST_DIMENSIONS = 8 };

/* The bytes of one element / its name as safetensors writes it ("F32") / the kind of that name, 0
 * if there is none. */
size_t lstm__element_size(int32_t kind);
const char *lstm__element_name(int32_t kind);
int32_t lstm__element_from_name(const char *name);

/* Where elements lie: `stride` bytes apart, at any address. */
typedef struct lstm__elements {
    const unsigned char *bytes;
    int32_t kind;
    bool big_endian;
    size_t stride;
    size_t count;
} lstm__elements;

/* Convert: to the nearest float or double (beyond the range: infinite; bool: 0 or 1). */
void lstm__read_floats(const lstm__elements *elements, float *out);
void lstm__read_doubles(const lstm__elements *elements, double *out);

/* Convert integers and bools. FORMAT if the kind is another one or a number is negative. */
lstm_status lstm__read_integers(const lstm__elements *elements, uint64_t *out);

/* Whether a text is well-formed UTF-8 without control characters, as every name of an array or file
 * entry must be. */
bool lstm__is_name(const char *text, size_t length);

#endif
