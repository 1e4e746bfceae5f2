/* SPDX-License-Identifier: MIT
 * The LSTM's variants, step by step: plan, packing, forward. Backward is in stepwise_backward.c,
 * random numbers and recurrent dropout in stepwise_dropout.c.
 *
 * Threads: samples never meet in the time loop, so they are shared out, and each thread goes through
 * the steps of a segment alone. With too few samples for that the columns of each step's product with
 * h are shared, and the rest of the step is one thread's: bits are the same.
 */
#include "stepwise.h"
#include "activation.h"
#include "tape.h"

#include <string.h>

enum { FEWEST_SEGMENT_ROWS = LSTM__OUTER_ROWS };

static bool normalises_gates(const lstm_lstm_options *options)
{
    return options->layer_norm > LSTM_LAYER_NORM_NONE;
}

/* Ba et al.'s: h U and x W apart, each over all gates. */
static bool normalises_apart(const lstm_lstm_options *options)
{
    return options->layer_norm == LSTM_LAYER_NORM_BA ||
           options->layer_norm == LSTM_LAYER_NORM_FASTRNNS;
}

static bool normalises_cell(const lstm_lstm_options *options)
{
    return normalises_gates(options) && options->layer_norm != LSTM_LAYER_NORM_TFLITE;
}

/* A third activation, or numbers of their own. */
static bool has_shapes(const lstm_lstm_options *options)
{
    return options->output_activation != 0 || options->activation_alpha != 0 ||
           options->activation_beta != 0 || options->recurrent_activation_alpha != 0 ||
           options->recurrent_activation_beta != 0;
}

static bool has_variant_cell(const lstm_lstm_options *options)
{
    return has_shapes(options) || options->peepholes == LSTM_YES ||
           options->coupled_gates > LSTM_COUPLING_NONE || options->gate_clip > 0 ||
           options->cell_clip > 0 || options->zoneout_h > 0 || options->zoneout_c > 0 ||
           options->recurrent_dropout > 0 || normalises_gates(options);
}

bool lstm__stepwise_needed(const lstm_lstm_options *options)
{
    return options->proj_size > 0 || has_variant_cell(options);
}

/* ---- Plan */

static size_t rounded(size_t width)
{
    const size_t line = 64 / sizeof(real);
    const size_t ld = (width + line - 1) / line * line;
    return ld * sizeof(real) % 2048 == 0 ? ld + line : ld;
}

static real *carve_blocks(const lstm__stepwise *s, lstm__arena *arena, bool wanted, size_t blocks,
                          size_t width)
{
    size_t rows = 0;
    if (!wanted)
        return NULL;
    if (!lstm__mul(blocks, s->max_batch, &rows))
        arena->overflow = true;
    return lstm__carve(arena, rows, width * sizeof(real));
}

static real *carve_packed(lstm__arena *arena, bool wanted, size_t rows, size_t columns)
{
    return wanted ? lstm__carve(arena, rows, columns * sizeof(real)) : NULL;
}

static size_t segment_steps(const lstm__stepwise *s, size_t batch)
{
    const size_t steps = batch ? (FEWEST_SEGMENT_ROWS + batch - 1) / batch : 1;
    return steps > s->max_steps && s->max_steps > 0 ? s->max_steps : steps;
}

