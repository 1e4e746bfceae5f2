/* SPDX-License-Identifier: MIT
 * One pass over a recurrence, as its tasks see it, and where the blocks of each step lie.
 */
#ifndef LSTM_NN_TAPE_H
#define LSTM_NN_TAPE_H

#include "recurrence.h"

typedef struct lstm__pass {
    const lstm__recurrence *r;
    const lstm__recurrence_call *call;
    size_t first_step, last_step; /* of this segment; with shared panels the step */
    size_t tasks;
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
    const size_t block = pass->r->training ? t : 0;
    return pass->r->c + block * pass->call->batch * pass->r->padded;
}

static inline real *lstm__tanh_at(const lstm__pass *pass, size_t t)
{
    return pass->r->tanh_c + t * pass->call->batch * pass->r->padded;
}

/* Steps of a segment of a pass with `batch` samples: enough rows for the products of many steps, and no more than half a
 * megabyte of gates unless that takes more, so that what one loop leaves the next still finds in a near cache. */
size_t lstm__segment_steps(const lstm__recurrence *r, size_t batch);

/* to [rows][padded] = the first columns from `from` (data NULL: zeros), the rest zeros. */
void lstm__tape_start(const lstm__kernels *kernels, size_t rows, size_t columns, size_t padded, lstm__view from, real *to,
                      size_t stride);

#endif
