/* SPDX-License-Identifier: MIT
 * Model descriptions: reading ours (and, through keras_json.c, Keras') and writing ours.
 *
 *     {"profile": "keras", "seed": 0,
 *      "layers": [{"type": "Input", "name": "x", "shape": [28, 1]},
 *                 {"type": "LSTM", "name": "lstm", "inputs": ["x"], "units": 32}, …],
 *      "outputs": ["dense"]}
 *
 * Options are read and written by the option tables of the layer classes; only shapes of Input and
 * Reshape are special. A reference is a layer's name, with ":h" or ":c" behind it for an LSTM's
 * last states. Every unknown key is an error.
 */
#include "model_json.h"
#include "bidirectional_json.h"
#include "constants.h"
#include "custom.h"
#include "element.h"
#include "keras_json.h"
#include "names.h"
#include "torch_stack_json.h"
#include "wrapper_json.h"
#include "penalty_json.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_ROOM = 256 };

typedef struct reader {
    lstm_model *model;
    const json_t *list; /* of all layers */
    const json_t *layer;
    const lstm__layer_class *class;
    void *options;
    const lstm_custom_layer *custom; /* NULL = a type of the library */
} reader;

/* ---- Reading options */

/* Keras writes constants also as {"class_name": "GlorotUniform", "config": {…}}. */
static const char *constant_text(const json_t *value)
{
    if (json_is_object(value))
        return json_string_value(json_object_get(value, "class_name"));
    return json_string_value(value);
}

static lstm_status expected(const char *key, const char *what, const json_t *value)
{
    char *found = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    const lstm_status status = lstm__fail(LSTM_ERROR_FORMAT, "\"%s\" is %.80s: expected %s", key,
                                          found ? found : "?", what);
    free(found);
    return status;
}

static lstm_status read_named(const lstm__option *option, const json_t *value, int32_t *number)
{
    const char *text = constant_text(value);
    if (json_is_null(value))
        return LSTM_OK;
    if (!text)
        return expected(option->key, "a name", value);
    const lstm_status status = lstm__constant_find(option->set, text, number);
    return status == LSTM_OK ? status : lstm__prefix_error(status, "\"%s\"", option->key);
}

/* A feature of later versions, switched off. */
static lstm_status check_fixed(const lstm__option *option, const json_t *value)
{
    if (json_array_size(value) == 1)
        value = json_array_get(value, 0);
    const char *text = constant_text(value);
    const bool off = json_is_null(value) || json_is_false(value) ||
                     (json_is_number(value) && json_number_value(value) == 0);
    /* Our tensors have at most three axes (sample, step, feature): the last one may be called 2. */
    const bool last = option->only && strcmp(option->key, "axis") == 0 &&
                      json_integer_value(value) == 2;
    const bool same = last ||
                      (option->only && ((text && lstm__compare_names(text, option->only) == 0) ||
                                        (json_is_integer(value) &&
                                         json_integer_value(value) == atoi(option->only))));
    if (off || same)
        return LSTM_OK;
    char *found = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    const lstm_status status = lstm__fail(
        LSTM_ERROR_UNSUPPORTED, "\"%s\" is %.80s: this version supports only %s", option->key,
        found ? found : "?", option->only ? option->only : "null");
    free(found);
    return status;
}

/* A seed: a whole number, or, beyond what JSON readers agree on, its decimal digits as a text; null
 * is 0. */
static lstm_status read_seed(const char *key, const json_t *value, uint64_t *seed)
{
    const char *text = json_string_value(value);
    *seed = 0;
    if (text && text[0] >= '0' && text[0] <= '9') {
        char *end = NULL;
        errno = 0;
        *seed = strtoull(text, &end, 10);
        if (*end == 0 && errno == 0)
            return LSTM_OK;
    } else if (json_is_null(value) || (json_is_integer(value) && json_integer_value(value) >= 0)) {
        *seed = (uint64_t)json_integer_value(value);
        return LSTM_OK;
    }
    return expected(key, "a whole number of at least 0, or null", value);
}

static json_t *write_seed(uint64_t seed)
{
    return seed <= INT64_MAX ? json_integer((json_int_t)seed) : json_sprintf("%" PRIu64, seed);
}

