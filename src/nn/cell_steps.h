/* SPDX-License-Identifier: MIT
 * What the cells that run step by step share (GRU, SimpleRNN): options and states, the order of the
 * steps, the tape of h, and steps that a mask leaves out.
 *
 *     h     training or all outputs wanted: [T+1][B][U], block s before and block s+1 behind step
 *     s; else two blocks in turn
 *     gates [segment][B][G]: x W + bias of the steps of a segment, by their time; while training
 *     one segment is everything
 *     y     [T][B][U], where masked outputs are to be zeros: a copy of h made after the last step
 * Step s reads time s, or T - 1 - s backwards; outputs come in the order of the steps, as in Keras.
 */
#ifndef LSTM_NN_CELL_STEPS_H
#define LSTM_NN_CELL_STEPS_H

#include "input_dropout.h"
#include "layer_ports.h"
#include "product.h"
#include "trace.h"

#include <string.h>

enum { LSTM__CELL_SEGMENT = 32, LSTM__CELL_GATES = 3 /* most that a cell has */ };

typedef struct lstm__cell_tape {
    size_t units, inputs, columns; /* H, I, and G: columns of the gates */
    bool sequences, reverse, training;
    bool zeros;          /* outputs of steps that are left out are zeros */
    size_t batch, steps; /* of the call */
    size_t segment;
    const unsigned char *mask; /* of the latest forward */
    real *h, *gates, *y;
    /* [batch][H], training: the gradient at h, and as it was before a step */
    real *carry, *kept;
    /* h, then the gates by their place; NULL = not kept */
    real *traces[LSTM__CELL_GATES + 1];
    lstm__input_dropout dropout;
    lstm__view x; /* of the latest forward: the input, or with dropout what is left of it */
    /* of recurrent dropout, NULL = none: a mask of h for each gate [gates][B][H], and [B][H] each:
     * h under a mask, and what comes back through it */
    real *factors, *masked, *part;
    float rates[2]; /* of dropout of the input, of h */
    uint64_t seed;
    bool stateful;
    lstm__carried carried; /* h only; of a stateful layer, or in a session of pieces */
    bool continues;        /* the latest forward began with what was carried */
} lstm__cell_tape;

static inline size_t lstm__cell_time(const lstm__cell_tape *cell, size_t step)
{
    return cell->reverse ? cell->steps - 1 - step : step;
}

static inline real *lstm__cell_h(const lstm__cell_tape *cell, size_t block)
{
    const size_t place = cell->training || cell->sequences ? block : block % 2;
    return cell->h + place * cell->batch * cell->units;
}

/* Of a step inside the segment that begins with time `first`. */
static inline real *lstm__cell_gates(const lstm__cell_tape *cell, size_t first, size_t step)
{
    return cell->gates + (lstm__cell_time(cell, step) - first) * cell->batch * cell->columns;
}

/* ---- Definition */

static inline lstm_status lstm__cell_define(lstm__node *node, int64_t units, int32_t sequences,
                                            int32_t stateful)
{
    const lstm__shape in = lstm__input_shape(node, 0);
    RETURN_IF_ERROR(lstm__need_sequence(node, 0));
    if (units < 1 || units > INT32_MAX / 8)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "units is %lld: expected 1 to %d", (long long)units,
                          INT32_MAX / 8);
    if (node->input_count == 2) {
        const lstm__shape h = lstm__input_shape(node, 1);
        if (h.steps != 0 || h.features != units)
            return lstm__fail(
                LSTM_ERROR_SHAPE,
                "initial h is layer \"%s\" with %lld features%s: expected a vector of %lld units",
                node->inputs[1]->node->name, (long long)h.features, h.steps ? " a step" : "",
                (long long)units);
    }
    if (node->input_count == 2 && stateful == LSTM_YES)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "is stateful and has an initial state: it begins with one or the other");
    node->port_count = 2;
    node->shapes[0] = (lstm__shape){sequences == LSTM_YES ? in.steps : 0, units};
    node->shapes[1] = (lstm__shape){0, units};
    return LSTM_OK;
}

