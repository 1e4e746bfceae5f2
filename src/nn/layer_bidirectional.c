/* SPDX-License-Identifier: MIT
 * Bidirectional: the outputs of two recurrent layers over the same sequence, one of which goes
 * backwards, merged.
 *
 * Inputs: 0 = the forward layer, 1 = the backward layer, which are nodes of their own and may be of
 * any recurrent class (their option tables say so). Sequences of the backward layer come in its own
 * order and are turned round in time here. Ports: 0 = the merged output; without merging 0 = the
 * forward output and 1 = the backward output, turned round.
 *
 * As in Keras masked outputs are zeros where sequences are returned: define() sets
 * zero_output_for_mask of both layers. Under the PyTorch profile their parameters are called
 * NAME.weight_ih_l0 and NAME.weight_ih_l0_reverse.
 */
#include "constants.h"
#include "layer_ports.h"
#include "options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct buffers {
    real *turned; /* mul: the backward output, turned round; else unused */
} buffers;

static const lstm__option options[] = {
    LSTM__OPTION_OF("merge_mode", offsetof(lstm_bidirectional_options, merge_mode),
                    LSTM_NAMES_MERGE),
    LSTM__OPTIONS_END,
};

static int32_t merge_mode(const lstm__node *node)
{
    return ((const lstm_bidirectional_options *)node->options)->merge_mode;
}

/* A flag of a layer by its JSON name; NULL = its class has no such option. */
static int32_t *flag_of(const lstm__node *node, const char *key)
{
    for (const lstm__option *option = node->class->options; option->key; option++)
        if (option->kind == LSTM__OPTION_FLAG && strcmp(option->key, key) == 0)
            return (int32_t *)(void *)((unsigned char *)node->options + option->offset);
    return NULL;
}

static lstm_status check_direction(const lstm_layer *layer, int32_t wanted)
{
    const int32_t *backwards = flag_of(layer->node, "go_backwards");
    if (!backwards || layer->port != 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "layer \"%s\" is a %s: expected the output of a recurrent layer",
                          layer->node->name, layer->node->class->type);
    if (*backwards != wanted)
        return lstm__fail(
            LSTM_ERROR_ARGUMENT,
            "layer \"%s\" goes %s: expected the first layer to go forwards and the second to "
            "go backwards",
            layer->node->name, *backwards == LSTM_YES ? "backwards" : "forwards");
    return LSTM_OK;
}

static lstm_status define(lstm__node *node)
{
    lstm_bidirectional_options *own = node->options;
    RETURN_IF_ERROR(
        lstm__read_constant(&own->merge_mode, LSTM_MERGE_CONCAT, LSTM_NAMES_MERGE, "merge_mode"));
    if (node->input_count != 2)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "reads %d layer(s): expected a forward and a backward layer",
                          node->input_count);
    RETURN_IF_ERROR(check_direction(node->inputs[0], LSTM_NO));
    RETURN_IF_ERROR(check_direction(node->inputs[1], LSTM_YES));
    const lstm__shape forward = node->inputs[0]->node->shapes[0];
    const lstm__shape backward = node->inputs[1]->node->shapes[0];
    const bool free_width = own->merge_mode == LSTM_MERGE_CONCAT ||
                            own->merge_mode == LSTM_MERGE_NONE;
    if (forward.steps != backward.steps || (!free_width && forward.features != backward.features))
        return lstm__fail(
            LSTM_ERROR_SHAPE,
            "layer \"%s\" gives %lld steps of %lld features, layer \"%s\" %lld of %lld: "
            "cannot be merged by %s",
            node->inputs[0]->node->name, (long long)forward.steps, (long long)forward.features,
            node->inputs[1]->node->name, (long long)backward.steps, (long long)backward.features,
            lstm__constant_name(LSTM_NAMES_MERGE, own->merge_mode));
    for (int k = 0; k < 2; k++) {
        lstm__node *inner = node->inputs[k]->node;
        int32_t *zero = flag_of(inner, "zero_output_for_mask");
        if (zero && forward.steps != 0)
            *zero = LSTM_YES;
        if (node->model->profile == LSTM_PROFILE_TORCH) {
            if (!inner->stem[0])
                memcpy(inner->stem, node->name, sizeof inner->stem);
            inner->suffix = k == 0 ? "" : "_reverse";
        }
    }
    node->port_count = own->merge_mode == LSTM_MERGE_NONE ? 2 : 1;
    node->shapes[0] = forward;
    node->shapes[1] = backward;
    if (own->merge_mode == LSTM_MERGE_CONCAT)
        node->shapes[0].features += backward.features;
    return LSTM_OK;
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *own = memory;
    const size_t rows = lstm__session_max_rows(session, node->shapes[0]);
    for (int k = 0; k < node->port_count; k++)
        lstm__plan_port(node, session, k, arena);
    own->turned = NULL;
    if (merge_mode(node) == LSTM_MERGE_MUL)
        own->turned = lstm__carve(arena, rows, (size_t)node->shapes[0].features * sizeof(real));
}

