/* SPDX-License-Identifier: MIT
 *
 * Attention, AdditiveAttention and MultiHeadAttention as statements of exported C source: the text
 * @attend for each, for each head of the last one, whose projections have arrays of their own in the
 * memory.
 */
#include "attention.h"
#include "source_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* Query, key, value and what the heads give. */
enum { QUERY, KEY, VALUE, GIVEN, ARRAYS };
static const char letters[ARRAYS + 1] = "qkvz";
static const char *const names[ARRAYS] = {"query", "key", "value", "output"};

static bool has_heads(const lstm__node *node)
{
    return node->class == &lstm__class_multi_head_attention;
}

bool lstm__source_is_attention(const lstm__node *node)
{
    return has_heads(node) || node->class == &lstm__class_attention ||
           node->class == &lstm__class_additive_attention;
}

lstm_status lstm__source_need_attention(lstm__source *s, const lstm__node *node)
{
    s->parts[LSTM__SOURCE_ATTEND] = true;
    if (has_heads(node))
        s->parts[LSTM__SOURCE_DENSE] = true;
    return LSTM_OK;
}

/* The input that an array is made of. */
static int input_of(const lstm__node *node, int array)
{
    return array == QUERY ? LSTM__QUERY : array == KEY ? lstm__attention_key(node) : LSTM__VALUE;
}

/* Columns of an array of all heads. */
static int64_t columns_of(const lstm__node *node, int array)
{
    const lstm_multi_head_attention_options *own = node->options;
    return own->num_heads * (array == QUERY || array == KEY ? own->key_dim : own->value_dim);
}

int64_t lstm__source_attention_memory(lstm__source *s, const lstm__node *node)
{
    int64_t total = 0;
    for (int k = 0; has_heads(node) && k < ARRAYS; k++) {
        const lstm__shape shape = lstm__source_input(node,
                                                     k == GIVEN ? LSTM__QUERY : input_of(node, k));
        const int64_t size = (shape.steps < 0 ? s->max_steps : shape.steps) * columns_of(node, k);
        lstm__source_print(s, "    float %c%zu[%" PRId64 "];\n", letters[k], node->index, size);
        total += size;
    }
    return total;
}

void lstm__source_attention_constants(lstm__source *s, const lstm__node *node)
{
    const size_t each = node->parameter_count / ARRAYS;
    for (size_t k = 0; has_heads(node) && k < ARRAYS; k++) {
        char bias[32];
        lstm__source_put(s, node, names[k], k * each);
        snprintf(bias, sizeof bias, "%s_bias", names[k]);
        if (each > 1)
            lstm__source_put(s, node, bias, k * each + 1);
    }
    if (node->class == &lstm__class_additive_attention && node->parameter_count > 0)
        lstm__source_put(s, node, "scale", 0);
}

/* A projection of some rows. */
static void project(lstm__source *s, const lstm__node *node, int array, const char *x, int64_t from,
                    int64_t to, const char *y)
{
    char steps[32];
    char kernel[LSTM__SOURCE_VALUE];
    char bias[LSTM__SOURCE_VALUE];
    char text[32];
    const lstm__shape shape = lstm__source_input(node, array == GIVEN ? LSTM__QUERY
                                                                      : input_of(node, array));
    snprintf(text, sizeof text, "%s_bias", names[array]);
    lstm__source_print(s, "    %s_dense(%s, %s, %" PRId64 ", %s, %s, %" PRId64 ", %s);\n",
                       s->prefix, lstm__source_steps(s, shape, steps), x, from,
                       lstm__source_constant(s, node, names[array], true, kernel),
                       lstm__source_constant(s, node, text, node->parameter_count > ARRAYS, bias),
                       to, y);
}

