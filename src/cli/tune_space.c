/* SPDX-License-Identifier: MIT
 *
 * The space of a search; see tune.h.
 *
 *     {"learning-rate": {"log_uniform": [1e-4, 1e-1]}, "batch-size": [16, 32, 64],
 *      "lstm.units": {"log_int": [8, 128]}, "dropout.rate": {"uniform": [0, 0.5]}}
 *
 * A name with a dot is an option of a layer, one without an option of `lstm fit`. Each end of a
 * range is tried on its own when the space is read: a network is built from the description with
 * it, or the option parsed, so that whatever the library or the program refuses is refused before
 * the first trial, in the words of the library.
 *
 * Numbers drawn are rounded to four digits, so that they can be read and typed. The generator is
 * SplitMix64 (Steele, Lea, Flood 2014) of seed, trial and parameter.
 */
#include "tune.h"

#include "command.h"
#include "files.h"
#include "messages.h"
#include "option_words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SPACE_BYTES 1000000

static const char *const kinds[] = {"uniform", "log_uniform", "int", "log_int", "choice", NULL};

/* Options that say what is measured or where things are: the same for all trials. */
static const char *const fixed_options[] = {
    "x",       "y",           "val-x",  "val-y",          "lengths",
    "mask",    "val-lengths", "loss",   "sample-weights", "class-weights",
    "metrics", "val-mask",    "epochs", "steps",          "validation-split",
    NULL};

static int is_one_of(const char *word, const char *const *words)
{
    while (*words != NULL && strcmp(word, *words) != 0) {
        words++;
    }
    return *words != NULL;
}

/* ---- Options of layers */

static json_t *find_layer(const json_t *description, const char *name, size_t length)
{
    size_t index;
    json_t *layer;
    json_array_foreach(json_object_get(description, "layers"), index, layer)
    {
        const char *found = json_string_value(json_object_get(layer, "name"));
        if (found != NULL && strlen(found) == length && memcmp(found, name, length) == 0) {
            return layer;
        }
    }
    return NULL;
}

static int no_layer(const json_t *description, const char *name, const char *where)
{
    const char *names[1025];
    char wanted[128];
    size_t count = 0;
    size_t index;
    json_t *layer;
    json_array_foreach(json_object_get(description, "layers"), index, layer)
    {
        const char *found = json_string_value(json_object_get(layer, "name"));
        if (found != NULL && count < 1024) {
            names[count++] = found;
        }
    }
    names[count] = NULL;
    snprintf(wanted, sizeof wanted, "%.*s", (int)strcspn(name, "."), name);
    const char *near = nearest_word(wanted, names);
    return near == NULL ? message_error(EXIT_USE, "%s: \"%s\": the model has no layer \"%s\"",
                                        where, name, wanted)
                        : message_error(EXIT_USE,
                                        "%s: \"%s\": the model has no layer \"%s\"; did you mean "
                                        "%s?",
                                        where, name, wanted, near);
}

int space_apply(json_t *description, const char *name, const json_t *value, const char *where)
{
    const size_t length = strcspn(name, ".");
    json_t *at = find_layer(description, name, length);
    if (at == NULL) {
        return no_layer(description, name, where);
    }
    const char *key = name + length + 1;
    for (const char *dot = strchr(key, '.'); dot != NULL; dot = strchr(key, '.')) {
        char part[128];
        snprintf(part, sizeof part, "%.*s", (int)(dot - key), key);
        at = json_object_get(at, part);
        if (!json_is_object(at)) {
            return message_error(EXIT_USE,
                                 "%s: \"%s\": the model's description has no \"%s\" there", where,
                                 name, part);
        }
        key = dot + 1;
    }
    if (json_is_null(value)) {
        json_object_del(at, key);
        return EXIT_DONE;
    }
    json_t *copy = json_deep_copy(value);
    return json_object_set_new(at, key, copy) == 0 ? EXIT_DONE
                                                   : message_error(EXIT_WORK, "out of memory");
}

/* Build the network with one value of a layer's option. */
static int try_layer(const json_t *description, const char *name, const json_t *value,
                     const char *path)
{
    lstm_context *context = NULL;
    lstm_model *model = NULL;
    const lstm_context_options one = {.struct_size = sizeof one, .threads = 1, .blas_threads = 1};
    json_t *changed = json_deep_copy(description);
    char *text = NULL;
    char where[512];
    char shown[64];
    int code = EXIT_DONE;
    NEED(space_apply(changed, name, value, path));
    text = json_dumps(changed, 0);
    if (text == NULL) {
        code = message_error(EXIT_WORK, "out of memory");
        goto out;
    }
    snprintf(where, sizeof where, "%s: \"%s\" = %s", path, name,
             value_text(value, shown, sizeof shown));
    CHECK(lstm_context_create(&context, &one), path);
    CHECK(lstm_model_from_json(&model, context, text, strlen(text)), where);
out:
    free(text);
    json_decref(changed);
    lstm_model_destroy(model);
    lstm_context_destroy(context);
    return code;
}

