/* SPDX-License-Identifier: MIT
 * Constants of an ONNX graph: views of them and arithmetic on them, mostly that of shapes.
 */
#ifndef LSTM_IO_ONNX_CONSTANTS_H
#define LSTM_IO_ONNX_CONSTANTS_H

#include "onnx_import.h"

/* out = the elements of `source` at start + sum of index[k] * steps[k], for every index below
 * `shape`; the caller has made sure that all of them are inside. */
lstm_status lstm__onnx_view(lstm__onnx_import *import, const lstm__onnx_value *source,
                            lstm__onnx_value *out, int rank, const int64_t *shape, int64_t start,
                            const int64_t *steps);

/* The steps of a constant's axes in elements. */
void lstm__onnx_steps(const lstm__onnx_value *value, int64_t steps[LSTM__MOST_DIMENSIONS]);

/* Count the memory of a constant that is about to be made; UNSUPPORTED = too much in all. */
lstm_status lstm__onnx_spend(lstm__onnx_import *import, size_t count, size_t size);

/* out = whole numbers. rank 0 or 1. */
lstm_status lstm__onnx_set_integers(lstm__onnx_import *import, lstm__onnx_value *out, int rank,
                                    const int64_t *numbers, int64_t count);

/* The same constant under another shape of as many elements. */
void lstm__onnx_rename(lstm__onnx_value *out, const lstm__onnx_value *source, int rank,
                       const int64_t *shape);

/* Add, Sub, Mul, Div, Equal, Min, Max of two constants, with broadcasting. */
lstm_status lstm__onnx_fold(lstm__onnx_import *import, const lstm__onnx_node *node);

/* The common shape of two, by the rules of broadcasting. */
lstm_status lstm__onnx_broadcast(const lstm__onnx_node *node, const lstm__onnx_value *a,
                                 const lstm__onnx_value *b, int *rank, int64_t *shape);

#endif
