/* SPDX-License-Identifier: MIT
 * A recurrence whose x(t) is a row of a table E, told by its number n(t): an LSTM behind an embedding.
 * docs/design/embedding-as-a-table.md
 *
 *     forward    P = E W_x + b, once after a change of the weights;  gates of a step begin with P[n(t)]
 *     backward   dP[v] = sum of dA(t) over the valid rows with n(t) = v
 *                dW_x = E^T dP,  dE = dP W_x^T
 *
 * so that x of all steps is neither kept nor multiplied. P's rows are those that the split route makes
 * for x, to the bit. Rows of E that no valid step has are in no product of backward, whatever stands in
 * them: dP is zero there, and dW_x takes the rows that were met alone.
 *
 * Without training and with calls of few rows (generation, step by step) P's rows are made when they are
 * first met, so that no call has more to do than it would have without a table.
 *
 * dP is summed segment by segment while dA is in a near cache, always in the order of rows; threads
 * share its panels, which are sums of their own: bits do not depend on threads.
 */
#include "shares.h"
#include "tape.h"

#include <string.h>

static size_t width(const lstm__recurrence *r)
{
    return 4 * r->padded;
}

void lstm__table_plan(lstm__recurrence *r, lstm__arena *arena)
{
    size_t bytes = 0;
    r->table = r->table_x = r->table_gradient = NULL;
    r->table_list = NULL;
    r->table_made = NULL;
    if (r->table_rows == 0)
        return;
    if (!lstm__mul(r->input, sizeof(real), &bytes))
        arena->overflow = true;
    r->table = lstm__carve(arena, r->table_rows, r->ld_gates * sizeof(real));
    if (!r->training) {
        size_t rows = 0;
        if (!lstm__mul(r->max_batch, r->max_steps, &rows))
            arena->overflow = true;
        if (r->table_rows > rows / 2)
            r->table_made = lstm__carve(arena, r->table_rows, 1);
        return;
    }
    r->table_x = lstm__carve(arena, r->table_rows, bytes);
    r->table_gradient = lstm__carve(arena, r->table_rows, r->ld_gates * sizeof(real));
    r->table_list = lstm__carve(arena, r->table_rows, sizeof *r->table_list);
}

/* ---- Forward */

static void make_rows(const lstm__recurrence *r, lstm__view x, lstm__share rows)
{
    r->kernels->multiply_gates(&(lstm__multiplication){.rows = rows.count,
                                                       .k = r->input,
                                                       .a = x.data + rows.first * x.stride,
                                                       .ld_a = x.stride,
                                                       .b = r->weights_x,
                                                       .bias = r->bias,
                                                       .c = r->table + rows.first * r->ld_gates,
                                                       .ld_c = r->ld_gates},
                               r->hidden);
}

typedef struct making {
    const lstm__recurrence *r;
    lstm__view x;
    size_t tasks;
} making;

static void make_share(void *argument, int32_t index)
{
    const making *m = argument;
    const lstm__recurrence *r = m->r;
    const lstm__share share = lstm__share_of(r->table_rows, m->tasks, index);
    make_rows(r, m->x, share);
    if (r->table_x)
        r->kernels->copy_rows(share.count, r->input, m->x.data + share.first * m->x.stride,
                              m->x.stride, r->table_x + share.first * r->input, r->input, 0);
}

void lstm__recurrence_tabulate(const lstm__recurrence *r, lstm__view x)
{
    making m = {.r = r, .x = x};
    if (r->table_made) {
        memset(r->table_made, 0, r->table_rows);
        return;
    }
    m.tasks = lstm__shares(r->context, r->table_rows,
                           lstm__work(r->table_rows, r->input, r->padded), LSTM__TASK_WORK);
    lstm__parallel(r->context, (int32_t)m.tasks, make_share, &m);
}

/* The number that row k of step t has. */
static size_t number_of(const lstm__pass *pass, size_t t, size_t k)
{
    const lstm__recurrence_call *call = pass->call;
    const size_t source = call->reverse ? call->steps - 1 - t : t;
    return call->numbers[call->mask ? lstm__mask_source(pass, t, k) : source * call->batch + k];
}

void lstm__table_meet(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    for (size_t k = 0; r->table_made && k < call->steps * call->batch; k++) {
        const size_t number = call->numbers[k];
        if (r->table_made[number] || (call->mask && !call->mask[k]))
            continue;
        make_rows(r, call->x, (lstm__share){number, 1});
        r->table_made[number] = 1;
    }
}

