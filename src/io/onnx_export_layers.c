/* SPDX-License-Identifier: MIT
 * Everything but recurrent layers as nodes of ONNX; one function a class, found in a table.
 */
#include "activation.h"
#include "onnx_export.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static lstm__shape input_shape(const lstm__node *node)
{
    return node->inputs[0]->node->shapes[node->inputs[0]->port];
}

static const char *input_name(const lstm__node *node, int k, char name[LSTM__ONNX_NAME])
{
    return lstm__onnx_value_name(node->inputs[k], name);
}

/* Training only: nothing at all. */
static lstm_status identity(lstm__onnx_export *x, const lstm__node *node)
{
    char input[LSTM__ONNX_NAME];
    lstm__onnx_simple(x, node, "Identity", input_name(node, 0, input), NULL, node->name);
    return LSTM_OK;
}

static lstm_status activation(lstm__onnx_export *x, const lstm__node *node)
{
    char input[LSTM__ONNX_NAME];
    const lstm_activation_options *own = node->options;
    return lstm__onnx_activate(x, node, lstm__activation_of(own->activation, own->alpha, own->beta),
                               input_name(node, 0, input), node->name);
}

/* An activation behind a node whose own value is then called NAME:linear. */
static const char *before_activation(const lstm__node *node, int32_t activation_of,
                                     char name[LSTM__ONNX_NAME])
{
    if (activation_of == LSTM_ACTIVATION_LINEAR) {
        snprintf(name, LSTM__ONNX_NAME, "%s", node->name);
        return name;
    }
    return lstm__onnx_between(node, "linear", name);
}

static lstm_status after(lstm__onnx_export *x, const lstm__node *node, int32_t activation_of,
                         const char *from)
{
    lstm__node unnamed = *node;
    unnamed.name[0] = 0;
    return activation_of == LSTM_ACTIVATION_LINEAR
               ? LSTM_OK
               : lstm__onnx_activate(x, &unnamed, lstm__activation_of(activation_of, 0, 0), from,
                                     node->name);
}

static lstm_status dense(lstm__onnx_export *x, const lstm__node *node)
{
    const lstm_dense_options *own = node->options;
    const bool bias = own->use_bias == LSTM_YES;
    char input[LSTM__ONNX_NAME];
    char kernel[LSTM__ONNX_NAME];
    char row[LSTM__ONNX_NAME];
    char product[LSTM__ONNX_NAME];
    char sum[LSTM__ONNX_NAME];
    before_activation(node, own->activation, sum);
    lstm__onnx_floats_out(x, node, "kernel", 2,
                          (const int64_t[]){input_shape(node).features, own->units},
                          lstm__stored(node, 0), kernel);
    lstm__onnx_between(node, "product", product);
    lstm__onnx_simple(x, node, "MatMul", input_name(node, 0, input), kernel, bias ? product : sum);
    if (bias) {
        lstm__onnx_floats_out(x, node, "bias", 1, (const int64_t[]){own->units},
                              lstm__stored(node, 1), row);
        lstm__onnx_simple(x, NULL, "Add", product, row, sum);
    }
    return after(x, node, own->activation, sum);
}

static lstm_status embedding(lstm__onnx_export *x, const lstm__node *node)
{
    const lstm_embedding_options *own = node->options;
    char input[LSTM__ONNX_NAME];
    char table[LSTM__ONNX_NAME];
    lstm__onnx_floats_out(x, node, "embeddings", 2,
                          (const int64_t[]){own->input_dim, own->output_dim}, lstm__stored(node, 0),
                          table);
    lstm__onnx_simple(x, node, "Gather", table, input_name(node, 0, input), node->name);
    return LSTM_OK;
}

/* ---- Several inputs */

static lstm_status combine(lstm__onnx_export *x, const lstm__node *node, const char *op)
{
    char names[LSTM__INPUTS][LSTM__ONNX_NAME];
    const char *inputs[LSTM__INPUTS + 1] = {NULL};
    const char *outputs[] = {node->name, NULL};
    for (int k = 0; k < node->input_count; k++)
        inputs[k] = input_name(node, k, names[k]);
    lstm__onnx_node_open(&x->w, op, node->name, inputs, outputs);
    if (strcmp(op, "Concat") == 0)
        lstm__onnx_node_int(&x->w, "axis", -1);
    lstm__onnx_node_close(&x->w);
    return LSTM_OK;
}