static lstm_status read_option(const lstm__option *option, const json_t *value, void *options)
{
    void *place = (unsigned char *)options + option->offset;
    if (option->kind == LSTM__OPTION_COUNT && json_is_null(value))
        return LSTM_OK; /* the default */
    if (option->kind == LSTM__OPTION_COUNT && json_array_size(value) == 1)
        value = json_array_get(value, 0); /* Keras writes the sizes of Conv1D as lists */
    switch (option->kind) {
    case LSTM__OPTION_COUNT:
        if (!json_is_integer(value) || json_integer_value(value) < 1)
            return expected(option->key, "a whole number of at least 1", value);
        *(int64_t *)place = json_integer_value(value);
        return LSTM_OK;
    case LSTM__OPTION_SIZE:
        if (!json_is_null(value) && (!json_is_integer(value) || json_integer_value(value) < 0))
            return expected(option->key, "a whole number of at least 0", value);
        *(int64_t *)place = json_integer_value(value);
        return LSTM_OK;
    case LSTM__OPTION_FLAG:
        if (!json_is_boolean(value))
            return expected(option->key, "true or false", value);
        *(int32_t *)place = json_is_true(value) ? LSTM_YES : LSTM_NO;
        return LSTM_OK;
    case LSTM__OPTION_NAMED:
        return read_named(option, value, place);
    case LSTM__OPTION_RATE:
        if (!json_is_number(value))
            return expected(option->key, "a number", value);
        *(float *)place = (float)json_number_value(value);
        return LSTM_OK;
    case LSTM__OPTION_SEED:
        return read_seed(option->key, value, place);
    case LSTM__OPTION_FIXED:
        return check_fixed(option, value);
    default:
        return LSTM_OK;
    }
}

/* Where the parameters come from a file, how they would be drawn is of no account: an initialiser
 * that this version lacks becomes the default, and a log line says so. */
static bool is_idle_initializer(const reader *r, const lstm__option *option, const json_t *value)
{
    int32_t number = 0;
    const char *text = constant_text(value);
    const bool drawn = option->kind == LSTM__OPTION_NAMED && option->set == LSTM_NAMES_INITIALIZER;
    if (!r->model->loading || !text || (!drawn && strcmp(option->key, "bias_initializer") != 0))
        return false;
    if (drawn ? lstm__constant_find(option->set, text, &number) == LSTM_OK
              : check_fixed(option, value) == LSTM_OK)
        return false;
    lstm__log(
        r->model->context,
        "\"%s\": %.80s is not in this version; the default is noted, the parameters are the file's",
        option->key, text);
    return true;
}

static lstm_status unknown_key(const reader *r, const char *key)
{
    lstm__nearest nearest;
    lstm__nearest_start(&nearest, key);
    for (const lstm__option *option = r->class->options; option->key; option++)
        lstm__nearest_offer(&nearest, option->key);
    lstm__nearest_offer(&nearest, "inputs");
    lstm__nearest_offer(&nearest, "name");
    if (r->class == &lstm__class_lstm)
        lstm__nearest_offer(&nearest, "initial_state");
    return lstm__fail_unknown(&nearest, "option");
}

/* Keys of every layer that are read elsewhere or carry nothing. */
static bool is_general(const reader *r, const char *key)
{
    static const char *const general[] = {"type",         "name",
                                          "inputs",       "initial_state",
                                          "dtype",        "batch_input_shape",
                                          "batch_shape",  "input_shape",
                                          "build_config", NULL};
    for (size_t k = 0; general[k]; k++)
        if (strcmp(key, general[k]) == 0)
            return true;
    return (r->model->profile == LSTM_PROFILE_TORCH && lstm__torch_name_key(key)) ||
           (r->class == &lstm__class_input && strcmp(key, "shape") == 0) ||
           (r->class == &lstm__class_reshape && strcmp(key, "target_shape") == 0);
}

static lstm_status read_options(const reader *r)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)r->layer, key, value)
    {
        const lstm__option *option = r->class->options;
        while (option->key && strcmp(option->key, key) != 0)
            option++;
        if (lstm__penalty_key(r->class, key) ||
            (option->key && is_idle_initializer(r, option, value)))
            continue;
        if (option->key)
            RETURN_IF_ERROR(read_option(option, value, r->options));
        else if (!is_general(r, key))
            return unknown_key(r, key);
    }
    return LSTM_OK;
}

/* ---- Shapes */

