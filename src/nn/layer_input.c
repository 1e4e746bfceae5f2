/* SPDX-License-Identifier: MIT
 * Input: a sequence of a fixed or free number of steps, or a vector. The session copies the
 * caller's array and mask into the port's buffers, turning batch first into time first and
 * following the order of a shuffled pass.
 */
#include "options.h"
#include "session.h"

/* JSON keeps the shape as "shape": [steps, features], which model_json.c reads and writes; the rest
 * is Keras' noise. */
static const lstm__option options[] = {
    LSTM__FIXED("sparse", NULL),
    LSTM__FIXED("ragged", NULL),
    LSTM__FIXED("optional", NULL),
    LSTM__OPTIONS_END,
};

static lstm_status define(lstm__node *node)
{
    lstm_input_options *input = node->options;
    RETURN_IF_ERROR(lstm__read_flag(&input->vector, LSTM_NO, "vector"));
    if (input->features < 1)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "features is %lld: expected at least 1",
                          (long long)input->features);
    if (input->steps < 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "steps is %lld: expected 1 or more, or 0 for any number",
                          (long long)input->steps);
    if (input->vector == LSTM_YES && input->steps != 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "a vector has no steps, but steps is %lld",
                          (long long)input->steps);
    node->port_count = 1;
    node->shapes[0].features = input->features;
    node->shapes[0].steps = input->vector == LSTM_YES ? 0 : input->steps > 0 ? input->steps : -1;
    return LSTM_OK;
}

static void plan(const lstm__node *node, lstm_session *session, void *buffers, lstm__arena *arena)
{
    const size_t features = (size_t)node->shapes[0].features;
    const size_t rows = lstm__session_max_rows(session, node->shapes[0]);
    size_t bytes = 0;
    if (!lstm__mul(features, sizeof(real), &bytes))
        arena->overflow = true;
    lstm__view value = {lstm__carve(arena, rows, bytes), features};
    unsigned char *mask = lstm__carve(arena, node->shapes[0].steps == 0 ? 0 : rows, 1);
    if (arena->base) {
        lstm__session_own(session, node, 0)->value = value;
        ((lstm__input_plan *)buffers)->mask = mask;
    }
}

static void forward(const lstm__node *node, lstm_session *session, void *buffers)
{
    (void)node;
    (void)session;
    (void)buffers; /* loaded by lstm__session_forward */
}

const lstm__layer_class lstm__class_input = {
    .type = "Input",
    .name_stem = "input",
    .options_size = sizeof(lstm_input_options),
    .options = options,
    .plan_size = sizeof(lstm__input_plan),
    .define = define,
    .plan = plan,
    .forward = forward,
};