/* kernel (I, G) and recurrent_kernel (H, G). */
static inline lstm_status lstm__cell_declare(lstm__node *node, size_t units, size_t columns,
                                             int32_t kernel, int32_t recurrent)
{
    const size_t inputs = (size_t)lstm__input_shape(node, 0).features;
    size_t count = 0;
    size_t offset = 0;
    if (!lstm__mul(inputs, columns, &count))
        count = SIZE_MAX;
    RETURN_IF_ERROR(lstm__graph_reserve(node->model, count, &offset));
    RETURN_IF_ERROR(
        lstm__graph_add_parameter(node, &(lstm__parameter_spec){.keras_name = "kernel",
                                                                .torch_name = "weight_ih_l0",
                                                                .offset = offset,
                                                                .rows = inputs,
                                                                .columns = columns,
                                                                .rank = 2,
                                                                .torch_transposed = true,
                                                                .initializer = kernel,
                                                                .fan_in = inputs,
                                                                .fan_out = columns,
                                                                .units = units}));
    if (!lstm__mul(units, columns, &count))
        count = SIZE_MAX;
    RETURN_IF_ERROR(lstm__graph_reserve(node->model, count, &offset));
    return lstm__graph_add_parameter(node, &(lstm__parameter_spec){.keras_name = "recurrent_kernel",
                                                                   .torch_name = "weight_hh_l0",
                                                                   .offset = offset,
                                                                   .rows = units,
                                                                   .columns = columns,
                                                                   .rank = 2,
                                                                   .torch_transposed = true,
                                                                   .initializer = recurrent,
                                                                   .fan_in = units,
                                                                   .fan_out = columns,
                                                                   .units = units});
}

/* One bias vector. */
static inline lstm_status lstm__cell_declare_bias(lstm__node *node, const char *torch_name,
                                                  size_t units, size_t columns)
{
    size_t offset = 0;
    RETURN_IF_ERROR(lstm__graph_reserve(node->model, columns, &offset));
    return lstm__graph_add_parameter(
        node, &(lstm__parameter_spec){.keras_name = "bias",
                                      .torch_name = torch_name,
                                      .offset = offset,
                                      .rows = 1,
                                      .columns = columns,
                                      .rank = 1,
                                      .units = units,
                                      .initializer = node->model->profile == LSTM_PROFILE_TORCH
                                                         ? LSTM_INITIALIZER_TORCH_UNIFORM
                                                         : LSTM_INITIALIZER_ZEROS});
}

/* A sequence of this cell may come in pieces. */
static inline bool lstm__cell_piecewise(const lstm__node *node, int32_t sequences,
                                        int32_t go_backwards)
{
    return sequences == LSTM_YES && go_backwards == LSTM_NO && node->readers[1] == 0;
}

static inline lstm_status lstm__cell_check_rates(float dropout, float recurrent_dropout)
{
    const struct {
        float rate;
        const char *what;
    } rates[2] = {{dropout, "dropout"}, {recurrent_dropout, "recurrent_dropout"}};
    for (int k = 0; k < 2; k++)
        if (!(rates[k].rate >= 0 && rates[k].rate < 1))
            return lstm__fail(LSTM_ERROR_ARGUMENT, "%s is %g: expected 0 <= rate < 1",
                              rates[k].what, (double)rates[k].rate);
    return LSTM_OK;
}

/* ---- Running */

static inline void lstm__cell_plan(const lstm__node *node, const lstm_session *session,
                                   lstm__cell_tape *cell, lstm__arena *arena)
{
    const size_t steps = lstm__session_max_steps(session, lstm__input_shape(node, 0));
    const size_t batch = session->max_batch;
    size_t rows = 0;
    size_t gates = 0;
    cell->training = session->training || session->traces;
    cell->inputs = (size_t)lstm__input_shape(node, 0).features;
    cell->segment = cell->training || steps < LSTM__CELL_SEGMENT ? steps : LSTM__CELL_SEGMENT;
    if (!lstm__mul(batch, cell->training || cell->sequences ? steps + 1 : 2, &rows) ||
        !lstm__mul(batch, cell->segment, &gates))
        arena->overflow = true;
    cell->h = lstm__carve_matrix(arena, rows, cell->units);
    cell->gates = lstm__carve_matrix(arena, gates, cell->columns);
    cell->y = lstm__carve_matrix(arena, cell->zeros && cell->sequences ? rows : 0, cell->units);
    cell->carry = lstm__carve_matrix(arena, session->training ? batch : 0, cell->units);
    cell->kept = lstm__carve_matrix(arena, session->training ? batch : 0, cell->units);
    for (size_t k = 0; k < LSTM__CELL_GATES + 1; k++)
        cell->traces[k] = k <= cell->columns / cell->units
                              ? lstm__trace_plan(node, session, cell->units, arena)
                              : NULL;
    cell->factors = cell->masked = cell->part = NULL;
    lstm__input_dropout_plan(node, session, cell->rates[0], &cell->dropout, arena);
    if (session->training && cell->rates[1] > 0) {
        size_t masks = 0;
        if (!lstm__mul(batch, cell->columns / cell->units, &masks))
            arena->overflow = true;
        cell->factors = lstm__carve_matrix(arena, masks, cell->units);
        cell->masked = lstm__carve_matrix(arena, batch, cell->units);
        cell->part = lstm__carve_matrix(arena, batch, cell->units);
    }
    if (cell->stateful || session->pieces) {
        cell->carried.units = cell->units;
        cell->carried.h = lstm__carve_matrix(arena, batch, cell->units);
    }
}

