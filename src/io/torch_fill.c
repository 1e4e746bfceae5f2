/* SPDX-License-Identifier: MIT
 *
 * The tensors of a state dict into a model's parameters, by name.
 *
 * Names may differ by a prefix: DataParallel writes "module.lstm.weight_ih_l0", a module saved alone
 * "weight_ih_l0". Up to three parts that all names of the file, or all those of the model, begin
 * with are left out, whichever makes most names agree; nothing is left out if that agrees as well.
 */
#include "fill_parameter.h"
#include "names.h"
#include "torch_layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    const char *name; /* without the prefix */
    size_t tensor;
} entry;

typedef struct filling {
    lstm_model *model;
    const lstm__torch_file *file;
    entry *entries;   /* sorted */
    size_t file_skip; /* bytes left out */
    size_t model_skip;
    bool *used;
    real *block; /* laid out like the model's values */
} filling;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

static bool is_counter(const char *name)
{
    static const char counter[] = "num_batches_tracked";
    const size_t length = strlen(name);
    const size_t own = sizeof counter - 1;
    return length >= own && strcmp(name + length - own, counter) == 0;
}

/* Bytes of the part that all names begin with, its dot included, after `skip` bytes; 0 = none. */
static size_t shared_part(const char *const *names, size_t count, size_t skip)
{
    const char *dot = count > 0 ? strchr(names[0] + skip, '.') : NULL;
    const size_t length = dot ? (size_t)(dot + 1 - names[0]) - skip : 0;
    for (size_t k = 1; k < count && length > 0; k++)
        if (strncmp(names[k] + skip, names[0] + skip, length) != 0)
            return 0;
    return length;
}

static const lstm__torch_tensor *find_tensor(const filling *f, const char *name, size_t *index)
{
    const entry wanted = {.name = name};
    const entry *found = bsearch(&wanted, f->entries, f->file->count, sizeof wanted, by_name);
    if (!found)
        return NULL;
    *index = found->tensor;
    return &f->file->tensors[found->tensor];
}

static void sort_entries(filling *f, size_t skip)
{
    f->file_skip = skip;
    for (size_t k = 0; k < f->file->count; k++)
        f->entries[k] = (entry){f->file->tensors[k].name + skip, k};
    qsort(f->entries, f->file->count, sizeof *f->entries, by_name);
}

static size_t count_matches(const filling *f, size_t model_skip)
{
    size_t matches = 0;
    size_t index = 0;
    for (size_t k = 0; k < f->model->parameter_count; k++)
        matches += find_tensor(f, f->model->parameters[k].name + model_skip, &index) != NULL;
    return matches;
}

/* Choose what is left out of names. */
static lstm_status choose_prefix(filling *f)
{
    enum { MOST_PARTS = 3 };
    const size_t most = f->file->count > f->model->parameter_count ? f->file->count
                                                                   : f->model->parameter_count;
    const char **names = lstm__allocate_array(f->model->context, most, sizeof *names);
    size_t best = 0;
    size_t chosen = 0;
    size_t skips[2][MOST_PARTS + 1] = {{0}, {0}}; /* of the file, of the model */
    if (!names)
        return lstm__fail_memory(most * sizeof *names, "names of tensors");
    for (size_t side = 0; side < 2; side++) {
        const size_t count = side ? f->model->parameter_count : f->file->count;
        for (size_t k = 0; k < count; k++)
            names[k] = side ? f->model->parameters[k].name : f->file->tensors[k].name;
        for (size_t k = 0; k < MOST_PARTS; k++)
            skips[side][k + 1] = skips[side][k] + shared_part(names, count, skips[side][k]);
    }
    lstm__release(f->model->context, names);
    for (size_t k = 0; k <= MOST_PARTS && (k == 0 || skips[0][k] > skips[0][k - 1]); k++) {
        sort_entries(f, skips[0][k]);
        for (size_t m = 0; m <= MOST_PARTS && (m == 0 || skips[1][m] > skips[1][m - 1]); m++) {
            const size_t matches = k == 0 || m == 0 ? count_matches(f, skips[1][m]) : 0;
            if (matches > best) {
                best = matches;
                chosen = skips[0][k];
                f->model_skip = skips[1][m];
            }
        }
    }
    sort_entries(f, chosen);
    return LSTM_OK;
}

