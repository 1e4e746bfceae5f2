/* SPDX-License-Identifier: MIT
 * Back-propagation through time for recurrence.c.
 *
 * step_backward turns the gates of step t into the gradients of its pre-activations, dA(t), taking
 * dA(t+1) W_h^T into the gradient at h(t) on the way. What else is wanted are products over many
 * steps: dx = dA W_x^T, dW = rows^T dA, db = column sums; and at the end dh0 = dA(0) W_h^T. They
 * follow segment by segment, while dA is still in a near cache. Segments depend on the shape alone,
 * as the order of dW's sums does on them.
 *
 * Threads share the samples in the time loop, or where these are few the groups of columns of each
 * step; rows for dx; panels for dW and db.
 */
#include "shares.h"
#include "tape.h"

#include <string.h>

/* What arrives at h and c of some rows behind the last step. */
static void start_gradients(const lstm__pass *pass, lstm__share rows)
{
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    const lstm__view sum = {r->dh, r->padded};
    lstm__view from[3] = {call->dhn[0], call->dhn[1], call->dcn};
    real *dh = r->dh + rows.first * r->padded;
    if (call->mask) {
        lstm__mask_gather_states(pass, rows, r->hidden, r->padded, from[0], sum.data, sum.stride);
        lstm__mask_gather_states(pass, rows, r->hidden, r->padded, from[2], r->dc, r->padded);
        if (from[1].data)
            lstm__mask_add_states(pass, rows, r->hidden, from[1], sum);
        lstm__mask_start_dy(pass, rows);
        return;
    }
    for (int k = 0; k < 3; k++)
        if (from[k].data)
            from[k].data += rows.first * from[k].stride;
    lstm__tape_start(r->kernels, rows.count, r->hidden, r->padded, from[0], dh, r->padded);
    if (from[1].data)
        r->kernels->copy_rows(rows.count, r->hidden, from[1].data, from[1].stride, dh, r->padded,
                              1);
    lstm__tape_start(r->kernels, rows.count, r->hidden, r->padded, from[2],
                     r->dc + rows.first * r->padded, r->padded);
}

/* dy of step t from row `first` on. */
static lstm__view dy_at(const lstm__pass *pass, size_t t, size_t first)
{
    const lstm__view dy = pass->call->dy;
    if (dy.data && !lstm__in_place(pass))
        return (lstm__view){pass->r->packed_dy + first * pass->r->padded, pass->r->padded};
    return (lstm__view){dy.data ? dy.data + (t * pass->call->batch + first) * dy.stride : NULL,
                        dy.stride};
}

/* Some rows of step t, all of which go on to a step t + 1, or all end here. */
static void step_rows(const lstm__pass *pass, size_t t, size_t first, size_t count, bool ends,
                      size_t first_group, size_t last_group)
{
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    const lstm__view dy = dy_at(pass, t, first);
    const bool extra = ends && (call->mask || call->dhn[0].data || call->dhn[1].data);
    const lstm__step_backward s = {
        .rows = count,
        .units = r->hidden,
        .single = call->batch == 1,
        .turned = t % 2 == 1,
        .next = ends ? NULL : lstm__gates_at(pass, t + 1) + first * r->ld_gates,
        .ld_next = r->ld_gates,
        .packed = r->back_h,
        .gates = lstm__gates_at(pass, t) + first * r->ld_gates,
        .ld_gates = r->ld_gates,
        .c_previous = lstm__cell_at(pass, t) + first * r->padded,
        .tanh_c = lstm__tanh_at(pass, t) + first * r->padded,
        .dc = r->dc + first * r->padded,
        .ld_cell = r->padded,
        .dy = dy.data,
        .ld_dy = dy.stride,
        .extra = extra ? r->dh + first * r->padded : NULL,
        .ld_extra = r->padded,
    };
    r->kernels->step_backward(&s, first_group, last_group);
}

