/* SPDX-License-Identifier: MIT
 * The masks that Keras 3 writes into the graph of a Functional model.
 *
 * A Masking layer, or an Embedding with mask_zero, makes Keras record how the mask is computed, as
 * operations beside the layers, and pass it to each reader by a keyword:
 *
 *     NotEqual(x, 0) -> Any -> LSTM(masking, mask=any)
 *
 * Here a mask goes from layer to layer by itself (docs/sequences.md), so these operations are left
 * out. That is right only if the mask in the file is the same one. So each is computed twice, as a
 * text that says what it is: "" (every step is valid), or "name:port!=value" for the steps at which
 * that tensor differs from the value. Once from the operations (of_operation), once from the layers
 * that lead to the reader, by Keras' rules as far as they are also ours (of_layer). Whatever has no
 * such text, a mask of the caller's or the union of two, is "?", equals nothing, and is refused. "!"
 * is what layers give that merge differently masked inputs: Keras 3 takes the steps that are valid
 * in any of them (Keras 2, and we: in all of them), and readers of that are refused as well.
 */
#include "keras_masks.h"
#include "description_text.h"

#include <string.h>

enum { MOST_DEPTH = 500, MOST_TENSORS = 64 };

typedef struct graph {
    json_t *layers; /* name: layer or operation */
    json_t *known;  /* name: text of its mask */
    json_t *left_out;
} graph;

static const char *name_of(const json_t *layer)
{
    const char *name = lstm__text_of(json_object_get(layer, "config"), "name");
    return name[0] ? name : lstm__text_of(layer, "name");
}

static bool is_class(const json_t *layer, const char *const *names)
{
    const char *class = lstm__text_of(layer, "class_name");
    for (; *names; names++)
        if (strcmp(class, *names) == 0)
            return true;
    return false;
}

/* Operations have no module in .h5 files; but unlike layers, of which one is called Concatenate too,
 * they have nothing that could be trained. */
static bool is_operation(const json_t *layer)
{
    static const char *const names[] = {"NotEqual",        "Any",       "ExpandDims",
                                        "ConvertToTensor", "LogicalOr", "ZerosLike",
                                        "Concatenate",     "OnesLike",  NULL};
    return is_class(layer, names) &&
           !json_object_get(json_object_get(layer, "config"), "trainable");
}

/* The [name, node, port] of a tensor; NULL if the value is none. */
static const json_t *history_of(const json_t *value)
{
    return strcmp(lstm__text_of(value, "class_name"), "__keras_tensor__") == 0
               ? json_object_get(json_object_get(value, "config"), "keras_history")
               : NULL;
}

static const char *source_of(const json_t *history)
{
    const char *name = json_string_value(json_array_get(history, 0));
    return name ? name : "";
}

/* Tensor number k of a call, counted through its lists; *k is what is left of the number. */
static const json_t *tensor_in(const json_t *value, size_t *k, int depth)
{
    const json_t *history = history_of(value);
    if (history)
        return (*k)-- == 0 ? history : NULL;
    for (size_t n = 0; depth < 8 && n < json_array_size(value); n++) {
        const json_t *found = tensor_in(json_array_get(value, n), k, depth + 1);
        if (found)
            return found;
    }
    return NULL;
}

static const json_t *call_of(const json_t *layer)
{
    return json_array_get(json_object_get(layer, "inbound_nodes"), 0);
}

/* Input k of a layer, in the order of convert_inputs() of keras_json.c; NULL = none. */
static const json_t *input_of(const json_t *layer, size_t k)
{
    static const char *const carriers[] = {"query", "value", "key"};
    const json_t *call = call_of(layer);
    const json_t *found = tensor_in(json_object_get(call, "args"), &k, 0);
    for (size_t c = 0; !found && c < sizeof carriers / sizeof *carriers; c++)
        found = tensor_in(json_object_get(json_object_get(call, "kwargs"), carriers[c]), &k, 0);
    return found;
}

/* "name:port!=value" */
static json_t *difference(const json_t *history, double value)
{
    return history ? json_sprintf("%s:%d!=%.9g", source_of(history),
                                  (int)json_integer_value(json_array_get(history, 2)), value)
                   : json_string("?");
}

static json_t *mask_of(graph *g, const json_t *history, int depth);

static bool equal(const json_t *a, const json_t *b)
{
    return a && b && !strchr("?!", json_string_value(a)[0]) && json_equal(a, b);
}

/* The one mask of `count` tensors. Else, of a union (Keras 3): "" where one of them is, or "?"; of
 * layers' inputs "!". */
static json_t *common(json_t **masks, size_t count, bool united)
{
    json_t *found = count > 0 ? json_incref(masks[0]) : json_string("?");
    for (size_t k = 1; found && k < count; k++) {
        if (!masks[k] || equal(found, masks[k]))
            continue;
        const bool none = strcmp(json_string_value(found), "") == 0 ||
                          strcmp(json_string_value(masks[k]), "") == 0;
        json_decref(found);
        found = json_string(!united ? "!" : none ? "" : "?");
    }
    return found;
}

