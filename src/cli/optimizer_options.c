/* SPDX-License-Identifier: MIT
 *
 * Optimizers as words of the command line and as JSON files; see training_options.h.
 *
 * Both forms, name:key=value,… and JSON, become one JSON object, which is read after one table of
 * keys. In the library's option structs 0 means "the default", so an explicit 0 of an option whose
 * default is not 0 is handed down as -1 (lstm_optimizer_options says where).
 */
#include "training_options.h"

#include "arguments.h"
#include "files.h"
#include "messages.h"
#include "option_words.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define OPTIMIZER_FILE_LIMIT ((size_t)1 << 20)

enum {
    FOR_SGD = 1,
    FOR_RMSPROP = 2,
    FOR_ADAM = 4, /* and AdamW */
    FOR_ADAGRAD = 8,
    FOR_ADADELTA = 16,
    FOR_ADAMAX = 32,
    FOR_NADAM = 64,
    FOR_RADAM = 128,
    FOR_LION = 256,
    FOR_LBFGS = 512,
    FOR_ALL = 1023,
    FOR_BETAS = FOR_ADAM | FOR_ADAMAX | FOR_NADAM | FOR_RADAM | FOR_LION,
    FOR_EPSILON = FOR_RMSPROP | FOR_ADAM | FOR_ADAGRAD | FOR_ADADELTA | FOR_ADAMAX | FOR_NADAM |
                  FOR_RADAM,
    FOR_STEPS = FOR_ALL - FOR_LBFGS /* all but L-BFGS */
};

typedef enum key_kind {
    KEY_RATE = 1, /* number >= 0; an explicit 0 is handed down as -1 */
    KEY_NUMBER,   /* number >= 0; 0 is the default */
    KEY_CLIP,     /* number > 0 */
    KEY_COUNT_OF, /* whole number > 0, int32_t */
    KEY_FLAG,
    KEY_BETAS, /* [beta_1, beta_2] */
    KEY_DECOUPLED,
    KEY_SEARCH, /* "strong_wolfe" */
    KEY_FALSE,  /* a feature that this version lacks: null, false, 0 */
    KEY_FREE    /* means nothing here, whatever it says */
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
    {"rho", KEY_RATE, FOR_RMSPROP | FOR_ADADELTA, AT(rho)},
    {"alpha", KEY_RATE, FOR_RMSPROP, AT(rho)},
    {"centered", KEY_FLAG, FOR_RMSPROP, AT(centered)},
    {"amsgrad", KEY_FLAG, FOR_ADAM, AT(amsgrad)},
    {"beta_1", KEY_RATE, FOR_BETAS, AT(beta_1)},
    {"beta_2", KEY_RATE, FOR_BETAS, AT(beta_2)},
    {"betas", KEY_BETAS, FOR_BETAS, 0},
    {"epsilon", KEY_RATE, FOR_EPSILON, AT(epsilon)},
    {"eps", KEY_RATE, FOR_EPSILON, AT(epsilon)},
    {"initial_accumulator_value", KEY_RATE, FOR_ADAGRAD, AT(initial_accumulator)},
    {"lr_decay", KEY_NUMBER, FOR_ADAGRAD, AT(rate_decay)},
    {"momentum_decay", KEY_RATE, FOR_NADAM, AT(momentum_decay)},
    {"weight_decay", KEY_RATE, FOR_STEPS, AT(weight_decay)},
    {"decoupled_weight_decay", KEY_DECOUPLED, FOR_ADAM | FOR_NADAM | FOR_RADAM,
     AT(decoupled_decay)},
    {"clipnorm", KEY_CLIP, FOR_STEPS, AT(clip_norm)},
    {"global_clipnorm", KEY_CLIP, FOR_STEPS, AT(global_clip_norm)},
    {"clipvalue", KEY_CLIP, FOR_STEPS, AT(clip_value)},
    {"use_ema", KEY_FLAG, FOR_ALL, AT(use_ema)},
    {"ema_momentum", KEY_CLIP, FOR_ALL, AT(ema_momentum)},
    {"ema_overwrite_frequency", KEY_COUNT_OF, FOR_ALL, AT(ema_overwrite_frequency)},
    {"gradient_accumulation_steps", KEY_COUNT_OF, FOR_STEPS, AT(accumulation_steps)},
    {"gradient_noise", KEY_NUMBER, FOR_STEPS, AT(gradient_noise)},
    {"gradient_noise_decay", KEY_RATE, FOR_STEPS, AT(gradient_noise_decay)},
    {"history_size", KEY_COUNT_OF, FOR_LBFGS, AT(history_size)},
    {"max_iter", KEY_COUNT_OF, FOR_LBFGS, AT(max_iterations)},
    {"max_eval", KEY_COUNT_OF, FOR_LBFGS, AT(max_evaluations)},
    {"tolerance_grad", KEY_RATE, FOR_LBFGS, AT(tolerance_grad)},
    {"tolerance_change", KEY_RATE, FOR_LBFGS, AT(tolerance_change)},
    {"line_search_fn", KEY_SEARCH, FOR_LBFGS, AT(strong_wolfe)},
    {"loss_scale_factor", KEY_FALSE, FOR_ALL, 0},
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
    optimizer_choice *choice;
    lstm_optimizer_options *out; /* in it */
    const char *what;            /* "--optimizer" or the file */
    const char *name;            /* "adam" */
    int whose;
} optimizer_reader;