/* One entry of a shape: > 0, or null for any. */
static lstm_status read_size(const json_t *shape, size_t index, bool may_be_free, int64_t *size)
{
    const json_t *value = json_array_get(shape, index);
    *size = 0;
    if (may_be_free && json_is_null(value))
        return LSTM_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 1)
        return expected("shape",
                        may_be_free ? "a whole number of at least 1, or null"
                                    : "a whole number of at least 1",
                        value);
    *size = json_integer_value(value);
    return LSTM_OK;
}

/* "shape": [features] or [steps, features]; Keras' batch_shape and batch_input_shape have the batch
 * in front. */
static lstm_status read_input_shape(const json_t *layer, lstm_input_options *input)
{
    const json_t *shape = json_object_get(layer, "shape");
    size_t first = 0;
    if (!shape) {
        shape = json_object_get(layer, "batch_shape");
        shape = shape ? shape : json_object_get(layer, "batch_input_shape");
        first = 1;
    }
    const size_t rank = json_array_size(shape);
    if (!json_is_array(shape) || (rank != first + 1 && rank != first + 2))
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "an input needs \"shape\": [steps, features] or [features]");
    input->struct_size = sizeof *input;
    /* any number of tokens */
    if (rank == first + 1 && json_is_null(json_array_get(shape, first))) {
        input->features = 1;
        input->vector = LSTM_NO;
        return LSTM_OK;
    }
    input->vector = rank == first + 1 ? LSTM_YES : LSTM_NO;
    RETURN_IF_ERROR(read_size(shape, rank - 1, false, &input->features));
    return rank == first + 2 ? read_size(shape, first, true, &input->steps) : LSTM_OK;
}

static lstm_status read_target_shape(const json_t *layer, lstm_reshape_options *reshape)
{
    const json_t *shape = json_object_get(layer, "target_shape");
    const size_t rank = json_array_size(shape);
    if (!json_is_array(shape) || rank < 1 || rank > 2)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "a reshape needs \"target_shape\": [steps, features] or [features]");
    RETURN_IF_ERROR(read_size(shape, rank - 1, false, &reshape->features));
    return rank == 2 ? read_size(shape, 0, false, &reshape->steps) : LSTM_OK;
}

/* ---- References */

static lstm_status find_reference(const lstm_model *model, const char *text, const lstm_layer **out)
{
    char name[LSTM__NAME_SIZE];
    const size_t length = strlen(text);
    const lstm_layer *layer = lstm__graph_find(model, text);
    int port = 0;
    if (!layer && length > 2 && length < sizeof name && text[length - 2] == ':') {
        port = text[length - 1] == 'h' ? 1 : text[length - 1] == 'c' ? 2 : 0;
        memcpy(name, text, length - 2);
        name[length - 2] = 0;
        layer = port ? lstm__graph_find(model, name) : NULL;
    }
    if (layer && port < layer->node->port_count) {
        *out = &layer->node->ports[port];
        return LSTM_OK;
    }
    lstm__nearest nearest;
    lstm__nearest_start(&nearest, text);
    for (size_t k = 0; k < model->node_count; k++)
        lstm__nearest_offer(&nearest, model->nodes[k]->name);
    return lstm__fail_unknown(&nearest, "layer");
}

/* A layer that this one reads. Layers stand in the order in which data flows, so what stands further
 * down cannot be read, and there are no cycles. */
static lstm_status find_read(const reader *r, const char *text, const lstm_layer **out)
{
    const lstm_status status = find_reference(r->model, text, out);
    size_t k = 0;
    const json_t *layer = NULL;
    json_array_foreach(r->list, k, layer)
    {
        const char *name = json_string_value(json_object_get(layer, "name"));
        if (status != LSTM_ERROR_NOT_FOUND || !name || strcmp(name, text) != 0)
            continue;
        return layer == r->layer
                   ? lstm__fail(status, "reads itself: a graph has no cycles")
                   : lstm__fail(status,
                                "reads layer \"%s\", which stands further down: expected layers in "
                                "the order in which data flows, without cycles",
                                text);
    }
    return status;
}

