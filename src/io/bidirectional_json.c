/* SPDX-License-Identifier: MIT
 * Bidirectional in descriptions:
 *
 *     {"type": "Bidirectional", "name": "b", "merge_mode": "sum", "layer": {"type": "LSTM",
 *     "units": 8}, "inputs": ["x"]}
 *
 * becomes the recurrent layers "b/forward_lstm" and "b/backward_lstm", both reading "x", and
 * {"type": "Bidirectional", "name": "b", "merge_mode": "sum", "inputs": ["b/forward_lstm",
 * "b/backward_lstm"]}, which is also how descriptions are written. Keras' form of inner layers,
 * {"class_name": …, "config": …}, and its "backward_layer" are read as well. With initial states
 * the inputs are the sequence, the states of the forward layer, those of the backward layer.
 *
 * One of Keras with return_state gives the states behind its merged output (or outputs); here they
 * are those of the inner layers, "b/forward_lstm:h".
 */
#include "bidirectional_json.h"
#include "description_text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

bool lstm__is_bidirectional_json(const json_t *layer)
{
    const char *type = json_string_value(json_object_get(layer, "type"));
    return type && strcmp(type, "Bidirectional") == 0 && json_object_get(layer, "layer");
}

/* A copy of an inner layer as one of ours. */
static lstm_status copy_inner(const json_t *inner, const char *key, json_t **out)
{
    const json_t *type = json_object_get(inner, "type");
    const json_t *config = inner;
    if (json_is_string(json_object_get(inner, "class_name"))) {
        type = json_object_get(inner, "class_name");
        config = json_object_get(inner, "config");
    }
    if (!json_is_string(type) || !json_is_object(config))
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "\"%s\" is no layer: expected an object with \"type\" and options", key);
    if (json_object_get(config, "inputs"))
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "\"%s\" has \"inputs\": they belong to the Bidirectional layer", key);
    *out = json_deep_copy(config);
    if (!*out || json_object_set_new(*out, "type", json_string(json_string_value(type))) != 0)
        return lstm__fail_description();
    return LSTM_OK;
}

/* NAME/forward_lstm, with the inner layer's own name where it has one. */
static int set_name(json_t *inner, const char *name, const char *direction)
{
    char own[LSTM__NAME_SIZE];
    const char *given = json_string_value(json_object_get(inner, "name"));
    snprintf(own, sizeof own, "%s",
             given && given[0] ? given : json_string_value(json_object_get(inner, "type")));
    for (size_t k = 0; own[k] && !(given && given[0]); k++)
        own[k] = (char)tolower((unsigned char)own[k]);
    const bool directed = strncmp(own, direction, strlen(direction)) == 0 &&
                          own[strlen(direction)] == '_';
    return json_object_set_new(inner, "name",
                               directed ? json_sprintf("%s/%s", name, own)
                                        : json_sprintf("%s/%s_%s", name, direction, own));
}

/* The sequence and the states of one direction: the first half of what follows, or the second. */
static int set_inputs(json_t *inner, const json_t *inputs, size_t direction)
{
    const size_t states = (json_array_size(inputs) - 1) / 2;
    const size_t first = 1 + direction * states;
    json_t *list = json_pack("[O]", json_array_get(inputs, 0));
    int failed = !list;
    for (size_t k = first; k < first + states; k++)
        failed = failed || json_array_append(list, json_array_get(inputs, k)) != 0;
    return json_object_set_new(inner, "inputs", list) != 0 || failed;
}

/* What the layer reads, as a list. */
static lstm_status list_inputs(const lstm_model *model, const json_t *layer, json_t **list)
{
    const json_t *given = json_object_get(layer, "inputs");
    if (model->node_count == 0 && !given)
        return lstm__fail(LSTM_ERROR_FORMAT, "has nothing to read: an input layer comes first");
    *list = json_is_array(given)
                ? json_copy((json_t *)(uintptr_t)given)
                : json_pack("[s]", given ? json_string_value(given)
                                         : model->nodes[model->node_count - 1]->name);
    if (!*list)
        return lstm__fail_description();
    const size_t count = json_array_size(*list);
    if (count != 1 && count != 3 && count != 5)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "reads %zu layers: expected one, three (sequence, h forward, h backward) "
                          "or five (sequence, h and c forward, h and c backward)",
                          count);
    return LSTM_OK;
}

