/* SPDX-License-Identifier: MIT
 * Sessions: laying out all buffers in one block, and running the nodes forward and backward.
 *
 * Forward runs the nodes in order, backward in reverse order. A port's gradient has no value until
 * somebody writes it: the first writer overwrites, later ones add (`written`), so nothing has to be
 * cleared. A node none of whose outputs got a gradient is skipped, and its parameter gradients are
 * zero.
 */
#include "session.h"
#include "batch_order.h"
#include "checked.h"
#include "penalties.h"
#include "row_tables.h"

#include <string.h>

/* bytes of a node's plan struct; of a block that is worth keeping */
enum { LARGEST_PLAN = 2048, LEAST_SPARE = 4 << 20 };

size_t lstm__session_steps(const lstm_session *session, lstm__shape shape)
{
    return shape.steps < 0 || (session->pieces && shape.steps > 0) ? session->steps
                                                                   : (size_t)shape.steps;
}

size_t lstm__session_rows(const lstm_session *session, lstm__shape shape)
{
    return shape.steps == 0 ? session->batch : session->batch * lstm__session_steps(session, shape);
}

size_t lstm__session_max_steps(const lstm_session *session, lstm__shape shape)
{
    return shape.steps < 0 || (session->pieces && shape.steps > 0) ? session->max_steps
                                                                   : (size_t)shape.steps;
}

/* SIZE_MAX where it overflows, which the arena then refuses. */
size_t lstm__session_max_rows(const lstm_session *session, lstm__shape shape)
{
    size_t rows = 0;
    if (!lstm__mul(session->max_batch,
                   shape.steps == 0 ? 1 : lstm__session_max_steps(session, shape), &rows))
        return SIZE_MAX;
    return rows;
}

/* ---- Layout */

static void lay_out(lstm_session *session, lstm__arena *arena)
{
    const lstm_model *model = session->model;
    session->ports = lstm__carve(arena, model->port_count, sizeof *session->ports);
    session->plans = lstm__carve(arena, model->node_count, sizeof *session->plans);
    session->order = lstm__carve(arena, session->max_batch, sizeof *session->order);
    session->ends = lstm__carve(arena, session->max_batch, sizeof *session->ends);
    if (arena->base) {
        memset(session->ports, 0, model->port_count * sizeof *session->ports);
        memset(session->plans, 0, model->node_count * sizeof *session->plans);
    }
    /* While measuring there is no plan struct yet: each node gets a zeroed one on the stack, large
     * enough for all. */
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        unsigned char measured[LARGEST_PLAN] = {0};
        void *plan = lstm__carve(arena, 1, node->class->plan_size);
        if (arena->base) {
            memset(plan, 0, node->class->plan_size);
            session->plans[k] = plan;
        }
        node->class->plan(node, session, arena->base ? plan : (void *)measured, arena);
    }
    if (!session->training)
        return;
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        if (!session->input_gradients && !node->learns)
            continue;
        for (int port = 0; port < node->port_count; port++) {
            if (node->readers[port] == 0)
                continue;
            const size_t features = (size_t)node->shapes[port].features;
            const size_t table = lstm__session_table(session, &node->ports[port]);
            const size_t rows = table ? table : lstm__session_max_rows(session, node->shapes[port]);
            size_t bytes = 0;
            if (!lstm__mul(features, sizeof(real), &bytes))
                arena->overflow = true;
            const lstm__view gradient = {lstm__carve(arena, rows, bytes), features};
            if (arena->base)
                lstm__session_own(session, node, port)->gradient = gradient;
        }
    }
    session->gradients = lstm__carve(arena, model->value_count, sizeof(real));
}

static lstm_status check_plans(const lstm_model *model)
{
    for (size_t k = 0; k < model->node_count; k++)
        if (model->nodes[k]->class->plan_size > LARGEST_PLAN)
            return lstm__fail(LSTM_ERROR_UNSUPPORTED, "layer type %s plans more than %d bytes",
                              model->nodes[k]->class->type, LARGEST_PLAN);
    return LSTM_OK;
}

lstm_status lstm__session_create(lstm_session **out, lstm_model *model, bool training,
                                 bool input_gradients, size_t batch, size_t steps, uint64_t seed)
{
    return lstm__session_create_as(out, model,
                                   &(lstm__session_wish){.training = training,
                                                         .input_gradients = input_gradients,
                                                         .batch = batch,
                                                         .steps = steps,
                                                         .seed = seed});
}

