/* SPDX-License-Identifier: MIT
 *
 * Products, sums, activations, normalisation and means of ONNX as our layers.
 *
 * MatMul and the Add of a vector behind it are one Dense layer. Any other sum, difference, product
 * or quotient with a constant is a BatchNormalization that never changes its statistics, mean 0 and
 * variance 1: y = gamma x + beta.
 */
#include "checked.h"
#include "onnx_activations.h"
#include "onnx_constants.h"
#include "onnx_shapes.h"

#include <string.h>

/* ---- Dense */

/* Dense on the last axis of `value`: kernel [inputs][units], bias NULL = none. */
static lstm_status dense(lstm__onnx_import *import, const lstm__onnx_node *node,
                         lstm__onnx_value *value, const float *kernel, int64_t inputs,
                         int64_t units, const float *bias, lstm__onnx_value *out)
{
    const lstm_dense_options options = {
        .struct_size = sizeof options, .units = units, .use_bias = bias ? LSTM_YES : LSTM_NO};
    const lstm_layer *layer = NULL;
    lstm_layer *added = NULL;
    char text[160];
    size_t count = 0;
    if (value->rank > 0)
        lstm__onnx_name_feature(value, value->rank - 1);
    if (value->rank < 1 || value->axis[value->rank - 1] != LSTM__AXIS_FEATURE ||
        lstm__onnx_axis(value, LSTM__AXIS_PART) >= 0 || value->shape[value->rank - 1] != inputs)
        return lstm__onnx_refuse(node,
                                 "a product of %s with a matrix of %lld rows: expected the "
                                 "features in the last axis",
                                 lstm__onnx_describe(value, text), (long long)inputs);
    RETURN_IF_ERROR(lstm__onnx_join(import, value, &layer));
    const lstm__onnx_value like = *value;
    RETURN_IF_ERROR(lstm__onnx_add(import, &lstm__class_dense, &options, &layer, 1, &added));
    if (!lstm__mul((size_t)inputs, (size_t)units, &count))
        count = 0;
    RETURN_IF_ERROR(lstm__onnx_assign(import, added, 0, kernel, count));
    if (bias)
        RETURN_IF_ERROR(lstm__onnx_assign(import, added, 1, bias, (size_t)units));
    return lstm__onnx_set_layer(import, out, &like, added);
}

/* A constant as a row of `units` numbers: one for all, or one each. NULL = it is none. */
static lstm_status row_of(lstm__onnx_import *import, const lstm__onnx_value *value, int64_t units,
                          float **row)
{
    float *values = NULL;
    const size_t count = lstm__onnx_count(value);
    *row = NULL;
    if ((count != 1 && count != (size_t)units) ||
        (count > 1 && (value->rank == 0 || value->shape[value->rank - 1] != units)))
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__onnx_read_floats(import, value, &values));
    if (count == (size_t)units) {
        *row = values;
        return LSTM_OK;
    }
    *row = lstm__onnx_allocate(import->graph, (size_t)units, sizeof **row);
    if (!*row)
        return lstm__fail_memory((size_t)units * sizeof **row, "a constant of the ONNX file");
    for (int64_t k = 0; k < units; k++)
        (*row)[k] = values[0];
    return LSTM_OK;
}

/* The Add of a constant row that alone reads the result of `node`; it is marked as done. */
static lstm_status bias_behind(lstm__onnx_import *import, const lstm__onnx_node *node,
                               int64_t units, float **bias, lstm__onnx_value **out)
{
    const int name = node->outputs[0];
    const lstm__onnx_graph *graph = import->graph;
    *bias = NULL;
    if (import->readers[name] != 1)
        return LSTM_OK;
    const int reader = import->single_readers[name];
    if (reader < 0)
        return LSTM_OK;
    const lstm__onnx_node *next = &graph->nodes[reader];
    if (strcmp(next->op, "Add") != 0 || next->input_count != 2 || next->domain[0])
        return LSTM_OK;
    const lstm__onnx_value *other = lstm__onnx_input(import, next, next->inputs[0] == name ? 1 : 0);
    if (!lstm__onnx_is_constant(other) || !lstm__onnx_output(import, next, 0) ||
        (other->rank > 1 && lstm__onnx_count(other) != (size_t)units))
        return LSTM_OK;
    RETURN_IF_ERROR(row_of(import, other, units, bias));
    if (*bias) {
        *out = lstm__onnx_output(import, next, 0);
        import->done[reader] = true;
    }
    return LSTM_OK;
}