static void plan_weights(lstm__stepwise *s, lstm__arena *arena)
{
    const lstm_lstm_options *o = s->options;
    const size_t lanes = s->kernels->lanes;
    const size_t columns = LSTM__GATES * s->padded;
    const size_t wide = lstm__panels(lanes, s->width) * lanes;
    const bool dropped = s->random && o->recurrent_dropout > 0 && !s->one_mask;
    s->weights_h = carve_packed(arena, true, s->width, columns);
    s->weights_x = carve_packed(arena, true, s->input, columns);
    s->bias = carve_packed(arena, true, 1, columns);
    s->back_h = carve_packed(arena, s->training, wide, columns);
    s->back_x = carve_packed(
        arena, s->training && s->input_gradient,
        s->input <= LSTM__NARROW ? s->input : lstm__panels(lanes, s->input) * lanes, columns);
    s->project = carve_packed(arena, o->proj_size > 0, s->units, wide);
    s->project_back = carve_packed(arena, o->proj_size > 0 && s->training, s->width, s->padded);
    s->peephole = carve_packed(arena, o->peepholes == LSTM_YES, LSTM__LOOKS, s->padded);
    s->gamma[0] = carve_packed(arena, normalises_gates(o), 1, columns);
    s->gamma[1] = carve_packed(arena, s->separate, 1, columns);
    s->cell_gamma = carve_packed(arena, normalises_cell(o), 1, s->padded);
    s->cell_beta = carve_packed(arena, normalises_cell(o), 1, s->padded);
    for (size_t k = 0; k < LSTM__GATES; k++) {
        s->gate_weights[k] = carve_packed(arena, dropped, s->width, s->padded);
        s->gate_back[k] = carve_packed(arena, dropped, s->units, wide);
    }
}

static void plan_gradients(lstm__stepwise *s, lstm__arena *arena)
{
    const lstm_lstm_options *o = s->options;
    const size_t columns = LSTM__GATES * s->padded;
    const size_t threads = (size_t)lstm_context_threads(s->context);
    s->dprojected = carve_blocks(s, arena, o->proj_size > 0, s->max_steps, s->width);
    s->dr = carve_blocks(s, arena, true, 1, s->padded);
    s->dh = carve_blocks(s, arena, true, 1, s->padded);
    s->dc = carve_blocks(s, arena, true, 1, s->padded);
    s->dpeephole = carve_blocks(s, arena, s->peephole || o->peepholes == LSTM_YES, 1,
                                LSTM__LOOKS * s->padded);
    s->dnormal = carve_blocks(s, arena, normalises_cell(o), 1, 2 * s->padded);
    s->dgamma[0] = carve_blocks(s, arena, normalises_gates(o), 1, columns);
    s->dgamma[1] = carve_blocks(s, arena, s->separate, 1, columns);
    s->masked_h = carve_blocks(s, arena, o->recurrent_dropout > 0, s->max_steps, s->width);
    s->gate_d = carve_blocks(s, arena, o->recurrent_dropout > 0 && !s->one_mask, s->max_steps,
                             s->units);
    s->list = lstm__carve(arena, FEWEST_SEGMENT_ROWS + s->max_batch, sizeof *s->list);
    s->scratch = lstm__carve(arena, threads, LSTM__OUTER_SCRATCH * sizeof(real));
}

void lstm__stepwise_plan(lstm__stepwise *s, lstm__arena *arena)
{
    const lstm_lstm_options *o = s->options;
    const size_t lanes = s->kernels->lanes;
    s->plain = !has_variant_cell(o) && o->activation == LSTM_ACTIVATION_TANH &&
               o->recurrent_activation == LSTM_ACTIVATION_SIGMOID;
    s->separate = normalises_apart(o);
    s->one_mask = normalises_gates(o);
    s->panels = lstm__panels(lanes, s->units);
    s->padded = s->panels * lanes;
    s->ld_rows = rounded(s->training ? s->width + s->input : s->width);
    s->ld_gates = rounded(LSTM__GATES * s->padded);
    s->segment = segment_steps(s, s->max_batch);
    plan_weights(s, arena);
    const size_t blocks = s->training ? s->max_steps : 1;
    const size_t gates = s->training ? s->max_steps : s->segment;
    const size_t states = s->training ? s->max_steps + 1 : 2;
    s->rows = carve_blocks(s, arena, true, states, s->ld_rows);
    s->gates = carve_blocks(s, arena, true, gates, s->ld_gates);
    s->c = carve_blocks(s, arena, true, states, s->padded);
    s->active_c = carve_blocks(s, arena, s->training, blocks, s->padded);
    s->below = carve_blocks(s, arena, o->proj_size > 0, blocks, s->padded);
    s->normal = carve_blocks(s, arena, normalises_cell(o), blocks, s->padded);
    s->spread = carve_blocks(s, arena, normalises_cell(o), blocks, 1);
    for (int k = 0; k < 2; k++) {
        const bool wanted = k == 0 ? normalises_gates(o) : s->separate;
        s->hats[k] = carve_blocks(s, arena, wanted, gates, s->ld_gates);
        s->hat_spread[k] = carve_blocks(s, arena, wanted, gates, LSTM__GATES);
    }
    s->hold_h = carve_blocks(s, arena, s->random && o->zoneout_h > 0, blocks, s->padded);
    s->hold_c = carve_blocks(s, arena, s->random && o->zoneout_c > 0, blocks, s->padded);
    const bool dropped = s->random && o->recurrent_dropout > 0;
    s->factors = carve_blocks(s, arena, dropped, s->one_mask ? 1 : LSTM__GATES, s->width);
    s->parts = carve_blocks(s, arena, dropped, 1, s->padded + s->width);
    s->mask = lstm__carve(arena, s->max_steps, s->max_batch);
    s->starts = lstm__carve(arena, s->max_batch, sizeof *s->starts);
    if (s->training)
        plan_gradients(s, arena);
}

