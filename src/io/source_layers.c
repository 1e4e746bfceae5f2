/* SPDX-License-Identifier: MIT
 *
 * Layers as statements of exported C source. `m` is the memory that the caller gives: m->b0, m->b1 …
 * are buffers for values, m->h3 and m->c3 the states of layer 3, m->a room for one step of any cell.
 * Values are rows of features, steps outside; a single sample.
 */
#include "activation.h"
#include "constants.h"
#include "source_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Values */

bool lstm__source_is_cell(const lstm__node *node)
{
    return node->class == &lstm__class_lstm || node->class == &lstm__class_gru ||
           node->class == &lstm__class_simple_rnn;
}

static bool is_alias(const lstm__node *node)
{
    return node->class == &lstm__class_dropout || node->class == &lstm__class_spatial_dropout ||
           node->class == &lstm__class_gaussian_noise ||
           node->class == &lstm__class_gaussian_dropout ||
           node->class == &lstm__class_alpha_dropout || node->class == &lstm__class_reshape ||
           node->class == &lstm__class_flatten;
}

const lstm_layer *lstm__source_origin(const lstm_layer *layer)
{
    while (is_alias(layer->node))
        layer = layer->node->inputs[0];
    return layer;
}

/* Whether a cell gives all its outputs. */
static bool gives_sequence(const lstm__node *node)
{
    return node->shapes[0].steps != 0;
}

const char *lstm__source_value(const lstm__source *s, const lstm_layer *layer,
                               char text[LSTM__SOURCE_VALUE])
{
    layer = lstm__source_origin(layer);
    const lstm__node *node = layer->node;
    if (node->class == &lstm__class_input) {
        size_t number = 0;
        for (size_t k = 0; k < node->index; k++)
            number += s->model->nodes[k]->class == &lstm__class_input;
        snprintf(text, LSTM__SOURCE_VALUE, "x%zu", number);
    } else if (node->class == &lstm__class_learned_vector) {
        snprintf(text, LSTM__SOURCE_VALUE, "%s_values%zu", s->prefix, node->index);
    } else if (lstm__source_is_cell(node) &&
               (layer->port > 0 || (!gives_sequence(node) && !s->stepping))) {
        snprintf(text, LSTM__SOURCE_VALUE, "m->%c%zu", layer->port == 2 ? 'c' : 'h', node->index);
    } else if (lstm__source_is_cell(node) && !gives_sequence(node)) {
        snprintf(text, LSTM__SOURCE_VALUE, "m->h%zu", node->index);
    } else if (layer->port == 1) { /* the second output of a Bidirectional */
        snprintf(text, LSTM__SOURCE_VALUE, "m->o%zu", node->index);
    } else {
        snprintf(text, LSTM__SOURCE_VALUE, "m->b%zu", s->slots[node->index] - 1);
    }
    return text;
}

const char *lstm__source_steps(const lstm__source *s, lstm__shape shape, char text[32])
{
    if (shape.steps < 0 && !s->stepping)
        return "steps";
    snprintf(text, 32, "%" PRId64, shape.steps <= 0 || s->stepping ? 1 : shape.steps);
    return text;
}

/* ---- What is needed */

lstm_status lstm__source_cannot(const lstm__node *node, const char *what)
{
    return lstm__fail(LSTM_ERROR_UNSUPPORTED, "layer \"%s\" (%s): C source has no %s", node->name,
                      node->class->type, what);
}

lstm_status lstm__source_need_activation(lstm__source *s, const lstm__node *node,
                                         int32_t activation, bool inside)
{
    if (activation == LSTM_ACTIVATION_SOFTMAX) {
        s->parts[LSTM__SOURCE_SOFTMAX] = true;
        return LSTM_OK;
    }
    if (!lstm__source_knows(activation))
        return lstm__source_cannot(node, "such an activation");
    if (activation == LSTM_ACTIVATION_LINEAR && !inside)
        return LSTM_OK;
    s->parts[LSTM__SOURCE_APPLY] = s->parts[LSTM__SOURCE_APPLY] || !inside;
    s->activations[activation] = true;
    return LSTM_OK;
}