/* to = (or +=) from, with the steps turned round. */
static void turn(const lstm_session *session, lstm__shape shape, size_t features, lstm__view from,
                 lstm__view to, bool accumulate)
{
    const size_t steps = shape.steps == 0 ? 1 : lstm__session_steps(session, shape);
    for (size_t t = 0; t < steps; t++)
        session->model->kernels->copy_rows(
            session->batch, features, from.data + (steps - 1 - t) * session->batch * from.stride,
            from.stride, to.data + t * session->batch * to.stride, to.stride, accumulate);
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *own = memory;
    const lstm__kernels *kernels = session->model->kernels;
    const lstm__shape shape = node->shapes[0];
    const int32_t mode = merge_mode(node);
    const size_t rows = lstm__session_rows(session, shape);
    const lstm__port *first = lstm__session_port(session, node->inputs[0]);
    const lstm__port *second = lstm__session_port(session, node->inputs[1]);
    const size_t width = (size_t)node->inputs[0]->node->shapes[0].features;
    const size_t second_width = (size_t)node->inputs[1]->node->shapes[0].features;
    const lstm__view out = lstm__session_own(session, node, 0)->value;
    kernels->copy_rows(rows, width, first->value.data, first->value.stride, out.data, out.stride,
                       0);
    if (mode == LSTM_MERGE_CONCAT)
        turn(session, shape, second_width, second->value,
             (lstm__view){out.data + width, out.stride}, false);
    else if (mode == LSTM_MERGE_SUM || mode == LSTM_MERGE_AVE)
        turn(session, shape, second_width, second->value, out, true);
    if (mode == LSTM_MERGE_AVE)
        kernels->scale(rows * width, (real)0.5, out.data);
    if (mode == LSTM_MERGE_MUL) {
        turn(session, shape, width, second->value, (lstm__view){own->turned, width}, false);
        for (size_t k = 0; k < rows * width; k++)
            out.data[k] *= own->turned[k];
    }
    if (mode == LSTM_MERGE_NONE) {
        lstm__port *other = lstm__session_own(session, node, 1);
        turn(session, shape, second_width, second->value, other->value, false);
        other->mask = first->mask;
    }
}

/* Gradients of a product's factors. */
static void multiply_back(lstm_session *session, const lstm__node *node, const buffers *own)
{
    const lstm__port *port = lstm__session_own(session, node, 0);
    lstm__port *first = lstm__session_port(session, node->inputs[0]);
    lstm__port *second = lstm__session_port(session, node->inputs[1]);
    const size_t width = port->value.stride;
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    for (size_t row = 0; row < rows; row++)
        for (size_t f = 0; f < width; f++) {
            const real dy = port->gradient.data[row * port->gradient.stride + f];
            real *dx = first->gradient.data + row * first->gradient.stride + f;
            real *other = own->turned + row * width + f;
            *dx = (first->written ? *dx : 0) + dy * *other;
            *other = dy * first->value.data[row * first->value.stride + f];
        }
    turn(session, node->shapes[0], width, (lstm__view){own->turned, width}, second->gradient,
         second->written);
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    const lstm__kernels *kernels = session->model->kernels;
    const int32_t mode = merge_mode(node);
    const size_t rows = lstm__session_rows(session, node->shapes[0]);
    lstm__port *port = lstm__session_own(session, node, 0);
    lstm__port *first = lstm__session_port(session, node->inputs[0]);
    lstm__port *second = lstm__session_port(session, node->inputs[1]);
    const size_t width = (size_t)node->inputs[0]->node->shapes[0].features;
    const size_t second_width = (size_t)node->inputs[1]->node->shapes[0].features;
    lstm__view dy = port->gradient;
    if (mode == LSTM_MERGE_MUL) {
        multiply_back(session, node, memory);
        first->written = second->written = true;
        return;
    }
    if (mode == LSTM_MERGE_AVE)
        kernels->scale(rows * width, (real)0.5, dy.data);
    if (port->written) {
        kernels->copy_rows(rows, width, dy.data, dy.stride, first->gradient.data,
                           first->gradient.stride, first->written);
        first->written = true;
    }
    if (mode == LSTM_MERGE_CONCAT)
        dy.data += width;
    if (mode == LSTM_MERGE_NONE) {
        port = lstm__session_own(session, node, 1);
        dy = port->gradient;
    }
    if (port->written) {
        turn(session, node->shapes[0], second_width, dy, second->gradient, second->written);
        second->written = true;
    }
}

const lstm__layer_class lstm__class_bidirectional = {
    .type = "Bidirectional",
    .name_stem = "bidirectional",
    .options_size = sizeof(lstm_bidirectional_options),
    .options = options,
    .mask = LSTM__MASK_KEEP,
    .least_inputs = 2,
    .most_inputs = 2,
    .plan_size = sizeof(buffers),
    .define = define,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