/* The same with any activations: r->dh gathers the gradient at h(t), then comes the cell. */
static void step_rows_apart(const lstm__pass *pass, size_t t, size_t first, size_t count, bool ends)
{
    const lstm__recurrence *r = pass->r;
    const lstm__view dy = dy_at(pass, t, first);
    const lstm__cell s = {
        .rows = count,
        .units = r->hidden,
        .activation = r->activation,
        .recurrent = r->recurrent_activation,
        .gates = lstm__gates_at(pass, t) + first * r->ld_gates,
        .ld_gates = r->ld_gates,
        .c_previous = lstm__cell_at(pass, t) + first * r->padded,
        .active_c = lstm__tanh_at(pass, t) + first * r->padded,
        .dh = r->dh + first * r->padded,
        .dc = r->dc + first * r->padded,
        .ld_cell = r->padded,
    };
    if (!ends)
        r->kernels->multiply_across(
            &(lstm__multiplication){.rows = count,
                                    .k = 4 * r->padded,
                                    .a = lstm__gates_at(pass, t + 1) + first * r->ld_gates,
                                    .ld_a = r->ld_gates,
                                    .b = r->back_h,
                                    .c = s.dh,
                                    .ld_c = r->padded,
                                    .accumulate = true},
            r->hidden);
    if (dy.data)
        r->kernels->copy_rows(count, r->hidden, dy.data, dy.stride, s.dh, r->padded, 1);
    r->kernels->cell_backward(&s);
    memset(s.dh, 0, count * r->padded * sizeof(real));
}

/* Some rows of step t: those that go on, then those that end here. */
static void step(const lstm__pass *pass, size_t t, lstm__share rows, size_t first_group,
                 size_t last_group)
{
    const lstm__share on = lstm__rows_of(pass, t + 1, rows);
    const lstm__share parts[2] = {on, {on.first + on.count, rows.count - on.count}};
    for (int ends = 0; ends < 2; ends++)
        if (parts[ends].count > 0 && pass->r->activation)
            step_rows_apart(pass, t, parts[ends].first, parts[ends].count, ends);
        else if (parts[ends].count > 0)
            step_rows(pass, t, parts[ends].first, parts[ends].count, ends, first_group, last_group);
}

/* Gradients at the initial states of some rows. */
static void end_gradients(const lstm__pass *pass, lstm__share rows)
{
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    const size_t first = rows.first;
    const lstm__view dh = call->mask ? (lstm__view){r->dh, r->padded} : call->dh0;
    const size_t count = lstm__rows_of(pass, 0, rows).count;
    /* rows without any step hand back what arrived */
    if (call->dh0.data && count > 0)
        r->kernels->multiply_across(
            &(lstm__multiplication){.rows = count,
                                    .k = 4 * r->padded,
                                    .a = lstm__gates_at(pass, 0) + first * r->ld_gates,
                                    .ld_a = r->ld_gates,
                                    .b = r->back_h,
                                    .c = dh.data + first * dh.stride,
                                    .ld_c = dh.stride,
                                    .accumulate = !call->mask && call->add_dh0},
            r->hidden);
    if (call->dh0.data && call->mask)
        lstm__mask_scatter_states(pass, rows, r->hidden, r->dh, r->padded, call->dh0,
                                  call->add_dh0);
    if (call->dc0.data && call->mask)
        lstm__mask_scatter_states(pass, rows, r->hidden, r->dc, r->padded, call->dc0,
                                  call->add_dc0);
    else if (call->dc0.data)
        r->kernels->copy_rows(rows.count, r->hidden, r->dc + first * r->padded, r->padded,
                              call->dc0.data + first * call->dc0.stride, call->dc0.stride,
                              call->add_dc0);
}

static size_t groups_of(const lstm__recurrence *r)
{
    return lstm__panels(r->kernels->cross_vectors, r->panels);
}

static void backward_samples(void *argument, int32_t index)
{
    const lstm__pass *pass = argument;
    const lstm__share share = lstm__rows_share(pass, index);
    if (pass->last_step == lstm__steps(pass->r, pass->call))
        start_gradients(pass, share);
    for (size_t t = pass->last_step; t-- > pass->first_step;) {
        const lstm__share rows = lstm__rows_of(pass, t, share);
        if (!lstm__in_place(pass))
            lstm__mask_gather_dy(pass, t, rows.first, rows.count);
        step(pass, t, rows, 0, groups_of(pass->r));
    }
    if (pass->first_step == 0)
        end_gradients(pass, share);
}

