/* SPDX-License-Identifier: MIT
 * L-BFGS: the memory of past steps, one iteration, and the iterations on one batch.
 */
#ifndef LSTM_NN_LBFGS_H
#define LSTM_NN_LBFGS_H

#include "optimizer.h"

/* Doubles only, whole numbers too: a checkpoint stores them as an array. */
typedef struct lstm__lbfgs_numbers {
    double stored;     /* pairs kept, the oldest first */
    double iterations; /* since the beginning */
    double length;     /* step length of the latest iteration */
    double scale;      /* of the initial inverse Hessian */
} lstm__lbfgs_numbers;

struct lstm__lbfgs {
    size_t count;   /* values of a vector */
    size_t history; /* pairs at most */
    lstm__lbfgs_numbers numbers;
    /* direction, gradient before, values before, then history changes of gradient, then of values
     */
    real *vectors;
    real *search;     /* of a line search, where there is one; not part of a checkpoint */
    double *products; /* history inverse products y.s, then room for as many coefficients */
};

enum { LSTM__LBFGS_FIXED = 3 };

lstm_status lstm__lbfgs_create(lstm__lbfgs **out, lstm_context *context, size_t count,
                               int32_t history, bool searches);
void lstm__lbfgs_destroy(lstm__lbfgs *lbfgs, lstm_context *context);

/* One iteration with the gradient g at w and the rate of this update: w moves. Returns false, w
 * unmoved, where the direction does not descend by more than `tolerance`. */
bool lstm__lbfgs_iterate(lstm__lbfgs *lbfgs, double rate, double tolerance, real *w, const real *g);

/* Compute loss and gradients of the batch again at the changed parameters. */
typedef lstm_status (*lstm__lbfgs_evaluate)(void *user, double *loss);

/* PyTorch's step(closure): up to max_iterations iterations on one batch whose loss and gradients
 * the session holds. On failure the parameters are those before. */
lstm_status lstm__lbfgs_step(lstm_optimizer *optimizer, lstm_session *session, double loss,
                             lstm__lbfgs_evaluate evaluate, void *user);

#endif
