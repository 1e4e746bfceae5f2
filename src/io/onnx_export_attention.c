/* SPDX-License-Identifier: MIT
 *
 * Attention in plain operators (equations in nn/layer_attention.c and
 * nn/layer_multi_head_attention.c): scores, a softmax over the keys that may be seen, a product with
 * the values. A key that may not be seen has the score -1e30 and then the weight 0, so that a query
 * without any key gets zeros, as here.
 */
#include "onnx_export.h"

#include <math.h>

enum { QUERY = 0, VALUE = 1 };

static const char *value_of(const lstm__node *node, int input, char name[LSTM__ONNX_NAME])
{
    return lstm__onnx_value_name(node->inputs[input], name);
}

static const char *moved(lstm__onnx_export *x, const lstm__node *node, const char *value,
                         const int64_t *order, size_t count)
{
    const char *to = lstm__onnx_fresh(x, node);
    lstm__onnx_transpose(x, NULL, value, to, order, count);
    return to;
}

static const char *with_axis(lstm__onnx_export *x, const lstm__node *node, const char *value,
                             int64_t axis)
{
    return lstm__onnx_make(x, node, "Unsqueeze", value, lstm__onnx_integers(x, &axis, 1), NULL);
}

/* 0, 1, … as many as axis `axis` of the scores is long. */
static const char *places(lstm__onnx_export *x, const lstm__node *node, const char *shape,
                          int64_t axis)
{
    char zero[32];
    char one[32];
    char number[32];
    const char *size = lstm__onnx_make(x, node, "Gather", shape,
                                       lstm__onnx_put_integers(&x->w, number, 0, &axis, 1), NULL);
    lstm__onnx_put_integers(&x->w, zero, 0, (const int64_t[]){0}, 1);
    lstm__onnx_put_integers(&x->w, one, 0, (const int64_t[]){1}, 1);
    return lstm__onnx_make(x, node, "Range", zero, size, one);
}

/* What may be seen, bool that fits [batch][queries][keys]; NULL = everything. */
static const char *seen(lstm__onnx_export *x, const lstm__node *node, const char *scores,
                        bool causal)
{
    char mask[LSTM__ONNX_NAME];
    const char *found = NULL;
    if (causal) {
        const char *shape = lstm__onnx_make(x, node, "Shape", scores, NULL, NULL);
        const char *queries = with_axis(x, node, places(x, node, shape, -2), 1);
        found = lstm__onnx_make(x, node, "LessOrEqual", places(x, node, shape, -1), queries, NULL);
    }
    if (lstm__onnx_mask(x, node->inputs[VALUE], mask)) {
        const char *keys = moved(x, node, mask, (const int64_t[]){0, 2, 1}, 3);
        found = found ? lstm__onnx_make(x, node, "And", found, keys, NULL) : keys;
    }
    if (lstm__onnx_mask(x, node->inputs[QUERY], mask))
        found = found ? lstm__onnx_make(x, node, "And", found, mask, NULL)
                      : lstm__onnx_make(x, node, "Identity", mask, NULL, NULL);
    return found;
}

static const char *softmax(lstm__onnx_export *x, const lstm__node *node, const char *scores,
                           const char *may)
{
    const char *weights = lstm__onnx_fresh(x, node);
    if (may)
        scores = lstm__onnx_make(x, node, "Where", may, scores, lstm__onnx_number(x, -1e30f));
    lstm__onnx_open(x, NULL, "Softmax", scores, NULL, weights);
    lstm__onnx_node_int(&x->w, "axis", -1);
    lstm__onnx_node_close(&x->w);
    return may ? lstm__onnx_make(x, node, "Where", may, weights, lstm__onnx_number(x, 0)) : weights;
}

/* Of pairs: w tanh(scale (q + k)), summed over the features. */
static const char *pair_scores(lstm__onnx_export *x, const lstm__node *node, const char *query,
                               const char *key, const char *scale, const char *weight)
{
    const char *sum = lstm__onnx_make(x, node, "Add", with_axis(x, node, query, 2),
                                      with_axis(x, node, key, 1), NULL);
    if (scale)
        sum = lstm__onnx_make(x, node, "Mul", sum, scale, NULL);
    const char *bent = lstm__onnx_make(x, node, "Tanh", sum, NULL, NULL);
    if (weight)
        bent = lstm__onnx_make(x, node, "Mul", bent, weight, NULL);
    const char *scores = lstm__onnx_fresh(x, node);
    lstm__onnx_open(x, NULL, "ReduceSum", bent, lstm__onnx_integers(x, (const int64_t[]){-1}, 1),
                    scores);
    lstm__onnx_node_int(&x->w, "keepdims", 0);
    lstm__onnx_node_close(&x->w);
    return scores;
}

