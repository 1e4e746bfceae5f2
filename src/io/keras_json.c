/* SPDX-License-Identifier: MIT
 * Keras' model.to_json() to our own description.
 *
 * Sequential: a plain list of layers. Functional: each layer has inbound_nodes, which name the
 * tensors it reads as [layer, node, port]: in Keras 3 inside "__keras_tensor__" objects of args and
 * kwargs, before as nested lists. Layers are put into an order in which each reads only what stands
 * before it, inputs first and in the model's input order. A layer that is called twice (shared
 * weights) is refused by name.
 *
 * hard_sigmoid is clip(x/5 + 1/2, 0, 1) in Keras 1 and 2 and clip(x/6 + 1/2, 0, 1) in Keras 3,
 * under the same name: that of Keras 1 and 2 becomes hard_sigmoid_keras2.
 */
#include "keras_json.h"

#include "bidirectional_json.h"
#include "description_text.h"
#include "keras_masks.h"
#include "layer.h"

#include <string.h>

enum { MOST_LAYERS = 10000, MOST_PORT = 5 };

bool lstm__is_keras_json(const json_t *root)
{
    return json_is_object(root) && json_is_string(json_object_get(root, "class_name")) &&
           json_object_get(root, "config");
}

int lstm__keras_version(const char *text)
{
    return text && text[0] >= '1' && text[0] <= '9' && (text[1] == '.' || !text[1]) ? text[0] - '0'
                                                                                    : 0;
}

/* Append "name", "name:h", "name:c", "name:3" … for [name, node, port]. Those with numbers, states of
 * a Bidirectional, get their own names when all layers are known. */
static lstm_status append_reference(json_t *list, const json_t *history, const char *reader)
{
    const char *name = json_string_value(json_array_get(history, 0));
    const json_int_t node = json_integer_value(json_array_get(history, 1));
    const json_int_t port = json_integer_value(json_array_get(history, 2));
    if (!name || port < 0 || port > MOST_PORT)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "layer \"%s\": an inbound node does not name a layer and its output",
                          reader);
    if (node != 0)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "layer \"%s\" reads call %lld of layer \"%s\": layers that are called "
                          "more than once are not "
                          "supported",
                          reader, (long long)node + 1, name);
    json_t *text = port > 2 ? json_sprintf("%s:%d", name, (int)port)
                            : json_sprintf(port == 0   ? "%s"
                                           : port == 1 ? "%s:h"
                                                       : "%s:c",
                                           name);
    return text && json_array_append_new(list, text) == 0 ? LSTM_OK : lstm__fail_description();
}

/* Collect the tensors of a Keras 3 argument: one tensor, or lists of them. */
static lstm_status collect_tensors(json_t *list, const json_t *value, const char *reader, int depth)
{
    if (depth > 8)
        return lstm__fail(LSTM_ERROR_FORMAT, "layer \"%s\": arguments nested too deeply", reader);
    if (json_is_object(value) &&
        strcmp(lstm__text_of(value, "class_name"), "__keras_tensor__") == 0)
        return append_reference(
            list, json_object_get(json_object_get(value, "config"), "keras_history"), reader);
    for (size_t k = 0; json_is_array(value) && k < json_array_size(value); k++)
        RETURN_IF_ERROR(collect_tensors(list, json_array_get(value, k), reader, depth + 1));
    return LSTM_OK;
}

/* Keras 3: {"args": […], "kwargs": {…}}; initial_state, and query, value and key of attention, may
 * carry tensors among the keywords. use_causal_mask becomes an option; masks are those that arise
 * here by themselves (keras_masks.h). */
