/* SPDX-License-Identifier: MIT
 *
 * Models on their way in and out of the program; see network_file.h.
 *
 * A description (.json) holds no parameters: they come from its "seed". To start from another one,
 * the model is built again from the library's own description of it, whatever form the file has.
 */
#include "network_file.h"

#include "files.h"
#include "messages.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Build the model again from its own description with another seed. */
static int reseed(lstm_model **model, lstm_context *context, uint64_t seed)
{
    size_t length = 0;
    char *text = model_description(*model, &length);
    json_t *root = text == NULL ? NULL : json_loadb(text, length, 0, NULL);
    free(text);
    text = root != NULL && json_object_set_new(root, "seed", json_integer((json_int_t)seed)) == 0
               ? json_dumps(root, 0)
               : NULL;
    json_decref(root);
    if (text == NULL) {
        return EXIT_WORK;
    }
    lstm_model *other = NULL;
    const lstm_status status = lstm_model_from_json(&other, context, text, strlen(text));
    free(text);
    if (status != LSTM_OK) {
        return message_status(status, NULL);
    }
    lstm_model_destroy(*model);
    *model = other;
    return EXIT_DONE;
}

int model_load(lstm_model **out, lstm_context *context, const char *path, uint64_t seed)
{
    *out = NULL;
    const lstm_status status = lstm_model_load(out, context, path);
    if (status != LSTM_OK) {
        return message_status(status, path);
    }
    return seed != 0 && file_has_suffix(path, ".json") ? reseed(out, context, seed) : EXIT_DONE;
}

int model_load_described(lstm_model **out, lstm_context *context, const char *path,
                         const char *network, uint64_t seed)
{
    if (network == NULL) {
        return model_load(out, context, path, seed);
    }
    const int code = model_load(out, context, network, seed);
    if (code != EXIT_DONE) {
        return code;
    }
    const lstm_status status = lstm_model_load_weights(*out, path);
    return status == LSTM_OK ? EXIT_DONE : message_status(status, path);
}

static int is_exported(const char *path)
{
    static const char *const suffixes[] = {".keras", ".h5", ".pt", ".pth", ".onnx", ".c"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (file_has_suffix(path, suffixes[i])) {
            return 1;
        }
    }
    return 0;
}

int model_check_output(const char *path)
{
    if (file_has_suffix(path, ".lstm") || file_has_suffix(path, ".safetensors") ||
        file_has_suffix(path, ".json") || is_exported(path)) {
        return file_check_writable(path);
    }
    return message_error(
        EXIT_USE,
        "%s: models are written as .lstm, .safetensors, .json (the description only), .keras, "
        ".h5, .weights.h5, .pt, .pth, .onnx or .c",
        path);
}

char *model_description(const lstm_model *model, size_t *length)
{
    lstm_status status = lstm_model_to_json(model, NULL, 0, length);
    if (status != LSTM_OK && status != LSTM_ERROR_SHAPE) { /* SHAPE: says how much room it needs */
        message_status(status, NULL);
        return NULL;
    }
    char *text = malloc(*length + 2);
    if (text == NULL) {
        message_error(EXIT_WORK, "out of memory");
        return NULL;
    }
    status = lstm_model_to_json(model, text, *length + 1, length);
    if (status != LSTM_OK) {
        message_status(status, NULL);
        free(text);
        return NULL;
    }
    return text;
}

int model_write(const lstm_model *model, const char *path)
{
    if (is_exported(path)) {
        const lstm_status status = file_has_suffix(path, ".c")
                                       ? lstm_model_export_source(model, path, NULL)
                                       : lstm_model_export(model, path);
        return status == LSTM_OK ? EXIT_DONE : message_status(status, path);
    }
    if (!file_has_suffix(path, ".json")) {
        const lstm_status status = lstm_model_save(model, path);
        return status == LSTM_OK ? EXIT_DONE : message_status(status, path);
    }
    size_t length = 0;
    char *text = model_description(model, &length);
    if (text == NULL) {
        return EXIT_WORK;
    }
    if (length == 0 || text[length - 1] != '\n') {
        text[length++] = '\n';
    }
    const int code = file_write(path, text, length);
    free(text);
    return code;
}