/* ---- Packing */

static void pad(const lstm__kernels *kernels, size_t rows, size_t columns, size_t padded,
                const real *from, real *to)
{
    if (!to)
        return;
    kernels->fill_rows(rows, padded, NULL, to, padded);
    kernels->copy_rows(rows, columns, from, columns, to, padded, 0);
}

void lstm__stepwise_pack_forward(const lstm__stepwise *s, const lstm__variant_values *values)
{
    const lstm__kernels *kernels = s->kernels;
    const size_t columns = LSTM__GATES * s->units;
    kernels->pack_gates(s->units, s->width, values->weights, columns, s->weights_h);
    kernels->pack_gates(s->units, s->input, values->weights + s->width * columns, columns,
                        s->weights_x);
    kernels->pack_bias(s->units, values->bias[0], values->bias[1], s->bias);
    if (s->project)
        kernels->pack_columns(s->units, s->width, values->projection, s->width, 0, s->project);
    pad(kernels, LSTM__LOOKS, s->units, s->padded, values->peephole, s->peephole);
    pad(kernels, 1, s->units, s->padded, values->cell_gamma, s->cell_gamma);
    pad(kernels, 1, s->units, s->padded, values->cell_beta, s->cell_beta);
    for (int k = 0; k < 2; k++)
        if (s->gamma[k])
            kernels->pack_bias(s->units, values->gamma[k], NULL, s->gamma[k]);
    for (size_t k = 0; k < LSTM__GATES && s->gate_weights[k]; k++)
        kernels->pack_columns(s->width, s->units, values->weights + k * s->units, columns, 0,
                              s->gate_weights[k]);
}

void lstm__stepwise_pack_backward(const lstm__stepwise *s, const lstm__variant_values *values)
{
    const lstm__kernels *kernels = s->kernels;
    const size_t columns = LSTM__GATES * s->units;
    const real *weights_x = values->weights + s->width * columns;
    kernels->pack_across(s->units, s->width, values->weights, columns, s->back_h);
    if (s->back_x && s->input <= LSTM__NARROW)
        kernels->pack_narrow(s->units, s->input, weights_x, columns, s->back_x);
    else if (s->back_x)
        kernels->pack_across(s->units, s->input, weights_x, columns, s->back_x);
    if (s->project_back)
        kernels->pack_columns(s->width, s->units, values->projection, s->width, 1, s->project_back);
    for (size_t k = 0; k < LSTM__GATES && s->gate_back[k]; k++)
        kernels->pack_columns(s->units, s->width, values->weights + k * s->units, columns, 1,
                              s->gate_back[k]);
}

/* ---- Forward */

