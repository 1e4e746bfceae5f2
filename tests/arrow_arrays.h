/* SPDX-License-Identifier: MIT
 * Arrow arrays made by hand, for tests of the C data interface: trees of schemas and arrays whose
 * release callbacks free what they hold and count.
 */
#ifndef LSTM_TESTS_ARROW_ARRAYS_H
#define LSTM_TESTS_ARROW_ARRAYS_H

#include <lstm/lstm.h>

/* How many structs given to a caller have been released. */
typedef struct released {
    int schemas, arrays, streams;
} released;

/* A column: its schema and its array, which belong to a batch after batch_of. */
typedef struct column {
    struct ArrowSchema *schema;
    struct ArrowArray *array;
} column;

/* `count` numbers of a format of one letter, behind `offset` numbers that are not part of the array. */
column numbers_column(const char *name, char format, const double *values, size_t count,
                      size_t offset);

/* Lists of `size` items each, of the items of a child; `offset` lists in front are not part of it. */
column fixed_lists(const char *name, size_t size, column items, size_t count, size_t offset);

/* Lists of any length: `count` of them, whose items are lengths[0], lengths[1], … of the child. wide:
 * offsets of 64 bits. */
column any_lists(const char *name, int wide, column items, const int *lengths, size_t count,
                 size_t offset);

/* Make element `index` (offset counted) of an array null. */
void make_null(struct ArrowArray *array, size_t index);

/* A record batch of columns; `rows` of them from `offset` on. *schema may be NULL. The structs count in
 * `counts` when they are released. */
void batch_of(struct ArrowSchema *schema, struct ArrowArray *batch, const column *columns,
              size_t count, size_t rows, size_t offset, released *counts);

#endif