static lstm_status matmul(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    const lstm__onnx_value *matrix = lstm__onnx_input(import, node, 1);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    float *kernel = NULL;
    float *bias = NULL;
    if (!out)
        return LSTM_OK;
    if (!lstm__onnx_is_layers(value) || !lstm__onnx_is_constant(matrix) || matrix->rank != 2)
        return lstm__onnx_refuse(node, "of two values that both depend on the inputs, or of a "
                                       "constant in front: expected a constant matrix behind");
    const int64_t units = matrix->shape[1];
    RETURN_IF_ERROR(lstm__onnx_read_floats(import, matrix, &kernel));
    RETURN_IF_ERROR(bias_behind(import, node, units, &bias, &out));
    return dense(import, node, value, kernel, matrix->shape[0], units, bias, out);
}

static lstm_status gemm(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    static const char *const known[] = {"alpha", "beta", "transA", "transB", NULL};
    lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    const lstm__onnx_value *matrix = lstm__onnx_input(import, node, 1);
    const lstm__onnx_value *row = lstm__onnx_input(import, node, 2);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    float alpha = 1;
    float beta = 1;
    int64_t flags[2] = {0};
    float *values = NULL;
    float *bias = NULL;
    if (!out)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__onnx_check_attributes(node, known));
    RETURN_IF_ERROR(lstm__onnx_float(node, "alpha", &alpha));
    RETURN_IF_ERROR(lstm__onnx_float(node, "beta", &beta));
    RETURN_IF_ERROR(lstm__onnx_int(node, "transA", &flags[0]));
    RETURN_IF_ERROR(lstm__onnx_int(node, "transB", &flags[1]));
    if (!lstm__onnx_is_layers(value) || !lstm__onnx_is_constant(matrix) || matrix->rank != 2 ||
        flags[0] || value->rank != 2 || (row && !lstm__onnx_is_constant(row)))
        return lstm__onnx_refuse(node, "expected (rows, features) times a constant matrix plus a "
                                       "constant, without transA");
    const int64_t units = matrix->shape[flags[1] ? 0 : 1];
    const int64_t inputs = matrix->shape[flags[1] ? 1 : 0];
    RETURN_IF_ERROR(lstm__onnx_read_floats(import, matrix, &values));
    float *kernel = lstm__onnx_allocate(import->graph, lstm__onnx_count(matrix), sizeof *kernel);
    if (!kernel)
        return lstm__fail_memory(lstm__onnx_count(matrix) * sizeof *kernel, "a kernel");
    for (int64_t i = 0; i < inputs; i++)
        for (int64_t u = 0; u < units; u++)
            kernel[i * units + u] = alpha * values[flags[1] ? u * inputs + i : i * units + u];
    if (row) {
        RETURN_IF_ERROR(row_of(import, row, units, &bias));
        if (!bias)
            return lstm__onnx_refuse(node, "C has %zu numbers: expected 1 or %lld",
                                     lstm__onnx_count(row), (long long)units);
        for (int64_t u = 0; u < units && beta != 1; u++)
            bias[u] *= beta;
    }
    return dense(import, node, value, kernel, inputs, units, bias, out);
}

/* ---- Sums, products … */

static const lstm__layer_class *combine_class(const char *op)
{
    if (strcmp(op, "Add") == 0 || strcmp(op, "Sum") == 0)
        return &lstm__class_add;
    if (strcmp(op, "Sub") == 0)
        return &lstm__class_subtract;
    if (strcmp(op, "Mul") == 0)
        return &lstm__class_multiply;
    if (strcmp(op, "Max") == 0)
        return &lstm__class_maximum;
    if (strcmp(op, "Mean") == 0)
        return &lstm__class_average;
    return NULL;
}

static lstm_status combine(lstm__onnx_import *import, const lstm__onnx_node *node,
                           lstm__onnx_value *out)
{
    const lstm_combine_options options = {.struct_size = sizeof options};
    const lstm__layer_class *class = combine_class(node->op);
    const lstm__onnx_value *first = lstm__onnx_input(import, node, 0);
    const lstm_layer *layers[LSTM__ONNX_PORTS];
    lstm_layer *added = NULL;
    char text[2][160];
    if (!class)
        return lstm__onnx_refuse(node, "of two values that both depend on the inputs");
    const lstm__onnx_value like = *first;
    for (int k = 0; k < node->input_count; k++) {
        lstm__onnx_value *value = lstm__onnx_input(import, node, k);
        bool same = lstm__onnx_is_layers(value) && value->rank == like.rank;
        for (int axis = 0; same && axis < like.rank; axis++)
            same = value->axis[axis] == like.axis[axis] && value->shape[axis] == like.shape[axis];
        if (!same)
            return lstm__onnx_refuse(node, "of %s and %s: expected values of one shape",
                                     lstm__onnx_describe(&like, text[0]),
                                     value ? lstm__onnx_describe(value, text[1]) : "nothing");
        RETURN_IF_ERROR(lstm__onnx_join(import, value, &layers[k]));
    }
    RETURN_IF_ERROR(lstm__onnx_add(import, class, &options, layers, node->input_count, &added));
    *out = like;
    const lstm__onnx_part part = {added, false};
    return lstm__onnx_set_parts(import, out, 1, &part);
}