lstm_status lstm__onnx_export_attention(lstm__onnx_export *x, const lstm__node *node)
{
    const lstm_attention_options *own = node->options;
    const bool additive = node->class == &lstm__class_additive_attention;
    const bool dot = !additive && own->score_mode == LSTM_SCORE_DOT;
    const bool scaled = own->use_scale == LSTM_YES;
    const int64_t features[] = {
        node->inputs[QUERY]->node->shapes[node->inputs[QUERY]->port].features};
    char query[LSTM__ONNX_NAME];
    char key[LSTM__ONNX_NAME];
    char value[LSTM__ONNX_NAME];
    const char *scores = NULL;
    value_of(node, QUERY, query);
    value_of(node, VALUE, value);
    value_of(node, node->input_count == 3 ? 2 : VALUE, key);
    if (additive) {
        scores = pair_scores(
            x, node, query, key, NULL,
            scaled ? lstm__onnx_floats_of(x, node, 1, features, lstm__stored(node, 0)) : NULL);
    } else if (dot) {
        scores = lstm__onnx_make(x, node, "MatMul", query,
                                 moved(x, node, key, (const int64_t[]){0, 2, 1}, 3), NULL);
        if (scaled)
            scores = lstm__onnx_make(x, node, "Mul", scores,
                                     lstm__onnx_number(x, lstm__stored(node, 0)[0]), NULL);
    } else {
        scores = pair_scores(x, node, query, key,
                             scaled ? lstm__onnx_number(x, lstm__stored(node, 0)[0]) : NULL,
                             lstm__onnx_number(x, lstm__stored(node, scaled)[0]));
    }
    const char *may = seen(x, node, scores, own->causal == LSTM_YES);
    lstm__onnx_simple(x, node, "MatMul", softmax(x, node, scores, may), value, node->name);
    return LSTM_OK;
}

/* ---- Many heads */

/* x W + b of projection `number` as [batch][heads][steps][size], or with `across`
 * [batch][heads][size][steps]. */
static const char *head_values(lstm__onnx_export *x, const lstm__node *node, int number, int input,
                               int64_t size, bool across)
{
    static const int64_t orders[2][4] = {{0, 2, 1, 3}, {0, 2, 3, 1}};
    const lstm_multi_head_attention_options *own = node->options;
    const bool bias = own->use_bias == LSTM_YES;
    const size_t kernel = (size_t)number * (bias ? 2 : 1);
    const lstm_layer *from = node->inputs[input];
    const int64_t shape[] = {from->node->shapes[from->port].features, own->num_heads * size};
    char name[LSTM__ONNX_NAME];
    const char *product = lstm__onnx_make(
        x, node, "MatMul", value_of(node, input, name),
        lstm__onnx_floats_of(x, node, 2, shape, lstm__stored(node, kernel)), NULL);
    if (bias)
        product = lstm__onnx_make(
            x, node, "Add", product,
            lstm__onnx_floats_of(x, node, 1, shape + 1, lstm__stored(node, kernel + 1)), NULL);
    const char *apart = lstm__onnx_make(
        x, node, "Reshape", product,
        lstm__onnx_integers(x, (const int64_t[]){0, 0, own->num_heads, size}, 4), NULL);
    return moved(x, node, apart, orders[across], 4);
}

lstm_status lstm__onnx_export_heads(lstm__onnx_export *x, const lstm__node *node)
{
    const lstm_multi_head_attention_options *own = node->options;
    const bool bias = own->use_bias == LSTM_YES;
    const int key = node->input_count == 3 ? 2 : VALUE;
    const int64_t width = own->num_heads * own->value_dim;
    const int64_t shape[] = {width, node->shapes[0].features};
    const size_t output = bias ? 6 : 3;
    char mask[LSTM__ONNX_NAME];
    const char *scores = lstm__onnx_make(x, node, "MatMul",
                                         head_values(x, node, 0, QUERY, own->key_dim, false),
                                         head_values(x, node, 1, key, own->key_dim, true), NULL);
    scores = lstm__onnx_make(x, node, "Mul", scores,
                             lstm__onnx_number(x, (float)(1 / sqrt((double)own->key_dim))), NULL);
    const char *may = seen(x, node, scores, own->causal == LSTM_YES);
    if (may && (lstm__onnx_mask(x, node->inputs[VALUE], mask) ||
                lstm__onnx_mask(x, node->inputs[QUERY], mask))) /* the same for every head */
        may = with_axis(x, node, may, 1);
    const char *mixed = lstm__onnx_make(x, node, "MatMul", softmax(x, node, scores, may),
                                        head_values(x, node, 2, VALUE, own->value_dim, false),
                                        NULL);
    const char *together = lstm__onnx_make(
        x, node, "Reshape", moved(x, node, mixed, (const int64_t[]){0, 2, 1, 3}, 4),
        lstm__onnx_integers(x, (const int64_t[]){0, 0, width}, 3), NULL);
    const char *kernel = lstm__onnx_floats_of(x, node, 2, shape, lstm__stored(node, output));
    if (!bias) {
        lstm__onnx_simple(x, node, "MatMul", together, kernel, node->name);
        return LSTM_OK;
    }
    lstm__onnx_simple(x, node, "Add", lstm__onnx_make(x, node, "MatMul", together, kernel, NULL),
                      lstm__onnx_floats_of(x, node, 1, shape + 1, lstm__stored(node, output + 1)),
                      node->name);
    return LSTM_OK;
}