static bool is_combined(const lstm__node *node)
{
    return node->class == &lstm__class_add || node->class == &lstm__class_subtract ||
           node->class == &lstm__class_multiply || node->class == &lstm__class_average ||
           node->class == &lstm__class_maximum;
}

static bool is_global(const lstm__node *node)
{
    return node->class == &lstm__class_global_average_pooling ||
           node->class == &lstm__class_global_max_pooling;
}

static bool is_pooling(const lstm__node *node)
{
    return node->class == &lstm__class_max_pooling || node->class == &lstm__class_average_pooling;
}

lstm_status lstm__source_need(lstm__source *s, const lstm__node *node)
{
    const lstm__layer_class *class = node->class;
    if (lstm__is_shaped(node))
        return lstm__source_cannot(node, "activations with numbers of their own (activation_alpha, "
                                         "output_activation)");
    if (lstm__source_is_cell(node))
        return lstm__source_need_cell(s, node);
    if (lstm__source_is_attention(node))
        return lstm__source_need_attention(s, node);
    if (class == &lstm__class_masking)
        return lstm__source_cannot(node, "masks; a sequence of fewer steps is one of fewer steps");
    if (class == &lstm__class_dense) {
        s->parts[LSTM__SOURCE_DENSE] = true;
        return lstm__source_need_activation(
            s, node, ((const lstm_dense_options *)node->options)->activation, false);
    }
    if (class == &lstm__class_conv1d) {
        s->parts[LSTM__SOURCE_CONV] = true;
        return lstm__source_need_activation(
            s, node, ((const lstm_conv1d_options *)node->options)->activation, false);
    }
    if (class == &lstm__class_activation)
        return lstm__source_need_activation(
            s, node, ((const lstm_activation_options *)node->options)->activation, false);
    if (class == &lstm__class_embedding) {
        if (((const lstm_embedding_options *)node->options)->mask_zero == LSTM_YES)
            return lstm__source_cannot(
                node, "masks (mask_zero); a sequence of fewer steps is one of fewer steps");
        s->parts[LSTM__SOURCE_EMBED] = true;
    } else if (class == &lstm__class_layer_normalization) {
        s->parts[LSTM__SOURCE_NORM] = true;
    } else if (class == &lstm__class_batch_normalization) {
        s->parts[LSTM__SOURCE_AFFINE] = true;
    } else if (class == &lstm__class_concatenate) {
        s->parts[LSTM__SOURCE_PLACE] = true;
    } else if (class == &lstm__class_bidirectional) {
        s->parts[LSTM__SOURCE_PLACE] = s->parts[LSTM__SOURCE_TURN] = true;
    } else if (class == &lstm__class_reverse) {
        s->parts[LSTM__SOURCE_TURN] = true;
    } else if (is_pooling(node)) {
        s->parts[LSTM__SOURCE_POOL] = true;
    } else if (is_global(node)) {
        s->parts[LSTM__SOURCE_GLOBAL] = true;
    } else if (!is_combined(node) && !is_alias(node) && class != &lstm__class_input &&
               class != &lstm__class_last_step && class != &lstm__class_repeat_vector &&
               class != &lstm__class_learned_vector) {
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "layer \"%s\" (%s): this version does not write it as C source",
                          node->name, class->type);
    }
    return LSTM_OK;
}

/* ---- Constants */

void lstm__source_put(lstm__source *s, const lstm__node *node, const char *what, size_t k)
{
    char name[64];
    const lstm__parameter *p = lstm__source_parameter(node, k);
    snprintf(name, sizeof name, "%s%zu", what, node->index);
    lstm__source_floats(s, name, node->model->values + p->offset, lstm__parameter_size(p));
}

