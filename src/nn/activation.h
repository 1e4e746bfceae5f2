/* SPDX-License-Identifier: MIT
 * Activations on tensors: element by element, or softmax over the last axis. And checks of the
 * options that say which.
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

/* Check the numbers of an activation (its kind is checked already): those that are the usual ones
 * become 0 and 0. `what` is the name of the activation's option. */
lstm_status lstm__read_numbers(int32_t kind, float *alpha, float *beta, const char *what);

/* Whether an activation of a layer has numbers, or an LSTM a third activation. */
bool lstm__is_shaped(const lstm__node *node);

static inline lstm__activation lstm__activation_of(int32_t kind, float alpha, float beta)
{
    return (lstm__activation){kind, (real)alpha, (real)beta};
}

#endif