/* A block of *room bytes or, which *room then says, more. */
static void *take_block(lstm_model *model, size_t *room, bool retires)
{
    lstm_session *spare = atomic_exchange(&model->spare, NULL);
    if (spare && spare->room >= *room) {
        *room = spare->room;
        return spare;
    }
    lstm__release(model->context, spare);
    if (retires && *room >= LEAST_SPARE)
        *room += *room / 4;
    return lstm__allocate(model->context, *room);
}

lstm_status lstm__session_create_as(lstm_session **out, lstm_model *model,
                                    const lstm__session_wish *wish)
{
    *out = NULL;
    RETURN_IF_ERROR(check_plans(model));
    lstm_session plan = {.model = model,
                         .training = wish->training,
                         .input_gradients = wish->input_gradients,
                         .pieces = wish->pieces,
                         .traces = wish->traces,
                         .recompute = wish->recompute,
                         .carry_after = SIZE_MAX,
                         .max_batch = wish->batch,
                         .max_steps = wish->steps,
                         .seed = wish->seed,
                         .layout = LSTM_LAYOUT_BATCH_FIRST};
    lstm__arena arena = {NULL, 0, false};
    lstm__carve(&arena, 1, sizeof plan);
    lay_out(&plan, &arena);
    if (arena.overflow)
        return lstm__fail(
            LSTM_ERROR_MEMORY,
            "a session of %zu samples and %zu steps needs more memory than can be addressed",
            wish->batch, wish->steps);
    const size_t bytes = arena.used;
    size_t room = bytes;
    unsigned char *block = take_block(model, &room, wish->retires);
    if (!block)
        return lstm__fail_memory(bytes, "a session");
    arena = (lstm__arena){block, 0, false};
    lstm_session *session = lstm__carve(&arena, 1, sizeof plan);
    *session = plan;
    session->bytes = bytes;
    session->room = room;
    lay_out(session, &arena);
    if (session->gradients)
        memset(session->gradients, 0, model->value_count * sizeof(real));
    lstm__graph_acquire(model);
    *out = session;
    return LSTM_OK;
}

void lstm__session_destroy(lstm_session *session)
{
    if (!session)
        return;
    lstm_model *model = session->model;
    lstm__release(model->context, session->labelling);
    lstm__release(model->context, session);
    lstm__graph_release(model);
}

void lstm__session_retire(lstm_session *session)
{
    lstm_model *model = session->model;
    if (session->room < LEAST_SPARE) {
        lstm__session_destroy(session);
        return;
    }
    lstm__release(model->context, session->labelling);
    lstm__release(model->context, atomic_exchange(&model->spare, session));
    lstm__graph_release(model);
}

bool lstm__session_carries(const lstm_session *session)
{
    for (size_t k = 0; k < session->model->node_count; k++)
        if (lstm__session_carried(session, session->model->nodes[k]))
            return true;
    return false;
}

void lstm__session_order(lstm_session *session, lstm__batch *batch)
{
    lstm__batch own = *batch;
    session->ordered = false;
    if (lstm__session_carries(session))
        return;
    for (size_t k = 0; k < batch->count; k++)
        session->order[k] = lstm__batch_sample(batch, k);
    own.order = session->order;
    own.first = 0;
    session->ordered = lstm__batch_sort(session->model, &own, session->order, session->ends);
    if (session->ordered)
        *batch = own;
}

/* ---- Arrays in and out */

/* Steps of an input's array. */
size_t lstm__batch_steps(const lstm__batch *batch, lstm__shape shape)
{
    return shape.steps == 0 ? 1 : shape.steps < 0 ? batch->steps : (size_t)shape.steps;
}

/* Where the features of (sample, step) begin in a caller's array. */
static size_t place(int32_t layout, size_t samples, size_t steps, size_t features, size_t sample,
                    size_t step)
{
    const size_t row = layout == LSTM_LAYOUT_TIME_FIRST ? step * samples + sample
                                                        : sample * steps + step;
    return row * features;
}

