/* SPDX-License-Identifier: MIT
 *
 * From a state dict to a description. Names are PATH.weight_ih_l0, PATH.weight_hh_l0_reverse, … of
 * recurrent modules, and PATH.weight, PATH.bias, PATH.running_mean of others; tensors with the same
 * PATH are a module.
 *
 *     recurrent   rows of weight_hh / its columns (units; with weight_hr those of the latter):
 *                 4 LSTM, 3 GRU, 1 RNN; layers, directions, projection and biases by their names
 *     Linear      weight (out, in), bias (out) or none
 *     Embedding   weight (tokens, features), nothing else
 *     LayerNorm   weight, bias (features)
 *     BatchNorm   the same with running_mean and running_var
 *
 * A state dict has no graph. A recurrent module alone needs none; others are put into a row in which
 * each one's width is what the one before gives, and only if there is no second such row. What the
 * file cannot say is assumed as nn.Sequential would have it, and logged: each step's output is
 * given, there is no activation between modules, an RNN has tanh.
 */
#include "torch_layers.h"

#include "model_json.h"
#include "names.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_MODULES = 16, MOST_STACK = 1000 };

enum { RECURRENT = 1, LINEAR, EMBEDDING, LAYER_NORM, BATCH_NORM, MATRIX /* Linear or Embedding */ };

typedef struct module {
    char path[LSTM__NAME_SIZE];
    int kind;
    const lstm__torch_tensor *weight, *bias, *mean;
    const lstm__torch_tensor *ih, *hh, *hr, *ih_bias; /* of layer 0 */
    int layers;
    bool both; /* directions */
    int64_t in, out;
} module;

typedef struct chain {
    const lstm__torch_file *file;
    module modules[MOST_MODULES];
    size_t count;
    size_t row[MOST_MODULES]; /* being tried */
    bool used[MOST_MODULES];
    int kinds[MOST_MODULES];
    size_t found; /* rows so far; the first one is in best */
    size_t best[MOST_MODULES];
    int best_kinds[MOST_MODULES];
} chain;

/* ---- Names */

/* "weight_ih_l1_reverse": its part, layer and direction. */
static bool recurrent_name(const char *name, char part[16], int *layer, bool *reverse)
{
    static const char *const parts[] = {"weight_ih", "weight_hh", "weight_hr", "bias_ih",
                                        "bias_hh"};
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        const size_t length = strlen(parts[k]);
        if (strncmp(name, parts[k], length) != 0 || strncmp(name + length, "_l", 2) != 0)
            continue;
        const char *digits = name + length + 2;
        const size_t count = strspn(digits, "0123456789");
        *reverse = strcmp(digits + count, "_reverse") == 0;
        if (count == 0 || count > 4 || (digits[count] && !*reverse))
            return false;
        snprintf(part, 16, "%s", parts[k]);
        *layer = atoi(digits);
        return true;
    }
    return false;
}

static const char *last_part(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

static bool is_counter(const char *name)
{
    return strcmp(last_part(name), "num_batches_tracked") == 0;
}

bool lstm__torch_names(const lstm__safetensors *tensors)
{
    for (size_t k = 0; k < lstm__safetensors_count(tensors); k++) {
        char part[16];
        int layer = 0;
        bool reverse = false;
        if (recurrent_name(last_part(lstm__safetensors_get(tensors, k)->name), part, &layer,
                           &reverse))
            return true;
    }
    return false;
}

static void shape_text(const lstm__torch_tensor *t, char *text, size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (int32_t k = 0; k < t->rank && used < size; k++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", k ? ", " : "",
                                 (long long)t->shape[k]);
}

static lstm_status unknown(const chain *c, const lstm__torch_tensor *t, const char *what)
{
    char shape[200];
    shape_text(t, shape, sizeof shape);
    return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                      "%s: tensor \"%.200s\" [%s]: %s: give a description of the network, and load "
                      "the file into it",
                      c->file->name, t->name, shape, what);
}

/* ---- Modules */