static void run_heads(lstm__source *s, const lstm__node *node, const char *y)
{
    const lstm_multi_head_attention_options *own = node->options;
    char text[LSTM__SOURCE_VALUE];
    char array[32];
    char queries[32];
    char keys[32];
    for (int k = 0; k < GIVEN; k++) {
        const lstm_layer *input = node->inputs[input_of(node, k)];
        snprintf(array, sizeof array, "m->%c%zu", letters[k], node->index);
        project(s, node, k, lstm__source_value(s, input, text),
                lstm__source_input(node, input_of(node, k)).features, columns_of(node, k), array);
    }
    const char *rows = lstm__source_steps(s, lstm__source_input(node, LSTM__QUERY), queries);
    lstm__source_print(
        s,
        "    for (i = 0; i < %" PRId64 "; i++)\n"
        "        %s_attend(%s, %s, %" PRId64 ", %" PRId64 ",\n            m->q%zu + i * %" PRId64
        ", %" PRId64 ", m->k%zu + i * %" PRId64 ", %" PRId64 ",\n            m->v%zu + i * %" PRId64
        ", %" PRId64 ", 0, 1, %.9ef, NULL, %d,\n            m->z%zu + i * %" PRId64 ", %" PRId64
        ");\n",
        own->num_heads, s->prefix, rows,
        lstm__source_steps(s, lstm__source_input(node, LSTM__VALUE), keys), own->key_dim,
        own->value_dim, node->index, own->key_dim, columns_of(node, QUERY), node->index,
        own->key_dim, columns_of(node, KEY), node->index, own->value_dim, columns_of(node, VALUE),
        1 / sqrt((double)own->key_dim), own->causal == LSTM_YES, node->index, own->value_dim,
        columns_of(node, GIVEN));
    snprintf(array, sizeof array, "m->z%zu", node->index);
    project(s, node, GIVEN, array, columns_of(node, GIVEN), node->shapes[0].features, y);
}

static void run_plain(lstm__source *s, const lstm__node *node, const char *y)
{
    const lstm_attention_options *own = node->options;
    const bool additive = node->class == &lstm__class_additive_attention;
    const bool tangent = additive || own->score_mode != LSTM_SCORE_DOT;
    const real *values = node->model->values;
    char texts[3][LSTM__SOURCE_VALUE];
    char weights[LSTM__SOURCE_VALUE];
    char queries[32];
    char keys[32];
    double scale = 1;
    double factor = 1;
    if (!additive && own->use_scale == LSTM_YES)
        scale = (double)values[lstm__source_parameter(node, 0)->offset];
    if (!additive && tangent)
        factor = (double)values[lstm__source_parameter(node, own->use_scale == LSTM_YES)->offset];
    const int key = lstm__attention_key(node);
    const int64_t depth = lstm__source_input(node, LSTM__QUERY).features;
    const int64_t width = lstm__source_input(node, LSTM__VALUE).features;
    lstm__source_print(
        s,
        "    %s_attend(%s, %s, %" PRId64 ", %" PRId64 ", %s, %" PRId64 ", %s, %" PRId64
        ", %s, %" PRId64 ",\n        %d, %.9ef, %.9ef, %s, %d, %s, %" PRId64 ");\n",
        s->prefix, lstm__source_steps(s, lstm__source_input(node, LSTM__QUERY), queries),
        lstm__source_steps(s, lstm__source_input(node, LSTM__VALUE), keys), depth, width,
        lstm__source_value(s, node->inputs[LSTM__QUERY], texts[0]), depth,
        lstm__source_value(s, node->inputs[key], texts[1]), depth,
        lstm__source_value(s, node->inputs[LSTM__VALUE], texts[2]), width, tangent,
        tangent ? scale : 1.0, tangent ? factor : scale,
        lstm__source_constant(s, node, "scale", additive && node->parameter_count > 0, weights),
        own->causal == LSTM_YES, y, width);
}

void lstm__source_attention(lstm__source *s, const lstm__node *node, const char *y)
{
    if (has_heads(node))
        run_heads(s, node, y);
    else
        run_plain(s, node, y);
}