/* ---- As it predicts */

int model_copy_parameters(lstm_model *to, const lstm_model *from)
{
    float *values = NULL;
    int code = EXIT_DONE;
    for (size_t i = 0; i < lstm_model_parameter_count(from); i++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        CHECK(lstm_model_parameter_info(from, i, &info), NULL);
        free(values);
        values = malloc((info.count + 1) * sizeof *values);
        if (values == NULL) {
            code = message_error(EXIT_WORK, "out of memory");
            goto out;
        }
        CHECK(lstm_model_get_parameter(from, i, values, info.count), NULL);
        CHECK(lstm_model_set_parameter(to, i, values, info.count), NULL);
    }
out:
    free(values);
    return code;
}

/* Set a layer's options to what they do when the network predicts. Returns how many changed. */
static size_t predict_options(json_t *layer)
{
    static const struct {
        const char *type; /* NULL = any */
        const char *key;
        int is_flag;
    } options[] = {{"BatchNormalization", "fixed_statistics", 1},
                   {"Dropout", "rate", 0},
                   {"SpatialDropout1D", "rate", 0},
                   {"GaussianDropout", "rate", 0},
                   {"GaussianNoise", "stddev", 0},
                   {NULL, "dropout", 0},
                   {NULL, "recurrent_dropout", 0},
                   {NULL, "zoneout_h", 0},
                   {NULL, "zoneout_c", 0}};
    const char *type = json_string_value(json_object_get(layer, "type"));
    size_t changed = 0;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const json_t *value = json_object_get(layer, options[i].key);
        const int fits = options[i].type == NULL ||
                         (type != NULL && strcmp(type, options[i].type) == 0);
        const int acts = options[i].is_flag
                             ? json_is_false(value)
                             : json_is_number(value) && json_number_value(value) != 0;
        if (fits && acts) {
            json_object_set_new(layer, options[i].key,
                                options[i].is_flag ? json_true() : json_real(0));
            changed++;
        }
    }
    return changed;
}

int model_describe(const lstm_model *model, json_t **root)
{
    size_t length = 0;
    char *text = model_description(model, &length);
    *root = text == NULL ? NULL : json_loadb(text, length, 0, NULL);
    free(text);
    return *root != NULL ? EXIT_DONE : EXIT_WORK;
}

