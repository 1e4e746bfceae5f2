/* SPDX-License-Identifier: MIT
 * Back-propagation through time for stepwise.c.
 *
 * At step t, for the samples that it has: dr gets the gradient at the output of t; zoneout keeps a
 * part of it for h(t-1); the rest goes through the projection to dh, through cell and gates (in
 * place of which their gradients are left) and their normalisation, and dA U^T joins what was kept.
 * So dr and dc are those at h(t-1) and c(t-1) when the step is done, and a sample that a step
 * leaves out simply waits. Segment by segment follow dx = dA W^T and the sums over rows: weights,
 * bias, projection.
 */
#include "product.h"
#include "stepwise.h"
#include "tape.h"

#include <string.h>

/* Gradients at the last states of some samples, and empty sums. */
static void start(const lstm__stepwise_pass *pass, size_t first, size_t count)
{
    const lstm__stepwise *s = pass->s;
    const lstm__recurrence_call *call = pass->call;
    const size_t wide[5] = {LSTM__LOOKS * s->padded, 2 * s->padded, LSTM__GATES * s->padded,
                            LSTM__GATES * s->padded, s->padded};
    real *const sums[5] = {s->dpeephole, s->dnormal, s->dgamma[0], s->dgamma[1], s->dr};
    lstm__view from[3] = {call->dhn[0], call->dhn[1], call->dcn};
    for (int k = 0; k < 3; k++)
        if (from[k].data)
            from[k].data += first * from[k].stride;
    for (int k = 0; k < 5; k++)
        if (sums[k])
            memset(sums[k] + first * wide[k], 0, count * wide[k] * sizeof(real));
    for (int k = 0; k < 2; k++)
        if (from[k].data)
            s->kernels->copy_rows(count, s->width, from[k].data, from[k].stride,
                                  s->dr + first * s->padded, s->padded, 1);
    lstm__tape_start(s->kernels, count, s->units, s->padded, from[2], s->dc + first * s->padded,
                     s->padded);
}

/* No gradient where the projected h was at the clip. */
static void clip_back(const lstm__stepwise *s, size_t rows, const real *h, real *d)
{
    const real limit = (real)s->options->proj_clip;
    for (size_t row = 0; row < rows; row++)
        for (size_t k = 0; k < s->width; k++) {
            const real value = h[row * s->ld_rows + k];
            if (value >= limit || value <= -limit)
                d[row * s->padded + k] = 0;
        }
}

/* dh of some samples from dr, which is left with what zoneout keeps; true = that is something. */
static bool to_cell(const lstm__stepwise_pass *pass, size_t t, size_t first, size_t count)
{
    const lstm__stepwise *s = pass->s;
    real *dr = s->dr + first * s->padded;
    real *dh = s->dh + first * s->padded;
    const bool holds = s->options->zoneout_h > 0;
    memcpy(dh, dr, count * s->padded * sizeof(real));
    if (holds) {
        lstm__hold hold = lstm__stepwise_hold(pass, t, first, count);
        hold.y = dh;
        hold.ld_y = s->padded;
        hold.kept = dr;
        hold.ld_kept = s->padded;
        s->kernels->hold_backward(&hold);
    }
    if (!s->below)
        return holds;
    if (s->options->proj_clip > 0)
        clip_back(s, count, lstm__stepwise_rows(pass, t + 1) + first * s->ld_rows, dh);
    real *d = lstm__stepwise_tape(pass, s->dprojected, t, s->width) + first * s->width;
    s->kernels->copy_rows(count, s->width, dh, s->padded, d, s->width, 0);
    s->kernels->multiply_across(&(lstm__multiplication){.rows = count,
                                                        .k = s->width,
                                                        .a = d,
                                                        .ld_a = s->width,
                                                        .b = s->project_back,
                                                        .c = dh,
                                                        .ld_c = s->padded},
                                s->units);
    return holds;
}

/* Groups of the columns of dA U^T, see packed.h. */
static size_t groups_of(const lstm__stepwise *s)
{
    const size_t most = s->kernels->cross_vectors;
    return (lstm__panels(s->kernels->lanes, s->width) + most - 1) / most;
}

