/* SPDX-License-Identifier: MIT
 * Activations on tensors: element by element, or softmax over the last axis. And checks of options
 * that name constants.
 */
#ifndef LSTM_NN_ACTIVATION_H
#define LSTM_NN_ACTIVATION_H

#include "layer.h"

/* y = activation(x) / dx = (or +=) dy through the activation whose output is y. In place is
 * allowed. */
void lstm__activation_forward(const lstm__kernels *kernels, int32_t activation, size_t rows,
                              size_t columns, lstm__view x, lstm__view y);
void lstm__activation_backward(const lstm__kernels *kernels, int32_t activation, size_t rows,
                               size_t columns, lstm__view y, lstm__view dy, lstm__view dx,
                               bool accumulate);

#endif