static lstm_status collect_call(json_t *list, const json_t *call, const char *reader,
                                json_t *converted)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_t *keywords = json_object_get(call, "kwargs");
    static const char *const carriers[] = {"query", "value", "key", "initial_state"};
    RETURN_IF_ERROR(collect_tensors(list, json_object_get(call, "args"), reader, 0));
    if (json_is_true(json_object_get(keywords, "use_causal_mask")) &&
        json_object_set_new(converted, "use_causal_mask", json_true()) != 0)
        return lstm__fail_description();
    for (size_t k = 0; k < sizeof carriers / sizeof *carriers; k++)
        RETURN_IF_ERROR(collect_tensors(list, json_object_get(keywords, carriers[k]), reader, 0));
    json_object_foreach(keywords, key, value)
    {
        bool carrier = false;
        for (size_t k = 0; k < sizeof carriers / sizeof *carriers; k++)
            carrier = carrier || strcmp(key, carriers[k]) == 0;
        if (carrier || lstm__is_keras_mask_keyword(key))
            continue;
        const size_t before = json_array_size(list);
        RETURN_IF_ERROR(collect_tensors(list, value, reader, 0));
        if (json_array_size(list) > before)
            return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                              "layer \"%s\" is called with the tensor argument \"%s\"", reader,
                              key);
    }
    return LSTM_OK;
}

/* A tensor, [name, node, port], or a list of them, among the keywords of a call before Keras 3. */
static lstm_status collect_old_tensors(json_t *list, const json_t *value, const char *reader)
{
    if (json_is_string(json_array_get(value, 0)) && json_is_integer(json_array_get(value, 1)))
        return append_reference(list, value, reader);
    for (size_t k = 0; k < json_array_size(value); k++)
        if (json_is_array(json_array_get(value, k)))
            RETURN_IF_ERROR(append_reference(list, json_array_get(value, k), reader));
    return LSTM_OK;
}

/* Before Keras 3: [["name", node, port, {keywords}], …]; the keywords of the last one hold for the
 * call, and some carry tensors. */
static lstm_status collect_old_call(json_t *list, const json_t *call, const char *reader,
                                    json_t *converted)
{
    static const char *const carriers[] = {"value", "key", "initial_state"};
    for (size_t k = 0; k < json_array_size(call); k++)
        RETURN_IF_ERROR(append_reference(list, json_array_get(call, k), reader));
    const size_t count = json_array_size(call);
    const json_t *keywords = json_array_get(json_array_get(call, count > 0 ? count - 1 : 0), 3);
    for (size_t c = 0; c < sizeof carriers / sizeof *carriers; c++)
        RETURN_IF_ERROR(collect_old_tensors(list, json_object_get(keywords, carriers[c]), reader));
    if (json_is_true(json_object_get(keywords, "use_causal_mask")) &&
        json_object_set_new(converted, "use_causal_mask", json_true()) != 0)
        return lstm__fail_description();
    return LSTM_OK;
}

static lstm_status convert_inputs(const json_t *layer, const char *name, json_t *converted)
{
    const json_t *nodes = json_object_get(layer, "inbound_nodes");
    if (json_array_size(nodes) == 0)
        return LSTM_OK;
    if (json_array_size(nodes) > 1)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "layer \"%s\" is called %zu times: layers that are called more than once "
                          "are not supported",
                          name, json_array_size(nodes));
    json_t *list = json_array();
    if (!list || json_object_set_new(converted, "inputs", list) != 0)
        return lstm__fail_description();
    const json_t *call = json_array_get(nodes, 0);
    return json_is_object(call) ? collect_call(list, call, name, converted)
                                : collect_old_call(list, call, name, converted);
}

/* What Keras 1 called the options; "" = gone, and without a meaning for the result. */
static lstm_status rename_old_options(json_t *converted)
{
    static const char *const names[][2] = {{"output_dim", "units"},
                                           {"init", "kernel_initializer"},
                                           {"inner_init", "recurrent_initializer"},
                                           {"inner_activation", "recurrent_activation"},
                                           {"W_regularizer", "kernel_regularizer"},
                                           {"U_regularizer", "recurrent_regularizer"},
                                           {"b_regularizer", "bias_regularizer"},
                                           {"W_constraint", "kernel_constraint"},
                                           {"b_constraint", "bias_constraint"},
                                           {"dropout_W", "dropout"},
                                           {"dropout_U", "recurrent_dropout"},
                                           {"bias", "use_bias"},
                                           {"p", "rate"},
                                           {"input_dim", ""},
                                           {"input_length", ""},
                                           {"input_dtype", ""},
                                           {"consume_less", ""},
                                           {"forget_bias_init", ""}};
    const char *forget = json_string_value(json_object_get(converted, "forget_bias_init"));
    if (forget && json_object_set_new(converted, "unit_forget_bias",
                                      json_boolean(strcmp(forget, "one") == 0)) != 0)
        return lstm__fail_description();
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        json_t *value = json_object_get(converted, names[k][0]);
        if (value && names[k][1][0] && json_object_set(converted, names[k][1], value) != 0)
            return lstm__fail_description();
        json_object_del(converted, names[k][0]);
    }
    return LSTM_OK;
}