/* What a layer or an operation makes of the masks of all its inputs. A union passes over addends of
 * nothing, which are there for their shape. */
static json_t *of_inputs(graph *g, const json_t *layer, int depth, bool united)
{
    json_t *masks[MOST_TENSORS] = {0};
    size_t count = 0;
    const json_t *history = NULL;
    if (input_of(layer, MOST_TENSORS))
        return json_string("?");
    for (size_t k = 0; (history = input_of(layer, k)) != NULL; k++) {
        const json_t *source = json_object_get(g->layers, source_of(history));
        if (united && source && strcmp(lstm__text_of(source, "class_name"), "ZerosLike") == 0 &&
            is_operation(source))
            continue;
        masks[count++] = mask_of(g, history, depth + 1);
    }
    json_t *found = common(masks, count, united);
    for (size_t k = 0; k < count; k++)
        json_decref(masks[k]);
    return found;
}

/* What an operation computes: new text, or NULL without memory. */
static json_t *of_operation(graph *g, const json_t *layer, int depth)
{
    static const char *const same[] = {"Any", "ExpandDims", "ConvertToTensor", NULL};
    static const char *const unions[] = {"LogicalOr", "Concatenate", NULL};
    const json_t *config = json_object_get(layer, "config");
    const json_t *arguments = json_object_get(call_of(layer), "args");
    const json_t *axis = json_object_get(config, "axis");
    const char *class = lstm__text_of(layer, "class_name");
    if (axis && (!json_is_integer(axis) || json_integer_value(axis) != -1))
        return json_string("?");
    if (strcmp(class, "NotEqual") == 0 && json_is_number(json_array_get(arguments, 1)))
        return difference(history_of(json_array_get(arguments, 0)),
                          json_number_value(json_array_get(arguments, 1)));
    if (strcmp(class, "OnesLike") == 0)
        return json_string("");
    if (is_class(layer, same))
        return mask_of(g, input_of(layer, 0), depth + 1);
    return is_class(layer, unions) ? of_inputs(g, layer, depth, true) : json_string("?");
}

/* Whether a recurrent layer, or the one that a wrapper holds, gives its whole sequence. */
static bool gives_sequence(const json_t *layer)
{
    const json_t *config = json_object_get(layer, "config");
    const json_t *inner = json_object_get(json_object_get(config, "layer"), "config");
    return json_is_true(json_object_get(inner ? inner : config, "return_sequences"));
}

/* The mask of what a layer gives. */
static json_t *of_layer(graph *g, const json_t *layer, int depth)
{
    static const char *const keep[] = {"Dense",
                                       "Activation",
                                       "Dropout",
                                       "SpatialDropout1D",
                                       "GaussianNoise",
                                       "GaussianDropout",
                                       "AlphaDropout",
                                       "LayerNormalization",
                                       "Attention",
                                       "BatchNormalization",
                                       "MultiHeadAttention",
                                       "AdditiveAttention",
                                       "TimeDistributed",
                                       NULL};
    static const char *const recurrent[] = {"LSTM", "GRU", "SimpleRNN", "Bidirectional", NULL};
    static const char *const merge[] = {"Add",     "Subtract",    "Multiply", "Average",
                                        "Maximum", "Concatenate", NULL};
    static const char *const none[] = {"InputLayer",
                                       "Flatten",
                                       "Reshape",
                                       "RepeatVector",
                                       "Conv1D",
                                       "MaxPooling1D",
                                       "AveragePooling1D",
                                       "GlobalAveragePooling1D",
                                       "GlobalMaxPooling1D",
                                       NULL};
    const json_t *config = json_object_get(layer, "config");
    if (is_class(layer, none) || (is_class(layer, recurrent) && !gives_sequence(layer)))
        return json_string("");
    if (strcmp(lstm__text_of(layer, "class_name"), "Embedding") == 0)
        return json_is_true(json_object_get(config, "mask_zero"))
                   ? difference(input_of(layer, 0), 0)
                   : json_string("");
    if (is_class(layer, keep) || is_class(layer, recurrent))
        return mask_of(g, input_of(layer, 0), depth + 1);
    if (strcmp(lstm__text_of(layer, "class_name"), "Masking") == 0) {
        json_t *before = mask_of(g, input_of(layer, 0), depth + 1);
        const bool alone = before && strcmp(json_string_value(before), "") == 0;
        json_decref(before);
        return alone ? difference(input_of(layer, 0),
                                  json_number_value(json_object_get(config, "mask_value")))
                     : json_string("?");
    }
    return is_class(layer, merge) ? of_inputs(g, layer, depth, false) : json_string("?");
}

/* The mask that a tensor is (of an operation) or has (of a layer): new text, NULL without memory.
 * What is being computed is "?" meanwhile: a cycle ends there. */
