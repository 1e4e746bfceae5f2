/* SPDX-License-Identifier: MIT
 *
 * Losses, class weights and metrics as words of the command line; see training_options.h.
 * Optimizers are in optimizer_options.c, schedules in schedule_options.c.
 *
 * In the library's option structs 0 means "the default", so an explicit 0 of an option whose
 * default is not 0 is handed down as -1 (lstm.h says where).
 */
#include "training_options.h"

#include "arguments.h"
#include "dataset.h"
#include "messages.h"
#include "option_words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Loss */

enum {
    FOR_HUBER = 1,
    FOR_SPARSE = 2,
    FOR_ENTROPY = 4, /* binary and categorical */
    FOR_BINARY_FOCAL = 8,
    FOR_CATEGORICAL_FOCAL = 16,
    FOR_QUANTILE = 32,
    FOR_CTC = 128,
    FOR_LOGITS = FOR_SPARSE | FOR_ENTROPY | FOR_BINARY_FOCAL | FOR_CATEGORICAL_FOCAL,
    FOR_FOCAL = FOR_BINARY_FOCAL | FOR_CATEGORICAL_FOCAL,
    FOR_ANY = 63 + 64 + 128
};

typedef enum loss_kind {
    LOSS_FLAG = 1,
    LOSS_ABOVE_0,
    LOSS_FROM_0,
    LOSS_PART,
    LOSS_REDUCTION,
    LOSS_QUANTILES,
    LOSS_INTEGER
} loss_kind;

typedef struct loss_key {
    const char *name;
    loss_kind kind;
    int whose;
    size_t offset; /* in lstm_loss_options */
} loss_key;

#define AT(member) offsetof(lstm_loss_options, member)
static const loss_key loss_keys[] = {
    {"from_logits", LOSS_FLAG, FOR_LOGITS | FOR_CTC, AT(from_logits)},
    {"delta", LOSS_ABOVE_0, FOR_HUBER, AT(huber_delta)},
    {"label_smoothing", LOSS_PART, FOR_LOGITS, AT(label_smoothing)},
    {"gamma", LOSS_FROM_0, FOR_FOCAL, AT(focal_gamma)},
    {"alpha", LOSS_PART, FOR_FOCAL, AT(focal_alpha)},
    {"apply_class_balancing", LOSS_FLAG, FOR_BINARY_FOCAL, AT(focal_balanced)},
    {"q", LOSS_QUANTILES, FOR_QUANTILE, AT(quantiles)},
    {"quantiles", LOSS_QUANTILES, FOR_QUANTILE, AT(quantiles)},
    {"reduction", LOSS_REDUCTION, FOR_ANY, AT(reduction)},
    {"blank", LOSS_INTEGER, FOR_CTC, AT(ctc_blank)},
    {"zero_infinity", LOSS_FLAG, FOR_CTC, AT(ctc_zero_infinity)},
};
#undef AT
#define LOSS_KEYS (sizeof loss_keys / sizeof loss_keys[0])

static int whose_loss(int32_t loss)
{
    switch (loss) {
    case LSTM_LOSS_HUBER:
        return FOR_HUBER;
    case LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY:
        return FOR_SPARSE;
    case LSTM_LOSS_BINARY_CROSSENTROPY:
    case LSTM_LOSS_CATEGORICAL_CROSSENTROPY:
        return FOR_ENTROPY;
    case LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY:
        return FOR_BINARY_FOCAL;
    case LSTM_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY:
        return FOR_CATEGORICAL_FOCAL;
    case LSTM_LOSS_QUANTILE:
        return FOR_QUANTILE;
    case LSTM_LOSS_CTC:
        return FOR_CTC;
    default:
        return 64;
    }
}

/* "0.1/0.5/0.9", or one number */
static int read_quantiles(loss_choice *out, const char *name, const char *key, const json_t *value)
{
    const char *expected = "numbers between 0 and 1, as in 0.1/0.5/0.9";
    char text[1024];
    size_t count = 0;
    if (json_is_number(value)) {
        snprintf(text, sizeof text, "%.9g", json_number_value(value));
    } else if (json_string_length(value) > 0 && json_string_length(value) < sizeof text) {
        memcpy(text, json_string_value(value), json_string_length(value) + 1);
    } else {
        return wrong_value("--loss", name, key, expected, value);
    }
    for (char *part = text; part != NULL; count++) {
        char *slash = strchr(part, '/');
        double number = 0;
        if (slash != NULL) {
            *slash = '\0';
        }
        if (!parse_real(part, &number) || number <= 0 || number >= 1 || count == QUANTILE_LIMIT) {
            return wrong_value("--loss", name, key, expected, value);
        }
        out->quantiles[count] = (float)number;
        part = slash == NULL ? NULL : slash + 1;
    }
    out->options.quantiles = out->quantiles;
    out->options.quantile_count = count;
    return EXIT_DONE;
}

