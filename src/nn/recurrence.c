/* SPDX-License-Identifier: MIT
 * The recurrence of one LSTM: plan, packing, forward. Backward is in recurrence_backward.c.
 *
 * Forward, concat route: a step multiplies [h(t-1), x(t)] with all of W. Split route: the x rows of
 * W meet `segment` steps of x at once, then a step adds h(t-1) times the h rows. Either way the
 * product's tiles end in the mathematics of the cell.
 *
 * Threads: samples of a batch never meet inside the time loop, so its rows are shared out and each
 * thread goes through all steps alone. With fewer rows than make that worth while, the panels of a
 * step are shared, one fork and join a step. However rows and panels are cut, an element is summed
 * in the same order: bits do not depend on threads.
 */
#include "recurrence.h"
#include "shares.h"
#include "tape.h"

#include <string.h>

int32_t lstm__recurrence_route(size_t batch, size_t steps, size_t input, size_t hidden,
                               bool training)
{
    /* elements of a W that stays in a near cache whatever the step does besides */
    enum { SMALL = 1 << 17 };
    (void)training;
    /* A single step has nothing to gather; narrow x adds next to nothing to the step's product; and
     * with many rows and small W gates are then written once instead of twice. Otherwise the h rows
     * alone stay in a nearer cache, and x has more rows at once than a step. docs/design/routes.md
     * has the measurements. */
    if (steps < 2 || (batch >= 4 && input <= 8) ||
        (batch >= 16 && 4 * hidden * (hidden + input) <= SMALL))
        return LSTM_ROUTE_CONCAT;
    return LSTM_ROUTE_SPLIT;
}

/* ---- Plan */

/* Rows begin on cache lines, and rows one below the other do not share a set of the first cache:
 * their distance is no multiple of 2 KiB. */
static size_t distance(size_t width)
{
    const size_t line = 64 / sizeof(real);
    const size_t ld = (width + line - 1) / line * line;
    return ld * sizeof(real) % 2048 == 0 ? ld + line : ld;
}

size_t lstm__segment_steps(const lstm__recurrence *r, size_t batch)
{
    enum { SEGMENT_BYTES = 512 << 10 };
    const size_t fit = SEGMENT_BYTES / sizeof(real) / r->ld_gates;
    const size_t rows = fit < LSTM__OUTER_ROWS ? LSTM__OUTER_ROWS : fit;
    return batch && batch < rows ? rows / batch : 1;
}

/* Carve [blocks][max_batch][width]. */
static real *carve_blocks(const lstm__recurrence *r, lstm__arena *arena, size_t blocks,
                          size_t width)
{
    size_t rows = 0;
    if (!lstm__mul(blocks, r->max_batch, &rows))
        arena->overflow = true;
    return lstm__carve(arena, rows, width * sizeof(real));
}

/* Carve the tape: `rows` and `c` have a block behind the last step, and `gates` where spans go back.
 */
static void carve_tape(lstm__recurrence *r, lstm__arena *arena)
{
    size_t rows = 0;
    lstm__span_plan(r);
    if (!lstm__add(r->tape_rows, r->max_batch, &rows))
        arena->overflow = true;
    r->rows = lstm__carve(arena, rows, r->ld_rows * sizeof(real));
    r->gates = lstm__carve(arena, r->recompute ? rows : r->tape_rows, r->ld_gates * sizeof(real));
    r->c = lstm__carve(arena, rows, r->padded * sizeof(real));
    r->tanh_c = lstm__carve(arena, r->tape_rows, r->padded * sizeof(real));
    if (r->recompute) {
        r->kept_h = lstm__carve(arena, lstm__span_kept_rows(r), r->hidden * sizeof(real));
        r->kept_c = lstm__carve(arena, lstm__span_kept_rows(r), r->padded * sizeof(real));
    }
}

/* Carve what a mask needs. */
static void carve_packing(lstm__recurrence *r, lstm__arena *arena)
{
    lstm__packing *p = &r->packing;
    size_t blocks = 0;
    size_t rows = 0;
    if (!lstm__add(r->max_steps, 2, &blocks) || !lstm__mul(blocks, r->max_batch, &rows))
        arena->overflow = true;
    r->mask = lstm__carve(arena, r->max_steps, r->max_batch);
    p->samples = lstm__carve(arena, r->max_batch, sizeof *p->samples);
    p->counts = lstm__carve(arena, r->max_batch, sizeof *p->counts);
    p->active = lstm__carve(arena, blocks, sizeof *p->active);
    p->first = lstm__carve(arena, blocks, sizeof *p->first);
    p->times = lstm__carve(arena, rows, sizeof *p->times);
    p->in_place = lstm__carve(arena, 1, sizeof *p->in_place);
    r->ld_x = distance(r->input);
    r->packed_x = r->packed_dy = NULL;
    r->last_h = carve_blocks(r, arena, 1, r->hidden);
    r->last_c = carve_blocks(r, arena, 1, r->padded);
}

