/* SPDX-License-Identifier: MIT
 *
 * Losses, optimizers and metrics as words of the command line; see training_options.h.
 *
 * Both forms, name:key=value,… and JSON, become one JSON object, which is read after one table of keys. In the
 * library's option structs 0 means "the default", so an explicit 0 of an option whose default is not 0 is handed down
 * as -1 (lstm_optimizer_options says where).
 */
#include "training_options.h"

#include "arguments.h"
#include "files.h"
#include "messages.h"

#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define OPTIMIZER_FILE_LIMIT ((size_t)1 << 20)

/* ---- name:key=value,… as a JSON object */

/* true, false, yes, no, null, a number, else text */
static json_t *value_from_text(const char *text)
{
    double number;
    int64_t whole;
    if (strcasecmp(text, "true") == 0 || strcasecmp(text, "yes") == 0) {
        return json_true();
    }
    if (strcasecmp(text, "false") == 0 || strcasecmp(text, "no") == 0) {
        return json_false();
    }
    if (strcasecmp(text, "null") == 0 || strcasecmp(text, "none") == 0) {
        return json_null();
    }
    if (parse_integer(text, &whole)) {
        return json_integer((json_int_t)whole);
    }
    return parse_real(text, &number) ? json_real(number) : json_string(text);
}

/* {"name": name, key: value, …} */
static int object_from_text(json_t **out, const char *text, const char *what)
{
    *out = json_object();
    if (*out == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    const size_t length = strcspn(text, ":");
    json_object_set_new(*out, "name", json_stringn(text, length));
    if (text[length] == '\0') {
        return EXIT_DONE;
    }
    parts keys = {0};
    int code = parts_split(&keys, text + length + 1, what);
    for (size_t i = 0; i < keys.count && code == EXIT_DONE; i++) {
        char *equals = strchr(keys.items[i], '=');
        if (equals == NULL || equals == keys.items[i]) {
            code = message_error(EXIT_USE, "%s: \"%s\": expected key=value", what, keys.items[i]);
            break;
        }
        *equals = '\0';
        if (json_object_get(*out, keys.items[i]) != NULL) {
            code = message_error(EXIT_USE, "%s: \"%s\" is given twice", what, keys.items[i]);
        } else if (json_object_set_new(*out, keys.items[i], value_from_text(equals + 1)) != 0) {
            code = message_error(EXIT_USE, "%s: \"%s\" is no UTF-8 text", what, keys.items[i]);
        }
    }
    parts_release(&keys);
    if (code != EXIT_DONE) {
        json_decref(*out);
        *out = NULL;
    }
    return code;
}

static const char *value_text(const json_t *value, char *text, size_t size)
{
    char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
    snprintf(text, size, "%.60s", dump == NULL ? "?" : dump);
    free(dump);
    return text;
}

/* ---- Loss */

int loss_parse(lstm_loss_options *out, const char *text)
{
    *out = (lstm_loss_options){.struct_size = sizeof *out};
    json_t *object = NULL;
    int code = EXIT_DONE;
    NEED(object_from_text(&object, text, "--loss"));
    CHECK(lstm_constant_from_name(LSTM_NAMES_LOSS,
                                  json_string_value(json_object_get(object, "name")), &out->loss),
          "--loss");
    const int entropy = out->loss == LSTM_LOSS_BINARY_CROSSENTROPY ||
                        out->loss == LSTM_LOSS_CATEGORICAL_CROSSENTROPY ||
                        out->loss == LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY;
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        char shown[64];
        if (strcmp(key, "name") == 0) {
            continue;
        }
        if (strcmp(key, "from_logits") == 0 && entropy) {
            if (!json_is_boolean(value)) {
                code = message_error(EXIT_USE, "--loss: from_logits takes true or false, not %s",
                                     value_text(value, shown, sizeof shown));
                goto out;
            }
            out->from_logits = json_is_true(value) ? LSTM_YES : LSTM_NO;
        } else if (strcmp(key, "delta") == 0 && out->loss == LSTM_LOSS_HUBER) {
            if (!json_is_number(value) || json_number_value(value) <= 0) {
                code = message_error(EXIT_USE, "--loss: delta takes a number above 0, not %s",
                                     value_text(value, shown, sizeof shown));
                goto out;
            }
            out->huber_delta = (float)json_number_value(value);
        } else {
            const char *name = lstm_constant_name(LSTM_NAMES_LOSS, out->loss);
            code = message_error(EXIT_USE, "--loss: %s has no option \"%s\"%s", name, key,
                                 entropy                        ? "; it has from_logits"
                                 : out->loss == LSTM_LOSS_HUBER ? "; it has delta"
                                                                : "; it has none");
            goto out;
        }
    }
out:
    json_decref(object);
    return code;
}

