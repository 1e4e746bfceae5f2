/* SPDX-License-Identifier: MIT
 *
 * States of recurrent layers from and to files; see states.h.
 *
 * The library's networks take initial states from other layers, and last states can be outputs. So
 * the model is built again from its own description, with one Input a state ("h0.k", "c0.k" of the
 * k-th recurrent layer) behind its own inputs and the states among the outputs, and gets its
 * parameters copied.
 */
#include "states.h"

#include "messages.h"
#include "network_file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const letters[STATE_KINDS] = {"h", "c"};

/* How many kinds of states a layer has. */
static size_t kinds_of(const char *type)
{
    if (type == NULL) {
        return 0;
    }
    return strcmp(type, "LSTM") == 0                                    ? 2
           : strcmp(type, "GRU") == 0 || strcmp(type, "SimpleRNN") == 0 ? 1
                                                                        : 0;
}

/* Count a layer's states, which must be as wide as the others'. */
static int count_states(states *s, const lstm_model *model, const char *name, size_t kinds)
{
    lstm_layer *layer = NULL;
    lstm_layer *state[STATE_KINDS] = {NULL, NULL};
    int code = EXIT_DONE;
    CHECK(lstm_model_find_layer(model, name, &layer), NULL);
    CHECK(lstm_layer_state(layer, &state[0], kinds == 2 ? &state[1] : NULL), NULL);
    for (size_t i = 0; i < kinds; i++) {
        int64_t units = 0;
        CHECK(lstm_layer_shape(state[i], NULL, &units), NULL);
        if (s->layers[i]++ > 0 && units != s->units[i]) {
            return message_error(EXIT_USE,
                                 "layer \"%s\": its %s has %lld values, those of the layers before "
                                 "have %lld: they do not fit into one array",
                                 name, letters[i], (long long)units, (long long)s->units[i]);
        }
        s->units[i] = units;
    }
out:
    return code;
}

/* Inputs "h0.k" and "c0.k", and their names behind the layer's input. */
static int add_inputs(const states *s, json_t *layer, json_t *added, size_t number, size_t kinds)
{
    json_t *inputs = json_object_get(layer, "inputs");
    if (json_array_size(inputs) != 1) {
        return message_error(EXIT_USE,
                             "--state-in: layer \"%s\" has an initial state in the network already",
                             json_string_value(json_object_get(layer, "name")));
    }
    json_object_set_new(layer, "stateful", json_false());
    for (size_t i = 0; i < kinds; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s0.%zu", letters[i], number);
        json_array_append_new(inputs, json_string(name));
        json_array_append_new(added, json_pack("{s:s, s:s, s:[I]}", "type", "Input", "name", name,
                                               "shape", (json_int_t)s->units[i]));
    }
    return EXIT_DONE;
}

/* Change the description: *layers become inputs, added inputs, the rest. */
static int change(states *s, const lstm_model *model, json_t *root)
{
    json_t *const layers = json_object_get(root, "layers");
    json_t *const outputs = json_object_get(root, "outputs");
    json_t *sorted = json_array();
    json_t *added = json_array();
    json_t *rest = json_array();
    json_t *last[STATE_KINDS] = {json_array(), json_array()};
    int code = EXIT_DONE;
    size_t index;
    json_t *layer;
    json_array_foreach(layers, index, layer)
    {
        const char *type = json_string_value(json_object_get(layer, "type"));
        const char *name = json_string_value(json_object_get(layer, "name"));
        const size_t kinds = kinds_of(type);
        json_array_append(type != NULL && strcmp(type, "Input") == 0 ? sorted : rest, layer);
        if (kinds == 0) {
            continue;
        }
        NEED(count_states(s, model, name, kinds));
        if (s->in) {
            NEED(add_inputs(s, layer, added, s->layers[0] - 1, kinds));
        }
        for (size_t i = 0; i < kinds; i++) {
            json_array_append_new(last[i], json_sprintf("%s:%s", name, letters[i]));
        }
    }
    if (s->layers[0] == 0 || (s->layers[1] > 0 && s->layers[1] != s->layers[0])) {
        code = message_error(EXIT_USE, s->layers[0] == 0
                                           ? "the network has no recurrent layer, so no states"
                                           : "the network has LSTM layers beside others, whose "
                                             "states do not fit into one array");
        goto out;
    }
    json_array_extend(sorted, added);
    json_array_extend(sorted, rest);
    json_object_set(root, "layers", sorted);
    for (size_t i = 0; s->out && i < STATE_KINDS; i++) {
        json_array_extend(outputs, last[i]);
    }
out:
    json_decref(sorted);
    json_decref(added);
    json_decref(rest);
    json_decref(last[0]);
    json_decref(last[1]);
    return code;
}

int states_add(states *out, lstm_model **model, lstm_context *context, const arguments *line)
{
    json_t *root = NULL;
    int code = EXIT_DONE;
    *out = (states){.inputs = lstm_model_input_count(*model),
                    .outputs = lstm_model_output_count(*model),
                    .in = arguments_has(line, "state-in") && arguments_given(line, "state-in") > 0,
                    .out = arguments_has(line, "state-out") &&
                           arguments_given(line, "state-out") > 0};
    if (!out->in && !out->out) {
        return EXIT_DONE;
    }
    NEED(model_describe(*model, &root));
    NEED(change(out, *model, root));
    NEED(model_rebuild(model, context, root));
out:
    json_decref(root);
    return code;
}

/* ---- Arrays */