/* y = gamma x + beta for each feature. */
static lstm_status affine(lstm__onnx_import *import, const lstm__onnx_value *value,
                          const float *gamma, const float *beta, lstm__onnx_value *out)
{
    const lstm_batch_normalization_options options = {
        .struct_size = sizeof options, .epsilon = -1, .fixed_statistics = LSTM_YES};
    lstm__onnx_value copy = *value;
    const lstm_layer *layer = NULL;
    lstm_layer *added = NULL;
    RETURN_IF_ERROR(lstm__onnx_join(import, &copy, &layer));
    const size_t features = (size_t)layer->node->shapes[layer->port].features;
    float *ones = lstm__onnx_allocate(import->graph, 2 * features, sizeof *ones);
    if (!ones)
        return lstm__fail_memory(2 * features * sizeof *ones, "a constant of the ONNX file");
    for (size_t k = 0; k < features; k++)
        ones[k] = 1;
    RETURN_IF_ERROR(
        lstm__onnx_add(import, &lstm__class_batch_normalization, &options, &layer, 1, &added));
    RETURN_IF_ERROR(lstm__onnx_assign(import, added, 0, gamma, features));
    RETURN_IF_ERROR(lstm__onnx_assign(import, added, 1, beta, features));
    RETURN_IF_ERROR(lstm__onnx_assign(import, added, 2, ones + features, features));
    RETURN_IF_ERROR(lstm__onnx_assign(import, added, 3, ones, features));
    *out = *value;
    const lstm__onnx_part part = {added, false};
    return lstm__onnx_set_parts(import, out, 1, &part);
}

/* A constant's number for each feature of a value, if it is the same along all other axes. */
static lstm_status per_feature(lstm__onnx_import *import, const lstm__onnx_node *node,
                               const lstm__onnx_value *value, const lstm__onnx_value *constant,
                               int64_t features, float **row)
{
    const int place = lstm__onnx_axis(value, LSTM__AXIS_FEATURE);
    lstm__onnx_value flat = *constant;
    char text[160];
    *row = NULL;
    bool fits = constant->rank <= value->rank && lstm__onnx_axis(value, LSTM__AXIS_PART) < 0;
    for (int k = 0; fits && k < constant->rank; k++)
        fits = constant->shape[k] == 1 || k + value->rank - constant->rank == place;
    flat.rank = 1;
    flat.shape[0] = (int64_t)lstm__onnx_count(constant);
    if (fits)
        RETURN_IF_ERROR(row_of(import, &flat, features, row));
    if (*row)
        return LSTM_OK;
    return lstm__onnx_refuse(node,
                             "of %s and a constant that is not one number, or one for each "
                             "feature",
                             lstm__onnx_describe(value, text));
}

static lstm_status with_constant(lstm__onnx_import *import, const lstm__onnx_node *node,
                                 lstm__onnx_value *out)
{
    const bool first = lstm__onnx_is_layers(lstm__onnx_input(import, node, 0));
    const lstm__onnx_value *value = lstm__onnx_input(import, node, first ? 0 : 1);
    const lstm__onnx_value *constant = lstm__onnx_input(import, node, first ? 1 : 0);
    const int place = lstm__onnx_axis(value, LSTM__AXIS_FEATURE);
    const int64_t features = place < 0 ? 1 : value->shape[place];
    float *row = NULL;
    const char op = node->op[0];
    RETURN_IF_ERROR(per_feature(import, node, value, constant, features, &row));
    float *gamma = lstm__onnx_allocate(import->graph, 2 * (size_t)features, sizeof *gamma);
    if (!gamma)
        return lstm__fail_memory(2 * (size_t)features * sizeof *gamma, "a constant");
    float *beta = gamma + features;
    bool changes = false;
    for (int64_t k = 0; k < features; k++) {
        gamma[k] = 1;
        if (strcmp(node->op, "Mul") == 0)
            gamma[k] = row[k];
        else if (strcmp(node->op, "Div") == 0 && first && row[k] != 0)
            gamma[k] = 1 / row[k];
        else if (op == 'A' || strcmp(node->op, "Sum") == 0)
            beta[k] = row[k];
        else if (strcmp(node->op, "Sub") == 0) {
            gamma[k] = first ? 1 : -1;
            beta[k] = first ? -row[k] : row[k];
        } else {
            return lstm__onnx_refuse(node, "with a constant%s", first ? "" : " in front");
        }
        changes = changes || gamma[k] != 1 || beta[k] != 0;
    }
    if (!changes) {
        *out = *value;
        return LSTM_OK;
    }
    return affine(import, value, gamma, beta, out);
}

