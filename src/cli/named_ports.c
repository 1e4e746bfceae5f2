/* SPDX-License-Identifier: MIT
 *
 * Arrays by name; see named_ports.h. An entry of the note says
 *
 *     name    of the array            index   of the model's first input or output that it is
 *     axes    letter by letter: B samples, T steps, P directions, F features, 1 an axis of size 1
 *     parts   directions: as many inputs one after the other, or parts of the features of an output
 *     lengths (inputs) the array gives the length of each sample
 *     zero_at_length_0 (outputs) samples of length 0 give zeros, as ONNX Runtime has it
 */
#include "named_ports.h"

#include "messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The '=' of NAME=FILE, or NULL: a file that is there under the whole text goes first. */
static const char *equals_sign(const char *item)
{
    struct stat information;
    const char *equals = strchr(item, '=');
    if (equals == NULL || equals == item || equals[1] == '\0' || stat(item, &information) == 0) {
        return NULL;
    }
    return equals;
}

int named_given(const arguments *line, const char *option)
{
    return arguments_given(line, option) > 0 &&
           equals_sign(arguments_item(line, option, 0)) != NULL;
}

void named_release(named_ports *ports)
{
    json_decref(ports->note);
    free(ports->lengths);
    *ports = (named_ports){0};
}

/* The form of a model without a note: its input layers. */
static json_t *usual_form(const lstm_model *model)
{
    json_t *inputs = json_array();
    for (size_t i = 0; i < lstm_model_input_count(model); i++) {
        const lstm_layer *layer = lstm_model_input(model, i);
        int64_t steps = 0;
        lstm_layer_shape(layer, &steps, NULL);
        json_array_append_new(
            inputs, json_pack("{s:s, s:s, s:I, s:i}", "name", lstm_layer_name(layer), "axes",
                              steps == 0 ? "BF" : "BTF", "index", (json_int_t)i, "parts", 1));
    }
    return json_pack("{s:o}", "inputs", inputs);
}

static const char *text_of(const json_t *entry, const char *key)
{
    const char *text = json_string_value(json_object_get(entry, key));
    return text == NULL ? "" : text;
}

static int64_t number_of(const json_t *entry, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(entry, key));
}

static int unknown_name(const json_t *inputs, const char *name)
{
    char names[512] = "";
    size_t used = 0;
    size_t index;
    json_t *entry;
    json_array_foreach(inputs, index, entry)
    {
        if (used < sizeof names) {
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", index ? ", " : "",
                                     text_of(entry, "name"));
        }
    }
    return message_error(EXIT_USE, "the model has no input \"%s\"; it has: %s", name, names);
}

/* ---- Axes */

/* Sizes of an array's axes by meaning; 1 where there is no such axis. */
typedef struct form {
    int64_t samples, steps, parts, features;
    int64_t strides[4]; /* in this order; 0 where there is no such axis */
} form;

static int read_form(form *f, const char *axes, int32_t rank, const int64_t *shape)
{
    static const char letters[] = "BTPF";
    int64_t *const sizes[] = {&f->samples, &f->steps, &f->parts, &f->features};
    int64_t stride = 1;
    *f = (form){1, 1, 1, 1, {0}};
    if ((size_t)rank != strlen(axes)) {
        return 0;
    }
    for (int32_t k = rank; k-- > 0;) {
        const char *letter = strchr(letters, axes[k]);
        if (letter != NULL) {
            *sizes[letter - letters] = shape[k];
            f->strides[letter - letters] = stride;
        } else if (shape[k] != 1) {
            return 0;
        }
        stride *= shape[k];
    }
    return 1;
}

/* One part of an array in the usual order, samples, steps, features. */
static void take_part(const form *f, int64_t part, const float *from, float *to)
{
    for (int64_t b = 0; b < f->samples; b++) {
        for (int64_t t = 0; t < f->steps; t++) {
            for (int64_t k = 0; k < f->features; k++) {
                *to++ = from[b * f->strides[0] + t * f->strides[1] + part * f->strides[2] +
                             k * f->strides[3]];
            }
        }
    }
}

/* ---- Inputs */

