/* SPDX-License-Identifier: MIT
 * A recurrent node of ONNX on its way to one layer a direction.
 */
#ifndef LSTM_IO_ONNX_CELLS_H
#define LSTM_IO_ONNX_CELLS_H

#include "onnx_import.h"

typedef struct lstm__onnx_cell {
    lstm__onnx_import *import;
    const lstm__onnx_node *node;
    const lstm__layer_class *class;
    const lstm_layer *x;
    int gates, directions;
    bool reverse, coupled, reset_after;
    int64_t units, inputs, steps, layout;
    float clip;       /* 0 = none */
    float *w, *r, *b; /* as in the file; b may be NULL */
    union {
        lstm_lstm_options lstm;
        lstm_gru_options gru;
        lstm_simple_rnn_options rnn;
    } options;
} lstm__onnx_cell;

/* Fill in the options of one direction. */
lstm_status lstm__onnx_cell_options(lstm__onnx_cell *cell, int direction, bool backwards);

/* Assign what only some cells have (peepholes). */
lstm_status lstm__onnx_cell_extra(lstm__onnx_cell *cell, int direction, const lstm_layer *layer);

#endif
