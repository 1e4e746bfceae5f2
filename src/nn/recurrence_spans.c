/* SPDX-License-Identifier: MIT
 * Spans of steps: what a recurrence keeps of a long sequence while training with recomputation
 * (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost", along time).
 *
 * A span is a whole number of the segments that backward works in, and they are counted from the end
 * as those are: only the first span may be shorter. The tape of a span and the states between spans
 * take the least memory together with spans of sqrt(steps * state / tape) steps, where a state is h
 * and c, and the tape what a step keeps; but a span has at least one segment.
 */
#include "shares.h"
#include "tape.h"

#include <math.h>
#include <string.h>

size_t lstm__span_steps(const lstm__recurrence *r, size_t batch, size_t steps)
{
    if (!r->recompute || batch * steps <= r->tape_rows)
        return steps;
    const size_t segment = lstm__segment_steps(r, batch);
    return r->tape_rows / (batch * segment) * segment;
}

size_t lstm__span_count(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    const size_t steps = lstm__steps(r, call);
    const size_t span = lstm__span_steps(r, call->batch, steps);
    return span ? (steps + span - 1) / span : 1;
}

size_t lstm__span_start(const lstm__recurrence *r, const lstm__recurrence_call *call, size_t k)
{
    const size_t steps = lstm__steps(r, call);
    const size_t spans = lstm__span_count(r, call);
    return k == 0 ? 0 : steps - (spans - k) * lstm__span_steps(r, call->batch, steps);
}

/* ---- Plan */

static size_t times(size_t a, size_t b)
{
    size_t product = 0;
    return lstm__mul(a, b, &product) ? product : SIZE_MAX;
}

void lstm__span_plan(lstm__recurrence *r)
{
    const size_t all = times(r->max_steps, r->max_batch);
    const double tape = (double)(r->ld_rows + r->ld_gates + 2 * r->padded);
    const double state = (double)(r->hidden + r->padded);
    const size_t segment = lstm__segment_steps(r, r->max_batch);
    const size_t best = (size_t)ceil(sqrt((double)r->max_steps * state / tape));
    const size_t rows = times((best + segment - 1) / segment * segment, r->max_batch);
    /* a segment of any smaller batch has to fit too: fewer than batch + these */
    const size_t least = lstm__segment_steps(r, 1) + r->max_batch;
    r->tape_rows = rows > least ? rows : least;
    r->recompute = r->recompute && r->tape_rows <= all / 2;
    if (!r->recompute)
        r->tape_rows = all;
}

/* The most over all batches. A batch up to half the largest needs less than that: its span fills at
 * least half of the tape, so it has at most half of the largest's rows. Where a segment is one step
 * the largest batch of those with the same span needs most. */
size_t lstm__span_kept_rows(const lstm__recurrence *r)
{
    const size_t single = lstm__segment_steps(r, 1); /* from this batch on a segment is one step */
    size_t most = 0;
    for (size_t batch = r->max_batch; batch > r->max_batch / 2;) {
        const size_t span = lstm__span_steps(r, batch, r->max_steps);
        const size_t rows = times((r->max_steps + span - 1) / span + 1, batch);
        most = rows > most ? rows : most;
        const size_t next = r->tape_rows / (span + 1);
        batch = batch <= single ? batch - 1 : next > single ? next : single;
    }
    return most;
}

/* ---- States between spans */

void lstm__span_keep(const lstm__pass *pass, size_t k)
{
    const lstm__recurrence *r = pass->r;
    const size_t batch = pass->call->batch;
    const size_t t = lstm__span_start(r, pass->call, k);
    const size_t rows = lstm__block_rows(pass, t);
    r->kernels->copy_rows(rows, r->hidden, lstm__rows_at(pass, t), r->ld_rows,
                          r->kept_h + k * batch * r->hidden, r->hidden, 0);
    memcpy(r->kept_c + k * batch * r->padded, lstm__cell_at(pass, t),
           rows * r->padded * sizeof(real));
}

void lstm__span_take(lstm__pass *pass, size_t k)
{
    const lstm__recurrence *r = pass->r;
    const size_t batch = pass->call->batch;
    pass->base = lstm__span_start(r, pass->call, k);
    const size_t rows = lstm__block_rows(pass, pass->base);
    r->kernels->copy_rows(rows, r->hidden, r->kept_h + k * batch * r->hidden, r->hidden,
                          lstm__rows_at(pass, pass->base), r->ld_rows, 0);
    memcpy(lstm__cell_at(pass, pass->base), r->kept_c + k * batch * r->padded,
           rows * r->padded * sizeof(real));
}

void lstm__span_back(lstm__pass *pass)
{
    const lstm__recurrence *r = pass->r;
    const size_t end = pass->base;
    const real *after = lstm__gates_at(pass, end);
    lstm__recurrence_call call = *pass->call;
    call.y = (lstm__view){NULL, 0}; /* the outputs are there */
    lstm__pass again = {.r = r, .call = &call, .tasks = 1};
    const size_t steps = lstm__steps(r, &call);
    const size_t later = (steps - end) / lstm__span_steps(r, call.batch, steps);
    const size_t k = lstm__span_count(r, &call) - 1 - later;
    pass->base = again.base = lstm__span_start(r, &call, k);
    memcpy(lstm__gates_at(pass, end), after, lstm__active(pass, end) * r->ld_gates * sizeof(real));
    lstm__span_take(&again, k);
    lstm__forward_steps(&again, again.base, end);
}