static void backward_groups(void *argument, int32_t index)
{
    const lstm__pass *pass = argument;
    const lstm__share share = lstm__share_of(groups_of(pass->r), pass->tasks, index);
    const lstm__share rows = {0, lstm__active(pass, pass->first_step)};
    step(pass, pass->first_step, rows, share.first, share.first + share.count);
}

/* Through the steps of one segment. */
static void back_through_time(const lstm__pass *segment)
{
    const lstm__recurrence *r = segment->r;
    const lstm__recurrence_call *call = segment->call;
    const lstm__share all = {0, call->batch};
    const size_t row_work = lstm__work(1, r->hidden, r->padded);
    const size_t step_work = call->batch * row_work;
    lstm__pass pass = *segment;
    if (r->activation || !lstm__share_columns(r->context, call->batch, groups_of(r), step_work)) {
        pass.tasks = lstm__shares(r->context, call->batch, lstm__segment_rows(&pass) * row_work,
                                  LSTM__TASK_WORK);
        lstm__parallel(r->context, (int32_t)pass.tasks, backward_samples, &pass);
        return;
    }
    if (pass.last_step == lstm__steps(r, call))
        start_gradients(&pass, all);
    pass.tasks = lstm__shares(r->context, groups_of(r), step_work, LSTM__STEP_TASK_WORK);
    for (size_t t = segment->last_step; t-- > segment->first_step;) {
        pass.first_step = t;
        if (!lstm__in_place(&pass))
            lstm__mask_gather_dy(&pass, t, 0, lstm__active(&pass, t));
        lstm__parallel(r->context, (int32_t)pass.tasks, backward_groups, &pass);
    }
    if (segment->first_step == 0)
        end_gradients(&pass, all);
}

/* `count` rows of dx = (or +=) those of dA. */
static void multiply_rows(const lstm__recurrence *r, size_t count, const real *a, real *to,
                          size_t stride, bool add)
{
    const lstm__multiplication p = {.rows = count,
                                    .k = 4 * r->padded,
                                    .a = a,
                                    .ld_a = r->ld_gates,
                                    .b = r->back_x,
                                    .c = to,
                                    .ld_c = stride,
                                    .accumulate = add};
    if (r->input <= LSTM__NARROW)
        r->kernels->multiply_narrow(&p, r->input);
    else
        r->kernels->multiply_across(&p, r->input);
}

/* dx of some of the rows of a segment. */
static void multiply_back(void *argument, int32_t index)
{
    const lstm__pass *pass = argument;
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    const size_t batch = call->batch;
    const lstm__share share = lstm__share_of(batch * (pass->last_step - pass->first_step),
                                             pass->tasks, index);
    const size_t begin = pass->first_step * batch + share.first;
    const size_t end = begin + share.count;
    for (size_t row = begin; row < end;) {
        const size_t t = row / batch;
        const size_t first = row % batch;
        const size_t left = end - row;
        const size_t count = call->reverse && batch - first < left ? batch - first : left;
        const size_t target = (call->reverse ? call->steps - 1 - t : t) * batch + first;
        multiply_rows(r, count, lstm__gates_at(pass, t) + first * r->ld_gates,
                      call->dx.data + target * call->dx.stride, call->dx.stride, call->add_dx);
        row += count;
    }
}

/* The same of a packed segment: in the place of x, which is not needed any more, and from there to
 * where it belongs. */