/* ---- Optimizer */

#define FOR_SGD 1
#define FOR_RMSPROP 2
#define FOR_ADAM 4 /* and AdamW */
#define FOR_ALL 7

typedef enum key_kind {
    KEY_RATE = 1, /* number >= 0; an explicit 0 is handed down as -1 */
    KEY_NUMBER,   /* number >= 0; 0 is the default */
    KEY_CLIP,     /* number > 0 */
    KEY_FLAG,
    KEY_BETAS, /* [beta_1, beta_2] */
    KEY_DECOUPLED,
    KEY_FALSE, /* a feature that this version lacks: null, false, 0 */
    KEY_ONE,   /* the same: null or 1 */
    KEY_FREE   /* means nothing here, whatever it says */
} key_kind;

typedef struct optimizer_key {
    const char *name;
    key_kind kind;
    int whose;     /* FOR_* */
    size_t offset; /* in lstm_optimizer_options */
} optimizer_key;

#define AT(member) offsetof(lstm_optimizer_options, member)
static const optimizer_key optimizer_keys[] = {
    {"name", KEY_FREE, FOR_ALL, 0},
    {"profile", KEY_FREE, FOR_ALL, 0},
    {"learning_rate", KEY_RATE, FOR_ALL, AT(learning_rate)},
    {"lr", KEY_RATE, FOR_ALL, AT(learning_rate)},
    {"momentum", KEY_NUMBER, FOR_SGD | FOR_RMSPROP, AT(momentum)},
    {"nesterov", KEY_FLAG, FOR_SGD, AT(nesterov)},
    {"dampening", KEY_NUMBER, FOR_SGD, AT(dampening)},
    {"rho", KEY_RATE, FOR_RMSPROP, AT(rho)},
    {"alpha", KEY_RATE, FOR_RMSPROP, AT(rho)},
    {"centered", KEY_FLAG, FOR_RMSPROP, AT(centered)},
    {"amsgrad", KEY_FLAG, FOR_ADAM, AT(amsgrad)},
    {"beta_1", KEY_RATE, FOR_ADAM, AT(beta_1)},
    {"beta_2", KEY_RATE, FOR_ADAM, AT(beta_2)},
    {"betas", KEY_BETAS, FOR_ADAM, 0},
    {"epsilon", KEY_RATE, FOR_RMSPROP | FOR_ADAM, AT(epsilon)},
    {"eps", KEY_RATE, FOR_RMSPROP | FOR_ADAM, AT(epsilon)},
    {"weight_decay", KEY_RATE, FOR_ALL, AT(weight_decay)},
    {"decoupled_weight_decay", KEY_DECOUPLED, FOR_ADAM, 0},
    {"clipnorm", KEY_CLIP, FOR_ALL, AT(clip_norm)},
    {"global_clipnorm", KEY_CLIP, FOR_ALL, AT(global_clip_norm)},
    {"clipvalue", KEY_CLIP, FOR_ALL, AT(clip_value)},
    {"use_ema", KEY_FALSE, FOR_ALL, 0},
    {"ema_momentum", KEY_FREE, FOR_ALL, 0},            /* of use_ema, which is refused */
    {"ema_overwrite_frequency", KEY_FREE, FOR_ALL, 0}, /* the same */
    {"loss_scale_factor", KEY_FALSE, FOR_ALL, 0},
    {"gradient_accumulation_steps", KEY_ONE, FOR_ALL, 0},
    {"jit_compile", KEY_FREE, FOR_ALL, 0},
    {"maximize", KEY_FALSE, FOR_ALL, 0},
    {"differentiable", KEY_FALSE, FOR_ALL, 0},
    {"foreach", KEY_FREE, FOR_ALL, 0}, /* how PyTorch computes, not what */
    {"capturable", KEY_FREE, FOR_ALL, 0},
    {"fused", KEY_FREE, FOR_ALL, 0},
};
#undef AT
#define KEY_COUNT (sizeof optimizer_keys / sizeof optimizer_keys[0])