/* y = x scale + shift of a BatchNormalization. */
static lstm_status put_affine(lstm__source *s, const lstm__node *node)
{
    const lstm_batch_normalization_options *own = node->options;
    const float *values = node->model->values;
    const size_t count = (size_t)node->shapes[0].features;
    const size_t gamma = own->scale == LSTM_YES;
    const size_t mean = gamma + (own->center == LSTM_YES);
    char name[64];
    float *both = lstm__allocate_array(node->model->context, 2 * count, sizeof *both);
    if (!both)
        return lstm__fail_memory(2 * count * sizeof *both, "a normalisation");
    for (size_t k = 0; k < count; k++) {
        const double variance = (double)values[lstm__source_parameter(node, mean + 1)->offset + k];
        const double epsilon = own->epsilon < 0 ? 0 : (double)own->epsilon;
        const double scale = (gamma ? (double)values[lstm__source_parameter(node, 0)->offset + k]
                                    : 1) /
                             sqrt(variance + epsilon);
        const double beta = own->center == LSTM_YES
                                ? (double)values[lstm__source_parameter(node, gamma)->offset + k]
                                : 0;
        both[k] = (float)scale;
        both[count + k] =
            (float)(beta - (double)values[lstm__source_parameter(node, mean)->offset + k] * scale);
    }
    snprintf(name, sizeof name, "scale%zu", node->index);
    lstm__source_floats(s, name, both, count);
    snprintf(name, sizeof name, "shift%zu", node->index);
    lstm__source_floats(s, name, both + count, count);
    lstm__release(node->model->context, both);
    return LSTM_OK;
}

lstm_status lstm__source_constants(lstm__source *s, const lstm__node *node)
{
    if (lstm__source_is_cell(node))
        return lstm__source_cell_constants(s, node);
    if (node->class == &lstm__class_batch_normalization)
        return put_affine(s, node);
    if (lstm__source_is_attention(node))
        lstm__source_attention_constants(s, node);
    if (node->class == &lstm__class_learned_vector)
        lstm__source_put(s, node, "values", 0);
    if (node->class == &lstm__class_embedding)
        lstm__source_put(s, node, "table", 0);
    if (node->class == &lstm__class_dense || node->class == &lstm__class_conv1d) {
        lstm__source_put(s, node, "kernel", 0);
        if (node->parameter_count > 1)
            lstm__source_put(s, node, "bias", 1);
    }
    if (node->class == &lstm__class_layer_normalization) {
        const lstm_layer_normalization_options *own = node->options;
        if (own->scale == LSTM_YES)
            lstm__source_put(s, node, "gamma", 0);
        if (own->center == LSTM_YES)
            lstm__source_put(s, node, "beta", own->scale == LSTM_YES);
    }
    return LSTM_OK;
}

/* ---- Statements */

const char *lstm__source_activation(int32_t activation)
{
    return lstm__constant_name(LSTM_NAMES_ACTIVATION, activation);
}

const char *lstm__source_constant(const lstm__source *s, const lstm__node *node, const char *what,
                                  bool there, char text[LSTM__SOURCE_VALUE])
{
    snprintf(text, LSTM__SOURCE_VALUE, there ? "%s_%s%zu" : "NULL", s->prefix, what, node->index);
    return text;
}

static void activate(lstm__source *s, const lstm__node *node, int32_t activation, const char *y)
{
    char steps[32];
    const char *rows = lstm__source_steps(s, node->shapes[0], steps);
    if (activation == LSTM_ACTIVATION_SOFTMAX)
        lstm__source_print(s, "    %s_softmax(%s, %" PRId64 ", %s);\n", s->prefix, rows,
                           node->shapes[0].features, y);
    else if (activation != LSTM_ACTIVATION_LINEAR)
        lstm__source_print(s, "    %s_apply(%s * (size_t)%" PRId64 ", %s_act_%s, %s);\n", s->prefix,
                           rows, node->shapes[0].features, s->prefix,
                           lstm__source_activation(activation), y);
}

