/* SPDX-License-Identifier: MIT
 * The LSTM engine on packed weights: its layouts, and what its kernels take.
 *
 * V = lanes of the level, U = units rounded up to V; padding is zero everywhere, in packed copies
 * and in cells.
 *
 *   gate order   a row of 4 U values as [U/V][4][V]: i, f, g, o of V units side by side
 *   gates        [U/V][k][4][V]: W (k rows, 4 units columns) so that a tile of four vectors holds all that V units need
 *   across       W transposed for the way back: groups of up to `cross_vectors` vectors of output
 *                columns, as equal as can
 *                be, each [4 U][vectors][V], rows in gate order
 *   narrow       W transposed for few columns: [columns][4 U], in gate order
 */
#ifndef LSTM_KERNELS_PACKED_H
#define LSTM_KERNELS_PACKED_H

#include "real.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One step forward for `rows` samples: gates = activate(a P + bias, or start + a P), then cell and
 * output. */
typedef struct lstm__step_forward {
    size_t rows, units, k;
    /* the whole batch is one sample: sums in several parts, which hides latency */
    bool single;
    /* panels from the last to the first. A step that turns about where the one before ended finds those
     * weights in its cache; going round it would find none, the oldest being thrown out first */
    bool turned;
    const real *a; /* [rows][k] */
    size_t ld_a;
    const real *packed; /* gates layout, k rows */
    const real *bias;   /* gate order. Not looked at with `start` */
    /* [rows] in gate order: x W + bias of this step; NULL = begin with the bias */
    const real *start;
    size_t ld_start;
    real *gates; /* [rows] in gate order: i, f, g, o; may be `start`; NULL = not kept */
    size_t ld_gates;
    const real *c_previous; /* [rows][U]; padding zero */
    real *c;                /* may be c_previous */
    real *tanh_c;           /* kept with gates */
    size_t ld_cell;         /* of these three */
    real *h;                /* [rows][units]; must not overlap a */
    size_t ld_h;
    real *y; /* a second copy of h; NULL = none */
    size_t ld_y;
} lstm__step_forward;

/* One step backward: dh = dy + extra + next Q, then through cell and gates, which are replaced by
 * the gradients of the pre-activations. */
typedef struct lstm__step_backward {
    size_t rows, units;
    bool single, turned; /* as forward; groups of columns in place of panels */
    /* [rows] in gate order: gradients of step t+1's pre-activations; NULL = last step */
    const real *next;
    size_t ld_next;
    const real *packed; /* across layout with `units` columns */
    real *gates;        /* [rows] in gate order */
    size_t ld_gates;
    const real *c_previous, *tanh_c; /* [rows][U] */
    real *dc;                        /* [rows][U] in: from step t+1, out: at c_previous */
    size_t ld_cell;                  /* of these three */
    const real *dy;                  /* [rows][units]; NULL = none */
    size_t ld_dy;
    const real *extra; /* [rows][units]: gradient at the last h; NULL = none */
    size_t ld_extra;
} lstm__step_backward;

/* The cell of one step with any activations (softmax excluded), without the product. */
typedef struct lstm__cell {
    size_t rows, units;
    int32_t activation, recurrent; /* LSTM_ACTIVATION_* */
    /* [rows] in gate order; forward: pre-activations, then i, f, g, o; backward: these, then
     * gradients */
    real *gates;
    size_t ld_gates;
    const real *c_previous; /* [rows][U]; padding zero */
    real *c;                /* may be c_previous */
    real *active_c;         /* activation(c); forward: NULL = not kept */
    real *dh;               /* backward */
    real *dc;               /* backward; in: from step t+1, out: at c_previous */
    size_t ld_cell;         /* of these five */
    real *h;                /* [rows][units] */
    size_t ld_h;
    real *y; /* a second copy; NULL = none */
    size_t ld_y;
} lstm__cell;

/* c [rows][columns] = (or +=) a [rows][k] b. */
typedef struct lstm__multiplication {
    size_t rows, k;
    const real *a;
    size_t ld_a;
    const real *b;    /* packed; the kernel says how */
    const real *bias; /* the sums begin with it; NULL = zeros */
    real *c;
    size_t ld_c;
    bool accumulate; /* not with a bias */
} lstm__multiplication;

/* dw [inputs][4 units] = (or +=) a^T d over all rows, a [rows][inputs >= 1], d [rows] in gate
 * order; db [4 units] = sums of d. */
typedef struct lstm__outer {
    size_t rows, inputs, units;
    const real *a;
    size_t ld_a;
    const real *d;
    size_t ld_d;
    real *dw;             /* NULL = not wanted */
    real *db;             /* NULL = not wanted */
    bool accumulate;      /* add to both */
    const uint32_t *list; /* numbers of the `rows` rows to take; NULL = 0, 1, … */
    real *scratch; /* LSTM__OUTER_SCRATCH, of one call at a time, at a multiple of 64 bytes */
} lstm__outer;

/* Rows and inputs of the blocks that an outer product works on, and the room for copies of them. */
enum {
    LSTM__OUTER_ROWS = 448,
    LSTM__OUTER_INPUTS = 288,
    LSTM__OUTER_SCRATCH = LSTM__OUTER_ROWS * (LSTM__OUTER_INPUTS + 4 * 16) + 16
};

/* Columns for which the narrow layout is meant. */
enum { LSTM__NARROW = 4 };

static inline size_t lstm__panels(size_t lanes, size_t columns)
{
    return (columns + lanes - 1) / lanes;
}

#endif