bool lstm__stepwise_run(const unsigned char *mask, size_t *at, size_t end, lstm__share *run)
{
    size_t first = *at;
    while (mask && first < end && !mask[first])
        first++;
    size_t last = mask ? first : end;
    while (last < end && mask[last])
        last++;
    *run = (lstm__share){first, last - first};
    *at = last;
    return first < end;
}

lstm__variant lstm__stepwise_variant(const lstm__stepwise_pass *pass, size_t t, size_t first,
                                     size_t count)
{
    const lstm__stepwise *s = pass->s;
    const lstm_lstm_options *o = s->options;
    const lstm__activation g = lstm__activation_of(o->activation, o->activation_alpha,
                                                   o->activation_beta);
    const size_t cell = first * s->padded;
    real *normal = lstm__stepwise_tape(pass, s->normal, t, s->padded);
    real *hold = lstm__stepwise_tape(pass, s->hold_c, t, s->padded);
    real *active = lstm__stepwise_tape(pass, s->active_c, t, s->padded);
    real *spread = lstm__stepwise_tape(pass, s->spread, t, 1);
    return (lstm__variant){
        .rows = count,
        .units = s->units,
        .activation = g,
        .recurrent = lstm__activation_of(o->recurrent_activation, o->recurrent_activation_alpha,
                                         o->recurrent_activation_beta),
        .output = o->output_activation
                      ? lstm__activation_of(o->output_activation, o->output_activation_alpha,
                                            o->output_activation_beta)
                      : g,
        .coupling = o->coupled_gates,
        .gate_clip = (real)o->gate_clip,
        .cell_clip = (real)o->cell_clip,
        .peephole = s->peephole,
        .gates = lstm__stepwise_gates(pass, s->gates, t) + first * s->ld_gates,
        .ld_gates = s->ld_gates,
        .c_previous = lstm__stepwise_cell(pass, t) + cell,
        .c = lstm__stepwise_cell(pass, t + 1) + cell,
        .active_c = active ? active + cell : NULL,
        .ld_cell = s->padded,
        .hold = hold ? hold + cell : NULL,
        .ld_hold = s->padded,
        .held = s->random ? 0 : (real)o->zoneout_c,
        .gamma = s->cell_gamma,
        .beta = s->cell_beta,
        .normal = normal ? normal + cell : NULL,
        .spread = spread ? spread + first : NULL,
        .epsilon = (real)o->layer_norm_epsilon,
        .carried = o->layer_norm == LSTM_LAYER_NORM_TF || o->layer_norm == LSTM_LAYER_NORM_FASTRNNS,
        .h = s->below ? lstm__stepwise_tape(pass, s->below, t, s->padded) + cell
                      : lstm__stepwise_rows(pass, t + 1) + first * s->ld_rows,
        .ld_h = s->below ? s->padded : s->ld_rows,
    };
}

lstm__gate_norm lstm__stepwise_norm(const lstm__stepwise_pass *pass, int which, size_t t,
                                    size_t first, size_t count)
{
    const lstm__stepwise *s = pass->s;
    const size_t block = (s->training ? t : t % s->segment) * pass->call->batch + first;
    return (lstm__gate_norm){
        .rows = count,
        .units = s->units,
        .joint = s->separate,
        .epsilon = (real)s->options->layer_norm_epsilon,
        .gamma = s->gamma[which],
        .x = s->hats[which] + block * s->ld_gates,
        .ld_x = s->ld_gates,
        .spread = s->hat_spread[which] + block * LSTM__GATES,
        .bias = which == 1 || !s->separate ? s->bias : NULL,
        .y = s->gates + block * s->ld_gates,
        .ld_y = s->ld_gates,
        .dgamma = s->training ? s->dgamma[which] + first * LSTM__GATES * s->padded : NULL,
        .ld_dgamma = LSTM__GATES * s->padded,
    };
}