static int read_loss_number(loss_choice *out, const char *name, const loss_key *k,
                            const json_t *value)
{
    const double number = json_number_value(value);
    const int good = k->kind == LOSS_ABOVE_0  ? number > 0
                     : k->kind == LOSS_FROM_0 ? number >= 0
                                              : number >= 0 && number < 1;
    if (!json_is_number(value) || !good) {
        return wrong_value("--loss", name, k->name,
                           k->kind == LOSS_ABOVE_0  ? "a number above 0"
                           : k->kind == LOSS_FROM_0 ? "a number from 0 on"
                                                    : "a number from 0 to below 1",
                           value);
    }
    const float single = number == 0 && k->kind == LOSS_FROM_0 ? -1 : (float)number;
    memcpy((char *)&out->options + k->offset, &single, sizeof single);
    return EXIT_DONE;
}

static int read_loss_key(loss_choice *out, const char *name, const char *key, const json_t *value)
{
    const int whose = whose_loss(out->options.loss);
    const char *names[LOSS_KEYS + 1];
    size_t count = 0;
    const loss_key *k = NULL;
    for (size_t i = 0; i < LOSS_KEYS; i++) {
        if ((loss_keys[i].whose & whose) != 0) {
            names[count++] = loss_keys[i].name;
            k = strcmp(loss_keys[i].name, key) == 0 ? &loss_keys[i] : k;
        }
    }
    names[count] = NULL;
    if (k == NULL) {
        return unknown_word("--loss", name, key, names);
    }
    if (k->kind == LOSS_FLAG) {
        const int32_t flag = json_is_true(value) ? LSTM_YES : LSTM_NO;
        if (!json_is_boolean(value)) {
            return wrong_value("--loss", name, key, "true or false", value);
        }
        memcpy((char *)&out->options + k->offset, &flag, sizeof flag);
        return EXIT_DONE;
    }
    if (k->kind == LOSS_INTEGER) {
        const double number = json_number_value(value);
        const int32_t whole = (int32_t)number;
        if (!json_is_number(value) || fabs(number) > 1e9 || (double)whole != number) {
            return wrong_value("--loss", name, key, "a class number, or -1 for the last class",
                               value);
        }
        memcpy((char *)&out->options + k->offset, &whole, sizeof whole);
        return EXIT_DONE;
    }
    if (k->kind == LOSS_REDUCTION) {
        const char *text = json_is_string(value) ? json_string_value(value) : "";
        const lstm_status status = lstm_constant_from_name(LSTM_NAMES_REDUCTION, text,
                                                           &out->options.reduction);
        return status == LSTM_OK ? EXIT_DONE : message_status(status, "--loss");
    }
    return k->kind == LOSS_QUANTILES ? read_quantiles(out, name, key, value)
                                     : read_loss_number(out, name, k, value);
}

int loss_parse(loss_choice *out, const char *text)
{
    *out = (loss_choice){.options = {.struct_size = sizeof out->options}};
    json_t *object = NULL;
    int code = EXIT_DONE;
    NEED(object_from_text(&object, text, "--loss"));
    CHECK(lstm_constant_from_name(LSTM_NAMES_LOSS,
                                  json_string_value(json_object_get(object, "name")),
                                  &out->options.loss),
          "--loss");
    const char *name = lstm_constant_name(LSTM_NAMES_LOSS, out->options.loss);
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (strcmp(key, "name") != 0) {
            NEED(read_loss_key(out, name, key, value));
        }
    }
out:
    json_decref(object);
    return code;
}

int loss_target(const loss_choice *loss)
{
    switch (loss->options.loss) {
    case LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY:
        return TARGET_CLASSES;
    case LSTM_LOSS_CTC:
        return TARGET_LABELS;
    case LSTM_LOSS_GAUSSIAN_NLL:
        return TARGET_GROUPS + 2;
    case LSTM_LOSS_QUANTILE:
        return loss->options.quantile_count > 1 ? TARGET_GROUPS + (int)loss->options.quantile_count
                                                : TARGET_VALUES;
    default:
        return TARGET_VALUES;
    }
}

/* ---- Class weights */

int class_weights_parse(float **out, size_t *count, const char *text)
{
    parts weights = {0};
    int code = EXIT_DONE;
    *out = NULL;
    NEED(parts_split(&weights, text, "--class-weights"));
    *out = calloc(weights.count + 1, sizeof **out);
    if (*out == NULL) {
        code = message_error(EXIT_WORK, "out of memory");
        goto out;
    }
    for (size_t i = 0; i < weights.count; i++) {
        double number = 0;
        if (!parse_real(weights.items[i], &number) || number < 0) {
            code = message_error(EXIT_USE, "--class-weights: \"%s\": expected a number from 0 on",
                                 weights.items[i]);
            goto out;
        }
        (*out)[i] = (float)number;
    }
    *count = weights.count;
out:
    parts_release(&weights);
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
