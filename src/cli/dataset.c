/* SPDX-License-Identifier: MIT
 *
 * Arrays matched with a model; see dataset.h.
 *
 * Each array is compared with what its layer says about one sample: steps (0 = a vector, -1 = any
 * number) and features. All inputs with a free number of steps must bring the same number, and all
 * arrays the same number of samples.
 */
#include "dataset.h"

#include "messages.h"
#include "network_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct place {
    const char *kind; /* "input" or "output" */
    const char *name;
    int64_t steps; /* 0 = vector, -1 = free */
    int64_t features;
    int classes; /* one class number a row instead of the features */
} place;

static int64_t target_features(int64_t features, int target)
{
    const int64_t group = target > TARGET_GROUPS ? target - TARGET_GROUPS : 1;
    return features % group == 0 ? features / group : features;
}

/* "(samples, 28, 1)" */
static void expected_shape(char *text, size_t size, const place *p)
{
    char steps[32] = "";
    if (p->steps < 0) {
        snprintf(steps, sizeof steps, ", steps");
    } else if (p->steps > 0) {
        snprintf(steps, sizeof steps, ", %lld", (long long)p->steps);
    }
    if (p->classes) {
        snprintf(text, size,
                 p->steps == 0 ? "class numbers: (samples,)" : "class numbers: (samples%s)", steps);
    } else {
        snprintf(text, size, "(samples%s, %lld)", steps, (long long)p->features);
    }
}

static int wrong_shape(const array *a, const place *p)
{
    char found[160];
    char expected[160];
    shape_text(found, sizeof found, a->rank, a->shape);
    expected_shape(expected, sizeof expected, p);
    return message_error(EXIT_USE, "%s: shape %s, the model's %s \"%s\" takes %s", a->label, found,
                         p->kind, p->name, expected);
}

/* Compare an array with its place. *steps is the number of steps found where the place's is free.
 */
static int match(const array *a, const place *p, int64_t *steps)
{
    int64_t shape[8];
    int32_t rank = a->rank;
    memcpy(shape, a->shape, sizeof shape);
    const int64_t features = p->classes ? 1 : p->features;
    if (rank < 1) {
        return wrong_shape(a, p);
    }
    if (p->steps == 0) {
        const int fits = (rank == 2 && shape[1] == features) || (rank == 1 && features == 1);
        return fits ? EXIT_DONE : wrong_shape(a, p);
    }
    if (rank == 2 && features == 1) {
        shape[2] = 1; /* (samples, steps) */
        rank = 3;
    } else if (rank == 2 && a->from_csv && shape[1] > 0 && shape[1] % features == 0) {
        shape[1] /= features; /* a flattened sample a row */
        shape[2] = features;
        rank = 3;
    }
    if (rank != 3 || shape[2] != features || shape[1] < 1 ||
        (p->steps > 0 && shape[1] != p->steps)) {
        return wrong_shape(a, p);
    }
    if (p->steps < 0) {
        *steps = shape[1];
    }
    return EXIT_DONE;
}

static int wrong_number(const lstm_model *model, const array_list *list, int inputs)
{
    const size_t count = inputs ? lstm_model_input_count(model) : lstm_model_output_count(model);
    char names[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < count && used < sizeof names; i++) {
        const lstm_layer *layer = inputs ? lstm_model_input(model, i) : lstm_model_output(model, i);
        used += (size_t)snprintf(names + used, sizeof names - used, "%s\"%s\"", i == 0 ? "" : ", ",
                                 lstm_layer_name(layer));
    }
    return message_error(EXIT_USE, "the model has %zu %s%s (%s), but %zu array%s given for %s",
                         count, inputs ? "input" : "output", count == 1 ? "" : "s", names,
                         list->count, list->count == 1 ? " was" : "s were",
                         count == 1 ? "it" : "them");
}

