/* SPDX-License-Identifier: MIT
 * Operators that take axes apart or put them together.
 */
#ifndef LSTM_IO_ONNX_SHAPES_H
#define LSTM_IO_ONNX_SHAPES_H

#include "onnx_import.h"

lstm_status lstm__onnx_reshape(lstm__onnx_import *import, const lstm__onnx_node *node);
lstm_status lstm__onnx_flatten(lstm__onnx_import *import, const lstm__onnx_node *node);
lstm_status lstm__onnx_slice(lstm__onnx_import *import, const lstm__onnx_node *node);
lstm_status lstm__onnx_gather(lstm__onnx_import *import, const lstm__onnx_node *node);
lstm_status lstm__onnx_concat(lstm__onnx_import *import, const lstm__onnx_node *node);
lstm_status lstm__onnx_split(lstm__onnx_import *import, const lstm__onnx_node *node);

/* The axes of a node: the attribute "axes" in old opsets, input number `input` in new ones; *count
 * is -1 if there are none. */
lstm_status lstm__onnx_read_axes(lstm__onnx_import *import, const lstm__onnx_node *node, int input,
                                 int64_t axes[LSTM__MOST_DIMENSIONS], int *count);

/* Columns `first` to first + count - 1 of the features of a value, by a fixed Dense layer. */
lstm_status lstm__onnx_select(lstm__onnx_import *import, lstm__onnx_value *value, int64_t first,
                              int64_t step, int64_t count);

/* Give the value an axis FEATURE of size 1 at `place`, where it has none and an axis of size 1
 * stands. */
void lstm__onnx_name_feature(lstm__onnx_value *value, int place);

#endif
