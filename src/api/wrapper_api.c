/* SPDX-License-Identifier: MIT
 * lstm_model_add_masking, _learned_vector and _bidirectional. The last adds three layers, or none:
 * what it has added is taken away again when a later one fails.
 */
#include "constants.h"
#include "element.h"
#include "graph.h"
#include "need.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

static lstm_status check_name(const char *name)
{
    if (name && name[0] && !lstm__is_name(name, strlen(name)))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "the layer's name is not UTF-8 text without control characters");
    return LSTM_OK;
}

lstm_status lstm_model_add_masking(lstm_model *model, const lstm_masking_options *options,
                                   const lstm_layer *input, lstm_layer **out)
{
    lstm_masking_options own;
    if (out)
        *out = NULL;
    NEED(model);
    RETURN_IF_ERROR(lstm__read_options(&own, sizeof own, options, "lstm_masking_options"));
    RETURN_IF_ERROR(check_name(own.name));
    const char *name = own.name;
    own.name = NULL;
    return lstm__graph_add(model, &lstm__class_masking, &own, name, &input, 1, out);
}

lstm_status lstm_model_add_learned_vector(lstm_model *model,
                                          const lstm_learned_vector_options *options,
                                          const lstm_layer *input, lstm_layer **out)
{
    lstm_learned_vector_options own;
    if (out)
        *out = NULL;
    NEED(model);
    RETURN_IF_ERROR(lstm__read_options(&own, sizeof own, options, "lstm_learned_vector_options"));
    RETURN_IF_ERROR(check_name(own.name));
    const char *name = own.name;
    own.name = NULL;
    return lstm__graph_add(model, &lstm__class_learned_vector, &own, name, &input, 1, out);
}

/* NAME/forward_lstm or NAME/backward_lstm with the same options but its direction. */
static lstm_status add_direction(lstm_model *model, const lstm_lstm_options *lstm, const char *name,
                                 bool backwards, const lstm_layer *input, const lstm_layer **out)
{
    char own_name[LSTM__NAME_SIZE + 32];
    lstm_lstm_options own = *lstm;
    lstm_layer *layer = NULL;
    snprintf(own_name, sizeof own_name, "%s/%s_%s", name, backwards ? "backward" : "forward",
             lstm->name ? lstm->name : "lstm");
    own.name = own_name;
    own.go_backwards = backwards ? LSTM_YES : LSTM_NO;
    RETURN_IF_ERROR(lstm_model_add_lstm(model, &own, input, &layer));
    *out = layer;
    return LSTM_OK;
}

/* The two layers: those given, or two new ones. */
static lstm_status add_layers(lstm_model *model, const lstm_bidirectional_options *own,
                              const char *name, const lstm_layer *input, const lstm_layer **layers)
{
    lstm_lstm_options lstm;
    if (!own->lstm) {
        if (!own->forward || !own->backward)
            return lstm__fail(LSTM_ERROR_ARGUMENT, "set either lstm, or forward and backward");
        layers[0] = own->forward;
        layers[1] = own->backward;
        return LSTM_OK;
    }
    if (own->forward || own->backward)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "both lstm and forward or backward are set: choose one");
    RETURN_IF_ERROR(lstm__read_options(&lstm, sizeof lstm, own->lstm, "lstm_lstm_options"));
    if (lstm.go_backwards == LSTM_YES || lstm.initial_h || lstm.initial_c || lstm.initial_state)
        return lstm__fail(
            LSTM_ERROR_ARGUMENT,
            "the options of both directions have go_backwards or an initial state: add the "
            "two layers yourself and give them as forward and backward");
    if (!input && model->node_count > 0)
        input = &model->nodes[model->node_count - 1]->ports[0];
    RETURN_IF_ERROR(add_direction(model, &lstm, name, false, input, &layers[0]));
    return add_direction(model, &lstm, name, true, input, &layers[1]);
}

lstm_status lstm_model_add_bidirectional(lstm_model *model,
                                         const lstm_bidirectional_options *options,
                                         const lstm_layer *input, lstm_layer **out)
{
    lstm_bidirectional_options own;
    char name[LSTM__NAME_SIZE];
    const lstm_layer *layers[2] = {NULL, NULL};
    if (out)
        *out = NULL;
    NEED(model);
    RETURN_IF_ERROR(lstm__read_options(&own, sizeof own, options, "lstm_bidirectional_options"));
    RETURN_IF_ERROR(check_name(own.name));
    if (model->built)
        return lstm__fail(LSTM_ERROR_STATE,
                          "the model is already built: layers are added before lstm_model_build");
    lstm__graph_automatic_name(model, lstm__class_bidirectional.name_stem, name);
    if (own.name && (strlen(own.name) == 0 || strlen(own.name) >= sizeof name - 32))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "layer name of %zu bytes: expected 1 to %zu",
                          strlen(own.name), sizeof name - 33);
    if (own.name)
        snprintf(name, sizeof name, "%s", own.name);
    const size_t before = model->node_count;
    lstm_status status = add_layers(model, &own, name, input, layers);
    if (status == LSTM_OK) {
        const lstm_bidirectional_options kept = {.struct_size = sizeof kept,
                                                 .merge_mode = own.merge_mode};
        status = lstm__graph_add(model, &lstm__class_bidirectional, &kept, name, layers, 2, out);
    }
    while (status != LSTM_OK && model->node_count > before)
        lstm__graph_remove_last(model);
    return status;
}

lstm_status lstm_bidirectional_parts(const lstm_layer *layer, lstm_layer **forward,
                                     lstm_layer **backward, lstm_layer **backward_output)
{
    NEED(layer);
    lstm__node *node = layer->node;
    if (node->class != &lstm__class_bidirectional)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "layer \"%s\" is a %s: expected a Bidirectional",
                          node->name, node->class->type);
    if (backward_output && node->port_count < 2)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "layer \"%s\" merges its outputs: only LSTM_MERGE_NONE has two",
                          node->name);
    if (forward)
        *forward = &node->inputs[0]->node->ports[0];
    if (backward)
        *backward = &node->inputs[1]->node->ports[0];
    if (backward_output)
        *backward_output = &node->ports[1];
    return LSTM_OK;
}