static lstm_status combined(lstm__onnx_export *x, const lstm__node *node)
{
    const struct {
        const lstm__layer_class *class;
        const char *op;
    } table[] = {{&lstm__class_add, "Sum"},
                 {&lstm__class_subtract, "Sub"},
                 {&lstm__class_average, "Mean"},
                 {&lstm__class_maximum, "Max"},
                 {&lstm__class_concatenate, "Concat"}};
    for (size_t k = 0; k < sizeof table / sizeof table[0]; k++)
        if (node->class == table[k].class)
            return combine(x, node, table[k].op);
    /* Mul takes two */
    char left[LSTM__ONNX_NAME];
    char right[LSTM__ONNX_NAME];
    char out[LSTM__ONNX_NAME];
    input_name(node, 0, left);
    for (int k = 1; k < node->input_count; k++) {
        char word[32];
        const bool last = k == node->input_count - 1;
        snprintf(word, sizeof word, "product%d", k);
        lstm__onnx_between(node, word, out);
        lstm__onnx_simple(x, last ? node : NULL, "Mul", left, input_name(node, k, right),
                          last ? node->name : out);
        snprintf(left, sizeof left, "%s", out);
    }
    return LSTM_OK;
}

/* The output of one direction in the order of time. */
static const char *in_time(const lstm__node *node, int k, char name[LSTM__ONNX_NAME])
{
    const lstm_layer *layer = node->inputs[k];
    return k == 1 && layer->node->shapes[0].steps != 0
               ? lstm__onnx_between(layer->node, "time", name)
               : lstm__onnx_value_name(layer, name);
}

static lstm_status bidirectional(lstm__onnx_export *x, const lstm__node *node)
{
    const lstm_bidirectional_options *own = node->options;
    char names[2][LSTM__ONNX_NAME];
    char other[LSTM__ONNX_NAME];
    const char *inputs[] = {in_time(node, 0, names[0]), in_time(node, 1, names[1]), NULL};
    const char *outputs[] = {node->name, NULL};
    static const char *const ops[] = {"", "Concat", "Sum", "Mul", "Mean"};
    if (own->merge_mode == LSTM_MERGE_NONE) {
        lstm__onnx_simple(x, node, "Identity", inputs[0], NULL, node->name);
        lstm__onnx_simple(x, NULL, "Identity", inputs[1], NULL,
                          lstm__onnx_value_name(&node->ports[1], other));
        return LSTM_OK;
    }
    lstm__onnx_node_open(&x->w, ops[own->merge_mode], node->name, inputs, outputs);
    if (own->merge_mode == LSTM_MERGE_CONCAT)
        lstm__onnx_node_int(&x->w, "axis", -1);
    lstm__onnx_node_close(&x->w);
    return LSTM_OK;
}

/* ---- Normalisation */

/* A vector of one number a feature: a parameter, or the same everywhere. */
static lstm_status vector(lstm__onnx_export *x, const lstm__node *node, const char *what,
                          const float *values, float standard, char name[LSTM__ONNX_NAME])
{
    const int64_t features = node->shapes[0].features;
    float *own = NULL;
    if (!values) {
        own = lstm__allocate_array(x->model->context, (size_t)features, sizeof *own);
        if (!own)
            return lstm__fail_memory((size_t)features * sizeof *own, "the ONNX file");
        for (int64_t k = 0; k < features; k++)
            own[k] = standard;
    }
    lstm__onnx_floats_out(x, node, what, 1, (const int64_t[]){features}, values ? values : own,
                          name);
    lstm__release(x->model->context, own);
    return LSTM_OK;
}

static lstm_status layer_normalization(lstm__onnx_export *x, const lstm__node *node)
{
    const lstm_layer_normalization_options *own = node->options;
    const bool scale = own->scale == LSTM_YES;
    const bool center = own->center == LSTM_YES;
    char input[LSTM__ONNX_NAME];
    char names[2][LSTM__ONNX_NAME];
    RETURN_IF_ERROR(vector(x, node, "gamma", scale ? lstm__stored(node, 0) : NULL, 1, names[0]));
    if (center)
        RETURN_IF_ERROR(vector(x, node, "beta", lstm__stored(node, scale), 0, names[1]));
    const char *inputs[] = {input_name(node, 0, input), names[0], center ? names[1] : NULL, NULL};
    const char *outputs[] = {node->name, NULL};
    lstm__onnx_node_open(&x->w, "LayerNormalization", node->name, inputs, outputs);
    lstm__onnx_node_int(&x->w, "axis", -1);
    lstm__onnx_node_float(&x->w, "epsilon", own->epsilon < 0 ? 0 : own->epsilon);
    lstm__onnx_node_close(&x->w);
    return LSTM_OK;
}

