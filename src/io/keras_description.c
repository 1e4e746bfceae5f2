/* SPDX-License-Identifier: MIT
 *
 * Our description of a model turned into Keras 3's, always as a Functional model.
 *
 * A layer of ours becomes {"class_name", "config", "inbound_nodes"}: options move into config under
 * the same names, references to tensors with their shapes. An LSTM whose last states are read must
 * return them in Keras.
 *
 * Order. Keras does not keep the layers as they were written: it sorts them by depth, the longest
 * way to an output, deepest first, and where that is equal by when a depth-first walk from the
 * outputs first meets them. The two layers inside a Bidirectional count as a part of it. The groups
 * of weights in its files are numbered in that order, so two
 * parallel LSTMs would silently swap their weights if we used another.
 */
#include "keras_description.h"
#include "model_json.h"

#include <stdlib.h>
#include <string.h>

/* ---- Order */

typedef struct ranking {
    size_t node;
    size_t depth;
    size_t met; /* by the walk; node_count = not yet */
} ranking;

static int deepest_first(const void *a, const void *b)
{
    const ranking *first = a;
    const ranking *second = b;
    if (first->depth != second->depth)
        return first->depth > second->depth ? -1 : 1;
    return first->met < second->met ? -1 : first->met > second->met;
}

/* The depth-first walk: a stack of nodes, each with the input that comes next. */
static void number_nodes(const lstm_model *model, ranking *rank, size_t *stack, int *next)
{
    size_t met = 0;
    for (size_t o = 0; o < model->output_count; o++) {
        size_t top = 0;
        const size_t output = model->outputs[o]->node->index;
        if (rank[output].met != model->node_count)
            continue;
        rank[output].met = met++;
        stack[top] = output;
        next[top++] = 0;
        while (top > 0) {
            const lstm__node *node = model->nodes[stack[top - 1]];
            if (next[top - 1] == node->input_count) {
                top--;
                continue;
            }
            const size_t input = node->inputs[next[top - 1]++]->node->index;
            if (rank[input].met != model->node_count)
                continue;
            rank[input].met = met++;
            stack[top] = input;
            next[top++] = 0;
        }
    }
}

void lstm__keras_owners(const lstm_model *model, size_t *owners)
{
    for (size_t k = 0; k < model->node_count; k++)
        owners[k] = k;
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        for (int input = 0; node->class == &lstm__class_bidirectional && input < 2; input++)
            owners[node->inputs[input]->node->index] = k;
    }
}

lstm_status lstm__keras_order(const lstm_model *model, size_t *order)
{
    lstm_status status = LSTM_OK;
    const size_t count = model->node_count;
    ranking *rank = lstm__allocate_array(model->context, count, sizeof *rank);
    size_t *stack = lstm__allocate_array(model->context, count, sizeof *stack);
    int *next = lstm__allocate_array(model->context, count, sizeof *next);
    size_t *owners = lstm__allocate_array(model->context, count, sizeof *owners);
    if (!rank || !stack || !next || !owners) {
        status = lstm__fail_memory(count * sizeof *rank, "the order of the layers");
        goto out;
    }
    lstm__keras_owners(model, owners);
    for (size_t k = 0; k < count; k++)
        rank[k] = (ranking){k, 0, count};
    for (size_t k = count; k-- > 0;) /* readers come after what they read */
        for (int input = 0; input < model->nodes[k]->input_count; input++) {
            ranking *read = &rank[model->nodes[k]->inputs[input]->node->index];
            const size_t depth = rank[k].depth + (owners[read->node] == k ? 0 : 1);
            read->depth = read->depth > depth ? read->depth : depth;
        }
    number_nodes(model, rank, stack, next);
    qsort(rank, count, sizeof *rank, deepest_first);
    for (size_t k = 0; k < count; k++)
        order[k] = rank[k].node;
out:
    lstm__release(model->context, rank);
    lstm__release(model->context, stack);
    lstm__release(model->context, next);
    lstm__release(model->context, owners);
    return status;
}

/* ---- Description */

static json_t *shape_of(const lstm_layer *layer)
{
    const lstm__shape shape = layer->node->shapes[layer->port];
    if (shape.steps == 0)
        return json_pack("[n, I]", (json_int_t)shape.features);
    return shape.steps < 0
               ? json_pack("[n, n, I]", (json_int_t)shape.features)
               : json_pack("[n, I, I]", (json_int_t)shape.steps, (json_int_t)shape.features);
}

/* ["lstm", 0, port] */
static json_t *history_of(const lstm_layer *layer)
{
    return json_pack("[s, i, i]", layer->node->name, 0, layer->port);
}

