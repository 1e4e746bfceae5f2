/* SPDX-License-Identifier: MIT
 * What the cells that run step by step share.
 */
#include "cell_steps.h"
#include "constants.h"
#include "options.h"

#include <string.h>

enum { SEGMENT = 32 }; /* steps whose x W is made at once, without a tape */

/* ---- Options */

static const lstm__cell_fields *fields_of(const lstm__node *node)
{
    return node->class->cell;
}

static int32_t *number_at(const lstm__node *node, size_t place)
{
    return (int32_t *)(void *)((unsigned char *)node->options + place);
}

static bool is_on(const lstm__node *node, size_t place)
{
    return *number_at(node, place) == LSTM_YES;
}

static float rate_at(const lstm__node *node, size_t place)
{
    return *(const float *)(const void *)((const unsigned char *)node->options + place);
}

static int64_t units_of(const lstm__node *node)
{
    const unsigned char *options = node->options;
    return *(const int64_t *)(const void *)(options + fields_of(node)->units);
}

static size_t columns_of(const lstm__node *node)
{
    return fields_of(node)->gates * (size_t)units_of(node);
}

static lstm_status read_common(const lstm__node *node)
{
    const lstm__cell_fields *at = fields_of(node);
    const bool torch = node->model->profile == LSTM_PROFILE_TORCH;
    const struct {
        size_t place;
        int32_t standard;
        const char *name;
    } flags[] = {{at->return_sequences, LSTM_NO, "return_sequences"},
                 {at->return_state, LSTM_NO, "return_state"},
                 {at->go_backwards, LSTM_NO, "go_backwards"},
                 {at->zero_output_for_mask, LSTM_NO, "zero_output_for_mask"},
                 {at->use_bias, LSTM_YES, "use_bias"},
                 {at->stateful, LSTM_NO, "stateful"}};
    const struct {
        size_t place;
        const char *name;
    } rates[2] = {{at->dropout, "dropout"}, {at->recurrent_dropout, "recurrent_dropout"}};
    for (size_t k = 0; k < sizeof flags / sizeof *flags; k++)
        RETURN_IF_ERROR(
            lstm__read_flag(number_at(node, flags[k].place), flags[k].standard, flags[k].name));
    RETURN_IF_ERROR(lstm__read_constant(number_at(node, at->kernel_initializer),
                                        torch ? LSTM_INITIALIZER_TORCH_UNIFORM
                                              : LSTM_INITIALIZER_GLOROT_UNIFORM,
                                        LSTM_NAMES_INITIALIZER, "kernel_initializer"));
    RETURN_IF_ERROR(
        lstm__read_constant(number_at(node, at->recurrent_initializer),
                            torch ? LSTM_INITIALIZER_TORCH_UNIFORM : LSTM_INITIALIZER_ORTHOGONAL,
                            LSTM_NAMES_INITIALIZER, "recurrent_initializer"));
    for (int k = 0; k < 2; k++)
        if (!(rate_at(node, rates[k].place) >= 0 && rate_at(node, rates[k].place) < 1))
            return lstm__fail(LSTM_ERROR_ARGUMENT, "%s is %g: expected 0 <= rate < 1",
                              rates[k].name, (double)rate_at(node, rates[k].place));
    return LSTM_OK;
}

lstm_status lstm__cell_define(lstm__node *node)
{
    const lstm__shape in = lstm__input_shape(node, 0);
    const int64_t units = units_of(node);
    RETURN_IF_ERROR(read_common(node));
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
    if (node->input_count == 2 && is_on(node, fields_of(node)->stateful))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "is stateful and has an initial state: it begins with one or the other");
    node->port_count = 2;
    node->shapes[0] = (lstm__shape){is_on(node, fields_of(node)->return_sequences) ? in.steps : 0,
                                    units};
    node->shapes[1] = (lstm__shape){0, units};
    return LSTM_OK;
}

/* ---- Parameters */