lstm__hold lstm__stepwise_hold(const lstm__stepwise_pass *pass, size_t t, size_t first,
                               size_t count)
{
    const lstm__stepwise *s = pass->s;
    real *hold = lstm__stepwise_tape(pass, s->hold_h, t, s->padded);
    return (lstm__hold){
        .rows = count,
        .columns = s->width,
        .hold = hold ? hold + first * s->padded : NULL,
        .ld_hold = s->padded,
        .held = s->random ? 0 : (real)s->options->zoneout_h,
        .y = lstm__stepwise_rows(pass, t + 1) + first * s->ld_rows,
        .ld_y = s->ld_rows,
        .previous = lstm__stepwise_rows(pass, t) + first * s->ld_rows,
        .ld_previous = s->ld_rows,
    };
}

/* The plain cell in its product, for a projection without other variants: some panels. */
static void multiply_plain(const lstm__stepwise_pass *pass, const lstm__variant *v, size_t t,
                           size_t first, lstm__share panels)
{
    const lstm__stepwise *s = pass->s;
    const lstm__step_forward f = {
        .rows = v->rows,
        .units = s->units,
        .k = s->width,
        .single = pass->call->batch == 1,
        .a = lstm__stepwise_rows(pass, t) + first * s->ld_rows,
        .ld_a = s->ld_rows,
        .packed = s->weights_h,
        .bias = s->bias,
        .start = v->gates,
        .ld_start = s->ld_gates,
        .gates = s->training ? v->gates : NULL,
        .ld_gates = s->ld_gates,
        .c_previous = v->c_previous,
        .c = v->c,
        .tanh_c = v->active_c,
        .ld_cell = s->padded,
        .h = v->h,
        .ld_h = v->ld_h,
    };
    s->kernels->step_forward(&f, panels.first, panels.first + panels.count);
}

/* Before the product of a step with h: what is drawn, and h under one mask. */
static void prepare(const lstm__stepwise_pass *pass, size_t t, size_t first, size_t count)
{
    const lstm__stepwise *s = pass->s;
    if (s->hold_h || s->hold_c)
        lstm__stepwise_draw_holds(pass, t, first, count);
    if (s->factors && s->one_mask)
        lstm__stepwise_mask_h(pass, t, first, count);
}

/* h U to some panels of the gates, or to where they are normalised. */
static void multiply_h(const lstm__stepwise_pass *pass, size_t t, size_t first, size_t count,
                       lstm__share panels)
{
    const lstm__stepwise *s = pass->s;
    const lstm__variant v = lstm__stepwise_variant(pass, t, first, count);
    const bool masked = s->factors && s->one_mask;
    const size_t column = panels.first * s->kernels->lanes;
    const size_t width = panels.count * s->kernels->lanes;
    if (s->plain) {
        multiply_plain(pass, &v, t, first, panels);
        return;
    }
    if (s->factors && !s->one_mask) {
        lstm__stepwise_dropped(pass, t, first, count);
        return;
    }
    real *to = s->hats[0] ? lstm__stepwise_norm(pass, 0, t, first, count).x : v.gates;
    const lstm__multiplication product = {.rows = count,
                                          .k = s->width,
                                          .a = masked ? lstm__stepwise_masked_h(pass, t, first)
                                                      : lstm__stepwise_rows(pass, t) +
                                                            first * s->ld_rows,
                                          .ld_a = masked ? s->width : s->ld_rows,
                                          .b = s->weights_h + LSTM__GATES * column * s->width,
                                          .c = to + LSTM__GATES * column,
                                          .ld_c = s->ld_gates,
                                          .accumulate = !s->separate};
    s->kernels->multiply_gates(&product, s->units - column < width ? s->units - column : width);
}