/* Take over the call: sizes, mask, first h; set the ports. */
static inline void lstm__cell_start(const lstm__node *node, lstm_session *session,
                                    lstm__cell_tape *cell)
{
    const lstm__kernels *kernels = session->model->kernels;
    lstm__view h0 = node->input_count == 2 ? lstm__input_value(node, session, 1)
                                           : (lstm__view){NULL, 0};
    cell->continues = cell->carried.batch == session->batch && session->batch > 0;
    if (cell->continues)
        h0 = (lstm__view){cell->carried.h, cell->units};
    cell->batch = session->batch;
    cell->steps = lstm__session_steps(session, lstm__input_shape(node, 0));
    cell->mask = lstm__input_mask(node, session, 0);
    cell->x = lstm__input_dropout_forward(node, session, cell->rates[0], cell->seed,
                                          &cell->dropout);
    if (cell->factors)
        lstm__draw_factors(kernels, lstm__in_layer_seed(session, cell->seed),
                           lstm__in_layer_stream(node, session, LSTM__DRAW_STEP), cell->rates[1],
                           cell->batch * cell->columns, cell->factors);
    if (h0.data)
        kernels->copy_rows(cell->batch, cell->units, h0.data, h0.stride, cell->h, cell->units, 0);
    else
        kernels->fill_rows(cell->batch, cell->units, NULL, cell->h, cell->units);
    const lstm__view last = {lstm__cell_h(cell, cell->steps), cell->units};
    lstm__session_own(session, node, 0)->value =
        cell->sequences ? (lstm__view){lstm__cell_h(cell, 1), cell->units} : last;
    lstm__session_own(session, node, 0)->mask = cell->sequences ? cell->mask : NULL;
    lstm__session_own(session, node, 1)->value = last;
}

/* Steps [step, step + count) read these times: x W + bias into the gates. Returns the first time.
 */
static inline size_t lstm__cell_inputs(const lstm__node *node, lstm_session *session,
                                       const lstm__cell_tape *cell, size_t step, size_t count,
                                       const real *bias)
{
    const size_t first = cell->reverse ? cell->steps - step - count : step;
    const size_t rows = count * cell->batch;
    const lstm__view x = cell->x;
    if (bias)
        session->model->kernels->fill_rows(rows, cell->columns, bias, cell->gates, cell->columns);
    lstm__gemm(0, 0, rows, cell->columns, cell->inputs, x.data + first * cell->batch * x.stride,
               x.stride, lstm__values_of(node, 0), cell->columns, bias != NULL, cell->gates,
               cell->columns);
    return first;
}

/* h(step) as a gate sees it. */
static inline const real *lstm__cell_seen(const lstm__cell_tape *cell, size_t step, size_t gate)
{
    const size_t count = cell->batch * cell->units;
    const real *h = lstm__cell_h(cell, step);
    if (!cell->factors)
        return h;
    for (size_t k = 0; k < count; k++)
        cell->masked[k] = h[k] * cell->factors[gate * count + k];
    return cell->masked;
}

/* to [B][columns] = (or +=) h(step) U for the first `gates` gates. */
static inline void lstm__cell_recurrent(const lstm__node *node, const lstm__cell_tape *cell,
                                        size_t step, size_t gates, bool add, real *to)
{
    const size_t together = cell->factors ? 1 : gates;
    for (size_t gate = 0; gate < gates; gate += together)
        lstm__gemm(0, 0, cell->batch, together * cell->units, cell->units,
                   lstm__cell_seen(cell, step, gate), cell->units,
                   lstm__values_of(node, 1) + gate * cell->units, cell->columns, add,
                   to + gate * cell->units, cell->columns);
}

