/* SPDX-License-Identifier: MIT
 * One pass over a recurrence, as its tasks see it, and where the blocks of each step lie.
 */
#ifndef LSTM_NN_TAPE_H
#define LSTM_NN_TAPE_H

#include "recurrence.h"
#include "shares.h"

typedef struct lstm__pass {
    const lstm__recurrence *r;
    const lstm__recurrence_call *call;
    size_t first_step, last_step; /* of this segment; with shared panels the step */
    size_t base;                  /* training: the step whose blocks come first in the tape */
    size_t tasks;
    const uint32_t *list; /* backward: rows of the segment that are valid, NULL = all */
    size_t valid;         /* backward: their number */
} lstm__pass;

static inline real *lstm__rows_at(const lstm__pass *pass, size_t t)
{
    const size_t block = pass->r->training ? t - pass->base : t % 2;
    return pass->r->rows + block * pass->call->batch * pass->r->ld_rows;
}

static inline real *lstm__gates_at(const lstm__pass *pass, size_t t)
{
    const size_t block = pass->r->training ? t - pass->base : t % pass->r->segment;
    return pass->r->gates + block * pass->call->batch * pass->r->ld_gates;
}

static inline real *lstm__cell_at(const lstm__pass *pass, size_t t)
{
    const size_t block = pass->r->training ? t - pass->base : pass->call->mask ? t % 2 : 0;
    return pass->r->c + block * pass->call->batch * pass->r->padded;
}

static inline real *lstm__tanh_at(const lstm__pass *pass, size_t t)
{
    return pass->r->tanh_c + (t - pass->base) * pass->call->batch * pass->r->padded;
}

/* Steps of a segment of a pass with `batch` samples: as many rows as the weight gradient takes at once,
 * as each time it reads and writes all of dw; or more, up to half a megabyte of gates, so that what one
 * loop leaves the next still finds in a near cache. At least one step. */
size_t lstm__segment_steps(const lstm__recurrence *r, size_t batch);

/* ---- Spans (recurrence_spans.c) */

/* Steps whose tape is kept at once: all, without recomputation. */
size_t lstm__span_steps(const lstm__recurrence *r, size_t batch, size_t steps);

/* The number of spans, and the first step of span k (k = their number: all steps). */
size_t lstm__span_count(const lstm__recurrence *r, const lstm__recurrence_call *call);
size_t lstm__span_start(const lstm__recurrence *r, const lstm__recurrence_call *call, size_t k);

/* Decide on tape_rows and whether to recompute, and how many rows of states are to be kept. */
void lstm__span_plan(lstm__recurrence *r);
size_t lstm__span_kept_rows(const lstm__recurrence *r);

/* Keep the states at the first step of span k / begin the tape with them. */
void lstm__span_keep(const lstm__pass *pass, size_t k);
void lstm__span_take(lstm__pass *pass, size_t k);

/* Go back from the span that begins at pass->base to the one before: run it forward again. */
void lstm__span_back(lstm__pass *pass);

/* Run the steps [first, last), whose blocks are in the tape, forward. */
void lstm__forward_steps(const lstm__pass *pass, size_t first, size_t last);

/* ---- Tables (recurrence_table.c) */

void lstm__table_plan(lstm__recurrence *r, lstm__arena *arena);

/* Make the rows of the table that a call meets first. */
void lstm__table_meet(const lstm__recurrence *r, const lstm__recurrence_call *call);

/* Begin the gates of step t of some samples with their rows of the table. */
void lstm__table_start(const lstm__pass *pass, size_t t, size_t first, size_t count);

/* Add the gradients of a segment's pre-activations to those at the table; of some panels. */
void lstm__table_add(const lstm__pass *pass, lstm__share panels);

/* Behind the last segment: what follows from the gradients at the table, at W and at x. */
void lstm__table_gradients(const lstm__pass *pass);

/* ---- */

/* The mask of step t's samples, or NULL. */
static inline const unsigned char *lstm__mask_at(const lstm__pass *pass, size_t t)
{
    return pass->call->mask ? pass->r->mask + t * pass->call->batch : NULL;
}

/* ---- Masks (recurrence_masks.c) */

/* The next run of valid rows from *at on and before `end`: false = there is none. Short gaps are
 * computed along, but not where the cell stands alone. */
bool lstm__next_run(const lstm__recurrence *r, const unsigned char *mask, size_t *at, size_t end,
                    lstm__share *run);

/* Whether all these rows are valid. */
bool lstm__all_valid(const unsigned char *mask, size_t first, size_t count);

/* Take over the mask of a call. */
void lstm__mask_start(const lstm__recurrence *r, const lstm__recurrence_call *call);

/* List the valid rows of a segment where some are not: their number, or all rows' with *list NULL.
 */
size_t lstm__mask_list(const lstm__pass *pass, const uint32_t **list);

/* After step t forward: hold h and c of masked samples, and give them their outputs and an empty
 * place in the tape. */
void lstm__mask_hold(const lstm__pass *pass, size_t t, size_t first, size_t count);

/* After step t backward: what masked samples hand back to h, and no gradient at their
 * pre-activations. */
void lstm__mask_hand_back(const lstm__pass *pass, size_t t, size_t first, size_t count);

/* to [rows][padded] = the first columns from `from` (data NULL: zeros), the rest zeros. */
void lstm__tape_start(const lstm__kernels *kernels, size_t rows, size_t columns, size_t padded,
                      lstm__view from, real *to, size_t stride);

#endif