/* "inputs": a name or a list of names; "initial_state": an LSTM layer whose states are read. */
static lstm_status read_references(const reader *r, const lstm_layer **inputs, int *count)
{
    const json_t *list = json_object_get(r->layer, "inputs");
    const char *state = json_string_value(json_object_get(r->layer, "initial_state"));
    const size_t given = json_is_string(list) ? 1 : json_array_size(list);
    const int least = r->class->least_inputs           ? r->class->least_inputs
                      : r->class == &lstm__class_input ? 0
                                                       : 1;
    const int most = r->class->most_inputs ? r->class->most_inputs : least;
    if (list && !json_is_string(list) && !json_is_array(list))
        return expected("inputs", "a layer's name or a list of names", list);
    if (given > (size_t)most || given > LSTM__INPUTS)
        return lstm__fail(LSTM_ERROR_FORMAT, "reads %zu layer(s): expected at most %d", given,
                          most);
    *count = r->class == &lstm__class_input ? 0 : 1;
    for (size_t k = 0; k < given; k++) {
        const char *text = json_string_value(json_is_string(list) ? list : json_array_get(list, k));
        if (!text)
            return expected("inputs", "names of layers", list);
        RETURN_IF_ERROR(find_read(r, text, &inputs[k]));
        *count = (int)k + 1;
    }
    if (state && (least != 1 || (most != 2 && most != 3)))
        return lstm__fail(LSTM_ERROR_FORMAT, "\"initial_state\": a %s has no states",
                          r->class->type);
    if (state) {
        const lstm_layer *layer = NULL;
        RETURN_IF_ERROR(find_read(r, state, &layer));
        if (layer->node->port_count < most)
            return lstm__fail(LSTM_ERROR_FORMAT, "\"initial_state\": layer \"%s\" has no states",
                              state);
        for (int k = 1; k < most; k++)
            inputs[k] = &layer->node->ports[k];
        *count = most;
    }
    if (*count < least || (*count == 2 && r->class == &lstm__class_lstm))
        return lstm__fail(LSTM_ERROR_FORMAT, "reads %d layers: expected %s", *count,
                          r->class == &lstm__class_lstm ? "one, or three (sequence, h, c)"
                                                        : "more");
    return LSTM_OK;
}

/* ---- Layers */

/* A layer type of the library, or, where `custom` is not NULL, of the caller's own, *custom. */
static lstm_status find_class(const lstm_model *model, const char *type,
                              const lstm__layer_class **class, const lstm_custom_layer **custom)
{
    lstm__nearest nearest;
    lstm__nearest_start(&nearest, type);
    if (strcmp(type, "InputLayer") == 0)
        type = "Input";
    if (strcmp(type, "Linear") == 0)
        type = "Dense";
    if (strcmp(type, "RNN") == 0)
        type = "SimpleRNN";
    for (size_t k = 0; lstm__layer_classes[k]; k++) {
        *class = lstm__layer_classes[k];
        if (strcmp((*class)->type, type) == 0)
            return LSTM_OK;
        lstm__nearest_offer(&nearest, (*class)->type);
    }
    *class = &lstm__class_custom;
    if (custom && (*custom = lstm__context_find_layer(model->context, type)))
        return LSTM_OK;
    for (size_t k = 0; custom && lstm__context_layer(model->context, k); k++)
        lstm__nearest_offer(&nearest, lstm__context_layer(model->context, k)->type);
    return lstm__fail_unknown(&nearest, "layer type");
}

static lstm_status add_input(lstm_model *model, const json_t *layer, const char *name)
{
    lstm_input_options input = {sizeof input, 0, 0, 0, NULL};
    RETURN_IF_ERROR(read_input_shape(layer, &input));
    return lstm__graph_add(model, &lstm__class_input, &input, name, NULL, 0, NULL);
}

