/* SPDX-License-Identifier: MIT
 * Reverse: y(t) = x(T - 1 - t), a sequence turned round in time, its mask with it. Behind a layer
 * with go_backwards it brings the outputs back into the order of the input.
 */
#include "layer_ports.h"

#include <string.h>

typedef struct buffers {
    unsigned char *mask; /* [steps][batch], turned round */
} buffers;

static const lstm__option options[] = {
    LSTM__OPTIONS_END,
};

static lstm_status define(lstm__node *node)
{
    RETURN_IF_ERROR(lstm__need_sequence(node, 0));
    node->port_count = 1;
    node->shapes[0] = lstm__input_shape(node, 0);
    return LSTM_OK;
}

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *b = memory;
    b->mask = lstm__carve(arena, lstm__session_max_rows(session, node->shapes[0]), 1);
    lstm__plan_port(node, session, 0, arena);
}

/* to(t) = (or +=) from(T - 1 - t). */
static void turn(const lstm_session *session, const lstm__node *node, lstm__view from,
                 lstm__view to, int add)
{
    const size_t steps = lstm__session_steps(session, node->shapes[0]);
    for (size_t t = 0; t < steps; t++)
        session->model->kernels->copy_rows(
            session->batch, (size_t)node->shapes[0].features,
            from.data + (steps - 1 - t) * session->batch * from.stride, from.stride,
            to.data + t * session->batch * to.stride, to.stride, add);
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const size_t steps = lstm__session_steps(session, node->shapes[0]);
    const unsigned char *mask = lstm__input_mask(node, session, 0);
    lstm__port *own = lstm__session_own(session, node, 0);
    turn(session, node, lstm__input_value(node, session, 0), own->value, 0);
    for (size_t t = 0; mask && t < steps; t++)
        memcpy(b->mask + t * session->batch, mask + (steps - 1 - t) * session->batch,
               session->batch);
    own->mask = mask ? b->mask : NULL;
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    bool add = false;
    const lstm__view dy = lstm__session_own(session, node, 0)->gradient;
    const lstm__view dx = lstm__take_gradient(node, session, 0, &add);
    if (dx.data)
        turn(session, node, dy, dx, add);
}

const lstm__layer_class lstm__class_reverse = {
    .type = "Reverse",
    .name_stem = "reverse",
    .options_size = sizeof(lstm_combine_options),
    .options = options,
    .mask = LSTM__MASK_OWN,
    .plan_size = sizeof(buffers),
    .define = define,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .only_here = true,
};
