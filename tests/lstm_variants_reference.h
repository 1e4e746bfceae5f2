/* SPDX-License-Identifier: MIT
 * A case of what another implementation makes of a variant of the LSTM; the cases are in
 * lstm_variants_onnx.h, …_tf.h, …_keras2.h, …_keras3.h and …_published.h. Arrays are [T][B][...],
 * parameters one behind the other in our order and Keras' shapes, r the weights of the outputs in the loss sum(y r).
 */
#ifndef LSTM_TESTS_LSTM_VARIANTS_REFERENCE_H
#define LSTM_TESTS_LSTM_VARIANTS_REFERENCE_H

#include <stddef.h>

enum { T = 4, B = 2, I = 3, H = 5 };

typedef struct reference {
    const char *name, *type, *options;
    int width;                                 /* numbers of h */
    const float *x, *h0, *c0, *y, *parameters; /* c0 NULL: not an LSTM */
    const float *r, *dx, *gradients;           /* NULL: forward only */
} reference;

#endif
