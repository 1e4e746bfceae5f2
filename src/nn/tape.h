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
    size_t tasks;
    const uint32_t *list; /* backward: rows of the segment that are valid, NULL = all */
    size_t valid;         /* backward: their number */
} lstm__pass;

static inline real *lstm__rows_at(const lstm__pass *pass, size_t t)
{
    const size_t block = pass->r->training ? t : t % 2;
    return pass->r->rows + block * pass->call->batch * pass->r->ld_rows;
}

static inline real *lstm__gates_at(const lstm__pass *pass, size_t t)
{
    const size_t block = pass->r->training ? t : t % pass->r->segment;
    return pass->r->gates + block * pass->call->batch * pass->r->ld_gates;
}

static inline real *lstm__cell_at(const lstm__pass *pass, size_t t)
{
    const size_t block = pass->r->training ? t : pass->call->mask ? t % 2 : 0;
    return pass->r->c + block * pass->call->batch * pass->r->padded;
}

static inline real *lstm__tanh_at(const lstm__pass *pass, size_t t)
{
    return pass->r->tanh_c + t * pass->call->batch * pass->r->padded;
}

/* Steps of a segment of a pass with `batch` samples: enough rows for the products of many steps,
 * and no more than half a megabyte of gates unless that takes more, so that what one loop leaves
 * the next still finds in a near cache. */
size_t lstm__segment_steps(const lstm__recurrence *r, size_t batch);

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