typedef struct optimizer_reader {
    lstm_optimizer_options *out;
    const char *what; /* "--optimizer" or the file */
    const char *name; /* "adam" */
    int whose;
} optimizer_reader;

static int wrong_key(const optimizer_reader *r, const char *key, const char *expected,
                     const json_t *value)
{
    char shown[64];
    return message_error(EXIT_USE, "%s: %s: \"%s\" takes %s, not %s", r->what, r->name, key,
                         expected, value_text(value, shown, sizeof shown));
}

static int unknown_key(const optimizer_reader *r, const char *key)
{
    const char *names[KEY_COUNT + 1];
    size_t count = 0;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if ((optimizer_keys[i].whose & r->whose) != 0 && optimizer_keys[i].kind < KEY_FALSE) {
            names[count++] = optimizer_keys[i].name;
        }
    }
    names[count] = NULL;
    const char *near = nearest_word(key, names);
    return near == NULL
               ? message_error(EXIT_USE, "%s: %s has no option \"%s\"", r->what, r->name, key)
               : message_error(EXIT_USE, "%s: %s has no option \"%s\"; did you mean %s?", r->what,
                               r->name, key, near);
}

static int read_number(const optimizer_reader *r, const optimizer_key *k, const json_t *value,
                       double *place)
{
    if (json_is_object(value)) {
        return message_error(EXIT_USE,
                             "%s: %s: \"%s\" is a schedule; this version takes only a number",
                             r->what, r->name, k->name);
    }
    if (!json_is_number(value)) {
        return wrong_key(r, k->name, "a number", value);
    }
    const double number = json_number_value(value);
    if (number < 0 || (k->kind == KEY_CLIP && number == 0)) {
        return wrong_key(r, k->name,
                         k->kind == KEY_CLIP ? "a number above 0" : "a number from 0 on", value);
    }
    *place = number == 0 && k->kind == KEY_RATE ? -1 : number;
    return EXIT_DONE;
}

static int read_betas(const optimizer_reader *r, const optimizer_key *k, const json_t *value)
{
    if (json_array_size(value) != 2) {
        return wrong_key(r, k->name, "two numbers", value);
    }
    const int code = read_number(r, k, json_array_get(value, 0), &r->out->beta_1);
    return code != EXIT_DONE ? code : read_number(r, k, json_array_get(value, 1), &r->out->beta_2);
}

static int read_flag(const optimizer_reader *r, const optimizer_key *k, const json_t *value)
{
    if (!json_is_boolean(value)) {
        return wrong_key(r, k->name, "true or false", value);
    }
    if (k->kind == KEY_DECOUPLED) {
        if (json_is_true(value)) {
            r->out->optimizer = LSTM_OPTIMIZER_ADAMW;
        } else if (r->out->optimizer == LSTM_OPTIMIZER_ADAMW) {
            return wrong_key(r, k->name, "true", value);
        }
        return EXIT_DONE;
    }
    char *base = (char *)r->out;
    const int32_t flag = json_is_true(value) ? LSTM_YES : LSTM_NO;
    memcpy(base + k->offset, &flag, sizeof flag);
    return EXIT_DONE;
}

static int read_key(const optimizer_reader *r, const char *key, const json_t *value)
{
    const optimizer_key *k = NULL;
    for (size_t i = 0; i < KEY_COUNT && k == NULL; i++) {
        k = strcmp(optimizer_keys[i].name, key) == 0 ? &optimizer_keys[i] : NULL;
    }
    if (k == NULL || (k->whose & r->whose) == 0) {
        return unknown_key(r, key);
    }
    if (json_is_null(value) || k->kind == KEY_FREE) {
        return EXIT_DONE; /* null: the default */
    }
    switch (k->kind) {
    case KEY_FLAG:
    case KEY_DECOUPLED:
        return read_flag(r, k, value);
    case KEY_BETAS:
        return read_betas(r, k, value);
    case KEY_FALSE:
    case KEY_ONE:
        if (json_is_false(value) ||
            (json_is_number(value) && json_number_value(value) == (k->kind == KEY_ONE ? 1 : 0))) {
            return EXIT_DONE;
        }
        return message_error(EXIT_USE, "%s: %s: \"%s\" is not in this version", r->what, r->name,
                             key);
    default:
        break;
    }
    double number = 0;
    const int code = read_number(r, k, value, &number);
    if (code == EXIT_DONE) {
        memcpy((char *)r->out + k->offset, &number, sizeof number);
    }
    return code;
}

