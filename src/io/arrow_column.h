/* SPDX-License-Identifier: MIT
 * Columns of Apache Arrow record batches, by Arrow's C data interface: numbers, alone or in lists.
 *
 * A column is a chain of arrays: lists, the outermost first, and the numbers in the last one. Where a
 * row's numbers lie in it is one run without gaps, whatever the lists.
 */
#ifndef LSTM_IO_ARROW_COLUMN_H
#define LSTM_IO_ARROW_COLUMN_H

#include "element.h"

/* Lists in lists, at most. */
enum { LSTM__ARROW_LEVELS = 4 };

/* Kind of numbers that are packed, eight in a byte; others are those of element.h. */
enum { LSTM__ARROW_BIT = 100 };

/* What a column holds. */
typedef struct lstm__arrow_type {
    const char *name;                 /* borrowed from the schema */
    size_t child;                     /* its place in the batch */
    int32_t kind;                     /* of the numbers */
    size_t levels;                    /* lists around the numbers; 0 = none */
    size_t sizes[LSTM__ARROW_LEVELS]; /* items of a list of each level */
    bool varies; /* lists of the first level have a number of items each; sizes[0] is 0 */
    bool wide;   /* their offsets have 64 bits */
    size_t item; /* numbers of one item of the first level; without lists 1 */
} lstm__arrow_type;

/* Check that a schema is one of record batches. FORMAT, ARGUMENT (released). */
lstm_status lstm__arrow_check_schema(const struct ArrowSchema *schema);

/* Find a column and read its type. NOT_FOUND names the columns there are, UNSUPPORTED the format. */
lstm_status lstm__arrow_type_read(lstm__arrow_type *type, const struct ArrowSchema *schema,
                                  const char *name);

/* Whether the numbers are integers or bools. */
bool lstm__arrow_is_whole(const lstm__arrow_type *type);

/* Check that a batch is one of the schema's: the number of its columns, released or not. `number` is
 * for messages. */
lstm_status lstm__arrow_check_batch(const struct ArrowSchema *schema,
                                    const struct ArrowArray *batch, size_t number);

/* Check that a column's arrays hold what a batch's rows need: buffers, lengths, offsets. Nothing
 * below may be called before. FORMAT. */
lstm_status lstm__arrow_check(const lstm__arrow_type *type, const struct ArrowArray *batch);

/* Find the first row of a batch in which something is null: the row itself, a list or a number of
 * it. false = there is none. */
bool lstm__arrow_find_null(const lstm__arrow_type *type, const struct ArrowArray *batch,
                           size_t *row);

/* Items of the first level's list in a row (where the list is null and its length varies: 0);
 * without lists 1. */
size_t lstm__arrow_items(const lstm__arrow_type *type, const struct ArrowArray *batch, size_t row);

/* Read the items of a row, each to out + k * stride, as floats; with `nulls` those that are null as
 * NaN. */
void lstm__arrow_read(const lstm__arrow_type *type, const struct ArrowArray *batch, size_t row,
                      bool nulls, float *out, size_t stride);

/* Number k of a row, without regard to nulls. */
double lstm__arrow_number(const lstm__arrow_type *type, const struct ArrowArray *batch, size_t row,
                          size_t k);

/* The numbers of all rows of a batch where they lie, as floats without a gap; NULL if they are no
 * such floats, or the length of lists varies, or their address is not a multiple of 4. */
const float *lstm__arrow_floats(const lstm__arrow_type *type, const struct ArrowArray *batch);

#endif