lstm_status lstm__cell_declare(lstm__node *node)
{
    const size_t units = (size_t)units_of(node);
    const size_t columns = columns_of(node);
    const int32_t kernel = *number_at(node, fields_of(node)->kernel_initializer);
    const int32_t recurrent = *number_at(node, fields_of(node)->recurrent_initializer);
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

lstm_status lstm__cell_declare_bias(lstm__node *node, const char *torch_name)
{
    const size_t columns = columns_of(node);
    size_t offset = 0;
    RETURN_IF_ERROR(lstm__graph_reserve(node->model, columns, &offset));
    return lstm__graph_add_parameter(
        node, &(lstm__parameter_spec){.keras_name = "bias",
                                      .torch_name = torch_name,
                                      .offset = offset,
                                      .rows = 1,
                                      .columns = columns,
                                      .rank = 1,
                                      .units = (size_t)units_of(node),
                                      .initializer = node->model->profile == LSTM_PROFILE_TORCH
                                                         ? LSTM_INITIALIZER_TORCH_UNIFORM
                                                         : LSTM_INITIALIZER_ZEROS});
}

/* ---- Members of a class */

size_t lstm__cell_carries(const lstm__node *node, bool pieces)
{
    return pieces || is_on(node, fields_of(node)->stateful) ? (size_t)units_of(node) : 0;
}

lstm__carried *lstm__cell_carried(const lstm__node *node, void *memory)
{
    (void)node;
    return &((lstm__cell_tape *)memory)->carried;
}

bool lstm__cell_piecewise(const lstm__node *node)
{
    return is_on(node, fields_of(node)->return_sequences) &&
           !is_on(node, fields_of(node)->go_backwards) && node->readers[1] == 0;
}

bool lstm__cell_returns_ports(const lstm__node *node)
{
    return is_on(node, fields_of(node)->return_state);
}

double lstm__cell_flops(const lstm__node *node, int64_t steps)
{
    const int64_t own = lstm__input_shape(node, 0).steps;
    return 2 * (double)columns_of(node) *
           (double)(units_of(node) + lstm__input_shape(node, 0).features) *
           (double)(own > 0 ? own : steps);
}

/* ---- Plan */

void lstm__cell_plan(const lstm__node *node, const lstm_session *session, lstm__cell_tape *cell,
                     lstm__arena *arena)
{
    const lstm__cell_fields *at = fields_of(node);
    *cell = (lstm__cell_tape){
        .units = (size_t)units_of(node),
        .columns = columns_of(node),
        .sequences = is_on(node, at->return_sequences),
        .reverse = is_on(node, at->go_backwards),
        .zeros = is_on(node, at->zero_output_for_mask),
        .rates = {rate_at(node, at->dropout), rate_at(node, at->recurrent_dropout)},
        .seed = *(const uint64_t *)(const void *)((const unsigned char *)node->options + at->seed)};
    const size_t steps = lstm__session_max_steps(session, lstm__input_shape(node, 0));
    const size_t batch = session->max_batch;
    size_t rows = 0;
    size_t gates = 0;
    cell->training = session->training || session->traces;
    cell->inputs = (size_t)lstm__input_shape(node, 0).features;
    cell->segment = cell->training || steps < SEGMENT ? steps : SEGMENT;
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
    if (lstm__cell_carries(node, session->pieces) > 0) {
        cell->carried.units = cell->units;
        cell->carried.h = lstm__carve_matrix(arena, batch, cell->units);
    }
}

/* ---- Forward */

/* Take over the call: sizes, mask, first h; set the ports. */
static void start(const lstm__node *node, lstm_session *session, lstm__cell_tape *cell)
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
static size_t multiply_inputs(const lstm__node *node, lstm_session *session,
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

const real *lstm__cell_seen(const lstm__cell_tape *cell, size_t step, size_t gate)
{
    const size_t count = cell->batch * cell->units;
    const real *h = lstm__cell_h(cell, step);
    if (!cell->factors)
        return h;
    for (size_t k = 0; k < count; k++)
        cell->masked[k] = h[k] * cell->factors[gate * count + k];
    return cell->masked;
}

void lstm__cell_recurrent(const lstm__node *node, const lstm__cell_tape *cell, size_t step,
                          size_t gates, bool add, real *to)
{
    const size_t together = cell->factors ? 1 : gates;
    for (size_t gate = 0; gate < gates; gate += together)
        lstm__gemm(0, 0, cell->batch, together * cell->units, cell->units,
                   lstm__cell_seen(cell, step, gate), cell->units,
                   lstm__values_of(node, 1) + gate * cell->units, cell->columns, add,
                   to + gate * cell->units, cell->columns);
}

/* Rows of a step that the mask leaves out keep the h before it. */
static void hold(const lstm__cell_tape *cell, size_t step)
{
    const unsigned char *mask = cell->mask ? cell->mask + lstm__cell_time(cell, step) * cell->batch
                                           : NULL;
    for (size_t b = 0; mask && b < cell->batch; b++)
        if (!mask[b])
            memcpy(lstm__cell_h(cell, step + 1) + b * cell->units,
                   lstm__cell_h(cell, step) + b * cell->units, cell->units * sizeof(real));
}

/* After the last step: what is carried, and the outputs, with zeros at the steps that are left out. */
static void finish(const lstm__node *node, lstm_session *session, lstm__cell_tape *cell)
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

void lstm__cell_forward(const lstm__node *node, lstm_session *session, void *memory,
                        const real *bias, lstm__cell_step *step)
{
    lstm__cell_tape *cell = memory;
    start(node, session, cell);
    for (size_t done = 0; done < cell->steps; done += cell->segment) {
        const size_t left = cell->steps - done;
        const size_t count = left < cell->segment ? left : cell->segment;
        const size_t first = multiply_inputs(node, session, cell, done, count, bias);
        for (size_t s = done; s < done + count; s++) {
            step(node, session, memory, s, lstm__cell_gates(cell, first, s));
            hold(cell, s);
        }
    }
    finish(node, session, cell);
    lstm__cell_trace(cell, 0, 0);
}

void lstm__cell_trace(const lstm__cell_tape *cell, size_t place, real held)
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

void lstm__cell_back_start(const lstm__node *node, lstm_session *session,
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

void lstm__cell_back_output(const lstm__node *node, lstm_session *session,
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

void lstm__cell_back_hold(const lstm__cell_tape *cell, size_t step, real *gates, size_t columns)
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

void lstm__cell_back_mask(const lstm__cell_tape *cell, size_t gate)
{
    const size_t count = cell->batch * cell->units;
    for (size_t k = 0; k < count; k++)
        cell->carry[k] += cell->part[k] * cell->factors[gate * count + k];
}

void lstm__cell_back_product(const lstm__node *node, const lstm__cell_tape *cell, size_t first,
                             size_t gates, const real *d, size_t ld)
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

void lstm__cell_back_recurrent(const lstm__cell_tape *cell, size_t first, size_t gates,
                               const real *tape, size_t ld, real *du)
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

void lstm__cell_back_inputs(const lstm__node *node, lstm_session *session,
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