static void run_combined(lstm__source *s, const lstm__node *node, const char *x, const char *y)
{
    char steps[32];
    char other[LSTM__SOURCE_VALUE];
    const char *rows = lstm__source_steps(s, node->shapes[0], steps);
    const int64_t columns = node->shapes[0].features;
    lstm__source_print(s,
                       "    memcpy(%s, %s, %s * (size_t)%" PRId64 " * sizeof *%s);\n"
                       "    for (i = 0; i < %s * (size_t)%" PRId64 "; i++) {\n",
                       y, x, rows, columns, y, rows, columns);
    for (int k = 1; k < node->input_count; k++) {
        lstm__source_value(s, node->inputs[k], other);
        if (node->class == &lstm__class_maximum)
            lstm__source_print(s, "        if (%s[i] > %s[i])\n            %s[i] = %s[i];\n", other,
                               y, y, other);
        else
            lstm__source_print(s, "        %s[i] %c= %s[i];\n", y,
                               node->class == &lstm__class_subtract   ? '-'
                               : node->class == &lstm__class_multiply ? '*'
                                                                      : '+',
                               other);
    }
    if (node->class == &lstm__class_average)
        lstm__source_print(s, "        %s[i] /= %d;\n", y, node->input_count);
    lstm__source_print(s, "    }\n");
}

static void run_concatenate(lstm__source *s, const lstm__node *node, const char *y)
{
    char steps[32];
    char x[LSTM__SOURCE_VALUE];
    int64_t done = 0;
    for (int k = 0; k < node->input_count; k++) {
        const int64_t width = lstm__source_input(node, k).features;
        lstm__source_print(s, "    %s_place(%s, %" PRId64 ", %s, %s + %" PRId64 ", %" PRId64 ");\n",
                           s->prefix, lstm__source_steps(s, node->shapes[0], steps), width,
                           lstm__source_value(s, node->inputs[k], x), y, done,
                           node->shapes[0].features);
        done += width;
    }
}

static void run_bidirectional(lstm__source *s, const lstm__node *node, const char *x, const char *y)
{
    const lstm_bidirectional_options *own = node->options;
    const int64_t first = lstm__source_input(node, 0).features;
    const int64_t second = lstm__source_input(node, 1).features;
    const int64_t width = node->shapes[0].features;
    const bool joins = own->merge_mode == LSTM_MERGE_CONCAT;
    char steps[32];
    char other[LSTM__SOURCE_VALUE];
    char target[LSTM__SOURCE_VALUE];
    const char *rows = lstm__source_steps(s, node->shapes[0], steps);
    lstm__source_value(s, node->inputs[1], other);
    snprintf(target, sizeof target, "%s", y);
    if (own->merge_mode == LSTM_MERGE_NONE)
        lstm__source_value(s, &node->ports[1], target);
    lstm__source_print(s, "    %s_place(%s, %" PRId64 ", %s, %s, %" PRId64 ");\n", s->prefix, rows,
                       first, x, y, width);
    lstm__source_print(s, "    %s_turn(%s, %" PRId64 ", %s, %s + %" PRId64 ", %" PRId64 ", %d);\n",
                       s->prefix, rows, second, other, target, joins ? first : 0,
                       own->merge_mode == LSTM_MERGE_NONE ? second : width,
                       own->merge_mode == LSTM_MERGE_SUM || own->merge_mode == LSTM_MERGE_AVE ? 1
                       : own->merge_mode == LSTM_MERGE_MUL                                    ? 2
                                                                                              : 0);
    if (own->merge_mode == LSTM_MERGE_AVE)
        lstm__source_print(
            s, "    for (i = 0; i < %s * (size_t)%" PRId64 "; i++)\n        %s[i] /= 2;\n", rows,
            width, y);
}