/* What means something else in Keras 1 and 2: hard_sigmoid, by another name here, and a GRU, whose
 * reset gate came before the product unless it says otherwise. Also in the layers of wrappers. */
static lstm_status translate_version(const char *type, json_t *config, int version, int depth)
{
    static const char *const keys[] = {"activation", "recurrent_activation"};
    static const char *const wrapped[] = {"layer", "backward_layer"};
    int failed = 0;
    if (version == 1)
        RETURN_IF_ERROR(rename_old_options(config));
    if (strcmp(type, "GRU") == 0 && !json_object_get(config, "reset_after"))
        failed = json_object_set_new(config, "reset_after", json_false());
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
        if (strcmp(lstm__text_of(config, keys[k]), "hard_sigmoid") == 0)
            failed |= json_object_set_new(config, keys[k], json_string("hard_sigmoid_keras2"));
    for (size_t k = 0; k < sizeof wrapped / sizeof wrapped[0]; k++) {
        json_t *inner = json_object_get(config, wrapped[k]);
        json_t *options = json_object_get(inner, "config");
        if (json_is_object(options) && depth < 8)
            RETURN_IF_ERROR(
                translate_version(lstm__text_of(inner, "class_name"), options, version, depth + 1));
    }
    return failed ? lstm__fail_description() : LSTM_OK;
}

/* Take a number out of a description; `other` where it is not there. */
static double take_number(json_t *layer, const char *key, double other)
{
    const json_t *value = json_object_get(layer, key);
    const double number = json_is_number(value) ? json_number_value(value) : other;
    if (!value || json_is_number(value) || json_is_null(value))
        json_object_del(layer, key);
    return number;
}

/* Layers of Keras that are an Activation with numbers here. What one has beyond that, as a largest
 * value, stays and is refused as an option that Activation lacks. */
static lstm_status translate_activation(const char *type, json_t *converted)
{
    static const char *const names[][2] = {
        {"ReLU", "relu"}, {"LeakyReLU", "relu"}, {"ELU", "elu"}, {"Softmax", "softmax"}};
    size_t k = 0;
    while (k < sizeof names / sizeof *names && strcmp(type, names[k][0]) != 0)
        k++;
    if (k == sizeof names / sizeof *names)
        return LSTM_OK;
    double alpha = 0;
    double beta = 0;
    int failed = 0;
    if (k == 0) {
        alpha = take_number(converted, "negative_slope", 0);
        beta = take_number(converted, "threshold", 0);
        if (json_is_null(json_object_get(converted, "max_value")))
            json_object_del(converted, "max_value");
    } else if (k == 1) { /* Keras 2 calls it alpha */
        alpha = take_number(converted, "negative_slope", take_number(converted, "alpha", 0.3));
    } else if (k == 2) {
        alpha = take_number(converted, "alpha", 1);
    } else if (json_integer_value(json_object_get(converted, "axis")) == -1) {
        json_object_del(converted, "axis");
    }
    failed |= json_object_set_new(converted, "type", json_string("Activation"));
    failed |= json_object_set_new(converted, "activation", json_string(names[k][1]));
    if (alpha != 0 || beta != 0) {
        failed |= json_object_set_new(converted, "activation_alpha", json_real(alpha));
        failed |= json_object_set_new(converted, "activation_beta", json_real(beta));
    }
    return failed ? lstm__fail_description() : LSTM_OK;
}