/* Down to the sums of the gates, where their gradients are left. */
static void begin_step(const lstm__stepwise_pass *pass, size_t t, size_t first, size_t count)
{
    const lstm__stepwise *s = pass->s;
    const lstm__recurrence_call *call = pass->call;
    real *dr = s->dr + first * s->padded;
    if (call->dy.data)
        s->kernels->copy_rows(count, s->width,
                              call->dy.data + (t * call->batch + first) * call->dy.stride,
                              call->dy.stride, dr, s->padded, 1);
    const bool kept = to_cell(pass, t, first, count);
    lstm__variant v = lstm__stepwise_variant(pass, t, first, count);
    v.dh = s->dh + first * s->padded;
    v.dc = s->dc + first * s->padded;
    v.dpeephole = s->dpeephole ? s->dpeephole + first * LSTM__LOOKS * s->padded : NULL;
    v.dnormal = s->dnormal ? s->dnormal + first * 2 * s->padded : NULL;
    s->kernels->variant_backward(&v);
    for (int k = 0; k < 2; k++)
        if (s->hats[k]) {
            const lstm__gate_norm norm = lstm__stepwise_norm(pass, k, t, first, count);
            s->kernels->gate_norm_backward(&norm);
        }
    if (s->factors && !kept)
        memset(dr, 0, count * s->padded * sizeof(real));
}

/* dr = (or +=) dA U^T, some groups of its columns; under one mask it goes by dh, which the cell has
 * done with. */
static void multiply_h_back(const lstm__stepwise_pass *pass, size_t t, size_t first, size_t count,
                            lstm__share groups)
{
    const lstm__stepwise *s = pass->s;
    const size_t lanes = s->kernels->lanes;
    const size_t panels = lstm__panels(lanes, s->width);
    const size_t all = groups_of(s);
    if (s->factors && !s->one_mask) {
        lstm__stepwise_dropped_back(pass, t, first, count);
        return;
    }
    for (size_t g = groups.first; g < groups.first + groups.count; g++) {
        const lstm__share part = lstm__share_of(panels, all, (int32_t)g);
        const size_t column = part.first * lanes;
        const size_t width = part.count * lanes;
        s->kernels->multiply_across(
            &(lstm__multiplication){
                .rows = count,
                .k = LSTM__GATES * s->padded,
                .a = s->hats[0] ? lstm__stepwise_norm(pass, 0, t, first, count).x
                                : lstm__stepwise_gates(pass, s->gates, t) + first * s->ld_gates,
                .ld_a = s->ld_gates,
                .b = s->back_h + column * LSTM__GATES * s->padded,
                .c = (s->factors ? s->dh : s->dr) + first * s->padded + column,
                .ld_c = s->padded,
                .accumulate = s->options->zoneout_h > 0 && !s->factors},
            s->width - column < width ? s->width - column : width);
    }
}

static void end_step(const lstm__stepwise_pass *pass, size_t first, size_t count)
{
    const lstm__stepwise *s = pass->s;
    if (s->factors && s->one_mask)
        lstm__stepwise_masked_back(pass, first, count, s->dh + first * s->padded);
}

static void step(const lstm__stepwise_pass *pass, size_t t, size_t first, size_t count)
{
    begin_step(pass, t, first, count);
    multiply_h_back(pass, t, first, count, (lstm__share){0, groups_of(pass->s)});
    end_step(pass, first, count);
}

/* A sample that step t leaves out: what arrives at an output that repeats the one before, and no
 * gradients in the tapes. */
static void wait_row(const lstm__stepwise_pass *pass, size_t t, size_t row)
{
    const lstm__stepwise *s = pass->s;
    const lstm__recurrence_call *call = pass->call;
    const size_t bytes = LSTM__GATES * s->padded * sizeof(real);
    if (call->dy.data && !call->zero_masked && t > s->starts[row])
        s->kernels->copy_rows(1, s->width,
                              call->dy.data + (t * call->batch + row) * call->dy.stride,
                              call->dy.stride, s->dr + row * s->padded, s->padded, 1);
    memset(lstm__stepwise_gates(pass, s->gates, t) + row * s->ld_gates, 0, bytes);
    if (s->below) {
        memset(lstm__stepwise_tape(pass, s->below, t, s->padded) + row * s->padded, 0,
               s->padded * sizeof(real));
        memset(lstm__stepwise_tape(pass, s->dprojected, t, s->width) + row * s->width, 0,
               s->width * sizeof(real));
    }
}