static int wrong_key(const optimizer_reader *r, const char *key, const char *expected,
                     const json_t *value)
{
    return wrong_value(r->what, r->name, key, expected, value);
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
    return unknown_word(r->what, r->name, key, names);
}

static int read_number(const optimizer_reader *r, const optimizer_key *k, const json_t *value,
                       double *place)
{
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

static int read_count(const optimizer_reader *r, const optimizer_key *k, const json_t *value)
{
    if (!json_is_integer(value) || json_integer_value(value) < 1 ||
        json_integer_value(value) > INT32_MAX) {
        return wrong_key(r, k->name, "a whole number from 1 on", value);
    }
    const int32_t number = (int32_t)json_integer_value(value);
    memcpy((char *)r->out + k->offset, &number, sizeof number);
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
        if (json_is_false(value) && r->out->optimizer == LSTM_OPTIMIZER_ADAMW) {
            return wrong_key(r, k->name, "true", value);
        }
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
    if (json_is_object(value) && k->offset == offsetof(lstm_optimizer_options, learning_rate)) {
        return schedule_read(r->choice, value, r->what);
    }
    switch (k->kind) {
    case KEY_FLAG:
    case KEY_DECOUPLED:
        return read_flag(r, k, value);
    case KEY_SEARCH:
        if (!json_is_string(value) || strcmp(json_string_value(value), "strong_wolfe") != 0) {
            return wrong_key(r, k->name, "strong_wolfe or null", value);
        }
        r->out->strong_wolfe = LSTM_YES;
        return EXIT_DONE;
    case KEY_BETAS:
        return read_betas(r, k, value);
    case KEY_COUNT_OF:
        return read_count(r, k, value);
    case KEY_FALSE:
        if (json_is_false(value) || (json_is_number(value) && json_number_value(value) == 0)) {
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

static int whose_optimizer(int32_t optimizer)
{
    static const int whose[] = {0,         FOR_SGD,     FOR_RMSPROP,  FOR_ADAM,
                                FOR_ADAM,  FOR_ADAGRAD, FOR_ADADELTA, FOR_ADAMAX,
                                FOR_NADAM, FOR_RADAM,   FOR_LION,     FOR_LBFGS};
    return whose[optimizer];
}

/* Find name and options in {"name": …, options} or in Keras' {"class_name": …, "config":
 * {options}}. */
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
    const lstm_status status = lstm_constant_from_name(LSTM_NAMES_OPTIMIZER, r->name,
                                                       &r->out->optimizer);
    if (status != LSTM_OK) {
        return message_status(status, r->what);
    }
    r->whose = whose_optimizer(r->out->optimizer);
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

static int read_object(optimizer_choice *choice, const json_t *object, const char *what)
{
    lstm_optimizer_options *out = &choice->options;
    optimizer_reader reader = {.choice = choice, .out = out, .what = what};
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

int optimizer_parse(optimizer_choice *out, const char *text)
{
    *out = (optimizer_choice){.options = {.struct_size = sizeof out->options}};
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
