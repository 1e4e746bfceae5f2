/* SPDX-License-Identifier: MIT
 *
 * Writing .keras archives, .weights.h5 and .h5 files. A model of the PyTorch profile is converted
 * first (profile_convert.c), so parameters have Keras' shapes; where Keras 3 keeps those of each
 * class is in add_layer, the older form in keras_export_old.c.
 */
#include "keras_export.h"
#include "file_writer.h"
#include "hdf5_writer.h"
#include "keras_description.h"
#include "keras_export_old.h"
#include "profile_convert.h"
#include "zip_archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What Keras must be able to read this: the first version that has all of it. */
static const char metadata[] =
    "{\"keras_version\": \"3.0.0\", \"date_saved\": \"1980-01-01@00:00:00\"}";

/* Parameters first to first + count - 1 of a node as vars/0, vars/1, … of a group, with a name. */
static lstm_status add_variables(lstm__hdf5_writer *w, const lstm__node *node, size_t group,
                                 const char *name, size_t first, size_t count, float *values)
{
    const lstm_model *model = node->model;
    size_t vars = 0;
    RETURN_IF_ERROR(lstm__hdf5_add_group(w, group, "vars", name, &vars));
    for (size_t k = 0; k < count; k++) {
        char number[24];
        const lstm__parameter *p = &model->parameters[node->parameter_first + first + k];
        lstm__parameter_read(p, model->values, values);
        snprintf(number, sizeof number, "%zu", k);
        /* the factor of Attention is a number, no vector, in Keras */
        const int rank = node->class == &lstm__class_attention ? 0 : p->rank;
        RETURN_IF_ERROR(lstm__hdf5_add_array(w, vars, number, rank, p->shape, values));
    }
    return LSTM_OK;
}

static const char *own_name(const lstm__node *node)
{
    const char *slash = strrchr(node->name, '/');
    return slash ? slash + 1 : node->name;
}

/* A recurrent layer's name in group/vars, its weights in group/cell/vars. */
static lstm_status add_cell(lstm__hdf5_writer *w, const lstm__node *node, size_t group,
                            const char *name, float *values)
{
    char cell_name[LSTM__NAME_SIZE];
    size_t cell = 0;
    snprintf(cell_name, sizeof cell_name, "%s_cell", node->class->name_stem);
    RETURN_IF_ERROR(add_variables(w, node, group, name, 0, 0, values));
    RETURN_IF_ERROR(lstm__hdf5_add_group(w, group, "cell", NULL, &cell));
    return add_variables(w, node, cell, cell_name, 0, node->parameter_count, values);
}

static lstm_status add_heads(lstm__hdf5_writer *w, const lstm__node *node, size_t group,
                             float *values)
{
    static const char *const parts[4][2] = {{"query_dense", "query"},
                                            {"key_dense", "key"},
                                            {"value_dense", "value"},
                                            {"output_dense", "attention_output"}};
    const size_t each = node->parameter_count / 4;
    RETURN_IF_ERROR(add_variables(w, node, group, node->name, 0, 0, values));
    for (size_t k = 0; k < 4; k++) {
        size_t part = 0;
        RETURN_IF_ERROR(lstm__hdf5_add_group(w, group, parts[k][0], NULL, &part));
        RETURN_IF_ERROR(add_variables(w, node, part, parts[k][1], k * each, each, values));
    }
    return LSTM_OK;
}

static bool is_recurrent(const lstm__node *node)
{
    return node->class == &lstm__class_lstm || node->class == &lstm__class_gru ||
           node->class == &lstm__class_simple_rnn;
}

/* layers/lstm_1: where each class of Keras keeps its variables. */
static lstm_status add_layer(lstm__hdf5_writer *w, const lstm__node *node, size_t layers,
                             const char *stem, size_t number, float *values)
{
    static const char *const directions[2] = {"forward_layer", "backward_layer"};
    char name[64];
    size_t group = 0;
    size_t inner = 0;
    snprintf(name, sizeof name, number ? "%s_%zu" : "%s", stem, number);
    RETURN_IF_ERROR(lstm__hdf5_add_group(w, layers, name, NULL, &group));
    if (is_recurrent(node))
        return add_cell(w, node, group, node->name, values);
    if (node->class == &lstm__class_multi_head_attention)
        return add_heads(w, node, group, values);
    if (!node->wrapped && node->class != &lstm__class_bidirectional)
        return add_variables(w, node, group, node->name, 0, node->parameter_count, values);
    RETURN_IF_ERROR(add_variables(w, node, group, node->name, 0, 0, values));
    if (node->wrapped) {
        RETURN_IF_ERROR(lstm__hdf5_add_group(w, group, "layer", NULL, &inner));
        return add_variables(w, node, inner, own_name(node), 0, node->parameter_count, values);
    }
    for (int k = 0; k < 2; k++) {
        const lstm__node *part = node->inputs[k]->node;
        RETURN_IF_ERROR(lstm__hdf5_add_group(w, group, directions[k], NULL, &inner));
        RETURN_IF_ERROR(add_cell(w, part, inner, own_name(part), values));
    }
    return LSTM_OK;
}