static int wrong_form(const array *a, const json_t *entry)
{
    static const char *const words[] = {"samples", "steps", "directions", "features", "1"};
    char found[160];
    char expected[160] = "(";
    const char *axes = text_of(entry, "axes");
    shape_text(found, sizeof found, a->rank, a->shape);
    for (size_t k = 0; axes[k] != '\0'; k++) {
        const size_t word = strcspn("BTPF1", (char[]){axes[k], '\0'});
        snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%s%s",
                 k ? ", " : "", word < 5 ? words[word] : "?");
    }
    return message_error(EXIT_USE, "%s: shape %s, input \"%s\" takes %s) with %lld direction%s",
                         a->label, found, text_of(entry, "name"), expected,
                         (long long)number_of(entry, "parts"),
                         number_of(entry, "parts") == 1 ? "" : "s");
}

/* Add the parts of an array to the archive that owns what the model reads. */
static int add_parts(lstm_archive *archive, const array *a, const json_t *entry)
{
    form f;
    const char *axes = text_of(entry, "axes");
    const int64_t pieces = number_of(entry, "parts");
    int code = EXIT_DONE;
    if (!read_form(&f, axes, a->rank, a->shape) || f.parts != pieces) {
        return wrong_form(a, entry);
    }
    const size_t count = a->count / (size_t)(pieces > 0 ? pieces : 1);
    float *values = malloc((count + 1) * sizeof *values);
    if (values == NULL) {
        return message_error(EXIT_WORK, "%s: out of memory", a->label);
    }
    for (int64_t p = 0; p < pieces; p++) {
        char name[32];
        const int is_sequence = strchr(axes, 'T') != NULL;
        const int64_t sequence[3] = {f.samples, f.steps, f.features};
        const int64_t vector[2] = {f.samples, f.features};
        snprintf(name, sizeof name, "%lld", (long long)(number_of(entry, "index") + p));
        take_part(&f, p, a->data, values);
        CHECK(lstm_archive_add(archive, name, is_sequence ? 3 : 2, is_sequence ? sequence : vector,
                               values, count),
              a->label);
    }
out:
    free(values);
    return code;
}

static int keep_lengths(named_ports *ports, const array *a)
{
    if (a->rank != 1) {
        return message_error(EXIT_USE, "%s: lengths are one number a sample", a->label);
    }
    ports->lengths = malloc((a->count + 1) * sizeof *ports->lengths);
    if (ports->lengths == NULL) {
        return message_error(EXIT_WORK, "%s: out of memory", a->label);
    }
    memcpy(ports->lengths, a->data, a->count * sizeof *ports->lengths);
    ports->lengths_count = a->count;
    snprintf(ports->lengths_label, sizeof ports->lengths_label, "%s", a->label);
    return EXIT_DONE;
}

/* One NAME=FILE. */
static int load_item(named_ports *ports, lstm_archive *archive, lstm_context *context,
                     const char *item)
{
    const char *equals = equals_sign(item);
    array_list list = {0};
    char name[256];
    size_t index;
    json_t *entry;
    int code = EXIT_DONE;
    if (equals == NULL || (size_t)(equals - item) >= sizeof name) {
        return message_error(EXIT_USE, "%s: expected NAME=FILE, as the first array is given", item);
    }
    snprintf(name, sizeof name, "%.*s", (int)(equals - item), item);
    NEED(arrays_load_file(&list, context, equals + 1, name));
    json_array_foreach(json_object_get(ports->note, "inputs"), index, entry)
    {
        if (strcmp(text_of(entry, "name"), name) != 0) {
            continue;
        }
        if (json_object_get(entry, "given") != NULL) {
            code = message_error(EXIT_USE, "input \"%s\" is given twice", name);
            goto out;
        }
        json_object_set_new(entry, "given", json_true());
        code = json_is_true(json_object_get(entry, "lengths"))
                   ? keep_lengths(ports, &list.items[0])
                   : add_parts(archive, &list.items[0], entry);
        goto out;
    }
    code = unknown_name(json_object_get(ports->note, "inputs"), name);
out:
    arrays_release(&list);
    return code;
}