/* Steps last before `op`, and back behind it; a convolution sees zeros where a mask leaves steps
 * out. */
static const char *steps_last(lstm__onnx_export *x, const lstm__node *node,
                              char name[LSTM__ONNX_NAME])
{
    static const int64_t order[] = {0, 2, 1};
    char input[LSTM__ONNX_NAME];
    char mask[LSTM__ONNX_NAME];
    const char *from = input_name(node, 0, input);
    if (node->class == &lstm__class_conv1d &&
        ((const lstm_conv1d_options *)node->options)->ignore_mask != LSTM_YES)
        from = lstm__onnx_masked(x, node, from, lstm__onnx_mask(x, node->inputs[0], mask));
    lstm__onnx_between(node, "steps_last", name);
    lstm__onnx_transpose(x, NULL, from, name, order, 3);
    return name;
}

static void steps_first(lstm__onnx_export *x, const char *from, const char *to)
{
    static const int64_t order[] = {0, 2, 1};
    lstm__onnx_transpose(x, NULL, from, to, order, 3);
}

static lstm_status batch_normalization(lstm__onnx_export *x, const lstm__node *node)
{
    const lstm_batch_normalization_options *own = node->options;
    const bool scale = own->scale == LSTM_YES;
    const bool center = own->center == LSTM_YES;
    const bool sequence = node->shapes[0].steps != 0;
    const size_t mean = (size_t)scale + center;
    char input[LSTM__ONNX_NAME];
    char out[LSTM__ONNX_NAME];
    char names[4][LSTM__ONNX_NAME];
    RETURN_IF_ERROR(vector(x, node, "gamma", scale ? lstm__stored(node, 0) : NULL, 1, names[0]));
    RETURN_IF_ERROR(
        vector(x, node, "beta", center ? lstm__stored(node, scale) : NULL, 0, names[1]));
    RETURN_IF_ERROR(vector(x, node, "mean", lstm__stored(node, mean), 0, names[2]));
    RETURN_IF_ERROR(vector(x, node, "variance", lstm__stored(node, mean + 1), 1, names[3]));
    if (sequence)
        steps_last(x, node, input);
    else
        input_name(node, 0, input);
    lstm__onnx_between(node, "normalized", out);
    const char *inputs[] = {input, names[0], names[1], names[2], names[3], NULL};
    const char *outputs[] = {sequence ? out : node->name, NULL};
    lstm__onnx_node_open(&x->w, "BatchNormalization", node->name, inputs, outputs);
    lstm__onnx_node_float(&x->w, "epsilon", own->epsilon < 0 ? 0 : own->epsilon);
    lstm__onnx_node_close(&x->w);
    if (sequence)
        steps_first(x, out, node->name);
    return LSTM_OK;
}

/* ---- Along time */

static lstm_status global_pooling(lstm__onnx_export *x, const lstm__node *node)
{
    static const int64_t steps[] = {1};
    char input[LSTM__ONNX_NAME];
    char index[32];
    char mask[LSTM__ONNX_NAME];
    if (((const lstm_global_pooling_options *)node->options)->ignore_mask != LSTM_YES &&
        lstm__onnx_mask(x, node->inputs[0], mask))
        return lstm__onnx_export_masked_pooling(x, node, mask);
    input_name(node, 0, input);
    if (node->class == &lstm__class_last_step) {
        lstm__onnx_put_integers(&x->w, index, 0, (const int64_t[]){-1}, 1);
        lstm__onnx_open(x, node, "Gather", input, index, node->name);
        lstm__onnx_node_int(&x->w, "axis", 1);
        lstm__onnx_node_close(&x->w);
        return LSTM_OK;
    }
    lstm__onnx_open(x, node,
                    node->class == &lstm__class_global_max_pooling ? "ReduceMax" : "ReduceMean",
                    input, NULL, node->name);
    lstm__onnx_node_ints(&x->w, "axes", steps, 1);
    lstm__onnx_node_int(&x->w, "keepdims", 0);
    lstm__onnx_node_close(&x->w);
    return LSTM_OK;
}