/* What Keras calls the groups of a layer's class. */
static const char *stem_of(const lstm__node *node)
{
    return node->wrapped                       ? "time_distributed"
           : node->class == &lstm__class_input ? "input_layer"
                                               : node->class->name_stem;
}

static lstm_status add_layers(lstm__hdf5_writer *w, const lstm_model *model, const size_t *order)
{
    lstm_status status = LSTM_OK;
    size_t layers = 0;
    size_t vars = 0;
    const size_t count = model->node_count;
    float *values = lstm__allocate_array(model->context, model->value_count + 1, sizeof *values);
    size_t *owners = lstm__allocate_array(model->context, count, sizeof *owners);
    /* for each node: its number among those of its stem */
    size_t *numbers = lstm__allocate_array(model->context, count, sizeof *numbers);
    if (!values || !numbers || !owners) {
        status = lstm__fail_memory(model->value_count * sizeof *values,
                                   "the parameters of the file");
        goto out;
    }
    lstm__keras_owners(model, owners);
    TRY(lstm__hdf5_add_group(w, 0, "layers", NULL, &layers));
    TRY(lstm__hdf5_add_group(w, 0, "vars", "model", &vars));
    for (size_t k = 0; k < count; k++) {
        const lstm__node *node = model->nodes[order[k]];
        size_t before = k;
        if (owners[node->index] != node->index)
            continue;
        do /* the last one of the stem */
            before--;
        while (before < k && (owners[order[before]] != order[before] ||
                              strcmp(stem_of(model->nodes[order[before]]), stem_of(node)) != 0));
        numbers[node->index] = before < k ? numbers[order[before]] + 1 : 0;
        TRY(add_layer(w, node, layers, stem_of(node), numbers[node->index], values));
    }
out:
    lstm__release(model->context, values);
    lstm__release(model->context, owners);
    lstm__release(model->context, numbers);
    return status;
}

static lstm_status write_file(lstm_context *context, const char *path, const unsigned char *bytes,
                              size_t size)
{
    lstm_status status = LSTM_OK;
    lstm__writer *file = NULL;
    TRY(lstm__writer_open(&file, context, path));
    TRY(lstm__writer_write(file, bytes, size));
    status = lstm__writer_close(&file);
out:
    lstm__writer_abort(file);
    return status;
}

static lstm_status write_archive(const lstm_model *model, const size_t *order, const char *path,
                                 const unsigned char *bytes, size_t size)
{
    lstm_status status = LSTM_OK;
    json_t *root = NULL;
    char *text = NULL;
    lstm__zip_writer *zip = NULL;
    TRY(lstm__keras_describe(model, order, false, &root));
    text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER);
    if (!text)
        FAIL(LSTM_ERROR_MEMORY, "no memory for the model's description");
    TRY(lstm__zip_writer_open(&zip, model->context, path));
    TRY(lstm__zip_writer_add(zip, "metadata.json", &(lstm__piece){metadata, sizeof metadata - 1},
                             1));
    TRY(lstm__zip_writer_add(zip, "config.json", &(lstm__piece){text, strlen(text)}, 1));
    TRY(lstm__zip_writer_add(zip, "model.weights.h5", &(lstm__piece){bytes, size}, 1));
    status = lstm__zip_writer_close(&zip);
out:
    lstm__zip_writer_abort(zip);
    free(text);
    json_decref(root);
    return status;
}

/* Options that Keras does not have. */
static lstm_status check_options(const lstm__node *node)
{
    static const char *const known[] = {"dropout", "recurrent_dropout", "seed"};
    for (const lstm__option *option = node->class->options; option && option->key; option++) {
        size_t k = 0;
        while (k < sizeof known / sizeof *known && strcmp(option->key, known[k]) != 0)
            k++;
        if (option->rare && k == sizeof known / sizeof *known &&
            lstm__option_is_on(option, node->options))
            return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                              "layer \"%s\" has the option \"%s\", which Keras' %s does not have",
                              node->name, option->key, node->class->type);
    }
    return LSTM_OK;
}

/* Whether any layer makes masks, so that it matters who reads them. */
static bool has_masks(const lstm_model *model)
{
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        if (node->class == &lstm__class_masking ||
            (node->class == &lstm__class_embedding &&
             ((const lstm_embedding_options *)node->options)->mask_zero == LSTM_YES))
            return true;
    }
    return false;
}

