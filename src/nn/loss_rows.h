/* SPDX-License-Identifier: MIT
 * One row of a loss: what the formulas see, and where the rows of a batch lie.
 */
#ifndef LSTM_NN_LOSS_ROWS_H
#define LSTM_NN_LOSS_ROWS_H

#include "losses.h"

typedef struct lstm__loss_row {
    const lstm__loss *loss;
    const lstm__kernels *kernels;
    size_t features; /* of p */
    /* values in y; differs from features for class numbers, quantiles and Gaussians */
    size_t targets;
    const real *p;
    const float *y;
    bool sparse; /* y is a class number, also in `known` */
    size_t known;
    bool binary;  /* hinges: targets 0 and 1 stand for -1 and 1 */
    double scale; /* the gradient times this goes to d */
    real *d;      /* NULL = not wanted */
} lstm__loss_row;

/* The loss of a row: a sum over its features where the mean is per element. Sets d. */
typedef double (*lstm__row_loss)(const lstm__loss_row *row);

typedef struct lstm__loss_rule {
    int32_t kind;
    bool per_row; /* else per element of the target */
    lstm__row_loss value;
} lstm__loss_rule;

double lstm__row_mse(const lstm__loss_row *row);
double lstm__row_mae(const lstm__loss_row *row);
double lstm__row_huber(const lstm__loss_row *row);
double lstm__row_mape(const lstm__loss_row *row);
double lstm__row_msle(const lstm__loss_row *row);
double lstm__row_log_cosh(const lstm__loss_row *row);
double lstm__row_poisson(const lstm__loss_row *row);
double lstm__row_cosine(const lstm__loss_row *row);
double lstm__row_quantile(const lstm__loss_row *row);
double lstm__row_gaussian(const lstm__loss_row *row);

double lstm__row_custom(const lstm__loss_row *row);

double lstm__row_binary(const lstm__loss_row *row);
double lstm__row_categorical(const lstm__loss_row *row);
double lstm__row_binary_focal(const lstm__loss_row *row);
double lstm__row_categorical_focal(const lstm__loss_row *row);
double lstm__row_kl_divergence(const lstm__loss_row *row);
double lstm__row_hinge(const lstm__loss_row *row);
double lstm__row_squared_hinge(const lstm__loss_row *row);
double lstm__row_categorical_hinge(const lstm__loss_row *row);

/* The cross-entropies of a softmax or sigmoid output, with the gradient at its input. */
lstm__row_loss lstm__row_fused(int32_t kind);

/* ---- The rows of an output */

typedef struct lstm__rows {
    const lstm__kernels *kernels;
    const lstm__batch *batch;
    const float *targets;
    size_t steps;     /* of the pass; 1 for a vector */
    size_t all_steps; /* of the arrays; more than `steps` where the pass is a piece … */
    size_t first;     /* … that begins here … */
    size_t skip;      /* … and whose first rows do not count */
    size_t features;
    size_t target_features;
    bool sparse;
    const unsigned char *mask; /* [steps][batch], 0 = the row does not count; NULL = all do */
} lstm__rows;

/* The rows of an output by the arrays alone / as the session's latest forward left them, with the
 * output's mask. */
lstm__rows lstm__rows_of(const lstm_model *model, const lstm__loss *loss, const lstm__batch *batch,
                         size_t output);
lstm__rows lstm__rows_in(lstm_session *session, const lstm__loss *loss, const lstm__batch *batch,
                         size_t output);

/* Number of a row in the caller's arrays. */
static inline size_t lstm__rows_place(const lstm__rows *r, size_t t, size_t b)
{
    const size_t sample = lstm__batch_sample(r->batch, b);
    const size_t step = r->first + t;
    return r->batch->layout == LSTM_LAYOUT_TIME_FIRST ? step * r->batch->samples + sample
                                                      : sample * r->all_steps + step;
}

static inline const float *lstm__rows_target(const lstm__rows *r, size_t t, size_t b)
{
    return r->targets + lstm__rows_place(r, t, b) * r->target_features;
}

/* How much a row counts: its sample weight times its class weight; 0 where it is masked or
 * skipped. */
double lstm__rows_weight(const lstm__rows *r, size_t t, size_t b);

#endif