/* Find name and options in {"name": …, options} or in Keras' {"class_name": …, "config": {options}}. */
static int read_name(optimizer_reader *r, const json_t **object)
{
    const json_t *name = json_object_get(*object, "name");
    const json_t *class_name = json_object_get(*object, "class_name");
    const json_t *config = json_object_get(*object, "config");
    if (json_is_object(config)) {
        name = json_is_string(class_name) ? class_name : json_object_get(config, "name");
        *object = config;
    }
    if (!json_is_string(name)) {
        return message_error(EXIT_USE,
                             "%s: does not say which optimizer it describes (\"name\": \"adam\")",
                             r->what);
    }
    r->name = json_string_value(name);
    const lstm_status status =
        lstm_constant_from_name(LSTM_NAMES_OPTIMIZER, r->name, &r->out->optimizer);
    if (status != LSTM_OK) {
        return message_status(status, r->what);
    }
    r->whose = r->out->optimizer == LSTM_OPTIMIZER_SGD       ? FOR_SGD
               : r->out->optimizer == LSTM_OPTIMIZER_RMSPROP ? FOR_RMSPROP
                                                             : FOR_ADAM;
    const json_t *profile = json_object_get(*object, "profile");
    if (profile != NULL && !json_is_null(profile)) {
        if (!json_is_string(profile)) {
            return wrong_key(r, "profile", "keras or torch", profile);
        }
        const lstm_status found = lstm_constant_from_name(
            LSTM_NAMES_PROFILE, json_string_value(profile), &r->out->profile);
        if (found != LSTM_OK) {
            return message_status(found, r->what);
        }
    }
    return EXIT_DONE;
}

static int read_object(lstm_optimizer_options *out, const json_t *object, const char *what)
{
    optimizer_reader reader = {.out = out, .what = what};
    int code = read_name(&reader, &object);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        if (code == EXIT_DONE) {
            code = read_key(&reader, key, value);
        }
    }
    if (code == EXIT_DONE && out->weight_decay < 0 && out->optimizer != LSTM_OPTIMIZER_ADAMW) {
        out->weight_decay = 0;
    }
    const int clips = (out->clip_norm > 0) + (out->global_clip_norm > 0) + (out->clip_value > 0);
    if (code == EXIT_DONE && clips > 1) {
        code = message_error(
            EXIT_USE, "%s: only one of clipnorm, global_clipnorm and clipvalue can be set", what);
    }
    return code;
}

int optimizer_parse(lstm_optimizer_options *out, const char *text)
{
    *out = (lstm_optimizer_options){.struct_size = sizeof *out};
    json_t *object = NULL;
    int code = EXIT_DONE;
    if (!file_has_suffix(text, ".json")) {
        NEED(object_from_text(&object, text, "--optimizer"));
        NEED(read_object(out, object, "--optimizer"));
        goto out;
    }
    char *content = NULL;
    size_t length = 0;
    NEED(file_read(text, OPTIMIZER_FILE_LIMIT, &content, &length));
    json_error_t error;
    object = json_loadb(content, length, JSON_REJECT_DUPLICATES, &error);
    free(content);
    if (object == NULL) {
        code = message_error(EXIT_USE, "%s: line %d, column %d: %s", text, error.line, error.column,
                             error.text);
    } else if (!json_is_object(object)) {
        code = message_error(EXIT_USE, "%s: expected an object {\"name\": \"adam\", …}", text);
    } else {
        code = read_object(out, object, text);
    }
out:
    json_decref(object);
    return code;
}

/* ---- Metrics */

int metrics_parse(int32_t *out, size_t capacity, int32_t *count, const char *text)
{
    parts names = {0};
    *count = 0;
    int code = EXIT_DONE;
    NEED(parts_split(&names, text, "--metrics"));
    if (names.count > capacity) {
        code = message_error(EXIT_USE, "--metrics: at most %zu metrics", capacity);
        goto out;
    }
    for (size_t i = 0; i < names.count; i++) {
        CHECK(lstm_constant_from_name(LSTM_NAMES_METRIC, names.items[i], &out[i]), "--metrics");
    }
    *count = (int32_t)names.count;
out:
    parts_release(&names);
    return code;
}