/* A layer object of Keras to one of ours: the config's keys beside "type", "name" and "inputs". */
static lstm_status convert_layer(const json_t *layer, bool functional, int version, json_t **out)
{
    lstm_status status = LSTM_OK;
    const char *type = lstm__text_of(layer, "class_name");
    json_t *config = json_object_get(layer, "config");
    json_t *converted = json_is_object(config) ? json_deep_copy(config) : NULL;
    if (!type[0] || !json_is_object(config))
        FAIL(LSTM_ERROR_FORMAT, "a layer has no class_name or no config object");
    if (!converted || json_object_set_new(converted, "type", json_string(type)) != 0) {
        status = lstm__fail_description();
        goto out;
    }
    /* Keras' Conv1D and GlobalMaxPooling1D know no masks: padding takes part, and the mask ends
     * there. */
    const bool maskless = strcmp(type, "Conv1D") == 0 || strcmp(type, "GlobalMaxPooling1D") == 0;
    if (maskless && !json_object_get(converted, "ignore_mask") &&
        json_object_set_new(converted, "ignore_mask", json_true()) != 0) {
        status = lstm__fail_description();
        goto out;
    }
    if (!json_object_get(converted, "name") && json_is_string(json_object_get(layer, "name")) &&
        json_object_set(converted, "name", json_object_get(layer, "name")) != 0) {
        status = lstm__fail_description();
        goto out;
    }
    if (version < 3)
        TRY(translate_version(type, converted, version, 0));
    TRY(translate_activation(type, converted));
    if (functional)
        TRY(convert_inputs(layer, lstm__text_of(converted, "name"), converted));
    *out = converted;
    return LSTM_OK;
out:
    json_decref(converted);
    return status;
}

/* ---- Order */

/* Layers being put into an order. A layer that is not ready waits for the first of its inputs that
 * is not placed, and is tried again when that one is: work grows with the number of inputs, not
 * with its square. */
typedef struct placing {
    json_t *converted; /* layers, in the file's order */
    json_t *numbers;   /* name: number of the layer */
    json_t *waiting;   /* name: numbers of the layers that wait for it */
    json_t *names;     /* name: true, of the placed */
    json_t *work;      /* numbers of layers to be tried, first in, first out */
    json_t *placed;
} placing;

/* The name of the layer that a reference reads. */
static lstm_status name_of(const char *reference, char name[LSTM__NAME_SIZE])
{
    const size_t length = strcspn(reference, ":");
    if (length >= LSTM__NAME_SIZE)
        return lstm__fail(LSTM_ERROR_FORMAT, "layer name of %zu bytes: expected 1 to %d", length,
                          LSTM__NAME_SIZE - 1);
    memcpy(name, reference, length);
    name[length] = 0;
    return LSTM_OK;
}

static lstm_status place(placing *p, size_t number)
{
    json_t *layer = json_array_get(p->converted, number);
    const char *name = lstm__text_of(layer, "name");
    if (json_array_append(p->placed, layer) != 0 ||
        json_object_set_new(p->names, name, json_true()) != 0)
        return lstm__fail_description();
    const json_t *waiting = json_object_get(p->waiting, name);
    for (size_t k = 0; k < json_array_size(waiting); k++)
        if (json_array_append(p->work, json_array_get(waiting, k)) != 0)
            return lstm__fail_description();
    return LSTM_OK;
}

static lstm_status try_layer(placing *p, size_t number)
{
    const json_t *layer = json_array_get(p->converted, number);
    const json_t *inputs = json_object_get(layer, "inputs");
    if (json_object_get(p->names, lstm__text_of(layer, "name")))
        return LSTM_OK;
    for (size_t k = 0; k < json_array_size(inputs); k++) {
        char name[LSTM__NAME_SIZE];
        RETURN_IF_ERROR(name_of(json_string_value(json_array_get(inputs, k)), name));
        if (json_object_get(p->names, name))
            continue;
        json_t *list = json_object_get(p->waiting, name);
        if (!list) {
            list = json_array();
            if (json_object_set_new(p->waiting, name, list) != 0)
                return lstm__fail_description();
        }
        return json_array_append_new(list, json_integer((json_int_t)number)) == 0
                   ? LSTM_OK
                   : lstm__fail_description();
    }
    return place(p, number);
}

/* Try a layer, and those that waited for it, and so on. */
static lstm_status try_layers(placing *p, size_t number)
{
    size_t next = json_array_size(p->work);
    RETURN_IF_ERROR(try_layer(p, number));
    for (; next < json_array_size(p->work); next++)
        RETURN_IF_ERROR(try_layer(p, (size_t)json_integer_value(json_array_get(p->work, next))));
    return LSTM_OK;
}

