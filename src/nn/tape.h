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
    /* the step whose blocks come first in the tape, or without training in the gates */
    size_t base;
    size_t tasks;
} lstm__pass;

/* Steps that are computed. */
static inline size_t lstm__steps(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    return call->mask ? r->packing.counts[0] : call->steps;
}

/* Rows of step t; none behind the last. */
static inline size_t lstm__active(const lstm__pass *pass, size_t t)
{
    return pass->call->mask        ? pass->r->packing.active[t]
           : t < pass->call->steps ? pass->call->batch
                                   : 0;
}

/* The row of the tape where block t begins. */
static inline size_t lstm__first_row(const lstm__pass *pass, size_t t)
{
    return pass->call->mask ? pass->r->packing.first[t] : t * pass->call->batch;
}

/* The same, counted from the base. */
static inline size_t lstm__tape_row(const lstm__pass *pass, size_t t)
{
    return lstm__first_row(pass, t) - lstm__first_row(pass, pass->base);
}

static inline size_t lstm__block_rows(const lstm__pass *pass, size_t t)
{
    return lstm__first_row(pass, t + 1) - lstm__first_row(pass, t);
}

static inline real *lstm__rows_at(const lstm__pass *pass, size_t t)
{
    const size_t row = pass->r->training ? lstm__tape_row(pass, t) : t % 2 * pass->call->batch;
    return pass->r->rows + row * pass->r->ld_rows;
}

static inline real *lstm__gates_at(const lstm__pass *pass, size_t t)
{
    return pass->r->gates + lstm__tape_row(pass, t) * pass->r->ld_gates;
}

static inline real *lstm__cell_at(const lstm__pass *pass, size_t t)
{
    return pass->r->c + (pass->r->training ? lstm__tape_row(pass, t) * pass->r->padded : 0);
}

static inline real *lstm__tanh_at(const lstm__pass *pass, size_t t)
{
    return pass->r->tanh_c + lstm__tape_row(pass, t) * pass->r->padded;
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

/* ---- Tables (recurrence_table.c). All but the first two are for those with one. */

void lstm__table_plan(lstm__recurrence *r, lstm__arena *arena);

/* Make the rows of the table that a call meets first. */
void lstm__table_meet(const lstm__recurrence *r, const lstm__recurrence_call *call);

/* Begin the gates of rows `first` to first + count - 1 of step t with their rows of the table. */
void lstm__table_start(const lstm__pass *pass, size_t t, size_t first, size_t count);

/* Add the gradients of a segment's pre-activations to those at the table; of some panels. */
void lstm__table_add(const lstm__pass *pass, lstm__share panels);

/* Behind the last segment: what follows from the gradients at the table, at W and at x. */
void lstm__table_gradients(const lstm__recurrence *r, const lstm__recurrence_call *call);

/* Numbers of x beside h in a row of the tape. */
static inline size_t lstm__x_beside(const lstm__recurrence *r)
{
    return r->table_rows ? 0 : r->input;
}

/* ---- Masks (recurrence_masks.c). All but lstm__mask_start are for calls with one. */

/* Take over the mask of a call, and pack its valid steps. */
void lstm__mask_start(const lstm__recurrence *r, const lstm__recurrence_call *call);

/* The rows of task `index`: about as many valid steps for each. */
lstm__share lstm__mask_share(const lstm__pass *pass, int32_t index);

/* Some rows of `to` [B][padded], `stride` apart, in the order of the rows = `from`, in that of the
 * samples, or zeros where its data is NULL; the columns behind `columns` are zeros. */
void lstm__mask_gather_states(const lstm__pass *pass, lstm__share rows, size_t columns,
                              size_t padded, lstm__view from, real *to, size_t stride);

/* Some rows of `to` += `from`, in the order of the samples. */
void lstm__mask_add_states(const lstm__pass *pass, lstm__share rows, size_t columns,
                           lstm__view from, lstm__view to);

/* `to`, in the order of the samples = (or +=) some rows of `from`. */
void lstm__mask_scatter_states(const lstm__pass *pass, lstm__share rows, size_t columns,
                               const real *from, size_t stride, lstm__view to, bool add);

/* x of rows `first` to first + count - 1 of block t; zeros where that has more than the step. */
void lstm__mask_gather_x(const lstm__pass *pass, size_t t, size_t first, size_t count, real *to,
                         size_t ld);

/* Where row k of step t lies in x and dx. */
size_t lstm__mask_source(const lstm__pass *pass, size_t t, size_t k);

/* The outputs of some rows of step t. */
void lstm__mask_scatter_y(const lstm__pass *pass, size_t t, size_t first, size_t count);

/* The outputs of masked steps. */
void lstm__mask_fill_y(const lstm__pass *pass);

/* Into last_h and last_c: the states of the samples that end behind a step from `first` to `last`,
 * or behind `after` steps of the batch, if that comes before. */
void lstm__mask_collect(const lstm__pass *pass, size_t first, size_t last, size_t after);

/* Add to dh of some rows what arrives at the outputs of masked steps behind their last valid one,
 * where dy is read in place. */
void lstm__mask_start_dy(const lstm__pass *pass, lstm__share rows);

/* Into packed_dy: dy of some rows of step t, with what arrives at the masked steps behind it. */
void lstm__mask_gather_dy(const lstm__pass *pass, size_t t, size_t first, size_t count);

/* Zeros in the rows that blocks of a segment have beyond those of their steps: nothing comes out of
 * them. */
void lstm__mask_clear_spare(const lstm__pass *pass);

/* dx = (or +=) what lies in the place of x in rows `first` to first + count - 1 of block t. */
void lstm__mask_scatter_dx(const lstm__pass *pass, size_t t, size_t first, size_t count);

/* dx of masked steps. */
void lstm__mask_clear_dx(const lstm__pass *pass);

/* Whether y and dy of a step are rows side by side. */
static inline bool lstm__in_place(const lstm__pass *pass)
{
    return !pass->call->mask || *pass->r->packing.in_place;
}

/* ---- */

/* Rows of the tape that a segment has. */
static inline size_t lstm__segment_rows(const lstm__pass *pass)
{
    return lstm__first_row(pass, pass->last_step) - lstm__first_row(pass, pass->first_step);
}

/* The rows that task `index` goes through all steps with. */
static inline lstm__share lstm__rows_share(const lstm__pass *pass, int32_t index)
{
    return pass->call->mask ? lstm__mask_share(pass, index)
                            : lstm__share_of(pass->call->batch, pass->tasks, index);
}

/* Those of some rows that step t has. */
static inline lstm__share lstm__rows_of(const lstm__pass *pass, size_t t, lstm__share rows)
{
    const size_t active = lstm__active(pass, t);
    const size_t left = active > rows.first ? active - rows.first : 0;
    return (lstm__share){rows.first, rows.count < left ? rows.count : left};
}

/* to [rows][padded] = the first columns from `from` (data NULL: zeros), the rest zeros. */
void lstm__tape_start(const lstm__kernels *kernels, size_t rows, size_t columns, size_t padded,
                      lstm__view from, real *to, size_t stride);

#endif