lstm__padding lstm__batch_padding(const lstm__batch *batch, const lstm__node *input, size_t number)
{
    bool first = true;
    for (size_t k = 0; k < input->index; k++)
        first = first && (input->model->nodes[k]->class != &lstm__class_input ||
                          input->model->nodes[k]->shapes[0].steps == 0);
    if (input->shapes[0].steps == 0)
        return (lstm__padding){NULL, NULL};
    return (lstm__padding){batch->lengths_of ? batch->lengths_of[number]
                           : first           ? batch->lengths
                                             : NULL,
                           batch->masks_of ? batch->masks_of[number]
                           : first         ? batch->mask
                                           : NULL};
}

/* Which steps of an input are there. The mask is left out where all are. */
static void load_mask(lstm_session *session, const lstm__node *node, size_t input,
                      const lstm__batch *batch)
{
    lstm__port *port = lstm__session_own(session, node, 0);
    const size_t steps = lstm__session_steps(session, node->shapes[0]);
    const size_t all = lstm__batch_steps(batch, node->shapes[0]);
    const lstm__padding padding = lstm__batch_padding(batch, node, input);
    const int32_t *lengths = padding.lengths;
    const unsigned char *mask = padding.mask;
    const lstm__input_plan *own = session->plans[node->index];
    unsigned char *to = own->mask;
    uint32_t *ends = session->ends;
    bool whole = true;
    bool falling = !mask; /* lengths alone, the longest first */
    port->mask = NULL;
    if (!lengths && !mask)
        return;
    for (size_t b = 0; b < batch->count; b++) {
        ends[b] = lengths ? (uint32_t)lengths[lstm__batch_sample(batch, b)] : UINT32_MAX;
        falling = falling && (b == 0 || ends[b] <= ends[b - 1]);
    }
    size_t there = batch->count; /* samples of a step, where they fall */
    for (size_t t = 0; t < steps; t++, to += batch->count) {
        const size_t step = batch->piece_first + t;
        while (falling && there > 0 && ends[there - 1] <= step)
            there--;
        memset(to, 1, there);
        memset(to + there, 0, batch->count - there);
        whole = whole && there == batch->count;
        for (size_t b = 0; !falling && b < batch->count; b++) {
            const size_t sample = lstm__batch_sample(batch, b);
            to[b] = step < ends[b] &&
                    (!mask || mask[place(batch->layout, batch->samples, all, 1, sample, step)]);
            whole = whole && to[b];
        }
    }
    port->mask = whole ? NULL : own->mask;
}

/* Copies of a row that are too short for a call of memcpy are made here; others where no number changes
 * its type. */
static bool copies(size_t count)
{
    return sizeof(real) == sizeof(float) && count >= 8;
}

/* From NULL: zeros. */
static void read_numbers(size_t count, const float *from, real *to)
{
    if (from && copies(count))
        memcpy(to, from, count * sizeof *to);
    else
        for (size_t k = 0; k < count; k++)
            to[k] = from ? (real)from[k] : 0;
}

static void write_numbers(size_t count, const real *from, float *to)
{
    if (from && copies(count))
        memcpy(to, from, count * sizeof *to);
    else
        for (size_t k = 0; k < count; k++)
            to[k] = from ? (float)from[k] : 0;
}

/* Values of an input; steps that are not there become zeros, whatever the caller's array holds. */
static void load_input(lstm_session *session, const lstm__node *node, const float *values,
                       const lstm__batch *batch)
{
    const lstm__shape shape = node->shapes[0];
    const lstm__port *port = lstm__session_own(session, node, 0);
    const size_t features = (size_t)shape.features;
    const size_t steps = shape.steps == 0 ? 1 : lstm__session_steps(session, shape);
    const size_t all = lstm__batch_steps(batch, shape);
    const size_t skipped = shape.steps == 0 ? 0 : batch->piece_first;
    for (size_t b = 0; b < batch->count; b++) {
        const size_t sample = lstm__batch_sample(batch, b);
        for (size_t t = 0; t < steps; t++) {
            const float *from = values + place(batch->layout, batch->samples, all, features, sample,
                                               skipped + t);
            real *row = port->value.data + (t * batch->count + b) * features;
            const bool there = !port->mask || port->mask[t * batch->count + b];
            read_numbers(features, there ? from : NULL, row);
        }
    }
}