static void finish(const lstm__stepwise_pass *pass, size_t first, size_t count)
{
    const lstm__stepwise *s = pass->s;
    const lstm__recurrence_call *call = pass->call;
    if (call->dh0.data)
        s->kernels->copy_rows(count, s->width, s->dr + first * s->padded, s->padded,
                              call->dh0.data + first * call->dh0.stride, call->dh0.stride,
                              call->add_dh0);
    if (call->dc0.data)
        s->kernels->copy_rows(count, s->units, s->dc + first * s->padded, s->padded,
                              call->dc0.data + first * call->dc0.stride, call->dc0.stride,
                              call->add_dc0);
}

static void backward_samples(void *argument, int32_t index)
{
    const lstm__stepwise_pass *pass = argument;
    const lstm__share share = lstm__share_of(pass->call->batch, pass->tasks, index);
    const size_t end = share.first + share.count;
    if (pass->last_step == pass->call->steps)
        start(pass, share.first, share.count);
    for (size_t t = pass->last_step; t-- > pass->first_step;) {
        const unsigned char *mask = lstm__stepwise_mask(pass, t);
        lstm__share run;
        for (size_t at = share.first; lstm__stepwise_run(mask, &at, end, &run);)
            step(pass, t, run.first, run.count);
        for (size_t row = share.first; mask && row < end; row++)
            if (!mask[row])
                wait_row(pass, t, row);
    }
    if (pass->first_step == 0)
        finish(pass, share.first, share.count);
}

/* A few samples and a large step: the groups of its product are shared. */
static void backward_groups(void *argument, int32_t index)
{
    const lstm__stepwise_pass *pass = argument;
    const size_t t = pass->first_step;
    const lstm__share groups = lstm__share_of(groups_of(pass->s), pass->tasks, index);
    lstm__share run;
    for (size_t at = 0;
         lstm__stepwise_run(lstm__stepwise_mask(pass, t), &at, pass->call->batch, &run);)
        multiply_h_back(pass, t, run.first, run.count, groups);
}

static void backward_shared(const lstm__stepwise_pass *segment)
{
    lstm__stepwise_pass pass = *segment;
    const size_t batch = pass.call->batch;
    if (segment->last_step == pass.call->steps)
        start(&pass, 0, batch);
    for (size_t t = segment->last_step; t-- > segment->first_step;) {
        const unsigned char *mask = lstm__stepwise_mask(&pass, t);
        lstm__share run;
        pass.first_step = t;
        for (size_t at = 0; lstm__stepwise_run(mask, &at, batch, &run);)
            begin_step(&pass, t, run.first, run.count);
        lstm__parallel(pass.s->context, (int32_t)pass.tasks, backward_groups, &pass);
        for (size_t at = 0; lstm__stepwise_run(mask, &at, batch, &run);)
            end_step(&pass, run.first, run.count);
        for (size_t row = 0; mask && row < batch; row++)
            if (!mask[row])
                wait_row(&pass, t, row);
    }
    if (segment->first_step == 0)
        finish(&pass, 0, batch);
}

/* ---- x */

static real *dx_at(const lstm__stepwise_pass *pass, size_t row)
{
    const lstm__recurrence_call *call = pass->call;
    const size_t t = row / call->batch;
    const size_t target = (call->reverse ? call->steps - 1 - t : t) * call->batch +
                          row % call->batch;
    return call->dx.data + target * call->dx.stride;
}

/* Rows are counted from the first step. */
static void multiply_back_rows(const lstm__stepwise_pass *pass, size_t row, size_t end)
{
    const lstm__stepwise *s = pass->s;
    const lstm__recurrence_call *call = pass->call;
    const real *d = s->separate ? s->hats[1] : s->hats[0] ? s->hats[0] : s->gates;
    while (row < end) {
        const size_t left = call->batch - row % call->batch;
        const size_t count = call->reverse && left < end - row ? left : end - row;
        const lstm__multiplication p = {.rows = count,
                                        .k = LSTM__GATES * s->padded,
                                        .a = d + row * s->ld_gates,
                                        .ld_a = s->ld_gates,
                                        .b = s->back_x,
                                        .c = dx_at(pass, row),
                                        .ld_c = call->dx.stride,
                                        .accumulate = call->add_dx};
        if (s->input <= LSTM__NARROW)
            s->kernels->multiply_narrow(&p, s->input);
        else
            s->kernels->multiply_across(&p, s->input);
        row += count;
    }
}

