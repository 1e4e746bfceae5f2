/* SPDX-License-Identifier: MIT
 * What the kernels of the LSTM's variants take (variants_tpl.h), beside packed.h whose layouts they
 * use.
 */
#ifndef LSTM_KERNELS_VARIANTS_H
#define LSTM_KERNELS_VARIANTS_H

#include "packed.h"

/* An activation with its numbers, as lstm.h describes them; both 0 = the usual function. */
typedef struct lstm__activation {
    int32_t kind; /* LSTM_ACTIVATION_*, not softmax */
    real alpha, beta;
} lstm__activation;

/* The cell of one step, from pre-activations to h and back. All rows of units are padded to U, the
 * padding being zero.
 *
 * A state is held by zoneout where `hold` is 1 and not where it is 0; without `hold` everywhere by
 * the part `held` (0 = no zoneout). */
typedef struct lstm__variant {
    size_t rows, units;
    lstm__activation activation, recurrent, output; /* of g; of i, f, o; of c */
    int32_t coupling;                               /* LSTM_COUPLING_*; 0 = none */
    real gate_clip, cell_clip;                      /* 0 = none */
    const real *peephole;                           /* [3][U]: of i, f and o; NULL = none */
    /* [rows] in gate order; forward: pre-activations, then i, f, g, o; backward: these, then
     * gradients */
    real *gates;
    size_t ld_gates;
    const real *c_previous; /* [rows][U] */
    real *c;                /* not c_previous */
    real *active_c;         /* activation of what h sees of c; forward: NULL = not kept */
    size_t ld_cell;         /* of these, of dh and dc */
    const real *hold;       /* [rows][U], or NULL */
    size_t ld_hold;
    real held;
    /* With a normalised cell: scale and shift [U], or NULL; what they act on, [rows][U] (forward:
     * out, always), and 1 / sqrt(variance + epsilon) [rows]; whether the normalised c is the new c
     */
    const real *gamma, *beta;
    real *normal;
    real *spread;
    real epsilon;
    bool carried;
    real *h; /* [rows][units] */
    size_t ld_h;
    real *dh; /* backward; changed */
    real *dc; /* backward; in: from step t+1, out: at c_previous */
    /* backward, [rows] each: sums over the steps of gradients at peephole [3][U], gamma and beta
     * [2][U]; NULL where there is none */
    real *dpeephole, *dnormal;
} lstm__variant;

/* Normalisation of pre-activations, y += gamma (x - mean) / sqrt(variance + epsilon), for each gate
 * of a row alone or (`joint`) for all four together. Backward dy becomes dx, in the place of x. */
typedef struct lstm__gate_norm {
    size_t rows, units;
    bool joint;
    real epsilon;
    const real *gamma; /* gate order */
    real *x;           /* [rows] in gate order; becomes the normalised x; backward: then dx */
    size_t ld_x;
    real *spread;     /* [rows][4]: 1 / sqrt(variance + epsilon) */
    const real *bias; /* gate order: y = bias + …; NULL = y += … */
    real *y;          /* [rows] in gate order; backward: dy, which stays */
    size_t ld_y;
    real *dgamma; /* backward: [rows] in gate order, sums over the steps */
    size_t ld_dgamma;
} lstm__gate_norm;

/* y [rows][columns] = (1 - hold) x + hold y_previous: zoneout of outputs, in place of x. Backward
 * dy is split: kept = hold dy, dy = (1 - hold) dy. */
typedef struct lstm__hold {
    size_t rows, columns;
    const real *hold; /* [rows], or NULL: `held` everywhere */
    size_t ld_hold;
    real held;
    real *y;
    size_t ld_y;
    const real *previous; /* forward */
    size_t ld_previous;
    real *kept; /* backward */
    size_t ld_kept;
} lstm__hold;

#endif