static int find_state(const states *s, size_t kind, const char *path, const array **found)
{
    char name[8];
    snprintf(name, sizeof name, "%s0", letters[kind]);
    for (size_t i = 0; i < s->given.count; i++) {
        const char *colon = strrchr(s->given.items[i].label, ':');
        if (colon != NULL && strcmp(colon + 1, name) == 0) {
            *found = &s->given.items[i];
        }
    }
    if (*found == NULL) {
        return message_error(EXIT_USE, "%s: has no array \"%s\"", path, name);
    }
    return EXIT_DONE;
}

/* Load every array of the file under "PATH:NAME". */
static int load_archive(states *s, lstm_context *context, const char *path)
{
    int code = EXIT_DONE;
    lstm_archive *archive = NULL;
    CHECK(lstm_archive_load(&archive, context, path), path);
    const size_t count = lstm_archive_count(archive);
    s->given.items = calloc(count + 1, sizeof *s->given.items);
    s->given.archives = calloc(1, sizeof(lstm_archive *));
    if (s->given.items == NULL || s->given.archives == NULL) {
        code = message_error(EXIT_WORK, "out of memory");
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        lstm_array_info info = {.struct_size = sizeof info};
        CHECK(lstm_archive_get(archive, i, &info), path);
        array *a = &s->given.items[s->given.count++];
        *a = (array){.rank = info.rank, .count = info.count, .data = info.data};
        memcpy(a->shape, info.shape, sizeof a->shape);
        snprintf(a->label, sizeof a->label, "%.120s:%.120s", path, info.name);
    }
    s->given.archives[s->given.archive_count++] = archive;
    archive = NULL;
out:
    lstm_archive_destroy(archive);
    return code;
}

static int append_layers(const states *s, size_t kind, array_list *x, const array *a)
{
    const int64_t samples = a->rank == 3 ? a->shape[1] : 0;
    const size_t each = (size_t)samples * (size_t)s->units[kind];
    if (a->rank != 3 || a->shape[0] != (int64_t)s->layers[kind] || a->shape[2] != s->units[kind]) {
        char found[160];
        shape_text(found, sizeof found, a->rank, a->shape);
        return message_error(EXIT_USE, "%s: shape %s, the model takes (%zu, samples, %lld)",
                             a->label, found, s->layers[kind], (long long)s->units[kind]);
    }
    for (size_t i = 0; i < s->layers[kind]; i++) {
        array *one = &x->items[x->count++];
        *one = *a;
        one->rank = 2;
        one->shape[0] = samples;
        one->shape[1] = s->units[kind];
        one->count = each;
        one->data = a->data + i * each;
    }
    return EXIT_DONE;
}

/* The model's inputs are in the order of layers: h of the first, its c, h of the second, … */
static int in_layer_order(const states *s, array_list *x)
{
    const size_t total = s->layers[0] + s->layers[1];
    array *by_kind = x->items + x->count - total;
    array *sorted = calloc(total + 1, sizeof *sorted);
    if (sorted == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    size_t next = 0;
    for (size_t i = 0; i < s->layers[0]; i++) {
        sorted[next++] = by_kind[i];
        if (s->layers[1] > 0) {
            sorted[next++] = by_kind[s->layers[0] + i];
        }
    }
    memcpy(by_kind, sorted, total * sizeof *sorted);
    free(sorted);
    return EXIT_DONE;
}

int states_load(states *s, array_list *x, lstm_context *context, const arguments *line)
{
    int code = EXIT_DONE;
    if (!s->in) {
        return EXIT_DONE;
    }
    const char *path = arguments_text(line, "state-in");
    NEED(load_archive(s, context, path));
    array *items = realloc(x->items, (x->count + s->layers[0] + s->layers[1] + 1) * sizeof *items);
    if (items == NULL) {
        code = message_error(EXIT_WORK, "out of memory");
        goto out;
    }
    x->items = items;
    for (size_t i = 0; i < STATE_KINDS; i++) {
        const array *found = NULL;
        if (s->layers[i] > 0) {
            NEED(find_state(s, i, path, &found));
            NEED(append_layers(s, i, x, found));
        }
    }
    NEED(in_layer_order(s, x));
out:
    return code;
}

int states_gather(const states *s, float *const *values, int64_t samples, const char *const *names,
                  output_array *arrays, size_t *count, float **room)
{
    for (size_t i = 0; i < STATE_KINDS; i++) {
        const size_t each = (size_t)samples * (size_t)s->units[i];
        room[i] = calloc(s->layers[i] * each + 1, sizeof(float));
        if (room[i] == NULL) {
            return message_error(EXIT_WORK, "out of memory for the states");
        }
        for (size_t k = 0; k < s->layers[i]; k++) {
            memcpy(room[i] + k * each, values[i * s->layers[0] + k], each * sizeof(float));
        }
        if (s->layers[i] > 0) {
            arrays[(*count)++] = (output_array){
                .name = names[i],
                .rank = 3,
                .shape = {(int64_t)s->layers[i], samples, s->units[i]},
                .data = room[i],
                .count = s->layers[i] * each};
        }
    }
    return EXIT_DONE;
}

int states_write(const states *s, lstm_context *context, const arguments *line,
                 float *const *values, int64_t samples)
{
    static const char *const names[STATE_KINDS] = {"hn", "cn"};
    output_array arrays[STATE_KINDS];
    float *room[STATE_KINDS] = {NULL, NULL};
    size_t count = 0;
    int code = EXIT_DONE;
    if (s->out) {
        NEED(states_gather(s, values, samples, names, arrays, &count, room));
        NEED(arrays_write(context, arguments_text(line, "state-out"), arrays, count));
    }
out:
    free(room[0]);
    free(room[1]);
    return code;
}

void states_release(states *s)
{
    arrays_release(&s->given);
    *s = (states){0};
}
