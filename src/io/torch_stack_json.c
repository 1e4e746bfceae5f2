/* SPDX-License-Identifier: MIT
 * nn.LSTM, nn.GRU and nn.RNN in descriptions of the profile torch:
 *
 *     {"type": "LSTM", "name": "rnn", "hidden_size": 8, "num_layers": 2, "bidirectional": true,
 *      "dropout": 0.1}
 *
 * becomes one layer of ours for each layer and direction, "rnn.l0.forward", "rnn.l0.backward" with
 * the Bidirectional "rnn.l0" that puts them side by side, then Dropout between layers; the last one
 * is called "rnn". Each of them notes whose parameters it holds, which is also how descriptions are
 * written: "torch_module", what stands before their names ("": nothing, as in the state dict of a
 * module alone), and "torch_layer", the number in weight_ih_l1.
 */
#include "torch_stack_json.h"
#include "description_text.h"

#include <stdio.h>
#include <string.h>

enum { MOST_LAYERS = 1000, ROOM = LSTM__NAME_SIZE + 32 };

static const char *const directions[2] = {"forward", "backward"};

static bool is_recurrent(const char *type)
{
    static const char *const types[] = {"LSTM", "GRU", "RNN", "SimpleRNN"};
    for (size_t k = 0; type && k < sizeof types / sizeof *types; k++)
        if (strcmp(type, types[k]) == 0)
            return true;
    return false;
}

bool lstm__is_torch_stack(const lstm_model *model, const json_t *layer)
{
    return model->profile == LSTM_PROFILE_TORCH &&
           is_recurrent(json_string_value(json_object_get(layer, "type"))) &&
           (json_object_get(layer, "num_layers") || json_object_get(layer, "input_size") ||
            json_object_get(layer, "nonlinearity") ||
            json_is_true(json_object_get(layer, "bidirectional")));
}

typedef struct stack {
    const json_t *layer;
    json_t *parts;
    const char *name; /* of the module */
    json_int_t layers;
    bool both; /* directions */
    double dropout;
} stack;

/* Options of one layer: without those of the stack. */
static json_t *one_layer(const stack *s, json_int_t number, json_t *name, const char *input,
                         bool backwards)
{
    static const char *const gone[] = {"num_layers", "bidirectional", "dropout",
                                       "input_size", "inputs",        "nonlinearity"};
    json_t *one = json_deep_copy(s->layer);
    int failed = !one || json_object_set_new(one, "name", name) != 0;
    for (size_t k = 0; k < sizeof gone / sizeof *gone; k++)
        json_object_del(one, gone[k]);
    failed = failed || json_object_set_new(one, "inputs", json_pack("[s]", input)) != 0 ||
             json_object_set_new(one, "torch_layer", json_integer(number)) != 0;
    if (!json_object_get(s->layer, "torch_module"))
        failed = failed || json_object_set_new(one, "torch_module", json_string(s->name)) != 0;
    if (!json_object_get(s->layer, "zero_output_for_mask"))
        failed = failed || json_object_set_new(one, "zero_output_for_mask", json_true()) != 0;
    if (json_object_get(s->layer, "nonlinearity"))
        failed = failed ||
                 json_object_set(one, "activation", json_object_get(s->layer, "nonlinearity")) != 0;
    if (number + 1 < s->layers)
        failed = failed || json_object_set_new(one, "return_sequences", json_true()) != 0;
    if (backwards)
        failed = failed || json_object_set_new(one, "go_backwards", json_true()) != 0;
    if (!failed)
        return one;
    json_decref(one);
    return NULL;
}

/* Add layer `number`, which reads `input`; its name, and with dropout behind it that one's, becomes
 * the new input. */
static int add_layer(const stack *s, json_int_t number, char input[ROOM])
{
    char name[ROOM];
    const bool last = number + 1 == s->layers;
    snprintf(name, sizeof name, last ? "%s" : "%s.l%d", s->name, (int)number);
    int failed = 0;
    for (int k = 0; k < (s->both ? 2 : 1); k++)
        failed |= json_array_append_new(
            s->parts,
            one_layer(s, number,
                      s->both ? json_sprintf("%s.l%d.%s", s->name, (int)number, directions[k])
                              : json_string(name),
                      input, k == 1));
    if (s->both)
        failed |= json_array_append_new(
            s->parts, json_pack("{s:s, s:s, s:s, s:[o, o]}", "type", "Bidirectional", "name", name,
                                "merge_mode", "concat", "inputs",
                                json_sprintf("%s.l%d.forward", s->name, (int)number),
                                json_sprintf("%s.l%d.backward", s->name, (int)number)));
    if (!last && s->dropout > 0) {
        char before[ROOM];
        snprintf(before, sizeof before, "%s", name);
        snprintf(name, sizeof name, "%s.l%d.dropout", s->name, (int)number);
        failed |= json_array_append_new(s->parts, json_pack("{s:s, s:s, s:f, s:[s]}", "type",
                                                            "Dropout", "name", name, "rate",
                                                            s->dropout, "inputs", before));
    }
    snprintf(input, ROOM, "%s", name);
    return failed;
}

