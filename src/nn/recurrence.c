/* SPDX-License-Identifier: MIT
 * The recurrence of one LSTM: forward and back-propagation through time.
 *
 * Forward, concat route: one product [h(t-1), x(t)] W a step. Split route: the x rows of W for `segment` steps at once,
 * then h(t-1) times the h rows in the loop. Backward: gates_backward gives dA (pre-activations) of step t, dA W^T gives
 * d[h(t-1), x(t)] as one product (or only its h part), and dW = rows^T dA is one product over all steps after the loop.
 *
 * Samples of a batch never meet inside the time loop, so it is split by samples into fixed chunks that the context's
 * threads take. The chunks do not depend on the number of threads: that keeps the bits equal.
 */
#include "recurrence.h"
#include "product.h"

#include <string.h>

enum { CHUNK = 32, SEGMENT = 32 };

typedef struct job {
    const lstm__recurrence *r;
    const lstm__recurrence_call *call;
    size_t first_step, last_step; /* forward: of this segment */
    bool multiplied;              /* gates already hold x W */
} job;

int32_t lstm__recurrence_route(size_t batch, size_t steps, size_t input, size_t hidden, bool training)
{
    (void)training;
    (void)hidden;
    /* One sample at a time or a single step: nothing to gather. Otherwise the large product is the faster one, unless x
     * is so narrow that it adds next to nothing to the step's product. docs/design/routes.md has the measurements. */
    if (steps < 2 || (batch >= 4 && input <= 8))
        return LSTM_ROUTE_CONCAT;
    return LSTM_ROUTE_SPLIT;
}

static size_t row_width(const lstm__recurrence *r)
{
    return r->hidden + r->input;
}

void lstm__recurrence_plan(lstm__recurrence *r, lstm__arena *arena)
{
    const size_t width = row_width(r);
    const size_t steps = r->training ? r->max_steps : 1;
    r->segment = r->training ? r->max_steps : (r->max_steps < SEGMENT ? r->max_steps : SEGMENT);
    const size_t gate_steps = r->training ? r->max_steps : r->route == LSTM_ROUTE_SPLIT ? r->segment : 1;
    size_t blocks = steps + (r->training ? 1 : 0);
    size_t rows = 0;
    size_t gate_rows = 0;
    size_t cell_rows = 0;
    if (!lstm__mul(blocks, r->max_batch, &rows) || !lstm__mul(gate_steps, r->max_batch, &gate_rows)
        || !lstm__mul(steps + (r->training ? 1 : 0), r->max_batch, &cell_rows))
        arena->overflow = true;
    r->rows = lstm__carve(arena, rows, width * sizeof(real));
    r->gates = lstm__carve(arena, gate_rows, 4 * r->hidden * sizeof(real));
    r->c = lstm__carve(arena, cell_rows, r->hidden * sizeof(real));
    r->tanh_c = r->training ? lstm__carve(arena, gate_rows, r->hidden * sizeof(real)) : NULL;
    r->d_rows = r->training ? lstm__carve(arena, r->max_batch, width * sizeof(real)) : NULL;
    r->dc = r->training ? lstm__carve(arena, r->max_batch, r->hidden * sizeof(real)) : NULL;
}

/* Block t of each buffer: of the tape while training, the only one else. */
static real *rows_at(const job *j, size_t t)
{
    const size_t block = j->r->training ? t : 0;
    return j->r->rows + block * j->call->batch * row_width(j->r);
}
static real *gates_at(const job *j, size_t t)
{
    const lstm__recurrence *r = j->r;
    const size_t block = r->training ? t : r->route == LSTM_ROUTE_SPLIT ? t - j->first_step : 0;
    return r->gates + block * j->call->batch * 4 * r->hidden;
}
static real *cell_at(const job *j, size_t t)
{
    const size_t block = j->r->training ? t : 0;
    return j->r->c + block * j->call->batch * j->r->hidden;
}
static real *tanh_at(const job *j, size_t t)
{
    return j->r->training ? j->r->tanh_c + t * j->call->batch * j->r->hidden : NULL;
}
static const real *x_at(const job *j, size_t t)
{
    const lstm__recurrence_call *call = j->call;
    const size_t source = call->reverse ? call->steps - 1 - t : t;
    return call->x.data + source * call->batch * call->x.stride;
}

static void set_rows(const lstm__kernels *kernels, size_t rows, size_t columns, lstm__view from, size_t first, real *to,
                     size_t stride)
{
    if (from.data)
        kernels->copy_rows(rows, columns, from.data + first * from.stride, from.stride, to, stride, 0);
    else
        kernels->fill_rows(rows, columns, NULL, to, stride);
}

