/* SPDX-License-Identifier: MIT
 * Values of an ONNX graph on their way to layers; see onnx_import.h.
 */
#include "onnx_import.h"
#include "checked.h"
#include "onnx_constants.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_LAYERS = 4096 };

lstm__onnx_value *lstm__onnx_input(lstm__onnx_import *import, const lstm__onnx_node *node, int k)
{
    if (k >= node->input_count || node->inputs[k] == LSTM__ONNX_NONE)
        return NULL;
    return &import->values[node->inputs[k]];
}

lstm__onnx_value *lstm__onnx_output(lstm__onnx_import *import, const lstm__onnx_node *node, int k)
{
    if (k >= node->output_count || node->outputs[k] == LSTM__ONNX_NONE ||
        import->readers[node->outputs[k]] == 0)
        return NULL;
    return &import->values[node->outputs[k]];
}

bool lstm__onnx_is_constant(const lstm__onnx_value *value)
{
    return value && value->kind == LSTM__VALUE_CONSTANT;
}

bool lstm__onnx_is_layers(const lstm__onnx_value *value)
{
    return value && value->kind == LSTM__VALUE_LAYERS;
}

bool lstm__onnx_all_constant(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    for (int k = 0; k < node->input_count; k++) {
        const lstm__onnx_value *value = lstm__onnx_input(import, node, k);
        if (value && value->kind != LSTM__VALUE_CONSTANT)
            return false;
    }
    return true;
}

bool lstm__onnx_has_lengths(const lstm__onnx_import *import)
{
    return import->lengths != LSTM__ONNX_NONE;
}

lstm_status lstm__onnx_refuse(const lstm__onnx_node *node, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0)
        text[0] = 0;
    va_end(arguments);
    (void)node; /* the caller of a translation puts it before the text */
    return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%s", text);
}

/* ---- Constants */

size_t lstm__onnx_count(const lstm__onnx_value *value)
{
    return value->elements.count;
}

lstm_status lstm__onnx_read_floats(lstm__onnx_import *import, const lstm__onnx_value *value,
                                   float **floats)
{
    const size_t count = value->elements.count;
    *floats = NULL;
    RETURN_IF_ERROR(lstm__onnx_spend(import, count, sizeof **floats));
    *floats = lstm__onnx_allocate(import->graph, count + 1, sizeof **floats);
    if (!*floats)
        return lstm__fail_memory(count * sizeof **floats, "a constant of the ONNX file");
    lstm__read_floats(&value->elements, *floats);
    for (size_t k = 0; k < count; k++)
        if (!isfinite((*floats)[k]))
            return lstm__fail(LSTM_ERROR_NUMERIC, "a constant whose value %zu is not finite", k);
    return LSTM_OK;
}

lstm_status lstm__onnx_read_integers(const lstm__onnx_node *node, const lstm__onnx_value *value,
                                     int64_t *numbers, int capacity, int *count)
{
    *count = 0;
    if (!lstm__onnx_is_constant(value))
        return lstm__onnx_refuse(node, "an input that has to be constant is not");
    if (value->elements.count > (size_t)capacity)
        return lstm__onnx_refuse(node, "a constant of %zu whole numbers: expected at most %d",
                                 value->elements.count, capacity);
    for (size_t k = 0; k < value->elements.count; k++) {
        lstm__elements one = value->elements;
        one.bytes += k * one.stride;
        one.count = 1;
        if (one.kind == LSTM__I64) {
            memcpy(&numbers[k], one.bytes, sizeof numbers[k]);
            continue;
        }
        double number = 0;
        lstm__read_doubles(&one, &number);
        if (!(fabs(number) < 9e15) || number != floor(number))
            return lstm__onnx_refuse(node, "constant %zu is %g: expected a whole number", k,
                                     number);
        numbers[k] = (int64_t)number;
    }
    *count = (int)value->elements.count;
    return LSTM_OK;
}

/* ---- Axes */

int lstm__onnx_axis(const lstm__onnx_value *value, int kind)
{
    for (int k = 0; k < value->rank; k++)
        if (value->axis[k] == kind)
            return k;
    return -1;
}

const char *lstm__onnx_describe(const lstm__onnx_value *value, char text[160])
{
    static const char *const names[] = {"?",          "one",      "batch",       "steps",
                                        "directions", "features", "batch*steps", "steps*batch"};
    size_t used = (size_t)snprintf(text, 160, "(");
    for (int k = 0; k < value->rank; k++) {
        const bool free_size = value->axis[k] == LSTM__AXIS_BATCH ||
                               value->shape[k] == LSTM__ONNX_PROBE_STEPS;
        used += (size_t)snprintf(text + used, 160 - used, "%s%s", k ? ", " : "",
                                 value->kind == LSTM__VALUE_LAYERS ? names[value->axis[k]] : "");
        if (!free_size && used < 120)
            used += (size_t)snprintf(text + used, 160 - used, " %lld", (long long)value->shape[k]);
        if (used > 120)
            break;
    }
    snprintf(text + used, 160 - used, ")");
    return text;
}

lstm_status lstm__onnx_normalize_axis(const lstm__onnx_node *node, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank)
        return lstm__onnx_refuse(node, "axis %lld of a value of %d axes", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return LSTM_OK;
}

/* ---- Layers */