/* The rest of the step: normalisation, cell, projection, zoneout, output. */
static void finish_step(const lstm__stepwise_pass *pass, size_t t, size_t first, size_t count)
{
    const lstm__stepwise *s = pass->s;
    const lstm__recurrence_call *call = pass->call;
    const lstm__variant v = lstm__stepwise_variant(pass, t, first, count);
    real *h = lstm__stepwise_rows(pass, t + 1) + first * s->ld_rows;
    if (s->hats[0]) {
        const lstm__gate_norm norm = lstm__stepwise_norm(pass, 0, t, first, count);
        s->kernels->gate_norm_forward(&norm);
    }
    if (!s->plain)
        s->kernels->variant_forward(&v);
    if (s->below)
        s->kernels->multiply_across(&(lstm__multiplication){.rows = count,
                                                            .k = s->units,
                                                            .a = v.h,
                                                            .ld_a = v.ld_h,
                                                            .b = s->project,
                                                            .c = h,
                                                            .ld_c = s->ld_rows},
                                    s->width);
    for (size_t row = 0; s->options->proj_clip > 0 && row < count; row++)
        s->kernels->clip(s->width, (real)s->options->proj_clip, h + row * s->ld_rows);
    if (s->options->zoneout_h > 0) {
        const lstm__hold hold = lstm__stepwise_hold(pass, t, first, count);
        s->kernels->hold_forward(&hold);
    }
    if (call->y.data)
        s->kernels->copy_rows(count, s->width, h, s->ld_rows,
                              call->y.data + (t * call->batch + first) * call->y.stride,
                              call->y.stride, 0);
}

static void step(const lstm__stepwise_pass *pass, size_t t, size_t first, size_t count)
{
    prepare(pass, t, first, count);
    multiply_h(pass, t, first, count, (lstm__share){0, pass->s->panels});
    finish_step(pass, t, first, count);
}

/* A sample that step t leaves out holds its states. */
static void hold_row(const lstm__stepwise_pass *pass, size_t t, size_t row)
{
    const lstm__stepwise *s = pass->s;
    const lstm__recurrence_call *call = pass->call;
    const size_t bytes = s->width * sizeof(real);
    memcpy(lstm__stepwise_rows(pass, t + 1) + row * s->ld_rows,
           lstm__stepwise_rows(pass, t) + row * s->ld_rows, bytes);
    memcpy(lstm__stepwise_cell(pass, t + 1) + row * s->padded,
           lstm__stepwise_cell(pass, t) + row * s->padded, s->padded * sizeof(real));
    if (!call->y.data)
        return;
    real *y = call->y.data + (t * call->batch + row) * call->y.stride;
    if (t == 0 || call->zero_masked)
        memset(y, 0, bytes);
    else
        memcpy(y, y - call->batch * call->y.stride, bytes);
}

static void forward_samples(void *argument, int32_t index)
{
    const lstm__stepwise_pass *pass = argument;
    const lstm__share share = lstm__share_of(pass->call->batch, pass->tasks, index);
    for (size_t t = pass->first_step; t < pass->last_step; t++) {
        const unsigned char *mask = lstm__stepwise_mask(pass, t);
        lstm__share run;
        for (size_t at = share.first;
             lstm__stepwise_run(mask, &at, share.first + share.count, &run);)
            step(pass, t, run.first, run.count);
        for (size_t row = share.first; mask && row < share.first + share.count; row++)
            if (!mask[row])
                hold_row(pass, t, row);
    }
}

/* A few samples and a large step: its panels are shared. */
static void forward_panels(void *argument, int32_t index)
{
    const lstm__stepwise_pass *pass = argument;
    const size_t t = pass->first_step;
    const lstm__share panels = lstm__share_of(pass->s->panels, pass->tasks, index);
    lstm__share run;
    for (size_t at = 0;
         lstm__stepwise_run(lstm__stepwise_mask(pass, t), &at, pass->call->batch, &run);)
        multiply_h(pass, t, run.first, run.count, panels);
}

static void forward_shared(lstm__stepwise_pass *pass)
{
    const size_t batch = pass->call->batch;
    for (; pass->first_step < pass->last_step; pass->first_step++) {
        const size_t t = pass->first_step;
        const unsigned char *mask = lstm__stepwise_mask(pass, t);
        lstm__share run;
        for (size_t at = 0; lstm__stepwise_run(mask, &at, batch, &run);)
            prepare(pass, t, run.first, run.count);
        lstm__parallel(pass->s->context, (int32_t)pass->tasks, forward_panels, pass);
        for (size_t at = 0; lstm__stepwise_run(mask, &at, batch, &run);)
            finish_step(pass, t, run.first, run.count);
        for (size_t row = 0; mask && row < batch; row++)
            if (!mask[row])
                hold_row(pass, t, row);
    }
}

