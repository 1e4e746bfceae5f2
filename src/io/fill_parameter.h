/* SPDX-License-Identifier: MIT
 * The elements of a file's tensor into a model's parameter, with as few copies as the file allows.
 */
#ifndef LSTM_IO_FILL_PARAMETER_H
#define LSTM_IO_FILL_PARAMETER_H

#include "element.h"
#include "graph.h"

/* Put elements, lstm__parameter_size of them in the users' shape, into the parameter's place in a
 * block laid out like model->values. *bad is the number (in the file's order) of the first one that
 * is not finite, or their count. MEMORY: no room to convert in. */
lstm_status lstm__fill_parameter(const lstm__parameter *parameter, const lstm__elements *elements,
                                 real *block, size_t *bad);

/* The number of the first value that is not finite; count if all are. */
size_t lstm__first_not_finite(const float *values, size_t count);

#endif