static void run_norm(lstm__source *s, const lstm__node *node, const char *x, const char *y)
{
    char steps[32];
    char first[LSTM__SOURCE_VALUE];
    char second[LSTM__SOURCE_VALUE];
    const char *rows = lstm__source_steps(s, node->shapes[0], steps);
    if (node->class == &lstm__class_batch_normalization) {
        lstm__source_print(s, "    %s_affine(%s, %" PRId64 ", %s, %s, %s, %s);\n", s->prefix, rows,
                           node->shapes[0].features,
                           lstm__source_constant(s, node, "scale", true, first),
                           lstm__source_constant(s, node, "shift", true, second), x, y);
        return;
    }
    const lstm_layer_normalization_options *own = node->options;
    lstm__source_print(s, "    %s_norm(%s, %" PRId64 ", %.9ef, %s, %s, %s, %s);\n", s->prefix, rows,
                       node->shapes[0].features, own->epsilon < 0 ? 0.0 : (double)own->epsilon,
                       lstm__source_constant(s, node, "gamma", own->scale == LSTM_YES, first),
                       lstm__source_constant(s, node, "beta", own->center == LSTM_YES, second), x,
                       y);
}

/* Zeros before a sequence of a fixed number of steps, or with strides 1. */
static int64_t zeros_before(int32_t padding, int64_t steps, int64_t stride, int64_t reach)
{
    if (padding == LSTM_PADDING_CAUSAL)
        return reach;
    if (padding != LSTM_PADDING_SAME)
        return 0;
    if (steps < 0)
        return reach / 2;
    const int64_t around = ((steps + stride - 1) / stride - 1) * stride + reach + 1 - steps;
    return around > 0 ? around / 2 : 0;
}

static void run_window(lstm__source *s, const lstm__node *node, const char *x, const char *y)
{
    const lstm__shape in = lstm__source_input(node, 0);
    char steps[32];
    char results[32];
    char kernel[LSTM__SOURCE_VALUE];
    char bias[LSTM__SOURCE_VALUE];
    const char *count = lstm__source_steps(s, in, steps);
    const char *given = lstm__source_steps(s, node->shapes[0], results);
    if (is_pooling(node)) {
        const lstm_pooling_options *own = node->options;
        lstm__source_print(s,
                           "    %s_pool(%s, %" PRId64 ", %s, %" PRId64 ", %" PRId64 ", %" PRId64
                           ", %s, %d, %s);\n",
                           s->prefix, count, in.features, x, own->pool_size, own->strides,
                           zeros_before(own->padding, in.steps, own->strides, own->pool_size - 1),
                           given, node->class == &lstm__class_max_pooling, y);
        return;
    }
    const lstm_conv1d_options *own = node->options;
    const bool torch = s->model->profile == LSTM_PROFILE_TORCH;
    const int64_t reach = (own->kernel_size - 1) * own->dilation_rate;
    lstm__source_print(
        s,
        "    %s_conv(%s, %s, %" PRId64 ", %s, %s,\n        %" PRId64 ", %" PRId64 ", %" PRId64
        ", %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 ", %s, %s);\n",
        s->prefix, count, x, in.features, lstm__source_constant(s, node, "kernel", true, kernel),
        lstm__source_constant(s, node, "bias", node->parameter_count > 1, bias), own->filters,
        own->kernel_size, torch ? (int64_t)1 : in.features, torch ? own->kernel_size : (int64_t)1,
        own->strides, own->dilation_rate, zeros_before(own->padding, in.steps, own->strides, reach),
        given, y);
    activate(s, node, own->activation, y);
}