static void multiply_back_packed(void *argument, int32_t index)
{
    const lstm__pass *pass = argument;
    const lstm__recurrence *r = pass->r;
    const lstm__share share = lstm__share_of(lstm__segment_rows(pass), pass->tasks, index);
    const size_t begin = lstm__first_row(pass, pass->first_step);
    const size_t end = share.first + share.count;
    multiply_rows(r, share.count,
                  lstm__gates_at(pass, pass->first_step) + share.first * r->ld_gates,
                  lstm__rows_at(pass, pass->first_step) + share.first * r->ld_rows + r->hidden,
                  r->ld_rows, false);
    for (size_t t = pass->first_step; t < pass->last_step; t++) {
        const size_t first = lstm__first_row(pass, t) - begin;
        const size_t behind = first + lstm__active(pass, t);
        const size_t from = share.first > first ? share.first : first;
        const size_t to = end < behind ? end : behind;
        if (from < to)
            lstm__mask_scatter_dx(pass, t, from - first, to - from);
    }
}

static void input_gradients(lstm__pass *pass)
{
    const lstm__recurrence *r = pass->r;
    const size_t rows = lstm__segment_rows(pass);
    pass->tasks = lstm__shares(r->context, rows, lstm__work(rows, r->input, r->padded),
                               LSTM__TASK_WORK);
    lstm__parallel(r->context, (int32_t)pass->tasks,
                   pass->call->mask ? multiply_back_packed : multiply_back, pass);
}

static void weight_gradients(void *argument, int32_t index)
{
    const lstm__pass *pass = argument;
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    const lstm__share share = lstm__share_of(r->panels, pass->tasks, index);
    const lstm__outer o = {
        .rows = lstm__segment_rows(pass),
        .inputs = r->hidden + lstm__x_beside(r),
        .units = r->hidden,
        .a = lstm__rows_at(pass, pass->first_step),
        .ld_a = r->ld_rows,
        .d = lstm__gates_at(pass, pass->first_step),
        .ld_d = r->ld_gates,
        .dw = call->dweights,
        .db = call->dbias,
        .accumulate = pass->last_step < lstm__steps(r, call),
        .scratch = r->scratch + (size_t)index * LSTM__OUTER_SCRATCH,
    };
    r->kernels->outer_gates(&o, share.first, share.first + share.count);
    if (r->table_rows)
        lstm__table_add(pass, share);
}

/* No steps: zeros for the weights, and states hand back what arrived. */
static void nothing_to_go_through(lstm__pass *pass)
{
    const lstm__recurrence_call none = {
        .batch = 0, .dweights = pass->call->dweights, .dbias = pass->call->dbias};
    lstm__pass zeros = {.r = pass->r, .call = &none, .tasks = 1};
    weight_gradients(&zeros, 0);
    if (pass->call->batch == 0 || !pass->call->mask)
        return;
    start_gradients(pass, (lstm__share){0, pass->call->batch});
    end_gradients(pass, (lstm__share){0, pass->call->batch});
}

void lstm__recurrence_backward(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    lstm__pass pass = {.r = r, .call = call, .tasks = 1};
    const size_t steps = call->batch > 0 ? lstm__steps(r, call) : 0;
    const bool dx = call->dx.data && !r->table_rows;
    if (steps == 0)
        nothing_to_go_through(&pass);
    const size_t most = lstm__segment_steps(r, call->batch);
    pass.base = steps > 0 ? lstm__span_start(r, call, lstm__span_count(r, call) - 1) : 0;
    for (size_t end = steps; end > 0; end = pass.first_step) {
        if (end == pass.base)
            lstm__span_back(&pass);
        pass.last_step = end;
        pass.first_step = end > most ? end - most : 0;
        if (call->mask)
            lstm__mask_clear_spare(&pass);
        back_through_time(&pass);
        if (dx && !call->mask)
            input_gradients(&pass);
        const size_t work = lstm__work(lstm__segment_rows(&pass), r->hidden + r->input, r->padded);
        pass.tasks = lstm__shares(r->context, r->panels, work, LSTM__TASK_WORK);
        lstm__parallel(r->context, (int32_t)pass.tasks, weight_gradients, &pass);
        if (dx && call->mask)
            input_gradients(&pass);
    }
    if (dx && call->mask && call->batch > 0)
        lstm__mask_clear_dx(&pass);
    if (r->table_rows)
        lstm__table_gradients(r, call);
}