/* ---- Options of fit */

static int check_option(const char *name, const char *path)
{
    const char *names[128];
    size_t count = 0;
    for (const option_spec *o = fit_shared_options; o->name != NULL && count < 127; o++) {
        if (!is_one_of(o->name, fixed_options)) {
            names[count++] = o->name;
        }
    }
    names[count] = NULL;
    if (is_one_of(name, names)) {
        return EXIT_DONE;
    }
    if (is_one_of(name, fixed_options)) {
        return message_error(EXIT_USE,
                             "%s: \"%s\" cannot be searched: trials are compared at the same data, "
                             "loss and number of epochs",
                             path, name);
    }
    const char *near = nearest_word(name, names);
    return near == NULL
               ? message_error(EXIT_USE,
                               "%s: \"%s\" is no option of `lstm fit` (and an option of a layer is "
                               "LAYER.OPTION)",
                               path, name)
               : message_error(EXIT_USE, "%s: \"%s\" is no option of `lstm fit`; did you mean %s?",
                               path, name, near);
}

/* Parse the option with one value. */
static int try_option(const char *name, const json_t *value, const char *path)
{
    word_list words = {0};
    arguments *line = NULL;
    words_add(&words, "fit");
    words_add(&words, "-o.lstm");
    words_add(&words, "--x=x");
    words_add(&words, "--y=y");
    words_add(&words, "model");
    words_add_value(&words, name, value);
    const int quiet = message_is_quiet();
    int code = words.failed ? message_error(EXIT_WORK, "out of memory")
                            : arguments_parse(&line, &command_fit, (int)words.count, words.words);
    message_set_quiet(quiet);
    if (code == ARGUMENTS_GO_ON) {
        optimizer_choice choice = {.options = {.struct_size = sizeof choice.options}};
        code = strcmp(name, "optimizer") == 0
                   ? optimizer_parse(&choice, arguments_text(line, "optimizer"))
               : strcmp(name, "schedule") == 0 && !json_is_null(value)
                   ? schedule_parse(&choice, arguments_text(line, "schedule"))
                   : EXIT_DONE;
    }
    arguments_destroy(line);
    words_release(&words);
    return code == EXIT_DONE ? EXIT_DONE
                             : message_error(EXIT_USE, "%s: \"%s\" asks for it", path, name);
}

static int try_value(const json_t *description, const space_parameter *p, const json_t *value,
                     const char *path)
{
    return strchr(p->name, '.') != NULL ? try_layer(description, p->name, value, path)
                                        : try_option(p->name, value, path);
}

/* ---- Reading */

static json_t *number_of(const space_parameter *p, double value)
{
    if (p->kind == SPACE_INT || p->kind == SPACE_LOG_INT) {
        return json_integer((json_int_t)value);
    }
    return json_real(value);
}

static int read_range(space_parameter *p, const char *kind, const json_t *range, const char *path)
{
    const int logarithmic = p->kind == SPACE_LOG_UNIFORM || p->kind == SPACE_LOG_INT;
    const int whole = p->kind == SPACE_INT || p->kind == SPACE_LOG_INT;
    const json_t *low = json_array_get(range, 0);
    const json_t *high = json_array_get(range, 1);
    p->low = json_number_value(low);
    p->high = json_number_value(high);
    if (json_array_size(range) != 2 || !json_is_number(low) || !json_is_number(high) ||
        !(p->low < p->high) || (logarithmic && p->low <= 0) ||
        (whole && (!json_is_integer(low) || !json_is_integer(high)))) {
        char shown[64];
        return message_error(EXIT_USE,
                             "%s: \"%s\": \"%s\" takes [low, high], %s with %slow < high, "
                             "not %s",
                             path, p->name, kind, whole ? "whole numbers" : "numbers",
                             logarithmic ? "0 < " : "", value_text(range, shown, sizeof shown));
    }
    return EXIT_DONE;
}

static int read_parameter(space_parameter *p, const json_t *value, const char *path)
{
    if (json_is_array(value)) {
        p->kind = SPACE_CHOICE;
        p->choices = value;
    } else {
        const char *kind = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)value));
        size_t k = 0;
        if (kind == NULL || json_object_size(value) != 1) {
            return message_error(EXIT_USE,
                                 "%s: \"%s\" takes a list of choices or one of {\"uniform\": [low, "
                                 "high]}, log_uniform, int, log_int, choice",
                                 path, p->name);
        }
        while (kinds[k] != NULL && strcmp(kinds[k], kind) != 0) {
            k++;
        }
        if (kinds[k] == NULL) {
            const char *near = nearest_word(kind, kinds);
            return message_error(EXIT_USE, "%s: \"%s\": there is no range \"%s\"%s%s%s", path,
                                 p->name, kind, near == NULL ? "" : "; did you mean ",
                                 near == NULL ? "" : near, near == NULL ? "" : "?");
        }
        p->kind = (space_kind)(k + 1);
        const json_t *range = json_object_get(value, kind);
        if (p->kind != SPACE_CHOICE) {
            return read_range(p, kind, range, path);
        }
        p->choices = range;
    }
    return json_array_size(p->choices) > 0
               ? EXIT_DONE
               : message_error(EXIT_USE, "%s: \"%s\": there is nothing to choose from", path,
                               p->name);
}

