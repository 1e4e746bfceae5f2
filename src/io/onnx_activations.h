/* SPDX-License-Identifier: MIT
 * ONNX' activations and ours.
 */
#ifndef LSTM_IO_ONNX_ACTIVATIONS_H
#define LSTM_IO_ONNX_ACTIVATIONS_H

#include "onnx_graph.h"

/* One of our activations with its numbers; both 0 = the usual ones. */
typedef struct lstm__onnx_choice {
    int32_t kind; /* LSTM_ACTIVATION_* */
    float alpha, beta;
} lstm__onnx_choice;

/* Whether an operator is an activation of one value. */
bool lstm__onnx_is_activation(const char *op);

/* What such an operator is here, by its attributes. */
lstm_status lstm__onnx_read_activation(const lstm__onnx_node *node, lstm__onnx_choice *choice);

#endif