static lstm_status pooling(lstm__onnx_export *x, const lstm__node *node)
{
    const lstm_pooling_options *own = node->options;
    char input[LSTM__ONNX_NAME];
    char out[LSTM__ONNX_NAME];
    steps_last(x, node, input);
    lstm__onnx_between(node, "pooled", out);
    lstm__onnx_open(x, node, node->class == &lstm__class_max_pooling ? "MaxPool" : "AveragePool",
                    input, NULL, out);
    lstm__onnx_node_ints(&x->w, "kernel_shape", &own->pool_size, 1);
    lstm__onnx_node_ints(&x->w, "strides", &own->strides, 1);
    if (own->padding == LSTM_PADDING_SAME)
        lstm__onnx_node_text(&x->w, "auto_pad", "SAME_UPPER");
    lstm__onnx_node_close(&x->w);
    steps_first(x, out, node->name);
    return LSTM_OK;
}

static lstm_status put_kernel(lstm__onnx_export *x, const lstm__node *node,
                              char name[LSTM__ONNX_NAME])
{
    const lstm_conv1d_options *own = node->options;
    const int64_t features = input_shape(node).features;
    const size_t count = (size_t)(own->kernel_size * features * own->filters);
    const float *stored = lstm__stored(node, 0); /* rows k, i (Keras) or i, k (PyTorch) */
    const bool torch = x->model->profile == LSTM_PROFILE_TORCH;
    const int64_t tap = torch ? 1 : features;
    const int64_t feature = torch ? own->kernel_size : 1;
    float *kernel = lstm__allocate_array(x->model->context, count, sizeof *kernel);
    if (!kernel)
        return lstm__fail_memory(count * sizeof *kernel, "the ONNX file");
    for (int64_t k = 0; k < own->kernel_size; k++)
        for (int64_t i = 0; i < features; i++)
            for (int64_t f = 0; f < own->filters; f++)
                kernel[(f * features + i) * own->kernel_size + k] =
                    stored[(k * tap + i * feature) * own->filters + f];
    lstm__onnx_floats_out(x, node, "kernel", 3,
                          (const int64_t[]){own->filters, features, own->kernel_size}, kernel,
                          name);
    lstm__release(x->model->context, kernel);
    return LSTM_OK;
}

static lstm_status conv1d(lstm__onnx_export *x, const lstm__node *node)
{
    const lstm_conv1d_options *own = node->options;
    const bool bias = own->use_bias == LSTM_YES;
    const int64_t reach = (own->kernel_size - 1) * own->dilation_rate;
    char input[LSTM__ONNX_NAME];
    char kernel[LSTM__ONNX_NAME];
    char row[LSTM__ONNX_NAME];
    char out[LSTM__ONNX_NAME];
    char linear[LSTM__ONNX_NAME];
    RETURN_IF_ERROR(put_kernel(x, node, kernel));
    if (bias)
        lstm__onnx_floats_out(x, node, "bias", 1, (const int64_t[]){own->filters},
                              lstm__stored(node, 1), row);
    const char *inputs[] = {steps_last(x, node, input), kernel, bias ? row : NULL, NULL};
    const char *outputs[] = {lstm__onnx_between(node, "convolved", out), NULL};
    lstm__onnx_node_open(&x->w, "Conv", node->name, inputs, outputs);
    lstm__onnx_node_ints(&x->w, "kernel_shape", &own->kernel_size, 1);
    lstm__onnx_node_ints(&x->w, "strides", &own->strides, 1);
    lstm__onnx_node_ints(&x->w, "dilations", &own->dilation_rate, 1);
    if (own->padding == LSTM_PADDING_CAUSAL && own->strides == 1)
        lstm__onnx_node_ints(&x->w, "pads", (const int64_t[]){reach, 0}, 2);
    else if (own->padding == LSTM_PADDING_SAME && own->strides == 1)
        lstm__onnx_node_ints(&x->w, "pads", (const int64_t[]){reach / 2, reach - reach / 2}, 2);
    else if (own->padding == LSTM_PADDING_SAME)
        lstm__onnx_node_text(&x->w, "auto_pad", "SAME_UPPER");
    lstm__onnx_node_close(&x->w);
    if (own->padding == LSTM_PADDING_CAUSAL && own->strides != 1)
        return lstm__onnx_cannot(node, "causal padding with strides as this version writes it");
    before_activation(node, own->activation, linear);
    steps_first(x, out, linear);
    return after(x, node, own->activation, linear);
}

