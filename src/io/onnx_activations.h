/* SPDX-License-Identifier: MIT
 * ONNX' operators of one value and our activations.
 */
#ifndef LSTM_IO_ONNX_ACTIVATIONS_H
#define LSTM_IO_ONNX_ACTIVATIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Whether an operator is an activation; *activation 0 = its alpha and beta decide. */
bool lstm__onnx_activation(const char *op, int32_t *activation);

#endif