/* Rows of a step that the mask leaves out keep the h before it. */
static inline void lstm__cell_hold(const lstm__cell_tape *cell, size_t step)
{
    const unsigned char *mask = cell->mask ? cell->mask + lstm__cell_time(cell, step) * cell->batch
                                           : NULL;
    for (size_t b = 0; mask && b < cell->batch; b++)
        if (!mask[b])
            memcpy(lstm__cell_h(cell, step + 1) + b * cell->units,
                   lstm__cell_h(cell, step) + b * cell->units, cell->units * sizeof(real));
}

/* After the last step: what is carried, and the outputs, with zeros at the steps that are left out. */
static inline void lstm__cell_finish(const lstm__node *node, lstm_session *session,
                                     lstm__cell_tape *cell)
{
    const size_t rows = cell->steps * cell->batch;
    const size_t after = session->carry_after < cell->steps ? session->carry_after : cell->steps;
    if (cell->carried.units > 0 && session->carry_after > 0) {
        memcpy(cell->carried.h, lstm__cell_h(cell, after),
               cell->batch * cell->units * sizeof(real));
        cell->carried.batch = cell->batch;
    }
    if (!cell->zeros || !cell->sequences || !cell->mask)
        return;
    memcpy(cell->y, lstm__cell_h(cell, 1), rows * cell->units * sizeof(real));
    for (size_t r = 0; r < rows; r++)
        if (!cell->mask[lstm__cell_time(cell, r / cell->batch) * cell->batch + r % cell->batch])
            memset(cell->y + r * cell->units, 0, cell->units * sizeof(real));
    lstm__session_own(session, node, 0)->value = (lstm__view){cell->y, cell->units};
}

/* Copy h (place 0) or gate `place` - 1 of each step to its trace; a gate of a step that is left out
 * is `held`. */
static inline void lstm__cell_trace(const lstm__cell_tape *cell, size_t place, real held)
{
    const size_t units = cell->units;
    for (size_t step = 0; cell->traces[place] && step < cell->steps; step++) {
        const size_t time = lstm__cell_time(cell, step);
        for (size_t b = 0; b < cell->batch; b++) {
            const size_t row = time * cell->batch + b;
            const real *from = place == 0 ? lstm__cell_h(cell, step + 1) + b * units
                                          : cell->gates + row * cell->columns + (place - 1) * units;
            const bool left_out = place > 0 && cell->mask && !cell->mask[row];
            for (size_t u = 0; u < units; u++)
                cell->traces[place][row * units + u] = left_out ? held : from[u];
        }
    }
}

/* ---- Back */

/* The gradient at the last h. */
static inline void lstm__cell_back_start(const lstm__node *node, lstm_session *session,
                                         const lstm__cell_tape *cell)
{
    const lstm__kernels *kernels = session->model->kernels;
    const lstm__view last[2] = {cell->sequences ? (lstm__view){NULL, 0}
                                                : lstm__own_gradient(session, node, 0),
                                lstm__own_gradient(session, node, 1)};
    kernels->fill_rows(cell->batch, cell->units, NULL, cell->carry, cell->units);
    for (int k = 0; k < 2; k++)
        if (last[k].data)
            kernels->copy_rows(cell->batch, cell->units, last[k].data, last[k].stride, cell->carry,
                               cell->units, 1);
}

/* Add the gradient at the output of a step to the carried one. */
static inline void lstm__cell_back_output(const lstm__node *node, lstm_session *session,
                                          const lstm__cell_tape *cell, size_t step)
{
    const lstm__view dy = lstm__own_gradient(session, node, 0);
    const unsigned char *mask = cell->zeros && cell->mask
                                    ? cell->mask + lstm__cell_time(cell, step) * cell->batch
                                    : NULL;
    for (size_t b = 0; cell->sequences && dy.data && b < cell->batch; b++)
        if (!mask || mask[b])
            session->model->kernels->copy_rows(
                1, cell->units, dy.data + (step * cell->batch + b) * dy.stride, dy.stride,
                cell->carry + b * cell->units, cell->units, 1);
    if (cell->mask)
        memcpy(cell->kept, cell->carry, cell->batch * cell->units * sizeof(real));
}

/* Rows that the mask leaves out: no gradient at `gates` [batch][columns], the carried one as it
 * was. */
