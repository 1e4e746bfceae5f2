/* SPDX-License-Identifier: MIT
 * What most layers do with their ports: shapes of inputs, an output buffer of their own, the
 * gradient at an input.
 */
#ifndef LSTM_NN_LAYER_PORTS_H
#define LSTM_NN_LAYER_PORTS_H

#include "session.h"

static inline lstm__shape lstm__input_shape(const lstm__node *node, int input)
{
    return node->inputs[input]->node->shapes[node->inputs[input]->port];
}

static inline lstm__view lstm__input_value(const lstm__node *node, lstm_session *session, int input)
{
    return lstm__session_port(session, node->inputs[input])->value;
}

static inline const unsigned char *lstm__input_mask(const lstm__node *node, lstm_session *session,
                                                    int input)
{
    return lstm__session_port(session, node->inputs[input])->mask;
}

/* rows x features numbers; a product that overflows is the arena's to refuse. */
static inline real *lstm__carve_matrix(lstm__arena *arena, size_t rows, size_t features)
{
    size_t bytes = 0;
    if (!lstm__mul(features, sizeof(real), &bytes))
        arena->overflow = true;
    return lstm__carve(arena, rows, bytes);
}

/* A compact buffer for the value of a port. */
static inline void lstm__plan_port(const lstm__node *node, lstm_session *session, int port,
                                   lstm__arena *arena)
{
    const size_t features = (size_t)node->shapes[port].features;
    const lstm__view value = {
        lstm__carve_matrix(arena, lstm__session_max_rows(session, node->shapes[port]), features),
        features};
    if (arena->base)
        lstm__session_own(session, node, port)->value = value;
}

/* For layers whose only buffer is the output. */
static inline void lstm__plan_output(const lstm__node *node, lstm_session *session, void *memory,
                                     lstm__arena *arena)
{
    (void)memory;
    lstm__plan_port(node, session, 0, arena);
}

/* The gradient of a port, data NULL if nobody wrote one. */
static inline lstm__view lstm__own_gradient(lstm_session *session, const lstm__node *node, int port)
{
    const lstm__port *own = lstm__session_own(session, node, port);
    return own->written ? own->gradient : (lstm__view){NULL, 0};
}

/* The place of the gradient of an input, data NULL if it is not wanted; *add: add to what is there.
 * It then counts as written. */
static inline lstm__view lstm__take_gradient(const lstm__node *node, lstm_session *session,
                                             int input, bool *add)
{
    lstm__port *port = lstm__session_port(session, node->inputs[input]);
    *add = port->written;
    port->written = port->gradient.data != NULL;
    return port->gradient;
}

static inline size_t lstm__parameter_offset(const lstm__node *node, size_t parameter)
{
    return node->model->parameters[node->parameter_first + parameter].offset;
}

static inline const real *lstm__values_of(const lstm__node *node, size_t parameter)
{
    return node->model->values + lstm__parameter_offset(node, parameter);
}

static inline real *lstm__gradients_of(const lstm__node *node, lstm_session *session,
                                       size_t parameter)
{
    return session->gradients + lstm__parameter_offset(node, parameter);
}

/* A vector of parameters of one layer. */
static inline lstm_status lstm__declare_vector(lstm__node *node, const char *keras_name,
                                               const char *torch_name, size_t count,
                                               int32_t initializer)
{
    size_t offset = 0;
    RETURN_IF_ERROR(lstm__graph_reserve(node->model, count, &offset));
    return lstm__graph_add_parameter(node, &(lstm__parameter_spec){.keras_name = keras_name,
                                                                   .torch_name = torch_name,
                                                                   .offset = offset,
                                                                   .rows = 1,
                                                                   .columns = count,
                                                                   .rank = 1,
                                                                   .initializer = initializer,
                                                                   .fan_in = count,
                                                                   .fan_out = count,
                                                                   .units = count});
}

/* Refuse an input that is no sequence. */
static inline lstm_status lstm__need_sequence(const lstm__node *node, int input)
{
    const lstm__shape in = lstm__input_shape(node, input);
    if (in.steps != 0)
        return LSTM_OK;
    return lstm__fail(
        LSTM_ERROR_SHAPE,
        "reads layer \"%s\", a vector of %lld features: expected a sequence (steps, features)",
        node->inputs[input]->node->name, (long long)in.features);
}

#endif