static lstm_status find_module(chain *c, const lstm__torch_tensor *t, module **out)
{
    const size_t length = (size_t)(last_part(t->name) - t->name);
    const size_t path = length > 0 ? length - 1 : 0;
    if (path >= LSTM__NAME_SIZE - 32)
        return unknown(c, t, "a name of too many bytes");
    for (size_t k = 0; k < c->count; k++)
        if (strlen(c->modules[k].path) == path && memcmp(c->modules[k].path, t->name, path) == 0) {
            *out = &c->modules[k];
            return LSTM_OK;
        }
    if (c->count == MOST_MODULES)
        return unknown(c, t, "more modules than a row of them can be guessed for");
    *out = &c->modules[c->count++];
    memcpy((*out)->path, t->name, path);
    return LSTM_OK;
}

static lstm_status take_tensor(chain *c, const lstm__torch_tensor *t)
{
    char part[16];
    int layer = 0;
    bool reverse = false;
    module *m = NULL;
    const char *name = last_part(t->name);
    if (is_counter(name))
        return LSTM_OK;
    RETURN_IF_ERROR(find_module(c, t, &m));
    if (recurrent_name(name, part, &layer, &reverse)) {
        if (layer >= MOST_STACK)
            return unknown(c, t, "a stack of too many layers");
        m->kind = RECURRENT;
        m->layers = m->layers > layer + 1 ? m->layers : layer + 1;
        m->both = m->both || reverse;
        if (layer > 0 || reverse)
            return LSTM_OK;
        const lstm__torch_tensor **place = strcmp(part, "weight_ih") == 0   ? &m->ih
                                           : strcmp(part, "weight_hh") == 0 ? &m->hh
                                           : strcmp(part, "weight_hr") == 0 ? &m->hr
                                                                            : &m->ih_bias;
        *place = t;
        return LSTM_OK;
    }
    const lstm__torch_tensor **place = strcmp(name, "weight") == 0         ? &m->weight
                                       : strcmp(name, "bias") == 0         ? &m->bias
                                       : strcmp(name, "running_mean") == 0 ? &m->mean
                                                                           : NULL;
    if (strcmp(name, "running_var") == 0)
        return LSTM_OK;
    if (!place)
        return unknown(c, t, "of no module that is known by its names");
    *place = t;
    return LSTM_OK;
}

/* Units and kind of a recurrent module. */
static lstm_status measure_recurrent(const chain *c, module *m, int64_t *units, int64_t *gates)
{
    if (!m->ih || !m->hh)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: module \"%s\" has no %s", c->file->name, m->path,
                          m->ih ? "weight_hh_l0" : "weight_ih_l0");
    if (m->ih->rank != 2 || m->hh->rank != 2 || (m->hr && m->hr->rank != 2)) {
        const lstm__torch_tensor *t = m->ih->rank != 2 ? m->ih : m->hh->rank != 2 ? m->hh : m->hr;
        char shape[200];
        shape_text(t, shape, sizeof shape);
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "%s: tensor \"%.200s\": shape [%s], expected two dimensions",
                          c->file->name, t->name, shape);
    }
    *units = m->hr ? m->hr->shape[1] : m->hh->shape[1];
    *gates = *units > 0 && m->hh->shape[0] % *units == 0 ? m->hh->shape[0] / *units : 0;
    if ((*gates != 4 && *gates != 3 && *gates != 1) || (m->hr && *gates != 4))
        return lstm__fail(
            LSTM_ERROR_SHAPE,
            "%s: tensor \"%.200s\": shape [%lld, %lld], expected 4 (LSTM), 3 (GRU) or "
            "1 (RNN) times %lld units in its rows",
            c->file->name, m->hh->name, (long long)m->hh->shape[0], (long long)m->hh->shape[1],
            (long long)*units);
    m->in = m->ih->shape[1];
    m->out = (m->hr ? m->hr->shape[0] : *units) * (m->both ? 2 : 1);
    return LSTM_OK;
}

