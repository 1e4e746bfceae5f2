/* SPDX-License-Identifier: MIT
 *
 * `lstm tune --ablate`: what each regulariser of a model buys.
 *
 * The regularisers are found in the description (layers of noise, dropout inside layers, penalties,
 * constraints) and among the options of training, those in the settings of --optimizer and --loss
 * included (early stopping, weight decay, averages of the weights, noise, label smoothing). With r of
 * them the variants are: all, none, all but one (r), one alone (r); each is trained over the same
 * seeds.
 *
 * Training loss and validation loss of a variant are those of its weights in the same bare network
 * and with the same bare loss: noise off, without penalties, without label smoothing. So variants
 * can be compared, and the gap is one of data, not of what happened to be added while training.
 */
#include "tune.h"

#include "messages.h"
#include "network_file.h"
#include "option_words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define REGULARISERS 64

typedef struct ablation {
    regulariser found[REGULARISERS];
    size_t count;
    int64_t seeds;
    size_t variants;
    json_t *bare; /* the description without any of them */
} ablation;

/* ---- Finding */

/* Options of layers that are nothing but a regulariser, and what switches them off: a number (NULL
 * = the option goes away). */
typedef struct layer_key {
    const char *key;
    int number;
} layer_key;

static const layer_key layer_keys[] = {
    {"dropout", 1},
    {"recurrent_dropout", 1},
    {"recurrent_dropconnect", 1},
    {"zoneout_h", 1},
    {"zoneout_c", 1},
    {"kernel_regularizer", 0},
    {"recurrent_regularizer", 0},
    {"bias_regularizer", 0},
    {"activity_regularizer", 0},
    {"kernel_constraint", 0},
    {"recurrent_constraint", 0},
    {"bias_constraint", 0},
};

/* Layers that are nothing but one, and the option that says how strong it is. */
static const char *const layer_types[][2] = {
    {"Dropout", "rate"},         {"SpatialDropout1D", "rate"}, {"GaussianNoise", "stddev"},
    {"GaussianDropout", "rate"}, {"AlphaDropout", "rate"},
};

static const char *const option_names[] = {"early-stopping", "weight-decay", "ema",
                                           "gradient-noise", "weight-noise"};

static regulariser *more(ablation *a)
{
    return a->count < REGULARISERS ? &a->found[a->count++] : NULL;
}

static int acts(const json_t *value)
{
    return json_is_number(value) ? json_number_value(value) > 0 : json_is_object(value);
}

/* "l2 0.01", "MaxNorm 2", "0.5" */
static void describe_value(const json_t *value, char *text, size_t size)
{
    const char *class = json_string_value(json_object_get(value, "class_name"));
    const int penalty = class != NULL && strcmp(class, "L1L2") == 0; /* its keys say it all */
    size_t used = 0;
    if (class == NULL) {
        value_text(value, text, size);
        return;
    }
    text[0] = '\0';
    if (!penalty) {
        used = (size_t)snprintf(text, size, "%.24s", class);
    }
    const char *key;
    json_t *setting;
    json_object_foreach(json_object_get(value, "config"), key, setting)
    {
        if (used < size && acts(setting)) {
            used += (size_t)snprintf(text + used, size - used, "%s%.24s%s%.4g",
                                     used == 0 ? "" : " ", penalty ? key : "", penalty ? " " : "",
                                     json_number_value(setting));
        }
    }
}

/* "kernel_regularizer" and "kernel_constraint" are told apart by their values. */
static int short_length(const char *key)
{
    const char *ending = strstr(key, "_regularizer");
    ending = ending == NULL ? strstr(key, "_constraint") : ending;
    return ending == NULL ? (int)strlen(key) : (int)(ending - key);
}

static void find_in_layer(ablation *a, json_t *layer, const char *path, const char *name)
{
    const char *type = json_string_value(json_object_get(layer, "type"));
    for (size_t k = 0; type != NULL && k < sizeof layer_types / sizeof layer_types[0]; k++) {
        const json_t *value = json_object_get(layer, layer_types[k][1]);
        if (strcmp(type, layer_types[k][0]) == 0 && acts(value)) {
            regulariser *r = more(a);
            if (r != NULL) {
                snprintf(r->name, sizeof r->name, "%s: %s %.4g", name, layer_types[k][1],
                         json_number_value(value));
                snprintf(r->path, sizeof r->path, "%s.%s", path, layer_types[k][1]);
                r->layer = layer;
            }
        }
    }
    for (size_t k = 0; k < sizeof layer_keys / sizeof layer_keys[0]; k++) {
        const json_t *value = json_object_get(layer, layer_keys[k].key);
        regulariser *r = acts(value) ? more(a) : NULL;
        if (r != NULL) {
            char shown[80];
            describe_value(value, shown, sizeof shown);
            snprintf(r->name, sizeof r->name, "%s: %.*s %s", name, short_length(layer_keys[k].key),
                     layer_keys[k].key, shown);
            snprintf(r->path, sizeof r->path, "%s.%s", path, layer_keys[k].key);
            r->layer = layer;
        }
    }
    json_t *inner = json_object_get(layer, "layer"); /* of a wrapper */
    if (json_is_object(inner)) {
        char further[128];
        snprintf(further, sizeof further, "%s.layer", path);
        find_in_layer(a, inner, further, name);
    }
}

