/* SPDX-License-Identifier: MIT
 * Sequences in pieces: which models allow it, which steps a piece's pass reads, and saving what is
 * carried between passes.
 */
#include "pieces.h"
#include "layer_ports.h"

#include <string.h>

/* ---- Checks */

static bool touches_sequence(const lstm__node *node)
{
    for (int k = 0; k < node->input_count; k++)
        if (lstm__input_shape(node, k).steps != 0)
            return true;
    return node->shapes[0].steps != 0;
}

bool lstm__always_piecewise(const lstm__node *node)
{
    (void)node;
    return true;
}

static bool is_piecewise(const lstm__node *node)
{
    if (node->class == &lstm__class_input || !touches_sequence(node))
        return true;
    return node->class->piecewise ? node->class->piecewise(node) : node->class->stepwise;
}

/* All sequences have the same number of steps. */
static lstm_status check_steps(const lstm_model *model, size_t free_steps, size_t *steps)
{
    const lstm__node *first = NULL;
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        if (node->class != &lstm__class_input || node->shapes[0].steps == 0)
            continue;
        const size_t own = node->shapes[0].steps < 0 ? free_steps : (size_t)node->shapes[0].steps;
        if (first && own != *steps)
            return lstm__fail(LSTM_ERROR_ARGUMENT,
                              "tbptt_k1 is set: input \"%s\" has %zu steps, input \"%s\" %zu: "
                              "expected as many",
                              first->name, *steps, node->name, own);
        first = node;
        *steps = own;
    }
    if (!first)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "tbptt_k1 is set, but no input of the model is a sequence");
    return LSTM_OK;
}

static lstm_status check_layers(const lstm_model *model)
{
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        if (!is_piecewise(node))
            return lstm__fail(LSTM_ERROR_ARGUMENT,
                              "tbptt_k1 is set, but layer \"%s\" (%s) needs its sequence whole: "
                              "expected layers whose outputs at a step follow from the steps up "
                              "to it (recurrent layers with return_sequences that go forwards, "
                              "and layers that treat each step alone)",
                              node->name, node->class->type);
    }
    for (size_t k = 0; k < model->output_count; k++) {
        const lstm_layer *layer = model->outputs[k];
        if (layer->node->shapes[layer->port].steps == 0)
            return lstm__fail(
                LSTM_ERROR_ARGUMENT,
                "tbptt_k1 is set, but output \"%s\" is a vector: expected a sequence, "
                "so that each piece has a loss",
                layer->node->name);
    }
    return LSTM_OK;
}

lstm_status lstm__pieces_read(lstm__pieces *pieces, const lstm_model *model, int64_t k1, int64_t k2,
                              size_t steps)
{
    *pieces = (lstm__pieces){0};
    if (k1 == 0 && k2 == 0)
        return LSTM_OK;
    k2 = k2 == 0 ? k1 : k2;
    if (k1 < 1 || k2 < k1)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "tbptt_k1 is %lld and tbptt_k2 %lld: expected 1 <= tbptt_k1 <= tbptt_k2",
                          (long long)k1, (long long)k2);
    size_t all = 0;
    RETURN_IF_ERROR(check_steps(model, steps, &all));
    RETURN_IF_ERROR(check_layers(model));
    const size_t most = all > 0 ? all : 1;
    pieces->steps = all;
    pieces->k1 = (uint64_t)k1 < most ? (size_t)k1 : most;
    pieces->k2 = (uint64_t)k2 < most ? (size_t)k2 : most;
    pieces->count = (most + pieces->k1 - 1) / pieces->k1;
    return LSTM_OK;
}

/* ---- Passes */

/* The first step that a piece's pass reads. */
static size_t first_of(const lstm__pieces *pieces, size_t number)
{
    const size_t begin = number * pieces->k1;
    const size_t back = pieces->k2 - pieces->k1;
    return begin > back ? begin - back : 0;
}

size_t lstm__pieces_take(const lstm__pieces *pieces, size_t number, lstm__batch *batch)
{
    const size_t begin = number * pieces->k1;
    const size_t left = pieces->steps - begin;
    const size_t first = first_of(pieces, number);
    batch->piece_first = first;
    batch->piece_steps = begin - first + (left < pieces->k1 ? left : pieces->k1);
    batch->piece_skip = begin - first;
    return number + 1 < pieces->count ? first_of(pieces, number + 1) - first : SIZE_MAX;
}

size_t lstm__pieces_longest(const lstm__pieces *pieces)
{
    return pieces->k2;
}

/* ---- States */

/* The nodes of a model that carry states, one after the other. */
static const lstm__node *next_carrier(const lstm_model *model, bool pieces, size_t *at)
{
    while (*at < model->node_count) {
        const lstm__node *node = model->nodes[(*at)++];
        if (node->class->carries && node->class->carries(node, pieces) > 0)
            return node;
    }
    return NULL;
}

lstm_status lstm__states_create(lstm__states *states, const lstm_model *model, size_t batch,
                                bool pieces)
{
    *states = (lstm__states){0};
    bool fits = true;
    size_t at = 0;
    for (const lstm__node *node = NULL; (node = next_carrier(model, pieces, &at));) {
        size_t own = 0;
        fits = fits && lstm__mul(node->class->carries(node, pieces), batch, &own) &&
               lstm__add(states->values, own, &states->values);
        states->nodes++;
    }
    if (states->nodes == 0)
        return LSTM_OK;
    size_t bytes = 0;
    size_t head = 0;
    if (!fits || !lstm__mul(states->values, sizeof(real), &bytes) ||
        !lstm__mul(states->nodes, sizeof *states->batches, &head) ||
        !lstm__add(bytes, head, &bytes))
        return lstm__fail(LSTM_ERROR_MEMORY,
                          "the carried states need more memory than can be addressed");
    states->batches = lstm__allocate_zeroed(model->context, bytes);
    if (!states->batches)
        return lstm__fail_memory(bytes, "the carried states");
    states->numbers = (real *)(void *)(states->batches + states->nodes);
    return LSTM_OK;
}

void lstm__states_destroy(lstm__states *states, lstm_context *context)
{
    lstm__release(context, states->batches);
    *states = (lstm__states){0};
}

void lstm__states_save(lstm__states *states, const lstm_session *session)
{
    real *to = states->numbers;
    size_t at = 0;
    size_t number = 0;
    for (const lstm__node *node = NULL;
         (node = next_carrier(session->model, session->pieces, &at));) {
        const lstm__carried *carried = lstm__session_carried(session, node);
        states->batches[number++] = (int64_t)carried->batch;
        for (int k = 0; k < (carried->c ? 2 : 1); k++) {
            const size_t units = k == 0 ? carried->units : carried->cell_units;
            const size_t each = session->max_batch * units;
            const size_t used = carried->batch * units;
            memcpy(to, k == 0 ? carried->h : carried->c, used * sizeof *to);
            memset(to + used, 0, (each - used) * sizeof *to);
            to += each;
        }
    }
}

void lstm__states_restore(const lstm__states *states, lstm_session *session)
{
    const real *from = states->numbers;
    size_t at = 0;
    size_t number = 0;
    for (const lstm__node *node = NULL;
         (node = next_carrier(session->model, session->pieces, &at));) {
        lstm__carried *carried = lstm__session_carried(session, node);
        carried->batch = (size_t)states->batches[number++];
        for (int k = 0; k < (carried->c ? 2 : 1); k++) {
            const size_t each = session->max_batch *
                                (k == 0 ? carried->units : carried->cell_units);
            memcpy(k == 0 ? carried->h : carried->c, from, each * sizeof *from);
            from += each;
        }
    }
}
