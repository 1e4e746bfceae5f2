/* SPDX-License-Identifier: MIT
 *
 * From Keras' conventions to PyTorch's and back.
 *
 * Descriptions name every option, so the model is built again from its own with another profile;
 * what means something else is changed: PyTorch's BatchNorm keeps 1 - momentum of the statistics,
 * Keras' momentum. Parameters lie in the model's block in the same form under both profiles
 * (inputs in rows, gates in columns) but for these:
 *
 *     biases     Keras one, PyTorch two that are added: the second one becomes 0, or both their sum;
 *                of a GRU that resets after the product Keras' two rows are PyTorch's two biases
 *     GRU        columns z, r, g or r, z, g
 *     Conv1D     rows by tap, then feature, or by feature, then tap
 */
#include "profile_convert.h"

#include "model_json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- Description */

static int convert_layer(json_t *layer, bool to_keras)
{
    const char *type = json_string_value(json_object_get(layer, "type"));
    if (to_keras) {
        json_object_del(layer, "torch_module");
        json_object_del(layer, "torch_layer");
    }
    if (!type || strcmp(type, "BatchNormalization") != 0)
        return 0;
    const double momentum = json_number_value(json_object_get(layer, "momentum"));
    const double other = 1 - (momentum < 0 ? 0 : momentum);
    return json_object_set_new(layer, "momentum", json_real(other > 0 ? other : -1));
}

static lstm_status convert_description(lstm_model **out, const lstm_model *model, int32_t profile)
{
    lstm_status status = LSTM_OK;
    char *text = NULL;
    char *changed = NULL;
    json_t *root = NULL;
    TRY(lstm__model_to_json(model, &text));
    root = json_loads(text, 0, NULL);
    json_t *layers = json_object_get(root, "layers");
    int failed = !root || json_object_set_new(
                              root, "profile",
                              json_string(profile == LSTM_PROFILE_KERAS ? "keras" : "torch")) != 0;
    for (size_t k = 0; k < json_array_size(layers); k++)
        failed |= convert_layer(json_array_get(layers, k), profile == LSTM_PROFILE_KERAS);
    changed = failed ? NULL : json_dumps(root, JSON_COMPACT);
    if (!changed)
        FAIL(LSTM_ERROR_MEMORY, "no memory for the model's description");
    /* as of a file: parameters are not drawn */
    status = lstm__model_from_json_of_file(out, model->context, changed, strlen(changed),
                                           SIZE_MAX - 1, 0);
out:
    lstm__release(model->context, text);
    free(changed);
    json_decref(root);
    return status;
}

/* ---- Parameters */

/* A bias of x or h, of which PyTorch has two. */
static bool is_bias(const lstm__parameter *p)
{
    const char *slash = strrchr(p->name, '/');
    const char *dot = strrchr(p->name, '.');
    const char *name = slash ? slash + 1 : dot ? dot + 1 : p->name;
    return strcmp(name, "bias") == 0 || strncmp(name, "bias_ih", 7) == 0 ||
           strncmp(name, "bias_hh", 7) == 0;
}

typedef struct pair {
    const lstm_model *from;
    lstm_model *to;
    const lstm__node *source, *target;
    bool gru; /* the first two gates change places */
} pair;

/* Copy a row of `columns` gates' values. */
static void copy_row(const pair *p, const real *from, real *to, size_t columns)
{
    const size_t units = columns / 3;
    memcpy(to, from, columns * sizeof *to);
    if (p->gru) {
        memcpy(to, from + units, units * sizeof *to);
        memcpy(to + units, from, units * sizeof *to);
    }
}

static void copy_kernel(const pair *p, const lstm__parameter *from, const lstm__parameter *to)
{
    const real *source = p->from->values + from->offset;
    real *target = p->to->values + to->offset;
    const bool taps = p->source->class == &lstm__class_conv1d && from->rank == 3;
    const size_t size = taps
                            ? (size_t)((const lstm_conv1d_options *)p->source->options)->kernel_size
                            : 1;
    const size_t features = from->rows / size;
    const bool torch = p->to->profile == LSTM_PROFILE_TORCH;
    for (size_t row = 0; row < from->rows; row++) {
        /* row = tap * features + feature, or feature * size + tap */
        const size_t other = torch ? row % features * size + row / features
                                   : row % size * features + row / size;
        copy_row(p, source + row * from->columns, target + (taps ? other : row) * from->columns,
                 from->columns);
    }
}

/* One row or two to one or two. */
static void copy_biases(const pair *p, const lstm__parameter *const from[2],
                        const lstm__parameter *const to[2])
{
    const real *source = p->from->values + from[0]->offset;
    real *target = p->to->values + to[0]->offset;
    const size_t columns = to[0]->columns;
    const size_t rows_from = from[1] ? 2 : from[0]->rows;
    const size_t rows_to = to[1] ? 2 : to[0]->rows;
    const real *second = from[1] ? p->from->values + from[1]->offset : source + columns;
    real *other = to[1] ? p->to->values + to[1]->offset : target + columns;
    copy_row(p, source, target, columns);
    if (rows_from == 2 && rows_to == 2)
        copy_row(p, second, other, columns);
    else if (rows_from == 2)
        for (size_t k = 0; k < columns; k++)
            target[k] += second[k];
    /* else the second one stays 0 */
}

static void copy_node(const pair *p)
{
    const lstm__parameter *from = p->from->parameters + p->source->parameter_first;
    const lstm__parameter *to = p->to->parameters + p->target->parameter_first;
    const lstm__parameter *biases[2][2] = {{NULL, NULL}, {NULL, NULL}};
    size_t counts[2] = {0, 0};
    const bool recurrent = p->source->class == &lstm__class_lstm || p->gru ||
                           p->source->class == &lstm__class_simple_rnn;
    size_t k = 0;
    for (size_t t = 0; t < p->target->parameter_count; t++) {
        if (recurrent && is_bias(&to[t])) {
            biases[1][counts[1]++ % 2] = &to[t];
            continue;
        }
        while (k < p->source->parameter_count && recurrent && is_bias(&from[k]))
            k++;
        if (k < p->source->parameter_count)
            copy_kernel(p, &from[k++], &to[t]);
    }
    for (k = 0; recurrent && k < p->source->parameter_count; k++)
        if (is_bias(&from[k]))
            biases[0][counts[0]++ % 2] = &from[k];
    if (biases[0][0] && biases[1][0])
        copy_biases(p, biases[0], biases[1]);
}

lstm_status lstm__profile_convert(lstm_model **out, lstm_model *model, int32_t profile)
{
    *out = NULL;
    if (model->profile == profile) {
        lstm__graph_acquire(model);
        *out = model;
        return LSTM_OK;
    }
    RETURN_IF_ERROR(convert_description(out, model, profile));
    for (size_t k = 0; k < model->node_count; k++) {
        const pair p = {.from = model,
                        .to = *out,
                        .source = model->nodes[k],
                        .target = (*out)->nodes[k],
                        .gru = model->nodes[k]->class == &lstm__class_gru};
        copy_node(&p);
        (*out)->nodes[k]->wrapped = model->nodes[k]->wrapped;
    }
    lstm__graph_changed(*out);
    return LSTM_OK;
}