/* Carve `rows` rows of U gates. */
static real *carve_packed(const lstm__recurrence *r, lstm__arena *arena, size_t rows)
{
    return lstm__carve(arena, rows, 4 * r->padded * sizeof(real));
}

void lstm__recurrence_plan(lstm__recurrence *r, lstm__arena *arena)
{
    const size_t lanes = r->kernels->lanes;
    const bool split = r->route == LSTM_ROUTE_SPLIT;
    r->panels = lstm__panels(lanes, r->hidden);
    r->padded = r->panels * lanes;
    r->ld_rows = distance(r->hidden + (split && !r->training ? 0 : lstm__x_beside(r)));
    r->ld_gates = distance(4 * r->padded);
    r->segment = lstm__segment_steps(r, r->max_batch);
    if (r->segment > r->max_steps)
        r->segment = r->max_steps;
    r->weights_h = carve_packed(r, arena, split ? r->hidden : r->hidden + r->input);
    r->weights_x = split ? carve_packed(r, arena, r->input) : NULL;
    r->bias = carve_packed(r, arena, 1);
    r->tanh_c = r->dh = r->dc = r->scratch = r->back_h = r->back_x = r->gates = NULL;
    r->kept_h = r->kept_c = NULL;
    r->recompute = r->recompute && r->training;
    carve_packing(r, arena);
    r->done = lstm__carve(arena, 1, sizeof *r->done);
    if (arena->base)
        *r->done = 0;
    lstm__table_plan(r, arena);
    if (!r->training) {
        r->rows = carve_blocks(r, arena, 2, r->ld_rows);
        r->c = carve_blocks(r, arena, 1, r->padded);
        if (split) {
            r->gates = carve_blocks(r, arena, r->segment, r->ld_gates);
            r->packed_x = r->table_rows ? NULL : carve_blocks(r, arena, r->segment, r->ld_x);
        }
        return;
    }
    r->packed_dy = carve_blocks(r, arena, 1, r->padded);
    r->back_h = carve_packed(r, arena, r->padded);
    if (r->input_gradient)
        r->back_x = carve_packed(
            r, arena, r->input <= LSTM__NARROW ? r->input : lstm__panels(lanes, r->input) * lanes);
    carve_tape(r, arena);
    r->dh = carve_blocks(r, arena, 1, r->padded);
    r->dc = carve_blocks(r, arena, 1, r->padded);
    r->scratch = lstm__carve(arena, (size_t)lstm_context_threads(r->context),
                             LSTM__OUTER_SCRATCH * sizeof(real));
}

void lstm__recurrence_pack_forward(const lstm__recurrence *r, const real *weights, const real *bias,
                                   const real *second_bias)
{
    const size_t columns = 4 * r->hidden;
    const bool split = r->route == LSTM_ROUTE_SPLIT;
    r->kernels->pack_gates(r->hidden, split ? r->hidden : r->hidden + r->input, weights, columns,
                           r->weights_h);
    if (split)
        r->kernels->pack_gates(r->hidden, r->input, weights + r->hidden * columns, columns,
                               r->weights_x);
    r->kernels->pack_bias(r->hidden, bias, second_bias, r->bias);
}

void lstm__recurrence_pack_backward(const lstm__recurrence *r, const real *weights)
{
    const size_t columns = 4 * r->hidden;
    const real *weights_x = weights + r->hidden * columns;
    r->kernels->pack_across(r->hidden, r->hidden, weights, columns, r->back_h);
    if (r->back_x && r->input <= LSTM__NARROW)
        r->kernels->pack_narrow(r->hidden, r->input, weights_x, columns, r->back_x);
    else if (r->back_x)
        r->kernels->pack_across(r->hidden, r->input, weights_x, columns, r->back_x);
}

/* ---- Forward */

void lstm__tape_start(const lstm__kernels *kernels, size_t rows, size_t columns, size_t padded,
                      lstm__view from, real *to, size_t stride)
{
    if (!from.data || padded > columns)
        kernels->fill_rows(rows, padded, NULL, to, stride);
    if (from.data)
        kernels->copy_rows(rows, columns, from.data, from.stride, to, stride, 0);
}