int model_rebuild(lstm_model **model, lstm_context *context, const json_t *root)
{
    static const char *const noted[] = {"onnx.ports", "lstm.layout"};
    lstm_model *copy = NULL;
    int code = EXIT_DONE;
    char *text = json_dumps(root, 0);
    if (text == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    CHECK(lstm_model_from_json(&copy, context, text, strlen(text)), NULL);
    NEED(model_copy_parameters(copy, *model));
    for (size_t i = 0; i < sizeof noted / sizeof noted[0]; i++) {
        const char *note = lstm_model_metadata(*model, noted[i]);
        if (note != NULL) {
            CHECK(lstm_model_set_metadata(copy, noted[i], note), noted[i]);
        }
    }
    lstm_model_destroy(*model);
    *model = copy;
    copy = NULL;
out:
    free(text);
    lstm_model_destroy(copy);
    return code;
}

int model_as_predicting(lstm_model **model, lstm_context *context)
{
    json_t *root = NULL;
    size_t changes = 0;
    size_t index;
    json_t *layer;
    int code = EXIT_DONE;
    NEED(model_describe(*model, &root));
    json_array_foreach(json_object_get(root, "layers"), index, layer)
    {
        changes += predict_options(layer);
    }
    if (changes > 0) {
        NEED(model_rebuild(model, context, root));
    }
out:
    json_decref(root);
    return code;
}

int model_set_activation(lstm_model **model, lstm_context *context, const char *activation)
{
    json_t *root = NULL;
    size_t changes = 0;
    size_t index;
    json_t *layer;
    int32_t known = 0;
    int code = EXIT_DONE;
    if (activation == NULL) {
        return EXIT_DONE;
    }
    CHECK(lstm_constant_from_name(LSTM_NAMES_ACTIVATION, activation, &known), "--activation");
    NEED(model_describe(*model, &root));
    json_array_foreach(json_object_get(root, "layers"), index, layer)
    {
        const char *type = json_string_value(json_object_get(layer, "type"));
        if (type != NULL && strcmp(type, "SimpleRNN") == 0) {
            json_object_set_new(layer, "activation", json_string(activation));
            changes++;
        }
    }
    if (changes == 0) {
        code = message_error(EXIT_USE,
                             "--activation is that of SimpleRNN (nn.RNN) layers, of which "
                             "the model has none");
        goto out;
    }
    NEED(model_rebuild(model, context, root));
out:
    json_decref(root);
    return code;
}

/* ---- Shapes */

/* The layer that is an input: called `name` (`length` bytes), or number `index`; NULL = none. */
static json_t *find_input(json_t *root, const char *name, size_t length, size_t index)
{
    size_t at;
    json_t *layer;
    json_array_foreach(json_object_get(root, "layers"), at, layer)
    {
        const char *type = json_string_value(json_object_get(layer, "type"));
        const char *own = json_string_value(json_object_get(layer, "name"));
        if (type == NULL || strcmp(type, "Input") != 0) {
            continue;
        }
        if (name != NULL ? own != NULL && strlen(own) == length && strncmp(own, name, length) == 0
                         : index-- == 0) {
            return layer;
        }
    }
    return NULL;
}

/* "28,1" as a list of sizes, "?" being null; NULL = it is no shape. */
static json_t *read_shape(const char *text)
{
    json_t *shape = json_array();
    while (shape != NULL) {
        char *end = NULL;
        const long long size = strtoll(text, &end, 10);
        const int any = text[0] == '?';
        if (any) {
            end = (char *)(uintptr_t)text + 1;
        }
        if ((!any && (end == text || size < 1 || size > INT32_MAX)) ||
            (*end != ',' && *end != '\0')) {
            break;
        }
        json_array_append_new(shape, any ? json_null() : json_integer((json_int_t)size));
        if (*end == '\0') {
            return shape;
        }
        text = end + 1;
    }
    json_decref(shape);
    return NULL;
}

int model_set_shape(lstm_model **model, lstm_context *context, const char *text, size_t index)
{
    const char *equals = strchr(text, '=');
    json_t *root = NULL;
    json_t *shape = read_shape(equals != NULL ? equals + 1 : text);
    char *found = NULL;
    int code = EXIT_DONE;
    if (shape == NULL) {
        code = message_error(EXIT_USE,
                             "--input-shape %s: expected STEPS,FEATURES, or FEATURES of "
                             "a vector, whole numbers, STEPS perhaps ?",
                             text);
        goto out;
    }
    NEED(model_describe(*model, &root));
    json_t *input = find_input(root, equals != NULL ? text : NULL,
                               equals != NULL ? (size_t)(equals - text) : 0, index);
    if (input == NULL) {
        code = message_error(EXIT_USE, "--input-shape %s: the model has no such input", text);
        goto out;
    }
    const json_t *own = json_object_get(input, "shape");
    const size_t rank = json_array_size(own);
    if (rank == 0 || json_array_size(shape) != rank ||
        !json_equal(json_array_get(own, rank - 1), json_array_get(shape, rank - 1))) {
        found = json_dumps(own, JSON_COMPACT | JSON_ENCODE_ANY);
        code = message_error(EXIT_USE,
                             "--input-shape %s: input \"%s\" has the shape %s: only its steps can "
                             "change",
                             text, json_string_value(json_object_get(input, "name")),
                             found != NULL ? found : "?");
        goto out;
    }
    json_object_set(input, "shape", shape);
    NEED(model_rebuild(model, context, root));
out:
    free(found);
    json_decref(shape);
    json_decref(root);
    return code;
}