/* label_smoothing=S in the text of --loss; its end in *end. NULL = there is none. */
static const char *find_smoothing(const char *loss, const char **end)
{
    static const char key[] = "label_smoothing=";
    const char *at = strstr(loss, key);
    if (at == NULL || strtod(at + sizeof key - 1, NULL) <= 0) {
        return NULL;
    }
    *end = at + strcspn(at, ",");
    return at;
}

/* What --optimizer names, in its settings, its JSON file or by the optimizer's default; what stands
 * on the command line beside it was found there. */
static int find_in_optimizer(ablation *a, const arguments *line)
{
    optimizer_choice choice = {0};
    int code = EXIT_DONE;
    NEED(optimizer_parse(&choice, arguments_text(line, "optimizer")));
    const lstm_optimizer_options *o = &choice.options;
    const int decays = o->weight_decay > 0 ||
                       (o->weight_decay == 0 && o->optimizer == LSTM_OPTIMIZER_ADAMW);
    const struct {
        const char *option;
        int acts;
        double value;
    } settings[] = {{"weight-decay", decays, o->weight_decay},
                    {"ema", o->use_ema == LSTM_YES, o->ema_momentum},
                    {"gradient-noise", o->gradient_noise > 0, o->gradient_noise}};
    for (size_t k = 0; k < sizeof settings / sizeof settings[0]; k++) {
        const int there = settings[k].acts && arguments_given(line, settings[k].option) == 0;
        regulariser *r = there ? more(a) : NULL;
        if (r != NULL) {
            char value[32] = "default";
            if (settings[k].value > 0) {
                snprintf(value, sizeof value, "%g", settings[k].value);
            }
            snprintf(r->name, sizeof r->name, "%s %s", settings[k].option, value);
            r->option = settings[k].option;
            r->switched = 1;
        }
    }
out:
    return code;
}

static int find_options(ablation *a, const arguments *line)
{
    const char *end = NULL;
    const char *loss = arguments_text(line, "loss");
    const char *smoothing = find_smoothing(loss, &end);
    for (size_t k = 0; k < sizeof option_names / sizeof option_names[0]; k++) {
        const int given = arguments_has(line, option_names[k]) &&
                          arguments_given(line, option_names[k]) > 0;
        regulariser *r = given ? more(a) : NULL;
        if (r != NULL) {
            snprintf(r->name, sizeof r->name, "%s %s", option_names[k],
                     arguments_item(line, option_names[k], 0));
            r->option = option_names[k];
        }
    }
    regulariser *r = smoothing == NULL ? NULL : more(a);
    if (r != NULL) {
        snprintf(r->name, sizeof r->name, "label smoothing %.*s", (int)(end - smoothing - 16),
                 smoothing + 16);
        r->option = "loss";
    }
    return find_in_optimizer(a, line);
}

static int find_all(ablation *a, json_t *description, const arguments *line)
{
    size_t index;
    json_t *layer;
    json_array_foreach(json_object_get(description, "layers"), index, layer)
    {
        const char *name = json_string_value(json_object_get(layer, "name"));
        find_in_layer(a, layer, name == NULL ? "?" : name, name == NULL ? "?" : name);
    }
    return find_options(a, line);
}

/* ---- Variants: 0 all, 1 none, 2 … r + 1 without one, r + 2 … 2r + 1 one alone */

static size_t variant_count(size_t regularisers)
{
    return regularisers > 1 ? 2 + 2 * regularisers : 2;
}

static int is_on(const ablation *a, size_t which, size_t k)
{
    return which == 0 || (which >= 2 && which < a->count + 2 && which - 2 != k) ||
           (which >= a->count + 2 && which - a->count - 2 == k);
}

