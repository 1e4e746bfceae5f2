/* SPDX-License-Identifier: MIT
 * Masked batches of a recurrence: how their valid steps are packed, and the way in and out.
 *
 * A masked step leaves h and c as they are, so the recurrence runs on the valid steps of each sample
 * alone, as PyTorch's packed sequences do; holes and leading masks vanish the same way as ends. Rows
 * are sorted by their number of valid steps, so those of a step are always the first ones.
 *
 * Outputs of masked steps repeat the one before, or are zeros (zero_masked). Backward follows:
 * what arrives at a repeated output is added to dy of the valid step before it; of zeros, and of
 * steps before the first valid one, nothing is. The state behind the last step of the batch is that
 * behind the last valid one, so dh and dc of the end enter a row at its own last step.
 *
 * Sorted batches whose samples merely end (`in_place`; sessions sort them so) have the rows of a step
 * side by side outside too: then outputs and their gradients are not copied.
 */
#include "batch_order.h"
#include "tape.h"

#include <string.h>

/* ---- Packing */

/* Numbers of rows of the steps, and where blocks begin. */
static void lay_blocks(const lstm__packing *p, size_t batch)
{
    const size_t steps = p->counts[0];
    size_t rows = batch;
    p->first[0] = 0;
    p->first[1] = batch;
    for (size_t s = 0; s < steps; s++) {
        while (p->counts[rows - 1] <= s)
            rows--;
        p->active[s] = rows;
        p->first[s + 2] = p->first[s + 1] + rows;
    }
    p->active[steps] = 0;
}

/* Whether rows are samples and steps are steps. As the steps of both are as many in all, the rest is
 * masked if these rows are valid; the samples then come in falling order and have not been moved. */
static bool lies_in_place(const lstm__packing *p, const unsigned char *mask, size_t batch)
{
    for (size_t t = 0; t < p->counts[0]; t++)
        if (memchr(mask + t * batch, 0, p->active[t]))
            return false;
    return true;
}

void lstm__mask_start(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    const lstm__packing *p = &r->packing;
    const size_t batch = call->batch;
    if (!call->mask)
        return;
    for (size_t b = 0; b < batch; b++) {
        p->samples[b] = b;
        p->counts[b] = 0;
    }
    for (size_t t = 0; t < call->steps; t++) {
        const size_t source = call->reverse ? call->steps - 1 - t : t;
        unsigned char *mask = r->mask + t * batch;
        memcpy(mask, call->mask + source * batch, batch);
        for (size_t b = 0; b < batch; b++)
            p->counts[b] += mask[b] != 0;
    }
    lstm__sort_falling(batch, p->samples, p->counts);
    lay_blocks(p, batch);
    *p->in_place = lies_in_place(p, r->mask, batch);
    for (size_t k = 0; k < batch && !*p->in_place; k++) {
        const unsigned char *mask = r->mask + p->samples[k];
        size_t s = 0;
        for (size_t t = 0; t < call->steps; t++)
            if (mask[t * batch])
                p->times[p->first[s++] + k] = (uint32_t)t;
    }
}

lstm__share lstm__mask_share(const lstm__pass *pass, int32_t index)
{
    const uint32_t *counts = pass->r->packing.counts;
    const size_t batch = pass->call->batch;
    size_t total = 0;
    for (size_t k = 0; k < batch; k++)
        total += counts[k];
    const lstm__share steps = lstm__share_of(total, pass->tasks, index);
    const bool last = (size_t)index + 1 == pass->tasks;
    size_t first = 0;
    size_t before = 0;
    while (first < batch && before < steps.first)
        before += counts[first++];
    size_t end = first;
    while (end < batch && (last || before < steps.first + steps.count))
        before += counts[end++];
    return (lstm__share){first, end - first};
}

/* The step of the batch that row k of step t is. */
static size_t time_of(const lstm__pass *pass, size_t t, size_t k)
{
    const lstm__packing *p = &pass->r->packing;
    return *p->in_place ? t : p->times[p->first[t] + k];
}

/* Where row k of step t lies in y and dy. */
static size_t place_of(const lstm__pass *pass, size_t t, size_t k)
{
    return time_of(pass, t, k) * pass->call->batch + (size_t)pass->r->packing.samples[k];
}