static lstm_status add_layer(reader *r, const char *name)
{
    union {
        unsigned char room[OPTIONS_ROOM];
        uint64_t aligned;
    } options = {{0}};
    const lstm_layer *inputs[LSTM__INPUTS] = {NULL};
    int count = 0;
    if (r->class->options_size > OPTIONS_ROOM)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "layer type %s has more options than can be read",
                          r->class->type);
    r->options = &options;
    *(uint32_t *)r->options = (uint32_t)r->class->options_size;
    RETURN_IF_ERROR(read_options(r));
    if (r->class == &lstm__class_input) {
        RETURN_IF_ERROR(read_references(r, inputs, &count));
        return add_input(r->model, r->layer, name);
    }
    if (r->class == &lstm__class_reshape)
        RETURN_IF_ERROR(read_target_shape(r->layer, r->options));
    if (r->class == &lstm__class_lstm && r->model->profile == LSTM_PROFILE_TORCH) {
        lstm_lstm_options *lstm = r->options; /* PyTorch's layer gives the whole sequence */
        lstm->return_sequences = lstm->return_sequences == 0 ? LSTM_YES : lstm->return_sequences;
    }
    if (r->class == &lstm__class_gru && r->model->profile == LSTM_PROFILE_TORCH) {
        lstm_gru_options *gru = r->options;
        gru->return_sequences = gru->return_sequences == 0 ? LSTM_YES : gru->return_sequences;
    }
    if (r->class == &lstm__class_simple_rnn && r->model->profile == LSTM_PROFILE_TORCH) {
        lstm_simple_rnn_options *rnn = r->options;
        rnn->return_sequences = rnn->return_sequences == 0 ? LSTM_YES : rnn->return_sequences;
    }
    /* Keras 2: the first layer of a Sequential may carry the input's shape. */
    if (r->model->node_count == 0 && json_object_get(r->layer, "batch_input_shape"))
        RETURN_IF_ERROR(add_input(r->model, r->layer, NULL));
    RETURN_IF_ERROR(read_references(r, inputs, &count));
    lstm_layer *layer = NULL;
    if (r->custom)
        RETURN_IF_ERROR(lstm__custom_add(r->model, r->custom, name, inputs, count, &layer));
    else
        RETURN_IF_ERROR(
            lstm__graph_add(r->model, r->class, r->options, name, inputs, count, &layer));
    RETURN_IF_ERROR(lstm__torch_name_from_json(layer->node, r->layer));
    return lstm__penalty_from_json(layer->node, r->layer);
}

static lstm_status read_layer(lstm_model *model, const json_t *list, const json_t *layer,
                              size_t index);

static lstm_status read_wrapped(lstm_model *model, const json_t *list, const json_t *layer,
                                size_t index)
{
    json_t *inner = NULL;
    const lstm__layer_class *class = NULL;
    lstm_status status = lstm__unwrap_layer(layer, &inner);
    if (status != LSTM_OK)
        return lstm__prefix_error(status, "layer %zu (TimeDistributed)", index);
    const char *type = json_string_value(json_object_get(inner, "type"));
    status = find_class(model, type, &class, NULL);
    if (status == LSTM_OK && !class->stepwise)
        status = lstm__fail(LSTM_ERROR_UNSUPPORTED,
                            "TimeDistributed of a %s: expected a layer that treats each step alone",
                            class->type);
    if (status == LSTM_OK)
        status = read_layer(model, list, inner, index);
    else
        status = lstm__prefix_error(status, "layer %zu (TimeDistributed)", index);
    if (status == LSTM_OK)
        model->nodes[model->node_count - 1]->wrapped = true;
    json_decref(inner);
    return status;
}
static lstm_status read_parts(lstm_model *model, const json_t *list, const json_t *layer,
                              size_t index);

static lstm_status read_layer(lstm_model *model, const json_t *list, const json_t *layer,
                              size_t index)
{
    if (lstm__is_time_distributed(layer))
        return read_wrapped(model, list, layer, index);
    reader r = {.model = model, .list = list, .layer = layer};
    const char *type = json_string_value(json_object_get(layer, "type"));
    const json_t *name = json_object_get(layer, "name");
    if (!type)
        return lstm__fail(LSTM_ERROR_FORMAT, "layer %zu has no \"type\"", index);
    if (name && !json_is_null(name) && !json_is_string(name))
        return lstm__fail(LSTM_ERROR_FORMAT, "layer %zu (%s): \"name\" is not a text", index, type);
    if (json_string_length(name) > 0 &&
        !lstm__is_name(json_string_value(name), json_string_length(name)))
        return lstm__fail(LSTM_ERROR_FORMAT, "layer %zu (%s): \"name\" holds control characters",
                          index, type);
    if (lstm__is_bidirectional_json(layer) || lstm__is_torch_stack(model, layer))
        return read_parts(model, list, layer, index);
    lstm_status status = find_class(model, type, &r.class, &r.custom);
    if (status == LSTM_OK)
        status = add_layer(&r, json_string_value(name));
    if (status != LSTM_OK && name)
        return lstm__prefix_error(status, "layer %zu \"%.100s\" (%.40s)", index,
                                  json_string_value(name), type);
    return status == LSTM_OK ? status
                             : lstm__prefix_error(status, "layer %zu (%.40s)", index, type);
}