static void multiply_back(void *argument, int32_t index)
{
    const lstm__stepwise_pass *pass = argument;
    const lstm__recurrence_call *call = pass->call;
    const lstm__share share = lstm__share_of((pass->last_step - pass->first_step) * call->batch,
                                             pass->tasks, index);
    const size_t begin = pass->first_step * call->batch + share.first;
    const size_t end = begin + share.count;
    const unsigned char *mask = lstm__stepwise_mask(pass, 0);
    lstm__share run;
    for (size_t at = begin; lstm__stepwise_run(mask, &at, end, &run);)
        multiply_back_rows(pass, run.first, run.first + run.count);
    for (size_t row = begin; mask && !call->add_dx && row < end; row++)
        if (!mask[row])
            memset(dx_at(pass, row), 0, pass->s->input * sizeof(real));
}

/* ---- Weights */

static void weight_gradients(void *argument, int32_t index)
{
    const lstm__stepwise_pass *pass = argument;
    const lstm__stepwise *s = pass->s;
    const lstm__share share = lstm__share_of(s->panels, pass->tasks, index);
    const size_t row = pass->first_step * pass->call->batch;
    const lstm__outer o = {
        .rows = pass->valid,
        .list = pass->list,
        .inputs = pass->inputs,
        .units = s->units,
        .a = pass->a + row * pass->ld_a,
        .ld_a = pass->ld_a,
        .d = pass->d + row * s->ld_gates,
        .ld_d = s->ld_gates,
        .dw = pass->dw,
        .db = pass->db,
        .accumulate = pass->last_step < pass->call->steps,
        .scratch = s->scratch + (size_t)index * LSTM__OUTER_SCRATCH,
    };
    s->kernels->outer_gates(&o, share.first, share.first + share.count);
}

/* dw = sum over the segment's rows of `inputs` numbers of a tape, from `place` on in its rows, times d;
 * db = sums of d. */
typedef struct taped {
    const real *rows;
    size_t ld, place;
} taped;

static void sum_weights(lstm__stepwise_pass *pass, taped a, const real *d, size_t inputs, real *dw,
                        real *db)
{
    const lstm__stepwise *s = pass->s;
    const size_t rows = (pass->last_step - pass->first_step) * pass->call->batch;
    if (!dw && !db)
        return;
    pass->a = a.rows + a.place;
    pass->ld_a = a.ld;
    pass->d = d;
    pass->inputs = inputs;
    pass->dw = dw;
    pass->db = db;
    pass->tasks = lstm__shares(s->context, s->panels, lstm__work(rows, inputs, s->padded),
                               LSTM__TASK_WORK);
    lstm__parallel(s->context, (int32_t)pass->tasks, weight_gradients, pass);
}

static void sum_segment(lstm__stepwise_pass *pass, const lstm__variant_values *gradients)
{
    const lstm__stepwise *s = pass->s;
    const bool masked = s->factors && s->one_mask;
    const bool dropped = s->factors && !s->one_mask; /* see lstm__stepwise_dropped_weights */
    const taped all = {s->rows, s->ld_rows, 0};
    const taped x = {s->rows, s->ld_rows, s->width};
    const taped h = masked ? (taped){s->masked_h, s->width, 0} : all;
    real *dw = gradients->weights;
    real *dw_x = dw + s->width * LSTM__GATES * s->units;
    real *db = gradients->bias[0];
    if (!s->hats[0] && !dropped) {
        sum_weights(pass, all, s->gates, s->width + s->input, dw, db);
        return;
    }
    if (s->hats[0] && !s->separate && !masked) {
        sum_weights(pass, all, s->hats[0], s->width + s->input, dw, NULL);
    } else {
        if (!dropped)
            sum_weights(pass, h, s->hats[0], s->width, dw, NULL);
        sum_weights(pass, x,
                    dropped       ? s->gates
                    : s->separate ? s->hats[1]
                                  : s->hats[0],
                    s->input, dw_x, NULL);
    }
    sum_weights(pass, all, s->gates, 1, NULL, db);
}

/* List the valid rows of a segment where some are not. */
static void list_rows(lstm__stepwise_pass *pass)
{
    const lstm__stepwise *s = pass->s;
    const unsigned char *mask = lstm__stepwise_mask(pass, pass->first_step);
    const size_t rows = (pass->last_step - pass->first_step) * pass->call->batch;
    pass->list = NULL;
    pass->valid = rows;
    if (!mask || !memchr(mask, 0, rows))
        return;
    pass->valid = 0;
    for (size_t row = 0; row < rows; row++) {
        s->list[pass->valid] = (uint32_t)row;
        pass->valid += mask[row] != 0;
    }
    pass->list = s->list;
}

