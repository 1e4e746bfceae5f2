/* SPDX-License-Identifier: MIT
 * The recurrence of one LSTM over a batch of sequences: plan, forward, backward on plain arrays. The LSTM layer and the
 * public primitive are both thin shells around it.
 *
 *     rows  [T+1][B][H+I]  block t holds [h(t-1), x(t)]; block T only h(T-1). Training; one block [B][H+I] else
 *     gates [T][B][4H]     activated i, f, g, o; backward turns them into gradients of the pre-activations
 *     c     [T+1][B][H]    block 0 is c0
 *     tanh  [T][B][H]      tanh(c(t))
 *     y = h(t) is a view on block t+1 of rows, so outputs are never copied while training.
 */
#ifndef LSTM_NN_RECURRENCE_H
#define LSTM_NN_RECURRENCE_H

#include "context.h"
#include "layer.h"

typedef struct lstm__recurrence {
    lstm_context *context;
    const lstm__kernels *kernels;
    size_t input, hidden;
    size_t max_batch, max_steps;
    bool training;
    bool input_gradient; /* backward is asked for dx */
    int32_t route;       /* LSTM_ROUTE_*, never 0 */
    size_t segment;      /* steps whose x is multiplied at once (split route) */
    real *rows;
    real *gates;
    real *c;
    real *tanh_c;
    real *d_rows;        /* [B][H+I], gradient of the current rows */
    real *dc;            /* [B][H] */
} lstm__recurrence;

typedef struct lstm__recurrence_call {
    size_t batch, steps;
    bool reverse;         /* step t reads x of step T-1-t */
    const real *weights;  /* [H+I][4H] */
    const real *bias;     /* [4H] or NULL */
    lstm__view x;
    lstm__view h0, c0;  /* data NULL = zeros */
    lstm__view y;       /* every output; data NULL = not wanted */
    /* backward */
    lstm__view dy;      /* gradient at every output, or data NULL */
    lstm__view dhn[2];  /* gradients at the last h; summed; data NULL = zero */
    lstm__view dcn;
    lstm__view dx;      /* data NULL = not wanted */
    bool add_dx, add_dh0, add_dc0;
    real *dweights;       /* [H+I][4H], overwritten; NULL = not wanted */
    real *dbias;          /* [4H], overwritten; NULL = not wanted */
    lstm__view dh0, dc0; /* data NULL = not wanted */
} lstm__recurrence_call;

/* Route for a shape (see docs/design/routes.md). */
int32_t lstm__recurrence_route(size_t batch, size_t steps, size_t input, size_t hidden, bool training);

/* Carve the buffers; the sizes and flags above `rows` must be set. */
void lstm__recurrence_plan(lstm__recurrence *recurrence, lstm__arena *arena);

void lstm__recurrence_forward(const lstm__recurrence *recurrence, const lstm__recurrence_call *call);
void lstm__recurrence_backward(const lstm__recurrence *recurrence, const lstm__recurrence_call *call);

/* Where the latest forward left the last h and c, and (training) all outputs. */
lstm__view lstm__recurrence_h(const lstm__recurrence *recurrence, const lstm__recurrence_call *call);
lstm__view lstm__recurrence_c(const lstm__recurrence *recurrence, const lstm__recurrence_call *call);
lstm__view lstm__recurrence_outputs(const lstm__recurrence *recurrence, const lstm__recurrence_call *call);

#endif
