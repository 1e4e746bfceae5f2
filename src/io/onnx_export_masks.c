/* SPDX-License-Identifier: MIT
 *
 * Masks in ONNX, which has none: a mask is a value of its own, bool (batch, steps, 1), which Masking
 * and Embedding make as NAME:mask and which follows the layers as it does here (layer.h says how, by
 * class). Recurrent layers under a mask are a Scan (onnx_export_scan.c); what pools over the steps,
 * convolutions and attention look at it in plain operators.
 */
#include "onnx_export.h"

#include <string.h>

/* Whether a mask is turned round on its way through a layer, or is made by it. */
static bool makes_mask(const lstm__node *node)
{
    return node->class == &lstm__class_masking ||
           (node->class == &lstm__class_embedding &&
            ((const lstm_embedding_options *)node->options)->mask_zero == LSTM_YES);
}

static bool is_combined(const lstm__layer_class *class)
{
    return class == &lstm__class_add || class == &lstm__class_subtract ||
           class == &lstm__class_multiply || class == &lstm__class_average ||
           class == &lstm__class_maximum || class == &lstm__class_concatenate;
}

/* A layer whose outputs come in the order of its steps, and their mask too. */
static bool turns_mask(const lstm__node *node)
{
    return node->class == &lstm__class_reverse ||
           (node->class == &lstm__class_lstm &&
            ((const lstm_lstm_options *)node->options)->go_backwards == LSTM_YES);
}

/* Whether the steps of a value are those of the layer's first input. */
static bool passes_mask(const lstm__node *node, int port)
{
    const lstm__layer_class *class = node->class;
    if (class == &lstm__class_conv1d) {
        const lstm_conv1d_options *own = node->options;
        return own->ignore_mask != LSTM_YES && own->padding != LSTM_PADDING_VALID &&
               own->strides == 1;
    }
    if (lstm__onnx_is_cell(node))
        return port == 0 && node->shapes[0].steps != 0;
    return class->mask == LSTM__MASK_KEEP || class == &lstm__class_attention ||
           class == &lstm__class_additive_attention || class == &lstm__class_multi_head_attention ||
           class == &lstm__class_embedding || is_combined(class) || class == &lstm__class_reverse;
}

/* The node whose mask an input has. */
static const lstm__node *mask_of_input(const lstm__onnx_export *x, const lstm__node *node, int k)
{
    return x->masks[node->inputs[k]->node->port_first + (size_t)node->inputs[k]->port];
}

/* The node that makes the mask of a port, its inputs' being known. */
static const lstm__node *find_mask(const lstm__onnx_export *x, const lstm__node *node, int port)
{
    const lstm__node *found = NULL;
    if (makes_mask(node))
        return node;
    if (node->input_count == 0 || !passes_mask(node, port))
        return NULL;
    for (int k = 0; k < (is_combined(node->class) ? node->input_count : 1); k++) {
        const lstm__node *own = mask_of_input(x, node, k);
        if (own && found && own != found)
            return node; /* both together */
        found = own ? own : found;
    }
    return found && turns_mask(node) ? node : found;
}

lstm_status lstm__onnx_find_masks(lstm__onnx_export *x)
{
    const lstm_model *model = x->model;
    x->masks = lstm__allocate_array(model->context, model->port_count + 1, sizeof *x->masks);
    if (!x->masks)
        return lstm__fail_memory((model->port_count + 1) * sizeof *x->masks, "the ONNX file");
    for (size_t k = 0; k < model->node_count; k++)
        for (int port = 0; port < model->nodes[k]->port_count; port++)
            x->masks[model->nodes[k]->port_first + (size_t)port] = find_mask(x, model->nodes[k],
                                                                             port);
    return LSTM_OK;
}

const char *lstm__onnx_mask(const lstm__onnx_export *x, const lstm_layer *layer,
                            char name[LSTM__ONNX_NAME])
{
    const lstm__node *node = x->masks[layer->node->port_first + (size_t)layer->port];
    return node ? lstm__onnx_between(node, "mask", name) : NULL;
}

/* bool (batch, steps) of an embedding's tokens: those that are not 0. */
static const char *tokens_there(lstm__onnx_export *x, const lstm__node *node)
{
    char input[LSTM__ONNX_NAME];
    char zero[32];
    lstm__onnx_put_integers(&x->w, zero, 0, (const int64_t[]){0}, 1);
    const char *same = lstm__onnx_make(x, node, "Equal",
                                       lstm__onnx_value_name(node->inputs[0], input), zero, NULL);
    return lstm__onnx_make(x, node, "Not", same, NULL, NULL);
}

void lstm__onnx_put_mask(lstm__onnx_export *x, const lstm__node *node)
{
    char name[LSTM__ONNX_NAME];
    char part[LSTM__ONNX_NAME];
    const char *mask = NULL;
    if (node->class == &lstm__class_embedding && makes_mask(node)) {
        lstm__onnx_simple(x, NULL, "Unsqueeze", tokens_there(x, node),
                          lstm__onnx_integers(x, (const int64_t[]){-1}, 1),
                          lstm__onnx_between(node, "mask", name));
        return;
    }
    if (makes_mask(node) || x->masks[node->port_first] != node)
        return;
    lstm__onnx_between(node, "mask", name);
    if (!is_combined(node->class)) {
        lstm__onnx_turn(x, NULL, lstm__onnx_mask(x, node->inputs[0], part), name);
        return;
    }
    for (int k = 0; k < node->input_count; k++)
        if (lstm__onnx_mask(x, node->inputs[k], part))
            mask = mask ? lstm__onnx_make(x, node, "And", mask, part, NULL)
                        : lstm__onnx_make(x, node, "Identity", part, NULL, NULL);
    lstm__onnx_simple(x, NULL, "Identity", mask, NULL, name);
}