/* Samples first .. last-1 through the steps of one segment. */
static void forward_samples(const job *j, size_t first, size_t last)
{
    const lstm__recurrence *r = j->r;
    const lstm__recurrence_call *call = j->call;
    const size_t count = last - first;
    const size_t width = row_width(r);
    const size_t hidden = r->hidden;
    const bool copy_x = r->training || !j->multiplied;
    for (size_t t = j->first_step; t < j->last_step; t++) {
        real *rows = rows_at(j, t) + first * width;
        real *gates = gates_at(j, t) + first * 4 * hidden;
        if (copy_x && !(r->training && j->multiplied))
            r->kernels->copy_rows(count, r->input, x_at(j, t) + first * call->x.stride, call->x.stride, rows + hidden,
                                  width, 0);
        lstm__gemm(0, 0, count, 4 * hidden, j->multiplied ? hidden : width, rows, width, call->weights, 4 * hidden,
                   j->multiplied ? 1 : 0, gates, 4 * hidden);
        real *h = rows_at(j, t + 1) + first * width;
        r->kernels->gates_forward(count, hidden, gates, 4 * hidden, call->bias, cell_at(j, t) + first * hidden,
                                  cell_at(j, t + 1) + first * hidden,
                                  r->training ? tanh_at(j, t) + first * hidden : NULL, h, width);
        if (call->y.data)
            r->kernels->copy_rows(count, hidden, h, width,
                                  call->y.data + (t * call->batch + first) * call->y.stride, call->y.stride, 0);
    }
}

static size_t chunk_count(size_t batch)
{
    return (batch + CHUNK - 1) / CHUNK;
}

static size_t chunk_end(size_t batch, size_t chunk)
{
    return (chunk + 1) * CHUNK < batch ? (chunk + 1) * CHUNK : batch;
}

static void forward_task(void *argument, int32_t index)
{
    const job *j = argument;
    const size_t chunk = (size_t)index;
    forward_samples(j, chunk * CHUNK, chunk_end(j->call->batch, chunk));
}

/* x W for the steps of a segment, as one product. */
static void multiply_inputs(const job *j)
{
    const lstm__recurrence *r = j->r;
    const lstm__recurrence_call *call = j->call;
    const size_t count = j->last_step - j->first_step;
    const size_t width = row_width(r);
    const real *weights = call->weights + r->hidden * 4 * r->hidden;
    if (r->training) {
        for (size_t t = j->first_step; t < j->last_step; t++)
            r->kernels->copy_rows(call->batch, r->input, x_at(j, t), call->x.stride, rows_at(j, t) + r->hidden, width, 0);
        lstm__gemm(0, 0, count * call->batch, 4 * r->hidden, r->input, rows_at(j, j->first_step) + r->hidden, width, weights,
                   4 * r->hidden, 0, gates_at(j, j->first_step), 4 * r->hidden);
    } else if (!call->reverse) {
        lstm__gemm(0, 0, count * call->batch, 4 * r->hidden, r->input, x_at(j, j->first_step), call->x.stride, weights,
                   4 * r->hidden, 0, gates_at(j, j->first_step), 4 * r->hidden);
    } else {
        for (size_t t = j->first_step; t < j->last_step; t++)
            lstm__gemm(0, 0, call->batch, 4 * r->hidden, r->input, x_at(j, t), call->x.stride, weights, 4 * r->hidden, 0,
                       gates_at(j, t), 4 * r->hidden);
    }
}

void lstm__recurrence_forward(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    if (call->batch == 0)
        return;
    job j = {.r = r, .call = call, .multiplied = r->route == LSTM_ROUTE_SPLIT};
    set_rows(r->kernels, call->batch, r->hidden, call->h0, 0, rows_at(&j, 0), row_width(r));
    set_rows(r->kernels, call->batch, r->hidden, call->c0, 0, cell_at(&j, 0), r->hidden);
    const size_t segment = j.multiplied && !r->training ? r->segment : call->steps;
    while (j.first_step < call->steps) {
        j.last_step = call->steps - j.first_step < segment ? call->steps : j.first_step + segment;
        if (j.multiplied)
            multiply_inputs(&j);
        lstm__parallel(r->context, (int32_t)chunk_count(call->batch), forward_task, &j);
        j.first_step = j.last_step;
    }
}

