/* SPDX-License-Identifier: MIT
 * Activations and their slopes in double, as the tests of kernels expect them.
 */
#ifndef LSTM_TESTS_ACTIVATION_REFERENCE_H
#define LSTM_TESTS_ACTIVATION_REFERENCE_H

#include <lstm/lstm.h>

#include <math.h>

static inline double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static inline double activate(int32_t activation, double x)
{
    switch (activation) {
    case LSTM_ACTIVATION_TANH:
        return tanh(x);
    case LSTM_ACTIVATION_SIGMOID:
        return sigmoid(x);
    case LSTM_ACTIVATION_RELU:
        return x > 0 || isnan(x) ? x : 0;
    case LSTM_ACTIVATION_ELU:
        return x > 0 ? x : expm1(x);
    case LSTM_ACTIVATION_SOFTPLUS:
        return fmax(x, 0) + log1p(exp(-fabs(x))) + (isnan(x) ? x : 0);
    case LSTM_ACTIVATION_SOFTSIGN:
        return isinf(x) ? copysign(1, x) : x / (1 + fabs(x));
    case LSTM_ACTIVATION_EXPONENTIAL:
        return exp(x);
    case LSTM_ACTIVATION_HARD_SIGMOID:
        return isnan(x) ? x : fmin(1, fmax(0, x / 6 + 0.5));
    case LSTM_ACTIVATION_HARD_SIGMOID_KERAS2:
        return isnan(x) ? x : fmin(1, fmax(0, x / 5 + 0.5));
    default:
        return x;
    }
}

/* f'(x) where y = f(x). */
static inline double slope(int32_t activation, double y)
{
    switch (activation) {
    case LSTM_ACTIVATION_TANH:
        return 1 - y * y;
    case LSTM_ACTIVATION_SIGMOID:
        return y * (1 - y);
    case LSTM_ACTIVATION_RELU:
        return y > 0;
    case LSTM_ACTIVATION_ELU:
        return y > 0 ? 1 : 1 + y;
    case LSTM_ACTIVATION_SOFTPLUS:
        return -expm1(-y);
    case LSTM_ACTIVATION_SOFTSIGN:
        return (1 - fabs(y)) * (1 - fabs(y));
    case LSTM_ACTIVATION_EXPONENTIAL:
        return y;
    case LSTM_ACTIVATION_HARD_SIGMOID:
        return y > 0 && y < 1 ? 1.0 / 6 : 0;
    case LSTM_ACTIVATION_HARD_SIGMOID_KERAS2:
        return y > 0 && y < 1 ? 1.0 / 5 : 0;
    default:
        return 1;
    }
}

static const int32_t activations[] = {
    LSTM_ACTIVATION_LINEAR,       LSTM_ACTIVATION_TANH,
    LSTM_ACTIVATION_SIGMOID,      LSTM_ACTIVATION_RELU,
    LSTM_ACTIVATION_ELU,          LSTM_ACTIVATION_SOFTPLUS,
    LSTM_ACTIVATION_SOFTSIGN,     LSTM_ACTIVATION_EXPONENTIAL,
    LSTM_ACTIVATION_HARD_SIGMOID, LSTM_ACTIVATION_HARD_SIGMOID_KERAS2,
};

enum { ACTIVATION_COUNT = sizeof activations / sizeof activations[0] };

#endif