static lstm_status measure(const chain *c, module *m)
{
    int64_t units = 0;
    int64_t gates = 0;
    if (m->kind == RECURRENT)
        return measure_recurrent(c, m, &units, &gates);
    if (!m->weight)
        return unknown(c, m->bias ? m->bias : m->mean, "of no module that is known by its names");
    if (m->weight->rank == 2 && !m->mean) {
        m->kind = m->bias ? LINEAR : MATRIX;
        m->in = m->weight->shape[1];
        m->out = m->weight->shape[0];
        return LSTM_OK;
    }
    if (m->weight->rank != 1 || !m->bias)
        return unknown(c, m->weight, "of no module that is known by its shapes");
    m->kind = m->mean ? BATCH_NORM : LAYER_NORM;
    m->in = m->out = m->weight->shape[0];
    return LSTM_OK;
}

/* ---- The row */

static int64_t width_before(const module *m, int kind)
{
    return kind == EMBEDDING ? 0 : m->in;
}

static int64_t width_behind(const module *m, int kind)
{
    return kind == EMBEDDING ? m->in : m->out;
}

/* Extend the row from `place` on; stops at the second complete one. */
static void try_rows(chain *c, size_t place, int64_t width)
{
    if (place == c->count) {
        if (c->found++ == 0) {
            memcpy(c->best, c->row, sizeof c->row);
            memcpy(c->best_kinds, c->kinds, sizeof c->kinds);
        }
        return;
    }
    for (size_t k = 0; k < c->count && c->found < 2; k++) {
        const module *m = &c->modules[k];
        const int kinds[2] = {m->kind == MATRIX ? LINEAR : m->kind,
                              m->kind == MATRIX ? EMBEDDING : 0};
        for (int way = 0; way < 2 && !c->used[k]; way++) {
            /* tokens come first or not at all */
            if (kinds[way] == 0 ||
                (place > 0 && (kinds[way] == EMBEDDING || width_before(m, kinds[way]) != width)))
                continue;
            c->used[k] = true;
            c->row[place] = k;
            c->kinds[place] = kinds[way];
            try_rows(c, place + 1, width_behind(m, kinds[way]));
            c->used[k] = false;
        }
    }
}

static bool chains_as_written(chain *c)
{
    int64_t width = 0;
    for (size_t k = 0; k < c->count; k++) {
        const module *m = &c->modules[k];
        if (m->kind == MATRIX || (k > 0 && m->in != width))
            return false;
        c->best[k] = k;
        c->best_kinds[k] = m->kind;
        width = m->out;
    }
    return true;
}

static lstm_status find_row(chain *c)
{
    size_t recurrent = 0;
    for (size_t k = 0; k < c->count; k++)
        recurrent += c->modules[k].kind == RECURRENT;
    if (recurrent == 0)
        return lstm__fail(
            LSTM_ERROR_UNSUPPORTED,
            "%s: a state dict without an nn.LSTM, nn.GRU or nn.RNN: give a description "
            "of the network, and load the file into it",
            c->file->name);
    if (c->file->ordered && chains_as_written(c))
        return LSTM_OK;
    try_rows(c, 0, 0);
    if (c->found == 1)
        return LSTM_OK;
    return lstm__fail(
        LSTM_ERROR_UNSUPPORTED,
        "%s: the %zu modules of the state dict fit together in %s: give a description "
        "of the network, and load the file into it",
        c->file->name, c->count, c->found ? "more than one way" : "no way");
}

/* ---- Description */

static json_t *describe_recurrent(const chain *c, module *m)
{
    static const char *const types[] = {[1] = "RNN", [3] = "GRU", [4] = "LSTM"};
    int64_t units = 0;
    int64_t gates = 0;
    if (measure_recurrent(c, m, &units, &gates) != LSTM_OK)
        return NULL;
    const char *type = types[gates];
    json_t *layer = json_pack("{s:s, s:s, s:I, s:i, s:b, s:b, s:s}", "type", type, "name",
                              m->path[0] ? m->path
                                         : (gates == 4   ? "lstm"
                                            : gates == 3 ? "gru"
                                                         : "rnn"),
                              "hidden_size", (json_int_t)units, "num_layers", m->layers,
                              "bidirectional", m->both, "bias", m->ih_bias != NULL, "torch_module",
                              m->path);
    if (m->hr &&
        json_object_set_new(layer, "proj_size", json_integer((json_int_t)m->hr->shape[0])) != 0) {
        json_decref(layer);
        return NULL;
    }
    return layer;
}