static void variant_name(const ablation *a, size_t which, char *text, size_t size)
{
    if (which < 2) {
        snprintf(text, size, which == 0 ? "all" : "none");
    } else if (which < a->count + 2) {
        snprintf(text, size, "without %s", a->found[which - 2].name);
    } else {
        snprintf(text, size, "only %s", a->found[which - a->count - 2].name);
    }
}

static json_t *draw_variant(const tune *t, int64_t number)
{
    const ablation *a = t->own;
    const size_t at = (size_t)(number - 1);
    char name[VARIANT_NAME + 16];
    variant_name(a, at % a->variants, name, sizeof name);
    return json_pack("{s:s, s:I}", "variant", name, "seed",
                     (json_int_t)(arguments_seed(t->line) + 1 + at / a->variants));
}

static int switch_off(json_t *description, const regulariser *r)
{
    const char *key = strrchr(r->path, '.') + 1;
    int number = 1;
    for (size_t k = 0; k < sizeof layer_keys / sizeof layer_keys[0]; k++) {
        number = strcmp(layer_keys[k].key, key) == 0 ? layer_keys[k].number : number;
    }
    json_t *off = number ? json_real(0) : json_null();
    const int code = space_apply(description, r->path, off, "the model");
    json_decref(off);
    return code;
}

/* The loss of the command line without label smoothing. */
static void add_bare_loss(word_list *words, const char *loss)
{
    const char *end = NULL;
    const char *at = find_smoothing(loss, &end);
    if (at == NULL) {
        words_add(words, "--loss=%s", loss);
    } else if (*end == ',') {
        words_add(words, "--loss=%.*s%s", (int)(at - loss), loss, end + 1);
    } else {
        words_add(words, "--loss=%.*s", (int)(at - loss - 1), loss);
    }
}

static int prepare(const tune *t, const trial *which, json_t *description, word_list *words)
{
    const ablation *a = t->own;
    const size_t at = (size_t)(which->number - 1) % a->variants;
    const json_t *seed = json_object_get(which->values, "seed");
    const char *without[REGULARISERS + 4] = {"epochs", NULL};
    size_t left_out = 1;
    int bare_loss = 0;
    json_object_set_new(description, "seed", json_integer(json_integer_value(seed)));
    for (size_t k = 0; k < a->count; k++) {
        const regulariser *r = &a->found[k];
        if (is_on(a, at, k)) {
            continue;
        }
        if (r->option == NULL) {
            const int code = switch_off(description, r);
            if (code != EXIT_DONE) {
                return code;
            }
        } else if (r->switched) {
            words_add(words, "--%s=0", r->option);
        } else {
            without[left_out++] = r->option;
            bare_loss |= strcmp(r->option, "loss") == 0;
        }
    }
    without[left_out] = NULL;
    words_add_given(words, t->line, without);
    words_add(words, "--seed=%lld", (long long)json_integer_value(seed));
    if (bare_loss) {
        add_bare_loss(words, arguments_text(t->line, "loss"));
    }
    return EXIT_DONE;
}

/* ---- Measuring */

static int evaluate_part(lstm_model *model, const fit_job *job, const dataset *set, double *loss)
{
    loss_choice bare = job->loss;
    int code = EXIT_DONE;
    bare.options.label_smoothing = 0;
    const lstm_evaluate_options options = {.struct_size = sizeof options, .loss = &bare.options};
    CHECK(lstm_evaluate(model, &options, &set->data, loss, 1), NULL);
out:
    return code;
}

static int evaluate_range(lstm_model *model, const fit_job *job, int64_t first, int64_t count,
                          double *loss)
{
    dataset part = {0};
    int64_t *samples = calloc((size_t)count + 1, sizeof *samples);
    int code = samples == NULL ? message_error(EXIT_WORK, "out of memory") : EXIT_DONE;
    for (int64_t k = 0; samples != NULL && k < count; k++) {
        samples[k] = first + k;
    }
    if (code == EXIT_DONE) {
        code = dataset_take(&part, &job->main.set, samples, count);
    }
    if (code == EXIT_DONE) {
        code = evaluate_part(model, job, &part, loss);
    }
    dataset_release(&part);
    free(samples);
    return code;
}