/* x of some samples of step t into the tape. */
static void copy_inputs(const lstm__stepwise_pass *pass, size_t t, size_t first, size_t count)
{
    const lstm__stepwise *s = pass->s;
    const lstm__recurrence_call *call = pass->call;
    const size_t source = call->reverse ? call->steps - 1 - t : t;
    s->kernels->copy_rows(
        count, s->input, call->x.data + (source * call->batch + first) * call->x.stride,
        call->x.stride, lstm__stepwise_rows(pass, t) + first * s->ld_rows + s->width, s->ld_rows,
        0);
}

/* x W for a run of the rows of a segment, which may go on over several steps; those are one product
 * where x stands in the order of the steps. */
static void multiply_run(const lstm__stepwise_pass *pass, size_t first, size_t count)
{
    const lstm__stepwise *s = pass->s;
    const lstm__recurrence_call *call = pass->call;
    real *tape = s->separate ? s->hats[1] : s->hats[0] ? s->hats[0] : s->gates;
    while (count > 0) {
        const size_t t = pass->first_step + first / call->batch;
        const size_t row = first % call->batch;
        const size_t left = call->batch - row < count ? call->batch - row : count;
        const size_t some = !s->training && call->reverse ? left : count;
        const size_t source = call->reverse ? call->steps - 1 - t : t;
        const real *x = s->training ? lstm__stepwise_rows(pass, t) + row * s->ld_rows + s->width
                                    : call->x.data + (source * call->batch + row) * call->x.stride;
        s->kernels->multiply_gates(
            &(lstm__multiplication){.rows = some,
                                    .k = s->input,
                                    .a = x,
                                    .ld_a = s->training ? s->ld_rows : call->x.stride,
                                    .b = s->weights_x,
                                    .bias = s->hats[0] ? NULL : s->bias,
                                    .c = lstm__stepwise_gates(pass, tape, t) + row * s->ld_gates,
                                    .ld_c = s->ld_gates},
            s->units);
        if (s->separate) {
            const lstm__gate_norm norm = lstm__stepwise_norm(pass, 1, t, row, some);
            s->kernels->gate_norm_forward(&norm);
        }
        first += some;
        count -= some;
    }
}

/* x W of some of the rows of a segment. */
static void multiply_inputs(void *argument, int32_t index)
{
    const lstm__stepwise_pass *pass = argument;
    const size_t batch = pass->call->batch;
    const lstm__share share = lstm__share_of((pass->last_step - pass->first_step) * batch,
                                             pass->tasks, index);
    const size_t end = share.first + share.count;
    lstm__share run;
    for (size_t at = share.first;
         lstm__stepwise_run(lstm__stepwise_mask(pass, pass->first_step), &at, end, &run);) {
        for (size_t row = run.first; pass->s->training && row < at;) {
            const size_t first = row % batch;
            const size_t count = batch - first < at - row ? batch - first : at - row;
            copy_inputs(pass, pass->first_step + row / batch, first, count);
            row += count;
        }
        multiply_run(pass, run.first, run.count);
    }
}

/* Take over the mask, in the order of the steps. */
static void take_mask(const lstm__stepwise *s, const lstm__recurrence_call *call)
{
    for (size_t b = 0; call->mask && b < call->batch; b++)
        s->starts[b] = call->steps;
    for (size_t t = call->mask ? call->steps : 0; t-- > 0;) {
        const size_t source = call->reverse ? call->steps - 1 - t : t;
        memcpy(s->mask + t * call->batch, call->mask + source * call->batch, call->batch);
        for (size_t b = 0; b < call->batch; b++)
            if (s->mask[t * call->batch + b])
                s->starts[b] = t;
    }
}