void lstm__table_start(const lstm__pass *pass, size_t t, size_t first, size_t count)
{
    const lstm__recurrence *r = pass->r;
    real *gates = lstm__gates_at(pass, t);
    for (size_t k = first; k < first + count; k++)
        memcpy(gates + k * r->ld_gates, r->table + number_of(pass, t, k) * r->ld_gates,
               width(r) * sizeof(real));
}

/* ---- Backward */

void lstm__table_add(const lstm__pass *pass, lstm__share panels)
{
    const lstm__recurrence *r = pass->r;
    const size_t column = panels.first * 4 * r->kernels->lanes;
    const size_t columns = panels.count * 4 * r->kernels->lanes;
    real *to = r->table_gradient + column;
    if (pass->last_step == lstm__steps(r, pass->call))
        r->kernels->fill_rows(r->table_rows, columns, NULL, to, r->ld_gates);
    for (size_t t = pass->first_step; t < pass->last_step; t++) {
        const real *from = lstm__gates_at(pass, t) + column;
        for (size_t k = 0; k < lstm__active(pass, t); k++)
            r->kernels->copy_rows(1, columns, from + k * r->ld_gates, r->ld_gates,
                                  to + number_of(pass, t, k) * r->ld_gates, r->ld_gates, 1);
    }
}

/* List the rows of the table that were met: their number. */
static size_t list_rows(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    size_t count = 0;
    memset(r->table_list, 0, r->table_rows * sizeof *r->table_list);
    for (size_t k = 0; k < call->steps * call->batch; k++)
        if (!call->mask || call->mask[k])
            r->table_list[call->numbers[k]] = 1;
    for (size_t v = 0; v < r->table_rows; v++) {
        const bool met = r->table_list[v] != 0;
        r->table_list[count] = (uint32_t)v;
        count += met;
    }
    return count;
}

/* What follows from dP when all of it is there. */
typedef struct ending {
    const lstm__recurrence *r;
    const lstm__recurrence_call *call;
    size_t met; /* rows of the table */
    size_t tasks;
} ending;

/* Some panels of the x rows of dW. */
static void weights_of_x(void *argument, int32_t index)
{
    const ending *e = argument;
    const lstm__recurrence *r = e->r;
    const lstm__share share = lstm__share_of(r->panels, e->tasks, index);
    const lstm__outer o = {
        .rows = e->met,
        .list = r->table_list,
        .inputs = r->input,
        .units = r->hidden,
        .a = r->table_x,
        .ld_a = r->input,
        .d = r->table_gradient,
        .ld_d = r->ld_gates,
        .dw = e->call->dweights + r->hidden * 4 * r->hidden,
        .scratch = r->scratch + (size_t)index * LSTM__OUTER_SCRATCH,
    };
    r->kernels->outer_gates(&o, share.first, share.first + share.count);
}

/* Some rows of dE. */
static void rows_of_x(void *argument, int32_t index)
{
    const ending *e = argument;
    const lstm__recurrence *r = e->r;
    const lstm__view dx = e->call->dx;
    const lstm__share share = lstm__share_of(r->table_rows, e->tasks, index);
    r->kernels->multiply_across(
        &(lstm__multiplication){.rows = share.count,
                                .k = width(r),
                                .a = r->table_gradient + share.first * r->ld_gates,
                                .ld_a = r->ld_gates,
                                .b = r->back_x,
                                .c = dx.data + share.first * dx.stride,
                                .ld_c = dx.stride,
                                .accumulate = e->call->add_dx},
        r->input);
}

void lstm__table_gradients(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    const size_t work = lstm__work(r->table_rows, r->input, r->padded);
    ending e = {.r = r, .call = call};
    if (call->dweights) {
        e.met = list_rows(r, call);
        e.tasks = lstm__shares(r->context, r->panels, work, LSTM__TASK_WORK);
        lstm__parallel(r->context, (int32_t)e.tasks, weights_of_x, &e);
    }
    if (call->dx.data) {
        e.tasks = lstm__shares(r->context, r->table_rows, work, LSTM__TASK_WORK);
        lstm__parallel(r->context, (int32_t)e.tasks, rows_of_x, &e);
    }
}
