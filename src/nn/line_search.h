/* SPDX-License-Identifier: MIT
 * A step length that satisfies the strong Wolfe conditions (Nocedal and Wright, Numerical
 * Optimization, 2006, algorithms 3.5 and 3.6):
 *
 *     f(t) <= f(0) + c1 t f'(0)         |f'(t)| <= c2 |f'(0)|          c1 = 1e-4, c2 = 0.9
 *
 * along one direction. Trial lengths come from cubic interpolation with the safeguards that PyTorch's
 * line search has too (after Schmidt's minFunc), so that trajectories agree.
 */
#ifndef LSTM_NN_LINE_SEARCH_H
#define LSTM_NN_LINE_SEARCH_H

#include "status.h"

#include <stddef.h>

/* Value and slope at a length; the gradient there is kept in one of the search's places. */
typedef struct lstm__line_point {
    double t, f, slope;
    int place; /* 0 to LSTM__LINE_PLACES - 1 */
} lstm__line_point;

/* Places for gradients: the two ends of the bracket and the latest trial. */
enum { LSTM__LINE_PLACES = 3 };

typedef struct lstm__line {
    /* Move to the length t, compute f and f'(t), keep the gradient in `place`. A value that is not
     * finite is no failure: f is infinite then. */
    lstm_status (*evaluate)(void *user, double t, int place, double *f, double *slope);
    void *user;
    double largest;   /* of the direction's entries */
    double tolerance; /* a bracket smaller than this over `largest` is not divided further */
    int evaluations;  /* [out] */
} lstm__line;

/* Search from the length t on; *found is the best point of the last bracket. start: t = 0, with its
 * gradient in place 0. */
lstm_status lstm__line_search(lstm__line *line, lstm__line_point start, double t,
                              lstm__line_point *found);

#endif