size_t lstm__mask_source(const lstm__pass *pass, size_t t, size_t k)
{
    const lstm__recurrence_call *call = pass->call;
    const size_t time = time_of(pass, t, k);
    return (call->reverse ? call->steps - 1 - time : time) * call->batch +
           (size_t)pass->r->packing.samples[k];
}

/* The next run of masked samples from *at on, of a step of a batch: its length, 0 = there is none. */
static size_t masked_run(const unsigned char *mask, size_t batch, size_t *at)
{
    const unsigned char *found = *at < batch ? memchr(mask + *at, 0, batch - *at) : NULL;
    size_t end = found ? (size_t)(found - mask) : batch;
    *at = end;
    while (end < batch && !mask[end])
        end++;
    return end - *at;
}

/* ---- States */

void lstm__mask_gather_states(const lstm__pass *pass, lstm__share rows, size_t columns,
                              size_t padded, lstm__view from, real *to, size_t stride)
{
    const lstm__kernels *kernels = pass->r->kernels;
    const size_t end = rows.first + rows.count;
    if (!from.data) {
        lstm__tape_start(kernels, rows.count, columns, padded, from, to + rows.first * stride,
                         stride);
        return;
    }
    for (size_t k = rows.first; k < end; k++) {
        const real *row = from.data + pass->r->packing.samples[k] * from.stride;
        memcpy(to + k * stride, row, columns * sizeof *row);
        memset(to + k * stride + columns, 0, (padded - columns) * sizeof *row);
    }
}

void lstm__mask_add_states(const lstm__pass *pass, lstm__share rows, size_t columns,
                           lstm__view from, lstm__view to)
{
    for (size_t k = rows.first; k < rows.first + rows.count; k++)
        pass->r->kernels->copy_rows(1, columns,
                                    from.data + pass->r->packing.samples[k] * from.stride, 0,
                                    to.data + k * to.stride, 0, 1);
}

void lstm__mask_scatter_states(const lstm__pass *pass, lstm__share rows, size_t columns,
                               const real *from, size_t stride, lstm__view to, bool add)
{
    for (size_t k = rows.first; k < rows.first + rows.count; k++)
        pass->r->kernels->copy_rows(1, columns, from + k * stride, 0,
                                    to.data + pass->r->packing.samples[k] * to.stride, 0, add);
}

void lstm__mask_collect(const lstm__pass *pass, size_t first, size_t last, size_t after)
{
    const lstm__recurrence *r = pass->r;
    for (size_t k = 0; k < pass->call->batch; k++) {
        const size_t sample = (size_t)r->packing.samples[k];
        size_t steps = r->packing.counts[k];
        while (steps > 0 && time_of(pass, steps - 1, k) >= after)
            steps--;
        if (steps < first || steps > last)
            continue;
        memcpy(r->last_h + sample * r->hidden, lstm__rows_at(pass, steps) + k * r->ld_rows,
               r->hidden * sizeof(real));
        memcpy(r->last_c + sample * r->padded, lstm__cell_at(pass, steps) + k * r->padded,
               r->padded * sizeof(real));
    }
}

/* ---- Forward */

void lstm__mask_gather_x(const lstm__pass *pass, size_t t, size_t first, size_t count, real *to,
                         size_t ld)
{
    const lstm__view x = pass->call->x;
    const size_t features = pass->r->input;
    const size_t active = lstm__active(pass, t);
    const size_t end = first + count;
    const size_t valid = end < active ? end : active > first ? active : first;
    if (lstm__in_place(pass) && first < valid)
        pass->r->kernels->copy_rows(valid - first, features,
                                    x.data + lstm__mask_source(pass, t, first) * x.stride, x.stride,
                                    to, ld, 0);
    else
        for (size_t k = first; k < valid; k++)
            memcpy(to + (k - first) * ld, x.data + lstm__mask_source(pass, t, k) * x.stride,
                   features * sizeof(real));
    for (size_t k = valid; k < end; k++)
        memset(to + (k - first) * ld, 0, features * sizeof(real));
}

void lstm__mask_scatter_y(const lstm__pass *pass, size_t t, size_t first, size_t count)
{
    const lstm__recurrence *r = pass->r;
    const lstm__view y = pass->call->y;
    const real *h = lstm__rows_at(pass, t + 1);
    if (!y.data || lstm__in_place(pass))
        return;
    for (size_t k = first; k < first + count; k++)
        memcpy(y.data + place_of(pass, t, k) * y.stride, h + k * r->ld_rows,
               r->hidden * sizeof(real));
}

