/* SPDX-License-Identifier: MIT
 *
 * Writing .keras archives and .weights.h5 files.
 *
 * Parameters lie in the model's block in Keras' form whatever the profile is: inputs in rows, gates
 * i, f, c, o in columns. Of the two biases of the PyTorch profile the sum is written, which is all
 * that the network uses.
 */
#include "keras_export.h"
#include "file_writer.h"
#include "hdf5_writer.h"
#include "keras_description.h"
#include "zip_archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What Keras must be able to read this: the first version that has all of it. */
static const char metadata[] =
    "{\"keras_version\": \"3.0.0\", \"date_saved\": \"1980-01-01@00:00:00\"}";

static lstm_status add_weights(lstm__hdf5_writer *w, const lstm_model *model,
                               const lstm__node *node, size_t group, float *values)
{
    const bool recurrent = node->class == &lstm__class_lstm;
    const size_t count = recurrent && node->parameter_count == 4 ? 3 : node->parameter_count;
    for (size_t k = 0; k < count; k++) {
        char name[24];
        const lstm__parameter *p = &model->parameters[node->parameter_first + k];
        const size_t size = lstm__parameter_size(p);
        const int64_t shape[2] = {p->rank == 1 ? (int64_t)size : (int64_t)p->rows,
                                  (int64_t)p->columns};
        for (size_t v = 0; v < size; v++)
            values[v] = (float)model->values[p->offset + v];
        for (size_t v = 0; count < node->parameter_count && k == 2 && v < size; v++)
            values[v] += (float)model->values[p[1].offset + v];
        snprintf(name, sizeof name, "%zu", k);
        RETURN_IF_ERROR(lstm__hdf5_add_array(w, group, name, p->rank, shape, values));
    }
    return LSTM_OK;
}

/* layers/lstm_1/vars with the layer's name, and the weights in it or in layers/lstm_1/cell/vars. */
static lstm_status add_layer(lstm__hdf5_writer *w, const lstm_model *model, const lstm__node *node,
                             size_t layers, size_t number, float *values)
{
    char name[64];
    size_t group = 0;
    size_t vars = 0;
    size_t cell = 0;
    const char *stem = node->class == &lstm__class_input ? "input_layer" : node->class->name_stem;
    snprintf(name, sizeof name, number ? "%s_%zu" : "%s", stem, number);
    RETURN_IF_ERROR(lstm__hdf5_add_group(w, layers, name, NULL, &group));
    RETURN_IF_ERROR(lstm__hdf5_add_group(w, group, "vars", node->name, &vars));
    if (node->class != &lstm__class_lstm)
        return add_weights(w, model, node, vars, values);
    RETURN_IF_ERROR(lstm__hdf5_add_group(w, group, "cell", NULL, &cell));
    RETURN_IF_ERROR(lstm__hdf5_add_group(w, cell, "vars", "lstm_cell", &vars));
    return add_weights(w, model, node, vars, values);
}

static lstm_status add_layers(lstm__hdf5_writer *w, const lstm_model *model, const size_t *order)
{
    lstm_status status = LSTM_OK;
    size_t layers = 0;
    size_t vars = 0;
    float *values = lstm__allocate_array(model->context, model->value_count, sizeof *values);
    size_t *numbers = NULL; /* layers of each class so far, by the place in lstm__layer_classes */
    size_t classes = 0;
    while (lstm__layer_classes[classes])
        classes++;
    numbers = lstm__allocate_zeroed(model->context, classes * sizeof *numbers);
    if (!values || !numbers) {
        status = lstm__fail_memory(model->value_count * sizeof *values,
                                   "the parameters of the file");
        goto out;
    }
    TRY(lstm__hdf5_add_group(w, 0, "layers", NULL, &layers));
    TRY(lstm__hdf5_add_group(w, 0, "vars", "model", &vars));
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[order[k]];
        size_t class = 0;
        while (lstm__layer_classes[class] != node->class)
            class ++;
        TRY(add_layer(w, model, node, layers, numbers[class]++, values));
    }
out:
    lstm__release(model->context, values);
    lstm__release(model->context, numbers);
    return status;
}

static lstm_status write_weights(lstm_context *context, const char *path,
                                 const unsigned char *bytes, size_t size)
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
    TRY(lstm__keras_describe(model, order, &root));
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

/* The classes whose options and weights are written in Keras' form. */
static lstm_status check_classes(const lstm_model *model)
{
    const lstm__layer_class *const written[] = {
        &lstm__class_input,   &lstm__class_lstm,       &lstm__class_dense,
        &lstm__class_dropout, &lstm__class_activation, &lstm__class_repeat_vector,
        &lstm__class_reshape, &lstm__class_flatten,    NULL};
    for (size_t k = 0; k < model->node_count; k++) {
        size_t c = 0;
        while (written[c] && written[c] != model->nodes[k]->class)
            c++;
        if (!written[c])
            return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                              "layer \"%s\": this version does not write a %s for Keras",
                              model->nodes[k]->name, model->nodes[k]->class->type);
        RETURN_IF_ERROR(check_options(model->nodes[k]));
    }
    return LSTM_OK;
}

lstm_status lstm__keras_save(const lstm_model *model, const char *path)
{
    static const char suffix[] = ".weights.h5";
    lstm_status status = LSTM_OK;
    lstm__hdf5_writer *weights = NULL;
    const unsigned char *bytes = NULL;
    size_t size = 0;
    const size_t length = strlen(path);
    const bool alone = length >= sizeof suffix - 1 &&
                       strcmp(path + length - (sizeof suffix - 1), suffix) == 0;
    RETURN_IF_ERROR(check_classes(model));
    size_t *order = lstm__allocate_array(model->context, model->node_count, sizeof *order);
    if (!order)
        return lstm__fail_memory(model->node_count * sizeof *order, "the order of the layers");
    TRY(lstm__keras_order(model, order));
    TRY(lstm__hdf5_writer_create(&weights, model->context));
    TRY(add_layers(weights, model, order));
    TRY(lstm__hdf5_finish(weights, &bytes, &size));
    if (alone)
        TRY(write_weights(model->context, path, bytes, size));
    else
        TRY(write_archive(model, order, path, bytes, size));
out:
    lstm__hdf5_writer_destroy(weights);
    lstm__release(model->context, order);
    return status;
}