/* Bidirectional, or a module of PyTorch: the layers that it consists of. */
static lstm_status read_parts(lstm_model *model, const json_t *list, const json_t *layer,
                              size_t index)
{
    json_t *parts = NULL;
    lstm_status status = lstm__is_bidirectional_json(layer)
                             ? lstm__bidirectional_json_expand(model, layer, &parts)
                             : lstm__torch_stack_expand(model, layer, &parts);
    if (status != LSTM_OK)
        return lstm__prefix_error(status, "layer %zu (%.40s)", index,
                                  json_string_value(json_object_get(layer, "type")));
    for (size_t k = 0; k < json_array_size(parts) && status == LSTM_OK; k++)
        status = read_layer(model, list, json_array_get(parts, k), index);
    json_decref(parts);
    return status;
}

static lstm_status read_outputs(lstm_model *model, const json_t *outputs)
{
    lstm_status status = LSTM_OK;
    const size_t count = json_is_string(outputs) ? 1 : json_array_size(outputs);
    const lstm_layer **layers = lstm__allocate_array(model->context, count, sizeof *layers);
    if (!layers)
        return lstm__fail_memory(count, "the outputs");
    for (size_t k = 0; k < count; k++) {
        const char *text = json_string_value(json_is_string(outputs) ? outputs
                                                                     : json_array_get(outputs, k));
        if (!text)
            FAIL(LSTM_ERROR_FORMAT, "\"outputs\" is not a list of layer names");
        TRY(find_reference(model, text, &layers[k]));
    }
    TRY(lstm__graph_set_outputs(model, layers, count));
out:
    lstm__release(model->context, layers);
    return status;
}

static lstm_status check_root(const json_t *root)
{
    static const char *const known[] = {"profile", "seed", "layers", "outputs", "name", NULL};
    const char *key = NULL;
    json_t *value = NULL;
    if (!json_is_object(root) || !json_is_array(json_object_get(root, "layers")))
        return lstm__fail(LSTM_ERROR_FORMAT, "expected an object with a list \"layers\"");
    json_object_foreach((json_t *)root, key, value)
    {
        lstm__nearest nearest;
        lstm__nearest_start(&nearest, key);
        size_t k = 0;
        for (; known[k] && strcmp(known[k], key) != 0; k++)
            lstm__nearest_offer(&nearest, known[k]);
        if (!known[k])
            return lstm__fail_unknown(&nearest, "key");
    }
    return LSTM_OK;
}

/* most_values SIZE_MAX: no file with values. */
static lstm_status read_root(lstm_model **out, lstm_context *context, const json_t *root,
                             size_t most_values)
{
    lstm_status status = LSTM_OK;
    lstm_model *model = NULL;
    int32_t profile = LSTM_PROFILE_KERAS;
    TRY(check_root(root));
    uint64_t seed = 0;
    const json_t *outputs = json_object_get(root, "outputs");
    const json_t *layers = json_object_get(root, "layers");
    const lstm__option option = LSTM__OPTION_OF("profile", 0, LSTM_NAMES_PROFILE);
    if (json_object_get(root, "profile"))
        TRY(read_named(&option, json_object_get(root, "profile"), &profile));
    if (json_object_get(root, "seed"))
        TRY(read_seed("seed", json_object_get(root, "seed"), &seed));
    TRY(lstm__graph_create(&model, context, profile, seed));
    model->loading = most_values != SIZE_MAX;
    model->most_values = most_values;
    for (size_t k = 0; k < json_array_size(layers); k++)
        TRY(read_layer(model, layers, json_array_get(layers, k), k));
    if (outputs)
        TRY(read_outputs(model, outputs));
    status = lstm__graph_build(model);
    /* no call came at the wrong time: the description is incomplete */
    if (status == LSTM_ERROR_STATE)
        status = lstm__prefix_error(LSTM_ERROR_FORMAT, "the description");
    if (status != LSTM_OK)
        goto out;
    *out = model;
    return LSTM_OK;
out:
    lstm__graph_release(model);
    return status;
}

lstm_status lstm__model_from_json_of_file(lstm_model **out, lstm_context *context, const char *text,
                                          size_t length, size_t most_values, int keras_version)
{
    json_error_t error;
    json_t *converted = NULL;
    lstm_status status = LSTM_OK;
    *out = NULL;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return lstm__fail(LSTM_ERROR_FORMAT, "JSON, line %d, column %d: %s", error.line,
                          error.column, error.text);
    if (lstm__is_keras_json(root))
        TRY(lstm__keras_json_convert(root, keras_version, &converted));
    TRY(read_root(out, context, converted ? converted : root, most_values));
out:
    json_decref(converted);
    json_decref(root);
    return status;
}