static lstm_status read_stack(const lstm_model *model, stack *s, char input[ROOM])
{
    const json_t *inputs = json_object_get(s->layer, "inputs");
    const json_t *count = json_object_get(s->layer, "num_layers");
    const json_t *dropout = json_object_get(s->layer, "dropout");
    const json_t *features = json_object_get(s->layer, "input_size");
    s->layers = count ? json_integer_value(count) : 1;
    s->both = json_is_true(json_object_get(s->layer, "bidirectional"));
    s->dropout = json_number_value(dropout);
    if (s->layers < 1 || s->layers > MOST_LAYERS)
        return lstm__fail(LSTM_ERROR_FORMAT, "\"num_layers\": expected a whole number of 1 to %d",
                          MOST_LAYERS);
    if (!(s->dropout >= 0 && s->dropout < 1))
        return lstm__fail(LSTM_ERROR_FORMAT, "\"dropout\" is %g: expected 0 or more, less than 1",
                          s->dropout);
    if (strlen(s->name) > LSTM__NAME_SIZE - 32)
        return lstm__fail(LSTM_ERROR_FORMAT, "layer name of %zu bytes: expected 1 to %d",
                          strlen(s->name), LSTM__NAME_SIZE - 32);
    const char *given = json_string_value(json_is_array(inputs) ? json_array_get(inputs, 0)
                                                                : inputs);
    if (json_array_size(inputs) > 1 || json_object_get(s->layer, "initial_state"))
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "initial states of a module of several layers or directions: describe "
                          "its layers one by one");
    if (!given && model->node_count == 0)
        return lstm__fail(LSTM_ERROR_FORMAT, "has nothing to read: an input layer comes first");
    snprintf(input, ROOM, "%s", given ? given : model->nodes[model->node_count - 1]->name);
    const lstm_layer *read = lstm__graph_find(model, input);
    if (features && read && json_integer_value(features) != read->node->shapes[0].features)
        return lstm__fail(LSTM_ERROR_SHAPE, "\"input_size\" is %lld; layer \"%s\" gives %lld",
                          (long long)json_integer_value(features), input,
                          (long long)read->node->shapes[0].features);
    return LSTM_OK;
}

lstm_status lstm__torch_stack_expand(const lstm_model *model, const json_t *layer, json_t **out)
{
    char automatic[LSTM__NAME_SIZE];
    char input[ROOM];
    const char *type = json_string_value(json_object_get(layer, "type"));
    const char *given = json_string_value(json_object_get(layer, "name"));
    lstm__graph_automatic_name(model,
                               strcmp(type, "LSTM") == 0  ? "lstm"
                               : strcmp(type, "GRU") == 0 ? "gru"
                                                          : "rnn",
                               automatic);
    stack s = {.layer = layer, .name = given && given[0] ? given : automatic};
    RETURN_IF_ERROR(read_stack(model, &s, input));
    s.parts = json_array();
    int failed = !s.parts;
    for (json_int_t k = 0; k < s.layers && !failed; k++)
        failed = add_layer(&s, k, input);
    if (failed) {
        json_decref(s.parts);
        return lstm__fail_description();
    }
    *out = s.parts;
    return LSTM_OK;
}

/* ---- Names of parameters */

bool lstm__torch_name_key(const char *key)
{
    return strcmp(key, "torch_module") == 0 || strcmp(key, "torch_layer") == 0;
}

lstm_status lstm__torch_name_from_json(lstm__node *node, const json_t *layer)
{
    const json_t *module = json_object_get(layer, "torch_module");
    const json_t *number = json_object_get(layer, "torch_layer");
    if (module && (!json_is_string(module) || json_string_length(module) >= sizeof node->stem))
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "\"torch_module\": expected a text of less than %zu bytes",
                          sizeof node->stem);
    if (number && (!json_is_integer(number) || json_integer_value(number) < 0 ||
                   json_integer_value(number) >= MOST_LAYERS))
        return lstm__fail(LSTM_ERROR_FORMAT, "\"torch_layer\": expected a whole number below %d",
                          MOST_LAYERS);
    if (module)
        snprintf(node->stem, sizeof node->stem, "%s", json_string_value(module));
    node->bare = module && !json_string_length(module);
    node->number = (int)json_integer_value(number);
    return LSTM_OK;
}

int lstm__torch_name_to_json(const lstm__node *node, json_t *layer)
{
    int failed = 0;
    if (node->bare || node->stem[0])
        failed |= json_object_set_new(layer, "torch_module",
                                      json_string(node->bare ? "" : node->stem));
    if (node->number > 0)
        failed |= json_object_set_new(layer, "torch_layer", json_integer(node->number));
    return failed;
}
