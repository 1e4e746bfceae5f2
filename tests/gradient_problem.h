/* SPDX-License-Identifier: MIT
 * Back-propagation of a small model against finite differences, in double (LSTM__DOUBLE).
 *
 * Fourth-order central differences, (8 (f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12h. Inputs are
 * stored as float: they are multiples of 2^-8 and h is 2^-10, so that every point is exact. Where the
 * two disagree h is 2^-18: a bend of the function may lie inside the coarser difference.
 * Tolerance 1e-6 of the largest gradient of the array.
 */
#ifndef LSTM_TESTS_GRADIENT_PROBLEM_H
#define LSTM_TESTS_GRADIENT_PROBLEM_H

#include "losses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Adds the layers of a model whose sequences have `steps` steps. */
typedef void (*recipe)(lstm_model *model, int64_t steps);

/* Fail the test with lstm_last_error() unless a call succeeded. */
void ok(lstm_status status);

/* Layers for recipes. */
const lstm_layer *add_many(lstm_model *model, const lstm__layer_class *class, const void *options,
                           const lstm_layer *const *inputs, int count);
const lstm_layer *add(lstm_model *model, const lstm__layer_class *class, const void *options,
                      const lstm_layer *input);
const lstm_layer *sequence(lstm_model *model, int64_t steps, int64_t features);
const lstm_layer *dense(lstm_model *model, int32_t activation, int64_t units,
                        const lstm_layer *input);
const lstm_layer *lstm(lstm_model *model, const lstm_layer *input, lstm_lstm_options options);

/* Check every parameter and input of the model for lengths 1 to 5 and batches of 1, 3 and 5. The
 * objective is `loss`, or, if that is NULL, the outputs times fixed random weights. */
void run(const char *name, recipe make, int32_t profile, const lstm__loss *loss);

#endif