/* From sums of each sample, padded, in gate order or not, to those of all. */
static void gather(const lstm__stepwise *s, size_t batch, real *sums, size_t width)
{
    for (size_t b = 1; b < batch; b++)
        s->kernels->copy_rows(1, width, sums + b * width, width, sums, width, 1);
    if (batch == 0)
        memset(sums, 0, width * sizeof(real));
}

static void gather_all(const lstm__stepwise *s, size_t batch, const lstm__variant_values *gradients)
{
    const lstm__kernels *kernels = s->kernels;
    if (s->dpeephole) {
        gather(s, batch, s->dpeephole, LSTM__LOOKS * s->padded);
        kernels->copy_rows(LSTM__LOOKS, s->units, s->dpeephole, s->padded, gradients->peephole,
                           s->units, 0);
    }
    if (s->dnormal) {
        gather(s, batch, s->dnormal, 2 * s->padded);
        kernels->copy_rows(1, s->units, s->dnormal, 0, gradients->cell_gamma, 0, 0);
        kernels->copy_rows(1, s->units, s->dnormal + s->padded, 0, gradients->cell_beta, 0, 0);
    }
    for (int k = 0; k < 2; k++) {
        const size_t lanes = kernels->lanes;
        if (!s->dgamma[k])
            continue;
        gather(s, batch, s->dgamma[k], LSTM__GATES * s->padded);
        for (size_t p = 0; p < s->panels; p++)
            for (size_t gate = 0; gate < LSTM__GATES; gate++)
                kernels->copy_rows(1, s->units - p * lanes < lanes ? s->units - p * lanes : lanes,
                                   s->dgamma[k] + (p * LSTM__GATES + gate) * lanes, 0,
                                   gradients->gamma[k] + gate * s->units + p * lanes, 0, 0);
    }
}

/* Without a sample or step: zeros. */
static void clear_gradients(const lstm__stepwise *s, const lstm__recurrence_call *call,
                            const lstm__variant_values *gradients)
{
    const size_t columns = LSTM__GATES * s->units;
    memset(gradients->weights, 0, (s->width + s->input) * columns * sizeof(real));
    if (gradients->bias[0])
        memset(gradients->bias[0], 0, columns * sizeof(real));
    if (gradients->projection)
        memset(gradients->projection, 0, s->units * s->width * sizeof(real));
    const lstm__stepwise_pass pass = {.s = s, .call = call};
    start(&pass, 0, call->batch);
    finish(&pass, 0, call->batch);
    gather_all(s, call->batch, gradients);
}

void lstm__stepwise_backward(const lstm__stepwise *s, const lstm__recurrence_call *call,
                             const lstm__variant_values *gradients)
{
    lstm__stepwise_pass pass = {.s = s, .call = call, .tasks = 1};
    const size_t batch = call->batch;
    if (batch == 0 || call->steps == 0) {
        clear_gradients(s, call, gradients);
        return;
    }
    const size_t most = (LSTM__OUTER_ROWS + batch - 1) / batch;
    for (size_t end = call->steps; end > 0; end = pass.first_step) {
        pass.last_step = end;
        pass.first_step = end > most ? end - most : 0;
        const size_t rows = (pass.last_step - pass.first_step) * batch;
        list_rows(&pass);
        if (lstm__stepwise_shares_columns(s, batch, groups_of(s))) {
            pass.tasks = lstm__shares(s->context, groups_of(s),
                                      lstm__work(batch, s->width, s->padded), LSTM__STEP_TASK_WORK);
            backward_shared(&pass);
        } else {
            pass.tasks = lstm__shares(s->context, batch, lstm__work(rows, s->width, s->padded),
                                      LSTM__TASK_WORK);
            lstm__parallel(s->context, (int32_t)pass.tasks, backward_samples, &pass);
        }
        if (call->dx.data) {
            pass.tasks = lstm__shares(s->context, rows, lstm__work(rows, s->input, s->padded),
                                      LSTM__TASK_WORK);
            lstm__parallel(s->context, (int32_t)pass.tasks, multiply_back, &pass);
        }
        sum_segment(&pass, gradients);
    }
    if (s->factors && !s->one_mask)
        lstm__stepwise_dropped_weights(&pass, gradients->weights);
    if (gradients->projection)
        lstm__gemm(1, 0, s->units, s->width, call->steps * batch, s->below, s->padded,
                   s->dprojected, s->width, 0, gradients->projection, s->width);
    gather_all(s, batch, gradients);
}