static lstm_status finish_parts(json_t *parts, const json_t *layer, const char *name,
                                const json_t *inputs)
{
    static const char *const directions[2] = {"forward", "backward"};
    json_t *merge = json_copy((json_t *)(uintptr_t)layer);
    json_t *names = json_array();
    int failed = !merge || json_array_append_new(parts, merge) != 0;
    for (size_t k = 0; k < 2; k++) {
        json_t *inner = json_array_get(parts, k);
        failed = failed || set_name(inner, name, directions[k]) != 0 ||
                 set_inputs(inner, inputs, k) != 0;
        failed = failed || json_array_append(names, json_object_get(inner, "name")) != 0;
    }
    failed = failed || json_object_set(merge, "inputs", names) != 0 ||
             json_object_set_new(merge, "name", json_string(name)) != 0;
    if (!failed && json_is_null(json_object_get(merge, "merge_mode")))
        failed = json_object_set_new(merge, "merge_mode", json_string("none")) != 0;
    if (!failed) {
        json_object_del(merge, "layer");
        json_object_del(merge, "backward_layer");
    }
    json_decref(names);
    return failed ? lstm__fail_description() : LSTM_OK;
}

lstm_status lstm__bidirectional_json_expand(const lstm_model *model, const json_t *layer,
                                            json_t **out)
{
    lstm_status status = LSTM_OK;
    char name[LSTM__NAME_SIZE];
    json_t *inputs = NULL;
    json_t *inner[2] = {NULL, NULL};
    json_t *parts = json_array();
    const json_t *back = json_object_get(layer, "backward_layer");
    const char *given = json_string_value(json_object_get(layer, "name"));
    const bool own_back = back && !json_is_null(back);
    lstm__graph_automatic_name(model, "bidirectional", name);
    if (given)
        snprintf(name, sizeof name, "%s", given);
    TRY(list_inputs(model, layer, &inputs));
    TRY(copy_inner(json_object_get(layer, "layer"), "layer", &inner[0]));
    TRY(copy_inner(own_back ? back : json_object_get(layer, "layer"),
                   own_back ? "backward_layer" : "layer", &inner[1]));
    const bool forwards = !json_is_true(json_object_get(inner[0], "go_backwards"));
    if (!own_back && json_object_set_new(inner[1], "go_backwards", json_boolean(forwards)) != 0) {
        status = lstm__fail_description();
        goto out;
    }
    if (json_array_append(parts, inner[0]) != 0 || json_array_append(parts, inner[1]) != 0) {
        status = lstm__fail_description();
        goto out;
    }
    TRY(finish_parts(parts, layer, name, inputs));
    *out = parts;
    parts = NULL;
out:
    json_decref(inputs);
    json_decref(inner[0]);
    json_decref(inner[1]);
    json_decref(parts);
    return status;
}

static const json_t *inner_of(const json_t *layer, size_t direction)
{
    const json_t *back = json_object_get(layer, "backward_layer");
    return direction == 1 && back && !json_is_null(back) ? back : json_object_get(layer, "layer");
}

lstm_status lstm__bidirectional_json_state(const json_t *layer, int port, json_t **out)
{
    static const char *const directions[2] = {"forward", "backward"};
    const char *mode = json_string_value(json_object_get(layer, "merge_mode"));
    const bool apart = json_is_null(json_object_get(layer, "merge_mode")) ||
                       (mode && strcmp(mode, "none") == 0);
    const int outputs = apart ? 2 : 1;
    json_t *inner = NULL;
    *out = NULL;
    if (port < outputs)
        return LSTM_OK;
    RETURN_IF_ERROR(copy_inner(inner_of(layer, 0), "layer", &inner));
    const char *type = json_string_value(json_object_get(inner, "type"));
    const int states = type && strcmp(type, "LSTM") == 0 ? 2 : 1;
    const bool gives = json_is_true(json_object_get(inner, "return_state"));
    const size_t direction = (size_t)((port - outputs) / states);
    json_decref(inner);
    if (!gives || direction > 1)
        return LSTM_OK;
    RETURN_IF_ERROR(copy_inner(inner_of(layer, direction), "layer", &inner));
    if (set_name(inner, json_string_value(json_object_get(layer, "name")), directions[direction]) ==
        0)
        *out = json_sprintf("%s:%s", json_string_value(json_object_get(inner, "name")),
                            (port - outputs) % states == 0 ? "h" : "c");
    json_decref(inner);
    return *out ? LSTM_OK : lstm__fail_description();
}
