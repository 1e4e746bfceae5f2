/* SPDX-License-Identifier: MIT
 * lstm_model_add_*: read the option struct, name the inputs, and let nn/graph.c add the node. The
 * copies kept by a node hold no pointer of the caller.
 */
#include "element.h"
#include "graph.h"
#include "need.h"
#include "options.h"
#include "penalties.h"

#include <math.h>
#include <string.h>

/* A name that could not be written to a file is refused at once; nn/graph.c checks its length and
 * that it is not taken. */
static lstm_status check_name(const char *name)
{
    if (name && name[0] && !lstm__is_name(name, strlen(name)))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "the layer's name is not UTF-8 text without control characters");
    return LSTM_OK;
}

/* Every add call: complete the options into `own`, or return. */
#define READ(type, own)                                                    \
    type own;                                                              \
    if (out)                                                               \
        *out = NULL;                                                       \
    NEED(model);                                                           \
    RETURN_IF_ERROR(lstm__read_options(&own, sizeof own, options, #type)); \
    RETURN_IF_ERROR(check_name(own.name))

static lstm_status add_one(lstm_model *model, const lstm__layer_class *class, const void *options,
                           const char *name, const lstm_layer *input, lstm_layer **out)
{
    return lstm__graph_add(model, class, options, name, &input, 1, out);
}

lstm_status lstm_model_add_input(lstm_model *model, const lstm_input_options *options,
                                 lstm_layer **out)
{
    READ(lstm_input_options, own);
    const char *name = own.name;
    own.name = NULL;
    return lstm__graph_add(model, &lstm__class_input, &own, name, NULL, 0, out);
}

lstm_status lstm_model_add_lstm(lstm_model *model, const lstm_lstm_options *options,
                                const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_lstm_options, own);
    const char *name = own.name;
    const lstm_layer *inputs[3] = {input, own.initial_h, own.initial_c};
    if (own.initial_state) {
        if (own.initial_h || own.initial_c)
            return lstm__fail(LSTM_ERROR_ARGUMENT,
                              "both initial_state and initial_h or initial_c are set");
        lstm_layer *h = NULL;
        lstm_layer *c = NULL;
        RETURN_IF_ERROR(lstm_layer_state(own.initial_state, &h, &c));
        inputs[1] = h;
        inputs[2] = c;
    }
    if (!inputs[1] != !inputs[2])
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "initial_%s is set but initial_%s is not: set both or neither",
                          inputs[1] ? "h" : "c", inputs[1] ? "c" : "h");
    own.name = NULL;
    own.initial_h = own.initial_c = own.initial_state = NULL;
    return lstm__graph_add(model, &lstm__class_lstm, &own, name, inputs, inputs[1] ? 3 : 1, out);
}

lstm_status lstm_layer_set_regularizer(lstm_layer *layer, const char *parameter,
                                       const lstm_regularizer_options *options)
{
    static const lstm__penalty none = {0, 0, 0, 0};
    lstm__penalty own = none;
    NEED(layer);
    NEED(parameter);
    lstm__node *node = layer->node;
    const int which = lstm__penalty_find(parameter);
    if (which < 0 || !lstm__penalty_suits(node->class, which))
        return lstm__fail(LSTM_ERROR_NOT_FOUND,
                          "layer \"%s\" (%s) has no parameter \"%s\" to regularise", node->name,
                          node->class->type, parameter);
    if (options)
        RETURN_IF_ERROR(lstm__penalty_read(&own, options));
    if (which == LSTM__PENALTY_ACTIVITY && own.constraint > LSTM_CONSTRAINT_NONE)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "layer \"%s\": activity takes no constraint",
                          node->name);
    node->penalties[which] = own;
    return LSTM_OK;
}

lstm_status lstm_layer_set_rate(lstm_layer *layer, double factor)
{
    NEED(layer);
    if (!(factor >= 0) || !isfinite(factor))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "the rate of layer \"%s\" is %g: expected a finite number of at least 0",
                          layer->node->name, factor);
    layer->node->rate = factor;
    return LSTM_OK;
}

double lstm_layer_rate(const lstm_layer *layer)
{
    return layer ? layer->node->rate : 0;
}

lstm_status lstm_model_add_dense(lstm_model *model, const lstm_dense_options *options,
                                 const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_dense_options, own);
    const char *name = own.name;
    own.name = NULL;
    return add_one(model, &lstm__class_dense, &own, name, input, out);
}

lstm_status lstm_model_add_dropout(lstm_model *model, const lstm_dropout_options *options,
                                   const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_dropout_options, own);
    const char *name = own.name;
    own.name = NULL;
    return add_one(model, &lstm__class_dropout, &own, name, input, out);
}

lstm_status lstm_model_add_activation(lstm_model *model, const lstm_activation_options *options,
                                      const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_activation_options, own);
    const char *name = own.name;
    own.name = NULL;
    return add_one(model, &lstm__class_activation, &own, name, input, out);
}

lstm_status lstm_model_add_repeat_vector(lstm_model *model,
                                         const lstm_repeat_vector_options *options,
                                         const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_repeat_vector_options, own);
    NEED_ZERO(own.reserved);
    const char *name = own.name;
    own.name = NULL;
    return add_one(model, &lstm__class_repeat_vector, &own, name, input, out);
}

lstm_status lstm_model_add_reshape(lstm_model *model, const lstm_reshape_options *options,
                                   const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_reshape_options, own);
    NEED_ZERO(own.reserved);
    const char *name = own.name;
    own.name = NULL;
    return add_one(model, &lstm__class_reshape, &own, name, input, out);
}

lstm_status lstm_model_add_flatten(lstm_model *model, const lstm_reshape_options *options,
                                   const lstm_layer *input, lstm_layer **out)
{
    READ(lstm_reshape_options, own);
    NEED_ZERO(own.reserved);
    const char *name = own.name;
    own.name = NULL;
    if (own.steps != 0 || own.features != 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "flatten takes no steps and no features: it gives one vector");
    return add_one(model, &lstm__class_flatten, &own, name, input, out);
}