static void shape_text(int32_t rank, const int64_t *shape, char *text, size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (int32_t k = 0; k < rank && used < size; k++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", k ? ", " : "",
                                 (long long)shape[k]);
}

static lstm_status missing(const filling *f, const lstm__parameter *p)
{
    char shape[200];
    lstm__nearest nearest;
    lstm__nearest_start(&nearest, p->name + f->model_skip);
    for (size_t k = 0; k < f->file->count; k++)
        if (!f->used[k])
            lstm__nearest_offer(&nearest, f->file->tensors[k].name);
    shape_text(p->rank, p->shape, shape, sizeof shape);
    return lstm__fail(LSTM_ERROR_NOT_FOUND, "%s: no tensor \"%s\" [%s] for layer \"%s\"%s%.150s%s",
                      f->file->name, p->name + f->model_skip, shape, p->node->name,
                      nearest.best ? "; did you mean \"" : "", nearest.best ? nearest.best : "",
                      nearest.best ? "\"?" : "");
}

static lstm_status fill_parameter(filling *f, const lstm__parameter *p)
{
    size_t index = 0;
    char found[200];
    char expected[100];
    const lstm__torch_tensor *t = find_tensor(f, p->name + f->model_skip, &index);
    if (!t)
        return missing(f, p);
    bool same = t->rank == p->rank;
    for (int k = 0; same && k < p->rank; k++)
        same = t->shape[k] == p->shape[k];
    if (!same) {
        shape_text(t->rank, t->shape, found, sizeof found);
        shape_text(p->rank, p->shape, expected, sizeof expected);
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "%s: tensor \"%.200s\": shape [%s], expected [%s] (layer \"%s\")",
                          f->file->name, t->name, found, expected, p->node->name);
    }
    f->used[index] = true;
    size_t bad = 0;
    const lstm__elements whole = lstm__torch_elements(t);
    if (whole.bytes) {
        RETURN_IF_ERROR(lstm__fill_parameter(p, &whole, f->block, &bad));
    } else {
        float *room = lstm__allocate_array(f->model->context, t->count, sizeof *room);
        if (!room)
            return lstm__fail_memory(t->count * sizeof *room, "a parameter");
        lstm__torch_floats(t, room);
        lstm__parameter_write(p, f->block, room);
        bad = lstm__first_not_finite(room, t->count);
        lstm__release(f->model->context, room);
    }
    if (bad < t->count)
        return lstm__fail(LSTM_ERROR_NUMERIC, "%s: tensor \"%.200s\": value %zu is not finite",
                          f->file->name, t->name, bad);
    return LSTM_OK;
}

static lstm_status check_unused(const filling *f)
{
    for (size_t k = 0; k < f->file->count; k++) {
        const lstm__torch_tensor *t = &f->file->tensors[k];
        char shape[200];
        if (f->used[k] || is_counter(t->name))
            continue;
        shape_text(t->rank, t->shape, shape, sizeof shape);
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: tensor \"%.200s\" [%s] belongs to no layer of the model",
                          f->file->name, t->name, shape);
    }
    return LSTM_OK;
}

lstm_status lstm__torch_fill(lstm_model *model, const lstm__torch_file *file, bool is_new)
{
    lstm_status status = LSTM_OK;
    filling f = {.model = model, .file = file};
    lstm_context *context = model->context;
    if (model->profile != LSTM_PROFILE_TORCH)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: a state dict of PyTorch for a model of the profile keras: expected "
                          "one of the profile torch",
                          file->name);
    f.entries = lstm__allocate_array(context, file->count, sizeof *f.entries);
    f.used = lstm__allocate_zeroed(context, (file->count + 1) * sizeof *f.used);
    f.block = is_new ? model->values
                     : lstm__allocate_zeroed(context, (model->value_count + 1) * sizeof *f.block);
    if (!f.entries || !f.used || !f.block) {
        status = lstm__fail_memory(model->value_count * sizeof *f.block, "the parameters");
        goto out;
    }
    TRY(choose_prefix(&f));
    for (size_t k = 0; k < model->parameter_count; k++)
        TRY(fill_parameter(&f, &model->parameters[k]));
    TRY(check_unused(&f));
    if (!is_new)
        memcpy(model->values, f.block, model->value_count * sizeof *f.block);
    lstm__graph_changed(model);
out:
    lstm__release(context, f.entries);
    lstm__release(context, f.used);
    if (!is_new)
        lstm__release(context, f.block);
    return status;
}