/* A name that is not taken: the node's, with a number behind it if there are several, else NULL. */
static const char *name_for(const lstm__onnx_import *import, char name[LSTM__NAME_SIZE])
{
    const char *own = import->node ? import->node->name : "";
    while (*own == '/')
        own++;
    const size_t length = strlen(own);
    if (length == 0 || length > 100)
        return NULL;
    snprintf(name, LSTM__NAME_SIZE, "%s", own);
    for (int number = 1; lstm__graph_find(import->model, name); number++) {
        if (number > 100)
            return NULL;
        snprintf(name, LSTM__NAME_SIZE, "%.100s_%d", own, number);
    }
    return name;
}

lstm_status lstm__onnx_add(lstm__onnx_import *import, const lstm__layer_class *class,
                           const void *options, const lstm_layer *const *inputs, int count,
                           lstm_layer **out)
{
    char name[LSTM__NAME_SIZE];
    if (import->model->node_count >= MOST_LAYERS)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "more than %d layers", (int)MOST_LAYERS);
    return lstm__graph_add(import->model, class, options, name_for(import, name), inputs, count,
                           out);
}

lstm_status lstm__onnx_assign(lstm__onnx_import *import, const lstm_layer *layer, size_t parameter,
                              const float *values, size_t count)
{
    RETURN_IF_ERROR(lstm__grow(import->graph->context, (void **)&import->assignments,
                               &import->assignment_capacity, import->assignment_count + 1,
                               sizeof *import->assignments));
    import->assignments[import->assignment_count++] = (lstm__onnx_assignment){
        layer->node, parameter, values, count};
    return LSTM_OK;
}

lstm_status lstm__onnx_set_parts(lstm__onnx_import *import, lstm__onnx_value *out, int count,
                                 const lstm__onnx_part *parts)
{
    if (count < 1 || count > LSTM__ONNX_PARTS)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%d layers side by side: expected 1 to %d", count,
                          (int)LSTM__ONNX_PARTS);
    lstm__onnx_part *own = lstm__onnx_allocate(import->graph, (size_t)count, sizeof *own);
    if (!own)
        return lstm__fail_memory((size_t)count * sizeof *own, "a value of the ONNX file");
    memcpy(own, parts, (size_t)count * sizeof *own);
    out->kind = LSTM__VALUE_LAYERS;
    out->parts = own;
    out->part_count = count;
    return LSTM_OK;
}

/* Two directions of one layer, concatenated, are a Bidirectional. */
static bool is_bidirectional(const lstm__onnx_value *value)
{
    return value->part_count == 2 && !value->parts[0].turned && value->parts[1].turned &&
           value->parts[0].layer->port == 0 && value->parts[1].layer->port == 0 &&
           value->parts[0].layer->node->class == value->parts[1].layer->node->class;
}

static lstm_status turn(lstm__onnx_import *import, lstm__onnx_part *part)
{
    const lstm_combine_options options = {.struct_size = sizeof options};
    lstm_layer *layer = NULL;
    if (!part->turned)
        return LSTM_OK;
    RETURN_IF_ERROR(
        lstm__onnx_add(import, &lstm__class_reverse, &options, &part->layer, 1, &layer));
    *part = (lstm__onnx_part){layer, false};
    return LSTM_OK;
}

lstm_status lstm__onnx_join(lstm__onnx_import *import, lstm__onnx_value *value,
                            const lstm_layer **layer)
{
    lstm_layer *joined = NULL;
    if (value->kind != LSTM__VALUE_LAYERS)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "reads %s where a value that depends on the inputs is expected",
                          value->kind == LSTM__VALUE_CONSTANT ? "a constant" : "lengths");
    if (value->part_count == 1) {
        RETURN_IF_ERROR(turn(import, value->parts));
        *layer = value->parts[0].layer;
        return LSTM_OK;
    }
    const lstm_layer *inputs[LSTM__ONNX_PARTS];
    if (is_bidirectional(value)) {
        const lstm_bidirectional_options options = {.struct_size = sizeof options,
                                                    .merge_mode = LSTM_MERGE_CONCAT};
        inputs[0] = value->parts[0].layer;
        inputs[1] = value->parts[1].layer;
        RETURN_IF_ERROR(
            lstm__onnx_add(import, &lstm__class_bidirectional, &options, inputs, 2, &joined));
    } else {
        const lstm_combine_options options = {.struct_size = sizeof options};
        for (int k = 0; k < value->part_count; k++) {
            RETURN_IF_ERROR(turn(import, &value->parts[k]));
            inputs[k] = value->parts[k].layer;
        }
        RETURN_IF_ERROR(lstm__onnx_add(import, &lstm__class_concatenate, &options, inputs,
                                       value->part_count, &joined));
    }
    /* a value without an axis of parts is this one layer from now on */
    if (lstm__onnx_axis(value, LSTM__AXIS_PART) < 0) {
        value->parts[0] = (lstm__onnx_part){joined, false};
        value->part_count = 1;
    }
    *layer = joined;
    return LSTM_OK;
}

lstm_status lstm__onnx_set_layer(lstm__onnx_import *import, lstm__onnx_value *out,
                                 const lstm__onnx_value *like, const lstm_layer *layer)
{
    const lstm__onnx_part part = {layer, false};
    const lstm__onnx_value copy = *like;
    const int features = lstm__onnx_axis(like, LSTM__AXIS_FEATURE);
    const int64_t count = layer->node->shapes[layer->port].features;
    out->rank = copy.rank;
    memcpy(out->shape, copy.shape, sizeof out->shape);
    memcpy(out->axis, copy.axis, sizeof out->axis);
    out->is_state = false;
    if (features >= 0)
        out->shape[features] = count;
    else if (count != 1)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%lld features where there is no axis for them",
                          (long long)count);
    return lstm__onnx_set_parts(import, out, 1, &part);
}