static void run_dense(lstm__source *s, const lstm__node *node, const char *x, const char *y)
{
    const lstm_dense_options *own = node->options;
    char steps[32];
    char kernel[LSTM__SOURCE_VALUE];
    char bias[LSTM__SOURCE_VALUE];
    lstm__source_print(
        s, "    %s_dense(%s, %s, %" PRId64 ", %s, %s, %" PRId64 ", %s);\n", s->prefix,
        lstm__source_steps(s, node->shapes[0], steps), x, lstm__source_input(node, 0).features,
        lstm__source_constant(s, node, "kernel", true, kernel),
        lstm__source_constant(s, node, "bias", node->parameter_count > 1, bias), own->units, y);
    activate(s, node, own->activation, y);
}

/* The rest, one or two lines each. */
static void run_other(lstm__source *s, const lstm__node *node, const char *x, const char *y)
{
    const lstm__shape in = lstm__source_input(node, 0);
    const int64_t columns = node->shapes[0].features;
    char steps[32];
    char table[LSTM__SOURCE_VALUE];
    const char *rows = lstm__source_steps(s, node->shapes[0], steps);
    if (node->class == &lstm__class_embedding) {
        lstm__source_print(s, "    %s_embed(%s, %s, %s, %" PRId64 ", %" PRId64 ", %s);\n",
                           s->prefix, rows, x, lstm__source_constant(s, node, "table", true, table),
                           ((const lstm_embedding_options *)node->options)->input_dim, columns, y);
    } else if (node->class == &lstm__class_activation) {
        lstm__source_print(s, "    memcpy(%s, %s, %s * (size_t)%" PRId64 " * sizeof *%s);\n", y, x,
                           rows, columns, y);
        activate(s, node, ((const lstm_activation_options *)node->options)->activation, y);
    } else if (node->class == &lstm__class_reverse) {
        lstm__source_print(s, "    %s_turn(%s, %" PRId64 ", %s, %s, %" PRId64 ", 0);\n", s->prefix,
                           rows, columns, x, y, columns);
    } else if (is_global(node)) {
        lstm__source_print(s, "    %s_global(%s, %" PRId64 ", %s, %d, %s);\n", s->prefix,
                           lstm__source_steps(s, in, steps), columns, x,
                           node->class == &lstm__class_global_max_pooling, y);
    } else if (node->class == &lstm__class_last_step) {
        lstm__source_print(
            s, "    memcpy(%s, %s + (%s - 1) * (size_t)%" PRId64 ", %" PRId64 " * sizeof *%s);\n",
            y, x, lstm__source_steps(s, in, steps), columns, columns, y);
    } else if (node->class == &lstm__class_repeat_vector) {
        lstm__source_print(s,
                           "    for (i = 0; i < %s; i++)\n        memcpy(%s + i * %" PRId64
                           ", %s, %" PRId64 " * sizeof *%s);\n",
                           rows, y, columns, x, columns, y);
    }
}

void lstm__source_node(lstm__source *s, const lstm__node *node)
{
    char x[LSTM__SOURCE_VALUE];
    char y[LSTM__SOURCE_VALUE];
    if (node->class == &lstm__class_input || node->class == &lstm__class_learned_vector ||
        is_alias(node))
        return;
    lstm__source_value(s, node->inputs[0], x);
    lstm__source_value(s, &node->ports[0], y);
    if (lstm__source_is_cell(node))
        lstm__source_cell(s, node, x, y);
    else if (lstm__source_is_attention(node))
        lstm__source_attention(s, node, y);
    else if (node->class == &lstm__class_dense)
        run_dense(s, node, x, y);
    else if (is_combined(node))
        run_combined(s, node, x, y);
    else if (node->class == &lstm__class_concatenate)
        run_concatenate(s, node, y);
    else if (node->class == &lstm__class_bidirectional)
        run_bidirectional(s, node, x, y);
    else if (node->class == &lstm__class_layer_normalization ||
             node->class == &lstm__class_batch_normalization)
        run_norm(s, node, x, y);
    else if (is_pooling(node) || node->class == &lstm__class_conv1d)
        run_window(s, node, x, y);
    else
        run_other(s, node, x, y);
}
