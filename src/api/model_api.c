/* SPDX-License-Identifier: MIT
 * lstm_model: create, build, parameters, metadata, scalers. Checks arguments and hands down to
 * nn/graph.c.
 */
#include "constants.h"
#include "graph.h"
#include "keras_export.h"
#include "onnx_file.h"
#include "source_export.h"
#include "model_file.h"
#include "model_json.h"
#include "need.h"
#include "options.h"
#include "torch_export.h"

#include <math.h>
#include <string.h>

lstm_status lstm_model_create(lstm_model **out, lstm_context *context,
                              const lstm_model_options *options)
{
    lstm_model_options own;
    NEED(out);
    *out = NULL;
    RETURN_IF_ERROR(lstm__read_options(&own, sizeof own, options, "lstm_model_options"));
    RETURN_IF_ERROR(
        lstm__read_constant(&own.profile, LSTM_PROFILE_KERAS, LSTM_NAMES_PROFILE, "profile"));
    return lstm__graph_create(out, context, own.profile, own.seed);
}

void lstm_model_destroy(lstm_model *model)
{
    lstm__graph_release(model);
}

lstm_status lstm_model_build(lstm_model *model)
{
    NEED(model);
    return lstm__graph_build(model);
}

int32_t lstm_model_is_built(const lstm_model *model)
{
    return model && model->built ? LSTM_YES : LSTM_NO;
}

int32_t lstm_model_profile(const lstm_model *model)
{
    return model ? model->profile : 0;
}

lstm_status lstm_model_set_outputs(lstm_model *model, const lstm_layer *const *layers, size_t count)
{
    NEED(model);
    NEED(layers);
    return lstm__graph_set_outputs(model, layers, count);
}

/* ---- The graph */

size_t lstm_model_layer_count(const lstm_model *model)
{
    return model ? model->node_count : 0;
}

lstm_layer *lstm_model_layer(const lstm_model *model, size_t index)
{
    return model && index < model->node_count ? &model->nodes[index]->ports[0] : NULL;
}

lstm_status lstm_model_find_layer(const lstm_model *model, const char *name, lstm_layer **out)
{
    NEED(out);
    *out = NULL;
    NEED(model);
    NEED(name);
    *out = lstm__graph_find(model, name);
    if (*out)
        return LSTM_OK;
    lstm__nearest nearest;
    lstm__nearest_start(&nearest, name);
    for (size_t k = 0; k < model->node_count; k++)
        lstm__nearest_offer(&nearest, model->nodes[k]->name);
    return lstm__fail_unknown(&nearest, "layer");
}

size_t lstm_model_input_count(const lstm_model *model)
{
    size_t count = 0;
    for (size_t k = 0; model && k < model->node_count; k++)
        count += model->nodes[k]->class == &lstm__class_input;
    return count;
}

size_t lstm_model_output_count(const lstm_model *model)
{
    return model && model->built ? model->output_count : 0;
}

lstm_layer *lstm_model_input(const lstm_model *model, size_t index)
{
    for (size_t k = 0; model && k < model->node_count; k++)
        if (model->nodes[k]->class == &lstm__class_input && index-- == 0)
            return &model->nodes[k]->ports[0];
    return NULL;
}

lstm_layer *lstm_model_output(const lstm_model *model, size_t index)
{
    if (index >= lstm_model_output_count(model))
        return NULL;
    const lstm_layer *layer = model->outputs[index];
    return &layer->node->ports[layer->port];
}

const char *lstm_layer_name(const lstm_layer *layer)
{
    return layer ? layer->node->name : NULL;
}

const char *lstm_layer_type(const lstm_layer *layer)
{
    return layer ? layer->node->class->type : NULL;
}

lstm_status lstm_layer_shape(const lstm_layer *layer, int64_t *steps, int64_t *features)
{
    NEED(layer);
    const lstm__shape shape = layer->node->shapes[layer->port];
    if (steps)
        *steps = shape.steps;
    if (features)
        *features = shape.features;
    return LSTM_OK;
}

lstm_status lstm_layer_state(const lstm_layer *layer, lstm_layer **h, lstm_layer **c)
{
    NEED(layer);
    lstm__node *node = layer->node;
    if (node->port_count < 2)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "layer \"%s\" is a %s: only recurrent layers have states", node->name,
                          node->class->type);
    if (c && node->port_count < 3)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "layer \"%s\" is a %s: it has h but no c",
                          node->name, node->class->type);
    if (h)
        *h = &node->ports[1];
    if (c)
        *c = &node->ports[2];
    return LSTM_OK;
}

