/* SPDX-License-Identifier: MIT
 * LearnedVector: the same learned values for every sample, whatever the layer before it gives
 * (which it reads for its place in the graph only). Two of them are a recurrent layer's trainable
 * initial state. Parameter: values [features].
 */
#include "constants.h"
#include "layer_ports.h"
#include "options.h"

#include <stddef.h>

static const lstm__option options[] = {
    LSTM__OPTION("features", COUNT, offsetof(lstm_learned_vector_options, features)),
    LSTM__OPTION_OF("initializer", offsetof(lstm_learned_vector_options, initializer),
                    LSTM_NAMES_INITIALIZER),
    LSTM__OPTIONS_END,
};

static lstm_status define(lstm__node *node)
{
    lstm_learned_vector_options *own = node->options;
    if (own->features < 1 || own->features > INT32_MAX)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "features is %lld: expected 1 to %d",
                          (long long)own->features, INT32_MAX);
    RETURN_IF_ERROR(lstm__read_constant(&own->initializer, LSTM_INITIALIZER_ZEROS,
                                        LSTM_NAMES_INITIALIZER, "initializer"));
    node->port_count = 1;
    node->shapes[0] = (lstm__shape){0, own->features};
    return LSTM_OK;
}

static lstm_status declare(lstm__node *node)
{
    const lstm_learned_vector_options *own = node->options;
    const size_t features = (size_t)own->features;
    size_t offset = 0;
    RETURN_IF_ERROR(lstm__graph_reserve(node->model, features, &offset));
    return lstm__graph_add_parameter(node, &(lstm__parameter_spec){.keras_name = "values",
                                                                   .torch_name = "values",
                                                                   .offset = offset,
                                                                   .rows = 1,
                                                                   .columns = features,
                                                                   .rank = 1,
                                                                   .initializer = own->initializer,
                                                                   .fan_in = features,
                                                                   .fan_out = features,
                                                                   .units = features});
}

static size_t offset_of(const lstm__node *node)
{
    return node->model->parameters[node->parameter_first].offset;
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    const lstm__view value = lstm__session_own(session, node, 0)->value;
    session->model->kernels->fill_rows(session->batch, value.stride,
                                       session->model->values + offset_of(node), value.data,
                                       value.stride);
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    (void)memory;
    const lstm__view gradient = lstm__session_own(session, node, 0)->gradient;
    session->model->kernels->column_sum(session->batch, (size_t)node->shapes[0].features,
                                        gradient.data, gradient.stride,
                                        session->gradients + offset_of(node), 0);
}

const lstm__layer_class lstm__class_learned_vector = {
    .type = "LearnedVector",
    .name_stem = "learned_vector",
    .options_size = sizeof(lstm_learned_vector_options),
    .options = options,
    .define = define,
    .declare = declare,
    .plan = lstm__plan_output,
    .forward = forward,
    .backward = backward,
    .piecewise = lstm__always_piecewise,
    .only_here = true,
};