/* Match one list with all inputs or all outputs. */
static int match_list(dataset *set, const lstm_model *model, const array_list *list, int inputs,
                      int target, const array **first)
{
    const size_t count = inputs ? lstm_model_input_count(model) : lstm_model_output_count(model);
    if (list->count != count) {
        return wrong_number(model, list, inputs);
    }
    const array *giver = NULL; /* the array that set the number of steps */
    for (size_t i = 0; i < count; i++) {
        const lstm_layer *layer = inputs ? lstm_model_input(model, i) : lstm_model_output(model, i);
        const array *a = &list->items[i];
        place p = {.kind = inputs ? "input" : "output",
                   .name = lstm_layer_name(layer),
                   .classes = !inputs && target == TARGET_CLASSES};
        lstm_layer_shape(layer, &p.steps, &p.features);
        p.features = inputs ? p.features : target_features(p.features, target);
        if (!inputs && p.steps < 0 && set->steps > 0) {
            p.steps = set->steps;
        }
        int64_t steps = 0;
        const int code = match(a, &p, &steps);
        if (code != EXIT_DONE) {
            return code;
        }
        if (steps > 0 && inputs) {
            if (giver != NULL && steps != set->steps) {
                return message_error(
                    EXIT_USE,
                    "%s: %lld steps, %s has %lld; inputs with a free number of steps share one",
                    a->label, (long long)steps, giver->label, (long long)set->steps);
            }
            giver = a;
            set->steps = steps;
        }
        if (*first == NULL) {
            *first = a;
            set->samples = a->shape[0];
        } else if (a->shape[0] != set->samples) {
            return message_error(EXIT_USE, "%s: %lld samples, but %s has %lld", a->label,
                                 (long long)a->shape[0], (*first)->label, (long long)set->samples);
        }
    }
    return EXIT_DONE;
}

/* Find the first number that is NaN or infinite and write its place, "nan at (3, 5, 0)". Returns 1
 * if there is one. */
static int find_not_finite(const array *a, char *text, size_t size)
{
    size_t at = 0;
    while (at < a->count && isfinite(a->data[at])) {
        at++;
    }
    if (at == a->count) {
        return 0;
    }
    int64_t index[8] = {0};
    size_t rest = at;
    for (int32_t i = a->rank; i > 0; i--) {
        index[i - 1] = (int64_t)(rest % (size_t)a->shape[i - 1]);
        rest /= (size_t)a->shape[i - 1];
    }
    char where[160];
    shape_text(where, sizeof where, a->rank, index);
    snprintf(text, size, "%g at %s, counted from 0", (double)a->data[at], where);
    return 1;
}

/* Training on a number that is none spoils every weight; predicting only the samples that hold it.
 */
static int check_finite(const array_list *list, int only_warn)
{
    for (size_t i = 0; i < list->count; i++) {
        char found[256];
        if (!find_not_finite(&list->items[i], found, sizeof found)) {
            continue;
        }
        if (!only_warn) {
            return message_error(EXIT_USE, "%s: %s: every number must be finite",
                                 list->items[i].label, found);
        }
        message_warning("%s: %s", list->items[i].label, found);
    }
    return EXIT_DONE;
}

