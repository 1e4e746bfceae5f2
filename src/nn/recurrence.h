/* SPDX-License-Identifier: MIT
 * The recurrence of one LSTM over a batch of sequences: plan, packing, forward, backward on plain
 * arrays. The LSTM layer and the public primitive are both thin shells around it. Layouts of what
 * is packed: kernels/packed.h.
 *
 *     rows   [T+1][B][ld_rows]   training: block t holds [h(t-1), x(t)], block T only h(T-1).
 *            [2][B][ld_rows]     else: blocks take turns, as a step must not overwrite the h that it still reads; they
 *                                hold x beside h in the concat route only
 *     gates  [T][B][ld_gates]    training: activated i, f, g, o in gate order; backward turns them
 *            into gradients of the
 *                                pre-activations. Else, in the split route, x W + bias of `segment` steps
 *     c      [T+1][B][U]         block 0 is c0; one block when not training
 *     tanh_c [T][B][U]           training: tanh(c(t))
 *     y = h(t) is a view on block t+1 of rows, so outputs are never copied while training.
 *
 * Recomputation (docs/design/recomputation.md). With `recompute`, rows, gates, c and tanh_c hold the
 * blocks of one span of steps only. Forward goes from span to span and keeps the h and c between
 * them; backward runs each span but the last forward again from there. Spans are whole numbers of
 * backward's segments counted from the end, so every sum is made in the same order as without.
 * Behind the gates is room for one block more: what backward left at the first step of the span
 * after.
 *
 * Masks (docs/design/packed-sequences.md). A masked step leaves h and c as they are, so a sequence
 * with holes is the shorter one without them. With a mask the recurrence runs on these: step s of a
 * row is the s-th valid step of its sample, rows are in the order of falling numbers of valid steps,
 * and step s has `active[s]` rows, the first ones. Block s of the tape begins at row first[s] and
 * has the rows of step s-1, as that step leaves its h there; block 0 has B. What is read and written
 * outside (x, outputs, gradients, states) is gathered and scattered on the way (recurrence_masks.c).
 */
#ifndef LSTM_NN_RECURRENCE_H
#define LSTM_NN_RECURRENCE_H

#include "context.h"
#include "layer.h"

/* How the valid steps of a masked batch lie in the tape. */
typedef struct lstm__packing {
    uint64_t *samples; /* [B] the sample of a row */
    uint32_t *counts;  /* [B] its valid steps, falling */
    size_t *active;    /* [T+1] rows of a step; the last is 0 */
    size_t *first;     /* [T+2] the row of the tape where a block begins */
    /* [rows of the tape] the step of the batch that a row of the tape is, if not `in_place` */
    uint32_t *times;
    /* row k of step s is step s of sample k: every sample has its first steps, the longest first */
    bool *in_place;
} lstm__packing;

typedef struct lstm__recurrence {
    lstm_context *context;
    const lstm__kernels *kernels;
    size_t input, hidden;
    size_t max_batch, max_steps;
    bool training;
    bool input_gradient; /* backward may be asked for dx */
    /* training: keep the tape of a span, not of all steps. The plan takes it back where that saves
     * less than half of the tape */
    bool recompute;
    int32_t route; /* LSTM_ROUTE_*, never 0 */
    int32_t activation,
        recurrent_activation; /* LSTM_ACTIVATION_*; 0 = tanh and sigmoid, fused with the product of a step.
                                                 Others need the split route */
    /* x(t) is a row of a table of so many, told by its number (recurrence_table.c; split route,
     * input > LSTM__NARROW); 0 = x comes as it is */
    size_t table_rows;
    /* The rest is lstm__recurrence_plan's. */
    size_t segment; /* steps whose x is multiplied at once (split route) */
    size_t panels;  /* groups of V units */
    size_t padded;  /* U */
    size_t ld_rows, ld_gates;
    /* gates layout: in the concat route all rows of W, in the split route the h rows */
    real *weights_h;
    real *weights_x;  /* split route: gates layout of the x rows */
    real *bias;       /* gate order */
    real *back_h;     /* training: across layout of the h rows */
    real *back_x;     /* training with dx: across or narrow layout of the x rows */
    size_t tape_rows; /* training: steps times samples that the tape has room for */
    real *rows;
    real *gates;
    real *c;
    real *tanh_c;
    /* With table_rows, so many rows of: the table times the x rows of W, + bias, in gate order;
     * whether that is made (NULL = all are). Training: the table of the latest forward [input]; the
     * gradients at `table`; the numbers that were met */
    real *table;
    unsigned char *table_made;
    real *table_x;
    real *table_gradient;
    uint32_t *table_list;
    /* recompute: the states before each span and behind the last one, [spans + 1][B][H] and
     * [spans + 1][B][U] */
    real *kept_h, *kept_c;
    real *dh;      /* [B][U], gradient at the last h */
    real *dc;      /* [B][U] */
    real *scratch; /* [threads][LSTM__OUTER_SCRATCH] */
    size_t *done;  /* steps of all calls: every second one goes through the weights backwards */
    /* Of the latest forward, where it had a mask: that in step order [T][B], and how it is packed. */
    unsigned char *mask;
    lstm__packing packing;
    real *packed_x;        /* split route without a tape: x of a segment, as the gates lie */
    real *packed_dy;       /* training: [B][U] of a step */
    real *last_h, *last_c; /* [B][H], [B][U] in the order of the samples */
    size_t ld_x;           /* of packed_x */
} lstm__recurrence;