/* A list of [name, node, port], or one such entry alone. */
static const json_t *entry_of(const json_t *list, size_t k)
{
    return json_is_string(json_array_get(list, 0)) ? (k == 0 ? list : NULL)
                                                   : json_array_get(list, k);
}

static lstm_status place_inputs(placing *p, const json_t *config)
{
    const json_t *inputs = json_object_get(config, "input_layers");
    const json_t *entry = NULL;
    for (size_t k = 0; (entry = entry_of(inputs, k)) != NULL; k++) {
        const char *wanted = json_string_value(json_array_get(entry, 0));
        const json_t *number = wanted ? json_object_get(p->numbers, wanted) : NULL;
        if (number)
            RETURN_IF_ERROR(try_layers(p, (size_t)json_integer_value(number)));
    }
    return LSTM_OK;
}

static lstm_status convert_all(placing *p, const json_t *layers, int version)
{
    for (size_t k = 0; k < json_array_size(layers); k++) {
        json_t *layer = NULL;
        RETURN_IF_ERROR(convert_layer(json_array_get(layers, k), true, version, &layer));
        if (json_array_append_new(p->converted, layer) != 0)
            return lstm__fail_description();
        if (json_object_get(p->numbers, lstm__text_of(layer, "name")))
            return lstm__fail(LSTM_ERROR_FORMAT, "two layers are called \"%.100s\"",
                              lstm__text_of(layer, "name"));
        if (json_object_set_new(p->numbers, lstm__text_of(layer, "name"),
                                json_integer((json_int_t)k)) != 0)
            return lstm__fail_description();
    }
    return LSTM_OK;
}

/* A Functional model: inputs first, then each layer as soon as what it reads is placed. */
static lstm_status place_graph(const json_t *config, const json_t *all, int version, json_t *placed)
{
    lstm_status status = LSTM_OK;
    json_t *layers = json_array();
    placing p = {json_array(), json_object(), json_object(), json_object(), json_array(), placed};
    if (!layers || !p.converted || !p.numbers || !p.waiting || !p.names || !p.work) {
        status = lstm__fail_description();
        goto out;
    }
    TRY(lstm__keras_masks(all, layers));
    TRY(convert_all(&p, layers, version));
    TRY(place_inputs(&p, config));
    for (size_t k = 0; k < json_array_size(layers); k++)
        TRY(try_layers(&p, k));
    if (json_array_size(placed) < json_array_size(layers))
        FAIL(LSTM_ERROR_FORMAT, "the graph has a cycle, or a layer reads one that is not there");
out:
    json_decref(layers);
    json_decref(p.converted);
    json_decref(p.numbers);
    json_decref(p.waiting);
    json_decref(p.names);
    json_decref(p.work);
    return status;
}

/* A Sequential that was built by its first call may name only the shape it was called with. */
static lstm_status place_called_shape(const json_t *config, const json_t *layers, json_t *placed)
{
    const json_t *shape = json_object_get(config, "build_input_shape");
    const json_t *first = json_array_get(layers, 0);
    const json_t *options = json_object_get(first, "config");
    if (!json_is_array(shape) || strcmp(lstm__text_of(first, "class_name"), "InputLayer") == 0 ||
        json_object_get(options, "batch_input_shape") || json_object_get(options, "batch_shape"))
        return LSTM_OK;
    json_t *input = json_pack("{s:s, s:O}", "type", "Input", "batch_shape", shape);
    return input && json_array_append_new(placed, input) == 0 ? LSTM_OK : lstm__fail_description();
}

static lstm_status place_sequence(const json_t *config, const json_t *layers, int version,
                                  json_t *placed)
{
    RETURN_IF_ERROR(place_called_shape(config, layers, placed));
    for (size_t k = 0; k < json_array_size(layers); k++) {
        json_t *layer = NULL;
        RETURN_IF_ERROR(convert_layer(json_array_get(layers, k), false, version, &layer));
        if (json_array_append_new(placed, layer) != 0)
            return lstm__fail_description();
    }
    return LSTM_OK;
}