static json_t *tensor_of(const lstm_layer *layer)
{
    return json_pack("{s:s, s:{s:o, s:s, s:o}}", "class_name", "__keras_tensor__", "config",
                     "shape", shape_of(layer), "dtype", "float32", "keras_history",
                     history_of(layer));
}

static json_t *call_of(const lstm__node *node)
{
    if (node->input_count == 0)
        return json_array();
    json_t *keywords = node->input_count == 3
                           ? json_pack("{s:[o, o]}", "initial_state", tensor_of(node->inputs[1]),
                                       tensor_of(node->inputs[2]))
                           : json_object();
    return json_pack("[{s:[o], s:o}]", "args", tensor_of(node->inputs[0]), "kwargs", keywords);
}

static bool reads_states(const lstm__node *node)
{
    return node->class == &lstm__class_lstm && (node->readers[1] > 0 || node->readers[2] > 0);
}

/* The config: our layer's options, with what Keras calls or means differently. */
static json_t *config_of(const lstm__node *node, const json_t *layer)
{
    json_t *config = json_copy((json_t *)(uintptr_t)layer);
    int failed = !config || json_object_set_new(config, "dtype", json_string("float32")) != 0;
    json_object_del(config, "type");
    json_object_del(config, "inputs");
    json_object_del(config, "shape");
    json_object_del(config, "learning_rate_factor"); /* Keras has no such thing */
    static const char *const initializers[] = {"kernel_initializer", "recurrent_initializer"};
    for (size_t k = 0; k < 2; k++) {
        const char *name = json_string_value(json_object_get(config, initializers[k]));
        /* Keras has no such thing, and does not draw these again */
        if (name && strcmp(name, "torch_uniform") == 0)
            failed = failed || json_object_set_new(config, initializers[k],
                                                   json_string("glorot_uniform")) != 0;
    }
    if (node->class == &lstm__class_input)
        failed = failed ||
                 json_object_set_new(config, "batch_shape", shape_of(&node->ports[0])) != 0;
    if (reads_states(node))
        failed = failed || json_object_set_new(config, "return_state", json_true()) != 0;
    if (node->class == &lstm__class_dropout &&
        json_integer_value(json_object_get(config, "seed")) == 0)
        failed = failed || json_object_set_new(config, "seed", json_null()) != 0;
    if (failed) {
        json_decref(config);
        return NULL;
    }
    return config;
}

static json_t *describe_layer(const lstm__node *node, const json_t *layer)
{
    const bool input = node->class == &lstm__class_input;
    return json_pack("{s:s, s:s, s:o, s:n, s:s, s:o}", "module", "keras.layers", "class_name",
                     input ? "InputLayer" : node->class->type, "config", config_of(node, layer),
                     "registered_name", "name", node->name, "inbound_nodes", call_of(node));
}

lstm_status lstm__keras_describe(const lstm_model *model, const size_t *order, json_t **out)
{
    char *text = NULL;
    RETURN_IF_ERROR(lstm__model_to_json(model, &text));
    json_t *own = json_loads(text, 0, NULL);
    const json_t *own_layers = json_object_get(own, "layers");
    json_t *layers = json_array();
    json_t *inputs = json_array();
    json_t *outputs = json_array();
    lstm__release(model->context, text);
    int failed = !own;
    for (size_t k = 0; k < model->node_count; k++)
        failed = failed || json_array_append_new(
                               layers, describe_layer(model->nodes[order[k]],
                                                      json_array_get(own_layers, order[k]))) != 0;
    for (size_t k = 0; k < model->node_count; k++)
        if (model->nodes[k]->class == &lstm__class_input)
            failed = failed ||
                     json_array_append_new(inputs, history_of(&model->nodes[k]->ports[0])) != 0;
    for (size_t k = 0; k < model->output_count; k++)
        failed = failed || json_array_append_new(outputs, history_of(model->outputs[k])) != 0;
    json_t *root = json_pack("{s:s, s:s, s:{s:s, s:b, s:o, s:o, s:o}, s:s}", "module",
                             "keras.src.models.functional", "class_name", "Functional", "config",
                             "name", "model", "trainable", 1, "layers", layers, "input_layers",
                             inputs, "output_layers", outputs, "registered_name", "Functional");
    json_decref(own);
    if (failed || !root) {
        json_decref(root);
        return lstm__fail(LSTM_ERROR_MEMORY, "no memory for the model's description");
    }
    *out = root;
    return LSTM_OK;
}
