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

/* dh and dc of some samples at the end of the sequence. */
static void start_gradients(const lstm__pass *pass, size_t first, size_t count)
{
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    lstm__view from[3] = {call->dhn[0], call->dhn[1], call->dcn};
    for (int k = 0; k < 3; k++)
        if (from[k].data)
            from[k].data += first * from[k].stride;
    real *dh = r->dh + first * r->padded;
    lstm__tape_start(r->kernels, count, r->hidden, r->padded, from[0], dh, r->padded);
    if (from[1].data)
        r->kernels->copy_rows(count, r->hidden, from[1].data, from[1].stride, dh, r->padded, 1);
    lstm__tape_start(r->kernels, count, r->hidden, r->padded, from[2], r->dc + first * r->padded,
                     r->padded);
}

static void step_rows(const lstm__pass *pass, size_t t, size_t first, size_t count,
                      size_t first_group, size_t last_group)
{
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    const bool last = t + 1 == call->steps;
    const lstm__step_backward s = {
        .rows = count,
        .units = r->hidden,
        .single = call->batch == 1,
        .next = last ? NULL : lstm__gates_at(pass, t + 1) + first * r->ld_gates,
        .ld_next = r->ld_gates,
        .packed = r->back_h,
        .gates = lstm__gates_at(pass, t) + first * r->ld_gates,
        .ld_gates = r->ld_gates,
        .c_previous = lstm__cell_at(pass, t) + first * r->padded,
        .tanh_c = lstm__tanh_at(pass, t) + first * r->padded,
        .dc = r->dc + first * r->padded,
        .ld_cell = r->padded,
        .dy = call->dy.data ? call->dy.data + (t * call->batch + first) * call->dy.stride : NULL,
        .ld_dy = call->dy.stride,
        .extra = call->mask || (last && (call->dhn[0].data || call->dhn[1].data))
                     ? r->dh + first * r->padded
                     : NULL,
        .ld_extra = r->padded,
    };
    r->kernels->step_backward(&s, first_group, last_group);
}

/* The same with any activations: r->dh gathers the gradient at h(t), then comes the cell. */
static void step_rows_apart(const lstm__pass *pass, size_t t, size_t first, size_t count)
{
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
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
    if (t + 1 < call->steps)
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
    if (call->dy.data)
        r->kernels->copy_rows(count, r->hidden,
                              call->dy.data + (t * call->batch + first) * call->dy.stride,
                              call->dy.stride, s.dh, r->padded, 1);
    r->kernels->cell_backward(&s);
    memset(s.dh, 0, count * r->padded * sizeof(real));
}

static void step(const lstm__pass *pass, size_t t, size_t first, size_t count, size_t first_group,
                 size_t last_group)
{
    lstm__share run;
    for (size_t at = first;
         lstm__next_run(pass->r, lstm__mask_at(pass, t), &at, first + count, &run);)
        if (pass->r->activation)
            step_rows_apart(pass, t, run.first, run.count);
        else
            step_rows(pass, t, run.first, run.count, first_group, last_group);
}