static const real *x_at(const lstm__pass *pass, size_t t)
{
    const lstm__recurrence_call *call = pass->call;
    const size_t source = call->reverse ? call->steps - 1 - t : t;
    return call->x.data + source * call->batch * call->x.stride;
}

/* Where a step is to write its outputs, NULL = nowhere: not wanted, or they are not side by side. */
static real *y_at(const lstm__pass *pass, size_t t, size_t first)
{
    const lstm__view y = pass->call->y;
    return y.data && lstm__in_place(pass) ? y.data + (t * pass->call->batch + first) * y.stride
                                          : NULL;
}

static void step_rows(const lstm__pass *pass, size_t t, size_t first, size_t count,
                      size_t first_panel, size_t last_panel)
{
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    const bool split = r->route == LSTM_ROUTE_SPLIT;
    real *gates = r->gates ? lstm__gates_at(pass, t) + first * r->ld_gates : NULL;
    const lstm__step_forward s = {
        .rows = count,
        .units = r->hidden,
        .k = split ? r->hidden : r->hidden + r->input,
        .single = call->batch == 1,
        .turned = (*r->done + t) % 2 == 1,
        .a = lstm__rows_at(pass, t) + first * r->ld_rows,
        .ld_a = r->ld_rows,
        .packed = r->weights_h,
        .bias = r->bias,
        .start = split ? gates : NULL,
        .ld_start = r->ld_gates,
        .gates = r->training ? gates : NULL,
        .ld_gates = r->ld_gates,
        .c_previous = lstm__cell_at(pass, t) + first * r->padded,
        .c = lstm__cell_at(pass, t + 1) + first * r->padded,
        .tanh_c = r->training ? lstm__tanh_at(pass, t) + first * r->padded : NULL,
        .ld_cell = r->padded,
        .h = lstm__rows_at(pass, t + 1) + first * r->ld_rows,
        .ld_h = r->ld_rows,
        .y = y_at(pass, t, first),
        .ld_y = call->y.stride,
    };
    r->kernels->step_forward(&s, first_panel, last_panel);
}

/* The same with any activations: the product is added to x W + bias, then the cell. */
static void step_rows_apart(const lstm__pass *pass, size_t t, size_t first, size_t count,
                            size_t first_panel, size_t last_panel)
{
    const lstm__recurrence *r = pass->r;
    real *y = y_at(pass, t, first);
    const size_t column = first_panel * r->kernels->lanes;
    const size_t width = (last_panel - first_panel) * r->kernels->lanes;
    const size_t cell = first * r->padded + column;
    const lstm__cell s = {
        .rows = count,
        .units = r->hidden - column < width ? r->hidden - column : width,
        .activation = r->activation,
        .recurrent = r->recurrent_activation,
        .gates = lstm__gates_at(pass, t) + first * r->ld_gates + 4 * column,
        .ld_gates = r->ld_gates,
        .c_previous = lstm__cell_at(pass, t) + cell,
        .c = lstm__cell_at(pass, t + 1) + cell,
        .active_c = r->training ? lstm__tanh_at(pass, t) + cell : NULL,
        .ld_cell = r->padded,
        .h = lstm__rows_at(pass, t + 1) + first * r->ld_rows + column,
        .ld_h = r->ld_rows,
        .y = y ? y + column : NULL,
        .ld_y = pass->call->y.stride,
    };
    r->kernels->multiply_gates(
        &(lstm__multiplication){.rows = count,
                                .k = r->hidden,
                                .a = lstm__rows_at(pass, t) + first * r->ld_rows,
                                .ld_a = r->ld_rows,
                                .b = r->weights_h + 4 * column * r->hidden,
                                .c = s.gates,
                                .ld_c = r->ld_gates,
                                .accumulate = true},
        s.units);
    r->kernels->cell_forward(&s);
}

/* Some panels of the rows of step t among some. */
static void step(const lstm__pass *pass, size_t t, lstm__share rows, size_t first_panel,
                 size_t last_panel)
{
    (pass->r->activation ? step_rows_apart : step_rows)(pass, t, rows.first, rows.count,
                                                        first_panel, last_panel);
}

/* x of some rows of block t. */
static void copy_x(const lstm__pass *pass, size_t t, size_t first, size_t count, real *to,
                   size_t ld)
{
    const size_t stride = pass->call->x.stride;
    if (pass->call->mask)
        lstm__mask_gather_x(pass, t, first, count, to, ld);
    else
        pass->r->kernels->copy_rows(count, pass->r->input, x_at(pass, t) + first * stride, stride,
                                    to, ld, 0);
}

