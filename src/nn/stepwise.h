/* SPDX-License-Identifier: MIT
 * The LSTM's variants, step by step: projection, peepholes, coupled gates, clips, zoneout,
 * normalised gates and cells, recurrent dropout, in any combination that lstm__variant_check lets
 * pass. What recurrence.c does for the plain cell this does for the others, on the same call struct
 * and the same packed layouts: x W of many steps at once, one product with h a step, a kernel for
 * the cell (kernels/variants_tpl.h; with a projection alone the plain cell's own, in the product),
 * and products over many steps for the gradients of weights and x.
 *
 * H units, P numbers of h (H, or fewer with a projection), I of x; U = H padded. Blocks of a step
 * have `batch` rows:
 *     rows   [T+1][B][ld_rows]  training: [h(t-1), x(t)];   else [2] blocks of h in turn
 *     gates  [T][B][ld_gates]   gate order; else of one segment
 *     c      [T+1][B][U]        else [2] in turn
 *     below  [T][B][U]          h before the projection; else one block
 * and, where the variant has them: active_c, normal, hats (normalised pre-activations), holds.
 *
 * Back in time dr and dc hold, for each sample, the gradients at h(t) and c(t); steps that a mask
 * leaves out do not touch them. Sums of gradients at peepholes and scales are kept for each sample,
 * and added up over the samples at the end: bits do not depend on threads.
 */
#ifndef LSTM_NN_STEPWISE_H
#define LSTM_NN_STEPWISE_H

#include "recurrence.h"
#include "shares.h"

enum { LSTM__GATES = 4, LSTM__LOOKS = 3 };

/* Parameters of a variant, or their gradients; NULL where it has none. */
typedef struct lstm__variant_values {
    real *weights;    /* [P+I][4H], h rows first */
    real *bias[2];    /* [4H] */
    real *projection; /* [H][P] */
    real *peephole;   /* [3][H]: i, f, o */
    real *gamma[2];   /* [4H]: of h U and of x W, or [0] of their sum */
    real *cell_gamma; /* [H] */
    real *cell_beta;  /* [H] */
} lstm__variant_values;

typedef struct lstm__stepwise {
    lstm_context *context;
    const lstm__kernels *kernels;
    const lstm_lstm_options *options; /* of the node */
    size_t input, units, width;       /* I, H, P */
    size_t max_batch, max_steps;
    bool training; /* keeps the tape */
    bool random;   /* zoneout and dropout draw; else zoneout takes the mean */
    bool input_gradient;
    uint64_t seed, stream; /* of the call's random numbers */
    /* The rest is lstm__stepwise_plan's. */
    bool plain;    /* the cell is the plain one */
    bool separate; /* h U and x W are normalised apart */
    bool one_mask; /* recurrent dropout has one mask of h for all gates */
    size_t segment, panels, padded, ld_rows, ld_gates;
    real *weights_h, *weights_x, *bias, *back_h, *back_x;
    real *project, *project_back;
    real *peephole, *gamma[2], *cell_gamma, *cell_beta;
    real *gate_weights[LSTM__GATES], *gate_back[LSTM__GATES]; /* recurrent dropout */
    real *rows, *gates, *c, *active_c, *below;
    real *normal, *spread;
    real *hats[2], *hat_spread[2];
    real *hold_h, *hold_c;
    real *factors; /* of recurrent dropout: [4][B][P], or with one mask [B][P] */
    real *parts;   /* [B][P + U]: what recurrent dropout works on in a step */
    /* [T][B][P], [T][B][H]: the same over all steps, made backward; with one mask masked_h is what
     * entered the products */
    real *masked_h, *gate_d;
    real *dprojected; /* [T][B][P] */
    real *dr, *dh, *dc;
    real *dpeephole, *dnormal, *dgamma[2];
    real *scratch;
    unsigned char *mask;
    uint32_t *list;
    size_t *starts;
} lstm__stepwise;

/* Whether these options need this path. */
bool lstm__stepwise_needed(const lstm_lstm_options *options);

/* Carve the buffers; the members up to `stream` must be set. */
void lstm__stepwise_plan(lstm__stepwise *s, lstm__arena *arena);
void lstm__stepwise_pack_forward(const lstm__stepwise *s, const lstm__variant_values *values);
void lstm__stepwise_pack_backward(const lstm__stepwise *s, const lstm__variant_values *values);
void lstm__stepwise_forward(const lstm__stepwise *s, const lstm__recurrence_call *call);
/* dweights and dbias of the call are not looked at: gradients go to `gradients`. */
void lstm__stepwise_backward(const lstm__stepwise *s, const lstm__recurrence_call *call,
                             const lstm__variant_values *gradients);