static json_t *mask_of(graph *g, const json_t *history, int depth)
{
    const char *name = source_of(history);
    const json_t *layer = json_object_get(g->layers, name);
    json_t *known = json_object_get(g->known, name);
    if (known)
        return json_incref(known);
    if (!layer || depth > MOST_DEPTH)
        return json_string("?");
    if (json_object_set_new(g->known, name, json_string("?")) != 0)
        return NULL;
    json_t *mask = is_operation(layer) ? of_operation(g, layer, depth) : of_layer(g, layer, depth);
    if (mask && json_object_set(g->known, name, mask) != 0) {
        json_decref(mask);
        return NULL;
    }
    return mask;
}

/* Leave out the operations that a mask is computed by. */
static lstm_status leave_out(graph *g, const json_t *history, int depth)
{
    const char *name = source_of(history);
    const json_t *layer = json_object_get(g->layers, name);
    if (!layer || !is_operation(layer) || json_object_get(g->left_out, name) || depth > MOST_DEPTH)
        return LSTM_OK;
    if (json_object_set_new(g->left_out, name, json_true()) != 0)
        return lstm__fail_description();
    const json_t *source = NULL;
    for (size_t k = 0; k < MOST_TENSORS && (source = input_of(layer, k)) != NULL; k++)
        RETURN_IF_ERROR(leave_out(g, source, depth + 1));
    return LSTM_OK;
}

/* A reader of masks that is given none: what comes to it by itself has to be the same here. */
static lstm_status check_merged(graph *g, const json_t *layer)
{
    json_t *expected = input_of(layer, 0) ? mask_of(g, input_of(layer, 0), 0) : json_string("");
    const bool merged = expected && json_string_value(expected)[0] == '!';
    const bool complete = expected != NULL;
    json_decref(expected);
    if (merged)
        return lstm__fail(
            LSTM_ERROR_UNSUPPORTED,
            "layer \"%.100s\" reads what differently masked layers were merged into: "
            "Keras 3 takes a step that is valid in any of them, which is not supported",
            name_of(layer));
    return complete ? LSTM_OK : lstm__fail_description();
}

/* One mask of a call, that of the layer's input k. */
static lstm_status check_mask(graph *g, const json_t *layer, size_t k, const json_t *history)
{
    const json_t *given = json_object_get(g->layers, source_of(history));
    const json_t *input = k < MOST_TENSORS ? input_of(layer, k) : NULL;
    if (k == 0)
        RETURN_IF_ERROR(check_merged(g, layer));
    json_t *mask = given && is_operation(given) ? mask_of(g, history, 0) : json_string("?");
    json_t *expected = input ? mask_of(g, input, 0) : json_string("?");
    const bool same = equal(mask, expected);
    const bool complete = mask && expected;
    json_decref(mask);
    json_decref(expected);
    if (!complete)
        return lstm__fail_description();
    if (!same)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "layer \"%.100s\" is called with a mask (\"%.100s\") other than the one "
                          "that Masking or Embedding gave to what it reads (\"%.100s\")",
                          name_of(layer), source_of(history), source_of(input));
    return leave_out(g, history, 0);
}

bool lstm__is_keras_mask_keyword(const char *key)
{
    return strcmp(key, "mask") == 0 || strcmp(key, "query_mask") == 0 ||
           strcmp(key, "value_mask") == 0 || strcmp(key, "key_mask") == 0;
}

static lstm_status check_layer(graph *g, const json_t *layer)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_t *keywords = json_object_get(call_of(layer), "kwargs");
    json_object_foreach(keywords, key, value)
    {
        if (!lstm__is_keras_mask_keyword(key))
            continue;
        const size_t k = key[0] == 'v' ? 1 : key[0] != 'k' ? 0 : input_of(layer, 2) ? 2 : 1;
        if (history_of(value))
            RETURN_IF_ERROR(check_mask(g, layer, k, history_of(value)));
        else if (json_is_null(value) && k == 0)
            RETURN_IF_ERROR(check_merged(g, layer));
        for (size_t n = 0; n < json_array_size(value) && n <= MOST_TENSORS; n++)
            if (history_of(json_array_get(value, n)))
                RETURN_IF_ERROR(check_mask(g, layer, n, history_of(json_array_get(value, n))));
    }
    return LSTM_OK;
}

lstm_status lstm__keras_masks(const json_t *layers, json_t *rest)
{
    lstm_status status = LSTM_OK;
    graph g = {json_object(), json_object(), json_object()};
    if (!g.layers || !g.known || !g.left_out) {
        status = lstm__fail_description();
        goto out;
    }
    for (size_t k = 0; k < json_array_size(layers); k++)
        if (json_object_set(g.layers, name_of(json_array_get(layers, k)),
                            json_array_get(layers, k)) != 0) {
            status = lstm__fail_description();
            goto out;
        }
    for (size_t k = 0; k < json_array_size(layers); k++)
        TRY(check_layer(&g, json_array_get(layers, k)));
    for (size_t k = 0; k < json_array_size(layers); k++) {
        json_t *layer = json_array_get(layers, k);
        if (!json_object_get(g.left_out, name_of(layer)) && json_array_append(rest, layer) != 0) {
            status = lstm__fail_description();
            goto out;
        }
    }
out:
    json_decref(g.layers);
    json_decref(g.known);
    json_decref(g.left_out);
    return status;
}
