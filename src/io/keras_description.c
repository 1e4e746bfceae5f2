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
static void number_nodes(const lstm_model *model, const size_t *owners, ranking *rank,
                         size_t *stack, int *next)
{
    size_t met = 0;
    for (size_t o = 0; o < model->output_count; o++) {
        size_t top = 0;
        const size_t output = owners[model->outputs[o]->node->index];
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
            size_t input = node->inputs[next[top - 1]++]->node->index;
            if (owners[input] != node->index)
                input = owners[input];
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
            const size_t owner = owners[model->nodes[k]->inputs[input]->node->index];
            const size_t depth = rank[owners[k]].depth + 1;
            if (owner != owners[k] && rank[owner].depth < depth)
                rank[owner].depth = depth;
        }
    for (size_t k = 0; k < count; k++)
        rank[k].depth = rank[owners[k]].depth;
    number_nodes(model, owners, rank, stack, next);
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

typedef struct describing {
    const lstm_model *model;
    const size_t *owners;
    const json_t *layers; /* of our description */
    bool old;             /* as Keras 1 and 2 write it */
} describing;

/* Whether a layer's values are tokens: an input of one feature that Embedding layers alone read,
 * which in Keras has no axis for it. */
static bool is_tokens(const lstm_model *model, const lstm_layer *layer)
{
    size_t readers = 0;
    if (layer->node->class != &lstm__class_input || layer->node->shapes[0].steps == 0 ||
        layer->node->shapes[0].features != 1)
        return false;
    for (size_t k = 0; k < model->node_count; k++)
        for (int input = 0; input < model->nodes[k]->input_count; input++)
            if (model->nodes[k]->inputs[input] == layer) {
                if (model->nodes[k]->class != &lstm__class_embedding)
                    return false;
                readers++;
            }
    return readers > 0;
}

static json_t *shape_of(const lstm_model *model, const lstm_layer *layer)
{
    const lstm__shape shape = layer->node->shapes[layer->port];
    json_t *steps = shape.steps > 0 ? json_integer(shape.steps) : json_null();
    if (is_tokens(model, layer))
        return json_pack("[n, o]", steps);
    if (shape.steps != 0)
        return json_pack("[n, o, I]", steps, (json_int_t)shape.features);
    json_decref(steps);
    return json_pack("[n, I]", (json_int_t)shape.features);
}

/* ["lstm", 0, port]. The states of the layers in a Bidirectional are its outputs behind the merged
 * ones: those of the forward layer, those of the backward one. */
static json_t *history_of(const describing *d, const lstm_layer *layer)
{
    const lstm__node *node = layer->node;
    const lstm__node *owner = d->model->nodes[d->owners[node->index]];
    int port = layer->port;
    if (owner != node) {
        const lstm__node *first = owner->inputs[0]->node;
        port += owner->port_count - 1 + (node == first ? 0 : first->port_count - 1);
    }
    return json_pack("[s, i, i]", owner->name, 0, port);
}

static json_t *tensor_of(const describing *d, const lstm_layer *layer)
{
    return json_pack("{s:s, s:{s:o, s:s, s:o}}", "class_name", "__keras_tensor__", "config",
                     "shape", shape_of(d->model, layer), "dtype", "float32", "keras_history",
                     history_of(d, layer));
}

/* Tensors first to first + count - 1 that a node reads, appended to a list. */
static int add_tensors(const describing *d, json_t *list, const lstm__node *node, int first,
                       int count)
{
    int failed = 0;
    for (int k = first; k < first + count; k++)
        failed |= json_array_append_new(list, tensor_of(d, node->inputs[k]));
    return failed;
}

/* Layers that Keras calls with one list of tensors: sums and the like, and attention. */
static bool takes_list(const lstm__node *node)
{
    return node->class == &lstm__class_attention ||
           node->class == &lstm__class_additive_attention || node->class->least_inputs >= 2;
}

static bool is_recurrent(const lstm__node *node)
{
    return node->class == &lstm__class_lstm || node->class == &lstm__class_gru ||
           node->class == &lstm__class_simple_rnn;
}

/* [name, node, port, keywords] of Keras 1 and 2 for the tensors first to first + count - 1 that a
 * node reads. */
static int add_old_tensors(const describing *d, json_t *list, const lstm__node *node, int first,
                           int count)
{
    int failed = 0;
    for (int k = first; k < first + count; k++) {
        json_t *entry = history_of(d, node->inputs[k]);
        failed |= json_array_append_new(entry, json_object());
        failed |= json_array_append_new(list, entry);
    }
    return failed;
}

/* A call of Keras 1 and 2: the tensors in one list, first states behind the sequence; those of
 * MultiHeadAttention but the first one are keywords of the first. */
static json_t *old_call_of(const describing *d, const lstm__node *node, const json_t *layer)
{
    static const char *const names[] = {"", "value", "key"};
    json_t *list = json_array();
    int failed = !list;
    if (node->input_count == 0)
        return list;
    if (node->class == &lstm__class_bidirectional) {
        const lstm__node *parts[2] = {node->inputs[0]->node, node->inputs[1]->node};
        failed |= add_old_tensors(d, list, parts[0], 0, parts[0]->input_count);
        failed |= add_old_tensors(d, list, parts[1], 1, parts[1]->input_count - 1);
    } else if (node->class == &lstm__class_multi_head_attention) {
        failed |= add_old_tensors(d, list, node, 0, 1);
        json_t *keywords = json_array_get(json_array_get(list, 0), 3);
        for (int k = 1; k < node->input_count && k < 3; k++)
            failed |= json_object_set_new(keywords, names[k], history_of(d, node->inputs[k]));
    } else {
        failed |= add_old_tensors(d, list, node, 0, node->input_count);
    }
    /* of all keywords Keras takes those of the last entry */
    for (size_t k = 0;
         json_is_true(json_object_get(layer, "use_causal_mask")) && k < json_array_size(list); k++)
        failed |= json_object_set_new(json_array_get(json_array_get(list, k), 3), "use_causal_mask",
                                      json_true());
    if (!failed)
        return json_pack("[o]", list);
    json_decref(list);
    return NULL;
}

static json_t *call_of(const describing *d, const lstm__node *node, const json_t *layer)
{
    if (d->old)
        return old_call_of(d, node, layer);
    json_t *arguments = json_array();
    json_t *states = json_array();
    json_t *keywords = json_object();
    int failed = !arguments || !states || !keywords;
    if (node->class == &lstm__class_bidirectional) {
        const lstm__node *parts[2] = {node->inputs[0]->node, node->inputs[1]->node};
        failed |= add_tensors(d, arguments, parts[0], 0, 1);
        for (size_t k = 0; k < 2; k++)
            failed |= add_tensors(d, states, parts[k], 1, parts[k]->input_count - 1);
    } else if (is_recurrent(node)) {
        failed |= add_tensors(d, arguments, node, 0, 1);
        failed |= add_tensors(d, states, node, 1, node->input_count - 1);
    } else if (takes_list(node) && node->class != &lstm__class_multi_head_attention) {
        json_t *list = json_array();
        failed |= add_tensors(d, list, node, 0, node->input_count) ||
                  json_array_append_new(arguments, list);
    } else {
        failed |= add_tensors(d, arguments, node, 0, node->input_count);
    }
    if (json_array_size(states) > 0)
        failed |= json_object_set(keywords, "initial_state", states);
    if (json_is_true(json_object_get(layer, "use_causal_mask")))
        failed |= json_object_set_new(keywords, "use_causal_mask", json_true());
    json_decref(states);
    if (node->input_count > 0 && !failed)
        return json_pack("[{s:o, s:o}]", "args", arguments, "kwargs", keywords);
    json_decref(arguments);
    json_decref(keywords);
    return failed ? NULL : json_array();
}

/* Values that Keras writes otherwise: ours stand for "the default" or "zero". */
static int set_values(json_t *config)
{
    static const char *const initializers[] = {"kernel_initializer", "recurrent_initializer"};
    static const char *const at_least_0[] = {"epsilon", "momentum"};
    int failed = 0;
    for (size_t k = 0; k < 2; k++) {
        const char *name = json_string_value(json_object_get(config, initializers[k]));
        /* Keras has no such thing, and does not draw these again */
        if (name && strcmp(name, "torch_uniform") == 0)
            failed |= json_object_set_new(config, initializers[k], json_string("glorot_uniform"));
        if (json_number_value(json_object_get(config, at_least_0[k])) < 0)
            failed |= json_object_set_new(config, at_least_0[k], json_real(0));
    }
    if (json_is_integer(json_object_get(config, "seed")) &&
        json_integer_value(json_object_get(config, "seed")) == 0)
        failed |= json_object_set_new(config, "seed", json_null());
    if (json_object_get(config, "stateful"))
        failed |= json_object_set_new(config, "stateful", json_false());
    return failed;
}

/* What Keras 1 and 2 lack or call otherwise. */
static int set_old_values(const describing *d, const lstm__node *node, json_t *config)
{
    static const char *const activations[] = {"activation", "recurrent_activation"};
    static const char *const own_seed[] = {"Dropout", "GaussianNoise", "GaussianDropout",
                                           "AlphaDropout"};
    static const char *const shapes[] = {"query_shape", "key_shape", "value_shape"};
    const char *mode = json_string_value(json_object_get(config, "score_mode"));
    int failed = 0;
    bool keeps_seed = false;
    if (mode && strcmp(mode, "dot") == 0) /* the default, which Keras 3 takes for a function here */
        json_object_del(config, "score_mode");
    for (size_t k = 0; k < 3 && node->class == &lstm__class_multi_head_attention; k++)
        failed |= json_object_set_new(config, shapes[k], json_null());
    for (size_t k = 0; k < sizeof own_seed / sizeof *own_seed; k++)
        keeps_seed = keeps_seed || strcmp(node->class->type, own_seed[k]) == 0;
    if (!keeps_seed)
        json_object_del(config, "seed");
    for (size_t k = 0; k < sizeof activations / sizeof *activations; k++) {
        const char *name = json_string_value(json_object_get(config, activations[k]));
        if (name && strcmp(name, "hard_sigmoid_keras2") == 0)
            failed |= json_object_set_new(config, activations[k], json_string("hard_sigmoid"));
    }
    if (node->class == &lstm__class_input)
        failed |= json_object_set_new(config, "batch_input_shape",
                                      shape_of(d->model, &node->ports[0]));
    return failed;
}

/* Whether a layer must give its states: they are read, or those of its twin in a Bidirectional. */
static bool returns_state(const describing *d, const lstm__node *node)
{
    const lstm__node *owner = d->model->nodes[d->owners[node->index]];
    if (owner != node)
        return lstm__states_are_read(owner->inputs[0]->node) ||
               lstm__states_are_read(owner->inputs[1]->node);
    return lstm__states_are_read(node);
}

/* The config: our layer's options, with what Keras calls or means differently. */
static json_t *config_of(const describing *d, const lstm__node *node)
{
    static const char *const ours[] = {"type",           "inputs",           "shape",
                                       "ignore_mask",    "fixed_statistics", "learning_rate_factor",
                                       "use_causal_mask"};
    json_t *config = json_deep_copy(json_array_get(d->layers, node->index));
    int failed = !config || json_object_set_new(config, "dtype", json_string("float32")) != 0;
    for (size_t k = 0; k < sizeof ours / sizeof *ours; k++)
        json_object_del(config, ours[k]);
    failed = failed || set_values(config) != 0;
    if (d->old)
        failed = failed || set_old_values(d, node, config) != 0;
    else if (node->class == &lstm__class_input)
        failed = failed || json_object_set_new(config, "batch_shape",
                                               shape_of(d->model, &node->ports[0])) != 0;
    if (is_recurrent(node) && returns_state(d, node))
        failed = failed || json_object_set_new(config, "return_state", json_true()) != 0;
    if (!failed)
        return config;
    json_decref(config);
    return NULL;
}

/* {"class_name", "config", …} of a layer inside another one; its name without the outer one's. */
static json_t *inner_layer(const describing *d, const lstm__node *node)
{
    const char *slash = strrchr(node->name, '/');
    json_t *config = config_of(d, node);
    if (config &&
        json_object_set_new(config, "name", json_string(slash ? slash + 1 : node->name))) {
        json_decref(config);
        return NULL;
    }
    /* with its module also for Keras 2: Keras 3 finds it by that alone */
    return json_pack("{s:s, s:s, s:o, s:n}", "module", "keras.layers", "class_name",
                     node->class->type, "config", config, "registered_name");
}

/* Whether two layers differ in more than their names and direction. */
static bool differ(const json_t *a, const json_t *b)
{
    json_t *copies[2] = {json_deep_copy(json_object_get(a, "config")),
                         json_deep_copy(json_object_get(b, "config"))};
    for (size_t k = 0; k < 2; k++) {
        json_object_del(copies[k], "name");
        json_object_del(copies[k], "go_backwards");
    }
    const bool same = json_equal(copies[0], copies[1]);
    json_decref(copies[0]);
    json_decref(copies[1]);
    return !same;
}

static json_t *bidirectional_config(const describing *d, const lstm__node *node)
{
    json_t *config = config_of(d, node);
    json_t *forward = inner_layer(d, node->inputs[0]->node);
    json_t *backward = inner_layer(d, node->inputs[1]->node);
    const char *merge = json_string_value(json_object_get(config, "merge_mode"));
    int failed = !config || !forward || !backward;
    if (merge && strcmp(merge, "none") == 0)
        failed |= json_object_set_new(config, "merge_mode", json_null());
    if (!failed && differ(forward, backward))
        failed |= json_object_set(config, "backward_layer", backward);
    failed = failed || json_object_set(config, "layer", forward) != 0;
    json_decref(forward);
    json_decref(backward);
    if (!failed)
        return config;
    json_decref(config);
    return NULL;
}

static json_t *wrapped_config(const describing *d, const lstm__node *node)
{
    json_t *inner = inner_layer(d, node);
    int failed = json_object_set_new(json_object_get(inner, "config"), "name",
                                     json_sprintf("%s_layer", node->name));
    if (!failed)
        return json_pack("{s:s, s:s, s:o}", "name", node->name, "dtype", "float32", "layer", inner);
    json_decref(inner);
    return NULL;
}

static json_t *describe_layer(const describing *d, const lstm__node *node)
{
    const char *type = node->class == &lstm__class_input ? "InputLayer"
                       : node->wrapped                   ? "TimeDistributed"
                                                         : node->class->type;
    json_t *config = node->class == &lstm__class_bidirectional ? bidirectional_config(d, node)
                     : node->wrapped                           ? wrapped_config(d, node)
                                                               : config_of(d, node);
    json_t *call = call_of(d, node, json_array_get(d->layers, node->index));
    if (d->old)
        return json_pack("{s:s, s:o, s:s, s:o}", "class_name", type, "config", config, "name",
                         node->name, "inbound_nodes", call);
    return json_pack("{s:s, s:s, s:o, s:n, s:s, s:o}", "module", "keras.layers", "class_name", type,
                     "config", config, "registered_name", "name", node->name, "inbound_nodes",
                     call);
}

/* The lists of a Functional model. */
static int describe_graph(const describing *d, const size_t *order, json_t *layers, json_t *inputs,
                          json_t *outputs)
{
    const lstm_model *model = d->model;
    int failed = 0;
    for (size_t k = 0; k < model->node_count; k++)
        if (d->owners[order[k]] == order[k])
            failed |= json_array_append_new(layers, describe_layer(d, model->nodes[order[k]]));
    for (size_t k = 0; k < model->node_count; k++)
        if (model->nodes[k]->class == &lstm__class_input)
            failed |= json_array_append_new(inputs, history_of(d, &model->nodes[k]->ports[0]));
    for (size_t k = 0; k < model->output_count; k++)
        failed |= json_array_append_new(outputs, history_of(d, model->outputs[k]));
    return failed;
}

bool lstm__states_are_read(const lstm__node *node)
{
    return (node->port_count > 1 && node->readers[1] > 0) ||
           (node->port_count > 2 && node->readers[2] > 0);
}

lstm_status lstm__keras_describe(const lstm_model *model, const size_t *order, bool old,
                                 json_t **out)
{
    char *text = NULL;
    RETURN_IF_ERROR(lstm__model_to_json(model, &text));
    json_t *own = json_loads(text, 0, NULL);
    size_t *owners = lstm__allocate_array(model->context, model->node_count, sizeof *owners);
    json_t *layers = json_array();
    json_t *inputs = json_array();
    json_t *outputs = json_array();
    lstm__release(model->context, text);
    int failed = !own || !owners;
    if (!failed) {
        const describing d = {model, owners, json_object_get(own, "layers"), old};
        lstm__keras_owners(model, owners);
        failed = describe_graph(&d, order, layers, inputs, outputs);
    }
    json_t *root = json_pack("{s:s, s:{s:s, s:b, s:o, s:o, s:o}}", "class_name", "Functional",
                             "config", "name", "model", "trainable", 1, "layers", layers,
                             "input_layers", inputs, "output_layers", outputs);
    if (root && !old)
        failed = failed ||
                 json_object_set_new(root, "module", json_string("keras.src.models.functional")) ||
                 json_object_set_new(root, "registered_name", json_string("Functional"));
    json_decref(own);
    lstm__release(model->context, owners);
    if (failed || !root) {
        json_decref(root);
        return lstm__fail(LSTM_ERROR_MEMORY, "no memory for the model's description");
    }
    *out = root;
    return LSTM_OK;
}