/* bool (batch, steps, 1): whether any number of a step differs from the value; and y, in which a step
 * that is left out is zeros. */
lstm_status lstm__onnx_export_masking(lstm__onnx_export *x, const lstm__node *node)
{
    const lstm_masking_options *own = node->options;
    char input[LSTM__ONNX_NAME];
    char before[LSTM__ONNX_NAME];
    char mask[LSTM__ONNX_NAME];
    lstm__onnx_value_name(node->inputs[0], input);
    lstm__onnx_between(node, "mask", mask);
    const char *same = lstm__onnx_make(x, node, "Equal", input,
                                       lstm__onnx_number(x, own->mask_value), NULL);
    const char *others = lstm__onnx_fresh(x, node);
    const char *differs = lstm__onnx_make(x, node, "Not", same, NULL, NULL);
    const char *number = lstm__onnx_fresh(x, node);
    lstm__onnx_open(x, NULL, "Cast", differs, NULL, number);
    lstm__onnx_node_int(&x->w, "to", LSTM__ONNX_FLOAT);
    lstm__onnx_node_close(&x->w);
    lstm__onnx_open(x, NULL, "ReduceMax", number, NULL, others);
    lstm__onnx_node_ints(&x->w, "axes", (const int64_t[]){-1}, 1);
    lstm__onnx_node_int(&x->w, "keepdims", 1);
    lstm__onnx_node_close(&x->w);
    const bool masked = lstm__onnx_mask(x, node->inputs[0], before) != NULL;
    const char *valid = masked ? lstm__onnx_fresh(x, node) : mask;
    lstm__onnx_simple(x, NULL, "Greater", others, lstm__onnx_number(x, 0.5f), valid);
    if (masked)
        lstm__onnx_simple(x, NULL, "And", valid, before, mask);
    const char *inputs[] = {mask, input, lstm__onnx_number(x, 0), NULL};
    const char *outputs[] = {node->name, NULL};
    lstm__onnx_node_open(&x->w, "Where", node->name, inputs, outputs);
    lstm__onnx_node_close(&x->w);
    return LSTM_OK;
}

const char *lstm__onnx_masked(lstm__onnx_export *x, const lstm__node *node, const char *value,
                              const char *mask)
{
    return mask ? lstm__onnx_make(x, node, "Where", mask, value, lstm__onnx_number(x, 0)) : value;
}

/* to = sums over the steps. */
static const char *sum_steps(lstm__onnx_export *x, const lstm__node *node, const char *value)
{
    const char *to = lstm__onnx_fresh(x, node);
    lstm__onnx_open(x, NULL, "ReduceSum", value, lstm__onnx_integers(x, (const int64_t[]){1}, 1),
                    to);
    lstm__onnx_node_int(&x->w, "keepdims", 0);
    lstm__onnx_node_close(&x->w);
    return to;
}

/* The largest over the steps that are there, or 0. */
static void pool_largest(lstm__onnx_export *x, const lstm__node *node, const char *input,
                         const char *mask, const char *count)
{
    const char *largest = lstm__onnx_fresh(x, node);
    const char *seen = lstm__onnx_make(x, node, "Where", mask, input,
                                       lstm__onnx_number(x, -3.4e38f));
    lstm__onnx_open(x, NULL, "ReduceMax", seen, NULL, largest);
    lstm__onnx_node_ints(&x->w, "axes", (const int64_t[]){1}, 1);
    lstm__onnx_node_int(&x->w, "keepdims", 0);
    lstm__onnx_node_close(&x->w);
    const char *inputs[] = {
        lstm__onnx_make(x, node, "Greater", count, lstm__onnx_number(x, 0.5f), NULL), largest,
        lstm__onnx_number(x, 0), NULL};
    const char *outputs[] = {node->name, NULL};
    lstm__onnx_node_open(&x->w, "Where", node->name, inputs, outputs);
    lstm__onnx_node_close(&x->w);
}

/* Mean, largest or last over the valid steps; zeros where there is none. */
lstm_status lstm__onnx_export_masked_pooling(lstm__onnx_export *x, const lstm__node *node,
                                             const char *mask)
{
    char input[LSTM__ONNX_NAME];
    const char *number = lstm__onnx_fresh(x, node);
    lstm__onnx_value_name(node->inputs[0], input);
    lstm__onnx_open(x, NULL, "Cast", mask, NULL, number);
    lstm__onnx_node_int(&x->w, "to", LSTM__ONNX_FLOAT);
    lstm__onnx_node_close(&x->w);
    const char *count = sum_steps(x, node, number);
    if (node->class == &lstm__class_global_max_pooling) {
        pool_largest(x, node, input, mask, count);
    } else if (node->class == &lstm__class_global_average_pooling) {
        const char *least = lstm__onnx_make(x, node, "Max", count, lstm__onnx_number(x, 1), NULL);
        const char *sum = sum_steps(x, node, lstm__onnx_masked(x, node, input, mask));
        lstm__onnx_simple(x, node, "Div", sum, least, node->name);
    } else { /* the valid step that is number `count` */
        const char *place = lstm__onnx_make(x, node, "CumSum", number,
                                            lstm__onnx_integers(x, (const int64_t[]){1}, 1), NULL);
        const char *all = lstm__onnx_make(x, node, "Unsqueeze", count,
                                          lstm__onnx_integers(x, (const int64_t[]){1}, 1), NULL);
        const char *last = lstm__onnx_make(
            x, node, "And", lstm__onnx_make(x, node, "Equal", place, all, NULL), mask, NULL);
        lstm__onnx_simple(x, node, "Identity",
                          sum_steps(x, node, lstm__onnx_masked(x, node, input, last)), NULL,
                          node->name);
    }
    return LSTM_OK;
}