/* The arrays of the archive, "0", "1", … in the order of the model's inputs. */
static int collect(array_list *list, lstm_archive *archive, const lstm_model *model)
{
    const size_t count = lstm_model_input_count(model);
    list->archives = malloc(sizeof *list->archives);
    list->items = calloc(count + 1, sizeof *list->items);
    if (list->archives == NULL || list->items == NULL) {
        free(list->archives);
        list->archives = NULL;
        lstm_archive_destroy(archive);
        return message_error(EXIT_WORK, "out of memory");
    }
    list->archives[list->archive_count++] = archive;
    for (size_t i = 0; i < count; i++) {
        lstm_array_info info = {.struct_size = sizeof info};
        char number[32];
        const char *name = lstm_layer_name(lstm_model_input(model, i));
        snprintf(number, sizeof number, "%zu", i);
        if (lstm_archive_find(archive, number, &info) != LSTM_OK) {
            return message_error(EXIT_USE, "no array is given for the model's input \"%s\"", name);
        }
        array *item = &list->items[list->count++];
        *item = (array){.rank = info.rank, .count = info.count, .data = info.data};
        memcpy(item->shape, info.shape, sizeof item->shape);
        snprintf(item->label, sizeof item->label, "input %s", name);
    }
    return EXIT_DONE;
}

int named_load(named_ports *out, array_list *list, lstm_context *context, const lstm_model *model,
               const arguments *line, const char *option)
{
    lstm_archive *archive = NULL;
    int code = EXIT_DONE;
    const char *note = lstm_model_metadata(model, "onnx.ports");
    *out = (named_ports){.active = 1};
    *list = (array_list){0};
    out->note = note == NULL ? usual_form(model) : json_loads(note, 0, NULL);
    CHECK(lstm_archive_create(&archive, context), NULL);
    for (size_t i = 0; i < arguments_given(line, option); i++) {
        NEED(load_item(out, archive, context, arguments_item(line, option, i)));
    }
    code = collect(list, archive, model);
    archive = NULL;
out:
    lstm_archive_destroy(archive);
    return code;
}

/* ---- Outputs */

size_t named_output_count(const named_ports *ports)
{
    return ports->active ? json_array_size(json_object_get(ports->note, "outputs")) : 0;
}

static void place_rows(const form *f, const float *from, int64_t from_features, float *to)
{
    for (int64_t b = 0; b < f->samples; b++) {
        for (int64_t t = 0; t < f->steps; t++) {
            const float *row = from + (b * f->steps + t) * from_features;
            for (int64_t k = 0; k < f->parts * f->features; k++) {
                to[b * f->strides[0] + t * f->strides[1] + k / f->features * f->strides[2] +
                   k % f->features * f->strides[3]] = row[k];
            }
        }
    }
}

int named_output(const named_ports *ports, size_t index, float *const *values, const int64_t *steps,
                 const int64_t *features, int64_t samples, output_array *out)
{
    const json_t *entry = json_array_get(json_object_get(ports->note, "outputs"), index);
    const int64_t source = number_of(entry, "index");
    const int64_t pieces = number_of(entry, "parts");
    const char *axes = text_of(entry, "axes");
    const int64_t width = features[source];
    form f;
    *out = (output_array){.name = text_of(entry, "name"), .count = 1};
    for (; axes[out->rank] != '\0' && out->rank < 4; out->rank++) {
        const char letter = axes[out->rank];
        out->shape[out->rank] = letter == 'B'   ? samples
                                : letter == 'T' ? steps[source]
                                : letter == 'P' ? pieces
                                : letter == 'F' ? width / (pieces > 0 ? pieces : 1)
                                                : 1;
        out->count *= (size_t)out->shape[out->rank];
    }
    float *data = calloc(out->count + 1, sizeof *data);
    if (data == NULL) {
        return message_error(EXIT_WORK, "out of memory for output \"%s\"", out->name);
    }
    out->data = data;
    if (pieces < 1 || width % pieces != 0 || !read_form(&f, axes, out->rank, out->shape) ||
        f.parts * f.features != width || (f.strides[1] == 0 && steps[source] > 1)) {
        free(data);
        out->data = NULL;
        return message_error(EXIT_USE, "the note \"onnx.ports\" does not fit output \"%s\"",
                             out->name);
    }
    place_rows(&f, values[source], width, data);
    const int zero = json_is_true(json_object_get(entry, "zero_at_length_0"));
    for (size_t b = 0; zero && ports->lengths != NULL && b < ports->lengths_count; b++) {
        for (int64_t k = 0; ports->lengths[b] == 0 && k < f.parts * f.features; k++) {
            data[(int64_t)b * f.strides[0] + k / f.features * f.strides[2] +
                 k % f.features * f.strides[3]] = 0;
        }
    }
    return EXIT_DONE;
}