/* Gradients at the initial states of some samples. */
static void end_gradients(const lstm__pass *pass, size_t first, size_t count)
{
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    if (call->dh0.data)
        r->kernels->multiply_across(
            &(lstm__multiplication){.rows = count,
                                    .k = 4 * r->padded,
                                    .a = lstm__gates_at(pass, 0) + first * r->ld_gates,
                                    .ld_a = r->ld_gates,
                                    .b = r->back_h,
                                    .c = call->dh0.data + first * call->dh0.stride,
                                    .ld_c = call->dh0.stride,
                                    .accumulate = call->add_dh0},
            r->hidden);
    if (call->dh0.data && call->mask)
        r->kernels->copy_rows(count, r->hidden, r->dh + first * r->padded, r->padded,
                              call->dh0.data + first * call->dh0.stride, call->dh0.stride, 1);
    if (call->dc0.data)
        r->kernels->copy_rows(count, r->hidden, r->dc + first * r->padded, r->padded,
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
    const lstm__share share = lstm__share_of(pass->call->batch, pass->tasks, index);
    if (pass->last_step == pass->call->steps)
        start_gradients(pass, share.first, share.count);
    for (size_t t = pass->last_step; t-- > pass->first_step;) {
        step(pass, t, share.first, share.count, 0, groups_of(pass->r));
        lstm__mask_hand_back(pass, t, share.first, share.count);
    }
    if (pass->first_step == 0)
        end_gradients(pass, share.first, share.count);
}

static void backward_groups(void *argument, int32_t index)
{
    const lstm__pass *pass = argument;
    const lstm__share share = lstm__share_of(groups_of(pass->r), pass->tasks, index);
    step(pass, pass->first_step, 0, pass->call->batch, share.first, share.first + share.count);
}

/* Through the steps of one segment. */
static void back_through_time(const lstm__pass *segment)
{
    const lstm__recurrence *r = segment->r;
    const lstm__recurrence_call *call = segment->call;
    const size_t step_work = lstm__work(call->batch, r->hidden, r->padded);
    lstm__pass pass = *segment;
    if (r->activation || !lstm__share_columns(r->context, call->batch, groups_of(r), step_work)) {
        const size_t steps = pass.last_step - pass.first_step;
        pass.tasks = lstm__shares(r->context, call->batch, steps * step_work, LSTM__TASK_WORK);
        lstm__parallel(r->context, (int32_t)pass.tasks, backward_samples, &pass);
        return;
    }
    if (pass.last_step == call->steps)
        start_gradients(&pass, 0, call->batch);
    pass.tasks = lstm__shares(r->context, groups_of(r), step_work, LSTM__STEP_TASK_WORK);
    for (size_t t = segment->last_step; t-- > segment->first_step;) {
        pass.first_step = t;
        lstm__parallel(r->context, (int32_t)pass.tasks, backward_groups, &pass);
        lstm__mask_hand_back(&pass, t, 0, call->batch);
    }
    if (segment->first_step == 0)
        end_gradients(&pass, 0, call->batch);
}

/* dx of some rows from `row` on, counted from the first step, which may go on over several steps.
 */
static void multiply_back_rows(const lstm__pass *pass, size_t row, size_t end)
{
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    while (row < end) {
        const size_t t = row / call->batch;
        const size_t first = row % call->batch;
        const size_t left = end - row;
        const size_t count = call->reverse && call->batch - first < left ? call->batch - first
                                                                         : left;
        const size_t target = (call->reverse ? call->steps - 1 - t : t) * call->batch + first;
        const lstm__multiplication p = {.rows = count,
                                        .k = 4 * r->padded,
                                        .a = lstm__gates_at(pass, t) + first * r->ld_gates,
                                        .ld_a = r->ld_gates,
                                        .b = r->back_x,
                                        .c = call->dx.data + target * call->dx.stride,
                                        .ld_c = call->dx.stride,
                                        .accumulate = call->add_dx};
        if (r->input <= LSTM__NARROW)
            r->kernels->multiply_narrow(&p, r->input);
        else
            r->kernels->multiply_across(&p, r->input);
        row += count;
    }
}

/* No gradient at x for masked rows. */
static void clear_back_rows(const lstm__pass *pass, size_t row, size_t end)
{
    const lstm__recurrence_call *call = pass->call;
    for (; row < end && !call->add_dx; row++) {
        const size_t t = row / call->batch;
        const size_t target = (call->reverse ? call->steps - 1 - t : t) * call->batch +
                              row % call->batch;
        memset(call->dx.data + target * call->dx.stride, 0, pass->r->input * sizeof(real));
    }
}

/* dx of some of the rows of a segment. */
static void multiply_back(void *argument, int32_t index)
{
    const lstm__pass *pass = argument;
    const size_t batch = pass->call->batch;
    const lstm__share share = lstm__share_of(batch * (pass->last_step - pass->first_step),
                                             pass->tasks, index);
    const size_t begin = pass->first_step * batch + share.first;
    const size_t end = begin + share.count;
    size_t done = begin;
    lstm__share run;
    for (size_t at = begin; lstm__next_run(pass->r, lstm__mask_at(pass, 0), &at, end, &run);
         done = at) {
        clear_back_rows(pass, done, run.first);
        multiply_back_rows(pass, run.first, run.first + run.count);
    }
    clear_back_rows(pass, done, end);
}

static void weight_gradients(void *argument, int32_t index)
{
    const lstm__pass *pass = argument;
    const lstm__recurrence *r = pass->r;
    const lstm__recurrence_call *call = pass->call;
    const lstm__share share = lstm__share_of(r->panels, pass->tasks, index);
    const lstm__outer o = {
        .rows = pass->valid,
        .list = pass->list,
        .inputs = r->hidden + (r->table_rows ? 0 : r->input),
        .units = r->hidden,
        .a = lstm__rows_at(pass, pass->first_step),
        .ld_a = r->ld_rows,
        .d = lstm__gates_at(pass, pass->first_step),
        .ld_d = r->ld_gates,
        .dw = call->dweights,
        .db = call->dbias,
        .accumulate = pass->last_step < call->steps,
        .scratch = r->scratch + (size_t)index * LSTM__OUTER_SCRATCH,
    };
    r->kernels->outer_gates(&o, share.first, share.first + share.count);
    if (r->table_rows)
        lstm__table_add(pass, share);
}

void lstm__recurrence_backward(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    lstm__pass pass = {.r = r, .call = call, .tasks = 1, .last_step = call->steps};
    if (call->batch == 0 || call->steps == 0) {
        weight_gradients(&pass, 0); /* zeros */
        if (r->table_rows)
            lstm__table_gradients(&pass);
        return;
    }
    const size_t most = lstm__segment_steps(r, call->batch);
    pass.base = lstm__span_start(r, call, lstm__span_count(r, call) - 1);
    for (size_t end = call->steps; end > 0; end = pass.first_step) {
        if (end == pass.base)
            lstm__span_back(&pass);
        pass.last_step = end;
        pass.first_step = end > most ? end - most : 0;
        const size_t rows = (pass.last_step - pass.first_step) * call->batch;
        pass.valid = lstm__mask_list(&pass, &pass.list);
        back_through_time(&pass);
        if (call->dx.data && !r->table_rows) {
            pass.tasks = lstm__shares(r->context, rows, lstm__work(rows, r->input, r->padded),
                                      LSTM__TASK_WORK);
            lstm__parallel(r->context, (int32_t)pass.tasks, multiply_back, &pass);
        }
        const size_t work = lstm__work(rows, r->hidden + r->input, r->padded);
        pass.tasks = lstm__shares(r->context, r->panels, work, LSTM__TASK_WORK);
        lstm__parallel(r->context, (int32_t)pass.tasks, weight_gradients, &pass);
    }
    if (r->table_rows)
        lstm__table_gradients(&pass);
}
