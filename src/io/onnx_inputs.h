/* SPDX-License-Identifier: MIT
 * Inputs of an ONNX graph as input layers.
 */
#ifndef LSTM_IO_ONNX_INPUTS_H
#define LSTM_IO_ONNX_INPUTS_H

#include "onnx_import.h"

#include <jansson.h>

/* Add an input layer (one for each direction of a first state) for every input of the graph that a
 * needed node reads, and describe them in `list`. Constants must be known. */
lstm_status lstm__onnx_add_inputs(lstm__onnx_import *import, json_t *list);

#endif