static lstm_status reverse(lstm__onnx_export *x, const lstm__node *node)
{
    char input[LSTM__ONNX_NAME];
    lstm__onnx_turn(x, node, input_name(node, 0, input), node->name);
    return LSTM_OK;
}

/* ---- Shapes */

static lstm_status reshape(lstm__onnx_export *x, const lstm__node *node)
{
    const lstm__shape shape = node->shapes[0];
    const int64_t sequence[] = {-1, shape.steps, shape.features};
    const int64_t flat[] = {-1, shape.features};
    char input[LSTM__ONNX_NAME];
    char sizes[32];
    lstm__onnx_put_integers(&x->w, sizes, 1, shape.steps ? sequence : flat, shape.steps ? 3 : 2);
    lstm__onnx_simple(x, node, "Reshape", input_name(node, 0, input), sizes, node->name);
    return LSTM_OK;
}

static lstm_status repeat_vector(lstm__onnx_export *x, const lstm__node *node)
{
    const lstm_repeat_vector_options *own = node->options;
    char input[LSTM__ONNX_NAME];
    char wide[LSTM__ONNX_NAME];
    char axis[32];
    char sizes[32];
    lstm__onnx_put_integers(&x->w, axis, 1, (const int64_t[]){1}, 1);
    lstm__onnx_put_integers(&x->w, sizes, 1, (const int64_t[]){1, own->count, 1}, 3);
    lstm__onnx_between(node, "wide", wide);
    lstm__onnx_simple(x, NULL, "Unsqueeze", input_name(node, 0, input), axis, wide);
    lstm__onnx_simple(x, node, "Expand", wide, sizes, node->name);
    return LSTM_OK;
}

/* The values once for every sample of the batch. */
static lstm_status learned_vector(lstm__onnx_export *x, const lstm__node *node)
{
    const int64_t features = node->shapes[0].features;
    char values[LSTM__ONNX_NAME];
    lstm__onnx_floats_out(x, node, "values", 2, (const int64_t[]){1, features},
                          lstm__stored(node, 0), values);
    lstm__onnx_for_batch(x, node, values, features, node->name);
    return LSTM_OK;
}

lstm_status lstm__onnx_export_layer(lstm__onnx_export *x, const lstm__node *node)
{
    const struct {
        const lstm__layer_class *class;
        lstm_status (*put)(lstm__onnx_export *x, const lstm__node *node);
    } table[] = {
        {&lstm__class_dense, dense},
        {&lstm__class_dropout, identity},
        {&lstm__class_spatial_dropout, identity},
        {&lstm__class_gaussian_noise, identity},
        {&lstm__class_gaussian_dropout, identity},
        {&lstm__class_alpha_dropout, identity},
        {&lstm__class_masking, lstm__onnx_export_masking},
        {&lstm__class_attention, lstm__onnx_export_attention},
        {&lstm__class_additive_attention, lstm__onnx_export_attention},
        {&lstm__class_multi_head_attention, lstm__onnx_export_heads},
        {&lstm__class_activation, activation},
        {&lstm__class_embedding, embedding},
        {&lstm__class_add, combined},
        {&lstm__class_subtract, combined},
        {&lstm__class_multiply, combined},
        {&lstm__class_average, combined},
        {&lstm__class_maximum, combined},
        {&lstm__class_concatenate, combined},
        {&lstm__class_bidirectional, bidirectional},
        {&lstm__class_layer_normalization, layer_normalization},
        {&lstm__class_batch_normalization, batch_normalization},
        {&lstm__class_global_average_pooling, global_pooling},
        {&lstm__class_global_max_pooling, global_pooling},
        {&lstm__class_last_step, global_pooling},
        {&lstm__class_max_pooling, pooling},
        {&lstm__class_average_pooling, pooling},
        {&lstm__class_conv1d, conv1d},
        {&lstm__class_reverse, reverse},
        {&lstm__class_reshape, reshape},
        {&lstm__class_flatten, reshape},
        {&lstm__class_repeat_vector, repeat_vector},
        {&lstm__class_learned_vector, learned_vector},
    };
    for (size_t k = 0; k < sizeof table / sizeof table[0]; k++)
        if (node->class == table[k].class) {
            RETURN_IF_ERROR(table[k].put(x, node));
            lstm__onnx_put_mask(x, node);
            return LSTM_OK;
        }
    return lstm__onnx_cannot(node, "this layer, or this version does not write it");
}