static lstm_status convert_outputs(const json_t *config, json_t *root)
{
    const json_t *outputs = json_object_get(config, "output_layers");
    const json_t *entry = NULL;
    json_t *list = json_array();
    if (!list || json_object_set_new(root, "outputs", list) != 0)
        return lstm__fail_description();
    for (size_t k = 0; (entry = entry_of(outputs, k)) != NULL; k++)
        RETURN_IF_ERROR(append_reference(list, entry, "output_layers"));
    if (json_array_size(list) == 0)
        return lstm__fail(LSTM_ERROR_FORMAT, "the model names no output layers");
    return LSTM_OK;
}

/* ---- States of Bidirectional layers */

/* One reference to an output of a layer among `layers` (name: layer). */
static lstm_status name_state(json_t *list, size_t k, const json_t *layers)
{
    char name[LSTM__NAME_SIZE];
    const char *text = json_string_value(json_array_get(list, k));
    json_t *own = NULL;
    RETURN_IF_ERROR(name_of(text, name));
    const char *mark = text[strlen(name)] ? text + strlen(name) + 1 : "";
    const int port = !mark[0] ? 0 : mark[0] == 'h' ? 1 : mark[0] == 'c' ? 2 : mark[0] - '0';
    const json_t *layer = json_object_get(layers, name);
    if (layer && port > 0)
        RETURN_IF_ERROR(lstm__bidirectional_json_state(layer, port, &own));
    if (own)
        return json_array_set_new(list, k, own) == 0 ? LSTM_OK : lstm__fail_description();
    if (port > 2)
        return lstm__fail(LSTM_ERROR_FORMAT, "layer \"%s\" has no output %d", name, port);
    return LSTM_OK;
}

static lstm_status name_states(json_t *root)
{
    lstm_status status = LSTM_OK;
    json_t *layers = json_object_get(root, "layers");
    json_t *outputs = json_object_get(root, "outputs");
    json_t *known = json_object();
    for (size_t k = 0; k < json_array_size(layers); k++) {
        json_t *layer = json_array_get(layers, k);
        if (lstm__is_bidirectional_json(layer) &&
            json_object_set(known, lstm__text_of(layer, "name"), layer) != 0) {
            status = lstm__fail_description();
            goto out;
        }
    }
    for (size_t k = 0; k < json_array_size(layers); k++) {
        json_t *inputs = json_object_get(json_array_get(layers, k), "inputs");
        for (size_t i = 0; i < json_array_size(inputs); i++)
            TRY(name_state(inputs, i, known));
    }
    for (size_t k = 0; k < json_array_size(outputs); k++)
        TRY(name_state(outputs, k, known));
out:
    json_decref(known);
    return status;
}

lstm_status lstm__keras_json_convert(const json_t *root, int version, json_t **out)
{
    lstm_status status = LSTM_OK;
    const char *type = lstm__text_of(root, "class_name");
    const json_t *config = json_object_get(root, "config");
    /* Keras 1 wrote the layers of a Sequential as the config itself. */
    const json_t *layers = json_is_array(config) ? config : json_object_get(config, "layers");
    const bool sequential = strcmp(type, "Sequential") == 0;
    json_t *converted = json_pack("{s:s, s:[]}", "profile", "keras", "layers");
    json_t *placed = json_object_get(converted, "layers");
    if (version == 0)
        version = lstm__keras_version(lstm__text_of(root, "keras_version"));
    version = version ? version : 3;
    if (!converted) {
        status = lstm__fail_description();
        goto out;
    }
    if (!sequential && strcmp(type, "Functional") != 0 && strcmp(type, "Model") != 0)
        FAIL(LSTM_ERROR_UNSUPPORTED,
             "a Keras object of class \"%s\": expected Sequential or Functional", type);
    if (!json_is_array(layers) || json_array_size(layers) == 0 ||
        json_array_size(layers) > MOST_LAYERS)
        FAIL(LSTM_ERROR_FORMAT, "the Keras model has no list of 1 to %d layers", MOST_LAYERS);
    if (sequential) {
        TRY(place_sequence(config, layers, version, placed));
    } else {
        TRY(place_graph(config, layers, version, placed));
        TRY(convert_outputs(config, converted));
        TRY(name_states(converted));
    }
    *out = converted;
    return LSTM_OK;
out:
    json_decref(converted);
    return status;
}