typedef struct lstm__recurrence_call {
    size_t batch, steps;
    bool reverse; /* step t reads x of step T-1-t */
    /* [steps][batch] in the order of x: 0 = hold h and c; NULL = every step is valid */
    const unsigned char *mask;
    /* outputs of masked steps are zero; else the output before is repeated (zero before the first)
     */
    bool zero_masked;
    lstm__view x;
    /* [steps][batch] in the order of x: with table_rows, which row of the table, which is then `x`,
     * x(t) is */
    const uint32_t *numbers;
    lstm__view h0, c0; /* data NULL = zeros */
    lstm__view y;      /* every output; data NULL = not wanted */
    /* backward */
    lstm__view dy;     /* gradient at every output, or data NULL */
    lstm__view dhn[2]; /* gradients at the last h; summed; data NULL = zero */
    lstm__view dcn;
    lstm__view dx; /* data NULL = not wanted. With table_rows: at the rows of the table */
    bool add_dx, add_dh0, add_dc0;
    real *dweights;      /* [H+I][4H], overwritten; NULL = not wanted */
    real *dbias;         /* [4H], overwritten; NULL = not wanted */
    lstm__view dh0, dc0; /* data NULL = not wanted */
} lstm__recurrence_call;

/* Route for a shape (see docs/design/routes.md). */
int32_t lstm__recurrence_route(size_t batch, size_t steps, size_t input, size_t hidden,
                               bool training);

/* Carve the buffers; the members up to `route` must be set. */
void lstm__recurrence_plan(lstm__recurrence *recurrence, lstm__arena *arena);

/* Pack weights [H+I][4H] and the sum of two biases [4H], each NULL or not, for forward / weights
 * for backward. Needed once after each change of them. */
void lstm__recurrence_pack_forward(const lstm__recurrence *recurrence, const real *weights,
                                   const real *bias, const real *second_bias);
void lstm__recurrence_pack_backward(const lstm__recurrence *recurrence, const real *weights);

/* With table_rows: make the table from its rows [table_rows][input]. Needed behind each
 * lstm__recurrence_pack_forward, and after each change of the rows. */
void lstm__recurrence_tabulate(const lstm__recurrence *recurrence, lstm__view rows);

void lstm__recurrence_forward(const lstm__recurrence *recurrence,
                              const lstm__recurrence_call *call);
void lstm__recurrence_backward(const lstm__recurrence *recurrence,
                               const lstm__recurrence_call *call);

/* Where the latest forward left the last h and c, and (training without recomputation) all outputs.
 */
lstm__view lstm__recurrence_h(const lstm__recurrence *recurrence,
                              const lstm__recurrence_call *call);
lstm__view lstm__recurrence_c(const lstm__recurrence *recurrence,
                              const lstm__recurrence_call *call);
/* Not where the call had a mask: then y has the outputs. */
lstm__view lstm__recurrence_outputs(const lstm__recurrence *recurrence,
                                    const lstm__recurrence_call *call);

/* Let lstm__recurrence_h and lstm__recurrence_c give the states behind the first call->steps steps
 * of the latest forward, whose tape is whole: without a mask that is what they do anyhow, with one
 * they give those behind all steps until they are told. */
void lstm__recurrence_rewind(const lstm__recurrence *r, const lstm__recurrence_call *call);

#endif