double lstm_model_flops(const lstm_model *model, const lstm_layer *layer, int64_t steps)
{
    double sum = 0;
    for (size_t k = 0; model && k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        if (!node->class->flops || (layer && layer->node != node))
            continue;
        const lstm_layer *input = node->inputs[0];
        const int64_t fixed = input->node->shapes[input->port].steps;
        sum += node->class->flops(node, fixed > 0 ? fixed : steps);
    }
    return sum;
}

/* ---- Parameters */

size_t lstm_model_parameter_count(const lstm_model *model)
{
    return model && model->built ? model->parameter_count : 0;
}

size_t lstm_model_parameter_total(const lstm_model *model)
{
    size_t total = 0;
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++)
        total += lstm__parameter_size(&model->parameters[k]);
    return total;
}

static lstm_status check_index(const lstm_model *model, size_t index)
{
    if (!model->built)
        return lstm__fail(LSTM_ERROR_STATE, "the model is not built: call lstm_model_build");
    if (index >= model->parameter_count)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "parameter %zu: the model has %zu", index,
                          model->parameter_count);
    return LSTM_OK;
}

lstm_status lstm_model_parameter_info(const lstm_model *model, size_t index,
                                      lstm_parameter_info *info)
{
    NEED(model);
    NEED(info);
    RETURN_IF_ERROR(check_index(model, index));
    const lstm__parameter *parameter = &model->parameters[index];
    lstm_parameter_info own = {.struct_size = sizeof own, .rank = parameter->rank};
    memcpy(own.shape, parameter->shape, sizeof own.shape);
    own.trainable = parameter->statistic ? LSTM_NO : LSTM_YES;
    own.count = lstm__parameter_size(parameter);
    own.name = parameter->name;
    own.layer = &parameter->node->ports[0];
    return lstm__write_info(info, &own, sizeof own, "lstm_parameter_info");
}

lstm_status lstm_model_find_parameter(const lstm_model *model, const char *name, size_t *index)
{
    NEED(model);
    NEED(name);
    NEED(index);
    NEED_BUILT(model);
    const size_t found = lstm__graph_find_parameter(model, name);
    if (found < model->parameter_count) {
        *index = found;
        return LSTM_OK;
    }
    lstm__nearest nearest;
    lstm__nearest_start(&nearest, name);
    for (size_t k = 0; k < model->parameter_count; k++)
        lstm__nearest_offer(&nearest, model->parameters[k].name);
    return lstm__fail_unknown(&nearest, "parameter");
}

static lstm_status check_parameter(const lstm_model *model, size_t index, size_t count)
{
    RETURN_IF_ERROR(check_index(model, index));
    const lstm__parameter *parameter = &model->parameters[index];
    if (count != lstm__parameter_size(parameter))
        return lstm__fail(LSTM_ERROR_SHAPE, "parameter \"%s\": %zu values given, it has %zu",
                          parameter->name, count, lstm__parameter_size(parameter));
    return LSTM_OK;
}

lstm_status lstm_model_get_parameter(const lstm_model *model, size_t index, float *values,
                                     size_t count)
{
    NEED(model);
    NEED(values);
    RETURN_IF_ERROR(check_parameter(model, index, count));
    lstm__parameter_read(&model->parameters[index], model->values, values);
    return LSTM_OK;
}

lstm_status lstm_model_set_parameter(lstm_model *model, size_t index, const float *values,
                                     size_t count)
{
    NEED(model);
    NEED(values);
    RETURN_IF_ERROR(check_parameter(model, index, count));
    for (size_t k = 0; k < count; k++)
        if (!isfinite(values[k]))
            return lstm__fail(LSTM_ERROR_NUMERIC,
                              "parameter \"%s\": value %zu is %g: expected a finite number",
                              model->parameters[index].name, k, (double)values[k]);
    lstm__parameter_write(&model->parameters[index], model->values, values);
    lstm__graph_changed(model);
    return LSTM_OK;
}

/* ---- Metadata and scalers */

lstm_status lstm_model_set_metadata(lstm_model *model, const char *key, const char *text)
{
    NEED(model);
    NEED(key);
    const size_t length = strlen(key);
    if (length == 0 || length > 127)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "metadata key of %zu bytes: expected 1 to 127",
                          length);
    if (!lstm__model_is_note(key) || (text && !lstm__model_is_note(text)))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "the metadata %s is not UTF-8",
                          lstm__model_is_note(key) ? "text" : "key");
    return lstm__graph_set_note(model, key, text);
}

const char *lstm_model_metadata(const lstm_model *model, const char *key)
{
    return model && key ? lstm__graph_note(model, key) : NULL;
}