/* The same beside h(t-1). */
static void copy_x_beside(const lstm__pass *pass, size_t t, size_t first, size_t count)
{
    const lstm__recurrence *r = pass->r;
    copy_x(pass, t, first, count, lstm__rows_at(pass, t) + first * r->ld_rows + r->hidden,
           r->ld_rows);
}

/* What step t of some rows needs of x and was not made for the whole segment. */
static void start_step(const lstm__pass *pass, size_t t, size_t first, size_t count)
{
    if (pass->r->table_rows)
        lstm__table_start(pass, t, first, count);
    else if (pass->r->route == LSTM_ROUTE_CONCAT)
        copy_x_beside(pass, t, first, count);
}

/* Some rows through the steps of a segment. */
static void forward_samples(void *argument, int32_t index)
{
    const lstm__pass *pass = argument;
    const lstm__share share = lstm__rows_share(pass, index);
    for (size_t t = pass->first_step; t < pass->last_step; t++) {
        const lstm__share rows = lstm__rows_of(pass, t, share);
        if (rows.count == 0)
            break;
        start_step(pass, t, rows.first, rows.count);
        step(pass, t, rows, 0, pass->r->panels);
        if (!lstm__in_place(pass))
            lstm__mask_scatter_y(pass, t, rows.first, rows.count);
    }
}

/* Some panels of one step. */
static void forward_panels(void *argument, int32_t index)
{
    const lstm__pass *pass = argument;
    const lstm__share share = lstm__share_of(pass->r->panels, pass->tasks, index);
    const lstm__share rows = {0, lstm__active(pass, pass->first_step)};
    step(pass, pass->first_step, rows, share.first, share.first + share.count);
}

/* x of some rows of a segment, counted from its first, to where its product reads it: into the tape,
 * or packed. */
static void bring_x(const lstm__pass *pass, size_t row, size_t end)
{
    const lstm__recurrence *r = pass->r;
    for (size_t t = pass->first_step; row < end; t++) {
        const size_t begin = lstm__first_row(pass, t) - lstm__first_row(pass, pass->first_step);
        const size_t behind = begin + lstm__block_rows(pass, t);
        if (behind <= row)
            continue;
        const size_t count = (end < behind ? end : behind) - row;
        if (r->training)
            copy_x_beside(pass, t, row - begin, count);
        else
            copy_x(pass, t, row - begin, count, r->packed_x + row * r->ld_x, r->ld_x);
        row += count;
    }
}

/* x W + bias for some of the rows of all steps of a segment. */
static void multiply_inputs(void *argument, int32_t index)
{
    const lstm__pass *pass = argument;
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    const lstm__share share = lstm__share_of(lstm__segment_rows(pass), pass->tasks, index);
    const size_t end = share.first + share.count;
    /* the rows of several steps are not where one product finds them */
    const bool by_step = !r->training && !call->mask && call->reverse;
    if (r->training || call->mask)
        bring_x(pass, share.first, end);
    for (size_t row = share.first; row < end;) {
        const size_t left = end - row;
        const size_t rest = call->batch - row % call->batch; /* of a step, without a mask */
        const size_t count = by_step && rest < left ? rest : left;
        lstm__multiplication p = {.rows = count,
                                  .k = r->input,
                                  .a = lstm__rows_at(pass, pass->first_step) + row * r->ld_rows +
                                       r->hidden,
                                  .ld_a = r->ld_rows,
                                  .b = r->weights_x,
                                  .bias = r->bias,
                                  .c = lstm__gates_at(pass, pass->first_step) + row * r->ld_gates,
                                  .ld_c = r->ld_gates};
        if (!r->training && call->mask) {
            p.a = r->packed_x + row * r->ld_x;
            p.ld_a = r->ld_x;
        } else if (!r->training) {
            p.a = x_at(pass, pass->first_step + row / call->batch) +
                  row % call->batch * call->x.stride;
            p.ld_a = call->x.stride;
        }
        r->kernels->multiply_gates(&p, r->hidden);
        row += count;
    }
}