lstm_status lstm__model_from_json(lstm_model **out, lstm_context *context, const char *text,
                                  size_t length)
{
    return lstm__model_from_json_of_file(out, context, text, length, SIZE_MAX, 0);
}

/* ---- Writing */

static int set_option(json_t *layer, const lstm__option *option, const void *options)
{
    const void *place = (const unsigned char *)options + option->offset;
    json_t *value = NULL;
    if (option->rare && !lstm__option_is_on(option, options))
        return 0;
    switch (option->kind) {
    case LSTM__OPTION_COUNT:
    case LSTM__OPTION_SIZE:
        value = json_integer(*(const int64_t *)place);
        break;
    case LSTM__OPTION_FLAG:
        value = json_boolean(*(const int32_t *)place == LSTM_YES);
        break;
    case LSTM__OPTION_NAMED:
        value = json_string(lstm__constant_name(option->set, *(const int32_t *)place));
        break;
    case LSTM__OPTION_RATE:
        value = json_real((double)*(const float *)place);
        break;
    case LSTM__OPTION_SEED:
        value = write_seed(*(const uint64_t *)place);
        break;
    default:
        return 0;
    }
    return json_object_set_new(layer, option->key, value);
}

static json_t *reference(const lstm_layer *layer)
{
    static const char *const forms[LSTM__PORTS] = {"%s", "%s:h", "%s:c"};
    return json_sprintf(forms[layer->port], layer->node->name);
}

static json_t *size_or_null(int64_t size)
{
    return size > 0 ? json_integer(size) : json_null();
}

static int set_shape(json_t *layer, const lstm__node *node)
{
    const lstm__shape shape = node->shapes[0];
    const char *key = node->class == &lstm__class_input ? "shape" : "target_shape";
    if (node->class != &lstm__class_input && node->class != &lstm__class_reshape)
        return 0;
    if (shape.steps == 0)
        return json_object_set_new(layer, key, json_pack("[I]", (json_int_t)shape.features));
    return json_object_set_new(
        layer, key, json_pack("[o, I]", size_or_null(shape.steps), (json_int_t)shape.features));
}

static json_t *write_layer(const lstm__node *node)
{
    json_t *layer = json_pack("{s:s, s:s}", "type", node->class->type, "name", node->name);
    json_t *inputs = json_array();
    int failed = !layer || set_shape(layer, node) != 0;
    for (int k = 0; k < node->input_count; k++)
        failed = failed || json_array_append_new(inputs, reference(node->inputs[k])) != 0;
    if (node->input_count > 0)
        failed = failed || json_object_set(layer, "inputs", inputs) != 0;
    for (const lstm__option *option = node->class->options; option->key; option++)
        if (!option->alias)
            failed = failed || set_option(layer, option, node->options) != 0;
    failed = failed || lstm__penalty_to_json(node, layer) != 0;
    if (node->model->profile == LSTM_PROFILE_TORCH)
        failed = failed || lstm__torch_name_to_json(node, layer) != 0;
    json_decref(inputs);
    if (failed) {
        json_decref(layer);
        return NULL;
    }
    return layer;
}

lstm_status lstm__model_to_json(const lstm_model *model, char **text)
{
    lstm_status status = LSTM_OK;
    char *dump = NULL;
    json_t *root = json_pack("{s:s, s:o, s:[], s:[]}", "profile",
                             lstm__constant_name(LSTM_NAMES_PROFILE, model->profile), "seed",
                             write_seed(model->seed), "layers", "outputs");
    int failed = !root;
    for (size_t k = 0; !failed && k < model->node_count; k++)
        failed = json_array_append_new(json_object_get(root, "layers"),
                                       write_layer(model->nodes[k])) != 0;
    for (size_t k = 0; !failed && k < model->output_count; k++)
        failed = json_array_append_new(json_object_get(root, "outputs"),
                                       reference(model->outputs[k])) != 0;
    dump = failed ? NULL : json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    *text = dump ? lstm__copy_text(model->context, dump) : NULL;
    if (!*text)
        status = lstm__fail(LSTM_ERROR_MEMORY, "no memory for the model's description");
    free(dump);
    json_decref(root);
    return status;
}