void lstm__stepwise_forward(const lstm__stepwise *s, const lstm__recurrence_call *call)
{
    if (call->batch == 0)
        return;
    lstm__stepwise_pass pass = {.s = s, .call = call};
    const size_t segment = s->training ? segment_steps(s, call->batch) : s->segment;
    take_mask(s, call);
    if (s->factors)
        lstm__stepwise_draw_factors(s, call);
    lstm__tape_start(s->kernels, call->batch, s->width, s->width, call->h0,
                     lstm__stepwise_rows(&pass, 0), s->ld_rows);
    lstm__tape_start(s->kernels, call->batch, s->units, s->padded, call->c0,
                     lstm__stepwise_cell(&pass, 0), s->padded);
    for (size_t t = 0; t < call->steps; t = pass.last_step) {
        pass.first_step = t;
        pass.last_step = call->steps - t < segment ? call->steps : t + segment;
        const size_t rows = (pass.last_step - t) * call->batch;
        pass.tasks = lstm__shares(s->context, rows, lstm__work(rows, s->input, s->padded),
                                  LSTM__TASK_WORK);
        lstm__parallel(s->context, (int32_t)pass.tasks, multiply_inputs, &pass);
        if (lstm__stepwise_shares_columns(s, call->batch, s->panels)) {
            pass.tasks = lstm__shares(s->context, s->panels,
                                      lstm__work(call->batch, s->width, s->padded),
                                      LSTM__STEP_TASK_WORK);
            forward_shared(&pass);
            continue;
        }
        pass.tasks = lstm__shares(s->context, call->batch, lstm__work(rows, s->width, s->padded),
                                  LSTM__TASK_WORK);
        lstm__parallel(s->context, (int32_t)pass.tasks, forward_samples, &pass);
    }
}

lstm__view lstm__stepwise_h(const lstm__stepwise *s, const lstm__recurrence_call *call)
{
    const lstm__stepwise_pass pass = {.s = s, .call = call};
    return (lstm__view){lstm__stepwise_rows(&pass, call->steps), s->ld_rows};
}

lstm__view lstm__stepwise_c(const lstm__stepwise *s, const lstm__recurrence_call *call)
{
    const lstm__stepwise_pass pass = {.s = s, .call = call};
    return (lstm__view){lstm__stepwise_cell(&pass, call->steps), s->padded};
}

lstm__view lstm__stepwise_outputs(const lstm__stepwise *s, const lstm__recurrence_call *call)
{
    const lstm__stepwise_pass pass = {.s = s, .call = call};
    return (lstm__view){lstm__stepwise_rows(&pass, 1), s->ld_rows};
}

void lstm__stepwise_trace(const lstm__stepwise *s, const lstm__recurrence_call *call, int32_t kind,
                          real *to)
{
    const lstm__stepwise_pass pass = {.s = s, .call = call};
    const size_t lanes = s->kernels->lanes;
    const size_t width = kind == LSTM_TRACE_OUTPUT ? s->width : s->units;
    for (size_t t = 0; t < call->steps; t++) {
        const size_t time = call->reverse ? call->steps - 1 - t : t;
        const unsigned char *mask = lstm__stepwise_mask(&pass, t);
        for (size_t b = 0; b < call->batch; b++) {
            real *row = to + (time * call->batch + b) * width;
            const real *gates = lstm__stepwise_gates(&pass, s->gates, t) + b * s->ld_gates +
                                (size_t)(kind - LSTM_TRACE_INPUT_GATE) * lanes;
            if (kind == LSTM_TRACE_CELL)
                memcpy(row, lstm__stepwise_cell(&pass, t + 1) + b * s->padded, width * sizeof *row);
            else if (kind == LSTM_TRACE_OUTPUT)
                memcpy(row, lstm__stepwise_rows(&pass, t + 1) + b * s->ld_rows,
                       width * sizeof *row);
            else
                for (size_t u = 0; u < width; u++)
                    row[u] = mask && !mask[b] ? (real)(kind == LSTM_TRACE_FORGET_GATE)
                                              : gates[u / lanes * LSTM__GATES * lanes + u % lanes];
        }
    }
}