static lstm_status arithmetic(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    int constants = 0;
    int layers = 0;
    if (!out)
        return LSTM_OK;
    for (int k = 0; k < node->input_count; k++) {
        constants += lstm__onnx_is_constant(lstm__onnx_input(import, node, k));
        layers += lstm__onnx_is_layers(lstm__onnx_input(import, node, k));
    }
    if (constants + layers != node->input_count || node->input_count < 1)
        return lstm__onnx_refuse(node, "an input is missing, or gives lengths");
    if (layers == 0)
        return lstm__onnx_fold(import, node);
    if (node->input_count == 1) {
        *out = *lstm__onnx_input(import, node, 0);
        return LSTM_OK;
    }
    if (layers == node->input_count)
        return combine(import, node, out);
    if (node->input_count != 2)
        return lstm__onnx_refuse(node, "of constants and other values together");
    return with_constant(import, node, out);
}

/* ---- Activations */

static lstm_status add_activation(lstm__onnx_import *import, lstm__onnx_value *value,
                                  lstm__onnx_choice choice, lstm__onnx_value *out)
{
    const lstm_activation_options options = {.struct_size = sizeof options,
                                             .activation = choice.kind,
                                             .alpha = choice.alpha,
                                             .beta = choice.beta};
    const lstm_layer *layer = NULL;
    lstm_layer *added = NULL;
    RETURN_IF_ERROR(lstm__onnx_join(import, value, &layer));
    RETURN_IF_ERROR(lstm__onnx_add(import, &lstm__class_activation, &options, &layer, 1, &added));
    *out = *value;
    const lstm__onnx_part part = {added, false};
    return lstm__onnx_set_parts(import, out, 1, &part);
}

static lstm_status activation(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    lstm__onnx_choice choice;
    if (!out)
        return LSTM_OK;
    if (!lstm__onnx_is_layers(value))
        return lstm__onnx_refuse(node, "of a constant");
    RETURN_IF_ERROR(lstm__onnx_read_activation(node, &choice));
    return add_activation(import, value, choice, out);
}

static lstm_status softmax(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    int64_t given = import->graph->opset >= 13 ? -1 : 1;
    int axis = 0;
    char text[160];
    if (!out)
        return LSTM_OK;
    if (!lstm__onnx_is_layers(value))
        return lstm__onnx_refuse(node, "of a constant");
    RETURN_IF_ERROR(lstm__onnx_int(node, "axis", &given));
    RETURN_IF_ERROR(lstm__onnx_normalize_axis(node, given, value->rank, &axis));
    if (value->axis[axis] != LSTM__AXIS_FEATURE || lstm__onnx_axis(value, LSTM__AXIS_PART) >= 0 ||
        (import->graph->opset < 13 && axis != value->rank - 1))
        return lstm__onnx_refuse(node, "along axis %d of %s: expected the features", axis,
                                 lstm__onnx_describe(value, text));
    const lstm__onnx_choice choice = {.kind = LSTM_ACTIVATION_SOFTMAX};
    return add_activation(import, value, choice, out);
}

/* ---- Normalisation */

/* A constant of one number a feature. */
static lstm_status vector(lstm__onnx_import *import, const lstm__onnx_node *node, int input,
                          int64_t features, float **values)
{
    const lstm__onnx_value *value = lstm__onnx_input(import, node, input);
    if (!lstm__onnx_is_constant(value) || value->rank != 1 || value->shape[0] != features)
        return lstm__onnx_refuse(node, "input %d: expected a constant of %lld numbers", input,
                                 (long long)features);
    return lstm__onnx_read_floats(import, value, values);
}