static int measure(const tune *t, const trial *which, fit_job *job, json_t *result)
{
    const ablation *a = t->own;
    lstm_model *bare = NULL;
    char *text = json_dumps(a->bare, 0);
    const int64_t trained = fit_job_trained(job);
    const int64_t all = job->main.set.samples;
    double train = NAN;
    double validation = NAN;
    int code = EXIT_DONE;
    (void)which;
    CHECK(lstm_model_from_json(&bare, job->main.context, text == NULL ? "" : text,
                               text == NULL ? 0 : strlen(text)),
          NULL);
    NEED(model_copy_parameters(bare, job->main.model));
    NEED(evaluate_range(bare, job, 0, trained, &train));
    if (trained < all) {
        NEED(evaluate_range(bare, job, trained, all - trained, &validation));
    } else {
        NEED(evaluate_part(bare, job, &job->validation, &validation));
    }
    json_object_set_new(result, "bare_loss", isfinite(train) ? json_real(train) : json_null());
    json_object_set_new(result, "bare_val_loss",
                        isfinite(validation) ? json_real(validation) : json_null());
out:
    free(text);
    lstm_model_destroy(bare);
    return code;
}

/* ---- Running */

static ptrdiff_t next(const tune *t, int64_t *epochs)
{
    *epochs = t->epochs;
    for (size_t i = 0; i < t->count; i++) {
        const trial *which = &t->trials[i];
        if (!which->running && which->error == NULL && json_array_size(which->results) == 0) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

static void tell(const tune *t, const trial *which)
{
    message_note("%lld of %zu  %s, seed %lld: training loss %.5g, validation loss %.5g",
                 (long long)which->number, t->count,
                 json_string_value(json_object_get(which->values, "variant")),
                 (long long)json_integer_value(json_object_get(which->values, "seed")),
                 trial_value(which, -1, "bare_loss"), trial_value(which, -1, "bare_val_loss"));
}

static void spread(const double *values, size_t count, double *mean, double *sd)
{
    double squares = 0;
    *mean = 0;
    for (size_t i = 0; i < count; i++) {
        *mean += values[i] / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        squares += (values[i] - *mean) * (values[i] - *mean);
    }
    *mean = count == 0 ? NAN : *mean;
    *sd = count < 2 ? NAN : sqrt(squares / (double)(count - 1));
}

static int collect(const tune *t, const ablation *a, variant *variants)
{
    for (size_t v = 0; v < a->variants; v++) {
        variant *to = &variants[v];
        variant_name(a, v, to->name, sizeof to->name);
        to->train_seeds = calloc((size_t)a->seeds, sizeof(double));
        to->validation_seeds = calloc((size_t)a->seeds, sizeof(double));
        if (to->train_seeds == NULL || to->validation_seeds == NULL) {
            return message_error(EXIT_WORK, "out of memory");
        }
        for (size_t i = v; i < t->count; i += a->variants) {
            const double train = trial_value(&t->trials[i], -1, "bare_loss");
            const double validation = trial_value(&t->trials[i], -1, "bare_val_loss");
            if (t->trials[i].error == NULL && isfinite(train) && isfinite(validation)) {
                to->train_seeds[to->seeds] = train;
                to->validation_seeds[to->seeds++] = validation;
            }
        }
        spread(to->train_seeds, to->seeds, &to->train, &to->train_sd);
        spread(to->validation_seeds, to->seeds, &to->validation, &to->validation_sd);
    }
    return EXIT_DONE;
}

static int show(const tune *t, const ablation *a)
{
    variant *variants = calloc(a->variants, sizeof *variants);
    int code = variants == NULL ? message_error(EXIT_WORK, "out of memory")
                                : collect(t, a, variants);
    if (code == EXIT_DONE) {
        code = ablation_print(variants, a->variants, a->count);
    }
    if (code == EXIT_DONE) {
        code = ablation_report(t, variants, a->variants, a->count);
    }
    for (size_t v = 0; variants != NULL && v < a->variants; v++) {
        free(variants[v].train_seeds);
        free(variants[v].validation_seeds);
    }
    free(variants);
    return code;
}

int ablation_run(tune *t)
{
    static ablation a; /* large, and one a process */
    int code = EXIT_DONE;
    NEED(find_all(&a, t->description, t->line));
    if (a.count == 0) {
        return message_error(EXIT_USE,
                             "%s: nothing to switch off: no layer of the model regularises, and "
                             "none of the options of training does",
                             arguments_operand(t->line, 0));
    }
    a.seeds = arguments_integer(t->line, "seeds");
    a.variants = variant_count(a.count);
    a.bare = json_deep_copy(t->description);
    for (size_t k = 0; k < a.count; k++) {
        if (a.found[k].option == NULL) {
            NEED(switch_off(a.bare, &a.found[k]));
        }
    }
    t->own = &a;
    t->prepare = prepare;
    t->measure = measure;
    t->next = next;
    t->tell = tell;
    NEED(trials_make(t, a.variants * (size_t)a.seeds, draw_variant));
    NEED(tune_run(t));
    NEED(show(t, &a));
out:
    json_decref(a.bare);
    return code;
}
