/* SPDX-License-Identifier: MIT
 * Masked steps of a recurrence: what recurrence.c and recurrence_backward.c do besides for samples
 * that a step leaves out.
 *
 * Forward a masked sample holds its states, h(t) = h(t-1) and c(t) = c(t-1). Its place in the tape
 * gets the gates i = g = o = 0, f = 1 and tanh_c = 0: with these a step backward that computes the
 * sample along leaves dc as it is and finds no gradient at the pre-activations, exactly.
 *
 * Backward the gradient at h(t) of a masked sample goes to h(t-1) unchanged. Nothing of it is in
 * dA(t), so it is kept in r->dh, which every step adds: at the last masked step before a valid one,
 * dA(t+1) W_h^T is added to it (later ones are zero), and the first valid step met on the way back
 * takes it up.
 */
#include "tape.h"

#include <string.h>

/* Gaps of fewer rows are computed along: cutting a tile into smaller ones costs more than the rows
 * in them. */
enum { GAP = 4 };

bool lstm__next_run(const lstm__recurrence *r, const unsigned char *mask, size_t *at, size_t end,
                    lstm__share *run)
{
    const size_t gap = r->activation ? 1 : GAP;
    size_t first = *at;
    if (!mask) {
        *run = (lstm__share){first, end - first};
        *at = end;
        return first < end;
    }
    while (first < end && !mask[first])
        first++;
    size_t last = first;
    for (size_t k = first; k < end && k < last + gap; k++)
        if (mask[k])
            last = k + 1;
    *run = (lstm__share){first, last - first};
    *at = last;
    return first < end;
}

bool lstm__all_valid(const unsigned char *mask, size_t first, size_t count)
{
    return !mask || !memchr(mask + first, 0, count);
}

void lstm__mask_start(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    if (!call->mask)
        return;
    for (size_t b = 0; b < call->batch; b++)
        r->starts[b] = call->steps;
    for (size_t t = call->steps; t-- > 0;) {
        const size_t source = call->reverse ? call->steps - 1 - t : t;
        unsigned char *mask = r->mask + t * call->batch;
        memcpy(mask, call->mask + source * call->batch, call->batch);
        for (size_t b = 0; b < call->batch; b++)
            if (mask[b])
                r->starts[b] = t;
    }
}

size_t lstm__mask_list(const lstm__pass *pass, const uint32_t **list)
{
    const lstm__recurrence *r = pass->r;
    const size_t rows = (pass->last_step - pass->first_step) * pass->call->batch;
    const unsigned char *mask = lstm__mask_at(pass, pass->first_step);
    size_t count = 0;
    *list = NULL;
    if (lstm__all_valid(mask, 0, rows))
        return rows;
    for (size_t row = 0; row < rows; row++) {
        r->list[count] = (uint32_t)row;
        count += mask[row] != 0;
    }
    *list = r->list;
    return count;
}

/* The output of a masked sample. */
static void hold_output(const lstm__pass *pass, size_t t, size_t row)
{
    const lstm__recurrence_call *call = pass->call;
    const size_t bytes = pass->r->hidden * sizeof(real);
    if (!call->y.data)
        return;
    real *y = call->y.data + (t * call->batch + row) * call->y.stride;
    if (t == 0 || call->zero_masked)
        memset(y, 0, bytes);
    else
        memcpy(y, y - call->batch * call->y.stride, bytes);
}

/* Gates that hold c. */
static void empty_tape(const lstm__pass *pass, size_t t, size_t row)
{
    const lstm__recurrence *r = pass->r;
    const size_t lanes = r->kernels->lanes;
    real *gates = lstm__gates_at(pass, t) + row * r->ld_gates;
    memset(gates, 0, 4 * r->padded * sizeof *gates);
    for (size_t p = 0; p < r->panels; p++)
        for (size_t k = 0; k < lanes; k++)
            gates[(4 * p + 1) * lanes + k] = 1;
    memset(lstm__tanh_at(pass, t) + row * r->padded, 0, r->padded * sizeof(real));
}

void lstm__mask_hold(const lstm__pass *pass, size_t t, size_t first, size_t count)
{
    const lstm__recurrence *r = pass->r;
    const unsigned char *mask = lstm__mask_at(pass, t);
    if (lstm__all_valid(mask, first, count))
        return;
    for (size_t row = first; row < first + count; row++) {
        if (mask[row])
            continue;
        memcpy(lstm__rows_at(pass, t + 1) + row * r->ld_rows,
               lstm__rows_at(pass, t) + row * r->ld_rows, r->hidden * sizeof(real));
        memcpy(lstm__cell_at(pass, t + 1) + row * r->padded,
               lstm__cell_at(pass, t) + row * r->padded, r->padded * sizeof(real));
        hold_output(pass, t, row);
        if (r->training)
            empty_tape(pass, t, row);
    }
}

void lstm__mask_hand_back(const lstm__pass *pass, size_t t, size_t first, size_t count)
{
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    const unsigned char *mask = lstm__mask_at(pass, t);
    if (!mask)
        return;
    const unsigned char *next = t + 1 < call->steps ? mask + call->batch : NULL;
    for (size_t row = first; row < first + count; row++) {
        real *dh = r->dh + row * r->padded;
        if (mask[row]) { /* the step has taken up what was handed back to it */
            if (!next || !next[row])
                memset(dh, 0, r->padded * sizeof *dh);
            continue;
        }
        if (next && next[row])
            r->kernels->multiply_across(
                &(lstm__multiplication){.rows = 1,
                                        .k = 4 * r->padded,
                                        .a = lstm__gates_at(pass, t + 1) + row * r->ld_gates,
                                        .ld_a = r->ld_gates,
                                        .b = r->back_h,
                                        .c = dh,
                                        .ld_c = r->padded,
                                        .accumulate = true},
                r->hidden);
        if (call->dy.data && !call->zero_masked && t > r->starts[row])
            r->kernels->copy_rows(1, r->hidden,
                                  call->dy.data + (t * call->batch + row) * call->dy.stride,
                                  call->dy.stride, dh, r->padded, 1);
        memset(lstm__gates_at(pass, t) + row * r->ld_gates, 0, 4 * r->padded * sizeof(real));
    }
}