/* A number of steps, of labels, or a label. */
static int read_whole(const array *a, const char *what, double least, int32_t **out)
{
    *out = calloc(a->count + 1, sizeof **out);
    if (*out == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    for (size_t i = 0; i < a->count; i++) {
        const double value = (double)a->data[i];
        const size_t width = a->rank < 2 ? 1 : (size_t)a->shape[1];
        if (!(value >= least && value <= 16777216) || value != floor(value)) {
            return message_error(EXIT_USE,
                                 "%s: the %s of sample %zu is %g: expected a whole "
                                 "number%s",
                                 a->label, what, width > 0 ? i / width : 0, value,
                                 least == 0 ? " from 0 on" : "");
        }
        (*out)[i] = (int32_t)value;
    }
    return EXIT_DONE;
}

static int match_labels(dataset *set, const array_list *y)
{
    const array *a = &y->items[0];
    if (y->count != 1 || a->rank < 1 || a->rank > 2) {
        char found[160];
        shape_text(found, sizeof found, a->rank, a->shape);
        return message_error(EXIT_USE, "%s: shape %s: labels are one array (samples, labels)",
                             a->label, found);
    }
    if (a->shape[0] != set->samples) {
        return message_error(EXIT_USE, "%s: the labels of %lld samples, --x has %lld", a->label,
                             (long long)a->shape[0], (long long)set->samples);
    }
    const int code = read_whole(a, "label", -16777216, &set->labels);
    set->data.labels = set->labels;
    set->data.labels_count = a->count;
    return code;
}

int dataset_match(dataset *out, const lstm_model *model, const array_list *x, const array_list *y,
                  int target)
{
    *out = (dataset){0};
    const array *first = NULL;
    int code = match_list(out, model, x, 1, 0, &first);
    const int labels = y != NULL && target == TARGET_LABELS;
    if (code == EXIT_DONE && y != NULL && !labels) {
        code = match_list(out, model, y, 0, target, &first);
    }
    if (code == EXIT_DONE) {
        code = check_finite(x, y == NULL);
    }
    if (code == EXIT_DONE && y != NULL) {
        code = check_finite(y, 0);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    const size_t targets = y == NULL || labels ? 0 : y->count;
    out->pointers = calloc(x->count + targets + 1, sizeof *out->pointers);
    out->sizes = calloc(x->count + targets + 1, sizeof *out->sizes);
    if (out->pointers == NULL || out->sizes == NULL) {
        dataset_release(out);
        return message_error(EXIT_WORK, "out of memory");
    }
    for (size_t i = 0; i < x->count; i++) {
        out->pointers[i] = x->items[i].data;
        out->sizes[i] = x->items[i].count;
    }
    for (size_t i = 0; i < targets; i++) {
        out->pointers[x->count + i] = y->items[i].data;
        out->sizes[x->count + i] = y->items[i].count;
    }
    out->data = (lstm_data){.struct_size = sizeof out->data,
                            .layout = LSTM_LAYOUT_BATCH_FIRST,
                            .samples = out->samples,
                            .inputs = out->pointers,
                            .input_sizes = out->sizes,
                            .input_count = x->count};
    if (targets > 0) {
        out->data.targets = out->pointers + x->count;
        out->data.target_sizes = out->sizes + x->count;
        out->data.target_count = targets;
    }
    return labels ? match_labels(out, y) : EXIT_DONE;
}

int dataset_weights(dataset *set, array_list *list, lstm_context *context, const arguments *line)
{
    int code = EXIT_DONE;
    if (arguments_given(line, "sample-weights") == 0) {
        return EXIT_DONE;
    }
    NEED(arrays_load(list, context, line, "sample-weights"));
    const array *a = &list->items[0];
    if (list->count != 1 || a->rank < 1 || a->rank > 3 || a->shape[0] != set->samples) {
        char found[160];
        shape_text(found, sizeof found, a->rank, a->shape);
        code = message_error(EXIT_USE, "%s: shape %s: sample weights are (%lld,) or (%lld, steps)",
                             a->label, found, (long long)set->samples, (long long)set->samples);
        goto out;
    }
    NEED(check_finite(list, 0));
    set->data.sample_weights = a->data;
    set->data.sample_weight_count = a->count;
out:
    return code;
}

/* The one array of an option, whose first axis is the samples. */
static int load_one(array_list *list, const dataset *set, lstm_context *context,
                    const arguments *line, const char *option, int32_t rank, const char *expected)
{
    int code = EXIT_DONE;
    NEED(arrays_load(list, context, line, option));
    const array *a = &list->items[0];
    const int column = rank == 1 && a->rank == 2 && a->shape[1] == 1; /* from CSV */
    if (list->count != 1 || (a->rank != rank && !column) || a->shape[0] != set->samples) {
        char found[160];
        shape_text(found, sizeof found, a->rank, a->shape);
        code = message_error(EXIT_USE, "%s: shape %s: --%s takes one array (%lld%s)", a->label,
                             found, option, (long long)set->samples, expected);
    }
out:
    return code;
}

static int read_mask(dataset *set, const array *a)
{
    set->mask = calloc(a->count + 1, 1);
    if (set->mask == NULL) {
        return message_error(EXIT_WORK, "out of memory for the mask");
    }
    for (size_t i = 0; i < a->count; i++) {
        if (a->data[i] != 0 && a->data[i] != 1) {
            return message_error(EXIT_USE, "%s: value %zu is %g: expected 0 or 1", a->label, i,
                                 (double)a->data[i]);
        }
        set->mask[i] = a->data[i] != 0;
    }
    set->data.mask = set->mask;
    set->data.mask_count = a->count;
    return EXIT_DONE;
}

int dataset_masks(dataset *set, lstm_context *context, const arguments *line, const char *prefix)
{
    char lengths[32];
    char mask[32];
    array_list list = {0};
    int code = EXIT_DONE;
    snprintf(lengths, sizeof lengths, "%slengths", prefix);
    snprintf(mask, sizeof mask, "%smask", prefix);
    if (arguments_given(line, lengths) > 0) {
        NEED(load_one(&list, set, context, line, lengths, 1, ",)"));
        NEED(read_whole(&list.items[0], "length", 0, &set->lengths));
        set->data.lengths = set->lengths;
        set->data.lengths_count = list.items[0].count;
        arrays_release(&list);
    }
    snprintf(lengths, sizeof lengths, "%slabel-lengths", prefix);
    if (set->labels != NULL && arguments_has(line, lengths) && arguments_given(line, lengths) > 0) {
        NEED(load_one(&list, set, context, line, lengths, 1, ",)"));
        NEED(read_whole(&list.items[0], "number of labels", 0, &set->label_lengths));
        set->data.label_lengths = set->label_lengths;
        set->data.label_lengths_count = list.items[0].count;
        arrays_release(&list);
    }
    if (arguments_given(line, mask) > 0) {
        NEED(load_one(&list, set, context, line, mask, 2, ", steps)"));
        NEED(read_mask(set, &list.items[0]));
    }
out:
    arrays_release(&list);
    return code;
}

/* Rows `samples` of an array of `all` rows, each count / all long. NULL where there is no memory. */
static void *take_rows(const void *from, size_t count, size_t size, int64_t all,
                       const int64_t *samples, int64_t wanted)
{
    const size_t each = count / (size_t)all * size;
    char *to = malloc(each * (size_t)wanted + 1);
    for (int64_t k = 0; to != NULL && k < wanted; k++) {
        memcpy(to + each * (size_t)k, (const char *)from + each * (size_t)samples[k], each);
    }
    return to;
}

/* Labels of the samples. Returns 0 where there is no memory. */
static int take_labels(dataset *out, const dataset *all, const int64_t *samples, int64_t count)
{
    lstm_data *d = &out->data;
    if (d->labels == NULL) {
        return 1;
    }
    const size_t each = d->labels_count / (size_t)all->samples;
    out->labels = take_rows(d->labels, d->labels_count, sizeof(int32_t), all->samples, samples,
                            count);
    d->labels = out->labels;
    d->labels_count = each * (size_t)count;
    if (d->label_lengths != NULL) {
        out->label_lengths = take_rows(d->label_lengths, d->label_lengths_count, sizeof(int32_t),
                                       all->samples, samples, count);
        d->label_lengths = out->label_lengths;
        d->label_lengths_count = (size_t)count;
    }
    return out->labels != NULL && (out->label_lengths != NULL || all->data.label_lengths == NULL);
}

/* Lengths, mask and weights of the samples. Returns 0 where there is no memory. */
static int take_marks(dataset *out, const dataset *all, const int64_t *samples, int64_t count)
{
    lstm_data *d = &out->data;
    if (d->lengths != NULL) {
        out->lengths = take_rows(d->lengths, d->lengths_count, sizeof(int32_t), all->samples,
                                 samples, count);
        d->lengths = out->lengths;
        d->lengths_count = (size_t)count;
    }
    if (d->mask != NULL) {
        const size_t each = d->mask_count / (size_t)all->samples;
        out->mask = take_rows(d->mask, d->mask_count, 1, all->samples, samples, count);
        d->mask = out->mask;
        d->mask_count = each * (size_t)count;
    }
    if (d->sample_weights != NULL) {
        const size_t each = d->sample_weight_count / (size_t)all->samples;
        float *copy = take_rows(d->sample_weights, d->sample_weight_count, sizeof(float),
                                all->samples, samples, count);
        out->copies[d->input_count + d->target_count] = copy;
        d->sample_weights = copy;
        d->sample_weight_count = each * (size_t)count;
    }
    return (out->lengths != NULL || all->data.lengths == NULL) &&
           (out->mask != NULL || all->data.mask == NULL) &&
           (d->sample_weights != NULL || all->data.sample_weights == NULL);
}

int dataset_take(dataset *out, const dataset *all, const int64_t *samples, int64_t count)
{
    const size_t arrays = all->data.input_count + all->data.target_count;
    *out = (dataset){.data = all->data, .samples = count, .steps = all->steps};
    out->pointers = calloc(arrays + 1, sizeof *out->pointers);
    out->sizes = calloc(arrays + 1, sizeof *out->sizes);
    out->copies = calloc(arrays + 2, sizeof *out->copies);
    int whole = out->pointers != NULL && out->sizes != NULL && out->copies != NULL;
    for (size_t i = 0; i < arrays && whole; i++) {
        out->copies[i] = take_rows(all->pointers[i], all->sizes[i], sizeof(float), all->samples,
                                   samples, count);
        out->pointers[i] = out->copies[i];
        out->sizes[i] = all->sizes[i] / (size_t)all->samples * (size_t)count;
        whole = out->copies[i] != NULL;
    }
    if (!whole || !take_marks(out, all, samples, count) || !take_labels(out, all, samples, count)) {
        dataset_release(out);
        return message_error(EXIT_WORK, "out of memory for %lld samples", (long long)count);
    }
    out->data.samples = count;
    out->data.inputs = out->pointers;
    out->data.input_sizes = out->sizes;
    out->data.targets = out->pointers + all->data.input_count;
    out->data.target_sizes = out->sizes + all->data.input_count;
    return EXIT_DONE;
}

void dataset_release(dataset *set)
{
    for (size_t i = 0; set->copies != NULL && set->copies[i] != NULL; i++) {
        free(set->copies[i]);
    }
    free(set->copies);
    free(set->lengths);
    free(set->labels);
    free(set->label_lengths);
    free(set->mask);
    free(set->pointers);
    free(set->sizes);
    *set = (dataset){0};
}

/* ---- The beginning of a command */

int loaded_model(loaded *out, const arguments *line)
{
    int code = EXIT_DONE;
    *out = (loaded){0};
    const char *network = arguments_has(line, "network") ? arguments_text(line, "network") : NULL;
    const int rnn = arguments_has(line, "activation");
    const int batch_first = arguments_has(line, "batch-first") &&
                            arguments_flag(line, "batch-first");
    NEED(arguments_context(line, &out->context));
    NEED(model_load_described(&out->model, out->context, arguments_operand(line, 0), network,
                              arguments_seed(line)));
    const char *layout = lstm_model_metadata(out->model, "lstm.layout");
    const int time_first = layout != NULL && strcmp(layout, "time_first") == 0;
    out->time_first = time_first && !batch_first;
    NEED(model_set_activation(&out->model, out->context,
                              rnn ? arguments_text(line, "activation") : NULL));
    NEED(states_add(&out->states, &out->model, out->context, line));
    if (time_first) { /* lost where the model was built again */
        CHECK(lstm_model_set_metadata(out->model, "lstm.layout", "time_first"), NULL);
    }
out:
    return code;
}

/* The lengths that came by name. */
static int named_lengths(dataset *set, const named_ports *ports)
{
    array a = {.rank = 1, .count = ports->lengths_count, .data = ports->lengths};
    snprintf(a.label, sizeof a.label, "%.200s", ports->lengths_label);
    if ((int64_t)a.count != set->samples) {
        return message_error(EXIT_USE, "%s: %zu lengths for %lld samples", a.label, a.count,
                             (long long)set->samples);
    }
    free(set->lengths);
    set->lengths = NULL;
    const int code = read_whole(&a, "length", 0, &set->lengths);
    set->data.lengths = set->lengths;
    set->data.lengths_count = a.count;
    return code;
}

void swap_axes(const float *from, float *to, int64_t first, int64_t second, size_t inner)
{
    for (int64_t i = 0; i < first; i++) {
        for (int64_t k = 0; k < second; k++) {
            memcpy(to + (size_t)(k * first + i) * inner, from + (size_t)(i * second + k) * inner,
                   inner * sizeof *to);
        }
    }
}

int loaded_turn(loaded *out, array_list *list, int inputs)
{
    if (!out->time_first) {
        return EXIT_DONE;
    }
    const size_t places = inputs ? lstm_model_input_count(out->model)
                                 : lstm_model_output_count(out->model);
    float **swapped = realloc(out->swapped,
                              (out->swapped_count + list->count + 1) * sizeof *swapped);
    if (swapped == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    out->swapped = swapped;
    for (size_t i = 0; i < list->count && i < places; i++) {
        array *a = &list->items[i];
        int64_t steps = 0;
        lstm_layer_shape(inputs ? lstm_model_input(out->model, i)
                                : lstm_model_output(out->model, i),
                         &steps, NULL);
        if (steps == 0 || a->rank < 2 || a->from_csv || a->count == 0) {
            continue;
        }
        float *turned = malloc(a->count * sizeof *turned);
        if (turned == NULL) {
            return message_error(EXIT_WORK, "out of memory");
        }
        out->swapped[out->swapped_count++] = turned;
        swap_axes(a->data, turned, a->shape[0], a->shape[1],
                  a->count / (size_t)a->shape[0] / (size_t)a->shape[1]);
        const int64_t samples = a->shape[1];
        a->shape[1] = a->shape[0];
        a->shape[0] = samples;
        a->data = turned;
    }
    return EXIT_DONE;
}

int loaded_arrays(loaded *out, const arguments *line, const char *y, int target)
{
    int code = EXIT_DONE;
    if (named_given(line, "x")) {
        NEED(named_load(&out->ports, &out->x, out->context, out->model, line, "x"));
    } else {
        NEED(arrays_load(&out->x, out->context, line, "x"));
    }
    if (y != NULL) {
        NEED(arrays_load(&out->y, out->context, line, y));
    }
    NEED(loaded_turn(out, &out->x, 1));
    NEED(loaded_turn(out, &out->y, 0));
    NEED(states_load(&out->states, &out->x, out->context, line));
    NEED(dataset_match(&out->set, out->model, &out->x, y == NULL ? NULL : &out->y, target));
    if (arguments_has(line, "sample-weights")) {
        NEED(dataset_weights(&out->set, &out->weights, out->context, line));
    }
    if (arguments_has(line, "lengths")) {
        NEED(dataset_masks(&out->set, out->context, line, ""));
    }
    if (out->ports.lengths != NULL) {
        NEED(named_lengths(&out->set, &out->ports));
    }
    if (y != NULL && out->set.samples == 0) {
        code = message_error(EXIT_USE, "%s: holds no sample", out->x.items[0].label);
    }
out:
    return code;
}

void loaded_release(loaded *out)
{
    for (size_t i = 0; i < out->swapped_count; i++) {
        free(out->swapped[i]);
    }
    free(out->swapped);
    states_release(&out->states);
    dataset_release(&out->set);
    named_release(&out->ports);
    arrays_release(&out->weights);
    arrays_release(&out->x);
    arrays_release(&out->y);
    lstm_model_destroy(out->model);
    lstm_context_destroy(out->context);
    *out = (loaded){0};
}

void dataset_output_shape(const lstm_model *model, size_t index, int64_t samples, int64_t steps,
                          int32_t *rank, int64_t shape[4])
{
    int64_t own_steps = 0;
    int64_t features = 0;
    lstm_layer_shape(lstm_model_output(model, index), &own_steps, &features);
    *rank = 0;
    shape[(*rank)++] = samples;
    if (own_steps != 0) {
        shape[(*rank)++] = own_steps < 0 ? steps : own_steps;
    }
    shape[(*rank)++] = features;
}