static lstm_status layer_normalization(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    const bool center = lstm__onnx_input(import, node, 2) != NULL;
    lstm_layer_normalization_options options = {
        .struct_size = sizeof options, .center = center ? LSTM_YES : LSTM_NO, .epsilon = 1e-5f};
    const lstm_layer *layer = NULL;
    lstm_layer *added = NULL;
    float *values[2] = {NULL, NULL};
    int64_t given = -1;
    int axis = 0;
    char text[160];
    if (!out)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__onnx_int(node, "axis", &given));
    RETURN_IF_ERROR(lstm__onnx_float(node, "epsilon", &options.epsilon));
    if (!lstm__onnx_is_layers(value))
        return lstm__onnx_refuse(node, "of a constant");
    RETURN_IF_ERROR(lstm__onnx_normalize_axis(node, given, value->rank, &axis));
    if (axis != value->rank - 1 || value->axis[axis] != LSTM__AXIS_FEATURE ||
        lstm__onnx_axis(value, LSTM__AXIS_PART) >= 0 || lstm__onnx_output(import, node, 1) ||
        lstm__onnx_output(import, node, 2))
        return lstm__onnx_refuse(node, "along axis %d of %s: expected the features alone", axis,
                                 lstm__onnx_describe(value, text));
    if (options.epsilon == 0)
        options.epsilon = -1;
    for (int k = 0; k < 1 + center; k++)
        RETURN_IF_ERROR(vector(import, node, k + 1, value->shape[axis], &values[k]));
    RETURN_IF_ERROR(lstm__onnx_join(import, value, &layer));
    RETURN_IF_ERROR(
        lstm__onnx_add(import, &lstm__class_layer_normalization, &options, &layer, 1, &added));
    for (int k = 0; k < 1 + center; k++)
        RETURN_IF_ERROR(
            lstm__onnx_assign(import, added, (size_t)k, values[k], (size_t)value->shape[axis]));
    return lstm__onnx_set_layer(import, out, value, added);
}

static lstm_status batch_normalization(lstm__onnx_import *import, const lstm__onnx_node *node)
{
    lstm__onnx_value *value = lstm__onnx_input(import, node, 0);
    lstm__onnx_value *out = lstm__onnx_output(import, node, 0);
    lstm_batch_normalization_options options = {.struct_size = sizeof options, .epsilon = 1e-5f};
    const lstm_layer *layer = NULL;
    lstm_layer *added = NULL;
    float *values[4];
    int64_t training = 0;
    char text[160];
    if (!out)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__onnx_float(node, "epsilon", &options.epsilon));
    RETURN_IF_ERROR(lstm__onnx_float(node, "momentum", &options.momentum));
    RETURN_IF_ERROR(lstm__onnx_int(node, "training_mode", &training));
    if (training)
        return lstm__onnx_refuse(node, "training_mode is 1: expected 0");
    if (!lstm__onnx_is_layers(value) || value->rank < 2 || value->axis[1] != LSTM__AXIS_FEATURE ||
        lstm__onnx_axis(value, LSTM__AXIS_PART) >= 0)
        return lstm__onnx_refuse(node, "of %s: expected the features in axis 1",
                                 value ? lstm__onnx_describe(value, text) : "nothing");
    if (options.epsilon == 0)
        options.epsilon = -1;
    for (int k = 0; k < 4; k++)
        RETURN_IF_ERROR(vector(import, node, k + 1, value->shape[1], &values[k]));
    RETURN_IF_ERROR(lstm__onnx_join(import, value, &layer));
    RETURN_IF_ERROR(
        lstm__onnx_add(import, &lstm__class_batch_normalization, &options, &layer, 1, &added));
    for (int k = 0; k < 4; k++)
        RETURN_IF_ERROR(
            lstm__onnx_assign(import, added, (size_t)k, values[k], (size_t)value->shape[1]));
    return lstm__onnx_set_layer(import, out, value, added);
}

const lstm__onnx_operator lstm__onnx_layer_operators[] = {
    {"MatMul", matmul},
    {"Gemm", gemm},
    {"Add", arithmetic},
    {"Sub", arithmetic},
    {"Mul", arithmetic},
    {"Div", arithmetic},
    {"Sum", arithmetic},
    {"Max", arithmetic},
    {"Min", arithmetic},
    {"Mean", arithmetic},
    {"Sigmoid", activation},
    {"Tanh", activation},
    {"Relu", activation},
    {"Softsign", activation},
    {"Softplus", activation},
    {"Exp", activation},
    {"Elu", activation},
    {"HardSigmoid", activation},
    {"LeakyRelu", activation},
    {"ThresholdedRelu", activation},
    {"Softmax", softmax},
    {"LayerNormalization", layer_normalization},
    {"BatchNormalization", batch_normalization},
    {NULL, NULL},
};
