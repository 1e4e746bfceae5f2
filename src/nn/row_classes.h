/* SPDX-License-Identifier: MIT
 * What a row says as a class: the largest feature, or each feature above its threshold.
 */
#ifndef LSTM_NN_ROW_CLASSES_H
#define LSTM_NN_ROW_CLASSES_H

#include "loss_rows.h"

/* Whether targets of a loss are one class of several. */
bool lstm__loss_is_class(const lstm__loss *loss);

/* The first of the largest values. */
size_t lstm__row_largest(size_t count, const real *values);

/* The class of a target row: its class number, or its largest value. A class number outside (which
 * only a caller's change during training can bring in) is read as the last class. */
size_t lstm__row_class(const lstm__rows *r, const float *y);

/* Whether a value of a two-class output says yes: above 1/2, of logits above 0. */
bool lstm__row_is_positive(const lstm__loss *loss, real value);

#endif