static inline void lstm__cell_back_hold(const lstm__cell_tape *cell, size_t step, real *gates,
                                        size_t columns)
{
    const unsigned char *mask = cell->mask ? cell->mask + lstm__cell_time(cell, step) * cell->batch
                                           : NULL;
    for (size_t b = 0; mask && b < cell->batch; b++)
        if (!mask[b]) {
            memset(gates + b * columns, 0, columns * sizeof(real));
            memcpy(cell->carry + b * cell->units, cell->kept + b * cell->units,
                   cell->units * sizeof(real));
        }
}

/* What comes back to h through the mask of a gate, from `part`. */
static inline void lstm__cell_back_mask(const lstm__cell_tape *cell, size_t gate)
{
    const size_t count = cell->batch * cell->units;
    for (size_t k = 0; k < count; k++)
        cell->carry[k] += cell->part[k] * cell->factors[gate * count + k];
}

/* The carried gradient += d U^T of gates [first, first + gates), whose gradients are d [B] (ld
 * apart). */
static inline void lstm__cell_back_product(const lstm__node *node, const lstm__cell_tape *cell,
                                           size_t first, size_t gates, const real *d, size_t ld)
{
    const size_t units = cell->units;
    const real *u = lstm__values_of(node, 1) + first * units;
    if (!cell->factors) {
        lstm__gemm(0, 1, cell->batch, units, gates * units, d, ld, u, cell->columns, 1, cell->carry,
                   units);
        return;
    }
    for (size_t gate = 0; gate < gates; gate++) {
        lstm__gemm(0, 1, cell->batch, units, units, d + gate * units, ld, u + gate * units,
                   cell->columns, 0, cell->part, units);
        lstm__cell_back_mask(cell, first + gate);
    }
}

/* dU of gates [first, first + gates) = sum over the steps of h(step)^T times their columns of a tape
 * by time; du is where all of it begins. */
static inline void lstm__cell_back_recurrent(const lstm__cell_tape *cell, size_t first,
                                             size_t gates, const real *tape, size_t ld, real *du)
{
    const size_t rows = cell->batch;
    const size_t count = gates * cell->units;
    const size_t ld_to = cell->columns;
    real *to = du + first * cell->units;
    for (size_t gate = 0; cell->factors && gate < gates; gate++)
        for (size_t step = 0; step < cell->steps; step++)
            lstm__gemm(1, 0, cell->units, cell->units, rows,
                       lstm__cell_seen(cell, step, first + gate), cell->units,
                       tape + lstm__cell_time(cell, step) * rows * ld + gate * cell->units, ld,
                       step > 0, to + gate * cell->units, ld_to);
    if (cell->factors)
        return;
    if (!cell->reverse) {
        lstm__gemm(1, 0, cell->units, count, cell->steps * rows, cell->h, cell->units, tape, ld, 0,
                   to, ld_to);
        return;
    }
    for (size_t step = 0; step < cell->steps; step++)
        lstm__gemm(1, 0, cell->units, count, rows, lstm__cell_h(cell, step), cell->units,
                   tape + lstm__cell_time(cell, step) * rows * ld, ld, step > 0, to, ld_to);
}

/* From the finished gradients at the gates to those of kernel, first bias, input and first h. */
static inline void lstm__cell_back_inputs(const lstm__node *node, lstm_session *session,
                                          const lstm__cell_tape *cell, real *bias)
{
    const lstm__kernels *kernels = session->model->kernels;
    const size_t rows = cell->steps * cell->batch;
    const lstm__view x = cell->x;
    bool add = false;
    lstm__gemm(1, 0, cell->inputs, cell->columns, rows, x.data, x.stride, cell->gates,
               cell->columns, 0, lstm__gradients_of(node, session, 0), cell->columns);
    if (bias)
        kernels->column_sum(rows, cell->columns, cell->gates, cell->columns, bias, 0);
    const lstm__view dx = lstm__take_gradient(node, session, 0, &add);
    bool add_here = add;
    const lstm__view to = lstm__input_dropout_place(&cell->dropout, dx, &add_here);
    if (to.data)
        lstm__gemm(0, 1, rows, cell->inputs, cell->columns, cell->gates, cell->columns,
                   lstm__values_of(node, 0), cell->columns, add_here, to.data, to.stride);
    lstm__input_dropout_backward(node, session, &cell->dropout, dx, add);
    if (node->input_count < 2 || cell->continues)
        return;
    const lstm__view dh0 = lstm__take_gradient(node, session, 1, &add);
    if (dh0.data)
        kernels->copy_rows(cell->batch, cell->units, cell->carry, cell->units, dh0.data, dh0.stride,
                           add);
}

#endif