/* Gradient of the last h, from up to two sources, into the h part of d_rows. */
static void start_gradients(const job *j, size_t first, size_t count, real *d_rows, real *dc)
{
    const lstm__recurrence *r = j->r;
    const lstm__recurrence_call *call = j->call;
    const size_t width = row_width(r);
    set_rows(r->kernels, count, r->hidden, call->dhn[0], first, d_rows, width);
    if (call->dhn[1].data)
        r->kernels->copy_rows(count, r->hidden, call->dhn[1].data + first * call->dhn[1].stride, call->dhn[1].stride, d_rows,
                              width, 1);
    set_rows(r->kernels, count, r->hidden, call->dcn, first, dc, r->hidden);
}

static void backward_samples(const job *j, size_t first, size_t last)
{
    const lstm__recurrence *r = j->r;
    const lstm__recurrence_call *call = j->call;
    const size_t count = last - first;
    const size_t width = row_width(r);
    const size_t hidden = r->hidden;
    const bool dx_inside = call->dx.data && r->route == LSTM_ROUTE_CONCAT;
    real *d_rows = r->d_rows + first * width;
    real *dc = r->dc + first * hidden;
    start_gradients(j, first, count, d_rows, dc);
    for (size_t t = call->steps; t-- > 0;) {
        real *gates = gates_at(j, t) + first * 4 * hidden;
        const real *dy = call->dy.data ? call->dy.data + (t * call->batch + first) * call->dy.stride : NULL;
        r->kernels->gates_backward(count, hidden, gates, 4 * hidden, cell_at(j, t) + first * hidden,
                                   tanh_at(j, t) + first * hidden, dy, call->dy.stride, d_rows, width, dc);
        if (t == 0 && !dx_inside && !call->dh0.data)
            break;
        lstm__gemm(0, 1, count, dx_inside ? width : hidden, 4 * hidden, gates, 4 * hidden, call->weights, 4 * hidden, 0,
                   d_rows, width);
        if (dx_inside) {
            const size_t target = call->reverse ? call->steps - 1 - t : t;
            r->kernels->copy_rows(count, r->input, d_rows + hidden, width,
                                  call->dx.data + (target * call->batch + first) * call->dx.stride, call->dx.stride,
                                  call->add_dx);
        }
    }
    if (call->dh0.data)
        r->kernels->copy_rows(count, hidden, d_rows, width, call->dh0.data + first * call->dh0.stride, call->dh0.stride,
                              call->add_dh0);
    if (call->dc0.data)
        r->kernels->copy_rows(count, hidden, dc, hidden, call->dc0.data + first * call->dc0.stride, call->dc0.stride,
                              call->add_dc0);
}

static void backward_task(void *argument, int32_t index)
{
    const job *j = argument;
    const size_t chunk = (size_t)index;
    backward_samples(j, chunk * CHUNK, chunk_end(j->call->batch, chunk));
}

void lstm__recurrence_backward(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    const size_t width = row_width(r);
    const size_t columns = 4 * r->hidden;
    const size_t rows = call->batch * call->steps;
    const real *weights_x = call->weights + r->hidden * columns;
    job j = {.r = r, .call = call};
    if (call->batch > 0)
        lstm__parallel(r->context, (int32_t)chunk_count(call->batch), backward_task, &j);
    if (call->dx.data && r->route == LSTM_ROUTE_SPLIT) {
        if (!call->reverse)
            lstm__gemm(0, 1, rows, r->input, columns, r->gates, columns, weights_x, columns, call->add_dx, call->dx.data,
                       call->dx.stride);
        else
            for (size_t t = 0; t < call->steps; t++)
                lstm__gemm(0, 1, call->batch, r->input, columns, gates_at(&j, t), columns, weights_x, columns, call->add_dx,
                           call->dx.data + (call->steps - 1 - t) * call->batch * call->dx.stride, call->dx.stride);
    }
    if (call->dweights)
        lstm__gemm(1, 0, width, columns, rows, r->rows, width, r->gates, columns, 0, call->dweights, columns);
    if (call->dbias)
        r->kernels->column_sum(rows, columns, r->gates, columns, call->dbias, 0);
}

lstm__view lstm__recurrence_h(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    const job j = {.r = r, .call = call};
    return (lstm__view){rows_at(&j, call->steps), row_width(r)};
}

lstm__view lstm__recurrence_c(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    const job j = {.r = r, .call = call};
    return (lstm__view){cell_at(&j, call->steps), r->hidden};
}

lstm__view lstm__recurrence_outputs(const lstm__recurrence *r, const lstm__recurrence_call *call)
{
    const job j = {.r = r, .call = call};
    return (lstm__view){rows_at(&j, 1), row_width(r)};
}