void lstm__mask_fill_y(const lstm__pass *pass)
{
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    const lstm__view y = call->y;
    const size_t batch = call->batch;
    for (size_t t = 0; y.data && t < call->steps; t++) {
        const unsigned char *mask = r->mask + t * batch;
        size_t run = 0;
        for (size_t b = 0; (run = masked_run(mask, batch, &b)) > 0; b += run) {
            const bool whole = y.stride == r->hidden; /* rows side by side are one */
            const size_t rows = whole ? 1 : run;
            const size_t columns = whole ? run * r->hidden : r->hidden;
            real *to = y.data + (t * batch + b) * y.stride;
            if (t == 0 || call->zero_masked)
                r->kernels->fill_rows(rows, columns, NULL, to, y.stride);
            else
                r->kernels->copy_rows(rows, columns, to - batch * y.stride, y.stride, to, y.stride,
                                      0);
        }
    }
}

/* ---- Backward */

void lstm__mask_start_dy(const lstm__pass *pass, lstm__share rows)
{
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    const lstm__view dy = call->dy;
    if (!dy.data || call->zero_masked || !lstm__in_place(pass))
        return;
    for (size_t k = rows.first; k < rows.first + rows.count; k++) {
        const size_t count = r->packing.counts[k];
        if (count > 0)
            r->kernels->column_sum(call->steps - count, r->hidden,
                                   dy.data + (count * call->batch + k) * dy.stride,
                                   call->batch * dy.stride, r->dh + k * r->padded, 1);
    }
}

void lstm__mask_gather_dy(const lstm__pass *pass, size_t t, size_t first, size_t count)
{
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    const lstm__view dy = call->dy;
    const size_t below = lstm__active(pass, t + 1);
    if (!dy.data || lstm__in_place(pass))
        return;
    for (size_t k = first; k < first + count; k++) {
        real *to = r->packed_dy + k * r->padded;
        const size_t at = place_of(pass, t, k);
        const size_t next = k < below ? place_of(pass, t + 1, k) : call->steps * call->batch;
        memcpy(to, dy.data + at * dy.stride, r->hidden * sizeof *to);
        for (size_t held = at + call->batch; held < next && !call->zero_masked; held += call->batch)
            r->kernels->copy_rows(1, r->hidden, dy.data + held * dy.stride, 0, to, 0, 1);
    }
}

void lstm__mask_clear_spare(const lstm__pass *pass)
{
    const lstm__recurrence *r = pass->r;
    for (size_t t = pass->first_step; t < pass->last_step; t++)
        for (size_t k = lstm__active(pass, t); k < lstm__block_rows(pass, t); k++) {
            memset(lstm__gates_at(pass, t) + k * r->ld_gates, 0, 4 * r->padded * sizeof(real));
            memset(lstm__rows_at(pass, t) + k * r->ld_rows, 0,
                   (r->hidden + lstm__x_beside(r)) * sizeof(real));
        }
}

void lstm__mask_scatter_dx(const lstm__pass *pass, size_t t, size_t first, size_t count)
{
    const lstm__recurrence *r = pass->r;
    const lstm__view dx = pass->call->dx;
    const bool add = pass->call->add_dx;
    const real *from = lstm__rows_at(pass, t) + first * r->ld_rows + r->hidden;
    if (count > 0 && lstm__in_place(pass)) {
        r->kernels->copy_rows(count, r->input, from, r->ld_rows,
                              dx.data + lstm__mask_source(pass, t, first) * dx.stride, dx.stride,
                              add);
        return;
    }
    for (size_t k = first; k < first + count; k++, from += r->ld_rows)
        r->kernels->copy_rows(1, r->input, from, 0,
                              dx.data + lstm__mask_source(pass, t, k) * dx.stride, 0, add);
}

void lstm__mask_clear_dx(const lstm__pass *pass)
{
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    for (size_t t = 0; t < call->steps && !call->add_dx; t++) {
        const unsigned char *mask = r->mask + t * call->batch;
        const size_t source = (call->reverse ? call->steps - 1 - t : t) * call->batch;
        size_t run = 0;
        for (size_t b = 0; (run = masked_run(mask, call->batch, &b)) > 0; b += run)
            r->kernels->fill_rows(run, r->input, NULL,
                                  call->dx.data + (source + b) * call->dx.stride, call->dx.stride);
    }
}