/* Keras' Conv1D and GlobalMaxPooling1D do not look at masks, GlobalAveragePooling1D does. */
static lstm_status check_masks(const lstm__node *node)
{
    const bool conv = node->class == &lstm__class_conv1d;
    const bool most = node->class == &lstm__class_global_max_pooling;
    if (!conv && !most && node->class != &lstm__class_global_average_pooling)
        return LSTM_OK;
    const int32_t ignores = conv
                                ? ((const lstm_conv1d_options *)node->options)->ignore_mask
                                : ((const lstm_global_pooling_options *)node->options)->ignore_mask;
    if ((ignores == LSTM_YES) == (conv || most))
        return LSTM_OK;
    return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                      "layer \"%s\": \"ignore_mask\" is %s, which Keras' %s cannot be, and the "
                      "network has masks",
                      node->name, ignores == LSTM_YES ? "true" : "false", node->class->type);
}

/* hard_sigmoid is another function in Keras 1 and 2 than in Keras 3, and each has but its own. */
static lstm_status check_activations(const lstm__node *node, bool old)
{
    const int32_t other = old ? LSTM_ACTIVATION_HARD_SIGMOID : LSTM_ACTIVATION_HARD_SIGMOID_KERAS2;
    for (const lstm__option *option = node->class->options; option && option->key; option++)
        if (option->kind == LSTM__OPTION_NAMED && option->set == LSTM_NAMES_ACTIVATION &&
            *(const int32_t *)(const void *)((const unsigned char *)node->options +
                                             option->offset) == other)
            return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                              old ? "layer \"%s\": the hard_sigmoid of Keras 3 is not that of "
                                    "Keras 2, whose form .h5 is"
                                  : "layer \"%s\": Keras 3 has no hard_sigmoid_keras2",
                              node->name);
    return LSTM_OK;
}

/* The classes whose options and weights are written in Keras' form. */
static lstm_status check_classes(const lstm_model *model, bool old)
{
    const bool masks = has_masks(model);
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        if (node->class->only_here)
            return lstm__fail(LSTM_ERROR_UNSUPPORTED, "layer \"%s\": Keras has no %s", node->name,
                              node->class->type);
        RETURN_IF_ERROR(check_options(node));
        RETURN_IF_ERROR(check_activations(node, old));
        if (masks)
            RETURN_IF_ERROR(check_masks(node));
        for (int input = 0; node->class == &lstm__class_bidirectional && input < 2; input++) {
            const lstm__node *part = node->inputs[input]->node;
            if (part->readers[0] > 1)
                return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                                  "layer \"%s\": its outputs are read by others than the "
                                  "Bidirectional \"%s\", which Keras does not give",
                                  part->name, node->name);
        }
    }
    return LSTM_OK;
}

static bool ends_with(const char *path, const char *suffix)
{
    const size_t length = strlen(path);
    const size_t own = strlen(suffix);
    return length >= own && strcmp(path + length - own, suffix) == 0;
}

/* ---- The three forms */

/* The HDF5 part of a form, and the file that it is or that holds it. */
static lstm_status put_form(const lstm_model *model, const size_t *order, const char *path,
                            bool old)
{
    lstm_status status = LSTM_OK;
    lstm__hdf5_writer *file = NULL;
    const unsigned char *bytes = NULL;
    size_t size = 0;
    TRY(lstm__hdf5_writer_create(&file, model->context));
    TRY(old ? lstm__keras_put_old(file, model, order) : add_layers(file, model, order));
    TRY(lstm__hdf5_finish(file, &bytes, &size));
    if (old || ends_with(path, ".weights.h5"))
        TRY(write_file(model->context, path, bytes, size));
    else
        TRY(write_archive(model, order, path, bytes, size));
out:
    lstm__hdf5_writer_destroy(file);
    return status;
}

lstm_status lstm__keras_save(const lstm_model *given, const char *path)
{
    lstm_status status = LSTM_OK;
    size_t *order = NULL;
    lstm_model *model = NULL;
    const bool old = ends_with(path, ".h5") && !ends_with(path, ".weights.h5");
    RETURN_IF_ERROR(check_classes(given, old));
    TRY(lstm__profile_convert(&model, (lstm_model *)(uintptr_t)given, LSTM_PROFILE_KERAS));
    order = lstm__allocate_array(model->context, model->node_count, sizeof *order);
    if (!order) {
        status = lstm__fail_memory(model->node_count * sizeof *order, "the order of the layers");
        goto out;
    }
    TRY(lstm__keras_order(model, order));
    status = put_form(model, order, path, old);
out:
    lstm__release(given->context, order);
    lstm__graph_release(model);
    return status;
}