static json_t *describe_module(const chain *c, module *m, int kind)
{
    switch (kind) {
    case RECURRENT:
        return describe_recurrent(c, m);
    case LINEAR:
        return json_pack("{s:s, s:s, s:I, s:b}", "type", "Linear", "name", m->path, "units",
                         (json_int_t)m->out, "use_bias", m->bias != NULL);
    case EMBEDDING:
        return json_pack("{s:s, s:s, s:I, s:I}", "type", "Embedding", "name", m->path, "input_dim",
                         (json_int_t)m->out, "output_dim", (json_int_t)m->in);
    default:
        return json_pack("{s:s, s:s}", "type",
                         kind == LAYER_NORM ? "LayerNormalization" : "BatchNormalization", "name",
                         m->path);
    }
}

static json_t *describe(chain *c)
{
    const module *first = &c->modules[c->best[0]];
    const bool tokens = c->best_kinds[0] == EMBEDDING;
    json_t *root = json_pack("{s:s, s:[{s:s, s:s, s:[n, I]}]}", "profile", "torch", "layers",
                             "type", "Input", "name", "input", "shape",
                             (json_int_t)(tokens ? 1 : first->in));
    int failed = !root;
    for (size_t k = 0; k < c->count && !failed; k++)
        failed = json_array_append_new(
            json_object_get(root, "layers"),
            describe_module(c, &c->modules[c->best[k]], c->best_kinds[k]));
    if (!failed)
        return root;
    json_decref(root);
    return NULL;
}

static void log_row(const chain *c)
{
    char row[MOST_MODULES * 20] = "";
    size_t used = 0;
    for (size_t k = 0; k < c->count && used < sizeof row; k++)
        used += (size_t)snprintf(row + used, sizeof row - used, "%s%.15s", k ? " -> " : "",
                                 c->modules[c->best[k]].path);
    if (c->count > 1)
        lstm__log(c->file->context,
                  "%s: taken for the row %s, each step alone, without activations between them; a "
                  "description says otherwise",
                  c->file->name, row);
}

static lstm_status read_chain(chain *c)
{
    for (size_t k = 0; k < c->file->count; k++)
        RETURN_IF_ERROR(take_tensor(c, &c->file->tensors[k]));
    for (size_t k = 0; k < c->count; k++)
        RETURN_IF_ERROR(measure(c, &c->modules[k]));
    return find_row(c);
}

lstm_status lstm__torch_model(lstm_model **out, lstm_context *context, const lstm__torch_file *file)
{
    lstm_status status = LSTM_OK;
    lstm_model *model = NULL;
    json_t *root = NULL;
    char *text = NULL;
    size_t most = 0;
    *out = NULL;
    chain *c = lstm__allocate_zeroed(file->context, sizeof *c);
    if (!c)
        return lstm__fail_memory(sizeof *c, "the modules of a file");
    c->file = file;
    TRY(read_chain(c));
    root = describe(c);
    text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    if (!text)
        FAIL(LSTM_ERROR_MEMORY, "no memory for the model's description");
    log_row(c);
    /* gaps between parameters, and tensors that share a storage */
    for (size_t k = 0; k < file->count; k++)
        most += file->tensors[k].count + 64;
    status = lstm__model_from_json_of_file(&model, context, text, strlen(text), most, 0);
    if (status != LSTM_OK) {
        lstm__prefix_error(status, "%s", file->name);
        goto out;
    }
    TRY(lstm__torch_fill(model, file, true));
    TRY(lstm__graph_set_note(model, "lstm.layout", "time_first"));
    *out = model;
    model = NULL;
out:
    lstm__graph_release(model);
    free(text);
    json_decref(root);
    lstm__release(file->context, c);
    return status;
}