lstm__view lstm__stepwise_h(const lstm__stepwise *s, const lstm__recurrence_call *call);
lstm__view lstm__stepwise_c(const lstm__stepwise *s, const lstm__recurrence_call *call);
lstm__view lstm__stepwise_outputs(const lstm__stepwise *s, const lstm__recurrence_call *call);

/* Copy the gate or state LSTM_TRACE_… of a recurrence with a tape to rows by time. */
void lstm__stepwise_trace(const lstm__stepwise *s, const lstm__recurrence_call *call, int32_t kind,
                          real *to);

/* ---- Between the files of this path */

typedef struct lstm__stepwise_pass {
    const lstm__stepwise *s;
    const lstm__recurrence_call *call;
    size_t first_step, last_step, tasks;
    const uint32_t *list; /* valid rows of the segment, NULL = all */
    size_t valid;
    /* backward */
    const real *a,
        *d; /* what weight_gradients multiplies and sums, from the segment's first row on */
    size_t ld_a, inputs;
    real *dw, *db;
} lstm__stepwise_pass;

static inline size_t lstm__stepwise_block(const lstm__stepwise *s, size_t t)
{
    return s->training ? t : t % 2;
}
static inline real *lstm__stepwise_rows(const lstm__stepwise_pass *pass, size_t t)
{
    return pass->s->rows + lstm__stepwise_block(pass->s, t) * pass->call->batch * pass->s->ld_rows;
}
static inline real *lstm__stepwise_cell(const lstm__stepwise_pass *pass, size_t t)
{
    return pass->s->c + lstm__stepwise_block(pass->s, t) * pass->call->batch * pass->s->padded;
}
/* Of a tape of T blocks, or one of a segment's. */
static inline real *lstm__stepwise_gates(const lstm__stepwise_pass *pass, real *tape, size_t t)
{
    const size_t block = pass->s->training ? t : t % pass->s->segment;
    return tape + block * pass->call->batch * pass->s->ld_gates;
}
/* Of a tape of T blocks, or of the only one. */
static inline real *lstm__stepwise_tape(const lstm__stepwise_pass *pass, real *tape, size_t t,
                                        size_t width)
{
    return tape && pass->s->training ? tape + t * pass->call->batch * width : tape;
}
static inline const unsigned char *lstm__stepwise_mask(const lstm__stepwise_pass *pass, size_t t)
{
    return pass->call->mask ? pass->s->mask + t * pass->call->batch : NULL;
}

/* The arguments of the cell's kernel for some samples of step t. */
lstm__variant lstm__stepwise_variant(const lstm__stepwise_pass *pass, size_t t, size_t first,
                                     size_t count);
lstm__gate_norm lstm__stepwise_norm(const lstm__stepwise_pass *pass, int which, size_t t,
                                    size_t first, size_t count);
lstm__hold lstm__stepwise_hold(const lstm__stepwise_pass *pass, size_t t, size_t first,
                               size_t count);

/* Recurrent dropout (stepwise_dropout.c): draw the factors of a call. With a mask for each gate: add
 * the four masked products of step t to the gates; the same back to dr; and the gradient of the
 * recurrent rows of W. With one mask: h(t) under it, and dr += `back` [rows][U] under it. */
void lstm__stepwise_draw_factors(const lstm__stepwise *s, const lstm__recurrence_call *call);
void lstm__stepwise_draw_holds(const lstm__stepwise_pass *pass, size_t t, size_t first,
                               size_t count);
void lstm__stepwise_dropped(const lstm__stepwise_pass *pass, size_t t, size_t first, size_t count);
void lstm__stepwise_dropped_back(const lstm__stepwise_pass *pass, size_t t, size_t first,
                                 size_t count);
void lstm__stepwise_dropped_weights(const lstm__stepwise_pass *pass, real *dweights);
void lstm__stepwise_mask_h(const lstm__stepwise_pass *pass, size_t t, size_t first, size_t count);
static inline real *lstm__stepwise_masked_h(const lstm__stepwise_pass *pass, size_t t, size_t first)
{
    return pass->s->masked_h + (t * pass->call->batch + first) * pass->s->width;
}
void lstm__stepwise_masked_back(const lstm__stepwise_pass *pass, size_t first, size_t count,
                                const real *back);

/* Whether the products with h of `batch` samples are better shared by `parts` of their columns. */
static inline bool lstm__stepwise_shares_columns(const lstm__stepwise *s, size_t batch,
                                                 size_t parts)
{
    return (!s->factors || s->one_mask) &&
           lstm__share_columns(s->context, batch, parts, lstm__work(batch, s->width, s->padded));
}

/* The next run of valid rows from *at on and before `end`; false = there is none. */
bool lstm__stepwise_run(const unsigned char *mask, size_t *at, size_t end, lstm__share *run);

#endif