void lstm__session_export(const lstm_session *session, lstm__shape shape, lstm__view tensor,
                          int32_t layout, float *values)
{
    const size_t features = (size_t)shape.features;
    const size_t steps = shape.steps == 0 ? 1 : lstm__session_steps(session, shape);
    for (size_t t = 0; t < steps; t++)
        for (size_t b = 0; b < session->batch; b++) {
            float *to = values + place(layout, session->batch, steps, features,
                                       lstm__session_sample(session, b), t);
            const real *row = tensor.data ? tensor.data + (t * session->batch + b) * tensor.stride
                                          : NULL;
            write_numbers(features, row, to);
        }
}

void lstm__session_import(const lstm_session *session, lstm__shape shape, lstm__view tensor,
                          int32_t layout, const float *values)
{
    const size_t features = (size_t)shape.features;
    const size_t steps = shape.steps == 0 ? 1 : lstm__session_steps(session, shape);
    for (size_t t = 0; t < steps; t++)
        for (size_t b = 0; b < session->batch; b++) {
            const float *from = values + place(layout, session->batch, steps, features,
                                               lstm__session_sample(session, b), t);
            real *row = tensor.data + (t * session->batch + b) * tensor.stride;
            read_numbers(features, from, row);
        }
}

/* ---- Running */

void lstm__session_clear_gradients(lstm_session *session)
{
    for (size_t k = 0; k < session->model->port_count; k++) {
        session->ports[k].written = false;
        session->ports[k].at_logits = false;
    }
    session->gradient_given = false;
    session->backward_done = false;
    session->penalised = false;
}

void lstm__session_forward(lstm_session *session, const lstm__batch *batch)
{
    const lstm_model *model = session->model;
    session->batch = batch->count;
    session->steps = batch->piece_steps > 0 ? batch->piece_steps : batch->steps;
    session->layout = batch->layout;
    if (session->training && !session->fixed_update && session->forward_done)
        session->update++;
    lstm__session_clear_gradients(session);
    size_t input = 0;
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        if (node->class == &lstm__class_input) {
            load_mask(session, node, input, batch);
            load_input(session, node, batch->inputs[input++], batch);
            continue;
        }
        if (node->class->mask == LSTM__MASK_KEEP)
            lstm__session_own(session, node, 0)->mask =
                lstm__session_port(session, node->inputs[0])->mask;
        node->class->forward(node, session, session->plans[k]);
    }
    session->forward_done = true;
    session->tape_used = false;
}

lstm__carried *lstm__session_carried(const lstm_session *session, const lstm__node *node)
{
    return node->class->carries && node->class->carries(node, session->pieces) > 0
               ? node->class->carried(node, session->plans[node->index])
               : NULL;
}

void lstm__session_reset_states(lstm_session *session)
{
    for (size_t k = 0; k < session->model->node_count; k++) {
        lstm__carried *carried = lstm__session_carried(session, session->model->nodes[k]);
        if (carried)
            carried->batch = 0;
    }
}

void lstm__session_reset_pieces(lstm_session *session)
{
    for (size_t k = 0; k < session->model->node_count; k++) {
        const lstm__node *node = session->model->nodes[k];
        lstm__carried *carried = lstm__session_carried(session, node);
        if (carried && node->class->carries(node, false) == 0)
            carried->batch = 0;
    }
}

static bool has_gradient(lstm_session *session, const lstm__node *node)
{
    for (int port = 0; port < node->port_count; port++)
        if (lstm__session_own(session, node, port)->written)
            return true;
    return false;
}

static void clear_parameter_gradients(lstm_session *session, const lstm__node *node)
{
    const lstm_model *model = session->model;
    for (size_t k = 0; k < node->parameter_count; k++) {
        const lstm__parameter *parameter = &model->parameters[node->parameter_first + k];
        memset(session->gradients + parameter->offset, 0,
               lstm__parameter_size(parameter) * sizeof(real));
    }
}

void lstm__session_backward(lstm_session *session)
{
    const lstm_model *model = session->model;
    for (size_t k = model->node_count; k-- > 0;) {
        const lstm__node *node = model->nodes[k];
        if (!node->class->backward)
            continue;
        if (session->penalised)
            lstm__activity_gradient(session, node);
        if (has_gradient(session, node))
            node->class->backward(node, session, session->plans[k]);
        else
            clear_parameter_gradients(session, node);
    }
    if (session->penalised)
        lstm__penalty_gradients(session);
    session->gradient_given = false;
    session->backward_done = true;
    session->tape_used = true;
}