static lstm_status check_which(int32_t which)
{
    if (which != LSTM_SCALER_INPUT && which != LSTM_SCALER_TARGET)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "scaler %d: expected LSTM_SCALER_INPUT or LSTM_SCALER_TARGET",
                          (int)which);
    return LSTM_OK;
}

lstm_status lstm_model_set_scaler(lstm_model *model, int32_t which, size_t columns,
                                  const double *offset, const double *scale)
{
    NEED(model);
    RETURN_IF_ERROR(check_which(which));
    if (columns > 0) {
        NEED(offset);
        NEED(scale);
    }
    return lstm__graph_set_scaler(model, which, columns, offset, scale);
}

lstm_status lstm_model_get_scaler(const lstm_model *model, int32_t which, size_t *columns,
                                  double *offset, double *scale, size_t capacity)
{
    NEED(model);
    NEED(columns);
    RETURN_IF_ERROR(check_which(which));
    const lstm__scaler *scaler = &model->scalers[which - LSTM_SCALER_INPUT];
    if ((offset || scale) && capacity < scaler->columns)
        return lstm__fail(LSTM_ERROR_SHAPE, "room for %zu columns, the scaler has %zu", capacity,
                          scaler->columns);
    *columns = scaler->columns;
    if (offset && scaler->columns)
        memcpy(offset, scaler->offset, scaler->columns * sizeof *offset);
    if (scale && scaler->columns)
        memcpy(scale, scaler->scale, scaler->columns * sizeof *scale);
    return LSTM_OK;
}

/* ---- Description and file */

lstm_status lstm_model_from_json(lstm_model **out, lstm_context *context, const char *text,
                                 size_t length)
{
    NEED(out);
    *out = NULL;
    NEED(text);
    return lstm__model_from_json(out, context, text, length);
}

lstm_status lstm_model_to_json(const lstm_model *model, char *buffer, size_t capacity,
                               size_t *length)
{
    NEED(model);
    if (capacity > 0)
        NEED(buffer);
    NEED_BUILT(model);
    char *text = NULL;
    RETURN_IF_ERROR(lstm__model_to_json(model, &text));
    const size_t needed = strlen(text);
    if (length)
        *length = needed;
    lstm_status status = LSTM_OK;
    if (capacity > needed)
        memcpy(buffer, text, needed + 1);
    else
        status = lstm__fail(LSTM_ERROR_SHAPE, "the description needs %zu bytes, the buffer has %zu",
                            needed + 1, capacity);
    lstm__release(model->context, text);
    return status;
}

lstm_status lstm_model_save(const lstm_model *model, const char *path)
{
    NEED(model);
    NEED(path);
    NEED_BUILT(model);
    return lstm__model_save(model, path);
}

lstm_status lstm_model_load(lstm_model **out, lstm_context *context, const char *path)
{
    NEED(out);
    *out = NULL;
    NEED(path);
    return lstm__model_load(out, context, path);
}

lstm_status lstm_model_load_weights(lstm_model *model, const char *path)
{
    NEED(model);
    NEED(path);
    NEED_BUILT(model);
    return lstm__model_load_weights(model, path);
}

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text);
    const size_t tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

lstm_status lstm_model_export(const lstm_model *model, const char *path)
{
    NEED(model);
    NEED(path);
    NEED_BUILT(model);
    if (ends_with(path, ".onnx"))
        return lstm__onnx_save(model, path);
    if (lstm__is_torch_path(path))
        return lstm__parameters_save((lstm_model *)(uintptr_t)model, path, LSTM_PROFILE_TORCH);
    if (!ends_with(path, ".keras") && !ends_with(path, ".h5"))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "lstm_model_export: \"%.200s\": expected a name that ends with .keras, "
                          ".h5, .weights.h5, .pt, .pth or .onnx",
                          path);
    return lstm__keras_save(model, path);
}

lstm_status lstm_model_export_source(const lstm_model *model, const char *path,
                                     const lstm_source_options *options)
{
    lstm_source_options own;
    NEED(model);
    NEED(path);
    NEED_BUILT(model);
    RETURN_IF_ERROR(lstm__read_options(&own, sizeof own, options, "lstm_source_options"));
    NEED_ZERO(own.reserved);
    return lstm__source_save(model, path, own.prefix, own.max_steps);
}

lstm_status lstm_model_export_weights(const lstm_model *model, const char *path, int32_t naming)
{
    NEED(model);
    NEED(path);
    NEED_BUILT(model);
    RETURN_IF_ERROR(lstm__read_constant(&naming, model->profile, LSTM_NAMES_PROFILE, "naming"));
    return lstm__parameters_save((lstm_model *)(uintptr_t)model, path, naming);
}