static int try_ends(const json_t *description, const space_parameter *p, const char *path)
{
    const size_t count = p->kind == SPACE_CHOICE ? json_array_size(p->choices) : 2;
    int code = EXIT_DONE;
    for (size_t k = 0; k < count && code == EXIT_DONE; k++) {
        json_t *value = p->kind == SPACE_CHOICE ? json_incref(json_array_get(p->choices, k))
                                                : number_of(p, k == 0 ? p->low : p->high);
        code = try_value(description, p, value, path);
        json_decref(value);
    }
    return code;
}

int space_load(search_space *out, const char *path, const json_t *description)
{
    char *text = NULL;
    size_t length = 0;
    json_error_t error;
    int code = EXIT_DONE;
    *out = (search_space){0};
    NEED(file_read(path, SPACE_BYTES, &text, &length));
    out->root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(out->root) || json_object_size(out->root) == 0) {
        code = out->root != NULL
                   ? message_error(EXIT_USE, "%s: expected an object with a range for each name",
                                   path)
                   : message_error(EXIT_USE, "%s: line %d, column %d: %s", path, error.line,
                                   error.column, error.text);
        goto out;
    }
    out->items = calloc(json_object_size(out->root), sizeof *out->items);
    if (out->items == NULL) {
        code = message_error(EXIT_WORK, "out of memory");
        goto out;
    }
    const char *name;
    json_t *value;
    json_object_foreach(out->root, name, value)
    {
        space_parameter *p = &out->items[out->count];
        p->name = name;
        if (strchr(name, '.') == NULL) {
            NEED(check_option(name, path));
        }
        NEED(read_parameter(p, value, path));
        NEED(try_ends(description, p, path));
        out->count++;
    }
out:
    free(text);
    return code;
}

void space_release(search_space *space)
{
    json_decref(space->root);
    free(space->items);
    *space = (search_space){0};
}

/* ---- Drawing */

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* From 0 to below 1; the same for the same name, wherever it stands in the file. */
static double draw_unit(uint64_t seed, int64_t number, const char *name)
{
    uint64_t x = mix(mix(seed) ^ (uint64_t)number);
    for (const char *c = name; *c != '\0'; c++) {
        x = mix(x ^ (unsigned char)*c);
    }
    return (double)(x >> 11) * 0x1p-53;
}

static double rounded(double value)
{
    char text[40];
    snprintf(text, sizeof text, "%.4g", value);
    return strtod(text, NULL);
}

static json_t *draw(const space_parameter *p, double u)
{
    if (p->kind == SPACE_CHOICE) {
        const size_t index = (size_t)(u * (double)json_array_size(p->choices));
        return json_incref(json_array_get(p->choices, index));
    }
    const int whole = p->kind == SPACE_INT || p->kind == SPACE_LOG_INT;
    double value;
    if (p->kind == SPACE_INT) {
        value = floor(p->low + u * (p->high - p->low + 1));
    } else if (p->kind == SPACE_LOG_INT) {
        value = floor(p->low * exp(u * log((p->high + 1) / p->low)));
    } else if (p->kind == SPACE_LOG_UNIFORM) {
        value = rounded(p->low * exp(u * log(p->high / p->low)));
    } else {
        value = rounded(p->low + u * (p->high - p->low));
    }
    value = fmin(fmax(value, p->low), p->high);
    return whole ? json_integer((json_int_t)value) : json_real(value);
}

json_t *space_draw(const search_space *space, uint64_t seed, int64_t number)
{
    json_t *values = json_object();
    for (size_t i = 0; i < space->count && values != NULL; i++) {
        const space_parameter *p = &space->items[i];
        if (json_object_set_new(values, p->name, draw(p, draw_unit(seed, number, p->name))) != 0) {
            json_decref(values);
            values = NULL;
        }
    }
    return values;
}

double space_position(const space_parameter *parameter, const json_t *value)
{
    if (parameter->kind != SPACE_CHOICE) {
        return json_is_number(value) ? json_number_value(value) : NAN;
    }
    for (size_t k = 0; k < json_array_size(parameter->choices); k++) {
        if (json_equal(json_array_get(parameter->choices, k), value)) {
            return (double)k;
        }
    }
    return NAN;
}
