/* SPDX-License-Identifier: MIT
 * The same few samples as plain arrays and as Arrow columns of every form, for the tests of Arrow data.
 */
#ifndef LSTM_TESTS_ARROW_SAMPLES_H
#define LSTM_TESTS_ARROW_SAMPLES_H

#include "arrow_arrays.h"

/* Samples, steps, features; whole numbers, which every format holds. */
enum { N = 11, T = 4, F = 2 };
double x_of(size_t n, size_t t, size_t f);
void fill_arrays(float *x, float *y); /* [N][T][F], [N] */

/* Forms of the columns of x: lists of lists, two columns of lists, a list of T * F, T * F columns, lists of
 * any length. */
enum { NESTED, TWO_LISTS, FLAT, WIDE, ANY, TWO_ANY, FORMS };

typedef struct form {
    int form;
    char format;   /* of the numbers */
    size_t offset; /* of the numbers' array */
    size_t lists;  /* of the columns' arrays, where they are lists */
    size_t batch;  /* of the batch */
} form;

/* Columns of x for `rows` samples from `first` on; answers their number, at most T * F. */
size_t x_columns(const form *w, column *to, size_t first, size_t rows);

/* A batch of x and y. *schema may be NULL. */
void make_batch(const form *w, struct ArrowSchema *schema, struct ArrowArray *batch, size_t first,
                size_t rows, released *counts);

/* What opens it: columns of x by form, of y as the target. */
extern const lstm_arrow_columns columns_of_form[FORMS];
lstm_arrow_options options_of(int kind);

/* Input (any steps, 2) -> LSTM(3, sequences) -> Dense(1) on each step; steps 0 = any number. */
lstm_model *build_steps(int64_t steps);

/* Lengths of the samples as sequences. */
extern const int own_lengths[N];

/* A batch of columns x (lists of lists of 2) and y (lists) of these lengths, padded to T where
 * `padded`; `length` has them and `weight` weights. */
void make_lists(struct ArrowSchema *schema, struct ArrowArray *batch, const int *lengths,
                int padded, released *counts);

#endif