void lstm__forward_steps(const lstm__pass *span, size_t first, size_t last)
{
    const lstm__recurrence *r = span->r;
    const lstm__recurrence_call *call = span->call;
    const bool split = r->route == LSTM_ROUTE_SPLIT;
    const size_t row_work = lstm__work(1, split ? r->hidden : r->hidden + r->input, r->padded);
    const size_t step_work = call->batch * row_work;
    lstm__pass pass = *span;
    const size_t segment = !split        ? last - first
                           : r->training ? lstm__segment_steps(r, call->batch)
                                         : r->segment;
    const bool by_panels = lstm__share_columns(r->context, call->batch, r->panels, step_work);
    for (size_t t = first; t < last; t = pass.last_step) {
        pass.first_step = t;
        pass.last_step = last - t < segment ? last : t + segment;
        if (!r->training)
            pass.base = t;
        const size_t rows = lstm__segment_rows(&pass);
        if (split && !r->table_rows) {
            pass.tasks = lstm__shares(r->context, rows, lstm__work(rows, r->input, r->padded),
                                      LSTM__TASK_WORK);
            lstm__parallel(r->context, (int32_t)pass.tasks, multiply_inputs, &pass);
        }
        if (!by_panels) {
            pass.tasks = lstm__shares(r->context, call->batch, rows * row_work, LSTM__TASK_WORK);
            lstm__parallel(r->context, (int32_t)pass.tasks, forward_samples, &pass);
            continue;
        }
        pass.tasks = lstm__shares(r->context, r->panels, step_work, LSTM__STEP_TASK_WORK);
        for (; pass.first_step < pass.last_step; pass.first_step++) {
            const size_t active = lstm__active(&pass, pass.first_step);
            start_step(&pass, pass.first_step, 0, active);
            lstm__parallel(r->context, (int32_t)pass.tasks, forward_panels, &pass);
            if (!lstm__in_place(&pass))
                lstm__mask_scatter_y(&pass, pass.first_step, 0, active);
        }
    }
}

/* h0 and c0 into the tape. */
static void start_states(const lstm__pass *pass)
{
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    const lstm__share all = {0, call->batch};
    real *h = lstm__rows_at(pass, 0);
    real *c = lstm__cell_at(pass, 0);
    if (call->mask) {
        lstm__mask_gather_states(pass, all, r->hidden, r->hidden, call->h0, h, r->ld_rows);
        lstm__mask_gather_states(pass, all, r->hidden, r->padded, call->c0, c, r->padded);
        return;
    }
    lstm__tape_start(r->kernels, call->batch, r->hidden, r->hidden, call->h0, h, r->ld_rows);
    lstm__tape_start(r->kernels, call->batch, r->hidden, r->padded, call->c0, c, r->padded);
}

void lstm__recurrence_forward(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    if (call->batch == 0)
        return;
    lstm__pass pass = {.r = r, .call = call};
    lstm__mask_start(r, call);
    lstm__table_meet(r, call);
    start_states(&pass);
    const size_t spans = lstm__span_count(r, call);
    for (size_t k = 0; k < spans; k++) {
        const size_t end = lstm__span_start(r, call, k + 1);
        if (spans > 1 && k == 0)
            lstm__span_keep(&pass, 0);
        if (spans > 1)
            lstm__span_take(&pass, k);
        lstm__forward_steps(&pass, pass.base, end);
        if (spans > 1)
            lstm__span_keep(&pass, k + 1);
        if (call->mask)
            lstm__mask_collect(&pass, k > 0 ? pass.base + 1 : 0, end, call->steps);
    }
    if (call->mask)
        lstm__mask_fill_y(&pass);
    *r->done += call->steps;
}

/* Where the states behind the last step are kept apart from the tape, which backward writes to, or
 * from the order of its rows; else NULL. */
static real *apart(const lstm__pass *pass, real *spans, real *masked, size_t width)
{
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    const size_t count = lstm__span_count(r, call);
    return call->mask ? masked : count > 1 ? spans + count * call->batch * width : NULL;
}

void lstm__recurrence_rewind(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    const lstm__pass pass = {.r = r, .call = call};
    if (call->mask)
        lstm__mask_collect(&pass, 0, lstm__steps(r, call), call->steps);
}

lstm__view lstm__recurrence_h(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    const lstm__pass pass = {.r = r, .call = call};
    real *states = apart(&pass, r->kept_h, r->last_h, r->hidden);
    if (states)
        return (lstm__view){states, r->hidden};
    return (lstm__view){lstm__rows_at(&pass, call->steps), r->ld_rows};
}

lstm__view lstm__recurrence_c(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    const lstm__pass pass = {.r = r, .call = call};
    real *states = apart(&pass, r->kept_c, r->last_c, r->padded);
    return (lstm__view){states ? states : lstm__cell_at(&pass, call->steps), r->padded};
}

lstm__view lstm__recurrence_outputs(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    const lstm__pass pass = {.r = r, .call = call};
    return (lstm__view){lstm__rows_at(&pass, 1), r->ld_rows};
}
